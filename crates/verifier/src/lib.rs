// SPDX-License-Identifier: Apache-2.0
//! Checks what a device says.
//!
//! A [`Verifier`] takes a token and answers with a [`Report`]: each check named
//! as passed, failed or not performed, and one verdict over them that fails
//! closed. Keys come from a [`KeySource`], trust anchors from
//! [`TrustAnchors`]. There is no signing code in this crate.
//!
//! Signatures are checked by aws-lc-rs (feature `aws-lc-rs`, on by default) or,
//! where no C compiler is wanted, in Rust alone (feature `p256`).
#![forbid(unsafe_code)]

mod appraisal;
mod bound;
pub mod cca;
mod certificate;
pub mod cmw;
pub mod corim;
mod crypto;
pub mod csr;
mod der;
mod development;
mod document;
pub mod ear;
pub mod endorsements;
mod evidence;
pub mod json;
pub mod key_attestation;
pub mod keys;
pub mod path;
pub mod policy;
mod purpose;
#[cfg(feature = "recovery")]
pub mod recovery;
pub mod report;
pub mod reuse;
mod verifier;

pub use appraisal::Appraisal;
pub use bound::BoundChallenge;
pub use document::{DocumentCheck, DocumentReport};
pub use endorsements::Endorsements;
pub use keys::{KeySet, KeySource};
pub use path::TrustAnchors;
pub use policy::AppraisalPolicy;
pub use purpose::Purpose;
pub use report::{Check, CheckResult, Outcome, Report, Verdict};
pub use rustls_pki_types::UnixTime;
pub use verifier::{Challenge, MAX_TOKEN_LEN, Policy, Verifier};
