//! The slots of a builder: how many builds run at once, and in which directory each.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Which slots are taken.
#[derive(Debug, Default)]
pub(super) struct Slots {
    taken: Mutex<BTreeSet<usize>>,
    changed: Condvar,
}

impl Slots {
    /// Returns the first free one of `count`.
    pub fn free(&self, count: usize) -> Option<usize> {
        let taken = self.lock();
        (0..count).find(|slot| !taken.contains(slot))
    }

    /// Takes one.
    pub fn take(&self, slot: usize) {
        self.lock().insert(slot);
    }

    /// Gives one back.
    pub fn give(&self, slot: usize) {
        self.lock().remove(&slot);
        self.changed.notify_all();
    }

    /// Returns how many are taken.
    pub fn taken(&self) -> usize {
        self.lock().len()
    }

    /// Waits until one is given back, for at most `time`.
    pub fn wait(&self, time: Duration) {
        drop(self.changed.wait_timeout(self.lock(), time));
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<usize>> {
        // Who breaks down with it in hand has changed nothing by halves.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_taken_by_one_build_at_a_time() {
        let slots = Slots::default();
        assert_eq!(slots.free(2), Some(0));
        slots.take(0);
        assert_eq!(slots.free(2), Some(1));
        slots.take(1);
        assert_eq!((slots.free(2), slots.taken()), (None, 2));
        slots.give(0);
        assert_eq!((slots.free(2), slots.taken()), (Some(0), 1));
        assert_eq!(slots.free(1), Some(0), "fewer slots than before are reached as builds end");
        slots.take(0);
        assert_eq!(slots.free(1), None);
    }
}
