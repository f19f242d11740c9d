//! Running git and darcs: with a time limit, without what a hook's environment or a user's settings would add.

use std::io::{self, Read};
use std::process::{ChildStdout, Command, Stdio};

use crate::base::output::inert;
use crate::base::{Error, Result, child};

/// Set for hooks; they would point git at the repository that received the push (`git rev-parse --local-env-vars`),
/// or let the caller's settings in.
const UNSET: [&str; 30] = [
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_ATTR_SOURCE",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_CONFIG_COUNT",
    "GIT_CONFIG_PARAMETERS",
    "GIT_DIR",
    "GIT_EXTERNAL_DIFF",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_NAMESPACE",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_QUARANTINE_PATH",
    "GIT_REF_PARANOIA",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_TRACE",
    "GIT_WORK_TREE",
    "DARCS_ALWAYS_COLOR",
    "DARCS_DONT_ESCAPE_ANYTHING",
    "DARCS_EDITOR",
    "DARCS_EMAIL",
    "DARCS_FILES",
    "DARCS_PAGER",
    "DARCS_PATCHES",
    "DARCS_PATCHES_XML",
];

/// Returns `program` with a limit of `seconds`, a plain environment and no input.
pub(super) fn limited(program: &str, seconds: u32) -> Command {
    let mut command = Command::new("timeout");
    command.arg("--kill-after=5").arg(seconds.to_string()).arg(program).stdin(Stdio::null());
    for name in UNSET {
        command.env_remove(name);
    }
    // No settings, no questions, no network: what is asked for is on this disk.
    command
        .env("LC_ALL", "C.UTF-8")
        .env("HOME", "/nonexistent")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_OPTIONAL_LOCKS", "0")
        .env("GIT_LITERAL_PATHSPECS", "1")
        .env("GIT_NO_LAZY_FETCH", "1")
        .env("GIT_NO_REPLACE_OBJECTS", "1")
        .env("GIT_ALLOW_PROTOCOL", "none");
    command
}

/// Runs `command` and returns what it prints; `what` is the end of "cannot …".
///
/// # Errors
/// It does not start, does not end in time, or fails; its last words are the reason.
pub(super) fn output(command: Command, what: &str) -> Result<Vec<u8>> {
    Ok(limited_output(command, u64::MAX - 1, what)?.unwrap_or_default())
}

/// Runs `command` and returns what it prints; none when it is more than `limit` bytes.
///
/// # Errors
/// As [`output`].
pub(super) fn limited_output(command: Command, limit: u64, what: &str) -> Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    let more = heard(command, what, |pipe| {
        let read = pipe.take(limit + 1).read_to_end(&mut bytes);
        read.map(|_| (bytes.len() as u64 > limit).then_some(())).map_err(unread(what))
    })?;
    Ok(more.is_none().then_some(bytes))
}

/// Runs `command` and lets `hear` read what it prints: until that has something, which is returned, or to the end.
///
/// # Errors
/// It does not start, or `hear` fails; at the end: it did not end in time, or fails.
pub(super) fn heard<T>(
    command: Command,
    what: &str,
    hear: impl FnOnce(ChildStdout) -> Result<Option<T>>,
) -> Result<Option<T>> {
    let (heard, (status, said)) = child::heard(command, hear).map_err(unread(what))?;
    let heard = heard?;
    if heard.is_none() && !status.success() {
        return Err(failure(status.code(), &said, what));
    }
    Ok(heard)
}

/// Returns what makes an error of what keeps a program from being run and read.
pub(super) fn unread(what: &str) -> impl Fn(io::Error) -> Error + '_ {
    move |source| Error::io("run", "timeout", source).within(format!("cannot {what}"))
}

fn failure(status: Option<i32>, said: &[u8], what: &str) -> Error {
    let said = String::from_utf8_lossy(said);
    let line = said.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default();
    let short: String = line.trim_start_matches("fatal: ").chars().take(300).collect();
    match (status, short.is_empty()) {
        (Some(124 | 137), _) => Error::again(format!("cannot {what}: it takes too long")),
        (None, _) => Error::again(format!("cannot {what}: it was killed")),
        (Some(127), _) => Error::wrong(format!("cannot {what}: the program is not installed")),
        (_, false) => Error::said(format!("cannot {what}: {}", inert(&short)), &short),
        (_, true) => Error::wrong(format!("cannot {what}: it fails without a word")),
    }
}
