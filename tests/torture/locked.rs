//! What must not happen at the same time happens under a lock: the locks a program held at each of its changes, as
//! strace saw them. What comes into the queue does so under `lock/queue`; what builders hold changes hands under the
//! lock of their directory.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::acts::ALL;
use crate::stage::{Stage, say};
use crate::steps::{Step, follow, parent, place};
use crate::traced;

/// Runs `line` and returns its changes of names and times, each with the locks that were held.
fn changes(stage: &Stage, line: &str, input: &str) -> Vec<(Step, BTreeSet<PathBuf>)> {
    let (mut held, mut changes) = (BTreeMap::new(), Vec::new());
    for step in follow(stage, line, input) {
        match (step.name.as_str(), step.paths.first()) {
            ("flock", Some(path)) => drop(held.insert(descriptor(&step), path.clone())),
            ("close", _) => drop(held.remove(&descriptor(&step))),
            ("rename" | "renameat2" | "link" | "linkat" | "utimensat", _) => {
                changes.push((step, held.values().cloned().collect()));
            }
            _other => {}
        }
    }
    changes
}

/// The `3` of `flock(3</path>, …`.
fn descriptor(step: &Step) -> String {
    step.text.split(['(', '<']).nth(1).unwrap_or_default().to_owned()
}

/// The lock that a change needs.
fn needed(step: &Step, queue: &Path) -> Option<PathBuf> {
    let at = |path: &Path| place(path).unwrap_or_default();
    match step.paths.as_slice() {
        [.., to] if ["new", "park"].contains(&at(to).as_str()) && step.name != "utimensat" => {
            Some(queue.to_owned())
        }
        [.., to] if at(to) == "run" => Some(parent(to)),
        _other => None,
    }
}

/// Runs `line`; each change was made under its lock, and some change needed `lock`.
fn is_locked(stage: &Stage, line: &str, input: &str, lock: &str) {
    let queue = stage.at("spool/lock/queue");
    let changes = changes(stage, line, input);
    let mut met = false;
    for (step, held) in &changes {
        let Some(needed) = needed(step, &queue) else { continue };
        assert!(held.contains(&needed), "$ {line}\nwithout {}: {}", needed.display(), step.text);
        met |= needed.ends_with(lock);
    }
    assert!(met, "$ {line}\nnothing needed {lock}");
}

fn stage_of(act: &str) -> (Stage, String, &'static str) {
    let act = ALL.into_iter().find(|known| known.name == act).unwrap();
    let stage = Stage::new();
    let line = (act.prepare)(&stage);
    (stage, line, act.input)
}

#[test]
fn what_comes_into_the_queue_comes_under_its_lock() {
    if !traced::ready("locked") {
        return;
    }
    let acts = ["enqueue", "enqueue of a batch", "report trouble", "builder releases", "round"];
    for act in acts {
        let (stage, line, input) = stage_of(act);
        is_locked(&stage, &line, input, "lock/queue");
    }
    say(&format!("locked: {} acts", acts.len()));
}

#[test]
fn what_is_parked_and_woken_is_so_under_the_lock_of_the_queue() {
    if !traced::ready("locked in the park") {
        return;
    }
    let stage = Stage::new();
    stage.ok("syncpkg-init");
    stage.ok("syncpkg-enqueue app");
    stage.later(1).ok("syncpkg-enqueue lib");
    is_locked(&stage, "syncpkg-claim --builder b1 --arch x86_64", "", "lock/queue");
    let claim = list_claims(&stage).pop().unwrap();
    is_locked(&stage, &format!("syncpkg-report {claim} --outcome failed"), "", "lock/queue");
    let ticket = fs::read_dir(stage.at("spool/new/x86_64")).unwrap().next().unwrap().unwrap();
    let parked = stage.at("spool/park/current/lib");
    fs::create_dir_all(&parked).unwrap();
    fs::rename(ticket.path(), parked.join(ticket.file_name())).unwrap();
    is_locked(&stage, "syncpkgd --once", "", "lock/queue");
}

fn list_claims(stage: &Stage) -> Vec<String> {
    let spool = syncpkg::spool::Spool::open(&stage.at("spool")).unwrap();
    let building = syncpkg::spool::list::building(&spool).unwrap();
    building.iter().filter_map(syncpkg::spool::claim::Claim::of).map(|claim| claim.to_string()).collect()
}

#[test]
fn what_a_builder_holds_changes_hands_under_the_lock_of_the_builder() {
    if !traced::ready("locked builders") {
        return;
    }
    for act in ["claim", "beat"] {
        let (stage, line, input) = stage_of(act);
        is_locked(&stage, &line, input, if act == "claim" { "run/b2" } else { "run/b1" });
    }
    for act in ["builder releases", "round"] {
        let (stage, line, input) = stage_of(act);
        let taken = changes(&stage, &line, input);
        let mut taken = taken
            .iter()
            .filter(|(step, _)| step.name == "renameat2" && place(&step.paths[0]).as_deref() == Some("run"));
        let mut any = false;
        assert!(taken.all(|(step, held)| {
            any = true;
            held.contains(&parent(&step.paths[0]))
        }));
        assert!(any, "{act} took nothing back");
    }
}

#[test]
fn builders_are_registered_one_at_a_time() {
    if !traced::ready("locked register") {
        return;
    }
    let (stage, line, input) = stage_of("builder registers");
    let changes = changes(&stage, &line, input);
    let (_, held) = changes.iter().find(|(step, _)| step.name == "rename").unwrap();
    assert!(held.contains(&stage.at("spool/lock/builder")));
}

#[test]
fn a_repair_holds_the_lock_of_the_queue() {
    if !traced::ready("locked repair") {
        return;
    }
    let (stage, line, input) = stage_of("repair");
    let lock = stage.at("spool/lock/queue");
    let changes = changes(&stage, &line, input);
    assert!(changes.len() > 3, "{} changes", changes.len());
    assert!(changes.iter().all(|(_, held)| held.contains(&lock)));
}

#[test]
fn a_check_waits_until_whoever_changes_the_queue_has_finished() {
    if !traced::ready("locked check") {
        return;
    }
    let (stage, _, _) = stage_of("enqueue");
    let steps = follow(&stage, "syncpkg-check", "");
    let lock = stage.at("spool/lock/queue");
    assert!(steps.iter().any(|step| step.name == "flock" && step.paths[0] == lock));
}

#[test]
fn a_spool_has_moved_once_whoever_changes_the_queue_has_finished() {
    if !traced::ready("locked move") {
        return;
    }
    let (stage, _, _) = stage_of("enqueue");
    let steps = follow(&stage, "syncpkg-init --moved host", "");
    let lock = stage.at("spool/lock/queue");
    assert!(steps.iter().any(|step| step.name == "flock" && step.paths[0] == lock));
}

#[test]
fn what_speaks_against_a_builder_is_counted_under_a_lock() {
    if !traced::ready("locked strikes") {
        return;
    }
    let (stage, line, input) = stage_of("report trouble");
    let changes = changes(&stage, &line, input);
    let strike = stage.at("spool/builder/b1.aside");
    let (_, held) = changes.iter().find(|(step, _)| step.paths.last() == Some(&strike)).unwrap();
    assert!(held.contains(&stage.at("spool/lock/builder")));
}
