// SPDX-License-Identifier: Apache-2.0
//! Capacities that do not depend on the product. What Kconfig chooses arrives
//! in a [`crate::layout::Layout`].

/// Most slots a layout can have.
pub const MAX_SLOTS: usize = 16;

/// Most identities a layout can have; their ids are 0 to 3.
pub const MAX_IDENTITIES: usize = 4;

/// Most records in storage: the slots and the identities' second halves.
pub const MAX_RECORDS: usize = MAX_SLOTS + MAX_IDENTITIES;

/// Most signers of commands that a device remembers, those that may not command
/// any more included. With four anchors one of them can be replaced.
pub const MAX_SIGNERS: usize = 6;

/// Longest name of a group of devices, in bytes.
pub const MAX_GROUP_LEN: usize = 32;

/// A certificate that expires within so many seconds is reported: 30 days.
pub const EXPIRES_SOON_SECONDS: i64 = 30 * 86_400;

/// Most certificates in a chain, leaf included.
pub const MAX_CHAIN_CERTS: usize = 4;

/// Most certificates read from a token's `x5chain`. A device writes fewer.
pub const MAX_X5CHAIN_CERTS: u64 = 32;

/// Longest certificate read, in bytes.
pub const MAX_CERT_LEN: usize = 1024;

/// Longest value of any slot, in bytes.
pub const MAX_VALUE_LEN: usize = 4096;

/// Most storage assets a record is spread over.
pub const MAX_PARTS: usize = 8;

/// Longest token a platform hands out, in bytes. TF-M's own limit is 592
/// (`PSA_INITIAL_ATTEST_MAX_TOKEN_SIZE`).
pub const MAX_TOKEN_LEN: usize = 640;

/// Most software components read from a token.
pub const MAX_SOFTWARE_COMPONENTS: usize = 1024;
