//! A spool and its model, taken through the same steps.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Debug};
use std::fs;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use syncpkg::base::{Clock, Result as Answered, error::Kind};
use syncpkg::config::{LimitSection, TroubleSection};
use syncpkg::names::{Arch, Builder, Id, Name, Outcome, State};
use syncpkg::spool::claim::{self, Claimed, Request};
use syncpkg::spool::lease::{self, Beat};
use syncpkg::spool::queue::{self, Answer, Ask};
use syncpkg::spool::report::{self, Ending};
use syncpkg::spool::waiting::{self, Queue};
use syncpkg::spool::{Claim, Entry, Spool, Stand, abort, builder, check, list};

use crate::acts::{Act, By, Order, Step, Wish};
use crate::model::{LEASE, Model, Ticket, Turn, Verdict};

/// What is said when the two part.
type Check = Result<(), String>;

/// How much was tried, by kind.
#[derive(Debug, Default)]
pub struct Tally(BTreeMap<String, usize>);

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} steps", self.0.values().sum::<usize>())?;
        self.0.iter().try_for_each(|(kind, count)| write!(f, ", {count} {kind}"))
    }
}

pub struct Pair<'a> {
    place: tempfile::TempDir,
    spool: Spool,
    model: Model,
    now: Timestamp,
    /// Every request to claim that was made, and every claim that was given.
    requests: Vec<Request>,
    claims: Vec<Claim>,
    tally: &'a RefCell<Tally>,
}

fn same<T: PartialEq + Debug>(what: &str, spool: T, model: T) -> Check {
    if spool == model { Ok(()) } else { Err(format!("{what}: spool {spool:?}, model {model:?}")) }
}

/// A "no" is an answer; anything else must not happen here.
fn answer<T>(what: &str, answered: Answered<T>) -> Result<Option<T>, String> {
    match answered {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind == Kind::No => Ok(None),
        Err(error) => Err(format!("{what}: {error}")),
    }
}

fn builder_called(number: u8) -> Builder {
    format!("b{number}").parse().unwrap()
}

fn name(number: u8) -> Name {
    format!("p{number}").parse().unwrap()
}

fn chosen<T: Clone>(from: &[T], which: usize) -> Option<T> {
    from.get(which.checked_rem(from.len())?).cloned()
}

impl<'a> Pair<'a> {
    pub fn new(tally: &'a RefCell<Tally>) -> Self {
        // In memory where there is such a place: thousands of spools are made, and no power fails here.
        let place = tempfile::tempdir_in(syncpkg::tree::roomy(std::env::temp_dir())).unwrap();
        let spool = Spool::create(&place.path().join("spool")).unwrap();
        let now = "2026-11-22T12:00:00Z".parse().unwrap();
        let (requests, claims) = (Vec::new(), Vec::new());
        Self { place, spool, model: Model::default(), now, requests, claims, tally }
    }

    fn clock(&self) -> Clock {
        Clock::fixed(self.now)
    }

    fn later(&mut self, time: SignedDuration) {
        self.now += time;
    }

    /// Takes both through one step and compares them.
    pub fn step(&mut self, (act, twice): &Step) -> Check {
        for _ in 0..=usize::from(*twice) {
            self.later(SignedDuration::from_millis(10));
            self.act(act).and_then(|()| self.compare()).map_err(|parted| format!("{act:?}: {parted}"))?;
        }
        Ok(())
    }

    fn act(&mut self, act: &Act) -> Check {
        let kind = format!("{act:?}");
        let kind = kind.split(' ').next().unwrap_or_default().to_lowercase();
        *self.tally.borrow_mut().0.entry(kind).or_default() += 1;
        match act {
            Act::Ask { .. } => self.ask(act),
            Act::Claim { builder, archs, count } => self.claim_anew(*builder, archs, *count),
            Act::ClaimAsBefore { which } => match chosen(&self.requests, *which) {
                Some(request) => self.claim(&request),
                None => Ok(()),
            },
            Act::Beat { which } => self.of_a_claim(*which, Self::beat),
            Act::Report { which, outcome } => {
                self.of_a_claim(*which, |pair, claim| pair.report(claim, *outcome))
            }
            Act::Abort { which, by } => self.abort(*which, *by),
            Act::Publish { which } => self.publish_one(*which),
            Act::Builder { builder, order } => self.order(&builder_called(*builder), *order),
            Act::Pause => self.pause(),
            Act::Reclaim => self.reclaim(),
            Act::LoseLeases { heard } => self.lose_leases(*heard),
            Act::Unlucky { builder } => self.unlucky(*builder),
            Act::Later { seconds } => {
                self.later(SignedDuration::from_secs(*seconds));
                Ok(())
            }
            Act::Round => answer("round", waiting::wake_all(&self.spool, 1000)).map(drop),
            Act::DeleteCache => self.delete_cache(),
            Act::Check => self.check(true),
            Act::Restart => {
                self.spool = Spool::open(self.spool.root()).unwrap();
                Ok(())
            }
        }
    }

    // Asking.

    fn ask(&mut self, act: &Act) -> Check {
        let Act::Ask { items, priority, batch, force, spare_aborted } = act else { return Ok(()) };
        let asks: Vec<Ask> = items
            .iter()
            .map(|wish| Ask {
                priority: *priority,
                batch: batch.map(|batch| format!("batch{batch}").parse().unwrap()),
                force: *force,
                spare_aborted: *spare_aborted,
                ..self.request(wish)
            })
            .collect();
        let answers = queue::enqueue(&self.spool, &asks, &self.clock(), Duration::ZERO).unwrap();
        asks.iter().zip(&answers).try_for_each(|(ask, answer)| self.asked(ask, answer))
    }

    fn request(&self, wish: &Wish) -> Ask {
        let item = format!("p{}-{}-1-{}", wish.name, wish.version, wish.arch).parse().unwrap();
        Ask {
            tree: "current".parse().unwrap(),
            published: self.model.published.contains(&item),
            item,
            revision: format!("{:04x}", wish.revision).parse().unwrap(),
            path: format!("p{}/PKGBUILD", wish.name),
            priority: syncpkg::names::Priority::Push,
            by: "ann".to_owned(),
            reason: String::new(),
            maintainer: None,
            batch: None,
            packages: vec![name(wish.name)],
            depends: wish.depends.iter().map(|number| name(*number)).collect(),
            exact: wish.exact,
            force: false,
            spare_aborted: false,
        }
    }

    fn asked(&mut self, ask: &Ask, answer: &Answer) -> Check {
        let said = match answer {
            Answer::Made(made) => Verdict::Made(made.priority),
            Answer::There(there) => match &self.model.tickets[&there.id] {
                builds if builds.state == State::Building && builds.is_asked_for(ask) => Verdict::Builds,
                _ => Verdict::There(there.id, there.priority),
            },
            Answer::Refused(_) => Verdict::Refused,
        };
        let verdict = self.model.verdict(ask);
        same(&format!("asked for {}", ask.item), &said, &verdict)?;
        if let Answer::Made(made) = answer {
            let newest = self.model.newest(&ask.item);
            same("what is asked for later is newer", newest.is_none_or(|newest| newest < made.id), true)?;
            self.model.make(made.id, ask, made.priority);
        }
        if let Verdict::There(id, priority) = verdict {
            self.model.tickets.get_mut(&id).unwrap().priority = priority;
        }
        Ok(())
    }

    // Claiming.

    fn claim_anew(&mut self, builder: u8, archs: &[&str], count: usize) -> Check {
        let archs: Vec<Arch> = archs.iter().map(|arch| arch.parse().unwrap()).collect();
        let instance = format!("i{}", self.requests.len()).parse().unwrap();
        let request =
            Request { builder: builder_called(builder), instance, archs, count, choice: Default::default() };
        self.requests.push(request.clone());
        self.claim(&request)?;
        // The answer was lost.
        self.claim(&request)
    }

    fn claim(&mut self, request: &Request) -> Check {
        let taken = answer("claim", claim::take(&self.spool, request, &self.clock()))?.unwrap_or_default();
        self.model.builders.insert(request.builder.clone());
        let ids: Vec<Id> = taken.iter().map(|taken| taken.entry.name.id).collect();
        let held = self.model.repeated(request);
        if held.is_empty() {
            self.given(request, &ids)?;
        } else {
            same("asked again", ids.iter().collect::<BTreeSet<_>>(), held.iter().collect())?;
        }
        taken.iter().try_for_each(|taken| self.remember(taken))
    }

    /// Each ticket in its turn, and none left out that is free.
    fn given(&mut self, request: &Request, ids: &[Id]) -> Check {
        let mut given = ids.iter().peekable();
        let count = if self.model.is_paused(&request.builder) { 0 } else { request.count };
        let mut left = count;
        for id in self.model.candidates(request, self.now) {
            let ticket = &self.model.tickets[&id];
            let turn = self.model.turn(ticket);
            if left > 0 && given.next_if(|next| **next == id).is_some() {
                same(&format!("{} waits for something", ticket.item), turn == Turn::Blocked, false)?;
                self.model.claim(&id, request);
                left -= 1;
            } else if left > 0 {
                same(&format!("{} was left out", ticket.item), turn == Turn::Free, false)?;
            }
        }
        same("claimed out of turn", given.next(), None)
    }

    fn remember(&mut self, taken: &Claimed) -> Check {
        let ticket = &self.model.tickets[&taken.claim.id];
        same("epoch", taken.claim.epoch, ticket.epoch)?;
        same("revision", &taken.ticket.revision, &ticket.revision)?;
        if !self.claims.contains(&taken.claim) {
            self.claims.push(taken.claim.clone());
        }
        Ok(())
    }

    // Building.

    fn of_a_claim(&mut self, which: usize, act: impl FnOnce(&mut Self, &Claim) -> Check) -> Check {
        // The younger ones more often: the older have mostly ended.
        let recent: Vec<Claim> = self.claims.iter().rev().take(6).cloned().collect();
        match chosen(&recent, which) {
            Some(claim) => act(self, &claim),
            None => Ok(()),
        }
    }

    fn beat(&mut self, claim: &Claim) -> Check {
        let beat = lease::beat(&self.spool, claim, None, &LimitSection::default()).unwrap();
        same("goes on", beat == Beat::GoOn, self.model.beat(claim))
    }

    fn report(&mut self, claim: &Claim, outcome: Outcome) -> Check {
        let file = self.place.path().join("package.pkg.tar.gz");
        fs::write(&file, claim.to_string()).unwrap();
        let files = if outcome == Outcome::Built { vec![file] } else { Vec::new() };
        let (stage, exit, log) = (None, None, None);
        let (reason, host) = (String::new(), String::new());
        let ending = Ending { outcome, stage, reason, exit, host, log, files };
        let ended = report::end(&self.spool, claim, &ending, &rules(), &self.clock());
        let accepted = self.model.report(claim, outcome, self.now);
        same("report accepted", answer("report", ended)?.is_some(), accepted)
    }

    fn reclaim(&mut self) -> Check {
        let lease = Duration::try_from(LEASE).unwrap();
        let lost = lease::reclaim(&self.spool, lease, &rules(), &self.clock()).unwrap();
        let lost: BTreeSet<Id> = lost.iter().map(|entry| entry.name.id).collect();
        same("lost leases", lost, self.model.reclaim(self.now).into_iter().collect())
    }

    fn lose_leases(&mut self, heard: bool) -> Check {
        self.reclaim()?;
        self.later(LEASE);
        if heard {
            self.of_a_claim(0, Self::beat)?;
        }
        self.reclaim()
    }

    fn unlucky(&mut self, builder: u8) -> Check {
        for _ in 0..5 {
            self.claim_anew(builder, &["x86_64"], 1)?;
            self.of_a_claim(0, |pair, claim| pair.report(claim, Outcome::Trouble))?;
            self.later(SignedDuration::from_hours(2));
        }
        Ok(())
    }

    // People.

    fn abort(&mut self, which: usize, by: By) -> Check {
        let ids: Vec<Id> = self.model.tickets.keys().copied().collect();
        let Some(ticket) = chosen(&ids, which).map(|id| self.model.tickets[&id].clone()) else {
            return Ok(());
        };
        let meant = |other: &&Ticket| match by {
            By::Id => other.id == ticket.id,
            By::Name => other.item.name == ticket.item.name,
            By::Item => other.item == ticket.item,
        };
        let text = match by {
            By::Id => ticket.id.to_string(),
            By::Name => ticket.item.name.to_string(),
            By::Item => ticket.item.to_string(),
        };
        let open = self.model.tickets.values().filter(meant).filter(|ticket| ticket.is_open());
        let open: BTreeSet<Id> = open.map(|ticket| ticket.id).collect();
        let ended = answer("abort", abort::abort(&self.spool, &text, "ann", "", &self.clock()))?;
        let ended: BTreeSet<Id> = ended.iter().flatten().map(|entry| entry.name.id).collect();
        open.iter().for_each(|id| self.model.end(id, State::Aborted));
        same("aborted", ended, open)
    }

    fn order(&mut self, name: &Builder, order: Order) -> Check {
        let (spool, model) = (&self.spool, &mut self.model);
        let known = model.builders.contains(name);
        let done = match order {
            Order::Pause => answer("pause", builder::pause(spool, name))?.map(|()| 0),
            Order::Resume => answer("resume", builder::resume(spool, name))?.map(|_| 0),
            Order::Release => answer("release", builder::release(spool, name, &Clock::fixed(self.now)))?,
            Order::Forget => answer("forget", builder::forget(spool, name))?.map(|()| 0),
        };
        let must = match order {
            Order::Pause | Order::Resume | Order::Release | Order::Forget if !known => None,
            Order::Pause => Some(model.paused_builders.insert(name.clone())).and(Some(0)),
            Order::Resume => Some(model.paused_builders.remove(name)).and(Some(0)),
            Order::Release => Some(model.release(name)),
            Order::Forget if model.held_by(name).is_empty() => {
                model.paused_builders.remove(name);
                Some(model.builders.remove(name)).and(Some(0))
            }
            Order::Forget => None,
        };
        same("the order to the builder", done, must)
    }

    fn pause(&mut self) -> Check {
        let file = self.spool.at("pause");
        self.model.paused = !self.model.paused;
        if self.model.paused {
            fs::write(file, "").unwrap()
        } else {
            fs::remove_file(file).unwrap()
        }
        Ok(())
    }

    // The master.

    fn held(&self) -> Vec<Id> {
        self.model.tickets.values().filter(|ticket| ticket.held).map(|ticket| ticket.id).collect()
    }

    fn publish_one(&mut self, which: usize) -> Check {
        chosen(&self.held(), which).map_or(Ok(()), |id| self.publish(&id))
    }

    /// What publishing does to the spool; that it copies the files is tried elsewhere.
    fn publish(&mut self, id: &Id) -> Check {
        let entry = list::find(&self.spool, id).unwrap().ok_or("a built ticket is not found")?;
        fs::remove_dir_all(self.spool.hold(id, entry.name.epoch))
            .map_err(|error| format!("hold: {error}"))?;
        waiting::settle(&self.spool, &entry).unwrap();
        let ticket = self.model.tickets.get_mut(id).unwrap();
        ticket.held = false;
        self.model.published.insert(ticket.item.clone());
        Ok(())
    }

    fn delete_cache(&mut self) -> Check {
        for name in list::names(&self.spool.at("cache")).unwrap() {
            let path = self.spool.at("cache").join(name);
            if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
        }
        self.model.forget_leases();
        Ok(())
    }

    fn check(&self, repair: bool) -> Check {
        same("check", check::check(&self.spool, repair, &self.clock()).unwrap(), Vec::new())
    }

    // Comparing.

    fn compare(&self) -> Check {
        let there = list::all(&self.spool).unwrap();
        let spool: BTreeMap<Id, _> = there.iter().map(|entry| (entry.name.id, self.facts(entry))).collect();
        let model: BTreeMap<Id, _> =
            self.model.tickets.values().map(|ticket| (ticket.id, facts_of(ticket))).collect();
        for id in spool.keys().chain(model.keys()) {
            same(&format!("ticket {id}"), spool.get(id), model.get(id))?;
        }
        self.compare_turns(&there)?;
        (0..4).try_for_each(|number| self.compare_package(&name(number)))
    }

    fn facts(&self, entry: &Entry) -> String {
        let (name, item) = (&entry.name, &entry.name.item);
        let (priority, epoch) = (name.priority, name.epoch);
        match &name.stand {
            Stand::Waiting(rests) => {
                format!("{item} {priority} {epoch} waiting {:?}", rests.map(|rests| rests.0))
            }
            Stand::Building(hold) => {
                let builder = entry.builder.as_ref().map(ToString::to_string).unwrap_or_default();
                format!("{item} {priority} {epoch} building {builder} {}", hold.instance)
            }
            Stand::Done(outcome) => {
                let held = self.spool.hold(&name.id, epoch).is_dir();
                format!("{item} {priority} {epoch} {outcome} {held}")
            }
        }
    }

    /// What `syncpkg-why` says a ticket waits for.
    fn compare_turns(&self, there: &[Entry]) -> Check {
        let mut queue = Queue::new(&self.spool);
        for entry in there.iter().filter(|entry| entry.state() == State::Waiting) {
            let ticket = &self.model.tickets[&entry.name.id];
            let blocked = queue.blocker(&entry.name, &entry.ticket().unwrap()).unwrap().is_some();
            let turn = self.model.turn(ticket);
            if turn != Turn::Oldest {
                same(&format!("{} is blocked", ticket.item), blocked, turn == Turn::Blocked)?;
            }
        }
        Ok(())
    }

    /// By its package each ticket is found, with and without the index.
    fn compare_package(&self, name: &Name) -> Check {
        let found = list::of_package(&self.spool, None, name, |history| history.all()).unwrap();
        let found: BTreeSet<Id> = found.iter().map(|entry| entry.name.id).collect();
        let known = self.model.tickets.values().filter(|ticket| ticket.item.name == *name);
        same(&format!("tickets of {name}"), found, known.map(|ticket| ticket.id).collect())
    }

    // The end.

    /// Builds and publishes all that can be: nothing is left waiting but what needs something that failed in its batch.
    pub fn drain(&mut self) -> Check {
        if self.model.paused {
            self.pause()?;
        }
        let archs: Vec<Arch> = ["x86_64", "aarch64"].map(|arch| arch.parse().unwrap()).into();
        loop {
            let before = self.model.tickets.values().filter(|ticket| ticket.is_unfinished()).count();
            for _ in 0..2 {
                self.later(SignedDuration::from_hours(48));
                waiting::wake_all(&self.spool, 1000).unwrap();
                let instance = format!("i{}", self.requests.len()).parse().unwrap();
                let request = Request {
                    builder: builder_called(9),
                    instance,
                    archs: archs.clone(),
                    count: 64,
                    choice: Default::default(),
                };
                self.requests.push(request.clone());
                self.claim(&request)?;
            }
            self.build_all()?;
            self.compare()?;
            let after = self.model.tickets.values().filter(|ticket| ticket.is_unfinished()).count();
            if after == before {
                break;
            }
        }
        self.check(false)?;
        self.all_that_waits_does_so_for_a_failure()
    }

    fn build_all(&mut self) -> Check {
        for claim in self.claims.clone() {
            if self.model.tickets[&claim.id].state == State::Building {
                self.report(&claim, Outcome::Built)?;
            }
        }
        self.held().iter().try_for_each(|id| self.publish(id))
    }

    fn all_that_waits_does_so_for_a_failure(&self) -> Check {
        let waiting: Vec<&Ticket> = self.model.tickets.values().filter(|ticket| ticket.is_open()).collect();
        let mut stuck: BTreeSet<&Name> = BTreeSet::new();
        for _ in 0..waiting.len() {
            for ticket in &waiting {
                let mut needed = ticket.depends.iter();
                if needed.any(|needed| stuck.contains(needed) || self.model.has_failed_for(ticket, needed)) {
                    stuck.insert(&ticket.item.name);
                }
            }
        }
        let free = waiting.iter().find(|ticket| !stuck.contains(&ticket.item.name));
        same("left waiting for nothing", free.map(|ticket| &ticket.item), None)
    }
}

fn facts_of(ticket: &Ticket) -> String {
    let (item, priority, epoch) = (&ticket.item, ticket.priority, ticket.epoch);
    match (&ticket.state, &ticket.holder) {
        (State::Waiting, _) => format!("{item} {priority} {epoch} waiting {:?}", ticket.rests),
        (State::Building, Some((builder, instance))) => {
            format!("{item} {priority} {epoch} building {builder} {instance}")
        }
        (state, _) => format!("{item} {priority} {epoch} {state} {}", ticket.held),
    }
}

/// Nobody is set aside: the model knows no builders' luck.
fn rules() -> TroubleSection {
    TroubleSection { in_a_row: 0, failures: 0, ..TroubleSection::default() }
}
