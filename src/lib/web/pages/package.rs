//! The pages of packages, and what else there is of each: a feed, badges, JSON.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;

use super::super::Between;
use super::super::lists::Near;
use super::super::model::{Mark, Model, Package, Row, StandRow};
use super::super::say::{package_dir, segment};
use super::super::writer::Writer;
use super::badge::badge;
use super::feed::{Entry, atom};
use super::rows::{Named, lasting};
use super::stats::{Chart, durations};
use super::{LINES, Pager, Place, Section, Site, slug};
use crate::base::Result;
use crate::names::{Id, State};

/// With more packages than this the list has a page for each letter.
const ONE_PAGE: usize = 400;
/// How many results the feed of a package has.
const FED: usize = 20;
/// How many durations the line shows.
const DURATIONS: usize = 60;

/// A package with all that its files say.
pub(in super::super) struct Whole<'a> {
    /// Its name.
    pub name: &'a str,
    /// Where it stands.
    pub package: &'a Package,
    /// Its tickets, newest first.
    pub rows: &'a [Row],
    /// What is around it.
    pub near: &'a Near<'a>,
}

#[derive(Serialize)]
struct Packages<'a> {
    root: String,
    count: usize,
    letters: Vec<Letter>,
    rows: Vec<Listed<'a>>,
    pager: Option<Pager>,
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
    state: &'static str,
    since: Timestamp,
}

#[derive(Serialize)]
struct One<'a> {
    root: &'a str,
    name: &'a str,
    maintainer: Option<&'a str>,
    slug: String,
    overview: Vec<Line<'a>>,
    stands: Vec<Stand<'a>>,
    needed_by: Vec<Named>,
    /// There is a form to force and abort with.
    control: bool,
    history: String,
    feed: String,
    badge: String,
    json: String,
    url: &'a str,
    pager: Option<Pager>,
}

/// One tree and architecture in the table.
#[derive(Serialize)]
struct Line<'a> {
    tree: &'a str,
    arch: &'a str,
    wanted: &'a str,
    built: Option<&'a Mark>,
    state: &'static str,
    since: Timestamp,
    id: &'a Id,
}

#[derive(Serialize)]
struct Stand<'a> {
    tree: &'a str,
    arch: &'a str,
    id: &'a Id,
    state: &'static str,
    version: &'a str,
    since: Timestamp,
    why: &'a str,
    path: &'a str,
    depends: Vec<Needed<'a>>,
    failing_since: Option<Timestamp>,
    first_bad: Option<&'a Mark>,
    last_good: Option<&'a Mark>,
    commits: &'a [String],
    /// What shows all of them.
    between: Option<String>,
    missing: Option<&'a str>,
    usually: Option<String>,
    expected: Option<Timestamp>,
    chart: Option<Chart>,
    took: Vec<Took>,
    force: String,
    abort: Option<String>,
}

#[derive(Serialize)]
struct Took {
    when: Timestamp,
    took: String,
}

/// A package another one needs; a link when it has a page.
#[derive(Serialize)]
struct Needed<'a> {
    name: &'a str,
    dir: Option<String>,
}

/// What the JSON of a package says.
#[derive(Serialize)]
struct Script<'a> {
    schema: u32,
    name: &'a str,
    #[serde(flatten)]
    package: &'a Package,
    needed_by: &'a BTreeSet<&'a str>,
    tickets: &'a [Row],
}

/// Writes the list of packages: one page, or some for each letter.
pub(in super::super) fn packages(site: &Site<'_>, writer: &mut Writer<'_>, model: &Model) -> Result<()> {
    let mut letters: BTreeMap<char, Vec<(&String, &Package)>> = BTreeMap::new();
    for package in &model.packages {
        letters.entry(letter(package.0)).or_default().push(package);
    }
    let all: Vec<(&String, &Package)> = model.packages.iter().collect();
    if all.len() <= ONE_PAGE {
        return list(site, writer, (all.len(), None), &all, &BTreeMap::new());
    }
    list(site, writer, (all.len(), None), &[], &letters)?;
    letters
        .iter()
        .try_for_each(|(letter, packages)| list(site, writer, (all.len(), Some(*letter)), packages, &letters))
}

fn letter(name: &str) -> char {
    name.chars().next().map_or('0', |first| first.to_ascii_lowercase())
}

/// `~` is in no package's name: it keeps the letters apart from packages that are called `a` or `R`.
fn list(
    site: &Site<'_>,
    writer: &mut Writer<'_>,
    (count, current): (usize, Option<char>),
    packages: &[(&String, &Package)],
    letters: &BTreeMap<char, Vec<(&String, &Package)>>,
) -> Result<()> {
    let start = current.map_or("package".to_owned(), |letter| format!("package/~{letter}"));
    let rows: Vec<Listed<'_>> = packages.iter().flat_map(|(name, package)| listed(name, package)).collect();
    // A package may be called `2`: `~` keeps these pages apart from it, too.
    let chunks: Vec<&[Listed<'_>]> =
        if rows.is_empty() { vec![&[]] } else { rows.chunks(2 * LINES).collect() };
    let path = |number: usize| match (number, current) {
        (1, _) => format!("{start}/index.html"),
        (_, Some(_)) => format!("{start}~{number}/index.html"),
        (_, None) => format!("{start}/~{number}/index.html"),
    };
    for (number, chunk) in (1..).zip(&chunks) {
        let path_here = path(number);
        let root = super::root(&path_here);
        let link = |number: usize| format!("{root}{}", path(number));
        let letter = |(letter, packages): (&char, &Vec<(&String, &Package)>)| Letter {
            label: letter.to_string(),
            href: format!("{root}package/~{letter}/index.html"),
            count: packages.len(),
            current: current == Some(*letter),
        };
        let pager = Pager {
            number,
            pages: chunks.len(),
            newer: (number > 1).then(|| link(number - 1)),
            older: (number < chunks.len()).then(|| link(number + 1)),
        };
        let view = Packages {
            count,
            letters: letters.iter().map(letter).collect(),
            rows: chunk.iter().map(Listed::again).collect(),
            root: root.clone(),
            pager: (chunks.len() > 1).then_some(pager),
        };
        site.list(writer, Place::new(Section::Packages, "Packages", path_here), "packages.html", &view)?;
    }
    Ok(())
}

fn listed<'a>(name: &'a str, package: &'a Package) -> impl Iterator<Item = Listed<'a>> {
    package.stands.iter().map(move |stand| Listed {
        name,
        dir: package_dir(name),
        tree: &stand.newest.tree,
        arch: &stand.newest.arch,
        version: &stand.newest.version,
        state: stand.word(),
        since: stand.newest.since,
    })
}

impl Listed<'_> {
    fn again(&self) -> Self {
        Self { dir: self.dir.clone(), ..*self }
    }
}

/// Returns the paths of all files of a package.
pub(in super::super) fn package_paths(name: &str, package: &Package) -> BTreeSet<String> {
    let dir = package_dir(name);
    let mut paths: BTreeSet<String> =
        (1..=pages(package.counts.asked)).map(|page| page_path(&dir, page, package.counts.asked)).collect();
    paths.insert(format!("feed/package/{name}.atom"));
    paths.insert(format!("api/v1/package/{name}.json"));
    paths.insert(format!("badge/{name}.svg"));
    paths.extend(package.stands.iter().map(|stand| format!("badge/{name}-{}.svg", stand.newest.arch)));
    paths
}

/// How many pages so many tickets take. The first 300 are page 1 for ever, and so on; the last one is the package's own.
fn pages(tickets: usize) -> usize {
    tickets.div_ceil(LINES).max(1)
}

fn page_path(dir: &str, number: usize, tickets: usize) -> String {
    if number == pages(tickets) {
        format!("package/{dir}/index.html")
    } else {
        format!("package/{dir}/{number}/index.html")
    }
}

/// Writes all files of one package.
pub(in super::super) fn package_files(
    site: &Site<'_>,
    writer: &mut Writer<'_>,
    whole: &Whole<'_>,
) -> Result<()> {
    let Whole { name, package, rows, near } = whole;
    let dir = package_dir(name);
    let last = pages(rows.len());
    let address = format!("feed/package/{}.atom", segment(name));
    let old_first: Vec<&Row> = rows.iter().rev().collect();
    let chunks: Vec<&[&Row]> =
        if old_first.is_empty() { vec![&[]] } else { old_first.chunks(LINES).collect() };
    for (number, chunk) in (1..).zip(chunks) {
        let path = page_path(&dir, number, rows.len());
        let root = super::root(&path);
        let link = |number: usize| format!("{root}{}", page_path(&segment(&dir), number, rows.len()));
        let pager = Pager {
            number,
            pages: last,
            newer: (number < last).then(|| link(number + 1)),
            older: (number > 1).then(|| link(number - 1)),
        };
        let view = one(site, whole, &root, (chunk, number == last, (last > 1).then_some(pager)))?;
        let place = Place::new(Section::Packages, name, path);
        let (path, text) = site.page(Place { feed: Some(&address), ..place }, "package.html", &view)?;
        writer.file(&path, text.as_bytes())?;
    }
    let entries: Vec<Entry<'_>> = rows.iter().filter(|row| !row.is_open()).take(FED).map(Entry::of).collect();
    writer.file(&format!("feed/package/{name}.atom"), atom(site, &address, name, &entries).as_bytes())?;
    writer.file(&format!("badge/{name}.svg"), badge(name, package.word()).as_bytes())?;
    let archs: BTreeSet<&str> = package.stands.iter().map(|stand| stand.newest.arch.as_str()).collect();
    // A package may be called like another one and its architecture: then the badge is that package's.
    for arch in archs.into_iter().filter(|arch| !near.taken.contains(*arch)) {
        let label = format!("{name} {arch}");
        writer.file(&format!("badge/{name}-{arch}.svg"), badge(&label, package.word_for(arch)).as_bytes())?;
    }
    let tickets = rows.get(..rows.len().min(LINES)).unwrap_or_default();
    let script = Script { schema: 1, name, package, needed_by: &near.needed_by, tickets };
    writer.file(&format!("api/v1/package/{name}.json"), &super::json(&script)?)
}

fn one<'a>(
    site: &'a Site<'_>,
    whole: &'a Whole<'_>,
    root: &'a str,
    (chunk, last, pager): (&[&Row], bool, Option<Pager>),
) -> Result<One<'a>> {
    let Whole { name, package, near, .. } = whole;
    let newest = package.stands.iter().max_by_key(|stand| stand.newest.id);
    let maintainer = newest.and_then(|stand| stand.maintainer.as_deref());
    let stands = if last { &*package.stands } else { &[] };
    Ok(One {
        root,
        name,
        maintainer,
        slug: slug(maintainer.unwrap_or_default()),
        overview: stands.iter().map(|stand| overview(stand, near)).collect(),
        stands: stands.iter().map(|row| stand(site, whole, row)).collect(),
        needed_by: if last {
            near.needed_by.iter().map(|name| Named::of(name)).collect()
        } else {
            Vec::new()
        },
        control: site.config.web.user.is_some(),
        history: site.rows(root, "History, latest first", chunk.iter().rev().copied())?,
        feed: format!("feed/package/{}.atom", segment(name)),
        badge: format!("badge/{}.svg", segment(name)),
        json: format!("api/v1/package/{}.json", segment(name)),
        url: &site.config.url,
        pager,
    })
}

fn key(stand: &StandRow) -> String {
    format!("{} {}", stand.newest.tree, stand.newest.arch)
}

fn overview<'a>(stand: &'a StandRow, near: &Near<'a>) -> Line<'a> {
    let wanted = near.wanted.and_then(|wanted| wanted.get(&key(stand))).map(|(version, _)| version);
    Line {
        tree: &stand.newest.tree,
        arch: &stand.newest.arch,
        wanted: wanted.unwrap_or(&stand.newest.version),
        built: stand.last_good.as_ref(),
        state: stand.word(),
        since: stand.newest.since,
        id: &stand.newest.id,
    }
}

fn stand<'a>(site: &Site<'_>, whole: &Whole<'a>, row: &'a StandRow) -> Stand<'a> {
    let newest = &row.newest;
    let own =
        |other: &&Row| other.tree == newest.tree && other.arch == newest.arch && other.state == State::Built;
    let built = whole.rows.iter().filter(own);
    let mut took: Vec<(Timestamp, i64)> =
        built.filter_map(|row| Some((row.since, row.took?))).take(DURATIONS).collect();
    let lines = took.iter().map(|(when, took)| Took { when: *when, took: lasting(*took) }).collect();
    took.reverse();
    let known = &whole.near.known;
    let needed =
        |name: &'a String| Needed { name, dir: known.contains(name.as_str()).then(|| package_dir(name)) };
    Stand {
        tree: &newest.tree,
        arch: &newest.arch,
        id: &newest.id,
        state: row.word(),
        version: &newest.version,
        since: newest.since,
        why: &newest.why,
        path: &row.path,
        depends: row.depends.iter().map(needed).collect(),
        failing_since: row.failing_since(),
        first_bad: row.first_bad.as_ref(),
        last_good: row.last_good.as_ref(),
        commits: &row.commits,
        between: row
            .broke_between()
            .and_then(|Between { tree, path, good, bad }| site.config.between_line((tree, path), good, bad)),
        missing: whole.near.wanted.and_then(|wanted| wanted.get(&key(row))).map(|(_, cause)| cause.as_str()),
        usually: row.usual.map(lasting),
        expected: whole.near.expected.get(&newest.id).copied().filter(|start| *start > newest.since),
        chart: durations(took),
        took: lines,
        force: site.config.force_line(&newest.tree, whole.name),
        abort: newest.is_open().then(|| site.config.abort_line(newest.id.as_str())),
    }
}

impl Package {
    /// Returns its state in one word, for all trees and architectures: the one somebody has to look at first.
    fn word(&self) -> &'static str {
        worst(self.stands.iter())
    }

    fn word_for(&self, arch: &str) -> &'static str {
        worst(self.stands.iter().filter(|stand| stand.newest.arch == arch))
    }
}

fn worst<'a>(stands: impl Iterator<Item = &'a StandRow>) -> &'static str {
    let words = stands.map(|stand| if stand.failing_since().is_some() { "failing" } else { stand.word() });
    const ORDER: [&str; 8] =
        ["failing", "trouble", "aborted", "building", "waiting", "built", "published", "superseded"];
    words.min_by_key(|word| ORDER.iter().position(|other| other == word)).unwrap_or("unknown")
}
