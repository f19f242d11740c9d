//! Adds up what was tried: a test that tried nothing has not passed.

use std::time::Instant;

use crate::acts::Act;
use crate::stage::say;

/// How many bad cases of an act are told; the rest are mostly the same.
const SHOWN: usize = 20;

/// Tries each act, says how much was tried, and fails if anything went wrong, or if fewer than `floor` cases were
/// tried. `TORTURE_ACT=claim` tries that act alone.
pub fn tally(what: &str, acts: &[Act], floor: usize, each: impl Fn(&Act) -> (usize, Vec<String>)) {
    let only = std::env::var("TORTURE_ACT").ok();
    let (start, mut tried, mut bad) = (Instant::now(), 0, Vec::new());
    for act in acts.iter().filter(|act| only.as_deref().is_none_or(|only| only == act.name)) {
        let (more, wrong) = each(act);
        say(&format!("{what}: {}: {more} cases, {} bad", act.name, wrong.len()));
        tried += more;
        bad.extend(wrong.into_iter().enumerate());
    }
    say(&format!("{what}: {tried} cases, {} bad, {} s", bad.len(), start.elapsed().as_secs()));
    let shown: Vec<String> =
        bad.into_iter().filter(|(nth, _)| *nth < SHOWN).map(|(_, wrong)| wrong).collect();
    assert!(shown.is_empty(), "{}", shown.join("\n"));
    assert!(tried >= floor || only.is_some(), "only {tried} cases");
}
