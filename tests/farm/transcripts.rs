//! The sessions in the papers are run: `$ command`, what it prints, `? status`; `…` stands for anything.

use std::process::Command;

use crate::stage::{Farm, in_test, program};

/// One command of a session and what it must print.
struct Step {
    command: String,
    printed: Vec<String>,
    status: i32,
}

fn steps(paper: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut inside = false;
    for line in paper.lines() {
        match (inside, line) {
            (false, "```console") => inside = true,
            (true, "```") => inside = false,
            (true, line) => match (line.strip_prefix("$ "), line.strip_prefix("? "), steps.last_mut()) {
                (Some(command), ..) => {
                    steps.push(Step { command: command.to_owned(), printed: Vec::new(), status: 0 });
                }
                (None, Some(status), Some(last)) => last.status = status.parse().unwrap(),
                (None, None, Some(last)) => last.printed.push(line.to_owned()),
                (None, _, None) => panic!("output before the first command: {line}"),
            },
            (false, _) => {}
        }
    }
    steps
}

fn fits(wanted: &str, printed: &str) -> bool {
    match wanted.split_once('…') {
        None => wanted == printed,
        Some((head, tail)) => printed.strip_prefix(head).is_some_and(|rest| rest.ends_with(tail)),
    }
}

#[test]
fn the_session_in_the_readme_is_what_happens() {
    let farm = Farm::without_spool();
    farm.commit("hello", "build() { echo hello; }");
    let steps = steps(include_str!("../../README.md"));
    assert!(steps.len() >= 7, "only {} commands found", steps.len());
    let path = format!("{}:{}", program("").display(), std::env::var("PATH").unwrap());
    for step in steps {
        let mut command = Command::new("sh");
        command
            .args(["-c", &format!("exec 2>&1; {}", step.command)])
            .current_dir(farm.at(""))
            .env("PATH", &path);
        command.env("SYNCPKG_CONFIG", farm.at("syncpkg.toml")).env("SYNCPKG_NOW", "2026-11-22T12:00:00Z");
        let output = in_test(&mut command).output().unwrap();
        let out = String::from_utf8(output.stdout).unwrap();
        let printed: Vec<&str> = out.lines().collect();
        let same = printed.len() == step.printed.len()
            && step.printed.iter().zip(&printed).all(|(wanted, printed)| fits(wanted, printed));
        assert!(
            same && output.status.code() == Some(step.status),
            "$ {}\n{out}? {}",
            step.command,
            output.status
        );
    }
}
