// SPDX-License-Identifier: Apache-2.0
//! Key attestation tokens (draft-bft-rats-kat-06): a key attestation key (KAK)
//! vouches for another key, and a platform token has KAK's hash as challenge.
//!
//! What it proves: a platform vouched for KAK's hash at that moment. That KAK
//! cannot leave the secure side it does not prove.

use devid_core::cbor::{Fault, Key, Reader, Reason, UnknownKeys};
use devid_core::cose::Envelope;

use crate::crypto::{Hash, digest};

/// The claims of a key attestation token.
#[derive(Clone, Copy, Debug)]
pub struct KeyAttestation<'a> {
    /// The verifier's challenge.
    pub nonce: &'a [u8],
    /// KAK's public half, as a COSE_Key.
    pub attesting_key: &'a [u8],
    /// The key that KAK vouches for, as a COSE_Key.
    pub attested_key: &'a [u8],
}

impl<'a> KeyAttestation<'a> {
    /// Reads the claims of an envelope.
    pub fn decode(envelope: &Envelope<'a>) -> Result<Self, Fault> {
        const NONCE: i64 = 10;
        const CNF: i64 = 8;
        const KAK_PUB: i64 = 2500;
        let mut reader = envelope.content();
        let payload = Payload { bytes: envelope.payload, at: reader.at() };
        let (mut nonce, mut attesting_key, mut attested_key) = (None, None, None);
        let mut unknown = UnknownKeys::default();
        for _ in 0..reader.map()? {
            let start = reader;
            let repeated = match reader.key()? {
                Key::Int(NONCE) => nonce.replace(nonce_bytes(&mut reader)?).is_some(),
                Key::Int(CNF) => attested_key.replace(payload.cnf(&mut reader)?).is_some(),
                Key::Int(KAK_PUB) => attesting_key.replace(payload.map(&mut reader)?).is_some(),
                key => {
                    unknown.skip(&mut reader, key, start.at())?;
                    false
                }
            };
            if repeated {
                return Err(start.fault(Reason::Duplicate));
            }
        }
        reader.finish()?;
        let missing = Fault { reason: Reason::Missing, at: 0 };
        Ok(Self {
            nonce: nonce.ok_or(missing)?,
            attesting_key: attesting_key.ok_or(missing)?,
            attested_key: attested_key.ok_or(missing)?,
        })
    }

    /// The hash of KAK that a platform token has as its nonce, by that nonce's
    /// length.
    pub(crate) fn binder(&self, length: usize) -> Option<Vec<u8>> {
        let hash = match length {
            32 => Hash::Sha256,
            48 => Hash::Sha384,
            64 => Hash::Sha512,
            _ => return None,
        };
        Some(digest(hash, &[self.attesting_key]))
    }
}

/// The payload, to cut items out of it as they are encoded.
struct Payload<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Payload<'a> {
    /// A map, whole.
    fn map(&self, reader: &mut Reader<'a>) -> Result<&'a [u8], Fault> {
        let start = *reader;
        start.clone().map()?;
        reader.skip()?;
        let (from, to) = (start.at() - self.at, reader.at() - self.at);
        self.bytes.get(from..to).ok_or(start.fault(Reason::Truncated))
    }

    /// The COSE_Key of a `cnf` claim (RFC 8747, 3.1), which has nothing else.
    fn cnf(&self, reader: &mut Reader<'a>) -> Result<&'a [u8], Fault> {
        let start = *reader;
        if reader.map()? != 1 || reader.int()? != 1 {
            return Err(start.fault(Reason::Value));
        }
        self.map(reader)
    }
}

/// 8 to 64 bytes (RFC 9711, 4.1).
fn nonce_bytes<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], Fault> {
    let start = *reader;
    match reader.bytes()? {
        nonce if (8..=64).contains(&nonce.len()) => Ok(nonce),
        _ => Err(start.fault(Reason::Length)),
    }
}
