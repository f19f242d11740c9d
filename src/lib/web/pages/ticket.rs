//! The page of a ticket: all there is to know about one request.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::super::FirstError;
use super::super::ledger::is_rebuild;
use super::super::log::{Excerpt, ending};
use super::super::model::{FileRow, Row, TicketRow, Try};
use super::super::say::package_dir;
use super::{Page, Place, Section, Site};
use crate::base::Result;
use crate::base::clock::age;
use crate::names::{Id, Priority, State};

/// What the page shows of the log of the last try that has one.
pub(in super::super) struct LogView {
    /// Which try.
    pub epoch: u32,
    /// What of it.
    pub excerpt: Excerpt,
}

impl LogView {
    fn file(&self, id: &Id) -> String {
        format!("{id}.{}.{}", self.epoch, ending(self.excerpt.packed))
    }
}

#[derive(Serialize)]
struct View<'a> {
    root: &'a str,
    id: &'a Id,
    name: &'a str,
    dir: String,
    version: &'a str,
    arch: &'a str,
    tree: &'a str,
    state: State,
    since: Timestamp,
    why: String,
    priority: Priority,
    asked: Timestamp,
    by: &'a str,
    reason: &'a str,
    forced: bool,
    maintainer: Option<&'a str>,
    batch: Option<&'a str>,
    /// It has a page.
    rebuild: bool,
    revision: &'a str,
    path: &'a str,
    rests_until: Option<Timestamp>,
    tries: Vec<TryView<'a>>,
    error: Option<ErrorView>,
    log: Option<TailView>,
    files: &'a [FileRow],
    earlier: Option<&'a Neighbour>,
    later: Option<&'a Neighbour>,
    reproduce: Option<String>,
    force: Option<String>,
    abort: Option<String>,
    /// There is a form for them.
    control: bool,
}

#[derive(Serialize)]
struct TryView<'a> {
    epoch: u32,
    state: State,
    builder: Option<&'a str>,
    host: &'a str,
    by: &'a str,
    started: Option<Timestamp>,
    ended: Option<Timestamp>,
    took: Option<String>,
    stage: Option<&'a str>,
    exit: Option<&'a str>,
    reason: &'a str,
    /// Its name on the site.
    log: Option<String>,
}

#[derive(Serialize)]
struct Line {
    number: usize,
    text: String,
    marked: bool,
    /// It is among the last lines below, too, and linked to there.
    below: bool,
}

#[derive(Serialize)]
struct ErrorView {
    line: usize,
    lines: Vec<Line>,
}

#[derive(Serialize)]
struct TailView {
    /// The name of the whole log on the site.
    file: String,
    size: u64,
    total: usize,
    cut: bool,
    live: bool,
    /// When it grew last.
    changed: Option<Timestamp>,
    lines: Vec<Line>,
}

/// Another ticket of the same package.
#[derive(Debug, Clone, Hash, Serialize)]
struct Neighbour {
    id: Id,
    version: String,
    state: State,
}

/// The tickets of the same package, tree and architecture before and after one.
#[derive(Debug, Clone, Default, Hash)]
pub(in super::super) struct Neighbours {
    earlier: Option<Neighbour>,
    later: Option<Neighbour>,
}

impl Neighbours {
    /// Returns those of each of a package's tickets, which are oldest first.
    pub fn among(rows: &[Row]) -> Vec<Self> {
        let of = |row: &Row| Neighbour { id: row.id, version: row.version.clone(), state: row.state };
        let mut near = vec![Self::default(); rows.len()];
        let mut last: BTreeMap<(&str, &str), &Row> = BTreeMap::new();
        for (row, near) in rows.iter().zip(&mut near) {
            near.earlier = last.insert((&row.tree, &row.arch), row).map(of);
        }
        last.clear();
        for (row, near) in rows.iter().zip(&mut near).rev() {
            near.later = last.insert((&row.tree, &row.arch), row).map(of);
        }
        near
    }
}

/// Returns the page of `ticket`.
pub(in super::super) fn ticket(
    site: &Site<'_>,
    ticket: &TicketRow,
    near: &Neighbours,
    logs: &[LogView],
) -> Result<Page> {
    let path = format!("ticket/{}/index.html", ticket.id);
    let title = format!("{} {} {}", ticket.name, ticket.version, ticket.arch);
    let open = matches!(ticket.state, State::Waiting | State::Building);
    let log = logs.last();
    let view = View {
        root: "../../",
        id: &ticket.id,
        name: &ticket.name,
        dir: package_dir(&ticket.name),
        version: &ticket.version,
        arch: &ticket.arch,
        tree: &ticket.tree,
        state: ticket.state,
        since: ticket.since,
        why: ticket.why(),
        priority: ticket.priority,
        asked: ticket.asked,
        by: &ticket.by,
        reason: &ticket.reason,
        forced: ticket.forced,
        maintainer: ticket.maintainer.as_deref(),
        batch: ticket.batch.as_deref(),
        rebuild: ticket.batch.as_deref().is_some_and(is_rebuild),
        revision: &ticket.revision,
        path: &ticket.path,
        rests_until: ticket.rests_until,
        tries: ticket.tries.iter().map(|one| try_view(&ticket.id, one, logs)).collect(),
        error: log.and_then(error_view),
        log: log.map(|log| tail_view(log, &ticket.id, ticket.state == State::Building)),
        files: ticket.tries.last().map(|last| last.files.as_slice()).unwrap_or_default(),
        earlier: near.earlier.as_ref(),
        later: near.later.as_ref(),
        reproduce: site
            .config
            .reproduce_lines(&ticket.tree, &ticket.revision, &ticket.path)
            .map(|lines| lines.join("\n")),
        force: (!open).then(|| site.config.force_line(&ticket.tree, &ticket.name)),
        abort: open.then(|| site.config.abort_line(ticket.id.as_str())),
        control: site.config.web.user.is_some(),
    };
    site.page(Place::new(Section::None, &title, path), "ticket.html", &view)
}

#[derive(Serialize)]
struct ExpiredView<'a> {
    root: &'a str,
    id: &'a Id,
    name: &'a str,
    dir: String,
    version: &'a str,
    arch: &'a str,
    state: State,
    ended: Timestamp,
    went: Timestamp,
    kept: String,
}

/// Returns the page of a ticket that expired: its address holds for ever.
pub(in super::super) fn expired(site: &Site<'_>, ticket: &Row, went: Timestamp) -> Result<Page> {
    let title = ticket.title();
    let view = ExpiredView {
        root: "../../",
        id: &ticket.id,
        name: &ticket.name,
        dir: package_dir(&ticket.name),
        version: &ticket.version,
        arch: &ticket.arch,
        state: ticket.state,
        ended: ticket.since,
        went,
        kept: age(went.duration_since(ticket.since)),
    };
    let path = format!("ticket/{}/index.html", ticket.id);
    site.page(Place::new(Section::None, &title, path), "expired.html", &view)
}

fn try_view<'a>(id: &Id, one: &'a Try, logs: &[LogView]) -> TryView<'a> {
    TryView {
        epoch: one.epoch,
        state: one.outcome,
        builder: one.builder.as_deref(),
        host: &one.host,
        by: &one.by,
        started: one.started,
        ended: one.ended,
        took: one.took.map(|took| age(SignedDuration::from_secs(took))),
        stage: one.stage.as_deref(),
        exit: one.exit.as_deref(),
        reason: &one.reason,
        log: logs.iter().find(|log| log.epoch == one.epoch).map(|log| log.file(id)),
    }
}

fn error_view(log: &LogView) -> Option<ErrorView> {
    let error: &FirstError = log.excerpt.first_error.as_ref()?;
    let first = error.line.saturating_sub(error.before.len());
    let texts = error.before.iter().chain([&error.text]).chain(&error.after);
    let tail = log.excerpt.first_line();
    let line = |(number, text): (usize, &String)| Line {
        number,
        text: text.clone(),
        marked: number == error.line,
        below: number >= tail && number <= log.excerpt.lines,
    };
    Some(ErrorView { line: error.line, lines: (first..).zip(texts).map(line).collect() })
}

fn tail_view(log: &LogView, id: &Id, live: bool) -> TailView {
    let error = log.excerpt.first_error.as_ref().map(|error| error.line);
    let line = |(number, text): (usize, &String)| Line {
        number,
        text: text.clone(),
        marked: error == Some(number),
        below: false,
    };
    let first = log.excerpt.first_line();
    TailView {
        file: log.file(id),
        size: log.excerpt.size,
        total: log.excerpt.lines,
        cut: first > 1,
        live,
        changed: log.excerpt.changed,
        lines: (first..).zip(&log.excerpt.tail).map(line).collect(),
    }
}
