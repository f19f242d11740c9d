//! The master's round: everything that nobody asked for but somebody must do, each part even if another fails.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::{drop_box, publish, retry};
use crate::base::durable;
use crate::base::output::inert;
use crate::base::watch::Watch;
use crate::base::{Clock, Error, Result, lock};
use crate::config::Config;
use crate::spool::{Spool, check, expire, lease, waiting};

/// How long the daemon rests at the most between two rounds; not longer than a lease: one that was lost is taken back by
/// the round after it.
const REST: Duration = Duration::from_secs(60);

/// How long it rests at the least.
const LEAST: Duration = Duration::from_secs(1);

/// How many parked tickets a round wakes at the most.
const WAKE: usize = 10_000;

/// What a round did and what went wrong in it.
#[derive(Debug, Clone, Default)]
pub struct Round {
    /// A line for each thing done.
    pub done: Vec<String>,
    /// What went wrong; the rest of the round went on.
    pub errors: Vec<Error>,
    /// What went wrong in the round before, in words.
    pub before: Vec<String>,
    /// There is more to do at once: no round lasts longer because much has piled up.
    pub more: bool,
}

impl Round {
    /// Tells whether `error` went wrong in the round before too: whoever is told each minute stops reading.
    pub fn is_old(&self, error: &Error) -> bool {
        self.before.contains(&line(error))
    }

    fn part(&mut self, part: Result<Vec<String>>) {
        match part {
            Ok(lines) => self.done.extend(lines),
            Err(error) => self.errors.push(error),
        }
    }
}

/// Goes one round: acts on what was handed in, takes back lost claims, publishes, sends mails, writes the site,
/// sweeps. Returns none when somebody else is just doing so.
///
/// # Errors
/// The round could not be begun.
pub fn go(config: &Config, spool: &Spool, clock: &Clock) -> Result<Option<Round>> {
    spool.stays()?;
    let Some(lock) = lock::if_free(&spool.at("lock").join("round"))? else { return Ok(None) };
    let before =
        fs::read_to_string(record(spool)).unwrap_or_default().lines().skip(1).map(str::to_owned).collect();
    let mut round = Round { before, ..Round::default() };
    round.part(drop_box::act(config, spool, clock));
    round.part(reclaim(config, spool, clock));
    let published = publish::publish(config, spool, &mut round.done);
    round.errors.extend(published.err());
    round.part(retry::retry(config, spool, clock));
    match waiting::wake_all(spool, WAKE) {
        Ok(more) => round.more = more,
        Err(error) => round.errors.push(error),
    }
    round.part(super::notify::notify(config, spool, clock));
    round.part(check::sweep(spool).map(|()| Vec::new()));
    round.part(expire_daily(config, spool, clock).map(|()| Vec::new()));
    round.part(super::site::write(config, spool, &|_, _| (), clock).map(|_| Vec::new()));
    let errors: String = round.errors.iter().map(|error| format!("{}\n", line(error))).collect();
    durable::replace(&record(spool), format!("{}\n{errors}", clock.now()).as_bytes())?;
    drop(lock);
    Ok(Some(round))
}

fn reclaim(config: &Config, spool: &Spool, clock: &Clock) -> Result<Vec<String>> {
    let lost = lease::reclaim(spool, config.lease.expires.0 + config.lease.grace.0, &config.trouble, clock)?;
    Ok(lost
        .iter()
        .map(|entry| format!("took back {}: its builder was not heard of", entry.name.item))
        .collect())
}

/// Lets go of what is old, once a day. Not on the first day after a gap: a clock that has just jumped by years must not
/// make everything old.
fn expire_daily(config: &Config, spool: &Spool, clock: &Clock) -> Result<()> {
    let record = spool.at("cache").join("expired");
    let today = clock.now().to_zoned(TimeZone::UTC).date();
    let last = fs::read_to_string(&record).ok().and_then(|day| day.trim().parse::<Date>().ok());
    if last == Some(today) {
        return Ok(());
    }
    if last.is_some_and(|last| last < today && today.saturating_sub(2.days()) <= last) {
        expire::expire(spool, &config.keep, clock)?;
    }
    durable::replace(&record, format!("{today}\n").as_bytes()).map(drop)
}

/// Returns when the last round ended; none if there never was one.
pub fn last(spool: &Spool) -> Option<Timestamp> {
    fs::read_to_string(record(spool)).ok()?.lines().next()?.parse().ok()
}

/// When the last round ended, and what went wrong in it, a line each.
fn record(spool: &Spool) -> PathBuf {
    spool.at("cache").join("round")
}

fn line(error: &Error) -> String {
    inert(&error.to_string())
}

/// Goes rounds until `stop` says so: when something happens in the spool, and at least once a minute and once
/// a lease. `say` is told what was done and what went wrong.
///
/// # Errors
/// The spool cannot be watched.
pub fn keep_going(
    config: &Config,
    spool: &Spool,
    clock: &Clock,
    stop: &dyn Fn() -> bool,
    say: &mut dyn FnMut(&str),
) -> Result<()> {
    let places = ["drop", "hold", "owed"].map(|name| spool.at(name));
    while !stop() {
        spool.stays()?;
        spool.restore()?;
        let mut watch = Watch::on(&places)?;
        let mut rest = config.lease.expires.0.clamp(LEAST, REST);
        match go(config, spool, clock) {
            Ok(Some(round)) => {
                if round.more {
                    rest = Duration::ZERO;
                }
                round.done.iter().for_each(|line| say(line));
                round.errors.iter().filter(|error| !round.is_old(error)).for_each(|error| say(&line(error)));
            }
            Ok(None) => {}
            Err(error) => say(&line(&error)),
        }
        // What the round itself did there starts one more, which finds nothing to do and then rests.
        if !stop() {
            watch.wait(rest)?;
        }
    }
    Ok(())
}
