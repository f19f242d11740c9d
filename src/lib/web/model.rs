//! The data of the whole site: what the pages show, without a word of HTML.
//!
//! Every string in here has passed `inert`: it cannot act on whoever shows it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::refresh::Open;
use super::{Between, Need, UnbuiltRow, Undelivered};
use crate::names::{Id, Priority, State};
use crate::spool::Vitals;
use crate::spool::aside::Aside;
use crate::spool::expire::Expired;

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

/// A ticket and all that happened to it.
#[derive(Debug, Clone, Serialize)]
pub struct TicketRow {
    /// Its ID.
    pub id: Id,
    /// The tree.
    pub tree: String,
    /// The package.
    pub name: String,
    /// Version and release.
    pub version: String,
    /// The architecture.
    pub arch: String,
    /// Where it is in its life.
    pub state: State,
    /// Since when it is there.
    pub since: Timestamp,
    /// How urgent it is.
    pub priority: Priority,
    /// How often it was claimed.
    pub epoch: u32,
    /// Who builds or built it last.
    pub builder: Option<String>,
    /// When it was asked for.
    pub asked: Timestamp,
    /// Who asked.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Although it had failed or been published.
    pub forced: bool,
    /// Whom to tell.
    pub maintainer: Option<String>,
    /// What it belongs to.
    pub batch: Option<String>,
    /// What is built.
    pub revision: String,
    /// The recipe.
    pub path: String,
    /// What the recipe needs.
    pub depends: Vec<String>,
    /// The packages the recipe makes.
    pub packages: Vec<String>,
    /// It rests until then.
    pub rests_until: Option<Timestamp>,
    /// Why it is not claimed, in words.
    pub waits_for: Option<String>,
    /// Built, and in the package directory.
    pub published: bool,
    /// Built, and its packages wait to be published.
    pub pending: bool,
    /// Built, and why it is not in the package directory.
    pub held: Option<String>,
    /// Built, and never to be published: nothing is to be done about it.
    pub unwanted: bool,
    /// What happened, oldest first.
    pub tries: Vec<Try>,
}

impl TicketRow {
    /// Tells whether it waits.
    pub fn waits(&self) -> bool {
        self.state == State::Waiting
    }

    /// Returns what distinguishes it from others in the same state, in words.
    pub fn why(&self) -> String {
        match self.state {
            State::Waiting => {
                self.waits_for.as_ref().map(|what| format!("waits for {what}")).unwrap_or_default()
            }
            State::Building => String::new(),
            State::Built => match (&self.held, self.published) {
                (Some(why), _) => format!("not published: {why}"),
                (None, true) => "published".to_owned(),
                (None, false) if self.pending => "not published yet".to_owned(),
                (None, false) => String::new(),
            },
            State::Failed | State::Trouble | State::Aborted | State::Superseded => {
                self.tries.last().map(Try::why).unwrap_or_default()
            }
        }
    }

    /// Returns how long the last try took, seconds.
    pub fn took(&self) -> Option<i64> {
        self.tries.last().and_then(|last| last.took)
    }

    /// Returns when it was claimed first.
    pub fn started(&self) -> Option<Timestamp> {
        self.tries.first().and_then(|first| first.started)
    }
}

/// One try at a ticket, or its end without one.
#[derive(Debug, Clone, Serialize)]
pub struct Try {
    /// Which claim.
    pub epoch: u32,
    /// How it ended; `building` while it goes on.
    pub outcome: State,
    /// Who.
    pub builder: Option<String>,
    /// On which host.
    pub host: String,
    /// Who ended it, if not the builder.
    pub by: String,
    /// When it was claimed.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// How long it took, seconds.
    pub took: Option<i64>,
    /// Where in the build.
    pub stage: Option<String>,
    /// The exit status, if there is one.
    pub exit: Option<String>,
    /// Why.
    pub reason: String,
    /// Whether there is a log.
    pub log: bool,
    /// What it left behind.
    pub files: Vec<FileRow>,
}

impl Try {
    /// Returns why it ended so, in one line.
    pub fn why(&self) -> String {
        let mut place = self.stage.as_ref().map(|stage| format!("in {stage}")).unwrap_or_default();
        if !self.by.is_empty() {
            place = format!("{place} by {}", self.by).trim().to_owned();
        }
        match (place.is_empty(), self.reason.is_empty()) {
            (true, _) => self.reason.clone(),
            (false, true) => place,
            (false, false) => format!("{place}: {}", self.reason),
        }
    }
}

/// A file a build left behind.
#[derive(Debug, Clone, Serialize)]
pub struct FileRow {
    /// Its name.
    pub name: String,
    /// Its length, bytes.
    pub size: u64,
    /// Its SHA-256.
    pub sha256: String,
}

/// A ticket in one line: what lists, feeds and statistics need to know.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Row {
    /// Its ID.
    pub id: Id,
    /// The tree.
    pub tree: String,
    /// The package.
    pub name: String,
    /// Version and release.
    pub version: String,
    /// The architecture.
    pub arch: String,
    /// Where it is in its life.
    pub state: State,
    /// Since when it is there.
    pub since: Timestamp,
    /// How urgent it is.
    pub priority: Priority,
    /// How often it was claimed.
    pub epoch: u32,
    /// Who builds or built it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub builder: Option<String>,
    /// When it was claimed first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Timestamp>,
    /// How long the last try took, seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took: Option<i64>,
    /// What it waits for, or why it ended so.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// The mass rebuild it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<String>,
    /// Built, and kept from the package directory by something a person can mend.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub held: bool,
    /// Only this line is left of it: when the rest went.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub went: Option<Timestamp>,
}

impl Row {
    /// Returns the line about an ended ticket that has expired.
    pub(super) fn expired(expired: &Expired, went: Timestamp) -> Self {
        let item = &expired.item;
        Self {
            id: expired.id,
            tree: expired.tree.to_string(),
            name: item.name.to_string(),
            version: format!("{}-{}", item.version, item.release),
            arch: item.arch.to_string(),
            state: expired.outcome.into(),
            since: expired.ended,
            priority: Priority::Push,
            epoch: expired.epoch,
            builder: None,
            started: None,
            took: None,
            why: "expired: only this line was kept".to_owned(),
            batch: None,
            held: false,
            went: Some(went),
        }
    }

    /// Tells whether it waits or is being built.
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Waiting | State::Building)
    }

    /// Returns the name of its file in `done`.
    pub(super) fn file(&self) -> String {
        let Self { id, tree, name, version, arch, epoch, state, .. } = self;
        format!("{},{id},{tree},{name}-{version}-{arch},e{epoch},{state}", self.priority.digit())
    }

    /// Returns the day it ended, `YYYY-MM-DD`.
    pub(super) fn day(&self) -> String {
        day(self.since)
    }

    /// Returns what it is in words: `NAME VERSION ARCH`.
    pub fn title(&self) -> String {
        format!("{} {} {}", self.name, self.version, self.arch)
    }
}

/// Returns the day of a time, UTC: `YYYY-MM-DD`.
pub(super) fn day(time: Timestamp) -> String {
    jiff::tz::TimeZone::UTC.to_datetime(time).date().to_string()
}

impl From<&TicketRow> for Row {
    fn from(ticket: &TicketRow) -> Self {
        Self {
            id: ticket.id,
            tree: ticket.tree.clone(),
            name: ticket.name.clone(),
            version: ticket.version.clone(),
            arch: ticket.arch.clone(),
            state: ticket.state,
            since: ticket.since,
            priority: ticket.priority,
            epoch: ticket.epoch,
            builder: ticket.builder.clone(),
            started: ticket.started(),
            took: ticket.took(),
            why: ticket.why(),
            batch: ticket.batch.clone(),
            held: ticket.held.is_some() && !ticket.unwanted,
            went: None,
        }
    }
}

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
