// SPDX-License-Identifier: Apache-2.0
//! What the service refuses, and what it bears: clients that are wrong, slow,
//! silent or many, and its own end.

mod http;
mod schema;

use std::sync::Arc;
use std::time::{Duration, Instant};

use devid_service::{Config, TlsConfig};
use http::{Response, Running, directory, exchange, read_response, request, start, start_with_tls};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;

const PATIENCE: Duration = Duration::from_millis(300);

fn impatient(config: &mut Config) {
    config.limits.patience = PATIENCE;
}

const TOKEN: (&str, &str) = ("Content-Type", "application/eat+cwt");

#[track_caller]
fn refused(response: &Response, status: u16) {
    assert_eq!(response.status, status, "{response:?}");
    assert_eq!(response.media_type(), "application/problem+json");
    schema::conforms(&response.json(), "Problem");
}

#[tokio::test]
async fn refuses_requests_that_are_wrong() {
    let directory = directory();
    let running = start(directory.path(), |_| {}).await;
    refused(&running.get("/nothing").await, 404);
    refused(&running.get("/verify").await, 405);
    refused(&running.send("DELETE", "/challenge", &[], &[]).await, 405);
    refused(&running.send("POST", "/health", &[], &[]).await, 405);
    for query in ["length=31", "length=", "length=x", "size=32", "length=99999999999999999999"] {
        refused(&running.send("POST", &format!("/challenge?{query}"), &[], &[]).await, 400);
    }
    for content_type in [None, Some("text/plain"), Some("application/json"), Some("\u{1}")] {
        let headers: Vec<_> =
            content_type.map(|value| ("Content-Type", value)).into_iter().collect();
        let response = running.send("POST", "/verify", &headers, b"x").await;
        assert!(matches!(response.status, 400 | 415), "{response:?}");
    }
    let accept = [TOKEN, ("Accept", "text/html")];
    refused(&running.send("POST", "/verify", &accept, b"x").await, 406);
    // There is no key to sign with.
    let accept = [TOKEN, ("Accept", "application/eat+jwt")];
    refused(&running.send("POST", "/verify", &accept, b"x").await, 406);
}

#[tokio::test]
async fn takes_no_body_longer_than_the_limit() {
    let directory = directory();
    let running = start(directory.path(), |config| config.limits.body_len = 1000).await;
    let fits = running.send("POST", "/verify", &[TOKEN], &[0; 1000]).await;
    assert_eq!(fits.status, 200);
    refused(&running.send("POST", "/verify", &[TOKEN], &[0; 1001]).await, 413);
    // What says its length in advance, and what does not.
    let head = "POST /verify HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
                Content-Type: application/cbor\r\n";
    let promised = format!("{head}Content-Length: 99999999999\r\n\r\n");
    refused(&exchange(running.connect().await, promised.as_bytes()).await, 413);
    let mut chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
    for _ in 0..11 {
        chunked.extend(b"64\r\n");
        chunked.extend([0; 100]);
        chunked.extend(b"\r\n");
    }
    refused(&exchange(running.connect().await, &chunked).await, 413);
}

#[tokio::test]
async fn survives_what_is_no_http() {
    let directory = directory();
    let running = start(directory.path(), impatient).await;
    let long = [b"GET /".as_slice(), &[b'a'; 100_000], b" HTTP/1.1\r\n\r\n"].concat();
    let many = ["GET / HTTP/1.1\r\n", &"A: b\r\n".repeat(5000), "\r\n"].concat();
    let noise: Vec<u8> =
        (0..100_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for bytes in [
        &b"\0\0\0\0\r\n\r\n"[..],
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /verify HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /verify HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        b"POST /verify HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        &long,
        many.as_bytes(),
        &noise,
    ] {
        let mut stream = running.connect().await;
        let _cut = stream.write_all(bytes).await;
        if let Some(response) = read_response(stream).await {
            assert!((400..500).contains(&response.status), "{response:?}");
        }
    }
    assert_eq!(running.get("/health").await.status, 200);
}

/// Asserts that the service ends a connection, soon but not at once.
async fn is_cut_off(mut stream: tokio::net::TcpStream) -> Vec<u8> {
    let start = Instant::now();
    let mut received = Vec::new();
    let read = tokio::time::timeout(PATIENCE * 10, stream.read_to_end(&mut received)).await;
    assert!(read.is_ok(), "the connection is still open");
    assert!(start.elapsed() > PATIENCE / 2, "cut off after {:?}", start.elapsed());
    received
}

#[tokio::test]
async fn cuts_off_who_says_nothing_or_stops_halfway() {
    let directory = directory();
    let running = start(directory.path(), impatient).await;
    for begun in ["", "GET /health HTT", "GET /health HTTP/1.1\r\nHost: x\r\nA: "] {
        let mut stream = running.connect().await;
        stream.write_all(begun.as_bytes()).await.expect("sends");
        is_cut_off(stream).await;
    }
    // A body that never ends is told so.
    let mut stream = running.connect().await;
    let head = "POST /verify HTTP/1.1\r\nHost: x\r\nContent-Type: application/cbor\r\n\
                Content-Length: 100\r\n\r\nabc";
    stream.write_all(head.as_bytes()).await.expect("sends");
    let answer = is_cut_off(stream).await;
    assert!(answer.starts_with(b"HTTP/1.1 408"), "{}", String::from_utf8_lossy(&answer));
    // So is one that is idle between requests.
    let mut stream = running.connect().await;
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("sends");
    assert!(is_cut_off(stream).await.starts_with(b"HTTP/1.1 200"));
}

#[tokio::test]
async fn cuts_off_who_sends_a_byte_at_a_time() {
    let directory = directory();
    let running = start(directory.path(), impatient).await;
    let head = "POST /verify HTTP/1.1\r\nHost: x\r\nContent-Type: application/cbor\r\n\
                Content-Length: 1000\r\n\r\n";
    for (at_once, rest) in [("GET /", "a".repeat(1000)), (head, "a".repeat(1000))] {
        let start = Instant::now();
        let mut stream = running.connect().await;
        stream.write_all(at_once.as_bytes()).await.expect("sends");
        let mut cut = false;
        for byte in rest.bytes() {
            tokio::time::sleep(PATIENCE / 10).await;
            cut = stream.write_all(&[byte]).await.is_err() || start.elapsed() > PATIENCE * 20;
            if cut {
                break;
            }
        }
        assert!(cut && start.elapsed() < PATIENCE * 10, "after {:?}", start.elapsed());
    }
}

/// Connections that were begun and not gone on with, of any kind.
async fn half_open(running: &Running, number: usize) -> Vec<tokio::net::TcpStream> {
    let body = "POST /verify HTTP/1.1\r\nHost: x\r\nContent-Type: application/cbor\r\n\
                Content-Length: 100\r\n\r\nabc";
    let mut streams = Vec::new();
    for begun in ["", "GET /health HTT", body].into_iter().cycle().take(number) {
        let mut stream = running.connect().await;
        stream.write_all(begun.as_bytes()).await.expect("sends");
        streams.push(stream);
    }
    streams
}

#[tokio::test]
async fn serves_others_while_half_open_clients_take_every_connection() {
    let directory = directory();
    let few = |config: &mut Config| {
        config.limits.patience = Duration::from_secs(20);
        config.limits.connections = 4;
    };
    let running = start(directory.path(), few).await;
    let _half_open = half_open(&running, 12).await;
    for _ in 0..3 {
        let start = Instant::now();
        assert_eq!(running.get("/health").await.status, 200);
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    }
}

#[tokio::test]
async fn lets_a_request_be_answered_though_others_want_in() {
    let directory = directory();
    let few = |config: &mut Config| {
        impatient(config);
        config.limits.connections = 1;
    };
    let running = start(directory.path(), few).await;
    for _ in 0..20 {
        let (one, other) = tokio::join!(running.get("/health"), running.get("/health"));
        assert_eq!((one.status, other.status), (200, 200));
    }
}

#[tokio::test]
async fn answers_requests_in_flight_before_it_ends() {
    let directory = directory();
    let mut running = start(directory.path(), |_| {}).await;
    let mut stream = running.connect().await;
    let mut idle = running.connect().await;
    let request = request("POST", "/verify", &[TOKEN], b"not a token");
    let (first, rest) = request.split_at(request.len() - 3);
    stream.write_all(first).await.expect("sends");
    // Until the service has it.
    running.get("/health").await;
    running.tell_to_stop();
    tokio::time::sleep(Duration::from_millis(50)).await;
    stream.write_all(rest).await.expect("sends");
    let answer = read_response(stream).await.expect("an answer");
    assert_eq!(answer.status, 200);
    assert_eq!(idle.read(&mut [0]).await.expect("is closed"), 0);
    let address = running.address;
    running.end().await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "it still listens");
}

#[tokio::test]
async fn ends_within_its_grace_whatever_clients_do() {
    let directory = directory();
    let running = start(directory.path(), |config| {
        config.limits.grace = Duration::from_millis(200);
    })
    .await;
    let mut stream = running.connect().await;
    let request = request("POST", "/verify", &[TOKEN], b"not a token");
    stream.write_all(&request[..request.len() - 3]).await.expect("sends");
    running.get("/health").await;
    let start = Instant::now();
    running.end().await;
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

fn tls() -> TlsConfig {
    TlsConfig::from_pem(include_bytes!("tls-chain.pem"), include_bytes!("tls-key.pem"))
        .expect("a certificate and its key")
}

fn tls_client() -> TlsConnector {
    let mut roots = rustls::RootCertStore::empty();
    let certificate = CertificateDer::from_pem_slice(include_bytes!("tls-chain.pem"));
    roots.add(certificate.expect("PEM")).expect("a root");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

#[tokio::test]
async fn serves_over_tls_and_nothing_else_then() {
    let directory = directory();
    let running = start_with_tls(directory.path(), Some(tls()), impatient).await;
    let name = ServerName::try_from("localhost").expect("a name");
    let stream = tls_client().connect(name, running.connect().await).await.expect("handshake");
    let answer = exchange(stream, &request("GET", "/health", &[], &[])).await;
    assert_eq!(answer.status, 200);
    // Plain HTTP gets no HTTP, and silence no patience.
    let mut stream = running.connect().await;
    stream.write_all(&request("GET", "/health", &[], &[])).await.expect("sends");
    assert!(read_response(stream).await.is_none());
    is_cut_off(running.connect().await).await;
}

#[test]
fn refuses_tls_files_that_do_not_go_together() {
    let chain = include_bytes!("tls-chain.pem");
    for (chain, key) in [
        (&chain[..], &include_bytes!("signing-key.pem")[..]),
        (b"", include_bytes!("tls-key.pem")),
        (chain, b""),
        (chain, chain),
    ] {
        assert!(TlsConfig::from_pem(chain, key).is_err());
    }
}

#[tokio::test]
async fn counts_what_it_did() {
    let directory = directory();
    let running = start(directory.path(), |_| {}).await;
    running.challenge(32).await;
    running.verify(b"no token").await;
    running.get("/nothing").await;
    let metrics = running.get("/metrics").await;
    assert_eq!(metrics.media_type(), "text/plain");
    let text = String::from_utf8(metrics.body).expect("text");
    for line in [
        "devid_connections 1",
        "devid_challenges_total 1",
        "devid_verdicts_total{verdict=\"fail\"} 1",
        "devid_failed_checks_total{check=\"decode\"} 1",
        "devid_responses_total{status=\"2xx\"} 2",
        "devid_responses_total{status=\"4xx\"} 1",
        "devid_verify_duration_seconds_count 1",
        "devid_verify_duration_seconds_bucket{le=\"+Inf\"} 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
    }
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').expect("name and value");
        assert!(name.starts_with("devid_") && value.parse::<f64>().is_ok(), "{line}");
    }
}

/// Every operation that is described is there, answers as described, and there
/// is no other.
#[tokio::test]
async fn does_what_its_description_says() {
    let directory = directory();
    let running = start(directory.path(), |_| {}).await;
    let served = running.get("/openapi.json").await;
    let description = served.json();
    assert_eq!(description, schema::description());
    let mut operations = 0;
    for (path, methods) in description["paths"].as_object().expect("paths") {
        for method in ["get", "post", "put", "delete", "patch"] {
            let response = send_well(&running, &method.to_uppercase(), path).await;
            let described = &methods[method]["responses"][response.status.to_string()];
            if methods[method].is_null() {
                assert_eq!(response.status, 405, "{method} {path} is not described");
                continue;
            }
            operations += 1;
            assert_eq!(response.status, 200, "{method} {path}: {response:?}");
            let content = &described["content"][response.media_type()];
            assert!(content.is_object(), "{method} {path} as {}", response.media_type());
            if response.media_type() == "application/json" {
                schema::check(&response.json(), &content["schema"], &description)
                    .unwrap_or_else(|reason| panic!("{method} {path}: {reason}"));
            }
        }
    }
    assert_eq!(operations, 6);
}

async fn send_well(running: &Running, method: &str, path: &str) -> Response {
    running.send(method, path, &[TOKEN], b"no token").await
}

#[tokio::test]
async fn keeps_answers_out_of_caches_and_sniffers() {
    let directory = directory();
    let running = start(directory.path(), |_| {}).await;
    for path in ["/health", "/metrics", "/nothing", "/openapi.json"] {
        let response = running.get(path).await;
        assert_eq!(response.header("cache-control"), Some("no-store"), "{path}");
        assert_eq!(response.header("x-content-type-options"), Some("nosniff"), "{path}");
    }
}
