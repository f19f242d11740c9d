//! The patterns a log is searched with: files of regular expressions, one for each stage, built in; an admin's own come in
//! their place or beside them.

#[cfg(test)]
mod corpus;

use std::path::Path;

use regex::bytes::{RegexBuilder, RegexSet, RegexSetBuilder};

use super::{Stage, Worth};
use crate::base::output::inert;
use crate::base::{Error, Result, durable};
use crate::config::Config;

macro_rules! built_in {
    ($($name:literal),*) => { [$(($name, include_str!(concat!("../../../../templates/errors/", $name)))),*] };
}

/// The files, in the order in which their patterns count: of those that match a line the first does.
const FILES: [(Stage, &str); 10] = built_in![
    "checkout",
    "install",
    "fetch",
    "prepare",
    "configure",
    "link",
    "compile",
    "test",
    "package",
    "any"
];

/// The largest file that is read, bytes.
const LARGEST: u64 = 1 << 20;
/// How large one pattern may become, bytes.
const ONE: usize = 1 << 20;
/// How large all of them may together, bytes.
const ALL: usize = 64 << 20;
/// How much may be remembered while they are used, bytes: a log that needs more is searched more slowly.
const REMEMBERED: usize = 8 << 20;

/// What logs are searched with.
#[derive(Debug)]
pub struct Patterns {
    set: RegexSet,
    rules: Vec<Rule>,
}

/// One pattern.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    /// What a line that it matches is worth; none: it explains nothing, whatever else matches.
    pub worth: Option<Worth>,
    /// Where such a thing happens; none: wherever the build is.
    pub stage: Option<Stage>,
    /// File and line.
    pub place: String,
    text: String,
}

impl Patterns {
    /// Returns the built-in patterns, and those an admin has. What is wrong with the latter is left out; [`wrong`] tells.
    pub fn of(config: &Config) -> Self {
        let rules = read(config).0;
        match compile(&rules) {
            Ok(set) => Self { set, rules },
            Err(_) => Self::built_in(),
        }
    }

    /// Returns the built-in patterns.
    pub fn built_in() -> Self {
        let rules: Vec<Rule> =
            FILES.iter().flat_map(|(name, text)| parse(name, name, text, &mut Vec::new())).collect();
        let set = compile(&rules).unwrap_or_else(|_| RegexSet::empty());
        Self { set, rules }
    }

    /// Returns what `line` is worth, and where such a thing happens.
    pub(super) fn judge(&self, line: &[u8]) -> Option<(Worth, Option<Stage>)> {
        // Most lines are nothing: to learn that is cheaper than to ask what they are.
        if !self.set.is_match(line) {
            return None;
        }
        let matches = self.set.matches(line);
        let mut rules = matches.iter().filter_map(|at| self.rules.get(at));
        let first = rules.next()?;
        let friendly = rules.any(|rule| rule.worth.is_none());
        first.worth.filter(|_| !friendly).map(|worth| (worth, first.stage))
    }
}

/// Says what is wrong with an admin's own patterns, each with file and line.
pub fn wrong(config: &Config) -> Vec<Error> {
    let (rules, mut wrong) = read(config);
    if config.templates.is_some() {
        wrong.extend(compile(&rules).err());
    }
    wrong
}

fn compile(rules: &[Rule]) -> Result<RegexSet> {
    let mut builder = RegexSetBuilder::new(rules.iter().map(|rule| &rule.text));
    let set = builder.unicode(false).size_limit(ALL).dfa_size_limit(REMEMBERED).build();
    set.map_err(|source| Error::wrong(format!("cannot use the patterns of errors: {}", reason(&source))))
}

/// Reads all patterns; what is wrong with an admin's own is told apart.
fn read(config: &Config) -> (Vec<Rule>, Vec<Error>) {
    let (mut rules, mut wrong) = (Vec::new(), Vec::new());
    let directory = config.templates.as_ref().map(|templates| templates.join("errors"));
    let mut own = |stage: Stage, name: &str, rules: &mut Vec<Rule>| {
        let Some(path) = directory.as_ref().map(|directory| directory.join(name)) else { return false };
        let text = text(&path).unwrap_or_else(|error| {
            wrong.push(error);
            None
        });
        let checked = text.map(|text| checked(stage, &path.display().to_string(), &text, &mut wrong));
        checked.map(|checked| rules.extend(checked)).is_some()
    };
    for (stage, text) in FILES {
        // First, so that it may say otherwise of what ours match too.
        own(stage, &format!("{stage}.more"), &mut rules);
        if !own(stage, stage, &mut rules) {
            rules.extend(parse(stage, stage, text, &mut Vec::new()));
        }
    }
    (rules, wrong)
}

fn text(path: &Path) -> Result<Option<String>> {
    if !durable::present(path)? {
        return Ok(None);
    }
    let text = String::from_utf8(durable::read(path, LARGEST)?);
    text.map(Some).map_err(|_| Error::wrong(format!("cannot read {}: it is not UTF-8", path.display())))
}

fn checked(stage: Stage, file: &str, text: &str, wrong: &mut Vec<Error>) -> Vec<Rule> {
    let mut rules = parse(stage, file, text, wrong);
    rules.retain(|rule| {
        let built = RegexBuilder::new(&rule.text).unicode(false).size_limit(ONE).build();
        let why = built.err().map(|source| unusable(&rule.place, &reason(&source)));
        why.map(|why| wrong.push(why)).is_none()
    });
    rules
}

/// One pattern a line, below the name of what it is worth; empty lines and comments are passed over.
fn parse(stage: Stage, file: &str, text: &str, wrong: &mut Vec<Error>) -> Vec<Rule> {
    let (mut rules, mut worth) = (Vec::new(), None);
    for (line, number) in text.lines().zip(1..) {
        let place = format!("{file}:{number}");
        worth = match line.trim_end() {
            "" => continue,
            comment if comment.starts_with('#') => continue,
            "[cause]" => Some(Some(Worth::Cause)),
            "[likely]" => Some(Some(Worth::Likely)),
            "[consequence]" => Some(Some(Worth::Consequence)),
            "[never]" => Some(None),
            other if is_section(other) => {
                wrong.push(unusable(&place, "no such section: cause, likely, consequence, never"));
                None
            }
            pattern => {
                match worth {
                    Some(worth) => {
                        let stage = Some(stage).filter(|stage| *stage != "any");
                        rules.push(Rule { worth, stage, place, text: pattern.to_owned() });
                    }
                    None => wrong.push(unusable(&place, "it stands in no section")),
                }
                continue;
            }
        };
    }
    rules
}

fn is_section(line: &str) -> bool {
    let word = line.strip_prefix('[').and_then(|line| line.strip_suffix(']'));
    word.is_some_and(|word| word.chars().all(|c| c.is_ascii_lowercase()))
}

fn unusable(place: &str, why: &str) -> Error {
    Error::wrong(format!("cannot use the pattern {place}: {why}"))
}

/// The last line of what the regex crate says, which is the reason, and not the picture above it.
fn reason(source: &regex::Error) -> String {
    let text = source.to_string();
    let last = text.lines().last().unwrap_or_default();
    inert(last.strip_prefix("error: ").unwrap_or(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says what the patterns with these files beside the templates make of a line, and what is wrong with the files.
    fn with(files: &[(&str, &[u8])], line: &str) -> (Option<Stage>, Vec<String>) {
        let place = tempfile::tempdir().unwrap();
        std::fs::create_dir(place.path().join("errors")).unwrap();
        for (name, text) in files {
            std::fs::write(place.path().join("errors").join(name), text).unwrap();
        }
        let config = Config { templates: Some(place.path().to_owned()), ..Config::default() };
        let found = Patterns::of(&config).summary(line.as_bytes()).unwrap().found;
        let start = format!("{}/errors/", place.path().display());
        let wrong = wrong(&config).iter().map(|error| error.to_string().replace(&start, "")).collect();
        (found.map(|found| found.stage), wrong)
    }

    #[test]
    fn an_admin_replaces_a_file_or_adds_to_it() {
        let line = "x.c:1: error: y";
        assert_eq!(with(&[], line), (Some("compile"), vec![]));
        assert_eq!(with(&[("compile", b"# none\n")], line), (Some("build"), vec![]));
        assert_eq!(with(&[("compile.more", b"[never]\nx\\.c\n")], line), (None, vec![]));
        assert_eq!(with(&[("test.more", b"\n[likely]\n^odd\n")], "odd thing"), (Some("test"), vec![]));
    }

    #[test]
    fn what_is_wrong_in_a_file_is_told_with_its_line_and_the_rest_holds() {
        let text = b"early\n[cause]\n^odd(\n^odd\n[causes]\n";
        let wrong = [
            "cannot use the pattern link.more:1: it stands in no section",
            "cannot use the pattern link.more:5: no such section: cause, likely, consequence, never",
            "cannot use the pattern link.more:3: unclosed group",
        ];
        assert_eq!(with(&[("link.more", text)], "odd"), (Some("link"), wrong.map(str::to_owned).into()));
        let (found, wrong) = with(&[("compile", b"\xff")], "x.c:1: error: y");
        assert_eq!(
            (found, wrong),
            (Some("compile"), vec!["cannot read compile: it is not UTF-8".to_owned()])
        );
        let (_, wrong) = with(&[("any", b"[cause]\n(a{1000}){1000}\n")], "");
        assert!(wrong[0].starts_with("cannot use the pattern any:2: "), "{wrong:?}");
    }
}
