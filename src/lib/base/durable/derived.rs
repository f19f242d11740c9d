//! What is not fsynced: indexes, caches, pages, live logs, signs of life. A power cut may take any of it back, and it is
//! made again.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::time::SystemTime;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};
use rustix::io::Errno;

use super::{create, create_at, discard, make_dir, parent, present};
use crate::base::{Error, Result, random};

/// Makes `name` another name of the file `of`, in place of whatever had it; not fsynced: for indexes, which can
/// be made again.
///
/// # Errors
/// Any failing system call.
pub fn link(of: &Path, name: &Path) -> Result<()> {
    let fail = |source| Error::io("link", name, source);
    let made = match fs::hard_link(of, name) {
        Err(source) if source.kind() == io::ErrorKind::NotFound && present(of)? => {
            make_dir(parent(name))?;
            fs::hard_link(of, name)
        }
        other => other,
    };
    match made {
        Err(source) if source.kind() == io::ErrorKind::AlreadyExists => {
            let temporary = parent(name).join(format!(".{}", random::word(8)));
            fs::hard_link(of, &temporary).map_err(fail)?;
            let renamed = fs::rename(&temporary, name);
            // Two names of one file: the rename did nothing and left both.
            discard(&temporary);
            renamed.map_err(fail)
        }
        other => other.map_err(fail),
    }
}

/// Gives every file below the directory `of` another name below `to`, under the same path; what somebody moves meanwhile
/// may be left out. Not fsynced: for what is used at once.
///
/// # Errors
/// Any other failing system call.
pub fn link_tree(of: &Path, to: &Path) -> Result<()> {
    let gone = |source: &io::Error| source.kind() == io::ErrorKind::NotFound;
    fs::create_dir_all(to).map_err(|source| Error::io("make directory", to, source))?;
    let entries = match fs::read_dir(of) {
        Err(source) if gone(&source) => return Ok(()),
        entries => entries.map_err(|source| Error::io("read", of, source))?,
    };
    for entry in entries {
        let entry = entry.map_err(|source| Error::io("read", of, source))?;
        let (path, name) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().map_err(|source| Error::io("look at", &path, source))?;
        if kind.is_dir() {
            link_tree(&path, &name)?;
        } else if kind.is_file() {
            match fs::hard_link(&path, &name) {
                Err(source) if !gone(&source) => return Err(Error::io("link", &name, source)),
                Ok(()) | Err(_) => {}
            }
        }
    }
    Ok(())
}

/// Copies what `source` yields into the new file `path`, not fsynced: what is used at once, or not at all.
///
/// # Errors
/// Any failing system call.
pub fn copy(source: &mut impl Read, path: &Path) -> Result<()> {
    make_dir(parent(path))?;
    let mut file = create_at(path).map_err(|source| Error::io("create", path, source))?;
    io::copy(source, &mut file).map(drop).map_err(|source| Error::io("write", path, source))
}

/// Makes the link `path` that leads to `target`, not fsynced.
///
/// # Errors
/// Any failing system call.
pub fn lead(path: &Path, target: &Path) -> Result<()> {
    make_dir(parent(path))?;
    std::os::unix::fs::symlink(target, path).map_err(|source| Error::io("link", path, source))
}

/// Removes the file `path` if it is there, not fsynced: for what can be derived again.
pub fn forget(path: &Path) {
    discard(path);
}

/// Removes the file `path`, not fsynced: for what is removed again when a power cut brings it back. One that is gone
/// already is fine.
///
/// # Errors
/// Any other failing system call.
pub fn unlink(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", path, source)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Removes the directory `path` if it is empty, not fsynced; returns whether it did.
pub fn prune(path: &Path) -> bool {
    fs::remove_dir(path).is_ok()
}

/// Replaces `path` by `bytes` when they differ; whole at any moment, but not fsynced: for what can be derived
/// again. Returns whether it wrote.
///
/// # Errors
/// Any failing system call.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<bool> {
    if has(path, bytes) {
        return Ok(false);
    }
    replace_by(path, |file| file.write_all(bytes).map_err(|source| Error::io("write", path, source)))
        .map(|()| true)
}

/// Replaces `path` by what `write` writes, as [`replace`] does, however much that is.
///
/// # Errors
/// As `write`, and any failing system call.
pub fn replace_by(path: &Path, write: impl FnOnce(&mut File) -> Result<()>) -> Result<()> {
    make_dir(parent(path))?;
    let (temporary, mut file) = create(parent(path), path)?;
    let done = write(&mut file)
        .and_then(|()| fs::rename(&temporary, path).map_err(|source| Error::io("rename", path, source)));
    if done.is_err() {
        discard(&temporary);
    }
    done
}

/// Replaces `path` by `bytes` when they differ, as [`replace`] does, but for thousands of pages that only one program at a
/// time writes: nothing is fsynced, new directories neither, and what a killed one leaves is overwritten by the next.
///
/// # Errors
/// Any failing system call.
pub fn page(path: &Path, bytes: &[u8]) -> Result<bool> {
    let place = parent(path);
    // Most often the first page of a directory of its own.
    if !make_place(place)? && has(path, bytes) {
        return Ok(false);
    }
    let last = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let temporary = place.join(format!(".{last}.new"));
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = rustix::fs::open(&temporary, flags, Mode::from_raw_mode(0o644));
    let mut file = File::from(opened.map_err(|source| Error::io("create", path, source))?);
    file.write_all(bytes).map_err(|source| Error::io("write", path, source))?;
    fs::rename(&temporary, path).map_err(|source| Error::io("rename", path, source))?;
    Ok(true)
}

/// Tells whether these are the bytes of the file `path`: one of another length is not read.
fn has(path: &Path, bytes: &[u8]) -> bool {
    let same = |mut file: File| -> io::Result<bool> {
        let mut old = Vec::new();
        Ok(file.metadata()?.len() == bytes.len() as u64 && file.read_to_end(&mut old).is_ok() && old == bytes)
    };
    File::open(path).and_then(same).unwrap_or(false)
}

/// Makes a directory, not fsynced: by one system call where its parent is there. Returns whether it is new.
fn make_place(path: &Path) -> Result<bool> {
    match fs::create_dir(path) {
        Ok(()) => Ok(true),
        Err(source) if source.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(_) => match fs::create_dir_all(path) {
            Ok(()) => Ok(true),
            Err(source) => Err(Error::io("make directory", path, source)),
        },
    }
}

/// Returns the time of the last change of the directory `path`, nanoseconds: another one whenever a name came or went,
/// unless that was within the clock's grain. None when there is no such directory.
///
/// # Errors
/// It cannot be told.
pub fn changed(path: &Path) -> Result<Option<i64>> {
    Ok(super::look(path)?.map(|meta| time(&meta)))
}

/// Returns the names in `directory` that are UTF-8, and when each last changed, as [`changed`]: by one look at each without a
/// way to it. None if the directory does not exist.
///
/// # Errors
/// It cannot be read.
pub fn changes(directory: &Path) -> Result<Vec<(String, i64)>> {
    let fail = |source| Error::io("read", directory, source);
    let gone = |source: &io::Error| source.kind() == io::ErrorKind::NotFound;
    let entries = match fs::read_dir(directory) {
        Err(source) if gone(&source) => return Ok(Vec::new()),
        entries => entries.map_err(fail)?,
    };
    let mut changes = Vec::new();
    for entry in entries {
        let entry = entry.map_err(fail)?;
        match entry.metadata() {
            Ok(meta) => changes.extend(entry.file_name().into_string().ok().map(|name| (name, time(&meta)))),
            Err(source) if gone(&source) => {}
            Err(source) => return Err(fail(source)),
        }
    }
    Ok(changes)
}

fn time(meta: &fs::Metadata) -> i64 {
    meta.mtime().saturating_mul(1_000_000_000).saturating_add(meta.mtime_nsec())
}

/// Returns what tells the directory `path` from another that has its name later.
///
/// # Errors
/// It cannot be told.
pub fn identity(path: &Path) -> Result<Option<(u64, u64)>> {
    Ok(super::look(path)?.map(|meta| (meta.dev(), meta.ino())))
}

/// Writes `bytes` at `offset` of `path`, made when missing; not fsynced: for logs that grow while a build runs. Not an
/// append: the same bytes handed in twice at once are there once.
///
/// # Errors
/// Any failing system call.
pub fn write_at(path: &Path, offset: u64, bytes: &[u8]) -> Result<()> {
    make_dir(parent(path))?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::from_raw_mode(0o644))
        .map_err(|source| Error::io("open", path, source))?;
    File::from(file).write_all_at(bytes, offset).map_err(|source| Error::io("write", path, source))
}

/// Removes the directory `path` with all that is in it; one that is gone already is fine. Not fsynced: for what is
/// removed again, or does no harm, when a power cut brings it back.
///
/// # Errors
/// Any other failing system call.
pub fn remove_tree(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", path, source)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Sets the modification time of `path` to `time`, the sign of life a lease goes by; not fsynced, because a
/// beat that a power cut takes back costs nothing but an earlier reclaim after a whole new lease.
/// Returns false when there is no such file.
///
/// # Errors
/// Any other failing system call.
pub fn touch(path: &Path, time: SystemTime) -> Result<bool> {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let omit = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
    let times = Timestamps {
        last_access: omit,
        last_modification: Timespec {
            tv_sec: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: since.subsec_nanos().into(),
        },
    };
    match rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(()) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(source) => Err(Error::io("touch", path, source)),
    }
}

/// Wakes who watches the directory `path` ([`crate::base::watch::Watch::bell`]): sets both its times, which the kernel tells
/// them; one time alone it would not. Silent when there is no such directory: nobody watches it.
///
/// # Errors
/// Any other failing system call.
pub fn ring(path: &Path) -> Result<()> {
    let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
    let times = Timestamps { last_access: now, last_modification: now };
    match rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(source) => Err(Error::io("touch", path, source)),
    }
}
