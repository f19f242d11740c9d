//! The processors that readers work on. A reader and the thread that asks it take turns: on one processor neither is
//! waited for while another wakes up, and what the one has written is where the other looks. That is worth a seventh of
//! the time a whole tree takes. It is no more than a wish: where it is refused, everything runs where it likes.

use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};

/// A processor, or wherever the system likes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Processor(Option<CpuSet>);

impl Processor {
    /// Returns `count` different ones of those that this thread may run on, its own first: who reads beside us begins
    /// elsewhere. Where one does all, or they are too few, it may run on any.
    pub(super) fn some(count: usize) -> Vec<Self> {
        let may = sched_getaffinity(None).unwrap_or_else(|_| CpuSet::new());
        let all = CpuSet::MAX_CPU;
        let own = sched_getcpu().min(all);
        let found: Vec<usize> = (own..all).chain(0..own).filter(|at| may.is_set(*at)).take(count).collect();
        if count < 2 || found.len() < count {
            return vec![Self(None); count];
        }
        found.into_iter().map(Self::only).collect()
    }

    fn only(at: usize) -> Self {
        let mut set = CpuSet::new();
        set.set(at);
        Self(Some(set))
    }

    /// Keeps this thread, and what it starts from now on, there.
    pub(super) fn keep(self) {
        if let Self(Some(set)) = self {
            let _ = sched_setaffinity(None, &set);
        }
    }

    /// Does `work`; what it starts stays there, this thread does not.
    pub(super) fn lend<T>(self, work: impl FnOnce() -> T) -> T {
        let before = sched_getaffinity(None);
        self.keep();
        let done = work();
        let _ = before.and_then(|before| sched_setaffinity(None, &before));
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn allowed() -> CpuSet {
        sched_getaffinity(None).unwrap()
    }

    /// On how many processors a program runs that is started now.
    fn of_a_program() -> u32 {
        let status = Command::new("cat").arg("/proc/self/status").output().unwrap();
        let status = String::from_utf8(status.stdout).unwrap();
        let masks = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed:")).unwrap();
        masks.trim().split(',').map(|mask| u32::from_str_radix(mask, 16).unwrap().count_ones()).sum()
    }

    #[test]
    fn what_is_started_on_a_processor_stays_there_and_who_started_it_does_not() {
        let before = allowed();
        let Some(Processor(Some(_))) = Processor::some(2).first().copied() else {
            assert_eq!(before.count(), 1, "who has two shares them out");
            return;
        };
        let own: Vec<u32> = Processor::some(2).iter().map(|one| one.lend(of_a_program)).collect();
        assert_eq!((own, of_a_program()), (vec![1, 1], before.count()));
        assert!(allowed() == before);
    }

    #[test]
    fn each_gets_another_one_and_who_is_alone_any() {
        let Some([Processor(Some(one)), Processor(Some(two))]) = Processor::some(2).first_chunk().copied()
        else {
            assert_eq!(allowed().count(), 1);
            return;
        };
        assert!(one != two && one.count() == 1 && two.count() == 1);
        for count in [1, CpuSet::MAX_CPU + 1] {
            let some = Processor::some(count);
            assert!(some.len() == count && some.iter().all(|one| one.0.is_none()));
        }
    }
}
