// SPDX-License-Identifier: Apache-2.0
//! Arm CCA attestation tokens (RMM specification, A7.2): the platform's claims,
//! signed by a key that somebody vouches for, and the realm's, signed by a key
//! (RAK) that the platform vouches for by having its hash as challenge.

use devid_core::cbor::{Fault, Key, Reader, Reason, UnknownKeys};
use devid_core::cose::Envelope;
use devid_core::instance_id;
use devid_core::token::{Lifecycle, SoftwareComponent, SoftwareComponents, Warnings};

use crate::crypto::{Hash, digest};
use crate::keys::{Curve, KeyError, PublicKey};

/// Tag of the wrapper that came first: a map of two byte strings.
pub(crate) const LEGACY_TAG: u64 = 399;
/// Tag of the wrapper that is a CMW collection.
pub(crate) const TAG: u64 = 907;

/// Labels of the two tokens, in either wrapper.
pub(crate) const PLATFORM: i64 = 44234;
pub(crate) const REALM: i64 = 44241;

/// Registers of a realm that grow by measurements.
const EXTENSIBLE: u64 = 4;

/// The claims of a token, checked against the rules of their profiles.
#[derive(Clone, Copy, Debug)]
pub struct Claims<'a> {
    /// The platform's.
    pub platform: Platform<'a>,
    /// The realm's; none in a platform token alone.
    pub realm: Option<Realm<'a>>,
}

/// The generations of platform claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// `http://arm.com/CCA-SSD/1.0.0`
    Ssd1,
    /// `tag:arm.com,2023:cca_platform#1.0.0`
    Platform1,
    /// `tag:arm.com,2024:cca_platform#2.0.0`
    Platform2,
}

/// The generations of realm claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RealmProfile {
    /// Before realms named one: the platform's profile, [`Profile::Ssd1`], is the
    /// realm's too, and RAK is a bare point.
    Unnamed,
    /// `tag:arm.com,2023:realm#1.0.0`
    Realm1,
    /// `tag:arm.com,2024:realm#2.0.0`
    Realm2,
}

/// The platform's claims.
#[derive(Clone, Copy, Debug)]
pub struct Platform<'a> {
    /// The profile.
    pub profile: Profile,
    /// The hash of the realm's key: 32, 48 or 64 bytes.
    pub challenge: &'a [u8],
    /// The instance id.
    pub instance_id: &'a [u8; instance_id::LEN],
    /// The implementation id.
    pub implementation_id: &'a [u8; 32],
    /// The security lifecycle.
    pub security_lifecycle: Lifecycle,
    /// The platform's configuration, which is the implementation's own.
    pub config: &'a [u8],
    /// Name of the hash algorithm of the measurements.
    pub hash_algorithm: &'a str,
    /// The software components.
    pub software_components: SoftwareComponents<'a>,
    /// Where to have the token verified.
    pub verification_service: Option<&'a str>,
}

/// The realm's claims.
#[derive(Clone, Copy, Debug)]
pub struct Realm<'a> {
    /// The profile.
    pub profile: RealmProfile,
    /// The verifier's challenge: 64 bytes.
    pub challenge: &'a [u8; 64],
    /// What the realm's owner gave it: 64 bytes.
    pub personalization_value: &'a [u8; 64],
    /// The measurement at its start: as long as its hash, or 64 bytes, which is what
    /// RMM's registers hold.
    pub initial_measurement: &'a [u8],
    /// What was measured since, as long.
    pub extensible_measurements: [&'a [u8]; EXTENSIBLE as usize],
    /// Name of the hash algorithm of the measurements.
    pub hash_algorithm: &'a str,
    /// RAK, as the claim's bytes: a bare P-384 point where the realm names no
    /// profile, and a COSE_Key where it does.
    pub public_key: &'a [u8],
    /// Name of the hash algorithm under which the platform knows RAK.
    pub public_key_hash_algorithm: &'a str,
}

impl Profile {
    /// The name in the profile claim.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ssd1 => "http://arm.com/CCA-SSD/1.0.0",
            Self::Platform1 => "tag:arm.com,2023:cca_platform#1.0.0",
            Self::Platform2 => "tag:arm.com,2024:cca_platform#2.0.0",
        }
    }

    /// The profile of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Ssd1, Self::Platform1, Self::Platform2].into_iter().find(|p| p.name() == name)
    }
}

impl RealmProfile {
    /// The name in the profile claim; empty for the one without.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unnamed => "",
            Self::Realm1 => "tag:arm.com,2023:realm#1.0.0",
            Self::Realm2 => "tag:arm.com,2024:realm#2.0.0",
        }
    }
}

impl<'a> Platform<'a> {
    /// Reads the claims of a platform token under that profile. The map's own
    /// structure, repeated keys among it, is the caller's to have checked.
    pub fn decode(envelope: &Envelope<'a>, profile: Profile) -> Result<Self, Fault> {
        let claims = Map::read(envelope.content())?;
        let (hash_algorithm, length) = claims.get(2402, hash_name)?;
        Ok(Self {
            profile,
            challenge: claims.get(10, hash_sized)?,
            instance_id: claims.get(256, ueid)?,
            implementation_id: claims.get(2396, fixed)?,
            security_lifecycle: claims.get(2395, |value| {
                let start = *value;
                Lifecycle::from_value(value.int()?).ok_or(start.fault(Reason::Value))
            })?,
            config: claims.get(2401, Reader::bytes)?,
            hash_algorithm,
            software_components: claims.get(2399, |value| {
                let start = *value;
                let components =
                    SoftwareComponents::decode(value, false, &mut Warnings::default())?;
                // A component may name a hash of its own.
                let is_sound = |component: SoftwareComponent<'_>| {
                    let own = component.measurement_description.map(digest_len);
                    own.unwrap_or(Some(length)) == Some(component.measurement_value.len())
                };
                match { components }.all(is_sound) {
                    true => Ok(components),
                    false => Err(start.fault(Reason::Length)),
                }
            })?,
            verification_service: claims.optional(2400, Reader::text)?,
        })
    }
}

impl<'a> Realm<'a> {
    /// Reads the claims of a realm token.
    pub fn decode(envelope: &Envelope<'a>) -> Result<Self, Fault> {
        let claims = Map::read(envelope.content())?;
        let profile = claims.optional(265, |value| {
            let start = *value;
            match value.text()? {
                name if name == RealmProfile::Realm1.name() => Ok(RealmProfile::Realm1),
                name if name == RealmProfile::Realm2.name() => Ok(RealmProfile::Realm2),
                _ => Err(start.fault(Reason::UnknownProfile)),
            }
        })?;
        let profile = profile.unwrap_or(RealmProfile::Unnamed);
        let (hash_algorithm, digest_len) = claims.get(44236, hash_name)?;
        let initial_measurement = claims.get(44238, |value| register(value, digest_len))?;
        let length = initial_measurement.len();
        if claims.optional(256, ueid)?.is_none() && profile == RealmProfile::Realm2 {
            return Err(MISSING);
        }
        if claims.optional(44243, mec_policy)?.is_none() && profile == RealmProfile::Realm2 {
            return Err(MISSING);
        }
        Ok(Self {
            profile,
            challenge: claims.get(10, fixed)?,
            personalization_value: claims.get(44235, fixed)?,
            initial_measurement,
            extensible_measurements: claims.get(44239, |value| {
                let start = *value;
                if value.array()? != EXTENSIBLE {
                    return Err(start.fault(Reason::Length));
                }
                let mut registers = [&[][..]; EXTENSIBLE as usize];
                for extensible in &mut registers {
                    *extensible = register(value, digest_len)?;
                    if extensible.len() != length {
                        return Err(start.fault(Reason::Length));
                    }
                }
                Ok(registers)
            })?,
            hash_algorithm,
            public_key: claims.get(44237, Reader::bytes)?,
            public_key_hash_algorithm: claims.get(44240, Reader::text)?,
        })
    }

    /// RAK, in the one form that the profile has for it.
    pub(crate) fn key(&self) -> Result<PublicKey, KeyError> {
        let key = match self.profile {
            RealmProfile::Unnamed => PublicKey::from_point(self.public_key)?,
            RealmProfile::Realm1 | RealmProfile::Realm2 => {
                PublicKey::from_cose_key(self.public_key)?
            }
        };
        match key.curve() {
            Curve::P384 => Ok(key),
            Curve::P256 | Curve::P521 => Err(KeyError::NotP384),
        }
    }

    /// The hash of RAK that a platform has as its challenge, if the hash
    /// algorithm is one of those that claims may name.
    pub(crate) fn binder(&self) -> Option<Vec<u8>> {
        let hash = match self.public_key_hash_algorithm {
            "sha-256" => Hash::Sha256,
            "sha-384" => Hash::Sha384,
            "sha-512" => Hash::Sha512,
            _ => return None,
        };
        Some(digest(hash, &[self.public_key]))
    }
}

/// A claims map with integer keys, few enough to be looked through.
struct Map<'a> {
    entries: Vec<(i64, Reader<'a>)>,
}

impl<'a> Map<'a> {
    fn read(mut reader: Reader<'a>) -> Result<Self, Fault> {
        let mut map = Self { entries: Vec::new() };
        let mut unknown = UnknownKeys::default();
        for _ in 0..reader.map()? {
            let at = reader.at();
            match reader.key()? {
                Key::Int(key) if map.entries.iter().any(|(known, _)| *known == key) => {
                    return Err(Fault { reason: Reason::Duplicate, at: at as u32 });
                }
                Key::Int(_) if map.entries.len() == MAX_CLAIMS => {
                    return Err(Fault { reason: Reason::TooMany, at: at as u32 });
                }
                Key::Int(key) => {
                    map.entries.push((key, reader));
                    reader.skip()?;
                }
                key => unknown.skip(&mut reader, key, at)?,
            }
        }
        reader.finish()?;
        Ok(map)
    }

    fn get<T>(
        &self,
        key: i64,
        read: impl FnOnce(&mut Reader<'a>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        self.optional(key, read)?.ok_or(MISSING)
    }

    fn optional<T>(
        &self,
        key: i64,
        read: impl FnOnce(&mut Reader<'a>) -> Result<T, Fault>,
    ) -> Result<Option<T>, Fault> {
        let value = self.entries.iter().find(|(known, _)| *known == key);
        value.map(|(_, reader)| read(&mut reader.clone())).transpose()
    }
}

const MISSING: Fault = Fault { reason: Reason::Missing, at: 0 };

/// Most integer keys in a claims map.
const MAX_CLAIMS: usize = 64;

/// The name of a hash, and how long its digests are.
fn hash_name<'a>(reader: &mut Reader<'a>) -> Result<(&'a str, usize), Fault> {
    let start = *reader;
    let name = reader.text()?;
    digest_len(name).map(|length| (name, length)).ok_or(start.fault(Reason::Value))
}

/// By the names of the IANA Named Information Hash Algorithm Registry.
fn digest_len(hash: &str) -> Option<usize> {
    match hash {
        "sha-256" | "sha3-256" => Some(32),
        "sha-384" | "sha3-384" => Some(48),
        "sha-512" | "sha3-512" => Some(64),
        _ => None,
    }
}

/// A measurement register of a realm, cut to the digest or whole.
fn register<'a>(reader: &mut Reader<'a>, digest_len: usize) -> Result<&'a [u8], Fault> {
    const WHOLE: usize = 64;
    let start = *reader;
    match reader.bytes()? {
        bytes if [digest_len, WHOLE].contains(&bytes.len()) => Ok(bytes),
        _ => Err(start.fault(Reason::Length)),
    }
}

/// A UEID of type RAND.
fn ueid<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8; instance_id::LEN], Fault> {
    let start = *reader;
    match fixed::<{ instance_id::LEN }>(reader)? {
        id if id[0] == instance_id::UEID_TYPE_RAND => Ok(id),
        _ => Err(start.fault(Reason::Value)),
    }
}

/// Whether memory encryption contexts are shared or private.
fn mec_policy(reader: &mut Reader<'_>) -> Result<i64, Fault> {
    let start = *reader;
    match reader.int()? {
        policy @ (0 | 1) => Ok(policy),
        _ => Err(start.fault(Reason::Value)),
    }
}

fn hash_sized<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], Fault> {
    let start = *reader;
    match reader.bytes()? {
        bytes if matches!(bytes.len(), 32 | 48 | 64) => Ok(bytes),
        _ => Err(start.fault(Reason::Length)),
    }
}

fn fixed<'a, const N: usize>(reader: &mut Reader<'a>) -> Result<&'a [u8; N], Fault> {
    let start = *reader;
    reader.bytes()?.try_into().map_err(|_| start.fault(Reason::Length))
}
