//! The rules of the farm, without a disk: what becomes of a ticket (product.md, "Life of a ticket"). Whoever wants to know
//! how syncpkg behaves reads this page; the spool is held to it, step by step.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use syncpkg::names::{Arch, Builder, Id, Instance, Item, Name, Outcome, Priority, Revision, State, Word};
use syncpkg::spool::Claim;
use syncpkg::spool::claim::Request;
use syncpkg::spool::queue::Ask;

/// How often a ticket is given out before the farm gives up.
const CLAIMS: u32 = 5;

/// How long a ticket rests after its first trouble, seconds; three times as long after each further one.
const REST: i64 = 60;

/// How long a builder may be silent.
pub const LEASE: SignedDuration = SignedDuration::from_mins(10);

#[derive(Debug, Clone)]
pub struct Ticket {
    pub id: Id,
    pub item: Item,
    pub revision: Revision,
    pub priority: Priority,
    /// How often it was claimed.
    pub epoch: u32,
    pub state: State,
    /// Who builds it, and for which of his requests he got it.
    pub holder: Option<(Builder, Instance)>,
    /// After trouble: not before that time.
    pub rests: Option<Timestamp>,
    pub depends: Vec<Name>,
    pub batch: Option<Word>,
    /// By epoch: who had trouble, and whether he said so himself (else his lease ended).
    pub troubles: BTreeMap<u32, (Builder, bool)>,
    /// It is built and its packages are not published yet.
    pub held: bool,
    /// How many signs of life its builder gave.
    beats: u32,
}

/// What must become of a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    Made(Priority),
    There(Id, Priority),
    /// One that is being built, whichever: of one version several revisions may be.
    Builds,
    Refused,
}

/// Whether a waiting ticket may be given to a builder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It needs nothing that is unfinished.
    Free,
    /// It is the oldest of those that wait for each other in a circle: it is free once somebody has noticed.
    Oldest,
    /// It waits for something.
    Blocked,
}

#[derive(Debug, Default)]
pub struct Model {
    pub tickets: BTreeMap<Id, Ticket>,
    pub builders: BTreeSet<Builder>,
    pub paused_builders: BTreeSet<Builder>,
    pub paused: bool,
    pub published: BTreeSet<Item>,
    /// What the last reaping saw: by claim, the beats heard so far, and when there first were so many.
    seen: BTreeMap<(Id, u32), (u32, Timestamp)>,
}

impl Ticket {
    fn is_package(&self, item: &Item) -> bool {
        (&self.item.name, &self.item.arch) == (&item.name, &item.arch)
    }

    pub fn is_unfinished(&self) -> bool {
        self.is_open() || self.held
    }

    /// Without a change of its recipe to ask for, the version counts, not the revision.
    pub fn is_asked_for(&self, ask: &Ask) -> bool {
        self.item == ask.item && (!ask.exact || self.revision == ask.revision)
    }

    /// It waits or is being built.
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Waiting | State::Building)
    }

    fn is_held_by(&self, claim: &Claim) -> bool {
        self.epoch == claim.epoch
            && self.holder.as_ref() == Some(&(claim.builder.clone(), claim.instance.clone()))
    }

    fn had_trouble_with(&self, builder: &Builder) -> bool {
        self.troubles.get(&self.epoch).is_some_and(|(who, _)| who == builder)
    }
}

fn fits(one: &Arch, other: &Arch) -> bool {
    one == other || one.is_any() || other.is_any()
}

impl Model {
    // Asking.

    /// What waits or builds already is that ticket, perhaps more urgent now; what failed or is published needs force.
    pub fn verdict(&self, ask: &Ask) -> Verdict {
        let package = || self.tickets.values().filter(|ticket| ticket.is_package(&ask.item));
        let same = |ticket: &&Ticket| ticket.is_asked_for(ask);
        let standing = |state| package().filter(same).find(|ticket| ticket.state == state);
        if let Some(waits) = standing(State::Waiting) {
            return Verdict::There(waits.id, waits.priority.min(ask.priority));
        }
        if standing(State::Building).is_some() {
            return Verdict::Builds;
        }
        let refused = match package().rfind(same).map(|last| last.state) {
            _ if ask.published => true,
            Some(State::Built | State::Failed) => true,
            Some(State::Aborted) => ask.spare_aborted,
            Some(State::Waiting | State::Building | State::Superseded | State::Trouble) | None => false,
        };
        if refused && !ask.force {
            return Verdict::Refused;
        }
        let before =
            package().filter(|ticket| ticket.state == State::Waiting).map(|ticket| ticket.priority).min();
        Verdict::Made(before.map_or(ask.priority, |before| before.min(ask.priority)))
    }

    /// A new ticket takes the place of whatever of its package waits.
    pub fn make(&mut self, id: Id, ask: &Ask, priority: Priority) {
        self.supersede(&ask.item, 0);
        let ticket = Ticket {
            id,
            item: ask.item.clone(),
            revision: ask.revision.clone(),
            priority,
            epoch: 0,
            state: State::Waiting,
            holder: None,
            rests: None,
            depends: ask.depends.to_vec(),
            batch: ask.batch.clone(),
            troubles: BTreeMap::new(),
            held: false,
            beats: 0,
        };
        self.tickets.insert(id, ticket);
    }

    /// The last that was asked of this package.
    pub fn newest(&self, item: &Item) -> Option<Id> {
        self.tickets.values().rfind(|ticket| ticket.is_package(item)).map(|ticket| ticket.id)
    }

    // Claiming.

    /// What the builder holds for this very request.
    pub fn repeated(&self, request: &Request) -> Vec<Id> {
        let holder = Some((request.builder.clone(), request.instance.clone()));
        self.tickets.values().filter(|ticket| ticket.holder == holder).map(|ticket| ticket.id).collect()
    }

    pub fn is_paused(&self, builder: &Builder) -> bool {
        self.paused || self.paused_builders.contains(builder)
    }

    /// What a builder may be given, in order: better priority first, then older; last what it had trouble with.
    pub fn candidates(&self, request: &Request, now: Timestamp) -> Vec<Id> {
        let mine = |arch: &Arch| arch.is_any() || request.archs.contains(arch);
        let rested = |ticket: &Ticket| ticket.rests.is_none_or(|until| until <= now);
        let fit =
            |ticket: &&Ticket| ticket.state == State::Waiting && mine(&ticket.item.arch) && rested(ticket);
        let mut tickets: Vec<&Ticket> = self.tickets.values().filter(fit).collect();
        tickets.sort_by_key(|ticket| (ticket.had_trouble_with(&request.builder), ticket.priority, ticket.id));
        tickets.into_iter().map(|ticket| ticket.id).collect()
    }

    pub fn claim(&mut self, id: &Id, request: &Request) {
        let Some(ticket) = self.tickets.get_mut(id) else { return };
        ticket.epoch += 1;
        ticket.state = State::Building;
        ticket.holder = Some((request.builder.clone(), request.instance.clone()));
        ticket.rests = None;
        ticket.beats = 0;
    }

    // Waiting for others.

    /// A ticket waits until what it needs is published; those of a batch, when one of it failed, until somebody acts.
    pub fn turn(&self, ticket: &Ticket) -> Turn {
        let mut turn = Turn::Free;
        for needed in ticket.depends.iter().filter(|needed| **needed != ticket.item.name) {
            if self.unfinished(needed, &ticket.item.arch).next().is_none() {
                if self.has_failed_for(ticket, needed) {
                    return Turn::Blocked;
                }
            } else if self.is_oldest_of_circle(ticket, needed) {
                turn = Turn::Oldest;
            } else {
                return Turn::Blocked;
            }
        }
        turn
    }

    fn unfinished(&self, name: &Name, arch: &Arch) -> impl Iterator<Item = &Ticket> {
        let wanted = move |ticket: &&Ticket| ticket.item.name == *name && fits(&ticket.item.arch, arch);
        self.tickets.values().filter(move |ticket| ticket.is_unfinished() && wanted(ticket))
    }

    pub fn has_failed_for(&self, ticket: &Ticket, needed: &Name) -> bool {
        let ended = |other: &&Ticket| !other.is_open() && other.item.name == *needed;
        let mut ended = self.tickets.values().filter(ended);
        let last = ended.rfind(|other| other.item.arch == ticket.item.arch || other.item.arch.is_any());
        ticket.batch.is_some()
            && last.is_some_and(|last| last.state == State::Failed && last.batch == ticket.batch)
    }

    /// What it needs waits, over others that are all younger, for itself. (Which of several circles is noticed first is
    /// left open here.)
    fn is_oldest_of_circle(&self, ticket: &Ticket, needed: &Name) -> bool {
        let mut to_visit = vec![(needed, &ticket.item.arch)];
        let mut visited = BTreeSet::new();
        while let Some((name, arch)) = to_visit.pop() {
            for other in self.unfinished(name, arch).filter(|other| other.state == State::Waiting) {
                if other.id == ticket.id {
                    return true;
                }
                if other.id > ticket.id && visited.insert(other.id) {
                    to_visit.extend(other.depends.iter().map(|name| (name, &other.item.arch)));
                }
            }
        }
        false
    }

    // Building.

    pub fn beat(&mut self, claim: &Claim) -> bool {
        let ticket = self.tickets.get_mut(&claim.id).filter(|ticket| ticket.is_held_by(claim));
        ticket.map(|ticket| ticket.beats += 1).is_some()
    }

    /// Tells whether a report is accepted: of the holder; of who lost it, while nobody else had it; or repeated.
    pub fn report(&mut self, claim: &Claim, outcome: Outcome, now: Timestamp) -> bool {
        let Some(ticket) = self.tickets.get_mut(&claim.id) else { return false };
        let same_epoch = ticket.epoch == claim.epoch;
        let came_back = ticket.state == State::Waiting && ticket.rests.is_none() && same_epoch;
        if !ticket.is_held_by(claim) && !came_back {
            let said = (claim.builder.clone(), true);
            let rests = same_epoch && ticket.rests.is_some();
            let again = rests || ticket.troubles.get(&claim.epoch) == Some(&said);
            return again && outcome == Outcome::Trouble || same_epoch && ticket.state == outcome.into();
        }
        if outcome == Outcome::Trouble {
            let earlier = ticket.troubles.range(..ticket.epoch).count();
            // What the farm has noted of a lost lease stands: that the builder said so too is forgotten when the ticket
            // goes on, and a repeat refused then.
            ticket.troubles.entry(ticket.epoch).or_insert((claim.builder.clone(), true));
            let rest = REST * 3_i64.pow(u32::try_from(earlier).unwrap_or(u32::MAX));
            self.come_back(&claim.id, Some(now + SignedDuration::from_secs(rest)));
        } else {
            ticket.held = outcome == Outcome::Built;
            self.end(&claim.id, outcome.into());
        }
        true
    }

    pub fn end(&mut self, id: &Id, state: State) {
        let Some(ticket) = self.tickets.get_mut(id) else { return };
        ticket.state = state;
        ticket.holder = None;
        ticket.rests = None;
    }

    /// A ticket waits again, to the second, if it has claims left; of those of one package only the newest waits.
    fn come_back(&mut self, id: &Id, rests: Option<Timestamp>) {
        let Some(ticket) = self.tickets.get_mut(id) else { return };
        if rests.is_some() && ticket.epoch >= CLAIMS {
            return self.end(id, State::Trouble);
        }
        ticket.state = State::Waiting;
        ticket.holder = None;
        ticket.rests = rests.and_then(|until| Timestamp::from_second(until.as_second()).ok());
        let item = ticket.item.clone();
        self.supersede(&item, 1);
    }

    /// Ends what waits of a package, but for the newest `keep`.
    fn supersede(&mut self, item: &Item, keep: usize) {
        let waits = |ticket: &&Ticket| ticket.is_package(item) && ticket.state == State::Waiting;
        let waiting = self.tickets.values().rev().filter(waits).skip(keep);
        let ids: Vec<Id> = waiting.map(|ticket| ticket.id).collect();
        ids.iter().for_each(|id| self.end(id, State::Superseded));
    }

    /// Who is not heard of for a lease loses what he holds; it waits again and need not rest.
    pub fn reclaim(&mut self, now: Timestamp) -> Vec<Id> {
        let building = self.tickets.values().filter(|ticket| ticket.state == State::Building);
        let heard: Vec<_> = building.map(|ticket| (ticket.id, ticket.epoch, ticket.beats)).collect();
        let before = std::mem::take(&mut self.seen);
        let mut lost = Vec::new();
        for (id, epoch, beats) in heard {
            match before.get(&(id, epoch)).filter(|(old, _)| *old == beats) {
                Some((_, first)) if now.duration_since(*first) >= LEASE => lost.push(id),
                same => {
                    let first = same.map_or(now, |(_, first)| now.min(*first));
                    self.seen.insert((id, epoch), (beats, first));
                }
            }
        }
        lost.iter().for_each(|id| self.lose(id));
        lost
    }

    fn lose(&mut self, id: &Id) {
        let Some(ticket) = self.tickets.get_mut(id) else { return };
        let Some((builder, _)) = ticket.holder.clone() else { return };
        ticket.troubles.insert(ticket.epoch, (builder, false));
        if ticket.epoch >= CLAIMS { self.end(id, State::Trouble) } else { self.come_back(id, None) }
    }

    /// Everything a builder holds waits again.
    pub fn release(&mut self, builder: &Builder) -> usize {
        let held = self.held_by(builder);
        held.iter().for_each(|id| self.come_back(id, None));
        held.len()
    }

    pub fn held_by(&self, builder: &Builder) -> Vec<Id> {
        let held = |ticket: &&Ticket| ticket.holder.as_ref().is_some_and(|(who, _)| who == builder);
        self.tickets.values().filter(held).map(|ticket| ticket.id).collect()
    }

    /// Nobody remembers any more who was silent since when: everybody gets a whole lease again.
    pub fn forget_leases(&mut self) {
        self.seen.clear();
    }
}
