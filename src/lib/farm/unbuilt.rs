//! What was missed: wanted by a tree, not in the package directory, for longer than some time; with the cause.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::ask::{Answered, Asker, Wish, ask};
use super::why;
use crate::base::{Clock, Error, Result};
use crate::config::{Config, TreeSection};
use crate::names::{Arch, Priority, Tree};
use crate::spool::Spool;
use crate::spool::waiting::Queue;
use crate::tree::unbuilt::{self, Missing};
use crate::tree::{self, Desk, Problem, Reading, Repository};

/// Which packages are looked for.
#[derive(Debug, Clone)]
pub struct Filter {
    /// Only of this tree.
    pub tree: Option<Tree>,
    /// Only for this architecture.
    pub arch: Option<Arch>,
    /// Missing for longer than this.
    pub older_than: Duration,
}

/// A missing package and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The tree.
    pub tree: Tree,
    /// The recipe file.
    pub path: String,
    /// What is missing.
    pub item: String,
    /// When its recipe was last changed.
    pub since: Timestamp,
    /// Who takes care of it.
    pub maintainer: Option<String>,
    /// Why it is missing.
    pub cause: String,
    /// The whole as one sentence.
    #[serde(skip)]
    pub line: String,
}

/// What came of a look through the trees.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// What is missing, with its cause.
    pub rows: Vec<Row>,
    /// The same as it is for Frugalware's test-suite.
    pub missing: Vec<Missing>,
    /// Recipes that could not be read, for as long, by tree.
    pub problems: Vec<(Tree, Problem)>,
}

impl Found {
    /// Returns the lines of Frugalware's test-suite.
    pub fn fst(&self, now: Timestamp) -> Vec<String> {
        unbuilt::fst_lines(&self.missing, now)
    }
}

/// Looks through the trees for what is missing. `desk` is where recipes are read.
///
/// # Errors
/// A tree that is not there, recipes that cannot be read at all, a failing system call.
pub fn find(config: &Config, spool: &Spool, filter: &Filter, desk: &Desk, clock: &Clock) -> Result<Found> {
    if let Some(tree) = &filter.tree
        && !config.tree.contains_key(tree)
    {
        return Err(Error::wrong(format!("there is no tree {tree} in the configuration")));
    }
    let mut queue = Queue::new(spool);
    let mut found = Found::default();
    for (tree, section) in &config.tree {
        if filter.tree.as_ref().is_some_and(|only| only != tree) {
            continue;
        }
        let tip = Repository::new(tree, section).tip()?;
        let readings = tree::read_all(section, tree, &tip, desk)?;
        let times = Repository::new(tree, section).commit_times(&tip, &lacking(section, &readings))?;
        for one in missing(tree, section, &times, &readings, filter, clock) {
            let cause = why::cause(config, spool, tree, &one.item, &mut queue, clock)?;
            found.rows.push(row(&one, cause, clock));
            found.missing.push(one);
        }
        let unread = readings.into_iter().filter_map(Result::err);
        let old = unread.filter(|problem| is_old(&times, problem, filter, clock));
        found.problems.extend(old.map(|problem| (tree.clone(), problem)));
    }
    Ok(found)
}

fn missing(
    tree: &Tree,
    section: &TreeSection,
    times: &HashMap<String, Timestamp>,
    readings: &[Reading],
    filter: &Filter,
    clock: &Clock,
) -> Vec<Missing> {
    let published = |recipe: &tree::Recipe, arch: &Arch| is_published(section, recipe, arch);
    let committed = |recipe: &tree::Recipe| times.get(tree::recipe_directory(&recipe.path)).copied();
    let mut found = unbuilt::missing(
        tree,
        readings,
        &section.archs,
        published,
        committed,
        (clock.now(), filter.older_than),
    );
    found.retain(|one| filter.arch.as_ref().is_none_or(|arch| *arch == one.item.arch));
    found
}

/// The directories whose age matters: of recipes that are not published everywhere, or cannot be read.
fn lacking(section: &TreeSection, readings: &[Reading]) -> Vec<String> {
    let matters = |reading: &&Reading| match reading {
        Ok(recipe) => {
            recipe.wanted_archs(&section.archs).iter().any(|arch| !is_published(section, recipe, arch))
        }
        Err(_) => true,
    };
    let path = |reading: &Reading| match reading {
        Ok(recipe) => tree::recipe_directory(&recipe.path).to_owned(),
        Err(problem) => tree::recipe_directory(&problem.path).to_owned(),
    };
    readings.iter().filter(matters).map(path).collect()
}

fn is_published(section: &TreeSection, recipe: &tree::Recipe, arch: &Arch) -> bool {
    tree::published(section, &recipe.subpkgs, &recipe.version, &recipe.release, arch)
}

/// Whoever pushed it was told; it is forgotten when it is as old as what counts as missing.
fn is_old(times: &HashMap<String, Timestamp>, problem: &Problem, filter: &Filter, clock: &Clock) -> bool {
    let changed = times.get(tree::recipe_directory(&problem.path));
    let age = changed.map(|time| clock.now().duration_since(*time)).unwrap_or_default();
    Duration::try_from(age).is_ok_and(|age| age > filter.older_than)
}

fn row(one: &Missing, cause: String, clock: &Clock) -> Row {
    Row {
        tree: one.tree.clone(),
        path: one.path.clone(),
        item: one.item.to_string(),
        since: one.since,
        maintainer: one.maintainer.clone(),
        line: one.line(clock.now(), &cause),
        cause,
    }
}

/// Asks for everything that was found missing.
///
/// # Errors
/// As [`ask`].
pub fn enqueue(
    config: &Config,
    spool: &Spool,
    rows: &[Row],
    asker: Asker,
    clock: &Clock,
) -> Result<Vec<Answered>> {
    let items: Vec<String> = rows.iter().map(|row| format!("{}/{}", row.tree, row.item)).collect();
    let reason = "found missing".to_owned();
    let wish = Wish { priority: Some(Priority::Unbuilt), reason, ..Wish::default() };
    ask(config, spool, &items, &wish, asker, clock)
}

/// Asks for everything a tree wants and the package directory lacks, however new: for a hook that was not told
/// what a push changed.
///
/// # Errors
/// As [`find`] and [`ask`].
pub(super) fn ask_for_all(
    config: &Config,
    spool: &Spool,
    wish: &Wish,
    asker: Asker,
    clock: &Clock,
) -> Result<Vec<Answered>> {
    let mut items = Vec::new();
    for (tree, section) in
        config.tree.iter().filter(|(tree, _)| wish.tree.as_ref().is_none_or(|only| only == *tree))
    {
        let tip = Repository::new(tree, section).tip()?;
        for recipe in tree::read_all(section, tree, &tip, &Desk::of(spool))?.into_iter().flatten() {
            let lacks = |arch: &Arch| !is_published(section, &recipe, arch);
            if recipe.wanted_archs(&section.archs).iter().any(lacks) {
                items.push(format!("{tree}/{}", recipe.name));
            }
        }
    }
    ask(config, spool, &items, wish, asker, clock)
}
