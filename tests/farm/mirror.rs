//! Mirrors: a copy that is whole at any moment, and becomes the spool when somebody says so; a spool that has moved.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::sshd::Sshd;
use crate::stage::{Claimed, Farm, Ran, program};

/// Puts an rsync before the real one that runs `acts` first: shell, with the number of the call in `$n`.
fn between(farm: &Farm, acts: &str) {
    let place = farm.at("").display().to_string();
    let text = format!(
        "#!/bin/bash\ncd {place}\nn=$(cat calls 2>/dev/null || echo 0); n=$((n + 1)); echo $n > calls\n\
         mirror() {{ local p=$PPID; until grep -q ^syncpkg-mirror /proc/$p/comm; do \
         p=$(sed 's/.*) . //; s/ .*//' /proc/$p/stat); done; echo $p; }}\n{acts}\nexec /usr/bin/rsync \"$@\"\n"
    );
    farm.script("rsync", &text);
}

/// Mirrors into `copies`, with our rsync first.
fn mirror(farm: &Farm) -> Ran {
    mirroring(farm).output().unwrap().into()
}

fn mirroring(farm: &Farm) -> std::process::Command {
    let _ = fs::remove_file(farm.at("calls"));
    let path = format!("{}:{}:/usr/bin:/bin", farm.at("bin").display(), program("").display());
    let mut command = farm.command("syncpkg-mirror copies");
    command.env("PATH", path);
    command
}

#[track_caller]
fn mirrored(farm: &Farm) {
    let ran = mirror(farm);
    assert!(ran.status == 0 && ran.err.is_empty() && ran.out.is_empty(), "{ran:?}");
}

/// Lets the finished copy take the place of the spool, in the words of syncpkg-mirror(1).
#[track_caller]
fn promote(farm: &Farm) {
    let page =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/man/syncpkg-mirror.1"));
    let page = page.unwrap().replace("\\-", "-");
    let steps =
        page.split("becomes the spool:\n.Bd -literal\n").nth(1).unwrap().split("\n.Ed").next().unwrap();
    let steps: Vec<&str> = steps.lines().map(|line| line.strip_prefix("$ ").unwrap()).collect();
    assert!(
        steps.len() > 2 && steps.iter().any(|step| step.starts_with("syncpkg-check --repair")),
        "{steps:?}"
    );
    let at = |name: &str| farm.at(name).display().to_string();
    let script = steps.join(" &&\n").replace("/var/spool/syncpkg", &at("spool"));
    let script = script.replace("/srv/mirror", &at("copies"));
    let _ = fs::remove_dir_all(farm.at("lost"));
    fs::rename(farm.at("spool"), farm.at("lost")).unwrap();
    let mut shell = farm.command("syncpkg-ls");
    let path = format!("{}:/usr/bin:/bin", program("").display());
    let mut command = std::process::Command::new("sh");
    for (name, value) in shell.env("PATH", path).get_envs() {
        value.map(|value| command.env(name, value));
    }
    let ran: Ran = command.args(["-ec", &script]).output().unwrap().into();
    assert!(ran.status == 0 && ran.err.is_empty(), "{script}\n{ran:?}");
    farm.is_sound();
    assert!(farm.files("bad").is_empty(), "nobody has to look at anything");
}

/// What is known of each ticket: its state, by package.
fn known(farm: &Farm) -> BTreeMap<String, String> {
    let states = farm.states("all");
    let pairs: Vec<_> = states.iter().map(|line| line.split_once(' ').unwrap()).collect();
    let known: BTreeMap<_, _> =
        pairs.iter().map(|(name, state)| ((*name).to_owned(), (*state).to_owned())).collect();
    assert_eq!(known.len(), pairs.len(), "each once: {states:?}");
    known
}

/// A farm with something of everything: waiting, parked, building, built and not published, failed.
fn at_work() -> (Farm, Claimed) {
    let farm = Farm::new();
    farm.push("gcc", "");
    farm.built(&farm.claim("b1"), "x");
    farm.push("make", "");
    let failed = farm.claim("b1");
    farm.ok(&format!("syncpkg-report {} --outcome failed", failed.claim));
    farm.later(1).push("tar", "");
    let building = farm.claim("b1");
    farm.later(1).push("lib", "");
    farm.later(1).push("app", "depends=(lib)");
    (farm, building)
}

#[test]
fn a_mirror_has_all_that_the_spool_has_and_becomes_one() {
    let (farm, building) = at_work();
    let before = known(&farm);
    mirrored(&farm);
    farm.ok("syncpkg-abort lib");
    promote(&farm);
    assert_eq!(known(&farm), before);
    assert_eq!(farm.files("hold").len(), 1, "packages too");
    farm.ok(&format!("syncpkg-beat {}", building.claim));
    farm.built(&building, "x");
    farm.ok("syncpkgd --once");
    assert!(farm.at("packages/gcc-1-1-x86_64.pkg.tar.gz").exists());
    assert_eq!(farm.claim("b2").name, "lib");
    farm.is_sound();
}

#[test]
fn what_moved_on_does_not_stay_where_it_was() {
    let (farm, building) = at_work();
    mirrored(&farm);
    farm.built(&building, "x");
    fs::write(farm.at("spool/pause"), "").unwrap();
    for _ in 0..2 {
        mirrored(&farm);
        for place in ["new", "park", "run", "done", "report", "log", "hold", "owed", "builder"] {
            let listed = |root: &str| farm.tool("find", &[place, "-type", "f"], &farm.at(root));
            let sorted =
                |text: String| text.lines().map(str::to_owned).collect::<std::collections::BTreeSet<_>>();
            assert_eq!(sorted(listed("copies/current")), sorted(listed("spool")));
        }
        assert!(farm.at("copies/current/pause").exists());
    }
    fs::remove_file(farm.at("spool/pause")).unwrap();
    mirrored(&farm);
    assert!(!farm.at("copies/current/pause").exists());
}

#[test]
fn a_copy_is_no_spool_until_somebody_says_so() {
    let (farm, _) = at_work();
    mirrored(&farm);
    between(&farm, "[ $n -lt 5 ] || kill -9 $(mirror)");
    mirror(&farm);
    for copy in ["current", "a", "b"] {
        let copy = farm.at("copies").join(copy);
        let copy = copy.display();
        let ran = farm.run(&format!("syncpkg-claim --builder b1 --arch x86_64 --spool {copy}"));
        assert!(ran.status == 2 && ran.err.contains("cannot open"), "{ran:?}");
        assert_eq!(farm.run(&format!("syncpkg-init {copy}")).status, 2);
    }
    farm.no(
        &format!("syncpkg-ls --spool {}", farm.at("copies/current").display()),
        2,
        "it is the copy of a spool",
    );
    farm.no(&format!("syncpkg-init {}", farm.at("copies/b").display()), 2, "there are tickets in new");
}

#[test]
fn tickets_may_move_while_they_are_copied() {
    let (farm, building) = at_work();
    farm.later(1).push("bash", "");
    farm.later(1).push("perl", "");
    let perl = farm.claim("b2");
    let before = known(&farm);
    // By the call of rsync before which it happens: claims, ends, a lease that comes back and is claimed again, a later
    // request that ends the one before.
    let config = format!("export SYNCPKG_CONFIG={}", farm.at("syncpkg.toml").display());
    let acts = format!(
        "{config}\n{{ case $n in\n\
         2) syncpkg-report {0} --outcome built ;;\n\
         3) syncpkg-claim --builder b3 --arch x86_64 | grep -om1 'b3[^\"]*' > claimed; syncpkg-report {1} --outcome trouble ;;\n\
         4) syncpkg-report $(cat claimed) --outcome failed --log acts ;;\n\
         5) syncpkg-builder --pause --release b3; syncpkg-claim --builder b4 --arch x86_64 ;;\n\
         esac; }} >>acts 2>&1",
        building.claim, perl.claim
    );
    between(&farm, &acts);
    mirrored(&farm);
    let acts = fs::read_to_string(farm.at("acts")).unwrap();
    assert!(!acts.contains("cannot") && fs::read_to_string(farm.at("calls")).unwrap() == "9\n", "{acts}");
    promote(&farm);
    let after = known(&farm);
    assert_eq!(after.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());
    for (name, state) in &after {
        let on = before[name] == *state || matches!(&**state, "built" | "failed" | "building");
        assert!(on, "{name} is {state}, was {}", before[name]);
    }
}

#[test]
fn what_comes_back_to_wait_while_the_picture_is_taken_is_in_it() {
    let (farm, _) = at_work();
    between(&farm, "");
    let spool = syncpkg::spool::Spool::open(&farm.at("spool")).unwrap();
    let lib = farm.files("new").into_iter().find(|name| name.contains(",lib-")).unwrap();
    let lib = farm.at("spool/new").join(lib);
    let lock = spool.lock_queue(std::time::Duration::ZERO).unwrap();
    fs::rename(&lib, farm.at("between")).unwrap();
    let mut run = mirroring(&farm).spawn().unwrap();
    let calls = || fs::read_to_string(farm.at("calls")).unwrap_or_default();
    crate::stage::until("the picture is due", 20, || calls().starts_with(['2', '3']));
    // Whoever does not wait for the lock is through with it by then.
    std::thread::sleep(std::time::Duration::from_millis(300));
    fs::rename(farm.at("between"), &lib).unwrap();
    drop(lock);
    assert!(run.wait().unwrap().success());
    promote(&farm);
    assert_eq!(known(&farm)["lib"], "waiting");
}

#[test]
fn what_a_later_claim_left_in_a_copy_is_not_taken_for_that_of_another() {
    let farm = Farm::new();
    farm.push("gcc", "");
    // Claimed when the queue has been copied; of the report log and packages are put, the ticket has not moved.
    let acts = format!(
        "export SYNCPKG_CONFIG={}\n[ $n != 4 ] || {{ syncpkg-claim --builder b1 --arch x86_64 | grep -om1 'b1[^\"]*' \
         > claimed; id=$(cut -d. -f2 claimed); mkdir -p spool/hold/$id.1 spool/log/20261122; echo old > \
         spool/log/20261122/$id.1.log; echo old > spool/hold/$id.1/gcc-1-1-x86_64.pkg.tar.gz; }}",
        farm.at("syncpkg.toml").display()
    );
    between(&farm, &acts);
    mirrored(&farm);
    promote(&farm);
    let lost = fs::read_to_string(farm.at("claimed")).unwrap();
    let again = farm.claim("b2");
    assert!(again.claim.contains(".2."), "its epoch is not given twice: {} {lost}", again.claim);
    farm.built(&again, "new");
    farm.no(&format!("syncpkg-report {} --outcome failed", lost.trim()), 1, "has ended as built");
    farm.ok("syncpkgd --once");
    assert_eq!(fs::read_to_string(farm.at("packages/gcc-1-1-x86_64.pkg.tar.gz")).unwrap(), "new");
    farm.is_sound();
}

#[test]
fn a_run_that_is_killed_anywhere_leaves_the_copy_before_or_the_new_one() {
    for (call, whole) in (1..=9).flat_map(|call| [(call, false), (call, true)]) {
        let (farm, building) = at_work();
        mirrored(&farm);
        let before = known(&farm);
        farm.built(&building, "x");
        farm.claim("b3");
        farm.later(1).push("bash", "");
        let after = known(&farm);
        let done = if whole { "/usr/bin/rsync \"$@\"; " } else { "" };
        between(&farm, &format!("[ $n -lt {call} ] || {{ {done}kill -9 $(mirror); exit 1; }}"));
        assert_eq!(mirror(&farm).status, -1);
        fs::remove_file(farm.at("bin/rsync")).unwrap();
        farm.tool("cp", &["-a", "copies", "kept"], &farm.at(""));
        fs::rename(farm.at("spool"), farm.at("alive")).unwrap();
        fs::create_dir(farm.at("spool")).unwrap();
        promote(&farm);
        let turned = call > 8 || call == 8 && whole;
        assert_eq!(known(&farm), if turned { after.clone() } else { before }, "call {call}, {whole}");
        // The next run mends what was left.
        for (from, to) in [("spool", "promoted"), ("alive", "spool")] {
            fs::rename(farm.at(from), farm.at(to)).unwrap();
        }
        fs::remove_dir_all(farm.at("copies")).unwrap();
        fs::rename(farm.at("kept"), farm.at("copies")).unwrap();
        mirrored(&farm);
        promote(&farm);
        assert_eq!(known(&farm), after);
    }
}

#[test]
fn an_rsync_that_is_left_behind_keeps_others_out() {
    let (farm, _) = at_work();
    mirrored(&farm);
    let held = std::process::Command::new("flock").arg(farm.at("copies/lock")).args(["sleep", "600"]).spawn();
    let mut held = held.unwrap();
    crate::stage::until("the lock is held", 10, || mirror(&farm).status == 75);
    farm.no("syncpkg-mirror copies", 75, "cannot mirror into copies: another run is still at it");
    // What flock started lives on when it is killed, and with it the lock: it is asked to end itself.
    let child = fs::read_to_string(format!("/proc/{0}/task/{0}/children", held.id())).unwrap();
    held.kill().unwrap();
    held.wait().unwrap();
    farm.tool("kill", &[child.trim()], &farm.at(""));
    crate::stage::until("it is free", 10, || mirror(&farm).status == 0);
}

#[test]
fn two_runs_at_once_do_no_harm() {
    let (farm, _) = at_work();
    let before = known(&farm);
    let run = || farm.command("syncpkg-mirror copies").spawn().unwrap();
    let mut runs = [run(), run(), run()];
    assert!(runs.iter_mut().all(|run| run.wait().unwrap().success()));
    promote(&farm);
    assert_eq!(known(&farm), before);
}

#[test]
fn nothing_foreign_is_mirrored_over() {
    let (farm, _) = at_work();
    fs::create_dir(farm.at("mine")).unwrap();
    fs::write(farm.at("mine/letter"), "dear").unwrap();
    farm.no("syncpkg-mirror mine", 2, "cannot mirror into mine: it is not empty (there is letter)");
    farm.no("syncpkg-mirror spool", 2, "it is in the spool");
    farm.no("syncpkg-mirror spool/bad/copy", 2, "it is in the spool");
    fs::create_dir(farm.at("another")).unwrap();
    farm.ok(&format!("syncpkg-init {}", farm.at("another/spool").display()));
    farm.no("syncpkg-mirror another", 2, "there is a spool in it (spool/format)");
    farm.no("syncpkg-mirror another/spool", 2, "there is a spool in it (format)");
    mirrored(&farm);
    let theirs = format!("syncpkg-mirror --spool {} copies", farm.at("another/spool").display());
    farm.no(&theirs, 2, "cannot mirror into copies: it is the mirror of ");
    farm.no("syncpkg-mirror m:copies", 2, "must be absolute");
    farm.no("syncpkg-mirror", 2, "DIR|HOST:DIR");
    farm.no("syncpkg-mirror --spool m:/s copies", 2, "must run where it is");
    assert_eq!(fs::read_dir(farm.at("mine")).unwrap().count(), 1);
    assert!(!farm.at("another/lock").exists() && farm.files("bad").is_empty());
    farm.is_sound();
    // Somebody lets a copy become the spool where it lies, and the old master still lives.
    fs::rename(farm.at("copies/a/format.copy"), farm.at("copies/a/format")).unwrap();
    farm.no("syncpkg-mirror copies", 2, "there is a spool in it (a/format)");
}

#[test]
fn a_request_that_cannot_be_read_keeps_nobody_from_mirroring() {
    let (farm, _) = at_work();
    let junk = farm.at("spool/drop/junk.toml");
    fs::write(&junk, vec![b'x'; 2 << 20]).unwrap();
    symlink("/etc/passwd", farm.at("spool/drop/link.toml")).unwrap();
    fs::write(farm.at("spool/drop/20261122-120000-000-aaaaaa.toml"), "format = 1\n").unwrap();
    mirrored(&farm);
    let there = fs::read_dir(farm.at("copies/current/drop")).unwrap().count();
    assert_eq!(there, 1);
}

#[test]
fn a_mirror_on_another_host_is_reached_by_ssh() {
    let (farm, _) = at_work();
    let mut sshd = Sshd::new(&farm);
    let (before, target) = (known(&farm), format!("127.0.0.1:{}", farm.at("copies").display()));
    let config = farm.at("with-ssh.toml");
    let text = fs::read_to_string(farm.at("syncpkg.toml")).unwrap();
    fs::write(&config, text + &sshd.section("admin")).unwrap();
    let run = || -> Ran {
        let line = format!("syncpkg-mirror {target}");
        farm.command(&line).env("SYNCPKG_CONFIG", &config).output().unwrap().into()
    };
    for _ in 0..3 {
        let ran = run();
        assert!(ran.status == 0 && ran.err.is_empty() && ran.out.is_empty(), "{ran:?}");
    }
    let mut held = std::process::Command::new("flock");
    let mut held = held.arg("-F").arg(farm.at("copies/lock")).args(["sleep", "600"]).spawn().unwrap();
    crate::stage::until("the lock is held", 10, || run().status == 75);
    let busy = run();
    assert!(busy.status == 75 && busy.err.contains("another run is still at it"), "{busy:?}");
    held.kill().unwrap();
    held.wait().unwrap();
    sshd.stop();
    let away = run();
    assert!(
        away.status == 75 && away.err.contains("Connection refused") && away.err.lines().count() == 1,
        "{away:?}"
    );
    farm.ok("syncpkg-abort lib");
    promote(&farm);
    assert_eq!(known(&farm), before);
}

#[test]
fn every_program_refuses_a_spool_that_has_moved() {
    let (farm, building) = at_work();
    let id = &building.id;
    farm.ok("syncpkg-init --moved new.example.org");
    let programs = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bin")).unwrap().flatten();
    let mut programs: Vec<String> =
        programs.map(|entry| entry.path().file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    programs.sort();
    for program in programs {
        let line = match &*program {
            // Never makes a push fail.
            "synchook" => continue,
            // Says it to a web server.
            "syncweb" => continue,
            "syncpkg-claim" => "syncpkg-claim --builder b1 --arch x86_64".to_owned(),
            "syncpkg-beat" => format!("syncpkg-beat {}", building.claim),
            "syncpkg-report" => format!("syncpkg-report {} --outcome built", building.claim),
            "syncpkg-abort" | "syncpkg-log" => format!("{program} {id}"),
            "syncpkg-enqueue" | "syncpkg-why" => format!("{program} gcc"),
            "syncpkg-shell" => format!("syncpkg-shell --spool {} b1", farm.at("spool").display()),
            "syncpkg-mirror" => "syncpkg-mirror copies".to_owned(),
            "syncpkgcd" => "syncpkgcd --once --name b1".to_owned(),
            other => other.to_owned(),
        };
        let ran = farm.run(&line);
        assert!(ran.status == 75 && ran.out.is_empty(), "$ {line}\n{ran:?}");
        assert_eq!(ran.err, format!("{program}: spool moved to new.example.org\n"), "$ {line}");
    }
    let mut web = farm.command("syncweb");
    web.env("GATEWAY_INTERFACE", "CGI/1.1").env("REMOTE_USER", "ann").env("REQUEST_METHOD", "GET");
    let ran: Ran = web.output().unwrap().into();
    assert!(ran.out.starts_with("Status: 503 "), "{ran:?}");
    fs::remove_file(farm.at("spool/moved")).unwrap();
    farm.built(&building, "x");
    farm.is_sound();
}

#[test]
fn pushes_go_through_and_builders_keep_their_reports_when_the_spool_has_moved() {
    let farm = Farm::new();
    let sshd = Sshd::new(&farm);
    let id =
        farm.push("gcc", &format!("build() {{ syncpkg-init --moved new {}; }}", farm.at("spool").display()));
    let path = format!("{}:/usr/bin:/bin", program("").display());
    let config = sshd.elsewhere("b1");
    let mut command = farm.command("syncpkgcd --once");
    command
        .env("SYNCPKG_CONFIG", &config)
        .env("PATH", &path)
        .stderr(fs::File::create(farm.at("said")).unwrap());
    let mut builder = command.spawn().unwrap();
    let said = || fs::read_to_string(farm.at("said")).unwrap();
    crate::stage::until("its report is refused", 30, || said().contains("spool moved to new"));
    Farm::end(&mut builder);
    let waits = || fs::read_dir(farm.at("work/b1/outbox")).unwrap().count();
    assert_eq!(waits(), 1, "its report");
    let mut hook = farm.command("synchook");
    let pushed: Ran =
        hook.env("DARCS_FILES", "./gcc/PKGBUILD").current_dir(farm.at("tree")).output().unwrap().into();
    assert!(pushed.status == 0 && pushed.err.contains("spool moved to new"), "{pushed:?}");
    fs::remove_file(farm.at("spool/moved")).unwrap();
    assert_eq!(sshd.run("b1", "syncpkg-deliver").status, 0);
    assert_eq!((waits(), farm.state(&id)), (0, "built".to_owned()));
    farm.is_sound();
}

#[test]
fn a_daemon_that_has_the_spool_open_stops_when_it_moves() {
    let farm = Farm::new();
    let mut daemon = farm.start("syncpkgd");
    crate::stage::until("it goes its rounds", 20, || farm.at("spool/cache/round").exists());
    farm.ok("syncpkg-init --moved new");
    fs::write(farm.at("spool/owed/wake"), "").unwrap();
    let mut ended = None;
    crate::stage::until("it ends", 20, || {
        ended = daemon.try_wait().unwrap();
        ended.is_some()
    });
    assert_eq!(ended.unwrap().code(), Some(75));
}

#[test]
fn a_spool_that_has_moved_is_copied_for_the_last_time_and_nothing_is_lost() {
    let (farm, building) = at_work();
    farm.ok("syncpkg-init --moved new");
    farm.ok("syncpkg-init --moved new.example.org");
    let before = {
        fs::rename(farm.at("spool/moved"), farm.at("moved")).unwrap();
        let known = known(&farm);
        fs::rename(farm.at("moved"), farm.at("spool/moved")).unwrap();
        known
    };
    farm.no("syncpkg-mirror copies", 75, "spool moved to new.example.org");
    farm.ok("syncpkg-mirror --moved copies");
    promote(&farm);
    assert_eq!(known(&farm), before);
    farm.built(&building, "x");
    for host in ["", "-x", "a\nb", "a b", "$(id)"] {
        let ran = farm.command("syncpkg-init").arg(format!("--moved={host}")).output().unwrap();
        assert_eq!(ran.status.code(), Some(2), "{host}");
    }
}
