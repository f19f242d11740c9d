//! Records: TOML that `cat` and `grep` can read, `format = 1` first, written once.

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::base::{Error, Result, durable};

/// The largest record that is read, bytes.
pub(super) const LARGEST: u64 = 1 << 20;

/// Returns a record's text.
///
/// # Errors
/// A value TOML cannot hold; none of our records has one.
pub(super) fn text<T: Serialize>(record: &T) -> Result<String> {
    toml::to_string(record).map_err(|source| Error::wrong(format!("cannot write the record: {source}")))
}

/// Reads the record `path`; keys it does not know are left to those who do.
///
/// # Errors
/// Not there, not a regular file, too large, not TOML of that shape; the text names file and line.
pub(super) fn read<T: DeserializeOwned>(path: &Path) -> Result<T> {
    read_up_to(path, LARGEST)
}

/// Reads the record `path` as [`read`] does, of at most `largest` bytes.
///
/// # Errors
/// As [`read`].
pub(super) fn read_up_to<T: DeserializeOwned>(path: &Path, largest: u64) -> Result<T> {
    let bytes = durable::read(path, largest)?;
    let fail = |why: String| Error::wrong(format!("cannot read {}: {why}", path.display()));
    let text = std::str::from_utf8(&bytes).map_err(|_| fail("it is not UTF-8".to_owned()))?;
    toml::from_str(text).map_err(|source| {
        let line =
            source.span().map_or(1, |span| text.get(..span.start).unwrap_or("").matches('\n').count() + 1);
        fail(format!("line {line}: {}", source.message().replace('\n', " ")))
    })
}
