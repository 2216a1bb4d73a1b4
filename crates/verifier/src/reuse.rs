// SPDX-License-Identifier: Apache-2.0
//! ECDSA nonces used twice. One key that signs different bytes with the same r
//! has given its private half away: it happens on boards without entropy. It is
//! looked for within a piece of evidence, and in all of a run.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use devid_core::cose::Envelope;
use devid_core::instance_id;

use crate::crypto::sha256;
use crate::keys::KeyId;
use crate::policy::NonceReuse;
use crate::report::{Check, Outcome, Report};

/// A valid ECDSA signature, by a trusted key.
#[derive(Clone, Copy, Debug)]
pub struct SignatureUse<'t> {
    key: KeyId,
    envelope: Envelope<'t>,
}

/// What those who remember signatures say of another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sighting {
    /// It is the key's first.
    First,
    /// The key used another r before, or signed the same bytes.
    Distinct,
    /// The key signed other bytes with the same r.
    Reused,
}

/// The signatures of a run: 65 to 98 bytes of each are kept.
#[derive(Debug, Default)]
pub struct SignatureMemory {
    seen: HashMap<[u8; instance_id::LEN], ByR>,
}

/// By r, the digest of what was signed with it.
type ByR = HashMap<Box<[u8]>, [u8; 32]>;

impl<'t> SignatureUse<'t> {
    pub(crate) fn new(key: KeyId, envelope: Envelope<'t>) -> Self {
        Self { key, envelope }
    }

    /// The key that signed.
    pub const fn key(&self) -> &KeyId {
        &self.key
    }

    /// The envelope that was signed.
    pub const fn envelope(&self) -> &Envelope<'t> {
        &self.envelope
    }

    /// The signature's r, as long as the curve's coordinates.
    pub fn r(&self) -> &'t [u8] {
        self.envelope.signature.get(..self.envelope.signature.len() / 2).unwrap_or_default()
    }

    /// SHA-256 of what was signed.
    pub fn signed_sha256(&self) -> [u8; 32] {
        sha256(&self.envelope.to_be_signed().parts())
    }
}

impl SignatureMemory {
    /// Remembers a signature and says what is known of its r.
    pub fn see(&mut self, signature: &SignatureUse<'_>) -> Sighting {
        let [name, ..] = signature.key.instance_ids() else { return Sighting::First };
        let seen = self.seen.entry(*name).or_default();
        let is_first = seen.is_empty();
        let digest = signature.signed_sha256();
        match seen.entry(signature.r().into()) {
            Entry::Occupied(known) if *known.get() != digest => Sighting::Reused,
            Entry::Occupied(_) => Sighting::Distinct,
            Entry::Vacant(vacant) => {
                vacant.insert(digest);
                if is_first { Sighting::First } else { Sighting::Distinct }
            }
        }
    }

    /// Makes the check for a report, and remembers its signatures.
    pub fn check(&mut self, report: &mut Report<'_>, stance: NonceReuse) {
        if let Some(sighting) = self.see_all(&report.signature_uses) {
            report.set(Check::NonceReuse, sighting.outcome(stance));
        }
    }

    /// Remembers several signatures, of whichever keys. `None` where there is none.
    fn see_all(&mut self, signatures: &[SignatureUse<'_>]) -> Option<Sighting> {
        // Every key must have been seen before, or with another signature here.
        let mut compared = HashMap::new();
        for signature in signatures {
            let is_compared = compared.entry(signature.key.instance_ids()).or_insert(false);
            match self.see(signature) {
                Sighting::First => {}
                Sighting::Distinct => *is_compared = true,
                Sighting::Reused => return Some(Sighting::Reused),
            }
        }
        let are_all = compared.values().all(|is_compared| *is_compared);
        let sighting = if are_all { Sighting::Distinct } else { Sighting::First };
        (!compared.is_empty()).then_some(sighting)
    }
}

impl Sighting {
    /// The check's outcome.
    pub fn outcome(self, stance: NonceReuse) -> Outcome {
        const WHY: &str = "the key signed other bytes with the same ECDSA nonce, which gives its \
                           private half away";
        match (self, stance) {
            (Self::First, _) => Outcome::not_performed("the key's first signature here"),
            (Self::Distinct, _) => Outcome::pass(""),
            (Self::Reused, NonceReuse::Refuse) => Outcome::fail(WHY),
            (Self::Reused, NonceReuse::Report) => Outcome::not_performed(WHY).let_through(),
        }
    }
}
