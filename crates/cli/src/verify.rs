// SPDX-License-Identifier: Apache-2.0
//! `devid verify`: checks tokens and says what it found.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use devid_core::time::UnixTime as CoreTime;
use devid_verifier::json::{CheckJson, ReportJson};
use devid_verifier::keys::{KeyError, KeySet, MacKey, PublicKey, Sources};
use devid_verifier::{Challenge, Policy, Report, TrustAnchors, UnixTime, Verdict, Verifier};

use crate::input::{printable, read};
use crate::{Exit, appraisal, ear};

/// Check tokens against keys or trust anchors
///
/// A token passes if its signature is that of a trusted key and no check failed.
#[derive(clap::Args)]
#[command(after_help = "\
Exit status:
  0  every verdict is pass
  1  at least one verdict is fail
  2  wrong usage
  3  a file or key could not be read (outranks 1)")]
pub(crate) struct Args {
    /// Public key to trust: PEM, DER, JWK or COSE_Key, or a certificate with it
    #[arg(long = "key", value_name = "FILE")]
    keys: Vec<PathBuf>,

    /// Symmetric key to trust: the raw bytes
    #[arg(long = "hmac-key", value_name = "FILE")]
    hmac_keys: Vec<PathBuf>,

    /// CA certificate that a token's x5chain may lead to: PEM or DER
    #[arg(long = "trust-anchor", value_name = "FILE")]
    trust_anchors: Vec<PathBuf>,

    /// The challenge that was sent, or `any` to let replays through
    #[arg(long, value_name = "HEX|any", value_parser = parse_challenge)]
    challenge: Option<GivenChallenge>,

    #[command(flatten)]
    appraisal: appraisal::AppraisalArgs,

    #[command(flatten)]
    ear: ear::IssueArgs,

    /// When certificates must be valid: 2026-11-23, 2026-11-23T12:00:00Z or
    /// seconds since 1970 [default: now]
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    at: Option<UnixTime>,

    /// Let keys through that everybody has
    #[arg(long)]
    allow_development_key: bool,

    /// Print one JSON object a file, each on a line
    #[arg(long)]
    json: bool,

    /// Tokens; `-` is standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

#[derive(Clone)]
enum GivenChallenge {
    Any,
    Bytes(Vec<u8>),
}

/// Verifies every file, in order, whatever the others are.
pub(crate) fn run(args: &Args) -> io::Result<Exit> {
    let at = args.at.unwrap_or_else(UnixTime::now);
    let given = trust(args).and_then(|trust| {
        let (known, issuer) = (args.appraisal.read(at)?, args.ear.issuer()?);
        Ok((trust, known, issuer))
    });
    let ((keys, anchors), known, issuer) = match given {
        Ok(given) => given,
        Err(error) => {
            eprintln!("devid: {error}");
            return Ok(Exit::Unreadable);
        }
    };
    let policy = Policy { at, allow_development_key: args.allow_development_key };
    let verifier = Verifier {
        keys: &Sources(&[&known.endorsements, &keys]),
        anchors: &anchors,
        policy,
        appraisal: known.appraisal(),
    };
    let challenge = match &args.challenge {
        None => Challenge::NotGiven,
        Some(GivenChallenge::Any) => Challenge::Any,
        Some(GivenChallenge::Bytes(bytes)) => Challenge::Expected(bytes),
    };

    let mut out = BufWriter::new(io::stdout().lock());
    let mut exit = Exit::Success;
    for file in &args.files {
        let content = read(file);
        let (report, error) = match &content {
            Ok(token) => (verifier.verify(token, challenge), None),
            Err(error) => {
                let reason = format!("the file could not be read: {error}");
                (Report::undecodable(reason.clone()), Some(reason))
            }
        };
        exit = exit.max(match (&error, report.verdict()) {
            (Some(_), _) => Exit::Unreadable,
            (None, Verdict::Fail) => Exit::Failure,
            (None, Verdict::Pass) => Exit::Success,
        });
        let name = file.to_string_lossy();
        let line = ReportJson { error: error.as_deref(), ..ReportJson::new(&name, &report) };
        if let Some(issuer) = &issuer {
            match &error {
                // A file that could not be read is no evidence of anything.
                Some(error) => eprintln!("devid: {}: {error}", printable(&name)),
                None => issuer.issue(&report, challenge, known.policy_id(), &mut out)?,
            }
        } else if args.json {
            serde_json::to_writer(&mut out, &line)?;
            writeln!(out)?;
        } else {
            print(&line, &mut out)?;
        }
    }
    out.flush()?;
    Ok(exit)
}

fn trust(args: &Args) -> Result<(KeySet, TrustAnchors), String> {
    fn load<T>(
        path: &Path,
        parse: impl FnOnce(Vec<u8>) -> Result<T, KeyError>,
    ) -> Result<T, String> {
        let content = fs::read(path).map_err(|error| error.to_string());
        content
            .and_then(|content| parse(content).map_err(|error| error.to_string()))
            .map_err(|error| format!("{}: {error}", printable(&path.to_string_lossy())))
    }

    let (mut keys, mut anchors) = (KeySet::default(), TrustAnchors::default());
    for path in &args.keys {
        load(path, |file| PublicKey::read_all(&file))?.into_iter().for_each(|k| keys.add_public(k));
    }
    for path in &args.hmac_keys {
        keys.add_mac(load(path, MacKey::from_bytes)?);
    }
    for path in &args.trust_anchors {
        load(path, |file| anchors.add_all(&file))?;
    }
    Ok((keys, anchors))
}

fn parse_challenge(text: &str) -> Result<GivenChallenge, String> {
    if text == "any" {
        return Ok(GivenChallenge::Any);
    }
    let digits: Option<Vec<u8>> =
        text.chars().map(|c| c.to_digit(16).map(|digit| digit as u8)).collect();
    match digits {
        Some(digits) if !digits.is_empty() && digits.len() % 2 == 0 => Ok(GivenChallenge::Bytes(
            digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect(),
        )),
        _ => Err("neither `any` nor whole bytes in hex".into()),
    }
}

pub(crate) fn parse_time(text: &str) -> Result<UnixTime, String> {
    let seconds = match text.parse::<u64>() {
        // A year, month and day without hyphens would pass for seconds of 1970.
        Ok(seconds) if text.len() != 8 => Some(seconds),
        _ => {
            let full = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
            let separators: Vec<char> = full.chars().filter(|c| !c.is_ascii_digit()).collect();
            let compact: String = full.chars().filter(|c| !matches!(c, '-' | ':' | 'T')).collect();
            (separators == ['-', '-', 'T', ':', ':', 'Z'])
                .then(|| CoreTime::from_generalized_time(compact.as_bytes()))
                .flatten()
                .and_then(|time| u64::try_from(time.0).ok())
        }
    };
    seconds
        .map(|seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
        .ok_or_else(|| "not a time such as 2026-11-23 or 2026-11-23T12:00:00Z".into())
}

/// One report as text.
fn print(line: &ReportJson<'_>, out: &mut impl Write) -> io::Result<()> {
    let detail = line.error.map(|error| format!(": {error}")).unwrap_or_default();
    writeln!(out, "{}: {}{}", printable(line.file), line.verdict, printable(&detail))?;
    if line.error.is_some() {
        return Ok(());
    }
    for CheckJson { check, result, detail } in &line.checks {
        let line = format!("  {check:<16}  {result:<13}  {}", printable(detail));
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}
