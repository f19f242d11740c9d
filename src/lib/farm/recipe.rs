//! What recipes say: of paths, names, a whole tree, or of all that needs something.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::base::output::{SILENT, inert};
use crate::base::{Error, Result};
use crate::config::{Config, Scm, TreeSection};
use crate::names::{Item, Name, Revision, Tree};
use crate::tree::{self, Desk, Reading, Recipe, Repository};

use super::operand::{Wanted, operand};

/// Which recipes.
#[derive(Debug, Clone)]
pub struct Selection {
    /// Of this tree.
    pub tree: Option<Tree>,
    /// Where relative paths begin.
    pub directory: Option<PathBuf>,
    /// Where recipes are read.
    pub desk: Desk,
}

/// Reads the recipe that `text` (a path or a name) means, at the tip of its tree.
///
/// # Errors
/// `No` when there is none; a wrong operand, a tree that is not there, recipes that cannot be read at all.
pub fn one(config: &Config, selection: &Selection, text: &str) -> Result<Vec<Reading>> {
    let directory = selection.directory.as_deref();
    let (name, wanted) = operand(config, text, selection.tree.as_ref(), directory)?;
    let section = section(config, &name)?;
    let nothing = || Error::no(format!("the tree {name} has no recipe {}", inert(text)));
    let tip = Repository::new(&name, section).tip()?;
    match &wanted {
        Wanted::Path(path) => {
            let mut paths = tree::recipes_of(std::slice::from_ref(path), section);
            let listed = Repository::new(&name, section).list(&tip)?;
            paths.retain(|path| listed.contains(path));
            if paths.is_empty() {
                return Err(nothing());
            }
            tree::read(section, &name, &tip, &paths, &selection.desk)
        }
        Wanted::Name(package) => {
            found(section, &name, &tip, package, selection).and_then(|one| one.ok_or_else(nothing))
        }
        Wanted::Version(item) => {
            let item: Item = item.parse()?;
            found(section, &name, &tip, &item.name, selection).and_then(|one| one.ok_or_else(nothing))
        }
    }
}

fn found(
    section: &TreeSection,
    name: &Tree,
    tip: &Revision,
    package: &Name,
    selection: &Selection,
) -> Result<Option<Vec<Reading>>> {
    Ok(tree::find(section, name, tip, package, &selection.desk)?.map(|reading| vec![reading]))
}

/// Reads all recipes, or those that need `needed`, directly or not, in build order; and what cannot be read.
///
/// # Errors
/// `No` when nothing makes `needed`; a tree that is not there, recipes that cannot be read at all.
pub fn whole(config: &Config, selection: &Selection, needed: Option<&Name>) -> Result<Vec<Reading>> {
    if let Some(tree) = &selection.tree {
        section(config, tree)?;
    }
    let (mut readings, mut known) = (Vec::new(), needed.is_none());
    for (name, section) in &config.tree {
        if selection.tree.as_ref().is_none_or(|only| only == name) {
            let tip = Repository::new(name, section).tip()?;
            let all = tree::read_all(section, name, &tip, &selection.desk)?;
            let makes = |recipe: &Recipe| needed.is_some_and(|needed| recipe.provided().contains(needed));
            known |= all.iter().flatten().any(makes);
            match needed {
                Some(needed) => readings.extend(needed_by(all, needed)),
                None => readings.extend(all),
            }
        }
    }
    match needed {
        Some(needed) if !known => Err(Error::no(format!("no recipe makes {needed}"))),
        Some(_) | None => Ok(readings),
    }
}

fn section<'a>(config: &'a Config, tree: &Tree) -> Result<&'a TreeSection> {
    config.tree.get(tree).ok_or_else(|| Error::wrong(format!("there is no tree {tree} in the configuration")))
}

/// Returns what depends on `needed`, directly or not, each after all it depends on itself; a cycle is entered at
/// its first name. What cannot be read may depend on it too, and comes last.
fn needed_by(readings: Vec<Reading>, needed: &Name) -> Vec<Reading> {
    let (read, unread): (Vec<Reading>, Vec<Reading>) = readings.into_iter().partition(Result::is_ok);
    let recipes: BTreeMap<Name, Recipe> =
        read.into_iter().flatten().map(|recipe| (recipe.name.clone(), recipe)).collect();
    let mut makers: BTreeMap<Name, Name> = BTreeMap::new();
    for recipe in recipes.values() {
        makers.extend(recipe.provided().into_iter().map(|provided| (provided, recipe.name.clone())));
    }
    let needs = |recipe: &Recipe| -> BTreeSet<Name> {
        recipe.dependencies().iter().filter_map(|name| makers.get(name).cloned()).collect()
    };
    let start = makers.get(needed).unwrap_or(needed).clone();
    let mut affected = BTreeSet::from([start.clone()]);
    loop {
        let more: Vec<Name> = recipes
            .values()
            .filter(|recipe| !affected.contains(&recipe.name) && !needs(recipe).is_disjoint(&affected))
            .map(|recipe| recipe.name.clone())
            .collect();
        if more.is_empty() {
            break;
        }
        affected.extend(more);
    }
    affected.remove(&start);
    let mut ordered: Vec<Reading> = Vec::new();
    let mut left = affected;
    while let Some(next) = next_ready(&left, &recipes, &needs) {
        left.remove(&next);
        ordered.extend(recipes.get(&next).cloned().map(Ok));
    }
    ordered.extend(unread);
    ordered
}

fn next_ready(
    left: &BTreeSet<Name>,
    recipes: &BTreeMap<Name, Recipe>,
    needs: &dyn Fn(&Recipe) -> BTreeSet<Name>,
) -> Option<Name> {
    let waits = |name: &&Name| {
        let own = |needed: &Name| needed != *name && left.contains(needed);
        recipes.get(*name).is_some_and(|recipe| needs(recipe).iter().any(own))
    };
    left.iter().find(|name| !waits(name)).or_else(|| left.iter().next()).cloned()
}

/// Reads the recipe `path` in a directory that is checked out already.
///
/// # Errors
/// Recipes cannot be read at all here.
pub(super) fn in_checkout(
    section: &TreeSection,
    tree: &Tree,
    (checkout, path): (&Path, &str),
    revision: &Revision,
    scratch: &Path,
) -> Result<Option<Reading>> {
    let plain = TreeSection { scm: Scm::None, path: checkout.to_owned(), ..section.clone() };
    let desk = Desk { scratch: scratch.to_owned(), kept: None, progress: SILENT };
    Ok(tree::read(&plain, tree, revision, &[path.to_owned()], &desk)?.pop())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe(name: &str, depends: &[&str]) -> Reading {
        let name: Name = name.parse().unwrap();
        Ok(Recipe {
            path: format!("{name}/PKGBUILD"),
            version: "1".parse().unwrap(),
            release: "1".parse().unwrap(),
            archs: vec!["any".parse().unwrap()],
            subpkgs: vec![name.clone()],
            groups: Vec::new(),
            depends: depends.iter().map(|&text| text.to_owned()).collect(),
            makedepends: Vec::new(),
            checkdepends: Vec::new(),
            provides: Vec::new(),
            options: Vec::new(),
            nobuild: false,
            maintainer: None,
            name,
        })
    }

    fn order(recipes: Vec<Reading>, needed: &str) -> Vec<String> {
        let ordered = needed_by(recipes, &needed.parse().unwrap());
        ordered.into_iter().flatten().map(|recipe| recipe.name.to_string()).collect()
    }

    #[test]
    fn what_needs_something_comes_in_build_order() {
        let tree = vec![
            recipe("a-app", &["z-lib>=2"]),
            recipe("base", &[]),
            recipe("other", &[]),
            recipe("z-lib", &["base"]),
        ];
        assert_eq!(order(tree, "base"), ["z-lib", "a-app"]);
    }

    #[test]
    fn a_cycle_is_entered_at_its_first_name() {
        let tree = vec![recipe("a", &["b"]), recipe("b", &["a", "base"]), recipe("base", &[])];
        assert_eq!(order(tree, "base"), ["a", "b"]);
    }
}
