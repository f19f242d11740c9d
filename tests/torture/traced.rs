//! strace: which system calls a program makes, and how to be killed or refused at each of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use crate::stage::{Ran, Stage, say};

/// The `nth` call of `name` by any of a program's threads: strace counts for each thread and each name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call {
    pub name: String,
    pub nth: usize,
}

impl std::fmt::Display for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.name, self.nth)
    }
}

/// What a traced program did: each call of it, of its threads, and of its children until they are another program.
pub struct Trace {
    calls: Vec<(Call, String)>,
    /// Where the loader has ended and the program begins.
    main: usize,
    /// The program runs no other.
    alone: bool,
}

impl Trace {
    /// Every call, but for what a child does to its signals before it becomes another program: hundreds of calls
    /// that nobody can tell apart.
    pub fn all(&self) -> BTreeSet<Call> {
        self.those(|text| !text.starts_with("rt_sigaction("))
    }

    /// The calls that change something outside the program; between two of them a kill finds the same world.
    pub fn changing(&self) -> BTreeSet<Call> {
        self.those(changes)
    }

    fn those(&self, fits: impl Fn(&str) -> bool) -> BTreeSet<Call> {
        self.calls.iter().filter(|(_, text)| fits(text)).map(|(call, _)| call.clone()).collect()
    }

    /// The calls of the program itself whose line in the trace fits; the loader makes some before it begins.
    pub fn of_main(&self, fits: impl Fn(&str) -> bool) -> BTreeSet<Call> {
        let (loader, main) = self.calls.split_at(self.main);
        let loader: BTreeSet<&Call> = loader.iter().map(|(call, _)| call).collect();
        let calls = main.iter().filter(|(call, text)| fits(text) && !loader.contains(call));
        calls.map(|(call, _)| call.clone()).collect()
    }

    /// Runs the same command line with `what` done to it at a call (`signal=KILL`, `error=EIO`); returns how it ended,
    /// and the calls that it was done to. With `always` it is done at every later call of that name too.
    pub fn inject(
        &self,
        stage: &Stage,
        call: &Call,
        what: &str,
        always: bool,
        line: &str,
        input: &str,
    ) -> (Ran, Vec<String>) {
        let file = stage.beside("trace");
        let more = if always { "+" } else { "" };
        let injection = format!("inject={}:{what}:when={}{more}", call.name, call.nth);
        let only = format!("trace={}", call.name);
        // Stopped at no other call, which is quicker; but then other programs cannot be let go of, and where strace is
        // asked from a filter, a signal it sends is lost.
        let quick = self.alone && !what.starts_with("signal");
        let how: &[&str] = if quick { &["--seccomp-bpf"] } else { &["-b", "execve"] };
        let words = ["-f", "-o", file.to_str().unwrap(), "-e", &only, "-e", &injection];
        let ran = stage.run_behind(&[&["strace"], how, &words].concat(), line, input);
        let text = fs::read_to_string(file).unwrap_or_default();
        let is_done = |line: &&str| line.contains("(INJECTED)") || line.ends_with("killed by SIGKILL +++");
        let done = text.lines().filter(is_done).filter_map(|line| line.split_once(' '));
        (ran, done.map(|(_, call)| call.trim_start().to_owned()).collect())
    }
}

/// Whether a call, as strace writes it, changes something outside the program.
pub fn changes(text: &str) -> bool {
    const CHANGING: [&str; 16] = [
        "rename",
        "link",
        "unlink",
        "symlink",
        "mkdir",
        "rmdir",
        "fsync",
        "fdatasync",
        "syncfs",
        "utimensat",
        "chmod",
        "fchmod",
        "ftruncate",
        "write",
        "pwrite",
        "exit_group",
    ];
    let name = text.split('(').next().unwrap_or_default();
    let stem = name.trim_end_matches('2').trim_end_matches("at").trim_end_matches('v');
    CHANGING.contains(&name)
        || CHANGING.contains(&stem)
        || name.starts_with("open") && text.contains("O_CREAT")
}

/// Runs a command line under strace and returns what it did.
pub fn trace(stage: &Stage, line: &str, input: &str) -> (Trace, Ran) {
    let file = stage.beside("trace");
    let ran =
        stage.run_behind(&["strace", "-f", "-y", "-b", "execve", "-o", file.to_str().unwrap()], line, input);
    let mut counts: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut calls = Vec::new();
    for (process, text) in lines(&fs::read_to_string(file).unwrap()) {
        let Some((name, _)) = text.split_once('(') else { continue };
        let nth = counts.entry((process, name.to_owned())).or_default();
        *nth += 1;
        calls.push((Call { name: name.to_owned(), nth: *nth }, text));
    }
    // The first thing that Rust's runtime does: looking whether the standard descriptors are open.
    let main = calls.iter().position(|(call, _)| call.name == "poll").unwrap_or_default();
    let alone = calls.iter().filter(|(call, _)| call.name == "execve").count() == 1;
    (Trace { calls, main, alone }, ran)
}

/// The calls of a trace, each with its process; not the second halves of interrupted ones, nor signals and ends.
fn lines(text: &str) -> Vec<(String, String)> {
    let parts = text.lines().filter_map(|line| line.split_once(' '));
    let parts = parts.map(|(process, call)| (process.to_owned(), call.trim_start().to_owned()));
    parts.filter(|(_, call)| !call.starts_with(['<', '-', '+'])).collect()
}

/// Whether programs can be traced here; says so if not. Where everything has to be tried that is no excuse.
pub fn ready(what: &str) -> bool {
    let Ok(ran) = Command::new("strace").args(["-o", "/dev/null", "true"]).output() else {
        say(&format!("{what}: not tried: strace is not installed"));
        return false;
    };
    if !ran.status.success() {
        let why = String::from_utf8_lossy(&ran.stderr).lines().next().unwrap_or_default().to_owned();
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{what}: strace does not work here: {why}");
        say(&format!("{what}: not tried: strace does not work here: {why}"));
        return false;
    }
    true
}
