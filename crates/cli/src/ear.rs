// SPDX-License-Identifier: Apache-2.0
//! Attestation results: `devid verify --ear` issues them, `devid ear` checks
//! them.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;

use devid_verifier::ear::{self, Ear, Issuance, Names, VerifierId};
use devid_verifier::{Challenge, Report, UnixTime};
use p256::ecdsa::SigningKey;
use p256::ecdsa::signature::Signer as _;
use serde::Serialize;

use crate::Exit;
use crate::document;
use crate::secret::read_signing_key;

/// Look at attestation results (EAR)
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Check attestation results, JWT or CWT, and print their status
    ///
    /// A genuine result passes, whatever it says: read the status.
    #[command(after_help = crate::VERDICT_EXIT_STATUS)]
    Verify(document::Args),
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Summary {
    profile: &'static str,
    /// The worst of all attesters.
    status: &'static str,
    issued_at: i64,
    /// By label.
    submodules: BTreeMap<String, &'static str>,
}

/// Runs an EAR command.
pub(crate) fn run(command: &Command) -> io::Result<Exit> {
    let Command::Verify(args) = command;
    document::run(args, ear::MAX_EAR_LEN, ear::verify, |ear: &Ear| Summary {
        profile: ear.names.profile(),
        status: ear.status().name(),
        issued_at: ear.issued_at,
        submodules: ear
            .submodules
            .iter()
            .map(|(label, submodule)| (label.clone(), submodule.status.name()))
            .collect(),
    })
}

/// How `devid verify` issues results.
#[derive(clap::Args)]
pub(crate) struct IssueArgs {
    /// Print a signed attestation result (EAR) a file: JWTs on lines, or CWTs as
    /// a CBOR sequence
    #[arg(long, value_name = "FORM", requires = "ear_key", conflicts_with = "json")]
    ear: Option<Form>,

    /// P-256 private key to sign results with: PEM
    #[arg(long, value_name = "FILE", requires = "ear")]
    ear_key: Option<PathBuf>,

    /// Whose names results use
    #[arg(long, value_name = "NAMES", default_value = "draft", requires = "ear")]
    ear_names: NamesArg,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Form {
    Jwt,
    Cwt,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum NamesArg {
    /// draft-ietf-rats-ear
    Draft,
    /// Project Veraison
    Veraison,
}

/// Issues results.
pub(crate) struct Issuer {
    form: Form,
    names: Names,
    key: SigningKey,
}

impl IssueArgs {
    /// What the arguments ask for, if they do.
    pub(crate) fn issuer(&self) -> Result<Option<Issuer>, String> {
        let (Some(form), Some(path)) = (self.ear, &self.ear_key) else { return Ok(None) };
        let names = match self.ear_names {
            NamesArg::Draft => Names::Draft,
            NamesArg::Veraison => Names::Veraison,
        };
        Ok(Some(Issuer { form, names, key: read_signing_key(path)? }))
    }
}

impl Issuer {
    /// Writes the result of a verification.
    pub(crate) fn issue(
        &self,
        report: &Report<'_>,
        challenge: Challenge<'_>,
        policy_id: Option<&str>,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let issuance = Issuance {
            names: self.names,
            at: UnixTime::now(),
            lifetime_seconds: None,
            verifier_id: VerifierId {
                developer: env!("CARGO_PKG_REPOSITORY").into(),
                build: concat!("devid ", env!("CARGO_PKG_VERSION")).into(),
            },
            nonce: match challenge {
                Challenge::Expected(nonce) => Some(nonce),
                Challenge::Bound(bound) => Some(bound.challenge()),
                Challenge::Any | Challenge::NotGiven => None,
            },
            policy_id,
        };
        let ear = Ear::new(report, &issuance);
        let sign = |message: &[u8]| {
            let signature: Result<p256::ecdsa::Signature, _> = self.key.try_sign(message);
            signature.map(|signature| signature.to_bytes().into()).map_err(io::Error::other)
        };
        match self.form {
            Form::Jwt => writeln!(out, "{}", ear.to_jwt(sign)?),
            Form::Cwt => out.write_all(&ear.to_cwt(sign)?),
        }
    }
}
