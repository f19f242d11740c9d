//! What the benchmarks share: requests, a full spool, medians, and where it all happens.

use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use syncpkg::base::Clock;
use syncpkg::names::{Builder, Instance, Name, Outcome, Priority};
use syncpkg::spool::Spool;
use syncpkg::spool::claim::{self, Claimed, Request};
use syncpkg::spool::queue::Ask;
use syncpkg::spool::report::{self, Ending};

pub type Done<T = ()> = Result<T, Box<dyn Error>>;

/// A directory on the file system to be measured: the operand, or cargo's target directory.
pub fn place() -> Done<tempfile::TempDir> {
    let operand = std::env::args().skip(1).find(|word| !word.starts_with('-')).map(PathBuf::from);
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
    let request = Request { builder: builder.clone(), instance: Instance::random()?, archs, count: 1 };
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
