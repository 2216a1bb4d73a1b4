// SPDX-License-Identifier: Apache-2.0
//! `devid registry`: looks at devices and decides about them.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use devid_core::instance_id;
use devid_registry::{
    Device, DeviceId, Error, Filter, Key, KeyPurpose, NewDevice, Registry, State,
};
use devid_verifier::Purpose;
use devid_verifier::keys::PublicKey;
use serde::Serialize;
use tokio::runtime;

use crate::Exit;
use crate::input::{hex, printable};

/// Look at the registry's devices and decide about them
///
/// A service that has the registry open goes by each change at once.
#[derive(clap::Subcommand)]
#[command(after_help = "\
Exit status:
  0  done
  1  the registry refused: no such device, or it is there already
  2  wrong usage
  3  a file could not be read, the registry's included")]
pub(crate) enum Command {
    /// List devices
    List {
        #[command(flatten)]
        file: ExistingFile,

        /// Only devices in that state
        #[arg(long, value_parser = parse_state, value_name = "pending|approved|revoked")]
        state: Option<State>,

        /// Only devices behind that one
        #[arg(long, value_name = "NUMBER")]
        after: Option<i64>,

        /// How many at most
        #[arg(long, value_name = "NUMBER", default_value_t = 1000)]
        limit: u32,

        /// Print one JSON object a device, each on a line
        #[arg(long)]
        json: bool,
    },

    /// Show all that is recorded of a device
    Show {
        #[command(flatten)]
        file: ExistingFile,

        #[command(flatten)]
        device: Which,

        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },

    /// Trust a device's key from now on
    Approve {
        #[command(flatten)]
        file: ExistingFile,

        #[command(flatten)]
        device: Which,

        /// Approve the device although it was revoked
        #[arg(long)]
        reinstate: bool,

        /// Why, for the log of events
        #[arg(long, default_value = "by an operator")]
        reason: String,
    },

    /// Trust a device's key no more
    Revoke {
        #[command(flatten)]
        file: ExistingFile,

        #[command(flatten)]
        device: Which,

        /// Why, for the log of events
        #[arg(long, default_value = "by an operator")]
        reason: String,
    },

    /// Record devices by their public keys, as approved
    Import {
        #[command(flatten)]
        file: File,

        /// Stock-keeping unit of all of them
        #[arg(long)]
        sku: Option<String>,

        /// What the keys are for, where no certificate says so; identities sign no tokens
        #[arg(long, value_parser = parse_purpose, value_name = "attestation|identity")]
        purpose: Option<KeyPurpose>,

        /// Public keys, or certificates to take them from, one a device
        #[arg(value_name = "FILE", required = true)]
        keys: Vec<PathBuf>,
    },
}

/// Where the registry is, or is to be.
#[derive(clap::Args)]
pub(crate) struct File {
    #[command(flatten)]
    existing: ExistingFile,

    /// Create the registry if the file does not exist
    #[arg(long)]
    create: bool,
}

impl File {
    /// Opens it. An error names the file.
    pub(crate) async fn open(&self) -> Result<Registry, String> {
        let path = &self.existing.registry;
        let opened = match self.create {
            true => Registry::open_or_create(path).await,
            false => Registry::open(path).await,
        };
        opened.map_err(|error| {
            let advice = match (&error, self.create) {
                (Error::NoFile | Error::NoRegistry, false) => "; --create makes a new one",
                _ => "",
            };
            format!("{}: {error}{advice}", printable(&path.to_string_lossy()))
        })
    }
}

/// Where the registry must be.
#[derive(clap::Args)]
pub(crate) struct ExistingFile {
    /// The registry's file
    #[arg(long, value_name = "FILE", default_value = "devid-registry.db")]
    registry: PathBuf,
}

#[derive(clap::Args)]
pub(crate) struct Which {
    /// The device's number in the registry, or its instance id in hex
    #[arg(value_name = "DEVICE", value_parser = parse_device)]
    device: Name,
}

#[derive(Clone)]
enum Name {
    Number(DeviceId),
    Instance([u8; instance_id::LEN]),
}

/// Runs a command on the registry.
pub(crate) fn run(command: &Command) -> io::Result<Exit> {
    let mut out = BufWriter::new(io::stdout().lock());
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let done = runtime.block_on(command.run(&mut out));
    out.flush()?;
    match done {
        Ok(()) => Ok(Exit::Success),
        Err(Failed::Output(error)) => Err(error),
        Err(Failed::Unreadable(reason)) => {
            eprintln!("devid: {reason}");
            Ok(Exit::Unreadable)
        }
        Err(Failed::Refused(reason)) => {
            eprintln!("devid: {reason}");
            Ok(Exit::Failure)
        }
    }
}

enum Failed {
    Output(io::Error),
    Unreadable(String),
    Refused(String),
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        match error {
            Error::NoSuchDevice | Error::Exists => Self::Refused(error.to_string()),
            Error::Revoked => {
                Self::Refused(format!("{error}; --reinstate approves it all the same"))
            }
            _ => Self::Unreadable(error.to_string()),
        }
    }
}

fn in_file(path: &Path, error: impl std::fmt::Display) -> Failed {
    Failed::Unreadable(format!("{}: {error}", printable(&path.to_string_lossy())))
}

impl ExistingFile {
    async fn open(&self) -> Result<Registry, Failed> {
        Registry::open(&self.registry).await.map_err(|error| in_file(&self.registry, error))
    }
}

impl Command {
    async fn run(&self, out: &mut impl Write) -> Result<(), Failed> {
        match self {
            Self::List { file, state, after, limit, json } => {
                let registry = file.open().await?;
                let filter = Filter { state: *state, after: after.map(DeviceId), limit: *limit };
                for device in registry.devices(filter).await? {
                    match json {
                        true => write_json(&DeviceJson::new(&device), out)?,
                        false => write_device(&device, out)?,
                    }
                }
            }
            Self::Show { file, device, json } => {
                let registry = file.open().await?;
                show(&registry, device.find(&registry).await?, *json, out).await?;
            }
            Self::Approve { file, device, reinstate, reason } => {
                let registry = file.open().await?;
                let device = device.find(&registry).await?;
                match reinstate {
                    true => registry.reinstate(device, reason).await?,
                    false => registry.approve(device, reason).await?,
                }
                writeln!(out, "device {} is approved", device.0)?;
            }
            Self::Revoke { file, device, reason } => {
                let registry = file.open().await?;
                let device = device.find(&registry).await?;
                registry.revoke(device, reason).await?;
                writeln!(out, "device {} is revoked", device.0)?;
            }
            Self::Import { file, sku, purpose, keys } => {
                let registry = file.open().await.map_err(Failed::Unreadable)?;
                import(&registry, sku.as_deref(), *purpose, keys, out).await?;
            }
        }
        Ok(())
    }
}

impl Which {
    async fn find(&self, registry: &Registry) -> Result<DeviceId, Failed> {
        match &self.device {
            Name::Number(device) => Ok(registry.device(*device).await?.id),
            Name::Instance(id) => match &registry.lookup(id).await?[..] {
                [] => Err(Error::NoSuchDevice.into()),
                [key] => Ok(key.device),
                _ => {
                    Err(Failed::Refused("several keys have that instance id; give a number".into()))
                }
            },
        }
    }
}

async fn import(
    registry: &Registry,
    sku: Option<&str>,
    wanted: Option<KeyPurpose>,
    files: &[PathBuf],
    out: &mut impl Write,
) -> Result<(), Failed> {
    for path in files {
        let name = printable(&path.to_string_lossy());
        let content = fs::read(path).map_err(|error| in_file(path, error))?;
        let keys = PublicKey::read_all(&content).map_err(|error| in_file(path, error))?;
        for key in keys {
            let certified = key.purpose().map(|purpose| match purpose {
                Purpose::Attestation => KeyPurpose::Attestation,
                Purpose::Identity => KeyPurpose::Identity,
            });
            if let (Some(certified), Some(wanted)) = (certified, wanted)
                && certified != wanted
            {
                let certified = certified.name();
                return Err(Failed::Refused(format!("{name}: its certificate is for {certified}")));
            }
            let device = NewDevice {
                purpose: certified.or(wanted).unwrap_or(KeyPurpose::Attestation),
                state: State::Approved,
                sku: sku.map(str::to_owned),
                serial: None,
                spki: key.spki(),
                instance_ids: key.id().instance_ids().to_vec(),
                chain: Vec::new(),
                signature: None,
                detail: format!("imported from {name}"),
            };
            let device = registry.register(device, 0).await.map_err(|error| match error {
                Error::Exists => Failed::Refused(format!("{name}: {error}")),
                error => error.into(),
            })?;
            writeln!(out, "device {} is approved: {name}", device.0)?;
        }
    }
    Ok(())
}

/// What is printed of a device. The field names are stable.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct DeviceJson<'d> {
    id: i64,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sku: Option<&'d str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    serial: Option<&'d str>,
    created_at: i64,
}

/// All that is printed of one device.
#[derive(Serialize)]
struct WholeJson<'d> {
    #[serde(flatten)]
    device: DeviceJson<'d>,
    keys: Vec<KeyJson>,
    events: Vec<EventJson>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct KeyJson {
    purpose: &'static str,
    spki_sha256: String,
    spki: String,
    instance_ids: Vec<String>,
    chain: Vec<String>,
}

#[derive(Serialize)]
struct EventJson {
    seq: i64,
    at: i64,
    kind: String,
    detail: String,
}

impl<'d> DeviceJson<'d> {
    fn new(device: &'d Device) -> Self {
        Self {
            id: device.id.0,
            state: device.state.name(),
            sku: device.sku.as_deref(),
            serial: device.serial.as_deref(),
            created_at: device.created_at,
        }
    }
}

impl KeyJson {
    fn new(key: &Key) -> Self {
        let hex_all = |all: &[Vec<u8>]| all.iter().map(|bytes| hex(bytes)).collect();
        Self {
            purpose: key.purpose.name(),
            spki_sha256: hex(&key.spki_sha256),
            spki: hex(&key.spki),
            instance_ids: hex_all(&key.instance_ids),
            chain: hex_all(&key.chain),
        }
    }
}

async fn show(
    registry: &Registry,
    id: DeviceId,
    json: bool,
    out: &mut impl Write,
) -> Result<(), Failed> {
    let device = registry.device(id).await?;
    let keys: Vec<_> = registry.keys(id).await?.iter().map(KeyJson::new).collect();
    let events: Vec<_> = registry
        .events(id)
        .await?
        .into_iter()
        .map(|event| EventJson {
            seq: event.seq,
            at: event.at,
            kind: event.kind,
            detail: event.detail,
        })
        .collect();
    if json {
        return write_json(&WholeJson { device: DeviceJson::new(&device), keys, events }, out);
    }
    write_device(&device, out)?;
    for key in keys {
        writeln!(out, "  key {} for {}", key.spki_sha256, key.purpose)?;
        for instance_id in key.instance_ids {
            writeln!(out, "    instance-id {instance_id}")?;
        }
        for certificate in key.chain {
            writeln!(out, "    certificate, {} bytes", certificate.len() / 2)?;
        }
    }
    for EventJson { at, kind, detail, .. } in events {
        writeln!(out, "  {at}  {kind:<12}  {}", printable(&detail))?;
    }
    Ok(())
}

fn write_device(device: &Device, out: &mut impl Write) -> Result<(), Failed> {
    let [sku, serial] =
        [&device.sku, &device.serial].map(|text| printable(text.as_deref().unwrap_or("-")));
    let state = device.state.name();
    Ok(writeln!(out, "{:>8}  {state:<8}  {sku}  {serial}", device.id.0)?)
}

fn write_json(value: &impl Serialize, out: &mut impl Write) -> Result<(), Failed> {
    serde_json::to_writer(&mut *out, value).map_err(io::Error::from)?;
    Ok(writeln!(out)?)
}

fn parse_state(text: &str) -> Result<State, String> {
    [State::Pending, State::Approved, State::Revoked]
        .into_iter()
        .find(|state| state.name() == text)
        .ok_or_else(|| "not pending, approved or revoked".into())
}

fn parse_purpose(text: &str) -> Result<KeyPurpose, String> {
    [KeyPurpose::Attestation, KeyPurpose::Identity]
        .into_iter()
        .find(|purpose| purpose.name() == text)
        .ok_or_else(|| "not attestation or identity".into())
}

fn parse_device(text: &str) -> Result<Name, String> {
    let bytes = || -> Option<[u8; instance_id::LEN]> {
        let digits: Option<Vec<u8>> =
            text.chars().map(|c| c.to_digit(16).map(|digit| digit as u8)).collect();
        let bytes: Vec<u8> = digits?.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
        bytes.try_into().ok().filter(|_| text.len() == 2 * instance_id::LEN)
    };
    match text.parse() {
        Ok(number) => Ok(Name::Number(DeviceId(number))),
        Err(_) => bytes()
            .map(Name::Instance)
            .ok_or_else(|| "neither a device's number nor an instance id in hex".into()),
    }
}
