//! A tree's repository on the master, whatever keeps it: its revisions and their files.

use std::collections::HashMap;
use std::path::Path;

use jiff::Timestamp;

use super::export::Selection;
use super::paths::{clean, is_recipe};
use super::{darcs, git, plain};
use crate::base::{Error, Result};
use crate::config::{Scm, TreeSection};
use crate::names::{Revision, Tree};

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

    fn named(&self, error: Error) -> Error {
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
    pub fn export(&self, revision: &Revision, dirs: Option<&[String]>, into: &Path) -> Result<()> {
        let selection = Selection::new(self.section, dirs);
        let done = match self.section.scm {
            Scm::Git => git::export(self.path(), revision, &selection, into),
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
            Scm::Git => git::list(self.path(), revision),
            Scm::Darcs => darcs::list(self.path(), revision),
            Scm::None => plain::list(self.path()),
        };
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
            Scm::Darcs => darcs::state(self.path(), revision),
            Scm::None => plain::tip(self.section).map(|tip| (tip == *revision).then(|| tip.to_string())),
        };
        found.map_err(|error| self.named(error))
    }

    /// Returns the paths of `revision`, each with a word that is another one when the content is; none when the
    /// repository cannot say.
    ///
    /// # Errors
    /// As [`Repository::export`].
    pub fn contents(&self, revision: &Revision) -> Result<Option<Vec<(String, String)>>> {
        let found = match self.section.scm {
            Scm::Git => git::contents(self.path(), revision).map(Some),
            Scm::Darcs => darcs::contents(self.path(), revision),
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
            Scm::Darcs => darcs::list(self.path(), revision).map(|paths| paths.iter().any(|own| own == path)),
            Scm::None => Ok(self.path().join(path).symlink_metadata().is_ok_and(|meta| meta.is_file())),
        };
        found.map_err(|error| self.named(error))
    }

    /// Returns the paths that differ between `old` (none: nothing was there) and `new`; git only, the others'
    /// hooks are told by their programs.
    ///
    /// # Errors
    /// As [`Repository::export`], and any other program than git.
    pub fn changed(&self, old: Option<&Revision>, new: &Revision) -> Result<Vec<String>> {
        let found = match self.section.scm {
            Scm::Git => git::changed(self.path(), old, new),
            Scm::Darcs | Scm::None => Err(Error::wrong("cannot compare revisions: only git can")),
        };
        found.map_err(|error| self.named(error))
    }

    /// Returns when each of the directories `dirs` was last changed by a commit up to `revision` (darcs: by any
    /// patch; none: the time of its newest file); those that never were are left out.
    ///
    /// # Errors
    /// As [`Repository::export`].
    pub fn commit_times(&self, revision: &Revision, dirs: &[String]) -> Result<HashMap<String, Timestamp>> {
        let plain = |dir: &&String| dir.is_empty() || clean(dir) == Some(dir);
        let dirs: Vec<String> = dirs.iter().filter(plain).cloned().collect();
        let found = match self.section.scm {
            Scm::Git => git::commit_times(self.path(), revision, &dirs),
            Scm::Darcs => darcs::commit_times(self.path(), &dirs),
            Scm::None => Ok(plain::commit_times(self.path(), &dirs)),
        };
        found.map_err(|error| self.named(error))
    }
}
