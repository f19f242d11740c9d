//! What the pages cost: a farm with 4,000 packages and 350,000 finished tickets of two years, one in ten with a log;
//! everything from nothing, again with nothing new, and after one more result. Leave the machine idle. Says how much
//! memory it took at the most.

mod stage;

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use stage::{Done, place, timed};
use syncpkg::base::Clock;
use syncpkg::config::Config;
use syncpkg::farm::site;
use syncpkg::spool::Spool;

const PACKAGES: usize = 4_000;
const TICKETS: usize = 350_000;
const DAYS: usize = 730;

fn main() -> Done {
    let (place, mut out) = (place()?, std::io::stdout());
    let spool = Spool::create(&place.path().join("spool"))?;
    for n in 0..TICKETS {
        ticket(spool.root(), n)?;
    }
    let text = format!(
        "site = {:?}\n[tree.current]\nscm = \"none\"\npath = \"/nowhere\"\n",
        place.path().join("site")
    );
    let config = syncpkg::config::parse(&text, "bench")?;
    let clock = Clock::fixed("2026-11-22T12:00:00Z".parse()?);
    std::thread::sleep(std::time::Duration::from_secs(3));
    for (what, limit) in [("everything from nothing", 20_000.0), ("nothing new", 100.0)] {
        write(&config, &spool, &clock, (what, limit), &mut out)?;
    }
    for n in 0..5 {
        ticket(spool.root(), TICKETS + n)?;
        write(&config, &spool, &clock, ("after one more result", 100.0), &mut out)?;
        std::thread::sleep(std::time::Duration::from_secs(3));
    }
    let status = fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    writeln!(out, "most memory: {}; the limit is 128 MiB", peak.trim())?;
    let (largest, path) = largest(&config.site)?;
    let front = fs::metadata(config.site.join("index.html"))?.len();
    writeln!(out, "largest page {largest} bytes ({path}); front page {front} bytes")?;
    Ok(())
}

fn write(
    config: &Config,
    spool: &Spool,
    clock: &Clock,
    (what, limit): (&str, f64),
    out: &mut std::io::Stdout,
) -> Done {
    let (took, written) = timed(|| Ok(site::write(config, spool, &|_, _| (), clock)?))?;
    let took = took.as_secs_f64() * 1000.0;
    let verdict = if took > limit { "  TOO LONG" } else { "" };
    writeln!(
        out,
        "{what:26}{took:9.0} ms, {} files written, {} packages looked at{verdict}",
        written.changed, written.looked
    )?;
    Ok(())
}

/// Writes a finished ticket as it lies in the spool.
fn ticket(root: &Path, n: usize) -> Done {
    let start: jiff::Timestamp = "2024-11-23T00:00:00Z".parse()?;
    let step = i64::try_from(DAYS * 86_400 / TICKETS)?;
    let asked = start + jiff::SignedDuration::from_secs(step * i64::try_from(n)?);
    let (began, ended) =
        (asked + jiff::SignedDuration::from_secs(90), asked + jiff::SignedDuration::from_secs(400));
    let (package, round) = (n % PACKAGES, n / PACKAGES);
    let name = format!("{}package{package}", char::from(b'a' + u8::try_from(package % 26)?));
    let outcome = if n % 20 == 7 { "failed" } else { "built" };
    let random: String = format!("{n:06}").bytes().map(|digit| char::from(digit - b'0' + b'a')).collect();
    let (day, id) = (asked.strftime("%Y%m%d"), format!("{}-000-{random}", asked.strftime("%Y%m%d-%H%M%S")));
    let base = format!(
        "format = 1\nid = \"{id}\"\ntree = \"current\"\nname = \"{name}\"\nversion = \"{round}.0\"\nrelease = \"1\"\n\
         arch = \"x86_64\"\nrevision = \"0123456789abcdef0123456789abcdef01234567\"\n"
    );
    let mut text = base.clone();
    writeln!(
        text,
        "path = \"source/x/{name}/FrugalBuild\"\npriority = \"push\"\nasked = \"{asked}\"\nby = \"janny\""
    )?;
    writeln!(text, "reason = \"push\"\nmaintainer = \"Maintainer {0} <m{0}@example.org>\"", package % 64)?;
    writeln!(
        text,
        "packages = [\"{name}\"]\ndepends = [\"{}package{}\"]",
        char::from(b'a' + u8::try_from(package / 9 % 26)?),
        package / 9
    )?;
    let place = root.join(format!("done/current/{name}"));
    fs::create_dir_all(&place)?;
    fs::write(place.join(format!("5,{id},current,{name}-{round}.0-1-x86_64,e1,{outcome}")), text)?;
    let log = n % 10 == 7;
    let mut report = format!("{base}epoch = 1\noutcome = \"{outcome}\"\n");
    if outcome == "failed" {
        report.push_str("stage = \"build\"\nreason = \"the command exited with status 2\"\nexit = 2\n");
    }
    writeln!(
        report,
        "builder = \"b{}\"\nhost = \"host\"\nstarted = \"{began}\"\nended = \"{ended}\"\nlog = {log}",
        n % 12
    )?;
    for (place, file, text) in [
        ("report", format!("{id}.1.{outcome}.toml"), report),
        (
            "log",
            format!("{id}.1.log"),
            "gcc -c x.c\nx.c:1: error: no such thing\nmake: *** Error 1\n".repeat(10),
        ),
    ] {
        if place == "report" || log {
            let place = root.join(format!("{place}/{day}"));
            fs::create_dir_all(&place)?;
            fs::write(place.join(file), text)?;
        }
    }
    Ok(())
}

/// Returns the size and the path of the largest page, logs aside.
fn largest(site: &Path) -> Done<(u64, String)> {
    let mut largest = (0, String::new());
    for entry in walkdir::WalkDir::new(site) {
        let entry = entry?;
        let size = entry.metadata()?.len();
        if entry.path().extension().is_some_and(|end| end == "html") && size > largest.0 {
            largest = (size, entry.path().strip_prefix(site)?.display().to_string());
        }
    }
    Ok(largest)
}
