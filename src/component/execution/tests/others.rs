//! What the others do with what the component sends: the watcher, her agents, her chat client.

use minidom::Element;
use minidom::rxml::xml_ncname;
use xmpp_parsers::ns;

use super::kind::Manner;
use super::world::{ALICE, Act, BOT, World};
use crate::component::record::ExecutionState;
use crate::stanza::outcome::Outcome;
use crate::stanza::{command, outcome};

/// What an agent says of itself at a node of its.
fn said_of(node: &str) -> &'static str {
    match node {
        "http://jabber.org/protocol/commands" => {
            "<item jid='a' node='urn:x-presence-service:agent:0#open-url'/>\
             <item jid='a' node='urn:x-presence-service:agent:0#notify'/>\
             <item jid='a' node='urn:x-presence-service:agent:0#activate-client'/>\
             <item jid='a' node='urn:x-presence-service:agent:0#start-module'/>"
        }
        "urn:x-presence-service:agent:0#start-module" => {
            "<item jid='a' name='M' node='urn:x-presence-service:agent:0#start-module/m'/>"
        }
        "urn:x-presence-service:agent:0#start-module/m" => {
            "<x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='hidden'>\
             <value>urn:x-presence-service:agent:0</value></field>\
             <field var='module'><value>m</value></field></x>"
        }
        _ => {
            "<identity category='client' type='bot'/>\
             <feature var='urn:x-presence-service:agent:0'/>"
        }
    }
}

impl World {
    pub(super) fn sent(&mut self, stanza: &Element) {
        assert!(self.attached, "{stanza:?} while detached");
        let attr = |name| stanza.attr(name).unwrap_or_default().to_owned();
        let (to, id) = (attr(xml_ncname!("to")), attr(xml_ncname!("id")));
        let type_ = attr(xml_ncname!("type"));
        if to.starts_with(BOT) {
            return self.watcher_hears(stanza, &type_);
        }
        let agent = to.strip_prefix("alice@localhost/a");
        let agent: Option<usize> = agent.and_then(|n| n.parse().ok());
        match (stanza.name(), type_.as_str()) {
            ("presence", "probe") => self.greet(),
            ("iq", "get") => {
                let query = stanza.children().next().unwrap();
                let node = query.attr(xml_ncname!("node")).unwrap_or_default();
                let (kind, says) = (query.ns(), agent.map_or("", |_| said_of(node)));
                self.arrive(&format!(
                    "<iq type='result' id='{id}' from='{to}' to='presence.localhost'>\
                     <query xmlns='{kind}' node='{node}'>{says}</query></iq>",
                ));
            }
            ("iq", "set") => self.agent_gets(agent.unwrap(), stanza, &to, &id),
            ("message", "chat") => {
                let body = stanza.get_child("body", ns::JABBER_CLIENT).unwrap().text();
                let code = body.split_once("Answer “yes ");
                if let Some(code) = code.and_then(|(_, rest)| rest.split('”').next()) {
                    self.asked += 1;
                    if !self.kind.word.is_empty() {
                        self.arrive(&format!(
                            "<message type='chat' from='{ALICE}/desk' to='presence.localhost'>\
                             <body>{} {code}</body></message>",
                            self.kind.word
                        ));
                    }
                }
            }
            ("message", _) => {
                let body = stanza.get_child("body", ns::JABBER_CLIENT);
                let body = body.map(Element::text).unwrap_or_default();
                let is_it = body.starts_with("Message from")
                    || body.contains("notifies you")
                    || body.contains("sends you a link")
                    || body.contains("has set your status");
                self.left += usize::from(is_it);
            }
            _ => {}
        }
    }

    fn watcher_hears(&mut self, stanza: &Element, type_: &str) {
        if let Some(ended) = stanza.get_child("outcome", outcome::NS) {
            let ended = Outcome::read(ended).unwrap();
            assert_eq!(ended.request_id, "r1");
            return self.told.push(ended.state);
        }
        if stanza.name() != "iq" {
            return;
        }
        if type_ == "error" {
            self.refused += 1;
            return;
        }
        let Some(answer) = stanza.get_child("command", command::NS) else {
            return;
        };
        if answer.attr(xml_ncname!("status")) == Some("completed") {
            let text = String::from(answer);
            let words = [
                ExecutionState::Completed,
                ExecutionState::Refused,
                ExecutionState::Failed,
                ExecutionState::Expired,
                ExecutionState::Unknown,
            ];
            let state = words
                .into_iter()
                .find(|state| text.contains(&format!("<value>{}</value>", state.as_str())));
            self.told.push(state.unwrap());
        }
    }

    fn agent_gets(&mut self, n: usize, stanza: &Element, to: &str, id: &str) {
        let head = format!("id='{id}' from='{to}' to='presence.localhost'");
        let manner = self.kind.agents[n];
        self.tries += 1;
        if manner == Manner::Absent || !self.agents_there {
            return self.arrive(&format!(
                "<iq type='error' {head}><error type='cancel'><service-unavailable \
                 xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
            ));
        }
        let text = String::from(stanza);
        let name = text
            .split_once("var=\"request-id\"")
            .or_else(|| text.split_once("var='request-id'"));
        let name = name.unwrap().1.split_once("<value>").unwrap().1;
        let name = name.split_once('<').unwrap().0.to_owned();
        let repeat = self.got[n].contains(&name);
        self.got[n].push(name.clone());
        let right = self.kind.right;
        let answer = |rest: &str| {
            format!(
                "<iq type='result' {head}><command xmlns='{}' sessionid='s' \
                 node='urn:x-presence-service:agent:0#{right}' {rest}/></iq>",
                command::NS
            )
        };
        match manner {
            Manner::Done => self.arrive(&answer("status='completed'")),
            Manner::Forbidden => self.arrive(&format!(
                "<iq type='error' {head}><error type='auth'><forbidden \
                 xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
            )),
            Manner::Late => {
                self.arrive(&answer("status='executing'"));
                if !repeat {
                    let seconds = if self.kind.confirm { 60 } else { 5 };
                    let report = format!(
                        "<iq xmlns='jabber:client' type='set' id='o' from='{to}' \
                         to='presence.localhost'><outcome xmlns='{}' request-id='{name}' \
                         right='{right}' state='completed'/></iq>",
                        outcome::NS
                    );
                    self.later(seconds, Act::Arrive(report));
                }
            }
            Manner::Mute | Manner::Absent => {}
        }
    }
}
