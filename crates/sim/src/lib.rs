// SPDX-License-Identifier: Apache-2.0
//! A device in software, for development and tests: `devid-core`'s platform
//! traits over a directory of files or over memory alone.
//!
//! It behaves as TF-M does where the core can tell: assets are replaced whole,
//! their length and number are limited, keys are persistent, attestation takes
//! challenges of 32, 48 and 64 bytes. On demand an operation fails or the power
//! goes off in it ([`FaultPlan`]).
//!
//! **It protects nothing.** Keys lie in files in clear, and every simulator
//! signs tokens with the same development IAK ([`development_iak`]), whose
//! private half anyone can compute. The tokens say so in their claims.
#![forbid(unsafe_code)]

#[cfg(feature = "ca")]
pub mod ca;
mod fault;
mod store;
mod token;

use std::fmt;
use std::path::{Path, PathBuf};

use devid_core::error::{Error, Item};
use devid_core::key::{PublicKey, Signature};
use devid_core::limits::MAX_TOKEN_LEN;
use devid_core::platform::{
    AssetId, Attestation, Clock, Crypto, Digest, KeyId, Keys, Platform, Service, Storage,
};
use devid_core::token::Profile;
use p256::ecdsa::signature::hazmat::{PrehashSigner, PrehashVerifier};
use p256::ecdsa::{SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

pub use fault::{Counts, Fault, FaultPlan, POWERED_OFF};
pub use token::development_iak;

use fault::{Kind, Outcome, Supply};
use store::Store;

/// What may differ between simulated devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// The generation of the tokens.
    pub profile: Profile,
    /// Longest storage asset, in bytes; TF-M's `PS_MAX_ASSET_SIZE` by default.
    pub max_asset_len: usize,
    /// Most assets of each storage service; by default as many as devid asks of TF-M for the
    /// standard layout.
    pub max_assets: usize,
    /// Makes every random value follow from this seed: for tests alone.
    pub seed: Option<[u8; 32]>,
}

impl Default for Config {
    fn default() -> Self {
        Self { profile: Profile::Rfc9783, max_asset_len: 2048, max_assets: 20, seed: None }
    }
}

/// A simulated platform.
pub struct Sim {
    config: Config,
    assets: Assets,
    keys: Store,
    random: Random,
    boot_seed: [u8; 32],
    uptime: u32,
    supply: Supply,
    /// What cannot be reached, and what is answered for it.
    spoiled: Vec<(Object, Error)>,
}

/// What a simulator keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Object {
    /// A storage asset.
    Asset(AssetId),
    /// A key.
    Key(KeyId),
}

impl Sim {
    /// A factory-fresh platform that lives as long as this value.
    pub fn in_memory(config: Config) -> Self {
        Self::over([(); 3].map(|()| Store::in_memory()), config)
    }

    /// The platform kept in a directory, which is made where it is missing.
    ///
    /// A directory that holds other things is refused, so that a mistyped path
    /// does no harm. Two simulators over one directory at the same time see
    /// each other's changes as they happen.
    pub fn open(directory: &Path, config: Config) -> Result<Self, OpenError> {
        let failed = |problem| OpenError { directory: directory.to_path_buf(), problem };
        store::claim(directory).map_err(failed)?;
        let store = |name| Store::in_directory(directory.join(name)).map_err(failed);
        Ok(Self::over([store("its")?, store("ps")?, store("keys")?], config))
    }

    fn over([its, ps, keys]: [Store; 3], config: Config) -> Self {
        let mut random = Random { seed: config.seed, drawn: 0 };
        let boot_seed = random.draw();
        Self {
            config,
            assets: Assets { its, ps },
            keys,
            random,
            boot_seed,
            uptime: 0,
            supply: Supply::default(),
            spoiled: Vec::new(),
        }
    }

    /// Lets the plan's operation fail, counted from now on. Replaces the plan
    /// that was armed.
    pub fn arm(&mut self, plan: FaultPlan) {
        self.supply.arm(plan);
    }

    /// Takes the plan back.
    pub fn disarm(&mut self) {
        self.supply.disarm();
    }

    /// Whether the armed plan's operation is still to come.
    pub fn is_armed(&self) -> bool {
        self.supply.is_armed()
    }

    /// Lets every operation on an object fail with this error, until
    /// [`heal`](Self::heal).
    pub fn spoil(&mut self, object: Object, error: Error) {
        self.spoiled.push((object, error));
    }

    /// Ends what [`spoil`](Self::spoil) did to any object.
    pub fn heal(&mut self) {
        self.spoiled.clear();
    }

    /// Turns the power off and on: storage and keys stay, the boot seed is
    /// another, nothing is armed.
    pub fn reboot(&mut self) {
        self.supply.restore();
        self.boot_seed = self.random.draw();
        self.uptime = 0;
    }

    /// Lets time pass.
    pub fn advance(&mut self, seconds: u32) {
        self.uptime += seconds;
    }

    /// Whether the power is on; after a cut it is off until
    /// [`reboot`](Self::reboot), and every call fails with [`POWERED_OFF`].
    pub fn is_powered(&self) -> bool {
        self.supply.is_on()
    }

    /// A copy in memory of what would survive a power cut, with the power on.
    pub fn snapshot(&self) -> Result<Self, Error> {
        let mut copy = Self::over(
            [self.assets.its.copy()?, self.assets.ps.copy()?, self.keys.copy()?],
            self.config,
        );
        copy.random.drawn = self.random.drawn;
        copy.spoiled.clone_from(&self.spoiled);
        Ok(copy)
    }

    /// A digest of what would survive a power cut: equal for equal assets and keys.
    pub fn fingerprint(&self) -> Result<Digest, Error> {
        let mut hash = Sha256::new();
        for store in [&self.assets.its, &self.assets.ps, &self.keys] {
            for id in store.ids()? {
                let value = store.get(id)?.map(Zeroizing::new).unwrap_or_default();
                hash.update(id.to_be_bytes());
                hash.update((value.len() as u64).to_be_bytes());
                hash.update(value.as_slice());
            }
            hash.update([0; 12]);
        }
        Ok(hash.finalize().into())
    }

    /// The calls made so far.
    pub fn counts(&self) -> Counts {
        self.supply.counts()
    }

    /// The storage assets there are, in the order of their ids.
    pub fn assets(&self) -> Result<Vec<AssetId>, Error> {
        let mut assets = Vec::new();
        for (service, store) in [(Service::Its, &self.assets.its), (Service::Ps, &self.assets.ps)] {
            assets.extend(store.ids()?.into_iter().map(|uid| AssetId { service, uid }));
        }
        Ok(assets)
    }
}

/// The two storage services.
struct Assets {
    its: Store,
    ps: Store,
}

impl Assets {
    fn of(&mut self, service: Service) -> &mut Store {
        match service {
            Service::Its => &mut self.its,
            Service::Ps => &mut self.ps,
        }
    }
}

fn signing_key(keys: &Store, id: KeyId) -> Result<Option<SigningKey>, Error> {
    let Some(scalar) = keys.get(id.0)?.map(Zeroizing::new) else { return Ok(None) };
    SigningKey::from_slice(&scalar).map(Some).map_err(|_| Error::Corrupt)
}

/// PSA refuses uid 0.
fn check_asset(id: AssetId, spoiled: &[(Object, Error)]) -> Result<(), Error> {
    if id.uid == 0 { Err(Error::InvalidArgument) } else { check(Object::Asset(id), spoiled) }
}

/// The user range, `PSA_KEY_ID_USER_MIN` to `PSA_KEY_ID_USER_MAX`.
fn check_key(id: KeyId, spoiled: &[(Object, Error)]) -> Result<(), Error> {
    if (1..=0x3fff_ffff).contains(&id.0) {
        check(Object::Key(id), spoiled)
    } else {
        Err(Error::InvalidArgument)
    }
}

fn check(object: Object, spoiled: &[(Object, Error)]) -> Result<(), Error> {
    match spoiled.iter().find(|(of, _)| *of == object) {
        Some((_, error)) => Err(*error),
        None => Ok(()),
    }
}

impl Storage for Sim {
    fn max_asset_len(&self) -> usize {
        self.config.max_asset_len
    }

    fn get(&mut self, id: AssetId, out: &mut [u8]) -> Result<Option<usize>, Error> {
        let store = self.assets.of(id.service);
        self.supply.run(Kind::Get, |_| {
            check_asset(id, &self.spoiled)?;
            let Some(data) = store.get(id.uid)? else { return Ok(None) };
            let len = data.len().min(out.len());
            out[..len].copy_from_slice(&data[..len]);
            Ok(Some(len))
        })
    }

    fn set(&mut self, id: AssetId, data: &[u8]) -> Result<(), Error> {
        let store = self.assets.of(id.service);
        self.supply.run(Kind::Set, |outcome| {
            check_asset(id, &self.spoiled)?;
            if data.len() > self.config.max_asset_len {
                return Err(Error::InvalidArgument);
            }
            let ids = store.ids()?;
            if !ids.contains(&id.uid) && ids.len() >= self.config.max_assets {
                return Err(Error::StorageFull);
            }
            let written = match outcome {
                Outcome::Whole => data,
                Outcome::Torn { kept } => &data[..kept.min(data.len())],
            };
            store.put(id.uid, written)
        })
    }

    fn remove(&mut self, id: AssetId) -> Result<(), Error> {
        let store = self.assets.of(id.service);
        self.supply.run(Kind::Remove, |_| {
            check_asset(id, &self.spoiled)?;
            store.remove(id.uid)
        })
    }
}

impl Keys for Sim {
    fn generate(&mut self, id: KeyId) -> Result<(), Error> {
        self.supply.run(Kind::Key, |_| {
            check_key(id, &self.spoiled)?;
            if self.keys.get(id.0)?.map(Zeroizing::new).is_some() {
                return Err(Error::AlreadyExists);
            }
            let scalar = Zeroizing::new(<[u8; 32]>::from(self.random.key().to_bytes()));
            self.keys.put(id.0, scalar.as_slice())
        })
    }

    fn public_key(&mut self, id: KeyId) -> Result<Option<PublicKey>, Error> {
        self.supply.run(Kind::Key, |_| {
            check_key(id, &self.spoiled)?;
            Ok(signing_key(&self.keys, id)?.map(|key| public_half(&key)))
        })
    }

    fn sign(&mut self, id: KeyId, digest: &Digest) -> Result<Signature, Error> {
        self.supply.run(Kind::Key, |_| {
            check_key(id, &self.spoiled)?;
            sign(&signing_key(&self.keys, id)?.ok_or(Error::NotFound)?, digest)
        })
    }

    fn destroy(&mut self, id: KeyId) -> Result<(), Error> {
        self.supply.run(Kind::Key, |_| {
            check_key(id, &self.spoiled)?;
            self.keys.remove(id.0)
        })
    }

    fn random(&mut self, out: &mut [u8]) -> Result<(), Error> {
        self.supply.run(Kind::Key, |_| {
            for chunk in out.chunks_mut(32) {
                chunk.copy_from_slice(&self.random.draw()[..chunk.len()]);
            }
            Ok(())
        })
    }
}

impl Crypto for Sim {
    fn sha256(&mut self, parts: &[&[u8]]) -> Result<Digest, Error> {
        self.supply.run(Kind::Crypto, |_| Ok(sha256(parts)))
    }

    /// [`Error::Malformed`] where the point is not on the curve.
    fn verify(
        &mut self,
        key: &PublicKey,
        digest: &Digest,
        signature: &Signature,
    ) -> Result<bool, Error> {
        self.supply.run(Kind::Crypto, |_| {
            let key = VerifyingKey::from_sec1_bytes(key.point().as_slice())
                .map_err(|_| Error::Malformed { item: Item::PublicKey, at: 0 })?;
            Ok(p256::ecdsa::Signature::from_slice(signature.as_slice())
                .is_ok_and(|signature| key.verify_prehash(digest, &signature).is_ok()))
        })
    }
}

impl Clock for Sim {
    fn uptime(&mut self) -> u32 {
        self.uptime
    }
}

impl Platform for Sim {}

impl Attestation for Sim {
    fn token_len(&mut self, challenge_len: usize) -> Result<usize, Error> {
        self.supply.run(Kind::Attestation, |_| {
            let challenge = [0; 64];
            let challenge = challenge.get(..challenge_len).ok_or(Error::InvalidArgument)?;
            // Every field has a fixed length for a challenge's length.
            Ok(token::token(self.config.profile, challenge, &self.boot_seed)?.len())
        })
    }

    fn token(&mut self, challenge: &[u8], out: &mut [u8]) -> Result<usize, Error> {
        self.supply.run(Kind::Attestation, |_| {
            let token = token::token(self.config.profile, challenge, &self.boot_seed)?;
            debug_assert!(token.len() <= MAX_TOKEN_LEN, "limits::MAX_TOKEN_LEN holds");
            out.get_mut(..token.len()).ok_or(Error::needs(token.len()))?.copy_from_slice(&token);
            Ok(token.len())
        })
    }

    fn iak_public_key(&mut self) -> Result<PublicKey, Error> {
        self.supply.run(Kind::Key, |_| Ok(development_iak()))
    }
}

/// Why a directory does not hold a simulated device.
#[derive(Debug)]
pub struct OpenError {
    directory: PathBuf,
    problem: store::Problem,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.directory.display(), self.problem)
    }
}

impl std::error::Error for OpenError {}

/// Where random bytes come from: the system, or a seed and a counter.
struct Random {
    seed: Option<[u8; 32]>,
    drawn: u64,
}

impl Random {
    fn key(&mut self) -> SigningKey {
        loop {
            let scalar = Zeroizing::new(self.draw());
            // One in 2^32 draws is no scalar of the curve.
            if let Ok(key) = SigningKey::from_slice(scalar.as_slice()) {
                return key;
            }
        }
    }

    fn draw(&mut self) -> [u8; 32] {
        match self.seed {
            Some(seed) => {
                self.drawn += 1;
                sha256(&[&seed, &self.drawn.to_be_bytes()])
            }
            None => {
                let mut bytes = [0; 32];
                getrandom::fill(&mut bytes).expect("the system gives random bytes");
                bytes
            }
        }
    }
}

fn sha256(parts: &[&[u8]]) -> Digest {
    parts.iter().fold(Sha256::new(), |hash, part| hash.chain_update(part)).finalize().into()
}

fn sign(key: &SigningKey, digest: &Digest) -> Result<Signature, Error> {
    let signature: p256::ecdsa::Signature =
        key.sign_prehash(digest).map_err(|_| Error::InvalidArgument)?;
    Ok(signature.to_bytes().into())
}

fn public_half(key: &SigningKey) -> PublicKey {
    PublicKey::from_point(key.verifying_key().to_sec1_point(false).as_bytes())
        .expect("an uncompressed point")
}
