//! darcs, asked without its hooks, caches and patch indexes.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::Command;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::ages::{FEW, Line, pass};
use super::command::{limited, limited_output, output};
use super::export::{self, FILE_LIMIT, Selection};
use super::paths::clean;
use crate::base::{Error, Result, durable};
use crate::names::Revision;

const SECONDS: u32 = 600;

fn darcs(repository: &Path, words: &[&str]) -> Command {
    let mut command = limited("darcs", SECONDS);
    command.args(words).args(["--no-cache", "--no-prehook", "--no-posthook", "--repodir"]).arg(repository);
    command
}

fn log(repository: &Path, more: &[&str], what: &str) -> Result<String> {
    // A patch index would be written into the repository, which may be somebody else's.
    let mut command = darcs(repository, &["log", "--xml-output", "--no-patch-index"]);
    command.args(more);
    Ok(String::from_utf8_lossy(&output(command, what)?).into_owned())
}

/// Returns the value of an attribute of the first patch. Searched from the right: the author stands before.
fn attribute<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let line = xml.lines().find(|line| line.trim_start().starts_with("<patch "))?;
    let (_, after) = line.rsplit_once(&format!(" {name}='"))?;
    after.split('\'').next()
}

/// Returns the last patch.
pub(super) fn tip(repository: &Path) -> Result<Revision> {
    let what = format!("find the last patch of {}", repository.display());
    let xml = log(repository, &["--last=1"], &what)?;
    attribute(&xml, "hash").ok_or_else(|| Error::wrong(format!("cannot {what}: it has none")))?.parse()
}

/// Returns the patch with the whole hash `hash`.
pub(super) fn resolve(repository: &Path, hash: &str) -> Result<Revision> {
    let what = format!("find the patch \"{}\" in {}", crate::base::output::inert(hash), repository.display());
    let revision = hash.parse::<Revision>().ok().filter(|revision| revision.as_str().len() == 40);
    let revision = revision
        .ok_or_else(|| Error::wrong(format!("cannot {what}: a darcs revision is a hash of 40 digits")))?;
    let xml = log(repository, &["--max-count=1", "--match", &format!("hash {revision}")], &what)?;
    if attribute(&xml, "hash") == Some(revision.as_str()) {
        return Ok(revision);
    }
    Err(Error::wrong(format!("cannot {what}: there is none")))
}

/// Returns all paths as of the patch `revision`.
pub(super) fn list(repository: &Path, revision: &Revision) -> Result<Vec<String>> {
    match at_tip(repository, revision, || show_files(repository, None))? {
        Some(paths) => Ok(paths),
        None => show_files(repository, Some(revision)),
    }
}

/// Returns what `ask` does if `revision` is the last patch before and after: then darcs can be asked without
/// saying which, and answers at once. With `--match` it puts together the whole tree for each file it shows.
fn at_tip<T>(repository: &Path, revision: &Revision, ask: impl FnOnce() -> Result<T>) -> Result<Option<T>> {
    if tip(repository)? != *revision {
        return Ok(None);
    }
    let answer = ask()?;
    Ok((tip(repository)? == *revision).then_some(answer))
}

/// Returns the hash of everything that is recorded, if `revision` is the last patch. The patch alone would not do:
/// one below it may be amended or gone.
pub(super) fn state(repository: &Path, revision: &Revision) -> Result<Option<String>> {
    let inventory = repository.join("_darcs/hashed_inventory");
    let pristine = || {
        let (mut head, file) = (String::new(), durable::open_regular(&inventory).ok()?);
        BufReader::new(file.take(200)).read_line(&mut head).ok()?;
        Some(format!("{revision} {}", head.strip_prefix("pristine:")?.trim_end()))
    };
    Ok(at_tip(repository, revision, || Ok(pristine()))?.flatten())
}

/// Returns all paths with the hashes of their contents, if `revision` is the last patch.
pub(super) fn contents(repository: &Path, revision: &Revision) -> Result<Option<Vec<(String, String)>>> {
    let what = format!("list the files of {}", repository.display());
    let bytes =
        at_tip(repository, revision, || output(darcs(repository, &["show", "pristine", "--null"]), &what))?;
    let file = |line: &[u8]| {
        let (hash, path) = std::str::from_utf8(line).ok()?.split_once(' ')?;
        let path = clean(path).filter(|_| !path.ends_with('/'))?;
        Some((path.to_owned(), hash.to_owned()))
    };
    Ok(bytes.map(|bytes| bytes.split(|&byte| byte == 0).filter_map(file).collect()))
}

fn show_files(repository: &Path, revision: Option<&Revision>) -> Result<Vec<String>> {
    let mut command = darcs(repository, &["show", "files", "--no-pending", "--no-directories", "--null"]);
    if let Some(revision) = revision {
        command.args(["--match", &format!("hash {revision}")]);
    }
    let bytes = output(command, &format!("list the files of {}", repository.display()))?;
    let paths = bytes.split(|&byte| byte == 0).filter_map(|path| std::str::from_utf8(path).ok());
    Ok(paths.filter_map(clean).map(str::to_owned).collect())
}

/// Writes the selected files as of the patch `revision` into `into`: file by file when directories of the last
/// patch are listed, else as a lazy clone. The repository's working directory is not used: a push may be changing
/// it, or there is none.
pub(super) fn export(
    repository: &Path,
    revision: &Revision,
    selection: &Selection<'_>,
    into: &Path,
) -> Result<()> {
    if selection.listed().is_some() {
        if at_tip(repository, revision, || show(repository, selection, into))?.is_some() {
            return Ok(());
        }
        let _ = std::fs::remove_dir_all(into);
    }
    clone(repository, revision, into)
}

fn show(repository: &Path, selection: &Selection<'_>, into: &Path) -> Result<()> {
    export::make_root(into)?;
    for path in show_files(repository, None)?.iter().filter(|path| selection.takes(path)) {
        let mut command = darcs(repository, &["show", "contents"]);
        command.arg(format!("./{path}"));
        let what = format!("read {path} in {}", repository.display());
        if let Some(bytes) = limited_output(command, FILE_LIMIT, &what)? {
            export::write(into, path, &bytes)?;
        }
    }
    Ok(())
}

fn clone(repository: &Path, revision: &Revision, into: &Path) -> Result<()> {
    let mut command = limited("darcs", SECONDS);
    command.args(["clone", "--quiet", "--lazy", "--no-cache", "--no-patch-index", "--no-set-default"]);
    command.args(["--no-prehook", "--no-posthook", "--umask=022", "--to-hash", revision.as_str()]);
    command.arg(repository).arg(into);
    output(command, &format!("read {revision} of {}", repository.display())).map(drop)
}

/// Returns when each of `dirs` was last changed by a patch.
pub(super) fn commit_times(repository: &Path, dirs: &[String]) -> Result<HashMap<String, Timestamp>> {
    let what = format!("find the last patches of {}", repository.display());
    if dirs.len() > FEW {
        let history = darcs(repository, &["log", "--xml-output", "--no-patch-index", "--summary"]);
        return pass(history, dirs, &what, line);
    }
    let mut times = HashMap::new();
    for dir in dirs {
        let xml = log(repository, &["--max-count=1", &format!("./{dir}")], &what)?;
        times.extend(attribute(&xml, "date").and_then(time_of).map(|time| (dir.clone(), time)));
    }
    Ok(times)
}

/// What an author writes in a name or comment might look like a path; it could make a directory look younger than
/// it is, no more.
fn line(text: &str) -> Option<Line<'_>> {
    let text = text.trim_start();
    if text.starts_with("<patch ") {
        return attribute(text, "date").and_then(time_of).map(Line::Time);
    }
    let path = text.split('<').next().unwrap_or_default().trim_end();
    Some(if path.is_empty() { Line::Other } else { Line::Path(path.strip_prefix("./").unwrap_or(path)) })
}

fn time_of(date: &str) -> Option<Timestamp> {
    let second = DateTime::strptime("%Y%m%d%H%M%S", date).ok()?;
    Some(second.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_author_cannot_pass_for_a_hash() {
        let xml = "<changelog>\n<patch author='x hash='0000' date='19990101000000'' date='20261122150852' local_date='x' inverted='False' hash='95957f'>\n";
        assert_eq!(attribute(xml, "hash"), Some("95957f"));
        assert_eq!(attribute(xml, "date").and_then(time_of), "2026-11-22T15:08:52Z".parse().ok());
    }
}
