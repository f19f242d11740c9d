//! What was committed between two revisions, of one directory: the first question after a failure.

use std::fmt;

use jiff::Timestamp;

use super::paths::recipe_directory;
use super::{Repository, darcs, git};
use crate::base::Result;
use crate::base::output::inert;
use crate::config::Scm;
use crate::names::Revision;

/// So many commits are told, the latest.
pub(super) const MOST: usize = 20;

/// For so long a repository is searched for them, seconds.
pub(super) const SECONDS: u32 = 20;

/// The longest subject and the longest name that are shown, characters.
const LONGEST: usize = 120;

/// So much of a hash tells a commit apart.
const SHORT: usize = 12;

/// One commit (darcs: patch), as one line tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// When it was made.
    pub at: Timestamp,
    /// Its hash.
    pub hash: String,
    /// Who made it; cannot act on a terminal.
    pub by: String,
    /// The first line of what they said of it; cannot act on a terminal.
    pub subject: String,
}

impl Commit {
    pub(super) fn new(at: Timestamp, hash: &str, by: &str, subject: &str) -> Self {
        let cut = |text: &str| inert(text).replace('\t', " ").chars().take(LONGEST).collect();
        Self { at, hash: hash.to_owned(), by: cut(by), subject: cut(subject) }
    }
}

impl fmt::Display for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hash = self.hash.get(..SHORT).unwrap_or(&self.hash);
        write!(f, "{} {hash} {}: {}", self.at.strftime("%Y-%m-%d %H:%M"), self.by, self.subject)
    }
}

impl Repository<'_> {
    /// Returns the latest commits after `old`, up to `new`, that changed something in the directory of the recipe `path`,
    /// latest first; twenty at the most, none without version control.
    ///
    /// # Errors
    /// One of the revisions is not there any more, or the search takes too long.
    pub fn between(&self, old: &Revision, new: &Revision, path: &str) -> Result<Vec<Commit>> {
        let directory = recipe_directory(path);
        let found = match self.section.scm {
            Scm::Git => git::between(&self.section.path, old, new, directory),
            Scm::Darcs => darcs::between(&self.section.path, old, new, directory),
            Scm::None => Ok(Vec::new()),
        };
        found.map_err(|error| self.named(error))
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Scm;
    use crate::tree::repositories::both;

    #[test]
    fn what_was_committed_between_two_revisions_of_a_recipe_is_told_latest_first() {
        both(|farm| {
            let [old, _, _, new, later] = [("a", "1"), ("a", "2"), ("b", "1"), ("a", "3"), ("a", "4")]
                .map(|(name, version)| farm.commit(name, version));
            let between = |old, new| farm.repository().between(old, new, "a/PKGBUILD");
            let commits = between(&old, &new).unwrap();
            assert_eq!(commits.len(), 2, "{commits:?}");
            assert_eq!((commits[0].hash.as_str(), commits[0].subject.as_str()), (new.as_str(), "x"));
            assert!(commits[0].by.starts_with(if farm.section.scm == Scm::Git {
                "a"
            } else {
                "x' hash='0000'"
            }));
            assert!(between(&new, &new).unwrap().is_empty());
            for version in 5..30 {
                farm.commit("a", &version.to_string());
            }
            let tip = farm.repository().tip().unwrap();
            assert_eq!(between(&later, &tip).unwrap().len(), 20);
            let gone = "0000000000000000000000000000000000000000".parse().unwrap();
            assert!(between(&gone, &new).is_err());
        });
    }
}
