// SPDX-License-Identifier: Apache-2.0
//! PSA's profiles of CoRIM: draft-fdb-rats-psa-endorsements-08 and the one
//! before it, which had tags of its own for what it measured.

use devid_core::instance_id::{LEN, UEID_TYPE_RAND};

use super::decode::{
    Algorithm, Comid, Content, CryptoKey, Digest, Element, Environment, KeyTriple, Manifest,
    Measurement, ReferenceTriple, Refusal, Tagged, tag,
};
use super::{Corim, CorimProfile};
use crate::endorsements::{EndorsedKey, ImplementationId, ReferenceValue};
use crate::keys::PublicKey;

type Result<T> = std::result::Result<T, Refusal>;

const SOFTWARE_COMPONENT: &str = "psa.software-component";

/// The profile that a manifest names. One without a name is of the profile
/// before 2025 where it uses that one's tags, which nobody else has.
pub(super) fn profile_of(manifest: &Manifest<'_>) -> CorimProfile {
    let uses_first_tags = || {
        manifest.comids.iter().any(|comid| {
            let references = comid.references.iter().map(|triple| &triple.environment);
            let keys = comid.attest_keys.iter().chain(&comid.identity_keys);
            references.chain(keys.map(|triple| &triple.environment)).any(|environment| {
                environment.class_id.is_some_and(|id| id.tag == tag::PSA_IMPLEMENTATION_ID)
            })
        })
    };
    match manifest.profile {
        Some("tag:arm.com,2025:psa#1.0.0") => CorimProfile::Psa2025,
        Some("http://arm.com/psa/iot/1" | "http://arm.com/psa/2.0.0") => CorimProfile::PsaIot,
        None if uses_first_tags() => CorimProfile::PsaIot,
        other => CorimProfile::Other(other.map(str::to_owned)),
    }
}

/// What the profile lets one take from a manifest.
pub(super) fn take(
    manifest: &Manifest<'_>,
    profile: CorimProfile,
    is_signed: bool,
) -> Result<Corim> {
    let mut corim = Corim {
        profile,
        is_signed,
        reference_values: Vec::new(),
        keys: Vec::new(),
        identities: Vec::new(),
        ignored: manifest.other_tags,
    };
    for comid in &manifest.comids {
        match corim.profile {
            CorimProfile::Psa2025 => corim.take_2025(comid)?,
            CorimProfile::PsaIot => corim.take_iot(comid)?,
            CorimProfile::Other(_) => {
                let keys = comid.attest_keys.len() + comid.identity_keys.len();
                corim.ignored += comid.references.len() + keys + comid.other_triples;
            }
        }
    }
    Ok(corim)
}

impl Corim {
    fn take_2025(&mut self, comid: &Comid<'_>) -> Result<()> {
        for triple in &comid.references {
            self.take_references(triple, &[tag::BYTES], software_component)?;
        }
        for triple in &comid.attest_keys {
            self.take_key(triple, &[tag::BYTES])?;
        }
        comid.identity_keys.iter().for_each(|triple| self.take_identity(triple));
        self.ignored += comid.other_triples;
        Ok(())
    }

    fn take_iot(&mut self, comid: &Comid<'_>) -> Result<()> {
        const CLASS_IDS: [u64; 2] = [tag::PSA_IMPLEMENTATION_ID, tag::BYTES];
        for triple in &comid.references {
            self.take_references(triple, &CLASS_IDS, first_software_component)?;
        }
        // Before keys had tags, the numbers of attestation keys and identity keys
        // were each other's.
        let is_first = |triple: &&KeyTriple<'_>| matches!(triple.keys[..], [CryptoKey::First(_)]);
        let (first_attest, identities): (Vec<_>, Vec<_>) =
            comid.identity_keys.iter().partition(is_first);
        let (first_identities, attest): (Vec<_>, Vec<_>) =
            comid.attest_keys.iter().partition(is_first);
        for triple in attest.into_iter().chain(first_attest) {
            self.take_key(triple, &CLASS_IDS)?;
        }
        identities
            .into_iter()
            .chain(first_identities)
            .for_each(|triple| self.take_identity(triple));
        self.ignored += comid.other_triples;
        Ok(())
    }

    fn take_references(
        &mut self,
        triple: &ReferenceTriple<'_>,
        class_ids: &[u64],
        read: impl Fn(ImplementationId, &Measurement<'_>) -> Result<ReferenceValue>,
    ) -> Result<()> {
        let within = |refusal: Refusal| refusal.within("reference triple");
        let of = implementation_of(&triple.environment, class_ids).map_err(within)?;
        for measurement in &triple.measurements {
            self.reference_values.push(read(of, measurement).map_err(within)?);
        }
        Ok(())
    }

    /// Takes the keys of an identity, of whatever device. One in a form that is
    /// not read here could not be offered for attestation either.
    fn take_identity(&mut self, triple: &KeyTriple<'_>) {
        let keys: Vec<_> = triple.keys.iter().filter_map(identity_key).collect();
        self.ignored += usize::from(keys.is_empty());
        self.identities.extend(keys);
    }

    fn take_key(&mut self, triple: &KeyTriple<'_>, class_ids: &[u64]) -> Result<()> {
        let key = endorsed_key(triple, class_ids);
        self.keys.push(key.map_err(|refusal| refusal.within("attest-key triple"))?);
        Ok(())
    }
}

/// The implementation id of an environment that is no single device.
fn implementation_of(environment: &Environment<'_>, tags: &[u64]) -> Result<ImplementationId> {
    if environment.instance.is_some() {
        return refuse("reference values for one instance");
    }
    implementation_id(environment, tags)
}

fn implementation_id(environment: &Environment<'_>, tags: &[u64]) -> Result<ImplementationId> {
    if environment.has_group {
        return refuse("a group");
    }
    match environment.class_id {
        Some(Tagged { tag, value: Content::Bytes(id) }) if tags.contains(&tag) => {
            id.try_into().map_err(|_| Refusal("an implementation-id is not 32 bytes".into()))
        }
        _ => refuse("the class-id is no implementation-id"),
    }
}

/// A software component (draft-fdb-rats-psa-endorsements-08, 3.3).
fn software_component(
    implementation_id: ImplementationId,
    measurement: &Measurement<'_>,
) -> Result<ReferenceValue> {
    if !matches!(measurement.element, Element::Text(SOFTWARE_COMPONENT)) {
        return refuse("the mkey is not psa.software-component");
    }
    if measurement.has_version_scheme {
        return refuse("a version-scheme");
    }
    let signer_id = match measurement.keys[..] {
        [CryptoKey::Tagged(Tagged { tag: tag::BYTES, value: Content::Bytes(id) })] => id,
        [] => return refuse("no signer-id"),
        [_] => return refuse("the signer-id is not tagged bytes"),
        [..] => return refuse("more than one signer-id"),
    };
    Ok(ReferenceValue {
        implementation_id,
        name: measurement.name.map(str::to_owned),
        version: measurement.version.map(str::to_owned),
        signer_id: Some(hash_sized(signer_id, "signer-id")?),
        digests: digests(measurement)?,
    })
}

/// A software component in the profile before: described by the mkey.
fn first_software_component(
    implementation_id: ImplementationId,
    measurement: &Measurement<'_>,
) -> Result<ReferenceValue> {
    let Element::Psa { name, version, signer_id } = measurement.element else {
        return refuse("the mkey is not PSA's");
    };
    let is_said_twice = measurement.version.is_some() || measurement.name.is_some();
    if is_said_twice || !measurement.keys.is_empty() {
        return refuse("values beside those of the mkey");
    }
    Ok(ReferenceValue {
        implementation_id,
        name: name.map(str::to_owned),
        version: version.map(str::to_owned),
        signer_id: signer_id.map(|id| hash_sized(id, "signer-id")).transpose()?,
        digests: digests(measurement)?,
    })
}

/// The digests of a measurement that has nothing that would go unchecked.
fn digests(measurement: &Measurement<'_>) -> Result<Vec<Vec<u8>>> {
    if measurement.is_authorized {
        return refuse("authorized-by");
    }
    if measurement.digests.is_empty() {
        return refuse("no digests");
    }
    if measurement.has_others {
        return refuse("values that the profile does not have");
    }
    let mut read = Vec::new();
    for (index, digest) in measurement.digests.iter().enumerate() {
        let earlier = &measurement.digests[..index];
        if earlier.iter().any(|other| other.name() == digest.name()) {
            return refuse("two digests under one algorithm");
        }
        if digest.length().is_some_and(|length| digest.value.len() != length) {
            return refuse("a digest of another length than its algorithm's");
        }
        read.push(hash_sized(digest.value, "digest")?);
    }
    Ok(read)
}

impl<'a> Digest<'a> {
    /// The algorithm, under its name where it has one (IANA Named Information
    /// Hash Algorithm Registry).
    fn name(&self) -> Algorithm<'a> {
        match self.algorithm {
            Algorithm::Number(1) => Algorithm::Name("sha-256"),
            Algorithm::Number(7) => Algorithm::Name("sha-384"),
            Algorithm::Number(8) => Algorithm::Name("sha-512"),
            other => other,
        }
    }

    /// The length that the algorithm has, where it is known.
    fn length(&self) -> Option<usize> {
        match self.name() {
            Algorithm::Name("sha-256" | "sha3-256") => Some(32),
            Algorithm::Name("sha-384" | "sha3-384") => Some(48),
            Algorithm::Name("sha-512" | "sha3-512") => Some(64),
            _ => None,
        }
    }
}

fn endorsed_key(triple: &KeyTriple<'_>, class_ids: &[u64]) -> Result<EndorsedKey> {
    if triple.has_conditions {
        return refuse("conditions");
    }
    let implementation_id = implementation_id(&triple.environment, class_ids)?;
    let instance_id = match triple.environment.instance {
        Some(Tagged { tag: tag::UEID, value: Content::Bytes(id) }) => {
            match <[u8; LEN]>::try_from(id) {
                Ok(id @ [UEID_TYPE_RAND, ..]) => id,
                _ => return refuse("an instance-id is not 01 and 32 bytes"),
            }
        }
        Some(_) => return refuse("the instance is no UEID"),
        None => return refuse("a key without an instance"),
    };
    let key = match triple.keys[..] {
        [CryptoKey::Tagged(Tagged { tag: tag::PKIX_KEY, value: Content::Text(text) })]
        | [CryptoKey::First(text)] => public_key(text)?,
        [_] => return refuse("the key is not a PEM public key"),
        _ => return refuse("not exactly one key"),
    };
    Ok(EndorsedKey { implementation_id, instance_id, key })
}

/// The key of an identity: its SubjectPublicKeyInfo, certificate, or chain.
fn identity_key(key: &CryptoKey<'_>) -> Option<PublicKey> {
    match *key {
        CryptoKey::Tagged(Tagged { tag: tag::PKIX_KEY, value: Content::Text(text) })
        | CryptoKey::First(text) => public_key(text).ok(),
        CryptoKey::Tagged(Tagged {
            tag: tag::PKIX_CERTIFICATE | tag::PKIX_PATH,
            value: Content::Text(text),
        }) => PublicKey::read_all(text.as_bytes()).ok()?.into_iter().next(),
        CryptoKey::Tagged(_) => None,
    }
}

/// A SubjectPublicKeyInfo as PEM, or its base64 alone, which the drafts'
/// examples have.
fn public_key(text: &str) -> Result<PublicKey> {
    let refusal = |error: crate::keys::KeyError| Refusal(format!("the key: {error}"));
    let body = match text.trim().strip_prefix("-----BEGIN PUBLIC KEY-----") {
        Some(rest) => rest
            .strip_suffix("-----END PUBLIC KEY-----")
            .ok_or(Refusal("the key: broken PEM".into()))?,
        None => text,
    };
    let base64: String = body.split_ascii_whitespace().collect();
    let der = data_encoding::BASE64
        .decode(base64.as_bytes())
        .map_err(|_| Refusal("the key is not a PEM public key".into()))?;
    PublicKey::from_spki(&der).map_err(refusal)
}

fn hash_sized(bytes: &[u8], what: &str) -> Result<Vec<u8>> {
    match bytes.len() {
        32 | 48 | 64 => Ok(bytes.to_vec()),
        _ => Err(Refusal(format!("a {what} is not 32, 48 or 64 bytes"))),
    }
}

fn refuse<T>(reason: &str) -> Result<T> {
    Err(Refusal(reason.into()))
}
