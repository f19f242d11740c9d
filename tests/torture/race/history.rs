//! What each process wrote down: a line before it asks, a line when it is answered.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::Path;

use syncpkg::names::Id;

/// One operation of one process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub kind: String,
    pub asked: String,
    /// None: it died before it was answered.
    pub answer: Option<String>,
    /// Monotonic times of this host, nanoseconds.
    pub begun: u64,
    pub ended: u64,
}

impl Event {
    /// The answer in one word, for counting.
    pub fn gist(&self) -> &str {
        match self.answer.as_deref() {
            None => "unanswered",
            Some(answer) if answer == "no" || answer.starts_with("error") || answer.starts_with("wrong") => {
                answer.split(':').next().unwrap_or_default()
            }
            Some("") => "nothing",
            Some(_) => "yes",
        }
    }

    /// Whether it asked for the ticket `id`, or was answered about it.
    fn mentions(&self, id: &Id) -> bool {
        let texts = [Some(&self.asked), self.answer.as_ref()];
        texts.into_iter().flatten().any(|text| text.contains(id.as_str()))
    }

    /// The words of the answer.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        let answer = self.answer.as_deref().filter(|_| self.gist() == "yes");
        answer.unwrap_or_default().split(' ').filter(|word| !word.is_empty())
    }
}

/// Where a process writes.
pub struct Pen(File);

impl Pen {
    pub fn new(path: &Path) -> Self {
        Self(OpenOptions::new().append(true).create(true).open(path).unwrap())
    }

    /// Before asking.
    pub fn begin(&mut self, kind: &str, asked: &str) {
        self.line(&format!("{} begin {kind} {asked}", time()));
    }

    /// After the answer.
    pub fn end(&mut self, answer: &str) {
        self.line(&format!("{} end {answer}", time()));
    }

    /// One write: a process that is killed leaves whole lines.
    fn line(&mut self, text: &str) {
        self.0.write_all(format!("{text}\n").as_bytes()).unwrap();
    }
}

fn time() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    u64::try_from(time.tv_sec).unwrap() * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap()
}

/// Reads the histories of all processes.
pub fn read(directory: &Path) -> Vec<Event> {
    let files = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    files.flat_map(|path| parse(&fs::read_to_string(path).unwrap())).collect()
}

/// Reads the history of one process, which did one thing after the other.
pub fn parse(text: &str) -> Vec<Event> {
    let mut events: Vec<Event> = Vec::new();
    for line in text.lines() {
        let mut words = line.splitn(3, ' ');
        let begun = words.next().unwrap().parse().unwrap();
        let what = words.next().unwrap();
        let rest = words.next().unwrap_or_default();
        if what == "begin" {
            let (kind, asked) = rest.split_once(' ').unwrap_or((rest, ""));
            let (kind, asked) = (kind.to_owned(), asked.to_owned());
            events.push(Event { kind, asked, answer: None, begun, ended: u64::MAX });
        } else {
            let last = events.last_mut().unwrap();
            (last.answer, last.ended) = (Some(rest.to_owned()), begun);
        }
    }
    events
}

/// A fault, and below it all that was asked and answered about the tickets it speaks of, in the order it began.
pub fn with_history(fault: &str, events: &[Event]) -> String {
    let words = fault.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    let ids: Vec<Id> = words.filter_map(|word| word.parse().ok()).collect();
    let mut about: Vec<&Event> =
        events.iter().filter(|event| ids.iter().any(|id| event.mentions(id))).collect();
    about.sort_by_key(|event| event.begun);
    about.iter().fold(fault.to_owned(), |text, event| format!("{text}\n    {event:?}"))
}
