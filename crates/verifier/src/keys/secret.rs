// SPDX-License-Identifier: Apache-2.0
//! Symmetric keys in the forms that files have. Whatever is public, or looks like
//! something else than a key, is refused: one such value taken for a key would
//! let everybody make tokens.

use std::borrow::Cow;

use devid_core::cbor::{self, Key, UnknownKeys};
use devid_core::cose::Algorithm;
use devid_core::instance_id;
use serde::Deserialize;
use zeroize::{Zeroize, Zeroizing};

use super::file::{base64url, holds_public_key};
use super::{KeyError, KeyId, MIN_MAC_KEY_LEN, MacKey, PublicKey};
use crate::crypto::{Curve, EcdsaKey, Hash, mac_is_valid, sha256};
use crate::der;

/// How long a key without a form around it is.
const RAW_LENGTHS: [usize; 3] = [32, 48, 64];

impl MacKey {
    /// Reads a file with one symmetric key: an `oct` JWK (RFC 7517), a symmetric
    /// COSE_Key (RFC 9052, 7), or the key itself, exactly 32, 48 or 64 bytes.
    ///
    /// `at_hand` are the public keys that are known: no value that derives from one
    /// of them is a secret.
    pub fn read(file: &[u8], at_hand: &[&PublicKey]) -> Result<Self, KeyError> {
        let (secret, algorithm) = match Form::of(file) {
            Form::Json => from_jwk(file)?,
            Form::CoseKey => from_cose_key(file)?,
            Form::Text => return Err(KeyError::MacText),
            Form::Bytes => {
                if !RAW_LENGTHS.contains(&file.len()) {
                    return Err(KeyError::MacForm);
                }
                (Zeroizing::new(file.to_vec()), None)
            }
        };
        if is_public(&secret) || at_hand.iter().any(|key| derives_from(&secret, key)) {
            return Err(KeyError::PublicAsMac);
        }
        if secret.len() < MIN_MAC_KEY_LEN {
            return Err(KeyError::TooShort);
        }
        let once = Zeroizing::new(sha256(&[&secret]));
        let id = KeyId::Mac { instance_id: [instance_id::from_digest(&sha256(&[&*once]))] };
        Ok(Self { secret, algorithm, id })
    }

    /// The instance id that derives from the key.
    pub const fn id(&self) -> &KeyId {
        &self.id
    }

    pub(crate) fn is_valid(&self, algorithm: Algorithm, parts: &[&[u8]], tag: &[u8]) -> bool {
        let hash = match algorithm {
            Algorithm::Hs256 => Hash::Sha256,
            Algorithm::Hs384 => Hash::Sha384,
            Algorithm::Hs512 => Hash::Sha512,
            _ => return false,
        };
        self.algorithm.is_none_or(|only| only == algorithm)
            && mac_is_valid(hash, &self.secret, parts, tag)
    }
}

/// What a file begins to be.
enum Form {
    Json,
    CoseKey,
    /// Hex, base64, PEM or a passphrase: no form of a key.
    Text,
    Bytes,
}

impl Form {
    fn of(file: &[u8]) -> Self {
        let is_text = str::from_utf8(file)
            .is_ok_and(|text| text.chars().all(|c| !c.is_control() || c.is_whitespace()));
        match file.trim_ascii_start().first() {
            Some(b'{') if is_text => Self::Json,
            _ if is_text && !file.is_empty() => Self::Text,
            _ if key_type(file).is_ok() => Self::CoseKey,
            _ => Self::Bytes,
        }
    }
}

/// The `kty` of a COSE_Key that fills the file; bytes without one are none.
fn key_type(file: &[u8]) -> Result<i64, cbor::Fault> {
    let mut reader = cbor::Reader::new(file);
    let missing = reader.fault(cbor::Reason::Missing);
    let mut kind = None;
    for _ in 0..reader.map()? {
        match reader.key()? {
            Key::Int(1) => kind = Some(reader.int()?),
            _ => reader.skip()?,
        }
    }
    reader.finish()?;
    kind.ok_or(missing)
}

/// A secret, and the one algorithm that it is for, if it says so.
type Secret = (Zeroizing<Vec<u8>>, Option<Algorithm>);

/// An `oct` JWK (RFC 7518, 6.4).
#[derive(Deserialize)]
struct Jwk<'f> {
    kty: Cow<'f, str>,
    #[serde(borrow)]
    k: Option<Cow<'f, str>>,
    alg: Option<Cow<'f, str>>,
    #[serde(rename = "use")]
    purpose: Option<Cow<'f, str>>,
    key_ops: Option<Vec<Cow<'f, str>>>,
}

fn from_jwk(file: &[u8]) -> Result<Secret, KeyError> {
    let mut jwk: Jwk<'_> =
        serde_json::from_slice(file).map_err(|error| KeyError::Jwk(error.to_string()))?;
    if jwk.kty != "oct" {
        return Err(KeyError::PublicAsMac);
    }
    let mut text = jwk.k.take().ok_or_else(|| KeyError::Jwk("no k".into()))?;
    let secret = base64url(&text).map(Zeroizing::new);
    if let Cow::Owned(text) = &mut text {
        text.zeroize();
    }
    let secret = secret.ok_or_else(|| KeyError::Jwk("k is not base64url".into()))?;
    let algorithm = match jwk.alg.as_deref() {
        None => None,
        Some("HS256") => Some(Algorithm::Hs256),
        Some("HS384") => Some(Algorithm::Hs384),
        Some("HS512") => Some(Algorithm::Hs512),
        Some(_) => return Err(KeyError::MacUse),
    };
    let may_verify = jwk.purpose.is_none_or(|purpose| purpose == "sig")
        && jwk.key_ops.is_none_or(|ops| ops.iter().any(|op| op == "verify"));
    if may_verify { Ok((secret, algorithm)) } else { Err(KeyError::MacUse) }
}

fn from_cose_key(file: &[u8]) -> Result<Secret, KeyError> {
    const SYMMETRIC: i64 = 4;
    const MAC_VERIFY: i64 = 10;
    let (mut kind, mut secret, mut algorithm) = (None, None, None);
    let mut may_verify = None;
    let mut unknown = UnknownKeys::default();
    let mut read = || -> Result<(), cbor::Fault> {
        let mut reader = cbor::Reader::new(file);
        for _ in 0..reader.map()? {
            let at = reader.at();
            let repeated = match reader.key()? {
                Key::Int(1) => kind.replace(reader.int()?).is_some(),
                Key::Int(3) => algorithm.replace(reader.key()?).is_some(),
                Key::Int(4) => {
                    let mut has_it = false;
                    for _ in 0..reader.array()? {
                        has_it |= reader.key()? == Key::Int(MAC_VERIFY);
                    }
                    may_verify.replace(has_it).is_some()
                }
                Key::Int(-1) if kind.is_none_or(|kind| kind == SYMMETRIC) => {
                    secret.replace(reader.bytes()?).is_some()
                }
                key => {
                    unknown.skip(&mut reader, key, at)?;
                    false
                }
            };
            if repeated {
                return Err(reader.fault(cbor::Reason::Duplicate));
            }
        }
        reader.finish()
    };
    let read = read();
    if key_type(file) != Ok(SYMMETRIC) {
        return Err(KeyError::PublicAsMac);
    }
    read.map_err(|_| KeyError::CoseKey)?;
    let algorithm = match algorithm {
        None => None,
        Some(Key::Int(number @ 5..=7)) => Some(Algorithm::from_number(number)),
        Some(_) => return Err(KeyError::MacUse),
    };
    if may_verify == Some(false) {
        return Err(KeyError::MacUse);
    }
    Ok((Zeroizing::new(secret.ok_or(KeyError::CoseKey)?.to_vec()), algorithm))
}

/// Whether bytes are a public key or a structure that holds keys, by themselves.
fn is_public(secret: &[u8]) -> bool {
    let curves = [Curve::P256, Curve::P384, Curve::P521];
    let is_point = |curve: Curve| {
        let length = curve.coordinate_len();
        match secret {
            // Compressed and not.
            [2..=4, ..] if secret.len() == 1 + length || secret.len() == 1 + 2 * length => {
                EcdsaKey::new(curve, secret).is_some()
            }
            xy if xy.len() == 2 * length => EcdsaKey::new(curve, &[&[4], xy].concat()).is_some(),
            _ => false,
        }
    };
    curves.into_iter().any(is_point) || holds_public_key(secret) || is_der(secret)
}

/// Whether bytes are a SEQUENCE of well-formed elements, and nothing else.
fn is_der(bytes: &[u8]) -> bool {
    der::Reader::sequence(bytes).is_ok_and(|mut fields| {
        while !fields.is_at_end() {
            if fields.any().is_err() {
                return false;
            }
        }
        true
    })
}

/// Whether bytes are what everybody can compute who has a public key.
fn derives_from(secret: &[u8], key: &PublicKey) -> bool {
    let point = key.key.point();
    let coordinates = point.get(1..).unwrap_or_default();
    let (x, y) = coordinates.split_at(coordinates.len() / 2);
    let spki = key.spki();
    let digests = [sha256(&[&spki]), sha256(&[coordinates]), sha256(&[x])];
    [x, y, coordinates, &point, &spki].contains(&secret)
        || digests.iter().any(|digest| digest == secret)
        || key.id.instance_ids().iter().any(|id| id == secret || id[1..] == *secret)
}
