//! Reading what may be hostile: regular files only, no links followed, no pipe waited on, no more than a limit.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};

use super::{Error, Result};

/// Reads the regular file `path` whole, without following a link and at most `limit` bytes of it.
///
/// # Errors
/// Not there, not a regular file, or longer than `limit`.
pub fn read(path: &Path, limit: u64) -> Result<Vec<u8>> {
    read_open(open_regular(path)?, path, limit)
}

/// Reads the open `file` whole, at most `limit` bytes of it: what was looked at is what is read, even if somebody
/// gives its name `path` to another one meanwhile.
///
/// # Errors
/// Longer than `limit`.
pub fn read_open(file: File, path: &Path, limit: u64) -> Result<Vec<u8>> {
    // Room for one byte more than there should be: a file as long as it says is read in two calls.
    let long = file.metadata().map_or(0, |meta| meta.len()).min(limit);
    let mut bytes = Vec::with_capacity(usize::try_from(long).unwrap_or_default() + 1);
    file.take(limit + 1).read_to_end(&mut bytes).map_err(|source| Error::io("read", path, source))?;
    if bytes.len() as u64 > limit {
        return Err(Error::wrong(format!("cannot read {}: longer than {limit} bytes", path.display())));
    }
    Ok(bytes)
}

/// Opens the regular file `path` without following a link and without waiting on a pipe.
///
/// # Errors
/// Not there, or not a regular file.
pub fn open_regular(path: &Path) -> Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let opened =
        rustix::fs::open(path, flags, Mode::empty()).map_err(|source| Error::io("open", path, source))?;
    let file = File::from(opened);
    let meta = file.metadata().map_err(|source| Error::io("read", path, source))?;
    if !meta.is_file() {
        return Err(Error::wrong(format!("cannot read {}: not a regular file", path.display())));
    }
    Ok(file)
}

/// Opens the regular file `path`, which must lie beneath the directory `root` and have no other name: no link on the way
/// leads elsewhere, and nobody's file is taken for one of his.
///
/// # Errors
/// Not there, not such a file, or a link on the way.
pub fn open_beneath(root: &Path, path: &Path) -> Result<File> {
    let full = root.join(path);
    let failed = |source| Error::io("open", &full, source);
    let dir = rustix::fs::open(root, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    let dir = dir.map_err(failed)?;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    let file = File::from(openat2(&dir, path, flags, Mode::empty(), beneath).map_err(failed)?);
    let meta = file.metadata().map_err(|source| Error::io("read", &full, source))?;
    if !meta.is_file() || meta.nlink() != 1 {
        return Err(Error::wrong(format!(
            "cannot read {}: not a regular file with one name",
            full.display()
        )));
    }
    Ok(file)
}
