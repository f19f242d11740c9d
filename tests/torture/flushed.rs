//! No answer before its names are on the disk: the calls of a program, in their order, tell what a power cut at the
//! moment of the answer could still take back. Quick, and on any file system; the power cuts themselves are elsewhere.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::acts::{ALL, Act};
use crate::measure::Measure;
use crate::stage::Stage;
use crate::tally::tally;
use crate::traced;

/// Where nothing has to last: what is being written, and what can be made again.
const PASSING: [&str; 4] = ["tmp", "cache", "live", "lock"];

/// Two places that mean the same: a move between them may be taken back.
const ALIKE: [&str; 2] = ["new", "park"];

/// What is not on the disk yet.
#[derive(Default)]
struct Pending {
    spool: PathBuf,
    /// Files that were made and not flushed.
    data: BTreeSet<PathBuf>,
    /// Directories in which a name changed.
    names: BTreeSet<PathBuf>,
    moves: usize,
    wrong: Vec<String>,
}

impl Pending {
    fn place(&self, path: &Path) -> Option<String> {
        let inside = path.strip_prefix(&self.spool).ok()?;
        Some(inside.components().next()?.as_os_str().to_str()?.to_owned())
    }

    fn lasts(&self, path: &Path) -> bool {
        self.place(path).is_some_and(|place| !PASSING.contains(&place.as_str()))
    }

    fn see(&mut self, text: &str) {
        let name = text.split('(').next().unwrap_or_default();
        if text.contains(") = -1 ") || text.ends_with("<unfinished ...>") {
            return;
        }
        let quoted: Vec<PathBuf> = text.split('"').skip(1).step_by(2).map(PathBuf::from).collect();
        let opened = text.split_once('<').and_then(|(_, rest)| rest.split_once(">)"));
        match (name, quoted.as_slice()) {
            ("open" | "openat", [path, ..]) if text.contains("O_CREAT") => {
                self.data.insert(path.clone());
            }
            ("mkdir" | "mkdirat", [path, ..]) if self.lasts(path) => self.changed(path),
            ("renameat2", [from, to, ..]) => self.moved(from, to),
            ("fsync", _) => {
                if let Some((path, _)) = opened {
                    self.names.remove(Path::new(path));
                    self.data.remove(Path::new(path));
                }
            }
            ("syncfs", _) => {
                self.names.clear();
                self.data.clear();
            }
            ("write", _) if text.starts_with("write(1<") => self.answered(),
            ("exit_group", _) => self.answered(),
            _other => {}
        }
    }

    fn changed(&mut self, path: &Path) {
        self.names.extend(path.parent().map(Path::to_owned));
    }

    fn moved(&mut self, from: &Path, to: &Path) {
        let alike = |path: &Path| self.place(path).is_some_and(|place| ALIKE.contains(&place.as_str()));
        if !self.lasts(to) || (alike(from) && alike(to)) {
            return;
        }
        self.moves += 1;
        if self.data.contains(from) {
            self.wrong.push(format!("{} has its name before its data", to.display()));
        }
        self.changed(to);
        if self.lasts(from) {
            self.changed(from);
        }
    }

    fn answered(&mut self) {
        for name in std::mem::take(&mut self.names) {
            self.wrong.push(format!("answered before the names in {} were on the disk", name.display()));
        }
    }
}

fn act(act: &Act) -> (usize, Vec<String>) {
    let stage = Stage::new();
    let measure = Measure::of(&stage, act);
    stage.put_back();
    let (trace, _) = traced::trace(&stage, &measure.line, act.input);
    let mut pending = Pending { spool: stage.at("spool"), ..Pending::default() };
    trace.texts().for_each(|text| pending.see(text));
    (pending.moves, pending.wrong.into_iter().map(|why| format!("{}: {why}", act.name)).collect())
}

#[test]
fn nobody_is_answered_before_the_names_are_on_the_disk() {
    if traced::ready("flushed") {
        tally("flushed", &ALL, 30, act);
    }
}

#[test]
fn a_program_that_answers_too_early_is_found() {
    let early = [
        "open(\"/s/tmp/x\", O_WRONLY|O_CREAT, 0644) = 3",
        "renameat2(AT_FDCWD, \"/s/tmp/x\", AT_FDCWD, \"/s/new/x\", RENAME_NOREPLACE) = 0",
        "exit_group(0) = ?",
    ];
    let right = [early[0], "fsync(3</s/tmp/x>) = 0", early[1], "fsync(3</s/new>) = 0", early[2]];
    let wrong = |calls: &[&str]| {
        let mut pending = Pending { spool: "/s".into(), ..Pending::default() };
        calls.iter().for_each(|call| pending.see(call));
        pending.wrong.len()
    };
    assert_eq!((wrong(&early), wrong(&right)), (2, 0));
}
