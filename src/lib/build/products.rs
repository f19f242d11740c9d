//! What a build leaves behind to be uploaded.

use std::io::Read;
use std::path::{Path, PathBuf};

use glob::{MatchOptions, Pattern};
use sha2::{Digest, Sha256};

use crate::base::durable::open_regular;
use crate::base::output::inert;
use crate::base::{Error, Result};

/// A file a build made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    /// Its name, safe as a part of a path: `[A-Za-z0-9][A-Za-z0-9:@._+~^-]*`, at most 255 bytes.
    pub name: String,
    /// Where it lies.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// The SHA-256 of its content, in hexadecimal digits.
    pub sha256: String,
}

/// Returns the regular files in `dir` that match `pattern`, sorted by name; links are no files.
///
/// # Errors
/// A file matches whose name is not allowed, the pattern is none, or something cannot be read.
pub fn products(dir: &Path, pattern: &str) -> Result<Vec<Product>> {
    let options = MatchOptions {
        case_sensitive: true,
        require_literal_separator: true,
        require_literal_leading_dot: true,
    };
    let pattern = Pattern::new(pattern).map_err(|source| {
        Error::wrong(format!("cannot read the pattern \"{}\": {source}", inert(pattern)))
    })?;
    let failed = |source| Error::io("read", dir, source);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let shown = name.to_string_lossy();
        let regular = entry.file_type().map_err(failed)?.is_file();
        if regular && pattern.matches_with(&shown, options) {
            allowed(&shown)?;
            found.push(product(entry.path(), shown.into_owned())?);
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

fn allowed(name: &str) -> Result<()> {
    let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    let rest = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":@._+~^-".contains(&byte));
    if first && rest && name.len() <= 255 {
        return Ok(());
    }
    Err(Error::wrong(format!("cannot take the file \"{}\": packages may not have such a name", inert(name))))
}

fn product(path: PathBuf, name: String) -> Result<Product> {
    let mut file = open_regular(&path)?;
    let (mut hash, mut size, mut buffer) = (Sha256::new(), 0, vec![0_u8; 128 << 10]);
    loop {
        let count = file.read(&mut buffer).map_err(|source| Error::io("read", &path, source))?;
        if count == 0 {
            break;
        }
        hash.update(buffer.get(..count).unwrap_or_default());
        size += count as u64;
    }
    let sha256 = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Product { name, path, size, sha256 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regular_files_of_the_pattern_are_products_and_links_are_not() {
        let place = tempfile::tempdir().unwrap();
        for name in ["b-1-1-any.pkg.tar.zst", "a-1:2-1-any.pkg.tar.zst", "a.log", ".c.pkg.tar.zst"] {
            std::fs::write(place.path().join(name), "abc").unwrap();
        }
        std::os::unix::fs::symlink("/etc/passwd", place.path().join("x.pkg.tar.zst")).unwrap();
        std::fs::create_dir(place.path().join("y.pkg.tar.zst")).unwrap();
        let found = products(place.path(), "*.pkg.tar.*").unwrap();
        let names: Vec<&str> = found.iter().map(|product| product.name.as_str()).collect();
        assert_eq!(names, ["a-1:2-1-any.pkg.tar.zst", "b-1-1-any.pkg.tar.zst"]);
        assert_eq!((found[0].size, &found[0].sha256[..8]), (3, "ba7816bf"));
    }

    #[test]
    fn a_product_whose_name_could_act_is_refused() {
        for name in ["a b.pkg", "-rf.pkg", "a\u{1b}.pkg", "a\n.pkg", "ä.pkg"] {
            let place = tempfile::tempdir().unwrap();
            std::fs::write(place.path().join(name), "").unwrap();
            let error = products(place.path(), "*.pkg").unwrap_err().to_string();
            assert!(error.starts_with("cannot take the file") && !error.contains('\u{1b}'), "{error}");
        }
    }
}
