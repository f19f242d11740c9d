//! What was missed: wanted by a tree, not in the package directory, for longer than some time; with the cause.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::ask::{Answered, Asker, Wish, ask};
use super::{push, why};
use crate::base::{Clock, Error, Result};
use crate::config::{Config, Format, Scm, TreeSection};
use crate::names::{Arch, Priority, Revision, Tree};
use crate::spool::Spool;
use crate::spool::waiting::Queue;
use crate::tree::unbuilt::{self, Missing};
use crate::tree::{self, Change, Desk, Problem, Reading, Repository, SCHEMES};

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

impl Filter {
    fn takes(&self, arch: &Arch) -> bool {
        self.arch.as_ref().is_none_or(|only| only == arch)
    }
}

/// A missing package and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The tree.
    pub tree: Tree,
    /// The recipe file.
    pub path: String,
    /// What is missing; none when the recipe cannot be read.
    pub item: Option<String>,
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

/// A package that no recipe wants any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Obsolete {
    /// The tree.
    pub tree: Tree,
    /// Its file.
    pub file: PathBuf,
    /// What it is.
    pub item: String,
    /// Why.
    pub cause: String,
}

/// What came of a look through the trees.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// What is missing, with its cause; also recipes that cannot be read.
    pub rows: Vec<Row>,
    /// What is missing, for Frugalware's test-suite.
    missing: Vec<Missing>,
    archs: BTreeSet<Arch>,
}

impl Found {
    /// Returns the lines of Frugalware's test-suite.
    pub fn fst(&self, now: Timestamp) -> Vec<String> {
        unbuilt::fst_lines(&self.missing, &self.archs, now)
    }
}

/// Looks through the trees for what is missing. `desk` is where recipes are read.
///
/// # Errors
/// A tree that is not there, recipes that cannot be read at all, a failing system call.
pub fn find(config: &Config, spool: &Spool, filter: &Filter, desk: &Desk, clock: &Clock) -> Result<Found> {
    let mut queue = Queue::new(spool);
    let mut found = Found::default();
    for (tree, section) in trees(config, filter)? {
        let tip = Repository::new(tree, section).tip()?;
        let readings = tree::read_all(section, tree, &tip, desk)?;
        let cache = spool.at("cache").join(format!("ages-{tree}"));
        let ages = Repository::new(tree, section).ages(&tip, &aged(section, &readings), &cache)?;
        let pushes = Pushes::new(spool, tree, section, &tip)?;
        for one in missing(tree, section, &ages, &readings, filter, clock)? {
            let never = pushes.never(&one.path);
            let cause = why::cause(config, spool, (tree, &one.item), &never, &mut queue, clock)?;
            found.rows.push(row(&one, cause, clock));
            found.missing.push(one);
        }
        let unread = readings.iter().filter_map(|reading| reading.as_ref().err());
        found.rows.extend(unread.filter_map(|problem| unreadable(tree, problem, &ages, filter, clock)));
        found.archs.extend(section.archs.iter().filter(|arch| filter.takes(arch)).cloned());
    }
    Ok(found)
}

fn trees<'a>(config: &'a Config, filter: &Filter) -> Result<Vec<(&'a Tree, &'a TreeSection)>> {
    if let Some(tree) = &filter.tree
        && !config.tree.contains_key(tree)
    {
        return Err(Error::wrong(format!("there is no tree {tree} in the configuration")));
    }
    Ok(config.tree.iter().filter(|(tree, _)| filter.tree.as_ref().is_none_or(|only| only == *tree)).collect())
}

fn missing(
    tree: &Tree,
    section: &TreeSection,
    ages: &HashMap<String, Change>,
    readings: &[Reading],
    filter: &Filter,
    clock: &Clock,
) -> Result<Vec<Missing>> {
    let published = |recipe: &tree::Recipe, arch: &Arch| is_published(section, recipe, arch);
    let committed =
        |recipe: &tree::Recipe| ages.get(tree::recipe_directory(&recipe.path)).map(|change| change.at);
    let limits = (clock.now(), filter.older_than);
    let mut found = unbuilt::missing(tree, readings, &section.archs, published, committed, limits)?;
    found.retain(|one| filter.takes(&one.item.arch));
    Ok(found)
}

/// What the ages of are asked for: the recipes' directories, and when one cannot be read the schemes, which it may
/// include.
fn aged(section: &TreeSection, readings: &[Reading]) -> Vec<String> {
    let path = |reading: &Reading| match reading {
        Ok(recipe) => tree::recipe_directory(&recipe.path).to_owned(),
        Err(problem) => tree::recipe_directory(&problem.path).to_owned(),
    };
    let mut paths: Vec<String> = readings.iter().map(path).collect();
    let problems: Vec<&Problem> = readings.iter().filter_map(|reading| reading.as_ref().err()).collect();
    if section.format == Format::Frugalbuild && !problems.is_empty() {
        paths.push(SCHEMES.to_owned());
        paths.extend(problems.into_iter().filter_map(scheme_of));
    }
    paths
}

/// Returns the scheme in which bash stopped reading a recipe, if it says so.
fn scheme_of(problem: &Problem) -> Option<String> {
    let (_, after) = problem.error.split_once(&format!("{SCHEMES}/"))?;
    let (name, _) = after.split_once(": line ")?;
    (!name.contains(['/', ' '])).then(|| format!("{SCHEMES}/{name}"))
}

fn is_published(section: &TreeSection, recipe: &tree::Recipe, arch: &Arch) -> Result<bool> {
    tree::published(section, &recipe.subpkgs, &recipe.version, &recipe.release, arch)
}

/// What the hook is known to have acted on: where a package was lost that nobody ever asked for.
struct Pushes {
    seen: Option<String>,
    /// The recipes that came in after it.
    after: BTreeSet<String>,
}

impl Pushes {
    fn new(spool: &Spool, tree: &Tree, section: &TreeSection, tip: &Revision) -> Result<Self> {
        let seen = push::seen(spool, tree);
        let after = match &seen {
            Some(seen) if push::revision_of(seen).as_ref() != Some(tip) && section.scm != Scm::None => {
                Repository::new(tree, section).changed_since(seen, tip)?.unwrap_or_default()
            }
            Some(_) | None => Vec::new(),
        };
        Ok(Self { seen, after: tree::recipes_of(&after, section).into_iter().collect() })
    }

    fn never(&self, path: &str) -> String {
        match &self.seen {
            None => "never enqueued: synchook has not acted on any push yet".to_owned(),
            Some(seen) if self.after.contains(path) => {
                let seen: String = seen.chars().take(12).collect();
                format!(
                    "never enqueued: synchook was not run for it, or did not end (it got as far as {seen})"
                )
            }
            Some(_) => "never enqueued: the hook missed it".to_owned(),
        }
    }
}

/// Whoever pushed it was told; it is forgotten when it is as old as what counts as missing.
fn unreadable(
    tree: &Tree,
    problem: &Problem,
    ages: &HashMap<String, Change>,
    filter: &Filter,
    clock: &Clock,
) -> Option<Row> {
    let (change, more) = blamed(problem, ages)?;
    let past = clock.now().duration_since(change.at);
    Duration::try_from(past).ok().filter(|past| *past > filter.older_than)?;
    let commit: String = change.commit.chars().take(12).collect();
    let who =
        if commit.is_empty() { String::new() } else { format!(" commit {commit} by {}{more}", change.by) };
    let cause = format!("its recipe cannot be read since{who}: {}", problem.error);
    let line = format!("{} is missing for {}: {cause}", problem.path, unbuilt::long(past));
    Some(Row {
        tree: tree.clone(),
        path: problem.path.clone(),
        item: None,
        since: change.at,
        maintainer: None,
        cause,
        line,
    })
}

/// Returns the change since which a recipe cannot be read, and what is to be said of it: its own, or a later one of
/// the scheme that broke.
fn blamed<'a>(problem: &Problem, ages: &'a HashMap<String, Change>) -> Option<(&'a Change, String)> {
    let own = ages.get(tree::recipe_directory(&problem.path))?;
    let later = |path: &str| ages.get(path).filter(|change| change.at > own.at);
    let scheme = scheme_of(problem).and_then(|path| Some((later(&path)?, path)));
    Some(match (scheme, later(SCHEMES)) {
        (Some((change, path)), _) => (change, format!(" to {path}")),
        (None, Some(_)) => (own, ", or since a scheme it may include was changed".to_owned()),
        (None, None) => (own, String::new()),
    })
}

fn row(one: &Missing, cause: String, clock: &Clock) -> Row {
    Row {
        tree: one.tree.clone(),
        path: one.path.clone(),
        item: Some(one.item.to_string()),
        since: one.since,
        maintainer: one.maintainer.clone(),
        line: one.line(clock.now(), &cause),
        cause,
    }
}

/// Looks through the package directories for what no recipe wants any more. `desk` is where recipes are read.
///
/// # Errors
/// As [`find`], and a package directory that cannot be read.
pub fn obsolete(config: &Config, filter: &Filter, desk: &Desk) -> Result<Vec<Obsolete>> {
    let mut found = Vec::new();
    for (tree, section) in trees(config, filter)? {
        let tip = Repository::new(tree, section).tip()?;
        let readings = tree::read_all(section, tree, &tip, desk)?;
        for (file, item) in tree::packages_in(section)? {
            if let Some(cause) = unbuilt::obsolete(&readings, &item).filter(|_| filter.takes(&item.arch)) {
                found.push(Obsolete { tree: tree.clone(), file, item: item.to_string(), cause });
            }
        }
    }
    Ok(found)
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
    let item = |row: &Row| row.item.as_ref().map(|item| format!("{}/{item}", row.tree));
    let items: Vec<String> = rows.iter().filter_map(item).collect();
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
            let there = |arch: &Arch| is_published(section, &recipe, arch);
            let there: Vec<bool> =
                recipe.wanted_archs(&section.archs).iter().map(there).collect::<Result<_>>()?;
            if there.contains(&false) {
                items.push(format!("{tree}/{}", recipe.name));
            }
        }
    }
    ask(config, spool, &items, wish, asker, clock)
}
