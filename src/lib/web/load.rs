//! Reads the spool into the model.

use jiff::{SignedDuration, Timestamp};

use super::model::{BuilderRow, Counts, FileRow, Model, TicketRow, Try};
use super::say::line;
use super::{Facts, UnbuiltRow, need, package};
use crate::base::clock::age;
use crate::base::error::readable;
use crate::base::{Clock, Result, durable};
use crate::config::Config;
use crate::names::{Id, Outcome, State};
use crate::spool::{Entry, Report, Spool, Stand, Ticket, builder, expire, list, report};

/// The longest word from outside on a page, characters.
const LONGEST: usize = 400;
/// The longest maintainer, characters: wide enough for a name and an address.
const LONGEST_NAME: usize = 120;

/// Reads everything the site shows.
///
/// # Errors
/// Something that cannot be read just now. Tickets and reports that are damaged are shown with what their names say.
pub fn load(spool: &Spool, config: &Config, facts: &Facts, clock: &Clock) -> Result<Model> {
    let entries = list::all(spool)?;
    let mut expired = expire::gone(spool)?;
    entries.iter().for_each(|entry| drop(expired.remove(&entry.name.id)));
    let mut model = Model {
        title: line(&config.title, 80),
        made: clock.now(),
        paused: spool.is_paused(),
        free: facts.free,
        counts: count(spool, &entries, expired.len())?,
        needs: Vec::new(),
        builders: builders(spool, config, clock)?,
        tickets: entries
            .iter()
            .map(|entry| Ok((entry.name.id, ticket(spool, facts, entry)?)))
            .collect::<Result<_>>()?,
        waiting: ids(&entries, |state| state == State::Waiting),
        building: ids(&entries, |state| state == State::Building),
        ended: ids(&entries, |state| state != State::Waiting && state != State::Building),
        packages: Default::default(),
        expired,
        unbuilt: facts.unbuilt.as_ref().map(|rows| rows.iter().map(unbuilt).collect()),
    };
    let since = |id: &Id| model.tickets.get(id).map(|ticket| ticket.since);
    model.building.sort_by_key(since);
    model.ended.sort_by_key(|id| std::cmp::Reverse((since(id), *id)));
    model.packages = package::packages(&model);
    model.needs = need::needs(&model);
    Ok(model)
}

fn ids(entries: &[Entry], fits: impl Fn(State) -> bool) -> Vec<Id> {
    entries.iter().filter(|entry| fits(entry.state())).map(|entry| entry.name.id).collect()
}

fn count(spool: &Spool, entries: &[Entry], expired: usize) -> Result<Counts> {
    let mut counts = Counts { expired, asked: expired, ..Counts::default() };
    entries.iter().for_each(|entry| counts.add(entry.state()));
    let bad = list::names(&spool.at("bad"))?.iter().filter(|name| !name.ends_with(".why")).count();
    counts.bad = bad;
    counts.asked += bad;
    Ok(counts)
}

fn builders(spool: &Spool, config: &Config, clock: &Clock) -> Result<Vec<BuilderRow>> {
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
            building: held.into_iter().map(|entry| entry.name.id).collect(),
            name: known.name.to_string(),
        })
    };
    builder::listed(spool, clock.now())?.into_iter().map(row).collect()
}

fn ticket(spool: &Spool, facts: &Facts, entry: &Entry) -> Result<TicketRow> {
    let (name, said) = (&entry.name, readable(entry.ticket())?);
    let tries = tries(spool, entry)?;
    let built = entry.state() == State::Built;
    let held = if built { report::why_held(spool, entry)? } else { None };
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
        waits_for: facts.waiting_reasons.get(&name.id).map(|text| line(text, LONGEST)),
        published: facts.published.contains(&name.id),
        pending: built && durable::present(&spool.hold(&name.id, name.epoch))?,
        held: held.map(|why| line(&why, LONGEST)),
        unwanted: durable::present(&spool.unwanted_reason(&name.id, name.epoch))?,
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
        took: report.duration().map(age),
        stage: report.stage.as_ref().map(|stage| line(stage, 40)),
        exit: report.exit.map(|status| status.to_string()),
        reason: line(&report.reason, LONGEST),
        log: report.log && durable::present(&spool.log(&report.id, report.epoch))?,
        files: report.files.iter().map(file).collect(),
        ..blank(report.epoch, report.outcome.into())
    })
}

fn unbuilt(row: &UnbuiltRow) -> UnbuiltRow {
    UnbuiltRow {
        path: line(&row.path, LONGEST),
        item: line(&row.item, LONGEST),
        tree: line(&row.tree, LONGEST),
        since: row.since,
        cause: line(&row.cause, LONGEST),
        maintainer: row.maintainer.as_ref().map(|text| line(text, LONGEST_NAME)),
    }
}
