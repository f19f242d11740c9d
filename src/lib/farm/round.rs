//! The master's round: everything that nobody asked for but somebody must do, each part even if another fails.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::service::Service;
use super::{drop_box, publish, retry};
use crate::base::durable;
use crate::base::output::{SILENT, inert};
use crate::base::watch::Watch;
use crate::base::{Clock, Error, Result, lock};
use crate::build::first_error;
use crate::config::Config;
use crate::spool::{Spool, check, expire, lease, list, log, report, waiting};
use crate::tree::{Desk, roomy};

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
/// sweeps. `doing` hears at what it is. Returns none when somebody else is just doing so.
///
/// # Errors
/// The round could not be begun.
pub fn go(
    config: &Config,
    spool: &Spool,
    doing: &(dyn Fn(&str) + Sync),
    clock: &Clock,
) -> Result<Option<Round>> {
    spool.stays()?;
    let Some(lock) = lock::if_free(&spool.at("lock").join("round"))? else { return Ok(None) };
    let before =
        fs::read_to_string(record(spool)).unwrap_or_default().lines().skip(1).map(str::to_owned).collect();
    let mut round = Round { before, ..Round::default() };
    doing("acts on requests");
    let more = drop_box::is_more(spool).unwrap_or(false);
    round.part(drop_box::act(config, spool, clock));
    // What could not be acted on is no reason for the next round.
    round.more = more && !round.done.is_empty();
    round.part(reclaim(config, spool, clock));
    doing("publishes");
    let published = publish::publish(config, spool);
    round.more |= published.more;
    round.done.extend(published.done);
    round.errors.extend(published.error);
    round.part(retry::retry(config, spool, clock));
    match waiting::wake_all(spool, WAKE) {
        Ok(more) => round.more |= more,
        Err(error) => round.errors.push(error),
    }
    doing("sends mails");
    round.part(super::notify::notify(config, spool, clock).map(super::notify::Told::lines));
    doing("sweeps");
    round.part(check::sweep(spool).map(|()| Vec::new()));
    round.part(expire_daily(config, spool, clock).map(|()| Vec::new()));
    match log::pack(spool, &config.keep, clock) {
        Ok(more) => round.more |= more,
        Err(error) => round.errors.push(error),
    }
    round.errors.extend(first_error::wrong(config));
    let progress = |_, _| doing("writes the site");
    progress(0, 0);
    round.part(super::site::write(config, spool, &progress, clock).map(|_| Vec::new()));
    let errors: String = round.errors.iter().map(|error| format!("{}\n", line(error))).collect();
    durable::replace(&record(spool), format!("{}\n{errors}", clock.now()).as_bytes())?;
    drop(lock);
    Ok(Some(round))
}

/// Says what a round would do now, a line each, and changes nothing. What would follow from that, as asking again for
/// what failed for want of what is published, is not foreseen.
///
/// # Errors
/// Something that cannot be read just now.
pub fn foresee(config: &Config, spool: &Spool, clock: &Clock) -> Result<Vec<String>> {
    let desk = Desk { scratch: roomy(PathBuf::from("/var/tmp")), kept: None, progress: SILENT };
    let mut lines: Vec<String> =
        list::names(&spool.at("drop"))?.iter().map(|name| format!("act on drop/{name}")).collect();
    lines.sort_unstable();
    for entry in lease::silent(spool, lease_of(config), clock)? {
        lines.push(format!("take back {}: its builder was not heard of", entry.name.item));
    }
    lines.extend(publish::foresee(config, spool, &desk)?);
    lines.extend(retry::foresee(config, spool)?);
    lines.extend(some(waiting::free(spool)?, "wake 1 parked ticket", "wake N parked tickets"));
    let owed = report::owed(spool)?.len();
    lines.extend(some(owed, "look at 1 note of a mail", "look at N notes of mails"));
    for (path, why) in check::stale(spool)? {
        let path = path.strip_prefix(spool.root()).unwrap_or(&path).display().to_string();
        lines.push(format!("remove {}: it {why}", inert(&path)));
    }
    if let (_, true) = expiry(spool, clock) {
        let plan = expire::plan(spool, &config.keep, clock)?;
        lines.extend(some(plan.tickets.len(), "let go of 1 old ticket", "let go of N old tickets"));
        lines.extend(some(plan.files.len(), "remove 1 old copy", "remove N old copies"));
    }
    lines.push("write the site".to_owned());
    Ok(lines)
}

fn some(count: usize, one: &str, many: &str) -> Option<String> {
    match count {
        0 => None,
        1 => Some(one.to_owned()),
        n => Some(many.replace('N', &n.to_string())),
    }
}

fn reclaim(config: &Config, spool: &Spool, clock: &Clock) -> Result<Vec<String>> {
    let lost = lease::reclaim(spool, lease_of(config), &config.trouble, clock)?;
    Ok(lost
        .iter()
        .map(|entry| format!("took back {}: its builder was not heard of", entry.name.item))
        .collect())
}

fn lease_of(config: &Config) -> Duration {
    config.lease.expires.0 + config.lease.grace.0
}

/// Lets go of what is old, once a day. Not on the first day after a gap: a clock that has just jumped by years must not
/// make everything old.
fn expire_daily(config: &Config, spool: &Spool, clock: &Clock) -> Result<()> {
    let (today, is_due) = expiry(spool, clock);
    if is_due {
        expire::expire(spool, &config.keep, clock)?;
    }
    durable::replace(&spool.at("cache").join("expired"), format!("{today}\n").as_bytes()).map(drop)
}

/// Returns the day, and whether what is old is to go now.
fn expiry(spool: &Spool, clock: &Clock) -> (Date, bool) {
    let today = clock.now().to_zoned(TimeZone::UTC).date();
    let last = fs::read_to_string(spool.at("cache").join("expired")).ok();
    let last = last.and_then(|day| day.trim().parse::<Date>().ok());
    (today, last.is_some_and(|last| last < today && today.saturating_sub(2.days()) <= last))
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

/// Goes rounds until it is asked to end: when something happens in the spool, and at least once a minute and once
/// a lease; after each it rests as long as that took.
///
/// # Errors
/// The spool cannot be watched, or has moved.
pub fn keep_going(mut config: Config, spool: &Spool, service: &dyn Service, clock: &Clock) -> Result<()> {
    let places = ["drop", "hold", "owed"].map(|name| spool.at(name));
    while service.ends() == 0 {
        spool.stays()?;
        spool.restore()?;
        let (mut watch, start) = (Watch::on(&places)?.bell(&spool.at("done"))?, Instant::now());
        let rest = match go(&config, spool, &|doing| service.lives(doing), clock) {
            Ok(Some(round)) => {
                told(&round, service);
                if round.more { Duration::ZERO } else { config.lease.expires.0.clamp(LEAST, REST) }
            }
            Ok(None) => config.lease.expires.0.clamp(LEAST, REST),
            Err(error) => {
                service.say(&line(&error));
                REST
            }
        };
        service.lives("rests");
        // However much happens, others have half of the time; then what the round itself did there starts one more,
        // which finds nothing to do.
        if service.ends() == 0 {
            Watch::empty().wait(start.elapsed().min(rest))?;
        }
        if service.ends() == 0 {
            watch.wait(rest)?;
        }
        match service.reread() {
            None => {}
            Some(Ok(read)) => {
                config = read;
                service.say("reads its configuration again");
            }
            Some(Err(error)) => service.say(&format!("keeps its configuration: {error}")),
        }
    }
    Ok(())
}

fn told(round: &Round, service: &dyn Service) {
    round.done.iter().for_each(|line| service.say(line));
    round.errors.iter().filter(|error| !round.is_old(error)).for_each(|error| service.say(&line(error)));
}
