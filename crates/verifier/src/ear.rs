// SPDX-License-Identifier: Apache-2.0
//! EAT attestation results (draft-ietf-rats-ear-04): what a verification found,
//! for somebody else to rely on, as JWT or CWT.
//!
//! This module builds and checks the claims; whoever holds a key signs them
//! through a closure. Beside the draft's names it speaks those of Project
//! Veraison, which came before.

mod claims;
mod tree;

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use devid_core::cbor::Reader;
use devid_core::cose::{Algorithm, Envelope, Kind};

use crate::UnixTime;
use crate::document::{DocumentCheck, DocumentReport, Validity, check_signature};
use crate::keys::PublicKey;
use crate::report::{Check, Outcome, Report, Verdict};
use tree::{Label, Tree};

/// Longest EAR taken, in bytes.
pub const MAX_EAR_LEN: usize = 1 << 20;

/// An attestation result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ear {
    /// Whose names it uses.
    pub names: Names,
    /// When it was issued, in seconds since 1970.
    pub issued_at: i64,
    /// From when on it must not be used.
    pub expires_at: Option<i64>,
    /// Before when it must not be used.
    pub not_before: Option<i64>,
    /// Who verified. Veraison's verifiers may leave it out.
    pub verifier_id: Option<VerifierId>,
    /// The nonce of whoever asked for the verification: 8 to 64 bytes.
    pub nonce: Option<Vec<u8>>,
    /// The appraisals by label, one an attester.
    pub submodules: Vec<(String, Submodule)>,
}

/// The appraisal of one attester.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submodule {
    /// The overall result.
    pub status: Tier,
    /// The result by aspect.
    pub trust_vector: TrustVector,
    /// The policies that were applied.
    pub policy_ids: Vec<String>,
    /// The nonce in the evidence: 8 to 64 bytes.
    pub nonce: Option<Vec<u8>>,
    /// Claims of the evidence, under Veraison's extension.
    evidence: Vec<(Label, Tree)>,
    /// The checks and their results, under Veraison's extension.
    checks: Vec<(Label, Tree)>,
}

/// Whose names an EAR uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Names {
    /// The draft's, under `tag:ietf.org,2026:rats/ear#03`.
    #[default]
    Draft,
    /// Project Veraison's, under `tag:github.com,2023:veraison/ear`.
    Veraison,
}

/// Who verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierId {
    /// Who made or runs the verifier.
    pub developer: String,
    /// Which build it is.
    pub build: String,
}

/// A trustworthiness tier (draft-ietf-rats-ar4si, 3.2). The order is that of
/// concern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Tier {
    /// Nothing is claimed.
    None = 0,
    /// Nothing is wrong.
    Affirming = 2,
    /// Something deserves attention.
    Warning = 32,
    /// Not to be trusted.
    Contraindicated = 96,
}

/// A trustworthiness vector (draft-ietf-rats-ar4si, 3.1): a claim an aspect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrustVector {
    claims: [Option<i8>; Aspect::ALL.len()],
}

/// An aspect of trustworthiness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Aspect {
    /// Which device it is.
    InstanceIdentity = 0,
    /// How it is configured.
    Configuration = 1,
    /// What it runs.
    Executables = 2,
    /// What is on its file system.
    FileSystem = 3,
    /// Its hardware and firmware.
    Hardware = 4,
    /// What others on it can see of what runs.
    RuntimeOpaque = 5,
    /// What others on it can see of what is stored.
    StorageOpaque = 6,
    /// Data from elsewhere.
    SourcedData = 7,
}

/// What an EAR says that the report does not.
#[derive(Clone, Debug)]
pub struct Issuance<'a> {
    /// Whose names to use.
    pub names: Names,
    /// The time.
    pub at: UnixTime,
    /// How long it may be used; `None` for no limit.
    pub lifetime_seconds: Option<u64>,
    /// Who verifies.
    pub verifier_id: VerifierId,
    /// The nonce of whoever asked: 8 to 64 bytes. Other lengths are left out.
    pub nonce: Option<&'a [u8]>,
    /// The policy that was applied, if it has a name.
    pub policy_id: Option<&'a str>,
}

/// Why claims are no EAR.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EarError(String);

/// Lengths that a nonce can have (RFC 9711, 4.1).
const NONCE_LENGTHS: std::ops::RangeInclusive<usize> = 8..=64;

impl Ear {
    /// The result that a report amounts to.
    pub fn new(report: &Report<'_>, issuance: &Issuance<'_>) -> Self {
        let at = i64::try_from(issuance.at.as_secs()).unwrap_or(i64::MAX);
        let lifetime = issuance.lifetime_seconds;
        let sized = |nonce: &&[u8]| NONCE_LENGTHS.contains(&nonce.len());
        let label = match issuance.names {
            // Realm and platform together; Veraison's verifiers split them.
            _ if report.cca.is_some() => "CCA",
            Names::Draft => "PSA",
            Names::Veraison => "PSA_IOT",
        };
        Self {
            names: issuance.names,
            issued_at: at,
            expires_at: lifetime
                .map(|lifetime| at.saturating_add(i64::try_from(lifetime).unwrap_or(i64::MAX))),
            not_before: None,
            verifier_id: Some(issuance.verifier_id.clone()),
            nonce: issuance.nonce.filter(sized).map(<[u8]>::to_vec),
            submodules: vec![(label.into(), Submodule::new(report, issuance.policy_id))],
        }
    }

    /// The worst status of all attesters.
    pub fn status(&self) -> Tier {
        self.submodules.iter().map(|(_, submodule)| submodule.status).max().unwrap_or(Tier::None)
    }

    /// The claims as JSON.
    pub fn to_json(&self) -> Vec<u8> {
        claims::write(self, claims::Encoding::Json).to_json()
    }

    /// The claims as CBOR.
    pub fn to_cbor(&self) -> Vec<u8> {
        claims::write(self, claims::Encoding::Cbor).to_cbor()
    }

    /// Reads claims in JSON.
    pub fn from_json(claims: &[u8]) -> Result<Self, EarError> {
        claims::read(&Tree::from_json(claims)?, claims::Encoding::Json)
    }

    /// Reads claims in CBOR.
    pub fn from_cbor(claims: &[u8]) -> Result<Self, EarError> {
        let mut reader = Reader::new(claims);
        let tree = Tree::from_cbor(&mut reader)?;
        reader.finish().map_err(|fault| EarError(fault.to_string()))?;
        claims::read(&tree, claims::Encoding::Cbor)
    }

    /// The result as a JWT. `sign` makes an ES256 signature, `r || s`, over the
    /// message that it is given.
    pub fn to_jwt<E>(&self, sign: impl FnOnce(&[u8]) -> Result<[u8; 64], E>) -> Result<String, E> {
        let header = BASE64URL_NOPAD.encode(br#"{"alg":"ES256","typ":"JWT"}"#);
        let message = format!("{header}.{}", BASE64URL_NOPAD.encode(&self.to_json()));
        let signature = sign(message.as_bytes())?;
        Ok(format!("{message}.{}", BASE64URL_NOPAD.encode(&signature)))
    }

    /// The result as a CWT, a tagged COSE_Sign1. `sign` as in
    /// [`to_jwt`](Self::to_jwt).
    pub fn to_cwt<E>(&self, sign: impl FnOnce(&[u8]) -> Result<[u8; 64], E>) -> Result<Vec<u8>, E> {
        const PROTECTED: &[u8] = &[0xa1, 0x01, 0x26]; // alg: ES256
        let payload = self.to_cbor();
        let bytes = |bytes: &[u8]| Tree::Bytes(bytes.to_vec());
        let to_be_signed = Tree::Array(vec![
            Tree::Text("Signature1".into()),
            bytes(PROTECTED),
            bytes(&[]),
            bytes(&payload),
        ]);
        let signature = sign(&to_be_signed.to_cbor())?;
        let envelope = Tree::Array(vec![
            bytes(PROTECTED),
            Tree::Map(vec![]),
            bytes(&payload),
            bytes(&signature),
        ]);
        Ok([&[0xd2][..], &envelope.to_cbor()].concat())
    }
}

/// Reads and checks an EAR that fills `document`: a JWT, or a CWT with its COSE
/// tag. White space around a JWT is passed over.
///
/// The report says whether the result is genuine and may be used, not what it
/// is: that is [`Ear::status`].
pub fn verify(document: &[u8], keys: &[PublicKey], at: UnixTime) -> DocumentReport<Ear> {
    if document.len() > MAX_EAR_LEN {
        return DocumentReport::undecodable("longer than any EAR");
    }
    let mut report = DocumentReport::new();
    // No JWT starts with a byte of CBOR's tags.
    let is_cbor = document.first().is_some_and(|first| first >> 5 == 6);
    let opened = if is_cbor { open_cwt(document, keys) } else { open_jwt(document, keys) };
    let (signature, claims) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            report.set(DocumentCheck::Decode, Outcome::fail(error.0));
            return report;
        }
    };
    report.set(DocumentCheck::Signature, signature);
    let (claims, encoding) = match claims {
        Ok(claims) => claims,
        Err(error) => {
            report.set(DocumentCheck::Decode, Outcome::fail(error.0));
            return report;
        }
    };
    report.set(DocumentCheck::Decode, Outcome::pass(if is_cbor { "CWT" } else { "JWT" }));
    match claims::names_of(&claims, encoding) {
        Ok(names) => report.set(DocumentCheck::Profile, Outcome::pass(names.profile())),
        Err(error) => {
            report.set(DocumentCheck::Profile, Outcome::fail(error.0));
            return report;
        }
    }
    match claims::read(&claims, encoding) {
        Err(error) => report.set(DocumentCheck::Claims, Outcome::fail(error.0)),
        Ok(ear) => {
            let span = Validity { not_before: ear.not_before, not_after: ear.expires_at };
            let validity = match span.fault(at) {
                Some(fault) => Outcome::fail(fault),
                None if span.is_limited() => Outcome::pass(""),
                None => Outcome::not_performed("it names no time"),
            };
            report.set(DocumentCheck::Validity, validity);
            report.set(DocumentCheck::Claims, Outcome::pass(ear.status().name()));
            report.content = Some(ear);
        }
    }
    report
}

/// What became of the signature, and the claims if they can be read.
type Opened = (Outcome, Result<(Tree, claims::Encoding), EarError>);

fn open_jwt(document: &[u8], keys: &[PublicKey]) -> Result<Opened, EarError> {
    let text = document.trim_ascii();
    let parts: Vec<_> = text.splitn(4, |&byte| byte == b'.').collect();
    let [header, payload, signature] = parts[..] else {
        return Err(EarError("neither a CWT nor the three parts of a JWT".into()));
    };
    let decode = |what: &str, part: &[u8]| {
        BASE64URL_NOPAD.decode(part).map_err(|_| EarError(format!("the {what} is not base64url")))
    };
    let header = Tree::from_json(&decode("header", header)?)?;
    let (payload, signature) = (decode("payload", payload)?, decode("signature", signature)?);
    let message = &text[..text.len() - parts[2].len() - 1];

    let algorithm = match header.get(&Label::from("alg")) {
        Some(Tree::Text(name)) => match name.as_str() {
            "ES256" => Ok(Algorithm::Es256),
            "ES384" => Ok(Algorithm::Es384),
            "ES512" => Ok(Algorithm::Es512),
            other => Err(format!("alg {other:?} is none of ES256, ES384 and ES512")),
        },
        _ => Err("no alg in the header".into()),
    };
    let outcome = match (header.get(&Label::from("crit")), algorithm) {
        (Some(_), _) => Outcome::fail("a critical header is not understood"),
        (None, Err(reason)) => Outcome::fail(reason),
        (None, Ok(algorithm)) => check_signature(algorithm, &[message], &signature, keys),
    };
    let claims = Tree::from_json(&payload).map(|claims| (claims, claims::Encoding::Json));
    Ok((outcome, claims))
}

fn open_cwt(document: &[u8], keys: &[PublicKey]) -> Result<Opened, EarError> {
    const CWT: u64 = 61;
    let mut reader = Reader::new(document);
    let untagged = match reader.tag() {
        Ok(CWT) => document.get(reader.at()..).unwrap_or_default(),
        _ => document,
    };
    let envelope = Envelope::decode(untagged).map_err(|fault| EarError(fault.to_string()))?;
    let outcome = match (envelope.kind, envelope.algorithm) {
        (Kind::Mac0, _) => Outcome::fail("a MAC is no signature"),
        (_, None) => Outcome::fail("no alg in the protected header"),
        (_, Some(algorithm)) => {
            let to_be_signed = envelope.to_be_signed();
            check_signature(algorithm, &to_be_signed.parts(), envelope.signature, keys)
        }
    };
    let mut content = envelope.content();
    let claims = Tree::from_cbor(&mut content).and_then(|claims| {
        content.finish().map_err(|fault| EarError(fault.to_string()))?;
        Ok((claims, claims::Encoding::Cbor))
    });
    Ok((outcome, claims))
}

impl Submodule {
    fn new(report: &Report<'_>, policy_id: Option<&str>) -> Self {
        let trust_vector = TrustVector::new(report);
        let is_genuine = report.outcome(Check::Signature).passed();
        let genuine = report.claims.filter(|_| is_genuine);
        let sized = |nonce: &&[u8]| is_genuine && NONCE_LENGTHS.contains(&nonce.len());
        Self {
            // A verdict is never better than its parts, and can be worse.
            status: match report.verdict() {
                Verdict::Pass => trust_vector.worst(),
                Verdict::Fail => Tier::Contraindicated,
            },
            trust_vector,
            policy_ids: policy_id.map(str::to_owned).into_iter().collect(),
            nonce: report.nonce.filter(sized).map(<[u8]>::to_vec),
            evidence: claims::evidence(report, genuine.as_ref()),
            checks: claims::checks(report),
        }
    }
}

impl TrustVector {
    /// `docs/policy.md` has this as a table.
    fn new(report: &Report<'_>) -> Self {
        let outcome = |check| report.outcome(check);
        let mut vector = Self::default();
        let cryptography = [
            Check::Decode,
            Check::Profile,
            Check::Claims,
            Check::Signature,
            Check::Challenge,
            Check::CertificatePath,
            Check::Binding,
        ];
        let signed = outcome(Check::Signature).passed();
        if !signed || cryptography.into_iter().any(|check| outcome(check).failed()) {
            vector.claims = [Some(99); Aspect::ALL.len()];
            return vector;
        }
        let known = [Check::DevelopmentKey, Check::NonceReuse].map(outcome);
        let identity = if known.iter().any(|outcome| outcome.failed()) {
            96 // recognised, and the key is no secret
        } else if outcome(Check::InstanceId).failed() {
            97 // not recognised
        } else if outcome(Check::DevelopmentKey).passed() {
            2
        } else {
            0
        };
        vector.set(Aspect::InstanceIdentity, identity);
        // That the key is a device's is what says that the hardware is genuine.
        vector.set(Aspect::Hardware, if identity == 2 { 2 } else { 0 });
        let configuration = [Check::Lifecycle, Check::ClientId].map(outcome);
        vector.set(
            Aspect::Configuration,
            if configuration.iter().any(|outcome| outcome.failed()) {
                96
            } else if configuration[0].passed() {
                2
            } else {
                0
            },
        );
        let software = outcome(Check::Software);
        vector.set(
            Aspect::Executables,
            match (software.failed(), software.passed()) {
                (true, _) => 33,    // not recognised
                (false, true) => 3, // approved, as loaded during boot
                (false, false) => 0,
            },
        );
        vector
    }

    /// The claim on an aspect, if one was made.
    pub fn claim(&self, aspect: Aspect) -> Option<i8> {
        self.claims[aspect as usize]
    }

    fn set(&mut self, aspect: Aspect, claim: i8) {
        self.claims[aspect as usize] = Some(claim);
    }

    /// The tier of the worst claim.
    pub fn worst(&self) -> Tier {
        self.claims.into_iter().flatten().map(Tier::of_claim).max().unwrap_or(Tier::None)
    }
}

impl Tier {
    const ALL: [Self; 4] = [Self::None, Self::Affirming, Self::Warning, Self::Contraindicated];

    /// The tier's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Affirming => "affirming",
            Self::Warning => "warning",
            Self::Contraindicated => "contraindicated",
        }
    }

    /// The tier that a trustworthiness claim belongs to.
    const fn of_claim(claim: i8) -> Self {
        match claim {
            -1..=1 => Self::None,
            2..=31 | -32..=-2 => Self::Affirming,
            32..=95 | -96..=-33 => Self::Warning,
            _ => Self::Contraindicated,
        }
    }
}

impl Aspect {
    /// All aspects, in order.
    pub const ALL: [Self; 8] = [
        Self::InstanceIdentity,
        Self::Configuration,
        Self::Executables,
        Self::FileSystem,
        Self::Hardware,
        Self::RuntimeOpaque,
        Self::StorageOpaque,
        Self::SourcedData,
    ];

    /// The aspect's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::InstanceIdentity => "instance-identity",
            Self::Configuration => "configuration",
            Self::Executables => "executables",
            Self::FileSystem => "file-system",
            Self::Hardware => "hardware",
            Self::RuntimeOpaque => "runtime-opaque",
            Self::StorageOpaque => "storage-opaque",
            Self::SourcedData => "sourced-data",
        }
    }
}

impl Names {
    /// The profile that says which names are used.
    pub const fn profile(self) -> &'static str {
        match self {
            Self::Draft => "tag:ietf.org,2026:rats/ear#03",
            Self::Veraison => "tag:github.com,2023:veraison/ear",
        }
    }
}

impl fmt::Display for EarError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for EarError {}
