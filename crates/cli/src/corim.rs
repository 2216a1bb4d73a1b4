// SPDX-License-Identifier: Apache-2.0
//! `devid corim`: checks CoRIMs.

use std::io;

use devid_verifier::DocumentCheck;
use devid_verifier::corim::{self, Corim};
use serde::Serialize;

use crate::Exit;
use crate::document;

/// Look at CoRIMs: reference values and attestation keys
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Check CoRIMs and say how much each holds
    ///
    /// A signed one needs the signer's key. One without a signature passes where
    /// no key was given.
    #[command(after_help = crate::VERDICT_EXIT_STATUS)]
    Verify(document::Args),
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Summary {
    profile: String,
    is_signed: bool,
    reference_values: usize,
    keys: usize,
    identities: usize,
    ignored: usize,
}

/// Runs a CoRIM command.
pub(crate) fn run(command: &Command) -> io::Result<Exit> {
    let Command::Verify(args) = command;
    let limits = (corim::MAX_CORIM_LEN, DocumentCheck::OF_CORIM);
    document::run(args, limits, corim::verify, |corim: &Corim| Summary {
        profile: corim.profile.name().to_owned(),
        is_signed: corim.is_signed,
        reference_values: corim.reference_values.len(),
        keys: corim.keys.len(),
        identities: corim.identities.len(),
        ignored: corim.ignored,
    })
}
