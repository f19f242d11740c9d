//! Publishing: from `hold/` into the package directory, when the tree still wants it.
//!
//! Only files of a ticket that ended as built, with the names its recipe promises and the hashes its report
//! states. What cannot be published stays held, with the reason beside it, and is tried again each round.

mod back;
mod old;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use self::back::{Back, stage, unstage};
use super::{hooks, retry};
use crate::base::durable::{self, Put};
use crate::base::error::{Kind, readable};
use crate::base::output::inert;
use crate::base::{Error, Result, child, lock};
use crate::config::{Config, TreeSection};
use crate::mail::hooked;
use crate::names::{Arch, Name, State, Tree};
use crate::spool::{Entry, History, Product, Report, Spool, Ticket, list, product, report, waiting};
use crate::tree::{self, Desk, Reading, Repository};

/// What is said of packages that wait for a later ticket: nobody has to do anything about it.
pub(super) const LATER: &str = "was asked for later, and is";

/// A built ticket whose packages are held.
struct Held {
    entry: Entry,
    ticket: Ticket,
    report: Report,
}

/// What a round published.
#[derive(Debug, Default)]
pub struct Published {
    /// A line for each ticket that was, and for each old version that went.
    pub done: Vec<String>,
    /// There is more to publish than one round does.
    pub more: bool,
    /// The last failure that trying again may mend, or that is not one ticket's own; the others were tried all the same.
    pub error: Option<Error>,
}

/// So many tickets are published in one round; behind them wait leases and mails.
const ROUND: usize = 200;

/// Publishes what is held.
pub fn publish(config: &Config, spool: &Spool) -> Published {
    let mut work = Work { config, spool, left: ROUND, published: Published::default() };
    let done = work.all();
    Published { error: done.err().or(work.published.error), ..work.published }
}

/// The publishing of one round.
struct Work<'a> {
    config: &'a Config,
    spool: &'a Spool,
    /// How many more may be published in this round.
    left: usize,
    published: Published,
}

/// Says what [`publish`] would do now, a line for each ticket; changes nothing.
///
/// # Errors
/// Something that cannot be read just now.
pub(super) fn foresee(config: &Config, spool: &Spool, desk: &Desk) -> Result<Vec<String>> {
    let held = held(spool)?;
    let (back, mut lines) = (Back::look(spool, &held)?, Vec::new());
    for (tree, held) in &held {
        for (one, verdict) in judged(config, spool, tree, held, desk)? {
            let item = &one.entry.name.item;
            lines.push(match (verdict, back.of(&one.entry)) {
                (Verdict::Wanted, None) => format!("publish {item}"),
                (Verdict::Wanted, Some((_, why))) => format!("not publish {item}: {why}"),
                (Verdict::NotNow(why) | Verdict::Never(why), _) => format!("not publish {item}: {why}"),
            });
        }
    }
    Ok(lines)
}

fn held(spool: &Spool) -> Result<BTreeMap<Tree, Vec<Held>>> {
    let mut by_tree: BTreeMap<Tree, Vec<Held>> = BTreeMap::new();
    for (id, epoch) in report::held(spool)? {
        let Some(entry) = report::ended(spool, &id, epoch)? else { continue };
        if let (State::Built, Some(report)) = (entry.state(), entry.report(spool)?) {
            // One that is damaged holds up nobody else; syncpkg-check names it.
            let Some(ticket) = readable(entry.ticket())? else { continue };
            by_tree.entry(ticket.tree.clone()).or_default().push(Held { entry, ticket, report });
        }
    }
    Ok(by_tree)
}

/// Judges what is held of one tree.
fn judged<'h>(
    config: &Config,
    spool: &Spool,
    tree: &Tree,
    held: &'h [Held],
    desk: &Desk,
) -> Result<Vec<(&'h Held, Verdict)>> {
    let section = section(config, tree)?;
    let repository = Repository::new(tree, section);
    let tip = repository.tip()?;
    let mut paths: Vec<String> = held.iter().map(|held| held.ticket.path.clone()).collect();
    paths.sort_unstable();
    paths.dedup();
    let readings = tree::read(section, tree, &tip, &paths, desk)?;
    let wanted: BTreeMap<&String, &Reading> = paths.iter().zip(&readings).collect();
    let mut judged = Vec::new();
    for one in held {
        let verdict = match wanted.get(&one.ticket.path).copied() {
            Some(Err(_)) if !repository.exists(&tip, &one.ticket.path)? => {
                Verdict::Never("the tree has no such recipe any more".to_owned())
            }
            reading => verdict(spool, one, reading)?,
        };
        judged.push((one, verdict));
    }
    Ok(judged)
}

fn section<'c>(config: &'c Config, tree: &Tree) -> Result<&'c TreeSection> {
    config.tree.get(tree).ok_or_else(|| Error::wrong(format!("there is no tree {tree} in the configuration")))
}

impl Work<'_> {
    fn all(&mut self) -> Result<()> {
        let held = held(self.spool)?;
        let back = Back::look(self.spool, &held)?;
        back.release(self.spool)?;
        for (tree, held) in held {
            if let Err(error) = self.of_tree(&tree, &held, &back) {
                held.iter().try_for_each(|held| postpone(self.spool, &held.entry, &error.to_string()))?;
                self.published.error = Some(error.within(format!("cannot publish packages of {tree}")));
            }
        }
        Ok(())
    }

    /// Publishes what is held of one tree; what goes wrong with one of the tickets holds up no other.
    fn of_tree(&mut self, tree: &Tree, held: &[Held], back: &Back) -> Result<()> {
        let section = section(self.config, tree)?;
        for (one, verdict) in judged(self.config, self.spool, tree, held, &Desk::of(self.spool))? {
            if let Err(error) = self.follow(section, one, verdict, back) {
                // Forced, though it is published: what is there stays, and holds up nobody.
                if error.kind == Kind::No {
                    set_aside(self.spool, section, one, &error.to_string())?;
                    continue;
                }
                postpone(self.spool, &one.entry, &error.to_string())?;
                if error.may_pass() {
                    self.published.error =
                        Some(error.within(format!("cannot publish {}", one.entry.name.item)));
                }
            }
        }
        Ok(())
    }

    /// Does with one what the verdict says.
    fn follow(&mut self, section: &TreeSection, one: &Held, verdict: Verdict, back: &Back) -> Result<()> {
        let spool = self.spool;
        match (verdict, back.of(&one.entry)) {
            (Verdict::NotNow(why), _) => postpone(spool, &one.entry, &why),
            (Verdict::Never(why), _) => set_aside(spool, section, one, &why),
            (Verdict::Wanted, Some((batch, why))) => {
                stage(spool, section, one, batch).and_then(|()| postpone(spool, &one.entry, why))
            }
            (Verdict::Wanted, None) if self.left == 0 => {
                self.published.more = true;
                Ok(())
            }
            (Verdict::Wanted, None) => {
                self.publish_one(section, one)?;
                // What cannot be published does not count: it would take its turn from others, round after round.
                self.left -= 1;
                self.published.done.push(format!("published {}", one.entry.name.item));
                unstage(spool, section, one)?;
                waiting::settle(spool, &one.entry)
            }
        }
    }

    fn publish_one(&mut self, section: &TreeSection, held: &Held) -> Result<()> {
        let spool = self.spool;
        retry::expect(spool);
        let item = &held.entry.name.item;
        let _lock = lock::exclusive(
            &spool.at("lock").join(format!("publish-{}-{}", held.ticket.tree, item.arch)),
            lock::PATIENCE,
        )?;
        let hold = spool.hold(&held.entry.name.id, held.entry.name.epoch);
        put_in_place(&hold, section, held)?;
        old::remove(section, held, &mut self.published.done)?;
        if hooks::wanted(&self.config.hooks, hooks::PUBLISHED) {
            hooked::owe_published(spool, &held.entry)?;
        }
        // First the reason: alone it would be believed. Then all in one step: half of the files would be missed for ever.
        durable::remove(&spool.hold_reason(&held.entry.name.id, held.entry.name.epoch))?;
        let gone = spool.tmp().join(format!(".published-{}", crate::base::random::word(8)));
        durable::shift(&hold, &gone)?;
        durable::remove_tree(&gone)
    }
}

/// A reason that has not changed is not written again. What is not held any more needs none.
fn postpone(spool: &Spool, entry: &Entry, why: &str) -> Result<()> {
    let (id, epoch) = (&entry.name.id, entry.name.epoch);
    if !durable::present(&spool.hold(id, epoch))? {
        return Ok(());
    }
    let path = spool.hold_reason(id, epoch);
    durable::replace(&path, format!("{}\n", inert(why)).as_bytes()).map(drop)
}

/// Keeps what never will be published, and holds up nobody with it.
fn set_aside(spool: &Spool, section: &TreeSection, one: &Held, why: &str) -> Result<()> {
    let entry = &one.entry;
    let (id, epoch) = (&entry.name.id, entry.name.epoch);
    durable::replace(&spool.unwanted_reason(id, epoch), format!("{}\n", inert(why)).as_bytes())?;
    durable::remove(&spool.hold_reason(id, epoch))?;
    durable::shift(&spool.hold(id, epoch), &spool.unwanted(id, epoch))?;
    unstage(spool, section, one)?;
    waiting::settle(spool, entry)
}

/// Whether a result is to be published.
enum Verdict {
    Wanted,
    NotNow(String),
    Never(String),
}

/// Newer means a later revision of the tree, whatever the version: what a later ticket is about is not wanted
/// of an earlier one. Should the tree go back, its push asks again.
fn verdict(spool: &Spool, held: &Held, reading: Option<&Reading>) -> Result<Verdict> {
    let item = &held.entry.name.item;
    match reading {
        Some(Ok(recipe)) if (&recipe.version, &recipe.release) == (&item.version, &item.release) => {}
        Some(Ok(recipe)) => {
            return Ok(Verdict::Never(format!("the tree wants {}-{} now", recipe.version, recipe.release)));
        }
        Some(Err(problem)) => {
            return Ok(Verdict::NotNow(format!("cannot read {}: {}", problem.path, problem.error)));
        }
        None => return Ok(Verdict::NotNow("the tree has no such recipe".to_owned())),
    }
    let is_later = |entry: &Entry| entry.name.id > held.entry.name.id;
    let later = |history: History| history.of_arch(&item.arch).entries().rev().take_while(is_later).collect();
    for entry in list::of_package(spool, Some(&held.ticket.tree), &item.name, later)? {
        if entry.name.package() != held.entry.name.package() || !is_later(&entry) {
            continue;
        }
        let (id, state) = (&entry.name.id, entry.state());
        match state {
            State::Waiting | State::Building => {
                return Ok(Verdict::NotNow(format!("{id} {LATER} {state}")));
            }
            State::Built | State::Failed => {
                return Ok(Verdict::Never(format!("{id} {LATER} {state}")));
            }
            State::Trouble | State::Aborted | State::Superseded => {}
        }
    }
    Ok(Verdict::Wanted)
}

/// Puts the packages where the tree's pattern says, and runs its commands on them.
fn put_in_place(hold: &Path, section: &TreeSection, held: &Held) -> Result<()> {
    let arch = &held.entry.name.item.arch;
    let plan: Vec<(PathBuf, PathBuf)> = held
        .ticket
        .packages
        .iter()
        .map(|package| {
            placed(section, held, package).map(|(product, target)| (hold.join(&product.name), target))
        })
        .collect::<Result<_>>()?;
    for (source, target) in &plan {
        place(source, target, held)?;
    }
    for (_, target) in &plan {
        commands(&section.sign, target, arch)?;
        commands(&section.repo, target, arch)?;
    }
    Ok(())
}

/// Finds the file of one promised package among what the build left, and where it goes.
fn placed<'a>(section: &TreeSection, held: &'a Held, package: &Name) -> Result<(&'a Product, PathBuf)> {
    let item = &held.entry.name.item;
    let any: Arch = "any".parse()?;
    for arch in [&item.arch, &any] {
        let outputs = std::slice::from_ref(package);
        for target in tree::published_paths(section, outputs, &item.version, &item.release, arch) {
            let product = held
                .report
                .files
                .iter()
                .find(|file| target.file_name().is_some_and(|name| name == file.name.as_str()));
            if let Some(product) = product {
                return Ok((product, target));
            }
        }
    }
    if section.packages.is_empty() {
        return Err(Error::wrong(format!("tree.{}.packages is not configured", held.ticket.tree)));
    }
    let left: Vec<&str> = held.report.files.iter().map(|file| file.name.as_str()).collect();
    Err(Error::wrong(format!("the build left no file for {package} (it left {})", left.join(", "))))
}

/// Copies a package into the package directory under a temporary name, then names it; never over another.
fn place(source: &Path, target: &Path, held: &Held) -> Result<()> {
    // Emptying the hold was interrupted by the same report coming in once more: a part of it may be there again.
    if !durable::present(source)?
        && product::measure(target).is_ok_and(|there| held.report.files.contains(&there))
    {
        return Ok(());
    }
    let product = product::measure(source)?;
    if !held.report.files.contains(&product) {
        return Err(Error::wrong(format!("{} is not what was reported", product.name)));
    }
    let directory = target.parent().unwrap_or(Path::new("/"));
    durable::make_dir(directory)?;
    let mut file = durable::open_regular(source)?;
    match durable::put_from(directory, target, &mut file)? {
        Put::Made | Put::Same => Ok(()),
        Put::Differs => {
            Err(Error::no(format!("{} is published with other content: bump the release", product.name)))
        }
    }
}

/// Runs one configured command, without a shell, in the package directory.
fn commands(words: &[String], file: &Path, arch: &Arch) -> Result<()> {
    let fill =
        |word: &String| word.replace("{file}", &file.to_string_lossy()).replace("{arch}", arch.as_str());
    let words: Vec<String> = words.iter().map(fill).collect();
    let Some((program, arguments)) = words.split_first() else { return Ok(()) };
    let mut command = Command::new(program);
    command.args(arguments).current_dir(file.parent().unwrap_or(Path::new("/"))).stdin(Stdio::null());
    let ran = child::output(command).map_err(|source| Error::io("run", program, source))?;
    if ran.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&ran.stderr);
    let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing").to_owned();
    Err(Error::again(format!("{program} failed ({}): {}", ran.status, inert(&last))))
}
