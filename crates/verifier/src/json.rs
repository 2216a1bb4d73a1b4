// SPDX-License-Identifier: Apache-2.0
//! A report as JSON. The field names are stable: `devid verify --json` and the
//! service's `POST /verify` both answer with it.

use data_encoding::HEXLOWER;
use devid_core::token::{Claims, Lifecycle, SoftwareComponent};
use serde::Serialize;

use crate::cca::{Platform, Realm};
use crate::report::{Outcome, Report};

/// One report.
#[derive(Serialize)]
pub struct ReportJson<'r> {
    /// What was verified: a file's name, or `-`.
    pub file: &'r str,
    /// `pass` or `fail`.
    pub verdict: &'static str,
    /// The profile's name, if it is known.
    pub profile: Option<&'static str>,
    /// Every check, in the order of their making.
    pub checks: Vec<CheckJson<'r>>,
    /// The claims, if they can be read; genuine only where the verdict is pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claims: Option<ClaimsJson<'r>>,
    /// The key that a key attestation token vouches for, as a COSE_Key in hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attested_key: Option<String>,
    /// The key that a certification request is for, as SubjectPublicKeyInfo in
    /// hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requested_key: Option<String>,
    /// Why the file could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<&'r str>,
}

/// One check.
#[derive(Serialize)]
pub struct CheckJson<'r> {
    /// The check's name.
    pub check: &'static str,
    /// `pass`, `fail` or `not-performed`.
    pub result: &'static str,
    /// More of it, for people.
    pub detail: &'r str,
}

/// The claims of a token of either family.
#[derive(Serialize)]
#[serde(untagged)]
pub enum ClaimsJson<'r> {
    /// A PSA token's.
    Psa(PsaClaimsJson<'r>),
    /// A CCA token's.
    Cca {
        /// The platform's.
        platform: PlatformJson<'r>,
        /// The realm's, if there is one.
        #[serde(skip_serializing_if = "Option::is_none")]
        realm: Option<RealmJson<'r>>,
    },
}

/// The claims under their names in RFC 9783, without its `psa-`; bytes in hex.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PsaClaimsJson<'r> {
    nonce: String,
    instance_id: String,
    implementation_id: String,
    client_id: i32,
    security_lifecycle: LifecycleJson,
    #[serde(skip_serializing_if = "Option::is_none")]
    boot_seed: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    certification_reference: Option<&'r str>,
    software_components: Vec<ComponentJson<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verification_service_indicator: Option<&'r str>,
}

/// The claims under their names in the RMM specification, without its
/// `cca-platform-`; bytes in hex.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PlatformJson<'r> {
    challenge: String,
    instance_id: String,
    implementation_id: String,
    lifecycle: LifecycleJson,
    config: String,
    hash_algo_id: &'r str,
    sw_components: Vec<ComponentJson<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verification_service: Option<&'r str>,
}

/// The claims under their names in the RMM specification, without its
/// `cca-realm-`; bytes in hex.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct RealmJson<'r> {
    profile: &'static str,
    challenge: String,
    personalization_value: String,
    initial_measurement: String,
    extensible_measurements: Vec<String>,
    hash_algo_id: &'r str,
    public_key: String,
    public_key_hash_algo_id: &'r str,
}

#[derive(Serialize)]
struct LifecycleJson {
    value: u16,
    state: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct ComponentJson<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    measurement_type: Option<&'r str>,
    measurement_value: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signer_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    measurement_description: Option<&'r str>,
}

impl<'r> CheckJson<'r> {
    /// What became of the check of that name.
    pub fn new(check: &'static str, outcome: &'r Outcome) -> Self {
        Self { check, result: outcome.result.name(), detail: &outcome.detail }
    }
}

impl<'r> ReportJson<'r> {
    /// The report on what has that name.
    pub fn new(file: &'r str, report: &'r Report<'_>) -> Self {
        Self {
            file,
            verdict: report.verdict().name(),
            profile: report.profile_name(),
            checks: report
                .outcomes()
                .map(|(check, outcome)| CheckJson::new(check.name(), outcome))
                .collect(),
            claims: ClaimsJson::new(report),
            attested_key: report.key_attestation.map(|claims| HEXLOWER.encode(claims.attested_key)),
            requested_key: report.requested_key.map(hex),
            error: None,
        }
    }
}

impl<'r> ClaimsJson<'r> {
    fn new(report: &'r Report<'_>) -> Option<Self> {
        match (&report.claims, &report.cca) {
            (Some(claims), _) => Some(Self::Psa(PsaClaimsJson::new(claims))),
            (None, Some(claims)) => Some(Self::Cca {
                platform: PlatformJson::new(&claims.platform),
                realm: claims.realm.as_ref().map(RealmJson::new),
            }),
            (None, None) => None,
        }
    }
}

impl<'r> PsaClaimsJson<'r> {
    fn new(claims: &Claims<'r>) -> Self {
        Self {
            nonce: hex(claims.nonce),
            instance_id: hex(claims.instance_id),
            implementation_id: hex(claims.implementation_id),
            client_id: claims.client_id,
            security_lifecycle: LifecycleJson::new(claims.security_lifecycle),
            boot_seed: claims.boot_seed.map(hex),
            certification_reference: claims.certification_reference,
            software_components: claims.software_components.map(ComponentJson::new).collect(),
            verification_service_indicator: claims.verification_service_indicator,
        }
    }
}

impl<'r> PlatformJson<'r> {
    fn new(claims: &Platform<'r>) -> Self {
        Self {
            challenge: hex(claims.challenge),
            instance_id: hex(claims.instance_id),
            implementation_id: hex(claims.implementation_id),
            lifecycle: LifecycleJson::new(claims.security_lifecycle),
            config: hex(claims.config),
            hash_algo_id: claims.hash_algorithm,
            sw_components: claims.software_components.map(ComponentJson::new).collect(),
            verification_service: claims.verification_service,
        }
    }
}

impl<'r> RealmJson<'r> {
    fn new(claims: &Realm<'r>) -> Self {
        Self {
            profile: claims.profile.name(),
            challenge: hex(claims.challenge),
            personalization_value: hex(claims.personalization_value),
            initial_measurement: hex(claims.initial_measurement),
            extensible_measurements: claims.extensible_measurements.map(hex).to_vec(),
            hash_algo_id: claims.hash_algorithm,
            public_key: hex(claims.public_key),
            public_key_hash_algo_id: claims.public_key_hash_algorithm,
        }
    }
}

impl LifecycleJson {
    fn new(lifecycle: Lifecycle) -> Self {
        Self { value: lifecycle.value(), state: lifecycle.state().name() }
    }
}

impl<'r> ComponentJson<'r> {
    fn new(component: SoftwareComponent<'r>) -> Self {
        Self {
            measurement_type: component.measurement_type,
            measurement_value: hex(component.measurement_value),
            version: component.version,
            signer_id: component.signer_id.map(hex),
            measurement_description: component.measurement_description,
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}
