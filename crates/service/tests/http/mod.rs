// SPDX-License-Identifier: Apache-2.0
//! A service on a port of its own, and a client that speaks plain HTTP.
#![allow(dead_code, reason = "each test program uses a part")]

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use devid_registry::Registry;
use devid_service::{Config, Limits, Service, TlsConfig, Unknown, serve};
use devid_verifier::{TrustAnchors, ear};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A service that runs until it is stopped or dropped.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) registry: Registry,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<()>,
}

pub(crate) fn directory() -> TempDir {
    TempDir::new().expect("a temporary directory")
}

/// Starts a service over the registry in a folder, with what `change` changes.
pub(crate) async fn start(directory: &Path, change: impl FnOnce(&mut Config)) -> Running {
    start_with_tls(directory, None, change).await
}

pub(crate) async fn start_with_tls(
    directory: &Path,
    tls: Option<TlsConfig>,
    change: impl FnOnce(&mut Config),
) -> Running {
    let registry = Registry::open_or_create(&directory.join("registry.db")).await.expect("opens");
    let mut config = Config {
        registry: registry.clone(),
        anchors: TrustAnchors::default(),
        policy: None,
        endorsements: None,
        lifecycles: Vec::new(),
        allow_development_key: false,
        unknown: Unknown::Refuse,
        challenge_lifetime: Duration::from_secs(300),
        signer: None,
        result_lifetime: Duration::from_secs(3600),
        ear_names: ear::Names::Draft,
        limits: Limits::default(),
    };
    change(&mut config);
    let service = Service::new(config).await.expect("a service");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (stop, stopped) = oneshot::channel::<()>();
    let served = tokio::spawn(async move {
        let stop = async {
            let _stopped_or_dropped = stopped.await;
        };
        serve(listener, tls, Arc::clone(&service), stop).await;
    });
    Running { address, registry, stop: Some(stop), served }
}

/// A response.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Running {
    /// Tells it to stop, without waiting.
    pub(crate) fn tell_to_stop(&mut self) {
        drop(self.stop.take());
    }

    /// Waits for its end after it was told to stop.
    pub(crate) async fn end(mut self) {
        self.tell_to_stop();
        self.served.await.expect("no panic");
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("connects")
    }

    /// Sends a request over a connection of its own.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Response {
        let request = request(method, path, headers, body);
        exchange(self.connect().await, &request).await
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.send("GET", path, &[], &[]).await
    }

    /// Asks for a challenge.
    pub(crate) async fn challenge(&self, len: usize) -> Vec<u8> {
        let response = self.send("POST", &format!("/challenge?length={len}"), &[], &[]).await;
        assert_eq!(response.status, 200, "{response:?}");
        let json = response.json();
        let challenge = json["challenge"].as_str().expect("a challenge");
        data_encoding::HEXLOWER.decode(challenge.as_bytes()).expect("hex")
    }

    /// Sends a token and returns the verdict in JSON.
    pub(crate) async fn verify(&self, token: &[u8]) -> Value {
        let response = self.send_token(token, "application/json").await;
        assert_eq!(response.status, 200, "{response:?}");
        response.json()
    }

    pub(crate) async fn send_token(&self, token: &[u8], accept: &str) -> Response {
        let headers = [("Content-Type", "application/eat+cwt"), ("Accept", accept)];
        self.send("POST", "/verify", &headers, token).await
    }
}

impl Response {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The media type, without parameters.
    pub(crate) fn media_type(&self) -> &str {
        let value = self.header("content-type").unwrap_or_default();
        value.split(';').next().unwrap_or_default()
    }
}

/// A request that asks for the connection to be closed.
pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += &format!("Content-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// Sends bytes and reads until the service closes.
pub(crate) async fn exchange<S>(mut stream: S, request: &[u8]) -> Response
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    // The answer may come, and the connection go, before all is sent.
    let _sent = stream.write_all(request).await;
    read_response(stream).await.expect("a response")
}

/// A whole response, or what came of it until the connection was closed; `None`
/// if that is no head.
pub(crate) async fn read_response<S>(mut stream: S) -> Option<Response>
where
    S: AsyncRead + Unpin,
{
    let mut received = Vec::new();
    loop {
        let response = parse(&received);
        let whole = response.as_ref().is_some_and(|response| {
            let length = response.header("content-length").and_then(|value| value.parse().ok());
            length == Some(response.body.len())
        });
        // An error is a connection that was cut.
        if whole || !matches!(stream.read_buf(&mut received).await, Ok(1..)) {
            return response;
        }
    }
}

fn parse(received: &[u8]) -> Option<Response> {
    let end = received.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8(received[..end].to_vec()).expect("a head in ASCII");
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Response { status, head, body: received[end + 4..].to_vec() })
}
