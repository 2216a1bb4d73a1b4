// SPDX-License-Identifier: Apache-2.0
//! Certificate policies (RFC 5280, 6.1; RFC 9618): a path for which some
//! certificate demands an explicit policy has one that all of it agree on. No
//! policy is asked for by the verifier itself.
//!
//! Which policies a path is good for is nobody's question here, so of the graph
//! its last row alone is kept: the policies that the next certificate may name.
//! Nothing that prunes the rows above makes the last one empty.

use std::collections::{BTreeMap, BTreeSet};

use crate::certificate::{Certificate, extension};
use crate::der::{Malformed, Reader, count, primitive, tag};

/// The contents of an object identifier.
type Policy<'a> = &'a [u8];

/// anyPolicy, 2.5.29.32.0
const ANY_POLICY: Policy<'static> = &[0x55, 0x1d, 32, 0];
/// id-qt-cps and id-qt-unotice, 1.3.6.1.5.5.7.2.1 and .2: both inform people.
const KNOWN_QUALIFIERS: [&[u8]; 2] = [&[0x2b, 6, 1, 5, 5, 7, 2, 1], &[0x2b, 6, 1, 5, 5, 7, 2, 2]];

/// What the certificates so far allow.
pub(super) struct Policies<'a> {
    /// What the next certificate may name; none once nothing is left.
    expected: BTreeSet<Policy<'a>>,
    /// After so many more certificates there must be a policy.
    explicit_policy: u64,
    /// After so many more nothing is mapped.
    policy_mapping: u64,
    /// After so many more anyPolicy says nothing.
    inhibit_any: u64,
}

/// A path has no policy though one is demanded.
pub(super) enum Refused {
    Malformed,
    NoPolicy,
}

impl From<Malformed> for Refused {
    fn from(Malformed: Malformed) -> Self {
        Self::Malformed
    }
}

impl<'a> Policies<'a> {
    /// What holds before any certificate.
    pub(super) fn new() -> Self {
        Self {
            expected: BTreeSet::from([ANY_POLICY]),
            explicit_policy: u64::MAX,
            policy_mapping: u64::MAX,
            inhibit_any: u64::MAX,
        }
    }

    /// Takes what a trust anchor's certificate says (RFC 5937, 3): where it names
    /// policies, there are no others.
    pub(super) fn take_anchor(&mut self, anchor: &Certificate<'a>) -> Result<(), Refused> {
        if anchor.extension(extension::CERTIFICATE_POLICIES).is_some() {
            self.name(anchor, false)?;
        }
        self.constrain(anchor)?;
        Ok(())
    }

    /// Takes a certificate that another follows.
    pub(super) fn take_issuer(
        &mut self,
        certificate: &Certificate<'a>,
        is_self_issued: bool,
    ) -> Result<(), Refused> {
        self.name(certificate, is_self_issued)?;
        self.check()?;
        self.map(certificate)?;
        if !is_self_issued {
            for count in
                [&mut self.explicit_policy, &mut self.policy_mapping, &mut self.inhibit_any]
            {
                *count = count.saturating_sub(1);
            }
        }
        self.constrain(certificate)?;
        Ok(())
    }

    /// Takes the last certificate.
    pub(super) fn take_leaf(&mut self, certificate: &Certificate<'a>) -> Result<(), Refused> {
        self.name(certificate, false)?;
        self.check()?;
        self.explicit_policy = self.explicit_policy.saturating_sub(1);
        self.constrain(certificate)?;
        self.check()
    }

    fn check(&self) -> Result<(), Refused> {
        if self.explicit_policy == 0 && self.expected.is_empty() {
            return Err(Refused::NoPolicy);
        }
        Ok(())
    }

    /// certificatePolicies: 6.1.3, (d) and (e).
    fn name(
        &mut self,
        certificate: &Certificate<'a>,
        is_self_issued_issuer: bool,
    ) -> Result<(), Malformed> {
        let Some(value) = certificate.extension(extension::CERTIFICATE_POLICIES) else {
            self.expected.clear();
            return Ok(());
        };
        let named = read_policies(value, certificate.is_critical(extension::CERTIFICATE_POLICIES))?;
        let any_is_expected = self.expected.contains(ANY_POLICY);
        let any_counts = self.inhibit_any > 0 || is_self_issued_issuer;
        let mut valid: BTreeSet<_> = named
            .iter()
            .copied()
            .filter(|&policy| policy != ANY_POLICY)
            .filter(|policy| any_is_expected || self.expected.contains(policy))
            .collect();
        if named.contains(ANY_POLICY) && any_counts {
            valid.append(&mut self.expected);
        }
        self.expected = valid;
        Ok(())
    }

    /// policyMappings: 6.1.4, (a) and (b).
    fn map(&mut self, certificate: &Certificate<'a>) -> Result<(), Malformed> {
        let Some(value) = certificate.extension(extension::POLICY_MAPPINGS) else { return Ok(()) };
        let mut mappings: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        let mut list = Reader::sequence(value)?;
        while !list.is_at_end() {
            let mut fields = list.within(tag::SEQUENCE)?;
            let of_issuer = fields.contents(tag::OBJECT_IDENTIFIER)?;
            let of_subject = fields.contents(tag::OBJECT_IDENTIFIER)?;
            fields.finish()?;
            if [of_issuer, of_subject].contains(&ANY_POLICY) {
                return Err(Malformed);
            }
            mappings.entry(of_issuer).or_default().insert(of_subject);
        }
        // All are looked up before any is put in: one maps to what another maps from.
        let any_is_valid = self.expected.contains(ANY_POLICY);
        let mut mapped = BTreeSet::new();
        for (of_issuer, of_subject) in mappings {
            let was_valid = self.expected.remove(of_issuer);
            if self.policy_mapping > 0 && (was_valid || any_is_valid) {
                mapped.extend(of_subject);
            }
        }
        self.expected.append(&mut mapped);
        Ok(())
    }

    /// policyConstraints and inhibitAnyPolicy: 6.1.4, (i) and (j); 6.1.5, (b).
    fn constrain(&mut self, certificate: &Certificate<'a>) -> Result<(), Malformed> {
        if let Some(value) = certificate.extension(extension::POLICY_CONSTRAINTS) {
            let mut fields = Reader::sequence(value)?;
            let (explicit, mapping) =
                (fields.optional(primitive(0))?, fields.optional(primitive(1))?);
            fields.finish()?;
            if explicit.is_none() && mapping.is_none() {
                return Err(Malformed);
            }
            if let Some(skipped) = explicit {
                self.explicit_policy = self.explicit_policy.min(count(skipped)?);
            }
            if let Some(skipped) = mapping {
                self.policy_mapping = self.policy_mapping.min(count(skipped)?);
            }
        }
        if let Some(value) = certificate.extension(extension::INHIBIT_ANY_POLICY) {
            let mut reader = Reader::new(value);
            self.inhibit_any = self.inhibit_any.min(count(reader.contents(tag::INTEGER)?)?);
            reader.finish()?;
        }
        Ok(())
    }
}

/// The policies that a certificate names, each once. A critical extension may
/// have no qualifier that is not understood (4.2.1.4).
fn read_policies(value: &[u8], is_critical: bool) -> Result<BTreeSet<Policy<'_>>, Malformed> {
    let mut named = BTreeSet::new();
    let mut list = Reader::sequence(value)?;
    while !list.is_at_end() {
        let mut fields = list.within(tag::SEQUENCE)?;
        if !named.insert(fields.contents(tag::OBJECT_IDENTIFIER)?) {
            return Err(Malformed);
        }
        if !fields.is_at_end() {
            let mut qualifiers = fields.within(tag::SEQUENCE)?;
            while !qualifiers.is_at_end() {
                let mut qualifier = qualifiers.within(tag::SEQUENCE)?;
                let id = qualifier.contents(tag::OBJECT_IDENTIFIER)?;
                qualifier.any()?;
                qualifier.finish()?;
                if is_critical && !KNOWN_QUALIFIERS.contains(&id) {
                    return Err(Malformed);
                }
            }
        }
        fields.finish()?;
    }
    if named.is_empty() { Err(Malformed) } else { Ok(named) }
}
