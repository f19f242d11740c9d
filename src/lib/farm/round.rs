//! The master's round: everything that nobody asked for but somebody must do, each part even if another fails.

use std::time::Duration;

use jiff::Timestamp;

use super::{drop_box, publish};
use crate::base::durable;
use crate::base::error::Kind;
use crate::base::output::inert;
use crate::base::watch::Watch;
use crate::base::{Clock, Error, Result, lock};
use crate::config::Config;
use crate::spool::{Spool, check, lease};

/// How long the daemon rests at the most between two rounds.
const REST: Duration = Duration::from_secs(60);

/// What a round did and what went wrong in it.
#[derive(Debug, Clone, Default)]
pub struct Round {
    /// A line for each thing done.
    pub done: Vec<String>,
    /// What went wrong; the rest of the round went on.
    pub errors: Vec<Error>,
}

impl Round {
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
    let lock = match lock::exclusive(&spool.at("lock").join("round"), Duration::ZERO) {
        Ok(lock) => lock,
        Err(error) if error.kind == Kind::Again => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut round = Round::default();
    round.part(drop_box::act(config, spool, clock));
    round.part(reclaim(config, spool, clock));
    round.part(publish::publish(config, spool, clock));
    round.part(super::notify::notify(config, spool, clock));
    round.part(check::sweep(spool).map(|()| Vec::new()));
    round.part(super::site::write(config, spool, &|_, _| (), clock).map(|()| Vec::new()));
    durable::replace(&spool.at("cache").join("round"), format!("{}\n", clock.now()).as_bytes())?;
    drop(lock);
    Ok(Some(round))
}

fn reclaim(config: &Config, spool: &Spool, clock: &Clock) -> Result<Vec<String>> {
    let lost = lease::reclaim(spool, config.lease.expires.0, &config.trouble, clock)?;
    Ok(lost
        .iter()
        .map(|entry| format!("took back {}: its builder was not heard of", entry.name.item))
        .collect())
}

/// Returns when the last round ended; none if there never was one.
pub fn last(spool: &Spool) -> Option<Timestamp> {
    std::fs::read_to_string(spool.at("cache").join("round")).ok()?.trim().parse().ok()
}

/// Goes rounds until `stop` says so: when something happens in the spool, and at least once a minute. `say` is
/// told what was done and what went wrong.
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
        let mut watch = Watch::on(&places)?;
        match go(config, spool, clock) {
            Ok(Some(round)) => {
                round.done.iter().for_each(|line| say(line));
                round.errors.iter().for_each(|error| say(&inert(&error.to_string())));
            }
            Ok(None) => {}
            Err(error) => say(&inert(&error.to_string())),
        }
        // What the round itself did there starts one more, which finds nothing to do and then rests.
        if !stop() {
            watch.wait(REST)?;
        }
    }
    Ok(())
}
