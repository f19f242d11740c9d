//! Programs of one's own that hear of what happens.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::stage::Farm;

/// A farm with a directory of hooks, and a package that has failed.
fn farm_that_failed(more: &str) -> Farm {
    let farm = Farm::new();
    farm.configure(&format!("[hooks]\ndirectory = \"{}\"\n{more}", farm.at("hooks.d").display()));
    fs::create_dir_all(farm.at("hooks.d/failed")).unwrap();
    farm.push("gcc", "");
    farm
}

fn hook(farm: &Farm, name: &str, script: &str) {
    hook_of(farm, "failed", name, script);
}

fn hook_of(farm: &Farm, event: &str, name: &str, script: &str) {
    let directory = farm.at("hooks.d").join(event);
    fs::create_dir_all(&directory).unwrap();
    let path = directory.join(name);
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn fail(farm: &Farm) -> String {
    let claimed = farm.claim("b1");
    farm.ok(&format!("syncpkg-report {} --outcome failed --stage build", claimed.claim));
    claimed.id
}

/// The lines that hooks have written down.
fn told(farm: &Farm) -> Vec<String> {
    fs::read_to_string(farm.at("told")).unwrap_or_default().lines().map(str::to_owned).collect()
}

#[test]
fn a_program_hears_of_a_failure_once_as_one_object() {
    let farm = farm_that_failed("");
    hook(&farm, "10-chat", &format!("cat >>{}", farm.at("told").display()));
    let id = fail(&farm);
    farm.ok("syncpkg-notify");
    farm.later(60).ok("syncpkg-notify");
    let told = told(&farm);
    assert_eq!(told.len(), 1, "{told:?}");
    let event: serde_json::Value = serde_json::from_str(&told[0]).unwrap();
    let text = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
    assert_eq!(event["schema"], 1);
    assert_eq!(
        (text("event"), text("name"), text("stage"), text("builder")),
        ("failed".into(), "gcc".into(), "build".into(), "b1".into())
    );
    assert_eq!(text("page"), format!("https://build.example.org/syncpkg/ticket/{id}/"));
    assert!(farm.files("owed").is_empty());
    farm.is_sound();
}

#[test]
fn a_program_hears_of_what_is_published_when_it_is_there() {
    let farm = farm_that_failed("");
    let (package, told_in) = (farm.at("packages/gcc-1-1-x86_64.pkg.tar.gz"), farm.at("told"));
    let says = format!("cat >>{}; test -e {} && echo there >>{0}", told_in.display(), package.display());
    hook_of(&farm, "published", "10-mirror", &says);
    farm.built(&farm.claim("b1"), "gcc");
    farm.ok("syncpkg-notify");
    assert!(told(&farm).is_empty(), "built, not published");
    farm.ok("syncpkgd --once");
    farm.later(60).ok("syncpkgd --once");
    let told = told(&farm);
    assert_eq!((told.len(), told[1].as_str()), (2, "there"), "{told:?}");
    let event: serde_json::Value = serde_json::from_str(&told[0]).unwrap();
    assert_eq!((event["event"].as_str(), event["name"].as_str()), (Some("published"), Some("gcc")));
    assert!(farm.files("owed").is_empty());
    farm.is_sound();
}

#[test]
fn they_run_in_the_order_of_their_names_and_only_what_is_plainly_a_program() {
    let farm = farm_that_failed("");
    let says = |word: &str| format!("echo {word} >>{}", farm.at("told").display());
    for (name, word) in
        [("20-b", "b"), ("10-a", "a"), ("30-c~", "backup"), (".hidden", "dot"), ("40.sh", "dotted")]
    {
        hook(&farm, name, &says(word));
    }
    fs::write(farm.at("hooks.d/failed/README"), "no program").unwrap();
    fs::create_dir(farm.at("hooks.d/failed/50-directory")).unwrap();
    fail(&farm);
    farm.ok("syncpkg-notify");
    assert_eq!(told(&farm), ["a", "b"]);
}

#[test]
fn they_see_nothing_of_our_environment() {
    let farm = farm_that_failed("");
    hook(
        &farm,
        "env",
        &format!("env | grep -v '^PWD\\|^_\\|^SHLVL\\|^OLDPWD' >{}; pwd >>{0}", farm.at("told").display()),
    );
    fail(&farm);
    farm.ok("syncpkg-notify");
    assert_eq!(told(&farm), ["PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "/"]);
}

#[test]
fn one_that_fails_or_hangs_is_said_and_stops_neither_mails_nor_the_others_nor_the_farm() {
    let farm = farm_that_failed("limit = \"1s\"\n");
    hook(&farm, "1-fails", "echo 'no \u{1b}[2Jchannel' >&2; exit 7");
    hook(&farm, "2-hangs", "sleep 60");
    hook(&farm, "3-floods", "yes");
    hook(&farm, "4-good", &format!("cat >>{}", farm.at("told").display()));
    fail(&farm);
    let ran = farm.run("syncpkg-notify");
    assert_eq!(ran.status, 0, "{ran:?}");
    let place = farm.at("hooks.d/failed").display().to_string();
    let said: Vec<&str> = ran.err.lines().collect();
    assert_eq!(said.len(), 3, "{ran:?}");
    assert!(
        said[0].ends_with(&format!("hook {place}/1-fails failed (exit status: 7): no \\u{{1b}}[2Jchannel")),
        "{ran:?}"
    );
    assert!(
        said[1].contains("2-hangs took longer than 1 s and was ended") && said[2].contains("3-floods took"),
        "{ran:?}"
    );
    assert!(said.iter().all(|line| line.len() < 300), "{ran:?}");
    assert_eq!((told(&farm).len(), farm.files("sent").len()), (1, 1));
    farm.ok("syncpkgd --once");
}

#[test]
fn a_mail_server_that_is_down_keeps_no_program_from_hearing() {
    let farm = farm_that_failed("[mail]\ntransport = \"smtp\"\nsmtp = \"127.0.0.1:1\"\n");
    hook(&farm, "chat", &format!("cat >>{}", farm.at("told").display()));
    fail(&farm);
    farm.no("syncpkg-notify", 75, "cannot send mail");
    assert_eq!(told(&farm).len(), 1);
}

#[test]
fn nothing_is_noted_for_programs_that_are_not_there() {
    let farm = farm_that_failed("");
    fail(&farm);
    farm.ok("syncpkg-notify");
    assert!(farm.files("owed").is_empty());
}
