//! The rules of telling, against a real spool, a server in a thread, a sendmail in a script.

mod delivery;
mod letters;
mod policy;
mod server;

use std::time::Duration;

use super::*;
use crate::base::Clock;
use crate::config::{Config, Transport, TroubleSection};
use crate::names::{Outcome, Priority};
use crate::spool::claim::Request;
use crate::spool::queue::Ask;
use crate::spool::report::Ending;
use crate::spool::{Spool, claim, queue, report};

struct Farm {
    place: tempfile::TempDir,
    spool: Spool,
    config: Config,
    clock: Clock,
    alarms: Vec<Alarm>,
    unbuilt: Vec<Unbuilt>,
    /// What stands in a log behind the error.
    after: Vec<String>,
}

fn farm() -> Farm {
    let place = tempfile::tempdir().unwrap();
    let spool = Spool::create(&place.path().join("spool")).unwrap();
    let clock = Clock::from_setting(Some("2026-11-22T14:47:43Z")).unwrap();
    Farm {
        place,
        spool,
        config: Config::default(),
        clock,
        alarms: Vec::new(),
        unbuilt: Vec::new(),
        after: hostile(),
    }
}

impl Farm {
    fn at(&mut self, now: &str) {
        self.clock = Clock::from_setting(Some(now)).unwrap();
    }

    fn later(&mut self, seconds: i64) -> &Self {
        let now = self.clock.now() + jiff::SignedDuration::from_secs(seconds);
        self.clock = Clock::fixed(now);
        self
    }

    fn ask(&self, name: &str, maintainer: &str) {
        self.ask_for(self.wish(name, maintainer));
    }

    fn ask_for(&self, ask: Ask) {
        queue::enqueue(&self.spool, &[ask], &self.clock, Duration::ZERO).unwrap();
    }

    fn wish(&self, name: &str, maintainer: &str) -> Ask {
        Ask {
            tree: "current".parse().unwrap(),
            item: format!("{name}-14.2-1-x86_64").parse().unwrap(),
            revision: "abcd".parse().unwrap(),
            path: format!("{name}/PKGBUILD"),
            priority: Priority::Push,
            by: "ann".to_owned(),
            reason: "push".to_owned(),
            maintainer: Some(maintainer.to_owned()),
            batch: None,
            packages: Vec::new(),
            depends: [].into(),
            exact: true,
            force: true,
            spare_aborted: false,
            published: false,
        }
    }

    /// Asks for a package, which ends so.
    fn ends(&self, name: &str, outcome: Outcome) -> claim::Claim {
        self.ask(name, "Ann <ann@example.org>");
        self.end(outcome)
    }

    fn end(&self, outcome: Outcome) -> claim::Claim {
        self.end_with(outcome, "it exited with status 2\u{1b}[2J\r\nBcc: eve@example.org")
    }

    fn end_with(&self, outcome: Outcome, reason: &str) -> claim::Claim {
        let instance = crate::base::random::word(8).parse().unwrap();
        let archs = vec!["x86_64".parse().unwrap()];
        let request =
            Request { builder: "b1".parse().unwrap(), instance, archs, count: 1, choice: Default::default() };
        let claim = claim::take(&self.spool, &request, &self.clock).unwrap().remove(0).claim;
        let log = self.spool.tmp().join("log");
        std::fs::write(&log, "checking\nx.c:1: error: no\n").unwrap();
        let ending = Ending {
            outcome,
            stage: Some("build".to_owned()),
            reason: reason.to_owned(),
            exit: Some(2),
            host: "b1.example.org".to_owned(),
            log: Some(log),
            files: Vec::new(),
        };
        let trouble = TroubleSection { claims: 1, ..TroubleSection::default() };
        report::end(&self.spool, &claim, &ending, &trouble, &self.clock).unwrap();
        claim
    }

    fn notify(&self) -> crate::base::Result<Summary> {
        let sources = Sources {
            first_error: &|_| Some(found(&self.after)),
            alarms: &|_| Ok(self.alarms.clone()),
            daily: &|| Ok((self.unbuilt.clone(), Vec::new())),
            commits: &|_, old, new| vec![format!("2026-11-22 15:00 {new} ann: gcc: after {old}")],
            hooked: &|_| false,
        };
        notify(&self.spool, &self.config, &sources, &self.clock)
    }

    fn owed(&self) -> usize {
        report::owed(&self.spool).unwrap().len()
    }

    fn in_post(&self) -> Vec<String> {
        let names = crate::spool::list::names(&self.spool.at("post")).unwrap();
        let mut names: Vec<String> = names.into_iter().filter(|name| name.ends_with(".eml")).collect();
        names.sort();
        names
    }

    /// The subjects and recipients of all that was sent.
    fn subjects(&self) -> Vec<String> {
        let mails = self.sent().into_iter().map(|mail| mail.replace("\r\n ", " "));
        let of = |mail: &str, key: &str| {
            let line = mail.lines().find_map(|line| line.strip_prefix(key)).unwrap().to_owned();
            line.trim_start_matches("[syncpkg] ").to_owned()
        };
        let mut all: Vec<String> =
            mails.map(|mail| format!("{}: {}", of(&mail, "To: "), of(&mail, "Subject: "))).collect();
        all.sort();
        all
    }

    fn sent(&self) -> Vec<String> {
        let files = walkdir::WalkDir::new(self.spool.at("sent")).sort_by_file_name().into_iter().flatten();
        let mails = files.filter(|entry| entry.file_type().is_file());
        mails.map(|entry| std::fs::read_to_string(entry.path()).unwrap()).collect()
    }
}

fn hostile() -> Vec<String> {
    vec![format!("{}\u{1b}]0;x\u{7}", "y".repeat(5000)); 10]
}

fn found(after: &[String]) -> FirstError {
    FirstError {
        line: 2,
        before: vec!["checking".to_owned()],
        text: "x.c:1: error: no".to_owned(),
        after: after.to_vec(),
    }
}
