//! Addresses as people type them: what the servers make of them, and that nobody waits for an answer.

use minidom::rxml::{Namespace, xml_ncname};

use crate::support::server::Kind;
use crate::support::{Failure, stanza};

use super::stage::{SOON, Stage, fresh_id, reach_component};

pub(super) async fn costs_nobody_an_answer(kind: Kind) -> Result<(), Failure> {
    let stage = Stage::set(kind).await?;
    let _alice = stage.alice_joined("phone").await?;
    let mut bot = stage.bot().await?;
    for (to, expected) in [
        (r"ALICE\40LOCALHOST@PRESENCE.LOCALHOST", Some("result")),
        (r"Alice\40localhost@presence.localhost", Some("result")),
        (r"ａlice\40localhost@presence.localhost", Some("result")),
        // Never alice: her `@` is escaped twice.
        (r"alice\5C40localhost@presence.localhost", Some("error")),
        ("PRESENCE.localhost", Some("result")),
        ("presence.localhost/a/b@c", Some("result")),
        // Some are the server's to refuse: prosody knows no ideographic dot, ejabberd no final one and
        // no emoji.
        (r"alice\40localhost@presence.localhost.", None),
        (r"alice\40localhost@presence。localhost", None),
        ("presence.localhost/\u{1f4f1}", None),
        ("alice\\40localhost@presence.localhost/\u{1f4f1}", None),
        ("presence.localhost/\u{ad}", None),
    ] {
        let id = fresh_id();
        let mut iq = stanza(&format!(
            "<iq type='get' id='{id}'><ping xmlns='urn:xmpp:ping'/></iq>"
        ));
        iq.set_attr(Namespace::NONE, xml_ncname!("to").into(), to);
        bot.send(iq).await;
        let answer = bot
            .expect(&format!("answer of {to}"), SOON, |e| {
                e.name() == "iq" && e.attr("id") == Some(&id)
            })
            .await;
        if expected.is_some() {
            assert_eq!(answer.attr("type"), expected, "{to}: {answer:?}");
        }
    }
    reach_component(&mut bot).await;
    Ok(())
}
