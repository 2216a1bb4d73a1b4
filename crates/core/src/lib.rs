// SPDX-License-Identifier: Apache-2.0
//! The device side of devid, pure: no std, no allocation, no unsafe, no clock.
//!
//! A [`Device`](device::Device) is opened over a [`Platform`](platform::Platform)
//! and a [`Layout`](layout::Layout). It holds provisioning slots, identities and
//! their certificate chains, and hands out PSA attestation tokens.
#![no_std]
#![forbid(unsafe_code)]

mod anchor;
pub mod bound;
mod bytes;
pub mod cbor;
pub mod chain;
mod copies;
pub mod cose;
pub mod csr;
pub mod der;
pub mod device;
pub mod error;
pub mod identity;
pub mod instance_id;
pub mod key;
pub mod layout;
pub mod limits;
pub mod platform;
mod record;
mod state;
pub mod status;
mod store;
pub mod time;
pub mod token;
pub mod update;
pub mod x509;
pub mod x5chain;

pub use error::Error;
