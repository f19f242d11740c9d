//! What came of it all, and whether it adds up.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::fs;

use syncpkg::base::Clock;
use syncpkg::names::{Id, Outcome, State};
use syncpkg::spool::{Entry, check, list};

use crate::farm::Farm;
use crate::life::Life;

#[derive(Default)]
pub struct Account {
    lines: Vec<(&'static str, String)>,
    wrong: Vec<String>,
}

impl Account {
    pub fn of(farm: &Farm, life: &Life) -> Self {
        let mut account = Self::default();
        let entries = list::all(&farm.spool).unwrap();
        account.tickets(life, &entries);
        account.published(farm, &entries);
        account.mails(farm, &entries);
        for problem in check::check(&farm.spool, false, &Clock::fixed(life.ended)).unwrap() {
            account.wrong.push(format!("syncpkg-check: {problem}"));
        }
        account.cost();
        account
    }

    fn line(&mut self, what: &'static str, value: impl fmt::Display) {
        self.lines.push((what, value.to_string()));
    }

    fn must(&mut self, holds: bool, wrong: impl FnOnce() -> String) {
        if !holds {
            self.wrong.push(wrong());
        }
    }

    /// Whatever was acknowledged is in the spool once, in a state; nothing else is.
    fn tickets(&mut self, life: &Life, entries: &[Entry]) {
        let retried = life.retried();
        let asked: HashSet<Id> = life.asked.union(&retried).copied().collect();
        let there: HashSet<Id> = entries.iter().map(|entry| entry.name.id).collect();
        self.must(there.len() == entries.len(), || "a ticket is in two places".to_owned());
        for id in asked.symmetric_difference(&there) {
            self.wrong.push(format!("{id} is lost, or nobody asked for it"));
        }
        let mut counts: BTreeMap<State, usize> = BTreeMap::new();
        entries.iter().for_each(|entry| *counts.entry(entry.state()).or_default() += 1);
        self.line("pushes", life.pushes);
        self.line("rounds", life.rounds);
        self.line("asked", asked.len());
        for state in State::ALL {
            self.line(state.as_str(), counts.get(state).copied().unwrap_or(0));
        }
        let sum: usize = counts.values().sum();
        self.must(sum == asked.len(), || format!("{} asked, but {sum} in all states", asked.len()));
        for state in [State::Building, State::Waiting] {
            let held_up = |entry: &&Entry| entry.state() == state && !waits_for_a_failure(entry);
            let left = entries.iter().filter(held_up).count();
            self.must(left == 0, || format!("{left} tickets are still {state}"));
        }
        for (id, epoch, outcome) in &life.reported {
            let ended = entries.iter().find(|entry| entry.name.id == *id).unwrap();
            let holds = *outcome == Outcome::Trouble
                || ended.name.epoch == *epoch && ended.name.stand == syncpkg::spool::Stand::Done(*outcome);
            self.must(holds, || format!("{id}: {outcome} was acknowledged, it is {}", ended.state()));
        }
        self.line("refused: published or built", life.refused);
        self.line("forced", life.forced);
        self.line("retried by the farm", retried.len());
        self.line(
            "troubles",
            life.reported.iter().filter(|(_, _, outcome)| *outcome == Outcome::Trouble).count(),
        );
        self.line("late reports", life.late);
        self.line("reports put off: disk full", life.put_off);
        self.line("rounds that could not send mail", life.mail_errors);
        self.must(life.late > 0, || "the builder that died brought nothing too late".to_owned());
        self.must(life.put_off > 0, || "the disk was never full".to_owned());
    }

    /// What was built is published, or there is a reason.
    fn published(&mut self, farm: &Farm, entries: &[Entry]) {
        let names = |path: &str| {
            let entries = fs::read_dir(farm.at(path)).unwrap().map(|entry| entry.unwrap().file_name());
            entries.map(|name| name.into_string().unwrap()).collect::<Vec<_>>()
        };
        let hold = names("spool/hold");
        let count = |end: &str| hold.iter().filter(|name| name.ends_with(end)).count();
        self.line("packages", names("packages").len());
        self.line("kept, not published", count(".unwanted"));
        let waiting = hold.iter().filter(|name| !name.contains(".unwanted")).count();
        self.must(waiting == 0, || format!("{waiting} results are still held"));
        let built = entries.iter().filter(|entry| entry.state() == State::Built).count();
        self.must(built >= names("packages").len() + count(".unwanted"), || {
            "more is published than built".to_owned()
        });
    }

    /// Of every failure of a version that nobody was told of before somebody is told, once.
    fn mails(&mut self, farm: &Farm, entries: &[Entry]) {
        let mails = farm.mails();
        let header = |mail: &str, name: &str| {
            let head = mail.split("\n\n").next().unwrap_or_default().to_owned();
            head.lines().find_map(|line| line.strip_prefix(name)).map(|text| text.trim().to_owned())
        };
        let mut seen: HashSet<String> = HashSet::new();
        let mut told: HashMap<(String, String, String), usize> = HashMap::new();
        let (mut digests, mut events): (usize, BTreeMap<String, usize>) = (0, BTreeMap::new());
        for mail in &mails {
            let message = header(mail, "Message-ID:").unwrap_or_default();
            self.must(seen.insert(message.clone()), || format!("{message} was sent twice"));
            let to = header(mail, "To:").unwrap_or_default();
            let event = header(mail, "X-Syncpkg-Event:").unwrap_or_else(|| "other".to_owned());
            *events.entry(event.clone()).or_default() += 1;
            let tickets: Vec<String> = match header(mail, "X-Syncpkg-Ticket:") {
                Some(id) => vec![id],
                None => linked(mail),
            };
            digests += usize::from(tickets.len() > 1);
            for id in tickets {
                *told.entry((id, to.clone(), event.clone())).or_default() += 1;
            }
        }
        let twice: Vec<_> = told.iter().filter(|(_, count)| **count > 1).collect();
        self.must(twice.is_empty(), || format!("told more than once: {:?}", &twice[..twice.len().min(5)]));
        let heard: HashSet<&str> = told.keys().map(|(id, ..)| id.as_str()).collect();
        let (owed, mut unheard) = (failures(entries), Vec::new());
        for entry in &owed {
            if !heard.contains(entry.name.id.as_str()) {
                unheard.push(entry.name.id.to_string());
            }
        }
        self.must(unheard.is_empty(), || {
            format!("{} failures nobody was told of: {:?}", unheard.len(), &unheard[..unheard.len().min(5)])
        });
        let left: Vec<_> = fs::read_dir(farm.at("spool/owed")).unwrap().collect();
        self.must(left.is_empty(), || format!("{} mails are still owed", left.len()));
        self.line("failures to be told", owed.len());
        self.line("mails", mails.len());
        self.line("of them with more than one ticket", digests);
        self.line("by kind", format!("{events:?}"));
    }

    fn cost(&mut self) {
        let stat = fs::read_to_string("/proc/self/stat").unwrap();
        let fields: Vec<u64> =
            stat.rsplit(") ").next().unwrap().split(' ').map(|field| field.parse().unwrap_or(0)).collect();
        let ticks = rustix::param::clock_ticks_per_second();
        let [own, children] =
            [fields[11] + fields[12], fields[13] + fields[14]].map(|time| time as f64 / ticks as f64);
        self.line("CPU time, s", format!("{own:.1}, of programs started {children:.1}"));
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let peak =
            status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("?").trim().to_owned();
        self.line("largest memory", peak);
    }

    /// What does not add up.
    pub fn wrong(&self) -> Vec<String> {
        self.wrong.clone()
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|(what, value)| writeln!(f, "{what:36} {value}"))?;
        self.wrong.iter().try_for_each(|wrong| writeln!(f, "WRONG: {wrong}"))
    }
}

/// Parked, because something of its push has failed: a person has to look.
fn waits_for_a_failure(entry: &Entry) -> bool {
    entry.path.components().any(|part| part.as_os_str() == "park")
}

/// The failures of which somebody is to be told: but for what the farm tried again by itself.
fn failures(entries: &[Entry]) -> Vec<&Entry> {
    let failed = |entry: &&Entry| {
        entry.state() == State::Failed && entry.ticket().unwrap().by != syncpkg::mail::AUTOMATIC
    };
    entries.iter().filter(failed).collect()
}

/// The tickets whose pages a mail leads to.
fn linked(mail: &str) -> Vec<String> {
    let mut ids: Vec<String> =
        mail.split("/ticket/").skip(1).filter_map(|rest| rest.split('/').next()).map(str::to_owned).collect();
    ids.sort();
    ids.dedup();
    ids
}
