//! Strays: processes that a build started, and that left its process group. Their parents dead, they become children
//! of this process, which knows them by a word in their environment; one that has wiped that out is found by a control
//! group only.

use std::fs;
use std::io;
use std::process::Child;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::{
    Pid, Signal, WaitOptions, getpgrp, getpid, kill_process, set_child_subreaper, waitpid,
};

use crate::base::{Error, Result, child};

/// The variable by which a build's processes are known.
pub const MARK: &str = "SYNCPKG_CLAIM";

/// More generations than anything but a fork bomb has; what is left of one dies with the service.
const ROUNDS: usize = 1000;

/// The builds that run: whoever started them waits for them.
static RUNNING: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// Makes this process the parent of every orphan among its descendants.
///
/// # Errors
/// The kernel does not know that.
pub fn adopt() -> Result<()> {
    set_child_subreaper(Some(getpid()))
        .map_err(|source| Error::io("adopt", "orphans", io::Error::from(source)))
}

/// Starts a build, whose child is waited for by whoever started it.
pub(super) fn start<T>(spawn: impl FnOnce() -> io::Result<(Child, T)>) -> io::Result<(Child, T)> {
    // Nobody looks for orphans before it is known.
    let mut running = running();
    let (child, rest) = spawn()?;
    running.push(Pid::from_child(&child));
    Ok((child, rest))
}

/// Ends what is left of the build whose environment has `MARK=mark`, and buries all orphans that are dead. `pid` has
/// been waited for.
pub(super) fn end(pid: Pid, mark: Option<&str>) {
    running().retain(|running| *running != pid);
    let word = mark.map(|mark| format!("{MARK}={mark}"));
    for _ in 0..ROUNDS {
        let killed = orphans().into_iter().filter(|orphan| end_one(*orphan, word.as_deref())).count();
        if killed == 0 {
            return;
        }
    }
}

/// Kills an orphan that has `word` in its environment, and waits for it; tells whether it had.
fn end_one(orphan: Pid, word: Option<&str>) -> bool {
    let path = format!("/proc/{}/environ", orphan.as_raw_nonzero());
    let environment = fs::read(path).unwrap_or_default();
    let ours =
        word.is_some_and(|word| environment.split(|byte| *byte == 0).any(|set| set == word.as_bytes()));
    if ours {
        // A child of this process: nobody else gets its number before it was waited for.
        let _ = kill_process(orphan, Signal::KILL);
    }
    if ours {
        let _ = waitpid(Some(orphan), WaitOptions::empty());
    } else if let Some(_nobody) = child::none_is_awaited() {
        // It may be a child of another thread, with a group of its own, as `timeout` makes one.
        let _ = waitpid(Some(orphan), WaitOptions::NOHANG);
    }
    ours
}

/// Children of this process that it did not start: those it did are in its own process group, or run as builds.
fn orphans() -> Vec<Pid> {
    let (own, group, running) = (getpid(), getpgrp(), running());
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = pids.filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?));
    let orphan = |pid: &Pid| {
        let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
        // PID (NAME) STATE PARENT GROUP: a name may have any character.
        let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(1);
        let mut next = || Pid::from_raw(fields.next()?.parse().ok()?);
        Some(next()? == own && next()? != group && !running.contains(pid))
    };
    pids.filter(|pid| orphan(pid).unwrap_or(false)).collect()
}

fn running() -> MutexGuard<'static, Vec<Pid>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn build(place: &std::path::Path, mark: &str) -> (Child, Pid) {
        let script =
            "setsid -f sh -c 'echo $$ > stray; exec sleep 600'; until [ -s stray ]; do sleep 0.01; done";
        let mut command = Command::new("sh");
        command.args(["-c", script]).current_dir(place).env(MARK, mark);
        let (mut child, ()) = start(|| Ok((command.spawn()?, ()))).unwrap();
        let pid = Pid::from_child(&child);
        child.wait().unwrap();
        let stray = fs::read_to_string(place.join("stray")).unwrap();
        (child, Pid::from_raw(stray.trim().parse().unwrap()).filter(|stray| *stray != pid).unwrap())
    }

    fn is_ours(stray: Pid) -> bool {
        orphans().contains(&stray)
    }

    #[test]
    fn whoever_left_its_group_is_found_by_its_mark_and_others_are_left_alone() {
        adopt().unwrap();
        let [place, other] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let (one, stray) = build(place.path(), "b1.one");
        let (two, kept) = build(other.path(), "b1.two");
        assert!(is_ours(stray) && is_ours(kept));
        end(Pid::from_child(&one), Some("b1.one"));
        assert!(!is_ours(stray) && is_ours(kept));
        end(Pid::from_child(&two), Some("b1.two"));
        assert!(!is_ours(kept));
    }

    #[test]
    fn a_child_that_another_thread_waits_for_is_not_buried() {
        adopt().unwrap();
        let mut command = Command::new("sh");
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        // It is dead long before its output, which the other one holds, has ended.
        command.args(["-c", "sleep 1 & exit 3"]);
        let waits = std::thread::spawn(|| child::output(command));
        while !waits.is_finished() {
            end(Pid::from_raw(i32::MAX).unwrap(), None);
        }
        assert_eq!(waits.join().unwrap().unwrap().status.code(), Some(3));
    }

    #[test]
    fn a_build_that_is_waited_for_is_no_orphan() {
        adopt().unwrap();
        let mut command = Command::new("true");
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let (mut child, ()) = start(|| Ok((command.spawn()?, ()))).unwrap();
        end(Pid::from_raw(i32::MAX).unwrap(), None);
        assert!(child.wait().unwrap().success());
        running().retain(|running| *running != Pid::from_child(&child));
    }
}
