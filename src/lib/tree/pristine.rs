//! The files of a darcs repository's last patch, from where darcs keeps them: all at once, where asking it for each
//! would take a moment for each. Each is believed only by its hash.

use std::path::Path;

use sha2::{Digest, Sha256};

use super::command::{limited, limited_output};
use super::export::FILE_LIMIT;
use crate::base::durable;
use crate::base::{Error, Result};

const SECONDS: u32 = 600;

/// So many files are unpacked at once: their names fit into a command line.
const AT_ONCE: usize = 500;

/// A file of the last patch.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct File {
    hash: String,
    pub path: String,
}

/// Reads what `darcs show pristine` prints: `HASH PATH`, for a directory with a `/` at its end.
pub(super) fn files(text: &str) -> Vec<File> {
    let file = |line: &str| {
        let (hash, path) = line.split_once(' ')?;
        let plain = hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        (plain && !path.ends_with('/')).then(|| File { hash: hash.to_owned(), path: path.to_owned() })
    };
    text.lines().filter_map(file).collect()
}

/// Returns the contents of `files`, in their order; none for those that are too large.
///
/// # Errors
/// Darcs keeps them in another way, or what it keeps is damaged.
pub(super) fn contents(repository: &Path, files: &[File]) -> Result<Vec<Option<Vec<u8>>>> {
    let mut all = Vec::with_capacity(files.len());
    for some in files.chunks(AT_ONCE) {
        all.extend(unpack(repository, some)?);
    }
    Ok(all)
}

fn unpack(repository: &Path, files: &[File]) -> Result<Vec<Option<Vec<u8>>>> {
    let kept = repository.join("_darcs/pristine.hashed");
    let sizes: Vec<u64> = files.iter().map(|file| size(&kept.join(&file.hash))).collect::<Result<_>>()?;
    let small = |size: &u64| *size <= FILE_LIMIT;
    let mut command = limited("gzip", SECONDS);
    // Forced: what is not packed, and has not the name of a packed file, comes out as it is.
    command.args(["-dcf", "--"]);
    command.args(
        files.iter().zip(&sizes).filter(|(_, size)| small(size)).map(|(file, _)| kept.join(&file.hash)),
    );
    let total = sizes.iter().filter(|size| small(size)).sum();
    let what = format!("unpack the files of {}", repository.display());
    let wrong = || Error::wrong(format!("cannot {what}: they are not what their names say"));
    let bytes =
        if total == 0 { Vec::new() } else { limited_output(command, total, &what)?.ok_or_else(wrong)? };
    let mut rest = bytes.as_slice();
    let mut one = |file: &File, size: u64| {
        let (bytes, more) = rest.split_at_checked(usize::try_from(size).ok()?)?;
        rest = more;
        (hash(bytes) == file.hash).then(|| bytes.to_owned())
    };
    let pairs = files.iter().zip(sizes);
    pairs
        .map(|(file, size)| if small(&size) { one(file, size).map(Some).ok_or_else(wrong) } else { Ok(None) })
        .collect()
}

/// Returns how large a file is once it is unpacked, as the end of a packed one says.
fn size(path: &Path) -> Result<u64> {
    if path.symlink_metadata().is_ok_and(|meta| meta.len() > FILE_LIMIT) {
        return Ok(FILE_LIMIT + 1);
    }
    let bytes = durable::read(path, FILE_LIMIT)?;
    match (bytes.as_slice(), bytes.last_chunk::<4>()) {
        ([0x1f, 0x8b, ..], Some(end)) => Ok(u64::from(u32::from_le_bytes(*end))),
        (plain, _) => Ok(plain.len() as u64),
    }
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// A place as darcs keeps it, with one packed and one plain file.
    fn kept(packed: &str, plain: &str) -> (tempfile::TempDir, Vec<File>) {
        let place = tempfile::tempdir().unwrap();
        let dir = place.path().join("_darcs/pristine.hashed");
        std::fs::create_dir_all(&dir).unwrap();
        for text in [packed, plain] {
            std::fs::write(dir.join(hash(text.as_bytes())), text).unwrap();
        }
        let packed_path = dir.join(hash(packed.as_bytes()));
        assert!(Command::new("gzip").arg(&packed_path).status().unwrap().success());
        std::fs::rename(packed_path.with_extension("gz"), &packed_path).unwrap();
        let lines: String =
            [packed, plain].map(|text| format!("{} a b/{text}\n", hash(text.as_bytes()))).concat();
        let files = files(&format!("{} a b/\n{lines}nonsense\n", "0".repeat(64)));
        (place, files)
    }

    #[test]
    fn files_come_out_as_they_went_in_packed_or_not() {
        let (place, files) = kept("one", "two, longer");
        assert_eq!(
            files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(),
            ["a b/one", "a b/two, longer"]
        );
        let read = contents(place.path(), &files).unwrap();
        assert_eq!(read, [Some(b"one".to_vec()), Some(b"two, longer".to_vec())]);
    }

    #[test]
    fn a_file_that_is_not_what_its_name_says_is_not_believed() {
        let (place, files) = kept("one", "two");
        std::fs::write(place.path().join("_darcs/pristine.hashed").join(hash(b"two")), "owt").unwrap();
        assert!(contents(place.path(), &files).is_err());
        std::fs::remove_file(place.path().join("_darcs/pristine.hashed").join(hash(b"one"))).unwrap();
        assert!(contents(place.path(), &files).is_err());
    }
}
