// SPDX-License-Identifier: Apache-2.0
//! The registry over a real file.

use std::collections::HashSet;
use std::path::Path;

use devid_registry::{
    DeviceId, Error, Filter, INSTANCE_ID_LEN, KeyPurpose, NewDevice, Registry, SeenSignature,
    State, Use, Used,
};
use tempfile::TempDir;

const FRESH: Used = Used { nonce_was_fresh: true, r_was_reused: false };
const STALE: Used = Used { nonce_was_fresh: false, r_was_reused: false };

async fn open(directory: &TempDir) -> Registry {
    Registry::open_or_create(&directory.path().join("registry.db")).await.expect("opens")
}

fn directory() -> TempDir {
    TempDir::new().expect("a temporary directory")
}

fn instance_id(of: u8) -> [u8; INSTANCE_ID_LEN] {
    let mut id = [of; INSTANCE_ID_LEN];
    id[0] = 1;
    id
}

fn new_device(of: u8, state: State) -> NewDevice {
    NewDevice {
        state,
        sku: Some("sensor".into()),
        serial: Some(of.to_string()),
        spki: vec![of; 91],
        purpose: KeyPurpose::Attestation,
        instance_ids: vec![instance_id(of), instance_id(of ^ 0x80)],
        chain: vec![vec![of; 300], vec![0xca; 300]],
        signature: Some(SeenSignature { r: vec![0xfe; 32], signed_sha256: [0; 32] }),
        detail: "test".into(),
    }
}

/// A nonce that expires in an hour, or did an hour ago.
fn nonce(of: u64, hours: i64) -> Vec<u8> {
    let now = std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_secs();
    let expiry = now.saturating_add_signed(hours * 3600);
    [expiry.to_be_bytes(), of.to_be_bytes()].concat()
}

fn signed(nonce: Vec<u8>, key: i64, r: u8, signed: u8) -> Use {
    let signature = SeenSignature { r: vec![r; 32], signed_sha256: [signed; 32] };
    Use { nonce, signature: Some((key, signature)) }
}

async fn events(registry: &Registry, device: DeviceId) -> Vec<String> {
    let events = registry.events(device).await.expect("events");
    events.into_iter().map(|event| event.kind).collect()
}

#[tokio::test]
async fn finds_a_key_by_either_instance_id() {
    let directory = directory();
    let registry = open(&directory).await;
    let device = registry.register(new_device(1, State::Approved), 0).await.expect("registers");
    let _other = registry.register(new_device(2, State::Approved), 0).await.expect("registers");
    for id in [instance_id(1), instance_id(0x81)] {
        let keys = registry.lookup(&id).await.expect("looks up");
        let [key] = &keys[..] else { panic!("one key: {keys:?}") };
        assert_eq!((key.device, key.state), (device, State::Approved));
        assert_eq!(key.spki, [1; 91]);
    }
    assert_eq!(registry.lookup(&instance_id(9)).await.expect("looks up"), []);
}

#[tokio::test]
async fn answers_each_of_many_lookups_with_its_own_keys() {
    let directory = directory();
    let registry = open(&directory).await;
    for of in 0..50 {
        registry.register(new_device(of, State::Approved), 0).await.expect("registers");
    }
    let lookups = (0..100).map(|of: u8| {
        let registry = registry.clone();
        tokio::spawn(async move {
            let keys = registry.lookup(&instance_id(of)).await.expect("looks up");
            let spki: Vec<_> = keys.into_iter().map(|key| key.spki[0]).collect();
            assert_eq!(spki, (of < 50).then_some(of).into_iter().collect::<Vec<_>>());
        })
    });
    for lookup in lookups.collect::<Vec<_>>() {
        lookup.await.expect("the right key");
    }
}

#[tokio::test]
async fn keeps_what_a_device_came_with() {
    let directory = directory();
    let registry = open(&directory).await;
    let id = registry.register(new_device(1, State::Approved), 0).await.expect("registers");
    let device = registry.device(id).await.expect("a device");
    assert_eq!(device.serial.as_deref(), Some("1"));
    let keys = registry.keys(id).await.expect("keys");
    assert_eq!(keys[0].chain, [vec![1; 300], vec![0xca; 300]]);
    assert_eq!(keys[0].instance_ids.len(), 2);
    // The CA's certificate again.
    let id = registry.register(new_device(2, State::Approved), 0).await.expect("registers");
    assert_eq!(registry.keys(id).await.expect("keys")[0].chain, [vec![2; 300], vec![0xca; 300]]);
}

#[tokio::test]
async fn refuses_a_second_device_with_the_key_or_serial_number() {
    let directory = directory();
    let registry = open(&directory).await;
    registry.register(new_device(1, State::Approved), 0).await.expect("registers");
    let same_key = NewDevice { serial: None, ..new_device(1, State::Approved) };
    let same_serial = NewDevice { serial: Some("1".into()), ..new_device(2, State::Approved) };
    for device in [same_key, same_serial] {
        let refusal = registry.register(device, 0).await;
        assert!(matches!(refusal, Err(Error::Exists)), "{refusal:?}");
    }
    let all = Filter { state: None, after: None, limit: 10 };
    assert_eq!(registry.devices(all).await.expect("lists").len(), 1);
}

#[tokio::test]
async fn walks_a_device_through_its_states() {
    let directory = directory();
    let registry = open(&directory).await;
    let id = registry.register(new_device(1, State::Pending), 1).await.expect("holds");
    let refusal = registry.register(new_device(2, State::Pending), 1).await;
    assert!(matches!(refusal, Err(Error::TooManyPending)), "{refusal:?}");
    registry.approve(id, "by hand").await.expect("approves");
    registry.register(new_device(2, State::Pending), 1).await.expect("there is room again");
    registry.revoke(id, "lost").await.expect("revokes");
    assert_eq!(registry.device(id).await.expect("a device").state, State::Revoked);
    assert_eq!(registry.lookup(&instance_id(1)).await.expect("a key")[0].state, State::Revoked);
    assert_eq!(events(&registry, id).await, ["held", "approved", "revoked"]);
    let missing = registry.approve(DeviceId(99), "").await;
    assert!(matches!(missing, Err(Error::NoSuchDevice)), "{missing:?}");
}

#[tokio::test]
async fn lists_devices_by_state_and_page() {
    let directory = directory();
    let registry = open(&directory).await;
    for of in 0..6 {
        let state = if of % 2 == 0 { State::Pending } else { State::Approved };
        registry.register(new_device(of, state), 10).await.expect("registers");
    }
    let pending = Filter { state: Some(State::Pending), after: None, limit: 2 };
    let first = registry.devices(pending).await.expect("lists");
    let serials = |page: &[devid_registry::Device]| {
        page.iter().filter_map(|device| device.serial.clone()).collect::<Vec<_>>()
    };
    assert_eq!(serials(&first), ["0", "2"]);
    let next = Filter { after: Some(first[1].id), ..pending };
    assert_eq!(serials(&registry.devices(next).await.expect("lists")), ["4"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lets_a_nonce_be_used_once_by_whoever_comes_first() {
    let directory = directory();
    // Two of them: two processes.
    let registries = [open(&directory).await, open(&directory).await];
    for of in 0..20 {
        let uses: Vec<_> = (0..10)
            .map(|at| {
                let registry = registries[at % 2].clone();
                let what = Use { nonce: nonce(of, 1), signature: None };
                tokio::spawn(async move { registry.use_up(what).await.expect("answers") })
            })
            .collect();
        let mut fresh = 0;
        for used in uses {
            fresh += usize::from(used.await.expect("answers").nonce_was_fresh);
        }
        assert_eq!(fresh, 1);
    }
}

#[tokio::test]
async fn remembers_a_used_nonce_over_a_restart() {
    let directory = directory();
    let what = Use { nonce: nonce(1, 1), signature: None };
    assert_eq!(open(&directory).await.use_up(what.clone()).await.expect("uses"), FRESH);
    assert_eq!(open(&directory).await.use_up(what).await.expect("uses"), STALE);
}

#[tokio::test]
async fn forgets_nonces_that_expired_and_no_others() {
    let directory = directory();
    let [old, new] = [-1, 1].map(|hours| Use { nonce: nonce(1, hours), signature: None });
    let registry = open(&directory).await;
    for what in [&old, &new] {
        assert_eq!(registry.use_up(what.clone()).await.expect("uses"), FRESH);
    }
    // It forgets at its first use and from time to time.
    let registry = open(&directory).await;
    assert_eq!(registry.use_up(new).await.expect("uses"), STALE);
    assert_eq!(registry.use_up(old).await.expect("uses"), FRESH);
}

#[tokio::test]
async fn tells_one_r_over_different_bytes() {
    let directory = directory();
    let registry = open(&directory).await;
    for of in [1, 2] {
        registry.register(new_device(of, State::Approved), 0).await.expect("registers");
    }
    let reused = Used { nonce_was_fresh: true, r_was_reused: true };
    for (at, (key, r, bytes, expected)) in [
        (1, 7, 1, FRESH),
        (1, 8, 2, FRESH),
        // The same signature again is no reuse; nor is another key's.
        (1, 7, 1, FRESH),
        (2, 7, 3, FRESH),
        (1, 7, 4, reused),
        // What a device came with counts too.
        (2, 0xfe, 5, reused),
    ]
    .into_iter()
    .enumerate()
    {
        let what = signed(nonce(at as u64, 1), key, r, bytes);
        assert_eq!(registry.use_up(what).await.expect("uses"), expected, "use {at}");
    }
    // A replayed nonce leaves no trace.
    let replay = signed(nonce(0, 1), 1, 9, 1);
    assert_eq!(registry.use_up(replay).await.expect("uses"), STALE);
    let first = signed(nonce(50, 1), 1, 9, 2);
    assert_eq!(registry.use_up(first).await.expect("uses"), FRESH);
}

#[tokio::test]
async fn tells_one_r_over_different_bytes_within_a_batch() {
    let directory = directory();
    let registry = open(&directory).await;
    registry.register(new_device(1, State::Approved), 0).await.expect("registers");
    let uses: Vec<_> = (0..40)
        .map(|at| {
            let registry = registry.clone();
            tokio::spawn(async move {
                let what = signed(nonce(u64::from(at), 1), 1, 7, at);
                registry.use_up(what).await.expect("uses").r_was_reused
            })
        })
        .collect();
    let mut first = 0;
    for reused in uses {
        first += usize::from(!reused.await.expect("answers"));
    }
    assert_eq!(first, 1);
}

#[tokio::test]
async fn keeps_a_secret_over_a_restart() {
    let directory = directory();
    let made = open(&directory).await.secret("s", || vec![1]).await.expect("makes");
    let kept = open(&directory).await.secret("s", || vec![2]).await.expect("keeps");
    assert_eq!((made, kept), (vec![1], vec![1]));
}

#[tokio::test]
async fn events_can_be_neither_changed_nor_removed() {
    let directory = directory();
    let registry = open(&directory).await;
    let id = registry.register(new_device(1, State::Approved), 0).await.expect("registers");
    let options =
        sqlx::sqlite::SqliteConnectOptions::new().filename(directory.path().join("registry.db"));
    let mut connection =
        sqlx::ConnectOptions::connect(&options).await.expect("a connection of our own");
    for sql in ["DELETE FROM event", "UPDATE event SET detail = ''"] {
        let refusal = sqlx::query(sql).execute(&mut connection).await.expect_err("is refused");
        assert!(refusal.to_string().contains("append-only"), "{refusal}");
    }
    assert_eq!(events(&registry, id).await, ["registered"]);
}

#[tokio::test]
async fn refuses_a_file_that_is_no_registry() {
    let directory = directory();
    let path = directory.path().join("registry.db");
    std::fs::write(&path, vec![0x5a; 8192]).expect("writes");
    assert!(Registry::open(&path).await.is_err());
    assert!(Registry::open_or_create(&path).await.is_err());
    assert!(Registry::open_or_create(Path::new("/nowhere/registry.db")).await.is_err());
    let kept: HashSet<u8> = std::fs::read(&path).expect("reads").into_iter().collect();
    assert_eq!(kept, HashSet::from([0x5a]));
}
