//! The sandbox recipes are read in: no network, nothing to write to, few processes, little time.
//!
//! A push is read with a sandbox for each recipe. A scan shares one, for the sake of the prelude; there, a recipe
//! that drives a debugger at the reader could speak for those after it. It gains nothing by it: what is built is
//! read again, alone.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::recipe::{Problem, Reading, judge};
use super::session::{Fields, Session, Turn};
use crate::base::output::inert;
use crate::base::{Error, Result};
use crate::config::{Format, TreeSection};

const READER: &str = include_str!("reader.sh");

/// Up to this many recipes are read each in a sandbox of its own.
const ALONE: usize = 8;

/// What a recipe may cost.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The time one recipe may take.
    pub recipe: Duration,
    /// The time all may take that are read by one call.
    pub scan: Duration,
    /// The bytes the fields of one recipe may have.
    pub fields: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { recipe: Duration::from_secs(2), scan: Duration::from_secs(600), fields: 1 << 20 }
    }
}

/// Reads the recipe files `paths` below the directory `root`; a reading for each, in their order.
///
/// # Errors
/// bwrap is missing or may not work here, or the prelude breaks.
pub(super) fn readings(
    section: &TreeSection,
    root: &Path,
    paths: &[String],
    limits: Limits,
) -> Result<Vec<Reading>> {
    let threads = std::thread::available_parallelism().map_or(1, |count| count.get().min(4));
    let share = if paths.len() <= ALONE { 1 } else { paths.len().div_ceil(threads) };
    let end = Instant::now() + limits.scan;
    // The threads stay until their sandboxes are done with: --die-with-parent means the thread.
    let parts: Vec<Result<Vec<Reading>>> = std::thread::scope(|scope| {
        let running: Vec<_> = paths
            .chunks(share.max(1))
            .map(|part| scope.spawn(move || read_part(section, root, part, limits, end)))
            .collect();
        running.into_iter().map(|thread| thread.join().unwrap_or_else(|_| Err(lost()))).collect()
    });
    parts.into_iter().try_fold(Vec::with_capacity(paths.len()), |mut all, part| {
        all.extend(part?);
        Ok(all)
    })
}

fn lost() -> Error {
    Error::wrong("cannot read recipes: the thread that reads them broke down")
}

fn read_part(
    section: &TreeSection,
    root: &Path,
    paths: &[String],
    limits: Limits,
    end: Instant,
) -> Result<Vec<Reading>> {
    let mut session = None;
    let mut readings = Vec::with_capacity(paths.len());
    for path in paths {
        if Instant::now() >= end {
            readings.push(Err(problem(path, "there was no time left to read it")));
            continue;
        }
        let mut running = match session.take() {
            Some(running) => running,
            None => Session::start(command(section, root), limits.recipe * 10)?,
        };
        match running.read(path, limits.recipe, limits.fields) {
            Turn::Done(fields, talk) => {
                readings.push(reading(path, &fields, &talk, section.format));
                session = Some(running);
            }
            Turn::Broken(_) => readings.push(read_once(section, root, path, limits)?),
        }
    }
    Ok(readings)
}

/// Reads a recipe that broke the conversation a second and last time: what was too slow beside others, or on a
/// busy machine, gets a sandbox of its own before it is called a problem.
fn read_once(section: &TreeSection, root: &Path, path: &str, limits: Limits) -> Result<Reading> {
    let mut session = Session::start(command(section, root), limits.recipe * 10)?;
    Ok(match session.read(path, limits.recipe, limits.fields) {
        Turn::Done(fields, talk) => reading(path, &fields, &talk, section.format),
        Turn::Broken(why) => Err(problem(path, &why)),
    })
}

fn problem(path: &str, error: &str) -> Problem {
    Problem { path: path.to_owned(), error: inert(error) }
}

fn reading(path: &str, fields: &Fields, talk: &str, format: Format) -> Reading {
    if fields.one("irregular").is_some() {
        return Err(problem(path, "it is no regular file"));
    }
    if let Some(error) = syntax_error(path, talk) {
        return Err(problem(path, &error));
    }
    if fields.one("read").is_none() {
        let last = talk.lines().last().map(|line| format!(" ({line})")).unwrap_or_default();
        let short: String = last.chars().take(200).collect();
        return Err(problem(path, &format!("it ends before it is read{short}")));
    }
    judge(path, fields, format)
}

/// Returns bash's complaint about `path` as `PATH:LINE: syntax error …`. After one the fields set above it would
/// pass for the whole recipe.
fn syntax_error(path: &str, talk: &str) -> Option<String> {
    let file = path.rsplit('/').next().unwrap_or(path);
    let start = format!("./{file}: line ");
    talk.lines().find_map(|line| {
        let (number, text) = line.strip_prefix(&start)?.split_once(": ")?;
        let wrong = text.starts_with("syntax error") || text.starts_with("unexpected EOF");
        let text: String = text.chars().take(200).collect();
        (wrong && number.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| format!("{path}:{number}: {text}"))
    })
}

/// The first of the users that readers become when they are started by root: far from all that are given to
/// people and services. Each sandbox has one of its own, because the limit on processes counts by user.
const USERS: u64 = 1 << 30;

/// Tells whether there is such a user here: root of a user namespace may be alone in it.
fn is_mapped(uid: u64) -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    map.lines().any(|line| {
        let numbers: Vec<u64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        matches!(numbers[..], [first, _, count] if (first..first.saturating_add(count)).contains(&uid))
    })
}

fn command(section: &TreeSection, root: &Path) -> Command {
    let root_user = rustix::process::geteuid().is_root() && is_mapped(USERS + 0xffff);
    let mut command = Command::new("bwrap");
    isolate(&mut command, root_user);
    furnish(&mut command, section, root);
    command.args([
        "--",
        "prlimit",
        "--core=0",
        "--as=536870912",
        "--nproc=64",
        "--fsize=1048576",
        "--nofile=256",
    ]);
    if root_user {
        let user = USERS + u64::from(crate::base::random::number());
        let (user, group) = (format!("--reuid={user}"), format!("--regid={user}"));
        command.args(["setpriv", &user, &group, "--clear-groups"]);
    }
    command.args(["bash", "--noprofile", "--norc", "-c", READER, "reader"]);
    let arch = section.archs.first().map_or("x86_64", |arch| arch.as_str());
    let format = match section.format {
        Format::Frugalbuild => "frugalbuild",
        Format::Pkgbuild => "pkgbuild",
    };
    command.args([format, arch]).arg(section.prelude.as_deref().unwrap_or(Path::new("")));
    command
}

fn isolate(command: &mut Command, root_user: bool) {
    command.args(["--die-with-parent", "--new-session", "--clearenv", "--cap-drop", "ALL"]);
    if root_user {
        // In a user namespace root would still be the real root to the limit on processes; so the reader
        // becomes somebody else.
        command.args(["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts"]);
        command.args(["--unshare-cgroup-try", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]);
    } else {
        command.arg("--unshare-all");
    }
    command.args(["--setenv", "PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"]);
    command.args(["--setenv", "HOME", "/tmp", "--setenv", "LC_ALL", "C"]);
}

fn furnish(command: &mut Command, section: &TreeSection, root: &Path) {
    command.args(["--ro-bind", "/usr", "/usr"]);
    for dir in ["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"] {
        system_directory(command, Path::new(dir));
    }
    // The loader's cache, links of awk and the like, and what makepkg and Frugalware's prelude source.
    for file in ["/etc/ld.so.cache", "/etc/alternatives", "/etc/makepkg.conf", "/etc/repoman.conf"] {
        command.args(["--ro-bind-try", file, file]);
    }
    command.args(["--proc", "/proc", "--dev", "/dev"]);
    command.args(["--size", "16777216", "--perms", "1777", "--tmpfs", "/tmp"]);
    if let Some(prelude) = section.prelude.as_deref().filter(|path| !path.starts_with("/usr")) {
        // bwrap would make the directories above it for the owner only.
        let above: Vec<&Path> = prelude.ancestors().skip(1).collect();
        for dir in above.iter().rev().filter(|dir| dir.parent().is_some()) {
            command.args(["--perms", "0755", "--dir"]).arg(dir);
        }
        command.arg("--ro-bind").arg(prelude).arg(prelude);
    }
    command.arg("--ro-bind").arg(root).args(["/tree", "--chdir", "/tree"]);
    command.args(["--remount-ro", "/dev", "--remount-ro", "/"]);
}

/// Shows `dir` inside as it is outside: a link (merged /usr), a directory, or not at all.
fn system_directory(command: &mut Command, dir: &Path) {
    match std::fs::read_link(dir) {
        Ok(target) => command.arg("--symlink").arg(target).arg(dir),
        Err(_) => command.arg("--ro-bind-try").arg(dir).arg(dir),
    };
}
