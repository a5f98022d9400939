//! One tab: it opens addresses, as wide and as dark as is asked for, and tells what came of it: the tree
//! of the document as the browser has it, every script that was compiled, every address asked for.
//!
//! What it tells comes from outside the page, so no script of a page can lie about it.

use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::chromium::{Chromium, Event};
use crate::support::Failure;

/// How often a page is asked whether something holds.
const LOOK: Duration = Duration::from_millis(50);

/// How long a page may take until something holds.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a script of a page can call to be noticed.
pub(crate) const BINDING: &str = "vestibuleRan";

/// Runs in each document before anything else of it: whatever a vector calls to be noticed is noticed.
const HOOK: &str = r"
for (const name of ['alert', 'confirm', 'prompt', 'print'])
    window[name] = said => { vestibuleRan(String(said)); };
//# sourceURL=of-the-test
";

/// The address of scripts that the test itself runs.
const OURS: &str = "of-the-test";

/// How the page is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Screen {
    /// As on a phone: narrow, two pixels for one, touched.
    Phone,
    /// As on a desktop.
    Desktop,
}

/// Which colours the visitor likes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Light,
    Dark,
}

impl Scheme {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

/// A tab of a browser.
pub(crate) struct Tab {
    browser: Chromium,
    session: String,
}

/// What happened since it was last asked for.
#[derive(Debug, Default)]
pub(crate) struct Happened {
    /// Scripts that were compiled: their address, or `inline` with their beginning.
    pub(crate) scripts: Vec<String>,
    /// What scripts have said by [`HOOK`].
    pub(crate) said: Vec<String>,
    /// Addresses that were asked for, `data:` too.
    pub(crate) requests: Vec<String>,
    /// Addresses of documents that a frame went to.
    pub(crate) documents: Vec<String>,
    /// What the console has.
    pub(crate) console: Vec<String>,
}

impl Tab {
    /// Starts a browser with one tab.
    pub(crate) async fn open() -> Result<Self, Failure> {
        let mut browser = Chromium::start().await?;
        let made = browser
            .call(None, "Target.createTarget", json!({ "url": "about:blank" }))
            .await?;
        let target = made["targetId"].clone();
        let attached = browser
            .call(
                None,
                "Target.attachToTarget",
                json!({ "targetId": target, "flatten": true }),
            )
            .await?;
        let session = attached["sessionId"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let mut tab = Self { browser, session };
        for domain in ["Page", "Runtime", "Network", "Debugger", "Log"] {
            tab.call(&format!("{domain}.enable"), json!({})).await?;
        }
        tab.call("Network.setCacheDisabled", json!({ "cacheDisabled": true }))
            .await?;
        tab.call("Runtime.addBinding", json!({ "name": BINDING }))
            .await?;
        tab.call(
            "Page.addScriptToEvaluateOnNewDocument",
            json!({ "source": HOOK }),
        )
        .await?;
        Ok(tab)
    }

    /// Ends the browser.
    pub(crate) async fn close(self) -> Result<(), Failure> {
        self.browser.close().await
    }

    /// Goes to an address, and returns when the document and all that it names have been loaded.
    pub(crate) async fn go(&mut self, address: &str) -> Result<(), Failure> {
        let went = self
            .call("Page.navigate", json!({ "url": address }))
            .await?;
        if let Some(error) = went.get("errorText") {
            return Err(Failure::new(format!("cannot open {address}: {error}")));
        }
        self.browser.wait_for("Page.loadEventFired").await?;
        Ok(())
    }

    /// Looks at the page in this way from now on.
    pub(crate) async fn look(&mut self, screen: Screen, scheme: Scheme) -> Result<(), Failure> {
        let (width, height, scale) = match screen {
            Screen::Phone => (390, 844, 2),
            Screen::Desktop => (1280, 800, 1),
        };
        self.call(
            "Emulation.setDeviceMetricsOverride",
            json!({
                "width": width, "height": height, "deviceScaleFactor": scale,
                "mobile": screen == Screen::Phone,
            }),
        )
        .await?;
        self.call(
            "Emulation.setEmulatedMedia",
            json!({ "features": [
                { "name": "prefers-color-scheme", "value": scheme.name() },
                { "name": "prefers-reduced-motion", "value": "reduce" },
            ] }),
        )
        .await?;
        Ok(())
    }

    /// The value of an expression, as the page's own scripts would get it.
    pub(crate) async fn value(&mut self, expression: &str) -> Result<Value, Failure> {
        let answer = self
            .call(
                "Runtime.evaluate",
                json!({
                    "expression": format!("{expression}\n//# sourceURL={OURS}"),
                    "returnByValue": true, "awaitPromise": true,
                    "userGesture": true,
                }),
            )
            .await?;
        if let Some(thrown) = answer.get("exceptionDetails") {
            return Err(Failure::new(format!("{expression}: {thrown}")));
        }
        Ok(answer["result"]["value"].clone())
    }

    /// The same, as text.
    pub(crate) async fn text(&mut self, expression: &str) -> Result<String, Failure> {
        let value = self.value(expression).await?;
        Ok(value.as_str().unwrap_or_default().to_owned())
    }

    /// Waits until an expression is true.
    pub(crate) async fn until(&mut self, expression: &str) -> Result<(), Failure> {
        let end = Instant::now() + PATIENCE;
        while self.value(expression).await? != Value::Bool(true) {
            if Instant::now() > end {
                let shown = self.text("document.documentElement.innerText").await?;
                return Err(Failure::new(format!("never {expression}:\n{shown}")));
            }
            sleep(LOOK).await;
        }
        Ok(())
    }

    /// Types into what has the focus, as a person does.
    pub(crate) async fn type_text(&mut self, text: &str) -> Result<(), Failure> {
        self.call("Input.insertText", json!({ "text": text }))
            .await
            .map(drop)
    }

    /// Clicks into the middle of the first element that a selector names.
    pub(crate) async fn click(&mut self, selector: &str) -> Result<(), Failure> {
        let place = self
            .value(&format!(
                "(() => {{ const e = document.querySelector({selector:?}); e.scrollIntoView({{block: \
                 'center'}}); const r = e.getBoundingClientRect(); \
                 return [r.x + r.width / 2, r.y + r.height / 2]; }})()"
            ))
            .await?;
        for kind in ["mousePressed", "mouseReleased"] {
            self.call(
                "Input.dispatchMouseEvent",
                json!({
                    "type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1,
                }),
            )
            .await?;
        }
        Ok(())
    }

    /// Clicks on what sends a form, and returns when the answer has been loaded.
    pub(crate) async fn submit(&mut self, selector: &str) -> Result<(), Failure> {
        self.happened().await?;
        self.click(selector).await?;
        self.browser.wait_for("Page.loadEventFired").await.map(drop)
    }

    /// Whether pages run their scripts from the next one on.
    pub(crate) async fn scripts(&mut self, run: bool) -> Result<(), Failure> {
        let parameters = json!({ "value": !run });
        self.call("Emulation.setScriptExecutionDisabled", parameters)
            .await
            .map(drop)
    }

    /// Takes certificates that nobody has signed.
    pub(crate) async fn trust_everybody(&mut self) -> Result<(), Failure> {
        let parameters = json!({ "ignore": true });
        self.call("Security.setIgnoreCertificateErrors", parameters)
            .await
            .map(drop)
    }

    /// The document as the browser has it, with documents in frames and shadow trees.
    pub(crate) async fn document(&mut self) -> Result<Value, Failure> {
        let answer = self
            .call("DOM.getDocument", json!({ "depth": -1, "pierce": true }))
            .await?;
        Ok(answer["root"].clone())
    }

    /// Leaves a picture of the first element that a selector names, as PNG.
    pub(crate) async fn picture(&mut self, selector: &str, file: &Path) -> Result<(), Failure> {
        let clip = self
            .value(&format!(
                "(({{x, y, width, height}}) => ({{x, y, width, height, scale: 1}}))\
                 (document.querySelector({selector:?}).getBoundingClientRect())"
            ))
            .await?;
        let taken = self
            .call(
                "Page.captureScreenshot",
                json!({ "format": "png", "captureBeyondViewport": true, "clip": clip }),
            )
            .await?;
        let bytes = BASE64_STANDARD
            .decode(taken["data"].as_str().unwrap_or_default())
            .map_err(|error| Failure::new(format!("no picture: {error}")))?;
        std::fs::write(file, bytes)
            .map_err(|error| Failure::new(format!("cannot write {file:?}: {error}")))
    }

    /// What has happened since it was last asked. A round trip to the page comes before, so that what
    /// was under way is in it.
    pub(crate) async fn happened(&mut self) -> Result<Happened, Failure> {
        self.call("Page.getFrameTree", json!({})).await?;
        let mut happened = Happened::default();
        for event in self.browser.take_events() {
            happened.add(&event);
        }
        Ok(happened)
    }

    async fn call(&mut self, method: &str, parameters: Value) -> Result<Value, Failure> {
        self.browser
            .call(Some(&self.session), method, parameters)
            .await
    }
}

impl Happened {
    fn add(&mut self, event: &Event) {
        let of = &event.parameters;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        match event.name.as_str() {
            "Debugger.scriptParsed" => {
                let address = text(&of["url"]);
                // The hook, and what the test itself has evaluated.
                if address != OURS {
                    self.scripts.push(address);
                }
            }
            "Runtime.bindingCalled" => self.said.push(text(&of["payload"])),
            "Network.requestWillBeSent" => self.requests.push(text(&of["request"]["url"])),
            "Page.frameNavigated" => self.documents.push(text(&of["frame"]["url"])),
            "Runtime.consoleAPICalled" => self.console.push(of["args"].to_string()),
            "Log.entryAdded" => self.console.push(text(&of["entry"]["text"])),
            _ => {}
        }
    }
}
