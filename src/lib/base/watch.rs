//! Waiting until something happens in a directory: inotify, as a hint only.
//!
//! Events may be lost (overflow, a directory made anew), so whoever waits looks again after each answer, and a
//! wait never lasts longer than it was told.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use inotify::{Inotify, WatchMask};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::{Error, Result};

/// A watch on directories. Watch first, look second: what happens between is then an event.
pub struct Watch {
    inotify: Inotify,
}

impl Watch {
    /// Begins to watch what changes in `directories`, which exist.
    ///
    /// # Errors
    /// No inotify to be had (`fs.inotify.max_user_instances`), or a directory that is not there.
    pub fn on(directories: &[PathBuf]) -> Result<Self> {
        let all = WatchMask::CREATE | WatchMask::MOVED_TO | WatchMask::MOVED_FROM | WatchMask::DELETE;
        directories.iter().try_fold(Self::empty()?, |watch, directory| watch.also(directory, all))
    }

    /// Begins to watch nothing yet.
    ///
    /// # Errors
    /// No inotify to be had.
    pub fn empty() -> Result<Self> {
        Inotify::init()
            .map(|inotify| Self { inotify })
            .map_err(|source| Error::io("watch", "the spool", source))
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

    fn also(self, directory: &Path, mask: WatchMask) -> Result<Self> {
        let added = self.inotify.watches().add(directory, mask);
        added.map(|_| self).map_err(|source| Error::io("watch", directory, source))
    }

    /// Waits until something happens, a signal comes, or `limit` has passed; returns whether something happened.
    ///
    /// # Errors
    /// A failing system call.
    pub fn wait(&mut self, limit: Duration) -> Result<bool> {
        let timeout = Timespec {
            tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: limit.subsec_nanos().into(),
        };
        let mut descriptors = [PollFd::from_borrowed_fd(self.inotify.as_fd(), PollFlags::IN)];
        match poll(&mut descriptors, Some(&timeout)) {
            Ok(0) | Err(Errno::INTR) => Ok(false),
            Ok(_) => self.drain().map(|()| true),
            Err(source) => Err(Error::io("wait for", "the spool", source)),
        }
    }

    fn drain(&mut self) -> Result<()> {
        let mut buffer = [0_u8; 8192];
        loop {
            match self.inotify.read_events(&mut buffer) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bell_is_heard_and_nothing_else_is() {
        let place = tempfile::tempdir().unwrap();
        let mut watch = Watch::empty().unwrap().bell(place.path()).unwrap();
        std::fs::write(place.path().join("x"), "").unwrap();
        assert!(!watch.wait(Duration::ZERO).unwrap());
        crate::base::durable::ring(place.path()).unwrap();
        assert!(watch.wait(Duration::from_secs(5)).unwrap());
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
