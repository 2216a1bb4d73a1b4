// SPDX-License-Identifier: Apache-2.0
//! Verification as a service.
//!
//! A device, or whoever relays for it, asks for a challenge, has it attested and
//! sends the token. [`Service::verify`] is that workflow; [`serve`] puts HTTP
//! around it. `docs/service.md` tells operators what it does.
#![forbid(unsafe_code)]

mod challenge;
mod connections;
mod http;
mod metrics;
mod page;
mod report;
mod server;
mod signer;
mod tls;
mod workflow;

use std::time::Duration;

use devid_core::token::LifecycleState;
use devid_registry::Registry;
use devid_verifier::ear;
use devid_verifier::{AppraisalPolicy, Endorsements, TrustAnchors};

pub use http::OPENAPI;
pub use server::serve;
pub use signer::{Signer, SignerError};
pub use tls::{TlsConfig, TlsError};
pub use workflow::{Answer, Service};

/// What a service trusts, asks for and bears.
pub struct Config {
    /// Where devices are looked up and recorded.
    pub registry: Registry,
    /// Anchors that an unknown device's `x5chain` may lead to.
    pub anchors: TrustAnchors,
    /// What is asked of claims.
    pub policy: Option<AppraisalPolicy>,
    /// Reference values and keys.
    pub endorsements: Option<Endorsements>,
    /// Lifecycle states that are let through where there is no policy.
    pub lifecycles: Vec<LifecycleState>,
    /// Whether keys are let through that everybody has.
    pub allow_development_key: bool,
    /// What becomes of devices that are unknown and have no path to an anchor.
    pub unknown: Unknown,
    /// How long a challenge can be answered.
    pub challenge_lifetime: Duration,
    /// Signs results; without one there are only unsigned ones.
    pub signer: Option<Signer>,
    /// How long signed results may be used.
    pub result_lifetime: Duration,
    /// Whose names signed results use.
    pub ear_names: ear::Names,
    /// What clients may take.
    pub limits: Limits,
}

/// What becomes of devices that are unknown and have no path to an anchor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// They are refused.
    Refuse,
    /// They are refused, and held for an operator to approve, where their key
    /// can be had from the token.
    Hold {
        /// Most devices that wait.
        max_pending: u32,
    },
}

/// What clients may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest request body, in bytes.
    pub body_len: usize,
    /// How long a client may take for each: the TLS handshake, a request's
    /// head, its body, to take a piece of the answer, or between requests.
    pub patience: Duration,
    /// Most connections at once. For another one, the peer that has most loses
    /// the one that has waited longest for its client.
    pub connections: usize,
    /// How long requests in flight may take once the service was told to stop.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_len: 64 * 1024,
            patience: Duration::from_secs(10),
            connections: 1024,
            grace: Duration::from_secs(10),
        }
    }
}
