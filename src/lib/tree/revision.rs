//! A tree's repository on the master, whatever keeps it: its revisions and their files.

use std::collections::HashSet;
use std::path::Path;

use super::ages::{Ages, Kept};
use super::export::Selection;
use super::paths::{clean, is_recipe};
use super::{darcs, git, plain};
use crate::base::{Error, Result, durable};
use crate::config::{Scm, TreeSection};
use crate::names::{Revision, Tree};

/// So many paths are named to git; more would not fit into a command line some day.
const FEW: usize = 100;

/// The repository of a tree; only ever read.
#[derive(Debug, Clone, Copy)]
pub struct Repository<'a> {
    /// The tree.
    pub tree: &'a Tree,
    /// Its configuration.
    pub section: &'a TreeSection,
}

impl<'a> Repository<'a> {
    /// Returns the repository of `tree`.
    pub fn new(tree: &'a Tree, section: &'a TreeSection) -> Self {
        Self { tree, section }
    }

    fn path(&self) -> &'a Path {
        &self.section.path
    }

    pub(super) fn named(&self, error: Error) -> Error {
        error.within(format!("tree {}", self.tree))
    }

    /// Returns the revision the tree is at: the branch's commit (git), the last patch (darcs), the hash of all
    /// recipes (none).
    ///
    /// # Errors
    /// There is no such repository or branch, or the program is missing or fails.
    pub fn tip(&self) -> Result<Revision> {
        let found = match self.section.scm {
            Scm::Git => git::resolve(self.path(), &format!("refs/heads/{}", self.section.branch)),
            Scm::Darcs => darcs::tip(self.path()),
            Scm::None => plain::tip(self.section),
        };
        found.map_err(|error| self.named(error))
    }

    /// Returns the revision somebody calls `name`: for git what git takes for a commit, for darcs the whole hash
    /// of a patch, for none only the present one.
    ///
    /// # Errors
    /// There is no such revision.
    pub fn resolve(&self, name: &str) -> Result<Revision> {
        let found = match self.section.scm {
            Scm::Git => git::resolve(self.path(), name),
            Scm::Darcs => darcs::resolve(self.path(), name),
            Scm::None => plain::tip(self.section).and_then(|tip| {
                let gone = || Error::wrong("cannot read another revision: the tree has no version control");
                (tip.as_str() == name).then_some(tip).ok_or_else(gone)
            }),
        };
        found.map_err(|error| self.named(error))
    }

    /// Writes the files of the recipe directories `dirs` (all when none are given) as of `revision` into the new
    /// directory `into`, with what the format needs besides; no links, no large files.
    ///
    /// # Errors
    /// The revision is not there, the program fails, or `into` cannot be written.
    pub fn export(
        &self,
        revision: &Revision,
        dirs: Option<&[String]>,
        contents: Option<&[(String, String)]>,
        into: &Path,
    ) -> Result<()> {
        let selection = Selection::new(self.section, dirs);
        let done = match self.section.scm {
            Scm::Git => git::export(self.path(), revision, &selection, contents, into),
            Scm::Darcs => darcs::export(self.path(), revision, &selection, into),
            Scm::None => plain::export(self.section, &selection, into),
        };
        done.map_err(|error| self.named(error))
    }

    /// Returns the paths of all recipes of `revision`, sorted.
    ///
    /// # Errors
    /// As [`Repository::export`].
    pub fn list(&self, revision: &Revision) -> Result<Vec<String>> {
        let found = match self.section.scm {
            Scm::Git => git::list(self.path(), revision, None),
            Scm::Darcs => darcs::list(self.path(), revision, None),
            Scm::None => plain::list(self.path()),
        };
        self.recipes(found)
    }

    /// Returns those of the recipes `paths` that are there at `revision`, sorted; of a few this is quicker than a list
    /// of all.
    ///
    /// # Errors
    /// As [`Repository::export`].
    pub fn there(&self, revision: &Revision, paths: &[String]) -> Result<Vec<String>> {
        if paths.is_empty() {
            return Ok(Vec::new());
        }
        let mut listed = match self.section.scm {
            Scm::Git if paths.len() <= FEW => self.recipes(git::list(self.path(), revision, Some(paths)))?,
            Scm::Darcs if paths.len() <= FEW => {
                self.recipes(darcs::list(self.path(), revision, Some(paths)))?
            }
            Scm::Git | Scm::Darcs | Scm::None => self.list(revision)?,
        };
        let wanted: HashSet<&String> = paths.iter().collect();
        listed.retain(|path| wanted.contains(path));
        Ok(listed)
    }

    fn recipes(&self, found: Result<Vec<String>>) -> Result<Vec<String>> {
        let mut paths = found.map_err(|error| self.named(error))?;
        paths.retain(|path| is_recipe(path, self.section));
        paths.sort();
        Ok(paths)
    }

    /// Returns a word for everything that is in `revision`: the same word, the same files. None when it cannot be
    /// said at once.
    ///
    /// # Errors
    /// As [`Repository::export`].
    pub fn state(&self, revision: &Revision) -> Result<Option<String>> {
        let found = match self.section.scm {
            Scm::Git => Ok(Some(revision.to_string())),
            Scm::Darcs => Ok(darcs::state(self.path(), revision)),
            Scm::None => plain::tip(self.section).map(|tip| (tip == *revision).then(|| tip.to_string())),
        };
        found.map_err(|error| self.named(error))
    }

    /// Returns the paths that differ between the state `old` (of [`Repository::state`]) and `revision`; none when the
    /// repository cannot say at once.
    ///
    /// # Errors
    /// As [`Repository::export`].
    pub(super) fn changes(&self, old: &str, revision: &Revision) -> Result<Option<Vec<String>>> {
        match (self.section.scm, old.parse::<Revision>()) {
            (Scm::Git, Ok(old)) => self.changed(Some(&old), revision),
            (Scm::Darcs, _) => Ok(darcs::differences(self.path(), old, revision)),
            (Scm::Git | Scm::None, _) => Ok(None),
        }
    }

    /// Returns the paths of `revision`, each with a word that is another one when the content is; none when the
    /// repository cannot say. With `dirs` those below these suffice.
    ///
    /// # Errors
    /// As [`Repository::export`].
    pub fn contents(
        &self,
        revision: &Revision,
        dirs: Option<&[String]>,
    ) -> Result<Option<Vec<(String, String)>>> {
        let found = match self.section.scm {
            Scm::Git => git::contents(self.path(), revision, dirs).map(Some),
            Scm::Darcs => Ok(darcs::contents(self.path(), revision, dirs)),
            Scm::None => plain::contents(self.section).map(Some),
        };
        found.map_err(|error| self.named(error))
    }

    /// Tells whether `path` is a regular file of `revision`.
    ///
    /// # Errors
    /// As [`Repository::export`].
    pub fn exists(&self, revision: &Revision, path: &str) -> Result<bool> {
        let Some(path) = clean(path) else { return Ok(false) };
        let found = match self.section.scm {
            Scm::Git => git::exists(self.path(), revision, path),
            Scm::Darcs => darcs::list(self.path(), revision, Some(&[path.to_owned()]))
                .map(|paths| paths.iter().any(|own| own == path)),
            Scm::None => {
                durable::look(&self.path().join(path)).map(|meta| meta.is_some_and(|meta| meta.is_file()))
            }
        };
        found.map_err(|error| self.named(error))
    }

    /// Returns the paths that were changed after `old` (git without `old`: all of `new`) up to `new`, darcs: up to
    /// now; none when `old` is not there any more.
    ///
    /// # Errors
    /// As [`Repository::export`], and a tree without version control.
    pub fn changed(&self, old: Option<&Revision>, new: &Revision) -> Result<Option<Vec<String>>> {
        let found = match (self.section.scm, old) {
            (Scm::Git, old) => git::changed(self.path(), old, new),
            (Scm::Darcs, Some(old)) => darcs::changed(self.path(), old),
            (Scm::Darcs, None) => Ok(None),
            (Scm::None, _) => Err(Error::wrong("cannot compare revisions: the tree has no version control")),
        };
        found.map_err(|error| self.named(error))
    }

    /// Returns the paths that were changed after [`Repository::state`] said `old` (or after the revision `old`) up to
    /// `new`; none when that is not known any more.
    ///
    /// # Errors
    /// As [`Repository::changed`].
    pub fn changed_since(&self, old: &str, new: &Revision) -> Result<Option<Vec<String>>> {
        if let Some(paths) = self.changes(old, new)? {
            return Ok(Some(paths));
        }
        let revision = old.split(' ').next().unwrap_or_default().parse()?;
        self.changed(Some(&revision), new)
    }

    /// Returns those of the directories `dirs` whose .SRCINFO is as new as their PKGBUILD: no commit up to `revision`
    /// changed only the PKGBUILD after it.
    ///
    /// # Errors
    /// As [`Repository::export`].
    pub(super) fn in_step(&self, revision: &Revision, dirs: &[String]) -> Result<HashSet<String>> {
        if dirs.is_empty() {
            return Ok(HashSet::new());
        }
        let found = match self.section.scm {
            Scm::Git => git::in_step(self.path(), revision, dirs),
            Scm::Darcs => darcs::in_step(self.path(), revision, dirs),
            Scm::None => Ok(plain::in_step(self.path(), dirs)),
        };
        found.map_err(|error| self.named(error))
    }

    /// Returns the last change of each of the directories `dirs` by a commit up to `tip` (darcs: by any patch; none:
    /// the time of its newest file); those that never were are left out. What was found is kept in the file `cache`,
    /// so that the next look reads only what came after `tip`; without it the whole history is read.
    ///
    /// # Errors
    /// As [`Repository::export`].
    pub fn ages(&self, tip: &Revision, dirs: &[String], cache: &Path) -> Result<Ages> {
        if self.section.scm == Scm::None {
            return Ok(plain::ages(self.path(), dirs));
        }
        let kept = Kept::read(cache, &self.section.recipes).filter(|kept| self.led_to(&kept.tip, tip));
        if let Some(kept) = kept.as_ref().filter(|kept| kept.tip == *tip) {
            return Ok(kept.ages.clone());
        }
        let since = kept.as_ref().map(|kept| &kept.tip);
        let found = match self.section.scm {
            Scm::Git => git::ages(self.path(), since, tip, dirs),
            Scm::Darcs | Scm::None => darcs::ages(self.path(), since, dirs),
        };
        let mut ages = kept.map(|kept| kept.ages).unwrap_or_default();
        ages.extend(found.map_err(|error| self.named(error))?);
        // No more is kept than the tree has recipes.
        let wanted: HashSet<&str> = dirs.iter().map(String::as_str).collect();
        ages.retain(|dir, _| wanted.contains(dir.as_str()));
        let kept = Kept { tip: tip.clone(), pattern: self.section.recipes.clone(), ages };
        kept.write(cache);
        Ok(kept.ages)
    }

    /// Tells whether what is known of `old` holds for what of it is left at `new`.
    fn led_to(&self, old: &Revision, new: &Revision) -> bool {
        old == new
            || match self.section.scm {
                Scm::Git => git::led_to(self.path(), old, new),
                Scm::Darcs => darcs::has(self.path(), old),
                Scm::None => false,
            }
    }
}
