//! The master's round: what it would do, what it does, once, and by one at a time.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use crate::stage::{Farm, until};

/// Every file of the farm, with what it says and when it was written.
fn everything(farm: &Farm) -> BTreeMap<PathBuf, (Vec<u8>, SystemTime)> {
    let walk = walkdir::WalkDir::new(farm.at("")).into_iter().map(Result::unwrap);
    let file = |entry: walkdir::DirEntry| {
        let path = entry.path().to_owned();
        let bytes = if path.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
        let time = if path.is_file() {
            entry.metadata().unwrap().modified().unwrap()
        } else {
            SystemTime::UNIX_EPOCH
        };
        (path, (bytes, time))
    };
    // How much room there is on the disk is not the farm's to say.
    walk.map(file).filter(|(path, _)| !path.ends_with("www/status.json")).collect()
}

/// The paths that are not the same in both.
fn changed(before: &BTreeMap<PathBuf, (Vec<u8>, SystemTime)>, farm: &Farm) -> Vec<PathBuf> {
    let after = everything(farm);
    let differs = |path: &&PathBuf| before.get(*path) != after.get(*path);
    before.keys().chain(after.keys()).filter(differs).cloned().collect()
}

/// A farm with something to do in every part of a round.
fn busy() -> Farm {
    let farm = Farm::new();
    let names = ["gcc", "lib", "lost", "tool"];
    names.iter().for_each(|name| drop(farm.later(1).push(name, "")));
    farm.push("app", "depends=(lib)");
    let [gcc, lib, _lost, tool] = ["b1", "b2", "b3", "b4"].map(|builder| farm.claim(builder));
    farm.built(&gcc, "gcc");
    farm.ok(&format!("syncpkg-report {} --outcome failed", tool.claim));
    farm.ok("syncpkgd --once");
    farm.later(601);
    farm.built(&lib, "lib");
    fs::write(farm.at("spool/drop/20261122-130000-000-aaaaaa.toml"), "nonsense").unwrap();
    farm
}

#[test]
fn a_dry_run_says_what_a_round_would_do_and_changes_nothing() {
    let farm = busy();
    let before = everything(&farm);
    let said = farm.ok("syncpkgd --dry-run");
    assert_eq!(changed(&before, &farm), [""; 0].map(PathBuf::from));
    let wanted = [
        "act on drop/20261122-130000-000-aaaaaa.toml",
        "take back lost-1-1-x86_64: its builder was not heard of",
        "publish lib-1-1-x86_64",
        "look at 1 note of a mail",
        "write the site",
    ];
    assert_eq!(said.lines().collect::<Vec<_>>(), wanted);
    farm.run("syncpkgd --once");
    assert_eq!(farm.states("waiting"), ["lost waiting", "app waiting"]);
    assert_eq!(farm.ok("syncpkgd --dry-run"), "write the site\n");
}

#[test]
fn a_second_round_changes_nothing() {
    let farm = busy();
    farm.run("syncpkgd --once");
    // What the first did to the queue, the second looks at once.
    farm.run("syncpkgd --once");
    let before = everything(&farm);
    farm.run("syncpkgd --once");
    // But for what says how full the disk is, and the notes by which the pages are made.
    let tells =
        |path: &PathBuf| ["site/index", "status.json", "metrics.prom"].iter().any(|end| path.ends_with(end));
    let mut changed = changed(&before, &farm);
    changed.retain(|path| !tells(path));
    assert_eq!(changed, [""; 0].map(PathBuf::from));
}

#[test]
fn a_round_that_is_being_gone_is_not_gone_twice() {
    let farm = busy();
    let lock = farm.at("spool/lock/round");
    let held = Command::new("flock").arg(&lock).args(["cat"]).stdin(Stdio::piped()).spawn();
    let Ok(mut held) = held else { return drop(writeln!(std::io::stderr(), "not tried: there is no flock")) };
    until("the lock is held", 10, || {
        !Command::new("flock").arg("-n").arg(&lock).arg("true").status().unwrap().success()
    });
    farm.ok("syncpkgd --once");
    assert!(!farm.at("packages/lib-1-1-x86_64.pkg.tar.gz").exists(), "somebody else is just doing so");
    drop(held.stdin.take());
    held.wait().unwrap();
    farm.run("syncpkgd --once");
    assert!(farm.at("packages/lib-1-1-x86_64.pkg.tar.gz").exists());
}

#[test]
fn a_service_manager_hears_that_the_master_lives_and_at_what() {
    let farm = Farm::new();
    let socket = UnixDatagram::bind(farm.at("notify")).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut daemon = farm.command("syncpkgd").env("NOTIFY_SOCKET", farm.at("notify")).spawn().unwrap();
    let mut heard = String::new();
    until("it rests", 20, || {
        let mut bytes = [0; 512];
        let count = socket.recv(&mut bytes).unwrap();
        heard.push_str(&String::from_utf8_lossy(&bytes[..count]));
        heard.contains("STATUS=rests")
    });
    assert!(
        heard.contains("READY=1") && heard.contains("WATCHDOG=1") && heard.contains("STATUS=publishes"),
        "{heard}"
    );
    Farm::end(&mut daemon);
    let mut bytes = [0; 512];
    until("it says that it ends", 20, || {
        let count = socket.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..count]).contains("STOPPING=1")
    });
}

#[test]
fn the_daemon_acts_at_once_and_then_rests() {
    let farm = Farm::new();
    farm.push("gcc", "");
    let claim = farm.claim("b1");
    let mut daemon = farm.start("syncpkgd");
    until("the first round", 20, || farm.at("spool/cache/round").exists());
    farm.built(&claim, "gcc");
    until("it is published", 20, || farm.at("packages/gcc-1-1-x86_64.pkg.tar.gz").exists());
    // Whoever waits uses no processor: no round goes on for want of something to do.
    let ticks = |id: u32| -> u64 {
        let text = fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
        let fields: Vec<&str> = text.rsplit(") ").next().unwrap().split(' ').collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    };
    let mut last = ticks(daemon.id());
    until("it rests", 30, || {
        std::thread::sleep(Duration::from_secs(2));
        let now = ticks(daemon.id());
        now == std::mem::replace(&mut last, now)
    });
    Farm::end(&mut daemon);
}

#[test]
fn what_the_round_met_before_its_ticket_had_ended_is_published_as_soon_as_it_has() {
    let farm = Farm::new();
    farm.push("gcc", "");
    let claim = farm.claim("b1");
    // As a report leaves it just before the ticket ends.
    let attempt = format!("{}.1", claim.id);
    fs::create_dir(farm.at(&format!("spool/hold/{attempt}"))).unwrap();
    fs::write(farm.at(&format!("spool/hold/{attempt}/gcc-1-1-x86_64.pkg.tar.gz")), "gcc").unwrap();
    fs::write(farm.at(&format!("spool/owed/{attempt}.built")), "").unwrap();
    let mut daemon = farm.start("syncpkgd");
    until("the first round", 20, || farm.at("spool/cache/round").exists());
    farm.built(&claim, "gcc");
    until("it is published", 20, || farm.at("packages/gcc-1-1-x86_64.pkg.tar.gz").exists());
    Farm::end(&mut daemon);
}

/// A farm that keeps `keep` earlier versions, with a database that names the newest of each package.
fn keeping(keep: usize) -> Farm {
    let farm = Farm::new();
    let add = farm.script(
        "add",
        "#!/bin/sh\nname=${1##*/}\nname=${name%-x86_64.pkg.tar.gz}\ntest ! -e ../stuck || exit 0\n\
         printf '%s/desc\\n' \"$name\" | gzip -n >.db && mv .db current.db.tar.gz\n",
    );
    let text = fs::read_to_string(farm.at("syncpkg.toml")).unwrap();
    let keys =
        format!("[tree.current]\nkeep_versions = {keep}\nrepo = [\"{}\", \"{{file}}\"]\n", add.display());
    fs::write(farm.at("syncpkg.toml"), text.replace("[tree.current]\n", &keys)).unwrap();
    farm
}

/// Builds release `n` of gcc; it is held.
fn build(farm: &Farm, n: i64) {
    farm.commit("gcc", &format!("pkgrel={n}"));
    farm.later(60).ok("syncpkg-enqueue gcc/PKGBUILD");
    let claimed = farm.claim("b1");
    let file = farm.at(&format!("gcc-1-{n}-x86_64.pkg.tar.gz"));
    fs::write(&file, format!("release {n}")).unwrap();
    farm.ok(&format!("syncpkg-report {} --outcome built --file {}", claimed.claim, file.display()));
}

/// Publishes release `n` of gcc, `n` days after 1970.
fn publish(farm: &Farm, n: i64) {
    build(farm, n);
    farm.ok("syncpkgd --once");
    let file = fs::File::open(farm.at(&format!("packages/gcc-1-{n}-x86_64.pkg.tar.gz"))).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(86_400 * n as u64)).unwrap();
}

fn packages(farm: &Farm) -> Vec<String> {
    let names = fs::read_dir(farm.at("packages")).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
    names.retain(|name| !name.contains(".db"));
    names.sort();
    names.iter().map(|name| name.replace("-x86_64.pkg.tar.gz", "")).collect()
}

#[test]
fn earlier_versions_go_when_a_newer_one_is_published_but_for_those_that_are_kept() {
    let farm = keeping(1);
    (1..=3).for_each(|n| publish(&farm, n));
    assert_eq!(packages(&farm), ["gcc-1-2", "gcc-1-3"]);
    fs::write(farm.at("packages/gcc-doc-1-1-x86_64.pkg.tar.gz"), "another package").unwrap();
    fs::write(farm.at("packages/gcc-1-2-x86_64.pkg.tar.gz.sig"), "signature").unwrap();
    publish(&farm, 4);
    assert_eq!(packages(&farm), ["gcc-1-3", "gcc-1-4", "gcc-doc-1-1"]);
    farm.configure("");
    publish(&farm, 5);
    assert_eq!(
        packages(&farm),
        ["gcc-1-3", "gcc-1-4", "gcc-1-5", "gcc-doc-1-1"],
        "all stay unless configured"
    );
}

#[test]
fn what_a_database_still_names_is_never_removed() {
    let farm = keeping(0);
    publish(&farm, 1);
    fs::write(farm.at("stuck"), "the command does not do what it should").unwrap();
    publish(&farm, 2);
    assert_eq!(packages(&farm), ["gcc-1-1", "gcc-1-2"]);
    fs::remove_file(farm.at("stuck")).unwrap();
    fs::write(farm.at("packages/other.db.tar.zst"), "\x28\u{b5}packed otherwise").unwrap();
    publish(&farm, 3);
    assert_eq!(packages(&farm), ["gcc-1-1", "gcc-1-2", "gcc-1-3"], "nobody knows what that names");
    fs::remove_file(farm.at("packages/other.db.tar.zst")).unwrap();
    publish(&farm, 4);
    assert_eq!(packages(&farm), ["gcc-1-4"]);
}

#[test]
fn killed_anywhere_while_it_publishes_what_the_database_names_is_there() {
    let farm = keeping(0);
    publish(&farm, 1);
    build(&farm, 2);
    let calls = "rename,renameat,renameat2,unlink,unlinkat,fsync";
    let mut finished = false;
    for nth in 1..60 {
        let line = format!("-qq -o /dev/null -e trace={calls} -e inject={calls}:signal=KILL:when={nth}");
        let mut killed = farm.command("syncpkgd --once");
        let own = killed.get_program().to_owned();
        let mut traced = Command::new("strace");
        traced.args(line.split(' ')).arg(own).arg("--once").stdin(Stdio::null());
        traced.env("SYNCPKG_CONFIG", farm.at("syncpkg.toml"));
        traced.envs(killed.env("LC_ALL", "C").get_envs().filter_map(|(key, value)| Some((key, value?))));
        let Ok(ran) = traced.output() else {
            return drop(writeln!(std::io::stderr(), "not tried: there is no strace"));
        };
        let named =
            Command::new("gzip").args(["-dc"]).arg(farm.at("packages/current.db.tar.gz")).output().unwrap();
        let named = String::from_utf8(named.stdout).unwrap().replace("/desc\n", "");
        assert!(packages(&farm).contains(&named), "{named} of {:?} at {nth}", packages(&farm));
        finished |= ran.status.success();
        if finished {
            break;
        }
    }
    assert!(finished, "it was never let through");
    assert_eq!(packages(&farm), ["gcc-1-2"]);
    assert!(farm.files("hold").is_empty());
    farm.is_sound();
}

#[test]
fn the_mail_of_a_failure_names_what_was_committed_since_the_last_good_build() {
    let farm = Farm::new();
    farm.push("gcc", "");
    farm.built(&farm.claim("b1"), "gcc");
    farm.ok("syncpkgd --once");
    let (other, between) = (farm.commit("app", ""), farm.commit("gcc", "pkgver=2"));
    farm.later(60).push("gcc", "pkgver=3");
    farm.ok(&format!("syncpkg-report {} --outcome failed --stage build", farm.claim("b1").claim));
    farm.ok("syncpkg-notify");
    let sent = farm.files("sent");
    assert_eq!(sent.len(), 1, "{sent:?}");
    let mail = fs::read_to_string(farm.at("spool/sent").join(&sent[0])).unwrap();
    let told = |hash: &str| mail.contains(&format!(" {} ", &hash[..12]));
    assert!(told(&between) && !told(&other), "{mail}");
}

#[test]
fn the_admin_hears_once_that_what_is_unbuilt_cannot_be_told() {
    let farm = Farm::new();
    fs::rename(farm.at("tree"), farm.at("away")).unwrap();
    for _ in 0..2 {
        farm.later(24 * 3600).ok("syncpkg-notify");
    }
    let sent = farm.files("sent");
    assert_eq!(sent.len(), 1, "{sent:?}");
    let mail = fs::read_to_string(farm.at("spool/sent").join(&sent[0])).unwrap();
    assert!(mail.contains("Subject: [syncpkg] the list of unbuilt packages cannot be made"), "{mail}");
    assert!(mail.contains("tree current"), "{mail}");
}
