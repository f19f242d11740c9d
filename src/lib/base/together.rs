//! The same work on many things, by as many threads as there are processors.

use super::{Error, Result};

/// How many threads work at the most: a disk does not get quicker with more.
const MOST: usize = 4;

/// Does `work` on each of `items`; returns what came of it, in their order.
///
/// # Errors
/// The first that failed, by their order; of the rest some may have been done.
pub fn together<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> Result<R> + Sync) -> Result<Vec<R>> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(MOST);
    let share = items.len().div_ceil(threads).max(1);
    let work = &work;
    let shares: Vec<Result<Vec<R>>> = std::thread::scope(|scope| {
        let start = |share| scope.spawn(move || -> Result<Vec<R>> { <[T]>::iter(share).map(work).collect() });
        let started: Vec<_> = items.chunks(share).map(start).collect();
        let ended = started.into_iter().map(std::thread::ScopedJoinHandle::join);
        ended
            .map(|done| done.unwrap_or_else(|_| Err(Error::wrong("a thread has ended before its time"))))
            .collect()
    });
    let mut all = Vec::with_capacity(items.len());
    for share in shares {
        all.extend(share?);
    }
    Ok(all)
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
