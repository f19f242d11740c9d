//! The rooms of the library and their one direction: a room uses only those before it.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::collections::BTreeSet;
use std::path::Path;

/// Each room with the rooms it may use, as the table in `src/lib/lib.rs` has it.
const ROOMS: [(&str, &[&str]); 10] = [
    ("base", &[]),
    ("names", &["base"]),
    ("config", &["base", "names"]),
    ("spool", &["base", "names", "config"]),
    ("tree", &["base", "names", "config", "spool"]),
    ("build", &["base", "names", "config", "spool"]),
    ("mail", &["base", "names", "config", "spool"]),
    ("web", &["base", "names", "config", "spool"]),
    ("farm", &["base", "names", "config", "spool", "tree", "build", "mail", "web"]),
    ("program", &["base", "names", "config", "spool", "tree", "build", "mail", "web", "farm"]),
];

fn sources(directory: &Path) -> Vec<(String, String)> {
    let files = walkdir::WalkDir::new(directory).sort_by_file_name();
    let rust = files
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| entry.path().extension().is_some_and(|e| e == "rs"));
    rust.map(|entry| (entry.path().display().to_string(), std::fs::read_to_string(entry.path()).unwrap()))
        .collect()
}

fn library() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib")
}

#[test]
fn a_room_uses_only_rooms_before_it() {
    for (room, allowed) in ROOMS {
        for (file, text) in sources(&library().join(room)) {
            for (other, _) in ROOMS.iter().filter(|(other, _)| *other != room && !allowed.contains(other)) {
                assert!(!text.contains(&format!("crate::{other}")), "{file} uses {other}");
            }
        }
    }
}

#[test]
fn every_room_is_in_the_table() {
    let there: BTreeSet<String> = std::fs::read_dir(library())
        .unwrap()
        .map(Result::unwrap)
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    let listed: BTreeSet<String> = ROOMS.iter().map(|(room, _)| (*room).to_owned()).collect();
    assert_eq!(there, listed);
}

#[test]
fn only_durable_changes_the_spool() {
    let calls =
        ["fs::rename(", "fs::remove_dir_all(", "renameat", "fs::write(", "File::create(", "sync_all("];
    for (file, text) in sources(&library()) {
        let guarded =
            ["base/", "spool/", "farm/", "mail/", "web/", "program/"].iter().any(|room| file.contains(room));
        if !guarded || file.contains("base/durable") || file.contains("tests") || file.ends_with("sample.rs")
        {
            continue;
        }
        let code = text.split("#[cfg(test)]").next().unwrap();
        for call in calls {
            assert!(!code.contains(call), "{file} calls {call} itself");
        }
    }
}

#[test]
fn only_the_border_reads_the_environment_and_prints() {
    for (file, text) in sources(&library()) {
        let code = text.split("#[cfg(test)]").next().unwrap();
        if file.contains("/program/") || file.contains("tests") {
            continue;
        }
        for call in [
            "env::var",
            "env::args",
            "println!(",
            "io::stdout()",
            "io::stderr()",
            "SystemTime::now().duration",
        ] {
            assert!(!code.contains(call), "{file} has {call}");
        }
    }
}

#[test]
fn programs_are_thin() {
    let programs = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bin"));
    for (file, text) in programs {
        for call in ["std::fs", "Command::new", "std::env"] {
            assert!(!text.contains(call), "{file} has {call}");
        }
        let first = text.lines().next().unwrap_or_else(|| panic!("{file} is empty"));
        assert!(
            first.starts_with("//! sync") && first.contains(" - "),
            "{file} does not begin with what it is"
        );
        assert!(text.lines().count() <= 130, "{file} is long: {}", text.lines().count());
    }
}

#[test]
fn nothing_is_left_to_do_in_secret() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (file, text) in sources(&root.join("src")) {
        for mark in ["todo!", "fixme", "xxx", "dbg!", "unimplemented!"] {
            assert!(!text.to_lowercase().contains(mark), "{file} has {mark}");
        }
    }
}
