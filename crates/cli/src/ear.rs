// SPDX-License-Identifier: Apache-2.0
//! Attestation results: `devid verify --ear` issues them, `devid ear` checks
//! them.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;

use data_encoding::HEXLOWER;
use devid_verifier::ear::{self, Demand, Ear, Issuance, Names, Tier, VerifierId};
use devid_verifier::keys::PublicKey;
use devid_verifier::{Challenge, DocumentCheck, Report, UnixTime};
use p256::ecdsa::SigningKey;
use p256::ecdsa::signature::Signer as _;
use serde::Serialize;

use crate::Exit;
use crate::document;
use crate::secret::read_signing_key;
use crate::verify::{Hex, parse_hex};

/// Look at attestation results (EAR)
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Check attestation results, JWT or CWT, and print their status
    ///
    /// A result passes if it is genuine, in time, for whoever reads it, and affirming:
    /// exit status 0 means that. --require says what else is good enough.
    #[command(after_help = crate::VERDICT_EXIT_STATUS)]
    Verify(VerifyArgs),
}

#[derive(clap::Args)]
pub(crate) struct VerifyArgs {
    /// Worst status that passes. `any` leaves it to whoever reads the status
    #[arg(long, value_name = "STATUS", default_value = "affirming")]
    require: Require,

    /// The nonce that was asked under; a result that answers another or none fails
    #[arg(long, value_name = "HEX", value_parser = parse_hex)]
    nonce: Option<Hex>,

    /// How old a result may be, in seconds since it was issued [default: any age, until
    /// it expires]
    #[arg(long, value_name = "SECONDS")]
    max_age: Option<u64>,

    /// Who reads the result. One for others fails; given this, one for nobody in
    /// particular fails too
    #[arg(long, value_name = "NAME")]
    audience: Option<String>,

    #[command(flatten)]
    documents: document::Args,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Require {
    /// Nothing was let through, and device, configuration and software are affirmed
    Affirming,
    /// No check failed
    Warning,
    /// Genuine, whatever it says
    Any,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Summary {
    profile: &'static str,
    /// The worst of all attesters.
    status: &'static str,
    issued_at: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<i64>,
    /// In hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    audience: Option<Vec<String>>,
    /// By label.
    submodules: BTreeMap<String, &'static str>,
    /// The keys that are vouched for by label, as SubjectPublicKeyInfo in hex.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    vouched_keys: BTreeMap<String, String>,
}

/// Runs an EAR command.
pub(crate) fn run(command: &Command) -> io::Result<Exit> {
    let Command::Verify(args) = command;
    let verify = |document: &[u8], keys: &[PublicKey], at| {
        let demand = Demand {
            require: match args.require {
                Require::Affirming => Tier::Affirming,
                Require::Warning => Tier::Warning,
                Require::Any => Tier::Contraindicated,
            },
            nonce: args.nonce.as_ref().map(|Hex(nonce)| nonce.as_slice()),
            max_age_seconds: args.max_age,
            audience: args.audience.as_deref(),
            ..Demand::affirming(at)
        };
        ear::verify(document, keys, &demand)
    };
    let limits = (ear::MAX_EAR_LEN, DocumentCheck::OF_EAR);
    document::run(&args.documents, limits, verify, |ear: &Ear| Summary {
        profile: ear.names.profile(),
        status: ear.status().name(),
        issued_at: ear.issued_at,
        expires_at: ear.expires_at,
        nonce: ear.nonce.as_ref().map(|nonce| HEXLOWER.encode(nonce)),
        audience: ear.audience.clone(),
        submodules: ear
            .submodules
            .iter()
            .map(|(label, submodule)| (label.clone(), submodule.status.name()))
            .collect(),
        vouched_keys: ear
            .submodules
            .iter()
            .filter_map(|(label, submodule)| {
                Some((label.clone(), HEXLOWER.encode(submodule.vouched_key.as_ref()?)))
            })
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

    /// How long results may be used, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 3600, requires = "ear")]
    ear_lifetime: u64,
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
    lifetime_seconds: u64,
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
        let lifetime_seconds = self.ear_lifetime;
        Ok(Some(Issuer { form, names, lifetime_seconds, key: read_signing_key(path)? }))
    }
}

impl Issuer {
    /// Writes the result of a verification.
    pub(crate) fn issue(
        &self,
        report: &Report<'_>,
        challenge: Challenge<'_>,
        bound_key: Option<&PublicKey>,
        policy_id: Option<&str>,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let issuance = Issuance {
            names: self.names,
            at: UnixTime::now(),
            lifetime_seconds: self.lifetime_seconds,
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
            bound_key,
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
