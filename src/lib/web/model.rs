//! The data of the whole site: what the pages show, without a word of HTML.
//!
//! Every string in here has passed `inert`: it cannot act on whoever shows it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::{Need, UnbuiltRow};
use crate::names::{Id, Priority, State};
use crate::spool::aside::Aside;
use crate::spool::expire::Expired;

/// Everything the site shows.
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
    /// The accounting.
    pub counts: Counts,
    /// What a person has to look at, most urgent first.
    pub needs: Vec<Need>,
    /// The builders by name.
    pub builders: Vec<BuilderRow>,
    /// Every ticket.
    pub tickets: BTreeMap<Id, TicketRow>,
    /// What waits, in claim order.
    pub waiting: Vec<Id>,
    /// What is being built, longest first.
    pub building: Vec<Id>,
    /// What has ended, latest first.
    pub ended: Vec<Id>,
    /// The packages by name.
    pub packages: BTreeMap<String, PackageRow>,
    /// What has expired, and when it went.
    #[serde(skip)]
    pub expired: BTreeMap<Id, (Expired, Timestamp)>,
    /// What the trees want and the package directories lack.
    pub unbuilt: Option<Vec<UnbuiltRow>>,
}

/// How many tickets there are: `asked` is the sum of all others, or something got lost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
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
    /// Counts one ticket.
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

    /// Returns how long the last try took.
    pub fn took(&self) -> Option<String> {
        self.tries.last().and_then(|last| last.took.clone())
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
    /// How long it took.
    pub took: Option<String>,
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

/// A package, all trees and architectures.
#[derive(Debug, Clone, Serialize)]
pub struct PackageRow {
    /// Its name.
    pub name: String,
    /// Where it stands, per tree and architecture.
    pub stands: Vec<StandRow>,
    /// All its tickets, newest first.
    pub tickets: Vec<Id>,
}

/// Where a package stands in one tree, for one architecture.
#[derive(Debug, Clone, Serialize)]
pub struct StandRow {
    /// The tree.
    pub tree: String,
    /// The architecture.
    pub arch: String,
    /// The newest ticket.
    pub newest: Id,
    /// The ticket that last said whether it can be built.
    pub judged: Option<Id>,
    /// Since when it cannot be built.
    pub failing_since: Option<Timestamp>,
    /// The last ticket that was built.
    pub last_good: Option<Id>,
}
