//! What the benchmarks share: requests, a full spool, medians, and where it all happens.

#![allow(dead_code, reason = "each benchmark uses some of it")]

use std::error::Error;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use syncpkg::base::Clock;
use syncpkg::names::{Builder, Id, Instance, Name, Outcome, Priority};
use syncpkg::spool::claim::{self, Claimed, Request};
use syncpkg::spool::queue::{self, Ask};
use syncpkg::spool::report::{self, Ending};
use syncpkg::spool::{Spool, batch};

pub type Done<T = ()> = Result<T, Box<dyn Error>>;

/// A directory on the file system to be measured: the operand, or cargo's target directory.
pub fn place() -> Done<tempfile::TempDir> {
    let operand =
        std::env::args().skip(1).find(|word| !word.starts_with('-') && word != "million").map(PathBuf::from);
    Ok(tempfile::tempdir_in(operand.unwrap_or_else(|| env!("CARGO_TARGET_TMPDIR").into()))?)
}

/// A request for version 1 of `name`, which needs `depends`.
pub fn ask(name: &str, depends: &[&str]) -> Done<Ask> {
    let depends = depends.iter().map(|name| name.parse()).collect::<Result<std::sync::Arc<[Name]>, _>>()?;
    Ok(Ask {
        tree: "current".parse()?,
        item: format!("{name}-1.0-1-x86_64").parse()?,
        revision: "0123456789abcdef0123456789abcdef01234567".parse()?,
        path: format!("source/x/{name}/FrugalBuild"),
        priority: Priority::Push,
        by: "bench".to_owned(),
        reason: String::new(),
        maintainer: Some("A Developer <a@example.org>".to_owned()),
        batch: None,
        packages: vec![name.parse()?],
        depends,
        exact: true,
        force: false,
        spare_aborted: false,
        published: false,
    })
}

/// Claims one ticket.
pub fn take(spool: &Spool, builder: &Builder) -> Done<Claimed> {
    let archs = vec!["x86_64".parse()?];
    let request = Request {
        builder: builder.clone(),
        instance: Instance::random()?,
        archs,
        count: 1,
        choice: Default::default(),
    };
    claim::take(spool, &request, &Clock::system())?.pop().ok_or_else(|| "nothing to claim".into())
}

/// Reports a claim as failed.
pub fn end(spool: &Spool, claimed: &Claimed) -> Done {
    let ending = Ending {
        outcome: Outcome::Failed,
        stage: None,
        reason: String::new(),
        exit: None,
        host: String::new(),
        log: None,
        files: Vec::new(),
    };
    Ok(report::end(
        spool,
        &claimed.claim,
        &ending,
        &syncpkg::config::TroubleSection::default(),
        &Clock::system(),
    )?)
}

/// The time one call takes.
pub fn timed<T>(call: impl FnOnce() -> Done<T>) -> Done<(Duration, T)> {
    let start = Instant::now();
    let value = call()?;
    Ok((start.elapsed(), value))
}

/// The median, microseconds.
pub fn median(times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default().as_secs_f64() * 1e6
}

/// Asks for `count` packages; nine in ten wait for the first, and all belong to a batch that is held back. Returns how long
/// that took.
pub fn fill(spool: &Spool, count: usize) -> Done<Duration> {
    let start = Instant::now();
    let (tree, mut asked) = ("current".parse()?, Vec::new());
    for first in (0..count).step_by(20_000) {
        let asks = (first..count.min(first + 20_000)).map(|n| {
            let depends: &[&str] = if n % 10 == 0 { &[] } else { &["before0"] };
            ask(&format!("before{n}"), depends)
        });
        let asks = asks.collect::<Done<Vec<Ask>>>()?;
        queue::enqueue(spool, &asks, &Clock::system(), Duration::ZERO)?;
        asked.extend(asks.into_iter().map(|ask| (Id::new(Clock::system().now()), ask.item)));
    }
    let tickets = asked.iter().map(|ticket| (&tree, ticket)).collect();
    batch::hold(spool, &"b".parse()?, tickets, &Clock::system())?;
    Ok(start.elapsed())
}

/// A program of ours.
pub fn program(name: &str) -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_syncpkg-enqueue")).with_file_name(name)
}

/// Makes a tree of recipes without version control, and a configuration for it and the spool in `root`.
pub fn configure(root: &Path, recipes: usize, archs: &[String]) -> Done<PathBuf> {
    for n in 0..recipes {
        let directory = root.join(format!("tree/p{n}"));
        fs::create_dir_all(&directory)?;
        let text = format!("pkgname=p{n}\npkgver=1\npkgrel=1\narch=({})\n", archs.join(" "));
        fs::write(directory.join("PKGBUILD"), text)?;
    }
    let file = root.join("syncpkg.toml");
    let root = root.display();
    let text = format!(
        "spool = \"{root}/spool\"\n[tree.current]\nscm = \"none\"\npath = \"{root}/tree\"\n\
         recipes = \"*/PKGBUILD\"\nformat = \"pkgbuild\"\narchs = {archs:?}\n"
    );
    fs::write(&file, text)?;
    Ok(file)
}

/// Runs the Python part; returns the numbers it printed.
pub fn python(words: &[&OsStr]) -> Done<Vec<f64>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers.py");
    let output = Command::new("python3").arg(script).args(words).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("peers.py {words:?} failed").into());
    }
    let text = String::from_utf8(output.stdout)?;
    Ok(text.split_whitespace().map(str::parse).collect::<Result<_, _>>()?)
}

/// Tells whether a program is installed.
pub fn is_installed(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]).any(|place| place.join(name).exists())
}
