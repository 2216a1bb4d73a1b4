// SPDX-License-Identifier: Apache-2.0
//! Challenges that need no memory until they are answered.
//!
//! A challenge is its own expiry, random bytes, and a MAC over both. The service
//! knows its own again by the MAC, so that asking for challenges fills no
//! database, and only those that were used are remembered, until they expire.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::{constant_time, hmac, rand};

/// Lengths that a PSA challenge can have, in bytes.
pub(crate) const LENGTHS: [usize; 3] = [32, 48, 64];

const EXPIRY_LEN: usize = 8;
/// HMAC-SHA256, cut to its first half (RFC 2104, 5).
const MAC_LEN: usize = 16;

/// Length of the key that challenges are made with.
pub(crate) const KEY_LEN: usize = 32;

/// Makes challenges and knows them again.
pub(crate) struct Challenges {
    key: hmac::Key,
    lifetime: Duration,
}

/// Why a challenge is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    Foreign,
    Expired,
}

impl Challenges {
    pub(crate) fn new(key: &[u8], lifetime: Duration) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, key), lifetime }
    }

    /// A new challenge of one of the [`LENGTHS`], and when it expires in seconds
    /// since 1970. `None` if there is no randomness.
    pub(crate) fn issue(&self, len: usize, now: u64) -> Option<(Vec<u8>, u64)> {
        let expiry = now.saturating_add(self.lifetime.as_secs());
        let mut challenge = vec![0; len];
        let (content, mac) = challenge.split_at_mut(len - MAC_LEN);
        let (head, random) = content.split_at_mut(EXPIRY_LEN);
        head.copy_from_slice(&expiry.to_be_bytes());
        rand::fill(random).ok()?;
        mac.copy_from_slice(&self.mac(content));
        Some((challenge, expiry))
    }

    /// Whether a nonce is a challenge from here that can still be answered.
    pub(crate) fn check(&self, nonce: &[u8], now: u64) -> Result<(), Refused> {
        let (content, mac) = nonce.split_last_chunk::<MAC_LEN>().ok_or(Refused::Foreign)?;
        let expiry = content.first_chunk::<EXPIRY_LEN>().ok_or(Refused::Foreign)?;
        constant_time::verify_slices_are_equal(&self.mac(content), mac)
            .map_err(|_| Refused::Foreign)?;
        if u64::from_be_bytes(*expiry) < now { Err(Refused::Expired) } else { Ok(()) }
    }

    fn mac(&self, content: &[u8]) -> [u8; MAC_LEN] {
        let tag = hmac::sign(&self.key, content);
        let mut mac = [0; MAC_LEN];
        mac.copy_from_slice(&tag.as_ref()[..MAC_LEN]);
        mac
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn challenges(key: u8) -> Challenges {
        Challenges::new(&[key; KEY_LEN], Duration::from_secs(300))
    }

    #[test]
    fn knows_its_own_until_they_expire() {
        for len in LENGTHS {
            let (challenge, expiry) = challenges(1).issue(len, NOW).expect("issues");
            assert_eq!((challenge.len(), expiry), (len, NOW + 300));
            assert_eq!(challenges(1).check(&challenge, NOW + 300), Ok(()));
            assert_eq!(challenges(1).check(&challenge, NOW + 301), Err(Refused::Expired));
            assert_eq!(challenges(2).check(&challenge, NOW), Err(Refused::Foreign));
        }
    }

    #[test]
    fn takes_none_that_was_changed_or_cut() {
        let (challenge, _) = challenges(1).issue(32, NOW).expect("issues");
        for at in 0..challenge.len() {
            let mut changed = challenge.clone();
            changed[at] ^= 1;
            assert_eq!(challenges(1).check(&changed, NOW), Err(Refused::Foreign));
            assert_eq!(challenges(1).check(&challenge[..at], NOW), Err(Refused::Foreign));
        }
    }

    #[test]
    fn makes_none_twice() {
        let all: std::collections::HashSet<_> =
            (0..1000).map(|_| challenges(1).issue(32, NOW).expect("issues").0).collect();
        assert_eq!(all.len(), 1000);
    }
}
