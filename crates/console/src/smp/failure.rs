// SPDX-License-Identifier: Apache-2.0
//! Why a request was refused, as numbers on the wire.

use devid_core::Error;
use devid_core::cbor::Fault;
use minicbor::encode;
use minicbor::encode::write::EndOfSlice;

/// Why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The device refused.
    Device(Error),
    /// Not the map that a request is.
    Malformed(Fault),
    /// A key at this offset that no command has; or, at 0, one that this one has not.
    UnknownKey(usize),
    /// A key that the command cannot do without.
    MissingKey,
    /// The device is locked, and SMP does this no more.
    Locked,
    /// Another session is loading a value.
    InUse,
    /// What was loaded, or the result, is not the one named.
    Stale,
    /// Bytes of the load that are still missing.
    Incomplete(usize),
    /// The bytes loaded have another digest than announced, and were dropped.
    Digest,
    /// The piece has more bytes than the load still misses.
    Overrun(usize),
    /// Longer than the buffer for long values, of this many bytes.
    TooLong(usize),
    /// The command belongs to another kind of slot.
    Kind,
    /// The response does not fit the transport's buffer.
    Full,
    /// No such command, or not in this direction.
    Unsupported,
}

/// mcumgr's own codes (`mgmt_defines.h`), for what has no response of ours.
mod mgmt {
    pub(super) const EUNKNOWN: u8 = 1;
    pub(super) const ENOMEM: u8 = 2;
    pub(super) const EINVAL: u8 = 3;
    pub(super) const ENOENT: u8 = 5;
    pub(super) const EBADSTATE: u8 = 6;
    pub(super) const EMSGSIZE: u8 = 7;
    pub(super) const ENOTSUP: u8 = 8;
    pub(super) const ECORRUPT: u8 = 9;
    pub(super) const EBUSY: u8 = 10;
    pub(super) const EACCESSDENIED: u8 = 11;
}

impl Failure {
    /// `DEVID_SMP_ERR_*`: `err.rc` of a version 2 response. Never renumbered;
    /// 0 would be success, 1 stays for what is unknown. From 2 the device's own
    /// errors, from 64 those of the protocol.
    pub(super) fn rc(self) -> u8 {
        match self {
            Self::Device(error) => error.code().saturating_add(1),
            Self::Malformed(_) => 64,
            Self::UnknownKey(_) => 65,
            Self::MissingKey => 66,
            Self::Locked => 67,
            Self::Stale => 68,
            Self::Incomplete(_) => 69,
            Self::Digest => 70,
            Self::Overrun(_) => 71,
            Self::TooLong(_) => 72,
            Self::Kind => 73,
            Self::InUse => 74,
            Self::Full | Self::Unsupported => 1,
        }
    }

    /// What the number alone does not say: an offset, a length, a limit, or
    /// [`Error::detail`].
    pub(super) fn detail(self) -> i32 {
        match self {
            Self::Device(error) => error.detail(),
            Self::Malformed(fault) => fault.at as i32,
            Self::UnknownKey(n) | Self::Incomplete(n) | Self::Overrun(n) | Self::TooLong(n) => {
                n as i32
            }
            _ => 0,
        }
    }

    /// mcumgr's code, for clients of version 1.
    pub(super) fn mgmt(self) -> u8 {
        match self {
            Self::Device(error) => match error {
                Error::NotFound | Error::UnknownSlot => mgmt::ENOENT,
                Error::AlreadyExists => mgmt::EBADSTATE,
                Error::BufferTooSmall { .. } => mgmt::EMSGSIZE,
                Error::Denied | Error::Refused(_) => mgmt::EACCESSDENIED,
                Error::NotSupported => mgmt::ENOTSUP,
                Error::Corrupt => mgmt::ECORRUPT,
                Error::StorageFull => mgmt::ENOMEM,
                Error::Platform(_) => mgmt::EUNKNOWN,
                Error::Busy => mgmt::EBUSY,
                _ => mgmt::EINVAL,
            },
            Self::Locked => mgmt::EACCESSDENIED,
            Self::Stale | Self::InUse => mgmt::EBUSY,
            Self::Incomplete(_) => mgmt::EBADSTATE,
            Self::Digest => mgmt::ECORRUPT,
            Self::Full => mgmt::EMSGSIZE,
            Self::Unsupported => mgmt::ENOTSUP,
            _ => mgmt::EINVAL,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Device(error)
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Malformed(fault)
    }
}

/// Writing fails for want of room alone.
impl From<encode::Error<EndOfSlice>> for Failure {
    fn from(_: encode::Error<EndOfSlice>) -> Self {
        Self::Full
    }
}

/// What [`crate::load`] says.
impl From<crate::Failure> for Failure {
    fn from(failure: crate::Failure) -> Self {
        use crate::Failure as Load;
        match failure {
            Load::Device(error) => Self::Device(error),
            Load::LoadTooLong(room) => Self::TooLong(room),
            Load::LoadOverrun(missing) => Self::Overrun(missing),
            Load::LoadIncomplete(missing) => Self::Incomplete(missing),
            Load::LoadDigest => Self::Digest,
            _ => Self::Stale,
        }
    }
}
