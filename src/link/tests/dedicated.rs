//! Partners that attach to us: what each header and handshake gets, and what comes in and goes out after.

use crate::address::ComponentDomain;
use crate::link::Unsealed;
use crate::link::dedicated::{Acceptor, Admission, Partner, bind, serve};
use crate::link::handshake::digest;
use crate::stanza::Arrival;
use minidom::Element;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};

const ACME: &str = "to='acme.presence.example.org'";

/// Our end.
struct Door {
    address: SocketAddr,
    partners: mpsc::Receiver<Partner>,
    _admission: watch::Sender<Arc<Admission>>,
}

async fn door(tls: Option<Acceptor>) -> Door {
    let secrets = [("acme", "sesame"), ("other", "s&\u{e9}<")];
    let admission = Admission {
        domain: ComponentDomain::parse("presence.example.org").unwrap(),
        secrets: secrets
            .map(|(name, secret)| (name.to_owned(), secret.to_owned()))
            .into(),
        tls,
    };
    let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (admission, receiver) = watch::channel(Arc::new(admission));
    let (sender, partners) = mpsc::channel(8);
    tokio::spawn(serve(listener, receiver, sender, Arc::default()));
    Door {
        address,
        partners,
        _admission: admission,
    }
}

fn header(attributes: &str) -> String {
    format!(
        "<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' \
         xmlns:stream='http://etherx.jabber.org/streams' {attributes}>"
    )
}

/// Reads up to the end of a text.
async fn hear(io: &mut (impl AsyncRead + Unpin), end: &str) -> String {
    let mut heard = Vec::new();
    while !heard.ends_with(end.as_bytes()) {
        heard.push(io.read_u8().await.expect("we say more"));
    }
    String::from_utf8(heard).unwrap()
}

fn id_in(header: &str) -> &str {
    header
        .split("id='")
        .nth(1)
        .unwrap()
        .split('\'')
        .next()
        .unwrap()
}

/// Shows a secret after the header; returns what was said to that.
async fn knock(
    io: &mut (impl AsyncRead + AsyncWrite + Unpin),
    attributes: &str,
    secret: &str,
) -> String {
    io.write_all(header(attributes).as_bytes()).await.unwrap();
    let ours = hear(io, "'>").await;
    let handshake = digest(id_in(&ours), secret);
    io.write_all(format!("<handshake>{handshake}</handshake>").as_bytes())
        .await
        .unwrap();
    hear(io, ">").await
}

/// All that is said to a stranger, who then closes.
async fn refusal(door: &Door, words: &str) -> String {
    let mut io = TcpStream::connect(door.address).await.unwrap();
    io.write_all(words.as_bytes()).await.unwrap();
    let mut heard = String::new();
    let reading = io.read_to_string(&mut heard);
    tokio::time::timeout(Duration::from_secs(20), reading)
        .await
        .expect("it ends")
        .unwrap();
    heard
}

fn error(condition: &str) -> String {
    let ns = "urn:ietf:params:xml:ns:xmpp-streams";
    format!("<stream:error><{condition} xmlns='{ns}'/></stream:error></stream:stream>")
}

async fn attached(door: &mut Door) -> (TcpStream, Partner) {
    let mut io = TcpStream::connect(door.address).await.unwrap();
    let attaching = async { door.partners.recv().await.unwrap() };
    let saying = async {
        io.write_all(header(ACME).as_bytes()).await.unwrap();
        let ours = hear(&mut io, "'>").await;
        let handshake = digest(id_in(&ours), "sesame");
        io.write_all(format!("<handshake>{handshake}</handshake>").as_bytes())
            .await
            .unwrap();
    };
    let (mut partner, ()) = tokio::join!(attaching, saying);
    partner.link.progress(false).await.unwrap();
    assert_eq!(hear(&mut io, "/>").await, "<handshake/>");
    (io, partner)
}

/// The next arrival of a partner, as text.
async fn next(partner: &mut Partner) -> Result<String, String> {
    loop {
        match partner.next_arrival() {
            Ok(Some(Arrival::Stanza(element))) => return Ok(String::from(&element)),
            Ok(Some(Arrival::Probe(probe))) => return Ok(format!("{probe:?}")),
            Ok(Some(Arrival::Refused(refused))) => return Ok(format!("{refused:?}")),
            Err(unfit) => return Err(unfit.to_string()),
            Ok(None) => {
                if let Err(error) = partner.link.progress(true).await {
                    return Err(error.by_partner());
                }
            }
        }
    }
}

#[tokio::test]
async fn a_partner_attaches_by_its_name_and_secret() {
    let mut door = door(None).await;
    for (attributes, secret, name) in [
        (ACME, "sesame", "acme"),
        // The same name as typed by somebody else, and the other way to say it.
        ("to='ACME.Presence.Example.ORG.'", "sesame", "acme"),
        (
            "to='presence.example.org' from='other.presence.example.org'",
            "s&\u{e9}<",
            "other",
        ),
        (
            "from='acme.presence.example.org' to='acme.presence.example.org' version='1.0'",
            "sesame",
            "acme",
        ),
    ] {
        let mut io = TcpStream::connect(door.address).await.unwrap();
        let (mut partner, ()) =
            tokio::join!(async { door.partners.recv().await.unwrap() }, async {
                io.write_all(header(attributes).as_bytes()).await.unwrap();
                let ours = hear(&mut io, "'>").await;
                assert!(
                    ours.contains(&format!("from='{name}.presence.example.org'")),
                    "{ours}"
                );
                let handshake = digest(id_in(&ours), secret);
                io.write_all(format!("<handshake>{handshake}</handshake>").as_bytes())
                    .await
                    .unwrap();
            });
        assert_eq!(partner.name(), name);
        partner.link.progress(false).await.unwrap();
        assert_eq!(hear(&mut io, "/>").await, "<handshake/>", "{attributes}");
    }
}

#[tokio::test]
async fn stanzas_sent_with_the_handshake_are_not_lost() {
    let mut door = door(None).await;
    let mut io = TcpStream::connect(door.address).await.unwrap();
    io.write_all(header(ACME).as_bytes()).await.unwrap();
    let ours = hear(&mut io, "'>").await;
    let words = format!(
        "<handshake>{}</handshake><presence from='a@acme.presence.example.org' to='b'/>",
        digest(id_in(&ours), "sesame")
    );
    io.write_all(words.as_bytes()).await.unwrap();
    let mut partner = door.partners.recv().await.unwrap();
    assert!(next(&mut partner).await.unwrap().contains("a@acme"));
}

#[tokio::test]
async fn who_may_not_attach_gets_the_stream_error_for_it_after_a_header() {
    let door = door(None).await;
    let ours = |condition: &str, words: &str, heard: &str| {
        assert!(
            heard.starts_with("<?xml version='1.0'?><stream:stream "),
            "{words}: {heard}"
        );
        assert!(heard.ends_with(&error(condition)), "{words}: {heard}");
    };
    for (attributes, condition) in [
        ("to='presence.example.org'", "host-unknown"),
        ("to='example.org'", "host-unknown"),
        ("to='evilpresence.example.org'", "host-unknown"),
        ("to='eu.acme.presence.example.org'", "host-unknown"),
        ("to='@'", "host-unknown"),
        ("", "host-unknown"),
        ("from='acme.presence.example.org'", "host-unknown"),
        (
            "to='acme.presence.example.org' from='other.presence.example.org'",
            "invalid-from",
        ),
        ("to='acme.presence.example.org' from='@'", "invalid-from"),
        // `from` is that of an address, and an address attaches nowhere.
        (
            "to='presence.example.org' from='bot@acme.presence.example.org'",
            "host-unknown",
        ),
    ] {
        let words = header(attributes);
        ours(condition, &words, &refusal(&door, &words).await);
    }
    let client = header(ACME).replace("jabber:component:accept", "jabber:client");
    ours("invalid-namespace", &client, &refusal(&door, &client).await);
    for (words, condition) in [
        ("GET / HTTP/1.1\r\n\r\n", "bad-format"),
        ("\u{16}\u{3}\u{1}", "bad-format"),
        ("<!DOCTYPE x>", "restricted-xml"),
        ("<stream:stream><", "not-well-formed"),
    ] {
        ours(condition, words, &refusal(&door, words).await);
    }
    let long = header(&format!("to='{}'", "x".repeat(9000)));
    ours("policy-violation", &long, &refusal(&door, &long).await);
}

#[tokio::test]
async fn an_unknown_party_and_a_wrong_secret_get_the_same_answer_in_the_same_time() {
    let door = door(None).await;
    let mut answers = Vec::new();
    for (attributes, secret) in [
        (ACME, "Sesame"),
        (ACME, ""),
        ("to='nobody.presence.example.org'", "sesame"),
        // The secret of a party that does not exist is not the empty one.
        ("to='nobody.presence.example.org'", ""),
        ("to='acme.presence.example.org' id='x'", "s&\u{e9}<"),
    ] {
        let begun = crate::link::now();
        let mut io = TcpStream::connect(door.address).await.unwrap();
        answers.push(knock(&mut io, attributes, secret).await);
        let mut rest = String::new();
        io.read_to_string(&mut rest).await.unwrap();
        assert!(
            rest.starts_with("<not-authorized "),
            "{attributes} {secret}: {rest}"
        );
        assert!(
            begun.elapsed() >= Duration::from_secs(1),
            "guessing is slow"
        );
    }
    assert!(
        answers.iter().all(|answer| answer == "<stream:error>"),
        "{answers:?}"
    );
    // A stanza in place of the handshake, and a digest that is not lower case (as on ejabberd).
    for words in [
        "<presence from='a@acme.presence.example.org'/>",
        "<handshake/>",
    ] {
        let heard = refusal(&door, &(header(ACME) + words)).await;
        assert!(heard.ends_with(&error("not-authorized")), "{heard}");
    }
}

#[tokio::test]
async fn who_does_not_attach_in_time_is_sent_away() {
    let door = door(None).await;
    let half = header(ACME);
    let strangers = ["", "<stream:stream", &half].map(|words| refusal(&door, words));
    for heard in futures::future::join_all(strangers).await {
        assert!(heard.ends_with(&error("connection-timeout")), "{heard}");
    }
}

#[tokio::test]
async fn too_many_strangers_of_one_address_are_closed_at_once() {
    let mut door = door(None).await;
    let mut idle = Vec::new();
    for _ in 0..16 {
        idle.push(TcpStream::connect(door.address).await.unwrap());
    }
    let mut one_more = TcpStream::connect(door.address).await.unwrap();
    assert_eq!(one_more.read(&mut [0]).await.unwrap_or(0), 0);
    drop(idle);
    // Those that have attached do not count.
    let mut partners = Vec::new();
    for _ in 0..20 {
        partners.push(attached(&mut door).await);
    }
}

#[tokio::test]
async fn a_partner_speaks_for_its_own_domain_and_to_us() {
    let mut door = door(None).await;
    let (mut io, mut partner) = attached(&mut door).await;
    let says = [
        "<presence from='Bot@ACME.presence.example.org/x' to='a@presence.example.org'/>",
        "<iq type='get' id='1'/>",
        "<foo from='acme.presence.example.org'/>",
    ];
    io.write_all(says.concat().as_bytes()).await.unwrap();
    assert!(
        next(&mut partner)
            .await
            .unwrap()
            .contains("Bot@ACME.presence.example.org/x")
    );
    let filled = next(&mut partner).await.unwrap();
    assert!(
        filled.contains("from='acme.presence.example.org'")
            && filled.contains("to='presence.example.org'"),
        "{filled}"
    );
    assert!(next(&mut partner).await.unwrap().contains("NotAStanza"));
    for foreign in [
        "alice@example.org",
        "other.presence.example.org",
        "presence.example.org",
        "x@evilacme.presence.example.org",
        "x@eu.acme.presence.example.org",
        "@@",
        "",
    ] {
        let (mut io, mut partner) = attached(&mut door).await;
        let words = format!("<presence from='{foreign}' to='a@presence.example.org'/><iq/>");
        io.write_all(words.as_bytes()).await.unwrap();
        let why = next(&mut partner).await.unwrap_err();
        assert!(why.contains("invalid-from"), "{foreign}: {why}");
        let _ = partner.link.progress(false).await;
        assert_eq!(
            hear(&mut io, "</stream:stream>").await,
            error("invalid-from"),
            "{foreign}"
        );
    }
}

#[tokio::test]
async fn a_partner_gets_nothing_that_is_for_somebody_else() {
    let mut door = door(None).await;
    let (_io, mut partner) = attached(&mut door).await;
    let stanza = |to: &str| -> Element {
        format!("<message xmlns='jabber:client' from='presence.example.org' to='{to}'/>")
            .parse()
            .unwrap()
    };
    for to in [
        "acme.presence.example.org",
        "bot@acme.presence.example.org/x",
    ] {
        assert_eq!(partner.link.send(&stanza(to)), Ok(()), "{to}");
    }
    for to in [
        "alice@example.org",
        "other.presence.example.org",
        "x@eu.acme.presence.example.org",
        "presence.example.org",
    ] {
        assert_eq!(
            partner.link.send(&stanza(to)),
            Err(Unsealed::Elsewhere),
            "{to}"
        );
    }
}

#[tokio::test]
async fn a_partner_attaches_over_tls_and_never_without() {
    let made = rcgen::generate_simple_self_signed(["presence.example.org".to_owned()]).unwrap();
    let tls = Acceptor::new(&made.cert.pem(), &made.signing_key.serialize_pem()).unwrap();
    let mut door = door(Some(tls)).await;
    let mut plain = TcpStream::connect(door.address).await.unwrap();
    plain.write_all(header(ACME).as_bytes()).await.unwrap();
    let mut heard = Vec::new();
    let _ = plain.read_to_end(&mut heard).await;
    assert!(
        !String::from_utf8_lossy(&heard).contains("stream"),
        "spoken to in plain"
    );

    let mut roots = tokio_rustls::rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = tokio_rustls::rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let io = TcpStream::connect(door.address).await.unwrap();
    let name = "presence.example.org".try_into().unwrap();
    let mut io = connector.connect(name, io).await.unwrap();
    let (mut partner, ()) = tokio::join!(async { door.partners.recv().await.unwrap() }, async {
        io.write_all(header(ACME).as_bytes()).await.unwrap();
        let ours = hear(&mut io, "'>").await;
        let handshake = digest(id_in(&ours), "sesame");
        io.write_all(format!("<handshake>{handshake}</handshake>").as_bytes())
            .await
            .unwrap();
    });
    partner.link.progress(false).await.unwrap();
    assert_eq!(hear(&mut io, "/>").await, "<handshake/>");
    let secrets: BTreeMap<_, _> = [("acme".to_owned(), "changed".to_owned())].into();
    let admission = Admission {
        domain: ComponentDomain::parse("presence.example.org").unwrap(),
        secrets,
        tls: None,
    };
    assert!(
        !admission.admits(&partner),
        "with a secret that is not its own any more"
    );
}
