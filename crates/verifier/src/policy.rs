// SPDX-License-Identifier: Apache-2.0
//! The appraisal policy for evidence (RFC 9334, 8.5): what a good signature is
//! not enough for. `docs/policy.md` documents the file.

use std::collections::BTreeMap;
use std::fmt;

use devid_core::instance_id;
use devid_core::token::{LifecycleState, Profile};
use serde::{Deserialize, Deserializer};

/// Longest policy file taken, in bytes.
pub const MAX_POLICY_LEN: usize = 1 << 20;

/// What is asked of a token whose signature is good.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct AppraisalPolicy {
    /// The policy's name, for attestation results.
    pub id: Option<String>,
    /// Profiles taken; `None` for all that are known.
    #[serde(deserialize_with = "profiles")]
    pub profiles: Option<Vec<Profile>>,
    /// Lifecycle states taken.
    #[serde(deserialize_with = "lifecycles")]
    pub lifecycles: Vec<LifecycleState>,
    /// Callers taken.
    pub client_id: ClientIds,
    /// What software must be.
    pub software: Software,
    /// Keys to refuse by name, beside those that are known to be everybody's.
    pub development_keys: Vec<ListedKey>,
    /// What becomes of a key that used an ECDSA nonce twice.
    pub nonce_reuse: NonceReuse,
    /// What the service does with devices that it does not know.
    pub registration: Registration,
}

/// Which callers of the attestation service are taken.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ClientIds {
    /// Callers on the secure side: positive client ids.
    pub secure: bool,
    /// Callers on the non-secure side: negative client ids.
    pub non_secure: bool,
    /// The only client ids taken; `None` for any.
    pub only: Option<Vec<i32>>,
}

/// What software components must be.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Software {
    /// Whether a device without reference values is refused.
    pub reference_values: Need,
    /// Components that have a reference value and are not in the token.
    pub missing: Stance,
    /// Components in the token that no reference value names.
    pub unexpected: Stance,
    /// The only signers taken; `None` for any that the reference values name.
    #[serde(deserialize_with = "digests")]
    pub signer_ids: Option<Vec<Vec<u8>>>,
    /// The lowest version of each measurement type. A component named here must
    /// be in the token.
    pub minimum_versions: BTreeMap<String, Version>,
}

/// Whether something must be there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    /// It is used where it was given.
    #[default]
    WhenGiven,
    /// It must be there.
    Required,
}

/// What becomes of a deviation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stance {
    /// The check fails.
    #[default]
    Refuse,
    /// It is let through.
    Accept,
}

/// What becomes of a key that used an ECDSA nonce twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NonceReuse {
    /// The check fails: the private key can be computed from two such tokens.
    #[default]
    Refuse,
    /// It is reported as not performed. For development boards without entropy.
    Report,
}

/// What the service does with devices that it does not know and that no
/// certificate path vouches for.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Registration {
    /// Holds them until an operator approves, instead of refusing them.
    pub hold_unknown: bool,
}

/// A key to refuse by name.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ListedKey {
    /// What to call it.
    pub name: String,
    /// The instance ids that derive from it.
    #[serde(deserialize_with = "instance_ids")]
    pub instance_ids: Vec<[u8; instance_id::LEN]>,
}

/// A version as MCUboot writes it, `1.2.3+4`, in numbers; missing ones are 0.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    parts: Vec<u32>,
    build: u32,
}

/// Why a file is no policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyError(String);

impl AppraisalPolicy {
    /// Reads a policy file.
    ///
    /// Unknown keys and values are refused, and so is a policy that nothing
    /// could pass.
    pub fn from_toml(file: &[u8]) -> Result<Self, PolicyError> {
        let error = |reason: &str| PolicyError(reason.into());
        if file.len() > MAX_POLICY_LEN {
            return Err(error("longer than any policy"));
        }
        let text = std::str::from_utf8(file).map_err(|_| error("not UTF-8"))?;
        let policy: Self =
            toml::from_str(text).map_err(|e| PolicyError(e.to_string().trim_end().to_owned()))?;
        if policy.lifecycles.is_empty() {
            return Err(error("`lifecycles` is empty: no device could pass"));
        }
        if policy.profiles.as_ref().is_some_and(Vec::is_empty) {
            return Err(error("`profiles` is empty: no token could pass"));
        }
        let callers = &policy.client_id;
        if !(callers.secure || callers.non_secure) || callers.only == Some(Vec::new()) {
            return Err(error("`client-id` lets no caller through"));
        }
        if policy.software.signer_ids == Some(Vec::new()) {
            return Err(error("`signer-ids` is empty: no component could pass"));
        }
        if policy.development_keys.iter().any(|key| key.instance_ids.is_empty()) {
            return Err(error("a development key without instance ids"));
        }
        Ok(policy)
    }

    /// The name that the policy gives a key, if it is to be refused.
    pub fn development_key(&self, instance: &[u8; instance_id::LEN]) -> Option<&str> {
        let listed = |key: &&ListedKey| key.instance_ids.contains(instance);
        self.development_keys.iter().find(listed).map(|key| &*key.name)
    }
}

impl Default for AppraisalPolicy {
    /// Any profile, the lifecycle state `secured`, any caller, software as the
    /// reference values say where there are any.
    fn default() -> Self {
        Self {
            id: None,
            profiles: None,
            lifecycles: vec![LifecycleState::Secured],
            client_id: ClientIds::default(),
            software: Software::default(),
            development_keys: Vec::new(),
            nonce_reuse: NonceReuse::default(),
            registration: Registration::default(),
        }
    }
}

impl Default for ClientIds {
    fn default() -> Self {
        Self { secure: true, non_secure: true, only: None }
    }
}

impl Version {
    /// Reads `1.2.3` or `1.2.3+4`: numbers alone, because nothing else has an
    /// order that everybody agrees on.
    pub fn parse(text: &str) -> Option<Self> {
        let (version, build) = text.split_once('+').unwrap_or((text, "0"));
        let mut parts: Vec<u32> = version.split('.').map(number).collect::<Option<_>>()?;
        while parts.last() == Some(&0) {
            parts.pop(); // 1.2 is 1.2.0
        }
        Some(Self { parts, build: number(build)? })
    }
}

/// Digits alone: `u32::from_str` takes a sign too.
fn number(digits: &str) -> Option<u32> {
    digits.bytes().all(|digit| digit.is_ascii_digit()).then(|| digits.parse().ok())?
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            serde::de::Error::custom(format!("{text:?} is no version such as 1.2.3 or 1.2.3+4"))
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<_> = self.parts.iter().map(u32::to_string).collect();
        f.write_str(if parts.is_empty() { "0" } else { "" })?;
        f.write_str(&parts.join("."))?;
        if self.build > 0 { write!(f, "+{}", self.build) } else { Ok(()) }
    }
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for PolicyError {}

fn profiles<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<Profile>>, D::Error> {
    const ALL: [Profile; 3] = [Profile::Psa1, Profile::Psa2, Profile::Rfc9783];
    named(deserializer, &ALL, Profile::name).map(Some)
}

fn lifecycles<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<LifecycleState>, D::Error> {
    named(deserializer, &LifecycleState::ALL, LifecycleState::name)
}

/// A list of names, each of a known thing.
fn named<'de, D: Deserializer<'de>, T: Copy>(
    deserializer: D,
    known: &[T],
    name: fn(T) -> &'static str,
) -> Result<Vec<T>, D::Error> {
    let names = Vec::<String>::deserialize(deserializer)?;
    let find = |wanted: String| {
        known.iter().copied().find(|&thing| name(thing) == wanted).ok_or_else(|| {
            let known: Vec<_> = known.iter().map(|&thing| name(thing)).collect();
            serde::de::Error::custom(format!("{wanted:?} is none of {}", known.join(", ")))
        })
    };
    names.into_iter().map(find).collect()
}

fn digests<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<Vec<u8>>>, D::Error> {
    let check = |text: &String| match hex(text) {
        Some(digest) if matches!(digest.len(), 32 | 48 | 64) => Ok(digest),
        _ => Err(serde::de::Error::custom(format!("{text:?} is not 32, 48 or 64 bytes in hex"))),
    };
    Vec::<String>::deserialize(deserializer)?.iter().map(check).collect::<Result<_, _>>().map(Some)
}

fn instance_ids<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<[u8; instance_id::LEN]>, D::Error> {
    let check = |text: &String| {
        let id = hex(text).and_then(|id| <[u8; instance_id::LEN]>::try_from(id).ok());
        id.filter(|id| id[0] == instance_id::UEID_TYPE_RAND).ok_or_else(|| {
            serde::de::Error::custom(format!("{text:?} is not 01 and 32 bytes in hex"))
        })
    };
    Vec::<String>::deserialize(deserializer)?.iter().map(check).collect()
}

fn hex(text: &str) -> Option<Vec<u8>> {
    data_encoding::HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_versions_by_number() {
        let version = |text| Version::parse(text).unwrap();
        assert!(version("1.10.0") > version("1.9.9"));
        assert!(version("1.2.3+4") > version("1.2.3"));
        assert!(version("2") > version("1.99.99+99"));
        assert_eq!(version("1.2"), version("1.2.0+0"));
        assert_eq!(version("0.0.0"), version("0"));
        for text in ["", "1.", ".1", "1..2", "v1", "1.2-rc1", "+1", "1+", "-1", "4294967296"] {
            assert_eq!(Version::parse(text), None, "{text:?}");
        }
        for text in ["0", "1.2", "1.2.3+4"] {
            assert_eq!(version(text).to_string(), text);
        }
    }
}
