// SPDX-License-Identifier: Apache-2.0
//! Trust anchors and CRLs, as `devid verify` and `devid serve` take them.

use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};

use devid_verifier::TrustAnchors;

use crate::document::named;

/// The arguments.
#[derive(clap::Args)]
pub(crate) struct AnchorArgs {
    /// CA certificate that a token's x5chain may lead to: PEM or DER
    #[arg(long = "trust-anchor", value_name = "FILE")]
    trust_anchors: Vec<PathBuf>,

    /// Certificates that a CA has revoked: a CRL, PEM or DER
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
