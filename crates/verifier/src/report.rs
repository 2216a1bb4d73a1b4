// SPDX-License-Identifier: Apache-2.0
//! What a verification found.

use std::borrow::Cow;

use devid_core::token::{Claims, Profile};

use crate::cca;
use crate::key_attestation::KeyAttestation;
use crate::reuse::SignatureUse;

/// A check. Their order here is the order in which they are reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Check {
    /// Envelope and claims map are well-formed.
    Decode,
    /// The profile is known and agrees with the claim keys.
    Profile,
    /// The claims follow the profile's rules.
    Claims,
    /// The signature or MAC is that of a trusted key.
    Signature,
    /// The nonce is the challenge.
    Challenge,
    /// The instance id derives from the key.
    InstanceId,
    /// `x5chain` leads to a trust anchor.
    CertificatePath,
    /// The security lifecycle is one that can be trusted.
    Lifecycle,
    /// The caller is one that the policy takes.
    ClientId,
    /// The software components are those of the reference values.
    Software,
    /// The key is none that everybody has.
    DevelopmentKey,
    /// Tokens that belong together are bound to each other, and to the key that
    /// they vouch for.
    Binding,
    /// The key did not sign other bytes with the same ECDSA nonce.
    NonceReuse,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckResult {
    /// It was made and passed.
    Pass,
    /// It was made and failed, or could not be made though it must.
    Fail,
    /// It was not made.
    NotPerformed,
}

/// A check's result and what there is to say about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The result.
    pub result: CheckResult,
    /// One line for a person; may be empty. It can quote the token and has to
    /// be escaped for a terminal.
    pub detail: Cow<'static, str>,
    /// Whether something was let through here, on request or by the policy, that
    /// would fail otherwise. An attestation result is not affirming then.
    pub let_through: bool,
}

/// The verdict over all checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The signature passed and no check failed.
    Pass,
    /// Anything else.
    Fail,
}

/// Everything that a verification found. It borrows from the token.
#[derive(Clone, Debug)]
pub struct Report<'t> {
    /// The generation of a PSA token, if known.
    pub profile: Option<Profile>,
    /// The claims of a PSA token, if they follow the rules; genuine, as all that
    /// stands here, only under [`Verdict::Pass`].
    pub claims: Option<Claims<'t>>,
    /// The claims of a CCA token, if they follow the rules.
    pub cca: Option<cca::Claims<'t>>,
    /// The claims of a key attestation token, if they follow the rules.
    pub key_attestation: Option<KeyAttestation<'t>>,
    /// The key that a certification request is for, as DER SubjectPublicKeyInfo.
    pub requested_key: Option<&'t [u8]>,
    /// What should be the challenge, wherever the evidence has it.
    pub nonce: Option<&'t [u8]>,
    /// Whether the key that signed is the one that an endorser names for the
    /// instance.
    pub is_endorsed: bool,
    /// The signature of one token alone, if it is a valid one by ECDSA and of a
    /// trusted key.
    pub signature_use: Option<SignatureUse<'t>>,
    /// The valid ECDSA signatures of all tokens in the evidence, by trusted keys and
    /// by keys that stand beside them.
    pub signature_uses: Vec<SignatureUse<'t>>,
    pub(crate) outcomes: [Outcome; Check::ALL.len()],
}

impl Check {
    /// All checks, in order.
    pub const ALL: [Self; 13] = [
        Self::Decode,
        Self::Profile,
        Self::Claims,
        Self::Signature,
        Self::Challenge,
        Self::InstanceId,
        Self::CertificatePath,
        Self::Lifecycle,
        Self::ClientId,
        Self::Software,
        Self::DevelopmentKey,
        Self::Binding,
        Self::NonceReuse,
    ];

    /// The check's stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Decode => "decode",
            Self::Profile => "profile",
            Self::Claims => "claims",
            Self::Signature => "signature",
            Self::Challenge => "challenge",
            Self::InstanceId => "instance-id",
            Self::CertificatePath => "certificate-path",
            Self::Lifecycle => "lifecycle",
            Self::ClientId => "client-id",
            Self::Software => "software",
            Self::DevelopmentKey => "development-key",
            Self::Binding => "binding",
            Self::NonceReuse => "nonce-reuse",
        }
    }
}

impl CheckResult {
    /// The result's stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::NotPerformed => "not-performed",
        }
    }
}

impl Verdict {
    /// The verdict's stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
        }
    }
}

impl Outcome {
    pub(crate) const NONE: Self =
        Self { result: CheckResult::NotPerformed, detail: Cow::Borrowed(""), let_through: false };

    /// The check was made and passed.
    pub fn pass(detail: impl Into<Cow<'static, str>>) -> Self {
        Self { result: CheckResult::Pass, detail: detail.into(), let_through: false }
    }

    /// The check was made and failed, or must have been made.
    pub fn fail(detail: impl Into<Cow<'static, str>>) -> Self {
        Self { result: CheckResult::Fail, detail: detail.into(), let_through: false }
    }

    /// The check was not made.
    pub fn not_performed(detail: impl Into<Cow<'static, str>>) -> Self {
        Self { result: CheckResult::NotPerformed, detail: detail.into(), let_through: false }
    }

    /// The same, for something that was let through.
    pub fn let_through(self) -> Self {
        Self { let_through: true, ..self }
    }

    /// Whether the check passed.
    pub fn passed(&self) -> bool {
        self.result == CheckResult::Pass
    }

    /// Whether the check failed.
    pub fn failed(&self) -> bool {
        self.result == CheckResult::Fail
    }
}

impl Report<'_> {
    /// The report on what is no token at all, for that reason.
    pub fn undecodable(reason: impl Into<Cow<'static, str>>) -> Self {
        let mut report = Self::blank();
        report.outcomes.fill(Outcome::not_performed("the token cannot be read"));
        report.set(Check::Decode, Outcome::fail(reason));
        report
    }

    /// A report before any check was made.
    pub(crate) fn blank() -> Self {
        Self {
            profile: None,
            claims: None,
            cca: None,
            key_attestation: None,
            requested_key: None,
            nonce: None,
            is_endorsed: false,
            signature_use: None,
            signature_uses: Vec::new(),
            outcomes: [const { Outcome::NONE }; Check::ALL.len()],
        }
    }

    /// The profile's name, if it is known.
    pub fn profile_name(&self) -> Option<&'static str> {
        let cca = || self.cca.map(|claims| claims.platform.profile.name());
        self.profile.map(Profile::name).or_else(cca)
    }

    /// One check's outcome.
    pub fn outcome(&self, check: Check) -> &Outcome {
        &self.outcomes[check as usize]
    }

    /// All checks with their outcomes, in order.
    pub fn outcomes(&self) -> impl Iterator<Item = (Check, &Outcome)> {
        Check::ALL.into_iter().zip(&self.outcomes)
    }

    /// Replaces one check's outcome, by somebody who knows more than the token
    /// and the keys say: whether a challenge was used before, for instance.
    pub fn set(&mut self, check: Check, outcome: Outcome) {
        self.outcomes[check as usize] = outcome;
    }

    /// The verdict: fail if any check failed or the signature was not passed.
    pub fn verdict(&self) -> Verdict {
        if self.outcome(Check::Signature).passed() && !self.outcomes.iter().any(Outcome::failed) {
            Verdict::Pass
        } else {
            Verdict::Fail
        }
    }
}
