// SPDX-License-Identifier: Apache-2.0
//! CoRIMs (draft-ietf-rats-corim-11): reference values and attestation keys from
//! those who make devices, under PSA's profile
//! (draft-fdb-rats-psa-endorsements-08) and the one before it.
//!
//! A signed CoRIM is believed for its signature. One without is believed
//! because whoever runs the verifier chose the file, or not at all.
//!
//! Indefinite lengths are refused, as is everything that would not be looked at
//! but could change what a reference value means.

mod decode;
mod psa;

use devid_core::cose::{Algorithm, Envelope, Kind};

use crate::UnixTime;
use crate::document::{self, DocumentCheck, DocumentReport};
use crate::endorsements::{Contradiction, EndorsedKey, Endorsements, ReferenceValue};
use crate::keys::PublicKey;
use crate::report::Outcome;
use decode::{Header, Manifest, Refusal, Wrapping};

/// Longest CoRIM taken, in bytes.
pub const MAX_CORIM_LEN: usize = 16 << 20;

/// What a CoRIM says, as far as it concerns PSA devices.
pub struct Corim {
    /// Whose rules it follows.
    pub profile: CorimProfile,
    /// Whether it is signed.
    pub is_signed: bool,
    /// Reference values of software components.
    pub reference_values: Vec<ReferenceValue>,
    /// Attestation keys.
    pub keys: Vec<EndorsedKey>,
    /// Keys of identities, which verify no token.
    pub identities: Vec<PublicKey>,
    /// Triples and tags that are something else.
    pub ignored: usize,
}

/// The rules that a CoRIM follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CorimProfile {
    /// `tag:arm.com,2025:psa#1.0.0`.
    Psa2025,
    /// `http://arm.com/psa/iot/1` and what came before it had a name.
    PsaIot,
    /// Other ones, or none: nothing is taken from it.
    Other(Option<String>),
}

/// Reads and checks a CoRIM that fills `document`.
///
/// A signature must be that of one of the `signers`. Where there are any, a
/// CoRIM without a signature fails: whoever can replace the file could leave the
/// signature out.
pub fn verify(document: &[u8], signers: &[PublicKey], at: UnixTime) -> DocumentReport<Corim> {
    if document.len() > MAX_CORIM_LEN {
        return DocumentReport::undecodable(DocumentCheck::OF_CORIM, "longer than any CoRIM");
    }
    let mut report = DocumentReport::new(DocumentCheck::OF_CORIM);
    match Wrapping::read(document) {
        Err(refusal) => report.set(DocumentCheck::Decode, Outcome::fail(refusal.0)),
        Ok(Wrapping::Unsigned(manifest)) => {
            let signature = match signers {
                [] => Outcome::not_performed("it is not signed"),
                _ => Outcome::fail("it is not signed, though a signer's key was given"),
            };
            report.set(DocumentCheck::Signature, signature);
            check_manifest(&mut report, &manifest, None, at);
        }
        Ok(Wrapping::Signed(envelope)) => {
            report.set(DocumentCheck::Signature, check_signature(&envelope, signers));
            let content = Header::read(&envelope)
                .and_then(|header| Ok((header, Wrapping::read_payload(&envelope)?)));
            match content {
                Err(refusal) => report.set(DocumentCheck::Decode, Outcome::fail(refusal.0)),
                Ok((header, manifest)) => {
                    check_manifest(&mut report, &manifest, Some(&header), at);
                }
            }
        }
    }
    report
}

fn check_manifest(
    report: &mut DocumentReport<Corim>,
    manifest: &Manifest<'_>,
    header: Option<&Header>,
    at: UnixTime,
) {
    report.set(DocumentCheck::Decode, Outcome::pass(""));
    let profile = psa::profile_of(manifest);
    report.set(
        DocumentCheck::Profile,
        match &profile {
            CorimProfile::Other(Some(name)) => {
                Outcome::not_performed(format!("nothing is taken from the profile {name:?}"))
            }
            CorimProfile::Other(None) => {
                Outcome::not_performed("there is none; nothing is taken from it")
            }
            known => Outcome::pass(known.name().to_owned()),
        },
    );

    let spans =
        [("the signature", header.map(|header| header.validity)), ("it", manifest.validity)];
    let spans = spans.map(|(what, span)| (what, span.filter(|span| span.is_limited())));
    let fault = spans.iter().find_map(|(what, span)| Some((what, span.as_ref()?.fault(at)?)));
    report.set(
        DocumentCheck::Validity,
        match fault {
            Some((what, fault)) => Outcome::fail(format!("{what} is {fault}")),
            None if spans.iter().all(|(_, span)| span.is_none()) => {
                Outcome::not_performed("it names no time")
            }
            None => Outcome::pass(""),
        },
    );

    match taken(manifest, profile, header.is_some()) {
        Err(refusal) => report.set(DocumentCheck::Claims, Outcome::fail(refusal.0)),
        Ok(corim) => {
            let (values, keys) = (corim.reference_values.len(), corim.keys.len());
            let identities = match corim.identities.len() {
                0 => String::new(),
                count => format!(", {count} identities"),
            };
            let claims = match corim.profile {
                CorimProfile::Other(_) => Outcome::not_performed("the profile is not PSA's"),
                _ => Outcome::pass(format!("{values} reference values, {keys} keys{identities}")),
            };
            report.set(DocumentCheck::Claims, claims);
            report.content = Some(corim);
        }
    }
}

/// What is taken from a manifest under its profile, without contradiction.
fn taken(
    manifest: &Manifest<'_>,
    profile: CorimProfile,
    is_signed: bool,
) -> Result<Corim, Refusal> {
    let corim = psa::take(manifest, profile, is_signed)?;
    let mut alone = Endorsements::default();
    let contradiction = |found: Contradiction| Refusal(found.to_string());
    for value in &corim.reference_values {
        alone.add_reference_value(value.clone()).map_err(contradiction)?;
    }
    // Keys cannot be cloned: two for one device show by their derived ids.
    let mut owners = std::collections::HashMap::new();
    for endorsed in &corim.keys {
        let says = (endorsed.implementation_id, *endorsed.key.id());
        if *owners.entry(endorsed.instance_id).or_insert(says) != says {
            return Err(contradiction(Contradiction::Key(endorsed.instance_id)));
        }
        alone.add_attestation(endorsed.key.id()).map_err(contradiction)?;
    }
    for key in &corim.identities {
        alone.add_identity(key.id()).map_err(contradiction)?;
    }
    Ok(corim)
}

fn check_signature(envelope: &Envelope<'_>, signers: &[PublicKey]) -> Outcome {
    let algorithm = match (envelope.kind, envelope.algorithm) {
        (Kind::Mac0, _) => return Outcome::fail("a MAC is no signature"),
        (_, None) => return Outcome::fail("no alg in the protected header"),
        (_, Some(algorithm @ (Algorithm::Es256 | Algorithm::Es384 | Algorithm::Es512))) => {
            algorithm
        }
        (_, Some(_)) => return Outcome::fail("alg is none of ES256, ES384 and ES512"),
    };
    if signers.is_empty() {
        return Outcome::fail("it is signed, and no signer's key was given");
    }
    document::check_signature(
        algorithm,
        &envelope.to_be_signed().parts(),
        envelope.signature,
        signers,
    )
}

impl CorimProfile {
    /// The profile's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Psa2025 => "tag:arm.com,2025:psa#1.0.0",
            Self::PsaIot => "http://arm.com/psa/iot/1",
            Self::Other(name) => name.as_deref().unwrap_or("none"),
        }
    }
}

impl Corim {
    /// Adds all of it.
    ///
    /// On a contradiction with what is known part of it may have been added:
    /// neither is to be used then.
    pub fn add_to(self, endorsements: &mut Endorsements) -> Result<(), Contradiction> {
        self.keys.into_iter().try_for_each(|key| endorsements.add_key(key))?;
        self.identities.iter().try_for_each(|key| endorsements.add_identity(key.id()))?;
        self.reference_values
            .into_iter()
            .try_for_each(|value| endorsements.add_reference_value(value))
    }
}
