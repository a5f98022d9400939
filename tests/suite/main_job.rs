//! The main job from end to end: the built component on a real Prosody and on a real ejabberd, judged
//! by what the clients of alice, of a party's bot and of a stranger receive.

mod adhoc;
mod agent_killed;
mod agent_rights;
mod agents;
mod attaching;
mod bulk;
mod consent;
mod contacts;
mod dedicated_link;
mod durability;
mod exporting;
mod faces;
mod floods;
mod ghosts;
mod hostile;
mod joining;
mod leaving_messages;
mod opening_pages;
mod operating;
mod presence;
mod probing;
mod prompts;
mod real_agent;
mod registering;
mod rights;
mod sealing;
mod service;
mod sight;
mod spelling;
mod stage;
mod statuses;
mod subscribing;
mod third_parties;
mod tokens;
mod web;
mod web_crowd;
mod web_jobs;
mod web_strangers;

/// Each story once on each server.
macro_rules! on_both_servers {
    ($($topic:ident::$story:ident as $name:ident;)+) => {
        mod prosody {
            use crate::support::{Failure, server::Kind};
            $(#[tokio::test]
            async fn $name() -> Result<(), Failure> {
                super::$topic::$story(Kind::Prosody).await
            })+
        }
        mod ejabberd {
            use crate::support::{Failure, server::Kind};
            $(#[tokio::test]
            async fn $name() -> Result<(), Failure> {
                super::$topic::$story(Kind::Ejabberd).await
            })+
        }
    };
}

on_both_servers! {
    joining::by_contact_and_by_chat as users_join_by_contact_and_by_chat;
    registering::by_the_register_button as users_join_by_the_register_button;
    service::says_what_it_is as the_service_says_what_it_is;
    presence::is_tracked_and_overlaid_by_her_status as presence_is_tracked_and_overlaid;
    faces::are_told_as_she_sets_them as faces_are_told_as_she_sets_them;
    faces::show_nothing_of_an_invisible_user as faces_show_nothing_of_an_invisible_user;
    probing::tells_each_watcher_what_it_may_know as probes_tell_each_watcher_what_it_may_know;
    bulk::tells_of_a_hundred_users as a_bot_asks_a_hundred_users_at_once;
    durability::of_the_status as the_status_outlives_logout_and_sigkill;
    durability::over_restarts_of_the_server as the_component_comes_back_after_the_server;
    exporting::and_importing as what_is_stored_is_exported_and_imported;
    leaving_messages::by_form_at_once_and_plainly as messages_are_left;
    opening_pages::without_an_agent as a_page_becomes_a_message_without_an_agent;
    opening_pages::with_an_agent as a_page_is_opened_by_the_agent;
    real_agent::opens_what_her_file_allows as the_real_agent_opens_pages;
    agent_killed::at_any_moment as the_real_agent_is_killed_at_any_moment;
    agent_rights::are_carried_out as the_real_agent_carries_out_every_right;
    prompts::wait_for_her_word as what_needs_her_word_waits_for_it;
    agents::do_what_they_say_they_can as agents_do_what_they_say_they_can;
    statuses::are_set_by_a_watcher as her_status_is_set_by_a_watcher;
    subscribing::from_the_request_to_its_end as a_subscription_from_the_request_to_its_end;
    subscribing::while_she_is_away as requests_wait_for_her;
    contacts::of_a_watcher_are_all_answered as a_thousand_contacts_are_all_answered;
    rights::are_granted_and_revoked as rights_are_granted_and_revoked;
    consent::limits_what_is_granted as a_grant_has_limits;
    consent::goes_when_she_says_so as what_she_gave_goes_when_she_says_so;
    tokens::from_making_to_end as a_token_from_its_making_to_its_end;
    tokens::at_her_agent as a_token_opens_pages_until_it_is_taken_back;
    web::shows_and_acts as a_site_shows_her_and_acts;
    web::tells_nobody_who_there_is as the_web_tells_nobody_who_there_is;
    web::follows_live as the_web_follows_live;
    web_jobs::are_followed_to_their_end as jobs_over_the_web_are_followed_to_their_end;
    web_jobs::of_a_visitor_wait_for_her_word as visitors_of_the_web_wait_for_her_word;
    web_jobs::of_a_party_follow_the_configuration as web_secrets_follow_the_configuration;
    ghosts::hibernate_and_end_with_their_server as hibernated_sessions_end_with_their_server;
    ghosts::of_reconnects_do_not_stay as ghosts_of_reconnects_do_not_stay;
    ghosts::of_a_killed_server_are_gone as ghosts_of_a_killed_server_are_gone;
    ghosts::are_not_made_by_a_restart_of_the_component as a_restart_of_the_component_makes_no_ghosts;
    sight::is_taken_back_and_given_again as sight_is_taken_back_and_given_again;
    sight::ends_with_the_contact as sight_ends_with_the_contact;
    sight::does_not_go_to_the_next_owner as sight_does_not_go_to_the_next_owner;
    sight::is_doubted_after_an_absence as sight_is_doubted_after_an_absence;
    sight::is_not_believed_before_it_is_given as sight_is_not_believed_before_it_is_given;
    sight::follows_blocking as sight_follows_blocking;
    dedicated_link::carries_all as a_partner_on_its_link_is_served;
    dedicated_link::outlives_a_flood as a_flooding_partner_slows_nobody_down;
    dedicated_link::follows_the_configuration as a_partner_comes_and_goes_with_the_configuration;
    dedicated_link::takes_tokio_xmpp as tokio_xmpp_attaches_to_the_dedicated_link;
    third_parties::run_the_examples as the_examples_for_third_parties_run;
    attaching::goes_on_until_it_succeeds as attaching_goes_on_until_it_succeeds;
    spelling::costs_nobody_an_answer as no_spelling_of_an_address_costs_an_answer;
    operating::by_administrators_only as the_operator_s_commands_are_for_administrators;
    operating::of_limits_at_a_signal as limits_follow_the_file_at_a_signal;
    floods::of_a_watcher_slow_nobody_down as a_flooding_watcher_slows_nobody_down;
    sealing::any_text_in_any_field as any_text_in_any_field_leaves_the_stream_alive;
    sealing::whatever_people_type as whatever_people_type_leaves_the_stream_alive;
    web_strangers::get_the_same_bytes_of_all as a_visitor_gets_the_same_bytes_of_all_he_may_not_see;
    web_crowd::is_told_of_a_change as a_thousand_live_watchers_are_told_of_a_change;
    hostile::stanzas_cost_only_themselves as hostile_stanzas_cost_only_themselves;
}

#[tokio::test]
async fn ejabberd_sight_follows_privacy_lists() -> Result<(), crate::support::Failure> {
    sight::follows_privacy_lists().await
}

#[tokio::test]
async fn ejabberd_of_debian_loses_none_of_ten_who_join() -> Result<(), crate::support::Failure> {
    joining::ten_at_once_on_debian().await
}

#[tokio::test]
async fn ejabberd_takes_the_component_over_tls() -> Result<(), crate::support::Failure> {
    attaching::over_tls().await
}

#[tokio::test]
async fn prosody_is_not_spoken_to_over_tls() -> Result<(), crate::support::Failure> {
    attaching::over_tls_without_it().await
}
