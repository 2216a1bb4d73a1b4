// SPDX-License-Identifier: Apache-2.0
//! A platform whose cryptography costs nothing: a key is the number that it has,
//! and every signature is good, so that chains get as far as they can.

use std::collections::HashMap;

use devid_core::error::Error;
use devid_core::key::{PublicKey, Signature};
use devid_core::platform::{AssetId, Attestation, Clock, Crypto, Digest, KeyId, Keys, Storage};
use sha2::{Digest as _, Sha256};

/// A token that a device could have made, whatever it was asked.
const TOKEN: &[u8] = include_bytes!("../../../vectors/an521/token.cbor");

#[derive(Default)]
pub(crate) struct Quick {
    assets: HashMap<AssetId, Vec<u8>>,
    keys: HashMap<KeyId, PublicKey>,
    made: u8,
}

fn key(number: u8) -> PublicKey {
    let mut point = [number; 65];
    point[0] = 4;
    PublicKey::from_point(&point).unwrap()
}

impl Storage for Quick {
    fn max_asset_len(&self) -> usize {
        512
    }

    fn get(&mut self, id: AssetId, out: &mut [u8]) -> Result<Option<usize>, Error> {
        Ok(self.assets.get(&id).map(|asset| {
            let len = asset.len().min(out.len());
            out[..len].copy_from_slice(&asset[..len]);
            len
        }))
    }

    fn set(&mut self, id: AssetId, data: &[u8]) -> Result<(), Error> {
        self.assets.insert(id, data.to_vec());
        Ok(())
    }

    fn remove(&mut self, id: AssetId) -> Result<(), Error> {
        self.assets.remove(&id);
        Ok(())
    }
}

impl Keys for Quick {
    fn generate(&mut self, id: KeyId) -> Result<(), Error> {
        if self.keys.contains_key(&id) {
            return Err(Error::AlreadyExists);
        }
        self.made = self.made.wrapping_add(1);
        self.keys.insert(id, key(self.made));
        Ok(())
    }

    fn public_key(&mut self, id: KeyId) -> Result<Option<PublicKey>, Error> {
        Ok(self.keys.get(&id).copied())
    }

    fn sign(&mut self, id: KeyId, _: &Digest) -> Result<Signature, Error> {
        self.keys.get(&id).map(|_| [1; 64]).ok_or(Error::NotFound)
    }

    fn destroy(&mut self, id: KeyId) -> Result<(), Error> {
        self.keys.remove(&id);
        Ok(())
    }
    fn random(&mut self, out: &mut [u8]) -> Result<(), Error> {
        out.fill(7);
        Ok(())
    }
}

impl Crypto for Quick {
    fn sha256(&mut self, parts: &[&[u8]]) -> Result<Digest, Error> {
        let mut hash = Sha256::new();
        parts.iter().for_each(|part| hash.update(part));
        Ok(hash.finalize().into())
    }

    fn verify(&mut self, _: &PublicKey, _: &Digest, _: &Signature) -> Result<bool, Error> {
        Ok(true)
    }
}

impl Clock for Quick {
    fn uptime(&mut self) -> u32 {
        0
    }
}

impl Attestation for Quick {
    fn token_len(&mut self, _: usize) -> Result<usize, Error> {
        Ok(TOKEN.len())
    }

    fn token(&mut self, _: &[u8], out: &mut [u8]) -> Result<usize, Error> {
        out.get_mut(..TOKEN.len()).ok_or(Error::InvalidArgument)?.copy_from_slice(TOKEN);
        Ok(TOKEN.len())
    }

    fn iak_public_key(&mut self) -> Result<PublicKey, Error> {
        Ok(key(0))
    }
}
