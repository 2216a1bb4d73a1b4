// SPDX-License-Identifier: Apache-2.0
//! Keys whose private half everybody has. A token signed by one proves nothing.

use devid_core::instance_id;

/// A key known to be no secret.
struct DevelopmentKey {
    name: &'static str,
    /// The instance ids that derive from it, hashes alone, in hex: from the
    /// point and from the COSE_Key, or from the symmetric key.
    hashes: &'static [&'static str],
}

const KEYS: &[DevelopmentKey] = &[
    DevelopmentKey {
        name: "TF-M's dummy IAK",
        hashes: &[
            "fa58755f658627ce5460f29b75296713248cae7ad9e2984b90280efcbcb50248",
            "078c18f110f432ff780cd8dae58069a2a0d82277cbc66450c8581dd47d96a22e",
        ],
    },
    DevelopmentKey {
        name: "TF-M's dummy symmetric IAK",
        hashes: &["bfe8a99b25d95ca842256bef147a5922b69fbc78faa9ef9f94113d182aaf7c6f"],
    },
    // The scalar is SHA-256("devid-sim development IAK, never trust").
    DevelopmentKey {
        name: "the devid simulator's IAK",
        hashes: &[
            "f2199462bd94cf8e89041aa0c56e8b692c0cac1988fa2a9fdfe0e11398f1cfa9",
            "2ee60a156fa8b38d1840e3f56d4151c725f60f87780089b55a6f7c9c2664ff36",
        ],
    },
    DevelopmentKey {
        name: "the example key of RFC 7517, which OP-TEE's attestation signs with",
        hashes: &[
            "90c71e80304f98d6556a402c0593b33a80acbd08e4aff9c4029f6e17e1039951",
            "00e1688373124a36f7c3204ef20f73c37be4bb0f34e72f45d7d38ee8dffa4c43",
        ],
    },
];

/// The name of the development key that an instance id derives from.
pub(crate) fn name_of_instance(id: &[u8; instance_id::LEN]) -> Option<&'static str> {
    KEYS.iter().find(|key| key.hashes.iter().any(|hash| is_hex_of(hash, &id[1..]))).map(|k| k.name)
}

fn is_hex_of(hex: &str, bytes: &[u8]) -> bool {
    let nibble = |digit: u8| (digit as char).to_digit(16);
    hex.as_bytes()
        .chunks_exact(2)
        .map(|pair| Some(nibble(pair[0])? << 4 | nibble(pair[1])?))
        .eq(bytes.iter().map(|&byte| Some(u32::from(byte))))
}
