// SPDX-License-Identifier: Apache-2.0
//! EAT attestation results (draft-ietf-rats-ear-04): what a verification found,
//! for somebody else to rely on, as JWT or CWT.
//!
//! This module builds and checks the claims; whoever holds a key signs them
//! through a closure. Beside the draft's names it speaks those of Project
//! Veraison, which came before.

mod claims;
pub(crate) mod tree;

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use devid_core::cbor::Reader;
use devid_core::cose::{Algorithm, Envelope, Kind};

use crate::UnixTime;
use crate::document::{DocumentCheck, DocumentReport, check_signature};
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
    /// Whom it is for; `None` for everybody.
    pub audience: Option<Vec<String>>,
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
    /// The key that the attester vouches for, as DER SubjectPublicKeyInfo, under
    /// Veraison's extension.
    pub vouched_key: Option<Vec<u8>>,
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
#[derive(Clone)]
pub struct Issuance<'a> {
    /// Whose names to use.
    pub names: Names,
    /// The time.
    pub at: UnixTime,
    /// How long it may be used.
    pub lifetime_seconds: u64,
    /// Who verifies.
    pub verifier_id: VerifierId,
    /// The nonce of whoever asked: 8 to 64 bytes. Other lengths are left out.
    pub nonce: Option<&'a [u8]>,
    /// The policy that was applied, if it has a name.
    pub policy_id: Option<&'a str>,
    /// The key that the evidence was to vouch for, if it was
    /// [bound](crate::Challenge::Bound). Requests and key attestation bundles name
    /// theirs.
    pub bound_key: Option<&'a PublicKey>,
}

/// What whoever relies on a result asks of it beside its signature.
#[derive(Clone, Copy, Debug)]
pub struct Demand<'a> {
    /// The time.
    pub at: UnixTime,
    /// The worst status that passes.
    pub require: Tier,
    /// The nonce that was asked under, if there was one.
    pub nonce: Option<&'a [u8]>,
    /// How old it may be, in seconds.
    pub max_age_seconds: Option<u64>,
    /// Who reads it. A result for others fails, and with this one for everybody
    /// too.
    pub audience: Option<&'a str>,
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
        let lifetime = i64::try_from(issuance.lifetime_seconds).unwrap_or(i64::MAX);
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
            expires_at: Some(at.saturating_add(lifetime)),
            not_before: None,
            audience: None,
            verifier_id: Some(issuance.verifier_id.clone()),
            nonce: issuance.nonce.filter(sized).map(<[u8]>::to_vec),
            submodules: vec![(label.into(), Submodule::new(report, issuance))],
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
/// It passes if one of the keys signed it and it is what was demanded.
pub fn verify(document: &[u8], keys: &[PublicKey], demand: &Demand<'_>) -> DocumentReport<Ear> {
    if document.len() > MAX_EAR_LEN {
        return DocumentReport::undecodable(DocumentCheck::OF_EAR, "longer than any EAR");
    }
    let mut report = DocumentReport::new(DocumentCheck::OF_EAR);
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
            report.set(DocumentCheck::Validity, demand.validity(&ear));
            report.set(DocumentCheck::Nonce, demand.nonce(&ear));
            report.set(DocumentCheck::Audience, demand.audience(&ear));
            report.set(DocumentCheck::Status, demand.status(&ear));
            report.set(DocumentCheck::Claims, Outcome::pass(""));
            report.content = Some(ear);
        }
    }
    report
}

/// How far the clock of who issued a result may be ahead, in seconds.
const CLOCK_SKEW_SECONDS: i64 = 60;

impl Demand<'_> {
    /// An affirming result, at that time.
    pub const fn affirming(at: UnixTime) -> Self {
        Self { at, require: Tier::Affirming, nonce: None, max_age_seconds: None, audience: None }
    }

    /// `exp` and `nbf` (RFC 7519, 4.1.4 and 4.1.5), and `iat` where an age is asked
    /// for.
    fn validity(&self, ear: &Ear) -> Outcome {
        let now = i64::try_from(self.at.as_secs()).unwrap_or(i64::MAX);
        let age = now.saturating_sub(ear.issued_at);
        let max_age = self.max_age_seconds.map(|age| i64::try_from(age).unwrap_or(i64::MAX));
        if ear.expires_at.is_some_and(|time| now >= time) {
            Outcome::fail("it has expired")
        } else if ear.not_before.is_some_and(|time| now < time) {
            Outcome::fail("not yet valid")
        } else if max_age.is_some_and(|max_age| age > max_age) {
            Outcome::fail(format!("issued {age} seconds ago"))
        } else if max_age.is_some() && age < -CLOCK_SKEW_SECONDS {
            Outcome::fail("issued in the future")
        } else if ear.expires_at.is_none() && max_age.is_none() {
            Outcome::not_performed("it does not expire, and no age was asked for")
        } else {
            Outcome::pass("")
        }
    }

    fn nonce(&self, ear: &Ear) -> Outcome {
        match (self.nonce, &ear.nonce) {
            (None, _) => Outcome::not_performed("no nonce was asked for"),
            (Some(asked), Some(nonce)) if asked == nonce.as_slice() => Outcome::pass(""),
            (Some(_), Some(_)) => Outcome::fail("it answers another nonce"),
            (Some(_), None) => Outcome::fail("it has no nonce"),
        }
    }

    /// `aud` (RFC 7519, 4.1.3).
    fn audience(&self, ear: &Ear) -> Outcome {
        match (self.audience, &ear.audience) {
            (None, None) => Outcome::not_performed("it is for everybody"),
            (Some(reader), Some(audience)) if audience.iter().any(|name| name == reader) => {
                Outcome::pass("")
            }
            (_, Some(_)) => Outcome::fail("it is for others"),
            (Some(_), None) => Outcome::fail("it names no audience"),
        }
    }

    /// A result that claims nothing is good for nothing.
    fn status(&self, ear: &Ear) -> Outcome {
        let status = ear.status();
        let is_enough = status <= self.require && status != Tier::None;
        match is_enough || self.require == Tier::Contraindicated {
            true => Outcome::pass(status.name()),
            false => Outcome::fail(format!(
                "{}, where {} is required",
                status.name(),
                self.require.name()
            )),
        }
    }
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
    fn new(report: &Report<'_>, issuance: &Issuance<'_>) -> Self {
        let trust_vector = TrustVector::new(report);
        let is_genuine = report.outcome(Check::Signature).passed();
        let genuine = report.claims.filter(|_| is_genuine);
        let sized = |nonce: &&[u8]| is_genuine && NONCE_LENGTHS.contains(&nonce.len());
        Self {
            status: trust_vector.status(report),
            trust_vector,
            policy_ids: issuance.policy_id.map(str::to_owned).into_iter().collect(),
            nonce: report.nonce.filter(sized).map(<[u8]>::to_vec),
            vouched_key: vouched_key(report, issuance.bound_key),
            evidence: claims::evidence(report, genuine.as_ref()),
            checks: claims::checks(report),
        }
    }
}

/// The key that a platform vouches for, where the verdict is that it does.
fn vouched_key(report: &Report<'_>, bound_key: Option<&PublicKey>) -> Option<Vec<u8>> {
    if report.verdict() == Verdict::Fail {
        return None;
    }
    let requested = report.requested_key.map(<[u8]>::to_vec);
    let attested = || {
        let key = report.key_attestation?.attested_key;
        PublicKey::from_cose_key(key).ok().map(|key| key.spki())
    };
    requested.or_else(attested).or_else(|| bound_key.map(PublicKey::spki))
}

impl TrustVector {
    /// `docs/attestation-results.md` has this as a table.
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
        } else if outcome(Check::DevelopmentKey).passed()
            && outcome(Check::InstanceId).passed()
            && !outcome(Check::NonceReuse).let_through
        {
            2
        } else {
            0
        };
        vector.set(Aspect::InstanceIdentity, identity);
        // Genuine hardware is what its maker's CA or an endorser says; a key that the
        // operator gave says nothing of it.
        let is_vouched_for = outcome(Check::CertificatePath).passed() || report.is_endorsed;
        vector.set(Aspect::Hardware, if identity == 2 && is_vouched_for { 2 } else { 0 });
        let configuration = [Check::Lifecycle, Check::ClientId].map(outcome);
        vector.set(
            Aspect::Configuration,
            if configuration.iter().any(|outcome| outcome.failed()) {
                96
            } else if configuration[0].let_through {
                32 // known, and open to a debugger or not in service
            } else if configuration[0].passed() {
                2
            } else {
                0
            },
        );
        let software = outcome(Check::Software);
        vector.set(
            Aspect::Executables,
            match (software.failed(), software.passed() && !software.let_through) {
                (true, _) => 33,    // not recognised
                (false, true) => 3, // approved, as loaded during boot
                (false, false) => 0,
            },
        );
        vector
    }

    /// The status that the claims and the checks behind them amount to. It is never
    /// better than either, and affirming only where nothing was let through and the
    /// device, its configuration and its software are all affirmed.
    fn status(&self, report: &Report<'_>) -> Tier {
        const NEEDED: [Aspect; 3] =
            [Aspect::InstanceIdentity, Aspect::Configuration, Aspect::Executables];
        if report.verdict() == Verdict::Fail {
            return Tier::Contraindicated;
        }
        let is_affirmed = |aspect| self.claim(aspect).map(Tier::of_claim) == Some(Tier::Affirming);
        let was_let_through = report.outcomes().any(|(_, outcome)| outcome.let_through);
        let best = match NEEDED.into_iter().all(is_affirmed) && !was_let_through {
            true => Tier::Affirming,
            false => Tier::Warning,
        };
        best.max(self.worst())
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
