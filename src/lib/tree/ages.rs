//! When directories were last changed: for a few of them asked one by one, for many read from the history in one
//! pass, latest first, until all are found.

use std::collections::{HashMap, HashSet};
use std::io::{self, BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use jiff::Timestamp;

use crate::base::{Error, Result};

/// Up to so many directories a question each is quicker than a pass.
pub(super) const FEW: usize = 8;

/// The longest line of a history that is read, bytes.
const LONGEST: u64 = 64 << 10;

/// What a line of a history says.
pub(super) enum Line<'a> {
    /// What follows was changed then.
    Time(Timestamp),
    /// This path was changed.
    Path(&'a str),
    /// Nothing that matters.
    Other,
}

/// Runs `command`, whose output is a history, latest first, and finds when each of `dirs` was last changed. Those
/// never changed are not in the answer.
///
/// # Errors
/// The command does not start, or cannot be read; one that fails in the middle leaves the rest unknown.
pub(super) fn pass(
    mut command: Command,
    dirs: &[String],
    what: &str,
    read: fn(&str) -> Option<Line<'_>>,
) -> Result<HashMap<String, Timestamp>> {
    let failed = |source: io::Error| Error::io("run", "timeout", source).within(format!("cannot {what}"));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().map_err(failed)?;
    let found = match child.stdout.take() {
        Some(pipe) => search(BufReader::new(pipe), dirs, read).map_err(failed),
        None => Ok(HashMap::new()),
    };
    // All is found, or the pipe is at its end: a program with more to say is not wanted any more.
    let _ = child.kill();
    child.wait().map_err(failed)?;
    found
}

fn search(
    mut history: impl BufRead,
    dirs: &[String],
    read: fn(&str) -> Option<Line<'_>>,
) -> io::Result<HashMap<String, Timestamp>> {
    let mut left: HashSet<String> = dirs.iter().cloned().collect();
    let (mut found, mut time, mut bytes) = (HashMap::new(), None, Vec::new());
    while !left.is_empty() {
        bytes.clear();
        if history.by_ref().take(LONGEST).read_until(b'\n', &mut bytes)? == 0 {
            break;
        }
        let text = String::from_utf8_lossy(&bytes);
        match read(text.trim_end_matches('\n')) {
            Some(Line::Time(now)) => time = Some(now),
            Some(Line::Path(path)) => {
                for dir in above(path).filter(|dir| left.remove(*dir)) {
                    found.extend(time.map(|time| (dir.to_owned(), time)));
                }
            }
            Some(Line::Other) | None => {}
        }
    }
    Ok(found)
}

/// Returns the path itself and every directory above it.
fn above(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(path), |path| path.rsplit_once('/').map(|(above, _)| above))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_change_of_each_directory_counts_and_no_more_is_read_than_needed() {
        fn line(text: &str) -> Option<Line<'_>> {
            match text.strip_prefix('@') {
                Some(time) => Timestamp::from_second(time.parse().ok()?).ok().map(Line::Time),
                None => Some(Line::Path(text)),
            }
        }
        let mut history = "@20\na/f\nb/deep/f\n@10\na/f\nc/f\nnot read\n".as_bytes();
        let dirs = ["a", "b", "c"].map(str::to_owned);
        let found = search(&mut history, &dirs, line).unwrap();
        let seconds: Vec<i64> = dirs.iter().map(|dir| found[dir].as_second()).collect();
        assert_eq!((seconds, history), (vec![20, 20, 10], "not read\n".as_bytes()));
    }
}
