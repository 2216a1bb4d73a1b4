// SPDX-License-Identifier: Apache-2.0
//! The simulator keeps what `devid_core::platform` promises.

use std::fs;
use std::path::Path;

use devid_core::error::{Error, Item};
use devid_core::platform::{AssetId, Attestation, Crypto, KeyId, Keys, Service, Storage};
use devid_core::token::Profile;
use devid_sim::{Config, Fault, FaultPlan, POWERED_OFF, Sim, development_iak};

const ASSET: AssetId = asset(0x2c00_4000);

const fn asset(uid: u32) -> AssetId {
    AssetId { service: Service::Ps, uid }
}
const KEY: KeyId = KeyId(0x3000_4000);
const SEEDED: Config =
    Config { profile: Profile::Rfc9783, max_asset_len: 2048, max_assets: 10, seed: Some([7; 32]) };

/// Runs a test over memory and over files.
fn on_both(test: impl Fn(Sim)) {
    test(Sim::in_memory(Config::default()));
    let directory = tempfile::tempdir().unwrap();
    test(Sim::open(directory.path(), Config::default()).unwrap());
}

fn read(sim: &mut Sim, id: AssetId) -> Option<Vec<u8>> {
    let mut out = [0; 4096];
    sim.get(id, &mut out).unwrap().map(|len| out[..len].to_vec())
}

#[test]
fn a_set_replaces_the_whole_asset() {
    on_both(|mut sim| {
        assert_eq!(read(&mut sim, ASSET), None);
        sim.set(ASSET, b"longer").unwrap();
        sim.set(ASSET, b"new").unwrap();
        assert_eq!(read(&mut sim, ASSET).unwrap(), b"new");
        sim.set(ASSET, b"").unwrap();
        assert_eq!(read(&mut sim, ASSET).unwrap(), b"");
    });
}

#[test]
fn a_get_fills_what_it_is_given_and_no_more() {
    on_both(|mut sim| {
        sim.set(ASSET, b"abcdef").unwrap();
        let mut out = [0xff; 3];
        assert_eq!(sim.get(ASSET, &mut out).unwrap(), Some(3));
        assert_eq!(&out, b"abc");
        assert_eq!(sim.get(ASSET, &mut []).unwrap(), Some(0));
    });
}

#[test]
fn removing_twice_is_no_error() {
    on_both(|mut sim| {
        sim.set(ASSET, b"x").unwrap();
        sim.remove(ASSET).unwrap();
        sim.remove(ASSET).unwrap();
        assert_eq!(read(&mut sim, ASSET), None);
    });
}

#[test]
fn refuses_an_asset_one_byte_over_the_limit() {
    on_both(|mut sim| {
        let limit = sim.max_asset_len();
        sim.set(ASSET, &vec![1; limit]).unwrap();
        assert_eq!(sim.set(ASSET, &vec![2; limit + 1]), Err(Error::InvalidArgument));
        assert_eq!(read(&mut sim, ASSET).unwrap(), vec![1; limit]);
    });
}

#[test]
fn refuses_one_asset_more_than_there_is_room_for() {
    on_both(|mut sim| {
        let most = Config::default().max_assets as u32;
        for n in 1..=most {
            sim.set(asset(n), b"x").unwrap();
        }
        assert_eq!(sim.set(asset(most + 1), b"x"), Err(Error::StorageFull));
        sim.set(asset(most), b"replaced, for it is there").unwrap();
        sim.remove(asset(1)).unwrap();
        sim.set(asset(most + 1), b"x").unwrap();
        assert_eq!(sim.assets().unwrap().len(), most as usize);
    });
}

#[test]
fn refuses_uid_zero_and_keys_out_of_the_user_range() {
    on_both(|mut sim| {
        assert_eq!(sim.set(asset(0), b"x"), Err(Error::InvalidArgument));
        assert_eq!(sim.generate(KeyId(0)), Err(Error::InvalidArgument));
        assert_eq!(sim.generate(KeyId(0x4000_0000)), Err(Error::InvalidArgument));
    });
}

#[test]
fn a_key_signs_what_its_public_half_verifies() {
    on_both(|mut sim| {
        sim.generate(KEY).unwrap();
        let public = sim.public_key(KEY).unwrap().unwrap();
        let digest = sim.sha256(&[b"to be", b" signed"]).unwrap();
        assert_eq!(digest, sim.sha256(&[b"to be signed"]).unwrap());
        let signature = sim.sign(KEY, &digest).unwrap();
        assert_eq!(sim.verify(&public, &digest, &signature), Ok(true));
        for byte in [0, 31, 32, 63] {
            let mut flipped = signature;
            flipped[byte] ^= 1;
            assert_eq!(sim.verify(&public, &digest, &flipped), Ok(false));
        }
        assert_eq!(sim.verify(&public, &[0; 32], &signature), Ok(false));
        assert_eq!(sim.verify(&development_iak(), &digest, &signature), Ok(false));
        assert_eq!(sim.verify(&public, &digest, &[0; 64]), Ok(false));
    });
}

/// ECDSA does not ask for the smaller of the two values of s, and half of the
/// certificates of this world have the larger.
#[test]
fn accepts_both_values_of_s() {
    let mut sim = Sim::in_memory(SEEDED);
    sim.generate(KEY).unwrap();
    let public = sim.public_key(KEY).unwrap().unwrap();
    let signature = sim.sign(KEY, &[5; 32]).unwrap();
    let mut other = signature;
    let s = p256::Scalar::from_repr_of(&signature[32..]);
    other[32..].copy_from_slice(&(-s).to_repr_bytes());
    assert_ne!(signature, other);
    assert_eq!(sim.verify(&public, &[5; 32], &signature), Ok(true));
    assert_eq!(sim.verify(&public, &[5; 32], &other), Ok(true));
}

trait ScalarBytes {
    fn from_repr_of(bytes: &[u8]) -> Self;
    fn to_repr_bytes(self) -> [u8; 32];
}

impl ScalarBytes for p256::Scalar {
    fn from_repr_of(bytes: &[u8]) -> Self {
        use p256::elliptic_curve::PrimeField;
        Self::from_repr(<[u8; 32]>::try_from(bytes).unwrap().into()).unwrap()
    }

    fn to_repr_bytes(self) -> [u8; 32] {
        use p256::elliptic_curve::PrimeField;
        self.to_repr().into()
    }
}

#[test]
fn refuses_a_point_off_the_curve() {
    let mut point = *development_iak().point();
    point[64] ^= 1;
    let key = devid_core::key::PublicKey::from_point(&point).unwrap();
    let mut sim = Sim::in_memory(SEEDED);
    let malformed = Error::Malformed { item: Item::PublicKey, at: 0 };
    assert_eq!(sim.verify(&key, &[0; 32], &[1; 64]), Err(malformed));
}

#[test]
fn a_key_id_is_taken_until_it_is_destroyed() {
    on_both(|mut sim| {
        assert_eq!(sim.public_key(KEY).unwrap(), None);
        assert_eq!(sim.sign(KEY, &[0; 32]), Err(Error::NotFound));
        sim.generate(KEY).unwrap();
        let first = sim.public_key(KEY).unwrap();
        assert_eq!(sim.generate(KEY), Err(Error::AlreadyExists));
        assert_eq!(sim.public_key(KEY).unwrap(), first);
        sim.destroy(KEY).unwrap();
        sim.destroy(KEY).unwrap();
        sim.generate(KEY).unwrap();
        assert_ne!(sim.public_key(KEY).unwrap(), first);
    });
}

#[test]
fn a_directory_keeps_the_device() {
    let directory = tempfile::tempdir().unwrap();
    let mut sim = Sim::open(directory.path(), Config::default()).unwrap();
    sim.set(ASSET, b"kept").unwrap();
    sim.generate(KEY).unwrap();
    let key = sim.public_key(KEY).unwrap();
    drop(sim);
    let mut sim = Sim::open(directory.path(), Config::default()).unwrap();
    assert_eq!(read(&mut sim, ASSET).unwrap(), b"kept");
    assert_eq!(sim.public_key(KEY).unwrap(), key);
}

#[cfg(unix)]
#[test]
fn files_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let mut sim = Sim::open(directory.path(), Config::default()).unwrap();
    sim.generate(KEY).unwrap();
    let key = directory.path().join("keys/30004000");
    assert_eq!(fs::metadata(key).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn an_unfinished_file_is_no_asset() {
    let directory = tempfile::tempdir().unwrap();
    let mut sim = Sim::open(directory.path(), Config::default()).unwrap();
    fs::write(directory.path().join("ps/2c004000.tmp"), b"half").unwrap();
    assert_eq!(sim.assets().unwrap(), []);
    assert_eq!(read(&mut sim, ASSET), None);
    sim.set(ASSET, b"whole").unwrap();
    assert_eq!(read(&mut sim, ASSET).unwrap(), b"whole");
}

#[test]
fn refuses_a_directory_that_holds_other_things() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("thesis.tex"), b"").unwrap();
    let error = Sim::open(directory.path(), Config::default()).err().unwrap();
    assert!(error.to_string().contains("name an empty or a new directory"), "{error}");
    let names: Vec<_> = fs::read_dir(directory.path()).unwrap().collect();
    assert_eq!(names.len(), 1, "nothing was left there");
}

#[test]
fn refuses_a_directory_of_another_format() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("devid-sim.txt"), "devid simulator, format 2\n").unwrap();
    assert!(Sim::open(directory.path(), Config::default()).is_err());
    assert!(Sim::open(Path::new("/dev/null/x"), Config::default()).is_err());
}

#[test]
fn a_seed_makes_devices_alike() {
    let [mut one, mut two] = [Sim::in_memory(SEEDED), Sim::in_memory(SEEDED)];
    let mut other = Sim::in_memory(Config { seed: Some([8; 32]), ..SEEDED });
    for sim in [&mut one, &mut two, &mut other] {
        sim.generate(KEY).unwrap();
    }
    assert_eq!(one.public_key(KEY), two.public_key(KEY));
    assert_ne!(one.public_key(KEY), other.public_key(KEY));
    assert_eq!(token(&mut one, &[1; 32]), token(&mut two, &[1; 32]));
}

fn token(sim: &mut Sim, challenge: &[u8]) -> Result<Vec<u8>, Error> {
    let mut out = [0; devid_core::limits::MAX_TOKEN_LEN];
    sim.token(challenge, &mut out).map(|len| out[..len].to_vec())
}

#[test]
fn a_token_has_the_length_told_before() {
    for profile in [Profile::Psa1, Profile::Psa2, Profile::Rfc9783] {
        let mut sim = Sim::in_memory(Config { profile, ..SEEDED });
        for len in [32, 48, 64] {
            let token = token(&mut sim, &vec![1; len]).unwrap();
            assert_eq!(sim.token_len(len), Ok(token.len()));
            assert!(token.len() <= 592, "fits TF-M's buffer");
        }
    }
}

#[test]
fn refuses_challenges_that_psa_refuses() {
    let mut sim = Sim::in_memory(SEEDED);
    for len in [0, 1, 31, 33, 47, 49, 63, 65, 100] {
        assert_eq!(token(&mut sim, &vec![1; len]), Err(Error::InvalidArgument), "{len}");
        assert_eq!(sim.token_len(len), Err(Error::InvalidArgument), "{len}");
    }
}

#[test]
fn a_buffer_too_small_is_left_untouched_and_told_the_need() {
    let mut sim = Sim::in_memory(SEEDED);
    let len = sim.token_len(32).unwrap();
    let mut out = vec![0xaa; len - 1];
    let needed = len;
    assert_eq!(sim.token(&[1; 32], &mut out), Err(Error::needs(needed)));
    assert!(out.iter().all(|byte| *byte == 0xaa));
}

/// Decoded here by hand, so that encoder and decoder are not the same mistake.
#[test]
fn a_token_is_signed_by_the_development_iak_and_says_so() {
    for profile in [Profile::Psa1, Profile::Psa2, Profile::Rfc9783] {
        let mut sim = Sim::in_memory(Config { profile, ..SEEDED });
        let token = token(&mut sim, &[1; 48]).unwrap();
        let mut d = minicbor::Decoder::new(&token);
        assert_eq!(d.tag().unwrap().as_u64(), 18);
        assert_eq!(d.array().unwrap(), Some(4));
        assert_eq!(d.bytes().unwrap(), [0xa1, 0x01, 0x26]);
        assert_eq!(d.map().unwrap(), Some(0));
        let claims = d.bytes().unwrap();
        let signature = d.bytes().unwrap().try_into().unwrap();
        assert_eq!(d.position(), token.len());

        let head = [b"\x84\x6aSignature1\x43\xa1\x01\x26\x40\x59".as_slice()];
        let len = (claims.len() as u16).to_be_bytes();
        let digest = sim.sha256(&[head[0], &len, claims]).unwrap();
        let iak = sim.iak_public_key().unwrap();
        assert_eq!(iak, development_iak());
        assert_eq!(sim.verify(&iak, &digest, signature), Ok(true));

        let holds = |what: &[u8]| claims.windows(what.len()).any(|window| window == what);
        assert!(holds(b"devid simulator: development token, never trust"));
        assert!(holds(b"devid-sim: never trust"));
        assert!(holds(profile.name().as_bytes()));
        assert!(holds(&[1; 48]));
    }
}

#[test]
fn a_reboot_changes_the_boot_seed() {
    let mut sim = Sim::in_memory(SEEDED);
    let before = token(&mut sim, &[1; 32]).unwrap();
    sim.reboot();
    assert_ne!(token(&mut sim, &[1; 32]).unwrap(), before);
}

#[test]
fn a_planned_failure_changes_nothing_and_passes() {
    let mut sim = Sim::in_memory(SEEDED);
    sim.set(ASSET, b"old").unwrap();
    sim.arm(FaultPlan { operation: 2, fault: Fault::Fail(Error::StorageFull) });
    assert_eq!(read(&mut sim, ASSET).unwrap(), b"old");
    assert_eq!(sim.set(ASSET, b"new"), Err(Error::StorageFull));
    assert_eq!(read(&mut sim, ASSET).unwrap(), b"old");
    sim.set(ASSET, b"new").unwrap();
}

#[test]
fn a_cut_leaves_what_it_says_and_lasts_until_the_reboot() {
    let cases: [(Fault, &[u8]); 4] = [
        (Fault::CutBefore, b"old"),
        (Fault::CutAfter, b"fresh"),
        (Fault::Torn { kept: 2 }, b"fr"),
        (Fault::Torn { kept: 99 }, b"fresh"),
    ];
    for (fault, left) in cases {
        let mut sim = Sim::in_memory(SEEDED);
        sim.set(ASSET, b"old").unwrap();
        sim.arm(FaultPlan { operation: 1, fault });
        assert_eq!(sim.set(ASSET, b"fresh"), Err(POWERED_OFF));
        assert!(!sim.is_powered());
        assert_eq!(sim.get(ASSET, &mut [0; 8]), Err(POWERED_OFF));
        assert_eq!(sim.sha256(&[]), Err(POWERED_OFF));
        assert_eq!(sim.token_len(32), Err(POWERED_OFF));
        assert_eq!(sim.iak_public_key(), Err(POWERED_OFF));
        sim.reboot();
        assert_eq!(read(&mut sim, ASSET).unwrap(), left, "{fault:?}");
    }
}

#[test]
fn calls_are_counted_by_kind() {
    let mut sim = Sim::in_memory(SEEDED);
    sim.set(ASSET, b"x").unwrap();
    let before = sim.counts();
    read(&mut sim, ASSET);
    sim.remove(ASSET).unwrap();
    sim.generate(KEY).unwrap();
    sim.sha256(&[]).unwrap();
    sim.token_len(32).unwrap();
    let made = sim.counts() - before;
    assert_eq!((made.gets, made.sets, made.removes), (1, 0, 1));
    assert_eq!((made.keys, made.crypto, made.attestation), (1, 1, 1));
    assert_eq!((made.storage(), made.operations()), (2, 4));
}
