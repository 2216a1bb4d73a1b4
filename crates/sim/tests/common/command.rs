// SPDX-License-Identifier: Apache-2.0
//! Update commands, written by hand as `docs/update.cddl` has them.
#![allow(dead_code, reason = "each test program uses a part of it")]

use devid_core::layout::SlotId;
use devid_sim::ca::ThrowAwayAnchor;
use minicbor::Encoder;
use minicbor::data::Tag;
use p256::ecdsa::Signature;
use p256::ecdsa::signature::Signer;

/// Operations by number.
pub(crate) const WRITE: u64 = 1;
pub(crate) const INSTALL: u64 = 2;
pub(crate) const ADD_ANCHOR: u64 = 3;
pub(crate) const REVOKE_ANCHOR: u64 = 4;
pub(crate) const RESET: u64 = 5;
pub(crate) const ACTIVATE: u64 = 6;

/// A command to be.
#[derive(Clone)]
pub(crate) struct Template {
    pub(crate) protected: Vec<u8>,
    pub(crate) target: Vec<u8>,
    pub(crate) sequence: u64,
    pub(crate) operation: u64,
    pub(crate) slot: Option<u64>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) expiry: Option<u64>,
    pub(crate) nonce: Option<Vec<u8>>,
}

pub(crate) fn encoded(
    write: impl FnOnce(
        &mut Encoder<&mut Vec<u8>>,
    ) -> Result<(), minicbor::encode::Error<std::convert::Infallible>>,
) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut Encoder::new(&mut out)).unwrap();
    out
}

pub(crate) fn bytes(bytes: &[u8]) -> Vec<u8> {
    encoded(|e| e.bytes(bytes)?.ok())
}

pub(crate) fn text(text: &str) -> Vec<u8> {
    encoded(|e| e.str(text)?.ok())
}

impl Template {
    pub(crate) fn new(target: &[u8], sequence: u64, operation: u64) -> Self {
        let protected =
            encoded(|e| e.map(2)?.u8(1)?.i8(-7)?.u8(3)?.str("application/devid-update+cbor")?.ok());
        let (slot, value, expiry, nonce) = (None, None, None, None);
        Self { protected, target: target.to_vec(), sequence, operation, slot, value, expiry, nonce }
    }

    pub(crate) fn slot(self, slot: SlotId) -> Self {
        Self { slot: Some(slot.0.into()), ..self }
    }

    pub(crate) fn value(self, value: &[u8]) -> Self {
        Self { value: Some(value.to_vec()), ..self }
    }

    pub(crate) fn expiry(self, expiry: i64) -> Self {
        Self { expiry: Some(expiry as u64), ..self }
    }

    /// The map's entries, key and value encoded.
    pub(crate) fn entries(&self) -> Vec<Vec<u8>> {
        let number = |key: u8, number: u64| encoded(|e| e.u8(key)?.u64(number)?.ok());
        let mut entries = vec![
            [&[1], &self.target[..]].concat(),
            number(2, self.sequence),
            number(3, self.operation),
        ];
        entries.extend(self.slot.map(|slot| number(4, slot)));
        entries.extend(self.value.as_ref().map(|value| [&[5], &bytes(value)[..]].concat()));
        entries.extend(self.expiry.map(|expiry| number(6, expiry)));
        entries.extend(self.nonce.as_ref().map(|nonce| [&[8], &bytes(nonce)[..]].concat()));
        entries
    }

    pub(crate) fn sign(&self, anchor: &ThrowAwayAnchor) -> Vec<u8> {
        sign(anchor, &self.protected, &map(&self.entries()))
    }
}

pub(crate) fn map(entries: &[Vec<u8>]) -> Vec<u8> {
    [&[0xa0 | entries.len() as u8], &entries.concat()[..]].concat()
}

pub(crate) fn sign(anchor: &ThrowAwayAnchor, protected: &[u8], payload: &[u8]) -> Vec<u8> {
    let to_be_signed = encoded(|e| {
        e.array(4)?.str("Signature1")?.bytes(protected)?.bytes(&[])?.bytes(payload)?.ok()
    });
    let signature: Signature = anchor.signing_key().sign(&to_be_signed);
    encoded(|e| {
        e.tag(Tag::new(18))?.array(4)?.bytes(protected)?.map(0)?.bytes(payload)?;
        e.bytes(&signature.to_bytes())?.ok()
    })
}
