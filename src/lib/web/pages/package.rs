//! The pages of packages.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::super::model::{PackageRow, StandRow, TicketRow};
use super::super::say::package_dir;
use super::{Page, Place, Section, Site};
use crate::base::Result;
use crate::names::{Id, State};

/// With more packages than this the list has a page for each letter.
const ONE_PAGE: usize = 500;
/// How many tickets the history of a package lists.
const HISTORY: usize = 200;

#[derive(Serialize)]
struct Packages<'a> {
    root: String,
    count: usize,
    letters: Vec<Letter>,
    rows: Vec<Listed<'a>>,
}

#[derive(Serialize)]
struct Letter {
    label: String,
    href: String,
    count: usize,
    current: bool,
}

#[derive(Serialize)]
struct Listed<'a> {
    name: &'a str,
    dir: String,
    tree: &'a str,
    arch: &'a str,
    version: &'a str,
    state: State,
    since: Timestamp,
}

#[derive(Serialize)]
struct One<'a> {
    root: &'a str,
    name: &'a str,
    maintainer: Option<&'a str>,
    stands: Vec<Stand<'a>>,
    /// There is a form to force and abort with.
    control: bool,
    more: usize,
    history: String,
}

#[derive(Serialize)]
struct Stand<'a> {
    tree: &'a str,
    arch: &'a str,
    id: &'a Id,
    state: State,
    version: &'a str,
    since: Timestamp,
    why: String,
    path: &'a str,
    depends: Vec<Needed<'a>>,
    failing_since: Option<Timestamp>,
    last_good: Option<Good<'a>>,
    force: String,
    abort: Option<String>,
}

/// A package another one needs; a link when it has a page.
#[derive(Serialize)]
struct Needed<'a> {
    name: &'a str,
    dir: Option<String>,
}

#[derive(Serialize)]
struct Good<'a> {
    id: &'a Id,
    version: &'a str,
    since: Timestamp,
}

/// Returns the list of packages: one page, or one for each letter.
pub(in super::super) fn packages(site: &Site<'_>) -> Result<Vec<Page>> {
    let mut letters: BTreeMap<char, Vec<&PackageRow>> = BTreeMap::new();
    for package in site.model.packages.values() {
        letters.entry(letter(package)).or_default().push(package);
    }
    if site.model.packages.len() <= ONE_PAGE {
        let all: Vec<&PackageRow> = site.model.packages.values().collect();
        return Ok(vec![list(site, None, &all, &BTreeMap::new())?]);
    }
    let mut pages = vec![list(site, None, &[], &letters)?];
    for (letter, packages) in &letters {
        pages.push(list(site, Some(*letter), packages, &letters)?);
    }
    Ok(pages)
}

fn letter(package: &PackageRow) -> char {
    package.name.chars().next().map_or('0', |first| first.to_ascii_lowercase())
}

/// `~` is in no package's name: it keeps the letters apart from packages that are called `a` or `R`.
fn list(
    site: &Site<'_>,
    current: Option<char>,
    packages: &[&PackageRow],
    letters: &BTreeMap<char, Vec<&PackageRow>>,
) -> Result<Page> {
    let path =
        current.map_or("package/index.html".to_owned(), |letter| format!("package/~{letter}/index.html"));
    let root = super::root(&path);
    let link = |(letter, packages): (&char, &Vec<&PackageRow>)| Letter {
        label: letter.to_string(),
        href: format!("{root}package/~{letter}/index.html"),
        count: packages.len(),
        current: current == Some(*letter),
    };
    let view = Packages {
        count: site.model.packages.len(),
        letters: letters.iter().map(link).collect(),
        rows: packages.iter().flat_map(|package| listed(site, package)).collect(),
        root: root.clone(),
    };
    site.page(
        Place { section: Section::Packages, title: "Packages", path, now: false },
        "packages.html",
        &view,
    )
}

fn listed<'a>(site: &'a Site<'_>, package: &'a PackageRow) -> impl Iterator<Item = Listed<'a>> {
    package.stands.iter().filter_map(|stand| {
        let ticket = site.model.tickets.get(&stand.newest)?;
        Some(Listed {
            name: &package.name,
            dir: package_dir(&package.name),
            tree: &stand.tree,
            arch: &stand.arch,
            version: &ticket.version,
            state: ticket.state,
            since: ticket.since,
        })
    })
}

/// Returns the page of one package.
pub(in super::super) fn package(site: &Site<'_>, package: &PackageRow) -> Result<Page> {
    let newest = package.tickets.first().and_then(|id| site.model.tickets.get(id));
    let history = site.tickets(&package.tickets).take(HISTORY);
    let view = One {
        root: "../../",
        name: &package.name,
        maintainer: newest.and_then(|ticket| ticket.maintainer.as_deref()),
        stands: package.stands.iter().filter_map(|row| stand(site, &package.name, row)).collect(),
        control: site.config.web.user.is_some(),
        more: package.tickets.len().saturating_sub(HISTORY),
        history: site.rows("../../", "History, latest first", history)?,
    };
    let path = format!("package/{}/index.html", package_dir(&package.name));
    site.page(
        Place { section: Section::Packages, title: &package.name, path, now: false },
        "package.html",
        &view,
    )
}

fn stand<'a>(site: &'a Site<'_>, name: &str, row: &'a StandRow) -> Option<Stand<'a>> {
    let ticket: &TicketRow = site.model.tickets.get(&row.newest)?;
    let open = matches!(ticket.state, State::Waiting | State::Building);
    let good = |id: &'a Id| {
        let good = site.model.tickets.get(id)?;
        Some(Good { id, version: &good.version, since: good.since })
    };
    Some(Stand {
        tree: &row.tree,
        arch: &row.arch,
        id: &ticket.id,
        state: ticket.state,
        version: &ticket.version,
        since: ticket.since,
        why: ticket.why(),
        path: &ticket.path,
        depends: ticket.depends.iter().map(|name| needed(site, name)).collect(),
        failing_since: row.failing_since,
        last_good: row.last_good.as_ref().and_then(good),
        force: site.config.force_line(&row.tree, name),
        abort: open.then(|| site.config.abort_line(ticket.id.as_str())),
    })
}

fn needed<'a>(site: &Site<'_>, name: &'a str) -> Needed<'a> {
    let known = site.model.packages.contains_key(name);
    Needed { name, dir: known.then(|| package_dir(name)) }
}
