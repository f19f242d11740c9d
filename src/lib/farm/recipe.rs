//! What recipes say: of paths, names, a whole tree, or of all that needs something.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use crate::base::output::{SILENT, inert};
use crate::base::{Error, Result};
use crate::config::{Config, Scm, TreeSection};
use crate::names::{Item, Name, Revision, Tree};
use crate::tree::{self, Desk, Reading, Recipe, Repository};

use super::needs::{needs, providers};
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

/// Returns what depends on `needed`, directly or not, each after all it depends on itself. What cannot be read may
/// depend on it too, and comes last.
fn needed_by(readings: Vec<Reading>, needed: &Name) -> Vec<Reading> {
    let (read, unread): (Vec<Reading>, Vec<Reading>) = readings.into_iter().partition(Result::is_ok);
    let mut recipes: BTreeMap<Name, Recipe> =
        read.into_iter().flatten().map(|recipe| (recipe.name.clone(), recipe)).collect();
    let makers = providers(recipes.values());
    let needs: Needs =
        recipes.values().map(|recipe| (recipe.name.clone(), recipe_needs(recipe, &makers))).collect();
    let start = makers.get(needed).unwrap_or(needed).clone();
    let ordered = in_order(affected(&start, &needs), &needs);
    let mut found: Vec<Reading> = ordered.iter().filter_map(|name| recipes.remove(name).map(Ok)).collect();
    found.extend(unread);
    found
}

/// What each recipe needs, in names of recipes.
type Needs = BTreeMap<Name, BTreeSet<Name>>;

fn recipe_needs(recipe: &Recipe, makers: &HashMap<Name, Name>) -> BTreeSet<Name> {
    needs(recipe, makers).into_iter().collect()
}

/// Returns what needs `start`, directly or not.
fn affected(start: &Name, needs: &Needs) -> BTreeSet<Name> {
    let mut needed_by: HashMap<&Name, Vec<&Name>> = HashMap::new();
    for (name, needed) in
        needs.iter().flat_map(|(name, needs)| needs.iter().map(move |needed| (name, needed)))
    {
        needed_by.entry(needed).or_default().push(name);
    }
    let (mut found, mut to_visit) = (BTreeSet::new(), vec![start]);
    while let Some(at) = to_visit.pop() {
        for name in needed_by.get(at).into_iter().flatten().filter(|name| **name != start) {
            if found.insert((*name).clone()) {
                to_visit.push(name);
            }
        }
    }
    found
}

/// Returns the names in build order; a circle is entered at its first name, once all that it needs was named.
fn in_order(mut left: BTreeSet<Name>, needs: &Needs) -> Vec<Name> {
    let mut ordered = Vec::with_capacity(left.len());
    let waits = |name: &Name, left: &BTreeSet<Name>| {
        needs.get(name).is_some_and(|needs| needs.iter().any(|needed| left.contains(needed)))
    };
    while let Some(first) = left.first().cloned() {
        let mut ready: Vec<Name> = left.iter().filter(|name| !waits(name, &left)).cloned().collect();
        if ready.is_empty() {
            ready.push(of_circle(first, &left, needs));
        }
        for name in &ready {
            left.remove(name);
        }
        ordered.append(&mut ready);
    }
    ordered
}

/// Returns the first name of a circle that waits for nothing but itself, in which walking along what is needed from
/// `start` ends.
fn of_circle(mut start: Name, left: &BTreeSet<Name>, needs: &Needs) -> Name {
    loop {
        let reached = reach(&start, left, needs);
        match reached.iter().find(|name| !reach(name, left, needs).contains(&start)) {
            Some(further) => start = further.clone(),
            None => return reached.into_iter().next().unwrap_or(start),
        }
    }
}

/// Returns what of `left` a recipe needs, directly or not.
fn reach(start: &Name, left: &BTreeSet<Name>, needs: &Needs) -> BTreeSet<Name> {
    let (mut found, mut to_visit) = (BTreeSet::new(), vec![start.clone()]);
    while let Some(at) = to_visit.pop() {
        for needed in needs.get(&at).into_iter().flatten().filter(|needed| left.contains(*needed)) {
            if found.insert(needed.clone()) {
                to_visit.push(needed.clone());
            }
        }
    }
    found
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

    #[test]
    fn what_needs_a_cycle_comes_after_it_and_what_a_cycle_needs_before() {
        let tree = vec![
            recipe("a-app", &["hen"]),
            recipe("egg", &["hen", "z-yolk"]),
            recipe("hen", &["egg", "corn"]),
            recipe("corn", &["base"]),
            recipe("white", &["z-yolk"]),
            recipe("z-yolk", &["white", "base"]),
            recipe("base", &[]),
        ];
        assert_eq!(order(tree, "base"), ["corn", "white", "z-yolk", "egg", "hen", "a-app"]);
    }

    #[test]
    fn a_whole_distribution_is_put_in_order_while_somebody_waits() {
        let name = |n: usize| format!("p{n:04}");
        let mut tree = vec![recipe("base", &[])];
        // Ten deep, and twenty circles of ten.
        for n in 0..4000 {
            let circle = name(n / 10 * 10 + (n + 1) % 10);
            let below = if n < 200 { circle } else { name(n + 400) };
            tree.push(recipe(&name(n), &[&below, "base"]));
        }
        let start = std::time::Instant::now();
        assert_eq!(order(tree, "base").len(), 4000);
        assert!(start.elapsed().as_secs() < 30, "{:?}", start.elapsed());
    }
}
