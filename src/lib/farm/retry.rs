//! Tried again: what failed, once something it needs was built since; and only then.
//!
//! Owns: the rule, and when it is looked at: after something was published, which the missing note `cache/retried` says.
//! Invariant: a failure is tried again at most once for each time that something it needs is built, because the new
//! failure is younger than that.

use std::collections::HashMap;
use std::path::PathBuf;

use jiff::Timestamp;

use super::ask::{Asker, Wish, ask};
use super::why::is_published;
use crate::base::error::readable;
use crate::base::{Clock, Result, durable, lock};
use crate::config::Config;
use crate::mail::AUTOMATIC;
use crate::names::{Arch, Item, Name, Outcome, Priority, Tree};
use crate::spool::{Entry, History, Spool, Stand, list};

/// Notes that something is about to be published: until [`retry`] has ended, whoever comes next looks.
pub(super) fn expect(spool: &Spool) {
    durable::forget(&note(spool));
}

/// What it is looked at for is over when it is there.
fn note(spool: &Spool) -> PathBuf {
    spool.at("cache").join("retried")
}

/// Says what [`retry`] would ask for now, a line for each; changes nothing.
///
/// # Errors
/// Something that cannot be read just now.
pub(super) fn foresee(config: &Config, spool: &Spool) -> Result<Vec<String>> {
    if durable::present(&note(spool))? {
        return Ok(Vec::new());
    }
    let failures = Look { config, spool, built: HashMap::new() }.failures()?;
    let line = |(_, item, since): (Tree, Item, Item)| format!("ask again for {item}: {}", because(&since));
    Ok(failures.into_iter().map(line).collect())
}

fn because(since: &Item) -> String {
    format!("{since} was built since it failed")
}

/// Asks again for what failed before something it needs was built; a line for each.
///
/// # Errors
/// Something that cannot be read, or asked for, just now: it is looked at again in the next round.
pub(super) fn retry(config: &Config, spool: &Spool, clock: &Clock) -> Result<Vec<String>> {
    if durable::present(&note(spool))? {
        return Ok(Vec::new());
    }
    let mut look = Look { config, spool, built: HashMap::new() };
    let mut lines = Vec::new();
    for (tree, item, since) in look.failures()? {
        let reason = because(&since);
        let wish = Wish {
            tree: Some(tree),
            force: true,
            spare_aborted: true,
            priority: Some(Priority::Unbuilt),
            reason: reason.clone(),
            ..Wish::default()
        };
        let answers = ask(
            config,
            spool,
            &[item.to_string()],
            &wish,
            Asker::unwatched(AUTOMATIC, lock::PATIENCE),
            clock,
        )?;
        // A version that the tree does not want any more is nobody's loss.
        let asked = answers.iter().filter(|answer| answer.ticket.is_ok());
        lines.extend(asked.map(|_| format!("asked again for {item}: {reason}")));
    }
    durable::replace(&note(spool), b"")?;
    Ok(lines)
}

struct Look<'a> {
    config: &'a Config,
    spool: &'a Spool,
    /// What was built last of a package and for an architecture, and when.
    built: HashMap<(Tree, Name, Arch), Option<(Item, Timestamp)>>,
}

impl Look<'_> {
    /// Returns what failed last, and what it needs that was built since.
    fn failures(&mut self) -> Result<Vec<(Tree, Item, Item)>> {
        let mut found = Vec::new();
        for (tree, name) in list::packages(self.spool)? {
            for entry in History::of(self.spool, &tree, &name)?.last() {
                if entry.name.stand == Stand::Done(Outcome::Failed)
                    && let Some(since) = self.since(&entry)?
                {
                    found.push((tree.clone(), entry.name.item, since));
                }
            }
        }
        Ok(found)
    }

    /// Returns something that a failed ticket needs and that was built since.
    fn since(&mut self, entry: &Entry) -> Result<Option<Item>> {
        let (Some(ticket), Some(report)) = (readable(entry.ticket())?, entry.report(self.spool)?) else {
            return Ok(None);
        };
        for needed in ticket.depends {
            let built = self.built(&ticket.tree, &needed, &ticket.arch)?;
            if let Some((item, ended)) = built
                && ended > report.ended
            {
                return Ok(Some(item));
            }
        }
        Ok(None)
    }

    fn built(&mut self, tree: &Tree, name: &Name, arch: &Arch) -> Result<Option<(Item, Timestamp)>> {
        let key = (tree.clone(), name.clone(), arch.clone());
        if let Some(known) = self.built.get(&key) {
            return Ok(known.clone());
        }
        let is_built = |entry: &Entry| {
            let fits = entry.name.item.arch == *arch || entry.name.item.arch.is_any();
            fits && entry.name.stand == Stand::Done(Outcome::Built)
        };
        let last = History::of(self.spool, tree, name)?.entries().rev().find(is_built);
        let found = match last {
            Some(entry) if is_published(self.config, &entry)? => {
                entry.report(self.spool)?.map(|report| (entry.name.item, report.ended))
            }
            Some(_) | None => None,
        };
        self.built.insert(key, found.clone());
        Ok(found)
    }
}
