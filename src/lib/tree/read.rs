//! Reading recipes of a revision: exported into a scratch directory, read in the sandbox, judged.

use std::path::{Path, PathBuf};

use super::paths::{is_recipe, recipe_directory};
use super::recipe::{Problem, Reading};
use super::revision::Repository;
use super::sandbox::{Limits, readings};
use crate::base::durable::make_dir;
use crate::base::random;
use crate::base::{Error, Result};
use crate::config::TreeSection;
use crate::names::{Name, Revision, Tree};

/// A directory below the scratch directory; dropped, it is gone.
struct Place(PathBuf);

impl Place {
    fn new(scratch: &Path) -> Result<Self> {
        make_dir(scratch)?;
        Ok(Self(scratch.join(format!("read-{}", random::word(12)))))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Reads the recipe files `paths` as of `revision`; a reading for each, in their order. `scratch` is a directory
/// for what is needed meanwhile.
///
/// # Errors
/// The revision cannot be had, or recipes cannot be read at all here.
pub fn read(
    section: &TreeSection,
    tree: &Tree,
    revision: &Revision,
    paths: &[String],
    scratch: &Path,
) -> Result<Vec<Reading>> {
    if paths.is_empty() {
        return Ok(Vec::new());
    }
    let (good, _): (Vec<String>, Vec<String>) =
        paths.iter().cloned().partition(|path| is_recipe(path, section));
    let dirs: Vec<String> = good.iter().map(|path| recipe_directory(path).to_owned()).collect();
    let mut read =
        read_at(Repository::new(tree, section), revision, Some(&dirs), &good, scratch)?.into_iter();
    let foreign = |path: &String| Problem {
        path: crate::base::output::inert(path),
        error: format!("it is not where recipes of the tree {tree} are ({})", section.recipes),
    };
    let reading = |path: &String| match is_recipe(path, section) {
        true => read.next().ok_or_else(|| Error::wrong("cannot read recipes: one was lost")),
        false => Ok(Err(foreign(path))),
    };
    paths.iter().map(reading).collect()
}

/// Reads all recipes of `revision`, in the order of their paths.
///
/// # Errors
/// As [`read`].
pub fn read_all(
    section: &TreeSection,
    tree: &Tree,
    revision: &Revision,
    scratch: &Path,
) -> Result<Vec<Reading>> {
    let repository = Repository::new(tree, section);
    let paths = repository.list(revision)?;
    read_at(repository, revision, None, &paths, scratch)
}

fn read_at(
    repository: Repository<'_>,
    revision: &Revision,
    dirs: Option<&[String]>,
    paths: &[String],
    scratch: &Path,
) -> Result<Vec<Reading>> {
    let place = Place::new(scratch)?;
    repository.export(revision, dirs, &place.0)?;
    readings(repository.section, &place.0, paths, Limits::default())
}

/// Returns the recipe that produces the package `name` at `revision`: looked for in directories of that name
/// first, then everywhere. A recipe there that cannot be read is the answer too.
///
/// # Errors
/// As [`read`].
pub fn find(
    section: &TreeSection,
    tree: &Tree,
    revision: &Revision,
    name: &Name,
    scratch: &Path,
) -> Result<Option<Reading>> {
    let called = |path: &String| recipe_directory(path).rsplit('/').next() == Some(name.as_str());
    let all = Repository::new(tree, section).list(revision)?;
    let near: Vec<String> = all.into_iter().filter(called).collect();
    let produces = |reading: &Reading| match reading {
        Ok(recipe) => recipe.name == *name || recipe.subpkgs.contains(name),
        Err(_) => false,
    };
    let near = read(section, tree, revision, &near, scratch)?;
    if let Some(found) = near.iter().find(|reading| produces(reading)) {
        return Ok(Some(found.clone()));
    }
    if let Some(problem) = near.into_iter().find(std::result::Result::is_err) {
        return Ok(Some(problem));
    }
    Ok(read_all(section, tree, revision, scratch)?.into_iter().find(produces))
}
