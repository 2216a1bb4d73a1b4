// SPDX-License-Identifier: Apache-2.0
//! Writes commands as `docs/update.cddl` has them.

use std::convert::Infallible;

use devid_core::time::UnixTime;
use devid_core::update::{Operation, PROTECTED, Target};
use minicbor::data::Tag;
use minicbor::{Encoder, encode};
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};

/// When a command was issued, and until when it may be applied.
#[derive(Clone, Copy, Default)]
pub(crate) struct Times {
    pub(crate) issued: Option<UnixTime>,
    pub(crate) expiry: Option<UnixTime>,
}

/// A signed command: deterministic, the signature included (RFC 6979).
pub(crate) fn command(
    key: &SigningKey,
    target: Target<'_>,
    sequence: i64,
    operation: Operation<'_>,
    times: Times,
) -> Result<Vec<u8>, String> {
    let payload = encoded(|e| payload(e, target, sequence, operation, times));
    let to_be_signed = encoded(|e| {
        e.array(4)?.str("Signature1")?.bytes(PROTECTED)?.bytes(&[])?.bytes(&payload)?.ok()
    });
    let signature: Signature = key.try_sign(&to_be_signed).map_err(|error| error.to_string())?;
    Ok(encoded(|e| {
        e.tag(Tag::new(18))?.array(4)?.bytes(PROTECTED)?.map(0)?.bytes(&payload)?;
        e.bytes(&signature.to_bytes())?.ok()
    }))
}

fn payload(
    e: &mut Encoder<&mut Vec<u8>>,
    target: Target<'_>,
    sequence: i64,
    operation: Operation<'_>,
    Times { issued, expiry }: Times,
) -> Encoded {
    let (number, slot, value, nonce) = match operation {
        Operation::Write(slot, value) => (1, Some(slot), Some(value), None),
        Operation::Install(slot, value) => (2, Some(slot), Some(value), None),
        Operation::AddAnchor(slot, value) => (3, Some(slot), Some(value), None),
        Operation::RevokeAnchor(slot) => (4, Some(slot), None, None),
        Operation::Reset => (5, None, None, None),
        Operation::Activate(slot) => (6, Some(slot), None, None),
        Operation::Recover(nonce, brought) => {
            (7, brought.map(|(slot, _)| slot), brought.map(|(_, value)| value), Some(nonce))
        }
    };
    let optional =
        [slot.is_some(), value.is_some(), expiry.is_some(), issued.is_some(), nonce.is_some()];
    e.map(3 + optional.iter().filter(|present| **present).count() as u64)?;
    match target {
        Target::Device(id) => e.u8(1)?.bytes(id)?,
        Target::Group(name) => e.u8(1)?.str(name)?,
    };
    e.u8(2)?.i64(sequence)?;
    e.u8(3)?.u8(number)?;
    if let Some(slot) = slot {
        e.u8(4)?.u8(slot.0)?;
    }
    if let Some(value) = value {
        e.u8(5)?.bytes(value)?;
    }
    if let Some(expiry) = expiry {
        e.u8(6)?.i64(expiry.0)?;
    }
    if let Some(issued) = issued {
        e.u8(7)?.i64(issued.0)?;
    }
    if let Some(nonce) = nonce {
        e.u8(8)?.bytes(nonce)?;
    }
    e.ok()
}

type Encoded = Result<(), encode::Error<Infallible>>;

fn encoded(write: impl FnOnce(&mut Encoder<&mut Vec<u8>>) -> Encoded) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut Encoder::new(&mut out)).expect("a vector takes every byte");
    out
}
