// SPDX-License-Identifier: Apache-2.0
//! The checks, in order, each made as far as it can be.

mod composite;

use devid_core::bound::{NotPlain, vouches_for_key};
use devid_core::cbor::Reason;
use devid_core::cose::{Algorithm, Envelope, Kind};
use devid_core::instance_id;
use devid_core::token::Payload;
use rustls_pki_types::UnixTime;

use crate::appraisal::{Appraisal, Subject};
use crate::bound::BoundChallenge;
use crate::cca;
use crate::development;
use crate::evidence::{Evidence, NoEvidence};
use crate::keys::{Hint, Key, KeyId, KeySource};
use crate::path::TrustAnchors;
use crate::purpose::Purpose;
use crate::report::{Check, Outcome, Report};
use crate::reuse::{SignatureMemory, SignatureUse};

/// Longest input that is looked at, in bytes. A real token is about a thousandth
/// of it.
pub const MAX_TOKEN_LEN: usize = 1 << 20;

/// Checks tokens against what it trusts.
pub struct Verifier<'k> {
    /// Keys that tokens may be signed with.
    pub keys: &'k dyn KeySource,
    /// Anchors that a token's `x5chain` may lead to.
    pub anchors: &'k TrustAnchors,
    /// What else is asked of a token.
    pub policy: Policy,
    /// What its claims are compared with.
    pub appraisal: Appraisal<'k>,
}

/// What is asked of a token beyond a good signature.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// The time at which certificates must be valid.
    pub at: UnixTime,
    /// Whether keys that everybody has are let through.
    pub allow_development_key: bool,
}

/// The challenge that a token should answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Challenge<'c> {
    /// This one, in plain. One of the form that vouches for a key fails the check.
    Expected(&'c [u8]),
    /// One that is bound to a key, for which the token then vouches.
    Bound(BoundChallenge<'c>),
    /// Freshness is not asked for.
    Any,
    /// Nobody said: the check fails.
    NotGiven,
}

impl Verifier<'_> {
    /// Verifies evidence that fills `input`: a PSA token, a CCA token, a key
    /// attestation bundle, a CMW (RFC 9999) with any of these, or a certification
    /// request in DER with such CMWs in it.
    ///
    /// The evidence in a request must be bound to the request's key under the
    /// challenge.
    pub fn verify<'t>(&self, input: &'t [u8], challenge: Challenge<'_>) -> Report<'t> {
        if input.len() > MAX_TOKEN_LEN {
            return Report::undecodable("longer than any token");
        }
        let mut report = match Evidence::decode(input) {
            Ok(evidence) => self.verify_evidence(&evidence, challenge),
            Err(NoEvidence(reason)) => return Report::undecodable(reason),
        };
        if report.signature_uses.len() > 1 {
            let stance = self.appraisal.policy.map(|policy| policy.nonce_reuse);
            SignatureMemory::default().check(&mut report, stance.unwrap_or_default());
        }
        report
    }

    /// Verifies one envelope: a PSA token, or a CCA platform token.
    fn verify_token<'t>(&self, token: &'t [u8], challenge: Challenge<'_>) -> Report<'t> {
        let envelope = match Envelope::decode(token) {
            Ok(envelope) => envelope,
            Err(fault) => return Report::undecodable(format!("{fault}")),
        };
        let mut report = Report::blank();
        let (mut instance_id, mut binding) = (None, None);
        match Payload::decode(&envelope) {
            Err(fault) => {
                report.set(Check::Decode, Outcome::fail(format!("payload: {fault}")));
                for check in [Check::Profile, Check::Claims, Check::Challenge] {
                    report.set(check, Outcome::not_performed("the claims map cannot be read"));
                }
            }
            Ok(payload) => {
                report.set(Check::Decode, Outcome::pass(""));
                self.check_claims(&envelope, &payload, &mut report);
                report.set(Check::Challenge, check_challenge(&payload, challenge));
                report.nonce = payload.nonce().ok();
                binding = compare_binding(challenge, report.nonce.unwrap_or_default());
                instance_id = payload.instance_id().ok();
            }
        }

        let Signing { signature, path, key } = self.check_signature(&envelope, instance_id);
        if let (true, Kind::Sign1, Some(key)) = (signature.passed(), envelope.kind, key) {
            let signature = SignatureUse::new(key, envelope);
            report.signature_use = Some(signature);
            report.signature_uses.push(signature);
        }
        if let (Challenge::Bound(bound), Some(key)) = (challenge, key)
            && *bound.key() == key
        {
            // Certified for an identity it could forge evidence from then on.
            let itself = "the key vouches for itself: an attestation key is for nothing else";
            binding = Some(Outcome::fail(itself));
        }
        let endorsed = instance_id.and_then(|id| self.appraisal.endorsements?.key(id));
        report.is_endorsed =
            signature.passed() && endorsed.is_some_and(|endorsed| key == Some(*endorsed.id()));
        report.set(Check::Signature, signature);
        report.set(Check::CertificatePath, path);
        report.set(Check::InstanceId, check_instance_id(instance_id, key.as_ref()));
        report.set(Check::DevelopmentKey, self.check_development_key(instance_id, key.as_ref()));
        let psa = report.claims.as_ref().map(Subject::from);
        let subject = psa.or_else(|| report.cca.as_ref().map(|cca| Subject::from(&cca.platform)));
        let [lifecycle, client_id, software] = self.appraisal.checks(subject.as_ref());
        report.set(Check::Lifecycle, lifecycle);
        report.set(Check::ClientId, client_id);
        report.set(Check::Software, software);
        let alone = || Outcome::not_performed("there is no other token");
        report.set(Check::Binding, binding.unwrap_or_else(alone));
        report.set(Check::NonceReuse, Outcome::not_performed("no other signature was looked at"));
        report
    }

    /// Profile and claims.
    fn check_claims<'t>(
        &self,
        envelope: &Envelope<'t>,
        payload: &Payload<'t>,
        report: &mut Report<'t>,
    ) {
        let (profile, claims) = match (payload.profile(), payload.profile_name()) {
            (Ok(profile), _) => {
                report.profile = Some(profile);
                let claims = match payload.claims(profile) {
                    Ok(claims) => {
                        report.claims = Some(claims);
                        let warnings: Vec<_> =
                            claims.warnings.iter().map(|warning| warning.name()).collect();
                        Outcome::pass(warnings.join("; "))
                    }
                    Err(fault) => Outcome::fail(format!("{fault}")),
                };
                (self.appraisal.profile(profile), claims)
            }
            (Err(fault), name) => match name.and_then(cca::Profile::from_name) {
                Some(profile) if fault.reason == Reason::UnknownProfile => {
                    let claims = match cca::Platform::decode(envelope, profile) {
                        Ok(platform) => {
                            report.cca = Some(cca::Claims { platform, realm: None });
                            Outcome::pass("")
                        }
                        Err(fault) => Outcome::fail(format!("{fault}")),
                    };
                    (self.appraisal.cca_profile(profile), claims)
                }
                _ => {
                    let profile = Outcome::fail(match name {
                        Some(name) => format!("{fault}: {name:?}"),
                        None => format!("{fault}"),
                    });
                    (profile, Outcome::not_performed("no profile to check them against"))
                }
            },
        };
        report.set(Check::Profile, profile);
        report.set(Check::Claims, claims);
    }

    /// Signature and certificate path. A chain that leads to an anchor names
    /// the key: no other is tried then. A chain that does not fails its own
    /// check, whatever the given keys say of the signature.
    fn check_signature(
        &self,
        envelope: &Envelope<'_>,
        instance_id: Option<&[u8; instance_id::LEN]>,
    ) -> Signing {
        let algorithm = match usable_algorithm(envelope) {
            Ok(algorithm) => algorithm,
            Err(reason) => {
                let path = Outcome::not_performed("there is no signature to check");
                return Signing { signature: Outcome::fail(reason), path, key: None };
            }
        };
        let chain = match (envelope.kind, envelope.x5chain) {
            (Kind::Mac0, _) => Err("a COSE_Mac0 has no certificate path"),
            (_, None) => Err("the token has no x5chain"),
            (_, Some(_)) if self.anchors.is_empty() => {
                Err("no trust anchor was given; the x5chain was not looked at")
            }
            (_, Some(chain)) => Ok(chain),
        };
        let path = match chain.map(|chain| self.anchors.validate(chain, self.policy.at)) {
            Ok(Ok(path)) => {
                let leaf = path.leaf;
                let signature = if self.is_identity(leaf.id()) {
                    Outcome::fail(IS_IDENTITY)
                } else if !leaf.fits(algorithm) {
                    Outcome::fail("the leaf's key does not go with alg")
                } else if leaf.is_valid(&envelope.to_be_signed().parts(), envelope.signature) {
                    Outcome::pass(algorithm.name())
                } else {
                    Outcome::fail("not made by the leaf's key")
                };
                let key = Some(*leaf.id());
                return Signing { signature, path: Outcome::pass(path.detail), key };
            }
            Ok(Err(reason)) => Outcome::fail(reason),
            Err(reason) => Outcome::not_performed(reason),
        };

        let (signature, key) = self.check_with_given_keys(envelope, algorithm, instance_id);
        // Anchors were given to be used. A token without a path has failed that,
        // unless a key stood in for it.
        let missed = !path.failed() && !self.anchors.is_empty() && !signature.passed();
        let path = if missed { Outcome::fail(path.detail) } else { path };
        Signing { signature, path, key }
    }

    fn check_with_given_keys(
        &self,
        envelope: &Envelope<'_>,
        algorithm: Algorithm,
        instance_id: Option<&[u8; instance_id::LEN]>,
    ) -> (Outcome, Option<KeyId>) {
        let hint = Hint { kind: envelope.kind, instance_id, kid: envelope.kid };
        let to_be_signed = envelope.to_be_signed();
        let parts = to_be_signed.parts();
        let (mut offered, mut tried, mut last, mut signer) = (0, 0, None, None);
        let mut identities = 0;
        self.keys.offer(&hint, &mut |key| {
            offered += 1;
            if let Key::Public(key) = key
                && (key.purpose() == Some(Purpose::Identity) || self.is_identity(key.id()))
            {
                identities += 1;
                return false;
            }
            let (id, is_valid) = match key {
                Key::Public(key) if envelope.kind == Kind::Sign1 && key.fits(algorithm) => {
                    (key.id(), key.is_valid(&parts, envelope.signature))
                }
                Key::Mac(key) if envelope.kind == Kind::Mac0 => {
                    (key.id(), key.is_valid(algorithm, &parts, envelope.signature))
                }
                _ => return false,
            };
            tried += 1;
            last = Some(*id);
            if is_valid {
                signer = Some(*id);
            }
            is_valid
        });
        let outcome = match (signer, offered, tried) {
            (Some(_), _, _) => Outcome::pass(algorithm.name()),
            (None, 0, _) => Outcome::fail(match envelope.kind {
                Kind::Sign1 => "no trusted public key",
                Kind::Mac0 => "no trusted symmetric key",
            }),
            (None, _, 0) if identities > 0 => Outcome::fail(IS_IDENTITY),
            (None, _, 0) => Outcome::fail("no trusted key goes with alg"),
            (None, _, 1) => Outcome::fail("not made by the trusted key"),
            (None, _, _) => Outcome::fail("not made by any of the trusted keys"),
        };
        // The only key there was is still worth comparing.
        (outcome, signer.or(last.filter(|_| tried == 1)))
    }

    /// Whether a key is known to be an identity's, whatever vouches for it.
    fn is_identity(&self, key: &KeyId) -> bool {
        self.keys.purpose(key) == Some(Purpose::Identity)
    }

    fn check_development_key(
        &self,
        instance_id: Option<&[u8; instance_id::LEN]>,
        key: Option<&KeyId>,
    ) -> Outcome {
        let listed = |id| self.appraisal.policy.and_then(|policy| policy.development_key(id));
        let named = |id| development::name_of_instance(id).or_else(|| listed(id));
        let name = key
            .and_then(|key| key.instance_ids().iter().find_map(named))
            .or_else(|| instance_id.and_then(named));
        match name {
            Some(name) if self.policy.allow_development_key => {
                Outcome::not_performed(format!("{name}, let through on request")).let_through()
            }
            Some(name) => Outcome::fail(format!("{name}: everybody can sign with it")),
            None if key.is_none() => Outcome::not_performed("the key is not known"),
            None => Outcome::pass(""),
        }
    }
}

const IS_IDENTITY: &str = "the key is for an identity: it signs no tokens";

/// What became of the signature and the path, and by which key.
struct Signing {
    signature: Outcome,
    path: Outcome,
    /// The key that signed, or the only one that could have.
    key: Option<KeyId>,
}

fn check_challenge(payload: &Payload<'_>, challenge: Challenge<'_>) -> Outcome {
    match (challenge, payload.nonce()) {
        (Challenge::Expected(_) | Challenge::Bound(_), Err(fault)) => {
            Outcome::fail(format!("{fault}"))
        }
        (challenge, nonce) => compare_challenge(challenge, nonce.unwrap_or_default()),
    }
}

fn compare_challenge(challenge: Challenge<'_>, nonce: &[u8]) -> Outcome {
    match challenge {
        Challenge::Any => Outcome::not_performed("freshness was not asked for").let_through(),
        Challenge::NotGiven => Outcome::fail("no challenge was given: the token may be a replay"),
        Challenge::Expected(challenge) if vouches_for_key(challenge) => {
            Outcome::fail(NotPlain::VouchesForKey.reason())
        }
        Challenge::Expected(challenge) if nonce == challenge => Outcome::pass(""),
        Challenge::Expected(_) => Outcome::fail("the nonce is not the challenge"),
        Challenge::Bound(bound) if nonce == bound.nonce() => Outcome::pass("bound to the key"),
        Challenge::Bound(bound) if nonce == bound.challenge() => {
            Outcome::pass("the challenge itself")
        }
        Challenge::Bound(_) => {
            Outcome::fail("the nonce is neither the challenge nor bound to the key under it")
        }
    }
}

/// Whether the nonce vouches for the key; `None` where there is none.
fn compare_binding(challenge: Challenge<'_>, nonce: &[u8]) -> Option<Outcome> {
    let Challenge::Bound(bound) = challenge else { return None };
    Some(match nonce {
        _ if nonce == bound.nonce() => Outcome::pass("the platform vouches for the key"),
        _ if nonce == bound.challenge() => {
            Outcome::fail("the nonce is the challenge alone: it vouches for no key")
        }
        _ if !vouches_for_key(nonce) => {
            Outcome::fail("the nonce has not the form of those that vouch for a key")
        }
        _ => Outcome::fail("the nonce vouches for another key, or under another challenge"),
    })
}

fn check_instance_id(claimed: Option<&[u8; instance_id::LEN]>, key: Option<&KeyId>) -> Outcome {
    let (Some(claimed), Some(key)) = (claimed, key) else {
        return Outcome::not_performed(match claimed {
            None => "there is no instance-id to compare",
            Some(_) => "the key is not known",
        });
    };
    let derivations = match key {
        KeyId::Public { .. } => &["from the point", "from the COSE_Key"][..],
        KeyId::Mac { .. } => &["from the symmetric key"],
    };
    match key.instance_ids().iter().position(|id| id == claimed) {
        Some(index) => Outcome::pass(derivations[index]),
        None => Outcome::fail("it does not derive from the key"),
    }
}

/// The algorithm, if it is one of the six that the profiles know and goes with
/// the envelope.
fn usable_algorithm(envelope: &Envelope<'_>) -> Result<Algorithm, String> {
    use Algorithm::{Es256, Es384, Es512, Hs256, Hs384, Hs512, Other};
    match (envelope.kind, envelope.algorithm) {
        (_, None) => Err("no alg in the protected header".into()),
        (_, Some(Other(number))) => Err(format!("alg {number} is not one of the profile's")),
        (Kind::Sign1, Some(algorithm @ (Es256 | Es384 | Es512)))
        | (Kind::Mac0, Some(algorithm @ (Hs256 | Hs384 | Hs512))) => Ok(algorithm),
        (Kind::Sign1, Some(algorithm)) => Err(format!("{} in a COSE_Sign1", algorithm.name())),
        (Kind::Mac0, Some(algorithm)) => Err(format!("{} in a COSE_Mac0", algorithm.name())),
    }
}
