//! Texts that try to become more than text, in everything that the face shows: the badge, the page, the
//! data. No script runs, nothing is asked for, and the document is the one that a harmless text gets.

use std::collections::HashSet;

use serde_json::Value;
use url::form_urlencoded;

use crate::face::{ALICE, Face};
use crate::site::Site;
use crate::support::{Failure, long};
use crate::tab::{Happened, Tab};
use crate::tree::Tree;
use crate::vectors::{self, Vector};

/// A text of which nothing is to be feared, to compare with.
const HARMLESS: &str = "words of no harm";

/// A tab, what it shows of a harmless text, and the site that nobody may ask for anything.
struct Watch {
    tab: Tab,
    canary: Site,
    golden: Option<Golden>,
    problems: Vec<String>,
}

struct Golden {
    tree: Tree,
    scripts: HashSet<String>,
    requests: HashSet<String>,
}

impl Watch {
    async fn start() -> Result<Self, Failure> {
        Ok(Self {
            tab: Tab::open().await?,
            canary: Site::start().await?,
            golden: None,
            problems: Vec::new(),
        })
    }

    fn vectors(&self) -> Vec<Vector> {
        vectors::some(&self.canary.authority())
    }

    /// A third of them, but in `make test-long`: for what goes the same ways as a status.
    fn some_vectors(&self) -> Vec<Vector> {
        let mut vectors = self.vectors();
        vectors.retain(|one| long() || one.number % 3 == 0);
        vectors
    }

    /// Opens the address with a harmless text, which is how it must be with any other.
    async fn learn(&mut self, address: &str) -> Result<(), Failure> {
        self.tab.happened().await?;
        self.tab.go(address).await?;
        // What the page asks for by itself comes a little later.
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        let Happened {
            scripts, requests, ..
        } = self.tab.happened().await?;
        let tree = Tree::of(&self.tab.document().await?);
        if tree.naming(HARMLESS) == 0 {
            return Err(Failure::new(format!(
                "{address} shows nothing: {}",
                tree.text()
            )));
        }
        self.golden = Some(Golden {
            tree,
            scripts: scripts.into_iter().collect(),
            requests: requests.into_iter().map(|one| bare(&one)).collect(),
        });
        Ok(())
    }

    /// Opens the address with `said`, and notes what is not as it must be.
    async fn hold(&mut self, address: &str, vector: &Vector, said: &str) -> Result<(), Failure> {
        let golden = self
            .golden
            .as_ref()
            .ok_or_else(|| Failure::new("learn first"))?;
        self.tab.go(address).await?;
        let happened = self.tab.happened().await?;
        let tree = Tree::of(&self.tab.document().await?);
        let mut wrong = Vec::new();
        if let Some(text) = happened.said.first() {
            wrong.push(format!("a script ran, and said {text}"));
        }
        for script in happened
            .scripts
            .iter()
            .filter(|one| !golden.scripts.contains(*one))
        {
            wrong.push(format!("a script was compiled, of {script:?}"));
        }
        for request in &happened.requests {
            if !golden.requests.contains(&bare(request)) {
                wrong.push(format!("{request} was asked for"));
            }
        }
        if happened.documents.len() != 1 {
            wrong.push(format!("it went to {:?}", happened.documents));
        }
        wrong.extend(tree.differs(&golden.tree, HARMLESS, said));
        wrong.extend(
            self.canary
                .take_asked()
                .first()
                .map(|path| format!("{path} was fetched")),
        );
        if !wrong.is_empty() {
            let Vector { family, text, .. } = vector;
            self.problems
                .push(format!("{family}: {text:?}: {}", wrong.join("; ")));
        }
        Ok(())
    }

    async fn end(self) -> Result<(), Failure> {
        self.tab.close().await?;
        let first: Vec<_> = self.problems.iter().take(10).cloned().collect();
        assert!(
            first.is_empty(),
            "{} problems:\n{}",
            self.problems.len(),
            first.join("\n\n")
        );
        Ok(())
    }
}

/// An address without its query: a text may stand in that.
fn bare(address: &str) -> String {
    address.split('?').next().unwrap_or_default().to_owned()
}

async fn a_status_in(path: &str) -> Result<(), Failure> {
    let mut face = Face::set("").await?;
    let mut watch = Watch::start().await?;
    let address = format!("{}{path}", face.origin());
    face.alice_says("away", HARMLESS).await?;
    watch.learn(&address).await?;
    for vector in watch.vectors() {
        let mut said = face.alice_says("away", &vector.text).await?;
        if path == ALICE {
            // As JSON writes it (RFC 8259 §7), without the quotes.
            said = Value::from(said).to_string();
            said = said[1..said.len() - 1].to_owned();
        }
        watch.hold(&address, &vector, &said).await?;
    }
    watch.end().await
}

#[tokio::test]
async fn a_status_in_the_badge_is_text() -> Result<(), Failure> {
    a_status_in(&format!("{ALICE}/badge.svg")).await
}

#[tokio::test]
async fn a_status_on_the_page_is_text() -> Result<(), Failure> {
    a_status_in("/u/alice@localhost").await
}

#[tokio::test]
async fn a_status_in_the_data_is_text() -> Result<(), Failure> {
    a_status_in(ALICE).await
}

/// A label is chosen by whoever writes the address of a badge, and may be sent to somebody.
#[tokio::test]
async fn a_label_of_a_badge_is_text() -> Result<(), Failure> {
    let face = Face::set("").await?;
    let mut watch = Watch::start().await?;
    let badge = |label: &str, more: &str| {
        let label: String = form_urlencoded::byte_serialize(label.as_bytes()).collect();
        format!("{}{ALICE}/badge.svg?label={label}&{more}", face.origin())
    };
    watch.learn(&badge(HARMLESS, "")).await?;
    for vector in watch.some_vectors() {
        let text: String = form_urlencoded::byte_serialize(vector.text.as_bytes()).collect();
        let more = format!("theme={text}&style={text}&hide={text}&{text}");
        let address = badge(&vector.text, &more);
        watch.hold(&address, &vector, &vector.text).await?;
    }
    watch.end().await
}

/// An address that nobody has is nobody's, whatever it is made of; what is told of it has nothing of it but
/// where many were asked for, each by its name.
#[tokio::test]
async fn a_strange_address_is_nobody() -> Result<(), Failure> {
    let face = Face::set("").await?;
    let mut watch = Watch::start().await?;
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let path = |text: &str| encoded(text).replace('+', "%20");
    let shapes = [
        ("/v1/users/", ""),
        ("/v1/users/", "/text"),
        ("/v1/users/", "/badge.svg"),
        ("/u/", ""),
    ];
    watch
        .learn(&format!(
            "{}/v1/users?ids={}",
            face.origin(),
            encoded(HARMLESS)
        ))
        .await?;
    for vector in watch.some_vectors() {
        for (before, after) in shapes {
            let nobody = face.get(&format!("{before}nobody@localhost{after}")).await;
            let found = face
                .get(&format!("{before}{}{after}", path(&vector.text)))
                .await;
            assert_eq!(found, nobody, "{before}{}{after}", vector.text);
        }
        // A comma stands between two addresses.
        if !vector.text.contains(',') {
            let address = format!("{}/v1/users?ids={}", face.origin(), encoded(&vector.text));
            let said = Value::from(vector.text.trim()).to_string();
            watch
                .hold(&address, &vector, &said[1..said.len() - 1])
                .await?;
        }
    }
    watch.end().await
}
