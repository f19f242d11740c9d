//! Locks that keep two programs on one host apart: flock through fs2, the only place that calls it.
//!
//! Never used for who owns a ticket; that is the rename's business (protocol.md). Lock files are never
//! removed: somebody may wait on the file that would be unlinked.

use std::fs::{File, OpenOptions};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::{Error, Result};

/// How long a lock of the spool is waited for before the answer is "try again later".
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A held lock; dropped, it is free.
#[derive(Debug)]
#[must_use = "the lock is held only as long as this value lives"]
pub struct Lock {
    _file: File,
}

/// Takes the exclusive lock on `path` (a file, made if missing, or a directory), waiting up to `patience`.
///
/// # Errors
/// `Again` when somebody holds it for longer.
pub fn exclusive(path: &Path, patience: Duration) -> Result<Lock> {
    take(path, patience, fs2::FileExt::try_lock_exclusive)
}

/// Takes a shared lock on `path`, waiting up to `patience`.
///
/// # Errors
/// `Again` when somebody holds it exclusively for longer.
pub fn shared(path: &Path, patience: Duration) -> Result<Lock> {
    take(path, patience, fs2::FileExt::try_lock_shared)
}

fn take(path: &Path, patience: Duration, attempt: fn(&File) -> std::io::Result<()>) -> Result<Lock> {
    let file = open(path)?;
    let start = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        match attempt(&file) {
            Ok(()) => return Ok(Lock { _file: file }),
            Err(source) if source.kind() == std::io::ErrorKind::Interrupted => {}
            Err(source) if source.kind() != std::io::ErrorKind::WouldBlock => {
                return Err(Error::io("lock", path, source));
            }
            Err(_) if start.elapsed() >= patience => {
                return Err(Error::again(format!("cannot lock {}: somebody else holds it", path.display())));
            }
            Err(_) => {
                sleep(pause);
                pause = (pause * 2).min(Duration::from_millis(50));
            }
        }
    }
}

fn open(path: &Path) -> Result<File> {
    let open_file = || OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
    let opened = if path.is_dir() { File::open(path) } else { open_file() };
    let opened = match (opened, path.parent()) {
        // `lock/` was tidied away by somebody.
        (Err(source), Some(parent)) if source.kind() == std::io::ErrorKind::NotFound => {
            super::durable::make_dir(parent)?;
            open_file()
        }
        (opened, _) => opened,
    };
    opened.map_err(|source| Error::io("open", path, source))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_lock_is_a_reason_to_try_again_later() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("lock");
        let held = exclusive(&path, Duration::ZERO).unwrap();
        assert_eq!(shared(&path, Duration::ZERO).unwrap_err().kind.status(), 75);
        drop(held);
        let _one = shared(&path, Duration::ZERO).unwrap();
        let _two = shared(&path, Duration::ZERO).unwrap();
    }
}
