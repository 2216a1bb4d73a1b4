// SPDX-License-Identifier: Apache-2.0
//! Keys: where they come from and how the one that fits a token is found.

pub(crate) mod file;
mod secret;

use std::collections::HashMap;
use std::fmt;

use devid_core::cose::{Algorithm, Kind};
use devid_core::instance_id;
use zeroize::Zeroizing;

use crate::certificate::Certificate;
pub use crate::crypto::Curve;
use crate::crypto::{EcdsaKey, sha256};
use crate::purpose::Purpose;

/// Shortest symmetric key taken, in bytes: as long as the shortest of the MACs
/// (RFC 7518, 3.2).
pub const MIN_MAC_KEY_LEN: usize = 32;

/// A public key that tokens are verified with, parsed once.
pub struct PublicKey {
    curve: Curve,
    key: EcdsaKey,
    id: KeyId,
    purpose: Option<Purpose>,
}

/// A symmetric key that tokens are verified with. Wiped on drop.
pub struct MacKey {
    secret: Zeroizing<Vec<u8>>,
    /// The only algorithm that it is for, if it says so.
    algorithm: Option<Algorithm>,
    id: KeyId,
}

/// One key of a [`KeySource`].
#[derive(Clone, Copy)]
pub enum Key<'k> {
    /// For COSE_Sign1.
    Public(&'k PublicKey),
    /// For COSE_Mac0.
    Mac(&'k MacKey),
}

/// The instance ids that derive from a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyId {
    /// From a public key.
    Public {
        /// By TF-M 2.1: from the point; by TF-M 2.2: from the COSE_Key.
        instance_ids: [[u8; instance_id::LEN]; 2],
    },
    /// From a symmetric key.
    Mac {
        /// The one there is.
        instance_id: [[u8; instance_id::LEN]; 1],
    },
}

/// What a token says of the key that it wants.
#[derive(Clone, Copy, Debug)]
pub struct Hint<'t> {
    /// Whether it is a public or a symmetric key.
    pub kind: Kind,
    /// The claimed instance id, if it can be read.
    pub instance_id: Option<&'t [u8; instance_id::LEN]>,
    /// The `kid` header.
    pub kid: Option<&'t [u8]>,
}

/// Where a verifier finds the keys that it trusts.
pub trait KeySource: Sync {
    /// Offers trusted keys, the likeliest first, until `accept` takes one.
    ///
    /// Offering a key says that it is trusted for the device the hint names.
    fn offer(&self, hint: &Hint<'_>, accept: &mut dyn FnMut(Key<'_>) -> bool);

    /// What the source knows that a key is for, whoever offers it. A key that is
    /// [for an identity](Purpose::Identity) verifies no token, not one with a
    /// certificate path either.
    fn purpose(&self, key: &KeyId) -> Option<Purpose>;
}

/// Several sources, asked in order.
pub struct Sources<'k>(pub &'k [&'k dyn KeySource]);

/// A set of trusted keys.
#[derive(Default)]
pub struct KeySet {
    public: Vec<PublicKey>,
    mac: Vec<MacKey>,
    public_by_instance: HashMap<[u8; instance_id::LEN], usize>,
    mac_by_instance: HashMap<[u8; instance_id::LEN], usize>,
    /// What is known of keys: an identity once said is one.
    purposes: HashMap<KeyId, Purpose>,
}

/// Why bytes are no key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// None of the forms that [`PublicKey::read_all`] takes.
    Unrecognised,
    /// Broken PEM.
    Pem(String),
    /// Broken JSON, or a JWK without what its kind needs.
    Jwk(String),
    /// A COSE_Key without what its kind needs.
    CoseKey,
    /// A symmetric key was given where a public one is wanted.
    Symmetric,
    /// A private key was given where a public one is wanted.
    PrivateKey,
    /// Not a key on P-256, P-384 or P-521.
    Algorithm,
    /// Not a key on P-384, where no other is allowed.
    NotP384,
    /// The point is not on its curve.
    NotOnCurve,
    /// The key is for something else than verifying signatures on its curve.
    Use,
    /// A public key or certificate was given as symmetric key, or something else
    /// that is no secret.
    PublicAsMac,
    /// Text was given as symmetric key.
    MacText,
    /// None of the forms that [`MacKey::read`] takes.
    MacForm,
    /// The symmetric key is for something else than verifying HMACs.
    MacUse,
    /// The symmetric key is shorter than [`MIN_MAC_KEY_LEN`].
    TooShort,
    /// Not a certificate.
    Certificate,
    /// Not a CRL, one without nextUpdate, a part of one, or an indirect one.
    Crl,
}

impl PublicKey {
    /// Takes an uncompressed point; its length names the curve.
    pub fn from_point(point: &[u8]) -> Result<Self, KeyError> {
        let curve = match point.len() {
            65 => Curve::P256,
            97 => Curve::P384,
            133 => Curve::P521,
            _ => return Err(KeyError::Algorithm),
        };
        if point[0] != 0x04 {
            return Err(KeyError::Algorithm);
        }
        let parts = instance_id::cose_key_parts(point).ok_or(KeyError::Algorithm)?;
        let id = KeyId::Public {
            instance_ids: [&[point][..], &parts]
                .map(|parts| instance_id::from_digest(&sha256(parts))),
        };
        let key = EcdsaKey::new(curve, point).ok_or(KeyError::NotOnCurve)?;
        Ok(Self { curve, key, id, purpose: None })
    }

    /// Takes a DER SubjectPublicKeyInfo (RFC 5480).
    pub fn from_spki(der: &[u8]) -> Result<Self, KeyError> {
        let (curve, point) = file::ec_point(der).map_err(|_| KeyError::Algorithm)?;
        let key = Self::from_point(point)?;
        if key.curve == curve { Ok(key) } else { Err(KeyError::Algorithm) }
    }

    /// Takes the key out of a DER certificate, of which nothing else counts but
    /// what it says that the key is for: the certificate is a container here, not a
    /// promise.
    pub fn from_certificate(der: &[u8]) -> Result<Self, KeyError> {
        let read = Certificate::read(der).map_err(|_| KeyError::Certificate)?;
        let purpose = read.purpose().map_err(|_| KeyError::Certificate)?;
        Ok(Self { purpose, ..Self::from_spki(read.spki)? })
    }

    /// The same key, known to be for that.
    pub fn for_purpose(self, purpose: Purpose) -> Self {
        Self { purpose: Some(purpose), ..self }
    }

    /// Takes the affine coordinates, each as long as its field.
    pub(crate) fn from_coordinates(curve: Curve, x: &[u8], y: &[u8]) -> Result<Self, KeyError> {
        let length = curve.coordinate_len();
        if x.len() != length || y.len() != length {
            return Err(KeyError::Algorithm);
        }
        Self::from_point(&[&[0x04], x, y].concat())
    }

    /// Reads a file with one or more keys: PEM or DER of public keys and of
    /// certificates, a JWK or a JWK Set (RFC 7517), a COSE_Key or a COSE_KeySet
    /// (RFC 9052, 7). A private key is refused in any form.
    pub fn read_all(file: &[u8]) -> Result<Vec<Self>, KeyError> {
        file::read(file)
    }

    /// The curve.
    pub const fn curve(&self) -> Curve {
        self.curve
    }

    /// The instance ids that derive from the key.
    pub const fn id(&self) -> &KeyId {
        &self.id
    }

    /// What the key is for, if its certificate or whoever keeps it says so.
    pub const fn purpose(&self) -> Option<Purpose> {
        self.purpose
    }

    /// The DER SubjectPublicKeyInfo (RFC 5480).
    pub fn spki(&self) -> Vec<u8> {
        file::spki(self.curve, &self.key.point())
    }

    /// Whether the key's curve goes with the algorithm.
    pub(crate) fn fits(&self, algorithm: Algorithm) -> bool {
        matches!(
            (algorithm, self.curve),
            (Algorithm::Es256, Curve::P256)
                | (Algorithm::Es384, Curve::P384)
                | (Algorithm::Es512, Curve::P521)
        )
    }

    pub(crate) fn is_valid(&self, parts: &[&[u8]], signature: &[u8]) -> bool {
        self.key.is_valid(parts, signature)
    }
}

/// The DER SubjectPublicKeyInfo of a DER certificate.
pub fn certificate_spki(der: &[u8]) -> Result<&[u8], KeyError> {
    Certificate::read(der).map(|read| read.spki).map_err(|_| KeyError::Certificate)
}

impl KeyId {
    /// Every instance id that derives from the key.
    pub const fn instance_ids(&self) -> &[[u8; instance_id::LEN]] {
        match self {
            Self::Public { instance_ids } => instance_ids,
            Self::Mac { instance_id } => instance_id,
        }
    }
}

impl KeySet {
    /// Adds a public key.
    ///
    /// One that is for an identity verifies no token, however it is added besides.
    pub fn add_public(&mut self, key: PublicKey) {
        match key.purpose {
            Some(Purpose::Identity) => drop(self.purposes.insert(key.id, Purpose::Identity)),
            Some(Purpose::Attestation) => {
                self.purposes.entry(key.id).or_insert(Purpose::Attestation);
            }
            None => {}
        }
        for &instance in key.id.instance_ids() {
            self.public_by_instance.insert(instance, self.public.len());
        }
        self.public.push(key);
    }

    /// Adds a symmetric key.
    pub fn add_mac(&mut self, key: MacKey) {
        for &instance in key.id.instance_ids() {
            self.mac_by_instance.insert(instance, self.mac.len());
        }
        self.mac.push(key);
    }
}

impl KeySource for Sources<'_> {
    fn offer(&self, hint: &Hint<'_>, accept: &mut dyn FnMut(Key<'_>) -> bool) {
        let mut is_taken = false;
        for source in self.0 {
            source.offer(hint, &mut |key| {
                is_taken = accept(key);
                is_taken
            });
            if is_taken {
                break;
            }
        }
    }

    /// An identity, if one of them says so.
    fn purpose(&self, key: &KeyId) -> Option<Purpose> {
        let said: Vec<_> = self.0.iter().filter_map(|source| source.purpose(key)).collect();
        said.iter().copied().find(|said| *said == Purpose::Identity).or(said.first().copied())
    }
}

impl KeySource for KeySet {
    /// Where the instance id names a key, it alone; otherwise all of the kind.
    fn offer(&self, hint: &Hint<'_>, accept: &mut dyn FnMut(Key<'_>) -> bool) {
        let index = match hint.kind {
            Kind::Sign1 => &self.public_by_instance,
            Kind::Mac0 => &self.mac_by_instance,
        };
        let named = hint.instance_id.and_then(|id| index.get(id)).copied();
        let only = |at: usize| named.is_none_or(|named| named == at);
        let _taken = match hint.kind {
            Kind::Sign1 => {
                self.public.iter().enumerate().any(|(at, k)| only(at) && accept(Key::Public(k)))
            }
            Kind::Mac0 => {
                self.mac.iter().enumerate().any(|(at, k)| only(at) && accept(Key::Mac(k)))
            }
        };
    }

    fn purpose(&self, key: &KeyId) -> Option<Purpose> {
        self.purposes.get(key).copied()
    }
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unrecognised => f.write_str("neither a public key nor a certificate"),
            Self::Pem(error) => write!(f, "broken PEM: {error}"),
            Self::Jwk(error) => write!(f, "broken JWK: {error}"),
            Self::CoseKey => f.write_str("broken COSE_Key"),
            Self::Symmetric => f.write_str("this is a symmetric key, not a public one"),
            Self::PrivateKey => f.write_str("this is a private key; give its public half"),
            Self::Algorithm => f.write_str("not a key on P-256, P-384 or P-521"),
            Self::NotP384 => f.write_str("not a key on P-384"),
            Self::Use => f.write_str("the key is not for verifying ECDSA signatures on its curve"),
            Self::NotOnCurve => f.write_str("the point is not on its curve"),
            Self::PublicAsMac => {
                f.write_str("this is public, or what anybody derives from a public key at hand")
            }
            Self::MacText => f.write_str(
                "this is text; give an oct JWK, a symmetric COSE_Key or the key's raw bytes",
            ),
            Self::MacForm => f.write_str(
                "neither an oct JWK nor a symmetric COSE_Key nor 32, 48 or 64 raw bytes",
            ),
            Self::MacUse => f.write_str("the key is not for verifying HMACs"),
            Self::TooShort => write!(f, "shorter than {MIN_MAC_KEY_LEN} bytes"),
            Self::Certificate => f.write_str("not a certificate"),
            Self::Crl => f.write_str("not a complete CRL that says when the next one comes; delta CRLs, indirect CRLs and CRLs for some reasons are not taken"),
        }
    }
}

impl std::error::Error for KeyError {}
