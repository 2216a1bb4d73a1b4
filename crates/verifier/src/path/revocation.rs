// SPDX-License-Identifier: Apache-2.0
//! Which CRL speaks of a certificate, and what it says (RFC 5280, 6.3).
//!
//! A CRL concerns a certificate if it has its issuer's name, is signed by the
//! key that issued the certificate, and the certificate lies in its scope. All
//! others are as good as absent, in whatever state they are: CRLs of strangers,
//! forged ones, those of another key of the same name. Of those that concern it
//! and are current the newest counts.

use std::ops::RangeInclusive;
use std::sync::OnceLock;

use super::name::{Name, is_same};
use crate::certificate::{CRL_SIGN, Certificate, RevocationList, Scope, extension};
use crate::der::{Malformed, Reader, constructed, tag};

/// CRLs, of whomever.
#[derive(Default)]
pub(super) struct RevocationLists(Vec<Signed>);

struct Signed {
    list: RevocationList,
    /// The key that was found to have signed it, as SubjectPublicKeyInfo.
    signer: OnceLock<Vec<u8>>,
}

/// What is known of a certificate that is not revoked.
pub(super) struct Status {
    /// Whether a CRL speaks of it.
    pub(super) is_covered: bool,
    /// The times, in seconds since 1970, around the one asked for at which the
    /// same CRLs count.
    pub(super) known: RangeInclusive<i64>,
}

impl RevocationLists {
    pub(super) fn add(&mut self, list: RevocationList) {
        self.0.push(Signed { list, signer: OnceLock::new() });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The status of a certificate, or why the path fails.
    pub(super) fn status(
        &self,
        certificate: &Certificate<'_>,
        issuer: &Certificate<'_>,
        now: i64,
    ) -> Result<Status, &'static str> {
        let mut concerned = Vec::new();
        for crl in &self.0 {
            let list = &crl.list;
            if is_same(&list.issuer, issuer.subject)
                && let Some(holds) = list.scope.holds(certificate, issuer)
                && crl.is_signed_by(issuer.spki)
            {
                concerned.push((list, holds));
            }
        }
        if concerned.is_empty() {
            return Ok(Status { is_covered: false, known: i64::MIN..=i64::MAX });
        }
        if !issuer.allows(CRL_SIGN) {
            return Err("a CRL's issuer may not sign CRLs");
        }
        let mut current = concerned.clone();
        current.retain(|(crl, _)| (crl.this_update.0..crl.next_update.0).contains(&now));
        if current.is_empty() {
            return Err(match concerned.iter().any(|(crl, _)| crl.next_update.0 <= now) {
                true => "a CRL has expired",
                false => "a CRL is not yet valid",
            });
        }
        // One for each part that an issuer's certificates are divided in; one of all
        // certificates takes the place of older ones of a part.
        let is_newest = |crl: &RevocationList| {
            current.iter().all(|(other, _)| {
                let has_all = other.scope == crl.scope || other.scope == Scope::default();
                !has_all || other.age() <= crl.age()
            })
        };
        if current.iter().any(|(crl, _)| is_newest(crl) && crl.lists(certificate.serial)) {
            return Err("a certificate is revoked");
        }
        let (mut first, mut last) = (i64::MIN, i64::MAX);
        for change in concerned.iter().flat_map(|(crl, _)| [crl.this_update.0, crl.next_update.0]) {
            match change <= now {
                true => first = first.max(change),
                false => last = last.min(change - 1),
            }
        }
        let is_covered = current.iter().any(|(_, holds)| *holds == Holds::Surely);
        Ok(Status { is_covered, known: first..=last })
    }
}

impl Signed {
    fn is_signed_by(&self, spki: &[u8]) -> bool {
        if let Some(signer) = self.signer.get() {
            return signer == spki;
        }
        let is_signed = self.list.is_signed_by(spki);
        if is_signed {
            // Whoever was faster found the same key.
            let _same = self.signer.set(spki.to_vec());
        }
        is_signed
    }
}

/// How sure it is that a certificate lies in a CRL's scope.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holds {
    /// If the CRL does not list it, it is not revoked.
    Surely,
    /// If the CRL lists it, it is revoked.
    Perhaps,
}

impl Scope {
    /// Whether a certificate lies in it; `None` where it does not.
    fn holds(&self, certificate: &Certificate<'_>, issuer: &Certificate<'_>) -> Option<Holds> {
        let is_ca = certificate.ca.is_some();
        if self.only_user_certificates && is_ca || self.only_ca_certificates && !is_ca {
            return None;
        }
        let of_certificate = certificate.extension(extension::CRL_DISTRIBUTION_POINTS);
        match (&self.distribution_point, of_certificate) {
            (None, _) => Some(Holds::Surely),
            (Some(_), None) => Some(Holds::Perhaps),
            (Some(of_list), Some(of_certificate)) => {
                let holds = holds_one_of(of_list, of_certificate, issuer.subject);
                holds.unwrap_or(Some(Holds::Perhaps))
            }
        }
    }
}

/// Whether the CRL's distribution point is one of a certificate's.
fn holds_one_of(
    of_list: &[u8],
    of_certificate: &[u8],
    issuer: &[u8],
) -> Result<Option<Holds>, Malformed> {
    let of_list = point_names(of_list, issuer)?;
    let mut holds = None;
    let mut points = Reader::sequence(of_certificate)?;
    while !points.is_at_end() {
        let mut point = points.within(tag::SEQUENCE)?;
        let Some(names) = point.optional(constructed(0))? else {
            holds = Some(Holds::Perhaps);
            continue;
        };
        if point_names(names, issuer)?.iter().any(|name| of_list.contains(name)) {
            return Ok(Some(Holds::Surely));
        }
    }
    Ok(holds)
}

/// One name of a distribution point.
#[derive(PartialEq, Eq)]
enum PointName<'a> {
    Directory(Name),
    /// A GeneralName of another form, whole.
    Other(&'a [u8]),
}

/// The names of a DistributionPointName.
fn point_names<'a>(name: &'a [u8], issuer: &[u8]) -> Result<Vec<PointName<'a>>, Malformed> {
    const FULL_NAME: u8 = constructed(0);
    const RELATIVE_NAME: u8 = constructed(1);
    const DIRECTORY_NAME: u8 = constructed(4);
    let mut choice = Reader::new(name);
    let name = choice.any()?;
    choice.finish()?;
    match name.tag {
        FULL_NAME => {
            let mut names = Reader::new(name.contents);
            let mut found = Vec::new();
            while !names.is_at_end() {
                let name = names.any()?;
                found.push(match name.tag {
                    DIRECTORY_NAME => PointName::Directory(Name::read(name.contents)?),
                    _ => PointName::Other(name.whole),
                });
            }
            Ok(found)
        }
        RELATIVE_NAME => {
            let mut full = Name::read(issuer)?;
            full.push(name.contents)?;
            Ok(vec![PointName::Directory(full)])
        }
        _ => Err(Malformed),
    }
}
