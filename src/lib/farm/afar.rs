//! Asking from a host that has a tree, but not the spool: recipes are read here, tickets are made there. What the other
//! host cannot take now waits here, in the outbox, and is brought later, in order.
//!
//! The outbox is a drop box: the same letters, the same rights. Invariant: a letter is removed after the answer.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::ask::{self, Answered, Asker, Wish};
use super::drop_box::{self, Request};
use super::push::{self, Memory, Push};
use super::ssh::{Heard, Ssh};
use crate::base::durable;
use crate::base::{Clock, Error, Result, lock};
use crate::config::Config;
use crate::names::{Priority, Revision, Tree};
use crate::spool::list;
use crate::tree::{self, Desk, Recipe, Repository};

/// How long a push waits for one before it.
const PATIENCE: Duration = Duration::from_secs(30);

/// A farm on another host.
#[derive(Debug, Clone, Copy)]
pub struct Afar<'a> {
    /// The configuration of this host.
    pub config: &'a Config,
    /// The other one.
    pub ssh: Ssh<'a>,
}

/// What came of asking.
#[derive(Default)]
pub struct Asked {
    /// What could not be read here.
    pub answers: Vec<Answered>,
    /// What the programs there said, one for each that ran.
    pub heard: Vec<Heard>,
}

/// Returns the directory where requests wait on this host, made if it is missing.
///
/// # Errors
/// It cannot be made.
pub fn outbox(config: &Config) -> Result<PathBuf> {
    durable::make_dir(&config.outbox)?;
    Ok(config.outbox.clone())
}

/// Starts to bring what waits, and does not wait for that: whoever pushes waits for no other host. If it does not
/// start, cron will do it.
pub fn start_delivery(config: Option<&Path>) {
    let program = std::env::current_exe().map(|own| own.with_file_name("syncpkg-deliver"));
    let mut command = Command::new("setsid");
    command.args(["--fork", "--"]).arg(program.unwrap_or_else(|_| "syncpkg-deliver".into()));
    command.args(config.map(|file| [Path::new("--config"), file]).into_iter().flatten());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let _ = command.status();
}

impl Afar<'_> {
    /// Asks for builds of `items`: what is a path of a tree here is read here.
    ///
    /// # Errors
    /// `Again` when the other host cannot be reached, or cannot take it now.
    pub fn enqueue(&self, items: &[String], wish: &Wish, asker: Asker, json: bool) -> Result<Asked> {
        let mut asked = Asked::default();
        let here = ask::read_here(self.config, items, wish, asker, &self.desk(asker))?;
        asked.answers = here.answers;
        for (tree, revision, recipes) in here.read {
            asked.heard.extend(self.send(&tree, &revision, &recipes, "changed", wish, asker.by, json)?);
        }
        if !here.rest.is_empty() {
            let mut words = words(wish, asker.by, json);
            let input = if wish.passes_over { here.rest.join("\n") } else { String::new() };
            words.push("--".to_owned());
            let rest = if wish.passes_over { vec!["-"] } else { here.rest };
            words.extend(rest.into_iter().map(str::to_owned));
            asked.heard.push(self.ask("syncpkg-enqueue", &words, &input)?);
        }
        Ok(asked)
    }

    /// Keeps here, durably, what is to be asked for later: what is a path of a tree here, at the revision it has now.
    ///
    /// # Errors
    /// The outbox cannot be used by this user.
    pub fn leave(&self, items: &[String], wish: &Wish, asker: Asker, clock: &Clock) -> Result<()> {
        let place = outbox(self.config)?;
        let (paths, rest) = ask::paths_here(self.config, items, wish, asker);
        let mut requests = Vec::new();
        for (tree, section, operands) in paths {
            let revision = match &wish.revision {
                Some(name) => Repository::new(tree, section).resolve(name)?,
                None => Repository::new(tree, section).tip()?,
            };
            let (tree, revision) = (Some(tree.clone()), Some(revision.to_string()));
            let items = operands.iter().filter_map(|operand| operand.path().map(str::to_owned)).collect();
            requests.push((items, Wish { tree, revision, ..wish.clone() }));
        }
        if !rest.is_empty() {
            requests.push((rest.into_iter().map(str::to_owned).collect(), wish.clone()));
        }
        let hand_in = |(items, wish)| drop_box::hand_in(&place, &Request::Enqueue { items, wish }, clock);
        requests.into_iter().try_for_each(hand_in)
    }

    /// Asks for what a push brought into a tree here.
    fn push(&self, push: &Push, by: &str) -> Result<Vec<Heard>> {
        let unclear = || Error::wrong("cannot act on a push: to which tree?");
        let tree = push.wish.tree.as_ref().ok_or_else(unclear)?;
        let section = self.config.tree.get(tree).ok_or_else(unclear)?;
        let changed = push::changed(self.config, Memory::below(&self.config.outbox, tree), push, PATIENCE)?;
        let revision = changed.wish.found.clone().ok_or_else(unclear)?;
        let asker = Asker::unwatched(by, PATIENCE);
        let asked = self.enqueue(&changed.recipes, &changed.wish, asker, false)?;
        let mut heard = asked.heard;
        if changed.all && !push.nobuild {
            let recipes = tree::read_all(section, tree, &revision, &self.desk(asker))?;
            let recipes: Vec<Recipe> = recipes.into_iter().flatten().collect();
            let wish = Wish { priority: Some(Priority::Unbuilt), ..changed.wish.clone() };
            heard.extend(self.send(tree, &revision, &recipes, "all", &wish, by, false)?);
        }
        changed.remember()?;
        Ok(heard)
    }

    /// Brings what waits here, oldest first; returns what people should know.
    ///
    /// # Errors
    /// `Again` when the other host cannot take it now: it stays, and what came after it.
    pub fn deliver(&self, clock: &Clock) -> Result<Vec<String>> {
        let place = &self.config.outbox;
        let mut lines = Vec::new();
        let mut names = list::names(place)?;
        names.sort_unstable();
        let alone = if names.is_empty() { None } else { lock::if_free(&place.join(".lock"))? };
        for name in names.iter().filter(|_| alone.is_some()) {
            let path = place.join(name);
            match drop_box::open(&path, None).and_then(|(by, request)| self.act(&by.to_string(), &request)) {
                Ok(said) => lines.extend(said),
                Err(error) if error.may_pass() => return Err(error),
                Err(error) => {
                    lines.push(format!("{name}: {error}"));
                    self.set_aside(&path, clock)?;
                    continue;
                }
            }
            durable::remove(&path)?;
        }
        Ok(lines)
    }

    /// Returns what people should know of a request that was acted on.
    fn act(&self, by: &str, request: &Request) -> Result<Vec<String>> {
        let heard = match request {
            Request::Enqueue { items, wish } => {
                self.enqueue(items, wish, Asker::unwatched(by, PATIENCE), false)?.heard
            }
            Request::Push(push) => self.push(push, by)?,
            Request::Abort { what, reason } => {
                let words =
                    [format!("--by={by}"), format!("--reason={reason}"), "--".to_owned(), what.clone()];
                vec![self.ask("syncpkg-abort", &words, "")?]
            }
        };
        // That something is built already is no news; that it was not understood is.
        let wrong = heard.iter().filter(|heard| heard.status == 2);
        Ok(wrong.flat_map(|heard| heard.said.lines()).map(str::to_owned).collect())
    }

    /// What can never be brought is kept for a person to look at.
    fn set_aside(&self, path: &Path, clock: &Clock) -> Result<()> {
        let aside = self.config.outbox.join(".undeliverable");
        durable::make_dir(&aside)?;
        let name = format!("{:.0}-{}", clock.now(), path.file_name().unwrap_or_default().to_string_lossy());
        durable::shift(path, &aside.join(name)).map(drop)
    }

    #[expect(clippy::too_many_arguments, reason = "each is a word of one command")]
    fn send(
        &self,
        tree: &Tree,
        revision: &Revision,
        recipes: &[Recipe],
        which: &str,
        wish: &Wish,
        by: &str,
        json: bool,
    ) -> Result<Option<Heard>> {
        if recipes.is_empty() {
            return Ok(None);
        }
        let wish = Wish { tree: Some(tree.clone()), revision: Some(revision.to_string()), ..wish.clone() };
        let mut words = words(&wish, by, json);
        words.extend([format!("--read={which}"), "-".to_owned()]);
        let line = |recipe| {
            serde_json::to_string(recipe)
                .map_err(|source| Error::wrong(format!("cannot write a recipe: {source}")))
        };
        let lines: Vec<String> = recipes.iter().map(line).collect::<Result<_>>()?;
        self.ask("syncpkg-enqueue", &words, &lines.join("\n")).map(Some)
    }

    fn ask(&self, program: &str, words: &[String], input: &str) -> Result<Heard> {
        let heard = self.ssh.ask(program, words, input.as_bytes(), &|| false)?;
        if heard.status == 75 { Err(heard.error()) } else { Ok(heard) }
    }

    fn desk(&self, asker: Asker) -> Desk {
        Desk { scratch: tree::roomy(std::env::temp_dir()), kept: None, progress: asker.progress }
    }
}

fn words(wish: &Wish, by: &str, json: bool) -> Vec<String> {
    let mut words = wish.words();
    words.push(format!("--by={by}"));
    words.extend(json.then(|| "--json".to_owned()));
    words
}
