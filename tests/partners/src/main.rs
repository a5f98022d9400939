//! A partner on the dedicated link, by `tokio_xmpp::Component`, unchanged.
//!
//! Usage: `partners ADDRESS DOMAIN SECRET PRESENTITY`. Probes, asks for the rights, has a page opened, and
//! prints a line for each answer.

use futures::StreamExt;
use std::error::Error;
use tokio_xmpp::connect::{DnsConfig, TcpServerConnector};
use tokio_xmpp::minidom::Element;
use tokio_xmpp::xmlstream::Timeouts;
use tokio_xmpp::{Component, Stanza};
use xmpp_parsers::iq::Iq;
use xmpp_parsers::jid::Jid;
use xmpp_parsers::presence::{Presence, Type};

const RIGHTS: &str = "urn:x-presence-service:rights:0";
const COMMANDS: &str = "http://jabber.org/protocol/commands";

type Failure = Box<dyn Error>;

struct Partner {
    component: Component<TcpServerConnector>,
    bot: Jid,
    presentity: Jid,
}

impl Partner {
    async fn next(&mut self) -> Result<Stanza, Failure> {
        Ok(self.component.next().await.ok_or("the stream has ended")?)
    }

    /// Sends an IQ and returns the payload of its result.
    async fn ask(&mut self, iq: Iq) -> Result<Element, Failure> {
        self.component.send_stanza(Stanza::Iq(iq)).await?;
        loop {
            match self.next().await? {
                Stanza::Iq(Iq::Result {
                    payload: Some(payload),
                    ..
                }) => return Ok(payload),
                Stanza::Iq(other) => return Err(format!("{other:?}").into()),
                _ => (),
            }
        }
    }
}

fn told(element: &Element) -> String {
    let mut names: Vec<_> = element
        .children()
        .filter(|child| child.is("right", RIGHTS))
        .filter_map(|right| right.attr("name"))
        .collect();
    names.sort_unstable();
    format!(
        "{} {}",
        element.attr("level").unwrap_or_default(),
        names.join(",")
    )
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, domain, secret, presentity] = &arguments[..] else {
        return Err("usage: partners ADDRESS DOMAIN SECRET PRESENTITY".into());
    };
    let connect =
        Component::new_plaintext(domain, secret, DnsConfig::addr(address), Timeouts::tight());
    let mut partner = Partner {
        component: connect.await?,
        bot: format!("bot@{domain}/tokio").parse()?,
        presentity: presentity.parse()?,
    };

    let mut probe = Presence::new(Type::Probe);
    probe.from = Some(partner.bot.clone());
    probe.to = Some(partner.presentity.clone());
    partner
        .component
        .send_stanza(Stanza::Presence(probe))
        .await?;
    let presence = loop {
        if let Stanza::Presence(presence) = partner.next().await? {
            break presence;
        }
    };
    let show = presence
        .show
        .map(|show| format!("{show:?}").to_lowercase())
        .unwrap_or_default();
    let status = presence
        .statuses
        .values()
        .next()
        .cloned()
        .unwrap_or_default();
    let rights = presence
        .payloads
        .iter()
        .find(|one| one.is("rights", RIGHTS))
        .ok_or("no rights")?;
    println!("presence {show} {status} {}", told(rights));

    let iq = Iq::Get {
        from: Some(partner.bot.clone()),
        to: Some(partner.presentity.clone()),
        id: "q1".to_owned(),
        payload: Element::bare("query", RIGHTS),
    };
    let query = partner.ask(iq).await?;
    let state = query.get_child("state", RIGHTS).ok_or("no state")?;
    println!(
        "query {} {}",
        state.attr("show").unwrap_or_default(),
        told(&query)
    );

    let command: Element = format!(
        "<command xmlns='{COMMANDS}' node='urn:x-presence-service:cmd:0#open-url' action='execute'>\
         <x xmlns='jabber:x:data' type='submit'>\
         <field var='url'><value>https://example.net/agenda</value></field></x></command>"
    )
    .parse()?;
    let iq = Iq::Set {
        from: Some(partner.bot.clone()),
        to: Some(partner.presentity.clone()),
        id: "c1".to_owned(),
        payload: command,
    };
    let command = partner.ask(iq).await?;
    let form = command.get_child("x", "jabber:x:data").ok_or("no form")?;
    let outcome = form
        .children()
        .find(|field| field.attr("var") == Some("outcome"))
        .and_then(|field| field.get_child("value", "jabber:x:data"))
        .map(Element::text)
        .ok_or("no outcome")?;
    println!(
        "command {} {}",
        command.attr("status").unwrap_or_default(),
        outcome
    );
    partner.component.send_end().await?;
    Ok(())
}
