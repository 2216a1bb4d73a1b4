// SPDX-License-Identifier: Apache-2.0
//! An answer as JSON: the report as `devid verify --json` prints it, and what
//! only the service knows.

use data_encoding::HEXLOWER;
use devid_core::cose::Envelope;
use devid_core::x509::Certificate;
use devid_verifier::json::ReportJson;
use serde::Serialize;

use crate::Answer;

/// An answer.
#[derive(Serialize)]
pub(crate) struct AnswerJson<'r> {
    #[serde(flatten)]
    report: ReportJson<'r>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<DeviceJson>,
    /// The token's `x5chain`, leaf first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    certificates: Vec<CertificateJson>,
}

#[derive(Serialize)]
struct DeviceJson {
    id: i64,
    state: &'static str,
}

/// What a certificate says; empty where it is beyond the reader.
#[derive(Serialize, Default)]
#[serde(rename_all = "kebab-case")]
struct CertificateJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    serial: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_before: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_after: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ca: Option<bool>,
    length: usize,
}

impl<'r> AnswerJson<'r> {
    pub(crate) fn new(token: &[u8], answer: &'r Answer<'_>) -> Self {
        let signed = answer.report.signature_use.map(|signature| *signature.envelope());
        let envelope = signed.or_else(|| Envelope::decode(token).ok());
        let chain = envelope.and_then(|envelope| envelope.x5chain);
        Self {
            report: ReportJson::new("-", &answer.report),
            device: answer.device.map(|(id, state)| DeviceJson { id: id.0, state: state.name() }),
            certificates: chain.into_iter().flatten().map(CertificateJson::new).collect(),
        }
    }
}

impl CertificateJson {
    fn new(der: &[u8]) -> Self {
        let Ok(read) = Certificate::parse(der) else {
            return Self { length: der.len(), ..Self::default() };
        };
        let name = |name: devid_core::x509::Name<'_>| {
            let parts = [name.common_name(), name.serial_number(), name.organization()];
            let parts: Vec<_> = parts.into_iter().flatten().collect();
            (!parts.is_empty()).then(|| parts.join(", "))
        };
        Self {
            subject: name(read.subject),
            issuer: name(read.issuer),
            serial: Some(HEXLOWER.encode(read.serial)),
            not_before: Some(read.not_before.0),
            not_after: Some(read.not_after.0),
            ca: Some(read.ca.is_some()),
            length: der.len(),
        }
    }
}
