//! Where a darcs repository is: its last patch and what is recorded, read from the head and the end of
//! `_darcs/hashed_inventory`, where asking darcs would take as long as all else a hook does. Darcs renames that file
//! into place, so both are of one moment. Of anything that is not written as we know it nothing is said.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use sha1::{Digest, Sha1};

use crate::base::durable;
use crate::names::Revision;

/// So much of the end is read, bytes; a patch that somebody says more about is asked for.
const END: u64 = 64 << 10;

/// A moment of a darcs repository.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Inventory {
    /// The last patch.
    pub tip: Revision,
    /// The hash of the root of what is recorded.
    pub root: String,
}

impl Inventory {
    /// Reads it; none when there is no patch, or darcs writes it in another way.
    pub(super) fn read(repository: &Path) -> Option<Self> {
        let format = durable::read(&repository.join("_darcs/format"), 200).ok()?;
        if !is_known(std::str::from_utf8(&format).ok()?) {
            return None;
        }
        let mut file = durable::open_regular(&repository.join("_darcs/hashed_inventory")).ok()?;
        let mut head = Vec::new();
        file.by_ref().take(200).read_to_end(&mut head).ok()?;
        let root = std::str::from_utf8(head.split(|&byte| byte == b'\n').next()?).ok()?;
        let root = root.strip_prefix("pristine:").filter(|root| digest(root).is_some())?.to_owned();
        Some(Self { tip: last_patch(&end(file)?)?.parse().ok()?, root })
    }
}

/// Such a format as this is written for: `hashed` in its first line, `darcs-2` in its second.
fn is_known(format: &str) -> bool {
    let mut words = format.lines().flat_map(|line| line.split('|'));
    words.next() == Some("hashed") && words.all(|word| matches!(word, "no-working-dir" | "darcs-2"))
}

fn end(mut file: File) -> Option<Vec<u8>> {
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(END))).ok()?;
    let mut bytes = Vec::new();
    file.take(END).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// Returns the SHA-256 in what darcs calls a file by, its length before it or not.
pub(super) fn digest(name: &str) -> Option<&str> {
    let digest = match name.split_once('-') {
        Some((length, digest)) if length.len() == 10 && length.bytes().all(|byte| byte.is_ascii_digit()) => {
            digest
        }
        Some(_) => return None,
        None => name,
    };
    let is_digit = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    (digest.len() == 64 && digest.bytes().all(is_digit)).then_some(digest)
}

/// Tells whether a line stands between two patches: no line of a patch can, whose author's has a `*`.
fn is_between(line: &[u8]) -> bool {
    let Ok(line) = std::str::from_utf8(line) else { return false };
    let name = line.strip_prefix("hash: ").or(line.strip_prefix("pristine:")).unwrap_or(line);
    digest(name).is_some()
}

/// Returns the hash of the patch that `text` ends with.
fn last_patch(text: &[u8]) -> Option<String> {
    let mut lines = text.strip_suffix(b"\n")?.rsplit(|&byte| byte == b'\n');
    lines.next().filter(|line| line.starts_with(b"hash: ") && is_between(line))?;
    let mut patch: Vec<&[u8]> = Vec::new();
    loop {
        match lines.next()? {
            line if is_between(line) => break,
            line => patch.push(line),
        }
    }
    patch.reverse();
    name(&patch)
}

/// Names a patch as darcs does: `[NAME`, `AUTHOR**DATE`, then `] `, after lines of what else is said if there are any.
fn name(patch: &[&[u8]]) -> Option<String> {
    let (title, rest) = patch.split_first()?;
    let (who, said) = rest.split_first()?;
    let (who, said) = match (who.strip_suffix(b"] "), said.split_last()) {
        (Some(who), None) => (who, said),
        (None, Some((end, said))) if *end == b"] " => (*who, said),
        (Some(_) | None, _) => return None,
    };
    let star = who.iter().position(|&byte| byte == b'*')?;
    let (author, date) = who.split_at_checked(star)?;
    let mut hash = Sha1::new();
    hash.update(title.strip_prefix(b"[")?);
    hash.update(author);
    // A patch that takes another back has a `-` here.
    hash.update(date.strip_prefix(b"**").filter(|date| date.iter().all(u8::is_ascii_digit))?);
    for line in said {
        hash.update(line.strip_prefix(b" ")?);
    }
    hash.update(b"f");
    Some(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "188cce3fec78037cc35a16faa2419167 4db32eb9617777cff94339613aa8b8d9";

    fn hash() -> String {
        HASH.replace(' ', "")
    }

    fn inventory(patch: &str) -> Option<Inventory> {
        let place = tempfile::tempdir().unwrap();
        std::fs::create_dir(place.path().join("_darcs")).unwrap();
        std::fs::write(place.path().join("_darcs/format"), "hashed\ndarcs-2\n").unwrap();
        let text = format!("pristine:{}\n{patch}", hash());
        std::fs::write(place.path().join("_darcs/hashed_inventory"), text).unwrap();
        Inventory::read(place.path())
    }

    /// As darcs 2.16 writes and names it.
    const PATCH: &str = "[name two\nx <a@b>**20261123015002\n Ignore-this: d12c09c939d6b1baa7232fed46248fc2e586c890cd4a3f79c85a382dd911565fb1b4c032c9db8056\n log one\n \n log  three\n] \n";

    #[test]
    fn the_last_patch_is_named_as_darcs_names_it() {
        let entry = format!("{PATCH}hash: 0000000179-{}\n", hash());
        let before = format!("[one\na**20200101000000] \nhash: {}\n", hash());
        for text in [
            entry.clone(),
            format!("{before}{entry}"),
            format!("Starting with inventory:\n{}\n{entry}", hash()),
        ] {
            let found = inventory(&text).unwrap();
            assert_eq!(
                (found.tip.as_str(), found.root),
                ("d4db394393ed17f610a53df16057a4f7a2bcaf94", hash())
            );
        }
        assert!(inventory(&before).is_some());
    }

    #[test]
    fn what_is_written_otherwise_is_left_to_darcs() {
        let end = format!("hash: {}\n", hash());
        for text in [
            String::new(),
            PATCH.to_owned(),
            format!("{PATCH}hash: 0\n"),
            format!("{PATCH}hash: {}", hash()),
            format!("x{PATCH}{end}"),
            format!("[x\n{PATCH}{end}"),
            format!("[x\na**20200101000000\n{end}"),
            format!("[x\na*-20200101000000] \n{end}"),
            format!("[x\na**2020*] \n{end}"),
            format!("[x\na**20200101000000\nlog\n] \n{end}"),
            format!("[x\na**20200101000000\n {}\n] \n{end}", "x".repeat(END as usize)),
        ] {
            assert_eq!(inventory(&text), None, "{text:.200}");
        }
        for (format, known) in [
            ("hashed\ndarcs-2\n", true),
            ("hashed|no-working-dir\ndarcs-2\n", true),
            ("hashed\ndarcs-3\n", false),
            ("hashed\ndarcs-2|rebase-in-progress\n", false),
            ("darcs-2\n", false),
            ("", false),
        ] {
            assert_eq!(is_known(format), known, "{format}");
        }
    }
}
