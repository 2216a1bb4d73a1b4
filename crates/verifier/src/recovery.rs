// SPDX-License-Identifier: Apache-2.0
//! A public key out of a token alone.
//!
//! An ECDSA signature leaves a few public keys that could have made it (SEC 1,
//! 4.1.6), and the instance id, a hash of the key inside the signed claims,
//! names the right one. Such a key is what the token says of itself: trust on
//! first use, until somebody approves it.

use std::fmt;

use devid_core::cose::{Algorithm, Envelope, Kind};
use devid_core::key;
use devid_core::token::{Fault, Payload};
use p256::ecdsa::{RecoveryId, Signature, VerifyingKey};

use crate::crypto::sha256;
use crate::keys::PublicKey;

/// Why no key could be recovered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecoveryError {
    /// The token cannot be read as far as its instance id.
    Token(Fault),
    /// It is not a COSE_Sign1 with ES256.
    Algorithm,
    /// The signature is no ECDSA signature at all.
    Signature,
    /// No key that could have signed has the instance id: it is not derived from
    /// the key, or the token was changed.
    NoCandidate,
    /// Two keys have it.
    Ambiguous,
}

/// Recovers the P-256 key that signed a token. It is not to be trusted yet.
pub fn recover(token: &[u8]) -> Result<key::PublicKey, RecoveryError> {
    let envelope = Envelope::decode(token).map_err(|fault| RecoveryError::Token(fault.into()))?;
    let instance_id = Payload::decode(&envelope)
        .and_then(|payload| payload.instance_id())
        .map_err(RecoveryError::Token)?;
    if (envelope.kind, envelope.algorithm) != (Kind::Sign1, Some(Algorithm::Es256)) {
        return Err(RecoveryError::Algorithm);
    }
    let signature =
        Signature::from_slice(envelope.signature).map_err(|_| RecoveryError::Signature)?;
    let to_be_signed = envelope.to_be_signed();
    let digest = sha256(&to_be_signed.parts());

    let mut found = None;
    for id in (0..=RecoveryId::MAX).filter_map(RecoveryId::from_byte) {
        let Ok(candidate) = VerifyingKey::recover_from_prehash(&digest, &signature, id) else {
            continue;
        };
        let point = candidate.to_sec1_point(false);
        let Ok(public) = PublicKey::from_point(point.as_bytes()) else { continue };
        // What was recovered must also verify: the arithmetic is not trusted alone.
        let named = public.id().instance_ids().contains(instance_id)
            && public.is_valid(&to_be_signed.parts(), envelope.signature);
        if named {
            let key = key::PublicKey::from_point(point.as_bytes())
                .map_err(|_| RecoveryError::Signature)?;
            if found.replace(key).is_some_and(|other| other != key) {
                return Err(RecoveryError::Ambiguous);
            }
        }
    }
    found.ok_or(RecoveryError::NoCandidate)
}

impl fmt::Display for RecoveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(fault) => fault.fmt(f),
            Self::Algorithm => f.write_str("not a COSE_Sign1 with ES256"),
            Self::Signature => f.write_str("no ECDSA signature"),
            Self::NoCandidate => f.write_str("no key that could have signed has the instance-id"),
            Self::Ambiguous => f.write_str("two keys could have signed"),
        }
    }
}

impl std::error::Error for RecoveryError {}
