//! darcs, asked without its hooks, caches and patch indexes.

use std::collections::HashSet;
use std::path::Path;
use std::process::Command;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::ages::{self, Ages, Change, Line, pass};
use super::between::{self, Commit};
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

/// Returns the last change of each of `dirs` by a patch, by those after `since` when that is given.
pub(super) fn ages(repository: &Path, since: Option<&Revision>, dirs: &[String]) -> Result<Ages> {
    let what = format!("find the last patches of {}", repository.display());
    let mut history = History { until: since.cloned(), ..History::default() };
    pass(summaries(repository, since), dirs, &what, |text| history.read(text))
}

/// Returns those of `dirs` whose .SRCINFO is in the last patch up to `revision` that changed it or the PKGBUILD.
pub(super) fn in_step(repository: &Path, revision: &Revision, dirs: &[String]) -> Result<HashSet<String>> {
    let what = format!("find the last patches of {}", repository.display());
    let mut history = History::default();
    let mut command = summaries(repository, None);
    command.args(["--to-hash", revision.as_str()]);
    ages::in_step(command, dirs, &what, |text| history.read(text))
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

/// Returns the paths that the patches after `old` changed; none when `old` is not there (any more).
pub(super) fn changed(repository: &Path, old: &Revision) -> Result<Option<Vec<String>>> {
    let what = format!("find the patches after {old} in {}", repository.display());
    let bytes = match output(summaries(repository, Some(old)), &what) {
        Ok(bytes) => bytes,
        Err(_) if !has(repository, old) => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut history = History { until: Some(old.clone()), ..History::default() };
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<Line> = text.lines().flat_map(|text| history.read(text)).collect();
    let paths = lines.into_iter().filter_map(|line| match line {
        Line::Path(path) => Some(path),
        Line::Change(_) => None,
    });
    Ok(history.ended.then(|| paths.collect()))
}

/// Returns the latest patches after `old`, up to `new`, that changed something below `directory`.
pub(super) fn between(
    repository: &Path,
    old: &Revision,
    new: &Revision,
    directory: &str,
) -> Result<Vec<Commit>> {
    let mut command =
        darcs_within(repository, between::SECONDS, &["log", "--xml-output", "--no-patch-index"]);
    command.args(["--from-hash", old.as_str(), "--to-hash", new.as_str()]);
    // One more than are told: `old` may be among them.
    command.arg(format!("--max-count={}", between::MOST + 1));
    command.args((!directory.is_empty()).then(|| format!("./{directory}")));
    let bytes = output(command, &format!("find what was recorded in {}", repository.display()))?;
    let (mut commits, mut patch) = (Vec::new(), None);
    for line in String::from_utf8_lossy(&bytes).lines() {
        if line.starts_with("<patch ") {
            patch = change(line);
        } else if let Some(name) = line.trim().strip_prefix("<name>")
            && let Some(Change { at, commit, by }) = patch.take().filter(|patch| patch.commit != old.as_str())
        {
            // Only darcs begins an element, see History.
            let name = unescaped(name.split('<').next().unwrap_or_default());
            commits.push(Commit::new(at, &commit, &by, &name));
        }
    }
    commits.truncate(between::MOST);
    Ok(commits)
}

/// The patches with the files they change, latest first, down to `since` itself.
fn summaries(repository: &Path, since: Option<&Revision>) -> Command {
    let mut command = darcs(repository, &["log", "--xml-output", "--no-patch-index", "--summary"]);
    if let Some(since) = since {
        command.args(["--from-hash", since.as_str()]);
    }
    command
}

/// Where in `darcs log --xml-output --summary` a reader is. What an author writes has its `<` escaped, so that
/// only darcs begins an element; what stands for a patch in another's list of dependencies is indented.
#[derive(Default)]
struct History {
    until: Option<Revision>,
    ended: bool,
    summary: bool,
}

impl History {
    fn read(&mut self, text: &str) -> Vec<Line> {
        if text.starts_with("<patch ") {
            self.ended |=
                self.until.as_ref().is_some_and(|until| attribute(text, "hash") == Some(until.as_str()));
            return change(text).filter(|_| !self.ended).map(Line::Change).into_iter().collect();
        }
        let text = text.trim();
        if matches!(text, "<summary>" | "</summary>") {
            self.summary = text == "<summary>";
        }
        if self.summary && !self.ended { paths(text) } else { Vec::new() }
    }
}

fn change(patch: &str) -> Option<Change> {
    let by = patch.strip_prefix("<patch author='")?.split('\'').next().unwrap_or_default();
    Some(Change::new(time_of(attribute(patch, "date")?)?, attribute(patch, "hash")?, &unescaped(by)))
}

/// Returns the paths in a line of a summary: one before an element or alone, two of a move.
fn paths(text: &str) -> Vec<Line> {
    let moved = text.strip_prefix("<move from=\"").and_then(|rest| rest.strip_suffix("\"/>"));
    let named: Vec<&str> = match moved {
        Some(names) => names.split("\" to=\"").collect(),
        None => text.split('<').next().into_iter().collect(),
    };
    let named = named.into_iter().map(|path| unescaped(path.trim())).filter(|path| !path.is_empty());
    named.map(|path| Line::Path(path.strip_prefix("./").unwrap_or(&path).to_owned())).collect()
}

fn unescaped(text: &str) -> String {
    let quotes = text.replace("&quot;", "\"").replace("&apos;", "'");
    quotes.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
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

    /// As darcs 2.16 prints it; the names are ours.
    const LOG: &str = "<changelog>
<patch author='x' date='20261122000003' local_date='x' inverted='False' hash='cc'>
    <name>TAG 1</name>
    <explicit_dependencies>
        <patch author='x' date='20261122000001' local_date='x' inverted='False' hash='aaaa'>
            <name>old</name>
        </patch>
    </explicit_dependencies>
    <summary>
    </summary>
</patch>
<patch author='O&apos;B &lt;o@b&gt;' date='20261122000002' local_date='x' inverted='False' hash='bb'>
    <name>new</name>
    <comment>what an author says
    no/path
&lt;summary&gt;</comment>
    <summary>
    <move from=\"a1\" to=\"b1\"/>
    <modify_file>
    a&amp;b/PKGBUILD<added_lines num='1'/>
    </modify_file>
    </summary>
</patch>
<patch author='x' date='20261122000001' local_date='x' inverted='False' hash='aaaa'>
    <name>old</name>
    <summary>
    <add_file>
    seen/before
    </add_file>
    </summary>
</patch>
</changelog>
";

    #[test]
    fn only_the_summaries_of_patches_after_the_one_seen_last_name_paths() {
        let mut history = History { until: "aaaa".parse().ok(), ..History::default() };
        let mut said = Vec::new();
        for line in LOG.lines().flat_map(|text| history.read(text)) {
            said.push(match line {
                Line::Change(change) => format!("{} {}", change.commit, change.by),
                Line::Path(path) => path,
            });
        }
        assert_eq!(said, ["cc x", "bb O'B <o@b>", "a1", "b1", "a&b/PKGBUILD"]);
        assert!(history.ended, "a patch that a tag names is not yet that patch");
    }

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
        }
    }
}
