//! `tests/errors/`: excerpts of logs as they are found in the wild. The first line of each is the stage it failed in, or
//! `nothing`; the line that explains the failure has `>> ` before it.

use std::collections::BTreeSet;
use std::path::Path;

use super::super::printed;
use super::{Patterns, Rule, compile};

struct Case {
    name: String,
    log: String,
    /// Line and stage.
    expected: Option<(usize, String)>,
}

fn cases() -> Vec<Case> {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/errors");
    let files = std::fs::read_dir(place).unwrap().map(|entry| entry.unwrap().path());
    files.map(|path| case(&path)).collect()
}

fn case(path: &Path) -> Case {
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    let text = std::fs::read_to_string(path).unwrap();
    let (stage, log) = text.split_once('\n').unwrap();
    let marked: Vec<usize> =
        (1..).zip(log.lines()).filter(|(_, line)| line.starts_with(">> ")).map(|(n, _)| n).collect();
    let expected = match marked[..] {
        [] if stage == "nothing" => None,
        [line] if stage != "nothing" => Some((line, stage.to_owned())),
        _ => panic!("{name}: one line is to be marked"),
    };
    let log = log.lines().map(|line| format!("{}\n", line.strip_prefix(">> ").unwrap_or(line))).collect();
    Case { name, log, expected }
}

fn found(patterns: &Patterns, log: &str) -> Option<(usize, String)> {
    let found = patterns.summary(log.as_bytes()).unwrap().found;
    found.map(|found| (found.line, found.stage.to_owned()))
}

/// The patterns that match a line of `log`.
fn matching(patterns: &Patterns, log: &str) -> Vec<Rule> {
    let matches = |line: &str| patterns.set.matches(printed(line.as_bytes()).as_bytes());
    let used: BTreeSet<usize> = log.lines().flat_map(matches).collect();
    used.into_iter().map(|at| patterns.rules[at].clone()).collect()
}

#[test]
fn each_log_is_explained_by_the_line_a_person_would_point_at() {
    let (patterns, cases) = (Patterns::built_in(), cases());
    assert!(cases.len() >= 200, "{}", cases.len());
    let wrong = cases.iter().filter(|case| found(&patterns, &case.log) != case.expected);
    let wrong: Vec<String> = wrong
        .map(|case| format!("{}: {:?}, not {:?}", case.name, found(&patterns, &case.log), case.expected))
        .collect();
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn each_pattern_is_needed_by_a_case() {
    let patterns = Patterns::built_in();
    let mut needed = BTreeSet::new();
    for case in cases() {
        let rules = matching(&patterns, &case.log);
        for (at, rule) in rules.iter().enumerate() {
            let others = [&rules[..at], &rules[at + 1..]].concat();
            let without = Patterns { set: compile(&others).unwrap(), rules: others };
            if found(&without, &case.log) != case.expected {
                needed.insert(rule.place.clone());
            }
        }
    }
    let unneeded: Vec<String> = patterns
        .rules
        .iter()
        .filter(|rule| !needed.contains(&rule.place))
        .map(|rule| format!("{}: {}", rule.place, rule.text))
        .collect();
    assert!(unneeded.is_empty(), "{} unneeded:\n{}", unneeded.len(), unneeded.join("\n"));
}
