//! Every file under tests/transcripts, played on the pure core and on the whole component over
//! TCP; and the proof that each of them can fail.

use crate::support::transcript::core::Core;
use crate::support::transcript::mirror::{Flaw, Mirror};
use crate::support::transcript::player::play;
use crate::support::transcript::script::Script;
use crate::support::transcript::tcp::Tcp;
use crate::support::transcript::wire::Wire;
use crate::support::transcript::{read, topics};

/// One test for each folder; the list below says which there are, and is held against the disk.
macro_rules! topics {
    ($($topic:ident),* $(,)?) => {
        const TOPICS: &[&str] = &[$(stringify!($topic)),*];
        $(
            #[test]
            fn $topic() {
                run(stringify!($topic), |script| {
                    Box::new(Core::new(script.settings.clone()))
                });
            }
        )*
        mod over_tcp {
            $(
                #[test]
                fn $topic() {
                    super::run(stringify!($topic), super::tcp);
                }
            )*
        }
    };
}

topics![
    activate_client,
    admin,
    attach,
    bulk,
    chat,
    clock,
    commands,
    consent,
    dedicated,
    disco,
    export,
    grants,
    join,
    leave_message,
    limits,
    malformed,
    notify,
    offers,
    open_url,
    outcome,
    pace,
    pending,
    presence,
    probe,
    prompt,
    query,
    register,
    restart,
    set_status,
    start_module,
    status,
    subscription,
    tell,
    tokens,
    visibility,
];

#[test]
fn every_folder_has_its_test() {
    let names: Vec<String> = TOPICS.iter().map(|name| name.replace('_', "-")).collect();
    assert_eq!(names, topics());
}

/// The tables of subscriptions and probes name files that exist.
#[test]
fn the_tables_name_files() {
    let readme = include_str!("../transcripts/README.md");
    let (_, tables) = readme
        .split_once("## The tables of")
        .expect("the README has the tables");
    let names: Vec<&str> = tables
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|name| name.contains('-'))
        .collect();
    let files: Vec<String> = all()
        .flatten()
        .filter_map(|script| Some(script.path.file_stem()?.to_string_lossy().into_owned()))
        .collect();
    assert!(names.len() > 40, "the tables are empty");
    for name in names {
        assert!(files.iter().any(|file| file == name), "no file {name}");
    }
}

/// The transcripts hold together by themselves: each can be read, and a component that does what it
/// says passes.
#[test]
fn each_can_pass() {
    report(all().map(|script| {
        let script = script?;
        play(&script, &mut Mirror::new(Flaw::None)).map_err(|failure| failure.to_string())
    }));
}

/// No stanza of any transcript may be missing, doubled or go elsewhere.
#[test]
fn each_can_fail() {
    for script in all().flatten() {
        let mut mirror = Mirror::new(Flaw::None);
        if play(&script, &mut mirror).is_err() {
            continue;
        }
        for at in 0..mirror.n_expected {
            for flaw in [Flaw::Missing(at), Flaw::Twice(at), Flaw::Changed(at)] {
                if matches!(flaw, Flaw::Missing(_)) && script.is_optional(at) {
                    continue;
                }
                assert!(
                    play(&script, &mut Mirror::new(flaw)).is_err(),
                    "{} passes with {flaw:?}",
                    script.path.display()
                );
            }
        }
    }
}

fn all() -> impl Iterator<Item = Result<Script, String>> {
    TOPICS
        .iter()
        .flat_map(|topic| read(&topic.replace('_', "-")))
}

fn tcp(script: &Script) -> Box<dyn Wire> {
    Box::new(Tcp::new(script.settings.clone()))
}

fn run(topic: &str, wire: fn(&Script) -> Box<dyn Wire>) {
    report(read(&topic.replace('_', "-")).into_iter().map(|script| {
        let script = script?;
        play(&script, wire(&script).as_mut()).map_err(|failure| failure.to_string())
    }));
}

/// Fails with the list of all that failed.
fn report(results: impl Iterator<Item = Result<(), String>>) {
    let results: Vec<_> = results.collect();
    let failures: Vec<String> = results.iter().filter_map(|r| r.clone().err()).collect();
    assert!(
        failures.is_empty(),
        "{} of {} transcripts fail:\n\n{}\n",
        failures.len(),
        results.len(),
        failures.join("\n\n")
    );
}
