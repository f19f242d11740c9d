//! What a program did, in its order, as strace saw it: the calls that change, flush and lock files, and its answers.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::stage::Stage;

const CALLS: &str = "trace=rename,renameat2,link,linkat,mkdir,mkdirat,unlink,unlinkat,fsync,fdatasync,syncfs,write,\
                     pwrite64,copy_file_range,sendfile,utimensat,flock,close,exit_group";

/// One call that succeeded: its name, and the paths in it, in their order.
pub struct Step {
    pub name: String,
    pub paths: Vec<PathBuf>,
    pub text: String,
}

/// What lies in the spool.
pub fn is_ours(path: &Path) -> bool {
    place(path).is_some()
}

/// What lies in the spool and cannot be derived again.
pub fn kept(path: &Path) -> bool {
    place(path).is_some_and(|place| !["cache", "live", "lock"].contains(&place.as_str()))
}

pub fn place(path: &Path) -> Option<String> {
    let mut parts = path.iter().skip_while(|part| *part != "spool").skip(1);
    parts.next().map(|part| part.to_string_lossy().into_owned())
}

/// What nobody reads before it has another name.
pub fn is_draft(path: &Path) -> bool {
    let dotted = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
    dotted || place(path).as_deref() == Some("tmp")
}

/// A waiting ticket may go back to where it waited before.
pub fn both_wait(from: &Path, to: &Path) -> bool {
    let waits = |path: &Path| matches!(place(path).as_deref(), Some("new" | "park"));
    waits(from) && waits(to)
}

pub fn parent(path: &Path) -> PathBuf {
    path.parent().unwrap().to_owned()
}

/// Runs a command line under strace, without the programs that it runs; returns its steps in their order.
pub fn follow(stage: &Stage, line: &str, input: &str) -> Vec<Step> {
    follow_all(stage, &["-b", "execve"], line, input)
}

pub fn follow_all(stage: &Stage, options: &[&str], line: &str, input: &str) -> Vec<Step> {
    let file = stage.beside("trace");
    let words = ["strace", "-f", "-y", "-o", file.to_str().unwrap(), "-e", CALLS];
    let words: Vec<&str> = words.into_iter().chain(options.iter().copied()).collect();
    let ran = stage.run_behind(&words, line, input);
    assert!(ran.in_time && matches!(ran.code(), Some(0 | 1)), "$ {line}\n{ran:#?}");
    steps(&fs::read_to_string(file).unwrap())
}

/// A call that another process interrupts is written in two halves: it counts when it has ended.
fn steps(text: &str) -> Vec<Step> {
    let (mut begun, mut steps) = (HashMap::new(), Vec::new());
    for (process, call) in text.lines().filter_map(|line| line.split_once(' ')) {
        let call = call.trim_start();
        if let Some(first) = call.strip_suffix(" <unfinished ...>") {
            begun.insert(process, first.to_owned());
        } else if let Some((_, rest)) = call.split_once(" resumed>") {
            let first = begun.remove(process).unwrap_or_default();
            steps.extend(step(&format!("{first}{rest}")));
        } else {
            steps.extend(step(call));
        }
    }
    steps
}

fn step(text: &str) -> Option<Step> {
    let (name, rest) = text.split_once('(')?;
    let failed = text.contains(") = -1 ");
    let by_descriptor =
        !["rename", "link", "mkdir", "unlink", "utimens"].iter().any(|stem| name.starts_with(stem));
    let paths = if by_descriptor { between(rest, '<', '>') } else { named(rest) };
    (!failed).then(|| Step { name: name.to_owned(), paths, text: text.to_owned() })
}

/// The quoted paths of a call; a relative one begins at the directory before it.
fn named(text: &str) -> Vec<PathBuf> {
    let mut directory = PathBuf::new();
    let mut paths = Vec::new();
    for (number, part) in text.split('"').enumerate() {
        if number % 2 == 1 {
            paths.push(directory.join(part));
        } else if let Some(path) = between(part, '<', '>').pop() {
            directory = path;
        }
    }
    paths
}

fn between(text: &str, open: char, close: char) -> Vec<PathBuf> {
    let parts = text.split(open).skip(1).filter_map(|part| part.split_once(close));
    parts.map(|(path, _)| PathBuf::from(path)).collect()
}

/// The names given to what is kept, but for those of tickets that wait before and after: (from, to).
pub fn namings(steps: &[Step]) -> Vec<(PathBuf, PathBuf)> {
    let all = steps.iter().filter(|step| ["renameat2", "link", "linkat"].contains(&step.name.as_str()));
    let pairs = all.map(|step| (step.paths[0].clone(), step.paths[1].clone()));
    pairs.filter(|(from, to)| kept(to) && !both_wait(from, to)).collect()
}
