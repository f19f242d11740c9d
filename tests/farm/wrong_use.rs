//! Wrong use: one clear line, the right exit status, nothing lost.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use crate::stage::Farm;

#[test]
fn a_missing_spool_is_said_with_what_to_do() {
    let farm = Farm::without_spool();
    farm.no("syncpkg-ls", 2, "there is no spool");
    farm.no("syncpkg-ls", 2, "hint: make an empty one with: syncpkg-init ");
}

#[test]
fn a_foreign_directory_never_becomes_a_spool() {
    let farm = Farm::without_spool();
    fs::create_dir(farm.at("mine")).unwrap();
    fs::write(farm.at("mine/letter"), "dear").unwrap();
    let line = format!("syncpkg-init {}", farm.at("mine").display());
    farm.no(&line, 2, "it is not empty (there is letter)");
    farm.no(&format!("syncpkg-ls --spool {}", farm.at("mine").display()), 2, "it is no spool");
    assert_eq!(fs::read_dir(farm.at("mine")).unwrap().count(), 1);
}

#[test]
fn an_unknown_key_is_named_with_its_line_and_column() {
    let farm = Farm::new();
    farm.configure("jbos = 3\n");
    let file = farm.at("syncpkg.toml");
    let line = fs::read_to_string(&file).unwrap().lines().count();
    farm.no("syncpkg-ls", 2, &format!("cannot read {}:{line}:1: unknown field `jbos`", file.display()));
}

#[test]
fn a_name_that_climbs_is_refused_everywhere() {
    let farm = Farm::new();
    let evil = "../../etc/x";
    for line in [
        format!("syncpkg-enqueue {evil}"),
        format!("syncpkg-abort {evil}"),
        format!("syncpkg-why {evil}"),
        format!("syncpkg-log {evil}"),
        format!("syncpkg-recipe {evil}"),
        format!("syncpkg-claim --builder {evil} --arch x86_64"),
        format!("syncpkg-beat {evil}"),
        format!("syncpkg-report {evil} --outcome built"),
        format!("syncpkg-builder --arch x86_64 {evil}"),
        format!("syncpkg-ls --tree {evil}"),
    ] {
        let ran = farm.run(&line);
        assert_eq!(ran.status, 2, "$ {line}\n{ran:?}");
        assert!(ran.out.is_empty(), "$ {line}\n{ran:?}");
    }
    farm.is_sound();
}

#[test]
fn without_bwrap_nothing_is_read_and_it_says_what_to_install() {
    let farm = Farm::new();
    farm.commit("gcc", "");
    let tools = farm.at("tools");
    fs::create_dir(&tools).unwrap();
    for tool in ["git", "tar", "sh", "timeout"] {
        let path = ["/usr/local/bin", "/usr/bin", "/bin"].map(|place| format!("{place}/{tool}"));
        let path = path.iter().find(|path| fs::metadata(path).is_ok()).unwrap();
        std::os::unix::fs::symlink(path, tools.join(tool)).unwrap();
    }
    let ran = farm.command("syncpkg-enqueue gcc").env("PATH", &tools).output().unwrap();
    let err = String::from_utf8(ran.stderr).unwrap();
    assert_eq!(ran.status.code(), Some(2), "{err}");
    assert!(
        err.contains("bwrap is not installed") && err.contains("hint: apt-get install bubblewrap"),
        "{err}"
    );
    assert!(farm.files("new").is_empty());
}

#[test]
fn a_recipe_that_cannot_be_read_is_named() {
    let farm = Farm::new();
    farm.commit("broken", "if then fi (");
    farm.commit("evil", "pkgname=../../etc/x");
    farm.no("syncpkg-enqueue broken/PKGBUILD", 2, "cannot read broken/PKGBUILD: ");
    farm.no("syncpkg-enqueue evil/PKGBUILD", 2, "the package name \"../../etc/x\" is not allowed");
    let ran = farm.run("syncpkg-recipe --json");
    assert_eq!((ran.status, ran.out.lines().count()), (1, 2));
}

#[test]
fn a_closed_pipe_is_a_quiet_end() {
    let farm = Farm::new();
    farm.push("gcc", "");
    let mut child = farm.command("syncpkg-ls").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{output:?}");
}

#[test]
fn wrong_options_end_with_2() {
    let farm = Farm::new();
    for line in [
        "syncpkg-ls --nonsense",
        "syncpkg-ls sleeping",
        "syncpkg-enqueue",
        "syncpkg-claim",
        "syncpkgd --twice",
    ] {
        assert_eq!(farm.run(line).status, 2, "{line}");
    }
    farm.no("syncpkg-ls --spool master:spool", 2, "the directory on the other host must be absolute");
    farm.no("syncpkg-ls --spool=-oProxyCommand=id:/spool", 2, "before the colon stands [USER@]HOST");
}

#[test]
fn a_full_disk_is_worth_a_retry_and_loses_nothing() {
    let farm = Farm::without_spool();
    // A file system of 128 KiB in a mount namespace of its own; where that is not allowed, so it is said.
    let full = farm.at("full");
    fs::create_dir(&full).unwrap();
    farm.commit("gcc", "");
    let script = format!(
        "set -e; mount -t tmpfs -o size=128k tmpfs {full}; export SYNCPKG_SPOOL={full}/spool; {init}; \
         dd if=/dev/zero of={full}/filler bs=1k count=200 2>/dev/null || :; \
         {enqueue} gcc && echo made || echo status $?; rm {full}/filler; {enqueue} gcc; {check}",
        full = full.display(),
        init = crate::stage::program("syncpkg-init").display(),
        enqueue = crate::stage::program("syncpkg-enqueue").display(),
        check = crate::stage::program("syncpkg-check").display(),
    );
    let mut command = std::process::Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script]);
    command.env("SYNCPKG_CONFIG", farm.at("syncpkg.toml")).env("SYNCPKG_NOW", "2026-11-22T12:00:00Z");
    let output = command.output().unwrap();
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    if err.contains("unshare failed") || err.contains("mount:") {
        let _ = writeln!(std::io::stderr(), "not tried: no mount namespaces here ({})", err.trim());
        return;
    }
    assert!(out.starts_with("status 75\n"), "{out}{err}");
    assert!(err.contains("No space left on device"), "{err}");
    assert!(out.ends_with("gcc-1-1-x86_64\n"), "afterwards it works, and the spool is sound: {out}{err}");
}
