// SPDX-License-Identifier: Apache-2.0
//! `devid update`: commands that a trust anchor gives to devices.

mod argument;
pub(crate) mod encode;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use devid_core::cose::Envelope;
use devid_core::layout::Kind;
use devid_core::time::UnixTime as CoreTime;
use devid_core::update::{Command as Update, Operation, Target};
use devid_core::x509::Certificate;
use devid_verifier::UnixTime;
use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{Signature, VerifyingKey};

use crate::Exit;
use crate::document::named;
use crate::input::{hex, printable, read};
use crate::secret::read_signing_key;
use crate::verify::parse_time;
use argument::{Device, Nonce, Slot, read_anchor, read_chain, read_value};
use encode::Times;

/// Give commands to devices, by the key of one of their trust anchors
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Sign a command
    ///
    /// A device takes it over any transport, and once: the number must be above
    /// that of every command it has applied.
    #[command(after_help = "\
A SLOT is a number such as 0x31, or a name of the standard layout: idevid, ldevid0,
iak, anchor0, anchor1, serial, endpoint, secret. Certificates are PEM or DER.

Exit status:
  0  the command was written
  1  the key or the value is not one for this command
  2  wrong usage
  3  a file could not be read, or the command not be written")]
    Sign(SignArgs),

    /// Print a command, without checking anything
    #[command(after_help = "\
Exit status:
  0  the command was printed
  1  it is none
  2  wrong usage
  3  the file could not be read")]
    Show {
        /// The command; `-` is standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },

    /// Check that an anchor signed a command, and that it has not expired
    ///
    /// What only the device knows is not checked: whether the command is meant
    /// for it, which numbers are used up, and what its slots take.
    #[command(after_help = "\
Exit status:
  0  the command is the anchor's and has not expired
  1  it is not
  2  wrong usage
  3  a file could not be read")]
    Verify {
        /// The trust anchor's certificate: PEM or DER
        #[arg(long, value_name = "FILE")]
        anchor: PathBuf,

        /// When it is to be applied: 2026-11-23, 2026-11-23T12:00:00Z or seconds
        /// since 1970 [default: now]
        #[arg(long, value_name = "TIME", value_parser = parse_time)]
        at: Option<UnixTime>,

        /// The command; `-` is standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

/// The arguments of `devid update sign`.
#[derive(clap::Args)]
pub(crate) struct SignArgs {
    /// P-256 private key of one of the device's trust anchors: PEM
    #[arg(long, value_name = "FILE")]
    key: PathBuf,

    /// The anchor's certificate, PEM or DER: makes sure that the key is its own,
    /// and may sign commands
    #[arg(long, value_name = "FILE")]
    anchor: Option<PathBuf>,

    /// The one device it is for: its instance id in hex, or a file with it
    #[arg(long, value_name = "HEX|FILE", required_unless_present = "group")]
    device: Option<Device>,

    /// All devices of that group
    #[arg(long, value_name = "NAME", conflicts_with = "device", value_parser = argument::group)]
    group: Option<String>,

    /// The command's number, above those of all commands of this anchor before it
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(i64).range(1..))]
    sequence: i64,

    /// The last second at which a device applies it; one that does not know the
    /// time never does: 2026-11-23, 2026-11-23T12:00:00Z or seconds since 1970
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    expires: Option<UnixTime>,

    /// Tells the device that this time has passed, so that it never takes an
    /// earlier one for the present
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    issued: Option<UnixTime>,

    /// Where the command goes [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    #[command(subcommand)]
    operation: OperationArgs,
}

/// What a command asks for.
#[derive(clap::Subcommand)]
#[command(subcommand_value_name = "OPERATION", subcommand_help_heading = "Operations")]
enum OperationArgs {
    /// Replace the value of a data or chain slot
    Write {
        /// The slot
        slot: Slot,
        /// The value as it is; for `iak` certificates, leaf first
        file: PathBuf,
    },
    /// Install an identity's certificates: over its pending key if it has one
    Install {
        /// The identity's slot
        slot: Slot,
        /// The certificates, leaf first
        file: PathBuf,
    },
    /// Put a trust anchor into a slot, over the one there
    AddAnchor {
        /// The anchor's slot
        slot: Slot,
        /// The CA certificate
        file: PathBuf,
    },
    /// Remove a trust anchor that is not the last one
    RevokeAnchor {
        /// The anchor's slot
        slot: Slot,
    },
    /// Return to the factory's identity
    Reset,
    /// Make an identity's pending key and certificates the active ones
    Activate {
        /// The identity's slot
        slot: Slot,
    },
    /// Give a device back its lost state, or an anchor that its storage lost
    ///
    /// It answers a nonce of the one device, once. The command's number becomes
    /// the number of each of its anchors, and --issued its time.
    Recover {
        /// The device's nonce in hex
        #[arg(value_parser = argument::nonce)]
        nonce: Nonce,
        /// The slot of the anchor to put back
        #[arg(requires = "file")]
        slot: Option<Slot>,
        /// The anchor's certificate
        file: Option<PathBuf>,
    },
}

/// Why a command was not made, or is not good.
enum Failed {
    /// A file could not be read or written.
    Unreadable(String),
    /// What there is will not do.
    Refused(String),
}

/// What is wrong with a file's content.
fn refused(path: &Path, reason: impl std::fmt::Display) -> Failed {
    Failed::Refused(named(path, &reason))
}

/// Runs an update command.
pub(crate) fn run(command: &Command) -> io::Result<Exit> {
    let done = match command {
        Command::Sign(args) => sign(args),
        Command::Show { file } => show(file),
        Command::Verify { anchor, at, file } => {
            verify(anchor, at.unwrap_or_else(UnixTime::now), file)
        }
    };
    let (error, exit) = match done {
        Ok(output) => {
            let mut out = io::stdout().lock();
            out.write_all(&output)?;
            out.flush()?;
            return Ok(Exit::Success);
        }
        Err(Failed::Refused(error)) => (error, Exit::Failure),
        Err(Failed::Unreadable(error)) => (error, Exit::Unreadable),
    };
    eprintln!("devid: {error}");
    Ok(exit)
}

/// The command, unless it goes to a file.
fn sign(args: &SignArgs) -> Result<Vec<u8>, Failed> {
    let key = read_signing_key(&args.key).map_err(Failed::Unreadable)?;
    if let Some(path) = &args.anchor {
        let der = read_anchor(path)?;
        let anchor = command_anchor(path, &der)?;
        if anchor.public_key.point() != key.verifying_key().to_sec1_point(false).as_bytes() {
            return Err(refused(path, "the private key is not this anchor's"));
        }
    }
    let device = args.device.as_ref().map(Device::instance_id).transpose()?;
    let target = match (&device, &args.group) {
        (Some(id), _) => Target::Device(id),
        (None, group) => Target::Group(group.as_deref().unwrap_or_default()),
    };
    let value = args.operation.value()?;
    let operation = args.operation.with(&value)?;
    let times = Times { issued: args.issued.map(core_time), expiry: args.expires.map(core_time) };
    let command =
        encode::command(&key, target, args.sequence, operation, times).map_err(Failed::Refused)?;
    let Some(path) = &args.out else { return Ok(command) };
    fs::write(path, command)
        .map(|()| Vec::new())
        .map_err(|error| Failed::Unreadable(named(path, &error)))
}

impl OperationArgs {
    /// The value that goes with it; empty if none does.
    fn value(&self) -> Result<Vec<u8>, Failed> {
        match self {
            Self::Write { slot, file } if slot.is(Kind::Chain) => read_chain(file),
            Self::Write { file, .. } => read_value(file),
            Self::Install { file, .. } => read_chain(file),
            Self::AddAnchor { file, .. } | Self::Recover { file: Some(file), .. } => {
                read_anchor(file)
            }
            Self::RevokeAnchor { .. }
            | Self::Reset
            | Self::Activate { .. }
            | Self::Recover { .. } => Ok(Vec::new()),
        }
    }

    /// The operation with that value, if the slot is one for it.
    fn with<'v>(&'v self, value: &'v [u8]) -> Result<Operation<'v>, Failed> {
        Ok(match self {
            Self::Write { slot, .. } => {
                Operation::Write(slot.of(&[Kind::Data, Kind::Chain])?, value)
            }
            Self::Install { slot, .. } => Operation::Install(slot.of(&[Kind::Identity])?, value),
            Self::AddAnchor { slot, .. } => Operation::AddAnchor(slot.of(&[Kind::Anchor])?, value),
            Self::RevokeAnchor { slot } => Operation::RevokeAnchor(slot.of(&[Kind::Anchor])?),
            Self::Reset => Operation::Reset,
            Self::Activate { slot } => Operation::Activate(slot.of(&[Kind::Identity])?),
            Self::Recover { nonce, slot, .. } => {
                let slot = slot.as_ref().map(|slot| slot.of(&[Kind::Anchor])).transpose()?;
                Operation::Recover(&nonce.0, slot.map(|slot| (slot, value)))
            }
        })
    }
}

/// What the command says of itself, a field a line.
fn show(file: &Path) -> Result<Vec<u8>, Failed> {
    let bytes = read_command(file)?;
    let update = decode(file, &bytes)?;
    let mut lines = vec![("not verified".to_owned(), String::new())];
    let mut field = |name: &str, value: String| lines.push((name.to_owned(), value));
    match update.target {
        Target::Device(id) => field("device", hex(id)),
        Target::Group(group) => field("group", group.to_owned()),
    }
    field("sequence", update.sequence.to_string());
    let (operation, slot, value) = match update.operation {
        Some(Operation::Write(slot, value)) => ("write", Some(slot), Some(value)),
        Some(Operation::Install(slot, value)) => ("install", Some(slot), Some(value)),
        Some(Operation::AddAnchor(slot, value)) => ("add-anchor", Some(slot), Some(value)),
        Some(Operation::RevokeAnchor(slot)) => ("revoke-anchor", Some(slot), None),
        Some(Operation::Reset) => ("reset", None, None),
        Some(Operation::Activate(slot)) => ("activate", Some(slot), None),
        Some(Operation::Recover(_, brought)) => {
            ("recover", brought.map(|(slot, _)| slot), brought.map(|(_, value)| value))
        }
        None => ("unknown", None, None),
    };
    field("operation", operation.to_owned());
    if let Some(slot) = slot {
        field("slot", argument::name(slot));
    }
    if let Some(value) = value {
        field("value", format!("{} bytes", value.len()));
    }
    if let Some(Operation::Recover(nonce, _)) = update.operation {
        field("nonce", hex(nonce));
    }
    if let Some(expiry) = update.expiry {
        field("expires", expiry.0.to_string());
    }
    if let Some(issued) = update.issued {
        field("issued", issued.0.to_string());
    }
    Ok(lines
        .iter()
        .flat_map(|(name, value)| {
            format!("{}\n", format!("{name:<10}  {}", printable(value)).trim_end()).into_bytes()
        })
        .collect())
}

fn verify(anchor: &Path, at: UnixTime, file: &Path) -> Result<Vec<u8>, Failed> {
    let der = read_anchor(anchor)?;
    let certificate = command_anchor(anchor, &der)?;
    let bytes = read_command(file)?;
    let update = decode(file, &bytes)?;
    let at = core_time(at);
    if at < certificate.not_before || at > certificate.not_after {
        return Err(refused(anchor, "the anchor is not valid at the time"));
    }
    let envelope = Envelope::decode(&bytes).map_err(|fault| refused(file, fault))?;
    let key = VerifyingKey::from_sec1_bytes(certificate.public_key.point())
        .map_err(|_| refused(anchor, "the point is not on its curve"))?;
    let is_valid = Signature::from_slice(envelope.signature).is_ok_and(|signature| {
        key.verify(&envelope.to_be_signed().parts().concat(), &signature).is_ok()
    });
    if !is_valid {
        return Err(refused(file, "not signed by this anchor"));
    }
    if update.expiry.is_some_and(|expiry| at > expiry) {
        return Err(refused(file, "expired"));
    }
    if update.operation.is_none() {
        return Err(refused(file, "an operation that is not known here"));
    }
    Ok(format!("{}: pass\n", printable(&file.to_string_lossy())).into_bytes())
}

fn read_command(file: &Path) -> Result<Vec<u8>, Failed> {
    read(file).map_err(|error| Failed::Unreadable(named(file, &error)))
}

fn decode<'b>(file: &Path, bytes: &'b [u8]) -> Result<Update<'b>, Failed> {
    Update::decode(bytes)
        .map_err(|fault| refused(file, format_args!("not an update command: {fault}")))
}

/// The anchor, if its key may sign commands.
fn command_anchor<'d>(path: &Path, der: &'d [u8]) -> Result<Certificate<'d>, Failed> {
    let anchor = Certificate::parse(der).map_err(|error| refused(path, error))?;
    match anchor.key_usage {
        Some(usage) if usage.digital_signature() => Ok(anchor),
        _ => Err(refused(path, "its keyUsage has no digitalSignature: it may not sign commands")),
    }
}

fn core_time(time: UnixTime) -> CoreTime {
    CoreTime(i64::try_from(time.as_secs()).unwrap_or(i64::MAX))
}
