//! What killed programs leave behind.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::base::{Result, durable};
use crate::names::State;
use crate::spool::{Spool, list, report, upload};

/// How long a file may lie in `tmp` before whoever made it is dead for certain.
const STALE: Duration = Duration::from_secs(24 * 3600);

/// Removes what killed programs left behind; part of each round.
///
/// # Errors
/// A failing system call.
pub fn sweep(spool: &Spool) -> Result<()> {
    stale(spool)?.iter().try_for_each(|(path, _)| remove(path))
}

pub(super) fn remove(path: &Path) -> Result<()> {
    if path.is_dir() { durable::remove_tree(path) } else { durable::remove(path) }
}

/// Returns what [`sweep`] would remove now: where, and what it is.
///
/// # Errors
/// A directory that cannot be read.
pub fn stale(spool: &Spool) -> Result<Vec<(PathBuf, &'static str)>> {
    let mut found = Vec::new();
    let old = |path: &Path| {
        let age = fs::symlink_metadata(path).and_then(|meta| meta.modified()).map(|time| time.elapsed());
        matches!(age, Ok(Ok(age)) if age > STALE)
    };
    for entry in fs::read_dir(spool.tmp()).into_iter().flatten().flatten() {
        if old(&entry.path()) {
            found.push((entry.path(), "was left by a program that died"));
        }
    }
    // What replaces a file is written beside it.
    for name in ["builder", "cache", "drop", "hold", "lock", "post", "told"] {
        for entry in fs::read_dir(spool.at(name)).into_iter().flatten().flatten() {
            if entry.file_name().as_encoded_bytes().starts_with(b".") && old(&entry.path()) {
                found.push((entry.path(), "was left by a program that died"));
            }
        }
    }
    let running: Vec<String> = list::building(spool)?.iter().map(|entry| entry.name.try_word()).collect();
    for name in list::names(&spool.at("live"))? {
        let path = spool.at("live").join(&name);
        if !running.iter().any(|word| name.strip_suffix(".log") == Some(word)) && old(&path) {
            found.push((path, "is the live log of a try that is over"));
        }
    }
    for path in upload::forgotten(spool, STALE)? {
        found.push((path, "was brought by a builder that does not hold that ticket any more"));
    }
    for (id, epoch) in report::held(spool)? {
        let path = spool.hold(&id, epoch);
        let built = report::ended(spool, &id, epoch)?.is_some_and(|entry| entry.state() == State::Built);
        if path.is_dir() && !built && !running.contains(&format!("{id}.{epoch}")) && old(&path) {
            found.push((path, "holds packages of a try that did not end as built"));
        }
    }
    for name in list::names(&spool.at("hold"))? {
        let path = spool.at("hold").join(&name);
        if path.extension().is_some_and(|end| end == "why")
            && !durable::present(&path.with_extension(""))?
            && old(&path)
        {
            found.push((path, "says why packages are held that are not there"));
        }
    }
    Ok(found)
}
