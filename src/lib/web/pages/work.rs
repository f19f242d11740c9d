//! What is under way: the queue and the builders.

use jiff::Timestamp;
use serde::Serialize;

use super::super::model::{BuilderRow, TicketRow};
use super::super::say::{package_dir, segment};
use super::{Page, Place, Section, Site};
use crate::base::Result;
use crate::names::{Id, Priority};
use crate::spool::aside::Aside;

/// How many waiting tickets the page of the queue lists; the JSON has all of them.
const QUEUE: usize = 1000;
/// How many results a builder's page lists.
const RESULTS: usize = 100;

#[derive(Serialize)]
struct Queue<'a> {
    root: &'a str,
    building: String,
    count: usize,
    more: usize,
    paused: bool,
    waiting: Vec<Waiting<'a>>,
}

#[derive(Serialize)]
struct Waiting<'a> {
    position: usize,
    id: &'a Id,
    name: &'a str,
    dir: String,
    version: &'a str,
    arch: &'a str,
    tree: &'a str,
    priority: Priority,
    by: &'a str,
    asked: Timestamp,
    tries: u32,
    why: String,
    rests_until: Option<Timestamp>,
}

/// A builder as lists show it.
#[derive(Serialize)]
pub(super) struct BuilderView<'a> {
    name: &'a str,
    state: &'static str,
    archs: String,
    seen: Timestamp,
    since: Timestamp,
    jobs: Vec<Job<'a>>,
}

#[derive(Serialize)]
struct Job<'a> {
    id: &'a Id,
    epoch: u32,
    what: String,
    since: Timestamp,
    log: bool,
}

#[derive(Serialize)]
struct Builders<'a> {
    root: &'a str,
    builders: Vec<BuilderView<'a>>,
}

#[derive(Serialize)]
struct OneBuilder<'a> {
    root: &'a str,
    builder: BuilderView<'a>,
    away: bool,
    paused: bool,
    aside: Option<&'a Aside>,
    results: String,
}

impl Site<'_> {
    /// Returns a builder as lists show it.
    pub(super) fn builder_view<'a>(&'a self, builder: &'a BuilderRow) -> BuilderView<'a> {
        BuilderView {
            name: &builder.name,
            state: builder.state(),
            archs: builder.archs.join(", "),
            seen: builder.seen,
            since: builder.since,
            jobs: self.tickets(&builder.building).map(job).collect(),
        }
    }
}

fn job(ticket: &TicketRow) -> Job<'_> {
    Job {
        id: &ticket.id,
        epoch: ticket.epoch,
        what: format!("{} {}", ticket.name, ticket.version),
        since: ticket.since,
        log: ticket.tries.last().is_some_and(|last| last.log),
    }
}

/// Returns the page of what waits and what is being built.
pub(in super::super) fn queue(site: &Site<'_>) -> Result<Page> {
    let model = site.model;
    let listed = site.tickets(&model.waiting).take(QUEUE).enumerate();
    let view = Queue {
        root: "../",
        building: site.rows("../", "Being built, longest first", site.tickets(&model.building))?,
        count: model.waiting.len(),
        more: model.waiting.len().saturating_sub(QUEUE),
        paused: model.paused,
        waiting: listed.map(|(at, ticket)| waiting(at + 1, ticket)).collect(),
    };
    let path = "queue/index.html".to_owned();
    site.page(Place { section: Section::Queue, title: "Queue", path, now: true }, "queue.html", &view)
}

fn waiting(position: usize, ticket: &TicketRow) -> Waiting<'_> {
    Waiting {
        position,
        id: &ticket.id,
        name: &ticket.name,
        dir: package_dir(&ticket.name),
        version: &ticket.version,
        arch: &ticket.arch,
        tree: &ticket.tree,
        priority: ticket.priority,
        by: &ticket.by,
        asked: ticket.asked,
        tries: ticket.epoch,
        why: ticket.waits_for.clone().unwrap_or_default(),
        rests_until: ticket.rests_until,
    }
}

/// Returns the page of all builders.
pub(in super::super) fn builders(site: &Site<'_>) -> Result<Page> {
    let builders = site.model.builders.iter().map(|builder| site.builder_view(builder)).collect();
    let path = "builder/index.html".to_owned();
    let place = Place { section: Section::Builders, title: "Builders", path, now: true };
    site.page(place, "builders.html", &Builders { root: "../", builders })
}

/// Returns the page of one builder.
pub(in super::super) fn builder(site: &Site<'_>, builder: &BuilderRow) -> Result<Page> {
    let path = format!("builder/{}/index.html", segment(&builder.name));
    let own = |ticket: &&TicketRow| ticket.builder.as_deref() == Some(builder.name.as_str());
    let results = site.tickets(&site.model.ended).filter(own).take(RESULTS);
    let view = OneBuilder {
        root: "../../",
        builder: site.builder_view(builder),
        away: builder.away,
        paused: builder.paused,
        aside: builder.aside.as_ref(),
        results: site.rows("../../", "Its last results", results)?,
    };
    let title = format!("Builder {}", builder.name);
    site.page(Place { section: Section::Builders, title: &title, path, now: true }, "builder.html", &view)
}
