//! Tickets as programs list them: the keys of `syncpkg-ls --json`.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::waiting::Queue;
use super::{Entry, InOrder, Report, Spool, Stand, Ticket, list, waiting};
use crate::base::error::readable;
use crate::base::{Clock, Result};
use crate::names::{Arch, Builder, Id, Item, Name, Priority, Release, State, Tree, Version, Word};

/// A ticket as it is listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// Never changes.
    pub id: Id,
    /// Where it is.
    pub state: State,
    /// Its tree.
    pub tree: Tree,
    /// Its package.
    pub name: Name,
    /// With epoch.
    pub version: Version,
    /// The packaging's count.
    pub release: Release,
    /// What for.
    pub arch: Arch,
    /// How urgent.
    pub priority: Priority,
    /// How many claims it has had.
    pub epoch: u32,
    /// Who builds or built it.
    pub builder: Option<Builder>,
    /// Since when it is in this state.
    pub since: Timestamp,
    /// Why it is there: what it waits for, how it ended, why it was asked for.
    pub reason: String,
}

impl Listed {
    /// Returns what is (to be) built.
    pub fn item(&self) -> Item {
        Item {
            name: self.name.clone(),
            version: self.version.clone(),
            release: self.release.clone(),
            arch: self.arch.clone(),
        }
    }

    /// Lists the ticket with this ID; none if there is no such ticket.
    ///
    /// # Errors
    /// A directory that cannot be read.
    pub fn find(spool: &Spool, id: &Id, clock: &Clock) -> Result<Option<Self>> {
        list::find(spool, id)?.map(|entry| Self::of(spool, &entry, clock)).transpose()
    }

    /// Lists one ticket.
    ///
    /// # Errors
    /// What is said of it cannot be read just now.
    pub fn of(spool: &Spool, entry: &Entry, clock: &Clock) -> Result<Self> {
        let (ticket, report) = (readable(entry.ticket())?, entry.report(spool)?);
        let waits_for = waits_for(spool, entry, ticket.as_ref(), &mut Queue::new(spool), clock)?;
        Ok(Self::from(entry, ticket.as_ref(), report.as_ref(), waits_for))
    }

    /// Lists a ticket that was claimed just now.
    pub fn of_claimed(entry: &Entry, ticket: &Ticket) -> Self {
        Self::from(entry, Some(ticket), None, None)
    }

    fn from(
        entry: &Entry,
        ticket: Option<&Ticket>,
        report: Option<&Report>,
        waits_for: Option<String>,
    ) -> Self {
        let name = &entry.name;
        let asked_because = || ticket.map(|ticket| ticket.reason.clone()).unwrap_or_default();
        Self {
            id: name.id,
            state: entry.state(),
            tree: name.tree.clone(),
            name: name.item.name.clone(),
            version: name.item.version.clone(),
            release: name.item.release.clone(),
            arch: name.item.arch.clone(),
            priority: name.priority,
            epoch: name.epoch,
            builder: entry.builder.clone().or_else(|| report?.builder.clone()),
            since: report.map_or_else(|| entry.since(), |report| report.ended),
            reason: match (&name.stand, report) {
                (Stand::Waiting(_), _) => waits_for.unwrap_or_else(asked_because),
                (Stand::Building(_) | Stand::Done(_), Some(report)) => ending(report),
                (Stand::Building(_) | Stand::Done(_), None) => asked_because(),
            },
        }
    }
}

/// Says how a try ended: who ended it, in which stage, why.
pub fn ending(report: &Report) -> String {
    let by = Some(format!("by {}", report.by)).filter(|_| !report.by.is_empty());
    let stage = report.stage.as_ref().map(|stage| format!("in {stage}"));
    let head = by.or(stage);
    match (head, report.reason.as_str()) {
        (Some(head), "") => head,
        (Some(head), reason) => format!("{head}: {reason}"),
        (None, reason) => reason.to_owned(),
    }
}

/// Says what a waiting ticket waits for; none if only for a builder, or if it does not wait.
///
/// # Errors
/// It cannot be told just now.
pub fn waits_for(
    spool: &Spool,
    entry: &Entry,
    ticket: Option<&Ticket>,
    queue: &mut Queue,
    clock: &Clock,
) -> Result<Option<String>> {
    let Stand::Waiting(until) = entry.name.stand else { return Ok(None) };
    if let Some(until) = until.filter(|until| until.0 > clock.now()) {
        let why = list::troubles(spool, &entry.name)?
            .pop()
            .map(|report| format!(" after trouble {}", ending(&report)));
        let until = crate::base::clock::shown(until.0);
        return Ok(Some(format!("rests until {until}{}", why.unwrap_or_default())));
    }
    let Some(ticket) = ticket else { return Ok(None) };
    Ok(match (queue.blocker(&entry.name, ticket)?, waiting::parked_for(spool, entry)) {
        (Some(blocker), _) => Some(format!("waits for {blocker}")),
        (None, Some(name)) => Some(format!("waited for {name}; the next round of syncpkgd wakes it")),
        (None, None) => None,
    })
}

/// Which tickets are listed.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// These states; none given is waiting and building.
    pub states: Vec<State>,
    /// Only for this architecture.
    pub arch: Option<Arch>,
    /// Only of this tree.
    pub tree: Option<Tree>,
    /// Only built by this builder.
    pub builder: Option<Builder>,
    /// Only with this text in the maintainer's name or address.
    pub maintainer: Option<String>,
    /// Only ended in this stage.
    pub stage: Option<String>,
    /// Only of this batch.
    pub batch: Option<Word>,
    /// Only in their state for at most so long.
    pub since: Option<Duration>,
}

impl Filter {
    fn states(&self) -> Vec<State> {
        if self.states.is_empty() { vec![State::Building, State::Waiting] } else { self.states.clone() }
    }

    fn row(&self, spool: &Spool, entry: &Entry, queue: &mut Queue, clock: &Clock) -> Result<Option<Listed>> {
        if !self.by_name(entry) {
            return Ok(None);
        }
        let (ticket, report) = (readable(entry.ticket())?, entry.report(spool)?);
        if !self.by_content(ticket.as_ref(), report.as_ref()) {
            return Ok(None);
        }
        let waits_for = waits_for(spool, entry, ticket.as_ref(), queue, clock)?;
        let row = Listed::from(entry, ticket.as_ref(), report.as_ref(), waits_for);
        Ok(Some(row).filter(|row| self.by_listing(row, clock)))
    }

    fn by_name(&self, entry: &Entry) -> bool {
        self.states().contains(&entry.state())
            && self.arch.as_ref().is_none_or(|arch| *arch == entry.name.item.arch)
            && self.tree.as_ref().is_none_or(|tree| *tree == entry.name.tree)
    }

    fn by_content(&self, ticket: Option<&Ticket>, report: Option<&Report>) -> bool {
        let said = |text: &String| {
            let maintainer = ticket.and_then(|ticket| ticket.maintainer.as_deref()).unwrap_or_default();
            maintainer.to_lowercase().contains(&text.to_lowercase())
        };
        self.maintainer.as_ref().is_none_or(said)
            && self
                .stage
                .as_ref()
                .is_none_or(|stage| report.is_some_and(|report| report.stage.as_ref() == Some(stage)))
            && self
                .batch
                .as_ref()
                .is_none_or(|batch| ticket.is_some_and(|ticket| ticket.batch.as_ref() == Some(batch)))
    }

    fn by_listing(&self, listed: &Listed, clock: &Clock) -> bool {
        let young = |age: Duration| {
            clock.now().duration_since(listed.since) <= SignedDuration::try_from(age).unwrap_or_default()
        };
        self.builder.as_ref().is_none_or(|builder| listed.builder.as_ref() == Some(builder))
            && self.since.is_none_or(young)
    }
}

/// Lists tickets one after another: what is being built first, then what waits in claim order, then what has ended by
/// age.
///
/// # Errors
/// A directory that cannot be read, or what `each` fails with.
pub fn listing(
    spool: &Spool,
    filter: &Filter,
    clock: &Clock,
    each: &mut dyn FnMut(Listed) -> Result<()>,
) -> Result<()> {
    let states = filter.states();
    let mut building = list::building(spool)?;
    building.sort_by_key(|entry| entry.name.to_string());
    let mut queue = Queue::new(spool);
    let mut show = |entry: &Entry| match filter.row(spool, entry, &mut queue, clock)? {
        Some(row) => each(row),
        None => Ok(()),
    };
    building.iter().try_for_each(&mut show)?;
    if states.contains(&State::Waiting) {
        InOrder::all(spool)?.try_for_each(|entry| show(&entry?))?;
    }
    if states.iter().any(|state| !matches!(state, State::Waiting | State::Building)) {
        let mut done = list::done(spool, |entry| filter.by_name(entry))?;
        done.sort_by_key(|entry| entry.name.id);
        done.iter().try_for_each(&mut show)?;
    }
    Ok(())
}
