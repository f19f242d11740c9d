//! Templates: built in, each replaceable by a file of the same name in the configured directory.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use tinytemplate::{TinyTemplate, escape};

use super::chart::chart;
use super::say::segment;
use crate::base::output::inert;
use crate::base::{Error, Result, durable};
use crate::config::Bytes;

macro_rules! built_in {
    ($($name:literal),* $(,)?) => { &[$(($name, include_str!(concat!("../../../templates/", $name)))),*] };
}

/// The pages.
const PAGES: &[(&str, &str)] = built_in![
    "base.html",
    "front.html",
    "queue.html",
    "builders.html",
    "builder.html",
    "packages.html",
    "package.html",
    "ticket.html",
    "expired.html",
    "failing.html",
    "recent.html",
    "day.html",
    "unbuilt.html",
    "maintainers.html",
    "maintainer.html",
    "rebuilds.html",
    "rebuild.html",
    "stats.html",
    "window.html",
    "figure.html",
    "pager.html",
    "acts.html",
    "help.html",
    "404.html",
    "control.html",
    "request.html",
    "refused.html",
    "needs.html",
    "rows.html",
];

/// What is copied as it is.
const ASSETS: &[(&str, &str)] = built_in!["style.css", "site.js", "favicon.svg"];

/// The largest template that is read, bytes.
const LARGEST: u64 = 1 << 20;

/// The texts of all templates.
#[derive(Debug)]
pub(super) struct Texts {
    pages: BTreeMap<&'static str, (String, String)>,
    assets: BTreeMap<&'static str, String>,
}

impl Texts {
    /// Reads the templates, those in `directory` before the built-in ones.
    ///
    /// # Errors
    /// A file there that cannot be read.
    pub fn read(directory: Option<&Path>) -> Result<Self> {
        let mut texts = Self { pages: BTreeMap::new(), assets: BTreeMap::new() };
        for (name, built_in) in PAGES {
            let own = own(directory, name)?;
            let file = own.as_ref().map_or((*name).to_owned(), |(file, _)| file.clone());
            texts.pages.insert(name, (file, own.map_or((*built_in).to_owned(), |(_, text)| text)));
        }
        for (name, built_in) in ASSETS {
            let text = own(directory, name)?.map_or((*built_in).to_owned(), |(_, text)| text);
            texts.assets.insert(name, text);
        }
        Ok(texts)
    }

    /// Returns a number that changes when one of them does.
    pub fn stamp(&self) -> u64 {
        super::load::hash(&(&self.pages, &self.assets))
    }

    /// Returns what is copied as it is: name and text.
    pub fn assets(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.assets.iter().map(|(name, text)| (*name, text.as_str()))
    }
}

/// Returns the file that replaces a template, and its text.
fn own(directory: Option<&Path>, name: &str) -> Result<Option<(String, String)>> {
    let Some(path) = directory.map(|directory| directory.join(name)).filter(|path| path.exists()) else {
        return Ok(None);
    };
    let file = path.display().to_string();
    let text = String::from_utf8(durable::read(&path, LARGEST)?)
        .map_err(|_| Error::wrong(format!("cannot use the template {file}: it is not UTF-8")))?;
    Ok(Some((file, text)))
}

/// The compiled templates.
pub(super) struct Engine<'a> {
    texts: &'a Texts,
    tiny: TinyTemplate<'a>,
}

impl<'a> Engine<'a> {
    /// Compiles all templates.
    ///
    /// # Errors
    /// Wrong use, naming the file.
    pub fn compile(texts: &'a Texts) -> Result<Self> {
        let mut tiny = TinyTemplate::new();
        tiny.add_formatter("time", time);
        tiny.add_formatter("moment", moment);
        tiny.add_formatter("state", state);
        tiny.add_formatter("part", part);
        tiny.add_formatter("size", size);
        tiny.add_formatter("chart", chart);
        tiny.add_formatter("bar", super::chart::bar);
        for (name, (file, text)) in &texts.pages {
            // The compiler panics on some malformed templates, and these may be a person's own.
            guarded(file, || tiny.add_template(name, text))?;
        }
        Ok(Self { texts, tiny })
    }

    /// Fills in a template.
    ///
    /// # Errors
    /// Wrong use, naming the file: it asks for something that is not there.
    pub fn render<T: Serialize>(&self, name: &str, context: &T) -> Result<String> {
        let file = self.texts.pages.get(name).map_or(name, |(file, _)| file.as_str());
        guarded(file, || self.tiny.render(name, context))
    }
}

fn guarded<T>(file: &str, work: impl FnOnce() -> Result<T, tinytemplate::error::Error>) -> Result<T> {
    let wrong = |why: String| Error::wrong(format!("cannot use the template {file}: {}", inert(&why)));
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(done) => done.map_err(|source| wrong(source.to_string())),
        Err(_) => Err(wrong("it is malformed".to_owned())),
    }
}

type Formatted = tinytemplate::error::Result<()>;

/// `{when | time}`: absolute, UTC, to the minute; the script adds how long ago that is.
fn time(value: &Value, page: &mut String) -> Formatted {
    dated(value, page, "HH:MM".len())
}

/// `{when | moment}`: as `time`, to the second.
fn moment(value: &Value, page: &mut String) -> Formatted {
    dated(value, page, "HH:MM:SS".len())
}

/// Most of what a page costs are its times: they are written `YYYY-MM-DDTHH:MM:SS…Z` as they come.
fn dated(value: &Value, page: &mut String, precise: usize) -> Formatted {
    let text = value.as_str().and_then(|text| text.parse::<Timestamp>().ok()).map(|time| time.to_string());
    let parts = text.as_deref().and_then(|text| text.split_at_checked("YYYY-MM-DDTHH:MM:SS".len()));
    match parts.and_then(|(second, _)| second.split_once('T')) {
        Some((day, time)) => {
            let shown = time.get(..precise).unwrap_or(time);
            write!(page, "<time datetime=\"{day}T{time}Z\">{day} {shown} UTC</time>")?;
        }
        None => page.push('–'),
    }
    Ok(())
}

/// `{state | state}`: symbol, word and colour.
fn state(value: &Value, page: &mut String) -> Formatted {
    let word = value.as_str().unwrap_or("unknown");
    let symbol = match word {
        "waiting" => "○",
        "building" => "▸",
        "built" | "published" => "✓",
        "failed" | "failing" => "✗",
        "trouble" | "disk" | "mail" | "bad" | "aside" => "!",
        "away" => "?",
        "aborted" => "■",
        "superseded" => "»",
        "paused" | "held" => "‖",
        "unbuilt" => "–",
        "idle" => "·",
        _ => "",
    };
    let class = segment(word);
    write!(page, "<span class=\"state {class}\"><span aria-hidden=\"true\">{symbol}</span> ")?;
    escape(word, page);
    page.push_str("</span>");
    Ok(())
}

/// `{name | part}`: one part of an address.
fn part(value: &Value, page: &mut String) -> Formatted {
    page.push_str(&segment(value.as_str().unwrap_or_default()));
    Ok(())
}

/// `{bytes | size}`: in units people use.
fn size(value: &Value, page: &mut String) -> Formatted {
    match value.as_u64() {
        Some(bytes) => page.push_str(&Bytes(bytes).to_string()),
        None => page.push('–'),
    }
    Ok(())
}
