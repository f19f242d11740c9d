//! What the site shows and cannot find in the spool: handed in by the caller.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::model::Row;
use crate::base::Result;
use crate::names::Id;

/// What others found out.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// What the trees want and the package directories lack; none when nobody has looked.
    pub unbuilt: Option<Vec<UnbuiltRow>>,
    /// Free space of the spool's file system, bytes.
    pub free: Option<u64>,
    /// The mails that nobody took.
    pub undelivered: Vec<Undelivered>,
    /// The days on which somebody asked for something by hand, `YYYYMMDD`, each with a number that changes when there is
    /// more of it.
    pub asked: BTreeMap<String, u64>,
}

/// What somebody asked for by hand, once it was acted on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Act {
    /// When it was acted on.
    pub at: Timestamp,
    /// Who asked.
    pub by: String,
    /// From where: `web`, or `host` for a user of the master.
    pub from: &'static str,
    /// What for.
    pub what: String,
    /// Why, if that was said.
    pub reason: String,
    /// What came of it, a line each.
    pub answers: Vec<String>,
}

/// A mail that nobody took for so long that it is tried no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Undelivered {
    /// Whose it was.
    pub to: String,
    /// When it was written, if that is known.
    pub since: Option<Timestamp>,
    /// Why it was not taken, when it was tried last.
    pub error: String,
}

/// What a ticket that was built has made.
#[derive(Debug, Clone, Copy)]
pub struct Shipped<'a> {
    /// The ticket.
    pub id: &'a Id,
    /// The tree.
    pub tree: &'a str,
    /// The packages.
    pub packages: &'a [String],
    /// Version and release of all of them.
    pub version: &'a str,
    /// What for.
    pub arch: &'a str,
}

impl<'a> Shipped<'a> {
    /// Returns what the ticket of `row` has made.
    pub(super) fn of(row: &'a Row, packages: &'a [String]) -> Self {
        Self { id: &row.id, tree: &row.tree, packages, version: &row.version, arch: &row.arch }
    }
}

/// A package that a tree wants and the package directory lacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnbuiltRow {
    /// The recipe, relative to its tree.
    pub path: String,
    /// `NAME-VERSION-RELEASE-ARCH`.
    pub item: String,
    /// The tree.
    pub tree: String,
    /// Since when it is wanted.
    pub since: Timestamp,
    /// Why it is missing.
    pub cause: String,
    /// Whom to ask.
    pub maintainer: Option<String>,
}

/// The first error of a log and what stands around it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirstError {
    /// Its line, counted from 1.
    pub line: usize,
    /// The lines before it.
    pub before: Vec<String>,
    /// The line itself.
    pub text: String,
    /// The lines after it.
    pub after: Vec<String>,
}

/// The revisions of a recipe between which it broke.
#[derive(Debug, Clone, Copy)]
pub struct Between<'a> {
    /// The tree.
    pub tree: &'a str,
    /// The recipe.
    pub path: &'a str,
    /// The last that could be built.
    pub good: &'a str,
    /// The first that could not.
    pub bad: &'a str,
}

/// What the site asks for while it is written.
pub struct Sources<'a> {
    /// Looks for the first error of a log.
    pub first_error: &'a (dyn Fn(&Path) -> Option<FirstError> + Sync),
    /// Looks whether what was built is in the package directory.
    pub published: &'a (dyn Fn(&Shipped<'_>) -> bool + Sync),
    /// Names the latest commits between two revisions, a line each, latest first.
    pub commits: &'a (dyn Fn(&Between<'_>) -> Vec<String> + Sync),
    /// Returns what somebody asked for by hand on a day, by age.
    pub acts: &'a (dyn Fn(&str) -> Result<Vec<Act>> + Sync),
    /// Hears how many packages of how many are done.
    pub progress: &'a (dyn Fn(usize, usize) + Sync),
}

impl std::fmt::Debug for Sources<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sources")
    }
}
