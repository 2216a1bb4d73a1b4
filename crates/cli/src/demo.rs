// SPDX-License-Identifier: Apache-2.0
//! `devid demo`: the whole life of a device in one go.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use devid_console::Console;
use devid_console::access::Caller;
use devid_core::csr::Subject;
use devid_core::device::{Device, SlotState, scratch_len};
use devid_core::error::Error;
use devid_core::layout::STANDARD;
use devid_core::time::UnixTime as CoreTime;
use devid_core::token::{LifecycleState, Token};
use devid_core::update::{Applied, Operation, Target};
use devid_sim::ca::{ThrowAwayAnchor, ThrowAwayCa};
use devid_sim::{Config, Sim};
use devid_verifier::{
    Appraisal, Challenge, Check, KeySet, Policy, TrustAnchors, UnixTime, Verdict, Verifier,
};

use crate::Exit;
use crate::input::{hex, printable};
use crate::sim::RULES;
use crate::update::encode::{self, Times};

/// Show the whole life of a device in one go
///
/// A simulated device boots, makes its key, gets a certificate from a CA made
/// for the occasion, and proves to a verifier what it is.
#[derive(clap::Args)]
#[command(after_help = "\
Exit status:
  0  every step did what it should
  1  a step failed
  2  wrong usage")]
pub(crate) struct Args {
    /// Where the device is kept, with what is needed to check its evidence; a
    /// new or an empty directory [default: a temporary one]
    #[arg(long, value_name = "DIRECTORY")]
    dir: Option<PathBuf>,
}

/// Why a step failed.
type Failed = Box<dyn std::error::Error>;

/// Runs the demo.
pub(crate) fn run(args: &Args) -> io::Result<Exit> {
    let result = match &args.dir {
        Some(dir) => life(dir, true),
        None => {
            let dir = tempfile::tempdir()?;
            life(dir.path(), false)
        }
    };
    match result {
        Ok(()) => Ok(Exit::Success),
        Err(error) => match error.downcast::<io::Error>() {
            // The output is gone: there is nobody to tell here.
            Ok(error) => Err(*error),
            Err(error) => {
                eprintln!("devid: the demo failed: {}", printable(&error.to_string()));
                Ok(Exit::Failure)
            }
        },
    }
}

/// Tells the story, step by step.
struct Story {
    step: u32,
}

impl Story {
    fn tell(&mut self, title: &str, text: impl AsRef<str>) -> io::Result<()> {
        self.step += 1;
        let mut out = io::stdout().lock();
        writeln!(out, "{:>2}  {title:<9} {}", self.step, printable(text.as_ref()))
    }

    fn more(&self, text: impl AsRef<str>) -> io::Result<()> {
        writeln!(io::stdout().lock(), "{:>13} {}", "", printable(text.as_ref().trim_end()))
    }
}

fn life(dir: &Path, keep: bool) -> Result<(), Failed> {
    let now = UnixTime::now();
    let device_now = CoreTime(i64::try_from(now.as_secs())?);
    let mut story = Story { step: 0 };
    let mut scratch = vec![0; scratch_len(&STANDARD)];

    let mut device = boot(dir, &mut scratch)?;
    let idevid = device.find("idevid")?;
    let iak = device.find("iak")?;
    let serial = device.find("serial")?;
    if device.public_key(idevid).is_ok() {
        return Err("the directory holds a device with an identity; name a new one".into());
    }
    let slots = STANDARD.slots.len();
    story.tell("boot", format!("A simulated device starts: {slots} slots, all empty."))?;
    story.more(format!("It is kept in {}.", dir.display()))?;

    story.tell("status", "It says what is missing, and what to do:")?;
    for finding in findings(&mut device)? {
        story.more(finding)?;
    }

    device.write(serial, b"SN-0001")?;
    let key = device.generate(idevid)?;
    story.tell(
        "generate",
        "The factory writes the serial number SN-0001; the device makes a key.",
    )?;
    story.more(format!("Its public half, X: {}", hex(key.coordinates().0)))?;

    let subject = Subject { serial_number: Some("SN-0001"), ..Subject::default() };
    let csr = device.csr(idevid, &subject)?.to_vec();
    let text =
        format!("The device asks for a certificate: {} bytes, signed by that key.", csr.len());
    story.tell("csr", text)?;

    let ca = ThrowAwayCa::new(device_now);
    let chain = ca.issue(&csr)?;
    story.tell(
        "issue",
        "A CA made for this demo finds the key proved by the signature, and issues",
    )?;
    let text =
        format!("a certificate for SN-0001 below its own: a chain of {} bytes.", chain.len());
    story.more(text)?;

    let checked = device.install(idevid, &chain, Some(device_now))?;
    if !checked.validity_checked {
        return Err("the device did not check the chain's validity".into());
    }
    story.tell(
        "install",
        "The device checks that the chain certifies its key, link by link, and keeps it.",
    )?;

    let key = device.iak_public_key()?;
    device.write(iak, &ca.certify(&key, "attestation key of SN-0001"))?;
    story.tell(
        "certify",
        "The CA certifies the device's attestation key too; that chain goes to slot iak.",
    )?;

    drop(device);
    let mut device = boot(dir, &mut scratch)?;
    if findings(&mut device)?.iter().any(|finding| finding.contains(" error ")) {
        return Err("the device misses something after the reboot".into());
    }
    let present = device.slots().filter(|slot| slot.state != SlotState::Empty).count();
    if device.chain(idevid)? != chain {
        return Err("the chain is not what it was before the reboot".into());
    }
    story.tell(
        "reboot",
        format!("The device starts again and finds {present} slots full and nothing missing."),
    )?;

    let mut challenge = [0; 32];
    getrandom::fill(&mut challenge)?;
    let evidence = device.evidence(&challenge)?.to_vec();
    story.tell("evidence", format!("A verifier sends a fresh challenge: {}", hex(&challenge)))?;
    story.more(format!(
        "The device answers with {} bytes: a PSA token and that chain.",
        evidence.len()
    ))?;

    let mut anchors = TrustAnchors::default();
    anchors.add(ca.root()).map_err(|error| error.to_string())?;
    let policy = Policy { at: now, allow_development_key: true };
    let keys = KeySet::default();
    let appraisal = Appraisal { lifecycles: &SIMULATED, ..Appraisal::default() };
    let verifier = Verifier { keys: &keys, anchors: &anchors, policy, appraisal };
    let report = verifier.verify(&evidence, Challenge::Expected(&challenge));
    let title =
        format!("The verifier, which knows the CA's root alone: {}.", report.verdict().name());
    story.tell("verify", title)?;
    for (check, outcome) in report.outcomes() {
        let (name, result) = (check.name(), outcome.result.name());
        story.more(format!("{name:<17}{result:<14}{}", outcome.detail))?;
    }
    story.more(
        "The simulator's key is everybody's, and it is in no secured lifecycle state: both",
    )?;
    story.more("pass here because the demo allows them.")?;
    if report.verdict() != Verdict::Pass {
        return Err("the evidence was refused".into());
    }

    let strict = Policy { allow_development_key: false, ..policy };
    let strict = Verifier { policy: strict, ..verifier };
    refused(&strict, &evidence, &challenge, Check::DevelopmentKey)?;
    story
        .tell("refuse", "Without that allowance the same evidence is refused: development-key.")?;

    let mut forged = evidence.clone();
    let claimed = Token::decode(&evidence)?.claims.implementation_id;
    let at = evidence.windows(claimed.len()).position(|bytes| bytes == claimed);
    forged[at.ok_or("the token claims no implementation id")?] ^= 1;
    refused(&verifier, &forged, &challenge, Check::Signature)?;
    story.tell(
        "refuse",
        "With one bit of the claimed implementation id changed it is refused: signature.",
    )?;

    let mut another = challenge;
    another[0] ^= 1;
    refused(&verifier, &evidence, &another, Check::Challenge)?;
    story.tell("refuse", "For another challenge it is refused: nobody can send it twice.")?;

    let anchor = ThrowAwayAnchor::new("devid throw-away anchor", device_now, true);
    lock(&mut story, &mut device, &anchor)?;
    enrol(&mut story, &mut device, &ca, &verifier, device_now)?;
    update(&mut story, &mut device, &anchor)?;

    if keep {
        let (root, token) = (dir.join("root.der"), dir.join("evidence.cbor"));
        fs::write(&root, ca.root())?;
        fs::write(&token, &evidence)?;
        story.tell("keep", "Check it again yourself, or go on with the device:")?;
        story.more(format!(
            "devid verify --allow-development-key --allow-lifecycle {} --trust-anchor {} --challenge \
             {} {}",
            SIMULATED[0].name(),
            root.display(),
            hex(&challenge),
            token.display()
        ))?;
        story.more(format!("devid sim --dir {}", dir.display()))?;
    }
    Ok(())
}

/// The lifecycle state that the simulator claims.
const SIMULATED: [LifecycleState; 1] = [LifecycleState::AssemblyAndTest];

/// The device leaves the factory.
fn lock(
    story: &mut Story,
    device: &mut Device<'_, Sim>,
    anchor: &ThrowAwayAnchor,
) -> Result<(), Failed> {
    let (serial, anchor0) = (device.find("serial")?, device.find("anchor0")?);
    device.write(anchor0, anchor.certificate())?;
    device.lock()?;
    if device.write(serial, b"SN-0002") != Err(Error::Denied) {
        return Err("the lock does not hold".into());
    }
    story.tell(
        "lock",
        "With a trust anchor in it the device leaves the factory, locked: from now on",
    )?;
    story.more("nobody can write the serial number, or whatever else the factory wrote.")?;
    Ok(())
}

/// The device gets an operational identity, by evidence for its key.
fn enrol(
    story: &mut Story,
    device: &mut Device<'_, Sim>,
    ca: &ThrowAwayCa,
    verifier: &Verifier<'_>,
    now: CoreTime,
) -> Result<(), Failed> {
    let ldevid = device.find("ldevid0")?;
    device.generate(ldevid)?;
    let mut challenge = [0; 32];
    getrandom::fill(&mut challenge)?;
    let csr = device.csr_with_evidence(ldevid, &Subject::default(), &challenge)?.to_vec();
    story.tell(
        "enrol",
        "In the field it makes an operational key. Its request is signed by that key",
    )?;
    story.more(format!("and has evidence for the key inside: {} bytes.", csr.len()))?;

    let mut another = challenge;
    another[0] ^= 1;
    if ca.issue_attested(&csr, verifier, &another).is_ok() {
        return Err("the CA issued by evidence for another challenge".into());
    }
    let chain = ca.issue_attested(&csr, verifier, &challenge)?;
    device.install(ldevid, &chain, Some(now))?;
    story.tell(
        "issue",
        "The CA finds that an attested device vouches for the key under its challenge,",
    )?;
    story.more("and issues. For another challenge it does not.")?;
    Ok(())
}

/// The device does what its trust anchor says, once.
fn update(
    story: &mut Story,
    device: &mut Device<'_, Sim>,
    anchor: &ThrowAwayAnchor,
) -> Result<(), Failed> {
    let serial = device.find("serial")?;
    let target = device.instance_id()?;
    let operation = Operation::Write(serial, b"SN-0002");
    let key = anchor.signing_key();
    let command = encode::command(key, Target::Device(&target), 1, operation, Times::default())?;
    device.update(&command)?;
    if device.read(serial)? != b"SN-0002" {
        return Err("the device did not apply the update".into());
    }
    story.tell(
        "update",
        "The anchor signs a command for this device: number 1, write SN-0002. The device",
    )?;
    story
        .more(format!("finds its anchor's signature on the {} bytes, and obeys.", command.len()))?;

    if device.update(&command) != Ok(Applied { sequence: 1, already: true }) {
        return Err("the device took a command twice".into());
    }
    story.tell("resend", "Sent again it is answered and not repeated.")?;
    Ok(())
}

fn boot<'s>(dir: &Path, scratch: &'s mut [u8]) -> Result<Device<'s, Sim>, Failed> {
    Ok(Device::open(Sim::open(dir, Config::default())?, STANDARD, scratch)?)
}

/// What the device finds missing or wrong with itself, a line each.
fn findings(device: &mut Device<'_, Sim>) -> Result<Vec<String>, Failed> {
    let mut status = String::new();
    let mut console = Console::new(RULES, &mut []);
    let answer = console.run(device, Caller::Console, &["status"]);
    answer.and_then(|answer| console.print(&answer, &mut status)).map_err(|f| f.to_string())?;
    let lines = status.lines().filter_map(|line| line.strip_prefix("STATUS: "));
    Ok(lines.map(str::to_owned).collect())
}

/// Makes sure that the verifier refuses a token, and for that reason.
fn refused(
    verifier: &Verifier<'_>,
    token: &[u8],
    challenge: &[u8],
    check: Check,
) -> Result<(), Failed> {
    let report = verifier.verify(token, Challenge::Expected(challenge));
    match report.verdict() == Verdict::Fail && report.outcome(check).failed() {
        true => Ok(()),
        false => Err(format!("what should fail by {} did not", check.name()).into()),
    }
}
