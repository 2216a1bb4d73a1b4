// SPDX-License-Identifier: Apache-2.0
//! The service while its disk takes nothing more. The limit is the process's:
//! this is the only test in its program.

#[path = "../../verifier/tests/common/mod.rs"]
mod common;
mod device;
mod http;
mod schema;

use common::Signer;
use device::{passes, register, token};
use http::{directory, start};
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

/// No file grows beyond that many bytes, nor is written to there.
fn limit_files(bytes: Option<u64>) {
    let limit = Rlimit { current: bytes, ..getrlimit(Resource::Fsize) };
    setrlimit(Resource::Fsize, limit).expect("sets the limit");
}

#[tokio::test]
async fn verifies_again_once_the_disk_has_room() {
    // A write beyond the limit is an error then, as on a full disk.
    let number = SignalKind::from_raw(Signal::XFSZ.as_raw());
    let _not_the_end = signal(number).expect("a handler");
    let directory = directory();
    let running = start(directory.path(), |_| {}).await;
    let signer = Signer::p256("a");
    register(&running, &signer).await;

    for _ in 0..2 {
        let challenge = running.challenge(32).await;
        passes(&running.verify(&token(&signer, &challenge)).await);
        assert_eq!(running.get("/health").await.status, 200);

        limit_files(Some(1));
        let mut refused = Vec::new();
        for _ in 0..3 {
            let challenge = running.challenge(32).await;
            let token = token(&signer, &challenge);
            refused.push(running.send_token(&token, "application/json").await.status);
        }
        let health = running.get("/health").await.status;
        limit_files(None);
        assert_eq!((refused, health), (vec![503; 3], 503));
    }
    let challenge = running.challenge(32).await;
    passes(&running.verify(&token(&signer, &challenge)).await);
    assert_eq!(running.get("/health").await.status, 200);
}
