//! The web face behind nginx over TLS, as docs/web.md tells the operator to set it up: the page works in a
//! browser, what is live comes at once, and who asks is who nginx says, and not who he says he is.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::face::{ALICE, Face};
use crate::nginx::Nginx;
use crate::stage::expect_message;
use crate::support::Failure;
use crate::support::http::{ask_from, connect_from};
use crate::support::ports::Port;
use crate::tab::Tab;

/// The operator's guide.
const GUIDE: &str = include_str!("../../docs/web.md");

/// The host that it uses.
const HOST: &str = "presence.example.org";

/// The server block of the guide, with the host, the address and the certificate of the test.
fn block(face: &Face, folder: &Path, tls: bool) -> Result<String, Failure> {
    let failure = |error: String| Failure::new(format!("no certificate: {error}"));
    let key = KeyPair::generate().map_err(|error| failure(error.to_string()))?;
    let certificate = CertificateParams::new(vec!["localhost".to_owned()])
        .and_then(|parameters| parameters.self_signed(&key))
        .map_err(|error| failure(error.to_string()))?;
    let (public, private) = (folder.join("public.pem"), folder.join("private.pem"));
    std::fs::write(&public, certificate.pem()).map_err(|error| failure(error.to_string()))?;
    std::fs::write(&private, key.serialize_pem()).map_err(|error| failure(error.to_string()))?;

    let recipe = GUIDE
        .split("```nginx\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .find(|block| block.contains("server {"))
        .ok_or_else(|| Failure::new("docs/web.md has no server block for nginx"))?;
    let mut lines = Vec::new();
    for line in recipe.lines() {
        let indent = &line[..line.len() - line.trim_start().len()];
        let word = line.trim_start().split(' ').next().unwrap_or_default();
        lines.push(match word {
            "listen" if line.contains("443") && !line.contains('[') => {
                format!(
                    "{indent}listen {{listen}}{};",
                    if tls { " ssl" } else { "" }
                )
            }
            _ if word.starts_with("ssl_") && !tls => String::new(),
            "listen" => String::new(),
            "ssl_certificate" => format!("{indent}ssl_certificate {};", public.display()),
            "ssl_certificate_key" => format!("{indent}ssl_certificate_key {};", private.display()),
            _ => line
                .replace(HOST, "localhost")
                .replace("127.0.0.1:8088", &face.address().to_string()),
        });
    }
    Ok(lines.join("\n"))
}

/// Whom the face believes about who asks.
const TRUSTED: &str = "[http]\ntrusted-proxies = [\"127.0.0.1\"]\n";

async fn in_front_of(face: &Face, tls: bool) -> Result<Nginx, Failure> {
    in_front_at(face, Port::reserve()?, tls).await
}

async fn in_front_at(face: &Face, port: Port, tls: bool) -> Result<Nginx, Failure> {
    let folder = tempfile::tempdir().map_err(|error| Failure::new(error.to_string()))?;
    Nginx::start(port, &block(face, folder.path(), tls)?).await
}

/// The page as the operator's visitors have it: over TLS, at the address that the operator has named.
#[tokio::test]
async fn a_message_is_left_over_tls() -> Result<(), Failure> {
    let port = Port::reserve()?;
    let base = format!("https://localhost:{port}");
    let mut face = Face::set(&format!("{TRUSTED}base-url = \"{base}\"\n")).await?;
    let mut nginx = in_front_at(&face, port, true).await?;
    face.alice_says("away", "Over the hills").await?;
    let mut tab = Tab::open().await?;
    tab.trust_everybody().await?;
    tab.go(&format!("{base}/u/alice@localhost")).await?;
    let shown = tab.text("document.body.innerText").await?;
    assert!(shown.contains("Over the hills"), "{shown}");
    assert!(
        shown.contains(&format!("{base}/v1/users/alice@localhost/badge.svg")),
        "{shown}"
    );
    face.alice_says("away", "Far away").await?;
    tab.until("document.querySelector('.state').innerText.includes('Far away')")
        .await?;
    tab.click("textarea[name=text]").await?;
    tab.type_text("Hello through nginx").await?;
    tab.submit("form:has(textarea) button").await?;
    expect_message(&mut face.alice, "Hello through nginx").await;
    tab.close().await?;
    nginx.stop().await
}

/// Each visitor has a budget of his own, and gets no other one by saying that he is somebody else.
#[tokio::test]
async fn visitors_are_told_apart_by_what_nginx_says() -> Result<(), Failure> {
    let budget = "requests-per-second = 0.001\nrequests-burst = 5\n";
    let face = Face::limited(&format!("{TRUSTED}{budget}")).await?;
    let mut nginx = in_front_of(&face, false).await?;
    let ask = async |last, headers: &[(&str, &str)]| {
        let visitor = Ipv4Addr::new(127, 0, 0, last);
        ask_from(visitor, nginx.address(), ("GET", ALICE), headers, "")
            .await
            .status
    };
    for _ in 0..5 {
        assert_eq!(ask(2, &[]).await, 200);
    }
    assert_eq!(ask(2, &[]).await, 429);
    for spoofed in ["9.9.9.9", "127.0.0.1", "9.9.9.9, 8.8.8.8", "::1", "unknown"] {
        assert_eq!(
            ask(2, &[("X-Forwarded-For", spoofed)]).await,
            429,
            "{spoofed}"
        );
        assert_eq!(
            ask(2, &[("Forwarded", &format!("for={spoofed}"))]).await,
            429
        );
        assert_eq!(ask(2, &[("X-Real-IP", spoofed)]).await, 429);
    }
    assert_eq!(ask(3, &[]).await, 200);
    nginx.stop().await
}

/// What is live comes at once, and not when a buffer is full.
#[tokio::test]
async fn events_come_through_at_once() -> Result<(), Failure> {
    let mut face = Face::set(TRUSTED).await?;
    let mut nginx = in_front_of(&face, false).await?;
    let failure = |error: std::io::Error| Failure::new(format!("no events: {error}"));
    let mut stream = connect_from(Ipv4Addr::new(127, 0, 0, 2), nginx.address()).await;
    let request = "GET /v1/events?users=alice@localhost HTTP/1.1\r\nHost: localhost\r\n\r\n";
    stream
        .write_all(request.as_bytes())
        .await
        .map_err(failure)?;
    for text in ["", "One", "Two"] {
        face.alice_says("away", text).await?;
        let mark = if text.is_empty() { "away" } else { text };
        let mut read = Vec::new();
        let reading = async {
            while memchr::memmem::find(&read, mark.as_bytes()).is_none() {
                assert!(stream.read_buf(&mut read).await.is_ok_and(|n| n > 0));
            }
        };
        if timeout(Duration::from_secs(20), reading).await.is_err() {
            let read = String::from_utf8_lossy(&read);
            return Err(Failure::new(format!("no {mark:?} in {read:?}")));
        }
    }
    drop(stream);
    nginx.stop().await
}
