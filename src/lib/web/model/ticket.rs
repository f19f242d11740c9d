//! Tickets: all that is known of one, and one in a line.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::names::{Id, Priority, State};
use crate::spool::expire::Expired;

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
    pub(in super::super) fn expired(expired: &Expired, went: Timestamp) -> Self {
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
    pub(in super::super) fn file(&self) -> String {
        let Self { id, tree, name, version, arch, epoch, state, .. } = self;
        format!("{},{id},{tree},{name}-{version}-{arch},e{epoch},{state}", self.priority.digit())
    }

    /// Returns the day it ended, `YYYY-MM-DD`.
    pub(in super::super) fn day(&self) -> String {
        day(self.since)
    }

    /// Returns what it is in words: `NAME VERSION ARCH`.
    pub fn title(&self) -> String {
        format!("{} {} {}", self.name, self.version, self.arch)
    }
}

/// Returns the day of a time, UTC: `YYYY-MM-DD`.
pub(in super::super) fn day(time: Timestamp) -> String {
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
