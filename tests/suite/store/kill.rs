//! SIGKILL at any moment: what was acknowledged is there, and batches are whole.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::*;

const PLACE: &str = "VESTIBULE_TEST_STORE";
/// Whatever takes longer than this hangs.
const PATIENCE: Duration = Duration::from_secs(60);
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
    let told = env::var_os(PLACE).map(PathBuf::from);
    // A folder of its own would stay behind where it is killed.
    let own = told.is_none().then(place);
    let own = own.as_ref().map(|(_, path)| path);
    let mut store = Embedded::open(told.as_ref().or(own).unwrap(), 0).unwrap();
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

/// When a writer is killed.
enum End {
    /// While it starts and opens the store, or soon after.
    After(Duration),
    /// So long after so many batches were acknowledged: most often in the middle of another one.
    Acknowledged(u64, Duration),
}

impl End {
    fn of(dice: &mut Dice) -> Self {
        let moment = |dice: &mut Dice, ms: u64| Duration::from_micros(dice.below(1000 * ms));
        match dice.below(3) {
            0 => Self::After(moment(dice, 100)),
            _ => Self::Acknowledged(1 + dice.below(40), moment(dice, 5)),
        }
    }
}

/// Kills writers of one store one after the other; gives the number of the last batch that was
/// acknowledged, and of the last that was found.
fn lane(seed: u64, rounds: u64) -> (u64, u64) {
    let (_folder, path) = place();
    let mut dice = Dice(seed);
    let mut model = Texts::new();
    let mut acknowledged = 0;
    for round in 0..rounds {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "store::kill::a_writer_says_what_is_acknowledged"])
            .args(["--nocapture", "--test-threads=1"])
            .env(PLACE, &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (told, acknowledgements) = mpsc::channel::<u64>();
        let reader = thread::spawn(move || {
            output
                .lines()
                .map_while(Result::ok)
                .filter_map(|line| line.strip_prefix("acknowledged ")?.parse().ok())
                .for_each(|seq| told.send(seq).unwrap_or_default());
        });
        match End::of(&mut dice) {
            End::After(pause) => thread::sleep(pause),
            End::Acknowledged(most, pause) => {
                for _ in 0..most {
                    let told = acknowledgements.recv_timeout(PATIENCE);
                    acknowledged = told.expect("the writer writes");
                }
                thread::sleep(pause);
            }
        }
        assert_eq!(
            child.try_wait().unwrap(),
            None,
            "the writer ended by itself"
        );
        child.kill().unwrap();
        child.wait().unwrap();
        reader.join().unwrap();
        acknowledged = acknowledgements.try_iter().last().unwrap_or(acknowledged);

        let found = open(&path).unwrap_or_else(|error| panic!("round {round}: {error}"));
        let reached = last(&found);
        assert!(
            reached >= acknowledged,
            "round {round}: {acknowledged} was acknowledged, and {reached} is there"
        );
        for seq in last(&model) + 1..=reached {
            follow(&mut model, &batch(seq).0);
        }
        assert_eq!(found, model, "round {round}: batch {reached} is torn");
        if round % 500 == 499 {
            println!("round {round}: {acknowledged} of {reached} batches acknowledged");
        }
    }
    (acknowledged, last(&model))
}

#[test]
fn nothing_acknowledged_is_lost_by_a_kill_and_no_batch_is_torn() {
    let half = kill_rounds().div_ceil(2);
    // While one of the two waits for its disk the other works.
    let (one, two) = thread::scope(|scope| {
        let lanes = [5, 6].map(|seed| scope.spawn(move || lane(seed, half)));
        let [one, two] = lanes.map(|lane| lane.join().unwrap());
        (one, two)
    });
    println!(
        "{} times SIGKILL: (last acknowledged, last found) of two stores {one:?}, {two:?}",
        2 * half
    );
    for (acknowledged, _) in [one, two] {
        assert!(
            acknowledged > 5 * half,
            "only {acknowledged} batches in all rounds"
        );
    }
}
