//! Asking for builds: from what somebody names (a package, a version, a recipe's path) to tickets.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::drop_box::{self, Request};
use super::needs::{needs, providers};
use super::operand::{Operand, Wanted, operand};
use crate::base::output::{Progress, SILENT, inert};
use crate::base::{Clock, Error, Result};
use crate::config::{Config, TreeSection};
use crate::names::{Arch, Id, Item, Name, Priority, Revision, Tree, Word};
use crate::spool::Spool;
use crate::spool::queue::{Answer, Ask, Batch};
use crate::tree::{self, Desk, Problem, Recipe, Repository};

/// How somebody asks; the options of `syncpkg-enqueue`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Wish {
    /// Of this tree only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tree: Option<Tree>,
    /// For these architectures only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub archs: Vec<Arch>,
    /// How urgent; a push when not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    /// At this revision; the tip when not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// That revision, where somebody has just found it in the repository.
    #[serde(skip)]
    pub found: Option<Revision>,
    /// Whom to tell instead of the recipe's maintainer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maintainer: Option<String>,
    /// What the tickets belong to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<Word>,
    /// Although it failed, or is published.
    pub force: bool,
    /// Why.
    pub reason: String,
    /// Nobody in person asks: what was aborted stays so.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub spare_aborted: bool,
    /// Paths that are no recipes, and removed ones, are passed over (a list of changed files).
    pub passes_over: bool,
}

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
        let (tree, section) = config
            .tree
            .get_key_value(&tree)
            .ok_or_else(|| Error::wrong(format!("there is no tree {tree}")))?;
        let look = Look { tree, section, wish, asker, spool };
        look.wanted(&operands, &mut wanted, &mut answers)?;
    }
    if !wanted.is_empty() {
        let mut batch = Batch::begin(spool, wanted.len(), clock, asker.patience)?;
        answers.reserve_exact(wanted.len());
        for (done, one) in wanted.iter().enumerate() {
            let ask = one.ask(wish, asker)?;
            let ticket = match batch.ask(&ask)? {
                Answer::Made(name) | Answer::There(name) => Ok((name.id, name.item)),
                Answer::Refused(why) => Err(Error::no(why)),
            };
            answers.push(Answered { ticket });
            (asker.progress)("ticket", done + 1, wanted.len());
        }
        batch.finish()?;
    }
    Ok(answers)
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

/// Asks the spool's owner for builds of `operands`: what can be judged without reading recipes is judged here,
/// and the revision is fixed now. Returns what was handed in, and what was wrong with the rest.
///
/// # Errors
/// A revision that is not there, a drop box this user may not use.
pub fn hand_in(
    config: &Config,
    spool: &Spool,
    operands: &[String],
    wish: &Wish,
    directory: Option<&Path>,
    clock: &Clock,
) -> Result<Vec<(String, Result<()>)>> {
    if wish.maintainer.is_some() {
        return Err(Error::wrong(
            "cannot hand in the request: only the spool's owner says whom to tell instead",
        ));
    }
    let (mut by_tree, mut handed): (BTreeMap<Tree, Vec<String>>, Vec<_>) = Default::default();
    for text in operands.iter().map(|text| text.trim()) {
        let (tree, wanted) = match operand(config, text, wish.tree.as_ref(), directory) {
            Ok(read) => read,
            Err(_) if wish.passes_over && (text.is_empty() || text.contains('/')) => continue,
            Err(error) => {
                handed.push((text.to_owned(), Err(error)));
                continue;
            }
        };
        let section =
            config.tree.get(&tree).ok_or_else(|| Error::wrong(format!("there is no tree {tree}")))?;
        let items = by_tree.entry(tree).or_default();
        match wanted {
            Wanted::Path(path) => items.extend(tree::recipes_of(&[path], section)),
            Wanted::Name(name) => items.push(name.to_string()),
            Wanted::Version(item) => items.push(item.to_string()),
        }
    }
    for (tree, mut items) in by_tree {
        items.dedup();
        if items.is_empty() {
            continue;
        }
        let revision = revision(config, &tree, &items, wish)?;
        let wish = Wish { tree: Some(tree), revision, ..wish.clone() };
        drop_box::hand_in(spool, &Request::Enqueue { items: items.clone(), wish }, clock)?;
        handed.extend(items.into_iter().map(|item| (item, Ok(()))));
    }
    Ok(handed)
}

/// A path is asked for at a revision, a name for whatever revision has its version.
fn revision(config: &Config, tree: &Tree, items: &[String], wish: &Wish) -> Result<Option<String>> {
    let Some(section) = config.tree.get(tree) else { return Ok(None) };
    let repository = Repository::new(tree, section);
    match &wish.revision {
        Some(name) => repository.resolve(name).map(|revision| Some(revision.to_string())),
        None if items.iter().any(|item| item.contains('/')) => {
            repository.tip().map(|revision| Some(revision.to_string()))
        }
        None => Ok(None),
    }
}

/// Looking up the operands of one tree.
struct Look<'a> {
    tree: &'a Tree,
    section: &'a TreeSection,
    wish: &'a Wish,
    asker: Asker<'a>,
    spool: &'a Spool,
}

/// A recipe that was asked for, and what of it.
struct Found<'a> {
    operand: &'a Operand<'a>,
    recipe: Rc<Recipe>,
}

/// A reading that is shared by all who ask for it.
type Shared = std::result::Result<Rc<Recipe>, Problem>;

impl<'a> Look<'a> {
    fn wanted(
        &self,
        operands: &[Operand],
        wanted: &mut Vec<One<'a>>,
        answers: &mut Vec<Answered>,
    ) -> Result<()> {
        let repository = Repository::new(self.tree, self.section);
        let revision = match (&self.wish.found, &self.wish.revision) {
            (Some(found), _) => found.clone(),
            (None, Some(name)) => repository.resolve(name)?,
            (None, None) => repository.tip()?,
        };
        let listed = match self.recipes(operands) {
            Some(recipes) => repository.there(&revision, &recipes)?,
            None => repository.list(&revision)?,
        };
        let listed: BTreeSet<String> = listed.into_iter().collect();
        let mut found = self.by_path(operands, &listed, &revision, answers)?;
        found.extend(self.by_name(operands, &listed, &revision, answers)?);
        let providers = providers(found.iter().map(|found| found.recipe.as_ref()));
        let mut known: HashMap<&str, Rc<All>> = HashMap::new();
        for Found { operand, recipe } in &found {
            let all = known.entry(&recipe.path).or_insert_with(|| {
                let (tree, section, revision) = (self.tree, self.section, revision.clone());
                let needs = needs(recipe, &providers).into();
                Rc::new(All { tree, section, recipe: Rc::clone(recipe), needs, revision })
            });
            let exact = self.wish.revision.is_some() || matches!(operand.wanted, Wanted::Path(_));
            match self.archs(&operand.wanted, recipe) {
                Ok(archs) => {
                    wanted.extend(archs.into_iter().map(|arch| One { all: Rc::clone(all), arch, exact }));
                }
                Err(error) => answers.push(Answered { ticket: Err(error) }),
            }
        }
        Ok(())
    }

    /// The recipes that are asked for by their paths; none when some are asked for by name, and may be anywhere.
    fn recipes(&self, operands: &[Operand]) -> Option<Vec<String>> {
        let paths = operands.iter().map(|operand| match &operand.wanted {
            Wanted::Path(path) => Some(path.clone()),
            Wanted::Name(_) | Wanted::Version(_) => None,
        });
        paths.collect::<Option<Vec<String>>>().map(|paths| tree::recipes_of(&paths, self.section))
    }

    fn read(&self, revision: &Revision, paths: &[String]) -> Result<Vec<Shared>> {
        let desk = Desk { progress: self.asker.progress, ..Desk::of(self.spool) };
        let readings = tree::read(self.section, self.tree, revision, paths, &desk)?;
        Ok(readings.into_iter().map(|reading| reading.map(Rc::new)).collect())
    }

    fn by_path<'o>(
        &self,
        operands: &'o [Operand<'o>],
        listed: &BTreeSet<String>,
        revision: &Revision,
        answers: &mut Vec<Answered>,
    ) -> Result<Vec<Found<'o>>> {
        let mut wanted: BTreeMap<String, &Operand> = BTreeMap::new();
        for operand in operands {
            let Wanted::Path(path) = &operand.wanted else { continue };
            let recipes = tree::recipes_of(std::slice::from_ref(path), self.section);
            let there: Vec<String> = recipes.into_iter().filter(|recipe| listed.contains(recipe)).collect();
            if there.is_empty() && !self.wish.passes_over {
                answers.push(self.nothing(operand, "no recipe there"));
            }
            wanted.extend(there.into_iter().map(|recipe| (recipe, operand)));
        }
        let paths: Vec<String> = wanted.keys().cloned().collect();
        let readings = self.read(revision, &paths)?;
        let mut all = Vec::with_capacity(readings.len());
        wanted.into_values().zip(&readings).for_each(|(one, read)| sort(one, read, &mut all, answers));
        Ok(all)
    }

    /// Recipes in a directory of the package's name first, the whole tree only for what is not found there.
    fn by_name<'o>(
        &self,
        operands: &'o [Operand<'o>],
        listed: &BTreeSet<String>,
        revision: &Revision,
        answers: &mut Vec<Answered>,
    ) -> Result<Vec<Found<'o>>> {
        let named: Vec<(&Operand, &str)> =
            operands.iter().filter_map(|operand| Some((operand, operand.wanted.name()?))).collect();
        if named.is_empty() {
            return Ok(Vec::new());
        }
        let names: BTreeSet<&str> = named.iter().map(|(_, name)| *name).collect();
        let near =
            listed.iter().filter(|path| names.contains(directory_of(path))).cloned().collect::<Vec<_>>();
        let mut readings = self.read(revision, &near)?;
        let mut found = ByName::new(&readings);
        if !names.iter().all(|name| found.get(name).is_some()) {
            readings = self.read(revision, &listed.iter().cloned().collect::<Vec<_>>())?;
            found = ByName::new(&readings);
        }
        let mut all = Vec::with_capacity(named.len());
        for (operand, name) in named {
            match found.get(name) {
                Some(reading) => sort(operand, reading, &mut all, answers),
                // A changed file at the top of a tree may look like a package's name.
                None if self.wish.passes_over && self.is_file(operand.text, revision) => {}
                None => answers.push(self.nothing(operand, "no such package")),
            }
        }
        Ok(all)
    }

    fn nothing(&self, operand: &Operand, what: &str) -> Answered {
        let text = inert(operand.text);
        let error = Error::wrong(format!("cannot enqueue {text}: the tree {} has {what}", self.tree));
        Answered { ticket: Err(error) }
    }

    fn is_file(&self, path: &str, revision: &Revision) -> bool {
        Repository::new(self.tree, self.section).exists(revision, path).unwrap_or(false)
    }

    /// The architectures a recipe is to be built for.
    fn archs(&self, wanted: &Wanted, recipe: &Recipe) -> Result<Vec<Arch>> {
        let mut archs = recipe.wanted_archs(&self.section.archs);
        if archs.is_empty() {
            return Err(Error::no(format!("{} is not for this farm: {}", recipe.name, not_wanted(recipe))));
        }
        if let Wanted::Version(item) = wanted {
            let item: Item = item.parse()?;
            archs.retain(|arch| *arch == item.arch);
            if archs.is_empty() || (&item.version, &item.release) != (&recipe.version, &recipe.release) {
                return Err(Error::no(format!(
                    "the tree {} wants {}, not {item}",
                    self.tree,
                    versions(recipe)
                )));
            }
        }
        archs.retain(|arch| self.wish.archs.is_empty() || self.wish.archs.contains(arch));
        if archs.is_empty() {
            return Err(Error::no(format!("{} is not for that architecture", recipe.name)));
        }
        Ok(archs)
    }
}

fn sort<'o>(
    operand: &'o Operand<'o>,
    reading: &Shared,
    found: &mut Vec<Found<'o>>,
    answers: &mut Vec<Answered>,
) {
    match reading {
        Ok(recipe) => found.push(Found { operand, recipe: Rc::clone(recipe) }),
        Err(problem) => {
            let error = Error::wrong(format!("cannot read {}: {}", inert(&problem.path), problem.error));
            answers.push(Answered { ticket: Err(error) });
        }
    }
}

fn directory_of(path: &str) -> &str {
    tree::recipe_directory(path).rsplit('/').next().unwrap_or_default()
}

/// Readings by the name that somebody may ask for: the recipe's own, that of a part of it, and for one that cannot be
/// read its directory's; the first of each kind, the better kind first.
struct ByName<'a>(HashMap<&'a str, (u8, &'a Shared)>);

impl<'a> ByName<'a> {
    fn new(readings: &'a [Shared]) -> Self {
        let mut by_name: HashMap<&str, (u8, &Shared)> = HashMap::new();
        let mut note = |name: &'a str, kind: u8, reading: &'a Shared| {
            let known = by_name.entry(name).or_insert((kind, reading));
            if kind < known.0 {
                *known = (kind, reading);
            }
        };
        for reading in readings {
            match reading {
                Ok(recipe) => {
                    note(recipe.name.as_str(), 0, reading);
                    recipe.subpkgs.iter().for_each(|part| note(part.as_str(), 1, reading));
                }
                Err(problem) => note(directory_of(&problem.path), 2, reading),
            }
        }
        Self(by_name)
    }

    fn get(&self, name: &str) -> Option<&'a Shared> {
        self.0.get(name).map(|(_, reading)| *reading)
    }
}

fn not_wanted(recipe: &Recipe) -> String {
    if recipe.nobuild {
        return "its recipe says nobuild".to_owned();
    }
    let archs: Vec<&str> = recipe.archs.iter().map(Arch::as_str).collect();
    format!("its recipe is for {}", archs.join(", "))
}

fn versions(recipe: &Recipe) -> String {
    format!("{}-{}-{}", recipe.name, recipe.version, recipe.release)
}
