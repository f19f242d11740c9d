//! The readers: as many sandboxes as there are processors, which share the work by directories.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::export;
use super::paths::recipe_directory;
use super::recipe::{Problem, Reading, judge};
use super::sandbox::{Limits, Sandbox};
use super::session::{Fields, Session, Turn};
use crate::base::output::inert;
use crate::base::{Error, Result};
use crate::config::{Format, TreeSection};

/// So many directories are worth a sandbox more.
const WORTH: usize = 8;

/// What came of reading a recipe.
#[derive(Debug, Clone)]
pub(super) struct Read {
    pub(super) reading: Reading,
    /// The schemes it included; none when the same recipe might be read otherwise another time.
    pub(super) schemes: Option<Vec<String>>,
}

/// Reads the recipe files `paths` below the directory `stage`; an answer for each, in their order. Each sees its own
/// directory and the schemes only; the stage is empty of recipes afterwards.
///
/// # Errors
/// bwrap is missing or may not work here, or the prelude breaks.
pub(super) fn readings(
    section: &TreeSection,
    stage: &Path,
    paths: &[String],
    limits: Limits,
) -> Result<Vec<Read>> {
    let mut units: Vec<Vec<usize>> = Vec::new();
    for (at, path) in paths.iter().enumerate() {
        let last = units.last().and_then(|unit| paths.get(*unit.first()?));
        match units.last_mut() {
            Some(unit) if last.is_some_and(|last| recipe_directory(last) == recipe_directory(path)) => {
                unit.push(at)
            }
            Some(_) | None => units.push(vec![at]),
        }
    }
    let cores = std::thread::available_parallelism().map_or(1, |count| count.get().min(4));
    let count = units.len().div_ceil(WORTH).min(cores);
    let work = Work {
        section,
        stage,
        paths,
        limits,
        units,
        next: AtomicUsize::new(0),
        end: Instant::now() + limits.scan,
    };
    // The threads stay until their sandboxes are done with: --die-with-parent means the thread.
    let parts: Vec<Result<Vec<(usize, Read)>>> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..count)
            .map(|number| {
                scope.spawn({
                    let work = &work;
                    move || work.share(number)
                })
            })
            .collect();
        running.into_iter().map(|thread| thread.join().unwrap_or_else(|_| Err(lost()))).collect()
    });
    let mut all: Vec<(usize, Read)> =
        parts.into_iter().collect::<Result<Vec<_>>>()?.into_iter().flatten().collect();
    all.sort_by_key(|(at, _)| *at);
    Ok(all.into_iter().map(|(_, read)| read).collect())
}

fn lost() -> Error {
    Error::wrong("cannot read recipes: the thread that reads them broke down")
}

/// What all readers work on.
struct Work<'a> {
    section: &'a TreeSection,
    stage: &'a Path,
    paths: &'a [String],
    limits: Limits,
    /// Recipes of one directory stay together: only one reader can show it.
    units: Vec<Vec<usize>>,
    next: AtomicUsize,
    end: Instant,
}

impl Work<'_> {
    /// Reads units as long as there are any; the reader `number`.
    fn share(&self, number: usize) -> Result<Vec<(usize, Read)>> {
        let mut reader = Reader::new(self, number)?;
        let mut answers = Vec::new();
        while let Some(unit) = self.units.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            let of = |at: &usize| self.paths.get(*at).map(|path| (*at, path.as_str()));
            let unit: Vec<(usize, &str)> = unit.iter().filter_map(of).collect();
            let Some((_, first)) = unit.first() else { continue };
            let dir = recipe_directory(first);
            reader.show(dir)?;
            for (at, path) in &unit {
                answers.push((*at, reader.read(path)?));
            }
            reader.hide(dir)?;
        }
        Ok(answers)
    }
}

/// One reader: a sandbox, made anew when a recipe broke it, and the directory it sees as the tree.
struct Reader<'a> {
    work: &'a Work<'a>,
    sandbox: Sandbox<'a>,
    root: PathBuf,
    session: Option<Session>,
}

impl<'a> Reader<'a> {
    fn new(work: &'a Work<'a>, number: usize) -> Result<Self> {
        let whole = work.paths.iter().any(|path| recipe_directory(path).is_empty());
        let root = if whole { work.stage.to_owned() } else { work.stage.join(format!(".reader-{number}")) };
        if !whole {
            export::make_root(&root)?;
            export::make_dirs(&root, export::SCHEMES)?;
        }
        Ok(Self { work, sandbox: Sandbox::new(work.section, work.stage)?, root, session: None })
    }

    /// Moves the directory `dir` where this reader's recipes see it. It may not be there: then the recipe is none.
    fn show(&self, dir: &str) -> Result<()> {
        let from = self.work.stage.join(dir);
        if self.root == self.work.stage || !from.is_dir() {
            return Ok(());
        }
        let to = self.root.join(dir);
        export::make_dirs(&self.root, recipe_directory(dir))?;
        fs::rename(&from, &to).map_err(|source| Error::io("move", from, source))
    }

    fn hide(&self, dir: &str) -> Result<()> {
        let gone = self.root.join(dir);
        if self.root == self.work.stage || !gone.is_dir() {
            return Ok(());
        }
        fs::remove_dir_all(&gone).map_err(|source| Error::io("remove", gone, source))
    }

    fn read(&mut self, path: &str) -> Result<Read> {
        if Instant::now() >= self.work.end {
            return Ok(unsure(path, "there was no time left to read it"));
        }
        let mut session = match self.session.take() {
            Some(session) => session,
            None => self.start()?,
        };
        match session.read(path, self.work.limits.recipe, self.work.limits.fields) {
            Turn::Done(fields, talk) => {
                let read = read(path, &fields, &talk, session.common(), self.work.section.format);
                self.session = Some(session);
                Ok(read)
            }
            Turn::Broken(_) => self.read_once(path),
        }
    }

    /// Reads a recipe that broke the conversation a second and last time: what was too slow beside others, or on a
    /// busy machine, gets a sandbox of its own before it is called a problem.
    fn read_once(&self, path: &str) -> Result<Read> {
        let mut session = self.start()?;
        Ok(match session.read(path, self.work.limits.recipe, self.work.limits.fields) {
            Turn::Done(fields, talk) => {
                let read = read(path, &fields, &talk, session.common(), self.work.section.format);
                Read { schemes: None, ..read }
            }
            Turn::Broken(why) => unsure(path, &why),
        })
    }

    fn start(&self) -> Result<Session> {
        Session::start(self.sandbox.launch(&self.root)?, self.work.limits.recipe * 10)
    }
}

fn problem(path: &str, error: &str) -> Problem {
    Problem { path: path.to_owned(), error: inert(error) }
}

/// A problem that may be gone the next time.
fn unsure(path: &str, why: &str) -> Read {
    Read { reading: Err(problem(path, why)), schemes: None }
}

fn read(path: &str, fields: &Fields, talk: &str, common: &[String], format: Format) -> Read {
    let mut schemes: Vec<String> =
        common.iter().cloned().chain(fields.all("scheme").map(str::to_owned)).collect();
    schemes.sort();
    schemes.dedup();
    Read { reading: reading(path, fields, talk, format), schemes: Some(schemes) }
}

fn reading(path: &str, fields: &Fields, talk: &str, format: Format) -> Reading {
    if fields.one("irregular").is_some() {
        return Err(problem(path, "it is no regular file"));
    }
    if let Some(error) = syntax_error(path, talk) {
        return Err(problem(path, &error));
    }
    if fields.one("read").is_none() {
        let last = talk.lines().last().map(|line| format!(" ({line})")).unwrap_or_default();
        let short: String = last.chars().take(200).collect();
        return Err(problem(path, &format!("it ends before it is read{short}")));
    }
    judge(path, fields, format)
}

/// Returns bash's complaint about `path` as `PATH:LINE: syntax error …`. After one the fields set above it would
/// pass for the whole recipe.
fn syntax_error(path: &str, talk: &str) -> Option<String> {
    let file = path.rsplit('/').next().unwrap_or(path);
    let start = format!("./{file}: line ");
    talk.lines().find_map(|line| {
        let (number, text) = line.strip_prefix(&start)?.split_once(": ")?;
        let wrong = text.starts_with("syntax error") || text.starts_with("unexpected EOF");
        let text: String = text.chars().take(200).collect();
        (wrong && number.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| format!("{path}:{number}: {text}"))
    })
}
