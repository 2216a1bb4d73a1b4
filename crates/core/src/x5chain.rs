// SPDX-License-Identifier: Apache-2.0
//! Adds a certificate chain to a token that is already signed.
//!
//! `x5chain` (RFC 9360) goes into the unprotected header, which the signature
//! does not cover, so the device can add the IAK's chain to what TF-M signed.

use crate::bytes::{copy, move_down, reverse};
use crate::cbor::HeadBytes;
use crate::cose::{Frame, Kind};
use crate::der::{Reader, tag};
use crate::error::{Error, Refusal};
use crate::limits::MAX_CHAIN_CERTS;

/// The label 33.
const LABEL: [u8; 2] = [0x18, 33];

/// What a chain adds at most to a token beside its certificates, in bytes: the
/// label, the array's head and one for each certificate.
pub const OVERHEAD: usize = LABEL.len() + 1 + 3 * MAX_CHAIN_CERTS;

/// Most entries of an unprotected header that gets one more, so that the map's
/// head keeps its length.
const MAX_ENTRIES: u64 = 22;

/// Length of the token with the chain in it, in bytes.
///
/// Errors are those of [`insert`].
pub fn inserted_len(token: &[u8], chain: &[u8]) -> Result<usize, Error> {
    Ok(Plan::new(token, chain)?.total)
}

/// Turns a COSE_Sign1 token and a certificate chain, which stand behind each
/// other in `buf`, into the token with that chain as `x5chain`. Returns its
/// length, which is what [`inserted_len`] says: a few bytes more than the two.
///
/// `chain` is concatenated DER, leaf first. Protected header, payload,
/// signature and the other unprotected entries stay as they are. On an error
/// `buf` is untouched: [`Error::BufferTooSmall`], [`Error::AlreadyExists`]
/// where the token has an `x5chain`, [`Error::NotSupported`] for a COSE_Mac0,
/// [`Error::Malformed`] where either part is not what it should be.
pub fn insert(buf: &mut [u8], token_len: usize, chain_len: usize) -> Result<usize, Error> {
    let (token, rest) = buf.split_at_checked(token_len).ok_or(Error::InvalidArgument)?;
    let chain = rest.get(..chain_len).ok_or(Error::InvalidArgument)?;
    let plan = Plan::new(token, chain)?;
    let needed = Error::needs(plan.total);
    let buf = buf.get_mut(..plan.total).ok_or(needed)?;

    // One more entry: the head's last byte holds the count, whatever its width.
    if let Some(count) = buf.get_mut(plan.entries_at.saturating_sub(1)) {
        *count = count.wrapping_add(1);
    }
    // [behind | chain | gap] becomes [gap | chain | behind], by reversals.
    let gap_len = plan.total.saturating_sub(token_len).saturating_sub(chain_len);
    let tail = buf.get_mut(plan.insert_at..).ok_or(needed)?;
    reverse(tail);
    let (entry, behind) =
        tail.split_at_mut_checked(gap_len.saturating_add(chain_len)).ok_or(needed)?;
    reverse(behind);
    reverse(entry.get_mut(gap_len..).ok_or(needed)?);

    // The heads fill the gap from its start while the certificates move down.
    let mut out = Out { buf: entry, written: 0, unread: gap_len };
    out.head(&LABEL);
    if plan.certificates > 1 {
        out.head(HeadBytes::array(plan.certificates).as_slice());
    }
    for _ in 0..plan.certificates {
        let length = next_certificate(&mut Reader::new(out.unread()))?.len();
        out.head(HeadBytes::bytes(length).as_slice());
        out.move_down(length);
    }
    Ok(plan.total)
}

/// What an insertion will do, found before anything is changed.
struct Plan {
    /// Offset of the unprotected header's first entry.
    entries_at: usize,
    /// Offset behind its last.
    insert_at: usize,
    certificates: usize,
    total: usize,
}

impl Plan {
    fn new(token: &[u8], chain: &[u8]) -> Result<Self, Error> {
        let envelope = Frame::decode(token)?;
        if envelope.kind != Kind::Sign1 || envelope.unprotected_count > MAX_ENTRIES {
            return Err(Error::NotSupported);
        }
        if envelope.has_x5chain {
            return Err(Error::AlreadyExists);
        }

        let mut heads = LABEL.len();
        let mut certificates = 0usize;
        let mut reader = Reader::new(chain);
        while certificates == 0 || !reader.is_at_end() {
            if certificates == MAX_CHAIN_CERTS {
                return Err(Error::Refused(Refusal::TooManyCertificates));
            }
            let certificate = next_certificate(&mut reader)?;
            heads = heads.saturating_add(HeadBytes::bytes(certificate.len()).len());
            certificates = certificates.saturating_add(1);
        }
        if certificates > 1 {
            heads = heads.saturating_add(HeadBytes::array(certificates).len());
        }
        Ok(Self {
            entries_at: envelope.unprotected_at,
            insert_at: envelope.unprotected_end,
            certificates,
            total: token.len().saturating_add(chain.len()).saturating_add(heads),
        })
    }
}

fn next_certificate<'a>(chain: &mut Reader<'a>) -> Result<&'a [u8], Error> {
    chain.element(tag::SEQUENCE).map_err(|_| chain.error())
}

/// Writes at the front of a buffer while reading further behind in it.
struct Out<'b> {
    buf: &'b mut [u8],
    written: usize,
    unread: usize,
}

impl Out<'_> {
    fn unread(&self) -> &[u8] {
        self.buf.get(self.unread..).unwrap_or_default()
    }

    fn head(&mut self, head: &[u8]) {
        let end = self.written.saturating_add(head.len());
        if let Some(place) = self.buf.get_mut(self.written..end) {
            copy(place, head);
        }
        self.written = end;
    }

    fn move_down(&mut self, length: usize) {
        move_down(self.buf, self.unread, self.written, length);
        self.written = self.written.saturating_add(length);
        self.unread = self.unread.saturating_add(length);
    }
}
