//! darcs, asked without its hooks, caches and patch indexes.

mod history;

use std::path::Path;
use std::process::Command;

pub(super) use self::history::{ages, between, changed, in_step};
use super::command::{limited, limited_output, output};
use super::export::{self, FILE_LIMIT, Selection};
use super::inventory::Inventory;
use super::paths::clean;
use super::pristine::Pristine;
use crate::base::{Error, Result};
use crate::names::Revision;

const SECONDS: u32 = 600;

fn darcs(repository: &Path, words: &[&str]) -> Command {
    darcs_within(repository, SECONDS, words)
}

fn darcs_within(repository: &Path, seconds: u32, words: &[&str]) -> Command {
    let mut command = limited("darcs", seconds);
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
    match Inventory::read(repository) {
        Some(inventory) => Ok(inventory.tip),
        None => tip_asked_for(repository),
    }
}

fn tip_asked_for(repository: &Path) -> Result<Revision> {
    let what = format!("find the last patch of {}", repository.display());
    let xml = log(repository, &["--last=1"], &what)?;
    attribute(&xml, "hash").ok_or_else(|| Error::wrong(format!("cannot {what}: it has none")))?.parse()
}

/// Returns the patch with the whole hash `hash`.
pub(super) fn resolve(repository: &Path, hash: &str) -> Result<Revision> {
    if let Some(inventory) = Inventory::read(repository).filter(|inventory| inventory.tip.as_str() == hash) {
        return Ok(inventory.tip);
    }
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

/// Returns all paths as of the patch `revision`, or those of `among` that are there.
pub(super) fn list(repository: &Path, revision: &Revision, among: Option<&[String]>) -> Result<Vec<String>> {
    if let Some(files) = kept(repository, revision, |pristine| some_of(pristine, among)) {
        return Ok(files.into_iter().map(|(path, _)| path).collect());
    }
    match at_tip(repository, revision, || show_files(repository, None))? {
        Some(paths) => Ok(paths),
        None => show_files(repository, Some(revision)),
    }
}

/// Returns the files in `dirs`, or all, each once.
fn some_of(pristine: &Pristine, dirs: Option<&[String]>) -> Result<Vec<(String, String)>> {
    let Some(dirs) = dirs else { return pristine.below("") };
    let found: Result<Vec<_>> = dirs.iter().map(|dir| pristine.below(dir)).collect();
    let mut found = found?.concat();
    // Of two directories one may be in the other.
    found.sort();
    found.dedup();
    Ok(found)
}

/// Returns what `read` finds in what darcs keeps, if `revision` is the last patch and darcs keeps it as we know it.
/// What is kept is named by its content: a push meanwhile changes nothing of it.
fn kept<T>(repository: &Path, revision: &Revision, read: impl FnOnce(&Pristine) -> Result<T>) -> Option<T> {
    let inventory = Inventory::read(repository).filter(|inventory| inventory.tip == *revision)?;
    read(&Pristine::new(repository, &inventory.root)).ok()
}

/// Returns what `ask` does if `revision` is the last patch before and after: then darcs can be asked without saying
/// which, and answers at once. With `--match` it puts together the whole tree for each file it shows.
fn at_tip<T>(repository: &Path, revision: &Revision, ask: impl FnOnce() -> Result<T>) -> Result<Option<T>> {
    if tip_asked_for(repository)? != *revision {
        return Ok(None);
    }
    let answer = ask()?;
    Ok((tip_asked_for(repository)? == *revision).then_some(answer))
}

/// Returns the patch and the hash of everything that is recorded, if `revision` is the last patch. The patch alone would
/// not do: one below it may be amended or gone.
pub(super) fn state(repository: &Path, revision: &Revision) -> Option<String> {
    let inventory = Inventory::read(repository).filter(|inventory| inventory.tip == *revision)?;
    Some(format!("{} {}", inventory.tip, inventory.root))
}

/// Returns the paths in the directories `dirs`, or all, with the hashes of their contents, if `revision` is the last
/// patch.
pub(super) fn contents(
    repository: &Path,
    revision: &Revision,
    dirs: Option<&[String]>,
) -> Option<Vec<(String, String)>> {
    kept(repository, revision, |pristine| some_of(pristine, dirs))
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

/// Writes the selected files as of the patch `revision` into `into`: from what darcs keeps of its last patch, else
/// file by file when directories are listed, else as a lazy clone. The repository's working directory is not used: a
/// push may be changing it, or there is none.
pub(super) fn export(
    repository: &Path,
    revision: &Revision,
    selection: &Selection<'_>,
    into: &Path,
) -> Result<()> {
    if kept(repository, revision, |pristine| unpack(pristine, selection, into)).is_some() {
        return Ok(());
    }
    // Darcs may keep its files otherwise some day; it is asked for them then.
    let _ = std::fs::remove_dir_all(into);
    if selection.listed().is_some() {
        if at_tip(repository, revision, || show(repository, selection, into))?.is_some() {
            return Ok(());
        }
        let _ = std::fs::remove_dir_all(into);
    }
    clone(repository, revision, into)
}

fn unpack(pristine: &Pristine, selection: &Selection<'_>, into: &Path) -> Result<()> {
    let mut files = some_of(pristine, selection.listed().as_deref())?;
    files.retain(|(path, _)| selection.takes(path));
    export::make_root(into)?;
    for (path, hash) in &files {
        if let Some(bytes) = pristine.content(hash)? {
            export::write(into, path, &bytes)?;
        }
    }
    Ok(())
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

/// Tells whether the patch `old` is (still) there.
pub(super) fn has(repository: &Path, old: &Revision) -> bool {
    resolve(repository, old.as_str()).is_ok()
}

/// Returns the paths in which the patch `new` differs from what was recorded when [`state`] said `old`; none when
/// darcs does not keep that any more.
pub(super) fn differences(repository: &Path, old: &str, new: &Revision) -> Option<Vec<String>> {
    let (_, root) = old.split_once(' ')?;
    kept(repository, new, |pristine| pristine.changed(root))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(dir: &Path, words: &[&str]) {
        let mut command = Command::new("darcs");
        let output =
            command.args(words).current_dir(dir).env("HOME", dir).env("LC_ALL", "C.UTF-8").output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    #[test]
    fn what_is_read_without_darcs_is_what_darcs_says() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path();
        std::fs::write(path.join("words"), "ü is\n\n[a name]\nx**20200101000000] \nhash: 0\n").unwrap();
        let repository = path.join("repository");
        run(path, &["init", "-q", "repository"]);
        let record = ["record", "-qla", "--ignore-times", "-A", "[ä <a@b>"];
        let acts: [&[&str]; 5] = [
            &[&record[..], &["-m", "one"]].concat(),
            &[&record[..], &["--logfile", "../words"]].concat(),
            &["tag", "-q", "-A", "x", "a tag"],
            &["mv", "-q", "a\\ b", "moved"],
            &[&record[..], &["-m", "last"]].concat(),
        ];
        let mut seen: Revision = "0".repeat(40).parse().unwrap();
        for (round, act) in acts.iter().enumerate() {
            for name in ["a\\ b/é/f g", "c/\u{a0}", &format!("d{round}")] {
                let file = repository.join(name);
                std::fs::create_dir_all(file.parent().unwrap()).unwrap();
                std::fs::write(file, round.to_string()).unwrap();
            }
            run(&repository, act);
            let Some(inventory) = Inventory::read(&repository) else { panic!("{act:?}") };
            assert_eq!(inventory.tip, tip_asked_for(&repository).unwrap(), "{act:?}");
            let files = list(&repository, &inventory.tip, None).unwrap();
            let mut said = show_files(&repository, None).unwrap();
            said.sort();
            assert_eq!(files, said, "{act:?}");
            assert!(state(&repository, &inventory.tip).is_some(), "{act:?}");
            let older = std::mem::replace(&mut seen, inventory.tip.clone());
            assert!(older == inventory.tip || state(&repository, &older).is_none(), "{act:?}");
        }
    }
}
