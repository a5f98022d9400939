//! Between the web and the driver: calls one way, answers back, and word of what has changed.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, mpsc, oneshot};

use crate::address::Bare;
use crate::component::web::{Answer, News, What, Who};

/// Calls on their way to the driver; who calls waits where there are more.
const CALLS_MAX: usize = 256;

/// A call that waits for the driver.
#[derive(Debug)]
pub struct Asking {
    /// Who asks.
    pub who: Who,
    /// What for.
    pub what: What,
    /// Where the answer goes.
    pub answer: oneshot::Sender<Answer>,
}

/// The web's side.
#[derive(Clone, Debug)]
pub struct Desk {
    calls: mpsc::Sender<Asking>,
    live: Arc<Live>,
}

/// The driver's side.
#[derive(Debug)]
pub struct Counter {
    calls: mpsc::Receiver<Asking>,
    live: Arc<Live>,
    /// The last call that was taken; nearly all are answered before the next one is.
    newest: Option<(u64, oneshot::Sender<Answer>)>,
    /// Those before it that are not answered yet.
    open: HashMap<u64, oneshot::Sender<Answer>>,
    next: u64,
}

/// Both sides.
#[must_use]
pub fn desk() -> (Desk, Counter) {
    let (sender, calls) = mpsc::channel(CALLS_MAX);
    let live = Arc::<Live>::default();
    let desk = Desk {
        calls: sender,
        live: live.clone(),
    };
    let counter = Counter {
        calls,
        live,
        newest: None,
        open: HashMap::new(),
        next: 0,
    };
    (desk, counter)
}

impl Desk {
    /// Asks the core; `None` where the process is about to end.
    pub async fn ask(&self, who: Who, what: What) -> Option<Answer> {
        let (answer, answered) = oneshot::channel();
        let asking = Asking { who, what, answer };
        self.calls.send(asking).await.ok()?;
        answered.await.ok()
    }

    /// Follows users, or the end of a command, until what is returned is dropped.
    pub fn follow(&self, subjects: Vec<Subject>) -> Following {
        let slot = Arc::<Slot>::default();
        let id = self.live.add(&subjects, &slot);
        Following {
            id,
            subjects,
            slot,
            live: self.live.clone(),
        }
    }
}

impl Counter {
    /// The next call, with its number.
    pub async fn next(&mut self) -> Option<(u64, Who, What)> {
        let asking = self.calls.recv().await?;
        Some(self.take(asking))
    }

    /// The same where one is there.
    pub fn ready(&mut self) -> Option<(u64, Who, What)> {
        let asking = self.calls.try_recv().ok()?;
        Some(self.take(asking))
    }

    fn take(&mut self, asking: Asking) -> (u64, Who, What) {
        self.next += 1;
        let newest = self.newest.replace((self.next, asking.answer));
        self.open.extend(newest);
        (self.next, asking.who, asking.what)
    }

    /// Passes on what the core tells.
    pub fn tell(&mut self, news: News) {
        match news {
            News::Answered(id, answer) => {
                let newest = self.newest.take_if(|(newest, _)| *newest == id);
                let waiting = newest.map(|(_, waiting)| waiting);
                if let Some(waiting) = waiting.or_else(|| self.open.remove(&id)) {
                    let _ = waiting.send(answer); // Who asked may have gone.
                }
            }
            News::Changed(Some(user)) => self.live.tell(&Subject::User(user)),
            News::Changed(None) => self.live.tell_all(),
            News::Ended(job) => self.live.tell(&Subject::Job(job)),
        }
    }
}

/// What can be followed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A user's face.
    User(Bare),
    /// The end of a command.
    Job(String),
}

/// What has changed for one stream since it last looked: places in its list of subjects.
#[derive(Debug, Default)]
struct Slot {
    changed: Mutex<BTreeSet<usize>>,
    notify: Notify,
}

/// Who follows what.
#[derive(Debug, Default)]
struct Live(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    next: u64,
    by_subject: HashMap<Subject, Vec<(u64, usize, Arc<Slot>)>>,
}

/// A mutex is held for some moves of memory; what panicked while holding it left it whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Live {
    fn add(&self, subjects: &[Subject], slot: &Arc<Slot>) -> u64 {
        let mut inner = lock(&self.0);
        inner.next += 1;
        let id = inner.next;
        for (place, subject) in subjects.iter().enumerate() {
            let followers = inner.by_subject.entry(subject.clone()).or_default();
            followers.push((id, place, slot.clone()));
        }
        id
    }

    fn remove(&self, id: u64, subjects: &[Subject]) {
        let mut inner = lock(&self.0);
        for subject in subjects {
            if let Some(followers) = inner.by_subject.get_mut(subject) {
                followers.retain(|(other, ..)| *other != id);
                if followers.is_empty() {
                    inner.by_subject.remove(subject);
                }
            }
        }
    }

    fn tell(&self, subject: &Subject) {
        for (_, place, slot) in lock(&self.0).by_subject.get(subject).into_iter().flatten() {
            slot.changed(*place);
        }
    }

    fn tell_all(&self) {
        for (_, place, slot) in lock(&self.0).by_subject.values().flatten() {
            slot.changed(*place);
        }
    }
}

impl Slot {
    fn changed(&self, place: usize) {
        lock(&self.changed).insert(place);
        self.notify.notify_one();
    }
}

/// A stream's look at what it follows.
#[derive(Debug)]
pub struct Following {
    id: u64,
    subjects: Vec<Subject>,
    slot: Arc<Slot>,
    live: Arc<Live>,
}

impl Following {
    /// Waits until something may have changed.
    pub async fn changed(&self) {
        self.slot.notify.notified().await;
    }

    /// What it was: places in the list of subjects.
    #[must_use]
    pub fn take(&self) -> BTreeSet<usize> {
        std::mem::take(&mut *lock(&self.slot.changed))
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.live.remove(self.id, &self.subjects);
    }
}
