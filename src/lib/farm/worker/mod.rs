//! syncpkgcd: registers, claims, builds, reports; one slot of a builder.
//!
//! Invariant: a report is on this host's disk before it is delivered, and stays until the master has answered.

mod attempt;
mod outbox;

use std::path::PathBuf;
use std::time::Duration;

use self::attempt::Attempt;
use self::outbox::Outbox;
use crate::base::error::Kind;
use crate::base::{Clock, Error, Result, durable, lock};
use crate::config::Config;
use crate::names::{Builder, Instance};
use crate::spool::claim::{self, Claimed, Request};
use crate::spool::{Spool, builder};

/// How long a builder waits before it tries again what it could not do.
const PAUSE: Duration = Duration::from_secs(10);

/// One slot of a builder at work.
pub struct Worker<'a> {
    /// Its name at the master.
    pub name: Builder,
    /// The configuration.
    pub config: &'a Config,
    /// The master's spool.
    pub spool: &'a Spool,
    /// The clock.
    pub clock: &'a Clock,
    /// The name of this host.
    pub host: &'a str,
    /// Answers yes from the moment the builder is asked to end.
    pub stop: &'a dyn Fn() -> bool,
    /// Is told what people should know.
    pub say: &'a dyn Fn(&str),
}

/// Returns the builder's name: the one given, the configured one, or the host's up to its first dot.
///
/// # Errors
/// The host's name is not one a builder may have.
pub fn name(config: &Config, given: Option<Builder>, host: &str) -> Result<Builder> {
    if let Some(name) = given.or_else(|| config.builder.name.clone()) {
        return Ok(name);
    }
    let short = host.split('.').next().unwrap_or_default().to_lowercase();
    short.parse().map_err(|error: Error| error.hint("set builder.name in the configuration, or give --name"))
}

impl Worker<'_> {
    /// Builds until there is nothing to claim. Does nothing when this slot is at work already.
    ///
    /// # Errors
    /// The master's spool or this host's disk cannot be used.
    pub fn once(&self) -> Result<()> {
        let Some(_slot) = self.begin()? else { return Ok(()) };
        loop {
            self.deliver()?;
            if (self.stop)() || !self.has_room()? {
                return Ok(());
            }
            match claim::take(self.spool, &self.request()?, self.clock) {
                Ok(claimed) => claimed.iter().try_for_each(|claimed| self.build(claimed))?,
                Err(error) if error.kind == Kind::No => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// Builds whatever comes until it is asked to end.
    ///
    /// # Errors
    /// Another process is this slot already; the rest is said and tried again.
    pub fn keep_going(&self) -> Result<()> {
        let Some(_slot) = self.begin()? else {
            return Err(Error::again(format!("builder {} is at work already", self.name)));
        };
        let mut full = false;
        while !(self.stop)() {
            let ended = self.turn(&mut full);
            if let Err(error) = ended {
                (self.say)(&error.to_string());
                self.rest();
            }
        }
        Ok(())
    }

    fn turn(&self, full: &mut bool) -> Result<()> {
        self.deliver()?;
        if !self.has_room()? {
            if !*full {
                (self.say)(&format!("claims nothing: less than {} free", self.config.builder.free));
            }
            *full = true;
            self.rest();
            return Ok(());
        }
        *full = false;
        match claim::wait(self.spool, &self.request()?, None, self.stop, self.clock) {
            Ok(claimed) => claimed.iter().try_for_each(|claimed| self.build(claimed)),
            Err(error) if error.kind == Kind::No => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Sleeps a while, but not past being asked to end.
    fn rest(&self) {
        let start = std::time::Instant::now();
        while !(self.stop)() && start.elapsed() < PAUSE {
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Registers; none when another process is this slot.
    fn begin(&self) -> Result<Option<lock::Lock>> {
        let home = self.home();
        durable::make_dir(&home)?;
        let Some(slot) = lock::if_free(&home.join("lock"))? else { return Ok(None) };
        builder::register(self.spool, &self.name, &self.config.builder.archs, self.clock)?;
        Ok(Some(slot))
    }

    /// Nothing is being built now: a try without a report was interrupted, here or in a killed predecessor.
    fn deliver(&self) -> Result<()> {
        self.outbox().give_back_interrupted()?;
        for line in self.outbox().deliver(self.spool, &self.config.trouble, self.clock)? {
            (self.say)(&line);
        }
        Ok(())
    }

    fn build(&self, claimed: &Claimed) -> Result<()> {
        let attempt = Attempt { worker: self, claimed };
        attempt.run()?;
        self.deliver()
    }

    fn request(&self) -> Result<Request> {
        Ok(Request {
            builder: self.name.clone(),
            instance: Instance::random()?,
            archs: self.config.builder.archs.clone(),
            count: 1,
        })
    }

    fn has_room(&self) -> Result<bool> {
        Ok(durable::available(&self.home())? >= self.config.builder.free.0)
    }

    fn outbox(&self) -> Outbox {
        Outbox::new(&self.home().join("outbox"), self.host)
    }

    /// Where this slot keeps its clones, its checkout and its reports.
    fn home(&self) -> PathBuf {
        self.config.builder.work.join(&self.name)
    }
}
