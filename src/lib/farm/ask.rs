//! Asking for builds: from what somebody names (a package, a version, a recipe's path) to tickets.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::drop_box::{self, Request};
use super::needs::{needs, providers};
use super::operand::{Operand, Wanted, operand};
use crate::base::output::inert;
use crate::base::{Clock, Error, Result};
use crate::config::{Config, TreeSection};
use crate::names::{Arch, Item, Name, Priority, Revision, Tree, Word};
use crate::spool::queue::{self, Answer, Ask};
use crate::spool::{Spool, TicketName};
use crate::tree::{self, Reading, Recipe, Repository};

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
    /// The operand, or the version it led to.
    pub what: String,
    /// The ticket, or why there is none.
    pub ticket: Result<TicketName>,
}

/// Where somebody asks from.
#[derive(Debug, Clone, Copy)]
pub struct Asker<'a> {
    /// Who.
    pub by: &'a str,
    /// The directory that relative paths begin in, if that is known.
    pub directory: Option<&'a Path>,
    /// How long the queue's lock is waited for.
    pub patience: Duration,
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
                by_tree.entry(tree).or_default().push(Operand { text: text.to_owned(), wanted });
            }
            Err(_) if wish.passes_over && text.contains('/') => {}
            Err(error) => answers.push(Answered { what: text.to_owned(), ticket: Err(error) }),
        }
    }
    let mut asks = Vec::new();
    for (tree, operands) in &by_tree {
        let section =
            config.tree.get(tree).ok_or_else(|| Error::wrong(format!("there is no tree {tree}")))?;
        let look = Look { tree, section, wish, asker, spool };
        look.asks(operands, &mut asks, &mut answers)?;
    }
    let tickets = queue::enqueue(spool, &asks, clock, asker.patience)?;
    answers.extend(asks.iter().zip(tickets).map(|(ask, answer)| Answered {
        what: ask.item.to_string(),
        ticket: match answer {
            Answer::Made(name) | Answer::There(name) => Ok(name),
            Answer::Refused(why) => Err(Error::no(why)),
        },
    }));
    Ok(answers)
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
    operand: &'a Operand,
    recipe: Recipe,
}

impl Look<'_> {
    fn asks(&self, operands: &[Operand], asks: &mut Vec<Ask>, answers: &mut Vec<Answered>) -> Result<()> {
        let repository = Repository::new(self.tree, self.section);
        let revision = match &self.wish.revision {
            Some(name) => repository.resolve(name)?,
            None => repository.tip()?,
        };
        let listed = repository.list(&revision)?;
        let mut found = self.by_path(operands, &listed, &revision, answers)?;
        found.extend(self.by_name(operands, &listed, &revision, answers)?);
        let recipes: Vec<Recipe> = found.iter().map(|found| found.recipe.clone()).collect();
        let providers = providers(&recipes);
        for found in &found {
            match self.of_recipe(found, &revision, &providers) {
                Ok(more) => asks.extend(more),
                Err(error) => answers.push(Answered { what: found.operand.text.clone(), ticket: Err(error) }),
            }
        }
        Ok(())
    }

    fn by_path<'o>(
        &self,
        operands: &'o [Operand],
        listed: &[String],
        revision: &Revision,
        answers: &mut Vec<Answered>,
    ) -> Result<Vec<Found<'o>>> {
        let mut wanted: BTreeMap<String, &Operand> = BTreeMap::new();
        for operand in operands {
            let Wanted::Path(path) = &operand.wanted else { continue };
            let recipes = tree::recipes_of(std::slice::from_ref(path), self.section);
            let there: Vec<String> = recipes.into_iter().filter(|recipe| listed.contains(recipe)).collect();
            if there.is_empty() && !self.wish.passes_over {
                let text = inert(&operand.text);
                let error = Error::wrong(format!(
                    "cannot enqueue {text}: the tree {} has no recipe there",
                    self.tree
                ));
                answers.push(Answered { what: operand.text.clone(), ticket: Err(error) });
            }
            wanted.extend(there.into_iter().map(|recipe| (recipe, operand)));
        }
        let paths: Vec<String> = wanted.keys().cloned().collect();
        let readings = tree::read(self.section, self.tree, revision, &paths, &self.spool.tmp())?;
        Ok(self.sort(wanted.into_values().zip(readings), answers))
    }

    /// Recipes in a directory of the package's name first, the whole tree only for what is not found there.
    fn by_name<'o>(
        &self,
        operands: &'o [Operand],
        listed: &[String],
        revision: &Revision,
        answers: &mut Vec<Answered>,
    ) -> Result<Vec<Found<'o>>> {
        let named: Vec<&Operand> =
            operands.iter().filter(|operand| operand.wanted.name().is_some()).collect();
        if named.is_empty() {
            return Ok(Vec::new());
        }
        let directory = |path: &String| {
            let name = tree::recipe_directory(path).rsplit('/').next().unwrap_or_default().to_owned();
            named.iter().any(|operand| operand.wanted.name().is_some_and(|wanted| wanted.as_str() == name))
        };
        let near: Vec<String> = listed.iter().filter(|path| directory(path)).cloned().collect();
        let mut readings = tree::read(self.section, self.tree, revision, &near, &self.spool.tmp())?;
        if named.iter().any(|operand| pick(&readings, operand).is_none()) {
            readings = tree::read_all(self.section, self.tree, revision, &self.spool.tmp())?;
        }
        let mut pairs = Vec::new();
        for operand in named {
            match pick(&readings, operand) {
                Some(reading) => pairs.push((operand, reading)),
                // A changed file at the top of a tree may look like a package's name.
                None if self.wish.passes_over && self.is_file(&operand.text, revision) => {}
                None => {
                    let text = inert(&operand.text);
                    let error = Error::wrong(format!(
                        "cannot enqueue {text}: the tree {} has no such package",
                        self.tree
                    ));
                    answers.push(Answered { what: operand.text.clone(), ticket: Err(error) });
                }
            }
        }
        Ok(self.sort(pairs.into_iter(), answers))
    }

    fn is_file(&self, path: &str, revision: &Revision) -> bool {
        Repository::new(self.tree, self.section).exists(revision, path).unwrap_or(false)
    }

    fn sort<'o>(
        &self,
        pairs: impl Iterator<Item = (&'o Operand, Reading)>,
        answers: &mut Vec<Answered>,
    ) -> Vec<Found<'o>> {
        let mut found = Vec::new();
        for (operand, reading) in pairs {
            match reading {
                Ok(recipe) => found.push(Found { operand, recipe }),
                Err(problem) => {
                    let error =
                        Error::wrong(format!("cannot read {}: {}", inert(&problem.path), problem.error));
                    answers.push(Answered { what: operand.text.clone(), ticket: Err(error) });
                }
            }
        }
        found
    }

    fn of_recipe(
        &self,
        found: &Found,
        revision: &Revision,
        providers: &HashMap<Name, Name>,
    ) -> Result<Vec<Ask>> {
        let recipe = &found.recipe;
        let mut archs = recipe.wanted_archs(&self.section.archs);
        if archs.is_empty() {
            return Err(Error::no(format!("{} is not for this farm: {}", recipe.name, not_wanted(recipe))));
        }
        if let Wanted::Version(item) = &found.operand.wanted {
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
        let needs = needs(recipe, providers);
        Ok(archs.into_iter().map(|arch| self.of_arch(found, arch, revision, needs.clone())).collect())
    }

    fn of_arch(&self, found: &Found, arch: Arch, revision: &Revision, depends: Vec<Name>) -> Ask {
        let (recipe, wish) = (&found.recipe, self.wish);
        let priority = wish.priority.unwrap_or(if wish.force { Priority::Urgent } else { Priority::Push });
        Ask {
            tree: self.tree.clone(),
            item: Item {
                name: recipe.name.clone(),
                version: recipe.version.clone(),
                release: recipe.release.clone(),
                arch: arch.clone(),
            },
            revision: revision.clone(),
            path: recipe.path.clone(),
            priority,
            by: self.asker.by.to_owned(),
            reason: wish.reason.clone(),
            maintainer: wish.maintainer.clone().or_else(|| recipe.maintainer.clone()),
            batch: wish.batch.clone(),
            packages: recipe.subpkgs.clone(),
            depends,
            exact: wish.revision.is_some() || matches!(found.operand.wanted, Wanted::Path(_)),
            force: wish.force,
            spare_aborted: wish.spare_aborted || wish.priority == Some(Priority::Unbuilt),
            published: tree::published(
                self.section,
                &recipe.subpkgs,
                &recipe.version,
                &recipe.release,
                &arch,
            ),
        }
    }
}

fn pick(readings: &[Reading], operand: &Operand) -> Option<Reading> {
    let wanted = operand.wanted.name()?;
    let exact = |reading: &&Reading| reading.as_ref().is_ok_and(|recipe| recipe.name == *wanted);
    let part = |reading: &&Reading| reading.as_ref().is_ok_and(|recipe| recipe.subpkgs.contains(wanted));
    let broken = |reading: &&Reading| {
        let directory = |path: &str| tree::recipe_directory(path).rsplit('/').next() == Some(wanted.as_str());
        reading.as_ref().is_err_and(|problem| directory(&problem.path))
    };
    let found = readings.iter().find(exact).or_else(|| readings.iter().find(part));
    found.or_else(|| readings.iter().find(broken)).cloned()
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
