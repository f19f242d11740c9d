//! From the model to pages: each function here knows one kind of page.

mod acts;
mod badge;
mod feed;
mod frame;
mod front;
mod maintainer;
mod package;
mod rebuild;
mod recent;
mod rows;
mod scripts;
mod stats;
mod ticket;
mod work;

use serde::Serialize;

use super::load::hash;
use super::say::line;
use super::templates::Engine;
use super::writer::Writer;
use crate::base::{Error, Result};
use crate::config::Config;

pub(super) use acts::acts;
pub(super) use feed::feeds;
pub(super) use frame::{Frame, Frames};
pub(super) use front::{front, help, not_found};
pub(super) use maintainer::{maintainers, slug};
pub(super) use package::{Whole, package_files, package_paths, packages};
pub(super) use rebuild::rebuilds;
pub(super) use recent::{day, recent};
pub(super) use rows::{failing, unbuilt};
pub(super) use scripts::api;
pub(super) use stats::stats;
pub(super) use ticket::{LogView, Neighbours, expired, ticket};
pub(super) use work::{builder, builders, queue};

/// How many lines a table of a page has at the most: a page stays below 300 KB.
pub(super) const LINES: usize = 300;

/// What every page is made of.
pub(super) struct Site<'a> {
    /// The templates.
    pub engine: &'a Engine<'a>,
    /// What they made before.
    pub frames: &'a Frames,
    /// For command lines, addresses, and how the farm is called.
    pub config: &'a Config,
}

/// A finished file of the site: its path from the site's root, and its text.
pub(super) type Page = (String, String);

/// A part of the site in the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Section {
    Overview,
    Queue,
    Builders,
    Packages,
    Failing,
    Recent,
    Unbuilt,
    Maintainers,
    Statistics,
    Help,
    None,
}

const NAVIGATION: [(Section, &str, &str); 10] = [
    (Section::Overview, "Overview", "index.html"),
    (Section::Failing, "Failing", "failing/index.html"),
    (Section::Unbuilt, "Unbuilt", "unbuilt/index.html"),
    (Section::Queue, "Queue", "queue/index.html"),
    (Section::Recent, "Recent", "recent/index.html"),
    (Section::Builders, "Builders", "builder/index.html"),
    (Section::Packages, "Packages", "package/index.html"),
    (Section::Maintainers, "Maintainers", "maintainer/index.html"),
    (Section::Statistics, "Statistics", "stats/index.html"),
    (Section::Help, "Help", "help/index.html"),
];

#[derive(Serialize)]
pub(super) struct Link {
    label: &'static str,
    href: String,
    current: bool,
}

/// Returns the navigation of a page from which `root` leads to the site's root.
fn links(root: &str, current: Section, shown: impl Fn(Section, &str) -> bool) -> Vec<Link> {
    let entries = NAVIGATION.iter().filter(|(section, _, href)| shown(*section, href));
    let link = |(section, label, href): &(Section, &'static str, &str)| Link {
        label,
        href: format!("{root}{href}"),
        current: *section == current,
    };
    entries.map(link).collect()
}

/// Returns the navigation of a page that is no part of the site: to what is there.
pub(super) fn links_to(root: &str, is_there: impl Fn(&str) -> bool) -> Vec<Link> {
    links(root, Section::None, |_, href| is_there(href))
}

/// What distinguishes one page's frame from another's.
struct Place<'a> {
    section: Section,
    title: &'a str,
    path: String,
    /// When the site was made, on a page about now.
    made: Option<jiff::Timestamp>,
    /// The feed about it, from the site's root.
    feed: Option<&'a str>,
}

impl<'a> Place<'a> {
    fn new(section: Section, title: &'a str, path: impl Into<String>) -> Self {
        Self { section, title, path: path.into(), made: None, feed: None }
    }
}

impl Site<'_> {
    /// Fills in `template` with `view` and puts the frame around it.
    fn page<T: Serialize>(&self, place: Place<'_>, template: &str, view: &T) -> Result<Page> {
        let body = self.engine.render(template, view)?;
        let root = root(&place.path);
        let text = self.frame(&place, &root, &body)?;
        Ok((place.path, text))
    }

    /// Writes a list, if what it shows is something else than last time.
    fn list<T: Serialize>(
        &self,
        writer: &mut Writer<'_>,
        place: Place<'_>,
        template: &str,
        view: &T,
    ) -> Result<()> {
        let shown = serde_json::to_vec(view)
            .map_err(|source| Error::wrong(format!("cannot write JSON: {source}")))?;
        if writer.differs(&place.path, &(hash(&shown), place.title, place.feed)) {
            let (path, text) = self.page(place, template, view)?;
            writer.file(&path, text.as_bytes())?;
        }
        Ok(())
    }

    fn frame(&self, place: &Place<'_>, root: &str, body: &str) -> Result<String> {
        let render = |title: &str, body: &str| {
            let frame = Frame {
                title,
                farm: &self.title(),
                root,
                nav: links(root, place.section, |_, _| true),
                body,
                made: place.made,
                live: place.path.starts_with("live/"),
                feed: place.feed,
            };
            self.engine.render("base.html", &frame)
        };
        // No other page is about the same time or has the same feed.
        if place.made.is_some() || place.feed.is_some() {
            return render(place.title, body);
        }
        self.frames.fill((place.section, root), (place.title, body), render)
    }

    /// Returns how the farm is called.
    fn title(&self) -> String {
        line(&self.config.title, 80)
    }
}

/// A page of several, and the way to the ones beside it.
#[derive(Serialize)]
struct Pager {
    number: usize,
    pages: usize,
    newer: Option<String>,
    older: Option<String>,
}

/// Returns the way from the page at `path` up to the site's root: one `../` a directory.
fn root(path: &str) -> String {
    "../".repeat(path.matches('/').count())
}

/// Returns JSON for people and scripts.
///
/// # Errors
/// None that can happen with these values.
pub(super) fn json<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    let mut text = serde_json::to_vec_pretty(value)
        .map_err(|source| Error::wrong(format!("cannot write JSON: {source}")))?;
    text.push(b'\n');
    Ok(text)
}
