//! Packages: where each stands.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::super::Between;
use super::Counts;
use super::ticket::Row;
use crate::names::{Id, State};

/// A package, all trees and architectures.
#[derive(Debug, Clone, Default, Hash, Serialize, Deserialize)]
pub struct Package {
    /// Where it stands, per tree and architecture. Most packages have one stand: no room is kept for more.
    pub stands: Box<[StandRow]>,
    /// How its tickets are.
    pub counts: Counts,
    /// What is built and kept from the package directory.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<Row>,
}

/// Where a package stands in one tree, for one architecture.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StandRow {
    /// The newest ticket.
    pub newest: Row,
    /// The recipe.
    pub path: String,
    /// Whom to tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maintainer: Option<String>,
    /// What the recipe needs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends: Vec<String>,
    /// The ticket that last said whether it can be built, if that is another than the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judged: Option<Row>,
    /// The first of the tickets that failed since something was built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_bad: Option<Mark>,
    /// The last ticket that was built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_good: Option<Mark>,
    /// How long it usually takes, seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usual: Option<i64>,
    /// What was committed to the recipe after the last good one, up to the first bad one, a line each, latest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commits: Vec<String>,
}

impl StandRow {
    /// Returns between which revisions it broke.
    pub fn broke_between(&self) -> Option<Between<'_>> {
        let (good, bad) = (self.last_good.as_ref()?, self.first_bad.as_ref()?);
        let (tree, path) = (&self.newest.tree, &self.path);
        Some(Between { tree, path, good: &good.revision, bad: &bad.revision })
    }

    /// Returns the ticket that last said whether it can be built.
    pub fn judged(&self) -> Option<&Row> {
        match self.newest.state {
            State::Built | State::Failed => Some(&self.newest),
            State::Waiting | State::Building | State::Trouble | State::Aborted | State::Superseded => {
                self.judged.as_ref()
            }
        }
    }

    /// Returns since when it cannot be built.
    pub fn failing_since(&self) -> Option<Timestamp> {
        self.first_bad.as_ref().map(|bad| bad.since)
    }

    /// Returns its state in one word: that of the newest ticket, or `published`.
    pub fn word(&self) -> &'static str {
        let last = self.last_good.as_ref().filter(|good| good.id == self.newest.id);
        if last.is_some_and(|good| good.published) { "published" } else { self.newest.state.as_str() }
    }
}

/// A ticket at which a package began to fail, or was last built.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Mark {
    /// The ticket.
    pub id: Id,
    /// Version and release.
    pub version: String,
    /// When it ended.
    pub since: Timestamp,
    /// What was built.
    pub revision: String,
    /// The packages it makes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packages: Vec<String>,
    /// They are in the package directory.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub published: bool,
}
