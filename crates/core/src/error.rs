// SPDX-License-Identifier: Apache-2.0
//! Every way a device call can fail: small, `Copy`, numbered, never renumbered.

use core::fmt;

/// Why a device call failed.
///
/// Four bytes, so that a result travels in a register: the device's code is
/// a tenth shorter for it. Numbers that do not fit stand at their type's limit.
///
/// [`Error::code`] is stable across releases; [`Error::errno`] is what the C
/// API returns (negated).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// An argument is outside what the call documents.
    InvalidArgument,
    /// The slot is empty, the key does not exist, or there is no such certificate.
    NotFound,
    /// The layout has no slot with that id or name.
    UnknownSlot,
    /// There is a key already; erase the identity first.
    AlreadyExists,
    /// The value is longer than the slot's limit, in bytes.
    TooLarge {
        /// The longest value accepted, in bytes.
        limit: u16,
    },
    /// The caller's buffer is too small and was left untouched.
    BufferTooSmall {
        /// The buffer length that suffices, in bytes.
        needed: u16,
    },
    /// The slot's policy does not allow this, or no longer since the device was
    /// locked.
    Denied,
    /// This platform or this slot's kind does not offer the operation.
    NotSupported,
    /// A stored record fails its digest; erase or rewrite the slot.
    Corrupt,
    /// The platform's storage has no room left.
    StorageFull,
    /// Input bytes are not what they should be.
    Malformed {
        /// What was being read.
        item: Item,
        /// Offset of the first offending byte.
        at: u16,
    },
    /// A certificate, chain or update command was understood and refused.
    Refused(Refusal),
    /// A PSA status with no better name here.
    Platform(i16),
    /// A rotation of the identity is under way; confirm it or roll it back.
    Busy,
}

/// What was being read when [`Error::Malformed`] occurred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Item {
    /// An X.509 certificate (RFC 5280) or a chain of them.
    Certificate = 1,
    /// A SubjectPublicKeyInfo or a bare P-256 point.
    PublicKey = 2,
    /// A PSA attestation token: COSE envelope or claims.
    Token = 3,
    /// An update command: COSE envelope or payload.
    Update = 4,
}

/// Why a certificate, chain or update command was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Refusal {
    /// The leaf's public key is not the key it should certify.
    KeyMismatch = 1,
    /// `cert[n]` names another issuer than the subject of `cert[n + 1]`.
    WrongOrder = 2,
    /// `cert[n]` is not signed by the key of `cert[n + 1]`.
    BadSignature = 3,
    /// An issuing certificate has no basicConstraints with cA TRUE.
    NotCa = 4,
    /// The keyUsage does not allow what the certificate is used for.
    KeyUsage = 5,
    /// A pathLenConstraint is exceeded.
    PathLength = 6,
    /// The time given is before notBefore.
    NotYetValid = 7,
    /// The time given is after notAfter.
    Expired = 8,
    /// The chain has more certificates than [`crate::limits::MAX_CHAIN_CERTS`].
    TooManyCertificates = 9,
    /// A critical extension that this reader does not know.
    CriticalExtension = 10,
    /// The key or signature algorithm is not ECDSA P-256 with SHA-256.
    Algorithm = 11,
    /// A certificate of another X.509 version than 3.
    Version = 12,
    /// The update's sequence number is not above that of the last one applied.
    Sequence = 13,
    /// The update is for another device, or for a group this one is not in.
    Target = 14,
    /// The update is signed by none of the device's trust anchors.
    UnknownSigner = 15,
    /// No anchor that may command the device would be left.
    LastAnchor = 16,
    /// The update asks for an operation that this device does not know.
    Operation = 17,
    /// No anchor of the device may command it at this time.
    NoCommander = 18,
    /// The time given is before one that the device knows to have passed.
    TimeFloor = 19,
    /// The update expires, and the application told no time to check that.
    NoTime = 20,
    /// The recovery does not answer this device's last nonce.
    Nonce = 21,
}

/// The errno of an [`Error`], by name; numbers are the C library's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the documentation")]
pub enum Errno {
    EINVAL,
    ENOENT,
    ENXIO,
    EEXIST,
    EFBIG,
    ENOBUFS,
    EACCES,
    ENOTSUP,
    EILSEQ,
    ENOSPC,
    EBADMSG,
    EPERM,
    EIO,
    EBUSY,
}

impl Errno {
    /// The name as in `<errno.h>`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EINVAL => "EINVAL",
            Self::ENOENT => "ENOENT",
            Self::ENXIO => "ENXIO",
            Self::EEXIST => "EEXIST",
            Self::EFBIG => "EFBIG",
            Self::ENOBUFS => "ENOBUFS",
            Self::EACCES => "EACCES",
            Self::ENOTSUP => "ENOTSUP",
            Self::EILSEQ => "EILSEQ",
            Self::ENOSPC => "ENOSPC",
            Self::EBADMSG => "EBADMSG",
            Self::EPERM => "EPERM",
            Self::EIO => "EIO",
            Self::EBUSY => "EBUSY",
        }
    }
}

impl Error {
    /// [`Error::BufferTooSmall`] for a length.
    pub const fn needs(len: usize) -> Self {
        Self::BufferTooSmall { needed: short(len) }
    }

    /// [`Error::Malformed`] at an offset.
    pub const fn malformed(item: Item, at: usize) -> Self {
        Self::Malformed { item, at: short(at) }
    }

    /// [`Error::Platform`] for a PSA status.
    pub const fn platform(status: i32) -> Self {
        Self::Platform(if status as i16 as i32 == status { status as i16 } else { i16::MIN })
    }

    /// The one table from error to errno.
    pub const fn errno(self) -> Errno {
        match self {
            Self::InvalidArgument => Errno::EINVAL,
            Self::NotFound => Errno::ENOENT,
            Self::UnknownSlot => Errno::ENXIO,
            Self::AlreadyExists => Errno::EEXIST,
            Self::TooLarge { .. } => Errno::EFBIG,
            Self::BufferTooSmall { .. } => Errno::ENOBUFS,
            Self::Denied => Errno::EACCES,
            Self::NotSupported => Errno::ENOTSUP,
            Self::Corrupt => Errno::EILSEQ,
            Self::StorageFull => Errno::ENOSPC,
            Self::Malformed { .. } => Errno::EBADMSG,
            Self::Refused(_) => Errno::EPERM,
            Self::Platform(_) => Errno::EIO,
            Self::Busy => Errno::EBUSY,
        }
    }

    /// The stable number of this kind of error.
    pub const fn code(self) -> u8 {
        match self {
            Self::InvalidArgument => 1,
            Self::NotFound => 2,
            Self::UnknownSlot => 3,
            Self::AlreadyExists => 4,
            Self::TooLarge { .. } => 5,
            Self::BufferTooSmall { .. } => 6,
            Self::Denied => 7,
            Self::NotSupported => 8,
            Self::Corrupt => 9,
            Self::StorageFull => 10,
            Self::Malformed { .. } => 11,
            Self::Refused(_) => 12,
            Self::Platform(_) => 13,
            Self::Busy => 14,
        }
    }

    /// What the code alone does not say: a limit, a length, an offset, the
    /// refusal's number or the PSA status; 0 where there is nothing to add.
    pub const fn detail(self) -> i32 {
        match self {
            Self::TooLarge { limit: n } | Self::BufferTooSmall { needed: n } => n as i32,
            Self::Malformed { at, .. } => at as i32,
            Self::Refused(refusal) => refusal as i32,
            Self::Platform(status) => status as i32,
            _ => 0,
        }
    }
}

const fn short(n: usize) -> u16 {
    if n > u16::MAX as usize { u16::MAX } else { n as u16 }
}

impl Item {
    /// The item in words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Certificate => "certificate",
            Self::PublicKey => "public key",
            Self::Token => "token",
            Self::Update => "update command",
        }
    }
}

impl Refusal {
    /// The refusal in words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::KeyMismatch => "the leaf certifies another key",
            Self::WrongOrder => "issuer and subject do not follow each other",
            Self::BadSignature => "a certificate is not signed by the next",
            Self::NotCa => "an issuer is not a CA",
            Self::KeyUsage => "the key usage forbids it",
            Self::PathLength => "the path length is exceeded",
            Self::NotYetValid => "not yet valid",
            Self::Expired => "expired",
            Self::TooManyCertificates => "too many certificates",
            Self::CriticalExtension => "an unknown critical extension",
            Self::Algorithm => "not ECDSA P-256 with SHA-256",
            Self::Version => "not X.509 version 3",
            Self::Sequence => "the sequence number was used before",
            Self::Target => "meant for another device or group",
            Self::UnknownSigner => "signed by no trust anchor of this device",
            Self::LastAnchor => "no trust anchor that may command would be left",
            Self::Operation => "an unknown operation",
            Self::NoCommander => "no trust anchor may command the device",
            Self::TimeFloor => "before a time that has passed",
            Self::NoTime => "it expires, and the time is not known",
            Self::Nonce => "not for the device's last recovery nonce",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidArgument => f.write_str("invalid argument"),
            Self::NotFound => f.write_str("nothing there"),
            Self::UnknownSlot => f.write_str("no such slot"),
            Self::AlreadyExists => f.write_str("exists already"),
            Self::TooLarge { limit } => write!(f, "longer than {limit} bytes"),
            Self::BufferTooSmall { needed } => write!(f, "the buffer needs {needed} bytes"),
            Self::Denied => f.write_str("denied by the slot's policy"),
            Self::NotSupported => f.write_str("not supported here"),
            Self::Corrupt => f.write_str("the stored record is corrupt"),
            Self::StorageFull => f.write_str("the storage is full"),
            Self::Malformed { item, at } => write!(f, "malformed {} at byte {at}", item.name()),
            Self::Refused(refusal) => write!(f, "refused: {}", refusal.name()),
            Self::Platform(status) => write!(f, "PSA status {status}"),
            Self::Busy => f.write_str("a rotation is under way"),
        }
    }
}

impl core::error::Error for Error {}
