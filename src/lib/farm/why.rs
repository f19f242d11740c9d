//! Why something is not built: the state of a package, since when, and what has to happen next.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;

use crate::base::clock::{age, shown};
use crate::base::error::readable;
use crate::base::{Clock, Error, Result, durable};
use crate::config::Config;
use crate::names::{Arch, Item, Outcome, State, Tree, Word};
use crate::spool::builder::Listed;
use crate::spool::listed::{ending, waits_for};
use crate::spool::waiting::Queue;
use crate::spool::{Entry, History, InOrder, Spool, Stand, abort, builder, list, report};
use crate::tree;

/// The answer for one package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Why {
    /// Its tree.
    pub tree: Tree,
    /// Its architecture.
    pub arch: Arch,
    /// The version asked for last.
    pub item: String,
    /// Where that is.
    pub state: State,
    /// Since when.
    pub since: Timestamp,
    /// What has to happen next.
    pub why: String,
}

/// Explains what `text` (a name, a version, an ID) is waiting for: an answer for each tree and architecture.
///
/// # Errors
/// `No` when nobody ever asked for it; wrong use for text that can mean nothing.
pub fn explain(config: &Config, spool: &Spool, text: &str, clock: &Clock) -> Result<Vec<Why>> {
    let mut newest = BTreeMap::new();
    for entry in abort::meant(spool, text, History::last)? {
        let kept = newest.entry(entry.name.package()).or_insert_with(|| entry.clone());
        if later(&entry, kept) {
            *kept = entry;
        }
    }
    if newest.is_empty() {
        let text = crate::base::output::inert(text);
        return Err(Error::no(format!("{text} was never enqueued"))
            .hint(format!("ask for it: syncpkg-enqueue {text}")));
    }
    let mut queue = Queue::new(spool);
    newest.values().map(|entry| one(config, spool, entry, &mut queue, clock)).collect()
}

/// What is unfinished matters more than what has ended; of those the later one.
fn later(entry: &Entry, than: &Entry) -> bool {
    let rank = |entry: &Entry| {
        let unfinished = !matches!(entry.name.stand, Stand::Done(_));
        let superseded = entry.state() == State::Superseded;
        (unfinished, !superseded, entry.name.id)
    };
    rank(entry) > rank(than)
}

fn one(config: &Config, spool: &Spool, entry: &Entry, queue: &mut Queue, clock: &Clock) -> Result<Why> {
    Ok(Why {
        tree: entry.name.tree.clone(),
        arch: entry.name.item.arch.clone(),
        item: entry.name.item.to_string(),
        state: entry.state(),
        since: entry.report(spool)?.map_or_else(|| entry.since(), |report| report.ended),
        why: reason(config, spool, entry, queue, clock)?,
    })
}

/// Says what has to happen next for one ticket.
///
/// # Errors
/// A directory that cannot be read.
pub fn reason(
    config: &Config,
    spool: &Spool,
    entry: &Entry,
    queue: &mut Queue,
    clock: &Clock,
) -> Result<String> {
    match &entry.name.stand {
        Stand::Waiting(_) => waiting(config, spool, entry, queue, clock),
        Stand::Building(hold) => {
            let who = entry.builder.as_ref().map(ToString::to_string).unwrap_or_default();
            let past = age(clock.now().duration_since(hold.since.0));
            let (n, most) = (entry.name.epoch, config.trouble.claims);
            Ok(format!("{who} has been building it for {past} (try {n} of {most})"))
        }
        Stand::Done(outcome) => {
            let (what, next) = ended(config, spool, entry, *outcome)?;
            Ok(next.map_or_else(|| what.clone(), |next| format!("{what}; next: {next}")))
        }
    }
}

fn waiting(
    config: &Config,
    spool: &Spool,
    entry: &Entry,
    queue: &mut Queue,
    clock: &Clock,
) -> Result<String> {
    if spool.is_paused() {
        return Ok(format!("all claims are paused: {} is there", spool.at("pause").display()));
    }
    if let Some(text) = waits_for(spool, entry, readable(entry.ticket())?.as_ref(), queue, clock)? {
        return Ok(text);
    }
    let arch = &entry.name.item.arch;
    let mut able = builder::listed(spool, clock.now())?;
    able.retain(|builder| arch.is_any() || builder.profile.archs.contains(arch));
    if able.is_empty() {
        return Ok(format!("no builder for {arch} has registered"));
    }
    let need = config.need.get(&entry.name.item.name).map_or(&[][..], |need| &need.tags);
    able.retain(|builder| need.iter().all(|tag| builder.profile.tags.contains(tag)));
    if able.is_empty() {
        let tags: Vec<&str> = need.iter().map(Word::as_str).collect();
        return Ok(format!("no builder for {arch} has what it needs: {}", tags.join(", ")));
    }
    let (out, able): (Vec<Listed>, Vec<Listed>) = able.into_iter().partition(Listed::is_out);
    let names: Vec<&str> = able.iter().map(|builder| builder.name.as_str()).collect();
    if able.is_empty() {
        let out: Vec<String> =
            out.iter().map(|builder| format!("{} is {}", builder.name, builder.state())).collect();
        return Ok(format!("no builder for {arch} may claim: {}", out.join(", ")));
    }
    let place = match before(spool, entry)? {
        0 => "it is next".to_owned(),
        1 => "1 ticket is before it".to_owned(),
        MANY => format!("{MANY} tickets or more are before it"),
        n => format!("{n} tickets are before it"),
    };
    Ok(format!("waits for a builder ({}): {place}", names.join(", ")))
}

/// How many tickets are counted: an answer must not take longer when more are waiting.
const MANY: usize = 100;

/// Counts what a builder of its architecture is given before `entry`, up to [`MANY`].
fn before(spool: &Spool, entry: &Entry) -> Result<usize> {
    let archs = [entry.name.item.arch.clone(), "any".parse()?];
    InOrder::to_look(spool, archs.iter().collect::<BTreeSet<_>>())?.before(&entry.name.id, MANY)
}

/// What became of a ticket, and what makes it start again if anything has to.
type Told = (String, Option<String>);

/// Says how it ended, in words that follow the outcome.
fn ended(config: &Config, spool: &Spool, entry: &Entry, outcome: Outcome) -> Result<Told> {
    let package = format!("{}/{}", entry.name.tree, entry.name.item.name);
    let how = entry.report(spool)?.map(|report| ending(&report)).unwrap_or_default();
    Ok(match outcome {
        Outcome::Built => (built(config, spool, entry)?, None),
        Outcome::Failed => {
            (how, Some(format!("a push that changes its recipe, or syncpkg-enqueue --force {package}")))
        }
        Outcome::Trouble => {
            let tries = if entry.name.epoch == 1 {
                "1 try".to_owned()
            } else {
                format!("{} tries", entry.name.epoch)
            };
            let what = format!("given up after {tries}, the last {how}");
            (what, Some(format!("once that is mended, syncpkg-enqueue {package}")))
        }
        Outcome::Aborted => (how, Some(format!("syncpkg-enqueue {package}"))),
        Outcome::Superseded => (how, None),
    })
}

fn built(config: &Config, spool: &Spool, entry: &Entry) -> Result<String> {
    // First why this result is not: another of the same name may be.
    Ok(match report::why_held(spool, entry)? {
        Some(why) => format!("not published: {why}"),
        None if is_published(config, entry)? => "published".to_owned(),
        None if durable::present(&spool.hold(&entry.name.id, entry.name.epoch))? => {
            "published by the next round of syncpkgd".to_owned()
        }
        None => "not in the package directory".to_owned(),
    })
}

/// Tells whether what a ticket made is in the package directory.
///
/// # Errors
/// The ticket or the package directory cannot be read just now.
pub fn is_published(config: &Config, entry: &Entry) -> Result<bool> {
    let item = &entry.name.item;
    let section = config.tree.get(&entry.name.tree);
    let Some((section, ticket)) = section.zip(readable(entry.ticket())?) else { return Ok(false) };
    tree::published(section, &ticket.packages, &item.version, &item.release, &item.arch)
}

/// Says in one line why the wanted version `item` is not there, as far as the spool knows; `never` when nobody asked
/// for any version of it.
///
/// # Errors
/// A directory that cannot be read.
pub fn cause(
    config: &Config,
    spool: &Spool,
    (tree, item): (&Tree, &Item),
    never: &str,
    queue: &mut Queue,
    clock: &Clock,
) -> Result<String> {
    let last = |history: History| {
        let history = history.of_arch(&item.arch);
        history.last().into_iter().chain(history.of_item(item).last()).collect()
    };
    let mut entries = list::of_package(spool, Some(tree), &item.name, last)?;
    entries.retain(|entry| entry.name.item.arch == item.arch);
    let newest = |entries: Vec<Entry>| entries.into_iter().reduce(|a, b| if later(&b, &a) { b } else { a });
    let (same, others): (Vec<Entry>, Vec<Entry>) =
        entries.into_iter().partition(|entry| entry.name.item == *item);
    if let Some(entry) = newest(same) {
        let since = entry.report(spool)?.map_or_else(|| entry.since(), |report| report.ended);
        let what = match entry.name.stand {
            Stand::Done(outcome) => format!("{outcome} {}", ended(config, spool, &entry, outcome)?.0),
            Stand::Waiting(_) | Stand::Building(_) => {
                reason(config, spool, &entry, queue, clock)? + &troubled(spool, &entry)?
            }
        };
        return Ok(format!("{}, since {}", what.trim_end(), shown(since)));
    }
    Ok(match newest(others) {
        Some(other) => {
            format!("{never} (the last that was asked for is {}, {})", other.name.item, other.state())
        }
        None => never.to_owned(),
    })
}

fn troubled(spool: &Spool, entry: &Entry) -> Result<String> {
    Ok(match list::troubles(spool, &entry.name)?.len() {
        0 => String::new(),
        1 => ", trouble once so far".to_owned(),
        n => format!(", trouble {n} times so far"),
    })
}
