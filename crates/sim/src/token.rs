// SPDX-License-Identifier: Apache-2.0
//! PSA attestation tokens signed by the development IAK.

use std::convert::Infallible;

use devid_core::Error;
use devid_core::key::PublicKey;
use devid_core::token::Profile;
use minicbor::Encoder;
use minicbor::data::Tag;
use minicbor::encode;
use p256::ecdsa::SigningKey;

use crate::{public_half, sha256, sign};

/// The development IAK's private scalar is the SHA-256 of this, big-endian.
const IAK_SEED: &str = "devid-sim development IAK, never trust";

/// The public half of the key that signs every simulator's tokens. Its private
/// half is no secret: whoever trusts it trusts everyone.
pub fn development_iak() -> PublicKey {
    public_half(&iak())
}

fn iak() -> SigningKey {
    SigningKey::from_slice(&sha256(&[IAK_SEED.as_bytes()])).expect("a scalar below the order")
}

const VERIFICATION_SERVICE: &str = "devid simulator: development token, never trust";
const IMPLEMENTATION_ID: &[u8; 32] = b"devid-sim: never trust\0\0\0\0\0\0\0\0\0\0";
const SIGNER: &str = "devid-sim: signed by nobody, never trust";

/// The non-secure caller that TF-M numbers -1.
const CLIENT_ID: i32 = -1;
/// Assembly and test (RFC 9783, 4.3.1): anything may be done to this device.
const LIFECYCLE: u16 = 0x1000;

/// The claim keys of a generation (RFC 9783, 4; draft-tschofenig-rats-psa-token-07).
struct ClaimKeys {
    profile: i32,
    nonce: i32,
    instance_id: i32,
    implementation_id: i32,
    client_id: i32,
    lifecycle: i32,
    boot_seed: i32,
    software_components: i32,
    verification_service: i32,
}

const IOT_1: ClaimKeys = ClaimKeys {
    profile: -75000,
    nonce: -75008,
    instance_id: -75009,
    implementation_id: -75003,
    client_id: -75001,
    lifecycle: -75002,
    boot_seed: -75004,
    software_components: -75006,
    verification_service: -75010,
};

const PSA_2_0_0: ClaimKeys = ClaimKeys {
    profile: 265,
    nonce: 10,
    instance_id: 256,
    implementation_id: 2396,
    client_id: 2394,
    lifecycle: 2395,
    boot_seed: 2397,
    software_components: 2399,
    verification_service: 2400,
};

const RFC_9783: ClaimKeys = ClaimKeys { boot_seed: 268, ..PSA_2_0_0 };

/// A whole token: COSE_Sign1 (RFC 9052, 4.2), ES256.
///
/// [`Error::InvalidArgument`] where the challenge has not 32, 48 or 64 bytes.
pub(crate) fn token(
    profile: Profile,
    challenge: &[u8],
    boot_seed: &[u8; 32],
) -> Result<Vec<u8>, Error> {
    if !matches!(challenge.len(), 32 | 48 | 64) {
        return Err(Error::InvalidArgument);
    }
    let iak = iak();
    let claims = encoded(|e| claims(e, profile, challenge, boot_seed));
    let protected = encoded(|e| e.map(1)?.i8(1)?.i8(-7)?.ok());
    let to_be_signed = encoded(|e| {
        e.array(4)?.str("Signature1")?.bytes(&protected)?.bytes(&[])?.bytes(&claims)?.ok()
    });
    let signature = sign(&iak, &sha256(&[&to_be_signed]))?;
    Ok(encoded(|e| {
        e.tag(Tag::new(18))?.array(4)?.bytes(&protected)?.map(0)?.bytes(&claims)?;
        e.bytes(&signature)?.ok()
    }))
}

fn claims(
    e: &mut Encoder<&mut Vec<u8>>,
    profile: Profile,
    challenge: &[u8],
    boot_seed: &[u8; 32],
) -> Encoded {
    let keys = match profile {
        Profile::Psa1 => IOT_1,
        Profile::Psa2 => PSA_2_0_0,
        Profile::Rfc9783 => RFC_9783,
    };
    let version = env!("CARGO_PKG_VERSION");
    e.map(9)?;
    e.i32(keys.nonce)?.bytes(challenge)?;
    e.i32(keys.instance_id)?.bytes(&instance_id(profile))?;
    e.i32(keys.verification_service)?.str(VERIFICATION_SERVICE)?;
    e.i32(keys.profile)?.str(profile.name())?;
    e.i32(keys.implementation_id)?.bytes(IMPLEMENTATION_ID)?;
    e.i32(keys.client_id)?.i32(CLIENT_ID)?;
    e.i32(keys.lifecycle)?.u16(LIFECYCLE)?;
    e.i32(keys.boot_seed)?.bytes(boot_seed)?;
    e.i32(keys.software_components)?.array(1)?.map(4)?;
    e.u8(1)?.str("devid-sim")?;
    // Nothing measures a simulator: this is the digest of its name and version.
    e.u8(2)?.bytes(&sha256(&[b"devid-sim ", version.as_bytes()]))?;
    e.u8(4)?.str(version)?;
    e.u8(5)?.bytes(&sha256(&[SIGNER.as_bytes()]))?;
    e.ok()
}

/// The UEID of the development IAK: 01 and a SHA-256, of the point until 2.0.0,
/// of the COSE_Key since (RFC 9783, 4.2.1; TF-M 2.2).
fn instance_id(profile: Profile) -> [u8; 33] {
    let key = development_iak();
    let digest = match profile {
        Profile::Psa1 | Profile::Psa2 => sha256(&[key.point()]),
        Profile::Rfc9783 => {
            let (x, y) = key.coordinates();
            sha256(&[&encoded(|e| {
                e.map(4)?.i8(1)?.i8(2)?.i8(-1)?.i8(1)?.i8(-2)?.bytes(x)?.i8(-3)?.bytes(y)?.ok()
            })])
        }
    };
    let mut ueid = [0x01; 33];
    ueid[1..].copy_from_slice(&digest);
    ueid
}

type Encoded = Result<(), encode::Error<Infallible>>;

fn encoded(write: impl FnOnce(&mut Encoder<&mut Vec<u8>>) -> Encoded) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut Encoder::new(&mut out)).expect("a vector takes every byte");
    out
}
