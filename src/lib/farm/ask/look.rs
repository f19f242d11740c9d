//! Looking up what is asked for in a tree: by path, by name, by version; and what of it is to be built.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use super::super::needs::{needs, providers};
use super::super::operand::{Operand, Wanted};
use super::{All, Answered, One, Wish};
use crate::base::output::inert;
use crate::base::{Error, Result};
use crate::config::TreeSection;
use crate::names::{Arch, Item, Revision, Tree};
use crate::tree::{self, Desk, Problem, Recipe, Repository};

/// Looking up the operands of one tree.
pub(super) struct Look<'a> {
    pub tree: &'a Tree,
    pub section: &'a TreeSection,
    pub wish: &'a Wish,
    pub desk: Desk,
}

/// A recipe that was asked for, and what of it.
pub(super) struct Found<'a> {
    operand: &'a Operand<'a>,
    recipe: Rc<Recipe>,
}

/// A reading that is shared by all who ask for it.
type Shared = std::result::Result<Rc<Recipe>, Problem>;

impl Found<'_> {
    /// Returns what was read.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }
}

/// Returns what recipes that were read elsewhere are asked for as.
///
/// # Errors
/// One of them is no recipe of that tree.
pub(super) fn operands<'a>(
    recipes: &'a [Recipe],
    section: &TreeSection,
    changed: bool,
) -> Result<Vec<Operand<'a>>> {
    let operand = |recipe: &'a Recipe| {
        if tree::recipes_of(std::slice::from_ref(&recipe.path), section) != [recipe.path.as_str()] {
            let path = inert(&recipe.path);
            return Err(Error::wrong(format!(
                "cannot enqueue {}: {path} is no recipe of that tree",
                recipe.name
            )));
        }
        // As a version it has no text of its own: what it was read at is not asked for.
        Ok(match changed {
            true => Operand { text: &recipe.path, wanted: Wanted::Path(recipe.path.clone()) },
            false => Operand { text: "", wanted: Wanted::Name(recipe.name.clone()) },
        })
    };
    recipes.iter().map(operand).collect()
}

/// Returns such recipes as if they had been found here.
pub(super) fn found<'a>(recipes: &[Recipe], operands: &'a [Operand<'a>]) -> Vec<Found<'a>> {
    let found =
        |(operand, recipe): (&'a Operand<'a>, &Recipe)| Found { operand, recipe: Rc::new(recipe.clone()) };
    operands.iter().zip(recipes).map(found).collect()
}

impl<'a> Look<'a> {
    /// Reads what is asked for, at the revision it is asked for at.
    pub fn find<'o>(
        &self,
        operands: &'o [Operand<'o>],
        answers: &mut Vec<Answered>,
    ) -> Result<(Vec<Found<'o>>, Revision)> {
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
        Ok((found, revision))
    }

    /// Adds what is to be built of the recipes that were found.
    pub fn ones(
        &self,
        found: &[Found],
        revision: &Revision,
        wanted: &mut Vec<One<'a>>,
        answers: &mut Vec<Answered>,
    ) {
        let providers = providers(found.iter().map(|found| found.recipe.as_ref()));
        let mut known: HashMap<&str, Rc<All>> = HashMap::new();
        for Found { operand, recipe } in found {
            let all = known.entry(&recipe.path).or_insert_with(|| {
                let (tree, section, revision) = (self.tree, self.section, revision.clone());
                let needs = needs(recipe, &providers).into();
                Rc::new(All { tree, section, recipe: Rc::clone(recipe), needs, revision })
            });
            let by_path = matches!(operand.wanted, Wanted::Path(_));
            let exact = by_path || (self.wish.revision.is_some() && !operand.text.is_empty());
            match self.archs(&operand.wanted, recipe) {
                Ok(archs) => {
                    wanted.extend(archs.into_iter().map(|arch| One { all: Rc::clone(all), arch, exact }));
                }
                Err(error) => answers.push(Answered { ticket: Err(error) }),
            }
        }
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
        let readings = tree::read(self.section, self.tree, revision, paths, &self.desk)?;
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
