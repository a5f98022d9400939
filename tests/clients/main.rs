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

mod certificate;
mod confined;
mod desktop;
mod dino;
mod gajim;
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
    gajim::joins_by_registering as gajim_joins_by_registering;
    profanity::sets_a_status_by_form as profanity_sets_a_status_by_form;
    profanity::grants_by_form as profanity_grants_by_form;
}
