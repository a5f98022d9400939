//! Asking the person: one question at a time, on a terminal or on standard input and output.
//!
//! Everything of others that is shown has lost what does not show. Whether to ask is not decided here.

use std::collections::VecDeque;
use std::fs::OpenOptions;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::thread;
use std::time::Duration;

use tokio::sync::mpsc;

use super::config::AskFrom;
use super::policy::{Answer, Ticket};
use super::question::Question;
use crate::component::clock::Wall;

/// Lines that wait to be looked at; the rest waits in the terminal.
const LINES_MAX: usize = 16;
/// Bytes of one line that are read: an answer is one letter, and a line has no other bound.
const LINE_BYTES_MAX: u64 = 1_024;
/// Texts that wait for a terminal that is stopped; more are not shown.
const TEXTS_MAX: usize = 64;
/// On a terminal a line that comes sooner after its question, in milliseconds, answers something else:
/// it waited in the terminal, or is the second half of a key pressed twice. Nobody has read so fast.
const READING_TIME_MS: i64 = 500;

/// The person's terminal, with the questions that wait for their turn.
#[derive(Debug)]
pub struct Asker {
    lines: mpsc::Receiver<String>,
    /// Has the reading begin, with the first question: a program in the background of its terminal is
    /// stopped as soon as it reads.
    begin: Option<std::sync::mpsc::SyncSender<()>>,
    texts: mpsc::Sender<String>,
    waiting: VecDeque<Question>,
    /// When the first of `waiting` was shown.
    shown: Option<Wall>,
    reading_time_ms: i64,
    gone: bool,
}

impl Asker {
    /// Opens the terminal, or takes standard input and output.
    ///
    /// # Errors
    /// There is no terminal, as under a service supervisor: then nobody can be asked.
    pub fn open(from: AskFrom) -> io::Result<Self> {
        match from {
            AskFrom::Stdin => Self::over(io::stdin(), io::stdout()),
            AskFrom::Auto | AskFrom::Desktop | AskFrom::Terminal => {
                let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
                let mut asker = Self::not_reading(terminal.try_clone()?, terminal)?;
                asker.reading_time_ms = READING_TIME_MS;
                Ok(asker)
            }
        }
    }

    /// Asks over any pair of byte streams. Each has a thread of its own, which may hang for ever in a
    /// read or in a write to a stopped terminal.
    pub fn over(
        input: impl Read + Send + 'static,
        output: impl Write + Send + 'static,
    ) -> io::Result<Self> {
        let mut asker = Self::not_reading(input, output)?;
        asker.begin();
        Ok(asker)
    }

    /// The same, which reads nothing before it is told to.
    fn not_reading(
        input: impl Read + Send + 'static,
        mut output: impl Write + Send + 'static,
    ) -> io::Result<Self> {
        let (read, lines) = mpsc::channel(LINES_MAX);
        let (begin, begun) = std::sync::mpsc::sync_channel(1);
        thread::Builder::new()
            .name("answers".to_owned())
            .spawn(move || {
                if begun.recv().is_err() {
                    return;
                }
                let mut input = BufReader::new(input);
                while let Some(line) = next_line(&mut input) {
                    if read.blocking_send(line).is_err() {
                        return;
                    }
                }
            })?;
        let (texts, mut written) = mpsc::channel::<String>(TEXTS_MAX);
        thread::Builder::new()
            .name("questions".to_owned())
            .spawn(move || {
                while let Some(text) = written.blocking_recv() {
                    // Who cannot read a question does not answer it.
                    let _ = output
                        .write_all(text.as_bytes())
                        .and_then(|()| output.flush());
                }
            })?;
        Ok(Self {
            lines,
            begin: Some(begin),
            texts,
            waiting: VecDeque::new(),
            shown: None,
            reading_time_ms: 0,
            gone: false,
        })
    }

    fn begin(&mut self) {
        if let Some(begin) = self.begin.take() {
            // It fails where the thread has ended; then the lines have, too.
            let _ = begin.send(());
        }
    }

    /// Adds a question; the policy core bounds how many are open.
    pub fn ask(&mut self, question: Question) {
        self.waiting.push_back(question);
    }

    /// Takes a question back.
    pub fn withdraw(&mut self, ticket: Ticket) {
        let first = self.waiting.front().map(|question| question.ticket);
        self.waiting.retain(|question| question.ticket != ticket);
        if first == Some(ticket) && self.shown.take().is_some() {
            self.say("\nThe request was withdrawn.\n".to_owned());
        }
    }

    /// The next answer; waits for ever while nothing is asked. May be given up at any point.
    pub async fn next(&mut self, wall: impl Fn() -> Wall) -> (Ticket, Answer) {
        loop {
            let Some(question) = self.waiting.front() else {
                return std::future::pending().await;
            };
            let ticket = question.ticket;
            let left = question.until.0.saturating_sub(wall().0);
            let Ok(left @ 1..) = u64::try_from(left) else {
                return self.settle(ticket, Answer::Silence);
            };
            if self.gone {
                return self.settle(ticket, Answer::Gone);
            }
            let shown = match self.shown {
                Some(shown) => shown,
                None => {
                    let text = question.on_terminal();
                    // A line that was typed before the question was shown answers something else.
                    while self.lines.try_recv().is_ok() {}
                    self.say(text);
                    self.begin();
                    *self.shown.insert(wall())
                }
            };
            // The wall clock may be set meanwhile, so it is looked at again now and then.
            let nap = Duration::from_millis(left.min(1_000));
            match tokio::time::timeout(nap, self.lines.recv()).await {
                Err(_) => {}
                Ok(None) => self.gone = true,
                Ok(Some(_)) if (0..self.reading_time_ms).contains(&(wall().0 - shown.0)) => {
                    self.say("Please read first. [y/N] ".to_owned());
                }
                Ok(Some(line)) => match line.trim().to_ascii_lowercase().as_str() {
                    "y" | "yes" => return self.settle(ticket, Answer::Yes),
                    "n" | "no" | "" => return self.settle(ticket, Answer::No),
                    _ => self.say("Please answer y or n: ".to_owned()),
                },
            }
        }
    }

    fn settle(&mut self, ticket: Ticket, answer: Answer) -> (Ticket, Answer) {
        self.waiting.pop_front();
        if self.shown.take().is_some() && answer == Answer::Silence {
            self.say("\nNo answer in time: refused.\n".to_owned());
        }
        (ticket, answer)
    }

    /// Shows something that needs no answer, with the bell.
    pub fn show(&self, title: &str, text: &str) {
        self.say(format!("\u{7}\n{title}: {text}\n"));
    }

    fn say(&self, text: String) {
        // Full only while the terminal is stopped.
        let _ = self.texts.try_send(text);
    }
}

/// One line without its end; the rest of one that is too long is dropped. `None` at the end of input.
fn next_line(input: &mut impl BufRead) -> Option<String> {
    let mut bytes = Vec::new();
    input
        .by_ref()
        .take(LINE_BYTES_MAX)
        .read_until(b'\n', &mut bytes)
        .ok()?;
    if bytes.is_empty() {
        return None;
    }
    let mut rest = bytes.last() != Some(&b'\n') && bytes.len() as u64 == LINE_BYTES_MAX;
    while rest {
        let mut more = Vec::new();
        let count = input
            .by_ref()
            .take(LINE_BYTES_MAX)
            .read_until(b'\n', &mut more)
            .ok()?;
        rest = count > 0 && more.last() != Some(&b'\n');
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    const START: Wall = Wall(1_800_000_000_000);

    fn question(ticket: Ticket, reason: &str) -> Question {
        Question {
            ticket,
            title: "bob asks to open a web page".into(),
            details: vec![("reason", format!("“{reason}”"))],
            verb: "Open",
            until: START.plus_s(30),
        }
    }

    fn pair() -> (Asker, UnixStream) {
        let (near, far) = UnixStream::pair().unwrap();
        far.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        (Asker::over(near.try_clone().unwrap(), near).unwrap(), far)
    }

    /// Reads until the prompt stands there.
    fn read_prompt(far: &mut UnixStream, end: &str) -> String {
        let mut text = Vec::new();
        while !String::from_utf8_lossy(&text).ends_with(end) {
            let mut byte = [0];
            far.read_exact(&mut byte).unwrap();
            text.push(byte[0]);
        }
        String::from_utf8(text).unwrap()
    }

    #[tokio::test]
    async fn questions_come_one_after_the_other() {
        let (mut asker, mut far) = pair();
        asker.ask(question(1, "a"));
        asker.ask(question(2, "b"));
        let person = thread::spawn(move || {
            assert!(read_prompt(&mut far, "[y/N] ").contains("“a”"));
            far.write_all(b"what?\n").unwrap();
            read_prompt(&mut far, "y or n: ");
            far.write_all(b"YES\n").unwrap();
            assert!(read_prompt(&mut far, "[y/N] ").contains("“b”"));
            far.write_all(b"\n").unwrap();
        });
        assert_eq!(asker.next(|| START).await, (1, Answer::Yes));
        assert_eq!(asker.next(|| START).await, (2, Answer::No));
        person.join().unwrap();
    }

    #[tokio::test]
    async fn silence_withdrawal_and_the_end_of_input_are_no() {
        let (mut asker, far) = pair();
        asker.ask(question(1, "a"));
        asker.ask(question(2, "b"));
        asker.ask(question(3, "c"));
        let late = asker.next(|| START.plus_s(30)).await;
        assert_eq!(late, (1, Answer::Silence));
        asker.withdraw(2);
        drop(far);
        assert_eq!(asker.next(|| START).await, (3, Answer::Gone));
        let idle = tokio::time::timeout(Duration::from_millis(20), asker.next(|| START));
        assert!(idle.await.is_err());
    }

    #[tokio::test]
    async fn a_terminal_is_not_read_before_the_first_question() {
        let (near, mut far) = UnixStream::pair().unwrap();
        far.write_all(b"y\n").unwrap();
        let mut asker = Asker::not_reading(near.try_clone().unwrap(), near).unwrap();
        asker.reading_time_ms = READING_TIME_MS;
        let idle = tokio::time::timeout(Duration::from_millis(50), asker.next(|| START));
        assert!(idle.await.is_err());
        assert!(asker.lines.try_recv().is_err(), "it has been read");
        asker.ask(question(1, "a"));
        // What was typed before comes at once, and is no answer.
        let early = tokio::time::timeout(Duration::from_millis(200), asker.next(|| START));
        assert!(early.await.is_err());
        far.write_all(b"y\n").unwrap();
        assert_eq!(asker.next(|| START.plus_s(1)).await, (1, Answer::Yes));
    }

    #[test]
    fn a_line_is_cut() {
        let text = format!("{}\ny\n", "x".repeat(5_000));
        let mut input = BufReader::new(text.as_bytes());
        assert_eq!(next_line(&mut input).unwrap().len(), 1_024);
        assert_eq!(next_line(&mut input).as_deref(), Some("y\n"));
        assert_eq!(next_line(&mut input), None);
    }
}
