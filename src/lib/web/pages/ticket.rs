//! The page of a ticket: all there is to know about one request.

use jiff::Timestamp;
use serde::Serialize;

use super::super::FirstError;
use super::super::log::Excerpt;
use super::super::model::{FileRow, TicketRow, Try};
use super::super::say::package_dir;
use super::{Page, Place, Section, Site};
use crate::base::Result;
use crate::base::clock::age;
use crate::names::{Id, Item, Priority, State};
use crate::spool::expire::Expired;

/// What the page shows of the log of the last try that has one.
pub(in super::super) struct LogView {
    /// Which try.
    pub epoch: u32,
    /// What of it.
    pub excerpt: Excerpt,
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
    revision: &'a str,
    path: &'a str,
    rests_until: Option<Timestamp>,
    tries: Vec<TryView<'a>>,
    error: Option<ErrorView>,
    log: Option<TailView>,
    files: &'a [FileRow],
    earlier: Option<Neighbour<'a>>,
    later: Option<Neighbour<'a>>,
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
    took: Option<&'a str>,
    stage: Option<&'a str>,
    exit: Option<&'a str>,
    reason: &'a str,
    log: bool,
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
    epoch: u32,
    size: u64,
    total: usize,
    cut: bool,
    live: bool,
    lines: Vec<Line>,
}

/// Another ticket of the same package.
#[derive(Serialize)]
struct Neighbour<'a> {
    id: &'a Id,
    version: &'a str,
    state: State,
}

/// Returns the page of `ticket`.
pub(in super::super) fn ticket(site: &Site<'_>, ticket: &TicketRow, log: Option<&LogView>) -> Result<Page> {
    let path = format!("ticket/{}/index.html", ticket.id);
    let title = format!("{} {} {}", ticket.name, ticket.version, ticket.arch);
    let (earlier, later) = neighbours(site, ticket);
    let open = matches!(ticket.state, State::Waiting | State::Building);
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
        revision: &ticket.revision,
        path: &ticket.path,
        rests_until: ticket.rests_until,
        tries: ticket.tries.iter().map(try_view).collect(),
        error: log.and_then(error_view),
        log: log.map(|log| tail_view(log, ticket.state == State::Building)),
        files: ticket.tries.last().map(|last| last.files.as_slice()).unwrap_or_default(),
        earlier,
        later,
        reproduce: site
            .config
            .reproduce_lines(&ticket.tree, &ticket.revision, &ticket.path)
            .map(|lines| lines.join("\n")),
        force: (!open).then(|| site.config.force_line(&ticket.tree, &ticket.name)),
        abort: open.then(|| site.config.abort_line(ticket.id.as_str())),
        control: site.config.web.user.is_some(),
    };
    site.page(Place { section: Section::None, title: &title, path, now: false }, "ticket.html", &view)
}

#[derive(Serialize)]
struct ExpiredView<'a> {
    root: &'a str,
    id: &'a Id,
    name: &'a str,
    dir: String,
    version: String,
    arch: &'a str,
    state: State,
    ended: Timestamp,
    went: Timestamp,
    kept: String,
}

/// Returns the page of a ticket that expired: its address holds for ever.
pub(in super::super) fn expired(site: &Site<'_>, ticket: &Expired, went: Timestamp) -> Result<Page> {
    let Item { name, version, release, arch } = &ticket.item;
    let version = format!("{version}-{release}");
    let title = format!("{name} {version} {arch}");
    let view = ExpiredView {
        root: "../../",
        id: &ticket.id,
        name: name.as_str(),
        dir: package_dir(name.as_str()),
        version,
        arch: arch.as_str(),
        state: ticket.outcome.into(),
        ended: ticket.ended,
        went,
        kept: age(went.duration_since(ticket.ended)),
    };
    let path = format!("ticket/{}/index.html", ticket.id);
    site.page(Place { section: Section::None, title: &title, path, now: false }, "expired.html", &view)
}

fn try_view(one: &Try) -> TryView<'_> {
    TryView {
        epoch: one.epoch,
        state: one.outcome,
        builder: one.builder.as_deref(),
        host: &one.host,
        by: &one.by,
        started: one.started,
        ended: one.ended,
        took: one.took.as_deref(),
        stage: one.stage.as_deref(),
        exit: one.exit.as_deref(),
        reason: &one.reason,
        log: one.log,
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

fn tail_view(log: &LogView, live: bool) -> TailView {
    let error = log.excerpt.first_error.as_ref().map(|error| error.line);
    let line = |(number, text): (usize, &String)| Line {
        number,
        text: text.clone(),
        marked: error == Some(number),
        below: false,
    };
    let first = log.excerpt.first_line();
    TailView {
        epoch: log.epoch,
        size: log.excerpt.size,
        total: log.excerpt.lines,
        cut: first > 1,
        live,
        lines: (first..).zip(&log.excerpt.tail).map(line).collect(),
    }
}

/// Returns the tickets of the same package, tree and architecture before and after this one.
fn neighbours<'a>(site: &'a Site<'_>, ticket: &TicketRow) -> (Option<Neighbour<'a>>, Option<Neighbour<'a>>) {
    let Some(package) = site.model.packages.get(&ticket.name) else { return (None, None) };
    let same = |other: &&TicketRow| other.tree == ticket.tree && other.arch == ticket.arch;
    let neighbour =
        |other: &'a TicketRow| Neighbour { id: &other.id, version: &other.version, state: other.state };
    // Newest first.
    let earlier = site.tickets(&package.tickets).filter(same).find(|other| other.id < ticket.id);
    let later = site.tickets(&package.tickets).filter(same).take_while(|other| other.id > ticket.id).last();
    (earlier.map(neighbour), later.map(neighbour))
}
