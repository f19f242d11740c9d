//! The acts of the farm that change something, each in a farm where a bit of everything stands; and what has to
//! be true afterwards, whatever happened in between.

use std::collections::BTreeSet;
use std::fs;

use syncpkg::base::Clock;
use syncpkg::farm::drop_box::{self, Request};
use syncpkg::spool::Spool;

use crate::stage::{Ran, Stage};

/// What a repeat of an act that had succeeded answers.
#[derive(Debug, Clone, Copy)]
pub enum Repeat {
    /// The same again.
    Same,
    /// The same, or no, because of this.
    Late(&'static str),
    /// What is left to say.
    Rest,
    /// As much of it as had been done: more was never promised.
    Part,
}

/// A command line, and the farm it is given in.
#[derive(Clone, Copy)]
pub struct Act {
    pub name: &'static str,
    /// Makes the farm; returns the command line.
    pub prepare: fn(&Stage) -> String,
    pub input: &'static str,
    pub repeat: Repeat,
}

impl Act {
    const fn new(name: &'static str, repeat: Repeat, prepare: fn(&Stage) -> String) -> Self {
        Self { name, prepare, input: "", repeat }
    }
}

/// The acts whose every change is tried in a few seconds.
pub const FEW: [Act; 4] = [ENQUEUE, CLAIM, BUILT, ABORT];

/// All of them.
pub const ALL: [Act; 22] = [
    INIT,
    ENQUEUE,
    BATCH,
    CLAIM,
    Act::new("claim of several", Repeat::Part, |stage| {
        busy(stage);
        "syncpkg-claim --builder b2 --arch x86_64 --instance abc --count 3".to_owned()
    }),
    Act::new("beat", Repeat::Same, |stage| {
        let held = busy(stage);
        format!("syncpkg-beat {} --log log", held.lib)
    }),
    BUILT,
    Act::new("report failed", Repeat::Same, |stage| {
        let held = busy(stage);
        format!("syncpkg-report {} --outcome failed --stage build --log log", held.lib)
    }),
    Act::new("report trouble", Repeat::Same, |stage| {
        let held = busy(stage);
        format!("syncpkg-report {} --outcome trouble --reason disk --log log", held.lib)
    }),
    Act::new("late report", Repeat::Same, |stage| {
        let held = busy(stage);
        stage.ok("syncpkg-abort lib");
        format!("syncpkg-report {} --outcome built --log log --file lib-1-1-x86_64.pkg.tar.gz", held.lib)
    }),
    ABORT,
    Act::new("abort of a building one", Repeat::Late("has ended as aborted"), |stage| {
        busy(stage);
        "syncpkg-abort --by ann --reason wrong lib".to_owned()
    }),
    Act::new("builder registers", Repeat::Same, |stage| {
        busy(stage);
        "syncpkg-builder --arch x86_64,i686 b9".to_owned()
    }),
    Act::new("builder pauses", Repeat::Same, |stage| {
        busy(stage);
        "syncpkg-builder --pause b1".to_owned()
    }),
    Act::new("builder releases", Repeat::Same, |stage| {
        busy(stage);
        "syncpkg-builder --pause --release b1".to_owned()
    }),
    Act::new("builder resumes", Repeat::Same, |stage| {
        busy(stage);
        stage.ok("syncpkg-builder --pause b1");
        "syncpkg-builder --resume b1".to_owned()
    }),
    Act::new("builder is forgotten", Repeat::Late("there is no builder"), |stage| {
        busy(stage);
        "syncpkg-builder --forget b3".to_owned()
    }),
    Act::new("round", Repeat::Rest, eventful),
    Act::new("repair", Repeat::Rest, damaged),
    Act::new("notify", Repeat::Same, |stage| {
        busy(stage);
        "syncpkg-notify".to_owned()
    }),
    Act::new("stats", Repeat::Same, |stage| {
        busy(stage);
        "syncpkg-stats".to_owned()
    }),
    Act::new("unbuilt", Repeat::Rest, |stage| {
        busy(stage);
        // Longer ago than what was just committed.
        stage.later(7 * 24 * 3600);
        "syncpkg-unbuilt --enqueue --older-than 0s".to_owned()
    }),
];

const INIT: Act = Act::new("init", Repeat::Same, |_| "syncpkg-init".to_owned());

const ENQUEUE: Act = Act::new("enqueue", Repeat::Same, |stage| {
    busy(stage);
    "syncpkg-enqueue doc/PKGBUILD".to_owned()
});

/// One that takes another's place, one that becomes more urgent, one that is new.
const BATCH: Act = Act {
    input: "gcc/PKGBUILD\nmake\n\ndoc/PKGBUILD\n",
    ..Act::new("enqueue of a batch", Repeat::Same, |stage| {
        busy(stage);
        "syncpkg-enqueue --priority urgent --batch b -".to_owned()
    })
};

const CLAIM: Act = Act::new("claim", Repeat::Same, |stage| {
    busy(stage);
    "syncpkg-claim --builder b2 --arch x86_64 --instance abc".to_owned()
});

const BUILT: Act = Act::new("report built", Repeat::Same, |stage| {
    let held = busy(stage);
    let files = "--file lib-1-1-x86_64.pkg.tar.gz --file libs-1-1-x86_64.pkg.tar.gz";
    format!("syncpkg-report {} --outcome built --log log {files}", held.lib)
});

const ABORT: Act = Act::new("abort", Repeat::Late("has ended as aborted"), |stage| {
    busy(stage);
    "syncpkg-abort --by ann --reason wrong gcc".to_owned()
});

/// The claims of a busy farm.
struct Held {
    lib: String,
}

/// A farm in which `lib` is being built, `gcc` and `make` wait, `app` waits for `lib`, `old` has failed (a mail is
/// owed) and `tool` was aborted; and the recipe of `gcc` has changed since.
fn busy(stage: &Stage) -> Held {
    stage.ok("syncpkg-init");
    fs::write(stage.at("log"), "==> Starting build()...\n".repeat(40)).unwrap();
    for name in ["lib", "libs", "pub"] {
        fs::write(stage.at(&format!("{name}-1-1-x86_64.pkg.tar.gz")), name.repeat(9000)).unwrap();
    }
    stage.ok("syncpkg-enqueue lib");
    let lib = stage.claim("b1");
    stage.later(1).ok("syncpkg-enqueue old");
    let old = stage.claim("b3");
    stage.ok(&format!("syncpkg-report {old} --outcome failed --stage build --log log"));
    stage.later(1).ok("syncpkg-enqueue tool");
    stage.ok("syncpkg-abort tool");
    stage.later(1).ok("syncpkg-enqueue --priority background make");
    stage.later(1).ok("syncpkg-enqueue gcc/PKGBUILD");
    stage.later(1).ok("syncpkg-enqueue app");
    stage.write_recipe("gcc", "# changed");
    stage.commit();
    stage.later(1);
    Held { lib }
}

/// A busy farm whose next round has something to do in each of its parts: a lease is lost, a package is to be
/// published, mails are owed, somebody has handed something in.
fn eventful(stage: &Stage) -> String {
    busy(stage);
    stage.ok("syncpkg-enqueue --priority urgent pub");
    let claim = stage.claim("b3");
    stage.ok("syncpkgd --once");
    let file = "--file pub-1-1-x86_64.pkg.tar.gz";
    stage.later(601).ok(&format!("syncpkg-report {claim} --outcome built --log log {file}"));
    stage.ok("syncpkg-enqueue --priority urgent --force tool");
    let tool = stage.claim("b3");
    stage.ok(&format!("syncpkg-report {tool} --outcome failed --stage build --log log"));
    let spool = Spool::open(&stage.at("spool")).unwrap();
    let request = Request::Abort { what: "make".to_owned(), reason: "not wanted".to_owned() };
    drop_box::hand_in(&spool, &request, &Clock::fixed(stage.now())).unwrap();
    "syncpkgd --once".to_owned()
}

/// A busy farm in which somebody has been: a directory is gone, foreign things lie about, a ticket is garbage.
fn damaged(stage: &Stage) -> String {
    busy(stage);
    fs::remove_dir(stage.at("spool/late")).unwrap();
    fs::write(stage.at("spool/junk"), "junk").unwrap();
    fs::write(stage.at("spool/run/stray"), "stray").unwrap();
    let ticket = fs::read_dir(stage.at("spool/run/b1")).unwrap().next().unwrap().unwrap().path();
    fs::write(ticket, "garbage").unwrap();
    "syncpkg-check --repair".to_owned()
}

/// What a person finds who looks at the farm; IDs that an act has made are all called `new`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct View {
    rows: BTreeSet<String>,
    files: BTreeSet<String>,
    reports: BTreeSet<String>,
    problems: BTreeSet<String>,
}

impl View {
    /// What is there and should not be, and the other way round; traces of what was interrupted may be there.
    fn differs(&self, should: &View) -> Vec<String> {
        let pairs =
            [(&self.rows, &should.rows), (&self.files, &should.files), (&self.problems, &should.problems)];
        let more =
            pairs.iter().flat_map(|(is, should)| is.difference(should)).map(|line| format!("+ {line}"));
        let pairs = pairs.iter().copied().chain([(&self.reports, &should.reports)]);
        let less = pairs.flat_map(|(is, should)| should.difference(is)).map(|line| format!("- {line}"));
        more.chain(less).collect()
    }
}

/// How an act goes when nothing disturbs it, and the farm before and after.
pub struct Measure {
    pub line: String,
    known: Vec<String>,
    answer: String,
    code: Option<i32>,
    after: View,
}

impl Measure {
    /// Makes the farm of an act, keeps it, and lets it happen once undisturbed.
    #[track_caller]
    pub fn of(stage: &Stage, act: &Act) -> Self {
        let line = (act.prepare)(stage);
        let known: Vec<String> = stage.rows().into_iter().map(|row| row.id).collect();
        stage.save();
        let ran = stage.run_behind(&[], &line, act.input);
        let mut measure =
            Self { line, known, answer: String::new(), code: ran.code(), after: View::default() };
        measure.after = measure.view(stage);
        measure.answer = measure.plain(&ran.out, &measure.made(stage));
        measure
    }

    /// The farm as a person finds it now.
    fn view(&self, stage: &Stage) -> View {
        let made = self.made(stage);
        let plain = |text: &String| self.plain(text, &made);
        let mut rows = BTreeSet::new();
        for row in stage.rows() {
            // Two new tickets that read alike are two.
            let text = plain(&row.text);
            let twin = (1..).map(|n| format!("{text} ({n})")).find(|text| !rows.contains(text));
            rows.extend(twin);
        }
        let places = ["log", "hold", "owed", "sent", "drop", "late", "bad", "builder"]
            .map(|place| format!("spool/{place}"));
        let places = places.iter().map(String::as_str).chain(["www", "packages"]);
        let files = places.flat_map(|place| files(stage, place)).map(|name| plain(&name)).collect();
        // One that nothing points to is a trace of what was interrupted; a request may have been acted on twice.
        let reports =
            ["spool/report", "spool/request"].into_iter().flat_map(|place| files_of_ids(stage, place));
        let reports = reports.map(|name| plain(&name)).collect();
        View { rows, files, reports, problems: stage.problems(false).into_iter().collect() }
    }

    fn made(&self, stage: &Stage) -> Vec<String> {
        stage.rows().into_iter().map(|row| row.id).filter(|id| !self.known.contains(id)).collect()
    }

    fn plain(&self, text: &str, made: &[String]) -> String {
        made.iter().fold(text.to_owned(), |text, id| text.replace(id, "new"))
    }

    /// Compares the farm with what it would be undisturbed; returns what is wrong.
    pub fn differs(&self, stage: &Stage) -> Option<String> {
        let lines = self.view(stage).differs(&self.after);
        (!lines.is_empty()).then(|| format!("the farm is not as it should be:\n  {}", lines.join("\n  ")))
    }

    /// Compares an answer with the undisturbed one; `first` tells whether the act had not succeeded before.
    pub fn answered(&self, stage: &Stage, act: &Act, ran: &Ran) -> Option<String> {
        let out = self.plain(&ran.out, &self.made(stage));
        let same = ran.code() == self.code && out == self.answer;
        let good = match act.repeat {
            Repeat::Same => same,
            Repeat::Late(why) => same || ran.code() == Some(1) && ran.err.contains(why),
            Repeat::Part => ran.code() == self.code && out.lines().all(|line| self.answer.contains(line)),
            Repeat::Rest => {
                // What was set aside the first time is spoken of the second time.
                let said = |line: &str| self.answer.contains(line) || line.starts_with("bad/");
                out.lines().all(said) && matches!(ran.code(), Some(0 | 1))
            }
        };
        (!good).then(|| format!("the answer is {ran:#?}\nand should be {:?} {:?}", self.code, self.answer))
    }

    /// Compares what a program had printed before it died or failed: an answer that was given is the undisturbed one.
    pub fn acknowledged(&self, stage: &Stage, ran: &Ran) -> Option<String> {
        let out = self.plain(&ran.out, &self.made(stage));
        let good = out.lines().all(|line| self.answer.contains(line));
        (!good).then(|| format!("it had answered {out:?}, not {:?}", self.answer))
    }

    /// Tells whether every ticket that was there is still there, once, and nothing is wrong after a repair.
    pub fn unsound(&self, stage: &Stage) -> Option<String> {
        let problems: BTreeSet<String> = stage.problems(true).into_iter().collect();
        if problems != self.after.problems {
            return Some(format!("after a repair the check says {problems:#?}"));
        }
        let rows: Vec<String> = stage.rows().into_iter().map(|row| row.id).collect();
        let lost: Vec<&String> = self.known.iter().filter(|id| !rows.contains(id)).collect();
        let expected = self.after.rows.iter().filter(|row| !row.starts_with("new ")).count();
        (lost.len() + expected > self.known.len()).then(|| format!("lost {lost:?}"))
    }
}

/// Every file below a directory of the farm; dot files are never read.
fn files(stage: &Stage, place: &str) -> Vec<String> {
    let walk = walkdir::WalkDir::new(stage.at(place)).into_iter().filter_map(Result::ok);
    let dotted = |entry: &walkdir::DirEntry| entry.file_name().to_string_lossy().starts_with('.');
    let found = walk.filter(|entry| entry.file_type().is_file() && !dotted(entry));
    found.map(|entry| entry.path().strip_prefix(stage.at("")).unwrap().display().to_string()).collect()
}

/// The same, without what is added to a name that is taken.
fn files_of_ids(stage: &Stage, place: &str) -> Vec<String> {
    let requests = place.ends_with("request");
    let stem = |name: String| if requests { name.split('.').next().unwrap().to_owned() } else { name };
    files(stage, place).into_iter().map(stem).collect()
}
