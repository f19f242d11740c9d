//! The site, with what only the other rooms know: what is published, what is unbuilt and why, what logs say.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{drop_box, unbuilt};
use crate::base::{Clock, Error, Result, durable};
use crate::build::first_error::Patterns;
use crate::config::Config;
use crate::mail;
use crate::names::{Name, Revision, Tree};
use crate::spool::Spool;
use crate::tree::{self, Desk, Repository};
use crate::web::{
    self, Between, Counts, Facts, FirstError, Shipped, Sources, UnbuiltRow, Undelivered, Written,
};

/// How old what is known to be missing may be on the pages; a look through the trees costs seconds.
const FRESH: Duration = Duration::from_secs(3600);

/// How long something is missing before the pages say so.
const MISSING: Duration = Duration::from_secs(2 * 24 * 3600);

/// Writes the site, if the farm has one; `progress` hears how many packages of how many are done.
///
/// # Errors
/// As [`web::site::write`].
pub fn write(
    config: &Config,
    spool: &Spool,
    progress: &(dyn Fn(usize, usize) + Sync),
    clock: &Clock,
) -> Result<Written> {
    if config.site.as_os_str().is_empty() {
        return Ok(Written::default());
    }
    let published = |shipped: &Shipped<'_>| is_published(config, shipped).unwrap_or_default();
    let between = |between: &Between<'_>| {
        let Between { tree, path, good, bad } = between;
        let (Ok(tree), Ok(good), Ok(bad)) = (tree.parse(), good.parse(), bad.parse()) else {
            return Vec::new();
        };
        commits(config, (&tree, path), (&good, &bad))
    };
    let patterns = LazyLock::new(|| Patterns::of(config));
    let first_error = |log: &Path| first_error_of(&patterns, log);
    let acts = |day: &str| drop_box::acts(spool, day);
    let sources = Sources {
        first_error: &first_error,
        published: &published,
        commits: &between,
        acts: &acts,
        progress,
    };
    let facts = Facts {
        free: durable::available(spool.root()).ok(),
        // Pages without this list are better than none; what is wrong with the tree is said by syncpkg-unbuilt.
        unbuilt: missing(config, spool, clock).ok(),
        asked: drop_box::days(spool)?,
        undelivered: mail::given_up(spool)?.into_iter().map(undelivered).collect(),
    };
    web::site::write(config, spool, &facts, &sources, clock)
}

fn undelivered(letter: mail::GivenUp) -> Undelivered {
    Undelivered { to: letter.to, since: letter.at, error: letter.error }
}

/// Returns what was committed to a recipe between two revisions, a line each; nothing where that cannot be told: who is told
/// has the command, too.
pub(super) fn commits(
    config: &Config,
    (tree, path): (&Tree, &str),
    (old, new): (&Revision, &Revision),
) -> Vec<String> {
    let Some(section) = config.tree.get(tree) else { return Vec::new() };
    let commits = Repository::new(tree, section).between(old, new, path);
    commits.unwrap_or_default().iter().map(ToString::to_string).collect()
}

fn is_published(config: &Config, shipped: &Shipped<'_>) -> Result<bool> {
    let Some(section) = config.tree.get(&shipped.tree.parse::<Tree>()?) else { return Ok(false) };
    let (version, release) = shipped.version.rsplit_once('-').unwrap_or((shipped.version, ""));
    let packages = shipped.packages.iter().map(|name| name.parse()).collect::<Result<Vec<Name>>>()?;
    tree::published(section, &packages, &version.parse()?, &release.parse()?, &shipped.arch.parse()?)
}

/// Returns the numbers of the farm, a line each; they add up.
///
/// # Errors
/// A directory that cannot be read.
pub fn numbers(spool: &Spool) -> Result<Vec<String>> {
    let Counts { asked, waiting, building, built, failed, trouble, aborted, superseded, bad, expired } =
        web::count(spool)?;
    let parts = [
        ("waiting", waiting),
        ("building", building),
        ("built", built),
        ("failed", failed),
        ("trouble", trouble),
        ("aborted", aborted),
        ("superseded", superseded),
        ("bad", bad),
        ("expired", expired),
    ];
    let mut lines = vec![format!("{:<10} {asked:>8}", "asked")];
    lines.extend(parts.iter().map(|(name, count)| format!("{name:<10} {count:>8}")));
    Ok(lines)
}

/// What was missing when somebody last looked.
#[derive(Debug, Serialize, Deserialize)]
struct Looked {
    at: Timestamp,
    rows: Vec<UnbuiltRow>,
}

/// Returns what is unbuilt for too long, as somebody looked it up within the last hour.
///
/// # Errors
/// A tree that cannot be read.
pub(super) fn missing(config: &Config, spool: &Spool, clock: &Clock) -> Result<Vec<UnbuiltRow>> {
    let cache = spool.at("cache").join("unbuilt.json");
    let known = fs::read(&cache).ok().and_then(|bytes| serde_json::from_slice::<Looked>(&bytes).ok());
    let fresh = |looked: &Looked| {
        Duration::try_from(clock.now().duration_since(looked.at)).is_ok_and(|age| age < FRESH)
    };
    if let Some(looked) = known.filter(fresh) {
        return Ok(looked.rows);
    }
    let filter = unbuilt::Filter { tree: None, arch: None, older_than: MISSING };
    let found = unbuilt::find(config, spool, &filter, &Desk::of(spool), clock)?;
    let rows = found.rows.into_iter().filter_map(|row| {
        Some(UnbuiltRow {
            path: row.path,
            item: row.item?,
            tree: row.tree.to_string(),
            since: row.since,
            cause: row.cause,
            maintainer: row.maintainer,
        })
    });
    let looked = Looked { at: clock.now(), rows: rows.collect() };
    let text =
        serde_json::to_vec(&looked).map_err(|source| Error::wrong(format!("cannot write JSON: {source}")))?;
    durable::replace(&cache, &text)?;
    Ok(looked.rows)
}

fn first_error_of(patterns: &Patterns, log: &Path) -> Option<FirstError> {
    let found = patterns.of_file(log).ok()?.found?;
    Some(FirstError { line: found.line, before: found.before, text: found.text, after: found.after })
}
