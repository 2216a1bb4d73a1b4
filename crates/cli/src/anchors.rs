// SPDX-License-Identifier: Apache-2.0
//! Trust anchors, intermediates and CRLs, as `devid verify` and `devid serve`
//! take them.

use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};

use devid_verifier::TrustAnchors;

use crate::document::named;

/// The arguments.
#[derive(clap::Args)]
pub(crate) struct AnchorArgs {
    /// CA certificate that a token's x5chain may lead to: PEM or DER. The leaf's
    /// extKeyUsage must name attestation keys (2.23.133.8.3)
    #[arg(long = "trust-anchor", value_name = "FILE")]
    trust_anchors: Vec<PathBuf>,

    /// CA certificate of a CA that certifies attestation keys alone: its leaves may
    /// have no extKeyUsage. One that is also a --trust-anchor is taken as that
    #[arg(long = "attestation-anchor", value_name = "FILE")]
    attestation_anchors: Vec<PathBuf>,

    /// CA certificates that an x5chain may leave out, PEM or DER: each counts only
    /// as a link of a path to a trust anchor
    #[arg(long = "intermediate", value_name = "FILE")]
    intermediates: Vec<PathBuf>,

    /// Certificates that a CA has revoked: a CRL, PEM or DER; of several by one CA
    /// the newest counts that is valid
    #[arg(long = "crl", value_name = "FILE")]
    crls: Vec<PathBuf>,
}

impl AnchorArgs {
    /// Reads the files. An error names the file.
    pub(crate) fn read(&self) -> Result<TrustAnchors, String> {
        let mut anchors = TrustAnchors::default();
        for path in &self.trust_anchors {
            load(path, |file| anchors.add_all(file))?;
        }
        for path in &self.attestation_anchors {
            load(path, |file| anchors.add_all_for_attestation(file))?;
        }
        for path in &self.intermediates {
            load(path, |file| anchors.add_intermediates(file))?;
        }
        for path in &self.crls {
            load(path, |file| anchors.add_crls(file))?;
        }
        Ok(anchors)
    }
}

/// What a file holds. It may be a secret, and is wiped. An error names the file.
pub(crate) fn load<T, E: Display>(
    path: &Path,
    parse: impl FnOnce(&[u8]) -> Result<T, E>,
) -> Result<T, String> {
    let content = zeroize::Zeroizing::new(fs::read(path).map_err(|error| named(path, &error))?);
    parse(&content).map_err(|error| named(path, &error))
}
