//! Reads tickets, builders and what is held from the spool.

use std::collections::{BTreeMap, HashSet};

use jiff::{SignedDuration, Timestamp};

use super::model::{BuilderRow, Counts, FileRow, TicketRow, Try};
use super::say::line;
use super::{Act, UnbuiltRow, Undelivered};
use crate::base::error::readable;
use crate::base::{Clock, Result, durable};
use crate::config::Config;
use crate::names::{Id, Outcome, State};
use crate::spool::waiting::Queue;
use crate::spool::{
    Entry, History, InOrder, Report, Spool, Stand, Ticket, TicketName, builder, expire, list, log, report,
};

/// The longest word from outside on a page, characters.
const LONGEST: usize = 400;
/// How many answers to one request a page shows.
const ANSWERS: usize = 20;
/// The longest maintainer, characters: wide enough for a name and an address.
const LONGEST_NAME: usize = 120;

/// What lies in `hold`: packages that are not published, and why.
#[derive(Debug, Default)]
pub(super) struct Holds {
    names: BTreeMap<Id, BTreeMap<String, i64>>,
}

impl Holds {
    /// Looks.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn of(spool: &Spool) -> Result<Self> {
        let mut holds = Self::default();
        for name in list::names(&spool.at("hold"))? {
            let Some(id) = name.split('.').next().and_then(|id| id.parse::<Id>().ok()) else { continue };
            let time =
                if name.ends_with(".why") { durable::changed(&spool.at("hold").join(&name))? } else { None };
            holds.names.entry(id).or_default().insert(name, time.unwrap_or_default());
        }
        Ok(holds)
    }

    /// Returns a number that changes when what is held of a ticket, or why, has changed; none for nothing.
    pub fn stamp(&self, id: &Id) -> Option<u64> {
        self.names.get(id).map(hash)
    }

    /// Returns the tries of which something is held: (ticket, epoch).
    pub fn tries(&self) -> impl Iterator<Item = (&Id, u32)> {
        let epoch = |name: &String| name.split('.').nth(1).and_then(|epoch| epoch.parse().ok());
        self.names.iter().filter_map(move |(id, names)| Some((id, names.keys().find_map(epoch)?)))
    }

    fn has(&self, name: &TicketName, end: &str) -> bool {
        let names = self.names.get(&name.id);
        names.is_some_and(|names| names.contains_key(&format!("{}.{}{end}", name.id, name.epoch)))
    }
}

/// Returns a number for a value that another value is most unlikely to have; the same in each run.
pub(super) fn hash<T: std::hash::Hash + ?Sized>(value: &T) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    value.hash(&mut hasher);
    std::hash::Hasher::finish(&hasher)
}

/// Reads what waits and what is being built.
///
/// # Errors
/// Something that cannot be read just now.
pub(super) fn open(spool: &Spool) -> Result<Vec<TicketRow>> {
    let (mut queue, holds) = (Queue::new(spool), Holds::default());
    let mut rows = Vec::new();
    for entry in InOrder::all(spool)? {
        let entry = entry?;
        let said = readable(entry.ticket())?;
        let blocker = match &said {
            Some(said) => queue.blocker(&entry.name, said)?,
            None => None,
        };
        rows.push(TicketRow {
            waits_for: blocker.map(|it| it.to_string()),
            ..ticket(spool, &holds, &entry, said)?
        });
    }
    for entry in list::building(spool)? {
        rows.push(ticket(spool, &holds, &entry, readable(entry.ticket())?)?);
    }
    Ok(rows)
}

/// Returns a number that changes when the log of a ticket that is being built grows.
///
/// # Errors
/// It cannot be told.
pub(super) fn log_stamp(spool: &Spool, ticket: &TicketRow) -> Result<u64> {
    let live = (ticket.state == State::Building).then(|| spool.live(&ticket.id, ticket.epoch));
    let meta = live.map(|live| durable::look(&live)).transpose()?.flatten();
    Ok(hash(&meta.map(|meta| (meta.len(), meta.modified().ok()))))
}

/// Reads one ended ticket.
///
/// # Errors
/// It cannot be read just now.
pub(super) fn ended_ticket(spool: &Spool, holds: &Holds, entry: &Entry) -> Result<TicketRow> {
    ticket(spool, holds, entry, readable(entry.ticket())?)
}

/// Counts all tickets: what `asked` is the sum of.
///
/// # Errors
/// Something that cannot be read just now.
pub fn count(spool: &Spool) -> Result<Counts> {
    let mut counts = Counts::default();
    let mut seen = HashSet::new();
    for (tree, name) in list::packages(spool)? {
        for entry in History::of(spool, &tree, &name)?.entries() {
            counts.add(entry.state());
            seen.insert(entry.name.id);
        }
    }
    // What has moved on meanwhile was counted where it is now.
    let open = list::building(spool)?.into_iter().chain(list::waiting(spool)?);
    open.filter(|entry| seen.insert(entry.name.id)).for_each(|entry| counts.add(entry.state()));
    let gone = expire::gone_in(spool, list::names(&spool.at("expired"))?.iter())?;
    gone.iter().filter(|(line, _)| seen.insert(line.id)).for_each(|_| counts.add_expired());
    counts.bad = bad(spool)?;
    counts.asked += counts.bad;
    Ok(counts)
}

/// Counts what is in quarantine.
///
/// # Errors
/// The directory cannot be read.
pub(super) fn bad(spool: &Spool) -> Result<usize> {
    Ok(list::names(&spool.at("bad"))?.iter().filter(|name| !name.ends_with(".why")).count())
}

/// Reads the builders, by name.
///
/// # Errors
/// Something that cannot be read just now.
pub(super) fn builders(spool: &Spool, config: &Config, clock: &Clock) -> Result<Vec<BuilderRow>> {
    let lease = SignedDuration::try_from(config.lease.expires.0).unwrap_or(SignedDuration::MAX);
    let row = |known: builder::Listed| -> Result<BuilderRow> {
        let held = list::building_by(spool, &known.name)?;
        Ok(BuilderRow {
            archs: known.profile.archs.iter().map(ToString::to_string).collect(),
            since: known.since,
            seen: known.seen,
            paused: known.paused,
            aside: known.aside,
            away: clock.now().duration_since(known.seen) > lease,
            slots: known.profile.slots.unwrap_or(1),
            host: known.profile.host.as_ref().map(ToString::to_string),
            vitals: known.vitals,
            building: held.into_iter().map(|entry| entry.name.id).collect(),
            name: known.name.to_string(),
        })
    };
    builder::listed(spool, clock.now())?.into_iter().map(row).collect()
}

fn ticket(spool: &Spool, holds: &Holds, entry: &Entry, said: Option<Ticket>) -> Result<TicketRow> {
    let name = &entry.name;
    let tries = tries(spool, entry)?;
    let built = entry.state() == State::Built;
    let kept = built && holds.stamp(&name.id).is_some();
    let held = if kept { report::why_held(spool, entry)? } else { None };
    let last = tries.last();
    let since = match name.stand {
        Stand::Done(_) => last.and_then(|last| last.ended).unwrap_or_else(|| entry.since()),
        Stand::Waiting(_) | Stand::Building(_) => entry.since(),
    };
    let from = |of: fn(&Ticket) -> String| {
        said.as_ref().map(of).map(|text| line(&text, LONGEST)).unwrap_or_default()
    };
    Ok(TicketRow {
        id: name.id,
        tree: name.tree.to_string(),
        name: name.item.name.to_string(),
        version: format!("{}-{}", name.item.version, name.item.release),
        arch: name.item.arch.to_string(),
        state: entry.state(),
        since,
        priority: name.priority,
        epoch: name.epoch,
        builder: last.and_then(|last| last.builder.clone()),
        asked: name.id.time(),
        by: from(|ticket| ticket.by.clone()),
        reason: from(|ticket| ticket.reason.clone()),
        forced: said.as_ref().is_some_and(|ticket| ticket.forced),
        maintainer: said
            .as_ref()
            .and_then(|ticket| ticket.maintainer.as_ref())
            .map(|text| line(text, LONGEST_NAME)),
        batch: said.as_ref().and_then(|ticket| ticket.batch.as_ref()).map(ToString::to_string),
        revision: from(|ticket| ticket.revision.to_string()),
        path: from(|ticket| ticket.path.clone()),
        depends: said.iter().flat_map(|ticket| &ticket.depends).map(ToString::to_string).collect(),
        rests_until: rests_until(entry),
        packages: said.iter().flat_map(|ticket| &ticket.packages).map(ToString::to_string).collect(),
        waits_for: None,
        published: false,
        pending: built && holds.has(name, ""),
        held: held.map(|why| line(&why, LONGEST)),
        unwanted: holds.has(name, ".unwanted.why"),
        tries,
    })
}

fn rests_until(entry: &Entry) -> Option<Timestamp> {
    match &entry.name.stand {
        Stand::Waiting(until) => until.map(|until| until.0),
        Stand::Building(_) | Stand::Done(_) => None,
    }
}

/// The reports of trouble, then what ended it or goes on.
fn tries(spool: &Spool, entry: &Entry) -> Result<Vec<Try>> {
    let name = &entry.name;
    let troubles = list::troubles(spool, name)?;
    let mut tries: Vec<Try> = troubles.iter().map(|report| ended(spool, report)).collect::<Result<_>>()?;
    match &name.stand {
        Stand::Waiting(_) => {}
        Stand::Building(hold) => tries.push(Try {
            builder: entry.builder.as_ref().map(ToString::to_string),
            started: Some(hold.since.0),
            log: durable::present(&spool.live(&name.id, name.epoch))?,
            ..blank(name.epoch, State::Building)
        }),
        Stand::Done(outcome) => match entry.report(spool)? {
            // The last of the troubles is the end itself.
            Some(_) if *outcome == Outcome::Trouble && !tries.is_empty() => {}
            Some(report) => tries.push(ended(spool, &report)?),
            None => tries.push(blank(name.epoch, (*outcome).into())),
        },
    }
    Ok(tries)
}

fn blank(epoch: u32, outcome: State) -> Try {
    Try {
        epoch,
        outcome,
        builder: None,
        host: String::new(),
        by: String::new(),
        started: None,
        ended: None,
        took: None,
        stage: None,
        exit: None,
        reason: String::new(),
        log: false,
        files: Vec::new(),
    }
}

fn ended(spool: &Spool, report: &Report) -> Result<Try> {
    let file = |file: &crate::spool::Product| FileRow {
        name: line(&file.name, 240),
        size: file.size,
        sha256: line(&file.sha256, 64),
    };
    Ok(Try {
        builder: report.builder.as_ref().map(ToString::to_string),
        host: line(&report.host, 100),
        by: line(&report.by, 100),
        started: report.started,
        ended: Some(report.ended),
        took: report.duration().map(|took| took.as_secs().max(0)),
        stage: report.stage.as_ref().map(|stage| line(stage, 40)),
        exit: report.exit.map(|status| status.to_string()),
        reason: line(&report.reason, LONGEST),
        log: report.log && log::is_kept(&spool.log(&report.id, report.epoch))?,
        files: report.files.iter().map(file).collect(),
        ..blank(report.epoch, report.outcome.into())
    })
}

/// Returns a harmless copy.
pub(super) fn undelivered(mail: &Undelivered) -> Undelivered {
    Undelivered { to: line(&mail.to, LONGEST_NAME), since: mail.since, error: line(&mail.error, LONGEST) }
}

/// Returns a harmless copy.
pub(super) fn act(act: Act) -> Act {
    Act {
        by: line(&act.by, LONGEST_NAME),
        what: line(&act.what, LONGEST),
        reason: line(&act.reason, LONGEST),
        answers: act.answers.iter().take(ANSWERS).map(|answer| line(answer, LONGEST)).collect(),
        ..act
    }
}

pub(super) fn unbuilt(row: &UnbuiltRow) -> UnbuiltRow {
    UnbuiltRow {
        path: line(&row.path, LONGEST),
        item: line(&row.item, LONGEST),
        tree: line(&row.tree, LONGEST),
        since: row.since,
        cause: line(&row.cause, LONGEST),
        maintainer: row.maintainer.as_ref().map(|text| line(text, LONGEST_NAME)),
    }
}
