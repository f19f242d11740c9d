//! The pages in a real browser, from disk, with the script and the policy they come with.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::stage::{Farm, Ran};

/// The page as it stands after its script has run; none where there is no Chromium.
fn in_chromium(farm: &Farm, page: &str) -> Option<Ran> {
    let mut command = Command::new("chromium");
    command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]);
    command.args(["--disable-background-networking", "--disable-component-update", "--disable-sync"]);
    command.arg(format!("--user-data-dir={}", farm.at("browser").display()));
    command.args(["--enable-logging=stderr", "--virtual-time-budget=2000", "--dump-dom"]);
    command.arg(format!("file://{}/{page}", farm.at("www").display()));
    match command.env("HOME", farm.at("")).output() {
        Ok(output) => Some(output.into()),
        Err(_) => {
            use std::io::Write as _;
            let _ = writeln!(std::io::stderr(), "not tried: there is no chromium");
            None
        }
    }
}

#[test]
fn the_pages_live_in_a_real_browser() {
    let farm = Farm::new();
    let id = farm.push("gcc", "build() { echo 'gcc.c:3: error: <script>alert(1)</script>'; return 4; }");
    farm.ok("syncpkgcd --once --name b1");
    farm.ok("syncpkgd --once");
    for page in ["index.html".to_owned(), format!("ticket/{id}/index.html")] {
        let Some(ran) = in_chromium(&farm, &page) else { return };
        assert_eq!(ran.status, 0, "{ran:?}");
        assert!(ran.out.contains("&lt;script&gt;alert(1)"), "hostile bytes are text: {}", ran.out);
        assert!(ran.out.contains(" ago)"), "the script has run: {}", ran.out);
        for complaint in ["Content Security Policy", "Uncaught", "CONSOLE"] {
            assert!(!ran.err.contains(complaint), "{}", ran.err);
        }
    }
}

/// What says how much room the disk has just now.
const ABOUT_NOW: [&str; 5] =
    ["index.html", "live/index.html", "status.json", "api/v1/status.json", "metrics.prom"];

/// All files of the site but hidden ones, by path; of what is about now only its end.
fn site(farm: &Farm) -> BTreeMap<PathBuf, Vec<u8>> {
    let walk = walkdir::WalkDir::new(farm.at("www")).into_iter().map(Result::unwrap);
    let shown = |entry: &walkdir::DirEntry| {
        entry.file_type().is_file() && !entry.file_name().to_string_lossy().starts_with('.')
    };
    let read = |entry: walkdir::DirEntry| {
        let path = entry.path().strip_prefix(farm.at("www")).unwrap().to_owned();
        let mut bytes = std::fs::read(entry.path()).unwrap();
        if ABOUT_NOW.iter().any(|now| path == Path::new(now)) {
            bytes.drain(..bytes.len() - 2);
        }
        (path, bytes)
    };
    walk.filter(shown).map(read).collect()
}

/// A farm with some packages, built and failed, and its site.
fn busy() -> (Farm, BTreeMap<PathBuf, Vec<u8>>) {
    let farm = Farm::new();
    for name in ["gcc", "make", "vim", "zlib"] {
        farm.push(name, if name == "vim" { "build() { return 4; }" } else { "" });
    }
    farm.ok("syncpkgcd --once --name b1");
    farm.ok("syncpkg-stats");
    let whole = site(&farm);
    (farm, whole)
}

#[test]
fn killed_at_any_moment_every_page_is_whole_and_the_next_run_completes() {
    let (farm, whole) = busy();
    let mut kills = 0;
    for renames in [1, 2, 3, 5, 8, 13, 21, 34, 55] {
        std::fs::remove_dir_all(farm.at("www")).unwrap();
        let _ = std::fs::remove_dir_all(farm.at("spool/cache/site"));
        let stats = farm.command("syncpkg-stats");
        let mut strace = Command::new("strace");
        strace
            .args(["-f", "-qq", "-o", "/dev/null", "-e"])
            .arg(format!("inject=/^rename:signal=KILL:when={renames}"));
        strace.arg(stats.get_program()).args(stats.get_args()).current_dir(farm.at(""));
        for (name, value) in stats.get_envs() {
            value.map(|value| strace.env(name, value));
        }
        kills += usize::from(!strace.output().unwrap().status.success());
        for (path, bytes) in site(&farm) {
            assert!(whole.get(&path) == Some(&bytes), "{path:?} is not whole, killed at rename {renames}");
        }
        farm.ok("syncpkg-stats");
        assert!(site(&farm) == whole, "not finished, killed at rename {renames}");
    }
    assert!(kills > 6, "{kills} were killed");
}

#[test]
fn two_that_write_the_site_at_once_wait_for_each_other() {
    let (farm, whole) = busy();
    std::fs::remove_dir_all(farm.at("www")).unwrap();
    let start = || {
        let mut stats = farm.command("syncpkg-stats");
        stats.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let both = [start(), start()];
    for one in both {
        let ran: Ran = one.wait_with_output().unwrap().into();
        assert!(ran.status == 0 && ran.err.is_empty(), "{ran:#?}");
    }
    assert!(site(&farm) == whole);
}

#[test]
fn a_mail_that_was_given_up_is_on_the_front_page() {
    let farm = Farm::new();
    let place = farm.at("spool/post/given-up");
    std::fs::create_dir_all(&place).unwrap();
    std::fs::write(place.join("a.digest.eml"), "Subject: x\n\n").unwrap();
    farm.ok("syncpkg-stats");
    let front = std::fs::read_to_string(farm.at("www/index.html")).unwrap();
    assert!(front.contains("look into post/given-up"), "{front}");
}
