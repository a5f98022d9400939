//! What ordinary chat clients show of a presentity: profanity, poezio, Gajim and Dino, as Debian 12 has
//! them, run by `make test-long`.
//!
//! Each is bob's client, on a real server with the built component attached; alice is a contact of his.
//! What counts is what bob sees on the screen. Each test leaves a picture of it in `target/tmp`.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test ends where something is not as it must be, and real peers live in real time"
)]

#[path = "../suite/main_job/adhoc.rs"]
#[allow(dead_code, reason = "the stories of the suite do more")]
mod adhoc;
mod certificate;
mod confined;
mod conversation;
mod desktop;
mod dino;
mod forms;
mod gajim;
mod gajim_forms;
mod picture;
mod poezio;
mod profanity;
mod scene;
#[path = "../suite/main_job/stage.rs"]
#[allow(dead_code, reason = "the stories of the suite say more")]
mod stage;
mod story;
#[path = "../suite/support/mod.rs"]
mod support;
mod terminal;

use support::{Failure, server::Kind};

/// Each story once on each server.
macro_rules! on_both_servers {
    ($($story:path as $name:ident;)+) => {
        mod prosody {
            use super::*;
            $(#[tokio::test]
            async fn $name() -> Result<(), Failure> {
                $story(Kind::Prosody).await
            })+
        }
        mod ejabberd {
            use super::*;
            $(#[tokio::test]
            async fn $name() -> Result<(), Failure> {
                $story(Kind::Ejabberd).await
            })+
        }
    };
}

on_both_servers! {
    story::told_by::<profanity::Profanity> as profanity_shows_alice;
    story::told_by::<poezio::Poezio> as poezio_shows_alice;
    story::told_by::<gajim::Gajim> as gajim_shows_alice;
    story::told_by::<dino::Dino> as dino_shows_alice;
    conversation::read_by::<profanity::Profanity> as profanity_reads_what_alice_did;
    conversation::read_by::<poezio::Poezio> as poezio_reads_what_alice_did;
    conversation::read_by::<gajim::Gajim> as gajim_reads_what_alice_did;
    conversation::read_by::<dino::Dino> as dino_reads_what_alice_did;
    conversation::answered_by::<profanity::Profanity> as profanity_answers_questions;
    conversation::answered_by::<poezio::Poezio> as poezio_answers_questions;
    conversation::answered_by::<gajim::Gajim> as gajim_answers_questions;
    conversation::answered_by::<dino::Dino> as dino_answers_questions;
    forms::run_rights::<profanity::Profanity> as profanity_runs_rights;
    forms::run_rights::<poezio::Poezio> as poezio_runs_rights;
    forms::run_rights::<gajim::Gajim> as gajim_runs_rights;
    forms::grant::<profanity::Profanity> as profanity_grants_by_form;
    forms::grant::<poezio::Poezio> as poezio_grants_by_form;
    forms::grant::<gajim::Gajim> as gajim_grants_by_form;
    forms::answer::<profanity::Profanity> as profanity_answers_by_form;
    forms::answer::<poezio::Poezio> as poezio_answers_by_form;
    forms::answer::<gajim::Gajim> as gajim_answers_by_form;
    poezio::joins_by_contact as poezio_joins_by_contact;
    profanity::joins_by_contact as profanity_joins_by_contact;
    gajim::joins_by_registering as gajim_joins_by_registering;
    profanity::sets_a_status_by_form as profanity_sets_a_status_by_form;
}
