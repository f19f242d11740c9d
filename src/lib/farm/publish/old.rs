//! Earlier versions of a package, which go once a newer one is published.
//!
//! Invariant: what a database beside them still names stays. So does everything beside a database that cannot be read.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use flate2::read::MultiGzDecoder;

use super::back::signature;
use super::{Held, placed};
use crate::base::{Error, Result, durable};
use crate::config::TreeSection;
use crate::names::Item;
use crate::tree;

/// The largest database that is looked into, bytes.
const LARGEST: u64 = 1 << 30;

/// Removes what is more than the tree keeps of the earlier versions of what was just published; a line for each.
pub(super) fn remove(section: &TreeSection, held: &Held, done: &mut Vec<String>) -> Result<()> {
    let Some(keep) = section.keep_versions else { return Ok(()) };
    let there = tree::packages_in(section)?;
    for package in &held.ticket.packages {
        let (_, target) = placed(section, held, package)?;
        let Some(new) = there.get(&target) else { continue };
        let is_other = |item: &Item| item != new && item.name == new.name && item.arch == new.arch;
        let mut old: Vec<(SystemTime, &PathBuf, &Item)> = Vec::new();
        for (path, item) in there.iter().filter(|(_, item)| is_other(item)) {
            let meta = durable::look(path)?;
            let time = meta.and_then(|meta| meta.modified().ok()).unwrap_or(SystemTime::UNIX_EPOCH);
            old.push((time, path, item));
        }
        old.sort_unstable();
        let goes = old.len().saturating_sub(keep);
        if goes > 0 {
            let databases = databases(target.parent().unwrap_or(Path::new("/")))?;
            for (_, path, item) in old.iter().take(goes) {
                done.push(let_go(path, item, &databases)?);
            }
        }
    }
    Ok(())
}

fn let_go(path: &Path, item: &Item, databases: &[Database]) -> Result<String> {
    if let Some(database) = databases.iter().find(|database| database.names(item)) {
        return Ok(format!("kept {item}: {} {}", database.name, database.why()));
    }
    // First the signature: of what is killed in between the package is found again.
    durable::unlink(&signature(path))?;
    durable::unlink(path)?;
    Ok(format!("removed {item}: a newer one is published"))
}

/// What names the packages of a directory to those who install them.
struct Database {
    name: String,
    /// Unpacked; none if that cannot be done.
    text: Option<Vec<u8>>,
}

impl Database {
    fn names(&self, item: &Item) -> bool {
        let stem = format!("{}-{}-{}", item.name, item.version, item.release);
        self.text.as_ref().is_none_or(|text| has_word(text, stem.as_bytes()))
    }

    fn why(&self) -> &'static str {
        if self.text.is_some() { "names it" } else { "is not packed with gzip, and may name it" }
    }
}

/// Tells whether `text` has `word` as the beginning of a file's name, or as a directory.
fn has_word(text: &[u8], word: &[u8]) -> bool {
    let begins = |at: usize| at == 0 || text.get(at - 1).is_some_and(|byte| b"\0/\n".contains(byte));
    let ends = |at: usize| text.get(at + word.len()).is_none_or(|byte| b"\0/\n-".contains(byte));
    let mut places = text.windows(word.len()).enumerate();
    places.any(|(at, window)| window == word && begins(at) && ends(at))
}

/// Returns the databases in `directory`: pacman's `NAME.db…` and `NAME.files…`, Frugalware's `NAME.fdb`.
fn databases(directory: &Path) -> Result<Vec<Database>> {
    let failed = |source| Error::io("list", directory, source);
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let is_one = name.ends_with(".fdb") || name.ends_with(".db") || name.contains(".db.tar");
        // A link to one beside it.
        if is_one && !name.ends_with(".sig") && entry.file_type().is_ok_and(|kind| kind.is_file()) {
            let text = unpacked(&entry.path())?;
            found.push(Database { name, text });
        }
    }
    Ok(found)
}

fn unpacked(path: &Path) -> Result<Option<Vec<u8>>> {
    let bytes = durable::read(path, LARGEST)?;
    if bytes.get(257..262) == Some(b"ustar") || bytes.is_empty() {
        return Ok(Some(bytes));
    }
    let mut text = Vec::new();
    let read = MultiGzDecoder::new(&bytes[..]).take(LARGEST).read_to_end(&mut text);
    Ok(read.is_ok_and(|length| (length as u64) < LARGEST).then_some(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_named_by_a_directory_or_a_file_and_not_by_a_part_of_a_name() {
        let named = |text: &str| has_word(text.as_bytes(), b"gcc-1-1");
        for text in ["gcc-1-1/", "x\0gcc-1-1/desc", "%FILENAME%\ngcc-1-1-x86_64.pkg", "gcc-1-1"] {
            assert!(named(text), "{text}");
        }
        for text in ["", "mygcc-1-1/", "gcc-1-10/", "gcc-1-1.2/", "gcc-1-2/"] {
            assert!(!named(text), "{text}");
        }
    }
}
