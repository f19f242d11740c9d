//! Finding in a log the line that explains the failure, the stage it happened in, and whose trouble it was.

mod patterns;

use std::collections::VecDeque;
use std::io::{self, BufRead};
use std::path::Path;

pub use self::patterns::{Patterns, wrong};
use crate::base::screen::{next_piece, printed};
use crate::base::{Error, Result};
use crate::spool::log;

/// How many lines are shown before and after.
const CONTEXT: usize = 10;
/// How many characters of a line are shown.
const SHOWN: usize = 400;
/// How many bytes of a line are looked at.
const LINE: u64 = 16 << 10;

/// Where a build is, or what it was at when it failed: a word.
pub type Stage = &'static str;

/// What a log tells about a failure.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// The first line that explains it, if one does.
    pub found: Option<Found>,
    /// The stage it happened in: that of the line which was found, or else the last that was begun.
    pub stage: Stage,
    /// Whether a source could not be downloaded, which is the farm's trouble.
    pub source_unavailable: bool,
}

/// A line with what stands around it; every line as a terminal would have shown it, inert and cut.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Its number, from 1.
    pub line: usize,
    /// The line.
    pub text: String,
    /// What it was at: `fetch`, `prepare`, `install` (of what is needed), `configure`, `compile`, `link`, `test`, `package`,
    /// `checkout`; of a line that tells no more, the last of makepkg's own that was begun, `build` among them.
    pub stage: Stage,
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

/// makepkg's own words for what it does next.
const STAGES: [(&str, Stage); 14] = [
    ("==> Checking runtime dep", "install"),
    ("==> Checking buildtime dep", "install"),
    ("==> Installing missing dep", "install"),
    ("==> Retrieving sources", "fetch"),
    ("==> Validating source", "fetch"),
    ("==> Extracting sources", "prepare"),
    ("==> Starting pkgver()", "prepare"),
    ("==> Starting prepare()", "prepare"),
    ("==> Starting build()", "build"),
    ("==> Starting check()", "test"),
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

impl Patterns {
    /// Reads the log `path`, packed or not, once, in bounded memory.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn of_file(&self, path: &Path) -> Result<Summary> {
        self.summary(log::open(path)?).map_err(|source| Error::io("read", path, source))
    }

    /// Reads a log once, in bounded memory.
    ///
    /// # Errors
    /// Those of `log`.
    pub fn summary(&self, mut log: impl BufRead) -> io::Result<Summary> {
        let mut search = Search { stage: "build", ..Search::default() };
        let mut line = Vec::new();
        while next_piece(&mut log, LINE, &mut line)? {
            if line.last() != Some(&b'\n') {
                log.skip_until(b'\n')?;
            }
            let line = printed(&line);
            search.begin(&line);
            search.take(&line, self.judge(line.as_bytes()));
        }
        let found = search.best.map(|(_, found)| found);
        let stage = found.as_ref().map_or(search.stage, |found| found.stage);
        Ok(Summary { found, stage, source_unavailable: search.source_unavailable })
    }
}

#[derive(Default)]
struct Search {
    number: usize,
    stage: Stage,
    source_unavailable: bool,
    last: VecDeque<String>,
    best: Option<(Worth, Found)>,
}

impl Search {
    /// What makepkg says of itself.
    fn begin(&mut self, line: &str) {
        if !line.starts_with("==> ") {
            return;
        }
        self.source_unavailable |= UNAVAILABLE.iter().any(|start| line.starts_with(start));
        if let Some((_, stage)) = STAGES.iter().find(|(start, _)| line.starts_with(start)) {
            self.stage = stage;
            // What the build went on after is not what it failed of.
            self.best = None;
        }
    }

    fn take(&mut self, line: &str, judged: Option<(Worth, Option<Stage>)>) {
        self.number += 1;
        let shown = cut(line);
        if let Some((_, found)) = &mut self.best
            && found.line + CONTEXT >= self.number
        {
            found.after.push(shown.to_owned());
        }
        let better = |(worth, _): &(Worth, _)| self.best.as_ref().is_none_or(|(best, _)| worth < best);
        if let Some((worth, stage)) = judged.filter(better) {
            let before = self.last.iter().cloned().collect();
            let (line, text, stage) = (self.number, shown.to_owned(), stage.unwrap_or(self.stage));
            self.best = Some((worth, Found { line, text, stage, before, after: Vec::new() }));
        }
        let mut kept =
            if self.last.len() < CONTEXT { None } else { self.last.pop_front() }.unwrap_or_default();
        kept.clear();
        kept.push_str(shown);
        self.last.push_back(kept);
    }
}

fn cut(line: &str) -> &str {
    if line.len() <= SHOWN {
        return line;
    }
    let end = line.char_indices().nth(SHOWN).map_or(line.len(), |(at, _)| at);
    line.get(..end).unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(log: &str) -> (usize, String) {
        let found = Patterns::built_in().summary(log.as_bytes()).unwrap().found.unwrap_or_default();
        (found.line, found.text)
    }

    #[test]
    fn the_first_line_that_explains_is_preferred_to_the_last_that_complains() {
        let log = "==> Starting build()...\nchecking for error.h... no\ngcc -Werror -c a.c\n\
            a.c:1: warning: unused error: x\na.c:3:2: error: 'x' undeclared\nmake: *** [Makefile:2: a.o] Error 1\n\
            ==> ERROR: A failure occurred in build().\n    Aborting...\n";
        assert_eq!(told(log), (5, "a.c:3:2: error: 'x' undeclared".to_owned()));
        let all = Patterns::built_in().summary(log.as_bytes()).unwrap();
        let found = all.found.unwrap();
        assert_eq!(
            (all.stage, found.stage, found.before.len(), found.after.len()),
            ("compile", "compile", 4, 3)
        );
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
        assert_eq!(Patterns::built_in().summary(log.as_bytes()).unwrap().found, None);
    }

    #[test]
    fn the_stage_is_the_last_that_was_begun() {
        let log = "==> Retrieving sources...\n==> Starting build()...\n==> Starting check()...\nFAILED: x\n";
        assert_eq!(Patterns::built_in().summary(log.as_bytes()).unwrap().stage, "test");
        let log = "==> Starting package_a-doc()...\n";
        assert_eq!(Patterns::built_in().summary(log.as_bytes()).unwrap().stage, "package");
    }

    #[test]
    fn what_the_build_went_on_after_is_not_what_it_failed_of() {
        let log = "==> Starting build()...\nx.c:1: error: kept going\n==> Starting package()...\nx\n";
        let summary = Patterns::built_in().summary(log.as_bytes()).unwrap();
        assert_eq!((summary.found, summary.stage), (None, "package"));
    }

    #[test]
    fn a_source_that_cannot_be_had_is_told_apart() {
        let log =
            "==> Retrieving sources...\n\u{1b}[1m==> ERROR: Failure while downloading http://x/y\u{1b}[0m\n";
        let summary = Patterns::built_in().summary(log.as_bytes()).unwrap();
        assert!(summary.source_unavailable && summary.stage == "fetch");
        let log = "echo '==> ERROR: Failure while downloading x'\n";
        assert!(!Patterns::built_in().summary(log.as_bytes()).unwrap().source_unavailable);
    }

    #[test]
    fn lines_are_inert_and_cut_and_context_is_short() {
        let log = format!(
            "{}error: \u{1b}]0;x\u{7}\u{7}{}\n{}",
            "a\n".repeat(50),
            "x".repeat(900_000),
            "b\n".repeat(50)
        );
        let found = Patterns::built_in().summary(log.as_bytes()).unwrap().found.unwrap();
        assert_eq!((found.line, found.before.len(), found.after.len()), (51, 10, 10));
        assert_eq!(found.text, format!("error: \\u{{7}}{}", "x".repeat(388)));
    }
}
