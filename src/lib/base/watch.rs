//! Waiting until something happens in a directory: inotify, as a hint only.
//!
//! Events may be lost (overflow, a directory made anew), so whoever waits looks again after each answer, and a
//! wait never lasts longer than it was told.

use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use inotify::{Inotify, WatchMask};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::{Error, Result};

/// A watch on directories. Watch first, look second: what happens between is then an event.
pub struct Watch {
    /// None where the kernel gives no more of them (`fs.inotify.max_user_instances`, 128 for one user).
    inotify: Option<Inotify>,
    /// For that case: the directories, and when they last changed.
    places: Vec<(PathBuf, Option<SystemTime>)>,
}

/// How often a change is looked for where there is no inotify: a look is one system call for each directory.
const STEP: Duration = Duration::from_millis(20);

impl Watch {
    /// Begins to watch what changes in `directories`, which exist.
    ///
    /// # Errors
    /// A directory that is not there.
    pub fn on(directories: &[PathBuf]) -> Result<Self> {
        let all = WatchMask::CREATE | WatchMask::MOVED_TO | WatchMask::MOVED_FROM | WatchMask::DELETE;
        directories.iter().try_fold(Self::empty(), |watch, directory| watch.also(directory, all))
    }

    /// Begins to watch nothing yet.
    pub fn empty() -> Self {
        Self { inotify: Inotify::init().ok(), places: Vec::new() }
    }

    /// Watches also whether somebody rings ([`super::durable::ring`], or `touch` by hand) at `directory`.
    ///
    /// # Errors
    /// The directory is not there.
    pub fn bell(self, directory: &Path) -> Result<Self> {
        self.also(directory, WatchMask::ATTRIB)
    }

    /// Watches also what goes from `directory`.
    ///
    /// # Errors
    /// The directory is not there.
    pub fn removals(self, directory: &Path) -> Result<Self> {
        self.also(directory, WatchMask::MOVED_FROM | WatchMask::DELETE)
    }

    fn also(mut self, directory: &Path, mask: WatchMask) -> Result<Self> {
        let changed = changed(directory);
        match &self.inotify {
            None => self.places.push((directory.to_owned(), changed)),
            Some(inotify) => {
                let added = inotify.watches().add(directory, mask);
                added.map_err(|source| Error::io("watch", directory, source))?;
            }
        }
        Ok(self)
    }

    /// Waits until something happens, a signal comes, or `limit` has passed; returns whether something happened.
    ///
    /// # Errors
    /// A failing system call.
    pub fn wait(&mut self, limit: Duration) -> Result<bool> {
        let Some(inotify) = &self.inotify else { return self.wait_without(limit) };
        let mut descriptors = [PollFd::from_borrowed_fd(inotify.as_fd(), PollFlags::IN)];
        match pause(&mut descriptors, limit) {
            Ok(0) | Err(Errno::INTR) => Ok(false),
            Ok(_) => self.drain().map(|()| true),
            Err(source) => Err(Error::io("wait for", "the spool", source)),
        }
    }

    fn wait_without(&mut self, limit: Duration) -> Result<bool> {
        let end = Instant::now() + limit;
        loop {
            let mut any = false;
            for (directory, before) in &mut self.places {
                let now = changed(directory);
                any |= now != std::mem::replace(before, now);
            }
            let left = end.saturating_duration_since(Instant::now());
            if any || left.is_zero() {
                return Ok(any);
            }
            match pause(&mut [], left.min(STEP)) {
                Ok(_) => {}
                Err(Errno::INTR) => return Ok(false),
                Err(source) => return Err(Error::io("wait for", "the spool", source)),
            }
        }
    }

    fn drain(&mut self) -> Result<()> {
        let Some(inotify) = &mut self.inotify else { return Ok(()) };
        let mut buffer = [0_u8; 8192];
        loop {
            match inotify.read_events(&mut buffer) {
                Ok(mut events) => {
                    if events.next().is_none() {
                        return Ok(());
                    }
                }
                Err(source) if source.kind() == std::io::ErrorKind::WouldBlock => return Ok(()),
                Err(source) => return Err(Error::io("watch", "the spool", source)),
            }
        }
    }
}

fn pause(descriptors: &mut [PollFd], limit: Duration) -> rustix::io::Result<usize> {
    let timeout = Timespec {
        tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: limit.subsec_nanos().into(),
    };
    poll(descriptors, Some(&timeout))
}

/// When something in the directory, or its own times, last changed.
fn changed(directory: &Path) -> Option<SystemTime> {
    let meta = std::fs::metadata(directory).ok()?;
    let since = Duration::new(u64::try_from(meta.ctime()).ok()?, u32::try_from(meta.ctime_nsec()).ok()?);
    Some(SystemTime::UNIX_EPOCH + since)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bell_is_heard_and_nothing_else_is() {
        let place = tempfile::tempdir().unwrap();
        let mut watch = Watch::empty().bell(place.path()).unwrap();
        std::fs::write(place.path().join("x"), "").unwrap();
        assert!(!watch.wait(Duration::ZERO).unwrap());
        crate::base::durable::ring(place.path()).unwrap();
        assert!(watch.wait(Duration::from_secs(5)).unwrap());
    }

    #[test]
    fn where_the_kernel_gives_no_inotify_a_bell_is_heard_too() {
        let place = tempfile::tempdir().unwrap();
        let mut watch = Watch { inotify: None, places: Vec::new() }.bell(place.path()).unwrap();
        assert!(!watch.wait(Duration::ZERO).unwrap());
        // Times of files go in steps of some milliseconds.
        while changed(place.path()) == watch.places[0].1 {
            crate::base::durable::ring(place.path()).unwrap();
        }
        assert!(watch.wait(Duration::from_secs(5)).unwrap());
        assert!(!watch.wait(Duration::ZERO).unwrap());
    }

    #[test]
    fn what_happened_after_the_watch_began_is_not_missed() {
        let place = tempfile::tempdir().unwrap();
        let mut watch = Watch::on(&[place.path().to_owned()]).unwrap();
        std::fs::write(place.path().join("x"), "").unwrap();
        assert!(watch.wait(Duration::from_secs(5)).unwrap());
        assert!(!watch.wait(Duration::ZERO).unwrap());
    }
}
