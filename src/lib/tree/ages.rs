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
    command: Command,
    dirs: &[String],
    what: &str,
    read: impl FnMut(&str) -> Vec<Line>,
) -> Result<Ages> {
    let (mut found, mut last) = (Ages::new(), None);
    let mut left: HashSet<&str> = dirs.iter().map(String::as_str).collect();
    let take = |line| {
        match line {
            Line::Change(change) => last = Some(change),
            Line::Path(path) => {
                for dir in above(&path).filter(|dir| left.remove(*dir)) {
                    found.extend(last.clone().map(|change| (dir.to_owned(), change)));
                }
            }
        }
        !left.is_empty()
    };
    run(command, what, read, take)?;
    Ok(found)
}

/// Runs `command` as [`pass`] and returns those of `dirs` whose .SRCINFO is in the last change of it or of the PKGBUILD.
///
/// # Errors
/// As [`pass`].
pub(super) fn in_step(
    command: Command,
    dirs: &[String],
    what: &str,
    read: impl FnMut(&str) -> Vec<Line>,
) -> Result<HashSet<String>> {
    let mut left: HashSet<&str> = dirs.iter().map(String::as_str).collect();
    // What the change that is being read says about a directory is not decided before the next one begins.
    let (mut found, mut touched) = (HashSet::new(), HashSet::new());
    let take = |line| {
        match line {
            Line::Change(_) => {
                touched.drain().for_each(|dir: String| {
                    left.remove(dir.as_str());
                });
            }
            Line::Path(path) => {
                let (dir, file) = path.rsplit_once('/').unwrap_or(("", &path));
                if matches!(file, ".SRCINFO" | "PKGBUILD") && left.contains(dir) {
                    touched.insert(dir.to_owned());
                    if file == ".SRCINFO" {
                        found.insert(dir.to_owned());
                    }
                }
            }
        }
        !left.is_empty()
    };
    run(command, what, read, take)?;
    Ok(found)
}

/// Runs `command` and gives each line of its output to `take`, as long as that wants more.
fn run(
    mut command: Command,
    what: &str,
    read: impl FnMut(&str) -> Vec<Line>,
    take: impl FnMut(Line) -> bool,
) -> Result<()> {
    let failed = |source: io::Error| Error::io("run", "timeout", source).within(format!("cannot {what}"));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().map_err(failed)?;
    let pipe = child.stdout.take().map(BufReader::new);
    let ended = pipe.map_or(Ok(true), |pipe| search(pipe, read, take)).map_err(failed);
    if !matches!(ended, Ok(true)) {
        // A program with more to say is not wanted any more.
        let _ = child.kill();
    }
    let status = child.wait().map_err(failed)?;
    match !ended? || status.success() {
        true => Ok(()),
        // What was read of a history that broke off must not be taken, or kept, for the whole.
        false => Err(Error::again(format!("cannot {what}: it broke off"))),
    }
}

/// Tells whether the history came to its end before `take` had enough.
fn search(
    mut history: impl BufRead,
    mut read: impl FnMut(&str) -> Vec<Line>,
    mut take: impl FnMut(Line) -> bool,
) -> io::Result<bool> {
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        if history.by_ref().take(LONGEST).read_until(b'\n', &mut bytes)? == 0 {
            return Ok(true);
        }
        for line in read(String::from_utf8_lossy(&bytes).trim_end_matches('\n')) {
            if !take(line) {
                return Ok(false);
            }
        }
    }
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

    /// What prints `text` and fails if `status` is not 0.
    fn said(text: &str, status: u8) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("printf '{text}'; exit {status}")]);
        command
    }

    #[test]
    fn the_latest_change_of_each_directory_counts_and_no_more_is_read_than_needed() {
        let dirs = ["a", "b", "c", ""].map(str::to_owned);
        // What is not read cannot break off.
        let found =
            pass(said("@20\\na/f\\nb/deep/f\\n@10\\na/f\\nc/f\\nx\\n", 1), &dirs, "look", parse).unwrap();
        let seconds: Vec<i64> = dirs.iter().map(|dir| found[dir].at.as_second()).collect();
        assert_eq!(seconds, [20, 20, 10, 20]);
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
        let dirs = ["a", "b"].map(str::to_owned);
        assert!(pass(said("@20\\na/f\\n", 1), &dirs, "look", parse).is_err());
        assert!(in_step(said("@20\\na/PKGBUILD\\n", 1), &dirs, "look", parse).is_err());
    }

    #[test]
    fn the_last_change_of_either_file_tells_whether_they_are_in_step() {
        let dirs = ["", "a", "b", "c", "d"].map(str::to_owned);
        let history = "@30\\n.SRCINFO\\na/x/.SRCINFO\\na/PKGBUILD\\nb/PKGBUILD\\nb/.SRCINFO\\n@20\\na/.SRCINFO\\nPKGBUILD\\nc/.SRCINFO\\n";
        let found = in_step(said(history, 0), &dirs, "look", parse).unwrap();
        assert_eq!(found, ["", "b", "c"].map(str::to_owned).into());
    }
}
