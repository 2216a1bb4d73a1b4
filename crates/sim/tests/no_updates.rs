// SPDX-License-Identifier: Apache-2.0
//! A device that was built without updates: it locks without anybody who could
//! command it, and nobody can.

mod common;

use common::*;
use devid_core::device::{Device, scratch_len};
use devid_core::error::Error;
use devid_core::key::{PublicKey, Signature};
use devid_core::layout::{STANDARD, SlotId};
use devid_core::platform::{
    AssetId, Attestation, Clock, Crypto, Digest, KeyId, Keys, Platform, Storage,
};
use devid_core::status::Problem;
use devid_sim::Sim;
use devid_sim::ca::{ThrowAwayAnchor, ThrowAwayCa};

const ANCHOR0: SlotId = SlotId(0x20);

/// The simulator, but for the one choice.
struct WithoutUpdates(Sim);

impl Platform for WithoutUpdates {
    const UPDATES: bool = false;
}

impl Storage for WithoutUpdates {
    fn max_asset_len(&self) -> usize {
        self.0.max_asset_len()
    }

    fn get(&mut self, id: AssetId, out: &mut [u8]) -> Result<Option<usize>, Error> {
        self.0.get(id, out)
    }

    fn set(&mut self, id: AssetId, data: &[u8]) -> Result<(), Error> {
        self.0.set(id, data)
    }

    fn remove(&mut self, id: AssetId) -> Result<(), Error> {
        self.0.remove(id)
    }
}

impl Keys for WithoutUpdates {
    fn generate(&mut self, id: KeyId) -> Result<(), Error> {
        self.0.generate(id)
    }

    fn public_key(&mut self, id: KeyId) -> Result<Option<PublicKey>, Error> {
        self.0.public_key(id)
    }

    fn sign(&mut self, id: KeyId, digest: &Digest) -> Result<Signature, Error> {
        self.0.sign(id, digest)
    }

    fn destroy(&mut self, id: KeyId) -> Result<(), Error> {
        self.0.destroy(id)
    }

    fn random(&mut self, out: &mut [u8]) -> Result<(), Error> {
        self.0.random(out)
    }
}

impl Crypto for WithoutUpdates {
    fn sha256(&mut self, parts: &[&[u8]]) -> Result<Digest, Error> {
        self.0.sha256(parts)
    }

    fn verify(
        &mut self,
        key: &PublicKey,
        digest: &Digest,
        signature: &Signature,
    ) -> Result<bool, Error> {
        self.0.verify(key, digest, signature)
    }
}

impl Clock for WithoutUpdates {
    fn uptime(&mut self) -> u32 {
        self.0.uptime()
    }
}

impl Attestation for WithoutUpdates {
    fn token_len(&mut self, challenge_len: usize) -> Result<usize, Error> {
        self.0.token_len(challenge_len)
    }

    fn token(&mut self, challenge: &[u8], out: &mut [u8]) -> Result<usize, Error> {
        self.0.token(challenge, out)
    }

    fn iak_public_key(&mut self) -> Result<PublicKey, Error> {
        self.0.iak_public_key()
    }
}

fn without(sim: Sim) -> Device<'static, WithoutUpdates> {
    let scratch = vec![0; scratch_len(&STANDARD)].leak();
    Device::open(WithoutUpdates(sim), STANDARD, scratch).unwrap()
}

fn problems(device: &mut Device<'_, WithoutUpdates>) -> Vec<Problem> {
    let mut found = Vec::new();
    device.status(Some(NOW), &mut |finding| found.push(finding.problem)).unwrap();
    found
}

#[test]
fn it_locks_without_an_anchor_and_takes_no_command() {
    let mut device = without(Sim::in_memory(SEEDED));
    assert_eq!(device.lock(), Err(Error::NotFound), "the identity is not there yet");
    let key = device.generate(IDEVID).unwrap();
    device.install(IDEVID, &ThrowAwayCa::new(NOW).certify(&key, "device"), None).unwrap();
    device.lock().unwrap();

    assert_eq!(device.update(b"any"), Err(Error::NotSupported));
    assert_eq!(device.recovery_nonce(), Err(Error::NotSupported));
    assert_eq!(device.write(SERIAL, b"1"), Err(Error::Denied));
    let problems = problems(&mut device);
    assert!(!problems.contains(&Problem::NoCommander) && !problems.contains(&Problem::NoAnchor));

    let mut device = without(device.close().0);
    assert!(device.is_locked(), "after a restart too");
    device.read(IDEVID).unwrap();
}

/// Firmware can be built with updates later: who commands the device then is
/// whom a factory named as a commander, and nobody else.
#[test]
fn an_anchor_that_it_wrote_commands_no_later_firmware() {
    let mut device = without(Sim::in_memory(SEEDED));
    let anchor = ThrowAwayAnchor::new("anchor", NOW, true);
    device.write(ANCHOR0, anchor.certificate()).unwrap();
    let key = device.generate(IDEVID).unwrap();
    device.install(IDEVID, &ThrowAwayCa::new(NOW).certify(&key, "device"), None).unwrap();
    device.lock().unwrap();

    let mut device = open(device.close().0, STANDARD).unwrap();
    assert!(device.is_locked());
    let mut found = Vec::new();
    device.status(Some(NOW), &mut |finding| found.push(finding.problem)).unwrap();
    assert!(found.contains(&Problem::NoCommander), "{found:?}");
}

/// The other way round: what an earlier firmware named stands, and an anchor
/// that this one wrote over it does not command.
#[test]
fn an_anchor_that_it_replaced_does_not_command_either() {
    let mut device = open(Sim::in_memory(SEEDED), STANDARD).unwrap();
    give_anchor(&mut device);
    let mut device = without(device.close());
    let stranger = ThrowAwayAnchor::new("stranger", NOW, true);
    device.write(ANCHOR0, stranger.certificate()).unwrap();

    let mut device = open(device.close().0, STANDARD).unwrap();
    let mut found = Vec::new();
    device.status(Some(NOW), &mut |finding| found.push(finding.problem)).unwrap();
    assert!(found.contains(&Problem::NoAnchor), "{found:?}");
    device.write(ANCHOR0, stranger.certificate()).unwrap();
    found.clear();
    device.status(Some(NOW), &mut |finding| found.push(finding.problem)).unwrap();
    assert!(!found.contains(&Problem::NoAnchor), "{found:?}");
}
