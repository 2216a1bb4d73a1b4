// SPDX-License-Identifier: Apache-2.0
//! Tokens and certificates made for tests: keys from seeds, signatures by RFC
//! 6979, so that everything comes out the same every time.
#![allow(dead_code, reason = "each test program uses a part")]

#[path = "../../../core/tests/token/cbor.rs"]
pub(crate) mod cbor;
pub(crate) mod path;
pub(crate) mod x509;

use hmac::{Hmac, KeyInit, Mac};
use p256::ecdsa::signature::hazmat::PrehashSigner;
use sha2::{Digest, Sha256, Sha384, Sha512};

use cbor::Value::{self, Array, Bytes, Int, Map, Tag, Text};
use devid_verifier::keys::{MacKey, PublicKey};

/// A key that signs tokens and certificates.
pub(crate) enum Signer {
    P256(p256::ecdsa::SigningKey),
    P384(p384::ecdsa::SigningKey),
    P521(p521::ecdsa::SigningKey),
    Mac(i64, Vec<u8>),
}

fn seed(name: &str, length: usize) -> Vec<u8> {
    let full = Sha512::digest(format!("devid test key, never trust: {name}"));
    [&[0, 0][..], &full].concat()[66 - length..].to_vec()
}

impl Signer {
    pub(crate) fn p256(name: &str) -> Self {
        Self::P256(p256::ecdsa::SigningKey::from_slice(&seed(name, 32)).unwrap())
    }

    pub(crate) fn p384(name: &str) -> Self {
        Self::P384(p384::ecdsa::SigningKey::from_slice(&seed(name, 48)).unwrap())
    }

    pub(crate) fn p521(name: &str) -> Self {
        Self::P521(p521::ecdsa::SigningKey::from_slice(&seed(name, 66)).unwrap())
    }

    /// The simulator's, which verifiers must know by name.
    pub(crate) fn simulator() -> Self {
        let scalar = Sha256::digest("devid-sim development IAK, never trust");
        Self::P256(p256::ecdsa::SigningKey::from_slice(&scalar).unwrap())
    }

    pub(crate) fn mac(name: &str, algorithm: i64) -> Self {
        Self::Mac(algorithm, seed(name, 32))
    }

    pub(crate) fn algorithm(&self) -> i64 {
        match self {
            Self::P256(_) => -7,
            Self::P384(_) => -35,
            Self::P521(_) => -36,
            Self::Mac(algorithm, _) => *algorithm,
        }
    }

    /// The uncompressed point.
    pub(crate) fn point(&self) -> Vec<u8> {
        match self {
            Self::P256(key) => key.verifying_key().to_sec1_point(false).as_bytes().to_vec(),
            Self::P384(key) => key.verifying_key().to_sec1_point(false).as_bytes().to_vec(),
            Self::P521(key) => key.verifying_key().to_sec1_point(false).as_bytes().to_vec(),
            Self::Mac(..) => panic!("no public half"),
        }
    }

    pub(crate) fn public(&self) -> PublicKey {
        PublicKey::from_point(&self.point()).unwrap()
    }

    pub(crate) fn secret(&self) -> MacKey {
        let Self::Mac(_, key) = self else { panic!("not symmetric") };
        MacKey::read(key, &[]).unwrap()
    }

    /// The instance id that TF-M 2.2 derives.
    pub(crate) fn instance_id(&self) -> Vec<u8> {
        match self {
            Self::Mac(..) => self.secret().id().instance_ids()[0].to_vec(),
            _ => self.public().id().instance_ids()[1].to_vec(),
        }
    }

    /// `r || s`, or a MAC.
    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        fn mac<M: Mac + KeyInit>(key: &[u8], message: &[u8]) -> Vec<u8> {
            let mut mac = <M as KeyInit>::new_from_slice(key).unwrap();
            mac.update(message);
            mac.finalize().into_bytes().to_vec()
        }
        match self {
            Self::P256(key) => {
                let signature: p256::ecdsa::Signature =
                    key.sign_prehash(&Sha256::digest(message)).unwrap();
                signature.to_bytes().to_vec()
            }
            Self::P384(key) => {
                let signature: p384::ecdsa::Signature =
                    key.sign_prehash(&Sha384::digest(message)).unwrap();
                signature.to_bytes().to_vec()
            }
            Self::P521(key) => {
                let signature: p521::ecdsa::Signature =
                    key.sign_prehash(&Sha512::digest(message)).unwrap();
                signature.to_bytes().to_vec()
            }
            Self::Mac(5, key) => mac::<Hmac<Sha256>>(key, message),
            Self::Mac(6, key) => mac::<Hmac<Sha384>>(key, message),
            Self::Mac(_, key) => mac::<Hmac<Sha512>>(key, message),
        }
    }
}

/// The public half as a COSE_Key.
pub(crate) fn cose_key(signer: &Signer) -> Value {
    let point = signer.point();
    let (x, y) = point[1..].split_at(point.len() / 2);
    let curve = if x.len() == 32 { 1 } else { 2 };
    let coordinate = |bytes: &[u8]| Bytes(bytes.to_vec());
    Map(vec![
        (Int(1), Int(2)),
        (Int(-1), Int(curve)),
        (Int(-2), coordinate(x)),
        (Int(-3), coordinate(y)),
    ])
}

/// The nonce of every token made here.
pub(crate) const NONCE: [u8; 32] = [0xc4; 32];

/// Claims under the keys of RFC 9783 and draft 2.0.0.
pub(crate) fn later_claims(profile: &'static str, instance_id: Vec<u8>) -> Vec<(Value, Value)> {
    vec![
        (Int(265), Text(profile)),
        (Int(10), Bytes(NONCE.to_vec())),
        (Int(256), Bytes(instance_id)),
        (Int(2396), Bytes(vec![0x11; 32])),
        (Int(2394), Int(-1)),
        (Int(2395), Int(0x3000)),
        (Int(2399), Array(vec![component("BL"), component("SPE")])),
        (Int(2400), Text("verifier.example")),
    ]
}

/// Claims under the keys of profile 1.
pub(crate) fn first_claims(instance_id: Vec<u8>) -> Vec<(Value, Value)> {
    vec![
        (Int(-75000), Text("PSA_IOT_PROFILE_1")),
        (Int(-75008), Bytes(NONCE.to_vec())),
        (Int(-75009), Bytes(instance_id)),
        (Int(-75003), Bytes(vec![0x11; 32])),
        (Int(-75001), Int(-1)),
        (Int(-75002), Int(0x3000)),
        (Int(-75004), Bytes(vec![0x22; 32])),
        (Int(-75006), Array(vec![component("BL"), component("SPE")])),
    ]
}

fn component(measured: &'static str) -> Value {
    Map(vec![
        (Int(1), Text(measured)),
        (Int(2), Bytes(vec![0x33; 32])),
        (Int(4), Text("1.0.0")),
        (Int(5), Bytes(vec![0x44; 32])),
    ])
}

pub(crate) const RFC_9783: &str = "tag:psacertified.org,2023:psa#tfm";
pub(crate) const DRAFT_2: &str = "http://arm.com/psa/2.0.0";

/// An RFC 9783 token of the signer's own device.
pub(crate) fn token(signer: &Signer) -> Vec<u8> {
    sign(signer, vec![], later_claims(RFC_9783, signer.instance_id()))
}

/// The same with certificates in its `x5chain`.
pub(crate) fn token_with_chain(signer: &Signer, chain: &[Vec<u8>]) -> Vec<u8> {
    let value = match chain {
        [one] => Bytes(one.clone()),
        more => Array(more.iter().cloned().map(Bytes).collect()),
    };
    let claims = later_claims(RFC_9783, signer.instance_id());
    sign(signer, vec![(Int(33), value)], claims)
}

/// Signs claims.
pub(crate) fn sign(
    signer: &Signer,
    unprotected: Vec<(Value, Value)>,
    claims: Vec<(Value, Value)>,
) -> Vec<u8> {
    let protected = Map(vec![(Int(1), Int(signer.algorithm()))]);
    seal(signer, protected.encode(), unprotected, Map(claims).encode())
}

/// Signs a payload under a protected header.
pub(crate) fn seal(
    signer: &Signer,
    protected: Vec<u8>,
    unprotected: Vec<(Value, Value)>,
    payload: Vec<u8>,
) -> Vec<u8> {
    let (tag, context) = match signer {
        Signer::Mac(..) => (17, "MAC0"),
        _ => (18, "Signature1"),
    };
    let structure =
        Array(vec![Text(context), Bytes(protected.clone()), Bytes(vec![]), Bytes(payload.clone())]);
    let signature = signer.sign(&structure.encode());
    let parts = vec![Bytes(protected), Map(unprotected), Bytes(payload), Bytes(signature)];
    Tag(tag, Box::new(Array(parts))).encode()
}

/// Compares what was made with what stands in a folder of `vectors`, or writes
/// it where `DEVID_WRITE_VECTORS` is set.
#[track_caller]
pub(crate) fn compare_with_vectors(folder: &str, vectors: Vec<(&'static str, Vec<u8>)>) {
    let folder =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors").join(folder);
    for (name, content) in vectors {
        let path = folder.join(name);
        if std::env::var_os("DEVID_WRITE_VECTORS").is_some() {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&path, &content).unwrap();
        }
        assert!(std::fs::read(&path).unwrap() == content, "{name} differs");
    }
}
