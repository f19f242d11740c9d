//! A control group of its own for a build: whatever it starts stays in it, and ends with it.
//!
//! Only where this process may make one below its own (root, or systemd's `Delegate=`), on cgroup2 of Linux 5.14 and
//! later; elsewhere there is none, and no word about it.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long the kernel may take to end what was killed.
const PATIENCE: Duration = Duration::from_secs(5);

/// A control group; dropped, everything in it is dead and it is gone.
#[derive(Debug)]
pub(super) struct Cgroup {
    dir: PathBuf,
}

impl Cgroup {
    /// Makes one called `name` below this process's own.
    pub fn make(name: &str) -> Option<Self> {
        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        let dir = place(&own, &mounts)?.join(name);
        fs::create_dir(&dir).ok()?;
        let made = Self { dir };
        // Before 5.14 it could not be killed as a whole.
        made.dir.join("cgroup.kill").exists().then_some(made)
    }

    /// Returns the words before a command that make it run inside; if that fails, it runs all the same.
    pub fn words(&self) -> Vec<String> {
        let script = "echo 0 2>&- >\"$1\"; shift; exec \"$@\"";
        let procs = self.dir.join("cgroup.procs").to_string_lossy().into_owned();
        ["sh", "-c", script, "sh"].map(str::to_owned).into_iter().chain([procs]).collect()
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let start = Instant::now();
        let _ = fs::write(self.dir.join("cgroup.kill"), "1");
        // It can be removed once the last has ended; what cannot be ended is left to the admin's eyes.
        while fs::remove_dir(&self.dir).is_err() && start.elapsed() < PATIENCE {
            sleep(Duration::from_millis(10));
        }
    }
}

/// Returns the directory of this process's group, from `/proc/self/cgroup` and `/proc/self/mountinfo`.
fn place(own: &str, mounts: &str) -> Option<PathBuf> {
    let path = own.lines().find_map(|line| line.strip_prefix("0::"))?;
    mounts.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let [_, _, _, root, point, ..] = before.split(' ').collect::<Vec<_>>()[..] else { return None };
        let below = Path::new(path).strip_prefix(root).ok().filter(|_| after.starts_with("cgroup2 "))?;
        Some(Path::new(point).join(below))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_own_group_is_found_wherever_it_is_mounted() {
        let unified = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n";
        let slice = "0::/system.slice/syncpkgcd.service\n";
        let found = Path::new("/sys/fs/cgroup/system.slice/syncpkgcd.service");
        assert_eq!(place(slice, unified).unwrap(), found);
        let hybrid = "29 23 0:25 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
                      31 23 0:27 /box /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        assert_eq!(place("4:memory:/x\n0::/box/b\n", hybrid).unwrap(), Path::new("/sys/fs/cgroup/unified/b"));
        assert_eq!(place(slice, "29 23 0:25 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"), None);
        assert_eq!(place("4:memory:/x\n", unified), None);
    }
}
