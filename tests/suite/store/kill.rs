//! SIGKILL at any moment: what was acknowledged is there, and batches are whole.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use super::*;

const PLACE: &str = "VESTIBULE_TEST_STORE";
/// The user whose status is the number of the last batch.
const COUNTER: u64 = 1_000_000;

/// Batch `seq`: several records that only make sense together, every third written behind.
fn batch(seq: u64) -> (Vec<Change>, Durability) {
    let mut changes = vec![status(COUNTER, Some(&seq.to_string()))];
    for n in 0..seq % 9 {
        let text = format!("{seq} {}", "y".repeat((seq % 300) as usize));
        changes.push(status((seq * 31 + n * 17) % 400, Some(&text)));
    }
    changes.push(status(seq * 13 % 400, None));
    match seq % 3 {
        0 => (changes, Durability::Behind),
        _ => (changes, Durability::Synced),
    }
}

fn last(texts: &Texts) -> u64 {
    texts
        .get(&format!("user{COUNTER}@example.org"))
        .map_or(0, |seq| seq.parse().unwrap())
}

/// On its own it writes a little and reads it back; the other test has it write until it is killed.
#[test]
fn a_writer_says_what_is_acknowledged() {
    let (_folder, own) = place();
    let told = env::var_os(PLACE).map(PathBuf::from);
    let mut store = Embedded::open(told.as_ref().unwrap_or(&own), 0).unwrap();
    let mut expected = texts(&mut store).unwrap();
    let first = last(&expected) + 1;
    let end = match told {
        Some(_) => u64::MAX,
        None => 30,
    };
    for seq in first..=end {
        let (changes, durability) = batch(seq);
        store.apply(&changes, durability).unwrap();
        if durability == Durability::Synced {
            println!("acknowledged {seq}");
            std::io::stdout().flush().unwrap();
        }
        if told.is_none() {
            follow(&mut expected, &changes);
        }
    }
    assert_eq!(texts(&mut store).unwrap(), expected);
}

#[test]
fn nothing_acknowledged_is_lost_by_a_kill_and_no_batch_is_torn() {
    let (_folder, path) = place();
    let mut dice = Dice(5);
    let mut model = Texts::new();
    let mut acknowledged = 0;
    // On a busy machine more rounds are needed until enough was written.
    for round in 0..4 * kill_rounds() {
        if round >= kill_rounds() && acknowledged > 100 {
            break;
        }
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "store::kill::a_writer_says_what_is_acknowledged"])
            .args(["--nocapture", "--test-threads=1"])
            .env(PLACE, &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let reader = thread::spawn(move || {
            output
                .lines()
                .map_while(Result::ok)
                .filter_map(|line| line.strip_prefix("acknowledged ")?.parse().ok())
                .last()
                .unwrap_or(0)
        });
        // From before it has opened the store to some hundred batches.
        thread::sleep(Duration::from_millis(1 + dice.below(400)));
        assert_eq!(
            child.try_wait().unwrap(),
            None,
            "the writer ended by itself"
        );
        child.kill().unwrap();
        child.wait().unwrap();
        acknowledged = reader.join().unwrap().max(acknowledged);

        let found = open(&path).unwrap_or_else(|error| panic!("round {round}: {error}"));
        let reached = last(&found);
        assert!(
            reached >= acknowledged,
            "round {round}: {acknowledged} was acknowledged"
        );
        for seq in last(&model) + 1..=reached {
            follow(&mut model, &batch(seq).0);
        }
        assert_eq!(found, model, "round {round}: batch {reached} is torn");
    }
    assert!(
        acknowledged > 100,
        "only {acknowledged} batches in all rounds"
    );
}
