// SPDX-License-Identifier: Apache-2.0
//! Writes commands as `docs/update.cddl` has them.

use std::convert::Infallible;

use devid_core::time::UnixTime;
use devid_core::update::{Operation, PROTECTED, Target};
use minicbor::data::Tag;
use minicbor::{Encoder, encode};
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};

/// A signed command: deterministic, the signature included (RFC 6979).
pub(crate) fn command(
    key: &SigningKey,
    target: Target<'_>,
    sequence: i64,
    operation: Operation<'_>,
    expiry: Option<UnixTime>,
) -> Result<Vec<u8>, String> {
    let payload = encoded(|e| payload(e, target, sequence, operation, expiry));
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
    expiry: Option<UnixTime>,
) -> Encoded {
    let (number, slot, value) = match operation {
        Operation::Write(slot, value) => (1, Some(slot), Some(value)),
        Operation::Install(slot, value) => (2, Some(slot), Some(value)),
        Operation::AddAnchor(slot, value) => (3, Some(slot), Some(value)),
        Operation::RevokeAnchor(slot) => (4, Some(slot), None),
        Operation::Reset => (5, None, None),
        Operation::Activate(slot) => (6, Some(slot), None),
    };
    let optional = [slot.is_some(), value.is_some(), expiry.is_some()];
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
    e.ok()
}

type Encoded = Result<(), encode::Error<Infallible>>;

fn encoded(write: impl FnOnce(&mut Encoder<&mut Vec<u8>>) -> Encoded) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut Encoder::new(&mut out)).expect("a vector takes every byte");
    out
}
