//! The acts of the farm that change something, each in a farm where a bit of everything stands.

use std::fs;

use syncpkg::base::Clock;
use syncpkg::farm::drop_box::{self, Request};
use syncpkg::spool::Spool;

use crate::stage::Stage;

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

/// Those whose answer rests on what they find: what they cannot see now is not gone.
pub const FINDING: [Act; 3] = [BATCH, BEAT, NOTIFY];

/// All of them.
pub const ALL: [Act; 24] = [
    INIT,
    ENQUEUE,
    BATCH,
    CLAIM,
    Act::new("claim of several", Repeat::Part, |stage| {
        busy(stage);
        "syncpkg-claim --builder b2 --arch x86_64 --instance abc --count 3".to_owned()
    }),
    BEAT,
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
    ROUND,
    Act::new("repair", Repeat::Rest, damaged),
    NOTIFY,
    Act::new("stats", Repeat::Same, |stage| {
        busy(stage);
        // The tree has been read: a site without what that says is no failure.
        stage.ok("syncpkg-stats");
        fs::remove_dir_all(stage.at("www")).unwrap();
        "syncpkg-stats".to_owned()
    }),
    Act::new("expire", Repeat::Same, |stage| {
        busy(stage);
        stage.ok("syncpkg-enqueue --force tool");
        stage.ok("syncpkg-abort tool");
        stage.later(100 * 24 * 3600);
        "syncpkg-expire".to_owned()
    }),
    Act::new("logs are packed", Repeat::Rest, |stage| {
        busy(stage);
        // What a round does besides has its own act. That none was for three days would be complained about.
        stage.ok("syncpkgd --once");
        fs::remove_file(stage.at("spool/cache/round")).unwrap();
        stage.later(3 * 24 * 3600);
        "syncpkgd --once".to_owned()
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

const BEAT: Act = Act::new("beat", Repeat::Same, |stage| {
    let held = busy(stage);
    format!("syncpkg-beat {} --log log", held.lib)
});

const NOTIFY: Act = Act::new("notify", Repeat::Same, |stage| {
    busy(stage);
    "syncpkg-notify".to_owned()
});

pub const ROUND: Act = Act::new("round", Repeat::Rest, eventful);

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

/// A busy farm whose next round has something to do in each of its parts: a lease is lost, a package that could not be
/// published before is, mails are owed, somebody has handed something in.
fn eventful(stage: &Stage) -> String {
    busy(stage);
    stage.ok("syncpkg-enqueue --priority urgent pub");
    let claim = stage.claim("b3");
    stage.ok("syncpkgd --once");
    let file = "--file pub-1-1-x86_64.pkg.tar.gz";
    stage.later(601).ok(&format!("syncpkg-report {claim} --outcome built --log log {file}"));
    let hold = fs::read_dir(stage.at("spool/hold")).unwrap().next().unwrap().unwrap().path();
    fs::write(format!("{}.why", hold.display()), "a disk was full\n").unwrap();
    stage.ok("syncpkg-enqueue --priority urgent --force tool");
    let tool = stage.claim("b3");
    stage.ok(&format!("syncpkg-report {tool} --outcome failed --stage build --log log"));
    let spool = Spool::open(&stage.at("spool")).unwrap();
    let request = Request::Abort { what: "make".to_owned(), reason: "not wanted".to_owned() };
    drop_box::hand_in(&spool.at("drop"), &request, &Clock::fixed(stage.now())).unwrap();
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
