// SPDX-License-Identifier: Apache-2.0
//! A report as JSON. The field names are stable: `devid verify --json` and the
//! service's `POST /verify` both answer with it.

use data_encoding::HEXLOWER;
use devid_core::token::Claims;
use serde::Serialize;

use crate::report::Report;

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

/// The claims under their names in RFC 9783, without its `psa-`; bytes in hex.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ClaimsJson<'r> {
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

impl<'r> ReportJson<'r> {
    /// The report on what has that name.
    pub fn new(file: &'r str, report: &'r Report<'_>) -> Self {
        Self {
            file,
            verdict: report.verdict().name(),
            profile: report.profile.map(|profile| profile.name()),
            checks: report
                .outcomes()
                .map(|(check, outcome)| CheckJson {
                    check: check.name(),
                    result: outcome.result.name(),
                    detail: &outcome.detail,
                })
                .collect(),
            claims: report.claims.as_ref().map(ClaimsJson::new),
            error: None,
        }
    }
}

impl<'r> ClaimsJson<'r> {
    fn new(claims: &Claims<'r>) -> Self {
        let hex = |bytes: &[u8]| HEXLOWER.encode(bytes);
        Self {
            nonce: hex(claims.nonce),
            instance_id: hex(claims.instance_id),
            implementation_id: hex(claims.implementation_id),
            client_id: claims.client_id,
            security_lifecycle: LifecycleJson {
                value: claims.security_lifecycle.value(),
                state: claims.security_lifecycle.state().name(),
            },
            boot_seed: claims.boot_seed.map(hex),
            certification_reference: claims.certification_reference,
            software_components: claims
                .software_components
                .map(|component| ComponentJson {
                    measurement_type: component.measurement_type,
                    measurement_value: hex(component.measurement_value),
                    version: component.version,
                    signer_id: component.signer_id.map(hex),
                    measurement_description: component.measurement_description,
                })
                .collect(),
            verification_service_indicator: claims.verification_service_indicator,
        }
    }
}
