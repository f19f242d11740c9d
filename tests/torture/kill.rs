//! Killed at every system call: what was asked for is asked for again, and it is as if nothing had happened.

use std::collections::BTreeSet;

use crate::acts::{ALL, Act, FEW};
use crate::measure::Measure;
use crate::stage::Stage;
use crate::tally::tally;
use crate::traced::{self, Call, Trace};

/// Kills an act at the calls that `pick` takes of its trace; returns how many cases were tried, and the bad ones.
fn kill(act: &Act, pick: fn(&Trace) -> BTreeSet<Call>) -> (usize, Vec<String>) {
    let stage = Stage::new();
    let measure = Measure::of(&stage, act);
    stage.put_back();
    let (trace, _) = traced::trace(&stage, &measure.line, act.input);
    let (mut tried, mut bad) = (0, Vec::new());
    for (number, call) in pick(&trace).iter().enumerate() {
        stage.put_back();
        let (ran, killed) = trace.inject(&stage, call, "signal=KILL", false, &measure.line, act.input);
        tried += usize::from(!killed.is_empty());
        assert!(ran.in_time, "{} killed at {call} did not end", act.name);
        // In turns: an admin mends first, or whoever got no answer asks again first.
        let wrong =
            measure.acknowledged(&stage, &ran).or_else(|| aftermath(&stage, act, &measure, number % 2 == 0));
        bad.extend(wrong.map(|why| format!("{} killed at {call}: {why}", act.name)));
    }
    (tried, bad)
}

/// Mends and asks again, in this order or the other; returns what is then wrong.
pub fn aftermath(stage: &Stage, act: &Act, measure: &Measure, mend_first: bool) -> Option<String> {
    if mend_first
        && stage.has_spool()
        && let Some(why) = measure.unsound(stage)
    {
        return Some(why);
    }
    let again = stage.run_behind(&[], &measure.line, act.input);
    let answered = measure.answered(stage, act, &again);
    answered.or_else(|| measure.unsound(stage)).or_else(|| measure.differs(stage, act))
}

fn kill_all(what: &str, acts: &[Act], pick: fn(&Trace) -> BTreeSet<Call>, floor: usize) {
    if traced::ready(what) {
        tally(what, acts, floor, |act| kill(act, pick));
    }
}

#[test]
fn killed_at_a_change_nothing_is_lost_and_asking_again_is_enough() {
    kill_all("kill at changes", &FEW, Trace::changing, 60);
}

#[test]
#[ignore = "make torture"]
fn killed_at_any_call_nothing_is_lost_and_asking_again_is_enough() {
    kill_all("kill", &ALL, Trace::all, 3000);
}
