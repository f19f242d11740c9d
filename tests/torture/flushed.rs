//! No answer before its names are on the disk: the order of a program's renames, flushes and answers, as strace
//! saw them. It holds on any file system, also on one that happens to keep what nobody flushed.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::acts::{ALL, Act};
use crate::stage::{Stage, program, say};
use crate::steps::{Step, both_wait, follow, follow_all, is_draft, is_ours, kept, namings, parent, place};
use crate::traced;

/// The acts that are followed; the others change only what can be derived again, or run programs that are not ours.
const FOLLOWED: [&str; 14] = [
    "init",
    "enqueue",
    "enqueue of a batch",
    "claim",
    "claim of several",
    "report built",
    "report failed",
    "report trouble",
    "late report",
    "abort",
    "abort of a building one",
    "builder pauses",
    "builder releases",
    "builder resumes",
];

/// Those whose repeat rests on a ticket that it finds.
const FINDING: [&str; 6] = ["enqueue", "claim", "report built", "report failed", "report trouble", "abort"];

/// What a power cut would take back at some moment.
#[derive(Default)]
struct Disk {
    bytes: BTreeSet<PathBuf>,
    names: BTreeSet<PathBuf>,
    moved: BTreeSet<PathBuf>,
    wrong: Vec<String>,
}

impl Disk {
    fn see(&mut self, step: &Step) {
        let Step { name, paths, text } = step;
        match (name.as_str(), paths.as_slice()) {
            ("fsync" | "fdatasync", [path, ..]) => self.flush(path),
            ("syncfs", _) => self.flush_all(),
            ("write", _) if text.starts_with("write(1<") => self.answer(text),
            ("exit_group", _) => self.answer(text),
            ("write" | "pwrite64", [path, ..]) | ("copy_file_range" | "sendfile", [.., path]) => {
                self.bytes.extend(is_ours(path).then(|| path.clone()));
            }
            ("renameat2", [from, to]) => self.rename(from, to, text),
            ("link" | "linkat", [of, name]) => self.link(of, name, text),
            ("mkdir" | "mkdirat", [path]) => self.names.extend([parent(path)]),
            ("unlink" | "unlinkat", [path]) if kept(path) && !is_draft(path) => {
                self.names.extend([parent(path)]);
            }
            _other => {}
        }
    }

    fn flush(&mut self, path: &Path) {
        for set in [&mut self.bytes, &mut self.names, &mut self.moved] {
            set.remove(path);
        }
    }

    fn flush_all(&mut self) {
        [&mut self.bytes, &mut self.names, &mut self.moved].into_iter().for_each(BTreeSet::clear);
    }

    fn link(&mut self, of: &Path, name: &Path, text: &str) {
        if kept(name) && self.bytes.contains(of) {
            self.wrong.push(format!("name before data: {text}"));
        }
        self.names.extend(kept(name).then(|| parent(name)));
    }

    fn rename(&mut self, from: &Path, to: &Path, text: &str) {
        if !text.contains("RENAME_NOREPLACE") {
            self.wrong.push(format!("would overwrite: {text}"));
        }
        if self.bytes.contains(from) {
            self.wrong.push(format!("name before data: {text}"));
        }
        if !kept(to) {
            return;
        }
        if !is_draft(from) {
            self.moved.insert(to.to_owned());
        }
        if both_wait(from, to) {
            return;
        }
        self.names.insert(parent(to));
        self.names.extend((!is_draft(from)).then(|| parent(from)));
    }

    fn answer(&mut self, text: &str) {
        let sets =
            [("the names in", &self.names), ("the bytes of", &self.bytes), ("the move to", &self.moved)];
        for (what, set) in sets {
            for path in set.iter().filter(|path| kept(path) && !is_draft(path)) {
                self.wrong.push(format!("answered before {what} {}: {text}", path.display()));
            }
        }
    }
}

/// Whether a name and its bytes were flushed before the answer, or before what is told.
fn is_flushed(steps: &[Step], path: &Path) -> bool {
    let flushed = |path: &Path| {
        steps.iter().any(|step| step.name == "fsync" && step.paths.first().is_some_and(|p| p == path))
    };
    flushed(path) && flushed(&parent(path))
}

fn acts(names: &'static [&'static str]) -> impl Iterator<Item = Act> {
    ALL.into_iter().filter(move |act| names.contains(&act.name))
}

#[test]
fn no_answer_comes_before_its_names_are_on_the_disk() {
    if !traced::ready("flushed") {
        return;
    }
    let mut renamed = 0;
    for act in acts(&FOLLOWED) {
        let stage = Stage::new();
        let line = (act.prepare)(&stage);
        let steps = follow(&stage, &line, act.input);
        let mut disk = Disk::default();
        steps.iter().for_each(|step| disk.see(step));
        assert!(disk.wrong.is_empty(), "{}:\n{}", act.name, disk.wrong.join("\n"));
        renamed += namings(&steps).len();
    }
    say(&format!("flushed: {renamed} names in {} acts", FOLLOWED.len()));
    assert!(renamed > 20, "only {renamed} names");
}

#[test]
fn several_new_tickets_are_on_the_disk_before_the_answer_though_nothing_else_is_flushed() {
    if !traced::ready("flushed at once") {
        return;
    }
    let stage = Stage::new();
    stage.ok("syncpkg-init");
    let steps = follow(&stage, "syncpkg-enqueue gcc make doc", "");
    let mut disk = Disk::default();
    steps.iter().for_each(|step| disk.see(step));
    assert!(disk.wrong.is_empty(), "{}", disk.wrong.join("\n"));
    assert_eq!(namings(&steps).len(), 3);
}

#[test]
fn an_answer_that_rests_on_a_ticket_found_flushes_it_first() {
    if !traced::ready("flushed again") {
        return;
    }
    for act in acts(&FINDING) {
        let stage = Stage::new();
        let line = (act.prepare)(&stage);
        let (_, ticket) = namings(&follow(&stage, &line, act.input)).pop().unwrap();
        let again = follow(&stage, &line, act.input);
        assert!(is_flushed(&again, &ticket), "{}: {} was found, not flushed", act.name, ticket.display());
    }
}

#[test]
fn what_an_interrupted_report_had_put_is_flushed_by_its_repeat() {
    if !traced::ready("flushed after a kill") {
        return;
    }
    for act in acts(&["report built"]) {
        let stage = Stage::new();
        let line = (act.prepare)(&stage);
        stage.save();
        let mut made = namings(&follow(&stage, &line, act.input));
        stage.put_back();
        let (trace, _) = traced::trace(&stage, &line, act.input);
        let last = trace.changing().into_iter().filter(|call| call.name == "renameat2").max().unwrap();
        stage.put_back();
        trace.inject(&stage, &last, "signal=KILL", false, &line, act.input);
        made.pop();
        let again = follow(&stage, &line, act.input);
        for (_, path) in made {
            assert!(is_flushed(&again, &path), "{} was found, not flushed", path.display());
        }
    }
}

#[test]
fn a_log_that_was_packed_meanwhile_is_flushed_by_the_repeat_of_its_report() {
    if !traced::ready("flushed when packed") {
        return;
    }
    for act in acts(&["report built"]) {
        let stage = Stage::new();
        let line = (act.prepare)(&stage);
        stage.save();
        let made = namings(&follow(&stage, &line, act.input));
        let (_, log) = made.iter().find(|(_, to)| place(to).as_deref() == Some("log")).unwrap();
        stage.put_back();
        let (trace, _) = traced::trace(&stage, &line, act.input);
        let last = trace.changing().into_iter().filter(|call| call.name == "renameat2").max().unwrap();
        stage.put_back();
        trace.inject(&stage, &last, "signal=KILL", false, &line, act.input);
        let packed = packed(log);
        fs::write(&packed, "").unwrap();
        fs::remove_file(log).unwrap();
        let again = follow(&stage, &line, act.input);
        assert!(is_flushed(&again, &packed), "{} was found, not flushed", packed.display());
    }
}

#[test]
fn a_packed_log_is_flushed_before_the_plain_one_goes_also_one_that_was_found() {
    if !traced::ready("flushed before the plain one goes") {
        return;
    }
    for act in acts(&["logs are packed"]) {
        let stage = Stage::new();
        let line = (act.prepare)(&stage);
        let logs = || walkdir::WalkDir::new(stage.at("spool/log")).into_iter().flatten();
        let plain = logs().find(|entry| entry.path().extension().is_some_and(|end| end == "log")).unwrap();
        let (plain, bytes) = (plain.path().to_owned(), fs::read(plain.path()).unwrap());
        for what in ["made", "found"] {
            fs::write(&plain, &bytes).unwrap();
            let steps = follow(&stage, &line, act.input);
            let gone =
                steps.iter().position(|step| step.name.starts_with("unlink") && step.paths[0] == plain);
            let before = &steps[..gone.unwrap()];
            // What is made gets its name after its bytes were flushed under another.
            let flushed = what == "made" || is_flushed(before, &packed(&plain));
            assert!(flushed, "{} was {what}, not flushed", packed(&plain).display());
        }
    }
}

fn packed(log: &Path) -> PathBuf {
    PathBuf::from(format!("{}.gz", log.display()))
}

#[test]
fn of_a_ticket_that_has_two_names_the_later_is_flushed_before_the_other_goes() {
    if !traced::ready("flushed twice") {
        return;
    }
    for act in acts(&["report built", "report failed"]) {
        let stage = Stage::new();
        let line = (act.prepare)(&stage);
        let (from, to) = namings(&follow(&stage, &line, act.input)).pop().unwrap();
        fs::hard_link(&to, &from).unwrap();
        let again = follow(&stage, &line, act.input);
        let gone = again.iter().position(|step| step.name.starts_with("unlink") && step.paths[0] == from);
        let before = &again[..gone.unwrap()];
        assert!(is_flushed(before, &to), "{}: {} went first", act.name, from.display());
    }
}

#[test]
fn the_index_knows_a_ticket_before_it_has_its_name() {
    if !traced::ready("index first") {
        return;
    }
    for act in acts(&["enqueue"]) {
        let stage = Stage::new();
        let line = (act.prepare)(&stage);
        let steps = follow(&stage, &line, act.input);
        let (entry, ticket) = namings(&steps).pop().unwrap();
        assert!(!kept(&entry) && place(&ticket).unwrap() == "new", "{} is in no index", ticket.display());
    }
}

#[test]
fn a_request_that_is_handed_in_is_on_the_disk_before_its_pusher_is_answered() {
    if !traced::ready("flushed in the drop box") {
        return;
    }
    if !rustix::process::geteuid().is_root() {
        return say("flushed in the drop box: not tried: only root can become somebody else");
    }
    for act in acts(&["abort"]) {
        let stage = Stage::new();
        let line = (act.prepare)(&stage);
        fs::set_permissions(stage.beside(""), fs::Permissions::from_mode(0o755)).unwrap();
        fs::copy(program("syncpkg-abort"), stage.beside("abort")).unwrap();
        let own = line.replacen("syncpkg-abort", stage.beside("abort").to_str().unwrap(), 1);
        let pusher = "setpriv --reuid=61002 --regid=61002 --groups=0 --";
        let steps = follow_all(&stage, &[], &format!("{pusher} {own}"), "");
        let mut disk = Disk::default();
        steps.iter().for_each(|step| disk.see(step));
        assert!(disk.wrong.is_empty(), "{}", disk.wrong.join("\n"));
        assert_eq!(namings(&steps).len(), 1);
    }
}
