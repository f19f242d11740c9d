//! Random lives of a real spool beside a model of the farm's rules: after each step both say the same.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail")]

mod acts;
mod model;
mod pair;

use std::cell::RefCell;
use std::io::Write as _;

use acts::Step;
use pair::{Pair, Tally};
use proptest::prelude::ProptestConfig;
use proptest::test_runner::{RngSeed, TestCaseError, TestError, TestRunner};

/// The year of the page that the farm was drafted on; `PROPTEST_RNG_SEED` takes another.
const SEED: u64 = 2007;

#[test]
fn the_spool_does_what_the_rules_say_whatever_happens_to_it() {
    let mut config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    if config.rng_seed == RngSeed::Random {
        config.rng_seed = RngSeed::Fixed(SEED);
    }
    let (cases, seed) = (config.cases, config.rng_seed);
    let tally = RefCell::new(Tally::default());
    let result = TestRunner::new(config).run(&acts::life(), |steps| {
        let mut pair = Pair::new(&tally);
        let lived = steps.iter().try_for_each(|step| pair.step(step)).and_then(|()| pair.drain());
        lived.map_err(TestCaseError::fail)
    });
    drop(writeln!(std::io::stderr(), "model: {cases} cases, seed {seed}, {}", tally.borrow()));
    assert!(result.is_ok(), "{}", told(result.unwrap_err()));
}

/// The shortest life that was found in which the two part, a line a step.
fn told(error: TestError<Vec<Step>>) -> String {
    match error {
        TestError::Fail(reason, steps) => {
            let steps: String = steps.iter().map(|step| format!("\n  {step:?}")).collect();
            format!("{reason}{steps}")
        }
        TestError::Abort(reason) => reason.to_string(),
    }
}
