//! Expiry: what has ended long ago goes, and leaves a line that says so.
//!
//! Owns: the rule ([`goes`], pure) and the lines, `expired/`. Invariant: the line is on the disk before anything goes, and
//! the ticket itself goes last, so that whoever is killed in between leaves work that is found again. Refuses: tickets
//! whose packages are held, or of which somebody is still to be told.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};

use super::{Entry, History, Report, Spool, Stand, list, report};
use crate::base::error::readable;
use crate::base::{Clock, Error, Result, durable, together};
use crate::config::KeepSection;
use crate::names::{Arch, Id, Item, Name, Outcome, Tree};

/// The largest file of lines that is read, bytes.
const LARGEST: u64 = 256 << 20;

/// What is left of a ticket: one line, `ID TREE NAME-VERSION-RELEASE-ARCH eEPOCH OUTCOME ENDED`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expired {
    /// The ticket.
    pub id: Id,
    /// Its tree.
    pub tree: Tree,
    /// What it asked for.
    pub item: Item,
    /// How often it was claimed.
    pub epoch: u32,
    /// How it ended.
    pub outcome: Outcome,
    /// When it ended.
    pub ended: Timestamp,
}

impl std::fmt::Display for Expired {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { id, tree, item, epoch, outcome, ended } = self;
        write!(f, "{id} {tree} {item} e{epoch} {outcome} {ended}")
    }
}

impl FromStr for Expired {
    type Err = Error;
    fn from_str(line: &str) -> Result<Self> {
        let wrong = || Error::wrong("is no line about an expired ticket");
        let words: Vec<&str> = line.split(' ').collect();
        let [id, tree, item, epoch, outcome, ended] = words[..] else { return Err(wrong()) };
        let epoch = epoch.strip_prefix('e').and_then(|epoch| epoch.parse().ok()).ok_or_else(wrong)?;
        Ok(Self {
            id: id.parse()?,
            tree: tree.parse()?,
            item: item.parse()?,
            epoch,
            outcome: outcome.parse()?,
            ended: ended.parse().map_err(|_| wrong())?,
        })
    }
}

/// What is to go.
#[derive(Debug, Default)]
pub struct Plan {
    /// Ended tickets, with all that is kept of them; by tree, name and age.
    pub tickets: Vec<(Expired, PathBuf)>,
    /// Copies of mails, answered requests and refused reports, relative to the spool.
    pub files: Vec<PathBuf>,
}

/// Looks for what is to go at the time of `clock`.
///
/// # Errors
/// Something that cannot be read just now.
pub fn plan(spool: &Spool, keep: &KeepSection, clock: &Clock) -> Result<Plan> {
    let before =
        SignedDuration::try_from(keep.results.0).ok().and_then(|age| clock.now().checked_sub(age).ok());
    let Some(before) = before else { return Ok(Plan::default()) };
    let mut plan = Plan { tickets: Vec::new(), files: copies(spool, before)? };
    let busy = busy(spool)?;
    let of_package = |(tree, name): &(Tree, Name)| {
        let history = History::of(spool, tree, name)?;
        let old = goes(history.entries().rev(), keep.failures, before);
        let mut tickets = Vec::new();
        for entry in old.into_iter().rev().filter(|entry| !busy.contains(&entry.name.id)) {
            let line = line_of(spool, &entry)?.filter(|line| line.ended < before);
            tickets.extend(line.map(|line| (line, entry.path)));
        }
        Ok(tickets)
    };
    plan.tickets = together(&list::packages(spool)?, of_package)?.into_iter().flatten().collect();
    Ok(plan)
}

/// The rule: of one package's ended tickets, `newest` first, those that were asked for before that time and are not, for
/// their architecture, the last success, one of the last `failures` failures, or what the package came to last (an abort
/// that is forgotten would be asked for again).
fn goes(newest: impl Iterator<Item = Entry>, failures: usize, before: Timestamp) -> Vec<Entry> {
    #[derive(Default)]
    struct Kept {
        any: bool,
        last: bool,
        built: bool,
        failed: usize,
    }
    let mut kept: BTreeMap<Arch, Kept> = BTreeMap::new();
    let mut old = Vec::new();
    for entry in newest {
        let Stand::Done(outcome) = entry.name.stand else { continue };
        let kept = kept.entry(entry.name.item.arch.clone()).or_default();
        let stays = match outcome {
            Outcome::Built => !std::mem::replace(&mut kept.built, true),
            Outcome::Failed => {
                kept.failed += 1;
                kept.failed <= failures
            }
            Outcome::Trouble | Outcome::Aborted | Outcome::Superseded => false,
        };
        let last = outcome != Outcome::Superseded && !std::mem::replace(&mut kept.last, true);
        let any = !std::mem::replace(&mut kept.any, true);
        if !(stays || last || any) && entry.name.id.time() < before {
            old.push(entry);
        }
    }
    old
}

/// The tickets that somebody has still to act on: to publish, or to tell.
fn busy(spool: &Spool) -> Result<HashSet<Id>> {
    let held = report::held(spool)?.into_iter().map(|(id, _)| id);
    let owed = report::owed(spool)?.into_iter().map(|(id, ..)| id);
    Ok(held.chain(owed).collect())
}

/// One whose report is gone already was let go of before, by somebody who was killed.
fn line_of(spool: &Spool, entry: &Entry) -> Result<Option<Expired>> {
    let Stand::Done(outcome) = entry.name.stand else { return Ok(None) };
    let name = &entry.name;
    let report = spool.report(&name.id, name.epoch, outcome);
    let ended = report::ended_at(&report)?.unwrap_or_else(|| name.id.time());
    let (tree, item) = (name.tree.clone(), name.item.clone());
    Ok(Some(Expired { id: name.id, tree, item, epoch: name.epoch, outcome, ended }))
}

/// Copies of mails and answered requests of days before that time, and reports refused before it.
fn copies(spool: &Spool, before: Timestamp) -> Result<Vec<PathBuf>> {
    let last = before.strftime("%Y%m%d").to_string();
    let owed: HashSet<String> =
        report::owed(spool)?.iter().map(|(id, epoch, outcome)| format!("{id}.{epoch}.{outcome}")).collect();
    let mut files = Vec::new();
    for place in ["sent", "request"] {
        let is_old = |day: &String| day.len() == last.len() && *day < last;
        for day in list::names(&spool.at(place))?.into_iter().filter(is_old) {
            let day = Path::new(place).join(day);
            let names = list::names(&spool.root().join(&day))?.into_iter();
            // The copy is what keeps a mail from being sent twice.
            let is_owed =
                |name: &String| owed.contains(&name.splitn(4, '.').take(3).collect::<Vec<_>>().join("."));
            files.extend(names.filter(|name| !is_owed(name)).map(|name| day.join(name)));
        }
    }
    for name in list::names(&spool.at("late"))? {
        let id: Option<Id> = name.split('.').next().and_then(|id| id.parse().ok());
        let Some(id) = id.filter(|id| id.time() < before) else { continue };
        let path = spool.at("late").join(&name);
        let ended = match readable(Report::read(&path.with_extension("toml")))? {
            Some(report) => report.ended,
            None => id.time(),
        };
        if ended < before {
            files.push(Path::new("late").join(name));
        }
    }
    Ok(files)
}

/// Lets go of what [`plan`] finds; returns it. Two at once do the same twice, which does no harm.
///
/// # Errors
/// A failing system call: then some of it may be left, and is found again.
pub fn expire(spool: &Spool, keep: &KeepSection, clock: &Clock) -> Result<Plan> {
    let plan = plan(spool, keep, clock)?;
    if !plan.tickets.is_empty() {
        let text: String = plan.tickets.iter().map(|(line, _)| format!("{line}\n")).collect();
        let file = spool.at("expired").join(Id::new(clock.now()).as_str());
        if durable::put(&spool.tmp(), &file, text.as_bytes())? == durable::Put::Differs {
            return Err(Error::again(format!("cannot write {}: it is there", file.display())));
        }
    }
    forget_tries(spool, &plan.tickets)?;
    // Not fsynced: what a power cut brings back goes the next time.
    together(&plan.tickets, |(_, path)| durable::unlink(path))?;
    let mut places: BTreeSet<&Path> = plan.tickets.iter().filter_map(|(_, path)| path.parent()).collect();
    let files: Vec<PathBuf> = plan.files.iter().map(|file| spool.root().join(file)).collect();
    files.iter().try_for_each(|file| durable::unlink(file))?;
    places.extend(files.iter().filter_map(|file| file.parent()).filter(|place| !place.ends_with("late")));
    for place in places {
        durable::prune(place);
    }
    Ok(plan)
}

/// Removes what is kept of the tries: reports, logs, packages that nobody wanted.
fn forget_tries(spool: &Spool, tickets: &[(Expired, PathBuf)]) -> Result<()> {
    let ids: HashSet<&str> = tickets.iter().map(|(line, _)| line.id.as_str()).collect();
    let days: BTreeSet<&str> = tickets.iter().map(|(line, _)| line.id.day()).collect();
    let ours = |name: &String| name.split('.').next().is_some_and(|id| ids.contains(id));
    let of_both = |day: &&str| ["log", "report"].map(|place| spool.at(place).join(day));
    let days: Vec<PathBuf> = days.iter().flat_map(of_both).collect();
    together(&days, |day| {
        let names = list::names(day)?;
        names.iter().filter(|name| ours(name)).try_for_each(|name| durable::unlink(&day.join(name)))?;
        durable::prune(day);
        Ok(())
    })?;
    for name in list::names(&spool.at("hold"))?.iter().filter(|name| ours(name)) {
        let path = spool.at("hold").join(name);
        match durable::is_dir(&path)? {
            true => durable::remove_tree(&path)?,
            false => durable::unlink(&path)?,
        }
    }
    Ok(())
}

/// Returns the tickets that have expired, and when each went.
///
/// # Errors
/// Lines that cannot be read.
pub fn gone(spool: &Spool) -> Result<BTreeMap<Id, (Expired, Timestamp)>> {
    let files = list::names(&spool.at("expired"))?;
    Ok(gone_in(spool, files.iter())?.into_iter().map(|(line, went)| (line.id, (line, went))).collect())
}

/// Returns the tickets that the `files` in `expired/` tell of, and when each went.
///
/// # Errors
/// Lines that cannot be read.
pub fn gone_in<'a>(
    spool: &Spool,
    files: impl Iterator<Item = &'a String>,
) -> Result<Vec<(Expired, Timestamp)>> {
    let mut gone = Vec::new();
    for name in files {
        let Ok(went) = name.parse::<Id>() else { continue };
        let text = durable::read(&spool.at("expired").join(name), LARGEST)?;
        let lines = text.split(|byte| *byte == b'\n').filter_map(|line| std::str::from_utf8(line).ok());
        gone.extend(lines.filter_map(|line| line.parse::<Expired>().ok()).map(|line| (line, went.time())));
    }
    Ok(gone)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What goes of a package's tickets, each `DAY-OUTCOME-ARCH`, oldest first; all of them asked for long ago.
    fn gone_of(tickets: &[&str]) -> Vec<String> {
        let entry = |text: &&str| {
            let words: Vec<&str> = text.split('-').collect();
            let text = format!(
                "5,202601{:0>2}-120000-000-aaaaaa,current,a-1-1-{},e1,{}",
                words[0], words[2], words[1]
            );
            Entry { name: text.parse().unwrap(), builder: None, path: PathBuf::new() }
        };
        let newest = tickets.iter().rev().map(entry);
        let old = goes(newest, 2, "2026-11-22T00:00:00Z".parse().unwrap());
        let days = old.iter().rev().map(|entry| entry.name.id.day()[6..].trim_start_matches('0').to_owned());
        days.collect()
    }

    #[test]
    fn the_last_success_and_the_last_failures_of_each_architecture_stay_for_ever() {
        let tickets =
            ["1-built-i686", "2-built-x86_64", "3-built-x86_64", "4-failed-x86_64", "5-failed-x86_64"];
        assert_eq!(gone_of(&tickets), ["2"]);
        assert_eq!(gone_of(&[&tickets[..], &["6-failed-x86_64", "7-failed-i686"]].concat()), ["2", "4"]);
    }

    #[test]
    fn what_a_package_came_to_last_stays_an_abort_too() {
        assert_eq!(gone_of(&["1-aborted-x86_64", "2-aborted-x86_64"]), ["1"]);
        assert_eq!(gone_of(&["1-aborted-x86_64", "2-superseded-x86_64", "3-superseded-x86_64"]), ["2"]);
        assert_eq!(gone_of(&["1-trouble-x86_64", "2-built-x86_64"]), ["1"]);
    }

    #[test]
    fn what_was_asked_for_lately_stays() {
        let text = |day: &str| format!("5,202601{day}-120000-000-aaaaaa,current,a-1-1-x86_64,e1,built");
        let entry = |day| Entry { name: text(day).parse().unwrap(), builder: None, path: PathBuf::new() };
        let newest = || ["03", "02", "01"].map(entry).into_iter();
        assert_eq!(goes(newest(), 5, "2026-01-02T00:00:00Z".parse().unwrap()).len(), 1);
        assert_eq!(goes(newest(), 5, "2026-01-01T00:00:00Z".parse().unwrap()).len(), 0);
    }

    #[test]
    fn a_line_is_read_as_it_was_written_and_no_other() {
        let line = "20261122-120000-000-aaaaaa current gcc-1-1-x86_64 e1 built 2026-11-22T12:00:00Z";
        assert_eq!(line.parse::<Expired>().unwrap().to_string(), line);
        for other in
            ["", "x", &line.replace(" e1", " 1"), &format!("{line} more"), &line.replace("gcc", "../gcc")]
        {
            assert!(other.parse::<Expired>().is_err(), "{other}");
        }
    }
}
