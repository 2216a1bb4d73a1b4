// SPDX-License-Identifier: Apache-2.0
//! Public keys in the forms that files have.

use devid_core::cbor;
use devid_core::cose::Algorithm;
use devid_core::der::{Reader, Stop, Writer, tag};
use rustls_pki_types::pem::{PemObject, SectionKind};
use serde::Deserialize;

use super::{Curve, KeyError, PublicKey};
use crate::certificate::Certificate;

/// Most keys in one COSE_KeySet.
const MAX_COSE_KEYS: u64 = 1024;

pub(super) fn read(file: &[u8]) -> Result<Vec<PublicKey>, KeyError> {
    if is_pem(file) {
        return from_pem(file);
    }
    match file.trim_ascii_start().first() {
        Some(b'{') => from_jwk(file),
        Some(&tag::SEQUENCE) => {
            let is_certificate = Certificate::read(file).is_ok();
            Ok(vec![match is_certificate {
                true => PublicKey::from_certificate(file)?,
                false => PublicKey::from_spki(file)?,
            }])
        }
        // A CBOR map or array.
        Some(0x80..=0xbf) => from_cose(file),
        _ => Err(KeyError::Unrecognised),
    }
}

/// Whether a file is a public key or a certificate.
pub(super) fn holds_public_key(file: &[u8]) -> bool {
    is_pem(file) || matches!(read(file), Ok(_) | Err(KeyError::NotOnCurve))
}

/// Whether a file is PEM: text with a boundary in it.
pub(crate) fn is_pem(file: &[u8]) -> bool {
    file.windows(11).any(|window| window == b"-----BEGIN ")
}

pub(crate) fn pem_sections(file: &[u8]) -> Result<Vec<(SectionKind, Vec<u8>)>, KeyError> {
    <(SectionKind, Vec<u8>)>::pem_slice_iter(file)
        .collect::<Result<_, _>>()
        .map_err(|error| KeyError::Pem(error.to_string()))
}

fn from_pem(file: &[u8]) -> Result<Vec<PublicKey>, KeyError> {
    let mut keys = Vec::new();
    for (kind, der) in pem_sections(file)? {
        keys.push(match kind {
            SectionKind::PublicKey => PublicKey::from_spki(&der)?,
            SectionKind::Certificate => PublicKey::from_certificate(&der)?,
            SectionKind::PrivateKey | SectionKind::EcPrivateKey | SectionKind::RsaPrivateKey => {
                return Err(KeyError::PrivateKey);
            }
            _ => continue,
        });
    }
    if keys.is_empty() { Err(KeyError::Unrecognised) } else { Ok(keys) }
}

const EC_PUBLIC_KEY: [u8; 7] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
const PRIME256V1: [u8; 8] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
const SECP384R1: [u8; 5] = [0x2b, 0x81, 0x04, 0, 34];
const SECP521R1: [u8; 5] = [0x2b, 0x81, 0x04, 0, 35];

/// The SubjectPublicKeyInfo of a point on a curve (RFC 5480, 2).
pub(super) fn spki(curve: Curve, point: &[u8]) -> Vec<u8> {
    let curve: &[u8] = match curve {
        Curve::P256 => &PRIME256V1,
        Curve::P384 => &SECP384R1,
        Curve::P521 => &SECP521R1,
    };
    let mut out = [0; 192];
    let mut writer = Writer::new(&mut out);
    let outer = writer.open(tag::SEQUENCE);
    let algorithm = writer.open(tag::SEQUENCE);
    writer.element(tag::OBJECT_IDENTIFIER, &EC_PUBLIC_KEY);
    writer.element(tag::OBJECT_IDENTIFIER, curve);
    writer.close(algorithm);
    let bits = writer.open(tag::BIT_STRING);
    writer.raw(&[0]); // no unused bits
    writer.raw(point);
    writer.close(bits);
    writer.close(outer);
    // 158 bytes for P-521: it fits.
    writer.finish().unwrap_or_default().to_vec()
}

/// The curve and the point of a SubjectPublicKeyInfo (RFC 5480, 2).
pub(super) fn ec_point(spki: &[u8]) -> Result<(Curve, &[u8]), Stop> {
    let mut outer = Reader::new(spki);
    let mut fields = Reader::new(outer.contents(tag::SEQUENCE)?);
    let mut algorithm = Reader::new(fields.contents(tag::SEQUENCE)?);
    let id = algorithm.contents(tag::OBJECT_IDENTIFIER)?;
    let curve = algorithm.contents(tag::OBJECT_IDENTIFIER)?;
    let point = fields.contents(tag::BIT_STRING)?;
    if !(outer.is_at_end() && fields.is_at_end() && algorithm.is_at_end()) || id != EC_PUBLIC_KEY {
        return Err(Stop);
    }
    let curve = match curve {
        _ if curve == PRIME256V1 => Curve::P256,
        _ if curve == SECP384R1 => Curve::P384,
        _ if curve == SECP521R1 => Curve::P521,
        _ => return Err(Stop),
    };
    Ok((curve, point.strip_prefix(&[0]).ok_or(Stop)?))
}

/// A JWK (RFC 7517) of an elliptic curve key (RFC 7518, 6.2).
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    /// The private half, whose presence is all that counts.
    d: Option<serde::de::IgnoredAny>,
    alg: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum JwkFile {
    Set { keys: Vec<Jwk> },
    One(Jwk),
}

fn from_jwk(file: &[u8]) -> Result<Vec<PublicKey>, KeyError> {
    let file = serde_json::from_slice(file).map_err(|error| KeyError::Jwk(error.to_string()))?;
    let keys = match file {
        JwkFile::Set { keys } => keys,
        JwkFile::One(key) => vec![key],
    };
    if keys.is_empty() {
        return Err(KeyError::Unrecognised);
    }
    keys.iter().map(Jwk::public_key).collect()
}

impl Jwk {
    fn public_key(&self) -> Result<PublicKey, KeyError> {
        if self.kty == "oct" {
            return Err(KeyError::Symmetric);
        }
        if self.d.is_some() {
            return Err(KeyError::PrivateKey);
        }
        let (curve, algorithm) = match (self.kty.as_str(), self.crv.as_deref()) {
            ("EC", Some("P-256")) => (Curve::P256, "ES256"),
            ("EC", Some("P-384")) => (Curve::P384, "ES384"),
            ("EC", Some("P-521")) => (Curve::P521, "ES512"),
            _ => return Err(KeyError::Algorithm),
        };
        let is_for_this = self.alg.as_deref().is_none_or(|alg| alg == algorithm)
            && self.purpose.as_deref().is_none_or(|purpose| purpose == "sig")
            && self.key_ops.as_ref().is_none_or(|ops| ops.iter().any(|op| op == "verify"));
        if !is_for_this {
            return Err(KeyError::Use);
        }
        let coordinate = |name, value: &Option<String>| {
            let text = value.as_deref().ok_or_else(|| KeyError::Jwk(format!("no {name}")))?;
            base64url(text).ok_or_else(|| KeyError::Jwk(format!("{name} is not base64url")))
        };
        let (x, y) = (coordinate("x", &self.x)?, coordinate("y", &self.y)?);
        PublicKey::from_coordinates(curve, &x, &y)
    }
}

/// base64url without padding (RFC 7515, 2); bits left over must be zero.
pub(super) fn base64url(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut count) = (0u32, 0);
    for digit in text.bytes() {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    (count < 6 && bits == 0).then_some(out)
}

impl PublicKey {
    /// Takes a public COSE_Key (RFC 9052, 7), and nothing behind it.
    pub fn from_cose_key(cbor: &[u8]) -> Result<Self, KeyError> {
        let mut reader = cbor::Reader::new(cbor);
        let key = cose_key(&mut reader)?;
        reader.finish().map_err(|_| KeyError::CoseKey)?;
        Ok(key)
    }
}

/// A COSE_Key or an array of them (RFC 9052, 7; RFC 9053, 7.1.1).
fn from_cose(file: &[u8]) -> Result<Vec<PublicKey>, KeyError> {
    let mut reader = cbor::Reader::new(file);
    let count = if reader.is_array() { reader.array().map_err(|_| KeyError::CoseKey)? } else { 1 };
    if count == 0 || count > MAX_COSE_KEYS {
        return Err(KeyError::CoseKey);
    }
    let keys = (0..count).map(|_| cose_key(&mut reader)).collect::<Result<Vec<_>, _>>()?;
    reader.finish().map_err(|_| KeyError::CoseKey)?;
    Ok(keys)
}

fn cose_key(reader: &mut cbor::Reader<'_>) -> Result<PublicKey, KeyError> {
    use cbor::Key::Int;
    const EC2: i64 = 2;
    const SYMMETRIC: i64 = 4;

    const VERIFY: i64 = 2;
    let (mut kty, mut curve, mut x, mut y, mut private) = (None, None, None, None, None);
    let (mut algorithm, mut may_verify) = (None, None);
    let mut unknown = cbor::UnknownKeys::default();
    let mut read = || -> Result<(), cbor::Fault> {
        for _ in 0..reader.map()? {
            let at = reader.at();
            let repeated = match reader.key()? {
                Int(1) => kty.replace(reader.int()?).is_some(),
                Int(3) => algorithm.replace(reader.key()?).is_some(),
                Int(4) => {
                    let mut has_it = false;
                    for _ in 0..reader.array()? {
                        has_it |= reader.key()? == Int(VERIFY);
                    }
                    may_verify.replace(has_it).is_some()
                }
                Int(-1) if kty != Some(SYMMETRIC) => curve.replace(reader.int()?).is_some(),
                Int(-2) => x.replace(reader.bytes()?).is_some(),
                Int(-3) => y.replace(reader.bytes()?).is_some(),
                Int(-4) => private.replace(reader.skip()?).is_some(),
                key => {
                    unknown.skip(reader, key, at)?;
                    false
                }
            };
            if repeated {
                return Err(reader.fault(cbor::Reason::Duplicate));
            }
        }
        Ok(())
    };
    read().map_err(|_| KeyError::CoseKey)?;
    if kty == Some(SYMMETRIC) {
        return Err(KeyError::Symmetric);
    }
    if private.is_some() {
        return Err(KeyError::PrivateKey);
    }
    let curve = match (kty, curve) {
        (Some(EC2), Some(1)) => Curve::P256,
        (Some(EC2), Some(2)) => Curve::P384,
        (Some(EC2), Some(3)) => Curve::P521,
        _ => return Err(KeyError::Algorithm),
    };
    let (x, y) = (x.ok_or(KeyError::CoseKey)?, y.ok_or(KeyError::CoseKey)?);
    let key = PublicKey::from_coordinates(curve, x, y)?;
    let fits = match algorithm {
        None => true,
        Some(Int(number)) => key.fits(Algorithm::from_number(number)),
        Some(_) => false,
    };
    if fits && may_verify != Some(false) { Ok(key) } else { Err(KeyError::Use) }
}
