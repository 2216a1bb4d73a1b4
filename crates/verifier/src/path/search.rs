// SPDX-License-Identifier: Apache-2.0
//! Finds a path: along the `x5chain`, through intermediates that were given, to
//! an anchor. The first one that is valid counts; the others may fail.

use super::TrustAnchors;
use super::name::is_same;
use super::revocation::RevocationLists;
use super::validate::{Valid, validate};
use crate::certificate::Certificate;
use crate::crypto::NotSigned;
use crate::der::Malformed;
use crate::purpose::Purpose;

/// Most certificates between leaf and anchor.
const MAX_ISSUERS: usize = 64;
/// Most signatures that one search looks at.
const MAX_SIGNATURES: u32 = 256;

/// Finds a path from the first of `chain`, or says why there is none.
pub(super) fn find(
    trust: &TrustAnchors,
    chain: &[Certificate<'_>],
    now: i64,
) -> Result<Valid, &'static str> {
    check_order(chain)?;
    let leaf = chain.first().ok_or("an empty x5chain")?;
    if leaf.ca.is_some() {
        return Err("the first certificate is a CA");
    }
    let anchors = read_all(trust.anchors.iter().map(|anchor| &*anchor.der));
    let certifies_others = trust.anchors.iter().filter(|anchor| !anchor.attests_alone);
    let certifies_others = read_all(certifies_others.map(|anchor| &*anchor.der));
    let intermediates = read_all(trust.intermediates.iter().map(Vec::as_slice));
    let mut search = Search {
        anchors: &anchors,
        certifies_others: &certifies_others,
        intermediates: &intermediates,
        chain,
        revoked: &trust.revoked,
        now,
        signatures_left: MAX_SIGNATURES,
        refusal: (Nearness::NoPath, "no path to a trust anchor"),
    };
    match search.extend(&mut vec![leaf], 1) {
        Some((valid, used)) => {
            search.check_rest(used)?;
            Ok(valid)
        }
        None => Err(search.refusal.1),
    }
}

fn read_all<'c>(ders: impl Iterator<Item = &'c [u8]>) -> Vec<Certificate<'c>> {
    ders.filter_map(|der| Certificate::read(der).ok()).collect()
}

/// Each certificate stands once, and is followed by its issuer's (RFC 9360, 2).
fn check_order(chain: &[Certificate<'_>]) -> Result<(), &'static str> {
    for (at, certificate) in chain.iter().enumerate() {
        if chain[..at].iter().any(|earlier| earlier.der == certificate.der) {
            return Err("a certificate stands twice in the x5chain");
        }
    }
    match chain.windows(2).all(|pair| is_same(pair[0].issuer, pair[1].subject)) {
        true => Ok(()),
        false => Err("the x5chain is out of order"),
    }
}

struct Search<'s, 'c> {
    anchors: &'s [Certificate<'c>],
    /// Those of the anchors that certify other keys than attestation keys.
    certifies_others: &'s [Certificate<'c>],
    intermediates: &'s [Certificate<'c>],
    chain: &'s [Certificate<'c>],
    revoked: &'s RevocationLists,
    now: i64,
    signatures_left: u32,
    /// Why no path was found yet: what came nearest to one.
    refusal: (Nearness, &'static str),
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Nearness {
    NoPath,
    /// A name that leads on, and a signature that does not.
    Signature,
    /// An anchor was reached, by a path that is not valid.
    Path,
    /// There was more to try than is tried.
    Exhausted,
}

impl<'s, 'c> Search<'s, 'c> {
    /// Goes on from the last certificate of a path, `next` being what follows in
    /// the x5chain. Returns how many of the x5chain the path took.
    fn extend(
        &mut self,
        path: &mut Vec<&'s Certificate<'c>>,
        next: usize,
    ) -> Option<(Valid, usize)> {
        let last = *path.last()?;
        for anchor in self.anchors {
            if self.is_issued(last, anchor) {
                let valid = validate(path, anchor, self.revoked, self.now)
                    .and_then(|valid| self.check_purpose(path, anchor).map(|()| valid));
                match valid {
                    Ok(valid) => return Some((valid, next)),
                    Err(reason) => self.refuse(Nearness::Path, reason),
                }
            }
        }
        if path.len() > MAX_ISSUERS {
            self.refuse(Nearness::Exhausted, "the path is too long");
            return None;
        }
        let in_chain = self.chain.get(next).map(|issuer| (issuer, next + 1));
        // They may certify each other in circles; the x5chain goes one way.
        let is_new = |issuer: &&Certificate<'_>| {
            path.iter().all(|known| known.subject != issuer.subject || known.spki != issuer.spki)
        };
        let given: Vec<_> = self.intermediates.iter().filter(is_new).collect();
        let given = given.into_iter().map(|issuer| (issuer, next));
        for (issuer, next) in in_chain.into_iter().chain(given) {
            if self.is_issued(last, issuer) {
                path.push(issuer);
                let found = self.extend(path, next);
                path.pop();
                if found.is_some() {
                    return found;
                }
            }
        }
        None
    }

    /// Whether the leaf is for attestation: its extKeyUsage says so, or all CAs of
    /// the path certify nothing else. What an issuer's extKeyUsage says is not asked.
    fn check_purpose(
        &self,
        path: &[&Certificate<'_>],
        anchor: &Certificate<'_>,
    ) -> Result<(), &'static str> {
        let (leaf, issuers) = path.split_first().ok_or("an empty path")?;
        match leaf.purpose().map_err(|Malformed| "a malformed extKeyUsage")? {
            Some(Purpose::Attestation) => return Ok(()),
            Some(Purpose::Identity) => {
                return Err("the leaf's extKeyUsage does not name attestation keys");
            }
            None => {}
        }
        // The name and the key make a CA, whichever certificate of it was given.
        let certifies_others = |ca: &Certificate<'_>| {
            let mut given = self.certifies_others.iter();
            given.any(|given| is_same(given.subject, ca.subject) && given.spki == ca.spki)
        };
        if issuers.iter().any(|issuer| certifies_others(issuer)) || certifies_others(anchor) {
            return Err("the leaf has no extKeyUsage that names attestation keys; \
                        CAs that certify those alone are attestation anchors");
        }
        Ok(())
    }

    /// What the path did not need must be more of the same chain: the way to
    /// another anchor.
    fn check_rest(&mut self, used: usize) -> Result<(), &'static str> {
        let rest = self.chain.get(used.saturating_sub(1)..).unwrap_or_default();
        match rest.windows(2).all(|pair| self.is_issued(&pair[0], &pair[1])) {
            true => Ok(()),
            false => Err("the x5chain holds certificates that are not part of the chain"),
        }
    }

    /// Whether one was issued by the name and the key of the other.
    fn is_issued(&mut self, certificate: &Certificate<'_>, issuer: &Certificate<'_>) -> bool {
        if !is_same(certificate.issuer, issuer.subject) {
            return false;
        }
        let Some(left) = self.signatures_left.checked_sub(1) else {
            self.refuse(Nearness::Exhausted, "there are too many certificates to try");
            return false;
        };
        self.signatures_left = left;
        let reason = match certificate.is_signed_by(issuer.spki) {
            Ok(()) => return true,
            Err(NotSigned::Invalid) => "a certificate's signature is wrong",
            Err(NotSigned::Unsupported) => "a certificate's signature is of an unknown kind",
        };
        self.refuse(Nearness::Signature, reason);
        false
    }

    fn refuse(&mut self, nearness: Nearness, reason: &'static str) {
        if nearness > self.refusal.0 {
            self.refusal = (nearness, reason);
        }
    }
}
