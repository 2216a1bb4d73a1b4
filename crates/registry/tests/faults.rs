// SPDX-License-Identifier: Apache-2.0
//! What goes wrong beneath the registry: a write that fails, a database that
//! somebody else holds, a file that is gone, and several that start at once.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, UNIX_EPOCH};

use devid_registry::{Error, INSTANCE_ID_LEN, KeyPurpose, NewDevice, Registry, State, Use};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor};
use tempfile::TempDir;

fn directory() -> TempDir {
    TempDir::new().expect("a temporary directory")
}

fn file(directory: &TempDir) -> PathBuf {
    directory.path().join("registry.db")
}

async fn create(directory: &TempDir) -> Registry {
    Registry::open_or_create(&file(directory)).await.expect("creates")
}

/// A connection of somebody else.
async fn connection(path: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    options.connect().await.expect("connects")
}

async fn run(connection: &mut SqliteConnection, sql: &str) {
    connection.execute(AssertSqlSafe(sql.to_owned())).await.expect(sql);
}

/// A nonce of its own, which expires in an hour.
fn fresh(of: u64) -> Use {
    let expiry = UNIX_EPOCH.elapsed().expect("after 1970").as_secs() + 3600;
    Use { nonce: [expiry.to_be_bytes(), of.to_be_bytes()].concat(), signature: None }
}

fn new_device(of: u8) -> NewDevice {
    NewDevice {
        state: State::Approved,
        sku: None,
        serial: None,
        spki: vec![of; 91],
        purpose: KeyPurpose::Attestation,
        instance_ids: vec![[of; INSTANCE_ID_LEN]],
        chain: vec![],
        signature: None,
        detail: "test".into(),
    }
}

/// SQLite ends a transaction by itself when the disk is full, out of memory or
/// at an I/O error. A trigger does the same here, at each write to a table.
const ENDED_BY_SQLITE: &str = "BEGIN SELECT RAISE(ROLLBACK, 'no room'); END";

#[tokio::test]
async fn writes_again_after_a_transaction_that_sqlite_ended() {
    let directory = directory();
    let registry = create(&directory).await;
    let mut other = connection(&file(&directory)).await;
    run(&mut other, &format!("CREATE TRIGGER a BEFORE INSERT ON used_nonce {ENDED_BY_SQLITE}"))
        .await;
    run(&mut other, &format!("CREATE TRIGGER b BEFORE INSERT ON event {ENDED_BY_SQLITE}")).await;
    for of in 0..3 {
        registry.use_up(fresh(of)).await.expect_err("cannot be written");
        registry.register(new_device(1), 0).await.expect_err("cannot be written");
        registry.probe().await.expect_err("tells that nothing can be written");
    }
    run(&mut other, "DROP TRIGGER a").await;
    run(&mut other, "DROP TRIGGER b").await;
    // Nothing is left of what failed.
    assert!(registry.use_up(fresh(0)).await.expect("writes").nonce_was_fresh);
    registry.register(new_device(1), 0).await.expect("writes");
    registry.probe().await.expect("writes");
}

#[tokio::test]
async fn waits_for_whoever_holds_the_database() {
    let directory = directory();
    let registry = create(&directory).await;
    let mut other = connection(&file(&directory)).await;
    run(&mut other, "BEGIN IMMEDIATE").await;
    let waiting = tokio::spawn({
        let registry = registry.clone();
        async move { registry.use_up(fresh(1)).await }
    });
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert!(!waiting.is_finished());
    run(&mut other, "COMMIT").await;
    let used = waiting.await.expect("no panic").expect("writes");
    assert!(used.nonce_was_fresh);
}

#[tokio::test]
async fn writes_nothing_that_nobody_waits_for_any_more() {
    let directory = directory();
    let registry = create(&directory).await;
    let mut other = connection(&file(&directory)).await;
    run(&mut other, "BEGIN IMMEDIATE").await;
    let start = Instant::now();
    let impatient = tokio::time::timeout(Duration::from_millis(300), registry.use_up(fresh(1)));
    assert!(impatient.await.is_err());
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    // Reading goes on.
    assert_eq!(registry.lookup(&[0; INSTANCE_ID_LEN]).await.expect("looks up"), []);
    // Until the writer has seen that nobody waits.
    tokio::time::sleep(Duration::from_millis(700)).await;
    run(&mut other, "COMMIT").await;
    assert!(registry.use_up(fresh(1)).await.expect("writes").nonce_was_fresh);
}

#[tokio::test]
async fn notices_that_its_file_is_gone() {
    let directory = directory();
    let registry = create(&directory).await;
    registry.register(new_device(1), 0).await.expect("registers");
    let path = file(&directory);
    for (name, of) in [("registry.db", 1), ("registry.db-wal", 2)] {
        let [moved, aside] = [name, "aside"].map(|name| directory.path().join(name));
        fs::rename(&moved, &aside).expect("moves");
        is_gone(&registry, of).await;
        // The same file again is what it was.
        fs::rename(&aside, &moved).expect("moves back");
        assert!(registry.use_up(fresh(of.into())).await.expect("writes").nonce_was_fresh);
        registry.probe().await.expect("writes");
        assert_eq!(registry.lookup(&[1; INSTANCE_ID_LEN]).await.expect("looks up").len(), 1);
    }
    fs::remove_file(&path).expect("removes");
    is_gone(&registry, 3).await;
    assert!(!path.exists(), "made a registry anew");
}

#[tokio::test]
async fn takes_no_other_registry_for_its_own() {
    let directory = directory();
    let registry = create(&directory).await;
    let (path, aside) = (file(&directory), directory.path().join("aside"));
    fs::rename(&path, &aside).expect("moves");
    drop(Registry::open_or_create(&path).await.expect("creates"));
    is_gone(&registry, 1).await;
    assert_eq!(rows(&path, "used_nonce").await, 0, "wrote into another registry");
    assert_eq!(rows(&path, "device").await, 0, "wrote into another registry");
    // The other one has deleted the first one's log.
    fs::rename(&aside, &path).expect("moves back");
    is_gone(&registry, 2).await;
}

async fn is_gone(registry: &Registry, of: u8) {
    let answers = [
        registry.use_up(fresh(100 + u64::from(of))).await.map(drop),
        registry.register(new_device(of), 0).await.map(drop),
        registry.lookup(&[1; INSTANCE_ID_LEN]).await.map(drop),
        registry.probe().await,
    ];
    for answer in answers {
        assert!(matches!(answer, Err(Error::FileGone)), "{answer:?}");
    }
}

async fn rows(path: &Path, table: &str) -> i64 {
    let mut connection = connection(path).await;
    let sql = AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}"));
    sqlx::query_scalar(sql).fetch_one(&mut connection).await.expect("counts")
}

#[tokio::test]
async fn makes_no_registry_unless_told() {
    let directory = directory();
    let path = file(&directory);
    let missing = Registry::open(&path).await.map(drop);
    assert!(matches!(missing, Err(Error::NoFile)), "{missing:?}");
    assert!(!path.exists());

    // What is left of a file that was cut to nothing.
    fs::write(&path, b"").expect("writes");
    let empty = Registry::open(&path).await.map(drop);
    assert!(matches!(empty, Err(Error::NoRegistry)), "{empty:?}");
    assert_eq!(fs::metadata(&path).expect("a file").len(), 0);

    drop(Registry::open_or_create(&path).await.expect("creates"));
    drop(Registry::open(&path).await.expect("opens"));
    drop(Registry::open_or_create(&path).await.expect("opens"));
}

#[tokio::test]
async fn touches_no_database_of_another_program() {
    let directory = directory();
    let path = file(&directory);
    let mut connection = connection(&path).await;
    run(&mut connection, "CREATE TABLE theirs (x)").await;
    drop(connection);
    let before = fs::read(&path).expect("reads");
    for opened in [Registry::open(&path).await, Registry::open_or_create(&path).await] {
        let refused = opened.map(drop);
        assert!(matches!(refused, Err(Error::NoRegistry)), "{refused:?}");
    }
    assert_eq!(fs::read(&path).expect("reads"), before);
}

#[test]
fn opens_a_new_file_for_many_at_once() {
    for _ in 0..5 {
        let directory = directory();
        let path = file(&directory);
        std::thread::scope(|scope| {
            // A runtime each: a process each, to SQLite.
            let openers: Vec<_> = (0..6)
                .map(|_| {
                    scope.spawn(|| {
                        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
                        runtime.block_on(Registry::open_or_create(&path)).map(drop)
                    })
                })
                .collect();
            for opener in openers {
                opener.join().expect("no panic").expect("opens");
            }
        });
    }
}

#[tokio::test]
async fn approves_no_revoked_device_unless_told() {
    let directory = directory();
    let registry = create(&directory).await;
    let device = registry.register(new_device(1), 0).await.expect("registers");
    registry.revoke(device, "stolen").await.expect("revokes");
    let refused = registry.approve(device, "by mistake").await;
    assert!(matches!(refused, Err(Error::Revoked)), "{refused:?}");
    assert_eq!(registry.device(device).await.expect("a device").state, State::Revoked);
    registry.reinstate(device, "found again").await.expect("reinstates");
    assert_eq!(registry.device(device).await.expect("a device").state, State::Approved);
    let events = registry.events(device).await.expect("events");
    let kinds: Vec<_> = events.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds, ["registered", "revoked", "reinstated"]);
}
