//! A farm in the middle of its day, made through the spool's own doors: for tests and for looking at.

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use syncpkg::base::{Clock, lock};
use syncpkg::config::{Config, TroubleSection};
use syncpkg::names::{Id, Outcome, Priority};
use syncpkg::spool::claim::{Claim, Request};
use syncpkg::spool::queue::Ask;
use syncpkg::spool::report::Ending;
use syncpkg::spool::{Spool, abort, builder, claim, queue, report};
use syncpkg::web::{Act, Between, Facts, FirstError, Shipped, Sources, UnbuiltRow, Written, site};

pub(super) struct Sample {
    pub place: tempfile::TempDir,
    pub spool: Spool,
    pub config: Config,
    pub facts: Facts,
    pub published: HashSet<Id>,
    pub acts: Vec<Act>,
    pub clock: Clock,
}

pub(super) fn first_error(log: &std::path::Path) -> Option<FirstError> {
    let text = String::from_utf8_lossy(&std::fs::read(log).unwrap()).into_owned();
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let at = lines.iter().position(|line| line.contains("error:"))?;
    let from = at.saturating_sub(5);
    Some(FirstError {
        line: at + 1,
        before: lines[from..at].to_vec(),
        text: lines[at].clone(),
        after: lines[at + 1..(at + 6).min(lines.len())].to_vec(),
    })
}

impl Sample {
    pub fn empty() -> Self {
        let place = tempfile::tempdir().unwrap();
        let spool = Spool::create(&place.path().join("spool")).unwrap();
        let text = "title = \"Frugalware build farm\"\n[tree.current]\npath = \"/srv/trees/current\"\nurl = \"master:/srv/trees/current\"\n";
        let mut config = syncpkg::config::parse(text, "f").unwrap();
        config.site = place.path().join("site");
        Self {
            place,
            spool,
            config,
            facts: Facts::default(),
            published: HashSet::new(),
            acts: Vec::new(),
            clock: Clock::system(),
        }
        .at("2026-11-22T06:00:00Z")
    }

    pub fn at(mut self, now: &str) -> Self {
        self.set(now);
        self
    }

    pub fn set(&mut self, now: &str) {
        self.clock = Clock::from_setting(Some(now)).unwrap();
    }

    pub fn ask(&self, item: &str, more: impl FnOnce(&mut Ask)) -> Id {
        self.ask_all(vec![wish(item, more)]).remove(0)
    }

    pub fn ask_all(&self, asks: Vec<Ask>) -> Vec<Id> {
        let answers = queue::enqueue(&self.spool, &asks, &self.clock, lock::PATIENCE).unwrap();
        answers.iter().map(|answer| answer.ticket().unwrap_or_else(|| panic!("{answer:?}")).id).collect()
    }

    pub fn claim(&self, who: &str, arch: &str) -> Claim {
        self.try_claim(who, arch).unwrap()
    }

    pub fn try_claim(&self, who: &str, arch: &str) -> Option<Claim> {
        let instance = syncpkg::base::random::word(8).parse().unwrap();
        let archs = vec![arch.parse().unwrap()];
        let request =
            Request { builder: who.parse().unwrap(), instance, archs, count: 1, choice: Default::default() };
        let taken = claim::take(&self.spool, &request, &self.clock);
        taken.ok().and_then(|mut claims| claims.pop()).map(|claimed| claimed.claim)
    }

    pub fn end(&self, claim: &Claim, outcome: Outcome, stage: &str, reason: &str, log: &[u8]) {
        let path = self.spool.tmp().join("log");
        std::fs::write(&path, log).unwrap();
        let package = self.spool.tmp().join(format!("package-1.0-1-{}.fpm", claim.id));
        std::fs::write(&package, vec![7; 70_000]).unwrap();
        let built = outcome == Outcome::Built;
        let ending = Ending {
            outcome,
            stage: (!stage.is_empty()).then(|| stage.to_owned()),
            reason: reason.to_owned(),
            exit: (outcome == Outcome::Failed).then_some(2),
            host: format!("{}.example.org", claim.builder),
            log: Some(path),
            files: if built { vec![package] } else { Vec::new() },
        };
        let trouble = TroubleSection { claims: 2, ..TroubleSection::default() };
        report::end(&self.spool, claim, &ending, &trouble, &self.clock).unwrap();
    }

    pub fn run(
        &mut self,
        item: &str,
        who: &str,
        times: (&str, &str),
        outcome: Outcome,
        why: (&str, &str),
    ) -> Id {
        self.set(times.0);
        let id = self.ask(item, |ask| ask.force = true);
        let claim = self.claim(who, item.rsplit('-').next().unwrap());
        self.set(times.1);
        self.end(&claim, outcome, why.0, why.1, &log(item));
        id
    }

    pub fn write(&self) -> syncpkg::base::Result<Written> {
        self.write_with(|sources| site::write(&self.config, &self.spool, &self.facts, sources, &self.clock))
    }

    /// Does something with what the site asks for while it is written.
    pub fn write_with<T>(&self, work: impl FnOnce(&Sources<'_>) -> T) -> T {
        let published = |shipped: &Shipped<'_>| self.published.contains(shipped.id);
        let commits = |between: &Between<'_>| {
            vec![format!("2026-11-22 09:12 {} janny: a new upstream version", between.bad)]
        };
        work(&Sources {
            first_error: &first_error,
            published: &published,
            commits: &commits,
            acts: &|day| Ok(self.acts(day)),
            progress: &|_, _| {},
        })
    }

    fn acts(&self, day: &str) -> Vec<Act> {
        let on = |act: &&Act| act.at.strftime("%Y%m%d").to_string() == day;
        self.acts.iter().filter(on).cloned().collect()
    }

    /// Somebody has asked for something by hand.
    pub fn act(&mut self, by: &str, what: &str, reason: &str, answer: &str) {
        let (at, answers) = (self.clock.now(), vec![answer.to_owned()]);
        let own = |text: &str| text.to_owned();
        self.acts.push(Act { at, by: own(by), from: "web", what: own(what), reason: own(reason), answers });
        *self.facts.asked.entry(at.strftime("%Y%m%d").to_string()).or_default() += 1;
    }

    /// Makes every directory of ended tickets older than it is: what changes next bears another time.
    pub fn age(&self) {
        for (tree, name) in syncpkg::spool::list::packages(&self.spool).unwrap() {
            let place = self.spool.at("done").join(&tree).join(&name);
            let time = std::fs::metadata(&place).unwrap().modified().unwrap() - Duration::from_secs(3600);
            syncpkg::base::durable::touch(&place, time).unwrap();
        }
    }

    /// Sets when a builder was last heard of: file times do not follow the fixed clock.
    pub fn seen(&self, who: &str, when: &str) {
        let time: jiff::Timestamp = when.parse().unwrap();
        let path = self.spool.at("builder").join(format!("{who}.toml"));
        syncpkg::base::durable::touch(&path, SystemTime::from(time)).unwrap();
    }
}

/// A request for `item` as a push makes it.
pub(super) fn wish(item: &str, more: impl FnOnce(&mut Ask)) -> Ask {
    let item: syncpkg::names::Item = item.parse().unwrap();
    let mut ask = Ask {
        tree: "current".parse().unwrap(),
        path: format!("source/apps/{}/FrugalBuild", item.name),
        item,
        revision: "8f3a9c21d7e64b5f".parse().unwrap(),
        priority: Priority::Push,
        by: "janny".to_owned(),
        reason: "push".to_owned(),
        maintainer: Some("Janos Kovacs <janny@frugalware.example.org>".to_owned()),
        batch: None,
        packages: Vec::new(),
        depends: [].into(),
        exact: false,
        force: false,
        spare_aborted: false,
        published: false,
    };
    more(&mut ask);
    ask
}

fn log(item: &str) -> Vec<u8> {
    let mut log = format!("==> Building {item}\n==> Checking dependencies...\n");
    for n in 1..320 {
        log.push_str(&format!("gcc -O2 -pipe -c src/part{n}.c -o build/part{n}.o\n"));
    }
    log.push_str("src/render.c: In function 'draw':\n");
    log.push_str("src/render.c:412:17: error: implicit declaration of function 'gdk_cairo_create'\n");
    log.push_str(
        "  412 |     cairo_t *cr = gdk_cairo_create (window);\n      |                   ^~~~~~~~~~~~~~~~\n",
    );
    log.push_str("make[2]: *** [Makefile:811: render.o] Error 1\nmake: *** [Makefile:422: all] Error 2\n==> ERROR: build() failed.\n");
    log.into_bytes()
}

/// A farm with something of everything.
pub(super) fn day() -> Sample {
    today(Sample::empty())
}

/// What happens in it on that day.
pub(super) fn today(mut farm: Sample) -> Sample {
    ended(&mut farm);
    troubled(&mut farm);
    at_work(&mut farm);
    farm.act("anna", "force current/vim", "a new libc", "queued 20261122-100000-000-k3f7x2 vim-9.1-1-i686");
    farm.facts.free = Some(48 << 30);
    farm.facts.unbuilt = Some(vec![UnbuiltRow {
        path: "source/network/wget/FrugalBuild".to_owned(),
        item: "wget-1.24-1-x86_64".to_owned(),
        tree: "current".to_owned(),
        since: "2026-11-18T10:00:00Z".parse().unwrap(),
        cause: "never enqueued: its push was not seen".to_owned(),
        maintainer: Some("Anna Nagy <anna@frugalware.example.org>".to_owned()),
    }]);
    farm.at("2026-11-22T12:12:00Z")
}

/// What was built and what failed; one thing is held.
fn ended(farm: &mut Sample) {
    let compiler = ("build", "the command exited with status 2");
    let tests = ("test", "3 of 412 tests failed");
    let (built, failed, fine) = (Outcome::Built, Outcome::Failed, ("", ""));
    let mut run = |item, builder, from, to, outcome, why| farm.run(item, builder, (from, to), outcome, why);
    run("gtk+2-2.24.31-1-x86_64", "b1", "2026-11-20T08:00:00Z", "2026-11-20T08:14:00Z", built, fine);
    let zlib = run("zlib-1.3-1-x86_64", "b1", "2026-11-22T06:10:00Z", "2026-11-22T06:12:10Z", built, fine);
    let held =
        run("openssl-3.0.9-2-x86_64", "b2", "2026-11-22T07:00:00Z", "2026-11-22T07:21:00Z", built, fine);
    run("gtk+2-2.24.33-1-x86_64", "b1", "2026-11-21T09:00:00Z", "2026-11-21T09:09:00Z", failed, compiler);
    run("vim-9.1-1-i686", "b3", "2026-11-22T09:05:00Z", "2026-11-22T09:09:31Z", failed, tests);
    run("mc-4.8.30-1-i686", "b3", "2026-11-22T10:00:00Z", "2026-11-22T10:01:00Z", built, fine);
    std::fs::write(farm.spool.hold_reason(&held, 1), "the signing key has expired\n").unwrap();
    farm.published.insert(zlib);
}

/// What two builders could not build, and what somebody aborted.
fn troubled(farm: &mut Sample) {
    farm.set("2026-11-22T11:00:00Z");
    farm.ask("libreoffice-24.2-1-x86_64", |_| {});
    for (who, now) in [("b2", "2026-11-22T11:10:00Z"), ("b1", "2026-11-22T11:30:00Z")] {
        let claim = farm.claim(who, "x86_64");
        farm.set(now);
        farm.end(
            &claim,
            Outcome::Trouble,
            "prepare",
            "cannot write /var/lib/chroot/x: No space left on device",
            b"df says 100%\n",
        );
        farm.set("2026-11-22T11:29:00Z");
    }
    farm.set("2026-11-22T12:00:00Z");
    let wrong = farm.ask("nethack-3.7-1-x86_64", |_| {});
    abort::abort(&farm.spool, wrong.as_str(), "janny", "pushed by mistake", &farm.clock).unwrap();
}

/// What is being built and what waits.
fn at_work(farm: &mut Sample) {
    farm.ask("bash-5.2-1-x86_64", |_| {});
    farm.set("2026-11-22T12:01:00Z");
    farm.ask("bash-5.2-2-x86_64", |_| {});
    let bash = farm.claim("b1", "x86_64");
    std::fs::write(farm.spool.live(&bash.id, bash.epoch), "==> Building bash\nchecking for gcc... gcc\n")
        .unwrap();
    farm.set("2026-11-22T12:05:00Z");
    farm.ask("gcc-14.2-1-x86_64", |ask| ask.priority = Priority::Urgent);
    farm.claim("b2", "x86_64");
    farm.set("2026-11-22T12:10:00Z");
    farm.ask("glib2-2.80-1-x86_64", |ask| ask.depends = ["gcc".parse().unwrap()].into());
    farm.ask("kernel-6.9-1-armv7", |ask| ask.priority = Priority::Background);
    farm.ask("gtk+2-2.24.33-2-x86_64", |_| {});
    for (who, when) in
        [("b1", "2026-11-22T12:11:00Z"), ("b2", "2026-11-22T12:11:20Z"), ("b3", "2026-11-22T10:01:00Z")]
    {
        farm.seen(who, when);
    }
    builder::pause(&farm.spool, &"b2".parse().unwrap()).unwrap();
}
