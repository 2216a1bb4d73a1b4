// SPDX-License-Identifier: Apache-2.0
//! Claims as a tree that JSON and CBOR share. Reading refuses a key that stands
//! twice, which parsers of JSON let through by themselves.

use std::collections::HashSet;
use std::fmt;

use devid_core::cbor::{Key, MAX_DEPTH, Reader};
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::EarError;

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tree {
    Int(i64),
    Text(String),
    /// In CBOR alone.
    Bytes(Vec<u8>),
    Array(Vec<Tree>),
    Map(Vec<(Label, Tree)>),
    /// What no claim is made of that is looked at: fractions, booleans, tags.
    Other,
}

/// A map's key; in JSON always text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Label {
    Int(i64),
    Text(String),
    Other(Vec<u8>),
}

impl Tree {
    pub(crate) fn from_json(input: &[u8]) -> Result<Self, EarError> {
        serde_json::from_slice(input).map_err(|error| EarError(error.to_string()))
    }

    pub(crate) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    pub(crate) fn from_cbor(reader: &mut Reader<'_>) -> Result<Self, EarError> {
        Self::read(reader, MAX_DEPTH)
    }

    pub(crate) fn to_cbor(&self) -> Vec<u8> {
        let mut out = minicbor::Encoder::new(Vec::new());
        // Writing to a vector cannot fail.
        let _infallible = self.write(&mut out);
        out.into_writer()
    }

    pub(crate) fn get(&self, label: &Label) -> Option<&Self> {
        let Self::Map(entries) = self else { return None };
        entries.iter().find(|(key, _)| key == label).map(|(_, value)| value)
    }

    fn read(reader: &mut Reader<'_>, depth: usize) -> Result<Self, EarError> {
        let fault = |fault: devid_core::cbor::Fault| EarError(fault.to_string());
        let Some(deeper) = depth.checked_sub(1) else {
            return Err(EarError("nested too deep".into()));
        };
        let start = *reader;
        if let Ok(value) = reader.int() {
            return Ok(Self::Int(value));
        }
        *reader = start;
        if let Ok(value) = reader.text() {
            return Ok(Self::Text(value.to_owned()));
        }
        *reader = start;
        if let Ok(value) = reader.bytes() {
            return Ok(Self::Bytes(value.to_vec()));
        }
        *reader = start;
        if let Ok(count) = reader.array() {
            return (0..count)
                .map(|_| Self::read(reader, deeper))
                .collect::<Result<_, _>>()
                .map(Self::Array);
        }
        *reader = start;
        if let Ok(count) = reader.map() {
            let (mut entries, mut seen) = (Vec::new(), HashSet::new());
            for _ in 0..count {
                let label = match reader.key().map_err(fault)? {
                    Key::Int(key) => Label::Int(key),
                    Key::Text(key) => Label::Text(key.to_owned()),
                    Key::Bytes(key) | Key::Other(key) => Label::Other(key.to_vec()),
                };
                if !seen.insert(label.clone()) {
                    return Err(EarError("duplicate key".into()));
                }
                entries.push((label, Self::read(reader, deeper)?));
            }
            return Ok(Self::Map(entries));
        }
        *reader = start;
        reader.skip().map_err(fault)?;
        Ok(Self::Other)
    }

    fn write(
        &self,
        out: &mut minicbor::Encoder<Vec<u8>>,
    ) -> Result<(), minicbor::encode::Error<std::convert::Infallible>> {
        match self {
            Self::Int(value) => out.i64(*value)?,
            Self::Text(value) => out.str(value)?,
            Self::Bytes(value) => out.bytes(value)?,
            Self::Array(items) => {
                out.array(items.len() as u64)?;
                return items.iter().try_for_each(|item| item.write(out));
            }
            Self::Map(entries) => {
                out.map(entries.len() as u64)?;
                for (label, value) in entries {
                    match label {
                        Label::Int(key) => out.i64(*key)?,
                        Label::Text(key) => out.str(key)?,
                        Label::Other(key) => out.bytes(key)?,
                    };
                    value.write(out)?;
                }
                return Ok(());
            }
            Self::Other => out.null()?,
        };
        Ok(())
    }
}

impl From<&str> for Label {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl Serialize for Tree {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Int(value) => serializer.serialize_i64(*value),
            Self::Text(value) => serializer.serialize_str(value),
            Self::Bytes(value) => serializer.serialize_str(&data_encoding::BASE64URL.encode(value)),
            Self::Array(items) => items.serialize(serializer),
            Self::Map(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for (label, value) in entries {
                    match label {
                        Label::Text(key) => map.serialize_entry(key, value)?,
                        Label::Int(key) => map.serialize_entry(key, value)?,
                        Label::Other(_) => {}
                    }
                }
                map.end()
            }
            Self::Other => serializer.serialize_unit(),
        }
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Tree;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }

            fn visit_bool<E>(self, _: bool) -> Result<Tree, E> {
                Ok(Tree::Other)
            }

            fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
                Ok(Tree::Int(value))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
                Ok(i64::try_from(value).map_or(Tree::Other, Tree::Int))
            }

            /// JSON has one kind of number: 1.7e9 is a whole one.
            fn visit_f64<E>(self, value: f64) -> Result<Tree, E> {
                const EXACT: f64 = (1_i64 << 53) as f64;
                let is_whole = value.fract() == 0.0 && value.abs() <= EXACT;
                Ok(if is_whole { Tree::Int(value as i64) } else { Tree::Other })
            }

            fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
                Ok(Tree::Text(value.to_owned()))
            }

            fn visit_unit<E>(self) -> Result<Tree, E> {
                Ok(Tree::Other)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
                let mut array = Vec::new();
                while let Some(item) = items.next_element()? {
                    array.push(item);
                }
                Ok(Tree::Array(array))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Tree, A::Error> {
                let (mut map, mut seen) = (Vec::new(), HashSet::new());
                while let Some((key, value)) = entries.next_entry::<String, Tree>()? {
                    if !seen.insert(key.clone()) {
                        return Err(de::Error::custom(format!("duplicate key {key:?}")));
                    }
                    map.push((Label::Text(key), value));
                }
                Ok(Tree::Map(map))
            }
        }

        deserializer.deserialize_any(Any)
    }
}
