//! What is found of a spool and of its package directory, and whether it is what was promised.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use jiff::Timestamp;

use crate::life::Life;

/// What is kept of a spool for good; what else is there is a cache, a lock, a sign of life.
const KEPT: [&str; 10] =
    ["report", "log", "sent", "late", "owed", "post", "hold", "builder", "drop", "request"];

/// What is found in a spool and in its package directory.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Found {
    tickets: BTreeMap<String, String>,
    files: BTreeMap<String, Vec<u8>>,
}

impl Found {
    /// Looks at what is there now; a spool that is not made yet has nothing.
    pub fn of(life: &Life, now: Timestamp) -> Result<Self, String> {
        let spool = life.disk().join("spool");
        if !spool.join("format").exists() {
            return Ok(Self::default());
        }
        let ran = life.run_at("syncpkg-ls --json all", "", now);
        if ran.status != 0 || !ran.err.is_empty() {
            return Err(format!("syncpkg-ls ends with {}: {}", ran.status, ran.err.trim()));
        }
        let mut files = BTreeMap::new();
        for place in KEPT.map(|kept| spool.join(kept)).iter().chain([&life.disk().join("packages")]) {
            keep(&mut files, &life.disk(), place)?;
        }
        Ok(Self { tickets: tickets(&ran.out)?, files })
    }

    /// Returns which tickets of `before` are not there any more.
    pub fn lost(&self, before: &Found) -> Vec<String> {
        before.tickets.keys().filter(|id| !self.tickets.contains_key(*id)).cloned().collect()
    }

    /// Returns the states of a package's tickets, oldest first.
    pub fn states(&self, name: &str) -> Vec<&str> {
        let words = self.tickets.values().map(|said| said.split(' ').collect::<Vec<_>>());
        words.filter(|words| words[5] == name).map(|words| words[0]).collect()
    }

    /// Judges what was found after a crash between `before` and `after`: of each ticket and each file it is the one
    /// or the other, and there is no other. A mail may be anywhere on its way, but somewhere it has to be.
    pub fn between(&self, before: &Found, after: &Found) -> Vec<String> {
        let wrong =
            differences("ticket", &self.tickets, &before.tickets, &after.tickets, |text| text.clone());
        let mut wrong: Vec<String> = wrong.into_iter().map(|(_, wrong)| wrong).collect();
        let bytes = |bytes: &Vec<u8>| format!("{} bytes", bytes.len());
        let (is, was, will) = (self.tellings(), before.tellings(), after.tellings());
        let files = differences("file", &self.files, &before.files, &after.files, bytes);
        // Under another name than before and after; under those its bytes are compared like any other's.
        let travels = |name: &String| {
            let elsewhere = !before.files.contains_key(name) && !after.files.contains_key(name);
            elsewhere && telling(name).is_some_and(|told| was.contains(told) || will.contains(told))
        };
        wrong.extend(files.into_iter().filter(|(name, _)| !travels(name)).map(|(_, wrong)| wrong));
        let lost = was.intersection(&will).filter(|told| !is.contains(*told));
        wrong.extend(lost.map(|told| format!("nobody will hear of {told}")));
        wrong
    }

    /// What somebody has to be told of, or was.
    fn tellings(&self) -> BTreeSet<&str> {
        self.files.keys().filter_map(|name| telling(name)).collect()
    }
}

/// What a file tells somebody of, an end of a try or an alarm: `spool/owed/ID.EPOCH.OUTCOME`, the same with `.WHO`,
/// `spool/post/ID.EPOCH.OUTCOME.WHO.eml` or `spool/post/ID.ALARM.eml` and what lies beside it, and in `spool/sent/DAY`.
fn telling(file: &str) -> Option<&str> {
    let travels = ["spool/owed/", "spool/post/", "spool/sent/"].iter().any(|place| file.starts_with(place));
    let name = file.rsplit('/').next().filter(|_| travels)?;
    let name = [".eml", ".toml", ".tried"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
    Some(name.match_indices('.').nth(2).map_or(name, |(at, _)| &name[..at]))
}

/// Reads every file below `place`; dot names are nobody's yet, reasons and registrations can be had again, and what
/// speaks against a builder is no part of an answer.
fn keep(files: &mut BTreeMap<String, Vec<u8>>, root: &Path, place: &Path) -> Result<(), String> {
    for entry in walkdir::WalkDir::new(place).into_iter().filter_map(Result::ok) {
        let name = entry.file_name().to_string_lossy();
        let again = name.ends_with(".why")
            || place.ends_with("builder") && [".toml", ".aside"].iter().any(|end| name.ends_with(end));
        if entry.file_type().is_file() && !name.starts_with('.') && !again {
            let bytes = fs::read(entry.path()).map_err(|error| format!("{name}: {error}"))?;
            files.insert(entry.path().strip_prefix(root).unwrap().display().to_string(), bytes);
        }
    }
    Ok(())
}

/// What is said of each ticket, by ID.
fn tickets(lines: &str) -> Result<BTreeMap<String, String>, String> {
    let mut tickets = BTreeMap::new();
    for line in lines.lines() {
        let row: serde_json::Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
        let said = ["state", "epoch", "builder", "priority", "tree", "name", "version", "release", "arch"]
            .map(|key| row[key].as_str().map_or_else(|| row[key].to_string(), str::to_owned));
        let id = row["id"].as_str().unwrap_or_default().to_owned();
        if let Some(other) = tickets.insert(id.clone(), said.join(" ")) {
            return Err(format!("ticket {id} is there twice: {other}, {}", said.join(" ")));
        }
    }
    Ok(tickets)
}

/// Each name that is neither as it was nor as it will be, and what is wrong with it.
fn differences<T: PartialEq>(
    what: &str,
    found: &BTreeMap<String, T>,
    before: &BTreeMap<String, T>,
    after: &BTreeMap<String, T>,
    show: impl Fn(&T) -> String,
) -> Vec<(String, String)> {
    let names: BTreeSet<&String> = found.keys().chain(before.keys()).chain(after.keys()).collect();
    let shown = |value: Option<&T>| value.map_or_else(|| "not there".to_owned(), &show);
    let wrong = |name: &&String| {
        let (is, was, will) = (found.get(*name), before.get(*name), after.get(*name));
        let text = format!("{what} {name} is {} (was {}, then {})", shown(is), shown(was), shown(will));
        (is != was && is != will).then(|| ((*name).clone(), text))
    };
    names.iter().filter_map(wrong).collect()
}
