//! The web face by itself: limits, slow and strange clients, what pages of other sites may do, and whose word
//! counts about who asks. security.md T11, T26, T27, T60, T61, T63.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::component_process::{ComponentProcess, Config};
use crate::support::http::{Answer, Events, ask, connect, exchange, get, request};
use crate::support::ports::Port;
use crate::support::{Failure, built_binary};

const USER: &str = "/v1/users/alice@localhost";
const JSON: (&str, &str) = ("Content-Type", "application/json");

/// The component with a web face; nobody has joined, and there is no server.
struct Alone {
    at: SocketAddr,
    component: ComponentProcess,
    _port: Port,
}

fn alone(more: &str) -> Result<Alone, Failure> {
    let port = Port::reserve()?;
    let at = port.address();
    let config = Config::alone().with(&format!("[http]\nlisten = \"{at}\"\n{more}"));
    Ok(Alone {
        at,
        component: ComponentProcess::spawn(&built_binary("vestibule")?, &config)?,
        _port: port,
    })
}

fn code(answer: &Answer) -> String {
    answer.json()["error"]["code"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn what_is_not_there_is_told_with_the_headers_of_all() -> Result<(), Failure> {
    let alone = alone("")?;
    let none = "{\"success\":false,\"error\":{\"code\":\"not-found\",\"message\":\"There is nothing here for you.\"}}";
    for path in [
        USER,
        "/v1/users/@",
        "/v1/users/%00",
        "/v1/users/%ff",
        "/v1/jobs/x",
        "/",
        "/x",
        "/v1",
    ] {
        let answer = get(alone.at, path, &[]).await;
        if path.contains("%ff") {
            assert_eq!(answer.status, 400, "{path}");
            continue;
        }
        assert_eq!((answer.status, answer.body.as_str()), (404, none), "{path}");
        for (name, value) in [
            ("content-type", "application/json; charset=utf-8"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cache-control", "no-store"),
            (
                "content-security-policy",
                "default-src 'none'; frame-ancestors 'none'; sandbox",
            ),
        ] {
            assert_eq!(answer.header(name), Some(value), "{path}: {name}");
        }
        assert_eq!(answer.header("set-cookie"), None);
    }
    let text = get(alone.at, &format!("{USER}/text"), &[]).await;
    assert_eq!(
        (text.status, text.body.as_str()),
        (404, "There is nothing here for you.\n")
    );
    // A picture is never broken, whatever is asked for.
    for query in [
        "",
        "?theme=%3Cscript%3E",
        "?style=pill&label=%FF%00&hide=,,,",
        "?&&==",
        "?label=x&label=y",
    ] {
        let badge = get(alone.at, &format!("{USER}/badge.svg{query}"), &[]).await;
        assert_eq!(badge.status, 200, "{query}");
        assert_eq!(
            badge.header("content-type"),
            Some("image/svg+xml; charset=utf-8")
        );
        assert!(badge.body.contains("unknown") && badge.body.parse::<minidom::Element>().is_ok());
    }
    let page = get(alone.at, "/u/alice@localhost", &[]).await;
    assert_eq!(page.status, 404);
    assert_eq!(page.header("x-frame-options"), Some("DENY"));
    let policy = page.header("content-security-policy").unwrap();
    assert!(!policy.contains("unsafe"), "{policy}");
    for wrong in [
        "/v1/users",
        "/v1/users?ids=",
        "/v1/events",
        "/v1/events?users=,",
    ] {
        assert_eq!(
            code(&get(alone.at, wrong, &[]).await),
            "bad-request",
            "{wrong}"
        );
    }
    let many: Vec<_> = (0..101).map(|n| format!("u{n}@localhost")).collect();
    let many = get(alone.at, &format!("/v1/users?ids={}", many.join(",")), &[]).await;
    assert_eq!(many.status, 400);
    Ok(())
}

/// The matrix of T61: origin × what is shown × kind of request.
#[tokio::test]
async fn pages_of_other_sites_read_what_is_public_and_do_nothing() -> Result<(), Failure> {
    let alone = alone(
        "[[party]]\nname = \"site\"\nrights = [\"see\"]\nhttp-token = \"a-token-of-the-site-1\"\n",
    )?;
    let act = format!("{USER}/commands/leave-message");
    let preflight = ask(
        alone.at,
        "OPTIONS",
        &act,
        &[
            ("Origin", "https://evil.example"),
            ("Access-Control-Request-Method", "POST"),
            ("Access-Control-Request-Headers", "authorization"),
        ],
        "",
    )
    .await;
    assert_eq!(preflight.status, 204);
    assert_eq!(preflight.header("access-control-allow-origin"), Some("*"));
    assert_eq!(preflight.header("access-control-allow-credentials"), None);
    let own = format!("http://{}", alone.at);
    let host = alone.at.to_string();
    for (origin, site, token, expected) in [
        (None, None, false, "origin-refused"),
        (Some("null"), None, false, "origin-refused"),
        (Some("https://evil.example"), None, false, "origin-refused"),
        (
            Some("https://evil.example"),
            Some("cross-site"),
            false,
            "origin-refused",
        ),
        (
            Some(own.as_str()),
            Some("cross-site"),
            false,
            "origin-refused",
        ),
        (
            Some(own.as_str()),
            Some("same-site"),
            false,
            "origin-refused",
        ),
        (Some(own.as_str()), None, false, "not-found"),
        (Some(own.as_str()), Some("same-origin"), false, "not-found"),
        // A token is in a header that no browser adds by itself.
        (None, None, true, "not-found"),
        (
            Some("https://evil.example"),
            Some("cross-site"),
            true,
            "not-found",
        ),
    ] {
        let mut headers = vec![JSON, ("Host", host.as_str())];
        headers.extend(origin.map(|origin| ("Origin", origin)));
        headers.extend(site.map(|site| ("Sec-Fetch-Site", site)));
        if token {
            headers.push(("Authorization", "Bearer a-token-of-the-site-1"));
        }
        let answer = ask(alone.at, "POST", &act, &headers, "{\"text\":\"x\"}").await;
        assert_eq!(code(&answer), expected, "{headers:?}");
    }
    // What a form of another site can send is not JSON; what reads does nothing.
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
    ] {
        let headers = [
            ("Content-Type", kind),
            ("Origin", own.as_str()),
            ("Host", host.as_str()),
        ];
        let answer = ask(alone.at, "POST", &act, &headers, "{}").await;
        assert_eq!(
            (answer.status, code(&answer).as_str()),
            (415, "unsupported-media-type")
        );
    }
    for method in ["GET", "PUT", "DELETE", "PATCH"] {
        assert_eq!(
            ask(alone.at, method, &act, &[], "").await.status,
            405,
            "{method}"
        );
    }
    assert_eq!(ask(alone.at, "POST", USER, &[], "").await.status, 405);
    for wrong in ["Basic YTpi", "Bearer", "Bearer \u{e9}", "bearer  "] {
        let answer = get(alone.at, USER, &[("Authorization", wrong)]).await;
        assert!(matches!(answer.status, 401 | 404), "{wrong}: {answer:?}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_too_large_too_slow_or_no_http_is_refused() -> Result<(), Failure> {
    let alone = alone("")?;
    let origin = format!("http://{}", alone.at);
    let host = alone.at.to_string();
    let headers = [JSON, ("Origin", origin.as_str()), ("Host", host.as_str())];
    let act = format!("{USER}/commands/leave-message");
    let large = format!("{{\"text\":\"{}\"}}", "x".repeat(20_000));
    let answer = ask(alone.at, "POST", &act, &headers, &large).await;
    assert_eq!((answer.status, code(&answer).as_str()), (413, "too-large"));
    for (body, expected) in [("[]", 400), ("{", 400), ("{\"a\":{}}", 400), ("\u{0}", 400)] {
        assert_eq!(
            ask(alone.at, "POST", &act, &headers, body).await.status,
            expected,
            "{body:?}"
        );
    }
    let long = exchange(
        alone.at,
        format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(100_000)).as_bytes(),
    )
    .await;
    assert!(long.is_empty() || long.starts_with("HTTP/1.1 4"), "{long}");
    let lines: String = (0..200).map(|n| format!("X-{n}: y\r\n")).collect();
    let lines = exchange(
        alone.at,
        format!("GET / HTTP/1.1\r\nHost: x\r\n{lines}\r\n").as_bytes(),
    )
    .await;
    assert!(
        lines.is_empty() || lines.starts_with("HTTP/1.1 4"),
        "{lines}"
    );
    // Two lengths are no length (T63); what stands behind is no second request.
    for smuggled in [
        "POST /v1/users HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcd",
        "POST /v1/users HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /v1/users HTTP/1.1\r\nHost : x\r\n\r\n",
        "GET /v1/users HTTP/9.9\r\n\r\n",
        "<stream:stream>",
        "\u{16}\u{3}\u{1}",
    ] {
        let answer = exchange(alone.at, smuggled.as_bytes()).await;
        assert!(
            answer.matches("HTTP/1.1 ").count() <= 1,
            "{smuggled:?}: {answer}"
        );
        assert!(!answer.contains(" 200 "), "{smuggled:?}: {answer}");
    }
    // A hundred clients that say one letter a second cost the others nothing, and are cut off.
    let mut slow = Vec::new();
    for _ in 0..100 {
        let mut stream = connect(alone.at).await;
        stream.write_all(b"GET /v1/us").await.unwrap();
        slow.push(stream);
    }
    let began = Instant::now();
    assert_eq!(get(alone.at, USER, &[]).await.status, 404);
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
    let mut body = connect(alone.at).await;
    let head = format!(
        "POST {act} HTTP/1.1\r\nHost: {host}\r\nOrigin: {origin}\r\nContent-Type: application/json\r\n\
         Content-Length: 100\r\n\r\n{{"
    );
    body.write_all(head.as_bytes()).await.unwrap();
    for stream in slow.iter_mut().chain([&mut body]) {
        let mut answer = Vec::new();
        let reading = stream.read_to_end(&mut answer);
        let ended = tokio::time::timeout(Duration::from_secs(40), reading).await;
        assert!(ended.is_ok(), "it is not cut off");
    }
    Ok(())
}

#[tokio::test]
async fn one_address_has_its_budget_and_a_proxy_says_whose_it_is() -> Result<(), Failure> {
    let limits = "requests-per-second = 0.01\nrequests-burst = 6\nstreams-per-address = 2\n";
    let direct = alone(limits)?;
    for n in 0..8 {
        // Nobody's word counts here.
        let by = format!("192.0.2.{n}");
        let answer = get(direct.at, USER, &[("X-Forwarded-For", &by)]).await;
        let expected = if n < 6 { 404 } else { 429 };
        assert_eq!(answer.status, expected, "{n}");
        if n >= 6 {
            assert_eq!(code(&answer), "too-often");
            let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
            assert!((1..=200).contains(&wait), "{wait}");
        }
    }
    let badge = get(direct.at, &format!("{USER}/badge.svg"), &[]).await;
    assert_eq!(
        (badge.status, badge.header("cache-control")),
        (200, Some("no-store"))
    );

    let proxied = alone(&format!(
        "{limits}trusted-proxies = [\"127.0.0.1\", \"10.0.0.0/8\"]\n"
    ))?;
    for n in 0..10 {
        // What stands before what our proxy has added is anybody's invention.
        let by = format!("203.0.113.{n}, 192.0.2.7, 10.1.1.1");
        let answer = get(proxied.at, USER, &[("X-Forwarded-For", &by)]).await;
        assert_eq!(answer.status, if n < 6 { 404 } else { 429 }, "{n}");
    }
    assert_eq!(
        get(proxied.at, USER, &[("X-Forwarded-For", "192.0.2.8")])
            .await
            .status,
        404
    );
    // Of a customer's IPv6 network all addresses are one.
    for n in 0..8 {
        let by = format!("2001:db8:1:2::{n:x}");
        let answer = get(proxied.at, USER, &[("X-Forwarded-For", &by)]).await;
        assert_eq!(answer.status, if n < 6 { 404 } else { 429 }, "{n}");
    }
    // Streams are few, and their places come back.
    let from = [("X-Forwarded-For", "192.0.2.9")];
    let path = "/v1/events?users=alice@localhost";
    let mut first = Events::open(proxied.at, path, &from).await;
    first.expect(&["event: init"]).await;
    let mut second = Events::open(proxied.at, path, &from).await;
    second.expect(&["event: init"]).await;
    assert_eq!(get(proxied.at, path, &from).await.status, 429);
    drop(first);
    let began = Instant::now();
    let mut third = loop {
        let mut events = Events::open(proxied.at, path, &[("X-Forwarded-For", "192.0.2.9")]).await;
        let text = events.expect(&["\r\n\r\n"]).await;
        if text.starts_with("HTTP/1.1 200") || began.elapsed() > Duration::from_secs(20) {
            break text;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    // The budget of six may be gone by now; then that is what is said.
    assert!(
        third.starts_with("HTTP/1.1 200") || third.starts_with("HTTP/1.1 429"),
        "{third}"
    );
    third.clear();
    Ok(())
}

#[tokio::test]
async fn an_address_that_is_taken_ends_the_start_and_the_end_is_orderly() -> Result<(), Failure> {
    let mut first = alone("")?;
    assert_eq!(get(first.at, USER, &[]).await.status, 404);
    let config = Config::alone().with(&format!("[http]\nlisten = \"{}\"\n", first.at));
    let mut second = ComponentProcess::spawn(&built_binary("vestibule")?, &config)?;
    assert_eq!(second.exit_code(Duration::from_secs(20)).await?, 64);
    assert!(
        second.log().contains("http.listen: cannot listen on"),
        "{}",
        second.log()
    );
    // One request is under way on an open connection when the end comes: the connection is closed, not cut.
    let mut open = connect(first.at).await;
    let asked = request("GET", USER, &[], "").replace("Connection: close\r\n", "");
    open.write_all(asked.as_bytes()).await.unwrap();
    let mut bytes = [0; 4096];
    assert!(open.read(&mut bytes).await.unwrap() > 0);
    assert_eq!(first.component.stop().await?, 0);
    assert!(matches!(open.read(&mut bytes).await, Ok(0)));
    Ok(())
}
