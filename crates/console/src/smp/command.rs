// SPDX-License-Identifier: Apache-2.0
//! The table of commands: id, direction, what a request holds, who may send it.
//!
//! Ids are never used again for something else; a new command takes the next.

use super::request::Keys;

/// One command in one direction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Command {
    pub(super) id: u8,
    pub(super) write: bool,
    pub(super) verb: Verb,
    pub(super) access: Access,
    /// The keys that a request must have.
    pub(super) needs: Keys,
    /// The keys that it may have.
    pub(super) takes: Keys,
}

/// Who may send a command once the device is locked; before, everyone may
/// everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Everyone: it reads what is public, or proves itself by a signature.
    Public,
    /// Everyone where the product lets SMP change operational slots.
    Operational,
    /// No one.
    Factory,
}

/// What a command does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Status,
    SlotIds,
    SlotInfo,
    SlotRead,
    SlotWrite,
    SlotErase,
    KeyRead,
    KeyGenerate,
    Csr,
    ChainRead,
    ChainInstall,
    Certificate,
    IdentityErase,
    Phase,
    Activate,
    Confirm,
    Rollback,
    Lock,
    Reset,
    Update,
    Token,
    TokenSize,
    Evidence,
    Iak,
    Info,
    LoadProgress,
    LoadPiece,
    Abort,
    Result,
    LastError,
}

const NONE: Keys = Keys::NONE;
const SLOT: Keys = Keys::SLOT;
const VALUE: Keys = Keys::VALUE.and(Keys::SHA);
const SUBJECT: Keys = Keys::CN.and(Keys::SERIAL).and(Keys::O);

/// All commands.
#[rustfmt::skip]
pub(super) const COMMANDS: &[Command] = &[
    // It tries whether there is room for a rotation: not for everyone to repeat.
    read(0, Verb::Status, Access::Operational, NONE, Keys::NOW),
    read(1, Verb::SlotIds, Access::Public, NONE, NONE),
    read(2, Verb::SlotInfo, Access::Public, SLOT, NONE),
    read(3, Verb::SlotRead, Access::Public, SLOT, NONE),
    write(3, Verb::SlotWrite, Access::Operational, SLOT, VALUE),
    write(4, Verb::SlotErase, Access::Operational, SLOT, NONE),
    read(5, Verb::KeyRead, Access::Public, SLOT, NONE),
    write(5, Verb::KeyGenerate, Access::Operational, SLOT, NONE),
    read(6, Verb::Csr, Access::Operational, SLOT, SUBJECT.and(Keys::CHALLENGE)),
    read(7, Verb::ChainRead, Access::Public, SLOT, NONE),
    write(7, Verb::ChainInstall, Access::Operational, SLOT, VALUE.and(Keys::NOW)),
    read(8, Verb::Certificate, Access::Public, SLOT, Keys::INDEX),
    write(9, Verb::IdentityErase, Access::Operational, SLOT, NONE),
    read(10, Verb::Phase, Access::Public, SLOT, NONE),
    write(11, Verb::Activate, Access::Operational, SLOT, NONE),
    write(12, Verb::Confirm, Access::Operational, SLOT, NONE),
    write(13, Verb::Rollback, Access::Operational, SLOT, NONE),
    write(14, Verb::Lock, Access::Factory, Keys::YES, NONE),
    write(15, Verb::Reset, Access::Operational, Keys::YES, NONE),
    write(16, Verb::Update, Access::Public, NONE, VALUE.and(Keys::NOW)),
    read(17, Verb::Token, Access::Public, Keys::CHALLENGE, NONE),
    read(18, Verb::TokenSize, Access::Public, NONE, Keys::LEN),
    read(19, Verb::Evidence, Access::Public, Keys::CHALLENGE, SLOT),
    read(20, Verb::Iak, Access::Public, NONE, NONE),
    read(21, Verb::Info, Access::Public, NONE, NONE),
    read(22, Verb::LoadProgress, Access::Public, NONE, NONE),
    write(22, Verb::LoadPiece, Access::Public, Keys::OFF.and(Keys::SHA).and(Keys::DATA), Keys::LEN),
    write(23, Verb::Abort, Access::Public, NONE, NONE),
    read(24, Verb::Result, Access::Public, Keys::OFF.and(Keys::SHA), NONE),
    read(25, Verb::LastError, Access::Public, NONE, NONE),
];

const fn read(id: u8, verb: Verb, access: Access, needs: Keys, takes: Keys) -> Command {
    Command { id, write: false, verb, access, needs, takes }
}

const fn write(id: u8, verb: Verb, access: Access, needs: Keys, takes: Keys) -> Command {
    Command { id, write: true, verb, access, needs, takes }
}

impl Command {
    pub(super) fn find(id: u8, write: bool) -> Option<&'static Self> {
        COMMANDS.iter().find(|command| command.id == id && command.write == write)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_id_is_used_twice_in_one_direction() {
        for (place, command) in COMMANDS.iter().enumerate() {
            let same = |other: &&Command| other.id == command.id && other.write == command.write;
            assert_eq!(COMMANDS.iter().skip(place + 1).find(same).map(|twice| twice.id), None);
        }
    }

    #[test]
    fn zephyr_registers_every_id_and_none_is_missing() {
        assert!(COMMANDS.windows(2).all(|two| two[1].id - two[0].id <= 1));
        let registered = include_str!("../../../../zephyr/smp.c")
            .lines()
            .find_map(|line| line.strip_prefix("#define COMMANDS "))
            .unwrap();
        assert_eq!(registered.parse(), Ok(COMMANDS.last().unwrap().id + 1));
    }
}
