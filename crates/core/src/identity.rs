// SPDX-License-Identifier: Apache-2.0
//! Identities: a key that never leaves the platform and the chain over it.

use crate::chain::{self, Checked};
use crate::csr::{self, Subject};
use crate::device::Device;
use crate::error::Error;
use crate::key::PublicKey;
use crate::layout::{Kind, SlotId};
use crate::platform::{KeyId, Platform};
use crate::store::Held;
use crate::time::UnixTime;

impl<P: Platform> Device<'_, P> {
    /// Makes an identity's key. [`Error::AlreadyExists`] where there is one:
    /// erase the identity first.
    pub fn generate(&mut self, slot: SlotId) -> Result<PublicKey, Error> {
        let key = self.identity_key(slot)?;
        if self.store.platform.public_key(key)?.is_some() {
            return Err(Error::AlreadyExists);
        }
        self.finish_identity_erase(slot)?;
        self.store.platform.generate(key)?;
        self.public_key(slot)
    }

    /// The public half of an identity's key.
    pub fn public_key(&mut self, slot: SlotId) -> Result<PublicKey, Error> {
        let key = self.identity_key(slot)?;
        self.store.platform.public_key(key)?.ok_or(Error::NotFound)
    }

    /// A PKCS#10 certification request (RFC 2986) in DER, signed by the
    /// identity's key: the proof that it is there.
    pub fn csr(&mut self, slot: SlotId, subject: &Subject<'_>) -> Result<&[u8], Error> {
        let key = self.identity_key(slot)?;
        let public_key = self.public_key(slot)?;
        let platform = &mut self.store.platform;
        csr::write(self.store.scratch, subject, &public_key, |info| {
            let digest = platform.sha256(&[info])?;
            platform.sign(key, &digest)
        })
    }

    /// Installs the chain over an identity's key, as concatenated DER, leaf
    /// first; it replaces a chain already there.
    ///
    /// Refused unless the leaf certifies the slot's key and each certificate is
    /// signed by the next, a CA. Validity is checked when `now` is given.
    pub fn install(
        &mut self,
        slot: SlotId,
        chain: &[u8],
        now: Option<UnixTime>,
    ) -> Result<Checked, Error> {
        let public_key = self.public_key(slot)?;
        let (_, def) = self.store.layout.find(slot)?;
        if chain.len() > usize::from(def.max_len) {
            return Err(Error::TooLarge { limit: u32::from(def.max_len) });
        }
        let checked = chain::check(&mut self.store.platform, chain, Some(&public_key), now)?;
        self.store.write(slot, chain)?;
        Ok(checked)
    }

    /// An identity's chain as concatenated DER, leaf first.
    pub fn chain(&mut self, slot: SlotId) -> Result<&[u8], Error> {
        self.identity_key(slot)?;
        self.store.read(slot)
    }

    /// Destroys an identity's key; tells whether there was one.
    pub(crate) fn destroy_key(&mut self, slot: SlotId) -> Result<bool, Error> {
        let key = self.identity_key(slot)?;
        let had_key = self.store.platform.public_key(key)?.is_some();
        if had_key {
            self.store.platform.destroy(key)?;
        }
        Ok(had_key)
    }

    /// Removes the chain that an interrupted erase left without its key.
    pub(crate) fn finish_identity_erase(&mut self, slot: SlotId) -> Result<(), Error> {
        let key = self.identity_key(slot)?;
        let orphan = matches!(self.store.held(slot)?, Held::Value { .. })
            && self.store.platform.public_key(key)?.is_none();
        if orphan { self.store.erase(slot) } else { Ok(()) }
    }

    fn identity_key(&self, slot: SlotId) -> Result<KeyId, Error> {
        match self.store.layout.find(slot)? {
            (_, def) if def.kind == Kind::Identity => Ok(self.store.layout.key(slot)),
            _ => Err(Error::NotSupported),
        }
    }
}
