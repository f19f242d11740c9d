//! Tables of tickets: recent results, what is failing, what is unbuilt.

use jiff::Timestamp;
use serde::Serialize;

use super::super::model::{Counts, TicketRow};
use super::super::need::Need;
use super::super::say::package_dir;
use super::{Page, Place, Section, Site};
use crate::base::Result;
use crate::names::{Id, State};

/// How many results a page of `/recent/` has.
const PAGE: usize = 300;

/// A ticket as a line of a table.
#[derive(Serialize)]
pub(super) struct Row<'a> {
    id: &'a Id,
    state: State,
    name: &'a str,
    dir: String,
    version: &'a str,
    arch: &'a str,
    tree: &'a str,
    builder: Option<&'a str>,
    since: Timestamp,
    took: Option<String>,
    why: String,
}

impl<'a> From<&'a TicketRow> for Row<'a> {
    fn from(ticket: &'a TicketRow) -> Self {
        Self {
            id: &ticket.id,
            state: ticket.state,
            name: &ticket.name,
            dir: package_dir(&ticket.name),
            version: &ticket.version,
            arch: &ticket.arch,
            tree: &ticket.tree,
            builder: ticket.builder.as_deref(),
            since: ticket.since,
            took: ticket.took(),
            why: ticket.why(),
        }
    }
}

#[derive(Serialize)]
struct Table<'a> {
    root: &'a str,
    caption: &'a str,
    /// There are several trees, so it matters which.
    trees: bool,
    rows: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Recent<'a> {
    root: &'a str,
    counts: Counts,
    number: usize,
    pages: usize,
    newer: Option<String>,
    older: Option<String>,
    table: String,
}

#[derive(Serialize)]
struct Failing<'a> {
    root: &'a str,
    count: usize,
    needs: String,
}

#[derive(Serialize)]
struct Unbuilt<'a> {
    rows: &'a [super::super::UnbuiltRow],
}

#[derive(Serialize)]
struct Needs<'a> {
    root: &'a str,
    caption: &'a str,
    /// It is known of somebody whose turn it is.
    named: bool,
    needs: Vec<&'a Need>,
}

impl Site<'_> {
    /// Returns a table of tickets as HTML.
    pub(super) fn rows<'a>(
        &self,
        root: &str,
        caption: &str,
        tickets: impl Iterator<Item = &'a TicketRow>,
    ) -> Result<String> {
        let rows = tickets.map(Row::from).collect();
        let trees = self.config.tree.len() > 1;
        self.engine.render("rows.html", &Table { root, caption, trees, rows })
    }

    /// Returns a table of what needs somebody as HTML.
    pub(super) fn needs(&self, root: &str, caption: &str, needs: Vec<&Need>) -> Result<String> {
        self.engine.render(
            "needs.html",
            &Needs { root, caption, named: needs.iter().any(|need| !need.who.is_empty()), needs },
        )
    }

    /// Returns the tickets of `ids`.
    pub(super) fn tickets<'a>(&'a self, ids: &'a [Id]) -> impl Iterator<Item = &'a TicketRow> {
        ids.iter().filter_map(|id| self.model.tickets.get(id))
    }
}

/// Returns the pages of all results, latest first.
pub(in super::super) fn recent(site: &Site<'_>) -> Result<Vec<Page>> {
    let ended = &site.model.ended;
    let pages = ended.len().div_ceil(PAGE).max(1);
    (1..=pages).map(|number| recent_page(site, number, pages)).collect()
}

fn recent_page(site: &Site<'_>, number: usize, pages: usize) -> Result<Page> {
    let ids: Vec<Id> = site.model.ended.iter().skip((number - 1) * PAGE).take(PAGE).cloned().collect();
    let path = recent_path(number);
    let root = super::root(&path);
    let link = |number: usize| format!("{root}{}", recent_path(number));
    let view = Recent {
        root: &root,
        counts: site.model.counts,
        number,
        pages,
        newer: (number > 1).then(|| link(number - 1)),
        older: (number < pages).then(|| link(number + 1)),
        table: site.rows(&root, "Results, latest first", site.tickets(&ids))?,
    };
    let place = Place { section: Section::Recent, title: "Recent results", path, now: false };
    site.page(place, "recent.html", &view)
}

fn recent_path(number: usize) -> String {
    if number == 1 { "recent/index.html".to_owned() } else { format!("recent/{number}/index.html") }
}

/// Returns the page of packages that cannot be built.
pub(in super::super) fn failing(site: &Site<'_>) -> Result<Page> {
    let needs: Vec<&Need> = site.model.needs.iter().filter(|need| need.kind == "failed").collect();
    let view = Failing {
        root: "../",
        count: needs.len(),
        needs: site.needs("../", "Failing packages, newest failure first", needs)?,
    };
    let path = "failing/index.html".to_owned();
    site.page(
        Place { section: Section::Failing, title: "Failing packages", path, now: false },
        "failing.html",
        &view,
    )
}

/// Returns the page of packages that were missed; none when nobody has looked.
pub(in super::super) fn unbuilt(site: &Site<'_>) -> Result<Option<Page>> {
    let Some(rows) = &site.model.unbuilt else { return Ok(None) };
    let path = "unbuilt/index.html".to_owned();
    let place = Place { section: Section::Unbuilt, title: "Unbuilt packages", path, now: false };
    site.page(place, "unbuilt.html", &Unbuilt { rows }).map(Some)
}
