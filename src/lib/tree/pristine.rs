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

/// Returns the contents of the files with these `hashes`, in their order; none for those that are too large.
///
/// # Errors
/// Darcs keeps them in another way, or what it keeps is damaged.
pub(super) fn contents(repository: &Path, hashes: &[&str]) -> Result<Vec<Option<Vec<u8>>>> {
    let mut all = Vec::with_capacity(hashes.len());
    for some in hashes.chunks(AT_ONCE) {
        all.extend(unpack(repository, some)?);
    }
    Ok(all)
}

fn unpack(repository: &Path, hashes: &[&str]) -> Result<Vec<Option<Vec<u8>>>> {
    let what = format!("unpack the files of {}", repository.display());
    let wrong = || Error::wrong(format!("cannot {what}: they are not what their names say"));
    let digits = |hash: &&str| hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !hashes.iter().all(digits) {
        return Err(wrong());
    }
    let kept = repository.join("_darcs/pristine.hashed");
    let sizes: Vec<u64> = hashes.iter().map(|hash| size(&kept.join(hash))).collect::<Result<_>>()?;
    let small = |size: &u64| *size <= FILE_LIMIT;
    let mut command = limited("gzip", SECONDS);
    // Forced: what is not packed, and has not the name of a packed file, comes out as it is.
    command.args(["-dcf", "--"]);
    command.args(hashes.iter().zip(&sizes).filter(|(_, size)| small(size)).map(|(hash, _)| kept.join(hash)));
    let total = sizes.iter().filter(|size| small(size)).sum();
    let bytes =
        if total == 0 { Vec::new() } else { limited_output(command, total, &what)?.ok_or_else(wrong)? };
    let mut rest = bytes.as_slice();
    let mut one = |hash: &str, size: u64| {
        let (bytes, more) = rest.split_at_checked(usize::try_from(size).ok()?)?;
        rest = more;
        (hash_of(bytes) == hash).then(|| bytes.to_owned())
    };
    let each = |(hash, size): (&&str, u64)| match small(&size) {
        true => one(hash, size).map(Some).ok_or_else(wrong),
        false => Ok(None),
    };
    hashes.iter().zip(sizes).map(each).collect()
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

fn hash_of(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// A place as darcs keeps it, with one packed and one plain file.
    fn kept(packed: &str, plain: &str) -> (tempfile::TempDir, [String; 2]) {
        let place = tempfile::tempdir().unwrap();
        let dir = place.path().join("_darcs/pristine.hashed");
        std::fs::create_dir_all(&dir).unwrap();
        let hashes = [packed, plain].map(|text| hash_of(text.as_bytes()));
        std::fs::write(dir.join(&hashes[0]), packed).unwrap();
        std::fs::write(dir.join(&hashes[1]), plain).unwrap();
        assert!(Command::new("gzip").arg(dir.join(&hashes[0])).status().unwrap().success());
        std::fs::rename(dir.join(format!("{}.gz", hashes[0])), dir.join(&hashes[0])).unwrap();
        (place, hashes)
    }

    fn read(place: &tempfile::TempDir, hashes: &[String; 2]) -> Result<Vec<Option<Vec<u8>>>> {
        contents(place.path(), &hashes.each_ref().map(String::as_str))
    }

    #[test]
    fn files_come_out_as_they_went_in_packed_or_not() {
        let (place, hashes) = kept("one", "two, longer");
        let found = read(&place, &hashes).unwrap();
        assert_eq!(found, [Some(b"one".to_vec()), Some(b"two, longer".to_vec())]);
    }

    #[test]
    fn a_file_that_is_not_what_its_name_says_is_not_believed() {
        let (place, hashes) = kept("one", "two");
        let dir = place.path().join("_darcs/pristine.hashed");
        std::fs::write(dir.join(&hashes[1]), "owt").unwrap();
        assert!(read(&place, &hashes).is_err());
        std::fs::remove_file(dir.join(&hashes[0])).unwrap();
        assert!(read(&place, &hashes).is_err());
        assert!(contents(place.path(), &["../../../etc/passwd"]).is_err());
    }
}
