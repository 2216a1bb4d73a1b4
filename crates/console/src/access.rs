// SPDX-License-Identifier: Apache-2.0
//! Who may do what: the one table that the shell and SMP share.
//! `docs/access.md` shows it, and is checked against it.
//!
//! This stands before the device's own policies, which hold for everyone: a
//! factory slot of a locked device changes by an update alone.

/// Where a command comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// A shell on a wire of the device: UART, RTT, USB.
    Console,
    /// Whoever reaches a transport of mcumgr, or a shell over a network.
    Peer,
}

/// What a command does, as far as it matters who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Reads what is public, or takes a value in pieces.
    Look,
    /// Has the attestation key sign what the caller challenges it with.
    Attest,
    /// Gives a command that proves itself by an anchor's signature.
    Update,
    /// Has the device work: try its storage, sign with an identity's key.
    Work,
    /// Changes what is operational.
    Operate,
    /// Reads the length and digest of a secret.
    Secret,
    /// Makes the factory's slots final.
    Lock,
}

/// When a caller may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Before and after the lock.
    Always,
    /// Until the device is locked; then where the product chose so.
    Chosen,
    /// Until the device is locked.
    UntilLocked,
}

/// What the product chose: who may still change what is operational once the
/// device is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Consoles.
    pub console: bool,
    /// Peers.
    pub peer: bool,
}

impl Act {
    /// All of them, in the table's order.
    pub const ALL: [Self; 7] = [
        Self::Look,
        Self::Attest,
        Self::Update,
        Self::Work,
        Self::Operate,
        Self::Secret,
        Self::Lock,
    ];

    /// The table.
    pub const fn rule(self, caller: Caller) -> Rule {
        match (self, caller) {
            (Self::Look | Self::Attest | Self::Update, _) => Rule::Always,
            (Self::Work, Caller::Console) => Rule::Always,
            (Self::Work, Caller::Peer) => Rule::Chosen,
            (Self::Operate, _) => Rule::Chosen,
            // A short secret is guessed from its digest.
            (Self::Secret | Self::Lock, _) => Rule::UntilLocked,
        }
    }
}

impl Rules {
    /// Whether a caller may, on a device that is locked or not.
    pub const fn allow(self, caller: Caller, act: Act, is_locked: bool) -> bool {
        let chosen = match caller {
            Caller::Console => self.console,
            Caller::Peer => self.peer,
        };
        match act.rule(caller) {
            Rule::Always => true,
            Rule::Chosen => !is_locked || chosen,
            Rule::UntilLocked => !is_locked,
        }
    }
}

#[cfg(all(test, feature = "smp"))]
mod tests {
    extern crate std;
    use super::*;
    use std::string::{String, ToString};
    use std::vec::Vec;
    use std::{format, fs};

    /// The rows of the document's table, from the tables of the code.
    fn rows() -> String {
        let rule = |act: Act, caller, option: &str| match act.rule(caller) {
            Rule::Always => "yes".to_string(),
            Rule::Chosen => format!("with `{option}`"),
            Rule::UntilLocked => "no".to_string(),
        };
        let mut rows = String::new();
        for act in Act::ALL {
            let shell: Vec<String> = crate::COMMANDS
                .iter()
                .filter(|command| command.act == act)
                .map(|command| {
                    format!("`{}`", format!("{} {}", command.group, command.name).trim())
                })
                .collect();
            let smp: Vec<String> = crate::smp::commands()
                .filter(|(_, _, of)| *of == act)
                .map(|(id, write, _)| format!("{id}{}", if write { "w" } else { "r" }))
                .collect();
            rows += &format!(
                "| {act:?} | {} | {} | {} | {} |\n",
                shell.join(", "),
                smp.join(", "),
                rule(act, Caller::Console, "CONFIG_DEVID_SHELL_OPERATIONAL"),
                rule(act, Caller::Peer, "CONFIG_DEVID_SMP_OPERATIONAL"),
            );
        }
        rows
    }

    #[test]
    fn the_document_shows_the_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/access.md");
        let document = fs::read_to_string(path).unwrap();
        let rows = rows();
        assert!(document.contains(&rows), "docs/access.md is to have these rows:\n{rows}");
    }

    #[test]
    fn everyone_may_everything_before_the_lock() {
        let rules = Rules { console: false, peer: false };
        for act in Act::ALL {
            assert!(rules.allow(Caller::Console, act, false));
            assert!(rules.allow(Caller::Peer, act, false));
        }
    }

    #[test]
    fn a_locked_device_shows_nobody_a_secret_and_takes_changes_where_chosen() {
        for chosen in [false, true] {
            let rules = Rules { console: chosen, peer: chosen };
            for caller in [Caller::Console, Caller::Peer] {
                assert!(!rules.allow(caller, Act::Secret, true));
                assert!(!rules.allow(caller, Act::Lock, true));
                assert!(rules.allow(caller, Act::Update, true));
                assert_eq!(rules.allow(caller, Act::Operate, true), chosen);
            }
        }
    }
}
