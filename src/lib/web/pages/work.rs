//! What is under way: the queue and the builders.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::super::log::Excerpt;
use super::super::model::{BuilderRow, Model, Row, TicketRow};
use super::super::say::{package_dir, segment};
use super::super::writer::Writer;
use super::rows::{lasting, parts};
use super::stats::{Chart, results_of};
use super::{Pager, Place, Section, Site};
use crate::base::Result;
use crate::base::durable;
use crate::names::{Id, Priority};
use crate::spool::aside::Aside;

/// How many waiting tickets the pages of a queue list; the JSON has all of them.
const QUEUE: usize = 1200;
/// How many lines of a growing log a builder's page shows.
const TAIL: usize = 12;

#[derive(Serialize)]
struct Queue<'a> {
    root: &'a str,
    /// The architecture it is for; none for all.
    arch: Option<&'a str>,
    archs: Vec<Arch<'a>>,
    building: String,
    count: usize,
    more: usize,
    paused: bool,
    waiting: Vec<Waiting<'a>>,
    pager: Option<Pager>,
}

#[derive(Serialize)]
struct Arch<'a> {
    name: &'a str,
    waiting: usize,
    building: usize,
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
    /// A builder is free for it.
    next: bool,
    expected: Option<Timestamp>,
}

/// A builder as lists show it.
#[derive(Serialize)]
pub(super) struct BuilderView<'a> {
    name: &'a str,
    state: &'static str,
    archs: String,
    seen: Timestamp,
    since: Timestamp,
    host: Option<&'a str>,
    load: Option<String>,
    disk: Option<u64>,
    jobs: Vec<Job<'a>>,
}

#[derive(Serialize)]
struct Job<'a> {
    id: &'a Id,
    epoch: u32,
    what: String,
    since: Timestamp,
    usually: Option<String>,
    log: bool,
    tail: Vec<String>,
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
    chart: Chart,
    results: String,
}

/// Returns a builder as lists show it.
pub(super) fn builder_view<'a>(model: &'a Model, builder: &'a BuilderRow) -> BuilderView<'a> {
    BuilderView {
        name: &builder.name,
        state: builder.state(),
        archs: builder.archs.join(", "),
        seen: builder.seen,
        since: builder.since,
        host: builder.host.as_deref(),
        load: builder.vitals.load.map(|load| load.to_string()),
        disk: builder.vitals.disk,
        jobs: model.tickets(&builder.building).map(|ticket| job(model, ticket)).collect(),
    }
}

fn job<'a>(model: &Model, ticket: &'a TicketRow) -> Job<'a> {
    Job {
        id: &ticket.id,
        epoch: ticket.epoch,
        what: format!("{} {}", ticket.name, ticket.version),
        since: ticket.since,
        usually: model.usual(ticket).map(lasting),
        log: ticket.tries.last().is_some_and(|last| last.log),
        tail: Vec::new(),
    }
}

/// Writes the pages of what waits and what is being built: all of it, and for each architecture.
pub(in super::super) fn queue(site: &Site<'_>, writer: &mut Writer<'_>, model: &Model) -> Result<()> {
    let mut archs: BTreeMap<&str, Arch<'_>> = BTreeMap::new();
    for ticket in model.open.values() {
        let arch = Arch { name: &ticket.arch, waiting: 0, building: 0 };
        let arch = archs.entry(&ticket.arch).or_insert(arch);
        *(if ticket.waits() { &mut arch.waiting } else { &mut arch.building }) += 1;
    }
    for name in archs.keys() {
        queue_of(site, writer, model, Some(name), Vec::new())?;
    }
    queue_of(site, writer, model, None, archs.into_values().collect())
}

fn queue_of(
    site: &Site<'_>,
    writer: &mut Writer<'_>,
    model: &Model,
    arch: Option<&str>,
    archs: Vec<Arch<'_>>,
) -> Result<()> {
    let ours = |ticket: &&TicketRow| arch.is_none_or(|arch| ticket.arch == arch);
    let building: Vec<Row> = model.tickets(&model.building).filter(ours).map(Row::from).collect();
    let all: Vec<&TicketRow> = model.tickets(&model.waiting).filter(ours).collect();
    let listed = all.get(..all.len().min(QUEUE)).unwrap_or_default();
    let start = arch.map_or("queue".to_owned(), |arch| format!("queue/{arch}"));
    let title = arch.map_or("Queue".to_owned(), |arch| format!("Queue for {arch}"));
    let mut archs = Some(archs);
    for (path, pager, part) in parts(&start, listed) {
        let root = super::root(&path);
        let first = pager.as_ref().map_or(1, |pager| 1 + (pager.number - 1) * super::LINES);
        let view = Queue {
            root: &root,
            arch,
            archs: archs.take().unwrap_or_default(),
            building: site.rows(&root, "Being built, longest first", building.iter())?,
            count: all.len(),
            more: all.len() - listed.len(),
            paused: model.paused,
            waiting: (first..).zip(part).map(|(at, ticket)| waiting(model, at, ticket)).collect(),
            pager,
        };
        site.list(writer, Place::new(Section::Queue, &title, path), "queue.html", &view)?;
    }
    Ok(())
}

fn waiting<'a>(model: &Model, position: usize, ticket: &'a TicketRow) -> Waiting<'a> {
    let expected = model.expected.get(&ticket.id).copied();
    let next = expected.is_some_and(|start| start <= ticket.asked);
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
        next,
        expected: expected.filter(|_| !next),
    }
}

/// Writes the page of all builders.
pub(in super::super) fn builders(site: &Site<'_>, writer: &mut Writer<'_>, model: &Model) -> Result<()> {
    let builders = model.builders.iter().map(|builder| builder_view(model, builder)).collect();
    let place = Place::new(Section::Builders, "Builders", "builder/index.html");
    site.list(writer, place, "builders.html", &Builders { root: "../", builders })
}

/// Writes the page of one builder; `results` are its last ones, latest first.
pub(in super::super) fn builder(
    site: &Site<'_>,
    writer: &mut Writer<'_>,
    model: &Model,
    builder: &BuilderRow,
    results: &[Row],
) -> Result<()> {
    let mut shown = builder_view(model, builder);
    for job in shown.jobs.iter_mut().filter(|job| job.log) {
        job.tail = tail(writer, job);
    }
    let view = OneBuilder {
        root: "../../",
        builder: shown,
        away: builder.away,
        paused: builder.paused,
        aside: builder.aside.as_ref(),
        chart: results_of(model, &builder.name),
        results: site.rows("../../", "Its last results", results.iter())?,
    };
    let (title, path) =
        (format!("Builder {}", builder.name), format!("builder/{}/index.html", segment(&builder.name)));
    site.list(writer, Place::new(Section::Builders, &title, path), "builder.html", &view)
}

/// Returns the last lines of a growing log, as the ticket's page has them.
fn tail(writer: &Writer<'_>, job: &Job<'_>) -> Vec<String> {
    let path = writer.root().join(format!("log/{}.{}.json", job.id, job.epoch));
    let excerpt =
        durable::read(&path, 8 << 20).ok().and_then(|text| serde_json::from_slice::<Excerpt>(&text).ok());
    let mut lines = excerpt.map(|excerpt| excerpt.tail).unwrap_or_default();
    lines.split_off(lines.len().saturating_sub(TAIL))
}
