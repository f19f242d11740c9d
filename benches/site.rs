//! What the pages cost: a farm with 4,000 packages and 350,000 finished tickets of two years, one in ten with a log;
//! everything from nothing, again with nothing new, and after one more result, each by a program of its own, and the most
//! memory one took. Each is done several times, and the median is what counts: the first time from nothing, a virtual
//! machine may be given its memory only now. Beside everything from nothing: what the bare reading and writing of as many
//! files costs. Leave the machine idle.

mod stage;

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use stage::{Done, median, place, timed};
use syncpkg::base::{Clock, Error, together};
use syncpkg::farm::site;
use syncpkg::spool::{Spool, TicketName, list};

const PACKAGES: usize = 4_000;
const TICKETS: usize = 350_000;
const DAYS: usize = 730;

/// The word that makes this program one that writes the site of the spool in the next operand, and says what it did.
const ROUND: &str = "round";

fn main() -> Done {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [ROUND, place, ..] = words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        return round(Path::new(place));
    }
    let (place, mut out) = (place()?, std::io::stdout());
    let spool = Spool::create(&place.path().join("spool"))?;
    for n in 0..TICKETS {
        ticket(spool.root(), n)?;
    }
    std::thread::sleep(Duration::from_secs(3));
    let site = place.path().join("site");
    // Not removed: what is made just after so much was removed takes several times as long.
    let anew = |n: usize| {
        for made in [&site, &spool.root().join("cache")].into_iter().filter(|made| made.exists()) {
            fs::rename(made, made.with_extension(n.to_string()))?;
        }
        Ok(())
    };
    let whole = rounds(3, place.path(), ("everything from nothing", 20_000.0), anew)?;
    let bare = floor(&spool, place.path())?.as_secs_f64() * 1000.0;
    writeln!(out, "{:26}{bare:9.0} ms for as many files; ours takes {:.1} times that", "", whole / bare)?;
    rounds(5, place.path(), ("nothing new", 100.0), |_| Ok(()))?;
    let one_more = |n| {
        std::thread::sleep(Duration::from_secs(3));
        ticket(spool.root(), TICKETS + n)
    };
    rounds(5, place.path(), ("after one more result", 100.0), one_more)?;
    let (largest, path) = largest(&site)?;
    let front = fs::metadata(site.join("index.html"))?.len();
    writeln!(out, "largest page {largest} bytes ({path}); front page {front} bytes")?;
    Ok(())
}

/// Has the site written `count` times, each after `before`; says how each was, and returns the median of how long they took,
/// milliseconds.
fn rounds(
    count: usize,
    place: &Path,
    (what, limit): (&str, f64),
    before: impl Fn(usize) -> Done,
) -> Done<f64> {
    let mut took = Vec::new();
    for n in 0..count {
        before(n)?;
        let mut program = Command::new(std::env::current_exe()?);
        let done = program.arg(ROUND).arg(place).stderr(Stdio::inherit()).output()?;
        let said = String::from_utf8(done.stdout)?;
        let numbers = said.split_whitespace().map(str::parse).collect::<Result<Vec<f64>, _>>()?;
        let [time, changed, looked, memory] = numbers[..] else { return Err("the round failed".into()) };
        let verdict = if memory > 128.0 { "  TOO MUCH MEMORY" } else { "" };
        writeln!(
            std::io::stdout(),
            "{what:26}{time:9.0} ms, {changed} files written, {looked} packages looked at, {memory:.0} MiB{verdict}"
        )?;
        took.push(Duration::from_secs_f64(time / 1000.0));
    }
    let median = median(&mut took) / 1000.0;
    let verdict = if median > limit { "  TOO LONG" } else { "" };
    writeln!(std::io::stdout(), "{:26}{median:9.0} ms is the median, {limit} the limit{verdict}", "")?;
    Ok(median)
}

/// Writes the site; prints milliseconds, files, packages, and MiB of memory.
fn round(place: &Path) -> Done {
    let text =
        format!("site = {:?}\n[tree.current]\nscm = \"none\"\npath = \"/nowhere\"\n", place.join("site"));
    let config = syncpkg::config::parse(&text, "bench")?;
    let (clock, spool) = (Clock::fixed("2026-11-22T12:00:00Z".parse()?), Spool::open(&place.join("spool"))?);
    let (took, written) = timed(|| Ok(site::write(&config, &spool, &|_, _| (), &clock)?))?;
    let status = fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    let peak: f64 = peak.trim().trim_end_matches(" kB").parse()?;
    let took = took.as_secs_f64() * 1000.0;
    writeln!(std::io::stdout(), "{took} {} {} {}", written.changed, written.looked, peak / 1024.0)?;
    Ok(())
}

/// Reads every ticket and its report, and writes a page for each as the site's are written, without a look at anything.
fn floor(spool: &Spool, place: &Path) -> Done<Duration> {
    let to = place.join("floor");
    fs::create_dir(&to)?;
    let page = [b'x'; 6_000];
    let one = |path: PathBuf, name: &TicketName| -> std::io::Result<()> {
        let report = spool.root().join("report").join(name.id.day());
        fs::read(path)?;
        fs::read(report.join(format!("{}.{}.toml", name.try_word(), name.state())))?;
        let place = to.join(name.id.as_str());
        fs::create_dir(&place)?;
        fs::write(place.join(".new"), page)?;
        fs::rename(place.join(".new"), place.join("index.html"))
    };
    let packages = list::packages(spool)?;
    let (took, _) = timed(|| {
        Ok(together(&packages, |(tree, package)| {
            let place = spool.root().join("done").join(tree).join(package);
            for name in list::names(&place)? {
                let path = place.join(&name);
                one(path.clone(), &name.parse()?).map_err(|source| Error::io("read", &path, source))?;
            }
            Ok(())
        })?)
    })?;
    fs::remove_dir_all(&to)?;
    Ok(took)
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
