//! Builders that the farm sets aside: one that has trouble again and again rests for longer each time; one that fails
//! what others built waits for a person, and the mails about those failures with it. A person pauses, the farm sets
//! aside.
//!
//! Owns: the rule ([`Conduct::after`], pure) and its memory, `builder/NAME.aside`. Invariant: the memory is there only
//! as long as something speaks against the builder; lost, it costs a few more failures until it is known again.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{History, Report, Spool, Stand, record};
use crate::base::clock::shown;
use crate::base::durable;
use crate::base::error::readable;
use crate::base::{Clock, Result, lock};
use crate::config::TroubleSection;
use crate::names::{Arch, Builder, Id, Name, Outcome, Tree};

/// How long a builder rests first; twice as long after each further trouble.
const REST: Duration = Duration::from_secs(10);

/// The longest it rests. What would rest longer got its time from a clock that was wrong.
const LONGEST: Duration = Duration::from_secs(3600);

/// What speaks against a builder.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conduct {
    /// The version of this record's shape.
    format: u32,
    /// How often in a row it had trouble.
    troubles: u32,
    /// It is given nothing before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
    /// Since when it waits for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
    /// The admin was told.
    #[serde(default)]
    told: bool,
    /// What it failed in a row that the farm had built before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    failures: Vec<Failure>,
}

/// A failure of something that had been built before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Failure {
    tree: Tree,
    name: Name,
    arch: Arch,
    id: Id,
    epoch: u32,
    ended: Timestamp,
}

/// What the end of a try says about its builder.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Sign {
    /// It can build.
    Built,
    /// It could not even try.
    Trouble,
    /// It failed, as that package did before or as one that nobody ever built.
    Failed,
    /// It failed what was built before.
    Broke(Failure),
}

/// A builder that is set aside, for those who look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Aside {
    /// Until when; none when a person has to look.
    pub until: Option<Timestamp>,
    /// Since when a person has to look.
    pub since: Option<Timestamp>,
    /// What speaks against it.
    pub why: String,
}

impl Aside {
    /// Says in few words that it is set aside, and for how long.
    pub fn state(&self) -> String {
        match (self.until, self.since) {
            (Some(until), _) => format!("set aside until {}", shown(until)),
            (None, Some(since)) => format!("set aside since {}", shown(since)),
            (None, None) => "set aside".to_owned(),
        }
    }
}

impl Conduct {
    /// The rule. What is reported while the builder rests was begun before, and does not lengthen that; what it builds
    /// meanwhile does not end the wait for a person.
    fn after(mut self, sign: Sign, rules: &TroubleSection, now: Timestamp) -> Self {
        match sign {
            Sign::Built if self.since.is_none() => return Self::default(),
            Sign::Built | Sign::Failed => (self.troubles, self.until) = (0, None),
            Sign::Trouble if self.rests(now).is_some() => {}
            Sign::Trouble => {
                self.troubles = self.troubles.saturating_add(1);
                let more = self.troubles.checked_sub(rules.in_a_row).filter(|_| rules.in_a_row > 0);
                self.until = more.and_then(|more| {
                    let rest = REST.saturating_mul(2_u32.saturating_pow(more)).min(LONGEST);
                    now.checked_add(SignedDuration::try_from(rest).ok()?).ok()
                });
            }
            Sign::Broke(failure) => {
                (self.troubles, self.until) = (0, None);
                self.failures.push(failure);
                let enough = rules.failures > 0 && self.packages().len() >= rules.failures;
                self.since = self.since.or(Some(now).filter(|_| enough));
            }
        }
        self
    }

    /// Returns the different packages among the failures.
    fn packages(&self) -> BTreeSet<&Name> {
        self.failures.iter().map(|failure| &failure.name).collect()
    }

    /// Returns how long it rests still.
    fn rests(&self, now: Timestamp) -> Option<Duration> {
        let left = Duration::try_from(self.until?.duration_since(now)).ok()?;
        Some(left).filter(|left| !left.is_zero() && *left <= LONGEST)
    }

    fn aside(&self, now: Timestamp) -> Option<Aside> {
        if let Some(since) = self.since {
            let names: Vec<&str> = self.packages().into_iter().map(Name::as_str).collect();
            let why = format!(
                "{} packages in a row failed there that had been built before: {}",
                names.len(),
                names.join(", ")
            );
            return Some(Aside { until: None, since: Some(since), why });
        }
        self.rests(now)?;
        Some(Aside {
            until: self.until,
            since: None,
            why: format!("it had trouble {} times in a row", self.troubles),
        })
    }

    /// Tells whether the mail about that failure waits: a person has to look first; or it is one of several in a row,
    /// and not old.
    fn holds(&self, id: &Id, epoch: u32, rules: &TroubleSection, now: Timestamp) -> bool {
        let it = self.failures.iter().find(|failure| failure.id == *id && failure.epoch == epoch);
        it.is_some_and(|it| {
            let age = now.duration_since(it.ended).unsigned_abs();
            self.since.is_some() || (rules.failures > 0 && self.packages().len() > 1 && age < rules.hold.0)
        })
    }
}

fn file(spool: &Spool, name: &Builder) -> PathBuf {
    spool.at("builder").join(format!("{name}.aside"))
}

fn read(spool: &Spool, name: &Builder) -> Result<Option<Conduct>> {
    let path = file(spool, name);
    // Hardly ever there, and each claim looks.
    if durable::present(&path)? { readable(record::read(&path)) } else { Ok(None) }
}

fn write(spool: &Spool, name: &Builder, conduct: Conduct) -> Result<()> {
    match conduct == Conduct::default() {
        true => durable::remove(&file(spool, name)),
        false => {
            let text = record::text(&Conduct { format: 1, ..conduct })?;
            durable::replace(&file(spool, name), text.as_bytes()).map(drop)
        }
    }
}

/// Changes what is known of a builder, alone.
fn change<T>(
    spool: &Spool,
    name: &Builder,
    change: impl FnOnce(Conduct) -> Result<(Conduct, T)>,
) -> Result<T> {
    let _lock = lock::exclusive(&spool.at("lock").join("builder"), lock::PATIENCE)?;
    let before = read(spool, name)?.map(|conduct| Conduct { format: 0, ..conduct }).unwrap_or_default();
    let (after, answer) = change(before.clone())?;
    if after != before {
        write(spool, name, after)?;
    }
    Ok(answer)
}

/// Notes how a try ended that its builder has reported.
///
/// # Errors
/// A failing system call.
pub(super) fn note(
    spool: &Spool,
    name: &Builder,
    report: &Report,
    rules: &TroubleSection,
    clock: &Clock,
) -> Result<()> {
    let sign = match report.outcome {
        Outcome::Built if read(spool, name)?.is_none() => return Ok(()),
        Outcome::Built => Sign::Built,
        Outcome::Trouble => Sign::Trouble,
        Outcome::Failed if was_built(spool, report)? => Sign::Broke(Failure {
            tree: report.tree.clone(),
            name: report.name.clone(),
            arch: report.arch.clone(),
            id: report.id,
            epoch: report.epoch,
            ended: report.ended,
        }),
        Outcome::Failed => Sign::Failed,
        Outcome::Aborted | Outcome::Superseded => return Ok(()),
    };
    change(spool, name, |conduct| Ok((conduct.after(sign, rules, clock.now()), ())))
}

/// Tells whether the last try of that package before this one that was judged had built it.
fn was_built(spool: &Spool, report: &Report) -> Result<bool> {
    let history = History::of(spool, &report.tree, &report.name)?.of_arch(&report.arch);
    let older = history.entries().rev().filter(|entry| entry.name.id < report.id);
    let mut judged = older.filter_map(|entry| match entry.name.stand {
        Stand::Done(outcome @ (Outcome::Built | Outcome::Failed)) => Some(outcome),
        Stand::Done(_) | Stand::Waiting(_) | Stand::Building(_) => None,
    });
    Ok(judged.next() == Some(Outcome::Built))
}

/// Returns whether a builder is set aside.
///
/// # Errors
/// A failing system call.
pub fn of(spool: &Spool, name: &Builder, now: Timestamp) -> Result<Option<Aside>> {
    Ok(read(spool, name)?.and_then(|conduct| conduct.aside(now)))
}

/// Tells whether the mail about a failure on that builder waits until it is clear whose fault it was.
///
/// # Errors
/// A failing system call.
pub fn holds_mail(
    spool: &Spool,
    name: &Builder,
    (id, epoch): (&Id, u32),
    rules: &TroubleSection,
    now: Timestamp,
) -> Result<bool> {
    Ok(read(spool, name)?.is_some_and(|conduct| conduct.holds(id, epoch, rules, now)))
}

/// Returns a builder that was set aside without its admin having heard of it.
///
/// # Errors
/// A failing system call.
pub fn untold(spool: &Spool, name: &Builder, now: Timestamp) -> Result<Option<Aside>> {
    Ok(read(spool, name)?.filter(|conduct| !conduct.told).and_then(|conduct| conduct.aside(now)))
}

/// Notes that the admin has heard of it.
///
/// # Errors
/// A failing system call.
pub fn told(spool: &Spool, name: &Builder) -> Result<()> {
    change(spool, name, |conduct| Ok((Conduct { told: conduct != Conduct::default(), ..conduct }, ())))
}

/// A person has looked: nothing speaks against the builder any more. Mails about failures that somebody asked again
/// for since are thrown away: the builder was at fault. Says how many those are, and how many go out now.
///
/// # Errors
/// A failing system call.
pub fn clear(spool: &Spool, name: &Builder) -> Result<Vec<String>> {
    let Some(conduct) = read(spool, name)? else { return Ok(Vec::new()) };
    let (mut thrown, mut go_out) = (0, 0);
    for failure in &conduct.failures {
        let note = spool.owed(&failure.id, failure.epoch, Outcome::Failed);
        if !durable::present(&note)? {
            continue;
        }
        if asked_again(spool, failure)? {
            durable::remove(&note)?;
            thrown += 1;
        } else {
            go_out += 1;
        }
    }
    change(spool, name, |_| Ok((Conduct::default(), ())))?;
    let fates = [(thrown, "not sent: asked for again since"), (go_out, "sent now")];
    let fates = fates.into_iter().filter(|(many, _)| *many > 0);
    Ok(fates.map(|(many, fate)| format!("{}, {fate}", mails(many))).collect())
}

fn mails(many: usize) -> String {
    let plural = if many == 1 { "" } else { "s" };
    format!("{many} mail{plural} about failures")
}

/// Tells whether there is a later ticket for what failed.
fn asked_again(spool: &Spool, failure: &Failure) -> Result<bool> {
    let later = super::list::of_package(spool, Some(&failure.tree), &failure.name, |history| history.last())?;
    Ok(later.iter().any(|entry| entry.name.item.arch == failure.arch && entry.name.id > failure.id))
}

#[cfg(test)]
mod tests;
