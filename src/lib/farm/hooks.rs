//! Programs of one's own that hear of what happens, `hooks.d/EVENT/PROGRAM`: for chat, web hooks and the like.
//!
//! Owns: which events there are, what is said of them (one JSON object on standard input), and the limits of the
//! programs. They run after the mails of a round are delivered, and whatever they do, the farm goes on. An event is told
//! at least once: a round that is killed in the middle tells it to all of them again.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Serialize;

use crate::base::output::inert;
use crate::base::{Result, child, lock};
use crate::config::{Config, HooksSection};
use crate::mail::{Audience, Note, hooked};
use crate::spool::{Report, Spool, Ticket};

/// So much of what a program says is kept, bytes.
const SAID: usize = 4 << 10;

/// So many events are told in one round.
const ROUND: usize = 100;

/// So many programs that take too long are enough for a round.
const SLOW: usize = 2;

/// What a program is told.
#[derive(Debug, Serialize)]
struct Event<'a> {
    schema: u32,
    event: &'static str,
    id: String,
    epoch: u32,
    tree: &'a str,
    name: &'a str,
    version: &'a str,
    release: &'a str,
    arch: &'a str,
    revision: &'a str,
    stage: Option<&'a str>,
    reason: &'a str,
    exit: Option<i32>,
    builder: Option<&'a str>,
    by: &'a str,
    batch: Option<&'a str>,
    maintainer: Option<&'a str>,
    started: Option<String>,
    ended: String,
    page: String,
    log: Option<String>,
}

/// What is said of what is in the package directory.
pub(super) const PUBLISHED: &str = "published";

/// Tells whether some program wants to hear of such an event.
pub(super) fn wanted(hooks: &HooksSection, event: &str) -> bool {
    !programs(hooks, event).is_empty()
}

/// Returns what a note is of.
fn event_of(note: &Note) -> &'static str {
    if note.to == Some(Audience::Published) { PUBLISHED } else { note.outcome.as_str() }
}

/// The programs of an event, in the order of their names: regular files that may be run, whose names are plain
/// (letters, digits, `_`, `-`), as run-parts(8) has it.
fn programs(hooks: &HooksSection, event: &str) -> Vec<PathBuf> {
    let plain = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    let runs = |path: &Path| {
        fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    let entries = fs::read_dir(hooks.directory.join(event)).into_iter().flatten().flatten();
    let named = entries.filter(|entry| entry.file_name().to_str().is_some_and(plain));
    let mut programs: Vec<PathBuf> = named.map(|entry| entry.path()).filter(|path| runs(path)).collect();
    programs.sort();
    programs
}

/// Tells the programs what has happened; returns a line for each that failed.
///
/// # Errors
/// Something that cannot be read just now: it is told in the next round.
pub(super) fn tell(config: &Config, spool: &Spool) -> Result<Vec<String>> {
    let Some(_lock) = lock::if_free(&spool.at("lock").join("hooks"))? else { return Ok(Vec::new()) };
    let (mut lines, mut slow) = (Vec::new(), 0);
    for note in hooked::owed(spool)?.into_iter().take(ROUND) {
        if let Some((ticket, report)) = hooked::about(spool, &note)? {
            let text =
                serde_json::to_string(&event(config, &note, &ticket, &report)).unwrap_or_default() + "\n";
            for program in programs(&config.hooks, event_of(&note)) {
                let failed = run(&program, &text, &config.hooks);
                slow += usize::from(failed.as_ref().is_some_and(|(_, in_time)| !in_time));
                lines.extend(failed.map(|(line, _)| line));
            }
        }
        hooked::told(spool, &note)?;
        if slow >= SLOW {
            break;
        }
    }
    Ok(lines)
}

fn event<'a>(config: &Config, note: &Note, ticket: &'a Ticket, report: &'a Report) -> Event<'a> {
    Event {
        schema: 1,
        event: event_of(note),
        id: note.id.to_string(),
        epoch: note.epoch,
        tree: ticket.tree.as_str(),
        name: ticket.name.as_str(),
        version: ticket.version.as_str(),
        release: ticket.release.as_str(),
        arch: ticket.arch.as_str(),
        revision: report.revision.as_str(),
        stage: report.stage.as_deref(),
        reason: &report.reason,
        exit: report.exit,
        builder: report.builder.as_ref().map(|builder| builder.as_str()),
        by: &ticket.by,
        batch: ticket.batch.as_ref().map(|batch| batch.as_str()),
        maintainer: ticket.maintainer.as_deref(),
        started: report.started.map(|at| at.to_string()),
        ended: report.ended.to_string(),
        page: format!("{}ticket/{}/", config.url, note.id),
        log: report.log.then(|| format!("{}log/{}.{}.txt", config.url, note.id, note.epoch)),
    }
}

/// Runs one program with nothing of our environment; returns what to say of it when it failed, and whether it ended in
/// time.
fn run(program: &Path, text: &str, hooks: &HooksSection) -> Option<(String, bool)> {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin").current_dir("/");
    let name = program.display();
    let ran = match child::limited(command, text.as_bytes(), hooks.limit.0, SAID) {
        Ok(ran) => ran,
        Err(source) => return Some((format!("hook {name} did not run: {source}"), true)),
    };
    let said = String::from_utf8_lossy(&ran.said);
    let said = said.lines().rfind(|line| !line.trim().is_empty()).map(|line| format!(": {}", inert(line)));
    let said = said.unwrap_or_default();
    match ran.status {
        Some(status) if status.success() => None,
        Some(status) => Some((format!("hook {name} failed ({status}){said}"), true)),
        None => Some((format!("hook {name} took longer than {} and was ended{said}", hooks.limit), false)),
    }
}
