//! The data of the whole site: what the pages show, without a word of HTML.
//!
//! Every string in here has passed `inert`: it cannot act on whoever shows it.

mod package;
mod ticket;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use package::{Mark, Package, StandRow};
pub(super) use ticket::day;
pub use ticket::{FileRow, Row, TicketRow, Try};

use super::refresh::Open;
use super::{Need, UnbuiltRow, Undelivered};
use crate::names::{Id, State};
use crate::spool::Vitals;
use crate::spool::aside::Aside;

/// Everything about now that the site shows.
#[derive(Debug, Clone, Serialize)]
pub struct Model {
    /// How the farm is called.
    pub title: String,
    /// When this was made.
    pub made: Timestamp,
    /// A person has paused all claims.
    pub paused: bool,
    /// Free space for the spool, bytes.
    pub free: Option<u64>,
    /// The mails that nobody took.
    pub undelivered: Vec<Undelivered>,
    /// The accounting.
    pub counts: Counts,
    /// What a person has to look at, most urgent first.
    pub needs: Vec<Need>,
    /// The builders by name.
    pub builders: Vec<BuilderRow>,
    /// What waits and what is being built.
    pub open: BTreeMap<Id, TicketRow>,
    /// What waits, in claim order.
    pub waiting: Vec<Id>,
    /// What is being built, longest first.
    pub building: Vec<Id>,
    /// When each waiting ticket is likely to be begun.
    pub expected: BTreeMap<Id, Timestamp>,
    /// The packages by name.
    pub packages: BTreeMap<String, Package>,
    /// The latest results, latest first.
    pub recent: Vec<Row>,
    /// What each day came to, by `YYYY-MM-DD`.
    pub days: BTreeMap<String, Summary>,
    /// What the trees want and the package directories lack.
    pub unbuilt: Option<Vec<UnbuiltRow>>,
}

impl Model {
    /// Returns the open tickets of `ids`.
    pub fn tickets<'a>(&'a self, ids: &'a [Id]) -> impl Iterator<Item = &'a TicketRow> {
        ids.iter().filter_map(|id| self.open.get(id))
    }

    /// Takes in what waits and what is being built, but for what has moved on.
    pub(super) fn fill(&mut self, open: BTreeMap<String, Open>) {
        let mut tickets: Vec<TicketRow> = open.into_values().flat_map(|open| open.tickets).collect();
        tickets.sort_by_key(|ticket| (ticket.priority.digit(), ticket.id));
        let ids =
            |state| tickets.iter().filter(move |t: &&TicketRow| t.state == state).map(|t| t.id).collect();
        (self.waiting, self.building) = (ids(State::Waiting), ids(State::Building));
        self.open = tickets.into_iter().map(|ticket| (ticket.id, ticket)).collect();
        let open = &self.open;
        self.building.sort_by_key(|id| open.get(id).map(|ticket| ticket.since));
    }

    /// Returns how long a package usually takes, seconds.
    pub fn usual(&self, ticket: &TicketRow) -> Option<i64> {
        let stands = &self.packages.get(&ticket.name)?.stands;
        let own = |stand: &&StandRow| stand.newest.tree == ticket.tree && stand.newest.arch == ticket.arch;
        stands.iter().find(own)?.usual
    }

    /// Returns every stand of every package, by name.
    pub fn stands(&self) -> impl Iterator<Item = &StandRow> {
        self.packages.values().flat_map(|package| &package.stands)
    }
}

/// How many tickets there are: `asked` is the sum of all others, or something got lost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "they are the states")]
pub struct Counts {
    pub asked: usize,
    pub waiting: usize,
    pub building: usize,
    pub built: usize,
    pub failed: usize,
    pub trouble: usize,
    pub aborted: usize,
    pub superseded: usize,
    /// In quarantine.
    pub bad: usize,
    /// Ended long ago, and gone but for a line.
    pub expired: usize,
}

impl Counts {
    /// Counts one more.
    pub(super) fn add(&mut self, state: State) {
        self.asked += 1;
        match state {
            State::Waiting => self.waiting += 1,
            State::Building => self.building += 1,
            State::Built => self.built += 1,
            State::Failed => self.failed += 1,
            State::Trouble => self.trouble += 1,
            State::Aborted => self.aborted += 1,
            State::Superseded => self.superseded += 1,
        }
    }

    /// Counts what is left of one: a line.
    pub(super) fn add_expired(&mut self) {
        self.asked += 1;
        self.expired += 1;
    }

    /// Counts all that `other` has counted.
    pub(super) fn add_all(&mut self, other: &Counts) {
        self.asked += other.asked;
        self.waiting += other.waiting;
        self.building += other.building;
        self.built += other.built;
        self.failed += other.failed;
        self.trouble += other.trouble;
        self.aborted += other.aborted;
        self.superseded += other.superseded;
        self.bad += other.bad;
        self.expired += other.expired;
    }
}

/// A builder.
#[derive(Debug, Clone, Serialize)]
pub struct BuilderRow {
    /// Its name.
    pub name: String,
    /// What it builds.
    pub archs: Vec<String>,
    /// Since when it is registered so.
    pub since: Timestamp,
    /// When it was last heard of.
    pub seen: Timestamp,
    /// A person has paused it.
    pub paused: bool,
    /// The farm has set it aside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aside: Option<Aside>,
    /// It was not heard of for longer than a lease.
    pub away: bool,
    /// How many it builds at once.
    pub slots: usize,
    /// The host it runs on, as it says.
    pub host: Option<String>,
    /// How that host did when it was last heard of, as it says.
    #[serde(flatten)]
    pub vitals: Vitals,
    /// What it is building.
    pub building: Vec<Id>,
}

impl BuilderRow {
    /// Returns its state in one word: `away`, `paused`, `aside`, `building` or `idle`.
    pub fn state(&self) -> &'static str {
        match self.building.is_empty() {
            _ if self.away => "away",
            _ if self.paused => "paused",
            _ if self.aside.is_some() => "aside",
            false => "building",
            true => "idle",
        }
    }
}

/// What the results of one day came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// How many there are of each state.
    pub counts: Counts,
    /// How long half, and nine in ten, waited for a builder at the most, seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waited: Option<(i64, i64)>,
    /// How long half, and nine in ten, took at the most, seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took: Option<(i64, i64)>,
    /// What each builder did: built, and other results.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub builders: BTreeMap<String, (usize, usize)>,
    /// How often each package failed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub breakers: BTreeMap<String, usize>,
}
