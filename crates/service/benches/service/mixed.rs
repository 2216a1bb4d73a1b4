// SPDX-License-Identifier: Apache-2.0
//! A minute of verifications while other clients are silent, slow, malformed or
//! lying. Every answer is judged, the memory watched, and the service told to
//! stop while hundreds of half-open connections are held.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::process::Command;
use std::rc::Rc;
use std::time::{Duration, Instant};

use aws_lc_rs::rand::SystemRandom;
use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{sleep, timeout};

use super::{Running, Sender, percentile_ms, whole_response};

const DURATION: Duration = Duration::from_secs(60);
/// Clients that ask for challenges and have their tokens verified.
const GOOD: usize = 64;
/// Clients that send whole requests, all of them wrong.
const WRONG: usize = 16;
/// Memory that the service may take. SQLite's caches, 32 MB a connection, fill
/// in the first hundreds of thousands of tokens.
const MOST_MB: f64 = 128.0;
const MOST_GROWTH_MB: f64 = 40.0;
/// The service cuts off who takes longer than 10 s; it may be busy.
const CUT_OFF_WITHIN: Duration = Duration::from_secs(30);
/// How long a slow client waits between two bytes.
const A_WHILE: Duration = Duration::from_millis(500);
/// The service's grace, and some time to end in.
const STOPS_WITHIN: Duration = Duration::from_secs(15);

const HEAD: &str = "POST /verify HTTP/1.1\r\nHost: x\r\nContent-Type: application/cbor\r\n";

/// Connections that are begun and not gone on with: how many, what is sent at
/// once, and whether a byte follows now and then.
const HELD: [(&str, usize, &str, bool); 5] = [
    ("silent", 200, "", false),
    ("half a head", 100, "POST /verify HTTP/1.1\r\nHost: x\r\nA: ", false),
    ("head by bytes", 50, "POST /verify HTTP/1.1\r\nHost: ", true),
    ("half a body", 100, "Content-Length: 1000\r\n\r\nabc", false),
    ("body by bytes", 50, "Content-Length: 1000\r\n\r\n", true),
];

struct Load {
    address: String,
    until: Instant,
    senders: Vec<Sender>,
    random: SystemRandom,
    /// Set before the service is told to stop: from then on it may refuse.
    is_stopping: Cell<bool>,
    /// What hostile clients did, and how often.
    done: RefCell<BTreeMap<&'static str, u64>>,
}

/// Runs it against a service over the registry of the senders' devices.
pub(super) async fn run(mut service: Running, senders: Vec<Sender>) -> Value {
    let load = Rc::new(Load {
        address: service.address.clone(),
        until: Instant::now() + DURATION,
        senders,
        random: SystemRandom::new(),
        is_stopping: Cell::new(false),
        done: RefCell::default(),
    });
    LocalSet::new().run_until(run_all(&load, &mut service)).await
}

async fn run_all(load: &Rc<Load>, service: &mut Running) -> Value {
    let mut hostile = Vec::new();
    for (name, clients, begun, goes_on) in HELD {
        for _ in 0..clients {
            hostile.push(spawn_local(hold(Rc::clone(load), name, begun, goes_on)));
        }
    }
    for client in 0..WRONG {
        hostile.push(spawn_local(send_wrong(Rc::clone(load), client)));
    }
    let good: Vec<_> =
        (0..GOOD).map(|client| spawn_local(verify_well(Rc::clone(load), client))).collect();

    let mut memory = Vec::new();
    while Instant::now() < load.until {
        sleep(Duration::from_secs(1)).await;
        memory.push(service.rss_mb());
    }
    let mut latencies = Vec::new();
    for client in good {
        latencies.extend(client.await.expect("every answer is right"));
    }
    latencies.sort_unstable();
    assert_eq!(passed_in_metrics(load).await, latencies.len(), "the service counted otherwise");

    load.is_stopping.set(true);
    let start = Instant::now();
    let told = Command::new("kill").args(["-TERM", &service.process.id().to_string()]).status();
    assert!(told.expect("kill runs").success());
    let status = loop {
        if let Some(status) = service.process.try_wait().expect("waits") {
            break status;
        }
        assert!(start.elapsed() < STOPS_WITHIN, "it does not stop");
        sleep(Duration::from_millis(10)).await;
    };
    let stopped = start.elapsed();
    assert_eq!(status.code(), Some(0), "it did not stop gracefully");
    for client in hostile {
        client.await.expect("hostile clients were treated as they should be");
    }

    let most = |memory: &[f64]| memory.iter().copied().fold(0.0, f64::max);
    let third = memory.len() / 3;
    let (first, last) = (most(&memory[..third]), most(&memory[2 * third..]));
    assert!(most(&memory) <= MOST_MB, "{} MB", most(&memory));
    assert!(last - first <= MOST_GROWTH_MB, "from {first} to {last} MB");
    json!({
        "seconds": DURATION.as_secs(),
        "good_connections": GOOD,
        "held_connections": HELD.iter().map(|(_, clients, ..)| clients).sum::<usize>(),
        "verified": latencies.len(),
        "verified_per_s": (latencies.len() as f64 / DURATION.as_secs_f64()).round(),
        "p50_ms": percentile_ms(&latencies, 50),
        "p99_ms": percentile_ms(&latencies, 99),
        "hostile": *load.done.borrow(),
        "rss_first_mb": first,
        "rss_last_mb": last,
        "stopped_after_s": (stopped.as_secs_f64() * 100.0).round() / 100.0,
    })
}

/// Asks for a challenge and has it attested, over and over. Now and then the
/// token is sent once more, which must fail. Returns how long verdicts took.
async fn verify_well(load: Rc<Load>, client: usize) -> Vec<Duration> {
    let mut connection = Connection::open(&load).await.expect("connects");
    let mut taken = Vec::new();
    for sender in load.senders.iter().cycle().skip(client).step_by(GOOD) {
        if Instant::now() >= load.until {
            break;
        }
        let challenge = load.challenge(&mut connection).await;
        let token = sender.token(&challenge, &load.random);
        let start = Instant::now();
        let answer = connection.verify(&token).await;
        taken.push(start.elapsed());
        assert_eq!(answer["verdict"], "pass", "{answer}");
        assert_eq!(answer["claims"]["nonce"], HEXLOWER.encode(&challenge));
        assert_eq!(answer["device"]["state"], "approved");
        if taken.len() % 16 == 0 {
            let again = connection.verify(&token).await;
            assert!(has_failed(&again, "challenge"), "a replay: {again}");
        }
    }
    taken
}

fn has_failed(answer: &Value, name: &str) -> bool {
    let checks = answer["checks"].as_array().expect("checks");
    answer["verdict"] == "fail"
        && checks.iter().any(|check| check["check"] == name && check["result"] == "fail")
}

/// Begins, goes on too slowly or not at all, and must be cut off; then again.
async fn hold(load: Rc<Load>, name: &'static str, begun: &str, goes_on: bool) {
    let begun = match name.contains("body") {
        true => format!("{HEAD}{begun}"),
        false => begun.to_owned(),
    };
    while !load.is_stopping.get() {
        let Some(mut stream) = load.connect().await else { return };
        let cut_off = async {
            stream.write_all(begun.as_bytes()).await?;
            let mut received = [0; 1024];
            loop {
                let read = stream.read(&mut received);
                match timeout(if goes_on { A_WHILE } else { CUT_OFF_WITHIN }, read).await {
                    Ok(Ok(0)) => return Ok::<_, std::io::Error>(()),
                    Ok(read) => drop(read?),
                    Err(_) if goes_on => stream.write_all(b"a").await?,
                    Err(_) => {}
                }
            }
        };
        // An error is an end as well: the service may have reset it.
        let _ended = timeout(CUT_OFF_WITHIN, cut_off).await.expect("is cut off");
        load.count(name);
    }
}

/// Sends one wrong request after the other, each over a connection of its own.
async fn send_wrong(load: Rc<Load>, client: usize) {
    let stranger = Sender::new();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(client as u64 + 1);
    let mut draw = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as usize % below
    };
    for turn in client.. {
        if load.is_stopping.get() {
            return;
        }
        let Some(stream) = load.connect().await else { return };
        let mut connection = Connection { stream };
        let sender = &load.senders[draw(load.senders.len())];
        let random = [(); 32].map(|()| draw(256) as u8);
        let token = sender.token(&random, &load.random);
        let (name, expected, request) = match turn % 10 {
            0 => ("cut token", Expected::Fails("decode"), verify(&token[..draw(token.len())])),
            1 => ("foreign nonce", Expected::Fails("challenge"), verify(&token)),
            2 => {
                let mut forged = token;
                let at = forged.len() - 1 - draw(64);
                forged[at] ^= 1 << draw(8);
                ("forged", Expected::Fails("signature"), verify(&forged))
            }
            3 => {
                let token = stranger.token(&random, &load.random);
                ("stranger", Expected::Fails("signature"), verify(&token))
            }
            4 => ("nested JSON", Expected::Fails("decode"), verify(&[b'['; 60_000])),
            5 => ("nested CBOR", Expected::Fails("decode"), verify(&[0x81; 60_000])),
            6 => {
                let request = format!("{HEAD}Content-Length: 99999999999\r\n\r\n");
                ("promised body", Expected::Status(413), request.into_bytes())
            }
            7 => {
                let chunk = format!("ff\r\n{}\r\n", "a".repeat(255)).repeat(300);
                let request = format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n{chunk}");
                ("chunked body", Expected::Status(413), request.into_bytes())
            }
            8 => {
                let noise: Vec<u8> = (0..8192).map(|_| draw(256) as u8).collect();
                ("noise", Expected::Status(400), noise)
            }
            _ => {
                ("other path", Expected::Status(404), b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n".into())
            }
        };
        let answer = timeout(CUT_OFF_WITHIN, connection.ask(&request)).await.expect("an end");
        if load.is_stopping.get() {
            return;
        }
        match (expected, answer) {
            (Expected::Fails(check), Some((200, body))) => {
                let answer = serde_json::from_slice(&body).expect("JSON");
                assert!(has_failed(&answer, check), "{name}: {answer}");
            }
            (Expected::Status(wanted), Some((status, _))) => assert_eq!(status, wanted, "{name}"),
            // Closed before all was read: the answer may be lost.
            (Expected::Status(400 | 413), None) => {}
            (_, answer) => panic!("{name}: {answer:?}"),
        }
        load.count(name);
    }
}

enum Expected {
    Fails(&'static str),
    Status(u16),
}

fn verify(token: &[u8]) -> Vec<u8> {
    let head = format!("{HEAD}Content-Length: {}\r\n\r\n", token.len());
    [head.as_bytes(), token].concat()
}

async fn passed_in_metrics(load: &Load) -> usize {
    let mut connection = Connection::open(load).await.expect("connects");
    let (status, body) =
        connection.ask(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("an answer");
    let text = String::from_utf8(body).expect("text");
    let line = text.lines().find_map(|line| {
        line.strip_prefix(r#"devid_verdicts_total{verdict="pass"} "#)?.parse().ok()
    });
    assert_eq!(status, 200);
    line.expect("the counter")
}

impl Load {
    /// `None` once the service stops.
    async fn connect(&self) -> Option<TcpStream> {
        match TcpStream::connect(&self.address).await {
            Ok(stream) => Some(stream),
            Err(_) if self.is_stopping.get() => None,
            Err(error) => panic!("cannot connect: {error}"),
        }
    }

    async fn challenge(&self, connection: &mut Connection) -> Vec<u8> {
        let request = b"POST /challenge HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
        let (status, body) = connection.ask(request).await.expect("an answer");
        let answer: Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(status, 200, "{answer}");
        HEXLOWER.decode(answer["challenge"].as_str().expect("text").as_bytes()).expect("hex")
    }

    fn count(&self, what: &'static str) {
        *self.done.borrow_mut().entry(what).or_default() += 1;
    }
}

/// A connection that one request after the other goes over.
struct Connection {
    stream: TcpStream,
}

impl Connection {
    async fn open(load: &Load) -> Option<Self> {
        let stream = load.connect().await?;
        stream.set_nodelay(true).expect("no delay");
        Some(Self { stream })
    }

    async fn verify(&mut self, token: &[u8]) -> Value {
        let (status, body) = self.ask(&verify(token)).await.expect("an answer");
        assert_eq!(status, 200);
        serde_json::from_slice(&body).expect("JSON")
    }

    /// Status and body; `None` where the connection was closed without.
    async fn ask(&mut self, request: &[u8]) -> Option<(u16, Vec<u8>)> {
        // The service may answer and close before it has read all.
        let _sent = self.stream.write_all(request).await;
        let mut received = Vec::new();
        loop {
            if let Some((head, body)) = whole_response(&received) {
                let status = head.split(' ').nth(1)?.parse().ok()?;
                return Some((status, body.to_vec()));
            }
            match self.stream.read_buf(&mut received).await {
                Ok(1..) => {}
                _ => return None,
            }
        }
    }
}
