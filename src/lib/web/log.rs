//! Logs on the site: a harmless plain text copy, and an excerpt of it as data, so that a large log is read once.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::say::line;
use super::{FirstError, Sources};
use crate::base::screen::{next_piece, printed};
use crate::base::{Error, Result, durable};

/// How many of the last lines a ticket's page shows.
const TAIL: usize = 200;
/// The longest line a page shows, characters; the copy has all of it.
const LONGEST: usize = 400;
/// How much of a line is copied at once, bytes.
const PIECE: u64 = 1 << 20;
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
        (whole && !stored.live && stored.schema == 2).then_some(stored)
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
    let log = BufReader::new(durable::open_regular(place.log)?.take(LARGEST));
    let mut copied = Copied::default();
    durable::replace_by(place.text, |file| copied.copy(log, place, BufWriter::new(file)))?;
    let first_error = if place.broken { (sources.first_error)(place.log).map(cut) } else { None };
    let Copied { size, lines, tail } = copied;
    let excerpt = Excerpt { schema: 2, live: place.live, size, lines, first_error, tail: tail.into() };
    let json = serde_json::to_vec(&excerpt)
        .map_err(|source| Error::wrong(format!("cannot write {}: {source}", place.excerpt.display())))?;
    // Last: it vouches for the copy.
    Ok((excerpt, 1 + usize::from(durable::replace(place.excerpt, &json)?)))
}

/// What was seen of a log while it was copied.
#[derive(Default)]
struct Copied {
    size: u64,
    lines: usize,
    tail: VecDeque<String>,
}

impl Copied {
    fn copy(&mut self, mut log: impl BufRead, place: &Place<'_>, mut copy: impl Write) -> Result<()> {
        let read = |source| Error::io("read", place.log, source);
        let write = |source| Error::io("write", place.text, source);
        let (mut piece, mut begins) = (Vec::new(), true);
        while next_piece(&mut log, PIECE, &mut piece).map_err(read)? {
            let text = printed(&piece);
            let end: &[u8] = if piece.ends_with(b"\n") { b"\n" } else { b"" };
            [text.as_bytes(), end].iter().try_for_each(|bytes| copy.write_all(bytes)).map_err(write)?;
            self.size += (text.len() + end.len()) as u64;
            if begins {
                self.note(&text);
            }
            begins = !end.is_empty();
        }
        copy.flush().map_err(write)
    }

    fn note(&mut self, text: &str) {
        self.lines += 1;
        if self.tail.len() == TAIL {
            self.tail.pop_front();
        }
        self.tail.push_back(line(text, LONGEST));
    }
}

fn cut(error: FirstError) -> FirstError {
    let all = |texts: &[String]| texts.iter().map(|text| line(text, LONGEST)).collect();
    let FirstError { line: number, before, text, after } = error;
    FirstError { line: number, before: all(&before), text: line(&text, LONGEST), after: all(&after) }
}
