//! What goes on beside a build: saying that it lives, handing over its log, hearing that it is to stop. None of it can
//! hold up the build, or fail it: a master that is away is asked again.

use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::throttle::vitals;
use crate::base::Result;
use crate::config::Config;
use crate::farm::master::{Log, Master};
use crate::spool::lease::Beat;
use crate::spool::{Claim, Vitals};

/// How often a log that has grown is handed over.
const LIVE: Duration = Duration::from_secs(3);

/// How long a master that could not be reached is left alone.
const PAUSE: Duration = Duration::from_secs(5);

/// Who lives: a try that is being built.
pub(super) struct Life<'a> {
    master: &'a Master<'a>,
    config: &'a Config,
    claim: &'a Claim,
    log: Log,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Why it is to stop.
    reason: Option<String>,
    /// It has ended by itself.
    over: bool,
}

impl<'a> Life<'a> {
    /// Does `work`, whose log is `log`, and what goes on beside it.
    pub fn during<T>(
        master: &'a Master<'a>,
        config: &'a Config,
        claim: &'a Claim,
        log: &Path,
        work: impl FnOnce(&Self) -> T,
    ) -> T {
        let (log, state, changed) = (Log::new(log.to_owned()), Mutex::default(), Condvar::new());
        let life = Self { master, config, claim, log, state, changed };
        std::thread::scope(|scope| {
            scope.spawn(|| life.beat());
            scope.spawn(|| life.listen());
            let done = work(&life);
            life.note(|state| state.over = true);
            done
        })
    }

    /// Keeps the lease of `claim` while `work` is done, whose build has ended; `alive` is told that it goes on.
    pub fn kept<T>(
        master: &'a Master<'a>,
        config: &'a Config,
        claim: &'a Claim,
        alive: &(dyn Fn() + Sync),
        work: impl FnOnce() -> T,
    ) -> T {
        let (log, state, changed) = (Log::new(PathBuf::new()), Mutex::default(), Condvar::new());
        let life = Self { master, config, claim, log, state, changed };
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !life.is_over() {
                    life.rest(config.lease.beat.0);
                    alive();
                    if !life.is_over() {
                        life.hear(master.beat(claim, None, life.vitals(), config));
                    }
                }
            });
            let done = work();
            life.note(|state| state.over = true);
            done
        })
    }

    /// Returns why it is to stop, if it is.
    pub fn reason(&self) -> Option<String> {
        self.note(|state| state.reason.clone())
    }

    fn note<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        // Who breaks down with it in hand has changed nothing by halves.
        let done = change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
        done
    }

    fn is_over(&self) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.over || state.reason.is_some()
    }

    /// Sleeps, but not past its end.
    fn rest(&self, time: Duration) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let goes_on = |state: &mut State| !state.over && state.reason.is_none();
        drop(self.changed.wait_timeout_while(state, time, goes_on));
    }

    /// How this host does; whoever cannot tell beats all the same.
    fn vitals(&self) -> Vitals {
        vitals(&self.config.builder.work).unwrap_or_default()
    }

    fn beat(&self) {
        let every = self.config.lease.beat.0;
        let mut last: Option<Instant> = None;
        while !self.is_over() {
            let due = last.is_none_or(|last| last.elapsed() >= every);
            if due || self.log.has_grown() {
                let vitals = if due { self.vitals() } else { Vitals::default() };
                self.hear(self.master.beat(self.claim, Some(&self.log), vitals, self.config));
            }
            if due {
                last = Some(Instant::now());
            }
            self.rest(LIVE.min(every));
        }
    }

    fn listen(&self) {
        while !self.is_over() {
            if self.hear(self.master.watch(self.claim, &|| self.is_over())) {
                self.rest(PAUSE);
            }
        }
    }

    /// Takes in an answer; tells whether there was none.
    fn hear(&self, answer: Result<Beat>) -> bool {
        match answer {
            Ok(Beat::GoOn) => false,
            Ok(Beat::Stop(reason)) => {
                self.note(|state| state.reason = Some(reason));
                false
            }
            Err(_) => true,
        }
    }
}
