// SPDX-License-Identifier: Apache-2.0
//! What endorsers say of devices: which key an instance has, and what its
//! software measures. Filled from [CoRIMs](crate::corim).

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::fmt;

use devid_core::cose::Kind;
use devid_core::instance_id;

use crate::appraisal::Subject;
use crate::keys::{Hint, Key, KeyId, KeySource, PublicKey};
use crate::purpose::Purpose;

/// The implementation id of a PSA root of trust.
pub type ImplementationId = [u8; 32];

/// A reference value of one software component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferenceValue {
    /// The root of trust that it is for.
    pub implementation_id: ImplementationId,
    /// The measurement type; `None` for any.
    pub name: Option<String>,
    /// The version; `None` for any.
    pub version: Option<String>,
    /// The signer; `None` for any.
    pub signer_id: Option<Vec<u8>>,
    /// The measurement under one or more hash algorithms: 32, 48 or 64 bytes.
    pub digests: Vec<Vec<u8>>,
}

/// An attestation key and the device that it belongs to.
pub struct EndorsedKey {
    /// The root of trust.
    pub implementation_id: ImplementationId,
    /// The device.
    pub instance_id: [u8; instance_id::LEN],
    /// Its key.
    pub key: PublicKey,
}

/// Reference values and keys of any number of devices. As a [`KeySource`] it
/// offers an instance its own key and no other.
#[derive(Default)]
pub struct Endorsements {
    keys: HashMap<[u8; instance_id::LEN], (ImplementationId, PublicKey)>,
    /// What every key that was added is for.
    purposes: HashMap<KeyId, Purpose>,
    software: HashMap<ImplementationId, ReferenceValues>,
}

/// The reference values of one root of trust.
#[derive(Debug, Default)]
pub struct ReferenceValues {
    values: Vec<ReferenceValue>,
    by_digest: HashMap<Vec<u8>, Vec<usize>>,
    by_version: HashMap<Identity, Vec<usize>>,
    names: BTreeSet<String>,
}

/// What two endorsers cannot both be right about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contradiction {
    /// Two keys, or two implementation ids, for one instance.
    Key([u8; instance_id::LEN]),
    /// Two measurements of one version of one component by one signer.
    Software(String),
    /// One key for attestation and for an identity.
    Purpose(KeyId),
}

/// Name, version and signer of a component.
type Identity = (Option<String>, String, Option<Vec<u8>>);

impl Endorsements {
    /// Adds a key. The same again changes nothing.
    pub fn add_key(&mut self, endorsed: EndorsedKey) -> Result<(), Contradiction> {
        let EndorsedKey { implementation_id, instance_id, key } = endorsed;
        self.add_attestation(key.id())?;
        match self.keys.entry(instance_id) {
            Entry::Vacant(vacant) => {
                vacant.insert((implementation_id, key));
                Ok(())
            }
            Entry::Occupied(known)
                if known.get().0 == implementation_id && known.get().1.id() == key.id() =>
            {
                Ok(())
            }
            Entry::Occupied(_) => Err(Contradiction::Key(instance_id)),
        }
    }

    /// Adds a key that is an identity's: it verifies no token, whatever else
    /// vouches for it.
    pub fn add_identity(&mut self, key: &KeyId) -> Result<(), Contradiction> {
        self.add_purpose(*key, Purpose::Identity)
    }

    /// Notes that a key is for attestation.
    pub(crate) fn add_attestation(&mut self, key: &KeyId) -> Result<(), Contradiction> {
        self.add_purpose(*key, Purpose::Attestation)
    }

    fn add_purpose(&mut self, key: KeyId, purpose: Purpose) -> Result<(), Contradiction> {
        match *self.purposes.entry(key).or_insert(purpose) {
            known if known == purpose => Ok(()),
            _ => Err(Contradiction::Purpose(key)),
        }
    }

    /// Adds a reference value. The same again changes nothing.
    pub fn add_reference_value(&mut self, value: ReferenceValue) -> Result<(), Contradiction> {
        self.software.entry(value.implementation_id).or_default().add(value)
    }

    /// The reference values of a root of trust, if there are any.
    pub fn reference_values(&self, of: &ImplementationId) -> Option<&ReferenceValues> {
        self.software.get(of)
    }

    /// The key of an instance, if somebody endorses one.
    pub fn key(&self, of: &[u8; instance_id::LEN]) -> Option<&PublicKey> {
        self.keys.get(of).map(|(_, key)| key)
    }

    /// The keys of all instances.
    pub fn public_keys(&self) -> impl Iterator<Item = &PublicKey> {
        self.keys.values().map(|(_, key)| key)
    }

    /// Whether there are reference values at all.
    pub fn has_reference_values(&self) -> bool {
        !self.software.is_empty()
    }

    /// Whether the instance is endorsed, but under another implementation id.
    pub(crate) fn contradicts(&self, claims: &Subject<'_>) -> bool {
        let endorsed = self.keys.get(claims.instance_id);
        endorsed.is_some_and(|(implementation, _)| implementation != claims.implementation_id)
    }
}

impl KeySource for Endorsements {
    fn offer(&self, hint: &Hint<'_>, accept: &mut dyn FnMut(Key<'_>) -> bool) {
        let named = hint.instance_id.filter(|_| hint.kind == Kind::Sign1);
        if let Some(key) = named.and_then(|instance| self.key(instance)) {
            accept(Key::Public(key));
        }
    }

    fn purpose(&self, key: &KeyId) -> Option<Purpose> {
        self.purposes.get(key).copied()
    }
}

impl ReferenceValues {
    fn add(&mut self, value: ReferenceValue) -> Result<(), Contradiction> {
        if let Some(version) = &value.version {
            let identity = (value.name.clone(), version.clone(), value.signer_id.clone());
            let same = self.by_version.entry(identity).or_default();
            for known in same.iter().map(|&index| &self.values[index]) {
                if *known == value {
                    return Ok(());
                }
                // Digests of one length are of one algorithm, and of one binary.
                let differs = |digest: &Vec<u8>| {
                    known.digests.iter().any(|other| other.len() == digest.len() && other != digest)
                };
                if value.digests.iter().any(differs) {
                    let name = value.name.as_deref().unwrap_or("unnamed");
                    return Err(Contradiction::Software(format!("{name} {version}")));
                }
            }
            same.push(self.values.len());
        }
        for digest in &value.digests {
            self.by_digest.entry(digest.clone()).or_default().push(self.values.len());
        }
        self.names.extend(value.name.clone());
        self.values.push(value);
        Ok(())
    }

    /// The names of the components that have one.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    pub(crate) fn has_name(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// The reference values of components that measure that.
    pub(crate) fn with_digest(&self, digest: &[u8]) -> impl Iterator<Item = &ReferenceValue> {
        let indices = self.by_digest.get(digest).map_or(&[][..], Vec::as_slice);
        indices.iter().map(|&index| &self.values[index])
    }
}

impl fmt::Display for Contradiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(instance) => {
                f.write_str("contradicting keys for instance ")?;
                instance.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
            Self::Purpose(key) => {
                f.write_str("one key for attestation and for an identity: that of instance ")?;
                let instance = key.instance_ids().iter().take(1).flatten();
                instance.into_iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
            Self::Software(what) => write!(f, "contradicting reference values for {what}"),
        }
    }
}

impl std::error::Error for Contradiction {}
