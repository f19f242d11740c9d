//! Asking for builds: from what somebody names (a package, a version, a recipe's path) to tickets.

mod hand_in;
mod look;
mod wish;

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::rc::Rc;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

pub use self::hand_in::hand_in;
use self::look::Look;
pub use self::wish::Wish;
use super::operand::{Operand, Wanted, operand};
use crate::base::output::{Progress, SILENT, inert};
use crate::base::{Clock, Error, Result};
use crate::config::{Config, TreeSection};
use crate::names::{Arch, Id, Item, Name, Priority, Revision, Tree, Word};
use crate::spool::queue::{Answer, Ask, Batch};
use crate::spool::{Spool, batch};
use crate::tree::{self, Desk, Recipe};

/// What became of one version that was asked for, or of an operand that came to nothing.
#[derive(Debug, Clone)]
pub struct Answered {
    /// The ticket, or why there is none.
    pub ticket: Result<(Id, Item)>,
}

/// Where somebody asks from.
#[derive(Clone, Copy)]
pub struct Asker<'a> {
    /// Who.
    pub by: &'a str,
    /// The directory that relative paths begin in, if that is known.
    pub directory: Option<&'a Path>,
    /// How long the queue's lock is waited for.
    pub patience: Duration,
    /// Told how many of how many things of a kind are done.
    pub progress: Progress,
}

impl<'a> Asker<'a> {
    /// Asks for `by`, who is not watching.
    pub fn unwatched(by: &'a str, patience: Duration) -> Self {
        Self { by, directory: None, patience, progress: SILENT }
    }
}

/// Asks for builds of `operands`, as one durable batch; a passed over operand has no answer.
///
/// # Errors
/// Recipes cannot be read at all here, or a failing system call; what is wrong with one operand is its answer.
pub fn ask(
    config: &Config,
    spool: &Spool,
    operands: &[String],
    wish: &Wish,
    asker: Asker,
    clock: &Clock,
) -> Result<Vec<Answered>> {
    let mut answers = Vec::new();
    let mut by_tree: BTreeMap<Tree, Vec<Operand>> = BTreeMap::new();
    for text in operands.iter().map(|text| text.trim()) {
        if wish.passes_over && text.is_empty() {
            continue;
        }
        match operand(config, text, wish.tree.as_ref(), asker.directory) {
            Ok((tree, wanted)) => {
                by_tree.entry(tree).or_default().push(Operand { text, wanted });
            }
            Err(_) if wish.passes_over && text.contains('/') => {}
            Err(error) => answers.push(Answered { ticket: Err(error) }),
        }
    }
    let mut wanted = Vec::new();
    for (tree, operands) in by_tree {
        let (tree, section) = known(config, &tree)?;
        let desk = Desk { progress: asker.progress, ..Desk::of(spool) };
        let look = Look { tree, section, wish, desk };
        let (found, revision) = look.find(&operands, &mut answers)?;
        look.ones(&found, &revision, &mut wanted, &mut answers);
    }
    put(spool, &wanted, wish, asker, clock, &mut answers)?;
    Ok(answers)
}

/// Which recipes somebody has read elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Those that changed.
    Changed,
    /// All of a tree: what was built, or has failed, is not asked for again.
    All,
}

impl FromStr for Which {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "changed" => Ok(Self::Changed),
            "all" => Ok(Self::All),
            _ => Err(Error::wrong("it is either changed or all")),
        }
    }
}

/// Reads the lines that `syncpkg-recipe --json` prints.
///
/// # Errors
/// One of them is no recipe.
pub fn read_elsewhere(lines: &[String]) -> Result<Vec<Recipe>> {
    let read = |line: &String| {
        serde_json::from_str(line)
            .map_err(|source| Error::wrong(format!("cannot read {}: {source}", inert(line))))
    };
    lines.iter().filter(|line| !line.trim().is_empty()).map(read).collect()
}

/// Asks for builds of `recipes`, which somebody has read at a revision of a tree.
///
/// # Errors
/// The tree or one of the recipes cannot be this farm's; as [`ask`].
pub fn ask_read(
    config: &Config,
    spool: &Spool,
    recipes: &[Recipe],
    which: Which,
    wish: &Wish,
    asker: Asker,
    clock: &Clock,
) -> Result<Vec<Answered>> {
    let unclear =
        || Error::wrong("cannot enqueue recipes that were read elsewhere: of which tree and revision?");
    let tree = wish.tree.as_ref().ok_or_else(unclear)?;
    let (tree, section) = known(config, tree)?;
    let revision: Revision = wish.revision.as_deref().ok_or_else(unclear)?.parse()?;
    let operands = look::operands(recipes, section, which == Which::Changed)?;
    let (mut wanted, mut answers) = (Vec::new(), Vec::new());
    let found = look::found(recipes, &operands);
    let look = Look { tree, section, wish, desk: Desk::of(spool) };
    look.ones(&found, &revision, &mut wanted, &mut answers);
    put(spool, &wanted, wish, asker, clock, &mut answers)?;
    Ok(answers)
}

fn known<'c>(config: &'c Config, tree: &Tree) -> Result<(&'c Tree, &'c TreeSection)> {
    config.tree.get_key_value(tree).ok_or_else(|| Error::wrong(format!("there is no tree {tree}")))
}

/// Reads here what `operands` name by path, for a farm elsewhere; those of `texts` that name nothing here are returned
/// as they are.
///
/// # Errors
/// Recipes cannot be read at all here.
pub(super) fn read_here<'t>(
    config: &Config,
    texts: &'t [String],
    wish: &Wish,
    asker: Asker,
    desk: &Desk,
) -> Result<Here<'t>> {
    let mut here = Here::default();
    let (paths, rest) = paths_here(config, texts, wish, asker);
    for (tree, section, operands) in paths {
        let look = Look { tree, section, wish, desk: desk.clone() };
        let (found, revision) = look.find(&operands, &mut here.answers)?;
        let recipes = found.iter().map(|found| found.recipe().clone()).collect();
        here.read.push((tree.clone(), revision, recipes));
    }
    here.rest = rest;
    Ok(here)
}

/// What of a list of operands is a path of which tree that is here.
type Paths<'c, 't> = Vec<(&'c Tree, &'c TreeSection, Vec<Operand<'t>>)>;

/// Returns what of `texts` is a path of a tree that is here, by tree, and the rest as it is.
pub(super) fn paths_here<'c, 't>(
    config: &'c Config,
    texts: &'t [String],
    wish: &Wish,
    asker: Asker,
) -> (Paths<'c, 't>, Vec<&'t str>) {
    let (mut by_tree, mut rest): (BTreeMap<Tree, Vec<Operand>>, Vec<&str>) = Default::default();
    for text in texts.iter().map(|text| text.trim()) {
        match operand(config, text, wish.tree.as_ref(), asker.directory) {
            Ok((tree, wanted @ Wanted::Path(_))) if is_here(config, &tree) => {
                by_tree.entry(tree).or_default().push(Operand { text, wanted });
            }
            Ok(_) | Err(_) => rest.push(text),
        }
    }
    let section = |(tree, operands)| {
        let (tree, section) = config.tree.get_key_value(&tree)?;
        Some((tree, section, operands))
    };
    (by_tree.into_iter().filter_map(section).collect(), rest)
}

fn is_here(config: &Config, tree: &Tree) -> bool {
    config.tree.get(tree).is_some_and(|section| section.path.exists())
}

/// What was read here for a farm elsewhere.
#[derive(Default)]
pub(super) struct Here<'t> {
    /// Recipes of a tree at a revision.
    pub read: Vec<(Tree, Revision, Vec<Recipe>)>,
    /// What could not be read.
    pub answers: Vec<Answered>,
    /// What names nothing here.
    pub rest: Vec<&'t str>,
}

/// Puts all that is wanted into the queue, as one durable batch.
fn put(
    spool: &Spool,
    wanted: &[One],
    wish: &Wish,
    asker: Asker,
    clock: &Clock,
    answers: &mut Vec<Answered>,
) -> Result<()> {
    if wanted.is_empty() {
        return Ok(());
    }
    let mut batch = Batch::begin(spool, wanted.len(), clock, asker.patience)?;
    answers.reserve_exact(wanted.len());
    let earlier = answers.len();
    for (done, one) in wanted.iter().enumerate() {
        let ask = one.ask(wish, asker)?;
        let ticket = match batch.ask(&ask)? {
            Answer::Made(name) | Answer::There(name) => Ok((name.id, name.item)),
            Answer::Refused(why) => Err(Error::no(why)),
        };
        answers.push(Answered { ticket });
        (asker.progress)("ticket", done + 1, wanted.len());
    }
    if let (Some(name), true) = (&wish.batch, wish.hold_publish) {
        let asked = wanted.iter().zip(answers.iter().skip(earlier));
        let tickets = asked.filter_map(|(one, answer)| Some((one, answer.ticket.as_ref().ok()?)));
        hold_back(spool, name, tickets, clock)?;
    }
    batch.finish()
}

/// Says, before any of it has its name, that the batch is held back. Where nobody but the package directory has what was
/// built, nothing of it can wait for another of it: it would wait for ever.
fn hold_back<'t>(
    spool: &Spool,
    batch: &Word,
    tickets: impl Iterator<Item = (&'t One<'t>, &'t (Id, Item))> + Clone,
    clock: &Clock,
) -> Result<()> {
    let alone = |(one, _): &(&One, &(Id, Item))| one.all.section.staging.is_empty();
    let names: HashSet<(&Tree, &Name)> =
        tickets.clone().filter(alone).map(|(one, (_, item))| (one.all.tree, &item.name)).collect();
    for (one, (_, item)) in tickets.clone().filter(alone) {
        let (tree, name) = (one.all.tree, &item.name);
        if let Some(needed) = one.all.needs.iter().find(|needed| names.contains(&(tree, *needed))) {
            let why = format!("cannot hold back batch {batch}: {name} needs {needed} of the same batch");
            return Err(Error::wrong(why).hint(format!(
                "say where builders find what is held back: tree.{tree}.staging, see syncpkg.toml(5)"
            )));
        }
    }
    drop(names);
    batch::hold(spool, batch, tickets.map(|(one, ticket)| (one.all.tree, ticket)).collect(), clock)
}

/// A recipe that somebody wants for one architecture.
struct One<'a> {
    all: Rc<All<'a>>,
    arch: Arch,
    /// As a change of the recipe, not as a version.
    exact: bool,
}

/// What is the same for all architectures.
struct All<'a> {
    tree: &'a Tree,
    section: &'a TreeSection,
    recipe: Rc<Recipe>,
    needs: Arc<[Name]>,
    revision: Revision,
}

impl One<'_> {
    fn ask(&self, wish: &Wish, asker: Asker) -> Result<Ask> {
        let All { tree, section, recipe, needs, revision } = &*self.all;
        let (version, release) = (&recipe.version, &recipe.release);
        let priority = wish.priority.unwrap_or(if wish.force { Priority::Urgent } else { Priority::Push });
        Ok(Ask {
            tree: (*tree).clone(),
            item: Item {
                name: recipe.name.clone(),
                version: version.clone(),
                release: release.clone(),
                arch: self.arch.clone(),
            },
            revision: revision.clone(),
            path: recipe.path.clone(),
            priority,
            by: asker.by.to_owned(),
            reason: wish.reason.clone(),
            maintainer: wish.maintainer.clone().or_else(|| recipe.maintainer.clone()),
            batch: wish.batch.clone(),
            packages: recipe.subpkgs.clone(),
            depends: Arc::clone(needs),
            exact: self.exact,
            force: wish.force,
            spare_aborted: wish.spare_aborted || wish.priority == Some(Priority::Unbuilt),
            published: tree::published(section, &recipe.subpkgs, version, release, &self.arch)?,
        })
    }
}
