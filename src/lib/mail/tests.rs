//! The rules of telling, against a real spool, a server in a thread, a sendmail in a script.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};
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
    _place: tempfile::TempDir,
    spool: Spool,
    config: Config,
    clock: Clock,
}

fn farm() -> Farm {
    let place = tempfile::tempdir().unwrap();
    let spool = Spool::create(&place.path().join("spool")).unwrap();
    let clock = Clock::from_setting(Some("2026-11-22T14:47:43Z")).unwrap();
    Farm { _place: place, spool, config: Config::default(), clock }
}

impl Farm {
    fn at(&mut self, now: &str) {
        self.clock = Clock::from_setting(Some(now)).unwrap();
    }

    fn ask(&self, name: &str, maintainer: &str) {
        let ask = Ask {
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
        };
        queue::enqueue(&self.spool, &[ask], &self.clock, Duration::ZERO).unwrap();
    }

    fn end(&self, outcome: Outcome) -> claim::Claim {
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
            reason: "it exited with status 2\u{1b}[2J\r\nBcc: eve@example.org".to_owned(),
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
        notify(&self.spool, &self.config, &found, &self.clock)
    }

    fn owed(&self) -> usize {
        report::owed(&self.spool).unwrap().len()
    }

    fn sent(&self) -> Vec<String> {
        let files = walkdir::WalkDir::new(self.spool.at("sent")).sort_by_file_name().into_iter().flatten();
        let mails = files.filter(|entry| entry.file_type().is_file());
        mails.map(|entry| std::fs::read_to_string(entry.path()).unwrap()).collect()
    }
}

fn found(_: &Path) -> Option<FirstError> {
    let long = format!("{}\u{1b}]0;x\u{7}", "y".repeat(5000));
    Some(FirstError {
        line: 2,
        before: vec!["checking".to_owned()],
        text: "x.c:1: error: no".to_owned(),
        after: vec![long; 10],
    })
}

/// A mail server for tests: keeps what it is told, refuses recipients that contain `refused`.
fn server() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let name = listener.local_addr().unwrap().to_string();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&heard);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut answer = stream.try_clone().unwrap();
            answer.write_all(b"220 test\r\n").unwrap();
            let mut in_data = false;
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                kept.lock().unwrap().push(line.clone());
                let reply: &[u8] = match line.as_str() {
                    "." => {
                        in_data = false;
                        b"250 taken\r\n"
                    }
                    _ if in_data => continue,
                    "DATA" => {
                        in_data = true;
                        b"354 go on\r\n"
                    }
                    "QUIT" => b"221 bye\r\n",
                    line if line.starts_with("RCPT") && line.contains("refused") => b"550 no such user\r\n",
                    line if line.starts_with("RCPT") && line.contains("later") => b"451 not now\r\n",
                    _ => b"250 fine\r\n",
                };
                answer.write_all(reply).unwrap();
            }
        }
    });
    (name, heard)
}

fn recipients(heard: &Mutex<Vec<String>>) -> Vec<String> {
    heard.lock().unwrap().iter().filter(|line| line.starts_with("RCPT")).cloned().collect()
}

#[test]
fn a_failure_is_mailed_once() {
    let (name, heard) = server();
    let mut farm = farm();
    farm.config.mail.transport = Transport::Smtp;
    farm.config.mail.smtp = name;
    farm.ask("gcc", "Ann <ann@example.org>");
    let claim = farm.end(Outcome::Failed);
    assert_eq!(farm.notify().unwrap(), Summary { sent: 1, kept: 0, dropped: 0 });
    assert_eq!(farm.notify().unwrap(), Summary::default());
    // A crash after the copy and before the note was forgotten.
    std::fs::write(farm.spool.owed(&claim.id, 1, Outcome::Failed), "").unwrap();
    farm.notify().unwrap();
    assert_eq!((farm.sent().len(), farm.owed(), recipients(&heard).len()), (1, 0, 1));
}

#[test]
fn a_mail_says_what_where_why_and_what_to_do() {
    let mut farm = farm();
    farm.config = crate::config::parse("[tree.current]\npath = \"/srv/it's\"\n", "f").unwrap();
    farm.ask("gcc", "Ann <ann@example.org>");
    let claim = farm.end(Outcome::Failed);
    farm.notify().unwrap();
    let mail = farm.sent().remove(0);
    for line in [
        "Subject: [syncpkg] gcc 14.2-1 x86_64 failed in build()",
        "To: Ann <ann@example.org>",
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        "X-Syncpkg-Package: current/gcc-14.2-1-x86_64",
        "Date: Sun, 22 Nov 2026 14:47:43 +0000",
        "List-Id: <current.syncpkg.build.example.org>",
        "In-Reply-To: <current.gcc.x86_64@build.example.org>",
        &format!("Message-ID: <{}.1.failed@build.example.org>", claim.id),
        &format!("Page:  https://build.example.org/syncpkg/ticket/{}/", claim.id),
        "  exit status  2",
        "  builder      b1, host b1.example.org",
        ">      2  x.c:1: error: no",
        "  ssh build.example.org syncpkg-enqueue --force current/gcc",
    ] {
        assert!(mail.lines().any(|there| there == line), "{line} is not in\n{mail}");
    }
    assert!(mail.contains("git clone '/srv/it'\\''s' current"), "{mail}");
}

#[test]
fn nothing_in_a_mail_acts() {
    let farm = farm();
    farm.ask("gcc", "Ann <ann@example.org>");
    farm.end(Outcome::Failed);
    farm.notify().unwrap();
    let mail = farm.sent().remove(0);
    assert!(mail.len() < 64 << 10 && mail.lines().all(|line| line.len() < 998));
    assert!(!mail.lines().any(|line| line.starts_with("Bcc")));
    assert!(mail.bytes().all(|byte| byte >= b' ' || byte == b'\r' || byte == b'\n'));
}

#[test]
fn a_mail_server_that_is_down_delays_and_never_loses() {
    let mut farm = farm();
    farm.config.mail.transport = Transport::Smtp;
    farm.config.mail.smtp = "127.0.0.1:1".to_owned();
    farm.ask("gcc", "ann@example.org");
    farm.end(Outcome::Failed);
    let error = farm.notify().unwrap_err();
    assert_eq!((error.kind.status(), farm.owed(), farm.sent().len()), (75, 1, 0));
    assert!(error.to_string().starts_with("cannot send mail to 127.0.0.1:1: "), "{error}");
    let (name, heard) = server();
    farm.config.mail.smtp = name;
    assert_eq!(farm.notify().unwrap().sent, 1);
    assert_eq!(recipients(&heard), ["RCPT TO:<ann@example.org>"]);
    assert_eq!((farm.owed(), farm.sent().len()), (0, 1));
}

#[test]
fn a_refused_maintainer_is_told_through_the_admin_and_one_mail_never_stops_the_others() {
    let mut farm = farm();
    let (name, heard) = server();
    farm.config.mail.transport = Transport::Smtp;
    farm.config.mail.smtp = name;
    for (package, maintainer) in
        [("a", "later@example.org"), ("b", "refused@example.org"), ("c", "c@example.org")]
    {
        farm.ask(package, maintainer);
        farm.end(Outcome::Failed);
    }
    let error = farm.notify().unwrap_err();
    assert!(error.kind.status() == 75 && error.to_string().contains("451"), "{error}");
    assert_eq!((farm.owed(), farm.sent().len()), (1, 2));
    let told = recipients(&heard);
    assert!(told.contains(&"RCPT TO:<admin@example.org>".to_owned()), "{told:?}");
    assert!(told.contains(&"RCPT TO:<c@example.org>".to_owned()), "{told:?}");
}

#[test]
fn a_maintainer_without_usable_address_is_mailed_to_the_admin() {
    let farm = farm();
    farm.ask("gcc", "Ann <ann at example dot org>");
    farm.end(Outcome::Failed);
    farm.notify().unwrap();
    let mail = farm.sent().remove(0);
    assert!(mail.contains("To: admin@example.org\r\n"), "{mail}");
    assert!(mail.contains("address: Ann <ann at example dot org>"), "{mail}");
}

#[test]
fn a_recipe_cannot_choose_a_second_recipient() {
    let mut farm = farm();
    let script = farm.spool.root().join("sendmail");
    let told = farm.spool.root().join("told");
    std::fs::write(&script, format!("#!/bin/sh\necho \"$@\" >>{}\ncat >/dev/null\n", told.display()))
        .unwrap();
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    farm.config.mail.transport = Transport::Sendmail;
    farm.config.mail.sendmail = script;
    for (package, maintainer) in [
        ("a", "ann@example.org, eve@example.org"),
        ("b", "ann@example.org\r\nBcc: eve@example.org"),
        ("c", "eve@example.org <ann@example.org>"),
        ("d", "-Xeve@example.org"),
    ] {
        farm.ask(package, maintainer);
        farm.end(Outcome::Failed);
    }
    assert_eq!(farm.notify().unwrap().sent, 4);
    let calls = std::fs::read_to_string(told).unwrap();
    assert_eq!(calls, "-i -f noreply@example.org -- admin@example.org\n".repeat(4));
}

#[test]
fn a_sendmail_that_is_missing_or_fails_leaves_the_mail_owed() {
    let mut farm = farm();
    farm.config.mail.transport = Transport::Sendmail;
    farm.config.mail.sendmail = "/nonexistent/sendmail".into();
    farm.ask("gcc", "ann@example.org");
    farm.end(Outcome::Failed);
    let error = farm.notify().unwrap_err();
    assert!(error.to_string().contains("/nonexistent/sendmail"), "{error}");
    farm.config.mail.sendmail = "/bin/false".into();
    assert_eq!(farm.notify().unwrap_err().kind.status(), 75);
    assert_eq!((farm.owed(), farm.sent().len()), (1, 0));
}

#[test]
fn trouble_is_mailed_to_the_admin_and_green_only_after_red() {
    let mut farm = farm();
    farm.ask("gcc", "ann@example.org");
    farm.end(Outcome::Trouble);
    farm.at("2026-11-22T15:47:43Z");
    farm.ask("gcc", "ann@example.org");
    farm.end(Outcome::Failed);
    farm.at("2026-11-22T16:47:43Z");
    farm.ask("gcc", "ann@example.org");
    farm.end(Outcome::Built);
    farm.ask("vim", "ann@example.org");
    farm.end(Outcome::Built);
    assert_eq!(farm.notify().unwrap(), Summary { sent: 3, kept: 0, dropped: 1 });
    let mails = farm.sent();
    assert!(mails[0].contains("To: admin@example.org") && mails[0].contains("could not build it"));
    assert!(mails[2].contains("is built again") && mails[2].contains("To: ann@example.org"));
}

#[test]
fn a_note_that_did_not_come_true_is_dropped_and_one_in_progress_is_left() {
    let farm = farm();
    farm.ask("gcc", "ann@example.org");
    let instance = "i1".parse().unwrap();
    let archs = vec!["x86_64".parse().unwrap()];
    let request =
        Request { builder: "b1".parse().unwrap(), instance, archs, count: 1, choice: Default::default() };
    let claim = claim::take(&farm.spool, &request, &farm.clock).unwrap().remove(0).claim;
    std::fs::write(farm.spool.owed(&claim.id, 1, Outcome::Failed), "").unwrap();
    assert_eq!(farm.notify().unwrap(), Summary { sent: 0, kept: 1, dropped: 0 });
    crate::spool::abort::abort(&farm.spool, claim.id.as_str(), "ann", "", &farm.clock).unwrap();
    assert_eq!(farm.notify().unwrap(), Summary { sent: 0, kept: 0, dropped: 1 });
    assert_eq!((farm.owed(), farm.sent().len()), (0, 0));
}
