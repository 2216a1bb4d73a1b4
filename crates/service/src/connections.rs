// SPDX-License-Identifier: Apache-2.0
//! Who is connected, and who goes when there is no room for another.
//!
//! When all connections are taken, the peer that has most of them loses the one
//! that has waited longest for its client: for a handshake, a request, the rest
//! of one, or the next one. So no peer can take all of them by leaving them half
//! open. A request that is being answered is left alone.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

/// How long to wait for room before one more connection is given up.
const PAUSE: Duration = Duration::from_millis(50);

/// All connections of a service.
pub(crate) struct Connections {
    permits: Arc<Semaphore>,
    /// How long a client may take undisturbed, whoever wants in.
    undisturbed: Duration,
    open: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    next: u64,
    entries: HashMap<u64, Entry>,
}

struct Entry {
    peer: Peer,
    /// Since when its client is waited for.
    waiting: Option<Instant>,
    given_up: Arc<Notify>,
}

/// A client's address, as far as the client cannot choose it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Peer(IpAddr);

/// One connection. It makes room when it is dropped.
pub(crate) struct Connection {
    all: Arc<Connections>,
    number: u64,
    given_up: Arc<Notify>,
    _permit: OwnedSemaphorePermit,
}

impl Connections {
    /// For so many connections, whose clients are each cut off after `patience`.
    pub(crate) fn new(most: usize, patience: Duration) -> Arc<Self> {
        Arc::new(Self {
            permits: Arc::new(Semaphore::new(most)),
            undisturbed: patience / 10,
            open: Mutex::default(),
        })
    }

    /// Takes a connection from that address, as soon as there is room.
    pub(crate) async fn open(self: &Arc<Self>, address: IpAddr) -> Connection {
        let permit = loop {
            let room = Arc::clone(&self.permits);
            if let Ok(permit) = Arc::clone(&room).try_acquire_owned() {
                break permit;
            }
            self.give_one_up();
            if let Ok(Ok(permit)) = timeout(PAUSE, room.acquire_owned()).await {
                break permit;
            }
        };
        let given_up = Arc::new(Notify::new());
        let mut table = self.table();
        let number = table.next;
        table.next += 1;
        let entry = Entry {
            peer: Peer::of(address),
            waiting: Some(Instant::now()),
            given_up: Arc::clone(&given_up),
        };
        table.entries.insert(number, entry);
        Connection { all: Arc::clone(self), number, given_up, _permit: permit }
    }

    fn give_one_up(&self) {
        let mut table = self.table();
        if let Some(number) = table.whom_to_give_up(self.undisturbed)
            && let Some(entry) = table.entries.remove(&number)
        {
            entry.given_up.notify_one();
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn whom_to_give_up(&self, undisturbed: Duration) -> Option<u64> {
        let mut held: HashMap<Peer, usize> = HashMap::new();
        for entry in self.entries.values() {
            *held.entry(entry.peer).or_default() += 1;
        }
        let now = Instant::now();
        let waited = |entry: &Entry| Some(now.duration_since(entry.waiting?));
        self.entries
            .iter()
            .filter_map(|(number, entry)| Some((number, entry.peer, waited(entry)?)))
            .filter(|(_, _, waited)| *waited >= undisturbed)
            .max_by_key(|(_, peer, waited)| (held.get(peer).copied(), *waited))
            .map(|(number, _, _)| *number)
    }
}

impl Peer {
    fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            // Whoever has one address of a network has all of it.
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
            v4 => v4,
        })
    }
}

impl Connection {
    /// The client has sent what it must; the rest is ours.
    pub(crate) fn has_its_request(&self) {
        self.set_waiting(None);
    }

    /// The client has to do something.
    pub(crate) fn waits_for_client(&self) {
        self.set_waiting(Some(Instant::now()));
    }

    /// Ends when the connection has to make room.
    pub(crate) async fn given_up(&self) {
        self.given_up.notified().await;
    }

    fn set_waiting(&self, waiting: Option<Instant>) {
        if let Some(entry) = self.all.table().entries.get_mut(&self.number) {
            entry.waiting = waiting;
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.all.table().entries.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOG: [u8; 4] = [192, 0, 2, 1];
    const OTHER: [u8; 4] = [192, 0, 2, 2];

    fn connections(most: usize) -> Arc<Connections> {
        Connections::new(most, Duration::ZERO)
    }

    async fn open(all: &Arc<Connections>, from: [u8; 4]) -> Connection {
        let opened = timeout(Duration::from_secs(5), all.open(IpAddr::from(from)));
        opened.await.expect("there is room in the end")
    }

    /// Whether it was given up, or is within a moment.
    async fn goes(connection: &Connection) -> bool {
        timeout(Duration::from_millis(10), connection.given_up()).await.is_ok()
    }

    /// Opens one more while another task keeps those that there are, and drops
    /// what is given up as the server does.
    async fn open_one_more(
        all: &Arc<Connections>,
        kept: Vec<Connection>,
        from: [u8; 4],
    ) -> (Connection, Vec<usize>) {
        let gone = Arc::new(Mutex::new(Vec::new()));
        for (index, connection) in kept.into_iter().enumerate() {
            let gone = Arc::clone(&gone);
            tokio::spawn(async move {
                connection.given_up().await;
                gone.lock().expect("no panic").push(index);
            });
        }
        let opened = open(all, from).await;
        let gone = gone.lock().expect("no panic").clone();
        (opened, gone)
    }

    #[tokio::test]
    async fn takes_from_whoever_has_most_what_waited_longest() {
        let all = connections(4);
        let mut kept = Vec::new();
        for from in [OTHER, HOG, HOG, HOG] {
            kept.push(open(&all, from).await);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let (_new, gone) = open_one_more(&all, kept, OTHER).await;
        assert_eq!(gone, [1]);
    }

    #[tokio::test]
    async fn leaves_alone_what_is_being_answered() {
        let all = connections(3);
        let mut kept = Vec::new();
        for from in [HOG, HOG, OTHER] {
            kept.push(open(&all, from).await);
        }
        kept[0].has_its_request();
        kept[1].has_its_request();
        kept[1].waits_for_client();
        let (new, gone) = open_one_more(&all, kept, HOG).await;
        assert_eq!(gone, [1]);
        assert!(!goes(&new).await);
    }

    #[tokio::test]
    async fn waits_where_all_are_being_answered() {
        let all = connections(1);
        let only = open(&all, HOG).await;
        only.has_its_request();
        let refused = timeout(Duration::from_millis(200), all.open(IpAddr::from(OTHER)));
        assert!(refused.await.is_err());
        assert!(!goes(&only).await);
        drop(only);
        open(&all, OTHER).await;
    }

    #[tokio::test]
    async fn lets_a_client_take_a_moment() {
        let all = Connections::new(1, Duration::from_secs(10));
        let only = open(&all, HOG).await;
        let refused = timeout(Duration::from_millis(300), all.open(IpAddr::from(OTHER)));
        assert!(refused.await.is_err());
        assert!(!goes(&only).await);
    }

    #[test]
    fn takes_an_ipv6_network_for_one_peer() {
        let peer = |text: &str| Peer::of(text.parse().expect("an address"));
        assert_eq!(peer("2001:db8::1"), peer("2001:db8::2:3"));
        assert_ne!(peer("2001:db8::1"), peer("2001:db8:0:1::1"));
        assert_eq!(peer("::ffff:192.0.2.1"), peer("192.0.2.1"));
        assert_ne!(peer("192.0.2.1"), peer("192.0.2.2"));
    }
}
