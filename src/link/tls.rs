//! Direct TLS towards the server: whom we trust to say who it is, and by which name.

use super::Error;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use std::fmt;
use std::io;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{self, CertificateError, ClientConfig, InvalidMessage, RootCertStore};

/// Encrypts the connection to the server from its first byte, once its certificate is found good.
///
/// ejabberd 23.01 does that on a component port with `tls: true`; there is no STARTTLS in XEP-0114.
#[derive(Clone)]
pub struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
    /// As it was typed: the authorities in PEM; `None`: those of this machine.
    authorities: Option<String>,
}

/// Why nobody can be trusted.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum Untrusting {
    /// No certificate in PEM.
    #[error("holds no certificate in PEM")]
    NoCertificate,
    /// A certificate that is no authority's, or that cannot be read.
    #[error("holds a certificate that cannot be used: {0}")]
    Unfit(rustls::Error),
    /// The machine has no list of authorities.
    #[error("this machine knows no certificate authorities, expected tls-ca beside it")]
    NoneHere,
    /// No protocol version in common with itself; cannot happen with what is compiled in.
    #[error("TLS cannot be used: {0}")]
    Unusable(rustls::Error),
}

impl Tls {
    /// Trusts the certificates in `authorities`, text in PEM, alone; without them the machine's own list.
    /// The server's certificate must be for `name`, a host's name or an IP address.
    ///
    /// TLS 1.2 and 1.3. A certificate in the list is trusted as an authority, and also where it is the
    /// server's own, as long as that is one that may sign.
    ///
    /// # Errors
    ///
    /// Where there is nobody to trust.
    pub fn new(authorities: Option<&str>, name: ServerName<'static>) -> Result<Self, Untrusting> {
        let mut roots = RootCertStore::empty();
        match authorities {
            Some(text) => {
                for certificate in CertificateDer::pem_slice_iter(text.as_bytes()) {
                    let certificate = certificate.map_err(|_| Untrusting::NoCertificate)?;
                    roots.add(certificate).map_err(Untrusting::Unfit)?;
                }
                if roots.is_empty() {
                    return Err(Untrusting::NoCertificate);
                }
            }
            None => {
                // Some in the list may be broken; those that are not are what there is.
                let found = rustls_native_certs::load_native_certs();
                roots.add_parsable_certificates(found.certs);
                if roots.is_empty() {
                    return Err(Untrusting::NoneHere);
                }
            }
        }
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(Untrusting::Unusable)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            connector: TlsConnector::from(Arc::new(config)),
            name,
            authorities: authorities.map(str::to_owned),
        })
    }

    /// Encrypts a connection to `address`.
    pub(super) async fn encrypt(
        &self,
        io: TcpStream,
        address: &str,
    ) -> Result<TlsStream<TcpStream>, Error> {
        let connecting = self.connector.connect(self.name.clone(), io);
        connecting
            .await
            .map_err(|source| self.failure(source, address))
    }

    fn failure(&self, source: io::Error, address: &str) -> Error {
        let address = address.to_owned();
        let cause = source.get_ref().and_then(|error| error.downcast_ref());
        let Some(cause) = cause else {
            // It hung up, as does a port that waits for XML.
            return Error::Tls { address, source };
        };
        let why = match cause {
            rustls::Error::InvalidCertificate(why) => why,
            rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
                return Error::NoTls { address };
            }
            _ => return Error::Tls { address, source },
        };
        let check = match why {
            // The latter where an authority of the same name has another key.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => match self
                .authorities
            {
                Some(_) => "it is by none of the authorities in component.tls-ca".to_owned(),
                None => {
                    "it is by no authority that this machine knows; component.tls-ca names others"
                        .to_owned()
                }
            },
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                format!(
                    "it is not for {}; component.tls-name says for whom it is to be",
                    self.name.to_str()
                )
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "its time is over".to_owned()
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "its time has not begun; check the clocks".to_owned()
            }
            other => other.to_string(),
        };
        Error::Certificate { address, check }
    }
}

impl PartialEq for Tls {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, &self.authorities) == (&other.name, &other.authorities)
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
