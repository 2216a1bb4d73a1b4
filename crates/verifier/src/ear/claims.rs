// SPDX-License-Identifier: Apache-2.0
//! The claims of an EAR under either's names, in JSON and in CBOR.

use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL, BASE64URL_NOPAD, Encoding as Base64};
use devid_core::token::Claims;

use super::tree::{Label, Tree};
use super::{
    Aspect, Ear, EarError, NONCE_LENGTHS, Names, Submodule, Tier, TrustVector, VerifierId,
};
use crate::report::Report;

/// What the claims are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Json,
    Cbor,
}

/// Claims of JWT and CWT, EAT (RFC 9711) and EAR.
#[derive(Clone, Copy)]
enum Claim {
    Profile,
    IssuedAt,
    ExpiresAt,
    NotBefore,
    Nonce,
    Submodules,
    Status,
    TrustVector,
    PolicyIds,
    VerifierId,
    Evidence,
    PolicyClaims,
    Audience,
    KeyAttestation,
}

/// A claim as JSON and CBOR name it.
type Named = (&'static str, i64);

const DEVELOPER: Named = ("developer", 0);
const BUILD: Named = ("build", 1);
/// The attested public key, as DER SubjectPublicKeyInfo in base64url.
const AKPUB: &str = "akpub";

impl Claim {
    const fn named(self, names: Names) -> Named {
        match (self, names) {
            (Self::Profile, _) => ("eat_profile", 265),
            (Self::IssuedAt, _) => ("iat", 6),
            (Self::ExpiresAt, _) => ("exp", 4),
            (Self::NotBefore, _) => ("nbf", 5),
            (Self::Nonce, _) => ("eat_nonce", 10),
            (Self::Submodules, _) => ("submods", 266),
            (Self::Status, Names::Draft) => ("ear_status", 1000),
            (Self::Status, Names::Veraison) => ("ear.status", 1000),
            (Self::TrustVector, Names::Draft) => ("ear_trustworthiness_vector", 1001),
            (Self::TrustVector, Names::Veraison) => ("ear.trustworthiness-vector", 1001),
            (Self::PolicyIds, Names::Draft) => ("ear_appraisal_policy_ids", 1003),
            (Self::PolicyIds, Names::Veraison) => ("ear.appraisal-policy-id", 1003),
            (Self::VerifierId, Names::Draft) => ("ear_verifier_id", 1004),
            (Self::VerifierId, Names::Veraison) => ("ear.verifier-id", 1004),
            (Self::Evidence, Names::Draft) => ("ear_veraison_annotated_evidence", -70000),
            (Self::Evidence, Names::Veraison) => ("ear.veraison.annotated-evidence", -70000),
            (Self::PolicyClaims, Names::Draft) => ("ear_veraison_policy_claims", -70001),
            (Self::PolicyClaims, Names::Veraison) => ("ear.veraison.policy-claims", -70001),
            (Self::Audience, _) => ("aud", 3),
            (Self::KeyAttestation, Names::Draft) => ("ear_veraison_key_attestation", -70002),
            (Self::KeyAttestation, Names::Veraison) => ("ear.veraison.key-attestation", -70002),
        }
    }
}

impl Encoding {
    fn label(self, (text, number): Named) -> Label {
        match self {
            Self::Json => Label::from(text),
            Self::Cbor => Label::Int(number),
        }
    }
}

/// Writes claims, in the order of their CBOR keys' meaning: who and when first.
pub(super) fn write(ear: &Ear, encoding: Encoding) -> Tree {
    let label = |claim: Claim| encoding.label(claim.named(ear.names));
    let times = [
        (Claim::IssuedAt, Some(ear.issued_at)),
        (Claim::ExpiresAt, ear.expires_at),
        (Claim::NotBefore, ear.not_before),
    ];
    let mut claims = vec![(label(Claim::Profile), Tree::Text(ear.names.profile().into()))];
    claims.extend(
        times.into_iter().filter_map(|(claim, time)| Some((label(claim), Tree::Int(time?)))),
    );
    if let Some(audience) = &ear.audience {
        let names = audience.iter().cloned().map(Tree::Text).collect();
        claims.push((label(Claim::Audience), Tree::Array(names)));
    }
    if let Some(id) = &ear.verifier_id {
        let fields = [(DEVELOPER, &id.developer), (BUILD, &id.build)];
        let fields = fields.map(|(name, text)| (encoding.label(name), Tree::Text(text.clone())));
        claims.push((label(Claim::VerifierId), Tree::Map(fields.into())));
    }
    claims.extend(ear.nonce.clone().map(|nonce| (label(Claim::Nonce), Tree::Bytes(nonce))));
    let submodules = ear.submodules.iter().map(|(name, submodule)| {
        (Label::from(&**name), write_submodule(submodule, ear.names, encoding))
    });
    claims.push((label(Claim::Submodules), Tree::Map(submodules.collect())));
    Tree::Map(claims)
}

fn write_submodule(submodule: &Submodule, names: Names, encoding: Encoding) -> Tree {
    let label = |claim: Claim| encoding.label(claim.named(names));
    let status = match encoding {
        Encoding::Json => Tree::Text(submodule.status.name().into()),
        Encoding::Cbor => Tree::Int(submodule.status as i64),
    };
    let mut claims = vec![(label(Claim::Status), status)];
    let vector: Vec<_> = Aspect::ALL
        .into_iter()
        .filter_map(|aspect| {
            let value = submodule.trust_vector.claim(aspect)?;
            Some((encoding.label((aspect.name(), aspect as i64)), Tree::Int(value.into())))
        })
        .collect();
    if !vector.is_empty() {
        claims.push((label(Claim::TrustVector), Tree::Map(vector)));
    }
    let ids = &submodule.policy_ids;
    match (names, ids.first()) {
        (_, None) => {}
        (Names::Draft, _) => {
            let ids = ids.iter().cloned().map(Tree::Text).collect();
            claims.push((label(Claim::PolicyIds), Tree::Array(ids)));
        }
        (Names::Veraison, Some(id)) => {
            claims.push((label(Claim::PolicyIds), Tree::Text(id.clone())));
        }
    }
    let nonce = submodule.nonce.clone();
    claims.extend(nonce.map(|nonce| (label(Claim::Nonce), Tree::Bytes(nonce))));
    if let Some(key) = &submodule.vouched_key {
        // Text in CBOR too: the extension holds JSON.
        let key = (Label::from(AKPUB), Tree::Text(BASE64URL_NOPAD.encode(key)));
        claims.push((label(Claim::KeyAttestation), Tree::Map(vec![key])));
    }
    for (claim, entries) in
        [(Claim::Evidence, &submodule.evidence), (Claim::PolicyClaims, &submodule.checks)]
    {
        if !entries.is_empty() {
            claims.push((label(claim), Tree::Map(entries.clone())));
        }
    }
    Tree::Map(claims)
}

/// The claims that say which device it was, as the draft's example has them.
pub(super) fn evidence(report: &Report<'_>, claims: Option<&Claims<'_>>) -> Vec<(Label, Tree)> {
    let (Some(profile), Some(claims)) = (report.profile, claims) else { return Vec::new() };
    // Text in CBOR too: the extension holds JSON.
    let base64 = |bytes: &[u8]| Tree::Text(BASE64.encode(bytes));
    let entries = [
        ("eat-profile", Tree::Text(profile.name().into())),
        ("psa-client-id", Tree::Int(claims.client_id.into())),
        ("psa-security-lifecycle", Tree::Int(claims.security_lifecycle.value().into())),
        ("psa-implementation-id", base64(claims.implementation_id)),
        ("psa-instance-id", base64(claims.instance_id)),
    ];
    entries.into_iter().map(|(name, value)| (Label::from(name), value)).collect()
}

/// Every check and its result.
pub(super) fn checks(report: &Report<'_>) -> Vec<(Label, Tree)> {
    let checks = report
        .outcomes()
        .map(|(check, outcome)| {
            (Label::from(check.name()), Tree::Text(outcome.result.name().into()))
        })
        .collect();
    let mut claims = vec![(Label::from("devid-checks"), Tree::Map(checks))];
    let let_through: Vec<_> = report
        .outcomes()
        .filter(|(_, outcome)| outcome.let_through)
        .map(|(check, _)| Tree::Text(check.name().into()))
        .collect();
    if !let_through.is_empty() {
        claims.push((Label::from("devid-let-through"), Tree::Array(let_through)));
    }
    claims
}

/// Whose names claims use, by the profile.
pub(super) fn names_of(claims: &Tree, encoding: Encoding) -> Result<Names, EarError> {
    match claims.get(&encoding.label(Claim::Profile.named(Names::Draft))) {
        Some(Tree::Text(profile)) => [Names::Draft, Names::Veraison]
            .into_iter()
            .find(|names| names.profile() == profile)
            .ok_or_else(|| EarError(format!("unknown profile {profile:?}"))),
        Some(_) => Err(error("eat_profile: not text")),
        None => Err(error("eat_profile: missing")),
    }
}

/// Reads claims. Unknown ones are ignored, as the draft demands.
pub(super) fn read(claims: &Tree, encoding: Encoding) -> Result<Ear, EarError> {
    let names = names_of(claims, encoding)?;
    let reader = ClaimReader { claims, names, encoding };
    let submodules = match reader.get(Claim::Submodules) {
        Some(Tree::Map(entries)) if !entries.is_empty() => {
            let read = |(label, claims): &(Label, Tree)| match label {
                Label::Text(name) => {
                    let reader = ClaimReader { claims, names, encoding };
                    let submodule = reader.submodule();
                    let named = |error: EarError| EarError(format!("{name:?}: {error}"));
                    Ok((name.clone(), submodule.map_err(named)?))
                }
                _ => Err(error("submods: a label that is not text")),
            };
            entries.iter().map(read).collect::<Result<_, _>>()?
        }
        Some(_) => return Err(error("submods: not a map with an entry at least")),
        None => return Err(error("submods: missing")),
    };
    Ok(Ear {
        names,
        issued_at: reader.time(Claim::IssuedAt)?.ok_or(error("iat: missing"))?,
        expires_at: reader.time(Claim::ExpiresAt)?,
        not_before: reader.time(Claim::NotBefore)?,
        audience: reader.audience()?,
        verifier_id: reader.verifier_id()?,
        nonce: reader.nonce()?,
        submodules,
    })
}

/// Claims of one map.
struct ClaimReader<'a> {
    claims: &'a Tree,
    names: Names,
    encoding: Encoding,
}

impl<'a> ClaimReader<'a> {
    fn get(&self, claim: Claim) -> Option<&'a Tree> {
        self.claims.get(&self.encoding.label(claim.named(self.names)))
    }

    fn fault(&self, claim: Claim, reason: &str) -> EarError {
        EarError(format!("{}: {reason}", claim.named(self.names).0))
    }

    /// Whole seconds: EAT allows no fractions (RFC 9711, 4.3.1).
    fn time(&self, claim: Claim) -> Result<Option<i64>, EarError> {
        match self.get(claim) {
            None => Ok(None),
            Some(Tree::Int(time)) => Ok(Some(*time)),
            Some(_) => Err(self.fault(claim, "not in whole seconds")),
        }
    }

    fn verifier_id(&self) -> Result<Option<VerifierId>, EarError> {
        let fault = |reason| self.fault(Claim::VerifierId, reason);
        let Some(id) = self.get(Claim::VerifierId) else {
            return match self.names {
                Names::Draft => Err(fault("missing")),
                Names::Veraison => Ok(None),
            };
        };
        let field = |name: Named| match id.get(&self.encoding.label(name)) {
            Some(Tree::Text(text)) => Ok(text.clone()),
            _ => Err(fault("without developer and build in text")),
        };
        Ok(Some(VerifierId { developer: field(DEVELOPER)?, build: field(BUILD)? }))
    }

    /// One name or several (RFC 7519, 4.1.3).
    fn audience(&self) -> Result<Option<Vec<String>>, EarError> {
        let name = |tree: &Tree| match tree {
            Tree::Text(name) => Ok(name.clone()),
            _ => Err(self.fault(Claim::Audience, "not a name or several")),
        };
        match self.get(Claim::Audience) {
            None => Ok(None),
            Some(Tree::Array(names)) => names.iter().map(name).collect::<Result<_, _>>().map(Some),
            Some(one) => Ok(Some(vec![name(one)?])),
        }
    }

    fn vouched_key(&self) -> Result<Option<Vec<u8>>, EarError> {
        let fault = || self.fault(Claim::KeyAttestation, "akpub is not base64");
        match self.get(Claim::KeyAttestation).and_then(|map| map.get(&Label::from(AKPUB))) {
            None => Ok(None),
            Some(Tree::Text(key)) => base64(key).ok_or_else(fault).map(Some),
            Some(_) => Err(fault()),
        }
    }

    fn nonce(&self) -> Result<Option<Vec<u8>>, EarError> {
        let nonce = match (self.encoding, self.get(Claim::Nonce)) {
            (_, None) => return Ok(None),
            (Encoding::Cbor, Some(Tree::Bytes(nonce))) => Some(nonce.clone()),
            (Encoding::Json, Some(Tree::Text(text))) => base64(text),
            _ => None,
        };
        match nonce {
            Some(nonce) if NONCE_LENGTHS.contains(&nonce.len()) => Ok(Some(nonce)),
            _ => Err(self.fault(Claim::Nonce, "not 8 to 64 bytes")),
        }
    }

    fn submodule(&self) -> Result<Submodule, EarError> {
        let tier = match self.get(Claim::Status) {
            None => return Err(self.fault(Claim::Status, "missing")),
            Some(Tree::Text(name)) if self.encoding == Encoding::Json => {
                Tier::ALL.into_iter().find(|tier| tier.name() == name)
            }
            Some(Tree::Int(number)) if self.encoding == Encoding::Cbor => {
                Tier::ALL.into_iter().find(|&tier| tier as i64 == *number)
            }
            Some(_) => None,
        };
        let status = tier.ok_or_else(|| self.fault(Claim::Status, "not a tier"))?;
        let trust_vector = self.trust_vector()?;
        // What nothing is claimed of binds nobody to anything.
        if status < trust_vector.worst() && trust_vector.worst() > Tier::Affirming {
            return Err(self.fault(Claim::Status, "better than the trustworthiness vector"));
        }
        let map = |claim| match self.get(claim) {
            Some(Tree::Map(entries)) => entries.clone(),
            _ => Vec::new(),
        };
        Ok(Submodule {
            status,
            trust_vector,
            policy_ids: self.policy_ids()?,
            nonce: self.nonce()?,
            vouched_key: self.vouched_key()?,
            evidence: map(Claim::Evidence),
            checks: map(Claim::PolicyClaims),
        })
    }

    fn trust_vector(&self) -> Result<TrustVector, EarError> {
        let fault = |reason| self.fault(Claim::TrustVector, reason);
        let mut vector = TrustVector::default();
        let Some(claims) = self.get(Claim::TrustVector) else { return Ok(vector) };
        let Tree::Map(entries) = claims else { return Err(fault("not a map")) };
        for (label, value) in entries {
            let is_label =
                |aspect: &Aspect| self.encoding.label((aspect.name(), *aspect as i64)) == *label;
            let aspect =
                Aspect::ALL.into_iter().find(is_label).ok_or(fault("an unknown aspect"))?;
            match value {
                Tree::Int(claim) => vector
                    .set(aspect, i8::try_from(*claim).map_err(|_| fault("a claim out of range"))?),
                _ => return Err(fault("a claim that is no number")),
            }
        }
        if entries.is_empty() { Err(fault("empty")) } else { Ok(vector) }
    }

    fn policy_ids(&self) -> Result<Vec<String>, EarError> {
        let fault = || self.fault(Claim::PolicyIds, "not the policies' names");
        let text = |tree: &Tree| match tree {
            Tree::Text(id) => Ok(id.clone()),
            _ => Err(fault()),
        };
        match (self.names, self.get(Claim::PolicyIds)) {
            (_, None) => Ok(Vec::new()),
            (Names::Veraison, Some(id)) => Ok(vec![text(id)?]),
            (Names::Draft, Some(Tree::Array(ids))) if !ids.is_empty() => {
                ids.iter().map(text).collect()
            }
            (Names::Draft, Some(_)) => Err(fault()),
        }
    }
}

/// Base64 in either alphabet, with padding or without: verifiers differ.
fn base64(text: &str) -> Option<Vec<u8>> {
    const FORMS: [Base64; 4] = [BASE64URL, BASE64URL_NOPAD, BASE64, BASE64_NOPAD];
    FORMS.iter().find_map(|form| form.decode(text.as_bytes()).ok())
}

fn error(reason: &str) -> EarError {
    EarError(reason.into())
}
