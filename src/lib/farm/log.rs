//! Printing logs: ended ones, growing ones, and the first error of either.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::base::clock::shown;
use crate::base::output::{Out, inert};
use crate::base::screen::{next_piece, printed};
use crate::base::watch::Watch;
use crate::base::{Error, Result};
use crate::build::first_error::{self, Patterns};
use crate::config::Config;
use crate::names::Id;
use crate::spool::{Entry, History, Spool, Stand, abort, expire, list, log};

/// How long a follower goes without looking again.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// How much of a line is printed at once, bytes.
const PIECE: u64 = 1 << 20;

/// What of a log is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All there is.
    Whole,
    /// All there is, and what comes until the build ends.
    Follow,
    /// The first error with the lines around it.
    FirstError,
}

/// Prints the log of what `text` means: the latest log of a package, or a ticket's.
///
/// # Errors
/// `No` when there is no log. With the first error printed, what is wrong with an admin's own patterns.
pub fn print(config: &Config, spool: &Spool, text: &str, part: Part, out: &mut Out) -> Result<()> {
    let path = latest(spool, text)?;
    match part {
        Part::Whole => pour(&path, 0, true, out).map(drop),
        Part::Follow => follow(spool, path, out),
        Part::FirstError => print_error(config, &path, out),
    }
}

fn print_error(config: &Config, path: &Path, out: &mut Out) -> Result<()> {
    let Some(found) = Patterns::of(config).of_file(path)?.found else {
        return Err(Error::no(format!("no error found in {}", path.display())));
    };
    let first = found.line - found.before.len();
    let lines = found.before.iter().chain([&found.text]).chain(&found.after);
    for (n, line) in (first..).zip(lines) {
        let mark = if n == found.line { '>' } else { ' ' };
        out.line(&format!("{mark}{n:>6}  {line}"))?;
    }
    first_error::wrong(config).into_iter().next().map_or(Ok(()), Err)
}

fn latest(spool: &Spool, text: &str) -> Result<PathBuf> {
    let mut entries = abort::meant(spool, text, History::all)?;
    entries.sort_by(|a, b| (is_running(b), &b.name.id).cmp(&(is_running(a), &a.name.id)));
    if let Some(log) = entries.iter().find_map(|entry| log_of(spool, entry)) {
        return Ok(log);
    }
    let gone =
        text.parse().ok().map(|id: Id| expire::gone(spool).map(|mut gone| gone.remove(&id))).transpose()?;
    Err(Error::no(match gone.flatten() {
        Some((ticket, went)) => {
            format!(
                "the log of {} {} was removed {}: it had expired",
                ticket.item,
                ticket.outcome,
                shown(went)
            )
        }
        None => format!("there is no log of {}", inert(text)),
    }))
}

fn is_running(entry: &Entry) -> bool {
    matches!(entry.name.stand, Stand::Building(_))
}

/// The log of the running try, or of the last one that left a log.
fn log_of(spool: &Spool, entry: &Entry) -> Option<PathBuf> {
    let id = &entry.name.id;
    let live = spool.live(id, entry.name.epoch);
    let ended = (1..=entry.name.epoch).rev().map(|epoch| spool.log(id, epoch));
    std::iter::once(live).chain(ended).find(|path| log::is_kept(path).unwrap_or_default())
}

/// Prints `path` from `from` on, lines as a terminal would have shown them; returns where it ended. Of a log that grows
/// (`!whole`), what is no line yet is left for later.
fn pour(path: &Path, from: u64, whole: bool, out: &mut Out) -> Result<u64> {
    let fail = |source| Error::io("read", path, source);
    let mut log = log::open(path)?;
    io::copy(&mut log.by_ref().take(from), &mut io::sink()).map_err(fail)?;
    let (mut at, mut piece) = (from, Vec::new());
    while !out.is_closed() && next_piece(&mut log, PIECE, &mut piece).map_err(fail)? {
        let ended = piece.ends_with(b"\n");
        if !ended && !whole && (piece.len() as u64) < PIECE {
            break;
        }
        at += piece.len() as u64;
        let text = printed(&piece);
        out.bytes(text.as_bytes())?;
        out.bytes(if ended { b"\n" } else { b"" })?;
    }
    Ok(at)
}

/// Prints a growing log until its build has ended and its whole log is printed.
fn follow(spool: &Spool, path: PathBuf, out: &mut Out) -> Result<()> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
    let word = name.strip_suffix(".log").and_then(|word| word.split_once('.'));
    let Some((id, epoch)) = word.and_then(|(id, epoch)| Some((id.parse().ok()?, epoch.parse().ok()?))) else {
        return pour(&path, 0, true, out).map(drop);
    };
    let mut at = 0;
    loop {
        let running =
            list::building(spool)?.iter().any(|entry| entry.name.try_word() == format!("{id}.{epoch}"));
        let (live, ended) = (spool.live(&id, epoch), spool.log(&id, epoch));
        let mut watch = Watch::on(&[spool.at("live")])?;
        // The ended log begins with what the live one was; the place in it is the same.
        let current = if running && live.exists() { live } else { ended };
        if log::is_kept(&current)? {
            at = pour(&current, at, !running, out)?;
        }
        out.flush()?;
        if !running || out.is_closed() {
            return Ok(());
        }
        watch.wait(LOOK_AGAIN)?;
    }
}
