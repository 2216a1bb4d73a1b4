// SPDX-License-Identifier: Apache-2.0
//! What the core needs from the world, in five traits. `devid-psa` implements
//! them over PSA; `devid-sim` in software.

use crate::error::Error;
use crate::key::{PublicKey, Signature};

/// A PSA storage service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Service {
    /// Internal Trusted Storage; TF-M keeps keys there, too.
    Its = 0,
    /// Protected Storage.
    Ps = 1,
}

/// Id of one storage asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AssetId {
    /// The service that keeps it.
    pub service: Service,
    /// Its PSA storage uid there, below 2^30.
    pub uid: u32,
}

/// Id of one persistent key (a PSA key id in the user range).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub u32);

/// A SHA-256 digest.
pub type Digest = [u8; 32];

/// Non-volatile storage of small assets, with the semantics of PSA ITS and PS:
/// a `set` replaces the whole asset.
pub trait Storage {
    /// Longest asset, in bytes.
    fn max_asset_len(&self) -> usize;

    /// Reads an asset from its start into `out`, as much as fits. Returns the
    /// bytes read, or `None` where there is no such asset.
    fn get(&mut self, id: AssetId, out: &mut [u8]) -> Result<Option<usize>, Error>;

    /// Creates or replaces an asset.
    ///
    /// [`Error::StorageFull`] where there is no room; the old asset stands then.
    fn set(&mut self, id: AssetId, data: &[u8]) -> Result<(), Error>;

    /// Removes an asset; one that does not exist is no error.
    fn remove(&mut self, id: AssetId) -> Result<(), Error>;
}

/// Persistent, non-exportable P-256 keys for ECDSA with SHA-256, and random bytes.
pub trait Keys {
    /// Makes a key. [`Error::AlreadyExists`] where the id is taken.
    fn generate(&mut self, id: KeyId) -> Result<(), Error>;

    /// The public half, or `None` where there is no such key.
    fn public_key(&mut self, id: KeyId) -> Result<Option<PublicKey>, Error>;

    /// Signs a digest.
    fn sign(&mut self, id: KeyId, digest: &Digest) -> Result<Signature, Error>;

    /// Destroys a key; one that does not exist is no error.
    fn destroy(&mut self, id: KeyId) -> Result<(), Error>;

    /// Fills a buffer with bytes that nobody can predict.
    fn random(&mut self, out: &mut [u8]) -> Result<(), Error>;
}

/// Computations on public values.
pub trait Crypto {
    /// SHA-256 over the parts in order.
    fn sha256(&mut self, parts: &[&[u8]]) -> Result<Digest, Error>;

    /// Checks an ECDSA P-256 signature over a digest. `Ok(false)` where it does
    /// not verify; an error only where the check could not be made.
    fn verify(
        &mut self,
        key: &PublicKey,
        digest: &Digest,
        signature: &Signature,
    ) -> Result<bool, Error>;
}

/// Time that passes. What time it is, the application tells
/// ([`Device::set_time`](crate::device::Device::set_time)).
pub trait Clock {
    /// Seconds since the start; they never go back.
    fn uptime(&mut self) -> u32;
}

/// PSA initial attestation.
pub trait Attestation {
    /// Length of the token for a challenge of that length, in bytes.
    fn token_len(&mut self, challenge_len: usize) -> Result<usize, Error>;

    /// Writes the token for a challenge and returns its length.
    fn token(&mut self, challenge: &[u8], out: &mut [u8]) -> Result<usize, Error>;

    /// The initial attestation key's public half.
    fn iak_public_key(&mut self) -> Result<PublicKey, Error>;
}

/// A whole platform.
pub trait Platform: Storage + Keys + Crypto + Clock + Attestation {
    /// Whether anchors command the device. Without this,
    /// [`Device::update`](crate::device::Device::update) is not supported and its
    /// code is not linked: what a locked device has of the factory is final.
    const UPDATES: bool = true;
}
