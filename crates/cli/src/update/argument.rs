// SPDX-License-Identifier: Apache-2.0
//! Devices, groups, slots and values as arguments.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use devid_core::chain::Chain;
use devid_core::der::tag;
use devid_core::instance_id;
use devid_core::layout::{Kind, STANDARD, SlotDef, SlotId};
use devid_core::limits::{MAX_GROUP_LEN, MAX_VALUE_LEN};
use devid_core::update::NONCE_LEN;
use devid_core::x509::Certificate;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::{Failed, refused};
use crate::document::named;
use crate::input::read;

/// A device: its instance id, or where that stands.
#[derive(Clone, Debug)]
pub(super) enum Device {
    Id([u8; instance_id::LEN]),
    File(PathBuf),
}

impl FromStr for Device {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match from_hex(text) {
            Some(id) => check_id(id).map(Self::Id),
            None => Ok(Self::File(text.into())),
        }
    }
}

impl Device {
    pub(super) fn instance_id(&self) -> Result<[u8; instance_id::LEN], Failed> {
        let path = match self {
            Self::Id(id) => return Ok(*id),
            Self::File(path) => path,
        };
        let content = read(path).map_err(|error| Failed::Unreadable(named(path, &error)))?;
        let id = match <[u8; instance_id::LEN]>::try_from(&content[..]) {
            Ok(id) => Some(id),
            Err(_) => str::from_utf8(&content).ok().map(str::trim).and_then(from_hex),
        };
        id.ok_or("neither 33 bytes nor as many in hex".to_owned())
            .and_then(check_id)
            .map_err(|error| refused(path, error))
    }
}

fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut id = [0; N];
    if text.len() != 2 * id.len() || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, at) in id.iter_mut().zip((0..text.len()).step_by(2)) {
        *byte = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
    }
    Some(id)
}

fn check_id(id: [u8; instance_id::LEN]) -> Result<[u8; instance_id::LEN], String> {
    match id[0] {
        instance_id::UEID_TYPE_RAND => Ok(id),
        _ => Err("not an instance id: those begin with 01".into()),
    }
}

/// A device's recovery nonce.
#[derive(Clone, Debug)]
pub(super) struct Nonce(pub(super) [u8; NONCE_LEN]);

pub(super) fn nonce(text: &str) -> Result<Nonce, String> {
    let bytes =
        from_hex(text).ok_or_else(|| format!("a nonce has {} hex digits", 2 * NONCE_LEN))?;
    Ok(Nonce(bytes))
}

pub(super) fn group(name: &str) -> Result<String, String> {
    match name.len() {
        1..=MAX_GROUP_LEN => Ok(name.to_owned()),
        _ => Err(format!("a group has a name of 1 to {MAX_GROUP_LEN} bytes")),
    }
}

/// A slot by number, of whatever layout, or by name, of the standard one.
#[derive(Clone, Copy, Debug)]
pub(super) enum Slot {
    Number(SlotId),
    Standard(&'static SlotDef<'static>),
}

impl FromStr for Slot {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(def) = STANDARD.slots.iter().find(|def| def.name == text) {
            return Ok(Self::Standard(def));
        }
        let digits = text.strip_prefix("0x").unwrap_or_default();
        match u8::from_str_radix(digits, 16).map(SlotId) {
            Ok(slot) if !slot.is_pending() => Ok(Self::Number(slot)),
            _ => Err("neither a number from 0x00 to 0x7f nor a standard slot's name".into()),
        }
    }
}

impl Slot {
    /// Whether it is known to be of that kind.
    pub(super) fn is(&self, kind: Kind) -> bool {
        matches!(self, Self::Standard(def) if def.kind == kind)
    }

    /// Its id, unless it is known to be of another kind than these.
    pub(super) fn of(&self, kinds: &[Kind]) -> Result<SlotId, Failed> {
        match self {
            Self::Standard(def) if !kinds.contains(&def.kind) => {
                Err(Failed::Refused(format!("slot {} is of another kind", def.name)))
            }
            Self::Standard(def) => Ok(def.id),
            Self::Number(id) => Ok(*id),
        }
    }
}

/// A slot's number, with its name in the standard layout if it has one there.
pub(super) fn name(slot: SlotId) -> String {
    let number = format!("{:#04x}", slot.0);
    match STANDARD.slots.iter().find(|def| def.id == slot) {
        Some(def) => format!("{number} (standard layout: {})", def.name),
        None => number,
    }
}

/// A value, as it is.
pub(super) fn read_value(path: &Path) -> Result<Vec<u8>, Failed> {
    let value = read(path).map_err(|error| Failed::Unreadable(named(path, &error)))?;
    match value.len() {
        0 => Err(refused(path, "empty; no slot takes that")),
        1..=MAX_VALUE_LEN => Ok(value),
        _ => Err(refused(
            path,
            format_args!("longer than {MAX_VALUE_LEN} bytes; no slot takes that"),
        )),
    }
}

/// Certificates as concatenated DER, leaf first.
pub(super) fn read_chain(path: &Path) -> Result<Vec<u8>, Failed> {
    let chain = certificates(path)?;
    Chain::parse(&chain).map_err(|error| refused(path, error))?;
    Ok(chain)
}

/// One CA certificate in DER.
pub(super) fn read_anchor(path: &Path) -> Result<Vec<u8>, Failed> {
    let anchor = certificates(path)?;
    match Certificate::parse(&anchor) {
        Ok(certificate) if certificate.ca.is_some() => Ok(anchor),
        Ok(_) => Err(refused(path, "not a CA's certificate")),
        Err(error) => Err(refused(path, error)),
    }
}

/// What a file of certificates holds, as concatenated DER.
fn certificates(path: &Path) -> Result<Vec<u8>, Failed> {
    let content = read(path).map_err(|error| Failed::Unreadable(named(path, &error)))?;
    if content.first() == Some(&tag::SEQUENCE) {
        return Ok(content);
    }
    let mut chain = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(&content) {
        let certificate =
            certificate.map_err(|error| refused(path, format_args!("broken PEM: {error}")))?;
        chain.extend_from_slice(&certificate);
    }
    if chain.is_empty() {
        return Err(refused(path, "no certificate in it, neither PEM nor DER"));
    }
    Ok(chain)
}
