//! The papers say what the code does: programs, directories, configuration keys.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::fs;
use std::path::{Path, PathBuf};

fn at(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(at(name)).unwrap()
}

fn programs() -> Vec<String> {
    let entries = fs::read_dir(at("src/bin")).unwrap().map(Result::unwrap);
    entries.map(|entry| entry.path().file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

#[test]
fn every_program_has_a_row_in_the_readme_and_every_row_a_program() {
    let readme = read("README.md");
    let rows: Vec<&str> = readme.lines().filter_map(|line| line.strip_prefix("| `sync")).collect();
    let programs = programs();
    assert_eq!(rows.len(), programs.len());
    for program in programs {
        assert!(readme.contains(&format!("| `{program}` |")), "{program} has no row");
    }
}

#[test]
fn every_directory_of_the_spool_has_a_section() {
    let layout = read("spool-layout.md");
    for name in syncpkg::spool::DIRECTORIES {
        let heading = format!("### `{name}/`");
        let section = layout.split(&heading).nth(1).unwrap_or_else(|| unreachable!("{name} has no section"));
        let section = section.split("\n##").next().unwrap();
        assert!(section.len() > 60, "{name}: {section}");
    }
}

#[test]
fn an_empty_spool_has_the_directories_of_the_papers_and_no_other() {
    let place = tempfile::tempdir().unwrap();
    syncpkg::spool::Spool::create(&place.path().join("spool")).unwrap();
    let mut there: Vec<String> = fs::read_dir(place.path().join("spool"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "format")
        .collect();
    there.sort();
    let mut listed: Vec<String> = syncpkg::spool::DIRECTORIES.iter().map(|&name| name.to_owned()).collect();
    listed.sort();
    assert_eq!(there, listed);
}

#[test]
fn the_names_in_the_layout_are_names() {
    let layout = read("spool-layout.md");
    let lines = layout.lines().filter(|line| line.starts_with("5,2026"));
    let names: Vec<&str> = lines.map(|line| line.split_whitespace().next().unwrap()).collect();
    assert_eq!(names.len(), 4);
    for name in names {
        let parsed: syncpkg::spool::TicketName = name.parse().unwrap();
        assert_eq!(parsed.to_string(), name);
    }
}

#[test]
fn each_dependency_says_why_it_is_there() {
    let manifest = read("Cargo.toml");
    let section = manifest.split("[dependencies]").nth(1).unwrap().split("\n[lints").next().unwrap();
    let lines: Vec<&str> = section.lines().collect();
    let dependencies = lines.windows(2).filter(|pair| pair[1].contains(" = ") && !pair[1].starts_with('#'));
    for pair in dependencies {
        assert!(pair[0].starts_with("# "), "{} has no reason", pair[1]);
    }
}

#[test]
fn the_sample_configuration_is_read_and_has_every_key() {
    let text = read("packaging/syncpkg.toml");
    syncpkg::config::parse(&text, "packaging/syncpkg.toml").unwrap();
    let sections = read("src/lib/config/sections.rs");
    let fields = sections.lines().filter_map(|line| line.strip_prefix("    pub ")?.split_once(": "));
    let plain = fields.filter(|(name, kind)| {
        !name.contains(' ') && !kind.contains("Section") && !kind.contains("BTreeMap")
    });
    let keys: Vec<&str> = plain.map(|(name, _)| name).collect();
    assert!(keys.len() > 30, "only {} keys found", keys.len());
    for key in keys {
        let there =
            text.lines().any(|line| line.trim_start_matches(['#', ' ']).starts_with(&format!("{key} ")));
        assert!(there, "{key} has no line");
    }
}

#[test]
fn cron_files_are_what_cron_reads() {
    for file in ["syncpkg-master", "syncpkg-builder"] {
        let text = read(&format!("cron/{file}"));
        assert!(text.ends_with('\n') && !file.contains('.'));
        let jobs: Vec<&str> =
            text.lines().filter(|line| line.starts_with(|c: char| c == '*' || c.is_ascii_digit())).collect();
        assert!(!jobs.is_empty());
        for job in jobs {
            let words: Vec<&str> = job.split_whitespace().collect();
            assert_eq!(words.get(5), Some(&"syncpkg"), "the user stands in the sixth field: {job}");
            assert!(!job.contains('%'), "cron makes a line's end of it: {job}");
            let ours = words.iter().map(|word| word.trim_start_matches("out=$("));
            let ours: Vec<&str> =
                ours.filter(|word| word.starts_with("sync") && *word != "syncpkg").collect();
            assert!(ours.iter().any(|word| programs().contains(&(*word).to_owned())), "{job}");
        }
    }
}
