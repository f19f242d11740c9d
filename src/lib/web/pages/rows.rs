//! Tables of tickets and of what needs somebody; what is failing, what is unbuilt.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::super::model::{Model, Row, StandRow};
use super::super::need::{Need, failure, plural};
use super::super::say::{package_dir, segment};
use super::super::writer::Writer;
use super::{LINES, Pager, Place, Section, Site};
use crate::base::Result;
use crate::base::clock::age;
use crate::names::{Id, State};

/// A ticket as a line of a table.
#[derive(Serialize)]
struct Line<'a> {
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
    why: &'a str,
}

impl<'a> From<&'a Row> for Line<'a> {
    fn from(row: &'a Row) -> Self {
        Self {
            id: &row.id,
            state: row.state,
            name: &row.name,
            dir: package_dir(&row.name),
            version: &row.version,
            arch: &row.arch,
            tree: &row.tree,
            builder: row.builder.as_deref(),
            since: row.since,
            took: row.took.map(lasting),
            why: &row.why,
        }
    }
}

/// Returns so many seconds in words.
pub(super) fn lasting(seconds: i64) -> String {
    age(SignedDuration::from_secs(seconds))
}

#[derive(Serialize)]
struct Table<'a> {
    root: &'a str,
    caption: &'a str,
    /// There are several trees, so it matters which.
    trees: bool,
    rows: Vec<Line<'a>>,
}

#[derive(Serialize)]
struct Failing {
    count: usize,
    table: String,
    roots: Vec<Root>,
    pager: Option<Pager>,
}

/// Packages that fail, and one that each of them needs and that broke before any of them did.
#[derive(Serialize)]
struct Root {
    name: String,
    dir: String,
    since: Option<Timestamp>,
    broken: String,
    waiting: String,
    packages: Vec<Named>,
    more: usize,
}

/// A link to a package.
#[derive(Serialize)]
pub(super) struct Named {
    name: String,
    dir: String,
}

impl Named {
    pub(super) fn of(name: &str) -> Self {
        Self { name: name.to_owned(), dir: package_dir(name) }
    }
}

#[derive(Serialize)]
struct Unbuilt<'a> {
    root: &'a str,
    /// Somebody has looked.
    known: bool,
    count: usize,
    rows: Vec<Missing<'a>>,
    pager: Option<Pager>,
}

#[derive(Serialize)]
struct Missing<'a> {
    item: &'a str,
    /// The page of the package, if it has one.
    href: Option<String>,
    tree: &'a str,
    since: Timestamp,
    cause: &'a str,
    maintainer: Option<&'a str>,
    path: &'a str,
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
        rows: impl Iterator<Item = &'a Row>,
    ) -> Result<String> {
        let trees = self.config.tree.len() > 1;
        self.engine.render("rows.html", &Table { root, caption, trees, rows: rows.map(Line::from).collect() })
    }

    /// Returns a table of what needs somebody as HTML.
    pub(super) fn needs(&self, root: &str, caption: &str, needs: Vec<&Need>) -> Result<String> {
        let named = needs.iter().any(|need| !need.who.is_empty());
        self.engine.render("needs.html", &Needs { root, caption, named, needs })
    }
}

/// Returns the parts of a long list and, for each, its path and the way to its neighbours: the first page is
/// `START/index.html`, the others `START/2/index.html` and so on.
pub(super) fn parts<'a, T>(start: &str, all: &'a [T]) -> Vec<(String, Option<Pager>, &'a [T])> {
    let pages = all.len().div_ceil(LINES).max(1);
    let path = |number: usize| match number {
        1 => format!("{start}/index.html"),
        _ => format!("{start}/{number}/index.html"),
    };
    let part = |number: usize| {
        let from = (number - 1) * LINES;
        let rows = all.get(from..all.len().min(from + LINES)).unwrap_or_default();
        let root = super::root(&path(number));
        let link = |number: usize| format!("{root}{}", path(number));
        let pager = Pager {
            number,
            pages,
            newer: (number > 1).then(|| link(number - 1)),
            older: (number < pages).then(|| link(number + 1)),
        };
        (path(number), (pages > 1).then_some(pager), rows)
    };
    (1..=pages).map(part).collect()
}

/// Writes the pages of packages that cannot be built.
pub(in super::super) fn failing(site: &Site<'_>, writer: &mut Writer<'_>, model: &Model) -> Result<()> {
    let needs: Vec<&Need> = model.needs.iter().filter(|need| need.kind == "failed").collect();
    let roots = roots(model);
    for (at, (path, pager, part)) in parts("failing", &needs).into_iter().enumerate() {
        let root = super::root(&path);
        let caption = "Failing packages, newest failure first";
        let view = Failing {
            count: needs.len(),
            table: site.needs(&root, caption, part.to_vec())?,
            roots: if at == 0 { roots.iter().map(root_view).collect() } else { Vec::new() },
            pager,
        };
        let place = Place::new(Section::Failing, "Failing packages", path);
        site.list(writer, Place { feed: Some("feed/failures.atom"), ..place }, "failing.html", &view)?;
    }
    Ok(())
}

/// What fails below a package that broke first.
struct Broken<'a> {
    name: &'a str,
    since: Option<Timestamp>,
    /// The packages that fail since, and need it.
    failing: BTreeSet<&'a str>,
    /// How many tickets wait for it or for one of them.
    waiting: usize,
}

fn root_view(broken: &Broken<'_>) -> Root {
    const SHOWN: usize = 40;
    Root {
        name: broken.name.to_owned(),
        dir: package_dir(broken.name),
        since: broken.since,
        broken: plural(broken.failing.len(), "other package"),
        waiting: plural(broken.waiting, "ticket"),
        packages: broken.failing.iter().take(SHOWN).map(|name| Named::of(name)).collect(),
        more: broken.failing.len().saturating_sub(SHOWN),
    }
}

/// Returns the failing packages that others need, each with those that began to fail after it and need it, directly or
/// through others of them; those that hold up most first.
fn roots(model: &Model) -> Vec<Broken<'_>> {
    let failing: BTreeMap<&str, &StandRow> = model
        .stands()
        .filter(|stand| stand.failing_since().is_some())
        .map(|stand| (stand.newest.name.as_str(), stand))
        .collect();
    let mut grouped: BTreeMap<&str, Broken<'_>> = BTreeMap::new();
    for name in failing.keys() {
        let root = first_broken(&failing, name);
        let broken = grouped.entry(root).or_insert_with(|| Broken {
            name: root,
            since: failing.get(root).and_then(|stand| stand.failing_since()),
            failing: BTreeSet::new(),
            waiting: 0,
        });
        if *name != root {
            broken.failing.insert(name);
        }
    }
    for ticket in model.tickets(&model.waiting) {
        let Some(first) = ticket.depends.iter().find(|name| failing.contains_key(name.as_str())) else {
            continue;
        };
        if let Some(broken) = grouped.get_mut(first_broken(&failing, first)) {
            broken.waiting += 1;
        }
    }
    let mut roots: Vec<Broken<'_>> =
        grouped.into_values().filter(|broken| !broken.failing.is_empty() || broken.waiting > 0).collect();
    roots.sort_by_key(|broken| (std::cmp::Reverse(broken.failing.len() + broken.waiting), broken.name));
    roots
}

/// Follows what a failing package needs to the one that broke first. The way ends: each step leads to an older failure.
fn first_broken<'a>(failing: &BTreeMap<&'a str, &'a StandRow>, name: &str) -> &'a str {
    let Some((mut root, mut stand)) = failing.get_key_value(name).map(|(name, stand)| (*name, *stand)) else {
        return "";
    };
    loop {
        let older = stand.depends.iter().filter_map(|name| failing.get_key_value(name.as_str()));
        let older = older.filter(|(_, other)| other.failing_since() < stand.failing_since());
        match older.min_by_key(|(name, other)| (other.failing_since(), **name)) {
            Some((name, older)) => (root, stand) = (name, older),
            None => return root,
        }
    }
}

/// Writes the pages of packages that were missed.
pub(in super::super) fn unbuilt(site: &Site<'_>, writer: &mut Writer<'_>, model: &Model) -> Result<()> {
    let all = model.unbuilt.as_deref().unwrap_or_default();
    for (path, pager, part) in parts("unbuilt", all) {
        let root = super::root(&path);
        let row = |row: &'_ super::super::UnbuiltRow| {
            let item = row.item.parse::<crate::names::Item>().ok();
            let known = item.filter(|item| model.packages.contains_key(item.name.as_str()));
            known
                .map(|item| format!("{root}package/{}/index.html", segment(&package_dir(item.name.as_str()))))
        };
        let rows = part.iter().map(|missing| Missing {
            item: &missing.item,
            href: row(missing),
            tree: &missing.tree,
            since: missing.since,
            cause: &missing.cause,
            maintainer: missing.maintainer.as_deref(),
            path: &missing.path,
        });
        let view = Unbuilt {
            root: &root,
            known: model.unbuilt.is_some(),
            count: all.len(),
            rows: rows.collect(),
            pager,
        };
        site.list(writer, Place::new(Section::Unbuilt, "Unbuilt packages", path), "unbuilt.html", &view)?;
    }
    Ok(())
}

/// Returns what fails of one stand, for whoever lists it.
pub(super) fn failures<'a>(stands: impl Iterator<Item = &'a StandRow>) -> Vec<Need> {
    let mut failing: Vec<Need> = stands.filter_map(failure).collect();
    failing.sort_by_key(|need| std::cmp::Reverse(need.since));
    failing
}
