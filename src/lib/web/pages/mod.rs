//! From the model to pages: each function here knows one kind of page.

mod front;
mod package;
mod rows;
mod ticket;
mod work;

use serde::Serialize;

use super::model::Model;
use super::templates::Engine;
use crate::base::{Error, Result};
use crate::config::Config;

pub(super) use front::{front, help, missing};
pub(super) use package::{package, packages};
pub(super) use rows::{failing, recent, unbuilt};
pub(super) use ticket::{LogView, expired, ticket};
pub(super) use work::{builder, builders, queue};

/// What every page is made of.
pub(super) struct Site<'a> {
    /// The data.
    pub model: &'a Model,
    /// The templates.
    pub engine: &'a Engine<'a>,
    /// For command lines and addresses.
    pub config: &'a Config,
}

/// A finished file of the site: its path from the site's root, and its text.
pub(super) type Page = (String, String);

/// A part of the site in the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Section {
    Overview,
    Queue,
    Builders,
    Packages,
    Failing,
    Recent,
    Unbuilt,
    Help,
    None,
}

const NAVIGATION: [(Section, &str, &str); 8] = [
    (Section::Overview, "Overview", "index.html"),
    (Section::Failing, "Failing", "failing/index.html"),
    (Section::Unbuilt, "Unbuilt", "unbuilt/index.html"),
    (Section::Queue, "Queue", "queue/index.html"),
    (Section::Recent, "Recent", "recent/index.html"),
    (Section::Builders, "Builders", "builder/index.html"),
    (Section::Packages, "Packages", "package/index.html"),
    (Section::Help, "Help", "help/index.html"),
];

#[derive(Serialize)]
pub(super) struct Link {
    label: &'static str,
    href: String,
    current: bool,
}

/// The frame around a page's own text.
#[derive(Serialize)]
pub(super) struct Frame<'a> {
    /// What the page is about.
    pub title: &'a str,
    /// How the farm is called.
    pub farm: &'a str,
    /// The way up to the site's root.
    pub root: &'a str,
    /// The other pages.
    pub nav: Vec<Link>,
    /// The page's own text.
    pub body: &'a str,
    /// On pages about now only: those about the past must not change because time passes.
    pub made: Option<jiff::Timestamp>,
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
    /// The page is about now.
    now: bool,
}

impl Site<'_> {
    /// Fills in `template` with `view` and puts the frame around it.
    fn page<T: Serialize>(&self, place: Place<'_>, template: &str, view: &T) -> Result<Page> {
        let body = self.engine.render(template, view)?;
        let root = root(&place.path);
        let text = self.frame(&place, &root, &body)?;
        Ok((place.path, text))
    }

    fn frame(&self, place: &Place<'_>, root: &str, body: &str) -> Result<String> {
        let frame = Frame {
            title: place.title,
            farm: &self.model.title,
            root,
            nav: links(root, place.section, |section, _| {
                section != Section::Unbuilt || self.model.unbuilt.is_some()
            }),
            body,
            made: place.now.then_some(self.model.made),
        };
        self.engine.render("base.html", &frame)
    }
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
