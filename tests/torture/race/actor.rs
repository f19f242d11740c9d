//! The parts of the race: this program begun anew, each process with one part, over the library's own functions.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use syncpkg::base::error::Kind;
use syncpkg::base::{Clock, Result, lock};
use syncpkg::config::{LimitSection, Span, TroubleSection};
use syncpkg::names::{Instance, Outcome, Priority};
use syncpkg::spool::claim::{self, Request};
use syncpkg::spool::lease::{self, Beat};
use syncpkg::spool::queue::{self, Answer, Ask};
use syncpkg::spool::report::{self, Ending};
use syncpkg::spool::{Claim, Spool, abort, list};

use super::chance::Chance;
use super::history::Pen;

pub const PART: &str = "TORTURE_PART";
pub const PLACE: &str = "TORTURE_PLACE";
pub const HISTORY: &str = "TORTURE_HISTORY";
pub const SEED: &str = "TORTURE_SEED";
pub const LEASE: &str = "TORTURE_LEASE";

/// As many as this wait at the most: what is raced for is the change of state, not the length of a list.
const CROWD: usize = 200;

/// What a process does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    Enqueuer { first: usize, last: usize },
    Builder { name: String },
    Zombie { name: String },
    Reaper,
    Aborter,
}

impl Part {
    /// Builders called mortal die as often as it happens, enqueuers a few times, others never.
    pub fn may_die(&self, lives: usize) -> bool {
        match self {
            Part::Enqueuer { .. } => lives < 3,
            Part::Builder { name } => name.starts_with("mortal"),
            Part::Zombie { .. } | Part::Reaper | Part::Aborter => false,
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Part::Enqueuer { first, last } => write!(f, "enqueuer {first} {last}"),
            Part::Builder { name } => write!(f, "builder {name}"),
            Part::Zombie { name } => write!(f, "zombie {name}"),
            Part::Reaper => write!(f, "reaper"),
            Part::Aborter => write!(f, "aborter"),
        }
    }
}

impl FromStr for Part {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split(' ').collect();
        let number = |word: &str| word.parse().map_err(|_| text.to_owned());
        match words.as_slice() {
            ["enqueuer", first, last] => Ok(Part::Enqueuer { first: number(first)?, last: number(last)? }),
            ["builder", name] => Ok(Part::Builder { name: (*name).to_owned() }),
            ["zombie", name] => Ok(Part::Zombie { name: (*name).to_owned() }),
            ["reaper"] => Ok(Part::Reaper),
            ["aborter"] => Ok(Part::Aborter),
            _ => Err(text.to_owned()),
        }
    }
}

/// A process of the race.
struct Actor {
    spool: Spool,
    stop: PathBuf,
    pen: Pen,
    chance: Chance,
    lease: Duration,
}

impl Actor {
    fn from_environment() -> Self {
        let text = |name: &str| std::env::var(name).unwrap();
        let place = PathBuf::from(text(PLACE));
        Self {
            spool: Spool::open(&place.join("spool")).unwrap(),
            stop: place.join("stop"),
            pen: Pen::new(&PathBuf::from(text(HISTORY))),
            chance: Chance::new(text(SEED).parse().unwrap()),
            lease: Duration::from_millis(text(LEASE).parse().unwrap()),
        }
    }

    fn goes_on(&self) -> bool {
        !self.stop.exists()
    }

    /// Time for others; nothing depends on how long it is.
    fn rest(&mut self, most: u64) {
        std::thread::sleep(Duration::from_millis(1 + self.chance.below(most)));
    }

    /// Does one thing and writes down both what it asks and what it is answered.
    fn does<T>(
        &mut self,
        kind: &str,
        asked: &str,
        act: impl FnOnce(&Spool) -> Result<T>,
        answer: impl FnOnce(&T) -> String,
    ) -> Option<T> {
        self.pen.begin(kind, asked);
        let done = act(&self.spool);
        let text = match &done {
            Ok(value) => answer(value),
            Err(error) if error.kind == Kind::No => "no".to_owned(),
            Err(error) if error.kind == Kind::Again => format!("error: {error}"),
            Err(error) => format!("wrong: {error}"),
        };
        self.pen.end(&text.replace('\n', " "));
        done.ok()
    }

    /// Asks for all of its share, a few at a time, some of them again.
    fn enqueues(&mut self, first: usize, last: usize) {
        let mut next = first;
        while next < last {
            let count = 1 + self.chance.below(12) as usize;
            let mut numbers: Vec<usize> = (next..last.min(next + count)).collect();
            next += numbers.len();
            if self.chance.once_in(4) {
                numbers.push(first + self.chance.below((next - first) as u64) as usize);
            }
            let asks: Vec<Ask> = numbers.into_iter().map(|n| self.wish(n)).collect();
            let asked: Vec<String> = asks.iter().map(|ask| ask.item.to_string()).collect();
            let act = |spool: &Spool| queue::enqueue(spool, &asks, &Clock::system(), lock::PATIENCE);
            let id = |answer: &Answer| answer.ticket().map_or("-".to_owned(), |name| name.id.to_string());
            let words = |answers: &Vec<Answer>| answers.iter().map(id).collect::<Vec<String>>().join(" ");
            self.does("enqueue", &asked.join(" "), act, words);
            while list::waiting(&self.spool).unwrap().len() > CROWD {
                self.rest(20);
            }
        }
    }

    /// The `n`th thing there is to ask for; three versions of each package, so that some take others' places.
    fn wish(&mut self, n: usize) -> Ask {
        let priority =
            [Priority::Urgent, Priority::Push, Priority::Background][self.chance.below(3) as usize];
        Ask { priority, ..ask(&format!("p{}-{}-1-x86_64", n / 3, n % 3 + 1), "abcd") }
    }

    fn claims(&mut self, builder: &str, count: usize) -> Vec<Claim> {
        let instance = Instance::random().unwrap();
        let archs = vec!["x86_64".parse().unwrap()];
        let request =
            Request { builder: builder.parse().unwrap(), instance, archs, count, choice: Default::default() };
        let act = |spool: &Spool| claim::take(spool, &request, &Clock::system());
        let word = |claimed: &claim::Claimed| claimed.claim.to_string();
        let words = |all: &Vec<claim::Claimed>| all.iter().map(word).collect::<Vec<String>>().join(" ");
        let claimed = self.does("claim", &format!("{builder} {}", request.instance), act, words);
        claimed.unwrap_or_default().into_iter().map(|claimed| claimed.claim).collect()
    }

    fn beats(&mut self, claim: &Claim) {
        let act = |spool: &Spool| lease::beat(spool, claim, None, &LimitSection::default());
        let word = |beat: &Beat| if *beat == Beat::GoOn { "yes" } else { "no" }.to_owned();
        self.does("beat", &claim.to_string(), act, word);
    }

    fn reports(&mut self, claim: &Claim, outcome: Outcome) {
        let ending = Ending {
            outcome,
            stage: None,
            reason: String::new(),
            exit: None,
            host: String::new(),
            log: None,
            files: Vec::new(),
        };
        let act = |spool: &Spool| report::end(spool, claim, &ending, &trouble(), &Clock::system());
        self.does("report", &format!("{claim} {outcome}"), act, |()| "yes".to_owned());
    }

    /// Claims, builds for a moment, reports; sometimes twice, sometimes otherwise the second time.
    fn builds(&mut self, name: &str) {
        while self.goes_on() {
            let count = 1 + self.chance.below(3) as usize;
            let claims = self.claims(name, count);
            if claims.is_empty() {
                self.rest(20);
            }
            for claim in claims {
                if self.chance.once_in(3) {
                    self.rest(5);
                    self.beats(&claim);
                }
                let outcome = [Outcome::Built, Outcome::Built, Outcome::Failed, Outcome::Trouble];
                let outcome = outcome[self.chance.below(4) as usize];
                self.reports(&claim, outcome);
                if self.chance.once_in(6) {
                    let again = if self.chance.once_in(2) { outcome } else { Outcome::Built };
                    self.reports(&claim, again);
                }
            }
        }
    }

    /// Claims and is not heard of until somebody has taken it back; then reports all the same.
    fn sleeps(&mut self, name: &str) {
        while self.goes_on() {
            let claims = self.claims(name, 2);
            for claim in &claims {
                while claim.entry(&self.spool).unwrap().is_some() && self.goes_on() {
                    self.rest(20);
                }
                let outcome = if self.chance.once_in(3) { Outcome::Trouble } else { Outcome::Built };
                self.reports(claim, outcome);
            }
            self.rest(40);
        }
    }

    fn reaps(&mut self) {
        let lease = self.lease;
        while self.goes_on() {
            let act = |spool: &Spool| lease::reclaim(spool, lease, &trouble(), &Clock::system());
            // A ticket that came back has the epoch of the claim it was taken from.
            let word = |entry: &list::Entry| format!("{}/{}", entry.name.id, entry.name.epoch);
            let words = |all: &Vec<list::Entry>| all.iter().map(word).collect::<Vec<String>>().join(" ");
            self.does("reclaim", "", act, words);
            self.rest(30);
        }
    }

    /// Ends one of what waits or is being built, now and then.
    fn aborts(&mut self) {
        while self.goes_on() {
            self.rest(60);
            let mut there = list::waiting(&self.spool).unwrap();
            there.extend(list::building(&self.spool).unwrap());
            if there.is_empty() {
                continue;
            }
            let id = there[self.chance.below(there.len() as u64) as usize].name.id.to_string();
            let act = |spool: &Spool| abort::abort(spool, &id, "torture", "", &Clock::system());
            self.does("abort", &id, act, |_| "yes".to_owned());
        }
    }
}

/// What is asked for by `item` at `revision`, and nothing else is said.
pub fn ask(item: &str, revision: &str) -> Ask {
    Ask {
        tree: "current".parse().unwrap(),
        item: item.parse().unwrap(),
        revision: revision.parse().unwrap(),
        path: "a/PKGBUILD".to_owned(),
        priority: Priority::Push,
        by: "torture".to_owned(),
        reason: String::new(),
        maintainer: None,
        batch: None,
        packages: Vec::new(),
        depends: [].into(),
        exact: true,
        force: false,
        spare_aborted: false,
        published: false,
    }
}

/// Trouble comes back at once, and ends a ticket at its fifth claim.
fn trouble() -> TroubleSection {
    TroubleSection { rest: Span(Duration::ZERO), in_a_row: 0, failures: 0, ..TroubleSection::default() }
}

/// Not a test by itself: what the processes of a race run.
#[test]
#[ignore = "begun by a race"]
fn plays_its_part() {
    let Ok(part) = std::env::var(PART) else { return };
    let mut actor = Actor::from_environment();
    match part.parse().unwrap() {
        Part::Enqueuer { first, last } => actor.enqueues(first, last),
        Part::Builder { name } => actor.builds(&name),
        Part::Zombie { name } => actor.sleeps(&name),
        Part::Reaper => actor.reaps(),
        Part::Aborter => actor.aborts(),
    }
}
