// SPDX-License-Identifier: Apache-2.0
//! A response's map.

use devid_core::platform::Digest;
use devid_core::status::Finding;
use minicbor::Encoder;

use super::failure::Failure;

/// A response under construction.
pub(super) struct Reply<'o>(Encoder<&'o mut [u8]>);

/// A value in a map.
#[derive(Clone, Copy)]
pub(super) enum Value<'v> {
    /// The entry is left out.
    Absent,
    Bool(bool),
    Number(u64),
    Signed(i32),
    Text(&'v str),
    Bytes(&'v [u8]),
    /// An array of numbers.
    Numbers(&'v [u8]),
    /// An array of pairs: the problem's number, and the slot's id or null.
    Findings(&'v [Finding]),
}

/// Most bytes of the head of a byte string in a response.
const HEAD_MAX_LEN: usize = 3;

impl<'o> Reply<'o> {
    pub(super) fn new(out: &'o mut [u8]) -> Self {
        Self(Encoder::new(out))
    }

    /// Bytes of the output that are still free.
    pub(super) fn room(&self) -> usize {
        self.0.writer().len()
    }

    /// Writes a map.
    pub(super) fn map(&mut self, entries: &[(&str, Value<'_>)]) -> Result<(), Failure> {
        let present = entries.iter().filter(|(_, value)| !matches!(value, Value::Absent));
        self.0.map(present.count() as u64)?;
        for &(key, value) in entries {
            if matches!(value, Value::Absent) {
                continue;
            }
            self.0.str(key)?;
            match value {
                Value::Absent => {}
                Value::Bool(value) => self.0.bool(value)?.ok()?,
                Value::Number(value) => self.0.u64(value)?.ok()?,
                Value::Signed(value) => self.0.i32(value)?.ok()?,
                Value::Text(value) => self.0.str(value)?.ok()?,
                Value::Bytes(value) => self.0.bytes(value)?.ok()?,
                Value::Numbers(values) => {
                    self.0.array(values.len() as u64)?;
                    for value in values {
                        self.0.u8(*value)?;
                    }
                }
                Value::Findings(findings) => {
                    self.0.array(findings.len() as u64)?;
                    for Finding { problem, slot } in findings {
                        self.0.array(2)?.u8(*problem as u8)?;
                        match slot {
                            Some(slot) => self.0.u8(slot.0)?,
                            None => self.0.null()?,
                        };
                    }
                }
            }
        }
        Ok(())
    }

    /// Writes the error map of version 2 of the protocol.
    pub(super) fn refusal(&mut self, group: u16, rc: u8) -> Result<(), Failure> {
        self.0.map(1)?.str("err")?.map(2)?.str("group")?.u16(group)?.str("rc")?.u8(rc)?;
        Ok(())
    }

    /// Writes a value's length, its digest, and as much of it as fits. Returns
    /// whether that was all of it.
    pub(super) fn value(&mut self, value: &[u8], digest: &Digest) -> Result<bool, Failure> {
        self.0.map(4)?.str("len")?.u64(value.len() as u64)?.str("sha")?.bytes(digest)?;
        self.tail(value, 0)
    }

    /// Writes an offset and as much of what begins there as fits.
    pub(super) fn piece(&mut self, rest: &[u8], off: usize) -> Result<(), Failure> {
        self.0.map(2)?;
        self.tail(rest, off)?;
        Ok(())
    }

    fn tail(&mut self, rest: &[u8], off: usize) -> Result<bool, Failure> {
        self.0.str("off")?.u64(off as u64)?.str("data")?;
        let fits = rest.len().min(self.room().saturating_sub(HEAD_MAX_LEN));
        if fits == 0 && !rest.is_empty() {
            return Err(Failure::Full);
        }
        self.0.bytes(rest.get(..fits).unwrap_or_default())?;
        Ok(fits == rest.len())
    }
}
