//! Logs on the site: a harmless plain text copy, and an excerpt of it as data, so that a large log is read once.

use std::io::Read;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::say::{bytes, line};
use super::{FirstError, Sources};
use crate::base::{Error, Result, durable};

/// How many of the last lines a ticket's page shows.
const TAIL: usize = 200;
/// The longest line a page shows, characters; the copy has all of it.
const LONGEST: usize = 400;
/// The most of a log that is copied, bytes.
const LARGEST: u64 = 256 << 20;

/// What a page shows of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Excerpt {
    /// The version of this record's shape.
    pub schema: u32,
    /// The log may still have grown since: this excerpt vouches for nothing.
    pub live: bool,
    /// The length of the plain text copy, bytes: another length means that it is not whole.
    pub size: u64,
    /// How many lines the log has.
    pub lines: usize,
    /// What went wrong first.
    pub first_error: Option<FirstError>,
    /// The last lines.
    pub tail: Vec<String>,
}

impl Excerpt {
    /// Returns the number of the first line of the tail.
    pub fn first_line(&self) -> usize {
        self.lines.saturating_sub(self.tail.len()) + 1
    }

    /// Returns the excerpt beside the copy `text`, if both are whole.
    fn stored(text: &Path, excerpt: &Path) -> Option<Self> {
        let stored: Self = serde_json::from_slice(&durable::read(excerpt, 8 << 20).ok()?).ok()?;
        let whole = std::fs::metadata(text).is_ok_and(|meta| meta.len() == stored.size);
        (whole && !stored.live && stored.schema == 1).then_some(stored)
    }
}

/// A log and its two files on the site.
pub(super) struct Place<'a> {
    /// The log in the spool.
    pub log: &'a Path,
    /// The plain text copy.
    pub text: &'a Path,
    /// The excerpt.
    pub excerpt: &'a Path,
    /// It may still grow, so what was copied before does not hold.
    pub live: bool,
    /// It is searched for an error.
    pub broken: bool,
}

/// Copies a log, unless it was copied before and cannot have changed. Returns its excerpt and how many files
/// were written.
///
/// # Errors
/// A log that cannot be read, a site that cannot be written.
pub(super) fn publish(place: &Place<'_>, sources: &Sources<'_>) -> Result<(Excerpt, usize)> {
    if !place.live
        && let Some(stored) = Excerpt::stored(place.text, place.excerpt)
    {
        return Ok((stored, 0));
    }
    let mut raw = Vec::new();
    let file = durable::open_regular(place.log)?;
    file.take(LARGEST).read_to_end(&mut raw).map_err(|source| Error::io("read", place.log, source))?;
    let text = harmless(&raw);
    let lines: Vec<&str> = text.lines().collect();
    let first_error = if place.broken { (sources.first_error)(place.log).map(cleaned) } else { None };
    let tail = lines.iter().skip(lines.len().saturating_sub(TAIL));
    let excerpt = Excerpt {
        schema: 1,
        live: place.live,
        size: text.len() as u64,
        lines: lines.len(),
        first_error,
        tail: tail.map(|text| line(text, LONGEST)).collect(),
    };
    let json = serde_json::to_vec(&excerpt)
        .map_err(|source| Error::wrong(format!("cannot write {}: {source}", place.excerpt.display())))?;
    let mut written = usize::from(durable::replace(place.text, text.as_bytes())?);
    // Last: it vouches for the copy.
    written += usize::from(durable::replace(place.excerpt, &json)?);
    Ok((excerpt, written))
}

fn harmless(raw: &[u8]) -> String {
    let mut text = String::with_capacity(raw.len());
    for part in raw.split_inclusive(|byte| *byte == b'\n') {
        let (content, end) = part.strip_suffix(b"\n").map_or((part, ""), |content| (content, "\n"));
        text.push_str(&bytes(content.strip_suffix(b"\r").unwrap_or(content)));
        text.push_str(end);
    }
    text
}

fn cleaned(error: FirstError) -> FirstError {
    let clean = |text: &String| line(&bytes(text.as_bytes()), LONGEST);
    FirstError {
        line: error.line,
        before: error.before.iter().map(clean).collect(),
        text: clean(&error.text),
        after: error.after.iter().map(clean).collect(),
    }
}
