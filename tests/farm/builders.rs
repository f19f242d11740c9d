//! Builders at work: real processes, stand-in packages.

use std::fs;

use crate::stage::{Farm, until};

#[test]
fn a_builder_builds_what_waits_and_reports_it() {
    let farm = Farm::new();
    let id = farm.push("gcc", "build() { echo compiling; }");
    farm.ok("syncpkgcd --once --name b1");
    assert_eq!(farm.states("all"), ["gcc built"]);
    let report = fs::read_to_string(farm.at(&format!("spool/report/20261122/{id}.1.built.toml"))).unwrap();
    for wanted in
        ["builder = \"b1\"", "exit = 0", "started = ", "revision = ", "host = ", "[[files]]", "sha256 = "]
    {
        assert!(report.contains(wanted), "{wanted} in {report}");
    }
    let log = farm.ok("syncpkg-log gcc");
    assert!(
        log.starts_with("[syncpkg] gcc-1-1-x86_64 of current at ") && log.contains("\ncompiling\n"),
        "{log}"
    );
    assert!(fs::read_dir(farm.at("work/b1/outbox")).unwrap().next().is_none(), "nothing is left to deliver");
    farm.is_sound();
}

#[test]
fn a_failure_of_the_package_is_reported_with_its_stage_and_first_error() {
    let farm = Farm::new();
    farm.push("gcc", "build() { echo 'gcc.c:3: error: expected ;'; return 4; }");
    farm.ok("syncpkgcd --once --name b1");
    let why = farm.ok("syncpkg-why gcc");
    assert!(why.contains(": in compile: gcc.c:3: error: expected ;"), "{why}");
    assert!(farm.ok("syncpkg-log --errors gcc").contains(">"), "the first error is marked");
    farm.ok("syncpkgd --once");
    farm.ok("syncpkgd --once");
    let sent = farm.files("sent");
    assert_eq!(sent.len(), 1, "mailed once: {sent:?}");
    let mail = fs::read_to_string(farm.at("spool/sent").join(&sent[0])).unwrap();
    for wanted in ["To: Ann <ann@example.org>", "expected ;", "syncpkg-enqueue --force", "/ticket/"] {
        assert!(mail.contains(wanted), "{wanted} in {mail}");
    }
}

#[test]
fn a_mail_server_that_is_down_is_said_once_and_the_mail_waits() {
    let farm = Farm::new();
    farm.configure("[mail]\ntransport = \"smtp\"\nsmtp = \"127.0.0.1:1\"\n");
    farm.push("gcc", "build() { return 4; }");
    farm.ok("syncpkgcd --once --name b1");
    farm.no("syncpkgd --once", 75, "cannot send mail to 127.0.0.1:1: ");
    let again = farm.run("syncpkgd --once");
    assert_eq!((again.status, again.err.as_str()), (75, ""), "cron would mail it each minute");
    let again = farm.later(60).run("syncpkgd --once");
    assert_eq!((again.status, again.err.as_str()), (75, ""), "nor each time it is tried");
    let letters = |place: &str| farm.files(place).iter().filter(|name| name.ends_with(".eml")).count();
    assert_eq!((letters("post"), letters("sent")), (1, 0));
    assert!(farm.at("www/index.html").exists(), "the rest of the round went on");
    farm.configure("");
    farm.later(120).ok("syncpkgd --once");
    assert_eq!((letters("post"), letters("sent")), (0, 1));
}

#[test]
fn a_command_that_says_try_again_is_trouble_and_not_the_packages_fault() {
    let farm = Farm::new();
    farm.push("gcc", "build() { return 75; }");
    farm.ok("syncpkgcd --once --name b1");
    assert_eq!(farm.states(""), ["gcc waiting"]);
    assert!(farm.ok("syncpkg-why gcc").contains("rests until 2026-11-22 12:01:00 UTC after trouble"));
    farm.ok("syncpkgd --once");
    assert!(farm.files("sent").is_empty(), "nobody is mailed");
}

#[test]
fn a_failing_prepare_is_trouble() {
    let farm = Farm::new();
    farm.configure("prepare = [\"false\"]\n");
    farm.push("gcc", "");
    farm.ok("syncpkgcd --once --name b1");
    assert!(farm.ok("syncpkg-why gcc").contains("in prepare: it exited with status 1"));
}

#[test]
fn a_tree_that_cannot_be_reached_is_trouble() {
    let farm = Farm::new();
    farm.push("gcc", "");
    let text = fs::read_to_string(farm.at("syncpkg.toml")).unwrap();
    fs::write(farm.at("builder.toml"), text.replace("recipes =", "url = \"/nowhere/tree\"\nrecipes ="))
        .unwrap();
    farm.ok(&format!("syncpkgcd --once --name b1 --config {}", farm.at("builder.toml").display()));
    assert!(farm.ok("syncpkg-why gcc").contains("after trouble in checkout"));
}

#[test]
fn a_build_that_leaves_nothing_has_failed() {
    let farm = Farm::new();
    farm.configure("files = \"*.fpm\"\n");
    farm.push("gcc", "");
    farm.ok("syncpkgcd --once --name b1");
    assert!(farm.ok("syncpkg-why gcc").contains(": in package: the command left no file that matches *.fpm"));
}

#[test]
fn a_silent_build_meets_its_limit() {
    let farm = Farm::new();
    farm.configure("[limit]\nsilence = \"1s\"\ngrace = \"1s\"\n");
    farm.push("gcc", "build() { sleep 600; }");
    farm.ok("syncpkgcd --once --name b1");
    assert!(farm.ok("syncpkg-why gcc").contains(": in build: it printed nothing for 1 s"));
}

#[test]
fn limits_hold_for_one_package_only() {
    let farm = Farm::new();
    farm.configure("[limit.package.gcc]\ntotal = \"1s\"\n");
    farm.push("gcc", "build() { while sleep 0.1; do echo .; done; }");
    farm.push("make", "build() { sleep 1.5; }");
    farm.ok("syncpkgcd --once --name b1");
    assert!(farm.ok("syncpkg-why gcc").contains("it took longer than 1 s"));
    assert_eq!(farm.states("built"), ["make built"]);
}

#[test]
fn an_abort_reaches_a_running_build_and_its_whole_process_group_dies() {
    let farm = Farm::new();
    farm.configure("[lease]\nbeat = \"1s\"\nexpires = \"60s\"\n");
    let pid_file = farm.at("pid");
    farm.push(
        "gcc",
        &format!("build() {{ sleep 600 & echo $! > {0}.new; mv {0}.new {0}; wait; }}", pid_file.display()),
    );
    let mut builder = farm.start("syncpkgcd --once --name b1");
    until("the build", 20, || pid_file.exists());
    let child = fs::read_to_string(&pid_file).unwrap().trim().to_owned();
    farm.ok("syncpkg-abort gcc");
    let status = builder.wait().unwrap();
    assert!(status.success(), "{status}");
    // The kernel takes its time with a process that is killed.
    until("the end of a grandchild of the builder", 20, || !alive(&child));
    assert_eq!(farm.states("all"), ["gcc aborted"]);
    farm.is_sound();
}

#[test]
fn a_builder_killed_in_the_middle_of_a_build_loses_nothing() {
    let farm = Farm::new();
    let started = farm.at("started");
    let recipe = format!("build() {{ test -e {0} && return; : > {0}; sleep 600; }}", started.display());
    let id = farm.push("gcc", &recipe);
    let mut builder = farm.start("syncpkgcd --once --name b1");
    until("the build", 20, || started.exists());
    let claim = fs::read_dir(farm.at("work/b1/outbox")).unwrap().next().unwrap().unwrap();
    let claim = claim.file_name().into_string().unwrap();
    builder.kill().unwrap();
    builder.wait().unwrap();
    assert_eq!(farm.state(&id), "building", "it is not lost, it is still b1's");
    farm.lose_leases();
    farm.ok("syncpkgcd --once --name b2");
    assert_eq!(farm.state(&id), "built");
    farm.no(&format!("syncpkg-report {claim} --outcome built"), 1, "refused: the ticket has ended as built");
    let report = fs::read_to_string(farm.at(&format!("spool/report/20261122/{id}.2.built.toml"))).unwrap();
    assert!(report.contains("builder = \"b2\""));
    farm.is_sound();
}

#[test]
fn a_killed_builder_that_comes_back_gives_its_ticket_back_at_once() {
    let farm = Farm::new();
    let started = farm.at("started");
    let recipe = format!("build() {{ test -e {0} && return; : > {0}; sleep 600; }}", started.display());
    farm.push("gcc", &recipe);
    let mut builder = farm.start("syncpkgcd --once --name b1");
    until("the build", 20, || started.exists());
    builder.kill().unwrap();
    builder.wait().unwrap();
    farm.ok("syncpkgcd --once --name b1");
    assert_eq!(farm.states(""), ["gcc waiting"]);
    assert!(farm.ok("syncpkg-why gcc").contains("the builder was killed while it was building"));
    farm.later(60).ok("syncpkgcd --once --name b1");
    assert_eq!(farm.states("all"), ["gcc built"]);
}

#[test]
fn a_checkout_that_says_another_version_has_failed() {
    let farm = Farm::new();
    let id = farm.push("gcc", "");
    let name = farm.files("new")[0].clone();
    let path = farm.at("spool/new").join(&name);
    let text = fs::read_to_string(&path).unwrap().replace("version = \"1\"", "version = \"7\"");
    fs::write(farm.at("spool/new").join(name.replace("gcc-1-1", "gcc-7-1")), text).unwrap();
    fs::remove_file(path).unwrap();
    farm.ok("syncpkgcd --once --name b1");
    assert_eq!(farm.state(&id), "failed");
    assert!(farm.ok("syncpkg-why gcc").contains(": in checkout: gcc/PKGBUILD says gcc-1-1 at that revision"));
}

#[test]
fn a_waiting_builder_is_told_at_once() {
    let farm = Farm::new();
    farm.commit("gcc", "");
    let mut claimer = farm.start("syncpkg-claim --builder b1 --arch x86_64 --wait=60s");
    until("the registration", 20, || farm.at("spool/new/x86_64").exists());
    farm.ok("syncpkg-enqueue gcc");
    assert!(claimer.wait().unwrap().success());
    assert_eq!(farm.states(""), ["gcc building"]);
}

#[test]
fn a_builder_goes_on_until_it_is_asked_to_end_and_then_gives_back_what_it_holds() {
    let farm = Farm::new();
    let started = farm.at("started");
    let mut builder = farm.start("syncpkgcd --name b1");
    until("the registration", 20, || farm.at("spool/builder/b1.toml").exists());
    farm.push("gcc", "");
    until("the first build", 30, || farm.states("built") == ["gcc built"]);
    farm.push("make", &format!("build() {{ : > {}; exec sleep 600; }}", started.display()));
    until("the second build", 30, || started.exists());
    let asked = std::process::Command::new("kill").arg(builder.id().to_string()).status().unwrap();
    assert!(asked.success() && builder.wait().unwrap().success());
    assert_eq!(farm.states(""), ["make waiting"]);
    assert!(farm.ok("syncpkg-why make").contains("after trouble in builder: the builder was stopped"));
    farm.is_sound();
}

#[test]
fn two_processes_are_never_the_same_slot() {
    let farm = Farm::new();
    let started = farm.at("started");
    farm.push("gcc", &format!("build() {{ : > {}; exec sleep 600; }}", started.display()));
    let mut builder = farm.start("syncpkgcd --name b1");
    until("the build", 30, || started.exists());
    farm.ok("syncpkgcd --once --name b1");
    farm.no("syncpkgcd --name b1", 75, "builder b1 is at work already");
    assert_eq!(farm.states(""), ["gcc building"]);
    std::process::Command::new("kill").arg(builder.id().to_string()).status().unwrap();
    builder.wait().unwrap();
}

#[test]
fn a_builder_with_a_spool_of_its_own_configuration_uses_that() {
    let farm = Farm::new();
    farm.push("gcc", "");
    let text = fs::read_to_string(farm.at("syncpkg.toml")).unwrap();
    let (spool, elsewhere) = (farm.at("spool"), farm.at("elsewhere"));
    let text = text.replacen(
        &format!("spool = \"{}\"", spool.display()),
        &format!("spool = \"{}\"", elsewhere.display()),
        1,
    );
    fs::write(farm.at("builder.toml"), format!("{text}spool = \"{}\"\n", spool.display())).unwrap();
    farm.ok(&format!("syncpkgcd --once --name b1 --config {}", farm.at("builder.toml").display()));
    assert_eq!(farm.states("all"), ["gcc built"]);
}

fn alive(pid: &str) -> bool {
    let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !state.is_empty() && !state.contains(") Z ")
}

#[test]
fn a_try_that_could_not_write_its_report_is_given_back_without_a_restart() {
    let farm = Farm::new();
    let outbox = farm.at("work/b1/outbox");
    let (out, begun) = (outbox.display(), farm.at("begun"));
    let id = farm.push("gcc", &format!("build() {{ rm -rf {out}; : > {out}; : > {}; }}", begun.display()));
    let mut builder = farm.start("syncpkgcd --name b1");
    until("the build", 20, || begun.exists());
    until("its end", 20, || !farm.at("work/b1/slot/0/build/gcc/pkg").exists());
    fs::remove_file(&outbox).unwrap();
    until("a report", 30, || farm.state(&id) == "waiting");
    Farm::end(&mut builder);
    assert!(!farm.at("work/b1/undeliverable").exists());
    farm.is_sound();
}

/// A build that says that it has begun, and waits until it may end.
fn waits(farm: &Farm) -> String {
    let place = farm.at("");
    format!(
        "build() {{ : > {0}/$pkgname.begun; until [ -e {0}/go ]; do sleep 0.05; done; }}",
        place.display()
    )
}

fn signal(builder: &std::process::Child, signal: &str) {
    let id = builder.id().to_string();
    assert!(std::process::Command::new("kill").args([signal, &id]).status().unwrap().success());
}

#[test]
fn a_builder_with_two_slots_builds_two_tickets_at_once() {
    let farm = Farm::new();
    farm.configure("slots = 2\n");
    for name in ["gcc", "make", "tar"] {
        farm.later(1).push(name, &waits(&farm));
    }
    let mut builder = farm.start("syncpkgcd --name b1");
    until("two builds", 20, || farm.at("gcc.begun").exists() && farm.at("make.begun").exists());
    assert_eq!(farm.states(""), ["gcc building", "make building", "tar waiting"]);
    fs::write(farm.at("go"), "").unwrap();
    until("the third", 20, || farm.states("built").len() == 3);
    Farm::end(&mut builder);
    farm.is_sound();
}

#[test]
fn a_builder_called_by_cron_fills_its_slots_too() {
    let farm = Farm::new();
    farm.configure("slots = 2\n");
    let both = |own: &str, other: &str| {
        let place = farm.at("").display().to_string();
        format!("build() {{ : > {place}/{own}; until [ -e {place}/{other} ]; do sleep 0.05; done; }}")
    };
    farm.push("gcc", &both("one", "two"));
    farm.later(1).push("make", &both("two", "one"));
    farm.later(1).push("tar", "");
    farm.ok("syncpkgcd --once --name b1");
    assert_eq!(farm.states("built").len(), 3);
    farm.is_sound();
}

#[test]
fn a_builder_may_finish_what_it_builds_before_it_ends() {
    let farm = Farm::new();
    farm.configure("term = \"finish\"\n");
    farm.push("gcc", &waits(&farm));
    let mut builder = farm.start("syncpkgcd --name b1");
    until("the build", 20, || farm.at("gcc.begun").exists());
    signal(&builder, "-TERM");
    farm.later(1).push("make", "");
    std::thread::sleep(std::time::Duration::from_millis(500));
    fs::write(farm.at("go"), "").unwrap();
    assert!(builder.wait().unwrap().success());
    assert_eq!(
        (farm.states("built"), farm.states("")),
        (vec!["gcc built".into()], vec!["make waiting".into()])
    );
}

#[test]
fn a_builder_asked_twice_to_end_hands_back_what_it_builds() {
    let farm = Farm::new();
    farm.configure("term = \"finish\"\n");
    farm.push("gcc", &waits(&farm));
    let mut builder = farm.start("syncpkgcd --name b1");
    until("the build", 20, || farm.at("gcc.begun").exists());
    signal(&builder, "-TERM");
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!(farm.states(""), ["gcc building"]);
    signal(&builder, "-TERM");
    assert!(builder.wait().unwrap().success());
    assert_eq!(farm.states(""), ["gcc waiting"]);
}

#[test]
fn a_hangup_makes_a_builder_read_its_configuration_again() {
    let farm = Farm::new();
    let mut builder = farm.start("syncpkgcd --name b1");
    let registered =
        |what: &str| fs::read_to_string(farm.at("spool/builder/b1.toml")).unwrap_or_default().contains(what);
    until("the registration", 20, || registered("slots = 1"));
    fs::write(farm.at("syncpkg.toml"), "slots = \"many\"\n").unwrap();
    signal(&builder, "-HUP");
    farm.configure("slots = 2\ntags = [\"big\"]\n");
    until("another registration", 40, || {
        signal(&builder, "-HUP");
        registered("slots = 2") && registered("tags = [\"big\"]")
    });
    farm.push("gcc", "");
    until("a build", 20, || farm.states("built") == ["gcc built"]);
    Farm::end(&mut builder);
}

#[test]
fn what_a_build_leaves_running_dies_with_it() {
    let farm = Farm::new();
    let place = farm.at("").display().to_string();
    let stray = |env: &str| {
        format!("{env} setsid -f sh -c 'echo $$ >> {place}/pids; exec sleep 600' > /dev/null 2>&1")
    };
    farm.push(
        "gcc",
        &format!("build() {{ {}; until [ -s {place}/pids ]; do sleep 0.05; done; }}", stray("")),
    );
    farm.ok("syncpkgcd --once --name b1");
    assert_eq!(farm.states("built"), ["gcc built"]);
    let pid = fs::read_to_string(farm.at("pids")).unwrap();
    assert!(!alive(pid.trim()), "{pid}");
}

#[test]
fn packages_go_to_builders_that_have_what_they_need() {
    let farm = Farm::new();
    farm.configure("[need.chromium]\ntags = [\"big\"]\nmemory = \"8GiB\"\n");
    farm.push("chromium", "");
    farm.no("syncpkg-claim --builder b1 --arch x86_64", 1, "nothing to claim");
    assert!(farm.ok("syncpkg-why chromium").contains("no builder for x86_64 has what it needs: big"));
    farm.ok("syncpkg-builder --arch x86_64 --tag big b2");
    assert!(farm.ok("syncpkg-why chromium").contains("it is next"));
    farm.no("syncpkg-claim --builder b2 --arch x86_64 --tag big --memory 4GiB", 1, "nothing to claim");
    farm.ok("syncpkg-claim --builder b2 --arch x86_64 --tag big --memory 16GiB");
    assert_eq!(farm.states(""), ["chromium building"]);
}

#[test]
fn a_builder_leaves_some_packages_to_others_and_takes_some_when_there_is_nothing_else() {
    let farm = Farm::new();
    farm.configure("except = [\"gcc\"]\nidle = [\"kde\"]\n");
    for name in ["gcc", "kde", "make"] {
        farm.later(1).push(name, &format!("build() {{ echo {name} >> {}; }}", farm.at("order").display()));
    }
    farm.ok("syncpkgcd --once --name b1");
    assert_eq!(fs::read_to_string(farm.at("order")).unwrap(), "make\nkde\n");
    assert_eq!(farm.states(""), ["gcc waiting"]);
}

#[test]
fn what_the_configuration_sets_is_seen_by_the_build() {
    let farm = Farm::new();
    farm.configure(
        "jobs = 3\n[builder.environment]\nCCACHE_DIR = \"/var/cache/ccache/{tree}-{slot}-{jobs}\"\n",
    );
    farm.push("gcc", "build() { echo \"$CCACHE_DIR $MAKEFLAGS\"; }");
    farm.ok("syncpkgcd --once --name b1");
    assert!(farm.ok("syncpkg-log gcc").contains("\n/var/cache/ccache/current-0-3 -j3\n"));
}

#[test]
fn the_service_manager_is_told_that_a_builder_is_ready_what_it_does_and_that_it_ends() {
    let farm = Farm::new();
    let socket = std::os::unix::net::UnixDatagram::bind(farm.at("notify")).unwrap();
    socket.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
    let mut builder =
        farm.command("syncpkgcd --name b1").env("NOTIFY_SOCKET", farm.at("notify")).spawn().unwrap();
    let mut heard = String::new();
    let mut hears = |word: &str| {
        let mut bytes = [0; 256];
        while !heard.lines().any(|line| line == word) {
            let count = socket.recv(&mut bytes).unwrap();
            heard += &(String::from_utf8_lossy(&bytes[..count]).into_owned() + "\n");
        }
    };
    for word in ["READY=1", "WATCHDOG=1", "STATUS=0 of 1 slots at work"] {
        hears(word);
    }
    farm.push("gcc", &waits(&farm));
    hears("STATUS=1 of 1 slots at work");
    Farm::end(&mut builder);
    hears("STOPPING=1");
}

#[test]
fn how_the_host_of_a_builder_does_is_shown_and_is_only_what_it_says() {
    let farm = Farm::new();
    farm.push("gcc", "");
    let claim = "syncpkg-claim --builder b1 --arch x86_64";
    farm.no(&format!("{claim} --load hot"), 2, "cannot read the load \"hot\": it is a number like 1.52");
    let out = farm.ok(&format!("{claim} --load 1.5 --disk 7GiB"));
    assert!(farm.ok("syncpkg-builder").trim_end().ends_with("load 1.50  7.0 GiB free"), "{out}");
    let claim = out.parse::<toml::Table>().unwrap()["claim"].as_str().unwrap().to_owned();
    farm.ok(&format!("syncpkg-beat --load 0.25 --disk 6GiB {claim}"));
    farm.ok(&format!("syncpkg-beat {claim}"));
    let listed: serde_json::Value = serde_json::from_str(&farm.ok("syncpkg-builder --json")).unwrap();
    assert_eq!((&listed["load"], &listed["disk"]), (&0.25.into(), &(6_u64 << 30).into()));
    farm.ok("syncpkg-stats");
    let page = fs::read_to_string(farm.at("www/builder/b1/index.html")).unwrap();
    assert!(page.contains("<dd>0.25</dd>") && page.contains("6.0 GiB free"), "{page}");
    farm.is_sound();
    farm.ok("syncpkg-abort gcc");
    farm.ok("syncpkg-builder --forget b1");
    farm.no(&format!("syncpkg-beat --load 1 {claim}"), 1, "");
    assert!(!farm.files("builder").iter().any(|file| file.starts_with("b1.")), "{:?}", farm.files("builder"));
}

#[test]
fn a_builder_at_work_says_how_its_host_does() {
    let farm = Farm::new();
    farm.push("gcc", "");
    farm.ok("syncpkgcd --once --name b1");
    let listed: serde_json::Value = serde_json::from_str(&farm.ok("syncpkg-builder --json")).unwrap();
    assert!(listed["load"].is_number() && listed["disk"].as_u64().unwrap() > 0, "{listed}");
}
