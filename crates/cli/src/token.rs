// SPDX-License-Identifier: Apache-2.0
//! `devid token`: prints tokens and what is in them. Nothing here is verified.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use devid_console::Base64;
use devid_core::cose::{Envelope, Kind};
use devid_core::token::{Claims, Fault, Payload, Profile};
use devid_verifier::recovery::recover;

use crate::Exit;
use crate::input::{hex, printable, read};

/// Look at tokens
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Print a token, without verifying anything
    #[command(after_help = "\
Exit status:
  0  the token was printed
  1  it breaks the rules of its profile; what could be read was printed
  2  wrong usage
  3  the file could not be read")]
    Show {
        /// The token; `-` is standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },

    /// Recover the public key that signed a token, as PEM
    ///
    /// The key is what the token says of itself: the one that could have made
    /// the signature and that the instance-id derives from. Trust it only when
    /// you know by other means that the token is of your device.
    #[command(after_help = "\
Exit status:
  0  the key was printed
  1  no key, or more than one, fits the token
  2  wrong usage
  3  the file could not be read")]
    Key {
        /// The token, signed with ES256; `-` is standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

/// Runs a token command.
pub(crate) fn run(command: &Command) -> io::Result<Exit> {
    let (Command::Show { file } | Command::Key { file }) = command;
    let name = printable(&file.to_string_lossy());
    let token = match read(file) {
        Ok(token) => token,
        Err(error) => {
            eprintln!("devid: {name}: {error}");
            return Ok(Exit::Unreadable);
        }
    };
    let mut out = BufWriter::new(io::stdout().lock());
    let done = match command {
        Command::Show { .. } => show(&token, &mut out)?.map_err(|fault| fault.to_string()),
        Command::Key { .. } => match recover(&token) {
            Ok(key) => Ok(write_pem(&key.spki(), &mut out)?),
            Err(error) => Err(error.to_string()),
        },
    };
    out.flush()?;
    Ok(match done {
        Ok(()) => Exit::Success,
        Err(reason) => {
            eprintln!("devid: {name}: {reason}");
            Exit::Failure
        }
    })
}

fn write_pem(spki: &[u8], out: &mut impl Write) -> io::Result<()> {
    let text = Base64(spki).to_string();
    writeln!(out, "-----BEGIN PUBLIC KEY-----")?;
    for line in text.as_bytes().chunks(64) {
        out.write_all(line)?;
        writeln!(out)?;
    }
    writeln!(out, "-----END PUBLIC KEY-----")
}

fn show(token: &[u8], out: &mut impl Write) -> io::Result<Result<(), Fault>> {
    let envelope = match Envelope::decode(token) {
        Ok(envelope) => envelope,
        Err(fault) => return Ok(Err(fault.into())),
    };
    show_envelope(&envelope, out)?;
    let claims = Payload::decode(&envelope).and_then(|payload| {
        let profile = payload.profile()?;
        Ok((profile, payload.claims(profile)?))
    });
    match claims {
        Ok((profile, claims)) => show_claims(profile, &claims, out).map(Ok),
        Err(fault) => Ok(Err(fault)),
    }
}

fn show_envelope(envelope: &Envelope<'_>, out: &mut impl Write) -> io::Result<()> {
    let kind = match envelope.kind {
        Kind::Sign1 => "COSE_Sign1",
        Kind::Mac0 => "COSE_Mac0",
    };
    let algorithm = envelope.algorithm.map_or("no alg", |algorithm| algorithm.name());
    writeln!(out, "{kind}, {algorithm}, not verified")?;
    if let Some(kid) = envelope.kid {
        field(out, "kid", &hex(kid))?;
    }
    if let Some(chain) = envelope.x5chain {
        let lengths: Vec<_> = chain.map(|der| format!("{} bytes", der.len())).collect();
        field(out, "x5chain", &lengths.join(", "))?;
    }
    Ok(())
}

fn show_claims(profile: Profile, claims: &Claims<'_>, out: &mut impl Write) -> io::Result<()> {
    let lifecycle = claims.security_lifecycle;
    let caller = if claims.client_id < 0 { "non-secure" } else { "secure" };
    field(out, "profile", profile.name())?;
    field(out, "nonce", &hex(claims.nonce))?;
    field(out, "instance-id", &hex(claims.instance_id))?;
    field(out, "implementation-id", &hex(claims.implementation_id))?;
    field(out, "client-id", &format!("{} ({caller})", claims.client_id))?;
    let value = format!("{:#06x} ({})", lifecycle.value(), lifecycle.state().name());
    field(out, "security-lifecycle", &value)?;
    if let Some(seed) = claims.boot_seed {
        field(out, "boot-seed", &hex(seed))?;
    }
    if let Some(reference) = claims.certification_reference {
        field(out, "certification-reference", reference)?;
    }
    if let Some(service) = claims.verification_service_indicator {
        field(out, "verification-service", service)?;
    }
    for (index, component) in claims.software_components.enumerate() {
        let words: Vec<&str> =
            [component.measurement_type, component.version, component.measurement_description]
                .into_iter()
                .flatten()
                .collect();
        field(out, &format!("software-component {index}"), &words.join(" "))?;
        field(out, "  measurement-value", &hex(component.measurement_value))?;
        if let Some(signer) = component.signer_id {
            field(out, "  signer-id", &hex(signer))?;
        }
    }
    for warning in claims.warnings.iter() {
        field(out, "warning", warning.name())?;
    }
    Ok(())
}

fn field(out: &mut impl Write, name: &str, value: &str) -> io::Result<()> {
    writeln!(out, "{name:<24}  {}", printable(value))
}
