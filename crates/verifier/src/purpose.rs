// SPDX-License-Identifier: Apache-2.0
//! What a key is for. A key that signs for a device's applications must not be
//! able to make the device's attestation: `docs/key-purposes.md`.

use crate::certificate::Certificate;
use crate::keys::KeyError;

/// What a key is for. No key is for both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Signs attestation tokens, and nothing else: the IAK.
    Attestation,
    /// Signs for applications: TLS, certification requests. IDevIDs and LDevIDs.
    Identity,
}

impl Purpose {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Attestation, Self::Identity];

    /// The purpose's stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Attestation => "attestation",
            Self::Identity => "identity",
        }
    }

    /// The purpose of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.name() == name)
    }

    /// What a DER certificate says that its key is for: attestation where its
    /// extKeyUsage names 2.23.133.8.3 (TCG attestation identity key), an identity
    /// where it has an extKeyUsage without it. `None` where it has none.
    ///
    /// anyExtendedKeyUsage names no attestation key.
    pub fn of_certificate(der: &[u8]) -> Result<Option<Self>, KeyError> {
        let read = Certificate::read(der).and_then(|read| read.purpose());
        read.map_err(|_| KeyError::Certificate)
    }
}
