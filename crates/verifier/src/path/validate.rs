// SPDX-License-Identifier: Apache-2.0
//! Validates one path (RFC 5280, 6.1), whose signatures and names were found to
//! lead from one certificate to the next. An anchor's own constraints hold too
//! (RFC 5937).

use std::ops::RangeInclusive;

use super::constraints::{self, Constraints};
use super::name::is_same;
use super::policy::{self, Policies};
use super::revocation::RevocationLists;
use crate::certificate::{Certificate, DIGITAL_SIGNATURE, KEY_CERT_SIGN};
use crate::der::Malformed;

/// A path that is valid.
pub(super) struct Valid {
    /// The times at which it is, in seconds since 1970.
    pub(super) validity: RangeInclusive<i64>,
    /// What was not checked.
    pub(super) detail: &'static str,
}

/// Validates a path, leaf first, to an anchor.
pub(super) fn validate<'c>(
    path: &[&Certificate<'c>],
    anchor: &Certificate<'c>,
    revoked: &RevocationLists,
    now: i64,
) -> Result<Valid, &'static str> {
    if now < anchor.not_before.0 {
        return Err("the trust anchor is not yet valid");
    }
    if now > anchor.not_after.0 {
        return Err("the trust anchor has expired");
    }
    if anchor.ca.is_none() {
        return Err("the trust anchor is not a CA");
    }
    if !anchor.allows(KEY_CERT_SIGN) {
        return Err("the trust anchor's keyUsage lacks keyCertSign");
    }
    check_form(anchor)?;
    let mut constraints = Constraints::default();
    constraints.take(anchor).map_err(|Malformed| MALFORMED_CONSTRAINTS)?;
    let mut policies = Policies::new();
    policies.take_anchor(anchor).map_err(describe_policy)?;
    let mut issuers_left = anchor.ca.flatten().unwrap_or(u64::MAX);
    let mut validity = Validity(anchor.not_before.0..=anchor.not_after.0);
    let mut is_covered = true;

    let mut issuer = anchor;
    let (leaf, issuers) = path.split_first().ok_or("an empty path")?;
    for certificate in issuers.iter().rev() {
        let is_self_issued = is_same(certificate.issuer, certificate.subject);
        validity.take(certificate, now)?;
        check_form(certificate)?;
        let status = revoked.status(certificate, issuer, now)?;
        is_covered &= status.is_covered;
        validity.narrow(&status.known);
        if !is_self_issued {
            constraints.check(certificate).map_err(describe_name)?;
        }
        policies.take_issuer(certificate, is_self_issued).map_err(describe_policy)?;
        constraints.take(certificate).map_err(|Malformed| MALFORMED_CONSTRAINTS)?;
        let limit = certificate.ca.ok_or("an issuer is not a CA")?;
        if !is_self_issued {
            issuers_left = issuers_left.checked_sub(1).ok_or("a pathLenConstraint is exceeded")?;
        }
        issuers_left = issuers_left.min(limit.unwrap_or(u64::MAX));
        if !certificate.allows(KEY_CERT_SIGN) {
            return Err("an issuer's keyUsage lacks keyCertSign");
        }
        issuer = certificate;
    }

    validity.take(leaf, now)?;
    check_form(leaf)?;
    let status = revoked.status(leaf, issuer, now)?;
    is_covered &= status.is_covered;
    validity.narrow(&status.known);
    constraints.check(leaf).map_err(describe_name)?;
    policies.take_leaf(leaf).map_err(describe_policy)?;
    if !leaf.allows(DIGITAL_SIGNATURE) {
        return Err("the leaf's keyUsage lacks digitalSignature");
    }
    let detail = match revoked.is_empty() || is_covered {
        true => "",
        false => "not every certificate's issuer has a CRL here",
    };
    Ok(Valid { validity: validity.0, detail })
}

/// When everything is valid, in seconds since 1970.
struct Validity(RangeInclusive<i64>);

impl Validity {
    fn take(&mut self, certificate: &Certificate<'_>, now: i64) -> Result<(), &'static str> {
        let period = certificate.not_before.0..=certificate.not_after.0;
        if now < *period.start() {
            return Err("a certificate is not yet valid");
        }
        if now > *period.end() {
            return Err("a certificate has expired");
        }
        self.narrow(&period);
        Ok(())
    }

    fn narrow(&mut self, to: &RangeInclusive<i64>) {
        self.0 = *self.0.start().max(to.start())..=*self.0.end().min(to.end());
    }
}

/// What a certificate must be for its extensions to count.
fn check_form(certificate: &Certificate<'_>) -> Result<(), &'static str> {
    if !certificate.is_version_3 {
        return Err("a certificate is not of version 3");
    }
    if certificate.has_unknown_critical_extension() {
        return Err("an unknown critical extension");
    }
    Ok(())
}

const MALFORMED_CONSTRAINTS: &str = "malformed nameConstraints, or of a form not known here";

fn describe_name(refused: constraints::Refused) -> &'static str {
    match refused {
        constraints::Refused::Malformed => "a name that cannot be read",
        constraints::Refused::Violated => "a name outside an issuer's nameConstraints",
    }
}

fn describe_policy(refused: policy::Refused) -> &'static str {
    match refused {
        policy::Refused::Malformed => "a malformed policy extension",
        policy::Refused::NoPolicy => "no policy that all certificates agree on",
    }
}
