//! Power cuts: whatever was answered holds, at whatever moment the master loses its power.
//!
//! A whole life is lived on a file system on a disk that remembers its writes. Then the file system is mounted as it
//! would be found after a power cut at each flush and each answer, checked, and compared with what was promised.

use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::crash::{self, Crash};
use crate::disk::{Disk, Event, Image};
use crate::found::Found;
use crate::life::Life;
use crate::living::Living;
use crate::mounts::{self, Mounted, say};

/// How a kind of file system is made and mounted. Nothing is written by itself in the time a test takes: what is on
/// the disk is there because it was asked for.
struct Kind {
    name: &'static str,
    mebibytes: u64,
    make: &'static [&'static str],
    options: &'static str,
}

const EXT4: Kind = Kind {
    name: "ext4",
    mebibytes: 64,
    make: &["-q", "-F", "-b", "4096", "-E", "lazy_itable_init=0,lazy_journal_init=0"],
    options: "loop,noatime,commit=300",
};

const XFS: Kind = Kind { name: "xfs", mebibytes: 300, make: &["-q", "-f"], options: "loop,noatime" };

const BTRFS: Kind =
    Kind { name: "btrfs", mebibytes: 256, make: &["-q", "-f"], options: "loop,noatime,commit=300" };

/// How often a random part of what was not flushed is tried, at each flush and each answer.
const SUBSETS: usize = 6;

/// After so many violations the rest is not tried.
const ENOUGH: usize = 10;

/// Where the dice begin.
const SEED: u64 = 20261122;

/// A life, and the disk it left behind.
struct Recorded {
    life: Life,
    start: Image,
    events: Vec<Event>,
}

/// Lives on a new file system of this kind; `live` is told when a program has answered.
fn record(kind: &Kind, live: impl FnOnce(&mut Life, &dyn Fn(usize))) -> Recorded {
    let mut life = Life::new();
    let start = made(kind, &life.at("image"));
    std::fs::create_dir(life.at("fuse")).unwrap();
    let disk = Disk::new(start.clone(), &life.at("fuse"));
    let place = life.disk();
    let mounted = Mounted::new(&disk.path(), &place, kind.name, kind.options).unwrap();
    live(&mut life, &|count| disk.answered(count));
    drop(mounted);
    Recorded { life, start, events: disk.events() }
}

fn made(kind: &Kind, path: &Path) -> Image {
    File::create(path).unwrap().set_len(kind.mebibytes << 20).unwrap();
    let made = Command::new(format!("mkfs.{}", kind.name)).args(kind.make).arg(path).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    Image::load(path)
}

/// What was tried, and what was wrong in it.
#[derive(Default)]
struct Tried {
    states: usize,
    repairs: usize,
    wrong: Vec<String>,
}

/// Looks at everything the disk may hold after a power cut.
fn try_all(kind: &Kind, recorded: &Recorded) -> Tried {
    let memory = tempfile::NamedTempFile::new_in(syncpkg::tree::roomy(std::env::temp_dir())).unwrap();
    let mut tried = Tried::default();
    crash::crashes(&recorded.start, &recorded.events, SUBSETS, SEED, &mut |crash| {
        if tried.wrong.len() >= ENOUGH {
            return;
        }
        tried.states += 1;
        crash.image.store(memory.path());
        match after(kind, &recorded.life, memory.path(), &crash) {
            Ok(repairs) => tried.repairs += repairs,
            Err(wrong) => tried.wrong.push(said(recorded, &crash, &wrong)),
        }
    });
    tried
}

fn said(recorded: &Recorded, crash: &Crash, wrong: &[String]) -> String {
    let step = |n: usize| recorded.life.steps.get(n).map_or("the end", |step| step.line.as_str());
    let last = crash.answered.checked_sub(1).map_or("nothing", step);
    let (what, next) = (crash.what, step(crash.answered));
    format!("after \"{last}\", in \"{next}\", {what}:\n    {}", wrong.join("\n    "))
}

/// Mounts what the power cut left, repairs it as the admin would, and judges it; returns how much was repaired.
fn after(kind: &Kind, life: &Life, image: &Path, crash: &Crash) -> Result<usize, Vec<String>> {
    let place = life.disk();
    let _mounted = Mounted::new(image, &place, kind.name, "loop,noatime").map_err(|error| vec![error])?;
    let nothing = Found::default();
    let last = crash.answered.checked_sub(1).map(|n| &life.steps[n]);
    let next = life.steps.get(crash.answered).or(last).unwrap();
    if last.is_none() {
        // There may be half of a spool.
        let ran = life.run_at("syncpkg-init", "", next.now);
        return if ran.status == 0 { Ok(0) } else { Err(vec![ran.err]) };
    }
    let repaired = life.run_at("syncpkg-check --repair", "", next.now);
    if repaired.status != 0 || !repaired.err.is_empty() {
        return Err(vec![format!(
            "syncpkg-check ends with {}: {}{}",
            repaired.status, repaired.out, repaired.err
        )]);
    }
    // Mended, but who claims before anybody mends would have it twice.
    if repaired.out.contains("the same ticket is") {
        return Err(vec![repaired.out]);
    }
    let found = Found::of(life, next.now).map_err(|error| vec![error])?;
    let wrong = found.between(last.map_or(&nothing, |step| &step.after), &next.after);
    if wrong.is_empty() { Ok(repaired.out.lines().count()) } else { Err(wrong) }
}

fn holds_on(kind: &Kind) {
    let begin = Instant::now();
    let recorded = record(kind, |life, answered| Living::new(life, answered).fully());
    let lived = begin.elapsed();
    let tried = try_all(kind, &recorded);
    let count = |what: fn(&Event) -> bool| recorded.events.iter().filter(|event| what(event)).count();
    say(&format!(
        "powercut: {}: {} programs, {} writes, {} flushes, seed {SEED}: {} states tried, {} repairs, {} violations \
         ({} s lived, {} s tried)",
        kind.name,
        recorded.life.steps.len(),
        count(|event| matches!(event, Event::Write(_))),
        count(|event| matches!(event, Event::Flush)),
        tried.states,
        tried.repairs,
        tried.wrong.len(),
        lived.as_secs(),
        (begin.elapsed() - lived).as_secs(),
    ));
    assert!(tried.wrong.is_empty(), "{}", tried.wrong.join("\n"));
}

const NEEDS: [&str; 3] = ["/dev/fuse", "/dev/loop-control", "git"];

#[test]
#[ignore = "takes minutes, needs root: make torture"]
fn what_was_answered_holds_after_a_power_cut_on_ext4() {
    let test = "powercut::what_was_answered_holds_after_a_power_cut_on_ext4";
    mounts::alone_as_root(test, &[&NEEDS[..], &["mkfs.ext4"]].concat(), || holds_on(&EXT4));
}

#[test]
#[ignore = "takes minutes, needs root: make torture"]
fn what_was_answered_holds_after_a_power_cut_on_xfs() {
    let test = "powercut::what_was_answered_holds_after_a_power_cut_on_xfs";
    mounts::alone_as_root(test, &[&NEEDS[..], &["mkfs.xfs"]].concat(), || holds_on(&XFS));
}

#[test]
#[ignore = "takes minutes, needs root: make torture"]
fn what_was_answered_holds_after_a_power_cut_on_btrfs() {
    let test = "powercut::what_was_answered_holds_after_a_power_cut_on_btrfs";
    mounts::alone_as_root(test, &[&NEEDS[..], &["mkfs.btrfs"]].concat(), || holds_on(&BTRFS));
}

#[test]
#[ignore = "needs root: make torture"]
fn a_farm_that_does_not_fsync_loses_acknowledged_tickets() {
    let test = "powercut::a_farm_that_does_not_fsync_loses_acknowledged_tickets";
    mounts::alone_as_root(test, &[&NEEDS[..], &["mkfs.ext4", "strace"]].concat(), || {
        let lie = "strace -f -qq -o /dev/null -e inject=fsync,fdatasync,syncfs:retval=0";
        let recorded = record(&EXT4, |life, answered| Living::new(life, answered).briefly(lie));
        let tried = try_all(&EXT4, &recorded);
        say(&format!("powercut: without fsync: {} states, {} violations", tried.states, tried.wrong.len()));
        assert!(tried.wrong.iter().any(|wrong| wrong.contains("not there")), "the test sees nothing");
    });
}
