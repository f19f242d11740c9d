//! A farm's whole life: everything that can become of a ticket, program by program.

use std::fs;

use crate::found::Found;
use crate::life::{Claimed, Life, Step};

/// Somebody who does not own the spool, but is of the group that may use its drop box.
const PUSHER: &str = "setpriv --reuid=61002 --regid=61002 --groups=0 --";

/// A life that is being lived on a disk; `answered` is told how many programs have answered.
pub struct Living<'a> {
    life: &'a mut Life,
    answered: &'a dyn Fn(usize),
}

impl<'a> Living<'a> {
    /// Begins.
    pub fn new(life: &'a mut Life, answered: &'a dyn Fn(usize)) -> Self {
        Self { life, answered }
    }

    #[track_caller]
    fn step(&mut self, line: &str, input: &str, status: i32) -> String {
        let now = self.life.now;
        let ran = self.life.run_at(line, input, now);
        (self.answered)(self.life.steps.len() + 1);
        assert_eq!(ran.status, status, "$ {line}\n{}{}", ran.out, ran.err);
        let tracer = std::mem::take(&mut self.life.tracer);
        let after = Found::of(self.life, now).unwrap();
        self.life.tracer = tracer;
        self.life.steps.push(Step { line: line.to_owned(), now, after });
        ran.out
    }

    #[track_caller]
    fn ok(&mut self, line: &str) -> String {
        self.step(line, "", 0)
    }

    #[track_caller]
    fn claim(&mut self, arguments: &str) -> Vec<Claimed> {
        let out = self.ok(&format!("syncpkg-claim --arch x86_64 --json {arguments}"));
        Claimed::read(&out)
    }

    fn built(&mut self, claimed: &Claimed, packages: &[&str]) -> String {
        let log = self.life.at("log");
        fs::write(&log, format!("==> building {}\n", claimed.name).repeat(300)).unwrap();
        let files = packages.iter().map(|name| {
            let file = self.life.at(&format!("{name}-1-1-x86_64.pkg.tar.gz"));
            fs::write(&file, name.repeat(5000)).unwrap();
            format!(" --file {}", file.display())
        });
        let files: String = files.collect();
        format!("syncpkg-report {} --outcome built --log {}{files}", claimed.claim, log.display())
    }

    /// The shortest life that has everything: asked for, claimed, built; but for the first step under `tracer`.
    pub fn briefly(mut self, tracer: &str) {
        self.life.commit(&["gcc".to_owned()], "");
        self.ok("syncpkg-init");
        self.life.under(tracer);
        self.ok("syncpkg-enqueue gcc");
        let claimed = self.claim("--builder b1");
        let report = self.built(&claimed[0], &["gcc"]);
        self.ok(&report);
        self.life.under("");
    }

    /// Everything that can become of a ticket.
    pub fn fully(mut self) {
        let names: Vec<String> = (0..20).map(|n| format!("p{n:02}")).collect();
        self.life.commit(&names, "");
        self.life.commit(&["gcc".to_owned()], "pkgname=(gcc gcc-libs)");
        self.ok("syncpkg-init");
        self.ok("syncpkg-enqueue gcc");
        let items: String = names.iter().map(|name| format!("{name}-1-1-x86_64\n")).collect();
        self.life.later(1);
        self.step("syncpkg-enqueue --batch mass -", &items, 0);
        self.ends();
        self.trouble();
        self.comes_back();
        self.others_ask();
        self.life.later(60);
        self.ok("syncpkgd --once");
    }

    /// Reports: built, with a log and two packages; failed; each also said twice.
    fn ends(&mut self) {
        let gcc = self.claim("--builder b1");
        let three = self.claim("--builder b2 --count 3");
        self.ok(&format!("syncpkg-beat {}", gcc[0].claim));
        let report = self.built(&gcc[0], &["gcc", "gcc-libs"]);
        self.ok(&report);
        self.ok(&report);
        let failed = format!("syncpkg-report {} --outcome failed --stage build", three[0].claim);
        let log = self.life.at("log").display().to_string();
        self.ok(&format!("{failed} --log {log}"));
        self.step(&format!("syncpkg-report {} --outcome built --log {log}", three[0].claim), "", 1);
        // Publishes gcc, mails about what failed.
        self.ok("syncpkgd --once");
        self.ok(&format!("syncpkg-abort {}", three[1].name));
        self.ok("syncpkg-abort p19 p18");
        self.step("syncpkg-abort p19", "", 1);
        let line = format!("syncpkg-report {} --outcome trouble --reason disk", three[2].claim);
        self.ok(&line);
        self.ok(&line);
    }

    /// A ticket that always has trouble, to its end.
    fn trouble(&mut self) {
        self.ok("syncpkg-enqueue --priority urgent p17");
        for n in 0..5 {
            // Whoever had trouble with it last would get another.
            let claimed = self.claim(&format!("--builder c{n}"));
            assert_eq!(claimed[0].name, "p17");
            self.ok(&format!("syncpkg-report {} --outcome trouble --reason disk", claimed[0].claim));
            self.life.later(3600);
        }
        self.ok("syncpkgd --once");
    }

    /// What is handed in through the drop box, and acted on by the next round.
    fn others_ask(&mut self) {
        self.life.copy_for_others(&["syncpkg-enqueue", "syncpkg-abort"]);
        for line in ["syncpkg-enqueue p19", "syncpkg-abort p19"] {
            self.life.under(PUSHER);
            self.ok(line);
            self.life.under("");
            self.ok("syncpkgd --once");
        }
    }

    /// What comes back: lost leases, released claims, later revisions.
    fn comes_back(&mut self) {
        let lost = self.claim("--builder b4 --count 2 --instance one");
        let again = self.claim("--builder b4 --count 2 --instance one");
        assert_eq!(lost[0].claim, again[0].claim);
        self.life.commit(std::slice::from_ref(&lost[0].name), "# a later revision");
        self.life.later(1);
        self.ok(&format!("syncpkg-enqueue {}/PKGBUILD", lost[0].name));
        self.life.commit(&["p16".to_owned()], "# a later revision");
        self.life.later(1);
        self.ok("syncpkg-enqueue p16/PKGBUILD");
        self.ok("syncpkgd --once");
        self.life.later(601);
        self.ok("syncpkgd --once");
        self.claim("--builder b5 --count 2");
        self.ok("syncpkg-builder --pause --release b5");
        self.ok("syncpkg-builder --resume b5");
        let late = self.claim("--builder b5");
        let report = self.built(&late[0], &[&late[0].name]);
        self.ok(&report);
        self.ok("syncpkg-enqueue --force --reason again p17");
    }
}
