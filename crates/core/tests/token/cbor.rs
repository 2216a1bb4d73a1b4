// SPDX-License-Identifier: Apache-2.0
//! Writes CBOR for tests, also what no proper encoder writes.

/// A value; maps keep the order given, repeats included.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Int(i64),
    Bytes(Vec<u8>),
    Text(&'static str),
    Array(Vec<Value>),
    Map(Vec<(Value, Value)>),
    Tag(u64, Box<Value>),
    /// Already encoded, or meant to be wrong.
    Raw(Vec<u8>),
}

impl Value {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Int(value @ 0..) => head(out, 0, *value as u64),
            Self::Int(value) => head(out, 1, !*value as u64),
            Self::Bytes(bytes) => {
                head(out, 2, bytes.len() as u64);
                out.extend(bytes);
            }
            Self::Text(text) => {
                head(out, 3, text.len() as u64);
                out.extend(text.as_bytes());
            }
            Self::Array(items) => {
                head(out, 4, items.len() as u64);
                items.iter().for_each(|item| item.write(out));
            }
            Self::Map(entries) => {
                head(out, 5, entries.len() as u64);
                for (key, value) in entries {
                    key.write(out);
                    value.write(out);
                }
            }
            Self::Tag(tag, value) => {
                head(out, 6, *tag);
                value.write(out);
            }
            Self::Raw(bytes) => out.extend(bytes),
        }
    }
}

fn head(out: &mut Vec<u8>, major: u8, value: u64) {
    let (info, width) = match value {
        0..=23 => (value as u8, 0),
        24..=0xff => (24, 1),
        0x100..=0xffff => (25, 2),
        0x1_0000..=0xffff_ffff => (26, 4),
        _ => (27, 8),
    };
    out.push(major << 5 | info);
    out.extend(&value.to_be_bytes()[8 - width..]);
}
