//! Claiming: one rename from `new` to `run` decides who builds.

use std::fmt;
use std::fs;
use std::str::FromStr;
use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;

use super::listed::Listed;
use super::waiting::Queue;
use super::{Entry, Hold, Spool, Stamp, Stand, Ticket, TicketName, builder, list, queue};
use crate::base::durable::{self, Shift};
use crate::base::error::Kind;
use crate::base::watch::Watch;
use crate::base::{Clock, Error, Result, lock};
use crate::names::{Arch, Builder, Id, Instance, Outcome, Revision, State};

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
            id: entry.name.id.clone(),
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
}

/// How long a waiting claimer goes without looking again, whatever it is told: events may be lost, and a rest
/// or a dependency may have ended without one.
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
        let answer = take(spool, request, clock);
        let Err(error) = &answer else { return answer };
        let left = limit.map_or(LOOK_AGAIN, |limit| limit.saturating_sub(start.elapsed()));
        if error.kind != Kind::No || left.is_zero() || stop() {
            return answer;
        }
        watch.wait(left.min(LOOK_AGAIN).min(next_rest(spool, clock)?))?;
    }
}

/// Returns a watch on all that can turn "nothing to claim" into something.
///
/// # Errors
/// A failing system call.
pub fn watch(spool: &Spool, request: &Request) -> Result<Watch> {
    let any = "any".parse::<Arch>()?;
    let mut directories = vec![spool.root().to_owned(), spool.at("builder"), spool.at("hold")];
    for arch in request.archs.iter().chain([&any]) {
        durable::make_dir(&spool.new_dir(arch))?;
        directories.push(spool.new_dir(arch));
    }
    Watch::on(&directories)
}

/// Returns how long it takes until some resting ticket may be claimed.
fn next_rest(spool: &Spool, clock: &Clock) -> Result<Duration> {
    let rest = |entry: Entry| match entry.name.stand {
        Stand::Waiting(Some(until)) => Duration::try_from(until.0.duration_since(clock.now())).ok(),
        Stand::Waiting(None) | Stand::Building(_) | Stand::Done(_) => None,
    };
    let rests = list::waiting(spool)?.into_iter().filter_map(rest);
    Ok(rests.filter(|rest| !rest.is_zero()).min().unwrap_or(LOOK_AGAIN))
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
}

impl Claimed {
    /// Returns what is printed of it.
    pub fn row(&self) -> Row {
        Row {
            claim: self.claim.to_string(),
            listed: Listed::of_claimed(&self.entry, &self.ticket),
            revision: self.ticket.revision.clone(),
            path: self.ticket.path.clone(),
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
    builder::seen(spool, &request.builder, &request.archs, clock)?;
    // A request repeated while the first is still being answered must find what that one took.
    durable::make_dir(&spool.run_dir(&request.builder))?;
    let _one_at_a_time = lock::exclusive_dir(&spool.run_dir(&request.builder), lock::PATIENCE)?;
    let again = repeated(spool, request)?;
    if !again.is_empty() {
        return Ok(again);
    }
    if spool.is_paused() {
        return Err(Error::no(format!("nothing to claim: {} is there", spool.at("pause").display())));
    }
    if builder::is_paused(spool, &request.builder) {
        return Err(Error::no(format!("nothing to claim: builder {} is paused", request.builder)));
    }
    let mut claimed = Vec::new();
    let mut queue = Queue::load(spool)?;
    let mut tried = 0;
    for entry in candidates(spool, &queue, request, clock)? {
        if claimed.len() == request.count.max(1) || tried == CANDIDATES.max(request.count) {
            break;
        }
        let Some(ticket) = read_or_quarantine(spool, &entry)? else { continue };
        // However many wait for something, they hide none that does not.
        if queue.blocker(spool, &entry, &ticket)?.is_some() {
            continue;
        }
        tried += 1;
        if let Some(taken) = hold(spool, request, &entry, ticket, clock)? {
            queue.claimed(&entry);
            claimed.push(taken);
        }
    }
    if claimed.is_empty() { Err(Error::no("nothing to claim")) } else { Ok(claimed) }
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
        same.push(Claimed { claim, entry, ticket });
    }
    Ok(same)
}

/// Claim order: priority, then age; last what this builder had trouble with last time.
fn candidates(spool: &Spool, queue: &Queue, request: &Request, clock: &Clock) -> Result<Vec<Entry>> {
    let now = clock.now();
    let fits = |entry: &&Entry| {
        let arch = &entry.name.item.arch;
        let rested = match entry.name.stand {
            Stand::Waiting(Some(until)) => until.0 <= now,
            Stand::Waiting(None) | Stand::Building(_) | Stand::Done(_) => true,
        };
        entry.state() == State::Waiting && rested && (arch.is_any() || request.archs.contains(arch))
    };
    let mut entries: Vec<Entry> = queue.waiting().iter().filter(fits).cloned().collect();
    entries.sort_by_key(|entry| had_trouble(spool, &entry.name, &request.builder));
    Ok(entries)
}

fn had_trouble(spool: &Spool, name: &TicketName, builder: &Builder) -> bool {
    name.epoch > 0
        && super::Report::read(&spool.report(&name.id, name.epoch, Outcome::Trouble))
            .is_ok_and(|report| report.builder.as_ref() == Some(builder))
}

/// A ticket that cannot be read must not stop those behind it.
fn read_or_quarantine(spool: &Spool, entry: &Entry) -> Result<Option<Ticket>> {
    match entry.ticket() {
        Ok(ticket) if queue::agrees(&entry.name, &ticket) => Ok(Some(ticket)),
        Ok(_) => {
            super::check::quarantine(spool, &entry.path, "its name and its content disagree").map(|()| None)
        }
        Err(_) if !entry.path.exists() => Ok(None),
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
    let _ = fs::remove_file(spool.live(&claim.id, claim.epoch));
    Ok(Some(Claimed { claim, entry, ticket }))
}
