//! Mass rebuilds: what is done, failed, left, in the order it was asked for.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::super::ledger::is_rebuild;
use super::super::lists::{Rebuild, Touched};
use super::super::load::hash;
use super::super::model::{Counts, Model, Row};
use super::super::say::package_dir;
use super::super::writer::Writer;
use super::rows::parts;
use super::{Pager, Place, Section, Site};
use crate::base::Result;

#[derive(Serialize)]
struct Rebuilds<'a> {
    root: &'a str,
    rebuilds: Vec<Line<'a>>,
}

#[derive(Serialize)]
struct Line<'a> {
    name: &'a str,
    dir: String,
    asked: Option<Timestamp>,
    counts: Counts,
    left: usize,
}

#[derive(Serialize)]
struct One<'a> {
    name: &'a str,
    asked: Option<Timestamp>,
    counts: Counts,
    left: usize,
    ended: usize,
    pager: Option<Pager>,
    table: String,
}

/// Writes the list of mass rebuilds, and the pages of those in which something has happened.
pub(in super::super) fn rebuilds(
    site: &Site<'_>,
    writer: &mut Writer<'_>,
    model: &Model,
    touched: &Touched,
) -> Result<()> {
    let mut open: BTreeMap<&str, Vec<Row>> = BTreeMap::new();
    for ticket in model.open.values() {
        if let Some(batch) = ticket.batch.as_deref().filter(|batch| is_rebuild(batch)) {
            open.entry(batch).or_default().push(Row::from(ticket));
        }
    }
    let none = Rebuild::default();
    let names: std::collections::BTreeSet<&str> =
        open.keys().copied().chain(touched.rebuilds.keys().map(String::as_str)).collect();
    let mut lines = Vec::new();
    for name in names {
        let (ended, open) = (touched.rebuilds.get(name).unwrap_or(&none), open.get(name));
        let line = line(name, ended, open.map(Vec::as_slice).unwrap_or_default());
        let made_of = hash(&(ended.stamp, serde_json::to_vec(&open).unwrap_or_default()));
        one(site, writer, touched, &line, (made_of, open.cloned().unwrap_or_default()))?;
        lines.push(line);
    }
    lines.sort_by_key(|line| std::cmp::Reverse((line.asked, line.name)));
    let place = Place::new(Section::None, "Mass rebuilds", "batch/index.html");
    site.list(writer, place, "rebuilds.html", &Rebuilds { root: "../", rebuilds: lines })
}

fn line<'a>(name: &'a str, ended: &Rebuild, open: &[Row]) -> Line<'a> {
    let mut counts = ended.counts;
    open.iter().for_each(|row| counts.add(row.state));
    let asked = open.iter().map(|row| row.id.time()).chain(ended.asked).min();
    Line { name, dir: package_dir(name), asked, counts, left: open.len() }
}

fn one(
    site: &Site<'_>,
    writer: &mut Writer<'_>,
    touched: &Touched,
    line: &Line<'_>,
    (made_of, open): (u64, Vec<Row>),
) -> Result<()> {
    let start = format!("batch/{}", package_dir(line.name));
    // All its tickets are read only when something of it has changed.
    if !writer.differs(&format!("{start}/index.html"), &made_of) {
        writer.leave(&format!("{start}/"), |_| true);
        return Ok(());
    }
    let mut rows = touched.rebuild(line.name);
    rows.extend(open);
    rows.sort_by_key(|row| row.id);
    for (at, (path, pager, part)) in parts(&start, &rows).into_iter().enumerate() {
        let view = One {
            name: line.name,
            asked: line.asked,
            counts: line.counts,
            left: line.left,
            ended: line.counts.asked - line.left,
            pager,
            table: site.rows(
                &super::root(&path),
                "Its tickets, in the order they were asked for",
                part.iter(),
            )?,
        };
        let title = format!("Mass rebuild {}", line.name);
        let place = Place::new(Section::None, &title, path);
        if at == 0 {
            let (path, text) = site.page(place, "rebuild.html", &view)?;
            writer.file(&path, text.as_bytes())?;
        } else {
            site.list(writer, place, "rebuild.html", &view)?;
        }
    }
    Ok(())
}
