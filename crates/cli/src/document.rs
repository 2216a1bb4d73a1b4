// SPDX-License-Identifier: Apache-2.0
//! What `devid corim verify` and `devid ear verify` share: files in, a report
//! on each out.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use devid_verifier::json::CheckJson;
use devid_verifier::keys::PublicKey;
use devid_verifier::{DocumentCheck, DocumentReport, UnixTime, Verdict};
use serde::Serialize;

use crate::Exit;
use crate::input::{files_of, printable, read_at_most};
use crate::verify::parse_time;

/// The arguments of both.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Public key that the signature must be of: PEM, DER, JWK or COSE_Key, or a
    /// certificate with it; a directory stands for the files in it
    #[arg(long = "key", value_name = "FILE")]
    keys: Vec<PathBuf>,

    /// When it must be valid: 2026-11-23, 2026-11-23T12:00:00Z or seconds since
    /// 1970 [default: now]
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    at: Option<UnixTime>,

    /// Print one JSON object a file, each on a line
    #[arg(long)]
    json: bool,

    /// Documents; `-` is standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

/// What is printed of one file. The field names are stable.
#[derive(Serialize)]
struct Line<'r, S> {
    file: &'r str,
    verdict: &'static str,
    checks: Vec<CheckJson<'r>>,
    #[serde(flatten)]
    summary: Option<S>,
    /// Why the file could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'r str>,
}

/// Verifies every file, in order, whatever the others are. Files may have
/// `limit` bytes, `checks` are those that are made of them; `summarise` says in
/// fields what a document holds.
pub(crate) fn run<T, S: Serialize>(
    args: &Args,
    (limit, checks): (usize, &'static [DocumentCheck]),
    verify: impl Fn(&[u8], &[PublicKey], UnixTime) -> DocumentReport<T>,
    summarise: impl Fn(&T) -> S,
) -> io::Result<Exit> {
    let keys = match read_keys(&args.keys) {
        Ok(keys) => keys,
        Err(error) => {
            eprintln!("devid: {error}");
            return Ok(Exit::Unreadable);
        }
    };
    let at = args.at.unwrap_or_else(UnixTime::now);
    let mut out = BufWriter::new(io::stdout().lock());
    let mut exit = Exit::Success;
    for file in &args.files {
        let (report, error) = match read_at_most(file, limit) {
            Ok(document) => (verify(&document, &keys, at), None),
            Err(error) => {
                let reason = format!("the file could not be read: {error}");
                (DocumentReport::undecodable(checks, reason.clone()), Some(reason))
            }
        };
        exit = exit.max(match (&error, report.verdict()) {
            (Some(_), _) => Exit::Unreadable,
            (None, Verdict::Fail) => Exit::Failure,
            (None, Verdict::Pass) => Exit::Success,
        });
        let line = Line {
            file: &file.to_string_lossy(),
            verdict: report.verdict().name(),
            checks: report
                .outcomes()
                .map(|(check, outcome)| CheckJson::new(check.name(), outcome))
                .collect(),
            summary: report.content.as_ref().map(&summarise),
            error: error.as_deref(),
        };
        if args.json {
            serde_json::to_writer(&mut out, &line)?;
            writeln!(out)?;
        } else {
            print_verdict(line.file, line.verdict, &line.checks, line.error, &mut out)?;
        }
    }
    out.flush()?;
    Ok(exit)
}

/// A file's verdict and its checks as text.
pub(crate) fn print_verdict(
    file: &str,
    verdict: &str,
    checks: &[CheckJson<'_>],
    error: Option<&str>,
    out: &mut impl Write,
) -> io::Result<()> {
    let reason = error.map(|error| format!(": {error}")).unwrap_or_default();
    writeln!(out, "{}: {verdict}{}", printable(file), printable(&reason))?;
    if error.is_some() {
        return Ok(());
    }
    for CheckJson { check, result, detail } in checks {
        let line = format!("  {check:<16}  {result:<13}  {}", printable(detail));
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// All public keys in all files. A directory stands for the files in it, all of
/// which must be keys.
pub(crate) fn read_keys(paths: &[PathBuf]) -> Result<Vec<PublicKey>, String> {
    let mut keys = Vec::new();
    for path in paths {
        for path in files_of(path).map_err(|error| named(path, &error))? {
            let file = fs::read(&path).map_err(|error| named(&path, &error))?;
            keys.extend(PublicKey::read_all(&file).map_err(|error| named(&path, &error))?);
        }
    }
    Ok(keys)
}

/// The one key in a file.
pub(crate) fn read_key(path: &Path) -> Result<PublicKey, String> {
    match <[_; 1]>::try_from(read_keys(&[path.to_path_buf()])?) {
        Ok([key]) => Ok(key),
        Err(keys) => Err(named(path, &format_args!("{} keys where one is wanted", keys.len()))),
    }
}

/// An error with the file that it is about.
pub(crate) fn named(path: &Path, error: &dyn std::fmt::Display) -> String {
    format!("{}: {error}", printable(&path.to_string_lossy()))
}
