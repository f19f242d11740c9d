//! Adds up what was tried: a test that tried nothing has not passed.

use std::sync::Mutex;
use std::time::Instant;

use crate::acts::Act;
use crate::stage::say;

/// How many bad cases of an act are told; the rest are mostly the same.
const SHOWN: usize = 20;

/// Tries each act, as many at a time as there are processors, says how much was tried, and fails if anything went wrong,
/// or if fewer than `floor` cases were tried. `TORTURE_ACT=claim` tries that act alone.
pub fn tally(what: &str, acts: &[Act], floor: usize, each: impl Fn(&Act) -> (usize, Vec<String>) + Sync) {
    let only = std::env::var("TORTURE_ACT").ok();
    let (start, done) = (Instant::now(), Mutex::new((0, Vec::new())));
    // From the last: those take longest.
    let acts =
        Mutex::new(acts.iter().filter(|act| only.as_deref().is_none_or(|only| only == act.name)).rev());
    let work = || {
        while let Some(act) = { acts.lock().unwrap().next() } {
            let (more, wrong) = each(act);
            say(&format!("{what}: {}: {more} cases, {} bad", act.name, wrong.len()));
            let mut done = done.lock().unwrap();
            done.0 += more;
            done.1.extend(wrong.into_iter().enumerate());
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| (0..cores).for_each(|_| drop(scope.spawn(work))));
    let (tried, bad) = done.into_inner().unwrap();
    say(&format!("{what}: {tried} cases, {} bad, {} s", bad.len(), start.elapsed().as_secs()));
    let shown: Vec<String> =
        bad.into_iter().filter(|(nth, _)| *nth < SHOWN).map(|(_, wrong)| wrong).collect();
    assert!(shown.is_empty(), "{}", shown.join("\n"));
    assert!(tried >= floor || only.is_some(), "only {tried} cases");
}
