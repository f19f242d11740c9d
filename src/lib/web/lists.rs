//! What is made of all packages together: days, mass rebuilds, queue, builders, feeds, statistics, the front page.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::cache::Index;
use super::ledger::Ledger;
use super::load::hash;
use super::model::{Counts, Model, Row, Summary};
use super::pages::{self, Site};
use super::site::Work;
use super::writer::Writer;
use crate::base::Result;
use crate::names::Id;

/// How many of the latest results are listed.
const RECENT: usize = 300;
/// How many results the page of a builder lists.
const RESULTS: usize = 100;
/// How many results a feed has.
const FED: usize = 50;

/// What is known of a mass rebuild.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Rebuild {
    /// A number for its results.
    pub stamp: u64,
    /// How they are.
    pub counts: Counts,
    /// When the first was asked for.
    pub asked: Option<Timestamp>,
}

/// The lists of results, after what was new in them was put in.
#[derive(Debug)]
pub(super) struct Touched {
    ledger: Ledger,
    /// The latest results, latest first.
    pub recent: Vec<Row>,
    /// The mass rebuilds.
    pub rebuilds: BTreeMap<String, Rebuild>,
    /// How many more were asked for than left the queue, by day.
    pub balance: BTreeMap<String, (i64, i64)>,
    read: RefCell<BTreeMap<String, Rc<Vec<Row>>>>,
}

/// What a list of results came to.
enum Sum {
    Day(Summary),
    Batch(Rebuild),
}

/// Puts what is new into the lists of results, and writes the pages of the days that have changed.
///
/// # Errors
/// A failing system call.
pub(super) fn settle(
    work: &Work<'_>,
    index: &mut Index,
    mut ledger: Ledger,
    writer: &mut Writer<'_>,
) -> Result<Touched> {
    for (day, (asked, left)) in std::mem::take(&mut ledger.balance) {
        let known = index.balance.entry(day).or_default();
        *known = (known.0 + asked, known.1 + left);
    }
    index.balance.retain(|_, change| *change != (0, 0));
    let changed = ledger.changed();
    let days: BTreeSet<&str> = changed.iter().filter_map(|list| list.strip_prefix("day-")).collect();
    writer.leave("recent/", |path| !day_of(path).is_some_and(|day| days.contains(&*day)));
    let sums = work.share(&changed, writer, |site, writer, list| sum(site, writer, &ledger, list))?;
    for (list, sum) in changed.iter().zip(sums) {
        let name = list.split_once('-').map_or(list.as_str(), |(_, name)| name).to_owned();
        match sum {
            Sum::Day(sum) => drop(index.days.insert(name, sum)),
            Sum::Batch(sum) => drop(index.rebuilds.insert(name, sum)),
        }
    }
    index.days.retain(|_, sum| sum.counts.asked > 0);
    index.rebuilds.retain(|_, rebuild| rebuild.counts.asked > 0);
    let mut touched = Touched {
        ledger,
        recent: Vec::new(),
        rebuilds: index.rebuilds.clone(),
        balance: index.balance.clone(),
        read: RefCell::default(),
    };
    touched.recent = touched.latest(&index.days, RECENT, |_| true, |_| true);
    Ok(touched)
}

fn sum(site: &Site<'_>, writer: &mut Writer<'_>, ledger: &Ledger, list: &str) -> Result<Sum> {
    let rows = ledger.settle(list)?;
    match list.strip_prefix("day-") {
        Some(day) => pages::day(site, writer, day, &rows).map(|()| Sum::Day(Summary::of(&rows))),
        None => Ok(Sum::Batch(Rebuild::of(&rows))),
    }
}

/// Returns the day a page is about: `recent/2026/11/22/…` is about `2026-11-22`.
fn day_of(path: &str) -> Option<String> {
    let mut parts = path.strip_prefix("recent/")?.split('/');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    parts.next().map(|_| format!("{year}-{month}-{day}"))
}

impl Rebuild {
    fn of(rows: &[Row]) -> Self {
        let mut counts = Counts::default();
        rows.iter().for_each(|row| counts.add(row.state));
        let asked = rows.iter().map(|row| row.id.time()).min();
        Self { stamp: hash(&serde_json::to_vec(rows).unwrap_or_default()), counts, asked }
    }
}

impl Touched {
    fn rows(&self, day: &str) -> Rc<Vec<Row>> {
        let read = || Rc::new(self.ledger.rows(&format!("day-{day}")));
        Rc::clone(self.read.borrow_mut().entry(day.to_owned()).or_insert_with(read))
    }

    /// Returns the results of a mass rebuild, by age.
    pub fn rebuild(&self, batch: &str) -> Vec<Row> {
        self.ledger.rows(&format!("batch-{batch}"))
    }

    /// Returns the latest results that are `wanted`, latest first; only days that `may` have one are looked at.
    fn latest(
        &self,
        days: &BTreeMap<String, Summary>,
        most: usize,
        may: impl Fn(&Summary) -> bool,
        wanted: impl Fn(&Row) -> bool,
    ) -> Vec<Row> {
        let mut latest = Vec::new();
        for (day, _) in days.iter().rev().filter(|(_, summary)| may(summary)) {
            let rows = self.rows(day);
            latest.extend(rows.iter().rev().filter(|row| wanted(row)).take(most - latest.len()).cloned());
            if latest.len() >= most {
                break;
            }
        }
        latest
    }
}

/// What a package's page says that is not of its own tickets.
#[derive(Debug, Clone, Default, Hash)]
pub(super) struct Near<'a> {
    /// What of the same tree needs it.
    pub needed_by: BTreeSet<&'a str>,
    /// Of what it needs, the packages that have a page.
    pub known: BTreeSet<&'a str>,
    /// When what waits is likely to be begun.
    pub expected: BTreeMap<Id, Timestamp>,
    /// Architectures that, after its name, make the name of another package.
    pub taken: BTreeSet<&'a str>,
    /// The version a tree wants and nobody built, and why, by `TREE ARCH`.
    pub wanted: Option<&'a Wanted>,
}

/// The version a tree wants and nobody built, and why, by `TREE ARCH`.
pub(super) type Wanted = BTreeMap<String, (String, String)>;

/// Which packages need which, by name.
pub(super) type Needed<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

/// Returns what needs each package.
pub(super) fn needed_by(model: &Model) -> Needed<'_> {
    let mut needed = Needed::new();
    for (name, package) in &model.packages {
        for depends in package.stands.iter().flat_map(|stand| &stand.depends) {
            needed.entry(depends).or_default().insert(name);
        }
    }
    needed
}

/// Returns what is around the package `name`.
pub(super) fn near<'a>(
    model: &'a Model,
    needed: &Needed<'a>,
    missing: &'a BTreeMap<String, Wanted>,
    name: &str,
) -> Near<'a> {
    let stands = model.packages.get(name).map(|package| &*package.stands).unwrap_or_default();
    let depends = stands.iter().flat_map(|stand| &stand.depends).map(String::as_str);
    let newest = stands.iter().map(|stand| &stand.newest.id);
    let archs = stands.iter().map(|stand| stand.newest.arch.as_str());
    Near {
        needed_by: needed.get(name).cloned().unwrap_or_default(),
        known: depends.filter(|name| model.packages.contains_key(*name)).collect(),
        expected: newest.filter_map(|id| Some((*id, *model.expected.get(id)?))).collect(),
        taken: archs.filter(|arch| model.packages.contains_key(&format!("{name}-{arch}"))).collect(),
        wanted: missing.get(name),
    }
}

/// Returns which versions the trees want and nobody built, and why: by name, then `TREE ARCH`.
pub(super) fn missing(model: &Model) -> BTreeMap<String, Wanted> {
    let mut missing: BTreeMap<String, Wanted> = BTreeMap::new();
    for row in model.unbuilt.iter().flatten() {
        let Ok(item) = row.item.parse::<crate::names::Item>() else { continue };
        let version = format!("{}-{}", item.version, item.release);
        let stands = missing.entry(item.name.to_string()).or_default();
        stands.insert(format!("{} {}", row.tree, item.arch), (version, row.cause.clone()));
    }
    missing
}

/// Writes everything that is made of all packages together, the front page last.
///
/// # Errors
/// A template that cannot be used, a failing system call.
pub(super) fn write(
    site: &Site<'_>,
    model: &Model,
    touched: &Touched,
    writer: &mut Writer<'_>,
) -> Result<()> {
    for builder in &model.builders {
        let may = |summary: &Summary| summary.builders.contains_key(&builder.name);
        let own = |row: &Row| row.builder.as_deref() == Some(&*builder.name);
        let rows = touched.latest(&model.days, RESULTS, may, own);
        pages::builder(site, writer, model, builder, &rows)?;
    }
    pages::queue(site, writer, model)?;
    pages::builders(site, writer, model)?;
    pages::packages(site, writer, model)?;
    pages::recent(site, writer, model)?;
    pages::failing(site, writer, model)?;
    pages::unbuilt(site, writer, model)?;
    pages::maintainers(site, writer, model)?;
    pages::rebuilds(site, writer, model, touched)?;
    pages::stats(site, writer, model, &touched.balance)?;
    pages::help(site, writer)?;
    pages::not_found(site, writer)?;
    let failed = |row: &Row| row.state == crate::names::State::Failed;
    let failures = touched.latest(&model.days, FED, |summary| summary.counts.failed > 0, failed);
    pages::feeds(site, writer, model, &failures)?;
    pages::api(writer, model)?;
    // Last: what it links to is there.
    pages::front(site, writer, model)
}
