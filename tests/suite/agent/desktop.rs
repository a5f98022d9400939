//! Questions and notifications on the desktop, over a real session bus with a notification server of
//! the test's own.

use std::collections::HashMap;
use std::time::Duration;

use tokio::sync::mpsc;
use vestibule::driver::{Clock as _, SystemClock};
use zbus::object_server::SignalEmitter;
use zbus::zvariant::OwnedValue;

use super::bench::{Bench, Component, SOON, command, form, told};
use crate::support::client::Client;
use crate::support::process::{Process, find_program};
use crate::support::server::{Kind, Options, Server};
use crate::support::{Failure, built_binary};

const PATH: &str = "/org/freedesktop/Notifications";
const NAME: &str = "org.freedesktop.Notifications";

/// What was asked of the notification server.
#[derive(Debug, PartialEq)]
enum Call {
    Shown {
        id: u32,
        title: String,
        text: String,
        buttons: Vec<String>,
    },
    Closed(u32),
}

struct Notifications {
    calls: mpsc::Sender<Call>,
    last: u32,
}

#[zbus::interface(name = "org.freedesktop.Notifications")]
impl Notifications {
    #[expect(clippy::too_many_arguments, reason = "by the specification")]
    async fn notify(
        &mut self,
        _app_name: String,
        _replaces_id: u32,
        _app_icon: String,
        summary: String,
        body: String,
        actions: Vec<String>,
        _hints: HashMap<String, OwnedValue>,
        _expire_timeout: i32,
    ) -> u32 {
        self.last += 1;
        let call = Call::Shown {
            id: self.last,
            title: summary,
            text: body,
            buttons: actions,
        };
        self.calls.send(call).await.unwrap();
        self.last
    }

    async fn close_notification(&self, id: u32) {
        self.calls.send(Call::Closed(id)).await.unwrap();
    }

    fn get_capabilities(&self) -> Vec<String> {
        ["actions", "body", "body-markup"]
            .map(ToOwned::to_owned)
            .into()
    }

    #[zbus(signal)]
    async fn action_invoked(to: &SignalEmitter<'_>, id: u32, action_key: &str) -> zbus::Result<()>;

    #[zbus(signal)]
    async fn notification_closed(to: &SignalEmitter<'_>, id: u32, reason: u32) -> zbus::Result<()>;
}

/// A bus, and the notification server on it.
struct Desktop {
    address: String,
    _bus: Process,
    server: zbus::Connection,
    calls: mpsc::Receiver<Call>,
}

impl Desktop {
    async fn start(bench: &Bench) -> Result<Self, Failure> {
        let program = find_program("dbus-daemon")
            .ok_or_else(|| Failure::new("there is no dbus-daemon: tests/install.sh dbus-daemon"))?;
        let socket = bench.path("bus");
        let address = format!("unix:path={}", socket.display());
        let mut command = Process::command(&program);
        command
            .args(["--session", "--nofork", "--nopidfile"])
            .arg(format!("--address={address}"));
        let bus = Process::spawn("dbus-daemon", command, &bench.path("bus.log"))?;
        for _ in 0..1_000 {
            if socket.exists() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let (told, calls) = mpsc::channel(32);
        let server = zbus::connection::Builder::address(address.as_str())
            .unwrap()
            .name(NAME)
            .unwrap()
            .serve_at(
                PATH,
                Notifications {
                    calls: told,
                    last: 0,
                },
            )
            .unwrap()
            .build()
            .await
            .unwrap();
        Ok(Self {
            address,
            _bus: bus,
            server,
            calls,
        })
    }

    async fn call(&mut self) -> Call {
        tokio::time::timeout(SOON, self.calls.recv())
            .await
            .expect("nothing is shown")
            .unwrap()
    }

    async fn shown(&mut self) -> (u32, String, String, Vec<String>) {
        match self.call().await {
            Call::Shown {
                id,
                title,
                text,
                buttons,
            } => (id, title, text, buttons),
            other @ Call::Closed(_) => panic!("{other:?}"),
        }
    }

    async fn emitter(&self) -> SignalEmitter<'static> {
        let object = self
            .server
            .object_server()
            .interface::<_, Notifications>(PATH)
            .await
            .unwrap();
        object.signal_emitter().to_owned()
    }

    async fn press(&self, id: u32, key: &str) {
        // Nobody reads faster than this; what comes sooner is asked anew.
        tokio::time::sleep(Duration::from_millis(600)).await;
        self.press_at_once(id, key).await;
    }

    async fn press_at_once(&self, id: u32, key: &str) {
        Notifications::action_invoked(&self.emitter().await, id, key)
            .await
            .unwrap();
    }

    async fn dismiss(&self, id: u32) {
        Notifications::notification_closed(&self.emitter().await, id, 2)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn she_is_asked_by_a_notification_with_buttons() -> Result<(), Failure> {
    let server = Server::start(Kind::Prosody, Options::default()).await?;
    Client::register(&server, "alice", "pw").await?;
    let mut component = Component::attach(&server).await;
    let bench = Bench::new(&server, "pw", "ask");
    let opener = bench.path("opener").display().to_string();
    bench.configure(
        &server,
        &format!("[open-url]\nopener = ['{opener}', '{{url}}']\n"),
    );
    let mut desktop = Desktop::start(&bench).await?;
    let mut program = Process::command(&built_binary("vestibule-agent")?);
    program
        .args(["run", "--config"])
        .arg(bench.path("agent.toml"));
    program.env("DBUS_SESSION_BUS_ADDRESS", &desktop.address);
    let agent = Process::spawn("vestibule-agent", program, &bench.path("log"))?;
    bench
        .wait_for_line(&agent, 0, "questions are asked on the desktop")
        .await;
    bench.wait_for_line(&agent, 0, "online as").await;

    // Who, how well known, by which way, what, why, and until when; without markup of others.
    let payload = form(
        "open-url",
        "r1",
        &[
            ("url", "https://example.net/a?b=1&c=<2>"),
            ("reason", "<b>now</b>"),
        ],
    );
    let answer = component.request("set", "c1", &payload).await;
    assert_eq!(told(&answer), "executing");
    let (id, title, text, buttons) = desktop.shown().await;
    assert_eq!(
        title,
        "bob@remote.example (authorized, by public) asks to open a web page"
    );
    for part in [
        "host: example.net",
        "address: https://example.net/a?b=1&amp;c=%3C2%3E",
        "“&lt;b&gt;now&lt;/b&gt;”",
        "Answer until 20",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert_eq!(buttons, ["vestibule-yes", "Open", "vestibule-no", "Refuse"]);
    desktop.press(id, "vestibule-yes").await;
    let outcome = component.next_outcome("r1").await;
    assert_eq!(outcome.attr("state"), Some("completed"));
    assert_eq!(bench.opened().len(), 1);
    assert_eq!(desktop.call().await, Call::Closed(id));

    // Refused, dismissed; a button that nobody can have read before, and one of another notification.
    for (request, dismissed) in [("r2", false), ("r3", true)] {
        let payload = command(request, true, "https://example.net/");
        component.request("set", request, &payload).await;
        let (id, ..) = desktop.shown().await;
        if dismissed {
            desktop.press(id + 1_000, "vestibule-yes").await;
            desktop.dismiss(id).await;
        } else {
            desktop.press_at_once(id, "vestibule-yes").await;
            assert_eq!(desktop.call().await, Call::Closed(id));
            let (anew, ..) = desktop.shown().await;
            desktop.press(anew, "vestibule-no").await;
            assert_eq!(desktop.call().await, Call::Closed(anew));
        }
        let outcome = component.next_outcome(request).await;
        assert_eq!(outcome.attr("state"), Some("refused"));
        assert!(outcome.text().contains("said no"), "{outcome:?}");
    }
    // Silence, and what the component takes back.
    // The question ends two seconds before its command.
    let soon = SystemClock::default().now().wall.plus_s(5).to_string();
    let payload = form(
        "open-url",
        "r4",
        &[("url", "https://example.net/"), ("expires", &soon)],
    );
    component.request("set", "c4", &payload).await;
    let (id, ..) = desktop.shown().await;
    let outcome = component.next_outcome("r4").await;
    assert!(outcome.text().contains("in time"), "{outcome:?}");
    assert_eq!(desktop.call().await, Call::Closed(id));
    assert_eq!(bench.opened().len(), 1);

    // A notification; then the notification server goes, and with it what stood on the screen.
    let notice = form("notify", "n1", &[("text", "tea & cake")]);
    assert_eq!(
        told(&component.request("set", "n1", &notice).await),
        "completed info: shown"
    );
    let (_, title, text, buttons) = desktop.shown().await;
    assert_eq!(
        (title.as_str(), text.as_str()),
        ("From bob@remote.example", "tea &amp; cake")
    );
    assert!(buttons.is_empty());
    component
        .request("set", "c5", &command("r5", true, "https://example.net/"))
        .await;
    desktop.shown().await;
    desktop.server.release_name(NAME).await.unwrap();
    let outcome = component.next_outcome("r5").await;
    assert_eq!(outcome.attr("state"), Some("refused"));
    Ok(())
}
