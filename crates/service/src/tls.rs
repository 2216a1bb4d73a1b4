// SPDX-License-Identifier: Apache-2.0
//! TLS by rustls over aws-lc-rs, named here so that no process-wide default
//! counts.

use std::fmt;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A certificate and its key.
#[derive(Clone)]
pub struct TlsConfig(pub(crate) Arc<ServerConfig>);

/// Why they cannot be used.
#[derive(Debug)]
pub enum TlsError {
    /// The chain is not PEM of certificates.
    Chain,
    /// The key is not PEM of a private key.
    Key,
    /// They do not go together, or with TLS.
    Config(rustls::Error),
}

impl TlsConfig {
    /// Takes a certificate chain, leaf first, and the leaf's private key, both
    /// PEM. TLS 1.2 and 1.3, no client authentication.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<_, _>>()
            .map_err(|_| TlsError::Chain)?;
        if chain.is_empty() {
            return Err(TlsError::Chain);
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| TlsError::Key)?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Config)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(TlsError::Config)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(Arc::new(config)))
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chain => f.write_str("the TLS chain is not PEM of certificates"),
            Self::Key => f.write_str("the TLS key is not PEM of a private key"),
            Self::Config(error) => write!(f, "TLS: {error}"),
        }
    }
}

impl std::error::Error for TlsError {}
