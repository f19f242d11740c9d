//! How much memory the programs take with 100,000 tickets waiting, nine in ten of them for a dependency, all held back. What Python
//! had when it started them counts too: `true` shows how much that is. The mass rebuild asks for another 100,008 in one go.

mod stage;

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};

use stage::{Done, configure, fill, place, program, python, take};
use syncpkg::spool::Spool;

const WAITING: usize = 100_000;
const LIMIT: f64 = 64.0;
/// A distribution that is rebuilt for more architectures than any has: 100,008 tickets.
const RECIPES: usize = 3_704;
const ARCHS: usize = 27;

fn main() -> Done {
    let (place, mut out) = (place()?, std::io::stdout());
    let spool = Spool::create(&place.path().join("spool"))?;
    let archs: Vec<String> = (0..ARCHS).map(|n| format!("arch{n}")).chain(["x86_64".to_owned()]).collect();
    let config = configure(place.path(), RECIPES, &archs)?;
    let (empty, lines) = (place.path().join("empty"), place.path().join("lines"));
    Spool::create(&empty)?;
    let all =
        (0..RECIPES).flat_map(|n| archs.iter().take(ARCHS).map(move |arch| format!("p{n}-1-1-{arch}\n")));
    std::fs::write(&lines, all.collect::<String>())?;
    fill(&spool, WAITING)?;
    let claim = take(&spool, &"b1".parse()?)?.claim.to_string();
    let mut is_too_much = false;
    writeln!(out, "most memory with {WAITING} tickets waiting; the limit is {LIMIT} MiB")?;
    for (name, words) in [
        ("true", ""),
        ("syncpkg-enqueue", "p0/PKGBUILD"),
        ("syncpkg-claim", "--builder b2 --arch x86_64"),
        ("syncpkg-beat", &*claim),
        ("syncpkg-report", &format!("{claim} --outcome failed")),
        ("syncpkg-abort", "before20"),
        ("syncpkg-why", "before11"),
        ("syncpkg-ls", "--json"),
        ("syncpkg-check", ""),
        ("syncpkg-enqueue", &format!("--spool {} --batch b --hold-publish -", empty.display())),
    ] {
        let stdin = if words.ends_with('-') { &lines } else { Path::new("/dev/null") };
        let (peak, status) = peak(&config, name, words, stdin)?;
        is_too_much |= peak > LIMIT;
        let verdict = if peak > LIMIT { "  TOO MUCH" } else { "" };
        let name = if words.ends_with('-') { "a mass rebuild" } else { name };
        writeln!(out, "{name:16}{peak:7.1} MiB  status {status}{verdict}")?;
    }
    if is_too_much { Err("a program takes more memory than it may".into()) } else { Ok(()) }
}

fn peak(config: &Path, name: &str, words: &str, stdin: &Path) -> Done<(f64, f64)> {
    let path = if name.starts_with("syncpkg") { program(name) } else { PathBuf::from(name) };
    let mut line = vec![OsStr::new("peak"), stdin.as_os_str(), path.as_os_str()];
    if name != "true" {
        line.extend([OsStr::new("--config"), config.as_os_str()]);
    }
    line.extend(words.split_whitespace().map(OsStr::new));
    match python(&line)?[..] {
        [peak, status] => Ok((peak / 1024.0, status)),
        _ => Err("peers.py printed something else".into()),
    }
}
