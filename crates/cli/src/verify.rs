// SPDX-License-Identifier: Apache-2.0
//! `devid verify`: checks tokens and says what it found.

use std::borrow::Cow;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::PathBuf;
use std::time::Duration;

use data_encoding::HEXLOWER_PERMISSIVE;
use devid_core::bound::{NotPlain, vouches_for_key};
use devid_core::time::UnixTime as CoreTime;
use devid_verifier::json::ReportJson;
use devid_verifier::keys::{KeySet, MacKey, PublicKey, Sources};
use devid_verifier::reuse::SignatureMemory;
use devid_verifier::{
    BoundChallenge, Challenge, Policy, Report, TrustAnchors, UnixTime, Verdict, Verifier, cmw, csr,
};
use indicatif::ProgressBar;

use crate::anchors::{AnchorArgs, load};
use crate::batch::{self, Input, Trouble};
use crate::document::{print_verdict, read_key, read_keys};
use crate::input::printable;
use crate::{Exit, appraisal, ear};

/// Check tokens against keys or trust anchors
///
/// A token passes if its signature is that of a trusted key and no check failed. A
/// certification request (PKCS#10) passes if the token in it does, vouches for the
/// request's key, and that key signed the request.
#[derive(clap::Args)]
#[command(after_help = crate::VERDICT_EXIT_STATUS)]
pub(crate) struct Args {
    /// Public key to trust: PEM, DER, JWK or COSE_Key, or a certificate with it; a
    /// directory stands for the files in it
    #[arg(long = "key", value_name = "FILE")]
    keys: Vec<PathBuf>,

    /// Symmetric key to trust: an oct JWK, a symmetric COSE_Key, or 32, 48 or 64 raw
    /// bytes
    #[arg(long = "hmac-key", value_name = "FILE")]
    hmac_keys: Vec<PathBuf>,

    #[command(flatten)]
    anchors: AnchorArgs,

    /// The challenge that was sent, or `any` to let replays through. Not 48 bytes
    /// that begin with `devid-bound-key2`: tokens with such nonces vouch for keys
    #[arg(long, value_name = "HEX|any", value_parser = parse_challenge)]
    challenge: Option<GivenChallenge>,

    /// Key that the token must vouch for, in the forms of --key, under a challenge
    /// of 32, 48 or 64 bytes: its nonce is made of challenge and key. The evidence
    /// in a certification request has to vouch for the request's key without being
    /// told
    #[arg(long, value_name = "FILE", requires = "challenge")]
    bound_key: Option<PathBuf>,

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

    /// Take each FILE for a stream of tokens: a CBOR sequence (RFC 8742) of byte
    /// strings, each with one token in it
    #[arg(long)]
    stream: bool,

    /// Tokens, or certification requests with one in them, DER or PEM; `-` is
    /// standard input, a directory stands for all files in it
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
    let given = Given::read(args, at);
    let Given { keys, anchors, known, issuer, bound_key } = match given {
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
    let challenge = match (&args.challenge, &bound_key) {
        (None, _) => Challenge::NotGiven,
        (Some(GivenChallenge::Any), None) => Challenge::Any,
        (Some(GivenChallenge::Any), Some(_)) => {
            crate::wrong_usage("--bound-key needs the challenge that was sent, not `any`")
        }
        (Some(GivenChallenge::Bytes(bytes)), None) => Challenge::Expected(bytes),
        (Some(GivenChallenge::Bytes(bytes)), Some(key)) => match BoundChallenge::new(bytes, key) {
            Ok(bound) => Challenge::Bound(bound),
            Err(reason) => crate::wrong_usage(&format!("--bound-key: {}", reason.reason())),
        },
    };

    let stance = known.appraisal().policy.map(|policy| policy.nonce_reuse).unwrap_or_default();
    let render = |checked: &Checked<'_>| -> io::Result<Vec<u8>> {
        let Checked { name, report, trouble } = checked;
        let mut out = Vec::new();
        let error = match trouble {
            Some(Trouble::Unreadable(error)) => Some(error.as_str()),
            _ => None,
        };
        let line = ReportJson { error, ..ReportJson::new(name, report) };
        match (&issuer, error) {
            // A file that could not be read is no evidence of anything.
            (Some(_), Some(error)) => eprintln!("devid: {}: {error}", printable(name)),
            (Some(issuer), None) => {
                let key = bound_key.as_ref();
                issuer.issue(report, challenge, key, known.policy_id(), &mut out)?;
            }
            (None, _) if args.json => {
                serde_json::to_writer(&mut out, &line)?;
                writeln!(out)?;
            }
            (None, _) => {
                print_verdict(line.file, line.verdict, &line.checks, line.error, &mut out)?;
            }
        }
        Ok(out)
    };

    let (mut inputs, total): (Box<dyn Iterator<Item = Input>>, _) = match args.stream {
        true => (Box::new(batch::streams(&args.files)), None),
        false => {
            let files = batch::files(&args.files);
            let total = files.len();
            (Box::new(files.into_iter()), Some(total))
        }
    };
    let progress = progress(total);
    let mut out = BufWriter::new(io::stdout().lock());
    let mut exit = Exit::Success;
    let mut signatures = SignatureMemory::default();
    loop {
        let some: Vec<_> = inputs.by_ref().take(AT_ONCE).collect();
        if some.is_empty() {
            break;
        }
        let tokens = batch::in_parallel(&some, |input| {
            input.load().map(|token| {
                cmw::to_cbor(token.into()).and_then(csr::from_pem).map(Cow::into_owned)
            })
        });
        let named: Vec<_> = some.iter().map(|input| input.name.as_str()).zip(&tokens).collect();
        let mut checked = batch::in_parallel(&named, |(name, token)| {
            let (report, trouble) = match token {
                Ok(Ok(token)) => (verifier.verify(token, challenge), None),
                Ok(Err(reason)) => (Report::undecodable(reason.clone()), None),
                Err(trouble) => (Report::undecodable(trouble.reason()), Some(trouble)),
            };
            Checked { name, report, trouble }
        });
        // In the order of the input: which of two signatures came first counts.
        for Checked { report, trouble, .. } in &mut checked {
            signatures.check(report, stance);
            exit = exit.max(match (trouble, report.verdict()) {
                (Some(Trouble::Unreadable(_)), _) => Exit::Unreadable,
                (_, Verdict::Fail) => Exit::Failure,
                (_, Verdict::Pass) => Exit::Success,
            });
        }
        for lines in batch::in_parallel(&checked, render) {
            out.write_all(&lines?)?;
        }
        progress.inc(checked.len() as u64);
    }
    out.flush()?;
    progress.finish_and_clear();
    Ok(exit)
}

/// Tokens that are read, verified and printed before the next.
const AT_ONCE: usize = 512;

/// What was found, until it is printed.
struct Checked<'t> {
    name: &'t str,
    report: Report<'t>,
    trouble: Option<&'t Trouble>,
}

/// A bar where somebody sees it, and where it does not stand among the lines.
fn progress(total: Option<usize>) -> ProgressBar {
    let is_long = total.is_none_or(|total| total > AT_ONCE);
    if !is_long || !io::stderr().is_terminal() || io::stdout().is_terminal() {
        return ProgressBar::hidden();
    }
    match total {
        Some(total) => ProgressBar::new(total as u64),
        None => ProgressBar::new_spinner(),
    }
}

/// What the files said.
struct Given {
    keys: KeySet,
    anchors: TrustAnchors,
    known: appraisal::Known,
    issuer: Option<ear::Issuer>,
    bound_key: Option<PublicKey>,
}

impl Given {
    /// Reads the files. An error names the file.
    fn read(args: &Args, at: UnixTime) -> Result<Self, String> {
        let public = read_keys(&args.keys)?;
        let anchors = args.anchors.read()?;
        let (known, issuer) = (args.appraisal.read(at)?, args.ear.issuer()?);
        let bound_key = args.bound_key.as_deref().map(read_key).transpose()?;

        let of_anchors: Vec<_> = anchors.public_keys().collect();
        let at_hand: Vec<_> = public
            .iter()
            .chain(&of_anchors)
            .chain(known.endorsements.public_keys())
            .chain(&bound_key)
            .collect();
        // No directory: whatever lies in one would be a secret to trust.
        let secrets = args.hmac_keys.iter();
        let secrets = secrets
            .map(|path| load(path, |file| MacKey::read(file, &at_hand)))
            .collect::<Result<Vec<_>, _>>()?;

        let mut keys = KeySet::default();
        public.into_iter().for_each(|key| keys.add_public(key));
        secrets.into_iter().for_each(|key| keys.add_mac(key));
        Ok(Self { keys, anchors, known, issuer, bound_key })
    }
}

fn parse_challenge(text: &str) -> Result<GivenChallenge, String> {
    if text == "any" {
        return Ok(GivenChallenge::Any);
    }
    match parse_hex(text) {
        Ok(Hex(challenge)) if vouches_for_key(&challenge) => {
            Err(NotPlain::VouchesForKey.reason().into())
        }
        Ok(Hex(challenge)) => Ok(GivenChallenge::Bytes(challenge)),
        Err(_) => Err("neither `any` nor whole bytes in hex".into()),
    }
}

/// Bytes that were given in hex.
#[derive(Clone)]
pub(crate) struct Hex(pub(crate) Vec<u8>);

pub(crate) fn parse_hex(text: &str) -> Result<Hex, String> {
    match HEXLOWER_PERMISSIVE.decode(text.as_bytes()) {
        Ok(bytes) if !bytes.is_empty() => Ok(Hex(bytes)),
        _ => Err("not whole bytes in hex".into()),
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
