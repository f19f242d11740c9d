//! Finding in a log the line that explains the failure, the stage it happened in, and whose trouble it was.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use crate::base::durable::open_regular;
use crate::base::output::inert;
use crate::base::{Error, Result};

/// How many lines are shown before and after.
const CONTEXT: usize = 10;
/// How many characters of a line are shown.
const SHOWN: usize = 400;
/// How many bytes of a line are looked at.
const LINE: u64 = 16 << 10;

/// What a log tells about a failure.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// The first line that explains it, if one does.
    pub found: Option<Found>,
    /// The last stage that was begun: `fetch`, `prepare`, `build`, `check` or `package`; `build` when none is told.
    pub stage: &'static str,
    /// Whether a source could not be downloaded, which is the farm's trouble.
    pub source_unavailable: bool,
}

/// A line with what stands around it; every line inert and cut.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Its number, from 1.
    pub line: usize,
    /// The line.
    pub text: String,
    /// The stage it stands in.
    pub stage: &'static str,
    /// Up to ten lines before it.
    pub before: Vec<String>,
    /// Up to ten lines after it.
    pub after: Vec<String>,
}

/// How much a line explains; better ones first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Worth {
    /// What went wrong.
    Cause,
    /// What may have been the cause, or may have been harmless.
    Likely,
    /// That something went wrong.
    Consequence,
}

/// The first that matches counts; matched in lower case, anywhere in the line.
const SIGNS: [(&str, Worth); 35] = [
    ("==> error: a failure occurred", Worth::Consequence),
    ("==> error: aborting", Worth::Consequence),
    ("==> error: one or more files", Worth::Consequence),
    ("fatal error:", Worth::Cause),
    ("internal compiler error", Worth::Cause),
    ("==> error:", Worth::Cause),
    ("error:", Worth::Cause),
    ("error[e", Worth::Cause),
    ("undefined reference to", Worth::Cause),
    ("undefined symbol", Worth::Cause),
    ("multiple definition of", Worth::Cause),
    ("cannot find -l", Worth::Cause),
    ("no space left on device", Worth::Cause),
    ("cannot allocate memory", Worth::Cause),
    ("out of memory", Worth::Cause),
    ("segmentation fault", Worth::Cause),
    ("bus error", Worth::Cause),
    ("traceback (most recent call last)", Worth::Cause),
    ("assertionerror", Worth::Cause),
    ("assertion failed", Worth::Cause),
    ("cmake error", Worth::Cause),
    ("panicked at", Worth::Cause),
    ("no rule to make target", Worth::Cause),
    ("syntax error", Worth::Cause),
    ("hunk #", Worth::Likely),
    ("command not found", Worth::Likely),
    ("no such file or directory", Worth::Likely),
    ("permission denied", Worth::Likely),
    ("could not resolve host", Worth::Likely),
    ("tests failed", Worth::Likely),
    ("test failed", Worth::Likely),
    ("*** [", Worth::Consequence),
    ("ninja: build stopped", Worth::Consequence),
    ("failed", Worth::Consequence),
    ("[syncpkg] stopped", Worth::Consequence),
];

/// What contains one of these explains nothing.
const FRIENDS: [&str; 9] = [
    "0 errors",
    "no error",
    "0 failed",
    "error: 0",
    "errors: 0",
    "failed: 0",
    "(ignored)",
    "warning:",
    "no tests failed",
];

/// What begins like this is a question or a command, not its answer.
const BEGINNINGS: [&str; 13] = [
    "checking ",
    "-- looking for ",
    "-- performing ",
    "gcc ",
    "cc ",
    "g++ ",
    "c++ ",
    "clang ",
    "/bin/sh ",
    "echo ",
    "libtool: compile",
    "libtool: link",
    "+ ",
];

/// makepkg's own words for what it does next.
const STAGES: [(&str, &str); 11] = [
    ("==> Retrieving sources", "fetch"),
    ("==> Validating source", "fetch"),
    ("==> Extracting sources", "prepare"),
    ("==> Starting pkgver()", "prepare"),
    ("==> Starting prepare()", "prepare"),
    ("==> Starting build()", "build"),
    ("==> Starting check()", "check"),
    ("==> Starting package()", "package"),
    ("==> Starting package_", "package"),
    ("==> Tidying install", "package"),
    ("==> Creating package", "package"),
];

const UNAVAILABLE: [&str; 3] = [
    "==> ERROR: Failure while downloading ",
    "==> ERROR: Failure while creating working copy of ",
    "==> ERROR: Failure while updating working copy of ",
];

/// Reads the log `path` once, in bounded memory.
///
/// # Errors
/// It cannot be read.
pub fn of_file(path: &Path) -> Result<Summary> {
    summary(BufReader::new(open_regular(path)?)).map_err(|source| Error::io("read", path, source))
}

/// Reads a log once, in bounded memory.
///
/// # Errors
/// Those of `log`.
pub fn summary(mut log: impl BufRead) -> io::Result<Summary> {
    let mut search = Search { stage: "build", ..Search::default() };
    while let Some(line) = next_line(&mut log)? {
        search.take(&line);
    }
    let found = search.best.map(|(_, found)| found);
    Ok(Summary { found, stage: search.stage, source_unavailable: search.source_unavailable })
}

/// Returns the next line without its end, cut; none at the end of the log.
fn next_line(log: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    if log.by_ref().take(LINE).read_until(b'\n', &mut bytes)? == 0 {
        return Ok(None);
    }
    if bytes.last() != Some(&b'\n') {
        log.skip_until(b'\n')?;
    }
    let text = String::from_utf8_lossy(&bytes);
    Ok(Some(plain(text.trim_end_matches(['\n', '\r']))))
}

/// Returns `text` without the sequences that colour a terminal.
fn plain(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain.push_str(
            part.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';').get(1..).unwrap_or(""),
        );
    }
    plain
}

#[derive(Default)]
struct Search {
    number: usize,
    stage: &'static str,
    source_unavailable: bool,
    last: VecDeque<String>,
    best: Option<(Worth, Found)>,
}

impl Search {
    fn take(&mut self, line: &str) {
        self.number += 1;
        if let Some((_, stage)) = STAGES.iter().find(|(start, _)| line.starts_with(start)) {
            self.stage = stage;
        }
        self.source_unavailable |= UNAVAILABLE.iter().any(|start| line.starts_with(start));
        let shown = inert(&line.chars().take(SHOWN).collect::<String>());
        if let Some((_, found)) = &mut self.best
            && found.line + CONTEXT >= self.number
        {
            found.after.push(shown.clone());
        }
        let better = worth(line).filter(|worth| self.best.as_ref().is_none_or(|(best, _)| worth < best));
        if let Some(worth) = better {
            let before = self.last.iter().cloned().collect();
            let (line, text, stage) = (self.number, shown.clone(), self.stage);
            self.best = Some((worth, Found { line, text, stage, before, after: Vec::new() }));
        }
        if self.last.len() == CONTEXT {
            self.last.pop_front();
        }
        self.last.push_back(shown);
    }
}

fn worth(line: &str) -> Option<Worth> {
    let lower = line.trim_start().to_ascii_lowercase();
    let (_, worth) = SIGNS.iter().find(|(sign, _)| lower.contains(sign))?;
    let friendly = FRIENDS.iter().any(|friend| lower.contains(friend))
        || BEGINNINGS.iter().any(|start| lower.starts_with(start));
    (!friendly).then_some(*worth)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(log: &str) -> (usize, String) {
        let found = summary(log.as_bytes()).unwrap().found.unwrap_or_default();
        (found.line, found.text)
    }

    #[test]
    fn the_first_line_that_explains_is_preferred_to_the_last_that_complains() {
        let log = "==> Starting build()...\nchecking for error.h... no\ngcc -Werror -c a.c\n\
            a.c:1: warning: unused error: x\na.c:3:2: error: 'x' undeclared\nmake: *** [Makefile:2: a.o] Error 1\n\
            ==> ERROR: A failure occurred in build().\n    Aborting...\n";
        assert_eq!(told(log), (5, "a.c:3:2: error: 'x' undeclared".to_owned()));
        let all = summary(log.as_bytes()).unwrap();
        let found = all.found.unwrap();
        assert_eq!((all.stage, found.stage, found.before.len(), found.after.len()), ("build", "build", 4, 3));
    }

    #[test]
    fn causes_are_found() {
        for line in [
            "/usr/bin/ld: a.o: undefined reference to `f'",
            "/usr/bin/ld: cannot find -lfoo: No such file or directory",
            "configure: error: no acceptable C compiler found in $PATH",
            "a.c:1:10: fatal error: foo.h: No such file or directory",
            "Traceback (most recent call last):",
            "thread 'main' panicked at src/main.rs:1:1:",
            "error[E0425]: cannot find value `x`",
            "CMake Error at CMakeLists.txt:3 (find_package):",
            "cp: error writing 'x': No space left on device",
            "./x.sh: line 3: foo: command not found",
            "    a.tar.gz ... FAILED",
            "==> ERROR: Could not find a.patch in build directory or as a URL.",
            "[syncpkg] stopped: no output for 2 h",
        ] {
            let log = format!(
                "fine\n0 errors, 0 failed\nchecking for error... yes\n{line}\nmake: *** [all] Error 2\n"
            );
            assert_eq!(told(&log), (4, line.to_owned()));
        }
    }

    #[test]
    fn false_friends_are_passed_over() {
        let log = "gcc -Wall -Werror error.c\n-Werror\nbuilding error.o\nchecking whether error: works... no\n\
            0 errors\ntests: 12 passed, 0 failed\nx.c:1: warning: error: y\n";
        assert_eq!(summary(log.as_bytes()).unwrap().found, None);
    }

    #[test]
    fn the_stage_is_the_last_that_was_begun() {
        let log = "==> Retrieving sources...\n==> Starting build()...\n==> Starting check()...\nFAILED: x\n";
        assert_eq!(summary(log.as_bytes()).unwrap().stage, "check");
        let log = "==> Starting package_a-doc()...\n";
        assert_eq!(summary(log.as_bytes()).unwrap().stage, "package");
    }

    #[test]
    fn a_source_that_cannot_be_had_is_told_apart() {
        let log =
            "==> Retrieving sources...\n\u{1b}[1m==> ERROR: Failure while downloading http://x/y\u{1b}[0m\n";
        let summary = summary(log.as_bytes()).unwrap();
        assert!(summary.source_unavailable && summary.stage == "fetch");
        let log = "echo '==> ERROR: Failure while downloading x'\n";
        assert!(!super::summary(log.as_bytes()).unwrap().source_unavailable);
    }

    #[test]
    fn lines_are_inert_and_cut_and_context_is_short() {
        let log = format!(
            "{}error: \u{1b}]0;x\u{7}{}\n{}",
            "a\n".repeat(50),
            "x".repeat(900_000),
            "b\n".repeat(50)
        );
        let found = summary(log.as_bytes()).unwrap().found.unwrap();
        assert_eq!((found.line, found.before.len(), found.after.len()), (51, 10, 10));
        assert!(found.text.starts_with("error: \\u{1b}]0;x\\u{7}xx") && found.text.len() < 450);
    }
}
