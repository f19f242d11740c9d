//! The log of a build: what it prints, up to a limit, and what the supervisor has to say about it.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::base::{Error, Result};
use crate::config::Bytes;

/// A log that grows up to its limit.
pub(super) struct Log {
    file: File,
    path: PathBuf,
    left: u64,
    limit: u64,
    cut: bool,
    at_line_start: bool,
}

impl Log {
    /// Opens `path` to append to it; `limit` counts from here on.
    pub(super) fn open(path: &Path, limit: u64) -> Result<Self> {
        let opened = File::options().append(true).create(true).open(path);
        let file = opened.map_err(|source| Error::io("open", path, source))?;
        Ok(Self { file, path: path.to_owned(), left: limit, limit, cut: false, at_line_start: true })
    }

    /// Appends what of `bytes` fits, and says once that the rest does not.
    pub(super) fn keep(&mut self, bytes: &[u8]) -> Result<()> {
        let room = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
        let (kept, rest) = bytes.split_at_checked(room).unwrap_or((bytes, &[]));
        self.write(kept)?;
        self.left -= kept.len() as u64;
        if !rest.is_empty() && !self.cut {
            self.cut = true;
            let limit = Bytes(self.limit);
            return self.mark(&format!("the log is longer than {limit}: the rest is not kept"));
        }
        Ok(())
    }

    /// Writes a line of the supervisor's own, whatever the limit.
    pub(super) fn mark(&mut self, text: &str) -> Result<()> {
        let start = if self.at_line_start { "" } else { "\n" };
        self.write(format!("{start}[syncpkg] {text}\n").as_bytes())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        if let Some(last) = bytes.last() {
            self.at_line_start = *last == b'\n';
        }
        self.file.write_all(bytes).map_err(|source| Error::io("write", &self.path, source))
    }
}
