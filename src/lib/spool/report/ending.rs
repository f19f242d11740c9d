//! The end of a try, as its builder tells it: accepted, a repeat, or too late.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::{LEASE, Report, blank, file};
use crate::base::durable::{self, Put, Shift};
use crate::base::error::{Kind, readable};
use crate::base::{Clock, Error, Result, lock};
use crate::config::TroubleSection;
use crate::names::Outcome;
use crate::spool::product::{base_name, measure};
use crate::spool::{
    Claim, Entry, Product, Spool, Stamp, Stand, TicketName, aside, builder, list, log, queue, record, waiting,
};

/// What a builder says about the end of a try.
#[derive(Debug, Clone)]
pub struct Ending {
    /// Only `built`, `failed` and `trouble` are a builder's to say.
    pub outcome: Outcome,
    /// As [`Report::stage`].
    pub stage: Option<String>,
    /// As [`Report::reason`].
    pub reason: String,
    /// As [`Report::exit`].
    pub exit: Option<i32>,
    /// As [`Report::host`].
    pub host: String,
    /// The log, to be copied.
    pub log: Option<PathBuf>,
    /// The packages, to be copied.
    pub files: Vec<PathBuf>,
}

/// Ends the claim. A repeat of an accepted report is accepted.
///
/// # Errors
/// `No` when refused: the lease was lost and somebody else holds the ticket, it was aborted, it ended otherwise;
/// the log is then kept in `late/`. Or a failing system call: nothing was acknowledged, ask again.
pub fn end(
    spool: &Spool,
    claim: &Claim,
    ending: &Ending,
    trouble: &TroubleSection,
    clock: &Clock,
) -> Result<()> {
    check(ending)?;
    spool.stays()?;
    builder::touch(spool, &claim.builder)?;
    let Some(entry) = standing(spool, claim)? else { return settle(spool, claim, ending, clock) };
    let report = match draft(&entry, claim, ending, clock) {
        // Aborted or taken back between the look and the reading.
        Err(_) if !durable::present(&entry.path)? => return settle(spool, claim, ending, clock),
        other => other?,
    };
    if let Some(log) = &ending.log {
        keep_log(spool, &spool.log(&claim.id, claim.epoch), log)?;
    }
    if ending.outcome == Outcome::Built {
        keep_files(spool, claim, ending)?;
    }
    let target = destination(spool, &entry.name, ending.outcome, trouble, clock)?;
    file(spool, &report, matches!(target.stand, Stand::Done(_)))?;
    if conclude(spool, &entry, &target, clock)? == Shift::Gone {
        return settle(spool, claim, ending, clock);
    }
    durable::forget(&spool.live(&claim.id, claim.epoch));
    // What it says about the builder is no part of what is acknowledged.
    let _ = aside::note(spool, &claim.builder, &report, trouble, clock);
    match (&entry.name.stand, ending.outcome) {
        // Of a try that was given up long ago they may have been swept between the two steps: they are put again.
        (Stand::Waiting(_), Outcome::Built) => keep_files(spool, claim, ending),
        _other => Ok(()),
    }
}

fn check(ending: &Ending) -> Result<()> {
    match ending.outcome {
        Outcome::Built | Outcome::Failed | Outcome::Trouble => Ok(()),
        Outcome::Aborted | Outcome::Superseded => Err(Error::wrong(format!(
            "cannot report \"{}\": that is not for a builder to say",
            ending.outcome
        ))),
    }
}

/// Returns the ticket as long as this claim may end it: still held, or waiting again, unclaimed since.
fn standing(spool: &Spool, claim: &Claim) -> Result<Option<Entry>> {
    if let Some(entry) = claim.entry(spool)? {
        return Ok(Some(entry));
    }
    // A ticket that rests has been reported on already, one that came back with its lease has not.
    let again = |entry: &Entry| entry.name.epoch == claim.epoch && entry.name.stand == Stand::Waiting(None);
    match list::find(spool, &claim.id)?.filter(again) {
        Some(entry) if !is_over(spool, claim)? => Ok(Some(entry)),
        _ => Ok(None),
    }
}

/// Tells whether the try of a ticket that waits again is over, which the name does not say: another builder had it, or
/// this one reported trouble and its lease was lost at the same moment. The report that is filed does.
fn is_over(spool: &Spool, claim: &Claim) -> Result<bool> {
    let filed = filed_trouble(spool, claim)?;
    Ok(filed.is_some_and(|report| !is_lease(&report) || report.builder.as_ref() != Some(&claim.builder)))
}

/// A lost lease is filed as trouble too, but not by the builder.
fn is_lease(report: &Report) -> bool {
    report.stage.as_deref() == Some(LEASE)
}

fn filed_trouble(spool: &Spool, claim: &Claim) -> Result<Option<Report>> {
    readable(Report::read(&spool.report(&claim.id, claim.epoch, Outcome::Trouble)))
}

/// Moves the ticket to its end or back to the queue. What returns to `new` does so under the queue's lock, so
/// that nobody who looks for it misses it.
fn conclude(spool: &Spool, entry: &Entry, target: &TicketName, clock: &Clock) -> Result<Shift> {
    match target.stand {
        Stand::Waiting(_) => {
            let _lock = spool.lock_queue(lock::PATIENCE)?;
            queue::come_back(spool, &entry.path, target, clock)
        }
        Stand::Building(_) | Stand::Done(_) => {
            let ended = Entry { name: target.clone(), builder: None, path: spool.done(target) };
            let moved = durable::shift(&entry.path, &ended.path)?;
            // A round that met its packages or its note before this moment passed them over.
            durable::ring(&spool.at("done"))?;
            waiting::settle(spool, &ended).map(|()| moved)
        }
    }
}

/// The longest a ticket rests. One that would rest longer got its time from a clock that was wrong.
pub(in crate::spool) const LONGEST_REST: Duration = Duration::from_secs(24 * 3600);

/// Returns the name the ticket gets: ended, or after trouble resting in the queue while it has claims left.
pub(in crate::spool) fn destination(
    spool: &Spool,
    name: &TicketName,
    outcome: Outcome,
    trouble: &TroubleSection,
    clock: &Clock,
) -> Result<TicketName> {
    if outcome != Outcome::Trouble || name.epoch >= trouble.claims {
        return Ok(name.standing(Stand::Done(outcome)));
    }
    let earlier = list::troubles(spool, &name.standing(Stand::Done(Outcome::Built)))?.len();
    let factor = 3_u32.saturating_pow(u32::try_from(earlier).unwrap_or(u32::MAX));
    let rest = trouble.rest.0.saturating_mul(factor).min(LONGEST_REST);
    let rest = SignedDuration::try_from(rest).unwrap_or(SignedDuration::ZERO);
    let until = clock.now().checked_add(rest).unwrap_or(Timestamp::MAX);
    Ok(name.standing(Stand::Waiting(Some(Stamp::new(until)))))
}

/// How often a ticket that moves on while it is looked at is looked for again; each time somebody got further with
/// it, so it is hardly ever more than once.
const LOOKS: usize = 8;

/// The report that did not find its claim: accepted if it is a repeat, else kept in `late/` and refused.
fn settle(spool: &Spool, claim: &Claim, ending: &Ending, clock: &Clock) -> Result<()> {
    let mut looks = 1;
    loop {
        let Some(entry) = list::find(spool, &claim.id)? else {
            keep_unknown(spool, claim, ending, clock)?;
            return Err(Error::no(format!("refused: {}", why_unknown(claim))));
        };
        match settle_with(spool, &entry, claim, ending, clock) {
            // Claimed, taken back or ended between the look and the reading.
            Err(error) if error.kind != Kind::No && looks < LOOKS && !entry.path.exists() => looks += 1,
            other => return other,
        }
    }
}

fn settle_with(spool: &Spool, entry: &Entry, claim: &Claim, ending: &Ending, clock: &Clock) -> Result<()> {
    let same_epoch = entry.name.epoch == claim.epoch;
    let accepted_before = match &entry.name.stand {
        Stand::Done(outcome) if same_epoch && *outcome == ending.outcome => *outcome != Outcome::Superseded,
        // It rests because of this very report.
        Stand::Waiting(Some(_)) if same_epoch => ending.outcome == Outcome::Trouble,
        // Trouble may have been filed, but this end was accepted.
        Stand::Done(Outcome::Built | Outcome::Failed) if same_epoch => false,
        // Trouble filed at an earlier claim: the ticket went back for it, and may have ended since.
        Stand::Waiting(_) | Stand::Building(_) | Stand::Done(_) => {
            ending.outcome == Outcome::Trouble && reported_trouble(spool, claim)?
        }
    };
    if accepted_before {
        durable::confirm(&entry.path)?;
        return Ok(());
    }
    keep_late(spool, entry, claim, ending, clock)?;
    Err(Error::no(format!("refused: {}", why_refused(spool, claim, entry)?)))
}

fn reported_trouble(spool: &Spool, claim: &Claim) -> Result<bool> {
    let filed = filed_trouble(spool, claim)?;
    Ok(filed.is_some_and(|report| !is_lease(&report) && report.builder.as_ref() == Some(&claim.builder)))
}

/// Says why a claim of a ticket that is nowhere does not hold, for its builder.
pub(in crate::spool) fn why_unknown(claim: &Claim) -> String {
    format!("there is no ticket {}: {OLDER}", claim.id)
}

/// What makes a spool forget.
const OLDER: &str = "this spool may have been restored from an older copy";

/// Says why a claim does not hold any more, for its builder.
pub(in crate::spool) fn why_refused(spool: &Spool, claim: &Claim, entry: &Entry) -> Result<String> {
    if claim.epoch > entry.name.epoch {
        let (claimed, known) = (claim.epoch, entry.name.epoch);
        return Ok(format!("epoch {claimed} of the ticket is not known, only {known}: {OLDER}"));
    }
    Ok(match &entry.name.stand {
        Stand::Waiting(None) => "the lease was lost, the ticket waits again".to_owned(),
        Stand::Waiting(Some(_)) => "trouble was reported, the ticket rests".to_owned(),
        Stand::Building(_) => match &entry.builder {
            Some(builder) => format!("the lease was lost, {builder} holds the ticket now"),
            None => "the lease was lost".to_owned(),
        },
        Stand::Done(Outcome::Aborted) => match entry.report(spool)? {
            Some(report) if report.reason.is_empty() => format!("aborted by {}", report.by),
            Some(report) => format!("aborted by {}: {}", report.by, report.reason),
            None => "aborted".to_owned(),
        },
        Stand::Done(outcome) => format!("the ticket has ended as {outcome}"),
    })
}

/// A report of which there is nothing to say but what its builder says: nobody knows its ticket.
#[derive(Serialize)]
struct Stray<'a> {
    format: u32,
    claim: String,
    outcome: Outcome,
    stage: Option<&'a str>,
    reason: &'a str,
    exit: Option<i32>,
    host: &'a str,
    ended: Timestamp,
    files: Vec<Product>,
}

fn keep_unknown(spool: &Spool, claim: &Claim, ending: &Ending, clock: &Clock) -> Result<()> {
    let Ending { outcome, stage, reason, exit, host, .. } = ending;
    let stray = Stray {
        format: 1,
        claim: claim.to_string(),
        outcome: *outcome,
        stage: stage.as_deref(),
        reason,
        exit: *exit,
        host,
        ended: clock.now(),
        files: products(ending)?,
    };
    put_late(spool, claim, ending, &record::text(&stray)?)
}

fn keep_late(spool: &Spool, entry: &Entry, claim: &Claim, ending: &Ending, clock: &Clock) -> Result<()> {
    put_late(spool, claim, ending, &record::text(&draft(entry, claim, ending, clock)?)?)
}

fn products(ending: &Ending) -> Result<Vec<Product>> {
    ending.files.iter().map(|path| measure(path)).collect()
}

fn put_late(spool: &Spool, claim: &Claim, ending: &Ending, text: &str) -> Result<()> {
    let stem = format!("{}.{}.{}", claim.id, claim.epoch, ending.outcome);
    let path = spool.at("late").join(format!("{stem}.toml"));
    if !durable::present(&path)? {
        durable::put(&spool.tmp(), &path, text.as_bytes())?;
    }
    match &ending.log {
        Some(log) => keep_log(spool, &spool.at("late").join(format!("{stem}.log")), log),
        None => Ok(()),
    }
}

fn draft(entry: &Entry, claim: &Claim, ending: &Ending, clock: &Clock) -> Result<Report> {
    let ticket = entry.ticket()?;
    let started = match &entry.name.stand {
        Stand::Building(hold) if entry.name.epoch == claim.epoch => Some(hold.since.0),
        Stand::Building(_) | Stand::Waiting(_) | Stand::Done(_) => None,
    };
    Ok(Report {
        stage: ending.stage.clone(),
        reason: ending.reason.clone(),
        exit: ending.exit,
        builder: Some(claim.builder.clone()),
        host: ending.host.clone(),
        started,
        log: ending.log.is_some(),
        files: products(ending)?,
        ..blank(&ticket, claim.epoch, ending.outcome, clock.now())
    })
}

fn keep_log(spool: &Spool, target: &Path, log: &Path) -> Result<()> {
    let packed = log::packed(target);
    if durable::present(&packed)? {
        // An attempt so long ago that its log was packed since.
        return durable::confirm(&packed);
    }
    let mut source = durable::open_regular(log)?;
    match durable::put_from(&spool.tmp(), target, &mut source)? {
        Put::Made | Put::Same => Ok(()),
        // The log of an earlier attempt at this report; it has been promised to nobody, but it is as good.
        Put::Differs => Ok(()),
    }
}

fn keep_files(spool: &Spool, claim: &Claim, ending: &Ending) -> Result<()> {
    let hold = spool.hold(&claim.id, claim.epoch);
    for path in &ending.files {
        let name = base_name(path)?;
        let mut source = durable::open_regular(path)?;
        if durable::put_from(&spool.tmp(), &hold.join(name), &mut source)? == Put::Differs {
            return Err(Error::wrong(format!("cannot keep {name}: this claim handed in other bytes before")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
