// SPDX-License-Identifier: Apache-2.0
//! COSE_Sign1 and COSE_Mac0 envelopes (RFC 9052, 4.2 and 6.2), borrowed.

use crate::cbor::{Fault, HeadBytes, Key, Reader, Reason, UnknownKeys, set_once};
use crate::limits::MAX_X5CHAIN_CERTS;

/// Header labels (RFC 9052, 3.1; RFC 9360, 2).
mod label {
    pub(super) const ALG: i64 = 1;
    pub(super) const CRIT: i64 = 2;
    pub(super) const KID: i64 = 4;
    pub(super) const X5CHAIN: i64 = 33;
}

/// What protects the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A signature: COSE_Sign1, tag 18.
    Sign1,
    /// A message authentication code: COSE_Mac0, tag 17.
    Mac0,
}

/// The `alg` header (IANA COSE Algorithms).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// ECDSA with SHA-256.
    Es256,
    /// ECDSA with SHA-384.
    Es384,
    /// ECDSA with SHA-512.
    Es512,
    /// HMAC with SHA-256, 256-bit tag.
    Hs256,
    /// HMAC with SHA-384, 384-bit tag.
    Hs384,
    /// HMAC with SHA-512, 512-bit tag.
    Hs512,
    /// Another algorithm, by number; 0 (reserved) for one named by text.
    Other(i64),
}

/// A decoded envelope. Nothing in it has been verified.
#[derive(Clone, Copy, Debug)]
pub struct Envelope<'a> {
    /// Signature or MAC.
    pub kind: Kind,
    /// The protected header as it was signed: the byte string's content.
    pub protected: &'a [u8],
    /// `alg` of the protected header; one in the unprotected header is no `alg`.
    pub algorithm: Option<Algorithm>,
    /// `kid`, of either header.
    pub kid: Option<&'a [u8]>,
    /// `x5chain`, of either header.
    pub x5chain: Option<X5Chain<'a>>,
    /// The payload.
    pub payload: &'a [u8],
    /// The signature, or the MAC's tag.
    pub signature: &'a [u8],
    content: Reader<'a>,
}

/// An envelope taken apart whose headers nobody has read: all that a device
/// needs of its own tokens, and of a command whose headers are fixed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) kind: Kind,
    /// The protected header: the byte string's content, and a reader of it.
    pub(crate) protected: &'a [u8],
    inner: Reader<'a>,
    /// The unprotected header.
    unprotected: Reader<'a>,
    /// Offset of its first entry.
    pub(crate) unprotected_at: usize,
    /// Offset behind its last entry.
    pub(crate) unprotected_end: usize,
    /// How many entries it has.
    pub(crate) unprotected_count: u64,
    /// Whether one of them is an `x5chain`.
    pub(crate) has_x5chain: bool,
    pub(crate) payload: &'a [u8],
    pub(crate) content: Reader<'a>,
    pub(crate) signature: &'a [u8],
}

/// The certificates of an `x5chain` header, leaf first (RFC 9360, 2).
#[derive(Clone, Copy, Debug)]
pub struct X5Chain<'a> {
    reader: Reader<'a>,
    left: u64,
}

/// What is signed (RFC 9052, 4.4) or authenticated (6.3), in parts, so that
/// it can be hashed without being put together.
#[derive(Clone, Copy, Debug)]
pub struct ToBeSigned<'a> {
    context: &'static [u8],
    protected_head: HeadBytes,
    protected: &'a [u8],
    payload_head: HeadBytes,
    payload: &'a [u8],
}

impl<'a> Envelope<'a> {
    /// Decodes a tagged envelope that fills `input`.
    pub fn decode(input: &'a [u8]) -> Result<Self, Fault> {
        let Frame {
            kind, protected, mut inner, mut unprotected, payload, content, signature, ..
        } = Frame::decode(input)?;
        let mut headers = Headers::default();
        if !protected.is_empty() {
            headers.read(&mut inner, Bucket::Protected)?;
            inner.finish()?;
        }
        headers.check_critical()?;
        headers.read(&mut unprotected, Bucket::Unprotected)?;
        Ok(Self {
            kind,
            protected,
            algorithm: headers.algorithm,
            kid: headers.kid,
            x5chain: headers.x5chain,
            payload,
            signature,
            content,
        })
    }

    /// Reads the payload, with offsets from the start of the envelope.
    pub const fn content(&self) -> Reader<'a> {
        self.content
    }

    /// What the signature or MAC is computed over.
    pub fn to_be_signed(&self) -> ToBeSigned<'a> {
        ToBeSigned::new(self.kind, self.protected, self.payload)
    }
}

impl<'a> Frame<'a> {
    /// Takes a tagged envelope apart that fills `input`.
    #[inline(never)]
    pub(crate) fn decode(input: &'a [u8]) -> Result<Self, Fault> {
        let mut reader = Reader::new(input);
        let kind = match reader.tag() {
            Ok(18) => Kind::Sign1,
            Ok(17) => Kind::Mac0,
            Err(Fault { reason: Reason::Truncated, at }) => {
                return Err(Fault { reason: Reason::Truncated, at });
            }
            _ => return Err(Fault { reason: Reason::Tag, at: 0 }),
        };
        if reader.array()? != 4 {
            return Err(reader.fault(Reason::Type));
        }
        let (protected, inner) = reader.embedded()?;
        let unprotected = reader;
        let unprotected_count = reader.map()?;
        let unprotected_at = reader.at();
        let mut has_x5chain = false;
        for _ in 0..unprotected_count {
            let mut key = reader;
            has_x5chain |= key.int() == Ok(label::X5CHAIN);
            reader.skip_unread()?;
            reader.skip_unread()?;
        }
        let unprotected_end = reader.at();
        if reader.is_null() {
            return Err(reader.fault(Reason::Detached));
        }
        let (payload, content) = reader.embedded()?;
        let signature = reader.bytes()?;
        reader.finish()?;
        Ok(Self {
            kind,
            protected,
            inner,
            unprotected,
            unprotected_at,
            unprotected_end,
            unprotected_count,
            has_x5chain,
            payload,
            content,
            signature,
        })
    }

    /// What the signature or MAC is computed over.
    pub(crate) fn to_be_signed(self) -> ToBeSigned<'a> {
        ToBeSigned::new(self.kind, self.protected, self.payload)
    }
}

impl<'a> ToBeSigned<'a> {
    fn new(kind: Kind, protected: &'a [u8], payload: &'a [u8]) -> Self {
        Self {
            context: match kind {
                Kind::Sign1 => b"\x84\x6aSignature1",
                Kind::Mac0 => b"\x84\x64MAC0",
            },
            protected_head: HeadBytes::bytes(protected.len()),
            protected,
            payload_head: HeadBytes::bytes(payload.len()),
            payload,
        }
    }

    /// The parts, to be hashed in this order.
    pub fn parts(&self) -> [&[u8]; 6] {
        [
            self.context,
            self.protected_head.as_slice(),
            self.protected,
            &[0x40], // no external data
            self.payload_head.as_slice(),
            self.payload,
        ]
    }
}

impl Algorithm {
    /// The algorithm with that number.
    pub const fn from_number(number: i64) -> Self {
        match number {
            -7 => Self::Es256,
            -35 => Self::Es384,
            -36 => Self::Es512,
            5 => Self::Hs256,
            6 => Self::Hs384,
            7 => Self::Hs512,
            other => Self::Other(other),
        }
    }

    /// The registered name; `other` where it has none here.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
            Self::Hs256 => "HMAC 256/256",
            Self::Hs384 => "HMAC 384/384",
            Self::Hs512 => "HMAC 512/512",
            Self::Other(_) => "other",
        }
    }
}

impl<'a> X5Chain<'a> {
    /// One certificate as a byte string, or an array of two or more.
    fn decode(reader: &mut Reader<'a>) -> Result<Self, Fault> {
        let mut left = 1;
        if reader.is_array() {
            let start = *reader;
            left = reader.array()?;
            match left {
                0 | 1 => return Err(start.fault(Reason::Value)),
                _ if left > MAX_X5CHAIN_CERTS => return Err(start.fault(Reason::TooMany)),
                _ => {}
            }
        }
        let chain = Self { reader: *reader, left };
        for _ in 0..left {
            reader.bytes()?;
        }
        Ok(chain)
    }
}

impl<'a> Iterator for X5Chain<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.left = self.left.checked_sub(1)?;
        self.reader.bytes().ok()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Bucket {
    Protected,
    Unprotected,
}

/// Both header maps together: a label may stand in one of them only.
#[derive(Default)]
struct Headers<'a> {
    algorithm: Option<Algorithm>,
    unprotected_algorithm: Option<()>,
    critical: Option<Reader<'a>>,
    kid: Option<&'a [u8]>,
    x5chain: Option<X5Chain<'a>>,
    unknown: UnknownKeys,
}

impl<'a> Headers<'a> {
    fn read(&mut self, reader: &mut Reader<'a>, bucket: Bucket) -> Result<(), Fault> {
        for _ in 0..reader.map()? {
            let at = reader.at();
            match reader.key()? {
                Key::Int(label::ALG) if bucket == Bucket::Protected => {
                    let start = *reader;
                    let algorithm = match reader.key()? {
                        Key::Int(number) => Algorithm::from_number(number),
                        Key::Text(_) => Algorithm::Other(0),
                        _ => return Err(start.fault(Reason::Type)),
                    };
                    set_once(&mut self.algorithm, algorithm, at)?;
                }
                Key::Int(label::ALG) => {
                    reader.skip()?;
                    set_once(&mut self.unprotected_algorithm, (), at)?;
                    if self.algorithm.is_some() {
                        return Err(Fault { reason: Reason::Duplicate, at: at as u32 });
                    }
                }
                Key::Int(label::CRIT) => {
                    set_once(&mut self.critical, *reader, at)?;
                    reader.skip()?;
                    if bucket == Bucket::Unprotected {
                        return Err(Fault { reason: Reason::Critical, at: at as u32 });
                    }
                }
                Key::Int(label::KID) => set_once(&mut self.kid, reader.bytes()?, at)?,
                Key::Int(label::X5CHAIN) => {
                    set_once(&mut self.x5chain, X5Chain::decode(reader)?, at)?;
                }
                key => self.unknown.skip(reader, key, at)?,
            }
        }
        Ok(())
    }

    /// Every label that `crit` lists must be understood and protected. To be
    /// called when the protected header alone has been read.
    fn check_critical(&self) -> Result<(), Fault> {
        let Some(mut reader) = self.critical else { return Ok(()) };
        let refused = reader.fault(Reason::Critical);
        let count = reader.array()?;
        if count == 0 {
            return Err(refused);
        }
        for _ in 0..count {
            let present = match reader.key()? {
                Key::Int(label::ALG) => self.algorithm.is_some(),
                Key::Int(label::KID) => self.kid.is_some(),
                Key::Int(label::X5CHAIN) => self.x5chain.is_some(),
                _ => false,
            };
            if !present {
                return Err(refused);
            }
        }
        Ok(())
    }
}
