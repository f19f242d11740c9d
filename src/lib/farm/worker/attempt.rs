//! One try: check out exactly the revision of the ticket, prepare, build, write the report down.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Worker;
use super::life::Life;
use super::outbox::Ended;
use crate::base::output::inert;
use crate::base::{Error, Result, durable};
use crate::build::{self, End, Limits, Values, checkout, first_error::Patterns, products, supervise};
use crate::config::{Commands, Config, TreeSection};
use crate::farm::master::Task;
use crate::farm::recipe;
use crate::names::{Item, Outcome};

/// How often a build asks whether it is to stop.
const LOOK: Duration = Duration::from_secs(1);

/// The exit status by which a command says that it was not the package's fault (EX_TEMPFAIL).
const TRY_AGAIN: i32 = 75;

pub(super) struct Attempt<'a> {
    pub worker: &'a Worker<'a>,
    pub config: &'a Config,
    pub slot: usize,
    pub task: &'a Task,
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
        let claim = &self.task.claim;
        let place = outbox.open(claim)?;
        let log = place.join("log");
        self.note(&log, &self.headline())?;
        let (master, config) = (self.worker.master, self.config);
        let steps = |life: &Life| self.steps(&place, &log, life);
        let ended = match Life::during(master, config, claim, &log, steps) {
            Ok(()) => Ended { outcome: Outcome::Built, stage: None, reason: String::new(), exit: Some(0) },
            Err(Stop::Ended(ended)) => ended,
            Err(Stop::Unwanted(why)) => {
                self.worker.service.say(&format!("stopped building {}: {why}", self.task.item()));
                return outbox.drop(claim);
            }
        };
        let reason = if ended.reason.is_empty() { String::new() } else { format!(": {}", ended.reason) };
        self.note(&log, &format!("{}{reason}", ended.outcome))?;
        outbox.close(claim, &ended)
    }

    fn headline(&self) -> String {
        let task = self.task;
        let (name, host) = (&self.worker.name, self.worker.host);
        let (item, tree, revision, epoch) = (task.item(), &task.tree, &task.revision, task.claim.epoch);
        format!("{item} of {tree} at {revision}, try {epoch}, on {name} ({host})")
    }

    fn note(&self, log: &Path, text: &str) -> Result<()> {
        let end = std::fs::metadata(log).map(|meta| meta.len()).unwrap_or(0);
        // A line of ours is whole, whatever the build left unfinished before it.
        let start = if ends_a_line(log, end) { "" } else { "\n" };
        durable::write_at(log, end, format!("{start}[syncpkg] {}\n", inert(text)).as_bytes())
    }

    fn steps(&self, place: &Path, log: &Path, life: &Life) -> Step<()> {
        let task = self.task;
        let section = self.config.tree.get(&task.tree);
        let section = section.ok_or_else(|| {
            trouble("checkout", format!("this builder does not know the tree {}", task.tree))
        })?;
        let checkout = self.check_out(section)?;
        self.is_what_was_asked_for(section, &checkout, log)?;
        if let Some(reason) = life.reason() {
            return Err(Stop::Unwanted(reason));
        }
        let directory = checkout.join(crate::tree::recipe_directory(&task.path));
        let Commands { prepare, command, files } = self.config.builder.commands(&task.tree);
        if !prepare.is_empty() {
            self.prepare(&prepare, &directory, log, life)?;
        }
        self.note(log, &format!("runs {}", command.join(" ")))?;
        let end = self.command(&command, &directory, log, life)?;
        self.judge(&end, log)?;
        self.collect(&directory, &files, place)
    }

    fn check_out(&self, section: &TreeSection) -> Step<PathBuf> {
        let task = self.task;
        let (caches, into) = (self.worker.home.join("cache"), self.place("build")?);
        let cache = caches.join(&task.tree);
        durable::make_dir(&caches)?;
        let checked_out = checkout(section.scm, &section.source(), &task.revision, &cache, &into);
        checked_out.map(|()| into).map_err(|error| trouble("checkout", error.to_string()))
    }

    /// The first edition built whatever was newest; a checkout that says another version is refused.
    fn is_what_was_asked_for(&self, section: &TreeSection, checkout: &Path, log: &Path) -> Step<()> {
        let task = self.task;
        let scratch = self.place("tmp")?;
        let at = (checkout, task.path.as_str());
        match recipe::in_checkout(section, &task.tree, at, &task.revision, &scratch) {
            Ok(Some(Ok(recipe))) if (&recipe.version, &recipe.release) == (&task.version, &task.release) => {
                Ok(())
            }
            Ok(Some(Ok(recipe))) => {
                let says = format!("{}-{}-{}", recipe.name, recipe.version, recipe.release);
                Err(failed("checkout", format!("{} says {says} at that revision", task.path), None))
            }
            Ok(Some(Err(problem))) => {
                Err(failed("checkout", format!("cannot read {}: {}", problem.path, problem.error), None))
            }
            Ok(None) => Err(failed("checkout", format!("there is no {} at that revision", task.path), None)),
            // A builder without a sandbox still builds; that the version was not checked is in the log.
            Err(error) => Ok(self.note(log, &format!("the version was not checked: {error}"))?),
        }
    }

    fn prepare(&self, words: &[String], directory: &Path, log: &Path, life: &Life) -> Step<()> {
        self.note(log, &format!("prepares with {}", words.join(" ")))?;
        match self.command(words, directory, log, life)? {
            End::Exited(0) => Ok(()),
            End::Exited(status) => Err(trouble("prepare", format!("it exited with status {status}"))),
            End::Signalled(signal) => Err(trouble("prepare", format!("it was killed by signal {signal}"))),
            End::TotalLimit | End::SilenceLimit => Err(trouble("prepare", "it took too long".to_owned())),
            End::Stopped(reason) => Err(self.stopped(reason)),
        }
    }

    fn command(&self, words: &[String], directory: &Path, log: &Path, life: &Life) -> Step<End> {
        let (task, item) = (self.task, self.task.item());
        let values = self.values(&item);
        let (words, environment) = (build::substitute(words, &values), self.environment(&values)?);
        let (total, silence, most) = self.config.limit.of(&task.name);
        let limits = Limits {
            total: total.0,
            silence: silence.0,
            log: most.0,
            grace: self.config.limit.grace.0,
            beat: LOOK,
        };
        let mut beat = || {
            let stopped = self.worker.hands_back().then(|| STOPPED.to_owned());
            Ok(stopped.or_else(|| life.reason()))
        };
        Ok(supervise::run(&words, directory, &environment, log, &limits, &mut beat)?)
    }

    /// What the words of a command may stand for.
    fn values<'v>(&'v self, item: &'v Item) -> Values<'v> {
        let builder = &self.config.builder;
        let arch = if item.arch.is_any() { builder.archs.first() } else { Some(&item.arch) };
        let processors = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let jobs = builder.jobs.or_else(|| u32::try_from((processors() / builder.slots).max(1)).ok());
        let arch = arch.map_or("any", |arch| arch.as_str());
        let (tree, batch) = (&self.task.tree, self.task.batch.as_ref());
        Values { item, arch, tree, batch, jobs: jobs.unwrap_or(1), slot: self.slot }
    }

    fn environment(&self, values: &Values) -> Result<Vec<(String, String)>> {
        let home = self.place("home")?;
        durable::make_dir(&home)?;
        let set = |name: &str, value: String| (name.to_owned(), value);
        let own = &self.config.builder.environment;
        let given = own.iter().map(|(name, value)| set(name, build::fill(value, values)));
        Ok([
            set("HOME", home.to_string_lossy().into_owned()),
            set("LC_ALL", "C.UTF-8".to_owned()),
            set("MAKEFLAGS", format!("-j{}", values.jobs)),
        ]
        .into_iter()
        .chain(given)
        .chain([set(build::MARK, self.task.claim.to_string())])
        .collect())
    }

    /// A place of this slot's own.
    fn place(&self, name: &str) -> Result<PathBuf> {
        let slot = self.worker.home.join("slot").join(self.slot.to_string());
        durable::make_dir(&slot)?;
        Ok(slot.join(name))
    }

    /// Whose fault it was.
    fn judge(&self, end: &End, log: &Path) -> Step<()> {
        if matches!(end, End::Exited(0)) {
            // Who took his log away may have taken more; a build without a trace is none.
            return Ok(durable::open_regular(log).map(drop)?);
        }
        let (total, silence, _) = self.config.limit.of(&self.task.name);
        let summary = Patterns::of(self.config).of_file(log)?;
        let limit = |what: String| Err(failed(summary.stage, what, None));
        match end {
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

fn ends_a_line(log: &Path, end: u64) -> bool {
    let mut last = [b'\n'];
    if let (Some(at), Ok(file)) = (end.checked_sub(1), File::open(log)) {
        // When it cannot be told, as if it did.
        drop(file.read_exact_at(&mut last, at));
    }
    last == [b'\n']
}

const STOPPED: &str = "the builder was stopped";

fn cut(text: &str) -> String {
    text.chars().take(200).collect()
}
