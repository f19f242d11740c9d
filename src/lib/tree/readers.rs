//! The readers: as many sandboxes as there are processors, which share the work by directories.

use std::cmp::Reverse;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::export::{self, FILE_LIMIT};
use super::paths::recipe_directory;
use super::processor::Processor;
use super::recipe::{Problem, Reading, judge, named};
use super::sandbox::{Limits, Sandbox};
use super::session::{Fields, Session, Turn};
use crate::base::durable::{self, is_dir};
use crate::base::output::{Progress, inert};
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

/// Reads the recipe files `paths` of the tree that `fill` writes into the directory it is given, a new one below
/// `place`; an answer for each, in their order; `progress` hears how many are read. Each sees its own directory and the schemes only; the tree is empty
/// of recipes afterwards.
///
/// # Errors
/// bwrap is missing or may not work here, the prelude breaks, or `fill` fails.
pub(super) fn readings(
    section: &TreeSection,
    place: &Path,
    paths: &[String],
    limits: Limits,
    progress: Progress,
    fill: impl FnOnce(&Path) -> Result<()>,
) -> Result<Vec<Read>> {
    if paths.is_empty() {
        return Ok(Vec::new());
    }
    let units = units(paths);
    let floor = Floor::new(section, place, paths, limits)?;
    let cores = std::thread::available_parallelism().map_or(1, |count| count.get().min(4));
    let count = units.len().div_ceil(WORTH).min(cores);
    // They start while the tree is written.
    let readers = floor.readers(count)?;
    fill(&floor.tree)?;
    floor.furnish()?;
    let units = floor.largest_first(units, paths);
    let [next, done] = [const { AtomicUsize::new(0) }; 2];
    let work = Work { paths, units, next, done, progress, end: Instant::now() + limits.scan };
    // This thread and the others stay until their sandboxes are done with: --die-with-parent means the thread.
    let parts: Vec<Result<Vec<(usize, Read)>>> = std::thread::scope(|scope| {
        let work = &work;
        let running: Vec<_> =
            readers.into_iter().map(|reader| scope.spawn(move || work.share(reader))).collect();
        running.into_iter().map(|thread| thread.join().unwrap_or_else(|_| Err(lost()))).collect()
    });
    let mut all: Vec<(usize, Read)> =
        parts.into_iter().collect::<Result<Vec<_>>>()?.into_iter().flatten().collect();
    all.sort_by_key(|(at, _)| *at);
    Ok(all.into_iter().map(|(_, read)| read).collect())
}

/// Returns which of `paths` lie in the same directory: only one reader can show it.
fn units(paths: &[String]) -> Vec<Vec<usize>> {
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
    units
}

fn lost() -> Error {
    Error::wrong("cannot read recipes: the thread that reads them broke down")
}

/// Where the readers work.
struct Floor<'a> {
    section: &'a TreeSection,
    limits: Limits,
    place: &'a Path,
    tree: PathBuf,
    /// Where all readers see the schemes; none when they see the whole tree, for a recipe at its root.
    schemes: Option<PathBuf>,
}

impl<'a> Floor<'a> {
    fn new(section: &'a TreeSection, place: &'a Path, paths: &[String], limits: Limits) -> Result<Self> {
        let whole = paths.iter().any(|path| recipe_directory(path).is_empty());
        let schemes = (!whole).then(|| place.join("schemes"));
        schemes.as_deref().map_or(Ok(()), export::make_root)?;
        Ok(Self { section, limits, place, tree: place.join("tree"), schemes })
    }

    /// Starts `count` readers, each on a processor of its own.
    fn readers(&self, count: usize) -> Result<Vec<Reader<'_>>> {
        let places = Processor::some(count).into_iter().enumerate();
        places.map(|(number, place)| place.lend(|| Reader::new(self, number, place))).collect()
    }

    /// Puts what may take long first: else, at the end, all wait for one.
    fn largest_first(&self, mut units: Vec<Vec<usize>>, paths: &[String]) -> Vec<Vec<usize>> {
        let size = |path: &String| fs::symlink_metadata(self.tree.join(path)).map_or(0, |meta| meta.len());
        let own = |unit: &Vec<usize>| unit.first().and_then(|at| paths.get(*at)).map_or(0, size);
        units.sort_by_cached_key(|unit| Reverse(own(unit)));
        units
    }

    /// Moves the schemes where the readers see them.
    fn furnish(&self) -> Result<()> {
        let (from, Some(schemes)) = (self.tree.join(export::SCHEMES), &self.schemes) else { return Ok(()) };
        if self.section.format != Format::Frugalbuild || !is_dir(&from)? {
            return Ok(());
        }
        let failed = |source| Error::io("move", &from, source);
        for entry in fs::read_dir(&from).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            fs::rename(entry.path(), schemes.join(entry.file_name())).map_err(failed)?;
        }
        Ok(())
    }
}

/// What all readers work on.
struct Work<'a> {
    paths: &'a [String],
    units: Vec<Vec<usize>>,
    next: AtomicUsize,
    done: AtomicUsize,
    progress: Progress,
    end: Instant,
}

impl Work<'_> {
    /// Lets `reader` read units as long as there are any.
    fn share(&self, mut reader: Reader<'_>) -> Result<Vec<(usize, Read)>> {
        let mut answers = Vec::new();
        reader.place.keep();
        while let Some(unit) = self.units.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            let of = |at: &usize| self.paths.get(*at).map(|path| (*at, path.as_str()));
            let unit: Vec<(usize, &str)> = unit.iter().filter_map(of).collect();
            let Some((_, first)) = unit.first() else { continue };
            let dir = recipe_directory(first);
            reader.show(dir)?;
            for (at, path) in &unit {
                let read = match Instant::now() < self.end {
                    true => reader.read(path)?,
                    false => unsure(path, "there was no time left to read it"),
                };
                answers.push((*at, read));
                (self.progress)("recipe", self.done.fetch_add(1, Ordering::Relaxed) + 1, self.paths.len());
            }
            reader.hide(dir)?;
        }
        Ok(answers)
    }
}

/// One reader: a sandbox, made anew when a recipe broke it, and the directory it sees as the tree.
struct Reader<'a> {
    floor: &'a Floor<'a>,
    place: Processor,
    sandbox: Sandbox<'a>,
    root: PathBuf,
    /// One that only waits for its schemes.
    waiting: Option<Session>,
    session: Option<Session>,
}

impl<'a> Reader<'a> {
    fn new(floor: &'a Floor<'a>, number: usize, place: Processor) -> Result<Self> {
        let sandbox = Sandbox::new(floor.section, floor.schemes.as_deref())?;
        if floor.schemes.is_none() {
            return Ok(Self {
                floor,
                place,
                sandbox,
                root: floor.tree.clone(),
                waiting: None,
                session: None,
            });
        }
        let root = floor.place.join(format!("reader-{number}"));
        export::make_root(&root)?;
        export::make_dirs(&root, export::SCHEMES)?;
        let waiting = Some(Session::start(sandbox.launch(&root)?)?);
        Ok(Self { floor, place, sandbox, root, waiting, session: None })
    }

    /// Moves the directory `dir` where this reader's recipes see it. It may not be there: then the recipe is none.
    fn show(&self, dir: &str) -> Result<()> {
        let from = self.floor.tree.join(dir);
        if self.root == self.floor.tree || !is_dir(&from)? {
            return Ok(());
        }
        let to = self.root.join(dir);
        export::make_dirs(&self.root, recipe_directory(dir))?;
        fs::rename(&from, &to).map_err(|source| Error::io("move", from, source))
    }

    fn hide(&self, dir: &str) -> Result<()> {
        let gone = self.root.join(dir);
        if self.root == self.floor.tree || !is_dir(&gone)? {
            return Ok(());
        }
        fs::remove_dir_all(&gone).map_err(|source| Error::io("remove", gone, source))
    }

    fn read(&mut self, path: &str) -> Result<Read> {
        let mut session = match (self.session.take(), self.waiting.take()) {
            (Some(session), _) => session,
            (None, Some(waiting)) => self.furnish(waiting)?,
            (None, None) => self.start()?,
        };
        match session.read(path, self.floor.limits.recipe, self.floor.limits.fields) {
            Turn::Done(fields, talk) if !starved(&talk) => {
                let read = self.judged(path, fields, &talk, session.common());
                self.session = Some(session);
                Ok(read)
            }
            Turn::Done(..) | Turn::Broken(_) => self.read_once(path),
        }
    }

    /// Reads a recipe that broke the conversation a second and last time: what was too slow beside others, or on a
    /// busy machine, gets a sandbox of its own before it is called a problem.
    fn read_once(&self, path: &str) -> Result<Read> {
        let mut session = self.start()?;
        Ok(match session.read(path, self.floor.limits.recipe, self.floor.limits.fields) {
            Turn::Done(_, talk) if starved(&talk) => unsure(path, "bash could not start a process"),
            Turn::Done(fields, talk) => {
                let read = self.judged(path, fields, &talk, session.common());
                Read { schemes: None, ..read }
            }
            Turn::Broken(why) => unsure(path, &why),
        })
    }

    /// What the recipe said, and what its head says: comments are nothing to ask a shell about.
    fn judged(&self, path: &str, mut fields: Fields, talk: &str, common: &[String]) -> Read {
        let text = durable::read(&self.root.join(path), FILE_LIMIT).unwrap_or_default();
        fields.lead("maintainer", named(&String::from_utf8_lossy(&text)));
        read(path, &fields, talk, common, self.floor.section.format)
    }

    fn start(&self) -> Result<Session> {
        self.furnish(Session::start(self.sandbox.launch(&self.root)?)?)
    }

    fn furnish(&self, waiting: Session) -> Result<Session> {
        waiting.furnish(self.floor.limits.recipe * 10)
    }
}

fn problem(path: &str, error: &str) -> Problem {
    Problem { path: path.to_owned(), error: inert(error) }
}

/// Tells whether bash says that it could not start what was to tell it something: the rest of what was read may be
/// anything.
fn starved(talk: &str) -> bool {
    [": fork: ", ": cannot make pipe ", ": cannot make child "].iter().any(|words| talk.contains(words))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_recipe_is_read_first_and_one_that_is_not_there_last() {
        let place = tempfile::tempdir().unwrap();
        let paths = ["a/PKGBUILD", "b/PKGBUILD", "c/PKGBUILD", "d/PKGBUILD"].map(str::to_owned);
        let section = TreeSection::default();
        let floor = Floor::new(&section, place.path(), &paths, Limits::default()).unwrap();
        export::make_root(&floor.tree).unwrap();
        for (path, text) in paths.iter().zip(["12", "1234", "123"]) {
            export::write(&floor.tree, path, text.as_bytes()).unwrap();
        }
        assert_eq!(floor.largest_first(units(&paths), &paths), [[1], [2], [0], [3]]);
    }
}
