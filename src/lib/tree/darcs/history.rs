//! What `darcs log` says of a repository's history: read as it comes, of a shape that no author can forge.

use std::collections::HashSet;
use std::path::Path;
use std::process::Command;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::super::ages::{self, Ages, Change, Line, pass};
use super::super::between::{self, Commit};
use super::super::command::output;
use super::{attribute, darcs, darcs_within, has};
use crate::base::Result;
use crate::names::Revision;

/// Returns the last change of each of `dirs` by a patch, by those after `since` when that is given.
pub(in super::super) fn ages(repository: &Path, since: Option<&Revision>, dirs: &[String]) -> Result<Ages> {
    let what = format!("find the last patches of {}", repository.display());
    let mut history = History { until: since.cloned(), ..History::default() };
    pass(summaries(repository, since), dirs, &what, |text| history.read(text))
}

/// Returns those of `dirs` whose .SRCINFO is in the last patch up to `revision` that changed it or the PKGBUILD.
pub(in super::super) fn in_step(
    repository: &Path,
    revision: &Revision,
    dirs: &[String],
) -> Result<HashSet<String>> {
    let what = format!("find the last patches of {}", repository.display());
    let mut history = History::default();
    let mut command = summaries(repository, None);
    command.args(["--to-hash", revision.as_str()]);
    ages::in_step(command, dirs, &what, |text| history.read(text))
}

/// Returns the paths that the patches after `old` changed; none when `old` is not there (any more).
pub(in super::super) fn changed(repository: &Path, old: &Revision) -> Result<Option<Vec<String>>> {
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
pub(in super::super) fn between(
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
}
