// SPDX-License-Identifier: Apache-2.0
//! What the service says while its registry fails, and that it goes on after.

#[path = "../../verifier/tests/common/mod.rs"]
mod common;
mod device;
mod http;
mod schema;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use common::Signer;
use device::{passes, register, token};
use devid_registry::Registry;
use http::{Running, directory, start};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Executor};

const AT_MOST: Duration = Duration::from_secs(2);

async fn connection(directory: &Path) -> SqliteConnection {
    let path = directory.join("registry.db");
    SqliteConnectOptions::new().filename(path).connect().await.expect("connects")
}

async fn run(connection: &mut SqliteConnection, sql: &'static str) {
    connection.execute(sql).await.expect(sql);
}

/// A good token gets no verdict, the service says that it is ill, and both come
/// soon.
async fn is_unavailable(running: &Running, signer: &Signer) {
    let challenge = running.challenge(32).await;
    let start = Instant::now();
    let response = running.send_token(&token(signer, &challenge), "application/json").await;
    assert!(start.elapsed() < AT_MOST, "{:?}", start.elapsed());
    assert_eq!(response.status, 503, "{response:?}");
    schema::conforms(&response.json(), "Problem");

    let start = Instant::now();
    let response = running.get("/health").await;
    assert!(start.elapsed() < AT_MOST, "{:?}", start.elapsed());
    assert_eq!(response.status, 503, "{response:?}");
}

async fn is_available(running: &Running, signer: &Signer) {
    let challenge = running.challenge(32).await;
    passes(&running.verify(&token(signer, &challenge)).await);
    assert_eq!(running.get("/health").await.status, 200);
}

#[tokio::test]
async fn goes_on_after_writes_that_failed() {
    let directory = directory();
    let running = start(directory.path(), |_| {}).await;
    let signer = Signer::p256("a");
    register(&running, &signer).await;
    is_available(&running, &signer).await;
    let mut other = connection(directory.path()).await;
    // As SQLite does by itself when the disk is full.
    let fails = "CREATE TRIGGER fails BEFORE INSERT ON used_nonce
                 BEGIN SELECT RAISE(ROLLBACK, 'no room'); END";
    run(&mut other, fails).await;
    is_unavailable(&running, &signer).await;
    run(&mut other, "DROP TRIGGER fails").await;
    is_available(&running, &signer).await;
}

#[tokio::test]
async fn waits_no_longer_than_two_seconds_for_whoever_holds_the_database() {
    let directory = directory();
    let running = start(directory.path(), |_| {}).await;
    let signer = Signer::p256("a");
    register(&running, &signer).await;
    let mut other = connection(directory.path()).await;
    run(&mut other, "BEGIN EXCLUSIVE").await;
    is_unavailable(&running, &signer).await;
    run(&mut other, "COMMIT").await;
    is_available(&running, &signer).await;
}

#[tokio::test]
async fn passes_no_token_once_the_registry_is_gone() {
    let directory = directory();
    let running = start(directory.path(), |_| {}).await;
    let signer = Signer::p256("a");
    register(&running, &signer).await;
    is_available(&running, &signer).await;
    let [path, aside] = ["registry.db", "aside"].map(|name| directory.path().join(name));
    fs::rename(&path, &aside).expect("moves");
    is_unavailable(&running, &signer).await;
    fs::rename(&aside, &path).expect("moves back");
    is_available(&running, &signer).await;

    // An older copy of it forgets what was used since.
    let copy = fs::read(&path).expect("reads");
    fs::remove_file(&path).expect("removes");
    is_unavailable(&running, &signer).await;
    fs::write(&path, copy).expect("writes");
    is_unavailable(&running, &signer).await;
}

#[tokio::test]
async fn counts_requests_that_the_registry_left_without_an_answer() {
    let directory = directory();
    let running = start(directory.path(), |_| {}).await;
    fs::remove_file(directory.path().join("registry.db")).expect("removes");
    for _ in 0..2 {
        assert_eq!(running.get("/health").await.status, 503);
    }
    let metrics = running.get("/metrics").await;
    let text = String::from_utf8(metrics.body).expect("text");
    assert!(text.lines().any(|line| line == "devid_registry_failures_total 2"), "{text}");
}

#[tokio::test]
async fn several_start_over_one_registry_at_once() {
    let directory = directory();
    let signer = Signer::p256("a");
    let path = directory.path();
    let start = || start(path, |_| {});
    let (a, b, c, d) = tokio::join!(start(), start(), start(), start());
    let services = [a, b, c, d];
    register(&services[0], &signer).await;
    // Each takes the others' challenges, once.
    for at in 0..4 {
        let challenge = services[at].challenge(32).await;
        let token = token(&signer, &challenge);
        passes(&services[(at + 1) % 4].verify(&token).await);
        let again = services[(at + 2) % 4].verify(&token).await;
        device::fails(&again, "challenge", "used before");
    }
    drop(Registry::open(&directory.path().join("registry.db")).await.expect("opens"));
}
