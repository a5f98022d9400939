//! TLS towards the server: whom the component believes, and what it says where it does not.

use super::script::{ACCEPTED, settings};
use crate::link::error::Kind;
use crate::link::{Error, Settings, Tls, Untrusting, attach};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls_pki_types::{PrivateKeyDer, ServerName};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;

const NAME: &str = "xmpp.example.org";
/// Years.
const GOOD: i32 = 2500;
const PAST: i32 = 2020;

/// Who signs.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        Self { issuer, pem }
    }

    /// A server with a certificate for [`NAME`] that ends with the first day of a year.
    fn server(&self, end: i32) -> TlsAcceptor {
        let mut params = CertificateParams::new(vec![NAME.to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(end, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// What a server does with its one connection.
enum Server {
    Tls(TlsAcceptor),
    /// Answers in XML without waiting.
    Xml,
    /// Reads something and closes.
    HangsUp,
}

/// Lets a component attach; all that it said.
async fn serve(mut io: impl AsyncRead + AsyncWrite + Unpin) -> String {
    let mut heard = Vec::new();
    let until = |heard: &[u8], end: &str| String::from_utf8_lossy(heard).ends_with(end);
    while !until(&heard, "org'>") {
        heard.push(io.read_u8().await.unwrap());
    }
    io.write_all(ACCEPTED.as_bytes()).await.unwrap();
    let after =
        "<message from='a@b.example' to='presence.example.org' id='after'/></stream:stream>";
    io.write_all(after.as_bytes()).await.unwrap();
    let _ = io.read_to_end(&mut heard).await;
    String::from_utf8_lossy(&heard).into_owned()
}

/// A server, and what it will have heard inside of TLS.
async fn server(kind: Server) -> (SocketAddr, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let heard = tokio::spawn(async move {
        let (mut io, _) = listener.accept().await.unwrap();
        match kind {
            Server::Tls(acceptor) => match acceptor.accept(io).await {
                Ok(io) => serve(io).await,
                Err(_) => String::new(),
            },
            Server::Xml => {
                io.write_all(ACCEPTED.as_bytes()).await.unwrap();
                let _ = io.read_to_end(&mut Vec::new()).await;
                String::new()
            }
            Server::HangsUp => {
                let _ = io.read(&mut [0; 4096]).await;
                String::new()
            }
        }
    });
    (address, heard)
}

fn trusting(authorities: &str, name: &str) -> Tls {
    Tls::new(
        Some(authorities),
        ServerName::try_from(name.to_owned()).unwrap(),
    )
    .unwrap()
}

fn towards(address: SocketAddr, tls: Option<Tls>) -> Settings {
    Settings {
        server: address.to_string(),
        tls,
        ..settings()
    }
}

#[tokio::test]
async fn a_server_with_a_good_certificate_is_attached_to() {
    let authority = Authority::new();
    let (address, heard) = server(Server::Tls(authority.server(GOOD))).await;
    // One in a list is enough.
    let list = format!("{}{}", Authority::new().pem, authority.pem);
    let mut link = attach(&towards(address, Some(trusting(&list, NAME))))
        .await
        .unwrap();
    while link.next_arrival().unwrap().is_none() {
        link.progress(true).await.unwrap();
    }
    link.close(Duration::from_secs(5)).await;
    let heard = heard.await.unwrap();
    assert!(heard.contains("<handshake>"), "{heard}");
    assert!(heard.ends_with("</stream:stream>"), "{heard}");
}

#[tokio::test]
async fn a_certificate_that_is_not_good_is_told_and_the_server_hears_nothing() {
    let authority = Authority::new();
    let table = [
        (
            GOOD,
            Authority::new().pem,
            NAME,
            "it is by none of the authorities in component.tls-ca",
        ),
        (
            GOOD,
            authority.pem.clone(),
            "chat.example.org",
            "it is not for chat.example.org; component.tls-name says for whom it is to be",
        ),
        (
            GOOD,
            authority.pem.clone(),
            "127.0.0.1",
            "it is not for 127.0.0.1; component.tls-name says for whom it is to be",
        ),
        (PAST, authority.pem.clone(), NAME, "its time is over"),
    ];
    for (end, trusted, name, expected) in table {
        let (address, heard) = server(Server::Tls(authority.server(end))).await;
        let refused = attach(&towards(address, Some(trusting(&trusted, name)))).await;
        let Err(error) = refused else {
            panic!("attached: {expected}");
        };
        let line = format!("the certificate of {address} is refused: {expected}");
        assert_eq!(error.to_string(), line);
        assert_eq!(error.kind(), Kind::Configuration);
        assert_eq!(heard.await.unwrap(), "");
    }
}

#[tokio::test]
async fn a_server_without_tls_is_named_and_one_with_it_too() {
    let tls = || Some(trusting(&Authority::new().pem, NAME));
    let (address, _heard) = server(Server::Xml).await;
    let refused = attach(&towards(address, tls())).await.err().unwrap();
    assert!(matches!(refused, Error::NoTls { .. }), "{refused}");
    assert!(refused.to_string().contains("component.tls"), "{refused}");
    assert_eq!(refused.kind(), Kind::Configuration);

    let (address, _heard) = server(Server::HangsUp).await;
    let refused = attach(&towards(address, tls())).await.err().unwrap();
    assert!(matches!(refused, Error::Tls { .. }), "{refused}");
    assert_eq!(refused.kind(), Kind::Transient);

    let encrypted = Authority::new().server(GOOD);
    let (address, _heard) = server(Server::Tls(encrypted)).await;
    let refused = attach(&towards(address, None)).await.err().unwrap();
    assert!(refused.to_string().contains("component.tls"), "{refused}");
}

#[test]
fn who_can_trust_nobody_is_told() {
    let name = || ServerName::try_from(NAME).unwrap();
    let fails = |text| Tls::new(Some(text), name()).err();
    assert_eq!(fails(""), Some(Untrusting::NoCertificate));
    assert_eq!(fails("no PEM"), Some(Untrusting::NoCertificate));
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(matches!(fails(broken), Some(Untrusting::Unfit(_))));
}
