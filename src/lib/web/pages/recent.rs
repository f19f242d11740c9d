//! What has ended: the latest results, and each day.

use std::collections::BTreeMap;

use serde::Serialize;

use super::super::model::{Counts, Model, Row, Summary};
use super::super::need::plural;
use super::super::writer::Writer;
use super::{LINES, Pager, Place, Section, Site};
use crate::base::Result;

#[derive(Serialize)]
struct Recent<'a> {
    root: &'a str,
    counts: Counts,
    months: Vec<Month>,
    table: String,
}

#[derive(Serialize)]
struct Month {
    name: String,
    days: Vec<DayLink>,
}

#[derive(Serialize)]
struct DayLink {
    day: String,
    href: String,
    count: String,
    failed: usize,
}

#[derive(Serialize)]
struct Day<'a> {
    root: &'a str,
    day: &'a str,
    results: String,
    counts: Counts,
    pager: Option<Pager>,
    table: String,
}

/// Writes the page of the latest results, which leads to every day.
pub(in super::super) fn recent(site: &Site<'_>, writer: &mut Writer<'_>, model: &Model) -> Result<()> {
    let view = Recent {
        root: "../",
        counts: model.counts,
        months: months(&model.days),
        table: site.rows("../", "The latest results, latest first", model.recent.iter())?,
    };
    let place = Place::new(Section::Recent, "Recent results", "recent/index.html");
    site.list(writer, Place { feed: Some("feed/all.atom"), ..place }, "recent.html", &view)
}

fn months(days: &BTreeMap<String, Summary>) -> Vec<Month> {
    let mut months: Vec<Month> = Vec::new();
    for (day, summary) in days.iter().rev() {
        let (month, number) = day.split_at_checked(7).unwrap_or((day, ""));
        if months.last().is_none_or(|last| last.name != month) {
            months.push(Month { name: month.to_owned(), days: Vec::new() });
        }
        let link = DayLink {
            day: number.trim_start_matches('-').to_owned(),
            href: place(day),
            count: plural(summary.counts.asked, "result"),
            failed: summary.counts.failed,
        };
        if let Some(last) = months.last_mut() {
            last.days.push(link);
        }
    }
    months
}

/// Returns the directory of a day's pages: `recent/2026/11/22`.
fn place(day: &str) -> String {
    format!("recent/{}", day.replace('-', "/"))
}

/// Writes the pages of one day; `rows` are by age. The first 300 results are page 1 for ever, and so on; the last page
/// is the day's own, so that a new result changes one page only.
pub(in super::super) fn day(site: &Site<'_>, writer: &mut Writer<'_>, day: &str, rows: &[Row]) -> Result<()> {
    let mut counts = Counts::default();
    rows.iter().for_each(|row| counts.add(row.state));
    let chunks: Vec<&[Row]> = rows.chunks(LINES).collect();
    let path = |number: usize| match number {
        last if last == chunks.len() => format!("{}/index.html", place(day)),
        _ => format!("{}/{number}/index.html", place(day)),
    };
    for (number, chunk) in (1..).zip(&chunks) {
        let path_here = path(number);
        let root = super::root(&path_here);
        let link = |number: usize| format!("{root}{}", path(number));
        let pager = Pager {
            number,
            pages: chunks.len(),
            newer: (number < chunks.len()).then(|| link(number + 1)),
            older: (number > 1).then(|| link(number - 1)),
        };
        let whole = number == chunks.len();
        let view = Day {
            root: &root,
            day,
            results: if whole { plural(rows.len(), "result") } else { String::new() },
            counts: if whole { counts } else { Counts::default() },
            pager: (number > 1 || !whole).then_some(pager),
            table: site.rows(&root, "Results of the day, latest first", chunk.iter().rev())?,
        };
        let title = format!("Results of {day}");
        site.list(writer, Place::new(Section::Recent, &title, path_here), "day.html", &view)?;
    }
    Ok(())
}
