// SPDX-License-Identifier: Apache-2.0
//! What the checks of a document found that is no token: a
//! [CoRIM](crate::corim) or an [EAR](crate::ear).

use devid_core::cose::Algorithm;

use crate::keys::PublicKey;
use crate::report::{Outcome, Verdict};

/// A check of a document. Their order here is the order in which they are
/// reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DocumentCheck {
    /// It is well-formed.
    Decode,
    /// Its profile is known.
    Profile,
    /// Its content follows the profile's rules.
    Claims,
    /// It is signed by a trusted key.
    Signature,
    /// It is valid at the time.
    Validity,
    /// An EAR answers the nonce that was asked under.
    Nonce,
    /// An EAR is for whoever reads it.
    Audience,
    /// An EAR's status is as good as it must be.
    Status,
}

/// Everything that the checks of a document found.
#[derive(Debug)]
pub struct DocumentReport<T> {
    /// The content, if it follows the rules; genuine only under
    /// [`Verdict::Pass`].
    pub content: Option<T>,
    outcomes: Vec<(DocumentCheck, Outcome)>,
}

impl DocumentCheck {
    /// The checks of a CoRIM, in order.
    pub const OF_CORIM: &'static [Self] =
        &[Self::Decode, Self::Profile, Self::Claims, Self::Signature, Self::Validity];
    /// The checks of an EAR, in order.
    pub const OF_EAR: &'static [Self] = &[
        Self::Decode,
        Self::Profile,
        Self::Claims,
        Self::Signature,
        Self::Validity,
        Self::Nonce,
        Self::Audience,
        Self::Status,
    ];

    /// The check's stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Decode => "decode",
            Self::Profile => "profile",
            Self::Claims => "claims",
            Self::Signature => "signature",
            Self::Validity => "validity",
            Self::Nonce => "nonce",
            Self::Audience => "audience",
            Self::Status => "status",
        }
    }
}

impl<T> DocumentReport<T> {
    /// The report on what cannot be read, for that reason.
    pub fn undecodable(
        checks: &'static [DocumentCheck],
        reason: impl Into<std::borrow::Cow<'static, str>>,
    ) -> Self {
        let mut report = Self::new(checks);
        report.set(DocumentCheck::Decode, Outcome::fail(reason));
        report
    }

    /// One check's outcome: not performed for one that is not made of such
    /// documents.
    pub fn outcome(&self, check: DocumentCheck) -> &Outcome {
        static NOT_MADE: Outcome = Outcome::NONE;
        self.outcomes().find(|(known, _)| *known == check).map_or(&NOT_MADE, |(_, outcome)| outcome)
    }

    /// All checks with their outcomes, in order.
    pub fn outcomes(&self) -> impl Iterator<Item = (DocumentCheck, &Outcome)> {
        self.outcomes.iter().map(|(check, outcome)| (*check, outcome))
    }

    /// The verdict: fail if any check failed.
    pub fn verdict(&self) -> Verdict {
        match self.outcomes().any(|(_, outcome)| outcome.failed()) {
            true => Verdict::Fail,
            false => Verdict::Pass,
        }
    }

    /// The content of a document that passed, or what failed.
    pub fn into_content(self) -> Result<T, String> {
        if let Some((check, outcome)) = self.outcomes().find(|(_, outcome)| outcome.failed()) {
            return Err(format!("{}: {}", check.name(), outcome.detail));
        }
        self.content.ok_or("nothing could be read".into())
    }

    pub(crate) fn new(checks: &'static [DocumentCheck]) -> Self {
        let unread = || Outcome::not_performed("the document cannot be read");
        Self { content: None, outcomes: checks.iter().map(|&check| (check, unread())).collect() }
    }

    pub(crate) fn set(&mut self, check: DocumentCheck, outcome: Outcome) {
        let known = self.outcomes.iter_mut().find(|(known, _)| *known == check);
        match known {
            Some((_, known)) => *known = outcome,
            None => self.outcomes.push((check, outcome)),
        }
    }
}

/// Whether one of the keys made the signature.
pub(crate) fn check_signature(
    algorithm: Algorithm,
    parts: &[&[u8]],
    signature: &[u8],
    keys: &[PublicKey],
) -> Outcome {
    let mut fitting = keys.iter().filter(|key| key.fits(algorithm)).peekable();
    if keys.is_empty() {
        Outcome::fail("no key was given")
    } else if fitting.peek().is_none() {
        Outcome::fail("no trusted key goes with alg")
    } else if fitting.any(|key| key.is_valid(parts, signature)) {
        Outcome::pass(algorithm.name())
    } else {
        Outcome::fail("not made by a trusted key")
    }
}

/// A span of time, in seconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Validity {
    pub(crate) not_before: Option<i64>,
    pub(crate) not_after: Option<i64>,
}

impl Validity {
    /// What is to be said of it at that time; `None` if nothing.
    pub(crate) fn fault(&self, at: rustls_pki_types::UnixTime) -> Option<&'static str> {
        let at = i64::try_from(at.as_secs()).unwrap_or(i64::MAX);
        if self.not_before.is_some_and(|time| at < time) {
            Some("not yet valid")
        } else if self.not_after.is_some_and(|time| at > time) {
            Some("no longer valid")
        } else {
            None
        }
    }

    pub(crate) fn is_limited(&self) -> bool {
        self.not_before.is_some() || self.not_after.is_some()
    }
}
