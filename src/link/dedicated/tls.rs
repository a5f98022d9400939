//! Direct TLS for partners: a certificate and its key.

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::fmt;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{self, ServerConfig};

/// Encrypts connections with one certificate.
#[derive(Clone)]
pub struct Acceptor(pub(super) TlsAcceptor);

/// Why a certificate or a key cannot be used.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum Unusable {
    /// No certificate in PEM.
    #[error("holds no certificate in PEM")]
    NoCertificate,
    /// No private key in PEM.
    #[error("holds no private key in PEM")]
    NoKey,
    /// The two do not fit, or cannot be used for something.
    #[error("cannot be used with its certificate: {0}")]
    Pair(rustls::Error),
}

impl Acceptor {
    /// From the text of the two files: the certificate with those that lead to its authority, and its key.
    ///
    /// TLS 1.2 and 1.3; no certificate is asked of the partner, for it has a secret.
    ///
    /// # Errors
    ///
    /// Where one is missing, or they are of different pairs.
    pub fn new(certificates: &str, key: &str) -> Result<Self, Unusable> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(certificates.as_bytes())
            .collect::<Result<_, _>>()
            .map_err(|_| Unusable::NoCertificate)?;
        if chain.is_empty() {
            return Err(Unusable::NoCertificate);
        }
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|_| Unusable::NoKey)?;
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(Unusable::Pair)?;
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }
}

/// Without the key.
impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Acceptor(…)")
    }
}
