//! What a build left behind: files with names a package may have, measured.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::base::{Error, Result, durable};

/// A file that a build left behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    /// Its name, without directory.
    pub name: String,
    /// Its length in bytes.
    pub size: u64,
    /// Its SHA-256, lower case hex.
    pub sha256: String,
}

/// Measures a file: its name, length and hash.
///
/// # Errors
/// Not a regular file, or a name no package may have.
pub fn measure(path: &Path) -> Result<Product> {
    let name = base_name(path)?.to_owned();
    let mut file: File = durable::open_regular(path)?;
    let (mut hash, mut size, mut buffer) = (Sha256::new(), 0, vec![0_u8; 1 << 16]);
    loop {
        let n = file.read(&mut buffer).map_err(|source| Error::io("read", path, source))?;
        if n == 0 {
            break;
        }
        size += n as u64;
        hash.update(buffer.get(..n).unwrap_or_default());
    }
    let sha256 = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Product { name, size, sha256 })
}

/// Names of packages have the characters of their parts; anything else is hostile.
pub(super) fn base_name(path: &Path) -> Result<&str> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b":@._+~^-".contains(&byte);
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let plain = name.len() <= 240
        && name.bytes().all(allowed)
        && name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if plain {
        Ok(name)
    } else {
        let shown = crate::base::output::inert(&path.to_string_lossy());
        Err(Error::wrong(format!("cannot take the file {shown}: its name is not a package's")))
    }
}
