//! Refused at every system call that touches files: nothing is acknowledged that does not hold, nothing that was
//! acknowledged is lost, and the same asked again without the fault succeeds.

use std::collections::BTreeSet;

use crate::acts::{ALL, Act, FEW, FINDING, ROUND};
use crate::kill::aftermath;
use crate::measure::Measure;
use crate::stage::{Ran, Stage};
use crate::tally::tally;
use crate::traced::{self, Call, Trace};

const ERRNOS: [&str; 8] = ["EIO", "ENOSPC", "EDQUOT", "EROFS", "EMFILE", "EINTR", "ENOMEM", "EACCES"];

/// One way to fail: a call, an errno, and whether all later calls of that name fail too.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Fault {
    call: Call,
    errno: &'static str,
    always: bool,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let from = if self.always { "from" } else { "at" };
        write!(f, "{} {from} {}", self.errno, self.call)
    }
}

fn faults(calls: &BTreeSet<Call>, errnos: &[&'static str], always: &[bool]) -> BTreeSet<Fault> {
    let all = calls.iter().flat_map(|call| errnos.iter().map(move |errno| (call, *errno)));
    let all = all.flat_map(|(call, errno)| always.iter().map(move |always| (call.clone(), errno, *always)));
    // No kernel interrupts for ever: whoever asks again until he is answered is right.
    let real = all.filter(|(_, errno, always)| !(*errno == "EINTR" && *always));
    real.map(|(call, errno, always)| Fault { call, errno, always }).collect()
}

/// At every call that touches a file: a broken disk, once and from then on, and an interruption. At every one that
/// changes or opens something: every errno, once and from then on; which one it is matters nowhere else.
fn every(trace: &Trace) -> BTreeSet<Fault> {
    let mut all = faults(&trace.of_main(touches), &["EIO"], &[false, true]);
    // A look is never interrupted on a local file system.
    all.extend(faults(&trace.of_main(|text| touches(text) && !text.contains("stat")), &["EINTR"], &[false]));
    let opens = |text: &str| touches(text) && (traced::changes(text) || text.starts_with("open"));
    // Without EACCES: a file of ours that may not be read was made so by a person, and is set aside for one.
    all.extend(faults(&trace.of_main(opens), &ERRNOS[..7], &[false, true]));
    all.extend(faults(
        &trace.of_main(|text| touches(text) && traced::changes(text)),
        &ERRNOS,
        &[false, true],
    ));
    all
}

/// A broken disk once, a full one from then on, at what changes something.
fn some(trace: &Trace) -> BTreeSet<Fault> {
    let changing = trace.of_main(|text| touches(text) && traced::changes(text));
    let mut some = faults(&changing, &["EIO"], &[false]);
    some.extend(faults(&changing, &["ENOSPC"], &[true]));
    some
}

/// A disk that is broken for a moment, at what only looks.
fn looks(trace: &Trace) -> BTreeSet<Fault> {
    faults(&trace.of_main(|text| touches(text) && !traced::changes(text)), &["EIO"], &[false])
}

/// What a person forbade, and allows again, at what makes and moves.
fn forbidden(trace: &Trace) -> BTreeSet<Fault> {
    let places = |text: &str| ["mkdir", "rename"].iter().any(|word| text.starts_with(word));
    faults(&trace.of_main(places), &["EACCES"], &[false])
}

/// Whether a call can fail because of the disk. Left out are memory (a failed allocation ends the program, as a
/// kill does), signals, threads, clocks and chance, `close` (its result says nothing about a file that was fsynced)
/// and the end.
fn touches(text: &str) -> bool {
    const WORDS: [&str; 17] = [
        "open",
        "read",
        "write",
        "stat",
        "getdents",
        "rename",
        "link",
        "mkdir",
        "rmdir",
        "sync",
        "utimens",
        "chmod",
        "seek",
        "flock",
        "trunc",
        "copy_file_range",
        "sendfile",
    ];
    let name = text.split('(').next().unwrap_or_default();
    WORDS.iter().any(|word| name.contains(word))
}

/// Judges one act with a fault in it, and what it left behind; returns what is wrong.
fn judge(stage: &Stage, act: &Act, measure: &Measure, ran: &Ran, mend_first: bool) -> Option<String> {
    if let Some(why) = ill_mannered(&measure.line, ran) {
        return Some(why);
    }
    if ran.code() == Some(0) {
        let holds = measure.answered(stage, act, ran).or_else(|| measure.differs(stage, act));
        return holds.map(|why| format!("it said yes, but {why}"));
    }
    measure.acknowledged(stage, ran).or_else(|| aftermath(stage, act, measure, mend_first))
}

/// Whatever happens, a program ends in time, with a status of ours, and speaks in its own name.
fn ill_mannered(line: &str, ran: &Ran) -> Option<String> {
    let name = line.split(' ').next().unwrap_or_default();
    let spoken = |line: &str| {
        line.starts_with(&format!("{name}: ")) || line.starts_with("hint: ") || line.starts_with("  ")
    };
    let good = ran.in_time && matches!(ran.code(), Some(0 | 1 | 2 | 75)) && ran.err.lines().all(spoken);
    (!good).then(|| format!("{ran:?}"))
}

fn fail(act: &Act, pick: fn(&Trace) -> BTreeSet<Fault>) -> (usize, Vec<String>) {
    let stage = Stage::new();
    let measure = Measure::of(&stage, act);
    stage.put_back();
    let (trace, _) = traced::trace(&stage, &measure.line, act.input);
    let (mut tried, mut bad) = (0, Vec::new());
    // `TORTURE_FAULT="EIO at statx 13"` tries that fault alone.
    let only = std::env::var("TORTURE_FAULT").ok();
    let wanted = |fault: &&Fault| only.as_deref().is_none_or(|only| fault.to_string() == only);
    for (number, fault) in pick(&trace).iter().filter(wanted).enumerate() {
        stage.put_back();
        let what = format!("error={}", fault.errno);
        let (ran, failed) = trace.inject(&stage, &fault.call, &what, fault.always, &measure.line, act.input);
        // A call counted off by one may be another; what may not be read is set aside for a person, see `every`.
        if fault.errno == "EACCES" && failed.first().is_some_and(|call| !traced::changes(call)) {
            continue;
        }
        tried += usize::from(!failed.is_empty());
        // An interrupted one has not failed: it is asked for again.
        let fsync = fault.call.name.ends_with("sync") && fault.errno != "EINTR";
        let ignored = fsync && !failed.is_empty() && ran.code() == Some(0);
        let wrong = ignored.then(|| "a failed fsync went unnoticed".to_owned());
        let wrong = wrong.or_else(|| judge(&stage, act, &measure, &ran, number % 2 == 0));
        bad.extend(wrong.map(|why| format!("{} with {fault}: {why}\n  it had said: {}", act.name, ran.err)));
    }
    (tried, bad)
}

fn fail_all(what: &str, acts: &[Act], pick: fn(&Trace) -> BTreeSet<Fault>, floor: usize) {
    if traced::ready(what) {
        tally(what, acts, floor, |act| fail(act, pick));
    }
}

/// No file may grow beyond `limit` bytes: the write that would is short, the next one fails.
fn shorten(act: &Act, limits: &[usize]) -> (usize, Vec<String>) {
    let stage = Stage::new();
    let measure = Measure::of(&stage, act);
    let mut bad = Vec::new();
    for (number, limit) in limits.iter().enumerate() {
        stage.put_back();
        let limiting = format!("--fsize={limit}");
        let wrapper = ["env", "--ignore-signal=XFSZ", "prlimit", &limiting];
        let ran = stage.run_behind(&wrapper, &measure.line, act.input);
        let wrong = judge(&stage, act, &measure, &ran, number % 2 == 0);
        bad.extend(wrong.map(|why| format!("{} with files of {limit} bytes: {why}", act.name)));
    }
    (limits.len(), bad)
}

#[test]
fn a_broken_or_full_disk_loses_nothing_that_was_acknowledged() {
    fail_all("errors at changes", &FEW, some, 120);
}

#[test]
fn what_cannot_be_seen_for_a_moment_is_not_gone() {
    fail_all("errors at looks", &FINDING, looks, 60);
}

#[test]
fn what_was_forbidden_for_a_while_is_neither_refused_nor_kept_from_people() {
    fail_all("errors at places", &[ROUND], forbidden, 8);
}

#[test]
#[ignore = "make torture"]
fn no_errno_at_any_call_loses_what_was_acknowledged() {
    fail_all("errors", &ALL, every, 10_000);
}

#[test]
fn a_short_write_is_no_whole_file() {
    tally("short writes", &FEW, 20, |act| shorten(act, &[0, 1, 200, 600, 20_000]));
}

#[test]
#[ignore = "make torture"]
fn no_short_write_anywhere_is_a_whole_file() {
    let limits: Vec<usize> = (0..900).step_by(9).chain((900..33_000).step_by(1021)).collect();
    tally("short writes", &ALL, 2000, |act| shorten(act, &limits));
}
