//! Raced: many processes ask, claim, die, wake too late, take back and abort, all at once on one spool. Each writes
//! down what it asks and what it is answered; what they wrote and what lies in the spool then must agree.

pub mod actor;
pub mod chance;
mod faults;
mod history;
mod judge;

use std::collections::BTreeMap;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use syncpkg::base::Clock;
use syncpkg::spool::{Spool, check, list};

use crate::stage::{Stage, say};
use actor::Part;
use chance::Chance;
use judge::{Place, faults};

/// How many of each, how much there is to do, and how short a lease is.
struct Cast {
    enqueuers: usize,
    builders: usize,
    mortals: usize,
    zombies: usize,
    aborters: usize,
    tickets: usize,
    lease: Duration,
    seed: u64,
}

impl Cast {
    /// Everybody's part; one goes round as the reaper.
    fn parts(&self) -> Vec<Part> {
        let mut parts = vec![Part::Reaper];
        let share = self.tickets.div_ceil(self.enqueuers);
        let range = |n: usize| (n * share, ((n + 1) * share).min(self.tickets));
        parts.extend((0..self.enqueuers).map(|n| Part::Enqueuer { first: range(n).0, last: range(n).1 }));
        parts.extend((0..self.builders).map(|n| Part::Builder { name: format!("b{n}") }));
        parts.extend((0..self.mortals).map(|n| Part::Builder { name: format!("mortal{n}") }));
        parts.extend((0..self.zombies).map(|n| Part::Zombie { name: format!("zombie{n}") }));
        parts.extend((0..self.aborters).map(|_| Part::Aborter));
        parts
    }
}

/// A process that plays a part, and how often it was begun anew.
struct Player {
    part: Part,
    child: Child,
    lives: usize,
    ended: bool,
}

/// The processes on their spool.
struct Race<'a> {
    stage: &'a Stage,
    cast: &'a Cast,
    spool: Spool,
    players: Vec<Player>,
    chance: Chance,
    /// Whether players die and stand still at random.
    dies: bool,
    killed: usize,
    stopped: usize,
}

impl<'a> Race<'a> {
    fn start(stage: &'a Stage, cast: &'a Cast) -> Self {
        fs::create_dir(stage.at("history")).unwrap();
        let spool = Spool::create(&stage.at("spool")).unwrap();
        let chance = Chance::new(cast.seed);
        let mut race =
            Self { stage, cast, spool, players: Vec::new(), chance, dies: false, killed: 0, stopped: 0 };
        for part in cast.parts() {
            let child = race.begin(race.players.len(), &part, 0);
            race.players.push(Player { part, child, lives: 0, ended: false });
        }
        race
    }

    fn begin(&self, number: usize, part: &Part, life: usize) -> Child {
        let seed = self.cast.seed.wrapping_mul(1_000_003).wrapping_add((number * 1000 + life) as u64);
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["race::actor::plays_its_part", "--exact", "--include-ignored", "--quiet"]);
        command.env(actor::PART, part.to_string()).env(actor::SEED, seed.to_string());
        command
            .env(actor::PLACE, self.stage.at(""))
            .env(actor::LEASE, self.cast.lease.as_millis().to_string());
        command.env(actor::HISTORY, self.stage.at(&format!("history/{number}.{life}")));
        command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap()
    }

    /// Troubles the players until everything that was asked for has ended.
    fn go(&mut self, limit: Duration) {
        let start = Instant::now();
        loop {
            assert!(start.elapsed() < limit, "the race did not end: {:?}", self.unfinished());
            for _ in 0..8 {
                std::thread::sleep(Duration::from_millis(self.chance.below(25)));
                if self.dies {
                    self.trouble();
                }
            }
            if self.asked() && self.unfinished() == 0 {
                break;
            }
        }
        fs::write(self.stage.at("stop"), "").unwrap();
        for player in &mut self.players {
            let _ = kill_process(Pid::from_child(&player.child), Signal::CONT);
            let status = player.child.wait().unwrap();
            assert!(player.ended || status.success(), "{:?}: {status}", player.part);
        }
    }

    /// One player dies and is begun anew, or stands still, or goes on.
    fn trouble(&mut self) {
        let number = self.chance.below(self.players.len() as u64) as usize;
        let roll = self.chance.below(10);
        let player = &mut self.players[number];
        player.ended = player.ended || player.child.try_wait().unwrap().is_some();
        if player.ended {
            return;
        }
        let process = Pid::from_child(&player.child);
        let mortal = player.part.may_die(player.lives);
        match roll {
            0..4 if mortal => {
                kill_process(process, Signal::KILL).unwrap();
                player.child.wait().unwrap();
                self.killed += 1;
                self.revive(number);
            }
            4..6 => {
                kill_process(process, Signal::STOP).unwrap();
                self.stopped += 1;
            }
            _ => kill_process(process, Signal::CONT).unwrap(),
        }
    }

    fn revive(&mut self, number: usize) {
        self.players[number].lives += 1;
        let child = self.begin(number, &self.players[number].part, self.players[number].lives);
        self.players[number].child = child;
    }

    /// Whether the enqueuers are done; one that stands still goes on.
    fn asked(&mut self) -> bool {
        let mut all = true;
        for player in self.players.iter_mut().filter(|player| matches!(player.part, Part::Enqueuer { .. })) {
            player.ended =
                player.ended || player.child.try_wait().unwrap().is_some_and(|status| status.success());
            all &= player.ended;
        }
        all
    }

    fn held_by(&self, builder: &str) -> usize {
        list::building_by(&self.spool, &builder.parse().unwrap()).unwrap().len()
    }

    fn unfinished(&self) -> usize {
        list::waiting(&self.spool).unwrap().len() + list::building(&self.spool).unwrap().len()
    }
}

/// Every ticket of the spool in each place it is in.
fn places(spool: &Spool) -> Vec<Place> {
    let lists = [list::waiting(spool), list::building(spool), list::done(spool, |_| true)];
    let entries = lists.into_iter().flat_map(Result::unwrap);
    let place = |entry: list::Entry| Place {
        id: entry.name.id.to_string(),
        item: entry.name.item.to_string(),
        state: entry.state().to_string(),
        epoch: entry.name.epoch,
    };
    entries.map(place).collect()
}

fn race(what: &str, cast: &Cast, limit: Duration, first: impl FnOnce(&mut Race)) {
    let start = Instant::now();
    let stage = Stage::new();
    let mut race = Race::start(&stage, cast);
    first(&mut race);
    race.go(limit);
    let events = history::read(&stage.at("history"));
    let places = places(&race.spool);
    let mut found = faults(&events, &places, cast.lease);
    let problems = check::check(&race.spool, false, &Clock::system()).unwrap();
    found.extend(problems.into_iter().map(|problem| format!("unsound: {problem}")));
    let (killed, stopped, tickets) = (race.killed, race.stopped, places.len());
    let processes = race.players.len();
    say(&format!(
        "{what}: seed {}, {processes} processes, {tickets} tickets, killed {killed} times, stopped {stopped} times; \
         {}; {} faults, {} s",
        cast.seed,
        counted(&events),
        found.len(),
        start.elapsed().as_secs()
    ));
    found.truncate(20);
    let found: Vec<String> = found.iter().map(|fault| history::with_history(fault, &events)).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
    let mortal = cast.mortals > 0;
    assert!(tickets >= cast.tickets / 2 && stopped > 0 && (killed > 0) == mortal, "too little happened");
}

/// How many operations of each kind there were, and how they were answered.
fn counted(events: &[history::Event]) -> String {
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for event in events {
        *counts.entry((&event.kind, event.gist())).or_default() += 1;
    }
    let words: Vec<String> =
        counts.iter().map(|((kind, gist), count)| format!("{kind} {gist} {count}")).collect();
    words.join(", ")
}

#[test]
fn eight_processes_at_once_lose_nothing_and_have_nothing_twice() {
    let lease = Duration::from_millis(400);
    let cast =
        Cast { enqueuers: 2, builders: 1, mortals: 2, zombies: 1, aborters: 1, tickets: 600, lease, seed: 1 };
    race("race of 8", &cast, Duration::from_secs(120), |race| race.dies = true);
}

/// Whether a process holds a lock of some file, as the kernel lists them: `1: FLOCK  ADVISORY  WRITE PID …`.
fn has_lock(process: Pid) -> bool {
    let pid = process.as_raw_nonzero().to_string();
    let locks = fs::read_to_string("/proc/locks").unwrap();
    locks.lines().any(|line| line.split_whitespace().nth(4) == Some(pid.as_str()))
}

/// Stops one player after the other for three leases, while the others go on; a builder when it holds something.
fn stand_still(race: &mut Race) {
    for number in 0..race.players.len() {
        let process = Pid::from_child(&race.players[number].child);
        kill_process(process, Signal::STOP).unwrap();
        let holds = |race: &Race| match &race.players[number].part {
            Part::Builder { name } => race.held_by(name) > 0,
            Part::Enqueuer { .. } | Part::Zombie { .. } | Part::Reaper | Part::Aborter => true,
        };
        while !holds(race) && (!race.asked() || race.unfinished() > 0) {
            kill_process(process, Signal::CONT).unwrap();
            std::thread::sleep(Duration::from_millis(race.chance.below(5)));
            kill_process(process, Signal::STOP).unwrap();
        }
        std::thread::sleep(race.cast.lease * 3);
        // One that stands in the middle of an answer, with a lock, keeps what it has until it goes on.
        if let (Part::Builder { name }, false) = (&race.players[number].part, has_lock(process)) {
            // On a busy machine the reaper may need longer than three leases.
            let patience = Instant::now() + Duration::from_secs(60);
            while race.held_by(name) > 0 {
                assert!(
                    Instant::now() < patience,
                    "{name} was not heard of for a minute and holds something"
                );
                std::thread::sleep(race.cast.lease);
            }
        }
        kill_process(process, Signal::CONT).unwrap();
        race.stopped += 1;
    }
}

#[test]
fn whoever_stands_still_for_three_leases_harms_nobody() {
    let lease = Duration::from_millis(300);
    let cast = Cast {
        enqueuers: 1,
        builders: 2,
        mortals: 0,
        zombies: 0,
        aborters: 0,
        tickets: 2400,
        lease,
        seed: 3,
    };
    race("standing still", &cast, Duration::from_secs(120), stand_still);
}

const LONG: Duration = Duration::from_secs(1800);

fn long(name: &str, builders: usize, lease: u64, rest: [usize; 4], seed: u64) {
    let [enqueuers, mortals, zombies, aborters] = rest;
    let lease = Duration::from_millis(lease);
    let cast = Cast { enqueuers, builders, mortals, zombies, aborters, tickets: 10_000, lease, seed };
    race(name, &cast, LONG, |race| race.dies = true);
}

#[test]
#[ignore = "make torture"]
fn eight_processes_and_ten_thousand_tickets() {
    long("race of 8 (long)", 2, 500, [1, 2, 1, 1], 8);
}

#[test]
#[ignore = "make torture"]
fn sixteen_processes_and_ten_thousand_tickets() {
    long("race of 16", 4, 1000, [4, 4, 2, 1], 16);
}

#[test]
#[ignore = "make torture"]
fn sixty_four_processes_and_ten_thousand_tickets() {
    long("race of 64", 24, 4000, [12, 16, 8, 3], 64);
}
