// SPDX-License-Identifier: Apache-2.0
//! `devid serve` and `devid registry` as processes.
#![cfg(feature = "service")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use serde_json::Value;

const DEVID: &str = env!("CARGO_BIN_EXE_devid");

fn vector(name: &str) -> String {
    format!("{}/../../vectors/token/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn devid(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(DEVID).args(arguments).current_dir(directory).output().expect("runs")
}

#[track_caller]
fn exits(output: &Output, status: i32) -> String {
    assert_eq!(output.status.code(), Some(status), "{output:?}");
    String::from_utf8(output.stdout.clone()).expect("text")
}

struct Service {
    process: Child,
    out: BufReader<ChildStdout>,
    address: String,
}

impl Service {
    fn start(directory: &Path, arguments: &[&str]) -> Self {
        Self::start_logging(directory, arguments, None)
    }

    fn start_logging(directory: &Path, arguments: &[&str], filter: Option<&str>) -> Self {
        let mut process = Command::new(DEVID)
            .args(["serve", "--create", "--listen", "127.0.0.1:0"])
            .args(arguments)
            .current_dir(directory)
            .env_remove("RUST_LOG")
            .envs(filter.map(|filter| ("RUST_LOG", filter)))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("starts");
        let mut out = BufReader::new(process.stdout.take().expect("piped"));
        let mut line = String::new();
        out.read_line(&mut line).expect("prints");
        let address = line.trim().strip_prefix("http://").expect("an address").to_owned();
        Self { process, out, address }
    }

    fn ask(&self, request: &str, body: &[u8]) -> String {
        let mut stream = TcpStream::connect(&self.address).expect("connects");
        let head = format!(
            "{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
             Content-Type: application/cbor\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(&[head.as_bytes(), body].concat()).expect("sends");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("text");
        answer
    }

    /// Ends it by SIGTERM; returns its exit status and what it logged.
    fn end(mut self) -> (Option<i32>, String) {
        let pid = self.process.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs");
        assert!(sent.success());
        let mut rest = String::new();
        self.out.read_to_string(&mut rest).expect("text");
        assert_eq!(rest, "", "more than the address on standard output");
        let mut log = String::new();
        let mut stderr = self.process.stderr.take().expect("piped");
        stderr.read_to_string(&mut log).expect("text");
        (self.process.wait().expect("ends").code(), log)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ended = self.process.kill();
    }
}

#[test]
fn serves_until_it_is_told_to_stop_and_logs_json() {
    let directory = tempfile::tempdir().expect("a folder");
    let service = Service::start(directory.path(), &[]);
    assert!(service.ask("GET /health", b"").starts_with("HTTP/1.1 200"));
    let token = std::fs::read(vector("rfc9783.cbor")).expect("a vector");
    let answer = service.ask("POST /verify", &token);
    assert!(answer.contains(r#""verdict":"fail""#), "{answer}");
    let (status, log) = service.end();
    assert_eq!(status, Some(0));
    assert_eq!(messages(&log), ["serving", "stopping"]);
}

fn messages(log: &str) -> Vec<String> {
    let message = |line| {
        let line: Value = serde_json::from_str(line).expect("a JSON object a line");
        line["fields"]["message"].as_str().expect("a message").to_owned()
    };
    log.lines().map(message).collect()
}

#[test]
fn logs_what_rust_log_asks_for() {
    let token = std::fs::read(vector("rfc9783.cbor")).expect("a vector");
    for (filter, expected) in [
        ("", &["serving", "stopping"][..]),
        ("off", &[]),
        ("warn", &[]),
        ("devid_service=debug", &["verified", "stopping"]),
        ("info,devid_service=warn", &["serving"]),
        ("info,devid_service=debug", &["serving", "verified", "stopping"]),
    ] {
        let directory = tempfile::tempdir().expect("a folder");
        let service = Service::start_logging(directory.path(), &[], Some(filter));
        service.ask("POST /verify", &token);
        let (status, log) = service.end();
        assert_eq!(status, Some(0));
        assert_eq!(messages(&log), expected, "{filter:?}");
    }
    // A level for everything.
    let directory = tempfile::tempdir().expect("a folder");
    let service = Service::start_logging(directory.path(), &[], Some("debug"));
    service.ask("POST /verify", &token);
    let (_, log) = service.end();
    assert!(messages(&log).contains(&"verified".to_owned()), "{log}");

    let wrong = Command::new(DEVID)
        .args(["serve", "--create", "--listen", "127.0.0.1:0"])
        .current_dir(directory.path())
        .env("RUST_LOG", "verbose")
        .output()
        .expect("runs");
    exits(&wrong, 2);
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("verbose"), "{wrong:?}");
}

#[test]
fn makes_no_registry_unless_told() {
    let directory = tempfile::tempdir().expect("a folder");
    let run = |arguments: &[&str]| devid(directory.path(), arguments);
    let file = directory.path().join("devid-registry.db");
    let key = vector("iak.pem");
    let refused = run(&["serve", "--listen", "127.0.0.1:0"]);
    exits(&refused, 1);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--create"), "{refused:?}");
    let refused = run(&["registry", "import", &key]);
    exits(&refused, 3);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--create"), "{refused:?}");
    exits(&run(&["registry", "list"]), 3);
    assert!(!file.exists());
    // Nor out of what is left of one.
    std::fs::write(&file, b"").expect("writes");
    exits(&run(&["serve", "--listen", "127.0.0.1:0"]), 1);
    exits(&run(&["registry", "list"]), 3);

    exits(&run(&["registry", "import", "--create", &key]), 0);
    exits(&run(&["registry", "list"]), 0);
}

#[test]
fn several_start_over_a_new_registry_at_once() {
    let directory = tempfile::tempdir().expect("a folder");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let service = Service::start(directory.path(), &[]);
                assert!(service.ask("GET /health", b"").starts_with("HTTP/1.1 200"));
                let (status, _) = service.end();
                assert_eq!(status, Some(0));
            });
        }
    });
}

/// A write beyond the limit fails, and would end a program that does not expect
/// it.
#[cfg(target_os = "linux")]
#[test]
fn goes_on_after_its_files_could_not_grow() {
    use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

    let directory = tempfile::tempdir().expect("a folder");
    let service = Service::start(directory.path(), &[]);
    let pid = Pid::from_child(&service.process);
    let limit = |bytes| {
        let limit = Rlimit { current: bytes, ..getrlimit(Resource::Fsize) };
        prlimit(Some(pid), Resource::Fsize, limit).expect("sets the limit");
    };
    let health = || service.ask("GET /health", b"")[..12].to_owned();
    for _ in 0..2 {
        assert_eq!(health(), "HTTP/1.1 200");
        limit(Some(1));
        let limited = health();
        limit(None);
        assert_eq!(limited, "HTTP/1.1 503");
    }
    assert_eq!(health(), "HTTP/1.1 200");
    let (status, log) = service.end();
    assert_eq!(status, Some(0));
    assert!(messages(&log).contains(&"the registry failed".to_owned()), "{log}");
}

#[test]
fn knows_imported_devices_and_what_became_of_them() {
    let directory = tempfile::tempdir().expect("a folder");
    let run = |arguments: &[&str]| devid(directory.path(), arguments);
    let key = vector("iak.pem");
    let printed = exits(&run(&["registry", "import", "--create", "--sku", "sensor", &key]), 0);
    assert!(printed.starts_with("device 1 is approved"), "{printed}");
    let twice = run(&["registry", "import", &key]);
    exits(&twice, 1);
    assert!(String::from_utf8_lossy(&twice.stderr).contains("belongs to a device already"));

    let listed = exits(&run(&["registry", "list", "--json"]), 0);
    let device: Value = serde_json::from_str(&listed).expect("one object");
    assert_eq!((&device["state"], &device["sku"]), (&"approved".into(), &"sensor".into()));

    let shown = exits(&run(&["registry", "show", "1", "--json"]), 0);
    let device: Value = serde_json::from_str(&shown).expect("one object");
    let instance_id = device["keys"][0]["instance_ids"][0]
        .as_str()
        .or(device["keys"][0]["instance-ids"][0].as_str())
        .expect("an instance id");
    exits(&run(&["registry", "revoke", instance_id, "--reason", "lost"]), 0);
    let shown = exits(&run(&["registry", "show", instance_id]), 0);
    assert!(shown.contains("revoked") && shown.contains("lost"), "{shown}");
    assert_eq!(exits(&run(&["registry", "list", "--state", "approved"]), 0), "");
    // Approving it is no way back by mistake.
    let refused = run(&["registry", "approve", "1"]);
    exits(&refused, 1);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--reinstate"), "{refused:?}");
    exits(&run(&["registry", "approve", "1", "--reinstate", "--reason", "found"]), 0);
    let shown = exits(&run(&["registry", "show", "1"]), 0);
    assert!(shown.contains("approved") && shown.contains("reinstated"), "{shown}");
    exits(&run(&["registry", "approve", "1"]), 0);
    exits(&run(&["registry", "approve", "2"]), 1);
}

#[test]
fn imports_a_key_for_what_its_certificate_is_for() {
    let imported = |arguments: &[&str]| {
        let directory = tempfile::tempdir().expect("a folder");
        let import = [&["registry", "import", "--create"], arguments].concat();
        let output = devid(directory.path(), &import);
        let shown = devid(directory.path(), &["registry", "show", "1", "--json"]);
        let device: Option<Value> = serde_json::from_slice(&shown.stdout).ok();
        let purpose = device.map(|device| device["keys"][0]["purpose"].clone());
        (output, purpose)
    };
    let (identity, key) = (&*vector("leaf-identity.pem"), &*vector("iak.pem"));
    let (refused, purpose) = imported(&["--purpose", "attestation", identity]);
    exits(&refused, 1);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("is for identity"), "{refused:?}");
    assert_eq!(purpose, None);
    assert_eq!(imported(&[identity]).1, Some("identity".into()));
    assert_eq!(imported(&["--purpose", "identity", key]).1, Some("identity".into()));
    assert_eq!(imported(&[key]).1, Some("attestation".into()));
}

#[test]
fn compares_claims_with_corims_and_takes_their_keys() {
    let directory = tempfile::tempdir().expect("a folder");
    let token = std::fs::read(vector("rfc9783.cbor")).expect("a vector");
    let results = |corims: &[&str]| {
        let files = corims.iter().map(|name| vector(&format!("../corim/{name}")));
        let options: Vec<_> = files.flat_map(|file| ["--corim".into(), file]).collect();
        let options: Vec<_> = options.iter().map(String::as_str).collect();
        let service = Service::start(directory.path(), &options);
        let answer = service.ask("POST /verify", &token);
        let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
        let answer: Value = serde_json::from_str(body).expect("JSON");
        let result = |name: &str| {
            let mut checks = answer["checks"].as_array().expect("checks").iter();
            let check = checks.find(|check| check["check"] == name).expect("the check");
            check["result"].as_str().expect("a result").to_owned()
        };
        ["signature", "software"].map(result)
    };
    assert_eq!(results(&[]), ["fail", "not-performed"]);
    assert_eq!(results(&["keys.cbor"]), ["pass", "not-performed"]);
    assert_eq!(results(&["keys.cbor", "software.cbor"]), ["pass", "pass"]);
    assert_eq!(results(&["keys.cbor", "newer.cbor"]), ["pass", "fail"]);
}

#[test]
fn exits_as_its_help_says() {
    let directory = tempfile::tempdir().expect("a folder");
    let run = |arguments: &[&str]| devid(directory.path(), arguments);
    let corim = |name: &str| vector(&format!("../corim/{name}"));
    for (arguments, status) in [
        (&["serve", "--listen", "nowhere"][..], 2),
        (&["serve", "--tls-key", "x"], 2),
        (&["serve", "--trust-anchor", "missing.pem"], 3),
        (&["serve", "--crl", "missing.crl"], 3),
        (&["serve", "--crl", &vector("root.pem")], 3),
        (&["serve", "--signing-key", "missing.pem"], 3),
        (&["serve", "--policy", "missing.toml"], 3),
        (&["serve", "--corim", "missing.cbor"], 3),
        (&["serve", "--corim", &corim("contradicting.cbor")], 3),
        (&["serve", "--corim", &corim("expired.cbor")], 3),
        // Signed, and nobody said by whom; unsigned, and somebody was named.
        (&["serve", "--corim", &corim("signed.cbor")], 3),
        (&["serve", "--corim", &corim("keys.cbor"), "--corim-key", &corim("endorser.pem")], 3),
        (&["serve", "--corim-key", &corim("endorser.pem")], 2),
        (&["serve", "--registry", "missing/registry.db"], 1),
        (&["registry", "list"], 3),
        (&["registry", "show", "1"], 3),
        (&["registry", "show", "abc"], 2),
        (&["registry", "list", "--state", "lost"], 2),
        (&["registry", "import", "missing.pem"], 3),
    ] {
        assert_eq!(run(arguments).status.code(), Some(status), "{arguments:?}");
    }
    // Looking makes no registry.
    assert!(!directory.path().join("registry.db").exists());
}
