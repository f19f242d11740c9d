//! What happens in the farm, one thing after another, by a clock that stands still in between.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};
use syncpkg::base::Clock;
use syncpkg::base::error::Kind;
use syncpkg::config::{Bytes, LimitSection, TroubleSection};
use syncpkg::farm::ask::{self, Asker, Which, Wish};
use syncpkg::farm::round;
use syncpkg::names::{Id, Instance, Outcome, Priority};
use syncpkg::spool::claim::{self, Claimed, Request};
use syncpkg::spool::report::{self, Ending};
use syncpkg::spool::{lease, list, upload};
use syncpkg::tree::Recipe;

use crate::farm::Farm;
use crate::table::{Push, Row};

const BUILDERS: usize = 6;
/// The one that dies, with what it holds: it asks first, so it holds something.
const MORTAL: usize = 0;
/// Between two rounds.
const ROUND: SignedDuration = SignedDuration::from_mins(10);
/// In a hundred builds.
const FAILURES: u64 = 7;
const TROUBLES: u64 = 2;

/// What goes wrong, and when.
pub struct Mishaps {
    pub builder_dead: (Timestamp, Timestamp),
    pub mail_down: (Timestamp, Timestamp),
    pub disk_full: (Timestamp, Timestamp),
}

impl Mishaps {
    /// All of them on the day that begins with `begin`, each when much is pushed.
    pub fn of(pushes: &[Push], begin: Timestamp) -> Self {
        let end = begin + SignedDuration::from_hours(24);
        let times: Vec<Timestamp> =
            pushes.iter().map(|push| push.at).filter(|at| begin <= *at && *at < end).collect();
        let hours = |part: usize, hours| {
            let from = times[times.len() * part / 10];
            (from, from + SignedDuration::from_hours(hours))
        };
        Self { builder_dead: hours(1, 14), mail_down: hours(2, 6), disk_full: hours(3, 2) }
    }
}

fn is_in((from, to): (Timestamp, Timestamp), now: Timestamp) -> bool {
    from <= now && now < to
}

/// Something to come.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Push(usize),
    Round,
    /// A build has ended, or its report is tried again.
    Ends(usize),
    /// Somebody forces what failed.
    Force(String),
}

/// A build under way.
struct Job {
    claimed: Claimed,
    /// Its builder is dead: nobody hears of it.
    silent: bool,
}

/// What was seen from outside while it happened.
#[derive(Default)]
pub struct Life<'a> {
    farm: Option<&'a Farm>,
    now: Timestamp,
    events: BinaryHeap<Reverse<(Timestamp, Event)>>,
    rows: HashMap<String, Row>,
    jobs: [Option<Job>; BUILDERS],
    /// How often each version was built.
    builds: HashMap<String, usize>,
    has_died: bool,
    more: usize,
    /// Every ticket that was acknowledged to somebody.
    pub asked: HashSet<Id>,
    pub pushes: usize,
    pub refused: usize,
    pub forced: usize,
    pub rounds: usize,
    /// Reports that were accepted, by outcome, and those that were not.
    pub reported: Vec<(Id, u32, Outcome)>,
    pub late: usize,
    pub put_off: usize,
    pub mail_errors: usize,
    pub ended: Timestamp,
}

impl<'a> Life<'a> {
    /// Plays all of it, and then until nothing happens any more.
    pub fn of(farm: &'a Farm, pushes: Vec<Push>, mishaps: &Mishaps) -> Self {
        let mut life = Self { farm: Some(farm), more: pushes.len(), ..Self::default() };
        let begin = pushes[0].at;
        for (n, push) in pushes.iter().enumerate() {
            life.events.push(Reverse((push.at, Event::Push(n))));
        }
        life.events.push(Reverse((begin, Event::Round)));
        // Long enough for all that rests, waits for a lease, or for the mail server.
        let mut quiet = 0;
        while let Some(Reverse((at, event))) = life.events.pop() {
            life.now = at;
            match event {
                Event::Push(n) => life.push(&pushes[n]),
                Event::Ends(builder) => life.ends(builder, mishaps),
                Event::Force(name) => life.force(&name),
                Event::Round => {
                    life.round(mishaps);
                    quiet = if life.is_quiet() { quiet + 1 } else { 0 };
                    if quiet < 300 {
                        life.events.push(Reverse((at + ROUND, Event::Round)));
                    }
                }
            }
            life.claim(mishaps);
        }
        life.ended = life.now;
        life
    }

    fn farm(&self) -> &'a Farm {
        self.farm.unwrap()
    }

    fn clock(&self) -> Clock {
        Clock::fixed(self.now)
    }

    fn is_quiet(&self) -> bool {
        self.more == 0 && self.jobs.iter().all(Option::is_none)
    }

    /// Somebody pushes: the recipes change, and are asked for.
    fn push(&mut self, push: &Push) {
        self.pushes += 1;
        self.more -= 1;
        for row in &push.recipes {
            let directory = self.farm().at("tree").join(&row.name);
            fs::create_dir_all(&directory).unwrap();
            fs::write(directory.join("PKGBUILD"), format!("# {}-{}\n", row.version, row.release)).unwrap();
            let Row { name, version, release, .. } = row;
            let said = format!(
                "pkgbase = {name}\n\tpkgver = {version}\n\tpkgrel = {release}\n\tarch = x86_64\n\npkgname = {name}\n"
            );
            fs::write(directory.join(".SRCINFO"), said).unwrap();
            self.rows.insert(row.name.clone(), row.clone());
        }
        let batch = Some(format!("push-{}", self.pushes).parse().unwrap());
        let recipes: Vec<Recipe> = push.recipes.iter().map(recipe).collect();
        self.ask(&recipes, Wish { batch, ..Wish::default() }, "pusher");
    }

    fn force(&mut self, name: &str) {
        self.forced += 1;
        let recipe = recipe(&self.rows[name]);
        self.ask(
            &[recipe],
            Wish { force: true, priority: Some(Priority::Urgent), ..Wish::default() },
            "maintainer",
        );
    }

    fn ask(&mut self, recipes: &[Recipe], wish: Wish, by: &str) {
        let (tree, revision) = (Some("current".parse().unwrap()), Some(format!("{:040x}", self.pushes)));
        let wish = Wish { tree, revision, ..wish };
        let asker = Asker::unwatched(by, std::time::Duration::ZERO);
        let Farm { config, spool, .. } = self.farm();
        for answer in
            ask::ask_read(config, spool, recipes, Which::Changed, &wish, asker, &self.clock()).unwrap()
        {
            match answer.ticket {
                Ok((id, _)) => drop(self.asked.insert(id)),
                Err(error) => {
                    assert_eq!(error.kind, Kind::No, "{error}");
                    self.refused += 1;
                }
            }
        }
    }

    /// Those who build say that they live; then the master goes its round.
    fn round(&mut self, mishaps: &Mishaps) {
        let farm = self.farm();
        for job in self.jobs.iter().flatten().filter(|job| !job.silent) {
            lease::beat(&farm.spool, &job.claimed.claim, None, &LimitSection::default()).unwrap();
        }
        farm.mail_server(!is_in(mishaps.mail_down, self.now));
        let round = round::go(&farm.config, &farm.spool, &|_| (), &self.clock()).unwrap().unwrap();
        self.rounds += 1;
        for error in round.errors {
            let text = error.to_string();
            assert!(text.contains("mail"), "{text}");
            self.mail_errors += 1;
        }
    }

    /// Whoever has nothing to do asks for work.
    fn claim(&mut self, mishaps: &Mishaps) {
        for builder in 0..BUILDERS {
            if self.jobs[builder].is_some() {
                continue;
            }
            let request = Request {
                builder: name(builder).parse().unwrap(),
                instance: Instance::random().unwrap(),
                archs: vec!["x86_64".parse().unwrap()],
                count: 1,
                choice: Default::default(),
            };
            let claimed = match claim::take(&self.farm().spool, &request, &self.clock()) {
                Ok(mut claimed) => claimed.remove(0),
                Err(error) if error.kind == Kind::No => continue,
                Err(error) => unreachable!("{error}"),
            };
            let (from, to) = mishaps.builder_dead;
            // It dies with what it has, and comes back much later with a report.
            let silent = builder == MORTAL && !self.has_died && from <= self.now;
            self.has_died |= silent;
            let at = if silent { to } else { self.now + self.duration(&claimed) };
            self.events.push(Reverse((at, Event::Ends(builder))));
            self.jobs[builder] = Some(Job { claimed, silent });
        }
    }

    /// As long as the recipe says, on a builder on which a unit takes three minutes; some take thrice that.
    fn duration(&self, claimed: &Claimed) -> SignedDuration {
        let units = self.rows.get(claimed.ticket.name.as_str()).and_then(|row| row.units).unwrap_or(0.3);
        let chance = chance(&claimed.ticket.item().to_string()) % 100;
        let factor = 0.6 + (chance as f64 / 100.0).powi(4) * 2.4;
        SignedDuration::from_secs((units * 180.0 * factor) as i64 + 20)
    }

    fn ends(&mut self, builder: usize, mishaps: &Mishaps) {
        let Job { claimed, .. } = self.jobs[builder].take().unwrap();
        let farm = self.farm();
        let least = if is_in(mishaps.disk_full, self.now) { Bytes(u64::MAX / 4) } else { Bytes(1 << 20) };
        if upload::is_full(&farm.spool, least).unwrap() {
            upload::note_full(&farm.spool).unwrap();
            // The report stays with the builder.
            self.put_off += 1;
            lease::beat(&farm.spool, &claimed.claim, None, &LimitSection::default()).unwrap();
            self.events.push(Reverse((self.now + SignedDuration::from_mins(5), Event::Ends(builder))));
            self.jobs[builder] = Some(Job { claimed, silent: false });
            return;
        }
        upload::note_room(&farm.spool);
        let builds = self.builds.entry(claimed.ticket.item().to_string()).or_default();
        *builds += 1;
        let by_chance = chance(&(claimed.ticket.item().to_string(), *builds));
        let outcome = outcome(by_chance % 100);
        let ending = self.ending(&claimed, outcome);
        let (claim, rules) = (&claimed.claim, TroubleSection::default());
        match report::end(&farm.spool, claim, &ending, &rules, &self.clock()) {
            Ok(()) => {
                self.reported.push((claim.id, claim.epoch, outcome));
                let forces = outcome == Outcome::Failed && by_chance / 100 % 4 == 0;
                if forces {
                    let at = self.now + SignedDuration::from_hours(2);
                    self.events.push(Reverse((at, Event::Force(claimed.ticket.name.to_string()))));
                }
            }
            Err(error) => {
                assert_eq!(error.kind, Kind::No, "{error}");
                self.late += 1;
            }
        }
    }

    fn ending(&self, claimed: &Claimed, outcome: Outcome) -> Ending {
        let log = self.farm().at("log");
        fs::write(&log, "==> Starting build()...\nmain.c:1: error: nothing is right\n").unwrap();
        let item = claimed.ticket.item();
        let package = self.farm().at(&format!("{item}.pkg.tar.gz"));
        // Every build of a version leaves other bytes.
        fs::write(&package, claimed.claim.to_string()).unwrap();
        let files: Vec<PathBuf> = (outcome == Outcome::Built).then_some(package).into_iter().collect();
        let (stage, reason, host) = (Some("build".to_owned()), String::new(), "host".to_owned());
        Ending { outcome, stage, reason, exit: None, host, log: Some(log), files }
    }

    /// The tickets that the farm asked for itself.
    pub fn retried(&self) -> HashSet<Id> {
        let entries = list::all(&self.farm().spool).unwrap().into_iter();
        let own = entries.filter(|entry| entry.ticket().unwrap().by == syncpkg::mail::AUTOMATIC);
        own.map(|entry| entry.name.id).collect()
    }
}

fn name(builder: usize) -> String {
    format!("b{}", builder + 1)
}

fn recipe(row: &Row) -> Recipe {
    let name: syncpkg::names::Name = row.name.parse().unwrap();
    // Some forty people look after them.
    let maintainer = format!("Maintainer <m{}@example.org>", chance(&row.name) % 40);
    Recipe {
        path: format!("{name}/PKGBUILD"),
        version: row.version.parse().unwrap(),
        release: row.release.parse().unwrap(),
        archs: vec!["x86_64".parse().unwrap()],
        subpkgs: vec![name.clone()],
        groups: Vec::new(),
        depends: row.depends.clone(),
        makedepends: Vec::new(),
        checkdepends: Vec::new(),
        provides: Vec::new(),
        options: Vec::new(),
        nobuild: false,
        maintainer: Some(maintainer),
        name,
    }
}

/// How a try ends, of which chance says a number below a hundred.
fn outcome(chance: u64) -> Outcome {
    match chance {
        n if n < FAILURES => Outcome::Failed,
        n if n < FAILURES + TROUBLES => Outcome::Trouble,
        _ => Outcome::Built,
    }
}

/// What is by chance, but the same each time.
fn chance(of: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}
