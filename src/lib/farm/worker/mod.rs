//! syncpkgcd: registers, claims, builds in its slots, reports.
//!
//! Invariant: a report is on this host's disk before it is delivered, and stays until the master has answered.

mod attempt;
mod homes;
mod life;
mod outbox;
mod slots;
mod throttle;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Scope;
use std::time::Duration;

use self::attempt::Attempt;
pub use self::homes::{deliver_all, has_reports};
use self::outbox::Outbox;
use self::slots::Slots;
use self::throttle::{Throttle, spare_memory, vitals};
use super::master::{Master, Task};
use super::offer::Offer;
use super::service::Service;
use crate::base::error::Kind;
use crate::base::{Clock, Error, Result, durable, lock};
use crate::build::{self, first_error};
use crate::config::{Bytes, Config, Term};
use crate::names::{Builder, Instance};
use crate::spool::Claim;
use crate::spool::builder::Profile;
use crate::spool::claim::{Choice, Request};

/// How long a builder waits before it tries again what it could not do.
const PAUSE: Duration = Duration::from_secs(10);

/// How often it looks whether it is asked for something else.
const LOOK: Duration = Duration::from_millis(200);

/// A builder at work.
pub struct Worker<'a> {
    name: Builder,
    /// Where it keeps its clones, its checkouts and its reports.
    home: PathBuf,
    config: Mutex<Arc<Config>>,
    master: &'a Master<'a>,
    clock: &'a Clock,
    host: &'a str,
    service: &'a dyn Service,
    slots: Slots,
    throttle: Throttle,
    /// The master has been told what it builds.
    registered: AtomicBool,
    said: Mutex<Said>,
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

/// What people have been told: a master that is away for a day is two lines in the log.
#[derive(Default)]
struct Said {
    trouble: Option<String>,
    away: bool,
}

/// What came of looking for work.
enum Turn {
    /// A build has begun.
    Began,
    /// All slots are at work.
    Busy,
    /// There is nothing to claim, or nothing that may be claimed now.
    Nothing,
}

impl<'a> Worker<'a> {
    /// A builder called `name` on `host`.
    pub fn new(
        name: Builder,
        config: Config,
        master: &'a Master<'a>,
        clock: &'a Clock,
        host: &'a str,
        service: &'a dyn Service,
    ) -> Self {
        Self {
            home: config.builder.work.join(&name),
            name,
            config: Mutex::new(Arc::new(config)),
            master,
            clock,
            host,
            service,
            slots: Slots::default(),
            throttle: Throttle::default(),
            registered: AtomicBool::new(false),
            said: Mutex::default(),
        }
    }

    /// Builds until there is nothing to claim. Does nothing when this builder is at work already.
    ///
    /// # Errors
    /// The master's spool or this host's disk cannot be used.
    pub fn once(&self) -> Result<()> {
        let Some(_home) = self.begin()? else { return Ok(()) };
        std::thread::scope(|scope| {
            while !self.is_ending() {
                match self.turn(scope, false)? {
                    Turn::Began => {}
                    Turn::Nothing if self.slots.taken() == 0 => break,
                    Turn::Busy | Turn::Nothing => self.slots.wait(PAUSE),
                }
            }
            self.see_off();
            Ok(())
        })?;
        // What could not be delivered is known to whoever called.
        self.deliver().map(drop)
    }

    /// Builds whatever comes until it is asked to end.
    ///
    /// # Errors
    /// Another process is this builder already; the rest is said and tried again.
    pub fn keep_going(&self) -> Result<()> {
        let Some(_home) = self.begin()? else {
            return Err(Error::again(format!("builder {} is at work already", self.name)));
        };
        std::thread::scope(|scope| {
            while !self.is_ending() {
                match self.turn(scope, true) {
                    Ok(Turn::Began) => self.well(),
                    Ok(Turn::Busy | Turn::Nothing) => {}
                    Err(error) => {
                        self.unwell(&error);
                        self.rest();
                    }
                }
            }
            self.see_off();
        });
        Ok(())
    }

    /// Looks for work for a free slot, and begins it.
    fn turn<'s, 'e: 's>(&'e self, scope: &'s Scope<'s, 'e>, waits: bool) -> Result<Turn> {
        self.pulse();
        self.deliver()?;
        let config = self.config();
        // Only this thread takes slots: what is free stays so.
        let Some(slot) = self.slots.free(config.builder.slots) else {
            self.slots.wait(LOOK);
            return Ok(Turn::Busy);
        };
        let Some(task) = self.look(&config, waits)? else { return Ok(Turn::Nothing) };
        self.slots.take(slot);
        scope.spawn(move || {
            self.build(&config, slot, &task);
            self.slots.give(slot);
        });
        Ok(Turn::Began)
    }

    /// Claims, if this host has room for more.
    fn look(&self, config: &Config, waits: bool) -> Result<Option<Task>> {
        match self.throttle.closed(&self.home, &config.builder)? {
            None => self.claim(config, waits),
            // Who comes from cron is back in a minute.
            Some(_) if !waits => Ok(None),
            Some(why) => Err(Error::no(format!("claims nothing: {why}"))),
        }
    }

    /// Claims; nothing when there is nothing. The word of a request whose answer was lost is kept, and asked with again:
    /// also by who comes after a builder that was killed.
    fn claim(&self, config: &Config, waits: bool) -> Result<Option<Task>> {
        let asking = self.home.join("asking");
        let kept =
            durable::read(&asking, 64).ok().and_then(|word| String::from_utf8(word).ok()?.parse().ok());
        let instance = kept.map_or_else(Instance::random, Ok)?;
        durable::replace(&asking, instance.as_str().as_bytes())?;
        let (builder, archs) = (self.name.clone(), config.builder.archs.clone());
        let request = Request { builder, instance, archs, count: 1, choice: Choice::default() };
        let stop = || {
            self.pulse();
            let closed = || matches!(self.throttle.closed(&self.home, &config.builder), Ok(Some(_)));
            self.is_ending() || !self.registered.load(Ordering::Relaxed) || (waits && closed())
        };
        let offer = self.offer(config)?;
        let tasks = match self.master.claim(&request, &offer, &config.need, waits, &stop, self.clock) {
            Err(error) if error.kind == Kind::No => Vec::new(),
            // It may have been answered all the same.
            Err(_) if stop() => return Ok(None),
            other => other?,
        };
        // What is begun is known before the word is forgotten.
        tasks.iter().try_for_each(|task| self.outbox().open(&task.claim).map(drop))?;
        durable::forget(&asking);
        Ok(tasks.into_iter().next())
    }

    fn offer(&self, config: &Config) -> Result<Offer> {
        let builder = &config.builder;
        let vitals = vitals(&self.home)?;
        Ok(Offer {
            tags: builder.tags.clone(),
            memory: builder.memory.or_else(spare_memory),
            disk: vitals.disk.map(Bytes),
            load: vitals.load,
            except: builder.except.clone(),
            last: builder.idle.clone(),
        })
    }

    /// Builds, and brings the report as soon as the master takes it.
    fn build(&self, config: &Config, slot: usize, task: &Task) {
        let attempt = Attempt { worker: self, config, slot, task };
        let Err(broken) = attempt.run() else { return self.bring(&task.claim) };
        self.tell(&format!("{}: {broken}", task.item()));
        while let Err(error) = self.outbox().give_back(&task.claim, &broken.to_string()) {
            self.unwell(&error);
            if self.is_ending() {
                return;
            }
            self.rest();
        }
        self.bring(&task.claim);
    }

    /// Delivers until the report on `claim` is not here any more.
    fn bring(&self, claim: &Claim) {
        loop {
            let delivered = self.deliver();
            if !self.outbox().has(claim) || self.is_ending() {
                return;
            }
            match delivered {
                // Somebody else brings it, or what is before it.
                Ok(false) => std::thread::sleep(LOOK),
                Ok(true) => self.rest(),
                Err(error) => {
                    self.unwell(&error);
                    self.rest();
                }
            }
        }
    }

    /// Registers, if that is still to be done, and brings the master what waits for it on this host's disk; tells
    /// whether nobody else was at that.
    fn deliver(&self) -> Result<bool> {
        let config = self.config();
        if !self.registered.load(Ordering::Relaxed) {
            self.master.register(&self.name, &self.profile(&config), self.clock)?;
            self.registered.store(true, Ordering::Relaxed);
        }
        let lines = self.outbox().deliver(self.master, &config, self.clock, &|| self.pulse())?;
        for line in lines.iter().flatten() {
            self.tell(line);
        }
        if std::mem::take(&mut self.said().away) {
            self.service.say("the master is there again");
        }
        Ok(lines.is_some())
    }

    fn profile(&self, config: &Config) -> Profile {
        Profile {
            archs: config.builder.archs.clone(),
            slots: Some(config.builder.slots),
            tags: config.builder.tags.clone(),
            version: env!("CARGO_PKG_VERSION").parse().ok(),
            host: self.host.parse().ok(),
        }
    }

    /// Waits for the builds that run; says so, once.
    fn see_off(&self) {
        let running = self.slots.taken();
        if running == 0 {
            return;
        }
        let builds = if running == 1 { "1 build".to_owned() } else { format!("{running} builds") };
        match self.config().builder.term {
            Term::Finish if !self.hands_back() => {
                self.service.say(&format!("ends after {builds}; asked once more, it hands them back"));
            }
            Term::Finish | Term::HandBack => self.service.say(&format!("hands back {builds}")),
        }
        while self.slots.taken() > 0 {
            self.service.lives(&format!("ends after {builds}"));
            self.slots.wait(LOOK);
        }
    }

    /// Takes in what it was asked meanwhile, and shows that it lives.
    fn pulse(&self) {
        match self.service.reread() {
            None => {}
            Some(Ok(config)) => {
                *self.config.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
                self.registered.store(false, Ordering::Relaxed);
                self.service.say("reads its configuration again");
            }
            Some(Err(error)) => self.service.say(&format!("keeps its configuration: {error}")),
        }
        let (taken, slots) = (self.slots.taken(), self.config().builder.slots);
        self.service.lives(&format!("{taken} of {slots} slots at work"));
    }

    /// Sleeps a while, but not past being asked to end.
    fn rest(&self) {
        let start = std::time::Instant::now();
        while !self.is_ending() && start.elapsed() < PAUSE {
            self.pulse();
            std::thread::sleep(LOOK);
        }
    }

    /// Takes this builder's place on this host; none when another process has it.
    fn begin(&self) -> Result<Option<lock::Lock>> {
        durable::make_dir(&self.home)?;
        let held = lock::if_free(&self.home.join("lock"))?;
        if held.is_some() {
            build::adopt()?;
            // Nothing is being built now: a try without a report was interrupted in a killed predecessor.
            self.outbox().give_back_interrupted()?;
            first_error::wrong(&self.config()).iter().for_each(|error| self.service.say(&error.to_string()));
        }
        Ok(held)
    }

    fn is_ending(&self) -> bool {
        self.service.ends() > 0
    }

    fn hands_back(&self) -> bool {
        let enough = match self.config().builder.term {
            Term::Finish => 2,
            Term::HandBack => 1,
        };
        self.service.ends() >= enough
    }

    fn well(&self) {
        self.said().trouble = None;
    }

    fn unwell(&self, error: &Error) {
        self.said().away |= error.kind == Kind::Again;
        self.tell(&error.to_string());
    }

    /// Says what is still as it was only once.
    fn tell(&self, text: &str) {
        let mut said = self.said();
        if said.trouble.as_deref() != Some(text) {
            self.service.say(text);
        }
        said.trouble = Some(text.to_owned());
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn config(&self) -> Arc<Config> {
        Arc::clone(&self.config.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn outbox(&self) -> Outbox {
        Outbox::new(&self.home.join("outbox"), self.host)
    }
}

#[cfg(test)]
mod tests;
