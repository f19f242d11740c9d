//! The maintainers: whom each failing, missing and waiting package concerns.

use std::collections::BTreeMap;

use serde::Serialize;

use super::super::model::{Model, Row, StandRow};
use super::super::need::{Need, missing};
use super::super::say::{package_dir, segment};
use super::super::writer::Writer;
use super::feed::{Entry, atom};
use super::rows::failures;
use super::{LINES, Place, Section, Site};
use crate::base::Result;

/// How many results the feed of a maintainer has.
const FED: usize = 50;

/// Everything about one maintainer.
#[derive(Default)]
struct Own<'a> {
    /// As the recipes write the name.
    name: &'a str,
    stands: Vec<&'a StandRow>,
    unbuilt: Vec<Need>,
    queued: Vec<Row>,
}

#[derive(Serialize)]
struct Maintainers {
    root: &'static str,
    maintainers: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    name: String,
    href: String,
    packages: usize,
    failing: usize,
    unbuilt: usize,
    queued: usize,
}

#[derive(Serialize)]
struct One<'a> {
    root: &'a str,
    name: &'a str,
    packages: usize,
    failing: String,
    unbuilt: String,
    queued: String,
    more: usize,
    feed: String,
}

/// Returns the word a maintainer's pages go by: the address, or the name when there is none.
pub(in super::super) fn slug(maintainer: &str) -> String {
    let address =
        maintainer.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map(|(address, _)| address);
    let text = address.unwrap_or(maintainer).to_lowercase();
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._@+-".contains(c) { c } else { '-' };
    let slug: String = text.chars().map(plain).take(100).collect();
    match slug.trim_matches(['.', '-', '+']) {
        "" => "nobody".to_owned(),
        slug => package_dir(slug),
    }
}

/// Writes the list of maintainers, the page and the feed of each.
pub(in super::super) fn maintainers(site: &Site<'_>, writer: &mut Writer<'_>, model: &Model) -> Result<()> {
    let mut lines = Vec::new();
    for (slug, own) in owners(model) {
        let href = format!("maintainer/{}/index.html", segment(&slug));
        let failing = failures(own.stands.iter().copied());
        lines.push(Line {
            name: own.name.to_owned(),
            href,
            packages: packages(&own),
            failing: failing.len(),
            unbuilt: own.unbuilt.len(),
            queued: own.queued.len(),
        });
        one(site, writer, (&slug, &own), &failing)?;
    }
    lines.sort_by_key(|line| (std::cmp::Reverse(line.failing + line.unbuilt), line.name.to_lowercase()));
    let place = Place::new(Section::Maintainers, "Maintainers", "maintainer/index.html");
    site.list(writer, place, "maintainers.html", &Maintainers { root: "../", maintainers: lines })
}

fn packages(own: &Own<'_>) -> usize {
    let mut names: Vec<&str> = own.stands.iter().map(|stand| stand.newest.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    names.len()
}

fn owners(model: &Model) -> BTreeMap<String, Own<'_>> {
    let mut owners: BTreeMap<String, Own<'_>> = BTreeMap::new();
    for stand in model.stands() {
        let name = stand.maintainer.as_deref().unwrap_or("nobody named");
        let owner = owners.entry(slug(stand.maintainer.as_deref().unwrap_or_default())).or_default();
        owner.name = name;
        owner.stands.push(stand);
        owner.queued.extend(Some(&stand.newest).filter(|row| row.is_open()).cloned());
    }
    for row in model.unbuilt.iter().flatten() {
        let owner = owners.entry(slug(row.maintainer.as_deref().unwrap_or_default())).or_default();
        owner.name = row.maintainer.as_deref().unwrap_or("nobody named");
        owner.unbuilt.push(missing(model, row));
    }
    owners
}

fn one(
    site: &Site<'_>,
    writer: &mut Writer<'_>,
    (slug, own): (&str, &Own<'_>),
    failing: &[Need],
) -> Result<()> {
    let feed = format!("feed/maintainer/{slug}.atom");
    let address = format!("feed/maintainer/{}.atom", segment(slug));
    let shown =
        |needs: &'_ [Need], caption: &str| site.needs("../../", caption, needs.iter().take(LINES).collect());
    let longest = failing.len().max(own.unbuilt.len()).max(own.queued.len());
    let view = One {
        root: "../../",
        name: own.name,
        packages: packages(own),
        failing: shown(failing, "Failing, newest failure first")?,
        unbuilt: shown(&own.unbuilt, "Wanted and missing")?,
        queued: site.rows("../../", "Waiting or being built", own.queued.iter().take(LINES))?,
        more: longest.saturating_sub(LINES),
        feed: address.clone(),
    };
    let title = format!("Packages of {}", own.name);
    let place = Place::new(Section::Maintainers, &title, format!("maintainer/{slug}/index.html"));
    site.list(writer, Place { feed: Some(&address), ..place }, "maintainer.html", &view)?;
    let mut latest: Vec<&Row> = own.stands.iter().filter_map(|stand| stand.judged()).collect();
    latest.sort_by_key(|row| std::cmp::Reverse((row.since, row.id)));
    latest.truncate(FED);
    if !writer.differs(&feed, &(&title, &latest)) {
        return Ok(());
    }
    let entries: Vec<Entry<'_>> = latest.into_iter().map(Entry::of).collect();
    writer.file(&feed, atom(site, &address, &title, &entries).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::slug;

    #[test]
    fn a_maintainer_goes_by_the_address_whatever_the_name_is() {
        assert_eq!(slug("Janos Kovacs <Janny@Example.org>"), "janny@example.org");
        assert_eq!(slug("../../etc/passwd"), "etc-passwd");
        assert_eq!(slug("<script>\"' \u{202e}"), "script");
        assert_eq!(slug("…"), "nobody");
        assert_eq!(slug("index.html"), "index.html~");
    }
}
