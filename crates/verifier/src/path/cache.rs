// SPDX-License-Identifier: Apache-2.0
//! Chains that led to an anchor, so that the same chain need not be validated
//! for every token. Only what was valid is kept: nobody fills the cache with
//! chains of his own making.

use std::collections::HashMap;
use std::mem;
use std::sync::{PoisonError, RwLock};

use devid_core::cose::X5Chain;

use super::ValidPath;
use crate::crypto::sha256;

/// The SHA-256 of a chain.
pub(super) type ChainDigest = [u8; 32];

/// At most so many chains, of which the less recently found go first.
pub(super) struct Cache {
    capacity: usize,
    halves: RwLock<Halves>,
}

/// When the new half is full it becomes the old one, and the old one goes.
#[derive(Default)]
struct Halves {
    new: HashMap<ChainDigest, ValidPath>,
    old: HashMap<ChainDigest, ValidPath>,
}

impl Cache {
    pub(super) fn with_capacity(chains: usize) -> Self {
        Self { capacity: chains, halves: RwLock::default() }
    }

    /// The digest that a chain is found by; `None` where nothing is kept.
    pub(super) fn digest(&self, chain: X5Chain<'_>) -> Option<ChainDigest> {
        if self.capacity == 0 {
            return None;
        }
        let lengths: Vec<_> = chain.map(|der| der.len().to_be_bytes()).collect();
        let parts: Vec<&[u8]> =
            lengths.iter().zip(chain).flat_map(|(length, der)| [&length[..], der]).collect();
        Some(sha256(&parts))
    }

    /// The path, if it is known and still, or already, valid.
    pub(super) fn get(&self, digest: &ChainDigest, now: i64) -> Option<ValidPath> {
        let halves = self.halves.read().unwrap_or_else(PoisonError::into_inner);
        let (path, is_old) = match halves.new.get(digest) {
            Some(path) => (path.clone(), false),
            None => (halves.old.get(digest)?.clone(), true),
        };
        drop(halves);
        if !path.validity.contains(&now) {
            return None;
        }
        if is_old {
            self.put(*digest, path.clone());
        }
        Some(path)
    }

    pub(super) fn put(&self, digest: ChainDigest, path: ValidPath) {
        let mut halves = self.halves.write().unwrap_or_else(PoisonError::into_inner);
        if halves.new.len() >= self.capacity.div_ceil(2) {
            halves.old = mem::take(&mut halves.new);
        }
        halves.new.insert(digest, path);
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self.halves.get_mut().unwrap_or_else(PoisonError::into_inner) = Halves::default();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::keys::PublicKey;

    /// The base point of P-256: a key whose private half is 1.
    const POINT: &[u8; 130] = b"046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296\
        4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5";

    fn path() -> ValidPath {
        let point = data_encoding::HEXLOWER.decode(POINT).unwrap();
        let leaf = Arc::new(PublicKey::from_point(&point).unwrap());
        ValidPath { leaf, validity: 10..=20, detail: "" }
    }

    #[test]
    fn keeps_the_chains_found_last_and_no_more_than_it_may() {
        let cache = Cache::with_capacity(4);
        cache.put([0; 32], path());
        for chain in 1..100 {
            cache.put([chain; 32], path());
            assert!(cache.get(&[0; 32], 10).is_some(), "after {chain}");
            let halves = cache.halves.read().unwrap();
            assert!(halves.new.len() + halves.old.len() <= 4);
        }
        assert!(cache.get(&[1; 32], 10).is_none());
    }

    #[test]
    fn knows_no_path_outside_its_validity() {
        let cache = Cache::with_capacity(4);
        cache.put([0; 32], path());
        let found = |now| cache.get(&[0; 32], now).is_some();
        assert_eq!([9, 10, 20, 21].map(found), [false, true, true, false]);
    }
}
