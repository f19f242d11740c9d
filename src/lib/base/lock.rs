//! Locks that keep two programs on one host apart: flock through fs2, the only place that calls it.
//!
//! Never used for who owns a ticket; that is the rename's business (protocol.md). Lock files are never
//! removed: somebody may wait on the file that would be unlinked.

use std::fs::{File, OpenOptions};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};

use super::{Error, Result};

/// How long a lock of the spool is waited for before the answer is "try again later".
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A held lock; dropped, it is free.
#[derive(Debug)]
#[must_use = "the lock is held only as long as this value lives"]
pub struct Lock {
    file: File,
}

impl Lock {
    /// Returns the lock as something a child can be given: it is held until that has ended too, whatever becomes of us.
    ///
    /// # Errors
    /// No descriptor is left.
    pub fn share(&self) -> Result<File> {
        self.file.try_clone().map_err(|source| Error::io("share", "a lock", source))
    }
}

/// Takes the exclusive lock on the file `path`, made if missing, waiting up to `patience`.
///
/// # Errors
/// `Again` when somebody holds it for longer.
pub fn exclusive(path: &Path, patience: Duration) -> Result<Lock> {
    wait(open_file(path)?, path, patience, fs2::FileExt::try_lock_exclusive)
}

/// Takes the exclusive lock on the file `path`, made if missing; none when somebody holds it.
///
/// # Errors
/// It cannot be told whether somebody does.
pub fn if_free(path: &Path) -> Result<Option<Lock>> {
    attempt(open_file(path)?, path, Duration::ZERO, fs2::FileExt::try_lock_exclusive)
}

/// Takes the exclusive lock on the directory `path`, which is never made, waiting up to `patience`.
///
/// # Errors
/// `Again` when somebody holds it for longer; not there, or no directory.
pub fn exclusive_dir(path: &Path, patience: Duration) -> Result<Lock> {
    wait(open_dir(path)?, path, patience, fs2::FileExt::try_lock_exclusive)
}

/// Takes the exclusive lock on the directory `path`, which is never made; none when somebody holds it.
///
/// # Errors
/// It cannot be told whether somebody does; not there, or no directory.
pub fn dir_if_free(path: &Path) -> Result<Option<Lock>> {
    attempt(open_dir(path)?, path, Duration::ZERO, fs2::FileExt::try_lock_exclusive)
}

/// Takes a shared lock on the directory `path`, which is never made, waiting up to `patience`.
///
/// # Errors
/// As [`exclusive_dir`].
pub fn shared_dir(path: &Path, patience: Duration) -> Result<Lock> {
    wait(open_dir(path)?, path, patience, fs2::FileExt::try_lock_shared)
}

fn wait(file: File, path: &Path, patience: Duration, lock: fn(&File) -> std::io::Result<()>) -> Result<Lock> {
    attempt(file, path, patience, lock)?
        .ok_or_else(|| Error::again(format!("cannot lock {}: somebody else holds it", path.display())))
}

fn attempt(
    file: File,
    path: &Path,
    patience: Duration,
    lock: fn(&File) -> std::io::Result<()>,
) -> Result<Option<Lock>> {
    let start = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        match lock(&file) {
            Ok(()) => return Ok(Some(Lock { file })),
            Err(source) if source.kind() == std::io::ErrorKind::Interrupted => {}
            Err(source) if source.kind() != std::io::ErrorKind::WouldBlock => {
                return Err(Error::io("lock", path, source));
            }
            Err(_) if start.elapsed() >= patience => return Ok(None),
            Err(_) => {
                sleep(pause);
                pause = (pause * 2).min(Duration::from_millis(50));
            }
        }
    }
}

fn open_file(path: &Path) -> Result<File> {
    let open = || OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
    let opened = match (open(), path.parent()) {
        // `lock/` was tidied away by somebody.
        (Err(source), Some(parent)) if source.kind() == std::io::ErrorKind::NotFound => {
            super::durable::make_dir(parent)?;
            open()
        }
        (opened, _) => opened,
    };
    opened.map_err(|source| Error::io("open", path, source))
}

/// One that has just been removed must not come back as a file.
fn open_dir(path: &Path) -> Result<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty())
        .map(File::from)
        .map_err(|source| Error::io("open", path, source))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_lock_is_a_reason_to_try_again_later() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("lock");
        let held = exclusive(&path, Duration::ZERO).unwrap();
        assert_eq!(exclusive(&path, Duration::ZERO).unwrap_err().kind.status(), 75);
        assert!(if_free(&path).unwrap().is_none());
        drop(held);
        assert!(if_free(&path).unwrap().is_some());
        let _one = shared_dir(place.path(), Duration::ZERO).unwrap();
        let _two = shared_dir(place.path(), Duration::ZERO).unwrap();
        assert_eq!(exclusive_dir(place.path(), Duration::ZERO).unwrap_err().kind.status(), 75);
    }

    #[test]
    fn a_directory_that_is_gone_does_not_come_back_as_a_file() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("b1");
        assert!(exclusive_dir(&path, Duration::ZERO).is_err());
        assert!(!path.exists());
    }
}
