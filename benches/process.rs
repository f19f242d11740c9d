//! What whole programs cost: ours, beside `true` (the least a dynamically linked process costs) and programs of others
//! that put something into a queue. In turns, medians of the rounds.

mod stage;

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use stage::{Done, ask, configure, is_installed, median, place, program, timed};
use syncpkg::base::Clock;
use syncpkg::spool::{Spool, list, queue};

const ROUNDS: usize = 5;
const EACH: usize = 20;

/// What is measured, the program others need for it, and what it does not promise.
const SUBJECTS: [(&str, &str, &str); 10] = [
    ("true", "true", ""),
    ("syncpkg-beat --version", "true", ""),
    ("mdeliver", "mdeliver", "no fsync of the directory"),
    ("nq true", "nq", "no fsync of the command"),
    ("tsp -n true", "tsp", "in memory only"),
    ("syncpkg-enqueue RECIPE", "bwrap", "of it, the next for reading"),
    ("syncpkg-recipe RECIPE", "bwrap", "reads in a sandbox, enqueues nothing"),
    ("syncpkg-claim", "true", ""),
    ("syncpkg-beat", "true", ""),
    ("syncpkg-report", "true", ""),
];

fn main() -> Done {
    let stage = Stage::new(place()?)?;
    let mut times = vec![Vec::new(); SUBJECTS.len()];
    for round in 0..ROUNDS {
        stage.fill(round)?;
        let mut claims = Vec::new();
        for (subject, times) in SUBJECTS.iter().zip(&mut times).filter(|(subject, _)| is_installed(subject.1))
        {
            times.push(stage.round(subject.0, round, &mut claims)?);
        }
        stage.rest()?;
    }
    print(&stage, &mut times)
}

fn print(stage: &Stage, times: &mut [Vec<Duration>]) -> Done {
    let mut out = std::io::stdout();
    writeln!(out, "{ROUNDS} rounds of {EACH} processes in {}, medians", stage.root.path().display())?;
    let cost_of = |at: usize| times.get(at).map_or(0.0, |times| median(&mut times.clone()) / EACH as f64);
    let (bare, peer) = (cost_of(0), Some(cost_of(2)).filter(|cost| *cost > 0.0));
    for ((what, needs, remark), times) in SUBJECTS.iter().zip(times) {
        if times.is_empty() {
            writeln!(out, "{what}: {needs} is not installed")?;
            continue;
        }
        let cost = median(times) / EACH as f64;
        let beside = peer.map_or(String::new(), |peer| format!("{:6.2}x mdeliver", cost / peer));
        writeln!(out, "{what:24}{cost:9.0} us{:7.2}x true{beside}  {remark}", cost / bare)?;
    }
    Ok(())
}

struct Stage {
    root: tempfile::TempDir,
    spool: Spool,
    config: PathBuf,
    ticket: PathBuf,
}

impl Stage {
    fn new(root: tempfile::TempDir) -> Done<Self> {
        let spool = Spool::create(&root.path().join("spool"))?;
        let config = configure(root.path(), EACH * ROUNDS, &["x86_64".to_owned()])?;
        for name in ["maildir/tmp", "maildir/new", "maildir/cur", "nq"] {
            fs::create_dir_all(root.path().join(name))?;
        }
        queue::enqueue(&spool, &[ask("sample", &[])?], &Clock::system(), Duration::ZERO)?;
        let ticket = root.path().join("ticket");
        fs::copy(&list::waiting(&spool)?.first().ok_or("no ticket")?.path, &ticket)?;
        Ok(Self { root, spool, config, ticket })
    }

    /// What is claimed in this round.
    fn fill(&self, round: usize) -> Done {
        let asks = (0..EACH).map(|n| ask(&format!("r{round}-{n}"), &[])).collect::<Done<Vec<_>>>()?;
        queue::enqueue(&self.spool, &asks, &Clock::system(), Duration::ZERO)?;
        Ok(())
    }

    /// A round of one subject; claims are kept for those after it.
    fn round(&self, subject: &str, round: usize, claims: &mut Vec<String>) -> Done<Duration> {
        let mut printed = Vec::with_capacity(EACH);
        let mut commands = (0..EACH)
            .map(|n| self.command(subject, EACH * round + n, claims.get(n)))
            .collect::<Done<Vec<Command>>>()?;
        let (took, ()) = timed(|| {
            commands.iter_mut().try_for_each(|command| {
                let output = command.output()?;
                if !output.status.success() {
                    return Err(format!("{subject}: {output:?}").into());
                }
                printed.push(output.stdout);
                Ok(())
            })
        })?;
        if subject == "syncpkg-claim" {
            *claims = printed.into_iter().map(claim).collect::<Done<_>>()?;
        }
        Ok(took)
    }

    fn command(&self, subject: &str, number: usize, claim: Option<&String>) -> Done<Command> {
        let words: Vec<&str> = subject.split(' ').collect();
        let name = *words.first().ok_or("no program")?;
        let path = if name.starts_with("syncpkg") { program(name) } else { PathBuf::from(name) };
        let mut command = Command::new(path);
        command.env("SYNCPKG_CONFIG", &self.config).stdin(Stdio::null()).stderr(Stdio::inherit());
        command.env("NQDIR", self.at("nq")).env("TS_SOCKET", self.at("tsp")).env("TMPDIR", self.root.path());
        match name {
            "mdeliver" => command.arg(self.at("maildir")).stdin(File::open(&self.ticket)?),
            "syncpkg-enqueue" | "syncpkg-recipe" => command.arg(format!("p{number}/PKGBUILD")),
            "syncpkg-claim" => command.args(["--builder", "b1", "--arch", "x86_64"]),
            "syncpkg-beat" if words.len() == 1 => command.args(claim),
            "syncpkg-report" => command.args(claim).args(["--outcome", "failed"]),
            _ => command.args(words.get(1..).unwrap_or_default()),
        };
        Ok(command)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Lets the queues of others run dry, lest they disturb whoever comes next.
    fn rest(&self) -> Done {
        for (name, option) in [("nq", "-w"), ("tsp", "-w")] {
            if is_installed(name) {
                self.command(&format!("{name} {option}"), 0, None)?.output()?;
            }
        }
        Ok(())
    }
}

impl Drop for Stage {
    /// The server that the first `tsp` started.
    fn drop(&mut self) {
        if is_installed("tsp") && Path::new(&self.at("tsp")).exists() {
            let _ = Command::new("tsp").arg("-K").env("TS_SOCKET", self.at("tsp")).status();
        }
    }
}

fn claim(printed: Vec<u8>) -> Done<String> {
    let table: toml::Table = String::from_utf8(printed)?.parse()?;
    Ok(table.get("claim").and_then(toml::Value::as_str).ok_or("no claim")?.to_owned())
}
