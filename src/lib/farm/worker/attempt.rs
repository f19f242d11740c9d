//! One try: check out exactly the revision of the ticket, prepare, build, write the report down.

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::Worker;
use super::outbox::Ended;
use crate::base::output::inert;
use crate::base::{Error, Result, durable};
use crate::build::{self, End, Limits, Values, checkout, first_error, products, supervise};
use crate::config::TreeSection;
use crate::farm::recipe;
use crate::names::Outcome;
use crate::spool::claim::Claimed;
use crate::spool::lease::{self, Beat};

/// How often a build asks whether it is to stop; the master is asked once a beat.
const LOOK: Duration = Duration::from_secs(1);

/// The exit status by which a command says that it was not the package's fault (EX_TEMPFAIL).
const TRY_AGAIN: i32 = 75;

pub(super) struct Attempt<'a> {
    pub worker: &'a Worker<'a>,
    pub claimed: &'a Claimed,
}

/// Where a try stopped before it could end by itself.
enum Stop {
    /// It ended, this way.
    Ended(Ended),
    /// Nobody wants to hear of it any more: aborted, or the lease was lost; why.
    Unwanted(String),
}

type Step<T> = std::result::Result<T, Stop>;

impl From<Error> for Stop {
    /// What goes wrong on this host is not the package's fault.
    fn from(error: Error) -> Self {
        trouble("builder", error.to_string())
    }
}

fn trouble(stage: &str, reason: String) -> Stop {
    Stop::Ended(Ended { outcome: Outcome::Trouble, stage: Some(stage.to_owned()), reason, exit: None })
}

fn failed(stage: &str, reason: String, exit: Option<i32>) -> Stop {
    Stop::Ended(Ended { outcome: Outcome::Failed, stage: Some(stage.to_owned()), reason, exit })
}

impl Attempt<'_> {
    /// Builds and writes down how it ended.
    pub fn run(&self) -> Result<()> {
        let outbox = self.worker.outbox();
        let claim = &self.claimed.claim;
        let place = outbox.open(claim)?;
        let log = place.join("log");
        self.note(&log, &self.headline())?;
        let ended = match self.steps(&place, &log) {
            Ok(()) => Ended { outcome: Outcome::Built, stage: None, reason: String::new(), exit: Some(0) },
            Err(Stop::Ended(ended)) => ended,
            Err(Stop::Unwanted(why)) => {
                (self.worker.say)(&format!("stopped building {}: {why}", self.claimed.ticket.item()));
                return outbox.drop(claim);
            }
        };
        let reason = if ended.reason.is_empty() { String::new() } else { format!(": {}", ended.reason) };
        self.note(&log, &format!("{}{reason}", ended.outcome))?;
        outbox.close(claim, &ended)
    }

    fn headline(&self) -> String {
        let ticket = &self.claimed.ticket;
        let (name, host) = (&self.worker.name, self.worker.host);
        let (item, tree, revision, epoch) =
            (ticket.item(), &ticket.tree, &ticket.revision, self.claimed.claim.epoch);
        format!("{item} of {tree} at {revision}, try {epoch}, on {name} ({host})")
    }

    fn note(&self, log: &Path, text: &str) -> Result<()> {
        let end = std::fs::metadata(log).map(|meta| meta.len()).unwrap_or(0);
        durable::write_at(log, end, format!("[syncpkg] {}\n", inert(text)).as_bytes())
    }

    fn steps(&self, place: &Path, log: &Path) -> Step<()> {
        let ticket = &self.claimed.ticket;
        let section = self.worker.config.tree.get(&ticket.tree);
        let section = section.ok_or_else(|| {
            trouble("checkout", format!("this builder does not know the tree {}", ticket.tree))
        })?;
        let checkout = self.check_out(section)?;
        self.is_what_was_asked_for(section, &checkout, log)?;
        let directory = checkout.join(crate::tree::recipe_directory(&ticket.path));
        let (prepare, command, files) = self.worker.config.builder.commands(&ticket.tree);
        if !prepare.is_empty() {
            self.prepare(prepare, &directory, log)?;
        }
        self.note(log, &format!("runs {}", command.join(" ")))?;
        let end = self.command(command, &directory, log)?;
        self.judge(&end, log)?;
        self.collect(&directory, files, place)
    }

    fn check_out(&self, section: &TreeSection) -> Step<PathBuf> {
        let ticket = &self.claimed.ticket;
        let home = self.worker.home();
        let (cache, into) = (home.join("cache").join(&ticket.tree), home.join("build"));
        durable::make_dir(&home.join("cache"))?;
        let checked_out =
            self.beating(|| checkout(section.scm, &section.source(), &ticket.revision, &cache, &into));
        checked_out.map(|()| into).map_err(|error| trouble("checkout", error.to_string()))
    }

    /// The first edition built whatever was newest; a checkout that says another version is refused.
    fn is_what_was_asked_for(&self, section: &TreeSection, checkout: &Path, log: &Path) -> Step<()> {
        let ticket = &self.claimed.ticket;
        let scratch = self.worker.home().join("tmp");
        let at = (checkout, ticket.path.as_str());
        match recipe::in_checkout(section, &ticket.tree, at, &ticket.revision, &scratch) {
            Ok(Some(Ok(recipe)))
                if (&recipe.version, &recipe.release) == (&ticket.version, &ticket.release) =>
            {
                Ok(())
            }
            Ok(Some(Ok(recipe))) => {
                let says = format!("{}-{}-{}", recipe.name, recipe.version, recipe.release);
                Err(failed("checkout", format!("{} says {says} at that revision", ticket.path), None))
            }
            Ok(Some(Err(problem))) => {
                Err(failed("checkout", format!("cannot read {}: {}", problem.path, problem.error), None))
            }
            Ok(None) => {
                Err(failed("checkout", format!("there is no {} at that revision", ticket.path), None))
            }
            // A builder without a sandbox still builds; that the version was not checked is in the log.
            Err(error) => Ok(self.note(log, &format!("the version was not checked: {error}"))?),
        }
    }

    fn prepare(&self, words: &[String], directory: &Path, log: &Path) -> Step<()> {
        self.note(log, &format!("prepares with {}", words.join(" ")))?;
        match self.command(words, directory, log)? {
            End::Exited(0) => Ok(()),
            End::Exited(status) => Err(trouble("prepare", format!("it exited with status {status}"))),
            End::Signalled(signal) => Err(trouble("prepare", format!("it was killed by signal {signal}"))),
            End::TotalLimit | End::SilenceLimit => Err(trouble("prepare", "it took too long".to_owned())),
            End::Stopped(reason) => Err(self.stopped(reason)),
        }
    }

    fn command(&self, words: &[String], directory: &Path, log: &Path) -> Step<End> {
        let (worker, ticket) = (self.worker, &self.claimed.ticket);
        let (item, jobs) = (ticket.item(), self.jobs());
        let arch = if item.arch.is_any() { worker.config.builder.archs.first() } else { Some(&item.arch) };
        let arch = arch.map_or("any", |arch| arch.as_str());
        let words = build::substitute(words, &Values { item: &item, arch, tree: &ticket.tree, jobs });
        let (total, silence, most) = worker.config.limit.of(&ticket.name);
        let limits = Limits {
            total: total.0,
            silence: silence.0,
            log: most.0,
            grace: worker.config.limit.grace.0,
            beat: LOOK.min(worker.config.lease.beat.0),
        };
        let mut last = Instant::now();
        let mut beat = || {
            if (worker.stop)() {
                return Ok(Some(STOPPED.to_owned()));
            }
            if last.elapsed() < worker.config.lease.beat.0 {
                return Ok(None);
            }
            last = Instant::now();
            self.beat(Some(log))
        };
        Ok(supervise::run(&words, directory, &self.environment(jobs)?, log, &limits, &mut beat)?)
    }

    fn beat(&self, log: Option<&Path>) -> Result<Option<String>> {
        let limit = &self.worker.config.limit;
        match lease::beat(self.worker.spool, &self.claimed.claim, log, limit)? {
            Beat::GoOn => Ok(None),
            Beat::Stop(reason) => Ok(Some(reason)),
        }
    }

    /// Does something that takes its time while a thread says that this builder lives.
    fn beating<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let (claim, beat) = (&self.claimed.claim, self.worker.config.lease.beat.0);
        let (spool, limit) = (self.worker.spool, &self.worker.config.limit);
        let (done, ended) = mpsc::channel::<()>();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                while ended.recv_timeout(beat) == Err(mpsc::RecvTimeoutError::Timeout) {
                    // A lost lease shows at the first beat of the build itself.
                    let _ = lease::beat(spool, claim, None, limit);
                }
            });
            let result = work();
            drop(done);
            result
        })
    }

    fn jobs(&self) -> u32 {
        let processors =
            || std::thread::available_parallelism().ok().and_then(|n| u32::try_from(n.get()).ok());
        self.worker.config.builder.jobs.or_else(processors).unwrap_or(1)
    }

    fn environment(&self, jobs: u32) -> Result<Vec<(String, String)>> {
        let home = self.worker.home().join("home");
        durable::make_dir(&home)?;
        let set = |name: &str, value: String| (name.to_owned(), value);
        Ok(vec![
            set("HOME", home.to_string_lossy().into_owned()),
            set("LC_ALL", "C.UTF-8".to_owned()),
            set("MAKEFLAGS", format!("-j{jobs}")),
        ])
    }

    /// Whose fault it was.
    fn judge(&self, end: &End, log: &Path) -> Step<()> {
        let limit = |what: String| Err(failed(first_error::of_file(log)?.stage, what, None));
        let (total, silence, _) = self.worker.config.limit.of(&self.claimed.ticket.name);
        let summary = first_error::of_file(log)?;
        match end {
            End::Exited(0) => Ok(()),
            End::Exited(TRY_AGAIN) => {
                Err(trouble(summary.stage, format!("the command exited with status {TRY_AGAIN}")))
            }
            End::Exited(_) if summary.source_unavailable => {
                Err(trouble("fetch", "a source could not be downloaded".to_owned()))
            }
            End::Exited(status) => {
                let reason = summary.found.map(|found| found.text);
                let reason = reason.unwrap_or_else(|| format!("the command exited with status {status}"));
                Err(failed(summary.stage, cut(reason.trim()), Some(*status)))
            }
            End::Signalled(signal) => Err(failed(summary.stage, format!("killed by signal {signal}"), None)),
            End::TotalLimit => limit(format!("it took longer than {total}")),
            End::SilenceLimit => limit(format!("it printed nothing for {silence}")),
            End::Stopped(reason) => Err(self.stopped(reason.clone())),
        }
    }

    fn stopped(&self, reason: String) -> Stop {
        if reason == STOPPED { trouble("builder", reason) } else { Stop::Unwanted(reason) }
    }

    fn collect(&self, directory: &Path, pattern: &str, place: &Path) -> Step<()> {
        let products =
            products(directory, pattern).map_err(|error| failed("package", error.to_string(), Some(0)))?;
        if products.is_empty() {
            return Err(failed(
                "package",
                format!("the command left no file that matches {pattern}"),
                Some(0),
            ));
        }
        let files = place.join("files");
        durable::make_dir(&files)?;
        for product in products {
            // The work directory and the outbox are on the same disk: nothing is copied.
            durable::shift(&product.path, &files.join(&product.name))?;
        }
        Ok(())
    }
}

const STOPPED: &str = "the builder was stopped";

fn cut(text: &str) -> String {
    text.chars().take(200).collect()
}
