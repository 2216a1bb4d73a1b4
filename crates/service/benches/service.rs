// SPDX-License-Identifier: Apache-2.0
//! The service under load: the real program as a process of its own, a registry
//! of so many devices, HTTP over loopback.
//!
//! Each request is a token of its own, by one of many devices, over a challenge
//! asked for before; each answer is a signed result. The load comes from one
//! thread of this process, which shares the machine with the service.
//!
//! `--program FILE` names the program devid and `--dir FOLDER` where registries
//! may lie for the while; `--devices N,N` chooses sizes. With `--mixed` there are
//! hostile clients as well. Prints one JSON object.

#[path = "service/mixed.rs"]
mod mixed;

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair,
};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use devid_registry::Registry;
use devid_verifier::keys::PublicKey;
use sha2::{Digest, Sha256};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, SqliteConnection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime;
use tokio::task::LocalSet;

/// Sizes of the registry.
const DEVICES: [u64; 3] = [1_000, 100_000, 10_000_000];
/// Devices that send tokens, where there are so many.
const SENDERS: u64 = 20_000;
/// Tokens that are measured, and those sent before.
const REQUESTS: usize = 60_000;
const WARM_UP: usize = 4_000;
/// Keep-alive connections, each with one request in flight.
const CONNECTIONS: usize = 128;
/// Runs of each size; the median counts.
const RUNS: usize = 3;
/// The whole must end.
const TIME_LIMIT: Duration = Duration::from_secs(20 * 60);

const SIGNING: &EcdsaSigningAlgorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let option = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).cloned()
    };
    let Some(program) = option("--program").map(PathBuf::from) else {
        eprintln!("SKIPPED: `cargo xtask bench service` runs this with --program");
        return;
    };
    let dir = option("--dir").map_or_else(std::env::temp_dir, PathBuf::from);
    if arguments.iter().any(|argument| argument == "--mixed") {
        println!("{}", measure_mixed(&program, &dir));
        return;
    }
    let devices: Vec<u64> = match option("--devices") {
        Some(list) => list.split(',').map(|n| n.parse().expect("--devices N,N")).collect(),
        None => DEVICES.to_vec(),
    };
    let start = Instant::now();
    let sizes: Vec<_> = devices
        .into_iter()
        .map(|devices| {
            assert!(start.elapsed() < TIME_LIMIT, "this takes too long");
            measure(&program, &dir, devices)
        })
        .collect();
    println!("{}", serde_json::json!({ "connections": CONNECTIONS, "sizes": sizes }));
}

fn measure_mixed(program: &Path, dir: &Path) -> serde_json::Value {
    let (dir, runtime) = surroundings(dir);
    let file = dir.path().join("registry.db");
    let senders = runtime.block_on(fill(&file, DEVICES[0]));
    let service = Running::start(program, &file, &signing_key(dir.path()));
    runtime.block_on(mixed::run(service, senders))
}

/// A folder for the while, and what clients run in.
fn surroundings(dir: &Path) -> (tempfile::TempDir, runtime::Runtime) {
    let dir = tempfile::Builder::new().prefix("bench-service-").tempdir_in(dir).expect("a folder");
    (dir, runtime::Builder::new_current_thread().enable_all().build().expect("a runtime"))
}

fn signing_key(dir: &Path) -> PathBuf {
    let key = dir.join("key.pem");
    fs::write(&key, include_bytes!("../tests/signing-key.pem")).expect("writes");
    key
}

fn measure(program: &Path, dir: &Path, devices: u64) -> serde_json::Value {
    let (dir, runtime) = surroundings(dir);
    let file = dir.path().join("registry.db");

    let start = Instant::now();
    let senders = runtime.block_on(fill(&file, devices));
    let size = fs::metadata(&file).expect("the registry").len();
    let filled = start.elapsed().as_secs_f64();
    eprintln!("{devices} devices: filled in {filled:.0} s, {:.2} GB", size as f64 / 1e9);

    let service = Running::start(program, &file, &signing_key(dir.path()));

    let mut runs = Vec::new();
    for run in 0..RUNS {
        let challenges = runtime.block_on(challenges(&service.address, WARM_UP + REQUESTS));
        let requests = requests(&senders, challenges, &service.address);
        let (warm_up, requests) = requests.split_at(WARM_UP);
        runtime.block_on(load(&service.address, warm_up));
        let before = cpu_seconds(service.process.id());
        let mut run_of = runtime.block_on(load(&service.address, requests));
        let seconds = cpu_seconds(service.process.id()) - before;
        run_of.cpu_us = (seconds / REQUESTS as f64 * 1e6).round();
        eprintln!(
            "{devices} devices, run {run}: {:.0} requests/s, p50 {:.1} ms, p99 {:.1} ms, {} us of CPU each",
            run_of.requests_per_s, run_of.p50_ms, run_of.p99_ms, run_of.cpu_us
        );
        runs.push(run_of);
    }
    runs.sort_by(|a, b| a.requests_per_s.total_cmp(&b.requests_per_s));
    let median = &runs[RUNS / 2];
    serde_json::json!({
        "registry_devices": devices,
        "requests": REQUESTS,
        "requests_per_s": median.requests_per_s.round(),
        "p50_ms": median.p50_ms,
        "p99_ms": median.p99_ms,
        "service_cpu_us": median.cpu_us,
        "lowest_per_s": runs[0].requests_per_s.round(),
        "highest_per_s": runs[RUNS - 1].requests_per_s.round(),
        "rss_mb": service.rss_mb(),
        "registry_mb": size / 1_000_000,
    })
}

/// A device that sends tokens.
struct Sender {
    key: EcdsaKeyPair,
    instance_id: [u8; 33],
}

/// Makes a registry with so many devices. Those that send have real keys and
/// stand among the others, whose keys are random bytes.
async fn fill(file: &Path, devices: u64) -> Vec<Sender> {
    drop(Registry::open_or_create(file).await.expect("makes the tables"));
    let mut connection = open_to_fill(file).await;
    let real = devices.min(SENDERS);
    let others = devices - real;
    if others > 0 {
        fill_with_others(&mut connection, others).await;
    }
    let senders: Vec<_> = (0..real).map(|_| Sender::new()).collect();
    let mut transaction = connection.begin().await.expect("begins");
    for (id, sender) in (others as i64 + 1..).zip(&senders) {
        let public = sender.public();
        let spki = public.spki();
        sqlx::query("INSERT INTO device VALUES ($1, 1, NULL, NULL, 0)")
            .bind(id)
            .execute(&mut *transaction)
            .await
            .expect("a device");
        sqlx::query("INSERT INTO device_key VALUES ($1, $1, $2, $3)")
            .bind(id)
            .bind(&Sha256::digest(&spki)[..])
            .bind(spki)
            .execute(&mut *transaction)
            .await
            .expect("a key");
        for instance_id in public.id().instance_ids() {
            sqlx::query("INSERT INTO instance VALUES ($1, $2)")
                .bind(&instance_id[..])
                .bind(id)
                .execute(&mut *transaction)
                .await
                .expect("an instance id");
        }
    }
    transaction.commit().await.expect("commits");
    connection.close().await.expect("closes");
    senders
}

/// Opens the file without a log, when those who made the tables have let it go.
async fn open_to_fill(file: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new()
        .filename(file)
        // Nothing is lost that cannot be made again; the service's own settings follow.
        .journal_mode(SqliteJournalMode::Off)
        .pragma("synchronous", "OFF")
        .pragma("cache_size", "-262144");
    for _ in 0..100 {
        if let Ok(connection) = options.connect().await {
            return connection;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    options.connect().await.expect("opens")
}

/// Random keys and ids in ascending order, which fills a tree fastest.
async fn fill_with_others(connection: &mut SqliteConnection, others: u64) {
    let step = u64::MAX / 2 / (others + 1);
    let numbers = |to: u64| {
        format!("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {to})")
    };
    let blob = |step: u64, prefix: &str| {
        format!(
            "CAST({prefix} || unhex(printf('%016x', i * {step} * 2)) || randomblob(24) AS BLOB)"
        )
    };
    for sql in [
        format!("{} INSERT INTO device SELECT i, 1, NULL, NULL, 0 FROM n", numbers(others)),
        format!(
            "{} INSERT INTO device_key SELECT i, i, {}, randomblob(91) FROM n",
            numbers(others),
            blob(step, "x''")
        ),
        format!(
            "{} INSERT INTO instance SELECT {}, (i + 1) / 2 FROM n",
            numbers(2 * others),
            blob(step / 2, "x'01'")
        ),
    ] {
        // One transaction a table.
        sqlx::query(AssertSqlSafe(sql)).execute(&mut *connection).await.expect("fills");
    }
}

impl Sender {
    fn new() -> Self {
        let key = EcdsaKeyPair::generate(SIGNING).expect("a key");
        let public = PublicKey::from_point(key.public_key().as_ref()).expect("a point");
        Self { instance_id: public.id().instance_ids()[1], key }
    }

    fn public(&self) -> PublicKey {
        PublicKey::from_point(self.key.public_key().as_ref()).expect("a point")
    }

    /// An RFC 9783 token as TF-M with two software components makes it.
    fn token(&self, nonce: &[u8], random: &SystemRandom) -> Vec<u8> {
        let mut claims = Vec::with_capacity(512);
        head(&mut claims, 5, 8);
        for (key, value) in [(10, nonce), (256, &self.instance_id), (2396, &[0x11; 32])] {
            head(&mut claims, 0, key);
            bytes(&mut claims, value);
        }
        head(&mut claims, 0, 265);
        text(&mut claims, "tag:psacertified.org,2023:psa#tfm");
        head(&mut claims, 0, 2394);
        head(&mut claims, 1, 0); // -1
        head(&mut claims, 0, 2395);
        head(&mut claims, 0, 0x3000);
        head(&mut claims, 0, 268);
        bytes(&mut claims, &[0x22; 32]);
        head(&mut claims, 0, 2399);
        head(&mut claims, 4, 2);
        for (name, version) in [("SPE", "2.1.1"), ("NSPE", "4.1.0")] {
            head(&mut claims, 5, 4);
            head(&mut claims, 0, 1);
            text(&mut claims, name);
            head(&mut claims, 0, 2);
            bytes(&mut claims, &[0x33; 32]);
            head(&mut claims, 0, 4);
            text(&mut claims, version);
            head(&mut claims, 0, 5);
            bytes(&mut claims, &[0x44; 32]);
        }

        let protected = [0xa1, 0x01, 0x26];
        let mut to_be_signed = b"\x84\x6aSignature1".to_vec();
        bytes(&mut to_be_signed, &protected);
        bytes(&mut to_be_signed, &[]);
        bytes(&mut to_be_signed, &claims);
        let signature = self.key.sign(random, &to_be_signed).expect("signs");

        let mut token = vec![0xd2, 0x84];
        bytes(&mut token, &protected);
        head(&mut token, 5, 0);
        bytes(&mut token, &claims);
        bytes(&mut token, signature.as_ref());
        token
    }
}

/// A CBOR head (RFC 8949, 3): major type and argument.
fn head(out: &mut Vec<u8>, major: u8, argument: u64) {
    match argument {
        0..24 => out.push(major << 5 | argument as u8),
        24..0x100 => out.extend([major << 5 | 24, argument as u8]),
        _ => {
            out.push(major << 5 | 25);
            out.extend((argument as u16).to_be_bytes());
        }
    }
}

fn bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    head(out, 2, bytes.len() as u64);
    out.extend(bytes);
}

fn text(out: &mut Vec<u8>, text: &str) {
    head(out, 3, text.len() as u64);
    out.extend(text.as_bytes());
}

/// The service as a process.
struct Running {
    process: Child,
    address: String,
}

impl Running {
    fn start(program: &Path, registry: &Path, key: &Path) -> Self {
        let mut process = Command::new(program)
            .args(["serve", "--listen", "127.0.0.1:0", "--challenge-lifetime", "3600"])
            .arg("--registry")
            .arg(registry)
            .arg("--signing-key")
            .arg(key)
            .stdout(Stdio::piped())
            .spawn()
            .expect("starts");
        let stdout = process.stdout.take().expect("piped");
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).expect("prints its address");
        let address = line.trim().strip_prefix("http://").expect("an address").to_owned();
        Self { process, address }
    }

    /// Resident memory, without pages of files.
    fn rss_mb(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()));
        let kilobytes = |name: &str| -> Option<f64> {
            let status = status.as_ref().ok()?;
            let line = status.lines().find(|line| line.starts_with(name))?;
            line.split_whitespace().nth(1)?.parse().ok()
        };
        kilobytes("VmRSS:").map_or(f64::NAN, |kilobytes| (kilobytes / 102.4).round() / 10.0)
    }
}

/// User and system time of a process, from its 14th and 15th field in ticks of
/// 10 ms (proc_pid_stat(5)).
fn cpu_seconds(process: u32) -> f64 {
    let seconds = || -> Option<f64> {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        let fields: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
        Some((ticks(11)? + ticks(12)?) / 100.0)
    };
    seconds().unwrap_or(f64::NAN)
}

impl Drop for Running {
    fn drop(&mut self) {
        let _killed = self.process.kill();
        let _ended = self.process.wait();
    }
}

/// Asks for challenges over one connection.
async fn challenges(address: &str, count: usize) -> Vec<Vec<u8>> {
    let request =
        format!("POST /challenge HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\n\r\n");
    let requests = vec![Rc::<[u8]>::from(request.into_bytes()); count];
    let answers = load(address, &requests).await.answers;
    answers
        .iter()
        .map(|answer| {
            let json: serde_json::Value = serde_json::from_slice(answer).expect("JSON");
            let challenge = json["challenge"].as_str().expect("a challenge");
            HEXLOWER.decode(challenge.as_bytes()).expect("hex")
        })
        .collect()
}

/// One request a challenge, by one sender after the other.
fn requests(senders: &[Sender], challenges: Vec<Vec<u8>>, address: &str) -> Vec<Rc<[u8]>> {
    let random = SystemRandom::new();
    let of = |(challenge, sender): (Vec<u8>, &Sender)| {
        let token = sender.token(&challenge, &random);
        let mut request = format!(
            "POST /verify HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/eat+cwt\r\n\
             Accept: application/eat+jwt\r\nContent-Length: {}\r\n\r\n",
            token.len()
        )
        .into_bytes();
        request.extend(token);
        Rc::from(request)
    };
    challenges.into_iter().zip(senders.iter().cycle()).map(of).collect()
}

struct Run {
    requests_per_s: f64,
    p50_ms: f64,
    p99_ms: f64,
    /// Processor time of the service for a request, which other load on the
    /// machine changes little.
    cpu_us: f64,
    answers: Vec<Vec<u8>>,
}

/// Sends all requests, each connection the next one as soon as it has its
/// answer, and asserts that every verdict is good.
async fn load(address: &str, requests: &[Rc<[u8]>]) -> Run {
    let mut streams = Vec::new();
    for _ in 0..CONNECTIONS {
        let stream = TcpStream::connect(address).await.expect("connects");
        stream.set_nodelay(true).expect("no delay");
        streams.push(stream);
    }
    let queue: VecDeque<_> = requests.iter().cloned().collect();
    let queue = Rc::new(std::cell::RefCell::new(queue));
    let start = Instant::now();
    let local = LocalSet::new();
    let tasks: Vec<_> = streams
        .into_iter()
        .map(|stream| local.spawn_local(send(stream, Rc::clone(&queue))))
        .collect();
    local.await;
    let seconds = start.elapsed().as_secs_f64();

    let (mut latencies, mut answers) = (Vec::new(), Vec::new());
    for task in tasks {
        for (latency, answer) in task.await.expect("no panic") {
            latencies.push(latency);
            answers.push(answer);
        }
    }
    assert_eq!(answers.len(), requests.len());
    for answer in answers.iter().filter(|answer| !answer.starts_with(b"{")) {
        let jwt = std::str::from_utf8(answer).expect("a JWT");
        let claims = jwt.split('.').nth(1).expect("claims");
        let claims = BASE64URL_NOPAD.decode(claims.as_bytes()).expect("base64url");
        let claims: serde_json::Value = serde_json::from_slice(&claims).expect("JSON");
        let submodules = claims["submods"].as_object().expect("submodules");
        for submodule in submodules.values() {
            assert_eq!(submodule["ear_status"], "affirming", "{claims}");
        }
    }
    latencies.sort();
    Run {
        requests_per_s: requests.len() as f64 / seconds,
        p50_ms: percentile_ms(&latencies, 50),
        p99_ms: percentile_ms(&latencies, 99),
        cpu_us: f64::NAN,
        answers,
    }
}

async fn send(
    mut stream: TcpStream,
    queue: Rc<std::cell::RefCell<VecDeque<Rc<[u8]>>>>,
) -> Vec<(Duration, Vec<u8>)> {
    let mut answered = Vec::new();
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let Some(request) = queue.borrow_mut().pop_front() else { return answered };
        let start = Instant::now();
        stream.write_all(&request).await.expect("sends");
        let mut len = 0;
        let body = loop {
            let read = stream.read(&mut buffer[len..]).await.expect("reads");
            assert!(read > 0, "the connection was closed");
            len += read;
            if let Some(body) = whole_body(&buffer[..len]) {
                break body.to_vec();
            }
        };
        answered.push((start.elapsed(), body));
    }
}

/// Of latencies in ascending order.
fn percentile_ms(latencies: &[Duration], percent: usize) -> f64 {
    let latency = latencies[(latencies.len() - 1) * percent / 100];
    (latency.as_secs_f64() * 1e5).round() / 1e2
}

/// The body of a good response that has all come.
fn whole_body(response: &[u8]) -> Option<&[u8]> {
    let (head, body) = whole_response(response)?;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}\n{}", String::from_utf8_lossy(body));
    Some(body)
}

/// Head and body of a response that has all come.
fn whole_response(response: &[u8]) -> Option<(&str, &[u8])> {
    let end = response.windows(4).position(|window| window == b"\r\n\r\n")?;
    let (head, body) = (std::str::from_utf8(&response[..end]).ok()?, &response[end + 4..]);
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    })?;
    (body.len() == length).then_some((head, body))
}
