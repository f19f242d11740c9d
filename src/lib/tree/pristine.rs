//! The files of a darcs repository's last patch, from where darcs keeps them: at once, where asking it takes a moment
//! for each. A directory is a list of names with hashes, as a file is; each is believed only by its hash.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use sha2::{Digest, Sha256};

use super::export::FILE_LIMIT;
use super::inventory::digest;
use super::paths::clean;
use crate::base::durable;
use crate::base::{Error, Result};

/// The largest directory that is read, bytes: a hundred times the largest we know.
const LARGEST: u64 = 16 << 20;

/// What darcs keeps of one moment.
pub(super) struct Pristine {
    kept: PathBuf,
    root: String,
}

/// A file or a directory, by its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Entry {
    File(String),
    Directory(String),
}

type Directory = BTreeMap<String, Entry>;

impl Pristine {
    /// Returns what the hash `root` stands for in `repository`.
    pub(super) fn new(repository: &Path, root: &str) -> Self {
        Self { kept: repository.join("_darcs/pristine.hashed"), root: root.to_owned() }
    }

    /// Returns the files in and below the directory `dir` (all: the empty path) with their hashes, sorted; a file is
    /// below itself.
    ///
    /// # Errors
    /// Darcs keeps them in another way, not here, or what it keeps is damaged.
    pub(super) fn below(&self, dir: &str) -> Result<Vec<(String, String)>> {
        let (mut found, mut left) = (Vec::new(), Vec::new());
        left.extend(self.entry(dir)?.map(|entry| (dir.to_owned(), entry)));
        while let Some((path, entry)) = left.pop() {
            match entry {
                Entry::File(hash) => found.extend(clean(&path).map(|path| (path.to_owned(), hash))),
                Entry::Directory(hash) => {
                    let inside = self.directory(&hash)?.into_iter();
                    left.extend(inside.map(|(name, entry)| (joined(&path, &name), entry)));
                }
            }
        }
        found.sort();
        Ok(found)
    }

    /// Returns the paths, as they are kept, of the files that are not the same in `old`.
    ///
    /// # Errors
    /// As [`Pristine::below`]; darcs may have removed what it kept of the past.
    pub(super) fn changed(&self, old: &str) -> Result<Vec<String>> {
        let directory = |hash: &str| Some(Entry::Directory(hash.to_owned()));
        let (mut found, mut left) =
            (Vec::new(), vec![(String::new(), directory(old), directory(&self.root))]);
        while let Some((path, old, new)) = left.pop() {
            if old == new {
                continue;
            }
            if matches!((&old, &new), (Some(Entry::File(_)), _) | (_, Some(Entry::File(_)))) {
                found.push(path.clone());
            }
            let (mut old, mut new) = (self.inside(old)?, self.inside(new)?);
            for name in old.keys().chain(new.keys()).cloned().collect::<Vec<_>>() {
                left.push((joined(&path, &name), old.remove(&name), new.remove(&name)));
            }
        }
        Ok(found)
    }

    /// Returns the content of the file `hash`; none when it is too large.
    ///
    /// # Errors
    /// As [`Pristine::below`].
    pub(super) fn content(&self, hash: &str) -> Result<Option<Vec<u8>>> {
        self.read(hash, FILE_LIMIT)
    }

    fn entry(&self, path: &str) -> Result<Option<Entry>> {
        let mut entry = Some(Entry::Directory(self.root.clone()));
        for name in path.split('/').filter(|name| !name.is_empty()) {
            entry = self.inside(entry)?.remove(name);
        }
        Ok(entry)
    }

    /// Nothing is in what is not there, or a file.
    fn inside(&self, entry: Option<Entry>) -> Result<Directory> {
        match entry {
            Some(Entry::Directory(hash)) => self.directory(&hash),
            Some(Entry::File(_)) | None => Ok(Directory::new()),
        }
    }

    fn directory(&self, hash: &str) -> Result<Directory> {
        let bytes = self.read(hash, LARGEST)?.ok_or_else(|| self.wrong("is too large"))?;
        directory(&bytes).ok_or_else(|| self.wrong("is written in another way"))
    }

    fn read(&self, hash: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        let digest = digest(hash).ok_or_else(|| self.wrong("has another name"))?;
        let path = self.kept.join(hash);
        let failed = |source| Error::io("read", &path, source);
        let mut file = durable::open_regular(&path)?.take(limit + 1);
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(failed)?;
        if bytes.starts_with(&[0x1f, 0x8b]) {
            let mut plain = Vec::new();
            GzDecoder::new(bytes.as_slice()).take(limit + 1).read_to_end(&mut plain).map_err(failed)?;
            bytes = plain;
        }
        if bytes.len() as u64 > limit {
            return Ok(None);
        }
        let found: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        if found == digest { Ok(Some(bytes)) } else { Err(self.wrong("is not what its name says")) }
    }

    fn wrong(&self, why: &str) -> Error {
        Error::wrong(format!("cannot read what darcs keeps in {}: it {why}", self.kept.display()))
    }
}

fn joined(dir: &str, name: &str) -> String {
    if dir.is_empty() { name.to_owned() } else { format!("{dir}/{name}") }
}

/// Takes apart what darcs writes of a directory: for each entry a line with its kind, one with its name, one with its
/// hash. Names that are no UTF-8 are passed over.
fn directory(bytes: &[u8]) -> Option<Directory> {
    let lines: Vec<&[u8]> = match bytes.strip_suffix(b"\n") {
        Some(bytes) => bytes.split(|&byte| byte == b'\n').collect(),
        None if bytes.is_empty() => Vec::new(),
        None => return None,
    };
    let (entries, []) = lines.as_chunks::<3>() else { return None };
    let mut found = Directory::new();
    for [kind, name, hash] in entries {
        let hash = std::str::from_utf8(hash).ok()?.to_owned();
        let entry = match *kind {
            b"file:" => Entry::File(hash),
            b"directory:" => Entry::Directory(hash),
            _ => return None,
        };
        if let Ok(name) = std::str::from_utf8(name) {
            found.insert(unescaped(name)?, entry);
        }
    }
    Some(found)
}

/// Darcs writes spaces and backslashes as their numbers between backslashes.
fn unescaped(name: &str) -> Option<String> {
    let mut parts = name.split('\\');
    let mut plain = parts.next()?.to_owned();
    while let Some(number) = parts.next() {
        plain.push(char::from_u32(number.parse().ok()?)?);
        plain.push_str(parts.next()?);
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// A place as darcs keeps things.
    struct Kept(tempfile::TempDir);

    impl Kept {
        fn new() -> Self {
            let place = tempfile::tempdir().unwrap();
            std::fs::create_dir_all(place.path().join("_darcs/pristine.hashed")).unwrap();
            Self(place)
        }

        fn at(&self, hash: &str) -> PathBuf {
            self.0.path().join("_darcs/pristine.hashed").join(hash)
        }

        fn put(&self, text: &str) -> String {
            let hash: String = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
            std::fs::write(self.at(&hash), text).unwrap();
            hash
        }

        fn pack(&self, hash: &str) {
            assert!(Command::new("gzip").arg(self.at(hash)).status().unwrap().success());
            std::fs::rename(self.at(&format!("{hash}.gz")), self.at(hash)).unwrap();
        }

        fn pristine(&self, root: &str) -> Pristine {
            Pristine::new(self.0.path(), root)
        }
    }

    #[test]
    fn files_come_out_as_they_went_in_packed_or_not() {
        let kept = Kept::new();
        let (one, two) = (kept.put("one"), kept.put("two, longer"));
        let root = kept.put(&format!("file:\na\\32\\\\92\\b\n{one}\nfile:\nc\n{two}\n"));
        kept.pack(&one);
        kept.pack(&root);
        let pristine = kept.pristine(&root);
        let found = pristine.below("").unwrap();
        assert_eq!(found, [("a \\b".to_owned(), one.clone()), ("c".to_owned(), two.clone())]);
        assert_eq!(pristine.content(&one).unwrap(), Some(b"one".to_vec()));
        assert_eq!(pristine.content(&two).unwrap(), Some(b"two, longer".to_vec()));
    }

    #[test]
    fn a_file_that_unpacks_to_too_much_is_none() {
        let kept = Kept::new();
        let hash = kept.put(&"x".repeat(FILE_LIMIT as usize + 1));
        assert_eq!(kept.pristine("").content(&hash).unwrap(), None);
        kept.pack(&hash);
        assert_eq!(kept.pristine("").content(&hash).unwrap(), None);
    }

    #[test]
    fn what_is_not_what_its_name_says_or_not_written_so_is_not_believed() {
        let kept = Kept::new();
        let hash = kept.put("one");
        std::fs::write(kept.at(&hash), "owt").unwrap();
        assert!(kept.pristine("").content(&hash).is_err());
        std::fs::remove_file(kept.at(&hash)).unwrap();
        assert!(kept.pristine("").content(&hash).is_err());
        assert!(kept.pristine("").content("../../../etc/passwd").is_err());
        for text in ["x", "file:\na\n", "link:\na\nb\n", "file:\na\\b\nc\n", "file:\na\\x\\\nc\n"] {
            let root = kept.put(text);
            assert!(kept.pristine(&root).below("").is_err(), "{text}");
        }
    }

    #[test]
    fn a_path_that_climbs_is_no_file() {
        let kept = Kept::new();
        let one = kept.put("one");
        let dir = kept.put(&format!("file:\n..\n{one}\nfile:\na/../../b\n{one}\nfile:\nc\n{one}\n"));
        let root = kept.put(&format!("directory:\n..\n{dir}\ndirectory:\nd\n{dir}\n"));
        assert_eq!(kept.pristine(&root).below("").unwrap(), [("d/c".to_owned(), one)]);
    }

    #[test]
    fn what_two_moments_differ_in_is_found_without_looking_at_the_rest() {
        let kept = Kept::new();
        let (one, two, never) = (kept.put("one"), kept.put("two"), "0".repeat(64));
        let dir = |text: &str| kept.put(text);
        let (a, b) =
            (dir(&format!("file:\nf\n{one}\n")), dir(&format!("file:\nf\n{two}\nfile:\ng\n{one}\n")));
        let same = format!("directory:\nnot-there\n{never}\n");
        let old = dir(&format!("{same}directory:\nd\n{a}\ndirectory:\nold\n{a}\nfile:\nx\n{one}\n"));
        let new = dir(&format!("{same}directory:\nd\n{b}\nfile:\nnew\n{one}\ndirectory:\nx\n{a}\n"));
        let mut found = kept.pristine(&new).changed(&old).unwrap();
        found.sort();
        assert_eq!(found, ["d/f", "d/g", "new", "old/f", "x", "x/f"]);
        assert!(kept.pristine(&new).changed(&never).is_err(), "what is not kept any more");
    }
}
