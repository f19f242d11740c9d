//! When directories were last changed, and by whom: read from the history in one pass, latest first, until all are
//! found; and kept in a file with the revision they are of, so that the next look reads only what came after it.

use std::collections::{HashMap, HashSet};
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};

use jiff::Timestamp;

use crate::base::durable;
use crate::base::output::inert;
use crate::base::{Error, Result};
use crate::names::Revision;

/// The longest line of a history that is read, bytes.
const LONGEST: u64 = 64 << 10;

/// The largest file of ages that is read, bytes: a hundred times the largest tree we know.
const LARGEST: u64 = 64 << 20;

/// A change that somebody committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// When.
    pub at: Timestamp,
    /// Its hash; empty without version control.
    pub commit: String,
    /// Who; empty without version control.
    pub by: String,
}

impl Change {
    /// Returns the change `commit` by `by`, whose name cannot act on a terminal.
    pub(super) fn new(at: Timestamp, commit: &str, by: &str) -> Self {
        let by: String = inert(by).replace('\t', " ").chars().take(200).collect();
        Self { at, commit: commit.to_owned(), by }
    }
}

/// What a line of a history says.
pub(super) enum Line {
    /// What follows was changed by that.
    Change(Change),
    /// This path was changed.
    Path(String),
}

/// Directories with their last changes.
pub(super) type Ages = HashMap<String, Change>;

/// Runs `command`, whose output is a history, latest first, and finds the last change of each of `dirs`. Those
/// never changed are not in the answer.
///
/// # Errors
/// The command does not start, cannot be read, or fails before all are found.
pub(super) fn pass(
    mut command: Command,
    dirs: &[String],
    what: &str,
    read: impl FnMut(&str) -> Vec<Line>,
) -> Result<Ages> {
    let failed = |source: io::Error| Error::io("run", "timeout", source).within(format!("cannot {what}"));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().map_err(failed)?;
    let mut left: HashSet<&str> = dirs.iter().map(String::as_str).collect();
    let found = match child.stdout.take() {
        Some(pipe) => search(BufReader::new(pipe), &mut left, read).map_err(failed),
        None => Ok(Ages::new()),
    };
    if found.is_err() || left.is_empty() {
        // A program with more to say is not wanted any more.
        let _ = child.kill();
    }
    let status = child.wait().map_err(failed)?;
    match left.is_empty() || status.success() {
        true => found,
        // What was read of a history that broke off must not be taken, or kept, for the whole.
        false => Err(Error::again(format!("cannot {what}: it broke off"))),
    }
}

fn search(
    mut history: impl BufRead,
    left: &mut HashSet<&str>,
    mut read: impl FnMut(&str) -> Vec<Line>,
) -> io::Result<Ages> {
    let (mut found, mut last, mut bytes) = (Ages::new(), None, Vec::new());
    while !left.is_empty() {
        bytes.clear();
        if history.by_ref().take(LONGEST).read_until(b'\n', &mut bytes)? == 0 {
            break;
        }
        for line in read(String::from_utf8_lossy(&bytes).trim_end_matches('\n')) {
            match line {
                Line::Change(change) => last = Some(change),
                Line::Path(path) => {
                    for dir in above(&path).filter(|dir| left.remove(*dir)) {
                        found.extend(last.clone().map(|change| (dir.to_owned(), change)));
                    }
                }
            }
        }
    }
    Ok(found)
}

/// Returns the path itself and every directory above it, the root (empty) last.
fn above(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(path), |path| match path.rsplit_once('/') {
        Some((above, _)) => Some(above),
        None if path.is_empty() => None,
        None => Some(""),
    })
}

/// Ages as they are kept: as of `tip`, of the directories of the recipes that `pattern` finds.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub tip: Revision,
    pub pattern: String,
    pub ages: Ages,
}

impl Kept {
    /// Reads them; none when there are none, of another pattern, or with a line that cannot be read.
    pub(super) fn read(path: &Path, pattern: &str) -> Option<Self> {
        let text = String::from_utf8(durable::read(path, LARGEST).ok()?).ok()?;
        let (head, rest) = text.strip_prefix("ages 1 ")?.split_once('\n')?;
        let (tip, of) = head.split_once(' ')?;
        let ages = rest.strip_suffix("end\n")?.lines().map(age).collect::<Option<Ages>>()?;
        (of == pattern).then_some(Self { tip: tip.parse().ok()?, pattern: of.to_owned(), ages })
    }

    /// Writes them. Whoever may not, or finds the disk full, reads the history again next time.
    pub(super) fn write(&self, path: &Path) {
        let mut lines: Vec<String> = self.ages.iter().map(line).collect();
        lines.sort_unstable();
        let text = format!("ages 1 {} {}\n{}end\n", self.tip, self.pattern, lines.concat());
        let _ = durable::replace(path, text.as_bytes());
    }
}

fn line((dir, change): (&String, &Change)) -> String {
    format!("{dir}\t{}\t{}\t{}\n", change.at.as_second(), change.commit, change.by)
}

fn age(line: &str) -> Option<(String, Change)> {
    let mut words = line.splitn(4, '\t');
    let (dir, at, commit, by) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let at = Timestamp::from_second(at.parse().ok()?).ok()?;
    Some((dir.to_owned(), Change::new(at, commit, by)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Vec<Line> {
        match text.strip_prefix('@') {
            Some(time) => {
                let at = Timestamp::from_second(time.parse().unwrap()).unwrap();
                vec![Line::Change(Change::new(at, "0a", "Ann"))]
            }
            None => vec![Line::Path(text.to_owned())],
        }
    }

    #[test]
    fn the_latest_change_of_each_directory_counts_and_no_more_is_read_than_needed() {
        let mut history = "@20\na/f\nb/deep/f\n@10\na/f\nc/f\nnot read\n".as_bytes();
        let mut left = HashSet::from(["a", "b", "c", ""]);
        let found = search(&mut history, &mut left, parse).unwrap();
        let seconds: Vec<i64> = ["a", "b", "c", ""].iter().map(|dir| found[*dir].at.as_second()).collect();
        assert_eq!((seconds, history), (vec![20, 20, 10, 20], "not read\n".as_bytes()));
    }

    #[test]
    fn kept_ages_are_read_back_and_broken_ones_are_none() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("ages");
        let change = Change::new(Timestamp::from_second(7).unwrap(), "0a", "A\tn\u{1b}n <a@b>");
        let ages = Ages::from([("s/a b".to_owned(), change.clone()), ("c".to_owned(), change)]);
        let kept = Kept { tip: "0a1f".parse().unwrap(), pattern: "*/x y".to_owned(), ages };
        kept.write(&path);
        assert_eq!(Kept::read(&path, "*/x y").as_ref(), Some(&kept));
        assert_eq!(Kept::read(&path, "*/other"), None);
        let text = std::fs::read_to_string(&path).unwrap();
        for broken in [&text[..text.len() - 4], &text[..20], "", &text.replace("\t7\t", "\tx\t")] {
            std::fs::write(&path, broken).unwrap();
            assert_eq!(Kept::read(&path, "*/x y"), None, "{broken:?}");
        }
    }

    #[test]
    fn a_history_that_breaks_off_is_not_taken_for_the_whole() {
        let mut command = Command::new("sh");
        command.args(["-c", "printf '@20\\na/f\\n'; exit 1"]);
        let dirs = ["a", "b"].map(str::to_owned);
        assert!(pass(command, &dirs, "look", parse).is_err());
    }
}
