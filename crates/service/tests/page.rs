// SPDX-License-Identifier: Apache-2.0
//! The page at `/`, in headless Chromium driven over WebDriver.

#[path = "../../verifier/tests/common/mod.rs"]
mod common;
mod http;

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::cbor::Value::{Array, Bytes, Int};
use common::x509::{CA, LEAF, Template, root};
use common::{RFC_9783, Signer, later_claims, sign};
use data_encoding::{BASE64, HEXLOWER};
use devid_verifier::TrustAnchors;
use http::{Running, directory, exchange, request, start};
use serde_json::{Value, json};
use tokio::net::TcpStream;

/// The browser, by its driver, on a port of its own.
struct Browser {
    driver: Child,
    address: SocketAddr,
    session: String,
    profile: tempfile::TempDir,
}

impl Browser {
    /// `None` where there is no Chromium with its driver.
    async fn start(dark: bool) -> Option<Self> {
        let profile = directory();
        let port = std::net::TcpListener::bind("127.0.0.1:0").ok()?.local_addr().ok()?.port();
        let driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut browser = Self { driver, address, session: String::new(), profile };
        for _ in 0..100 {
            if TcpStream::connect(address).await.is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let mut arguments = vec![
            "--headless=new".to_owned(),
            "--no-sandbox".into(),
            "--disable-gpu".into(),
            "--window-size=1000,1500".into(),
            format!("--user-data-dir={}", browser.profile.path().display()),
        ];
        if dark {
            arguments.push("--blink-settings=preferredColorScheme=0".into());
        }
        let options = json!({
            "goog:chromeOptions": { "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL" },
        });
        let capabilities = json!({ "capabilities": { "alwaysMatch": options } });
        let answer = browser.ask("POST", "/session", &capabilities).await;
        browser.session = format!("/session/{}", answer["sessionId"].as_str()?);
        Some(browser)
    }

    async fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let stream = TcpStream::connect(self.address).await.expect("the driver listens");
        let body = if method == "GET" { String::new() } else { body.to_string() };
        let headers = [("Content-Type", "application/json")];
        let response = exchange(stream, &request(method, path, &headers, body.as_bytes())).await;
        response.json()["value"].clone()
    }

    async fn go(&self, running: &Running) {
        let url = format!("http://{}/", running.address);
        self.ask("POST", &format!("{}/url", self.session), &json!({ "url": url })).await;
    }

    /// Runs a function's body in the page and waits for its promise.
    async fn run(&self, script: &str) -> Value {
        let script = format!(
            "const done = arguments[0]; (async () => {{ {script} }})()
             .then(done, (error) => done(`error: ${{error}}`));"
        );
        let path = format!("{}/execute/async", self.session);
        self.ask("POST", &path, &json!({ "script": script, "args": [] })).await
    }

    /// Pastes a token, verifies it, and returns the verdict's text.
    async fn verify(&self, token: &str) -> String {
        let script = format!(
            "const by = (id) => document.getElementById(id);
             by('result').hidden = true;
             by('token').value = {token:?};
             by('token').dispatchEvent(new Event('input'));
             by('verify').click();
             for (let n = 0; n < 200 && by('result').hidden && by('problem').hidden; n++)
               await new Promise((go) => setTimeout(go, 10));
             return by('problem').hidden ? by('verdict').textContent : by('problem').textContent;"
        );
        self.run(&script).await.as_str().expect("text").to_owned()
    }

    /// What the console says, violations of the content security policy included.
    async fn complaints(&self) -> Vec<String> {
        let path = format!("{}/se/log", self.session);
        let log = self.ask("POST", &path, &json!({ "type": "browser" })).await;
        let entries = log.as_array().expect("a log").iter();
        entries
            .filter(|entry| !entry["message"].as_str().unwrap_or_default().contains("favicon"))
            .map(Value::to_string)
            .collect()
    }

    /// Keeps a picture where `DEVID_SCREENSHOTS` names a folder.
    async fn picture(&self, name: &str) {
        let Some(folder) = std::env::var_os("DEVID_SCREENSHOTS") else { return };
        let picture = self.ask("GET", &format!("{}/screenshot", self.session), &json!({})).await;
        let png = BASE64.decode(picture.as_str().expect("base64").as_bytes()).expect("base64");
        let file = std::path::Path::new(&folder).join(name).with_extension("png");
        std::fs::write(file, png).expect("writes");
    }

    async fn end(mut self) {
        self.ask("DELETE", &self.session, &json!({})).await;
        let _ended = self.driver.kill();
        let _status = self.driver.wait();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ended = self.driver.kill();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shows_verdict_claims_and_chain_in_a_browser() {
    let directory = directory();
    let (ca, factory, device) = (Signer::p256("ca"), Signer::p256("factory"), Signer::p256("a"));
    let mut anchors = TrustAnchors::default();
    anchors.add(&root(&CA, &ca)).expect("an anchor");
    let running = start(directory.path(), |config| config.anchors = anchors).await;
    let intermediate = Template { subject: "Factory", ca: Some(Some(0)), ..CA };
    let chain =
        [LEAF.issue(&device, ("Factory", &factory)), intermediate.issue(&factory, ("Root", &ca))];
    let token = |challenge: &[u8]| {
        let mut claims = later_claims(RFC_9783, device.instance_id());
        claims.retain(|(key, _)| *key != Int(10));
        claims.push((Int(10), Bytes(challenge.to_vec())));
        let chain = Array(chain.iter().cloned().map(Bytes).collect());
        sign(&device, vec![(Int(33), chain)], claims)
    };

    for dark in [false, true] {
        let Some(browser) = Browser::start(dark).await else {
            eprintln!("SKIPPED: no chromium with chromedriver; the page was not tested");
            return;
        };
        browser.go(&running).await;
        let suffix = if dark { "dark" } else { "light" };
        browser.picture(&format!("empty-{suffix}")).await;

        // The challenge that the page asks for, answered by the device, pasted.
        let challenge = browser
            .run(
                "document.getElementById('ask').click();
                 const output = document.getElementById('challenge');
                 for (let n = 0; n < 200 && output.hidden; n++)
                   await new Promise((go) => setTimeout(go, 10));
                 return output.textContent;",
            )
            .await;
        let challenge = HEXLOWER.decode(challenge.as_str().expect("hex").as_bytes()).expect("hex");
        let token = token(&challenge);
        assert_eq!(browser.verify(&HEXLOWER.encode(&token)).await, "✓ Pass");
        let boxes = browser
            .run("return [...document.querySelectorAll('#chain strong')].map(b => b.textContent)")
            .await;
        assert_eq!(boxes, json!(["IAK of device 1", "Factory", "Root"]));
        let claims = browser.run("return document.getElementById('claims').textContent").await;
        let claims = claims.as_str().expect("text");
        assert!(claims.contains(&HEXLOWER.encode(&device.instance_id())), "{claims}");
        browser.picture(&format!("pass-{suffix}")).await;

        // A replay, in the other encoding, wrapped.
        let replay = BASE64.encode(&token);
        let wrapped: Vec<_> = replay
            .as_bytes()
            .chunks(64)
            .map(|line| std::str::from_utf8(line).expect("ASCII"))
            .collect();
        assert_eq!(browser.verify(&wrapped.join("\n")).await, "✗ Fail");
        let summary = browser.run("return document.getElementById('summary').textContent").await;
        assert!(summary.as_str().expect("text").contains("Failed: challenge"), "{summary}");
        browser.picture(&format!("fail-{suffix}")).await;

        assert_eq!(browser.verify("").await, "There is no token yet.");
        assert_eq!(browser.verify("not a token!").await, "This is neither hex nor base64.");
        assert_eq!(browser.verify("ff").await, "✗ Fail");

        // Text from a token is text, and nothing else can run or be fetched.
        let outcome = browser
            .run(
                "try { await fetch('https://devid.invalid/'); return 'fetched'; }
                 catch { return 'refused'; }",
            )
            .await;
        assert_eq!(outcome, "refused");
        let complaints = browser.complaints().await;
        assert!(
            complaints.iter().all(|complaint| complaint.contains("devid.invalid")),
            "{complaints:#?}"
        );
        // Every control has a name.
        let nameless = browser
            .run(
                "return [...document.querySelectorAll('button, input, select, textarea')]
                   .filter((c) => !c.textContent.trim() && !c.labels?.length).length",
            )
            .await;
        assert_eq!(nameless, 0);
        browser.end().await;
    }
}

#[tokio::test]
async fn is_one_document_under_a_strict_policy() {
    let directory = directory();
    let running = start(directory.path(), |_| {}).await;
    let page = running.get("/").await;
    assert_eq!(page.media_type(), "text/html");
    let policy = page.header("content-security-policy").expect("a policy");
    for part in
        ["default-src 'none'", "connect-src 'self'", "base-uri 'none'", "form-action 'none'"]
    {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    let text = String::from_utf8(page.body).expect("text");
    for outside in ["http://", "https://", "src=", "<link", "@import", "url(", "innerHTML"] {
        assert!(!text.contains(outside), "{outside}");
    }
}
