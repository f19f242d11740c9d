//! The check of the spool, and whether anybody still goes his rounds.

use std::time::Duration;

use crate::base::{Clock, Result, clock};
use crate::spool::check::Problem;
use crate::spool::{Spool, check as invariants};

/// How old the last round of syncpkgd may be.
const ROUND: Duration = Duration::from_secs(15 * 60);

/// Looks at every invariant; with `repair` mends what can be mended.
///
/// # Errors
/// A directory that cannot be read, a repair that fails.
pub fn check(spool: &Spool, repair: bool, clock: &Clock) -> Result<Vec<Problem>> {
    let mut problems = invariants::check(spool, repair, clock)?;
    problems.extend(late_round(spool, clock));
    Ok(problems)
}

fn late_round(spool: &Spool, clock: &Clock) -> Option<Problem> {
    let last = super::round::last(spool)?;
    let age = clock.now().duration_since(last);
    let late = Duration::try_from(age).is_ok_and(|age| age > ROUND);
    late.then(|| Problem {
        path: "cache/round".to_owned(),
        text: format!("the last round of syncpkgd was {} ago", clock::age(age)),
        repaired: None,
    })
}
