//! The manual is held to the programs: pages, options, configuration keys; nothing missing, nothing invented.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The first line of a help text is shorter than this (Frugalware's test-suite prints it in one line).
const COLUMNS: usize = 80;

/// The structs of the configuration, and the headings of their keys in syncpkg.toml(5).
const SECTIONS: [(&str, &str); 15] = [
    ("Config", "Top level"),
    ("TreeSection", "[tree.NAME]"),
    ("LeaseSection", "[lease]"),
    ("TroubleSection", "[trouble]"),
    ("KeepSection", "[keep]"),
    ("LimitSection", "[limit]"),
    ("PackageLimit", "[limit.package.NAME]"),
    ("WebSection", "[web]"),
    ("MailSection", "[mail]"),
    ("HooksSection", "[hooks]"),
    ("SshSection", "[ssh]"),
    ("QuotaSection", "[quota]"),
    ("NeedSection", "[need.NAME]"),
    ("BuilderSection", "[builder]"),
    ("BuilderTree", "[builder.tree.NAME]"),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn names_in(directory: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(directory).unwrap().map(Result::unwrap);
    entries.map(|entry| entry.file_name().into_string().unwrap()).collect()
}

fn programs() -> BTreeSet<String> {
    names_in(&root().join("src/bin"))
        .iter()
        .map(|file| file.strip_suffix(".rs").unwrap().to_owned())
        .collect()
}

/// The manual pages: file name, name without section, section, text.
fn pages() -> Vec<(String, String, String, String)> {
    let directory = root().join("packaging/man");
    let page = |file: String| {
        let (name, section) = file.rsplit_once('.').unwrap();
        let text = fs::read_to_string(directory.join(&file)).unwrap();
        (file.clone(), name.to_owned(), section.to_owned(), text)
    };
    names_in(&directory).into_iter().map(page).collect()
}

fn page_of(program: &str) -> String {
    pages().into_iter().find(|page| page.1 == program).unwrap().3
}

fn help(program: &str) -> String {
    let beside: PathBuf = Path::new(env!("CARGO_BIN_EXE_syncpkg-ls")).with_file_name(program);
    let output = Command::new(beside).arg("--help").env_remove("COLUMNS").output().unwrap();
    assert!(output.status.success(), "{program} --help fails");
    String::from_utf8(output.stdout).unwrap()
}

/// The options of a help text: lines that begin with `--name` or `-x, --name`.
fn options_in_help(text: &str) -> BTreeSet<String> {
    let option = |line: &str| {
        let line = line.trim_start();
        let long = if line.get(2..4) == Some(", ") { line.get(4..)? } else { line };
        let word = long.strip_prefix("--")?;
        Some(word.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').next()?.to_owned())
    };
    text.lines().filter_map(option).collect()
}

/// The options of a page: whatever follows `Fl Fl` in a macro line.
fn options_in_page(text: &str) -> BTreeSet<String> {
    let mut options = BTreeSet::new();
    for line in text.lines().filter(|line| line.starts_with('.')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        for three in words.windows(3) {
            if let [first, "Fl", name] = three
                && first.trim_start_matches('.') == "Fl"
            {
                options.insert((*name).to_owned());
            }
        }
    }
    options
}

/// The fields of a struct in `source`, with their types.
fn fields(source: &str, name: &str) -> Vec<(String, String)> {
    let body = source.split(&format!("pub struct {name} {{\n")).nth(1).unwrap().split("\n}").next().unwrap();
    let field = |line: &str| {
        let (name, kind) = line.trim().strip_prefix("pub ")?.split_once(": ")?;
        Some((name.to_owned(), kind.trim_end_matches(',').to_owned()))
    };
    body.lines().filter_map(field).collect()
}

/// The keys a page lists below a heading.
fn keys_below(page: &str, heading: &str) -> BTreeSet<String> {
    let part = page.split(&format!(".Ss {heading}\n")).nth(1).unwrap_or_default();
    let part = part.split("\n.S").next().unwrap();
    let items = part.lines().filter_map(|line| line.strip_prefix(".It Cm "));
    let keys = items.flat_map(|item| item.split(" No ").next().unwrap().split(" , "));
    keys.map(str::to_owned).collect()
}

#[test]
fn every_program_has_a_manual_page() {
    let pages = pages();
    for program in programs() {
        let own: Vec<&str> =
            pages.iter().filter(|page| page.1 == program).map(|page| page.2.as_str()).collect();
        assert!(matches!(own.as_slice(), ["1" | "8"]), "{program} has pages in the sections {own:?}");
    }
    for (file, name, section, text) in &pages {
        let title = format!(".Dt {} {section}\n", name.to_uppercase());
        assert!(text.contains(&title) && text.contains(&format!(".Nm {name}\n.Nd ")), "{file} is of another");
        let known = ["syncpkg", "syncpkg.toml"].contains(&name.as_str()) || programs().contains(name);
        assert!(known, "there is no program for {file}");
    }
}

#[test]
fn a_manual_page_names_every_option_and_no_other() {
    for program in programs() {
        let (offered, described) = (options_in_help(&help(&program)), options_in_page(&page_of(&program)));
        assert!(offered.contains("help") && offered.contains("config"), "{program}: {offered:?}");
        assert_eq!(offered, described, "{program}: --help on the left, its page on the right");
    }
}

#[test]
fn a_manual_page_says_how_the_program_ends_and_gives_examples() {
    for program in programs() {
        let page = page_of(&program);
        for heading in
            ["NAME", "SYNOPSIS", "DESCRIPTION", "ENVIRONMENT", "EXIT STATUS", "EXAMPLES", "SEE ALSO"]
        {
            assert!(page.contains(&format!("\n.Sh {heading}\n")), "{program} has no {heading}");
        }
    }
}

#[test]
fn a_manual_page_points_only_to_pages_that_are_there() {
    let pages = pages();
    let there = |name: &str, section: &str| pages.iter().any(|page| page.1 == name && page.2 == section);
    for (file, _, _, text) in &pages {
        for line in text.lines().filter(|line| line.contains("Xr sync")) {
            let mut words = line.split_whitespace().skip_while(|word| word.trim_start_matches('.') != "Xr");
            let (name, section) = (words.nth(1).unwrap(), words.next().unwrap());
            assert!(there(name, section), "{file} points to {name}({section})");
        }
    }
}

#[test]
fn the_manual_has_every_key_of_the_configuration_and_no_other() {
    let read = |file: &str| fs::read_to_string(root().join("src/lib/config").join(file)).unwrap();
    let source = read("sections.rs") + &read("mail.rs") + &read("builder.rs");
    let page = page_of("syncpkg.toml");
    assert_eq!(source.matches("deny_unknown_fields").count(), SECTIONS.len(), "there is a new section");
    for (section, heading) in SECTIONS {
        let is_section = |kind: &str| {
            kind.ends_with("Section") || (kind.starts_with("BTreeMap<") && !kind.ends_with(", String>"))
        };
        let keys = fields(&source, section).into_iter().filter(|(_, kind)| !is_section(kind));
        let keys: BTreeSet<String> = keys.map(|(name, _)| name).collect();
        assert_eq!(
            keys,
            keys_below(&page, heading),
            "{section} on the left, the manual's {heading} on the right"
        );
    }
}

/// The sample is read as lines, because what is commented out counts too.
#[test]
fn the_manual_has_every_key_of_the_sample() {
    let Ok(sample) = fs::read_to_string(root().join("packaging/syncpkg.toml")) else { return };
    let page = page_of("syncpkg.toml");
    for line in sample.lines() {
        let Some((key, _)) = line.trim_start_matches("# ").split_once(" = ") else { continue };
        let in_page = SECTIONS.iter().any(|(_, heading)| keys_below(&page, heading).contains(key));
        assert!(in_page || key.contains(' '), "syncpkg.toml(5) lacks {key}");
    }
}

#[test]
fn the_first_line_of_a_help_text_fits_a_terminal() {
    for program in programs() {
        let text = help(&program);
        let first = text.lines().next().unwrap();
        let fits = first.chars().count() < COLUMNS;
        assert!(fits, "{program}: {first}");
    }
}

#[test]
fn mandoc_has_nothing_to_say() {
    for (file, ..) in pages() {
        let mut mandoc = Command::new("mandoc");
        mandoc.args(["-Tlint", "-Wwarning"]).arg(root().join("packaging/man").join(&file));
        let Ok(output) = mandoc.stdin(Stdio::null()).output() else {
            writeln!(std::io::stderr(), "not tested: mandoc is not installed").unwrap();
            return;
        };
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && said.is_empty(), "{file}: {said}");
    }
}
