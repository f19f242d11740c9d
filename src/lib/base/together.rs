//! The same work on many things, by as many threads as there are processors.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Error, Result};

/// How many threads work at the most: a disk does not get quicker with more.
const MOST: usize = 4;

/// For so many things another thread is worth its start.
const WORTH: usize = 32;

/// What came of some of the items, which they are by their number.
type Share<R> = Vec<(usize, Result<R>)>;

/// Does `work` on each of `items`; returns what came of it, in their order.
///
/// # Errors
/// The first that failed, by their order; of the rest some may have been done.
pub fn together<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> Result<R> + Sync) -> Result<Vec<R>> {
    together_with(items, || Ok(()), |(), item| work(item))
}

/// Does the same, where each thread works with what `begin` makes for it alone.
///
/// # Errors
/// As [`together`]; and `begin` failed.
pub fn together_with<T: Sync, S, R: Send>(
    items: &[T],
    begin: impl Fn() -> Result<S> + Sync,
    work: impl Fn(&mut S, &T) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let next = AtomicUsize::new(0);
    // Until one fails: those before it, by their order, are in somebody's hands and are done.
    let share = || -> Result<Share<R>> {
        let (mut own, mut done) = (begin()?, Vec::new());
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(at) else { return Ok(done) };
            done.push((at, work(&mut own, item)));
            if done.last().is_some_and(|(_, result)| result.is_err()) {
                return Ok(done);
            }
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(MOST);
    let others = cores.min(items.len().div_ceil(WORTH)).saturating_sub(1);
    let shares: Vec<Result<Share<R>>> = std::thread::scope(|scope| {
        let started: Vec<_> = (0..others).map(|_| scope.spawn(share)).collect();
        let lost = |_| Err(Error::wrong("a thread has ended before its time"));
        let own = std::iter::once(share());
        own.chain(started.into_iter().map(|other| other.join().unwrap_or_else(lost))).collect()
    });
    // Put into their places, not sorted: what came of an item may be large.
    let mut all: Vec<Option<Result<R>>> = items.iter().map(|_| None).collect();
    for share in shares {
        for (at, result) in share? {
            if let Some(place) = all.get_mut(at) {
                *place = Some(result);
            }
        }
    }
    all.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_many_do_comes_in_the_order_in_which_one_would_have_done_it() {
        for count in [0, 1, 3, 1000] {
            let items: Vec<usize> = (0..count).collect();
            assert_eq!(together(&items, |n| Ok(n + 1)).unwrap(), (1..=count).collect::<Vec<_>>());
        }
        let failed = together(&[1, 2, 3], |n| if *n > 1 { Err(Error::no(format!("{n}"))) } else { Ok(()) });
        assert_eq!(failed.unwrap_err().to_string(), "2");
    }
}
