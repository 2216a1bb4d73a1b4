// SPDX-License-Identifier: Apache-2.0
//! `devid sim` and `devid demo`, as programs.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use data_encoding::{BASE64, HEXLOWER};
use devid_core::platform::Crypto;
use devid_sim::{Config, Sim};

fn devid(args: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_devid"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that ends before it has read everything closes the pipe.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn the_demo_succeeds_and_refuses_what_it_should() {
    let demo = devid(&["demo"], "");
    let story = stdout(&demo);
    assert_eq!(demo.status.code(), Some(0), "{story}{}", stderr(&demo));
    assert_eq!(stderr(&demo), "");
    for step in [
        "boot", "status", "generate", "csr", "issue", "install", "reboot", "evidence", "enrol",
        "lock", "update", "resend",
    ] {
        assert!(story.lines().any(|line| line[4..].starts_with(step)), "{step}:\n{story}");
    }
    assert!(story.contains("knows the CA's root alone: pass."), "{story}");
    assert!(story.contains("certificate-path pass"), "{story}");
    assert_eq!(story.lines().filter(|line| line[4..].starts_with("refuse")).count(), 3, "{story}");
    assert!(story.lines().all(|line| line.trim_end() == line), "{story}");
}

#[test]
fn the_demo_keeps_what_another_run_can_check() {
    let dir = tempfile::tempdir().unwrap();
    let demo = devid(&["demo", "--dir", text(dir.path())], "");
    let story = stdout(&demo);
    assert_eq!(demo.status.code(), Some(0), "{story}{}", stderr(&demo));
    let command = story.lines().find_map(|line| line.trim().strip_prefix("devid verify ")).unwrap();
    let words: Vec<&str> = ["verify"].into_iter().chain(command.split(' ')).collect();
    let verified = devid(&words, "");
    assert_eq!(verified.status.code(), Some(0), "{}", stdout(&verified));

    let without: Vec<&str> =
        words.iter().copied().filter(|word| *word != "--allow-development-key").collect();
    assert_eq!(devid(&without, "").status.code(), Some(1), "the development key is refused");
    let mut secured = words.clone();
    let at = secured.iter().position(|word| *word == "--allow-lifecycle").unwrap();
    secured.drain(at..at + 2);
    assert_eq!(devid(&secured, "").status.code(), Some(1), "the lifecycle state is refused");

    let sim = devid(&["sim", "--dir", text(dir.path())], "status\nid chain idevid\n");
    assert_eq!(sim.status.code(), Some(0), "{}", stderr(&sim));
    assert!(stdout(&sim).contains("STATUS-END: errors=0 "));

    let again = devid(&["demo", "--dir", text(dir.path())], "");
    assert_eq!(again.status.code(), Some(1));
    assert!(stderr(&again).contains("holds a device with an identity"));
}

#[test]
fn the_demo_fails_where_it_cannot_keep_its_device() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let demo = devid(&["demo", "--dir", text(file.path())], "");
    assert_eq!(demo.status.code(), Some(1));
    assert!(stderr(&demo).starts_with("devid: the demo failed: "), "{}", stderr(&demo));
}

#[test]
fn a_script_runs_to_its_end_and_tells_the_lines_that_failed() {
    let script = "# a comment, then an empty line\n\
                  \n\
                  devid slot write serial text:SN-7 4\n\
                  slot read serial # again\n\
                  frobnicate\n\
                  slot write serial 'text:two words' 9\n\
                  slot read \"serial\n\
                  slot read serial\n";
    let sim = devid(&["sim"], script);
    assert_eq!(sim.status.code(), Some(1));
    assert_eq!(
        stderr(&sim),
        "line 5: error: EINVAL: unknown command; 'help' lists them\n\
         line 7: error: EINVAL: a quote is not closed; close it\n"
    );
    let out = stdout(&sim);
    let values: Vec<&str> = out.lines().filter(|line| line.starts_with("VALUE: ")).collect();
    assert_eq!(values, ["VALUE: U04tNw==", "VALUE: dHdvIHdvcmRz"]);
}

#[test]
fn a_device_in_memory_is_fresh_each_time() {
    assert_eq!(devid(&["sim"], "slot write serial text:x 1\n").status.code(), Some(0));
    let sim = devid(&["sim"], "slot read serial\n");
    assert_eq!(sim.status.code(), Some(1));
    assert!(stderr(&sim).starts_with("line 1: error: ENOENT: "), "{}", stderr(&sim));
}

#[test]
fn a_device_in_a_directory_stays() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("new");
    let args = ["sim", "--dir", text(&dir)];
    let made = devid(&args, "id gen idevid\nslot write serial text:x 1\n");
    assert_eq!(made.status.code(), Some(0), "{}", stderr(&made));
    let found = devid(&args, "id pub idevid\nslot read serial\n");
    assert_eq!(found.status.code(), Some(0), "{}", stderr(&found));
    let spki = |output: &Output| {
        stdout(output).lines().filter(|line| line.starts_with("SPKI")).collect::<String>()
    };
    assert_eq!(spki(&found), spki(&made));
}

#[test]
fn a_directory_with_other_things_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("thesis.tex"), "").unwrap();
    let sim = devid(&["sim", "--dir", text(dir.path())], "status\n");
    assert_eq!(sim.status.code(), Some(3));
    assert!(stderr(&sim).contains("name an empty or a new directory"), "{}", stderr(&sim));
}

#[test]
fn every_profile_makes_its_tokens() {
    for (profile, name) in [
        ("psa-1", "PSA_IOT_PROFILE_1"),
        ("psa-2.0.0", "http://arm.com/psa/2.0.0"),
        ("rfc9783", "tag:psacertified.org,2023:psa#tfm"),
    ] {
        let show = format!("token show {}\n", "00".repeat(32));
        let sim = devid(&["sim", "--profile", profile], &show);
        assert_eq!(sim.status.code(), Some(0), "{}", stderr(&sim));
        assert!(stdout(&sim).contains(&format!("CLAIM: profile {name}\n")), "{}", stdout(&sim));
    }
    assert_eq!(devid(&["sim", "--profile", "psa-9"], "").status.code(), Some(2));
}

/// Lines that load a value into the console, to be used as `-`.
fn load(value: &[u8]) -> String {
    let digest = Sim::in_memory(Config::default()).sha256(&[value]).unwrap();
    let mut lines = format!("load begin {} {}\n", value.len(), HEXLOWER.encode(&digest));
    for piece in value.chunks(128) {
        lines += &format!("load data base64:{}\n", BASE64.encode(piece));
    }
    lines
}

/// What stands behind a prefix, decoded.
fn binary(output: &Output, prefix: &str) -> Vec<u8> {
    let lines: String =
        stdout(output).lines().filter_map(|line| line.strip_prefix(prefix)).collect();
    BASE64.decode(lines.as_bytes()).unwrap()
}

#[test]
fn what_vouches_for_a_key_in_the_shell_passes_the_verifier() {
    const CHALLENGE: &str = "c0ffee0000000000000000000000000000000000000000000000000000000001";
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path();
    assert_eq!(devid(&["demo", "--dir", text(place)], "").status.code(), Some(0));
    let script = format!(
        "id csr ldevid0 cn=x challenge={CHALLENGE}\nid evidence ldevid0 {CHALLENGE}\nid pub ldevid0\n"
    );
    let shell = devid(&["sim", "--dir", text(place)], &script);
    assert_eq!(shell.status.code(), Some(0), "{}", stderr(&shell));
    for (file, prefix) in [("csr", "CSR: "), ("evidence", "EVIDENCE: "), ("key", "SPKI: ")] {
        fs::write(place.join(file), binary(&shell, prefix)).unwrap();
    }
    let verify = |challenge: &str, rest: &[&str]| {
        let root = place.join("root.der");
        let args = ["verify", "--allow-development-key", "--trust-anchor", text(&root)];
        let simulated = ["--allow-lifecycle", "assembly-and-test"];
        let challenge = ["--challenge", challenge];
        devid(&[&args[..], &simulated, &challenge, rest].concat(), "").status.code()
    };
    let [csr, evidence, key] = ["csr", "evidence", "key"].map(|file| place.join(file));
    assert_eq!(verify(CHALLENGE, &[text(&csr)]), Some(0));
    assert_eq!(verify(CHALLENGE, &["--bound-key", text(&key), text(&evidence)]), Some(0));
    assert_eq!(verify(CHALLENGE, &[text(&evidence)]), Some(1));
    assert_eq!(verify(&"00".repeat(32), &[text(&csr)]), Some(1));
}

#[test]
fn a_signed_command_goes_through_the_shell_once() {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors/update");
    let dir = tempfile::tempdir().unwrap();
    let (device, id, value) =
        (dir.path().join("device"), dir.path().join("id"), dir.path().join("v"));
    let anchor = fs::read(vectors.join("anchor.der")).unwrap();
    let script = format!("{}slot write anchor0 -\ninfo\n", load(&anchor));
    let shell = devid(&["sim", "--dir", text(&device)], &script);
    assert_eq!(shell.status.code(), Some(0), "{}", stderr(&shell));
    let told = stdout(&shell);
    fs::write(&id, told.split_once("instance-id=").unwrap().1.trim()).unwrap();
    fs::write(&value, "coap://new").unwrap();

    let key = vectors.join("anchor-private.pem");
    let args = ["update", "sign", "--key", text(&key), "--device", text(&id), "--sequence", "5"];
    let signed = devid(&[&args[..], &["write", "endpoint", text(&value)]].concat(), "");
    assert_eq!(signed.status.code(), Some(0), "{}", stderr(&signed));
    let script = format!("{}update -\nslot read endpoint\ninfo\n", load(&signed.stdout));
    let shell = devid(&["sim", "--dir", text(&device)], &script);
    assert_eq!(shell.status.code(), Some(0), "{}", stderr(&shell));
    assert_eq!(binary(&shell, "VALUE: "), b"coap://new");
    assert!(stdout(&shell).contains(" sequence=5 "), "{}", stdout(&shell));

    let again =
        devid(&["sim", "--dir", text(&device)], &format!("{}update -\n", load(&signed.stdout)));
    assert_eq!(again.status.code(), Some(0), "{}", stderr(&again));
    assert!(stdout(&again).contains("already=yes"), "{}", stdout(&again));
}
