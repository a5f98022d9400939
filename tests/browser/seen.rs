//! The page and the badges as a person sees them: on a phone and on a desktop, in light and in dark. Each
//! test leaves pictures in `target/tmp`.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::face::Face;
use crate::site::Site;
use crate::stage::{body_of, expect_message};
use crate::support::Failure;
use crate::tab::{Scheme, Screen, Tab};

const PAGE: &str = "/u/alice@localhost";

const TEXT: &str = "In a meeting until 3";

/// What a person would stumble over.
const LOOKS: &str = include_str!("looks.js");

const VIEWS: [(Screen, Scheme, &str); 4] = [
    (Screen::Phone, Scheme::Light, "phone-light"),
    (Screen::Phone, Scheme::Dark, "phone-dark"),
    (Screen::Desktop, Scheme::Light, "desktop-light"),
    (Screen::Desktop, Scheme::Dark, "desktop-dark"),
];

#[tokio::test]
async fn the_page_is_good_to_read_on_every_screen() -> Result<(), Failure> {
    let mut face = Face::set("").await?;
    let mut tab = Tab::open().await?;
    let mut wrong = Vec::new();
    for (show, text) in [
        ("away", TEXT),
        ("", ""),
        ("dnd", &"long words of hers ".repeat(20)),
    ] {
        face.alice_says(show, text).await?;
        for (screen, scheme, view) in VIEWS {
            tab.look(screen, scheme).await?;
            tab.go(&format!("{}{PAGE}", face.origin())).await?;
            let state = if show.is_empty() { "online" } else { show };
            tab.picture("html", &picture(&format!("page-{state}-{view}")))
                .await?;
            wrong.extend(looks(&mut tab, &format!("{state}, {view}")).await?);
            if scheme == Scheme::Dark && !is_dark(&mut tab).await? {
                wrong.push(format!("{view}: it is not dark"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    tab.close().await
}

/// Sentences about what is wrong with how it looks.
async fn looks(tab: &mut Tab, view: &str) -> Result<Vec<String>, Failure> {
    let found = tab.value(LOOKS).await?;
    let sentences = found.as_array().cloned().unwrap_or_default();
    let sentence = |one: Value| format!("{view}: {}", one.as_str().unwrap_or_default());
    Ok(sentences.into_iter().map(sentence).collect())
}

async fn is_dark(tab: &mut Tab) -> Result<bool, Failure> {
    let colour = "getComputedStyle(document.body).backgroundColor + ' ' + \
                  getComputedStyle(document.documentElement).backgroundColor";
    let colours = tab.text(colour).await?;
    let numbers: Vec<f64> = colours
        .split(|c: char| !c.is_ascii_digit() && c != '.')
        .filter_map(|part| part.parse().ok())
        .collect();
    Ok(!numbers.is_empty() && numbers[..3].iter().all(|part| *part < 80.0))
}

/// Where a picture is left.
fn picture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("web-{name}.png"))
}

/// A visitor sees her change while he looks, and leaves her a message; with or without scripts.
#[tokio::test]
async fn a_visitor_sees_her_change_and_leaves_a_message() -> Result<(), Failure> {
    let mut face = Face::set("").await?;
    let mut tab = Tab::open().await?;
    face.alice_says("away", TEXT).await?;
    tab.go(&format!("{}{PAGE}", face.origin())).await?;
    let shows =
        |text: &str| format!("document.querySelector('.state').innerText.includes({text:?})");
    tab.until(&shows(TEXT)).await?;
    face.alice_says("dnd", "Do not knock").await?;
    tab.until(&shows("Do not knock")).await?;
    tab.until(&shows("do not disturb")).await?;

    for (with_scripts, text) in [(true, "Are you there?"), (false, "Are you really there?")] {
        tab.scripts(with_scripts).await?;
        tab.go(&format!("{}{PAGE}", face.origin())).await?;
        tab.click("textarea[name=text]").await?;
        tab.type_text(text).await?;
        tab.click("form:has(textarea) input[name=name]").await?;
        tab.type_text("Bob of next door").await?;
        tab.submit("form:has(textarea) button").await?;
        let message = body_of(&expect_message(&mut face.alice, text).await);
        assert!(message.contains("Bob of next door"), "{message}");
        tab.until("!!document.querySelector('.told.good')").await?;
        tab.picture(
            "html",
            &picture(if with_scripts {
                "sent"
            } else {
                "sent-without-scripts"
            }),
        )
        .await?;
    }
    tab.close().await
}

/// On a page of somebody else, in each state and theme; nobody is a picture, too.
#[tokio::test]
async fn badges_are_seen_on_other_sites() -> Result<(), Failure> {
    let mut face = Face::set("").await?;
    let (mut tab, site) = (Tab::open().await?, Site::start().await?);
    let looks = [
        "",
        "?label=Alice&style=pill",
        "?theme=light&style=square",
        "?theme=dark&label=Alice",
        "?hide=label",
        "?hide=status",
    ];
    let badge = |user: &str, look: &str| {
        let address = format!(
            "{}/v1/users/{user}@localhost/badge.svg{look}",
            face.origin()
        );
        format!("<p><img alt='x' src='{address}'></p>")
    };
    let badges: String = looks.iter().map(|look| badge("alice", look)).collect();
    let page = format!(
        "<!doctype html><html lang=en><meta name=viewport content='width=device-width'>\
         <meta name=color-scheme content='light dark'><title>x</title><body style='background:Canvas;color:CanvasText'>\
         <main style='padding:0 1em;width:20em'><h1>Badges</h1>{badges}{}</main></html>",
        badge("nobody", "")
    );
    let address = site.put("/", "text/html", page);
    let mut wrong = Vec::new();
    for show in ["", "chat", "away", "xa", "dnd"] {
        face.alice_says(show, TEXT).await?;
        for (screen, scheme, view) in VIEWS {
            tab.look(screen, scheme).await?;
            tab.go(&address).await?;
            let state = if show.is_empty() { "online" } else { show };
            tab.picture("main", &picture(&format!("badges-{state}-{view}")))
                .await?;
            wrong.extend(self::looks(&mut tab, view).await?);
        }
    }
    let n_broken = "[...document.images].filter(e => e.naturalWidth < 40).length";
    assert_eq!(tab.value(n_broken).await?, 0);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    tab.close().await
}

/// What looks for faults finds them.
#[tokio::test]
async fn a_bad_page_is_seen_to_be_bad() -> Result<(), Failure> {
    let site = Site::start().await?;
    let bad = "<!doctype html><body style='margin:0;background:#fff'><div style='width:2000px'>wide</div>\
               <p style='color:#ccc'>pale</p><p style='font-size:8px'>small</p><input \
               style='width:9px;height:9px;display:block'><button style='display:block;width:9px;\
               height:9px;padding:0;font-size:12px'></button><img src='/none'>";
    let address = site.put("/", "text/html", bad.to_owned());
    let mut tab = Tab::open().await?;
    tab.look(Screen::Phone, Scheme::Light).await?;
    tab.go(&address).await?;
    let found = looks(&mut tab, "bad").await?.join("\n");
    for word in [
        "wide, on a screen",
        "no language",
        "no title",
        "<h1>",
        "pale: contrast",
        "letters of 8px",
        "hard to touch",
        "has no name",
        "has no alt",
        "is broken",
    ] {
        assert!(found.contains(word), "no {word:?} in\n{found}");
    }
    tab.close().await
}
