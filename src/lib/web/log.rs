//! Logs on the site: a harmless plain text copy, and an excerpt of it as data, so that a large log is read once.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::say::line;
use super::{FirstError, Sources};
use crate::base::screen::{next_piece, printed};
use crate::base::{Error, Result, durable};
use crate::spool::log;

/// How many of the last lines a ticket's page shows.
const TAIL: usize = 200;
/// The longest line a page shows, characters; the copy has all of it.
const LONGEST: usize = 400;
/// How much of a line is copied at once, bytes.
const PIECE: u64 = 1 << 20;
/// A longer log is packed, bytes.
const SMALL: u64 = 16 << 10;
/// The most of a log that is copied, bytes.
const LARGEST: u64 = 256 << 20;

/// What a page shows of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Excerpt {
    /// The version of this record's shape.
    pub schema: u32,
    /// The log may still have grown since: this excerpt vouches for nothing.
    pub live: bool,
    /// When a log that still grows did so last.
    pub changed: Option<Timestamp>,
    /// The length of the text, bytes.
    pub size: u64,
    /// It is packed with gzip.
    pub packed: bool,
    /// The length of the copy, bytes: another length means that it is not whole.
    pub kept: u64,
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

    /// Returns the excerpt beside the copy, if both are whole.
    fn stored(place: &Place<'_>) -> Option<Self> {
        let stored: Self = serde_json::from_slice(&durable::read(&place.excerpt(), 8 << 20).ok()?).ok()?;
        let copy = std::fs::metadata(place.copy(stored.packed));
        let whole = copy.is_ok_and(|meta| meta.len() == stored.kept);
        (whole && !stored.live && stored.schema == 2).then_some(stored)
    }
}

/// A log and its two files on the site.
pub(super) struct Place<'a> {
    /// The log in the spool.
    pub log: &'a Path,
    /// What both are called on the site, without an ending.
    pub stem: &'a Path,
    /// It may still grow, so what was copied before does not hold.
    pub live: bool,
    /// It is searched for an error.
    pub broken: bool,
}

/// Returns how the name of a copy ends.
pub(super) fn ending(packed: bool) -> &'static str {
    if packed { "txt.gz" } else { "txt" }
}

impl Place<'_> {
    fn copy(&self, packed: bool) -> PathBuf {
        self.with(ending(packed))
    }

    fn excerpt(&self) -> PathBuf {
        self.with("json")
    }

    fn with(&self, end: &str) -> PathBuf {
        let mut name = self.stem.as_os_str().to_owned();
        name.push(".");
        name.push(end);
        name.into()
    }
}

/// Copies a log, unless it was copied before and cannot have changed. Returns its excerpt and how many files
/// were written.
///
/// # Errors
/// A log that cannot be read, a site that cannot be written.
pub(super) fn publish(place: &Place<'_>, sources: &Sources<'_>) -> Result<(Excerpt, usize)> {
    if !place.live
        && let Some(stored) = Excerpt::stored(place)
    {
        return Ok((stored, 0));
    }
    let mut log = log::open(place.log)?.take(LARGEST);
    let mut head = Vec::new();
    let read = log.by_ref().take(SMALL + 1).read_to_end(&mut head);
    read.map_err(|source| Error::io("read", place.log, source))?;
    let packed = !place.live && head.len() as u64 > SMALL;
    let (copy, mut copied) = (place.copy(packed), Copied::default());
    durable::replace_by(&copy, |file| copied.write(head.chain(log), place, packed, file))?;
    let first_error = if place.broken { (sources.first_error)(place.log).map(cut) } else { None };
    let kept = std::fs::metadata(&copy).map_err(|source| Error::io("read", &copy, source))?.len();
    let Copied { size, lines, tail } = copied;
    let (live, tail) = (place.live, tail.into());
    let changed = std::fs::metadata(place.log).ok().filter(|_| live).and_then(|meta| meta.modified().ok());
    let changed = changed.and_then(|time| Timestamp::try_from(time).ok());
    let excerpt = Excerpt { schema: 2, live, changed, size, packed, kept, lines, first_error, tail };
    let json = serde_json::to_vec(&excerpt)
        .map_err(|source| Error::wrong(format!("cannot write {}: {source}", place.stem.display())))?;
    // Last: it vouches for the copy.
    let written = 1 + usize::from(durable::page(&place.excerpt(), &json)?);
    durable::forget(&place.copy(!packed));
    Ok((excerpt, written))
}

/// What was seen of a log while it was copied.
#[derive(Default)]
struct Copied {
    size: u64,
    lines: usize,
    tail: VecDeque<String>,
}

impl Copied {
    fn write(&mut self, log: impl BufRead, place: &Place<'_>, packed: bool, file: &mut File) -> Result<()> {
        let mut file = BufWriter::new(file);
        if packed {
            let mut packing = GzEncoder::new(&mut file, Compression::default());
            self.copy(log, place, &mut packing)?;
            packing.finish().map_err(|source| Error::io("write", place.copy(packed), source))?;
        } else {
            self.copy(log, place, &mut file)?;
        }
        file.flush().map_err(|source| Error::io("write", place.copy(packed), source))
    }

    fn copy(&mut self, mut log: impl BufRead, place: &Place<'_>, copy: &mut dyn Write) -> Result<()> {
        let read = |source| Error::io("read", place.log, source);
        let write = |source| Error::io("write", place.stem, source);
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
        Ok(())
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

#[cfg(test)]
mod tests {
    use std::io::read_to_string;

    use flate2::read::GzDecoder;

    use super::*;

    /// Publishes a log of these bytes; returns its excerpt, its copy, and what lies on the site.
    fn published(raw: &[u8], live: bool) -> (Excerpt, String, Vec<String>) {
        let root = tempfile::tempdir().unwrap();
        let (log, site) = (root.path().join("1.log"), root.path().join("site"));
        std::fs::write(&log, raw).unwrap();
        let error =
            |_: &Path| Some(FirstError { line: 1, before: vec![], text: "x".repeat(9000), after: vec![] });
        let sources = Sources {
            first_error: &error,
            published: &|_| false,
            commits: &|_| Vec::new(),
            acts: &|_| Ok(Vec::new()),
            progress: &|_, _| {},
        };
        let place = Place { log: &log, stem: &site.join("1"), live, broken: true };
        let (excerpt, written) = publish(&place, &sources).unwrap();
        assert_eq!(
            (written, publish(&place, &sources).unwrap()),
            (2, (excerpt.clone(), if live { 1 } else { 0 }))
        );
        let file = File::open(place.copy(excerpt.packed)).unwrap();
        let text = if excerpt.packed { read_to_string(GzDecoder::new(file)) } else { read_to_string(file) };
        let names = std::fs::read_dir(&site).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        (excerpt, text.unwrap(), names)
    }

    #[test]
    fn a_short_log_is_kept_plain_and_a_long_one_packed_once_it_has_ended() {
        let long = "a line\n".repeat(3000);
        assert_eq!(published(b"short", false).2, ["1.json", "1.txt"]);
        let (excerpt, text, names) = published(long.as_bytes(), false);
        assert_eq!(
            (excerpt.size, text == long, names),
            (21_000, true, vec!["1.json".into(), "1.txt.gz".into()])
        );
        assert!(excerpt.kept < 1000 && (excerpt.lines, excerpt.tail.len()) == (3000, TAIL));
        assert_eq!(published(long.as_bytes(), true).2, ["1.json", "1.txt"]);
    }

    #[test]
    fn a_line_without_end_is_a_long_file_and_a_short_page() {
        let line = "<script>\u{202e}\u{1b}]".repeat(900_000);
        let (excerpt, text, _) = published(line.as_bytes(), false);
        assert!(line.len() > 10 << 20 && text.len() as u64 == excerpt.size && text.len() > line.len());
        assert!(!text.contains(crate::base::output::acts));
        assert_eq!((excerpt.lines, excerpt.tail.len()), (1, 1));
        assert!(serde_json::to_vec(&excerpt).unwrap().len() < 4000);
    }
}
