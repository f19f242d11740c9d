//! git, asked with plumbing commands that run nothing a repository's configuration names.

use std::collections::HashSet;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::process::Command;

use jiff::Timestamp;

use super::ages::{self, Ages, Change, Line, pass};
use super::between::{self, Commit};
use super::command::{heard, limited, output, unread};
use super::export::{self, FILE_LIMIT, Selection};
use crate::base::{Error, Result, child};
use crate::names::Revision;

const SECONDS: u32 = 300;

fn git(repository: &Path) -> Command {
    git_within(repository, SECONDS)
}

fn git_within(repository: &Path, seconds: u32) -> Command {
    let mut command = limited("git", seconds);
    // The spool's owner reads repositories of others; a path that is none must not lead to one above it.
    command.env("GIT_CEILING_DIRECTORIES", repository.parent().unwrap_or(repository));
    command.args(["-c", "safe.directory=*", "-c", "core.fsmonitor=false", "-C"]).arg(repository);
    command
}

/// Returns the commit that `name` (a reference, a hash, a tag) stands for.
pub(super) fn resolve(repository: &Path, name: &str) -> Result<Revision> {
    let shown = crate::base::output::inert(name);
    let what = format!("find the revision \"{shown}\" in {}", repository.display());
    if name.starts_with('-') || name.is_empty() {
        return Err(Error::wrong(format!("cannot {what}: that is no revision")));
    }
    let mut command = git(repository);
    command.args(["rev-parse", "--verify", "--end-of-options"]).arg(format!("{name}^{{commit}}"));
    let bytes = output(command, &what)?;
    let text = String::from_utf8_lossy(&bytes);
    text.lines().last().unwrap_or_default().parse()
}

/// Returns all paths of `revision`, or those of `among` that are there.
pub(super) fn list(repository: &Path, revision: &Revision, among: Option<&[String]>) -> Result<Vec<String>> {
    Ok(contents(repository, revision, among)?.into_iter().map(|(path, _)| path).collect())
}

/// Returns the paths of regular files of `revision`, all or those below `dirs`, with the names of their objects.
pub(super) fn contents(
    repository: &Path,
    revision: &Revision,
    dirs: Option<&[String]>,
) -> Result<Vec<(String, String)>> {
    let mut command = git(repository);
    // Without the sizes, which git would have to look up one by one.
    command.args(["ls-tree", "-r", "-z", "--full-tree", revision.as_str(), "--"]);
    command.args(dirs.unwrap_or_default());
    let bytes = output(command, &format!("list the files of {revision} in {}", repository.display()))?;
    let file = |line: &[u8]| {
        let (head, path) = std::str::from_utf8(line).ok()?.split_once('\t')?;
        let object = head.strip_prefix("100")?.split(' ').nth(2)?;
        Some((path.to_owned(), object.to_owned()))
    };
    Ok(bytes.split(|&byte| byte == 0).filter_map(file).collect())
}

/// Tells whether `path` is a regular file of `revision`.
pub(super) fn exists(repository: &Path, revision: &Revision, path: &str) -> Result<bool> {
    Ok(list(repository, revision, Some(&[path.to_owned()]))?.iter().any(|own| own == path))
}

/// Writes the selected files of `revision` into `into`; `known` is what it has ([`contents`]), if somebody has asked.
/// Not by `git archive`, which heeds the tree's own
/// attributes and makes its links.
pub(super) fn export(
    repository: &Path,
    revision: &Revision,
    selection: &Selection<'_>,
    known: Option<&[(String, String)]>,
    into: &Path,
) -> Result<()> {
    let mut wanted = match known {
        Some(known) => known.to_vec(),
        None => contents(repository, revision, selection.listed().as_deref())?,
    };
    wanted.retain(|(path, _)| selection.takes(path));
    export::make_root(into)?;
    // As long as the readers have nothing to do.
    let (one, two) = wanted.split_at(if wanted.len() > MANY { wanted.len() / 2 } else { wanted.len() });
    std::thread::scope(|scope| {
        let other = scope.spawn(|| export_all(repository, two, into));
        let own = export_all(repository, one, into);
        own.and(other.join().unwrap_or_else(|_| Err(Error::wrong("cannot export: a thread broke down"))))
    })
}

/// So many files are worth a second process.
const MANY: usize = 1000;

fn export_all(repository: &Path, mut rest: &[(String, String)], into: &Path) -> Result<()> {
    let what = format!("read files of {}", repository.display());
    while !rest.is_empty() {
        let mut command = git(repository);
        command.args(["cat-file", "--batch", "--buffer"]);
        rest = export_some(command, &what, rest, into)?;
    }
    Ok(())
}

/// Writes the objects of `wanted`, which `command` is asked for, to their paths until one is too large, which nobody
/// reads to its end; returns those after it.
fn export_some<'a>(
    mut command: Command,
    what: &str,
    wanted: &'a [(String, String)],
    into: &Path,
) -> Result<&'a [(String, String)]> {
    let damaged = |why: String| {
        Error::wrong(format!("cannot {what}: {why}")).hint("git fsck, run there, says what is damaged")
    };
    let names: String = wanted.iter().map(|(_, object)| format!("{object}\n")).collect();
    command.stdin(child::letter(names.as_bytes()).map_err(unread(what))?);
    let rest = heard(command, what, |pipe| {
        let mut answers = BufReader::with_capacity(64 << 10, pipe);
        let mut rest = wanted;
        while let Some(((path, object), after)) = rest.split_first() {
            rest = after;
            match content(&mut answers).map_err(unread(what))? {
                Answer::Content(bytes) => export::write(into, path, &bytes)?,
                Answer::TooLarge => break,
                Answer::Missing => {
                    let shown = crate::base::output::inert(path);
                    return Err(damaged(format!("git does not have {shown}, object {object}")));
                }
                Answer::End => return Ok(None),
            }
        }
        Ok(Some(rest))
    })?;
    rest.ok_or_else(|| damaged("git ended before it had answered".to_owned()))
}

enum Answer {
    Content(Vec<u8>),
    /// More than [`FILE_LIMIT`].
    TooLarge,
    Missing,
    /// git has ended before, or within this answer.
    End,
}

/// Reads the answer about one object, `HASH blob SIZE` and its bytes.
fn content(answers: &mut impl BufRead) -> io::Result<Answer> {
    let mut head = String::new();
    answers.read_line(&mut head)?;
    let size = head.trim_end().split_once(" blob ").and_then(|(_, size)| size.parse::<u64>().ok());
    let Some(size) = size else {
        return Ok(if head.ends_with('\n') { Answer::Missing } else { Answer::End });
    };
    if size > FILE_LIMIT {
        return Ok(Answer::TooLarge);
    }
    let mut bytes = Vec::new();
    answers.take(size + 1).read_to_end(&mut bytes)?;
    let whole = bytes.len() as u64 == size + 1;
    bytes.pop();
    Ok(if whole { Answer::Content(bytes) } else { Answer::End })
}

/// Returns the paths that differ between two commits; without `old`, all of `new`; none when `old` is not there.
pub(super) fn changed(
    repository: &Path,
    old: Option<&Revision>,
    new: &Revision,
) -> Result<Option<Vec<String>>> {
    let what = format!("compare revisions of {}", repository.display());
    let base = match old {
        Some(old) => old.to_string(),
        None => empty_tree(repository, &what)?,
    };
    let mut command = git(repository);
    command.args([
        "diff-tree",
        "-r",
        "-z",
        "--name-status",
        "--no-renames",
        "--no-ext-diff",
        "--no-textconv",
    ]);
    command.args([base.as_str(), new.as_str(), "--"]);
    let bytes = match output(command, &what) {
        Ok(bytes) => bytes,
        // A forced push leaves commits behind that are swept away some day.
        Err(_) if old.is_some_and(|old| resolve(repository, old.as_str()).is_err()) => return Ok(None),
        Err(error) => return Err(error),
    };
    let fields: Vec<&[u8]> = bytes.split(|&byte| byte == 0).collect();
    let paths = fields.chunks_exact(2).filter_map(|pair| pair.last());
    Ok(Some(paths.map(|path| String::from_utf8_lossy(path).into_owned()).collect()))
}

/// Returns the hash of the empty tree, which depends on the repository's kind of hash.
fn empty_tree(repository: &Path, what: &str) -> Result<String> {
    let mut command = git(repository);
    command.args(["hash-object", "-t", "tree", "--stdin"]);
    let bytes = output(command, what)?;
    Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
}

/// Returns the last change of each of `dirs` up to `revision`, and after `since`.
pub(super) fn ages(
    repository: &Path,
    since: Option<&Revision>,
    revision: &Revision,
    dirs: &[String],
) -> Result<Ages> {
    let what = format!("find the last commits of {}", repository.display());
    pass(history(repository, since, revision), dirs, &what, |text| line(text).into_iter().collect())
}

/// Returns those of `dirs` whose .SRCINFO is in the last commit up to `revision` that changed it or the PKGBUILD.
pub(super) fn in_step(repository: &Path, revision: &Revision, dirs: &[String]) -> Result<HashSet<String>> {
    let what = format!("find the last commits of {}", repository.display());
    ages::in_step(history(repository, None, revision), dirs, &what, |text| line(text).into_iter().collect())
}

/// Tells whether `old` is among the commits that led to `new`.
pub(super) fn led_to(repository: &Path, old: &Revision, new: &Revision) -> bool {
    let mut command = git(repository);
    command.args(["merge-base", "--is-ancestor", old.as_str(), new.as_str()]);
    output(command, "compare revisions").is_ok()
}

/// Returns the latest commits after `old`, up to `new`, that changed something below `directory`.
pub(super) fn between(
    repository: &Path,
    old: &Revision,
    new: &Revision,
    directory: &str,
) -> Result<Vec<Commit>> {
    let mut command = git_within(repository, between::SECONDS);
    command.args(["-c", "log.showSignature=false", "log", "--no-mailmap", "--no-notes", "--no-ext-diff"]);
    command.arg(format!("--max-count={}", between::MOST)).args(["-z", "--format=%ct %H%n%an%n%s"]);
    command.arg(format!("{old}..{new}")).arg("--").args((!directory.is_empty()).then_some(directory));
    let bytes = output(command, &format!("find what was committed to {}", repository.display()))?;
    let commit = |text: &[u8]| {
        let text = String::from_utf8_lossy(text);
        let mut lines = text.lines();
        let (at, hash) = lines.next()?.split_once(' ')?;
        let (at, by) = (Timestamp::from_second(at.parse().ok()?).ok()?, lines.next()?);
        Some(Commit::new(at, hash, by, lines.next().unwrap_or_default()))
    };
    Ok(bytes.split(|&byte| byte == 0).filter_map(commit).collect())
}

/// As seen from the branch: what a merge brought counts from the merge on.
fn history(repository: &Path, since: Option<&Revision>, revision: &Revision) -> Command {
    let mut command = git(repository);
    // Otherwise the configuration could have it run gpg, or a program that shows differences.
    command.args(["-c", "log.showSignature=false", "-c", "core.quotePath=false", "log", "--no-ext-diff"]);
    command.args(["--no-textconv", "--no-renames", "--no-mailmap", "--no-notes", "--first-parent", "-m"]);
    command.args(["--name-only", "--format=%x00%ct %H %an"]);
    command.arg(revision.as_str()).args(since.map(|since| format!("^{since}")));
    command
}

fn line(text: &str) -> Option<Line> {
    match text.strip_prefix('\0') {
        Some(head) => {
            let mut words = head.splitn(3, ' ');
            let at = Timestamp::from_second(words.next()?.parse().ok()?).ok()?;
            Some(Line::Change(Change::new(at, words.next()?, words.next()?)))
        }
        None => (!text.is_empty()).then(|| Line::Path(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exported(git: &str) -> Error {
        let place = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", git]);
        let wanted =
            [("a/FrugalBuild".to_owned(), "1".to_owned()), ("b/FrugalBuild".to_owned(), "2".to_owned())];
        export_some(command, "read files of /t", &wanted, place.path()).unwrap_err()
    }

    #[test]
    fn that_git_was_killed_while_it_answered_may_pass() {
        let error = exported("read one; printf '%s blob 1\\nx\\n' $one; kill -9 $$");
        assert!(error.may_pass() && error.to_string() == "cannot read files of /t: it was killed", "{error}");
        let short = exported("echo '1 blob 9'; echo 'fatal: Cannot allocate memory' >&2; exit 128");
        assert!(short.may_pass(), "{short}");
    }

    #[test]
    fn an_object_that_git_does_not_have_stays_so() {
        let error = exported("sed 's/$/ missing/'; seq 100000");
        assert!(!error.may_pass(), "{error}");
        assert_eq!(error.to_string(), "cannot read files of /t: git does not have a/FrugalBuild, object 1");
        assert_eq!(
            exported("exit 0").to_string(),
            "cannot read files of /t: git ended before it had answered"
        );
    }

    #[test]
    fn what_looks_like_an_option_is_no_revision() {
        let place = tempfile::tempdir().unwrap();
        for name in ["", "-h", "--all"] {
            let error = resolve(place.path(), name).unwrap_err().to_string();
            assert!(error.ends_with("that is no revision"), "{error}");
        }
    }
}
