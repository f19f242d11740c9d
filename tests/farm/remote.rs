//! Builders, and people, on other hosts: real ssh, real rsync.

use std::fs;

use crate::sshd::Sshd;
use crate::stage::{Farm, Ran, until};

#[test]
fn every_program_runs_where_the_spool_is() {
    let farm = Farm::new();
    let sshd = Sshd::new(&farm);
    farm.commit("gcc", "");
    let asked = sshd.run("admin", "syncpkg-enqueue gcc --reason it's;$HOME");
    assert!(
        asked.status == 0 && asked.err.is_empty() && asked.out.ends_with(" gcc-1-1-x86_64\n"),
        "{asked:?}"
    );
    assert_eq!(sshd.run("admin", "syncpkg-ls --json").out, farm.ok("syncpkg-ls --json"));
    assert!(farm.ok("syncpkg-ls --json").contains("it's;$HOME"));
    let nothing = sshd.run("admin", "syncpkg-why nothing");
    assert_eq!(
        (nothing.status, nothing.err.as_str()),
        (1, "syncpkg-why: nothing was never enqueued\nhint: ask for it: syncpkg-enqueue nothing\n")
    );
    let claimed = sshd.run("admin", "syncpkg-claim --builder b2 --arch x86_64");
    let claim =
        claimed.out.lines().next().unwrap().strip_prefix("claim = ").unwrap().trim_matches('"').to_owned();
    fs::write(farm.at("log"), "one\n").unwrap();
    fs::write(farm.at("gcc-1-1-x86_64.pkg.tar.gz"), "package").unwrap();
    for (line, status) in [
        (format!("syncpkg-beat {claim} --log {}", farm.at("log").display()), 0),
        (
            format!(
                "syncpkg-report {claim} --outcome built --log {} --file gcc-1-1-x86_64.pkg.tar.gz",
                farm.at("log").display()
            ),
            0,
        ),
        (format!("syncpkg-beat {claim}"), 1),
    ] {
        let ran = sshd.run("admin", &line);
        assert!(ran.status == status && ran.err.is_empty(), "$ {line}\n{ran:?}");
    }
    assert_eq!(
        (farm.states("all"), farm.ok("syncpkg-log gcc")),
        (vec!["gcc built".to_owned()], "one\n".to_owned())
    );
    farm.is_sound();
}

#[test]
fn a_host_that_cannot_be_reached_is_tried_again_later_and_the_reason_is_sshs_own() {
    let farm = Farm::new();
    let mut sshd = Sshd::new(&farm);
    sshd.stop();
    let ran = sshd.run("admin", "syncpkg-ls");
    assert!(ran.status == 75 && ran.err.starts_with("ssh: connect to host 127.0.0.1 port "), "{ran:?}");
    let ran = sshd.run("b1", "syncpkgcd --once");
    assert!(
        ran.status == 75 && ran.err.contains("Connection refused") && ran.err.lines().count() == 1,
        "{ran:?}"
    );
}

#[test]
fn a_master_with_another_host_key_is_not_taken_for_ours() {
    let farm = Farm::new();
    let sshd = Sshd::new(&farm);
    let known = fs::read_to_string(farm.at("known_hosts")).unwrap();
    let (host, _) = known.split_once(' ').unwrap();
    fs::write(farm.at("known_hosts"), format!("{host} {}", fs::read_to_string(farm.at("b1.pub")).unwrap()))
        .unwrap();
    let ran = sshd.run("b1", "syncpkg-ls");
    assert!(ran.status == 75 && ran.err.contains("Host key verification failed"), "{ran:?}");
}

#[test]
fn a_builder_on_another_host_builds_and_delivers_log_and_packages() {
    let farm = Farm::new();
    let sshd = Sshd::new(&farm);
    farm.push("gcc", "build() { echo compiling; }");
    farm.push("make", "build() { echo 'make.c:1: error: no'; return 1; }");
    let ran = sshd.run("b1", "syncpkgcd --once");
    assert!(ran.status == 0 && ran.err.is_empty(), "{ran:?}");
    assert_eq!(
        (farm.states("built"), farm.states("failed")),
        (vec!["gcc built".to_owned()], vec!["make failed".to_owned()])
    );
    assert!(farm.ok("syncpkg-log gcc").contains("\ncompiling\n"));
    assert!(farm.ok("syncpkg-why make").contains("in compile: make.c:1: error: no"));
    farm.ok("syncpkgd --once");
    assert!(farm.at("packages/gcc-1-1-x86_64.pkg.tar.gz").exists(), "published");
    assert_eq!(farm.files("upload"), Vec::<String>::new(), "nothing is left of what was brought");
    assert!(fs::read_dir(farm.at("work/b1/outbox")).unwrap().next().is_none());
    assert!(!farm.at("work/b1/asking").exists());
    assert!(!farm.at("spool/builder/b1.refused").exists(), "it asked for nothing it may not");
    farm.is_sound();
}

#[test]
fn a_report_waits_on_the_builders_disk_until_the_master_is_back() {
    let farm = Farm::new();
    let mut sshd = Sshd::new(&farm);
    let id = farm.push(
        "gcc",
        &format!(
            "build() {{ touch {0}/begun; until [ -e {0}/go ]; do sleep 0.05; done; }}",
            farm.at("").display()
        ),
    );
    let config = sshd.elsewhere("b1");
    let mut builder =
        farm.command("syncpkgcd").env("SYNCPKG_CONFIG", config).env_remove("SYNCPKG_NOW").spawn().unwrap();
    until("the build begins", 20, || farm.at("begun").exists());
    sshd.stop();
    fs::write(farm.at("go"), "").unwrap();
    let report = || {
        fs::read_dir(farm.at("work/b1/outbox"))
            .unwrap()
            .flatten()
            .any(|claim| claim.path().join("report.toml").exists())
    };
    until("the build ends", 20, report);
    assert_eq!(farm.state(&id), "building");
    sshd.start();
    until("the report arrives", 30, || farm.state(&id) == "built");
    until("it is forgotten", 10, || !report());
    Farm::end(&mut builder);
    farm.is_sound();
}

#[test]
fn what_a_builder_left_behind_is_delivered_from_cron() {
    let farm = Farm::new();
    let mut sshd = Sshd::new(&farm);
    let id = farm.push("gcc", "");
    let claimed = farm.claim("b1");
    let place = farm.at("work/b1/outbox").join(&claimed.claim);
    fs::create_dir_all(place.join("files")).unwrap();
    fs::write(place.join("log"), "one\n").unwrap();
    fs::write(place.join("files/gcc-1-1-x86_64.pkg.tar.gz"), "package").unwrap();
    fs::write(place.join("report.toml"), "outcome = \"built\"\nreason = \"\"\nexit = 0\n").unwrap();
    sshd.stop();
    let ran = sshd.run("b1", "syncpkg-deliver");
    assert!(ran.status == 75 && ran.err.contains("Connection refused"), "{ran:?}");
    assert!(place.exists());
    sshd.start();
    let ran = sshd.run("b1", "syncpkg-deliver");
    assert!(ran.status == 0 && ran.err.is_empty() && !place.exists(), "{ran:?}");
    assert_eq!((farm.state(&id), farm.ok("syncpkg-log gcc")), ("built".to_owned(), "one\n".to_owned()));
    farm.later(1).push("make", "");
    let interrupted = farm.claim("b1");
    fs::create_dir_all(farm.at("work/b1/outbox").join(&interrupted.claim)).unwrap();
    assert_eq!(sshd.run("b1", "syncpkg-deliver").status, 0);
    assert_eq!(farm.states(""), ["make waiting"]);
    farm.is_sound();
}

#[test]
fn an_abort_reaches_a_build_on_another_host_at_once_and_its_log_is_seen_meanwhile() {
    let farm = Farm::new();
    let sshd = Sshd::new(&farm);
    let id = farm.push("gcc", "build() { echo begun; sleep 600; }");
    let config = sshd.elsewhere("b1");
    let mut builder =
        farm.command("syncpkgcd").env("SYNCPKG_CONFIG", config).env_remove("SYNCPKG_NOW").spawn().unwrap();
    until("the log is seen", 20, || farm.run("syncpkg-log gcc").out.contains("\nbegun\n"));
    farm.ok("syncpkg-abort gcc");
    let start = std::time::Instant::now();
    let idle = || fs::read_dir(farm.at("work/b1/outbox")).unwrap().next().is_none();
    until("the build stops", 20, idle);
    assert!(start.elapsed().as_secs() < 10, "it does not wait for a beat");
    assert_eq!(farm.state(&id), "aborted");
    Farm::end(&mut builder);
}

#[test]
fn a_builders_key_opens_nothing_else() {
    let farm = Farm::new();
    let sshd = Sshd::new(&farm);
    fs::write(farm.at("secret"), "secret").unwrap();
    let (root, spool) = (farm.at("").display().to_string(), farm.at("spool").display().to_string());
    let sender = format!("rsync --server --sender -logDtpre.iLsfxC . {root}secret");
    let receiver = format!("rsync --server -tre.iLsfxC . {spool}/new/x86_64/");
    let long = "a".repeat(100_000);
    let hostile: [&[&str]; 12] = [
        &["127.0.0.1"],
        &["127.0.0.1", "id"],
        &["127.0.0.1", "syncpkg-ls; id"],
        &["127.0.0.1", "syncpkg-ls\nid"],
        &["127.0.0.1", "syncpkg-ls $(id)"],
        &["127.0.0.1", "syncpkg-abort gcc"],
        &["127.0.0.1", "syncpkg-claim --builder b2 --arch x86_64"],
        &["127.0.0.1", &sender],
        &["127.0.0.1", &receiver],
        &["127.0.0.1", "scp -f /etc/passwd"],
        &["-s", "127.0.0.1", "sftp"],
        &["127.0.0.1", &long],
    ];
    for arguments in hostile {
        let ran = sshd.raw("b1", arguments);
        assert!(ran.status == 2 && ran.out.is_empty(), "{arguments:?}: {ran:?}");
        // sshd throws away what a subsystem says on standard error.
        let said = arguments[0] == "-s"
            || ran.err.starts_with("syncpkg-shell: refused: b1 ") && ran.err.lines().count() == 1;
        assert!(said, "{arguments:?}: {ran:?}");
    }
    let refused = fs::read_to_string(farm.at("spool/builder/b1.refused")).unwrap();
    assert_eq!(refused.lines().count(), hostile.len());
    assert!(refused.lines().nth(1).unwrap().ends_with(" from 127.0.0.1: id"), "{refused}");
    let tunnel =
        sshd.raw("b1", &["-o", "ExitOnForwardFailure=yes", "-R", "0:127.0.0.1:1", "127.0.0.1", "syncpkg-ls"]);
    assert_eq!(tunnel.status, 255, "no forwarding: {tunnel:?}");
    assert!(
        sshd.raw("b1", &["-tt", "127.0.0.1", "syncpkg-ls"]).err.contains("PTY allocation request failed")
    );
    assert_eq!(farm.states("all"), Vec::<String>::new());
    farm.is_sound();
}

/// Asks at the gate as `builder` does with the key of `b1`, and brings what lies in `from`.
fn bring(farm: &Farm, sshd: &Sshd, from: &str, claim: &str) -> Ran {
    let shell = sshd.command("b1");
    let target = format!("127.0.0.1:{}/upload/b1/{claim}/", farm.at("spool").display());
    let mut rsync = std::process::Command::new("rsync");
    rsync.args(["-rt", "--partial", "-e", &shell]).arg(farm.at(from)).arg(target);
    rsync.output().unwrap().into()
}

#[test]
fn a_builder_holds_no_more_claims_than_its_quota_and_hinders_nobody() {
    let farm = Farm::new();
    farm.configure("[quota]\nclaims = 2\n");
    let sshd = Sshd::new(&farm);
    ["gcc", "make", "sed", "tar"].iter().for_each(|name| drop(farm.later(1).push(name, "")));
    let claim = |more: &str| {
        sshd.raw("b1", &["127.0.0.1", &format!("syncpkg-claim --builder b1 --arch x86_64 {more}")])
    };
    let all = claim("--count 1000");
    let quota = "nothing to claim: b1 holds 0 and asks for 1000: its quota is 2";
    assert!(all.status == 1 && all.err.contains(quota), "{all:?}");
    assert_eq!(claim("--instance aaa").status, 0);
    assert_eq!(claim("--instance bbb").status, 0);
    assert_eq!(claim("--instance aaa").status, 0, "whoever lost the answer asks again");
    assert_eq!(claim("--instance ccc").status, 1);
    assert_eq!(farm.claim("b2").name, "sed");
    farm.is_sound();
}

#[test]
fn a_builder_brings_no_more_than_its_quota_and_hinders_nobody() {
    let farm = Farm::new();
    farm.configure("[quota]\nbytes = \"100KiB\"\nfiles = 10\n");
    let sshd = Sshd::new(&farm);
    farm.push("gcc", "");
    farm.push("make", "");
    let claim = farm.claim("b1").claim;
    fs::write(farm.at("large"), vec![b'x'; 1 << 20]).unwrap();
    fs::create_dir(farm.at("many")).unwrap();
    (0..100).for_each(|n| fs::write(farm.at(&format!("many/{n}")), "x").unwrap());
    let large = bring(&farm, &sshd, "large", &claim);
    let size = fs::metadata(farm.at("spool/upload/b1").join(&claim).join("large")).unwrap().len();
    assert!(large.status != 0 && size <= 100 << 10, "{size}: {large:?}");
    let many = bring(&farm, &sshd, "many", &claim);
    let again = bring(&farm, &sshd, "syncpkg.toml", &claim);
    assert!(
        again.status != 0 && again.err.contains("not acted on yet: that is its quota"),
        "{many:?} {again:?}"
    );
    farm.built(&farm.claim("b2"), "x");
    fs::remove_dir_all(farm.at("spool/upload/b1").join(&claim)).unwrap();
    assert_eq!(bring(&farm, &sshd, "syncpkg.toml", &claim).status, 0);
}

#[test]
fn a_master_whose_disk_is_full_takes_nothing_until_there_is_something_to_spare() {
    let farm = Farm::new();
    let sshd = Sshd::new(&farm);
    farm.push("gcc", "");
    let claim = farm.claim("b1").claim;
    let free = fs2::available_space(farm.at("spool")).unwrap() / 1024;
    let with = |least: u64| {
        farm.configure(&format!("[quota]\nfree = \"{least}KiB\"\n"));
        bring(&farm, &sshd, "syncpkg.toml", &claim)
    };
    let full = with(2 * free);
    assert!(full.status != 0 && full.err.contains("is full"), "{full:?}");
    assert!(with(free * 3 / 4).err.contains("is full"), "there must be twice as much before it goes on");
    assert_eq!(with(free / 4).status, 0);
    assert_eq!(with(free * 3 / 4).status, 0, "it has not been full since");
}

#[test]
fn what_a_client_sets_in_its_environment_is_not_seen() {
    let farm = Farm::new();
    let sshd = Sshd::new(&farm);
    let set = [
        "-o",
        "SetEnv=LC_EVIL=evil SYNCPKG_SPOOL=/nowhere SYNCPKG_CONFIG=/nowhere SYNCPKG_NOW=never",
        "127.0.0.1",
        "syncpkg-ls",
    ];
    let ran = sshd.raw("b1", &set);
    assert!(ran.status == 0 && ran.err.is_empty(), "{ran:?}");
}

/// The configuration of a host that has the tree, but not the spool; the master's has no such tree at hand.
fn with_its_own_tree(farm: &Farm, sshd: &Sshd) -> std::path::PathBuf {
    let own = farm.at("own.toml");
    let text = fs::read_to_string(sshd.elsewhere("admin")).unwrap();
    fs::write(&own, format!("outbox = \"{}\"\n{text}", farm.at("outbox").display())).unwrap();
    let config = fs::read_to_string(farm.at("syncpkg.toml")).unwrap();
    let tree = format!("path = \"{}\"", farm.at("tree").display());
    fs::write(farm.at("syncpkg.toml"), config.replace(&tree, "path = \"/not/here\"")).unwrap();
    own
}

#[test]
fn a_recipe_is_read_where_it_lies_and_its_ticket_made_where_the_spool_is() {
    let farm = Farm::new();
    let sshd = Sshd::new(&farm);
    farm.commit("gcc", "depends=(glibc)");
    farm.commit("glibc", "");
    let own = with_its_own_tree(&farm, &sshd);
    let run = |line: &str| -> Ran {
        farm.command(line).env("SYNCPKG_CONFIG", &own).current_dir(farm.at("tree")).output().unwrap().into()
    };
    let wrong = run("syncpkg-enqueue ./no-such/PKGBUILD");
    assert!(wrong.status == 2 && wrong.err.contains("has no recipe there"), "{wrong:?}");
    let asked = run("syncpkg-enqueue gcc/PKGBUILD glibc/ --reason it's");
    assert!(asked.status == 0 && asked.err.is_empty() && asked.out.lines().count() == 2, "{asked:?}");
    assert_eq!(farm.states(""), ["gcc waiting", "glibc waiting"]);
    let json = farm.ok("syncpkg-ls --json");
    assert!(json.contains("it's") && farm.ok("syncpkg-why gcc").contains("waits for glibc"), "{json}");
    let ticket = farm.ok("syncpkg-claim --builder b1 --arch x86_64");
    let tip = farm.tool("git", &["rev-parse", "HEAD"], &farm.at("tree"));
    assert!(ticket.contains(&format!("revision = \"{}\"", tip.trim())), "{ticket}");
}

#[test]
fn what_is_asked_for_while_the_master_is_away_is_asked_for_later_in_order() {
    let farm = Farm::new();
    let mut sshd = Sshd::new(&farm);
    farm.commit("gcc", "");
    let own = with_its_own_tree(&farm, &sshd);
    let run = |line: &str| -> Ran {
        farm.command(line).env("SYNCPKG_CONFIG", &own).current_dir(farm.at("tree")).output().unwrap().into()
    };
    sshd.stop();
    let asked = run("syncpkg-enqueue gcc/PKGBUILD");
    assert!(asked.status == 0 && asked.err.ends_with("handed in gcc/PKGBUILD\n"), "{asked:?}");
    farm.later(1).commit("make", "");
    let files = |name: &str| run_hook(&farm, &own, name);
    assert_eq!(files("make/PKGBUILD"), "syncpkg: handed in make/PKGBUILD\n");
    until("nobody else delivers", 20, || run("syncpkg-deliver").status == 75);
    assert_eq!(waits_in(&farm), 2);
    sshd.start();
    until("nobody else delivers", 20, || run("syncpkg-deliver").status == 0 && waits_in(&farm) == 0);
    assert_eq!(farm.states(""), ["gcc waiting", "make waiting"]);
    farm.is_sound();
}

#[test]
fn a_push_to_a_host_that_is_not_the_master_becomes_tickets_there() {
    let farm = Farm::new();
    let sshd = Sshd::new(&farm);
    farm.commit("gcc", "");
    let own = with_its_own_tree(&farm, &sshd);
    assert_eq!(run_hook(&farm, &own, "gcc/PKGBUILD"), "syncpkg: handed in gcc/PKGBUILD\n");
    until("the ticket", 20, || farm.states("") == ["gcc waiting"]);
    until("the end", 20, || waits_in(&farm) == 0);
    farm.later(1).commit("make", "");
    farm.later(1).commit("tar", "");
    run_hook(&farm, &own, "tar/PKGBUILD");
    until("what was missed, too", 20, || farm.states("").len() == 3);
    until("the end", 20, || waits_in(&farm) == 0);
}

/// What a darcs push says that changed one file.
fn run_hook(farm: &Farm, own: &std::path::Path, file: &str) -> String {
    let mut hook = farm.command("synchook");
    hook.env("SYNCPKG_CONFIG", own).env("DARCS_FILES", format!("./{file}")).current_dir(farm.at("tree"));
    String::from_utf8(hook.output().unwrap().stdout).unwrap()
}

fn waits_in(farm: &Farm) -> usize {
    let names = fs::read_dir(farm.at("outbox")).unwrap().flatten().map(|entry| entry.file_name());
    names.filter(|name| !name.to_string_lossy().starts_with('.')).count()
}
