//! What has to be true after an act, whatever happened in between: what would be if nothing had.

use std::collections::BTreeSet;

use crate::acts::{Act, Repeat};
use crate::stage::{Ran, Stage};

/// What a person finds who looks at the farm; IDs that an act has made are all called `new`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct View {
    rows: BTreeSet<String>,
    files: BTreeSet<String>,
    reports: BTreeSet<String>,
    problems: BTreeSet<String>,
}

impl View {
    /// What is there and should not be, and the other way round; traces of what was interrupted may be there.
    fn differs(&self, should: &View) -> Vec<String> {
        let pairs =
            [(&self.rows, &should.rows), (&self.files, &should.files), (&self.problems, &should.problems)];
        let more =
            pairs.iter().flat_map(|(is, should)| is.difference(should)).map(|line| format!("+ {line}"));
        let pairs = pairs.iter().copied().chain([(&self.reports, &should.reports)]);
        let less = pairs.flat_map(|(is, should)| should.difference(is)).map(|line| format!("- {line}"));
        more.chain(less).collect()
    }
}

/// How an act goes when nothing disturbs it, and the farm before and after.
pub struct Measure {
    pub line: String,
    known: Vec<String>,
    answer: String,
    code: Option<i32>,
    after: View,
}

impl Measure {
    /// Makes the farm of an act, keeps it, and lets it happen once undisturbed.
    #[track_caller]
    pub fn of(stage: &Stage, act: &Act) -> Self {
        let line = (act.prepare)(stage);
        let known: Vec<String> = stage.rows().into_iter().map(|row| row.id).collect();
        stage.save();
        let ran = stage.run_behind(&[], &line, act.input);
        let mut measure =
            Self { line, known, answer: String::new(), code: ran.code(), after: View::default() };
        measure.after = measure.view(stage);
        measure.answer = measure.plain(&ran.out, &measure.made(stage));
        measure
    }

    /// The farm as a person finds it now.
    fn view(&self, stage: &Stage) -> View {
        let made = self.made(stage);
        let plain = |text: &String| self.plain(text, &made);
        let mut rows = BTreeSet::new();
        for row in stage.rows() {
            // Two new tickets that read alike are two.
            let text = plain(&row.text);
            let twin = (1..).map(|n| format!("{text} ({n})")).find(|text| !rows.contains(text));
            rows.extend(twin);
        }
        let places = ["log", "hold", "owed", "post", "sent", "told", "drop", "late", "bad", "builder"]
            .map(|place| format!("spool/{place}"));
        let places = places.iter().map(String::as_str).chain(["www", "packages"]);
        // What speaks against a builder is no part of an answer: a strike that is lost costs one more.
        let files = places.flat_map(|place| files(stage, place)).filter(|name| !name.ends_with(".aside"));
        let files = files.map(|name| plain(&name)).collect();
        // One that nothing points to is a trace of what was interrupted; a request may have been acted on twice.
        let reports =
            ["spool/report", "spool/request"].into_iter().flat_map(|place| files_of_ids(stage, place));
        let reports = reports.map(|name| plain(&name)).collect();
        View { rows, files, reports, problems: stage.problems(false).into_iter().collect() }
    }

    fn made(&self, stage: &Stage) -> Vec<String> {
        stage.rows().into_iter().map(|row| row.id).filter(|id| !self.known.contains(id)).collect()
    }

    fn plain(&self, text: &str, made: &[String]) -> String {
        made.iter().fold(text.to_owned(), |text, id| text.replace(id, "new"))
    }

    /// Compares the farm with what it would be undisturbed; returns what is wrong.
    pub fn differs(&self, stage: &Stage, act: &Act) -> Option<String> {
        if matches!(act.repeat, Repeat::Part) {
            // Whoever gets less than he asked for has to ask once more.
            return None;
        }
        let lines = self.view(stage).differs(&self.after);
        (!lines.is_empty()).then(|| format!("the farm is not as it should be:\n  {}", lines.join("\n  ")))
    }

    /// Compares an answer, perhaps the second one, with the undisturbed one; returns what is wrong.
    pub fn answered(&self, stage: &Stage, act: &Act, ran: &Ran) -> Option<String> {
        let out = self.plain(&ran.out, &self.made(stage));
        let same = ran.code() == self.code && out == self.answer;
        let good = match act.repeat {
            Repeat::Same => same,
            Repeat::Late(why) => same || ran.code() == Some(1) && ran.err.contains(why),
            Repeat::Part => ran.code() == self.code && out.lines().all(|line| self.answer.contains(line)),
            Repeat::Rest => {
                // What was set aside the first time is spoken of the second time.
                let said = |line: &str| self.answer.contains(line) || line.starts_with("bad/");
                out.lines().all(said) && matches!(ran.code(), Some(0 | 1))
            }
        };
        (!good).then(|| format!("the answer is {ran:#?}\nand should be {:?} {:?}", self.code, self.answer))
    }

    /// Compares what a program had printed before it died or failed: an answer that was given is the undisturbed one.
    pub fn acknowledged(&self, stage: &Stage, ran: &Ran) -> Option<String> {
        let out = self.plain(&ran.out, &self.made(stage));
        let good = out.lines().all(|line| self.answer.contains(line));
        (!good).then(|| format!("it had answered {out:?}, not {:?}", self.answer))
    }

    /// Tells whether every ticket that was there is still there, once, and nothing is wrong after a repair.
    pub fn unsound(&self, stage: &Stage) -> Option<String> {
        let problems: BTreeSet<String> = stage.problems(true).into_iter().collect();
        if problems != self.after.problems {
            return Some(format!("after a repair the check says {problems:#?}"));
        }
        let rows: Vec<String> = stage.rows().into_iter().map(|row| row.id).collect();
        let lost: Vec<&String> = self.known.iter().filter(|id| !rows.contains(id)).collect();
        // What the act itself sets aside is not lost.
        let expected = self.after.rows.iter().filter(|row| !row.starts_with("new ")).count();
        (lost.len() + expected > self.known.len()).then(|| format!("lost {lost:?}"))
    }
}

/// Every file below a directory of the farm; dot files are never read.
fn files(stage: &Stage, place: &str) -> Vec<String> {
    let walk = walkdir::WalkDir::new(stage.at(place)).into_iter().filter_map(Result::ok);
    let dotted = |entry: &walkdir::DirEntry| entry.file_name().to_string_lossy().starts_with('.');
    let found = walk.filter(|entry| entry.file_type().is_file() && !dotted(entry));
    found.map(|entry| entry.path().strip_prefix(stage.at("")).unwrap().display().to_string()).collect()
}

/// The same, without what is added to a name that is taken.
fn files_of_ids(stage: &Stage, place: &str) -> Vec<String> {
    let requests = place.ends_with("request");
    let stem = |name: String| if requests { name.split('.').next().unwrap().to_owned() } else { name };
    files(stage, place).into_iter().map(stem).collect()
}
