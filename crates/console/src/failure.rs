// SPDX-License-Identifier: Apache-2.0
//! Why a command failed, and what to do about it.

use core::fmt;

use devid_core::Error;
use devid_core::error::{Errno, Item, Refusal};

use crate::command::Command;
use crate::text::BadText;

/// Why a command failed. Prints as one line:
/// `error: E<NAME>: <what>; <what to do next>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The device refused.
    Device(Error),
    /// No such command.
    UnknownCommand,
    /// Too many or too few arguments.
    Arguments(&'static Command),
    /// An argument is none of those the command knows.
    UnknownArgument(&'static Command),
    /// A number was expected.
    NotANumber,
    /// The argument's encoding is not named: it could mean two things.
    NoEncoding,
    /// The argument is not what its encoding asks for.
    Text(BadText),
    /// Not a challenge length that PSA takes.
    ChallengeLength(usize),
    /// Not a SHA-256 digest in hex.
    NotADigest,
    /// The slot is an identity, which has commands of its own.
    Identity,
    /// No load was begun.
    NoLoad,
    /// The load buffer is shorter, in bytes.
    LoadTooLong(usize),
    /// The piece has more bytes than are missing.
    LoadOverrun(usize),
    /// Bytes still missing.
    LoadIncomplete(usize),
    /// The bytes loaded have another digest than announced; they were dropped.
    LoadDigest,
    /// Another shell's answer is being printed.
    Occupied,
    /// What is loaded leaves no room for the answer.
    LoadInTheWay,
    /// A typed value is of this length, in bytes, and not of the one told.
    Length(usize),
    /// What cannot be undone was not said to be meant.
    NotMeant,
    /// The output could not be written.
    Output,
}

impl Failure {
    /// The errno; the Zephyr shell's handlers return it negated.
    pub const fn errno(&self) -> Errno {
        match self {
            Self::Device(error) => error.errno(),
            Self::Identity => Errno::ENOTSUP,
            Self::NoLoad => Errno::ENOENT,
            Self::LoadTooLong(_) => Errno::EFBIG,
            Self::LoadDigest => Errno::EBADMSG,
            Self::LoadInTheWay | Self::Occupied => Errno::EBUSY,
            Self::Output => Errno::EIO,
            _ => Errno::EINVAL,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}: ", self.errno().name())?;
        match self {
            Self::Device(error) => write!(f, "{error}; {}", advice(*error)),
            Self::UnknownCommand => f.write_str("unknown command; 'help' lists them"),
            Self::Arguments(command) => {
                write!(f, "wrong number of arguments; usage: {command}")
            }
            Self::UnknownArgument(command) => {
                write!(f, "unknown or repeated argument; usage: {command}")
            }
            Self::NotANumber => f.write_str("not a number in range; give decimal digits"),
            Self::NoEncoding => f.write_str(
                "the value's encoding is not named; write hex:, base64: or text: before it, or - for loaded bytes",
            ),
            Self::Text(BadText::OddHex) => {
                f.write_str("an odd number of hex digits; two make a byte")
            }
            Self::Text(BadText::NotHex(at)) => {
                write!(f, "character {at} is no hex digit; for base64 write base64: before it")
            }
            Self::Text(BadText::TruncatedBase64) => {
                f.write_str("truncated base64; give groups of four characters, with =")
            }
            Self::Text(BadText::NotBase64(at)) => {
                write!(f, "character {at} is not base64's; give the alphabet of RFC 4648, 4")
            }
            Self::Text(BadText::TooLong(room)) => {
                write!(f, "longer than {room} bytes; give it in pieces by 'load'")
            }
            Self::ChallengeLength(len) => {
                write!(f, "a challenge of {len} bytes; PSA takes 32, 48 or 64")
            }
            Self::NotADigest => f.write_str("not a SHA-256 digest; give 64 hex digits"),
            Self::Identity => f.write_str("the slot is an identity; use the 'id' commands"),
            Self::NoLoad => f.write_str("nothing is loaded; start with 'load begin'"),
            Self::LoadTooLong(room) => {
                write!(f, "longer than the load buffer; it takes 1 to {room} bytes")
            }
            Self::LoadOverrun(missing) => {
                write!(f, "the piece was not taken, only {missing} bytes are missing; give those, or 'load abort'")
            }
            Self::LoadIncomplete(missing) => {
                write!(f, "{missing} bytes are still missing; give them by 'load data'")
            }
            Self::LoadDigest => {
                f.write_str("the bytes loaded have another digest and were dropped; load again")
            }
            Self::Occupied => f.write_str("another shell has an answer printed; try again"),
            Self::LoadInTheWay => {
                f.write_str("a loaded value leaves no room for the answer; use it, or 'load abort'")
            }
            Self::Length(len) => {
                write!(f, "{len} bytes arrived; write after the value how many were sent")
            }
            Self::NotMeant => f.write_str("this cannot be undone; say 'yes' after it"),
            Self::Output => f.write_str("the output failed; try again"),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Device(error)
    }
}

impl From<BadText> for Failure {
    fn from(bad: BadText) -> Self {
        Self::Text(bad)
    }
}

impl From<fmt::Error> for Failure {
    fn from(_: fmt::Error) -> Self {
        Self::Output
    }
}

/// What to do about a device's error.
const fn advice(error: Error) -> &'static str {
    match error {
        Error::InvalidArgument => "see 'help' for what the command takes",
        Error::NotFound => "see 'status' for what is missing",
        Error::UnknownSlot => "see 'slot list'",
        Error::AlreadyExists => "to start anew, 'id erase' first",
        Error::TooLarge { .. } => "give a shorter value, or enlarge the limit in the configuration",
        Error::BufferTooSmall { .. } => "enlarge the buffer in the configuration",
        Error::Denied => "the device is locked; have an update signed by a trust anchor",
        Error::NotSupported => "see 'slot info' for the slot's kind, 'help' for the commands",
        Error::Corrupt => "erase the slot or write it anew",
        Error::StorageFull => "erase a slot, or raise the storage's limits",
        Error::Malformed { item: Item::Update, .. } => "give the command whole, as it was signed",
        Error::Malformed { .. } => "give DER, complete and with nothing after it",
        Error::Refused(Refusal::Sequence) => "have it signed under a higher number; see 'info'",
        Error::Refused(Refusal::Target) => "see 'info' for this device's id and group",
        Error::Refused(Refusal::UnknownSigner) => "have it signed by an anchor; see 'slot list'",
        Error::Refused(Refusal::LastAnchor) => "add another before, or write over it",
        Error::Refused(Refusal::NoCommander) => {
            "write an anchor whose keyUsage has digitalSignature"
        }
        Error::Refused(Refusal::NoTime) => "the application has to tell the time",
        Error::Refused(Refusal::TimeFloor) => "check the clock",
        Error::Refused(Refusal::Nonce) => "have it signed for a new nonce",
        Error::Refused(Refusal::Operation) => "it is for a later firmware",
        Error::Refused(Refusal::Expired | Refusal::NotYetValid) => {
            "check the time given, or have it issued anew"
        }
        Error::Refused(_) => "have the chain issued as RFC 5280 asks, leaf first",
        Error::Busy => "'id confirm' it or 'id rollback' it first",
        Error::Platform(_) => "look the status up in psa/error.h, then try again",
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::ToString;

    #[test]
    fn advice_about_an_update_is_not_about_a_chain() {
        let refusals = [
            Refusal::Sequence,
            Refusal::Target,
            Refusal::UnknownSigner,
            Refusal::LastAnchor,
            Refusal::Operation,
            Refusal::Expired,
        ];
        let malformed = Error::Malformed { item: Item::Update, at: 0 };
        for error in refusals.map(Error::Refused).into_iter().chain([malformed]) {
            let line = Failure::Device(error).to_string();
            assert!(!line.contains("chain") && !line.contains("DER"), "{line}");
        }
    }
}
