//! The drop box: two real users, where the test may become them; and what lies in it is hostile.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

use crate::stage::{Farm, Ran, program};

const OWNER: u32 = 61_001;
const PUSHER: u32 = 61_002;
const PUSHERS: u32 = 61_003;

/// A program of the farm, run by one of two users.
struct Users {
    farm: Farm,
}

impl Users {
    /// None where this test may not become other users.
    fn new() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            let _ = writeln!(std::io::stderr(), "not tried: only root can become two users");
            return None;
        }
        let farm = Farm::without_spool();
        farm.commit("gcc", "");
        for name in ["synchook", "syncpkg-init", "syncpkg-enqueue", "syncpkg-abort", "syncpkgd", "syncpkg-ls"]
        {
            fs::copy(program(name), farm.at("bin").join(name)).unwrap();
        }
        chown(farm.at(""), Some(OWNER), Some(OWNER)).unwrap();
        let users = Self { farm };
        users.by(OWNER, "syncpkg-init");
        chown(users.farm.at("spool/drop"), None, Some(PUSHERS)).unwrap();
        Some(users)
    }

    fn by(&self, uid: u32, line: &str) -> Ran {
        let (id, groups) = (format!("--reuid={uid}"), format!("--groups={PUSHERS}"));
        let group = format!("--regid={uid}");
        let mut words = line.split(' ');
        let own = self.farm.at("bin").join(words.next().unwrap());
        let mut command = Command::new("setpriv");
        command.args([
            id.as_str(),
            group.as_str(),
            if uid == PUSHER { groups.as_str() } else { "--clear-groups" },
            "--",
        ]);
        command
            .arg(own)
            .args(words)
            .current_dir(self.farm.at("tree"))
            .env("SYNCPKG_CONFIG", self.farm.at("syncpkg.toml"));
        command.output().unwrap().into()
    }
}

#[test]
fn a_pusher_who_does_not_own_the_spool_hands_his_request_in() {
    let Some(users) = Users::new() else { return };
    let ran = users.by(PUSHER, "syncpkg-enqueue gcc/PKGBUILD");
    assert_eq!((ran.status, ran.err.as_str()), (0, "syncpkg-enqueue: handed in gcc/PKGBUILD\n"), "{ran:?}");
    let other = users.by(PUSHER, "syncpkg-enqueue --maintainer eve@example.org gcc");
    assert_eq!(other.status, 2, "only the owner says whom to tell: {other:?}");
    let ran = users.by(OWNER, "syncpkgd --once");
    assert_eq!((ran.status, ran.err.as_str()), (0, ""));
    let ticket = fs::read_to_string(users.farm.at("spool/new").join(&users.farm.files("new")[0])).unwrap();
    assert!(ticket.contains(&format!("by = \"uid {PUSHER}\"")), "the asker is the file's owner: {ticket}");
    assert_eq!(users.by(PUSHER, "syncpkg-abort gcc").err, "syncpkg-abort: handed in gcc\n");
    users.by(OWNER, "syncpkgd --once");
    assert!(
        users.by(PUSHER, "syncpkg-ls aborted").out.contains(&format!("by uid {PUSHER}")),
        "anybody may look"
    );
}

/// A darcs repository that everybody may push to, with `hook`; the pusher's clone with one recipe recorded.
fn shared_darcs(users: &Users, hook: &str) {
    let farm = &users.farm;
    farm.tool("darcs", &["init", "-q", "darcs"], &farm.at(""));
    farm.tool("darcs", &["clone", "-q", "darcs", "clone"], &farm.at(""));
    let defaults = format!("apply posthook {hook}\napply run-posthook\n");
    fs::write(farm.at("darcs/_darcs/prefs/defaults"), defaults).unwrap();
    fs::create_dir(farm.at("clone/make")).unwrap();
    fs::write(farm.at("clone/make/PKGBUILD"), "pkgname=make\npkgver=1\npkgrel=1\narch=(x86_64)\n").unwrap();
    farm.tool("darcs", &["record", "-q", "-a", "-l", "--ignore-times", "-m", "make"], &farm.at("clone"));
    farm.tool("chmod", &["-R", "a+rwX", "darcs"], &farm.at(""));
    farm.tool("chown", &["-R", &format!("{PUSHER}:{PUSHER}"), "clone"], &farm.at(""));
    let text = fs::read_to_string(farm.at("syncpkg.toml")).unwrap();
    let text = text.replace("scm = \"git\"", "scm = \"darcs\"").replace("/tree\"", "/darcs\"");
    fs::write(farm.at("syncpkg.toml"), text).unwrap();
}

#[test]
fn both_hooks_work_for_pushers_who_are_not_the_spools_owner() {
    for (program, arguments) in [("synchook", ""), ("syncpkg-enqueue", " --tree current - || :")] {
        let Some(users) = Users::new() else { return };
        let path = users.farm.at("bin").join(program).display().to_string();
        let pipe = if arguments.is_empty() { "" } else { "printf '%s\\n' \"$DARCS_FILES\" | " };
        shared_darcs(&users, &format!("{pipe}{path}{arguments}"));
        let mut command = Command::new("setpriv");
        let (user, group) = (format!("--reuid={PUSHER}"), format!("--regid={PUSHER}"));
        command.args([
            &user,
            &group,
            &format!("--groups={PUSHERS}"),
            "--",
            "darcs",
            "push",
            "-a",
            "../darcs",
        ]);
        command.current_dir(users.farm.at("clone")).env("HOME", users.farm.at("clone"));
        command.env("SYNCPKG_CONFIG", users.farm.at("syncpkg.toml"));
        let ran: Ran = crate::stage::in_test(&mut command).output().unwrap().into();
        assert_eq!(ran.status, 0, "{ran:?}");
        assert!(format!("{}{}", ran.out, ran.err).contains("handed in make/PKGBUILD"), "{ran:?}");
        users.by(OWNER, "syncpkgd --once");
        let listed = users.by(OWNER, "syncpkg-ls").out;
        assert!(listed.contains("make-1-1-x86_64"), "{program}: {listed}");
    }
}

#[test]
fn others_can_neither_list_the_box_nor_touch_what_is_not_theirs() {
    let Some(users) = Users::new() else { return };
    users.by(PUSHER, "syncpkg-enqueue gcc/PKGBUILD");
    let letter = users.farm.files("drop")[0].clone();
    let path = users.farm.at("spool/drop").join(letter);
    let other = |arguments: &[&str]| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=61004", "--regid=61004", &format!("--groups={PUSHERS}"), "--"]);
        command.args(arguments).output().unwrap().status.success()
    };
    let drop = users.farm.at("spool/drop");
    assert!(!other(&["ls", drop.to_str().unwrap()]));
    assert!(!other(&["rm", "-f", path.to_str().unwrap()]));
    assert!(!other(&["sh", "-c", &format!("echo >> {}", path.display())]));
    let stranger = users.by(61_005, "syncpkg-enqueue gcc/PKGBUILD");
    assert_eq!(stranger.status, 2, "who is not in the group may not ask: {stranger:?}");
    assert!(stranger.err.contains("Permission denied"), "{stranger:?}");
}

#[test]
fn what_root_does_belongs_to_the_spools_owner() {
    let Some(users) = Users::new() else { return };
    users.farm.ok("syncpkg-enqueue gcc/PKGBUILD");
    let path = users.farm.at("spool/new").join(&users.farm.files("new")[0]);
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&fs::metadata(path).unwrap()), OWNER);
}

#[test]
fn letters_that_are_none_end_in_quarantine_and_stop_nobody() {
    let farm = Farm::new();
    farm.commit("gcc", "");
    let drop = farm.at("spool/drop");
    fs::write(drop.join("garbage.toml"), "\u{1b}[31m = (").unwrap();
    fs::write(drop.join("large.toml"), vec![b'x'; 2 << 20]).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", drop.join("link.toml")).unwrap();
    let honest = "format = 1\n[request.abort]\nwhat = \"gcc\"\nreason = \"\"\n";
    fs::write(farm.at("elsewhere"), honest).unwrap();
    fs::hard_link(farm.at("elsewhere"), drop.join("twice.toml")).unwrap();
    let evil = "format = 1\n[request.enqueue]\nitems = [\"../../etc/x\", \"gcc/PKGBUILD\"]\n[request.enqueue.wish]\nforce = false\nreason = \"\"\npasses_over = false\n";
    fs::write(drop.join("z-request.toml"), evil).unwrap();
    fs::write(drop.join(".half"), "format = 1").unwrap();
    farm.ok("syncpkgd --once");
    assert_eq!(farm.states("all"), ["gcc waiting"]);
    let bad = farm.files("bad");
    for name in ["garbage.toml", "garbage.toml.why", "large.toml.why", "twice.toml.why", "link.toml.why"] {
        assert!(bad.iter().any(|file| file == name), "{name} in {bad:?}");
    }
    assert_eq!(farm.files("drop"), [".half"], "dot names are never read");
    assert_eq!(farm.files("request").len(), 1, "what was acted on is kept with its answers");
    let kept = fs::read_to_string(farm.at("spool/request").join(&farm.files("request")[0])).unwrap();
    assert!(kept.contains("it contains") && kept.contains("queued "), "{kept}");
}

#[test]
fn the_box_is_sticky_and_closed() {
    let farm = Farm::new();
    let mode = fs::metadata(farm.at("spool/drop")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o1730);
    assert!(Path::new(&farm.at("spool/drop")).is_dir());
}

const ABORT: &str = "format = 1\n[request.abort]\nwhat = \"gcc\"\nreason = \"\"\n";

#[test]
fn nothing_is_acted_on_unrecorded_or_twice_whatever_its_file_is_called() {
    let farm = Farm::new();
    let long = "\u{1f4a3}".repeat(60);
    for name in ["same.toml", "same.toml", &long] {
        fs::write(farm.at("spool/drop").join(name), ABORT).unwrap();
        farm.later(1).ok("syncpkgd --once");
        assert!(farm.files("drop").is_empty(), "{name}");
    }
    assert_eq!(farm.files("request").len(), 3);
}

#[test]
fn one_request_cannot_fill_the_disk_with_its_reason() {
    let farm = Farm::new();
    farm.commit("gcc", "");
    let reason = "x".repeat(100_000);
    let letter = ABORT.replace("reason = \"\"", &format!("reason = \"{reason}\""));
    fs::write(farm.at("spool/drop/long.toml"), letter).unwrap();
    farm.ok("syncpkgd --once");
    assert_eq!(farm.files("bad"), ["long.toml", "long.toml.why"]);
}

#[test]
fn names_as_long_as_names_can_be_end_in_quarantine_too() {
    let farm = Farm::new();
    for _ in 0..2 {
        fs::write(farm.at("spool/drop").join("n".repeat(255)), "garbage").unwrap();
        farm.ok("syncpkgd --once");
    }
    assert_eq!(farm.files("bad").len(), 4, "each with its reason");
}

#[test]
fn a_push_that_somebody_made_up_asks_for_no_more_than_the_tree_has() {
    let farm = Farm::new();
    farm.commit("gcc", "");
    let letter = |tree: &str, recipes: &str| {
        format!(
            "format = 1\n[request.push]\nrecipes = [{recipes}]\nmore = false\nnobuild = false\n\
             [request.push.wish]\ntree = \"{tree}\"\nrevision = \"--output=x\"\nmaintainer = \"eve@example.org\"\n\
             force = false\nreason = \"\"\npasses_over = false\n"
        )
    };
    let evil =
        "\"../../etc/PKGBUILD\", \"-rf/PKGBUILD\", \"nope/PKGBUILD\", \"gcc\\n/PKGBUILD\", \"gcc/PKGBUILD\"";
    fs::write(farm.at("spool/drop/1.toml"), letter("current", evil)).unwrap();
    fs::write(farm.at("spool/drop/2.toml"), letter("other", evil)).unwrap();
    farm.run("syncpkgd --once");
    assert_eq!((farm.files("drop"), farm.states("all")), (Vec::new(), vec!["gcc waiting".to_owned()]));
    let ticket = fs::read_to_string(farm.at("spool/new").join(&farm.files("new")[0])).unwrap();
    assert!(
        ticket.contains("maintainer = \"Ann <ann@example.org>\"") && !ticket.contains("--output"),
        "{ticket}"
    );
    farm.is_sound();
}
