// SPDX-License-Identifier: Apache-2.0
//! Evidence of more than one token: each is verified, and what binds them.

use devid_core::bound::NotPlain;
use std::mem::take;

use devid_core::cbor::Reason;
use devid_core::cose::{Envelope, Kind};

use super::{Challenge, Verifier, compare_binding, compare_challenge, usable_algorithm};
use crate::bound::BoundChallenge;
use crate::cca::{Profile, Realm, RealmProfile};
use crate::csr::Request;
use crate::evidence::Evidence;
use crate::key_attestation::KeyAttestation;
use crate::keys::{KeyError, PublicKey};
use crate::report::{Check, CheckResult, Outcome, Report};
use crate::reuse::SignatureUse;

impl Verifier<'_> {
    /// Verifies evidence of any form.
    pub(super) fn verify_evidence<'t>(
        &self,
        evidence: &Evidence<'t>,
        challenge: Challenge<'_>,
    ) -> Report<'t> {
        match evidence {
            Evidence::Token { token, profiles } => {
                let mut report = self.verify_token(token, challenge);
                let is_other =
                    |profiles: &[_]| !report.profile.is_some_and(|p| profiles.contains(&p));
                if profiles.is_some_and(is_other) {
                    let other = Outcome::fail("not the profile that the media type names");
                    report.also(Check::Profile, "", other);
                }
                report
            }
            Evidence::Cca { platform, realm } => self.verify_cca(platform, realm, challenge),
            Evidence::KeyAttestation { kat, platform } => {
                self.verify_key_attestation(kat, platform, challenge)
            }
            Evidence::Request { request, evidence } => {
                self.verify_request(request, evidence, challenge)
            }
            Evidence::Several(members) => {
                let mut reports = members.iter().map(|(label, member)| {
                    (label.as_str(), self.verify_evidence(member, challenge))
                });
                let Some((label, mut all)) = reports.next() else {
                    return Report::undecodable("no evidence");
                };
                all.prefix(label);
                reports.for_each(|(label, report)| all.join(label, report));
                all
            }
        }
    }

    /// The platform vouches for RAK, RAK for the realm; the realm's challenge
    /// is the verifier's.
    fn verify_cca<'t>(
        &self,
        platform: &'t [u8],
        realm: &'t [u8],
        challenge: Challenge<'_>,
    ) -> Report<'t> {
        let mut report = self.verify_token(platform, Challenge::Any);
        report.nonce = None;
        if report.profile.is_some() {
            let other = Outcome::fail("a PSA token where a CCA platform token should be");
            report.set(Check::Profile, other);
        }
        let unread = || Outcome::not_performed("the realm's claims cannot be read");
        report.set(Check::Challenge, unread());
        report.set(Check::Binding, unread());
        let envelope = match Envelope::decode(realm) {
            Ok(envelope) => envelope,
            Err(fault) => {
                report.also(Check::Decode, "realm", Outcome::fail(fault.to_string()));
                let unsigned = Outcome::fail("it cannot be read");
                report.also(Check::Signature, "realm", unsigned);
                return report;
            }
        };
        let claims = match Realm::decode(&envelope) {
            Ok(claims) => claims,
            Err(fault) => {
                let check = match fault.reason {
                    Reason::UnknownProfile => Check::Profile,
                    _ => Check::Claims,
                };
                report.also(check, "realm", Outcome::fail(fault.to_string()));
                report.also(Check::Signature, "realm", Outcome::fail("no key to check it with"));
                return report;
            }
        };
        let platform_profile = report.cca.map(|cca| cca.platform.profile);
        report.also(
            Check::Profile,
            "realm",
            match (claims.profile, platform_profile) {
                (RealmProfile::Unnamed, Some(profile)) if profile != Profile::Ssd1 => {
                    Outcome::fail("it names no profile, and the platform's is of platforms alone")
                }
                (profile, _) => Outcome::pass(profile.name()),
            },
        );
        report.also_signed("realm", envelope, claims.key());
        report.set(Check::Challenge, compare_challenge(challenge, claims.challenge));
        let platform = report.cca.as_ref().map(|cca| cca.platform.challenge);
        let binder = claims.binder();
        report.set(
            Check::Binding,
            match (platform, &binder) {
                (None, _) => Outcome::fail("the platform's challenge cannot be read"),
                (_, None) => Outcome::fail("an unknown hash algorithm of the realm's key"),
                (Some(challenge), Some(binder)) if challenge == binder => {
                    Outcome::pass("the platform vouches for the realm's key")
                }
                _ => Outcome::fail("the platform's challenge is not the hash of the realm's key"),
            },
        );
        report.also_binding(compare_binding(challenge, claims.challenge));
        report.nonce = Some(claims.challenge);
        if let Some(cca) = &mut report.cca {
            cca.realm = Some(claims);
        }
        report
    }

    /// The platform vouches for KAK, KAK for the attested key; the nonce of KAK's
    /// token is the verifier's challenge.
    fn verify_key_attestation<'t>(
        &self,
        kat: &'t [u8],
        platform: &Evidence<'t>,
        challenge: Challenge<'_>,
    ) -> Report<'t> {
        let mut report = self.verify_evidence(platform, Challenge::Any);
        let nonce = report.nonce.take();
        let unread = || Outcome::not_performed("the key attestation token cannot be read");
        report.set(Check::Challenge, unread());
        report.set(Check::Binding, unread());
        let read = Envelope::decode(kat)
            .and_then(|envelope| Ok((envelope, KeyAttestation::decode(&envelope)?)));
        let (envelope, claims) = match read {
            Ok(read) => read,
            Err(fault) => {
                report.also(Check::Decode, "kat", Outcome::fail(fault.to_string()));
                report.also(Check::Signature, "kat", Outcome::fail("it cannot be read"));
                return report;
            }
        };
        let key = PublicKey::from_cose_key(claims.attesting_key);
        report.also_signed("kat", envelope, key);
        if PublicKey::from_cose_key(claims.attested_key).is_err() {
            let no_key = Outcome::fail("the attested key is no public key of a known kind");
            report.also(Check::Claims, "kat", no_key);
        }
        report.set(Check::Challenge, compare_challenge(challenge, claims.nonce));
        let bound = nonce.map(|nonce| claims.binder(nonce.len()).as_deref() == Some(nonce));
        report.set(
            Check::Binding,
            match bound {
                // For whom it does is another matter: everybody can ask for that.
                Some(true) => {
                    Outcome::pass("the platform vouches for the attesting key").let_through()
                }
                Some(false) => {
                    Outcome::fail("the platform's nonce is not the hash of the attesting key")
                }
                None => Outcome::fail("the platform's nonce cannot be read"),
            },
        );
        if matches!(challenge, Challenge::Bound(_)) {
            // The platform's nonce is a plain hash, for which everybody can ask.
            let relayed = Outcome::fail("a key attestation bundle vouches for no key by itself");
            report.also(Check::Binding, "", relayed);
        }
        report.nonce = Some(claims.nonce);
        report.key_attestation = Some(claims);
        report
    }

    /// The platform vouches for the request's key, and that key for the request.
    fn verify_request<'t>(
        &self,
        request: &Request<'t>,
        evidence: &Evidence<'t>,
        challenge: Challenge<'_>,
    ) -> Report<'t> {
        let key = match PublicKey::from_spki(request.spki) {
            Ok(key) => key,
            Err(error) => return Report::undecodable(format!("the request's key: {error}")),
        };
        let bound = match challenge {
            Challenge::Expected(sent) => BoundChallenge::new(sent, &key).map_err(NotPlain::reason),
            Challenge::Bound(bound) => {
                BoundChallenge::new(bound.challenge(), &key).map_err(NotPlain::reason)
            }
            Challenge::Any | Challenge::NotGiven => {
                Err("without the challenge nobody can tell which key is vouched for")
            }
        };
        let mut report = self.verify_evidence(evidence, bound.map_or(challenge, Challenge::Bound));
        match (challenge, bound) {
            (_, Err(reason)) => report.set(Check::Binding, Outcome::fail(reason)),
            (Challenge::Bound(given), Ok(bound)) if given != bound => {
                report.set(Check::Binding, Outcome::fail("the request is for another key"));
            }
            _ => {}
        }
        let possession = match request.check_possession(&key) {
            Ok(algorithm) => Outcome::pass(algorithm),
            Err(reason) => Outcome::fail(reason),
        };
        report.also(Check::Signature, "request", possession);
        if request.others > 0 {
            let passed_over = format!("{} statements of other types passed over", request.others);
            report.also(Check::Decode, "request", Outcome::pass(passed_over));
        }
        report.requested_key = Some(request.spki);
        report
    }
}

/// A signature by a key that stands beside it and that something else vouches
/// for.
fn check_signature(envelope: &Envelope<'_>, key: &Result<PublicKey, KeyError>) -> Outcome {
    let algorithm = match usable_algorithm(envelope) {
        Ok(algorithm) if envelope.kind == Kind::Sign1 => algorithm,
        Ok(_) => return Outcome::fail("not a COSE_Sign1"),
        Err(reason) => return Outcome::fail(reason),
    };
    match key {
        Err(error) => Outcome::fail(format!("its key: {error}")),
        Ok(key) if !key.fits(algorithm) => Outcome::fail("its key does not go with alg"),
        Ok(key) if key.is_valid(&envelope.to_be_signed().parts(), envelope.signature) => {
            Outcome::pass(algorithm.name())
        }
        Ok(_) => Outcome::fail("not made by the key beside it"),
    }
}

impl<'t> Report<'t> {
    /// Adds the signature of another token, by a key that stands beside it.
    fn also_signed(&mut self, who: &str, envelope: Envelope<'t>, key: Result<PublicKey, KeyError>) {
        let outcome = check_signature(&envelope, &key);
        if let (true, Ok(key)) = (outcome.passed(), key) {
            self.signature_uses.push(SignatureUse::new(*key.id(), envelope));
        }
        self.also(Check::Signature, who, outcome);
    }

    /// Adds what another part of the evidence says to a check: the worse counts.
    fn also(&mut self, check: Check, who: &str, outcome: Outcome) {
        let outcome = labelled(who, outcome);
        let known = &mut self.outcomes[check as usize];
        let let_through = known.let_through || outcome.let_through;
        let severity = |result| match result {
            CheckResult::Pass => 0,
            CheckResult::NotPerformed => 1,
            CheckResult::Fail => 2,
        };
        match severity(outcome.result).cmp(&severity(known.result)) {
            std::cmp::Ordering::Less => {}
            std::cmp::Ordering::Greater => *known = outcome,
            std::cmp::Ordering::Equal => {
                let separator = match known.detail.is_empty() || outcome.detail.is_empty() {
                    true => "",
                    false => "; ",
                };
                known.detail = format!("{}{separator}{}", known.detail, outcome.detail).into();
            }
        }
        known.let_through = let_through;
    }

    /// Adds whether a nonce vouches for a key, where that was asked.
    fn also_binding(&mut self, outcome: Option<Outcome>) {
        if let Some(outcome) = outcome {
            self.also(Check::Binding, "", outcome);
        }
    }

    /// Puts a label before every detail.
    fn prefix(&mut self, label: &str) {
        for outcome in &mut self.outcomes {
            *outcome = labelled(label, outcome.clone());
        }
    }

    /// Makes it a report on both. Claims are those of one token: there are none
    /// then.
    fn join(&mut self, label: &str, other: Self) {
        other.outcomes().for_each(|(check, outcome)| self.also(check, label, outcome.clone()));
        let signature_uses = [take(&mut self.signature_uses), other.signature_uses].concat();
        *self = Self { outcomes: self.outcomes.clone(), signature_uses, ..Self::blank() };
    }
}

fn labelled(label: &str, outcome: Outcome) -> Outcome {
    match label.is_empty() || outcome.detail.is_empty() {
        true => outcome,
        false => Outcome { detail: format!("{label}: {}", outcome.detail).into(), ..outcome },
    }
}
