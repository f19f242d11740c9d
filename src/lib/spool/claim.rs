//! Claiming: one rename from `new` to `run` decides who builds.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;

use super::aside::{self, Aside};
use super::listed::Listed;
use super::report::LONGEST_REST;
use super::shelf::InOrder;
use super::waiting::{Parking, Queue};
use super::{Entry, Hold, Spool, Stamp, Stand, Ticket, TicketName, batch, builder, list, queue, waiting};
use crate::base::durable::{self, Shift};
use crate::base::error::{Kind, readable};
use crate::base::watch::Watch;
use crate::base::{Clock, Error, Result, lock};
use crate::names::{Arch, Builder, Id, Instance, Name, Outcome, Revision, Word};

/// How many tickets one request tries to get before it says "nothing": others are quicker each time.
const CANDIDATES: usize = 64;

/// The opaque word a claim is known by: `BUILDER.ID.EPOCH.INSTANCE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Who.
    pub builder: Builder,
    /// Which ticket.
    pub id: Id,
    /// The fencing token.
    pub epoch: u32,
    /// The builder's word for its request.
    pub instance: Instance,
}

impl Claim {
    /// Returns the claim of a ticket in `run`; none for others.
    pub fn of(entry: &Entry) -> Option<Self> {
        let (Stand::Building(hold), Some(builder)) = (&entry.name.stand, &entry.builder) else { return None };
        Some(Self {
            builder: builder.clone(),
            id: entry.name.id,
            epoch: entry.name.epoch,
            instance: hold.instance.clone(),
        })
    }

    /// Returns the ticket this claim holds; none if it is not (any more) in `run`.
    ///
    /// # Errors
    /// A directory that cannot be read.
    pub fn entry(&self, spool: &Spool) -> Result<Option<Entry>> {
        let held = list::building_by(spool, &self.builder)?;
        Ok(held.into_iter().find(|entry| Self::of(entry).as_ref() == Some(self)))
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}.{}", self.builder, self.id, self.epoch, self.instance)
    }
}

impl FromStr for Claim {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let wrong = || Error::wrong(format!("\"{}\" is no claim", crate::base::output::inert(text)));
        let parts: Vec<&str> = text.split('.').collect();
        let [builder, id, epoch, instance] = parts.as_slice() else { return Err(wrong()) };
        let claim = Self {
            builder: builder.parse().map_err(|_| wrong())?,
            id: id.parse().map_err(|_| wrong())?,
            epoch: epoch.parse().map_err(|_| wrong())?,
            instance: instance.parse().map_err(|_| wrong())?,
        };
        // The first claim makes epoch 1; a ticket at epoch 0 is nobody's to report on.
        if claim.epoch > 0 && claim.to_string() == text { Ok(claim) } else { Err(wrong()) }
    }
}

/// What a builder asks for.
#[derive(Debug, Clone)]
pub struct Request {
    /// Who asks.
    pub builder: Builder,
    /// A word made anew for each request, repeated only to repair a lost answer.
    pub instance: Instance,
    /// What it can build; `any` is included.
    pub archs: Vec<Arch>,
    /// How many tickets at the most.
    pub count: usize,
    /// What it does not want of all that.
    pub choice: Choice,
}

/// Packages a builder does not want, or not now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choice {
    /// Left to others.
    pub except: BTreeSet<Name>,
    /// Taken when there is nothing else.
    pub last: BTreeSet<Name>,
}

/// A claimed ticket.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// The word for beats and the report.
    pub claim: Claim,
    /// Where it lies, and its name.
    pub entry: Entry,
    /// What it says.
    pub ticket: Ticket,
    /// What it belongs to: the batch it is held back with, or was asked for with.
    pub batch: Option<Word>,
}

/// How long a waiting claimer goes without looking again, whatever it is told: events may be lost, and what an admin
/// does by hand does not ring.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// Claims as [`take`] does, waiting for work for at most `limit` (none: for ever) or until `stop` says so.
///
/// # Errors
/// As [`take`].
pub fn wait(
    spool: &Spool,
    request: &Request,
    limit: Option<Duration>,
    stop: &dyn Fn() -> bool,
    clock: &Clock,
) -> Result<Vec<Claimed>> {
    let start = Instant::now();
    let mut watch = watch(spool, request)?;
    loop {
        let (answer, rest) = attempt(spool, request, clock);
        let Err(error) = &answer else { return answer };
        let left = limit.map_or(LOOK_AGAIN, |limit| limit.saturating_sub(start.elapsed()));
        if error.kind != Kind::No || left.is_zero() || stop() {
            return answer;
        }
        watch.wait(left.min(LOOK_AGAIN).min(rest))?;
        // Whoever is gone gets nothing: it would be claimed for nobody.
        if stop() {
            return answer;
        }
    }
}

/// Returns a watch on all that can turn "nothing to claim" into something: a bell, or the end of a pause.
///
/// # Errors
/// A failing system call.
pub fn watch(spool: &Spool, request: &Request) -> Result<Watch> {
    let mut watch = Watch::empty().removals(spool.root())?.removals(&spool.at("builder"))?;
    for arch in archs(request)? {
        durable::make_dir(&spool.new_dir(&arch))?;
        watch = watch.bell(&spool.new_dir(&arch))?;
    }
    Ok(watch)
}

fn archs(request: &Request) -> Result<Vec<Arch>> {
    let mut archs = request.archs.clone();
    archs.push("any".parse()?);
    archs.sort_unstable();
    archs.dedup();
    Ok(archs)
}

/// What `syncpkg-claim` prints of one ticket.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// The word for beats and the report.
    pub claim: String,
    /// The ticket as it is listed.
    #[serde(flatten)]
    pub listed: Listed,
    /// Exactly what is to be built.
    pub revision: Revision,
    /// The recipe file, relative to the tree.
    pub path: String,
    /// What it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<Word>,
}

impl Claimed {
    /// Returns what is printed of it.
    pub fn row(&self) -> Row {
        Row {
            claim: self.claim.to_string(),
            listed: Listed::of_claimed(&self.entry, &self.ticket),
            revision: self.ticket.revision.clone(),
            path: self.ticket.path.clone(),
            batch: self.batch.clone(),
        }
    }
}

/// Returns claimed tickets as TOML: one at the top level, or `[[ticket]]` tables.
///
/// # Errors
/// None that can happen with these fields.
pub fn text(rows: &[Row], tables: bool) -> Result<String> {
    #[derive(Serialize)]
    struct Tables<'a> {
        ticket: &'a [Row],
    }
    match rows {
        [row] if !tables => super::record::text(row),
        rows => super::record::text(&Tables { ticket: rows }),
    }
}

/// Claims waiting tickets for a builder, registering it first; a request repeated with its instance gets the
/// same tickets again.
///
/// # Errors
/// `No` when there is nothing it may have, saying why; or a failing system call.
pub fn take(spool: &Spool, request: &Request, clock: &Clock) -> Result<Vec<Claimed>> {
    attempt(spool, request, clock).0
}

/// Claims as [`take`] does; says also after how long some resting ticket may be claimed.
fn attempt(spool: &Spool, request: &Request, clock: &Clock) -> (Result<Vec<Claimed>>, Duration) {
    let mut search =
        Search { spool, request, clock, rest: LOOK_AGAIN, tried: 0, freed: false, claimed: Vec::new() };
    let done = search.begin();
    (done.map(|()| search.claimed), search.rest)
}

/// One request on its way through the waiting tickets.
struct Search<'a> {
    spool: &'a Spool,
    request: &'a Request,
    clock: &'a Clock,
    /// How long until some resting ticket may be claimed.
    rest: Duration,
    tried: usize,
    /// Something became free that was passed over before.
    freed: bool,
    claimed: Vec<Claimed>,
}

impl Search<'_> {
    fn begin(&mut self) -> Result<()> {
        let (spool, builder) = (self.spool, &self.request.builder);
        spool.stays()?;
        builder::seen(spool, builder, &self.request.archs, self.clock)?;
        // A request repeated while the first is still being answered must find what that one took.
        durable::make_dir(&spool.run_dir(builder))?;
        let _one_at_a_time = lock::exclusive_dir(&spool.run_dir(builder), lock::PATIENCE)?;
        self.claimed = repeated(spool, self.request)?;
        if !self.claimed.is_empty() {
            return Ok(());
        }
        if spool.is_paused() {
            return Err(Error::no(format!("nothing to claim: {} is there", spool.at("pause").display())));
        }
        if builder::is_paused(spool, builder) {
            return Err(Error::no(format!("nothing to claim: builder {builder} is paused")));
        }
        if let Some(aside) = aside::of(spool, builder, self.clock.now())? {
            return Err(self.is_aside(&aside));
        }
        self.go()?;
        if self.claimed.is_empty() && self.freed {
            self.go()?;
        }
        if self.claimed.is_empty() { Err(Error::no("nothing to claim")) } else { Ok(()) }
    }

    fn is_aside(&mut self, aside: &Aside) -> Error {
        let builder = &self.request.builder;
        let no =
            Error::no(format!("nothing to claim: builder {builder} is {}: {}", aside.state(), aside.why));
        match aside.until {
            Some(until) => {
                let left = Duration::try_from(until.duration_since(self.clock.now())).unwrap_or_default();
                self.rest = self.rest.min(left);
                no
            }
            None => no.hint(format!("once somebody has looked at it: syncpkg-builder --resume {builder}")),
        }
    }

    /// Claim order: priority, then age; last what this builder wants last, or had trouble with last time.
    fn go(&mut self) -> Result<()> {
        let (archs, choice) = (archs(self.request)?, &self.request.choice);
        let (mut queue, mut last) = (Queue::new(self.spool), Vec::new());
        for entry in InOrder::to_claim(self.spool, &archs)? {
            let entry = entry?;
            if self.is_enough() {
                return Ok(());
            }
            let (name, arch) = (&entry.name.item.name, &entry.name.item.arch);
            if !archs.contains(arch) || choice.except.contains(name) || !self.is_rested(&entry) {
                continue;
            }
            if choice.last.contains(name) || had_trouble(self.spool, &entry.name, &self.request.builder)? {
                // No more of them than can be wanted, however many wait.
                if last.len() < CANDIDATES.max(self.request.count) {
                    last.push(entry);
                }
            } else {
                self.consider(&mut queue, &entry)?;
            }
        }
        for entry in last {
            if !self.is_enough() {
                self.consider(&mut queue, &entry)?;
            }
        }
        Ok(())
    }

    fn is_enough(&self) -> bool {
        self.claimed.len() >= self.request.count.max(1) || self.tried >= CANDIDATES.max(self.request.count)
    }

    fn is_rested(&mut self, entry: &Entry) -> bool {
        let Stand::Waiting(Some(until)) = entry.name.stand else { return true };
        match Duration::try_from(until.0.duration_since(self.clock.now())) {
            Ok(left) if !left.is_zero() && left <= LONGEST_REST => {
                self.rest = self.rest.min(left);
                false
            }
            Ok(_) | Err(_) => true,
        }
    }

    /// Claims one, or parks it for what it waits for: however many do, they hide none that does not.
    fn consider(&mut self, queue: &mut Queue, entry: &Entry) -> Result<()> {
        let Some(ticket) = read_or_quarantine(self.spool, entry)? else { return Ok(()) };
        if queue.blocker(&entry.name, &ticket)?.is_some() {
            let parking = waiting::park(self.spool, entry, &ticket)?;
            if parking != Parking::Left {
                queue.parked(entry);
            }
            self.freed |= parking == Parking::Freed;
            return Ok(());
        }
        self.tried += 1;
        if let Some(taken) = hold(self.spool, self.request, entry, ticket, self.clock)? {
            queue.claimed(&taken.entry);
            self.claimed.push(taken);
        }
        Ok(())
    }
}

/// The answer to a request whose first answer was lost. Its maker may have died between rename and fsync, so
/// the names are made durable before they are acknowledged.
fn repeated(spool: &Spool, request: &Request) -> Result<Vec<Claimed>> {
    let mut same = Vec::new();
    for entry in list::building_by(spool, &request.builder)? {
        let Some(claim) = Claim::of(&entry).filter(|claim| claim.instance == request.instance) else {
            continue;
        };
        durable::confirm(&entry.path)?;
        let ticket = entry.ticket()?;
        let batch = batch::of(spool, &entry.name, &ticket)?;
        same.push(Claimed { claim, entry, ticket, batch });
    }
    Ok(same)
}

fn had_trouble(spool: &Spool, name: &TicketName, builder: &Builder) -> Result<bool> {
    if name.epoch == 0 {
        return Ok(false);
    }
    let report = readable(super::Report::read(&spool.report(&name.id, name.epoch, Outcome::Trouble)))?;
    Ok(report.is_some_and(|report| report.builder.as_ref() == Some(builder)))
}

/// A ticket that cannot be read must not stop those behind it.
fn read_or_quarantine(spool: &Spool, entry: &Entry) -> Result<Option<Ticket>> {
    match entry.ticket() {
        Ok(ticket) if queue::agrees(&entry.name, &ticket) => Ok(Some(ticket)),
        Ok(_) => {
            super::check::quarantine(spool, &entry.path, "its name and its content disagree").map(|()| None)
        }
        Err(_) if !durable::present(&entry.path)? => Ok(None),
        Err(error) if error.kind == Kind::Again => Err(error),
        Err(error) => super::check::quarantine(spool, &entry.path, &error.to_string()).map(|()| None),
    }
}

fn hold(
    spool: &Spool,
    request: &Request,
    entry: &Entry,
    ticket: Ticket,
    clock: &Clock,
) -> Result<Option<Claimed>> {
    let stand = Stand::Building(Hold { instance: request.instance.clone(), since: Stamp::new(clock.now()) });
    let name = TicketName { epoch: entry.name.epoch + 1, ..entry.name.standing(stand) };
    let path = spool.building(&request.builder, &name);
    // The lease begins now, not when the ticket was written: the pair (name, mtime) is what the reaper knows.
    if !durable::touch(&entry.path, SystemTime::now())? {
        return Ok(None);
    }
    if durable::shift(&entry.path, &path)? == Shift::Gone {
        return Ok(None);
    }
    let entry = Entry { name, builder: Some(request.builder.clone()), path };
    let claim = Claim::of(&entry).ok_or_else(|| Error::wrong("a claimed ticket has no claim"))?;
    // A left-over live log of a claim that never was acknowledged would be appended to.
    durable::forget(&spool.live(&claim.id, claim.epoch));
    let batch = batch::of(spool, &entry.name, &ticket)?;
    Ok(Some(Claimed { claim, entry, ticket, batch }))
}

#[cfg(test)]
mod tests;
