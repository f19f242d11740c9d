//! What durable operations cost over the least that the disk can do for them: the same system calls, bare. Both side
//! by side on one file system, in turns, medians of the rounds. A ratio of 1 is the floor itself.

mod stage;

use std::fs::{self, File, FileTimes};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use stage::{Done, ask, end, median, place, take, timed};
use syncpkg::base::Clock;
use syncpkg::spool::queue::{self, Ask};
use syncpkg::spool::{Spool, list};

const ROUNDS: usize = 25;
const EACH: usize = 40;
const MANY: usize = 1000;

fn main() -> Done {
    let place = place()?;
    let mut out = std::io::stdout();
    writeln!(out, "{ROUNDS} rounds in {}, medians", place.path().display())?;
    let [mut single, mut batch, mut claim]: [[Vec<Duration>; 2]; 3] = Default::default();
    let mut together = Vec::new();
    for round in 0..ROUNDS {
        // Where the file system puts a directory makes a third of a difference: each round has others.
        let ours = Farm::new(&place.path().join(format!("spool-{round}")))?;
        let bare = Bare::new(&place.path().join(format!("bare-{round}")), ours.ticket()?)?;
        let asks = ours.known()?;
        // One and one, lest a busy moment of the machine meets only one side.
        for (n, ask) in asks.iter().enumerate() {
            single[0].push(timed(|| bare.enqueue(&n.to_string()))?.0);
            single[1].push(ours.enqueue(ask)?);
        }
        for n in 0..asks.len() {
            // Those two meet other tickets of the same directories: each its own half.
            let name = n.to_string();
            if n % 2 == 0 {
                claim[0].push(timed(|| bare.claim_and_report(&name, Bare::put_each))?.0);
            } else {
                together.push(timed(|| bare.claim_and_report(&name, Bare::put_together))?.0);
            }
            claim[1].push(timed(|| end(&ours.spool, &take(&ours.spool, &ours.builder)?))?.0);
        }
        batch[0].push(timed(|| bare.batch())?.0);
        batch[1].push(ours.batch()?);
    }
    let [plain, ours] = claim;
    for (what, each, [bare, ours]) in [
        ("enqueue", 1, &mut single),
        (&*format!("enqueue of {MANY}"), MANY, &mut batch),
        ("claim and report", 1, &mut [plain, ours.clone()]),
        // The same calls in the best order known, which is ours: what is left is what we add.
        ("  report beside note", 1, &mut [together, ours]),
    ] {
        let (bare, ours) = (median(bare) / each as f64, median(ours) / each as f64);
        writeln!(out, "{what:24} bare {bare:7.1} us, ours {ours:7.1} us, {:.2} of the floor", bare / ours)?;
    }
    Ok(())
}

/// Our side.
struct Farm {
    spool: Spool,
    builder: syncpkg::names::Builder,
}

impl Farm {
    fn new(root: &Path) -> Done<Self> {
        Ok(Self { spool: Spool::create(root)?, builder: "b1".parse()? })
    }

    /// The bytes of a real ticket, so that both sides write the same.
    fn ticket(&self) -> Done<Vec<u8>> {
        queue::enqueue(&self.spool, &[ask("sample", &[])?], &Clock::system(), Duration::ZERO)?;
        let waiting = list::waiting(&self.spool)?;
        let bytes = fs::read(&waiting.first().ok_or("no ticket")?.path)?;
        end(&self.spool, &take(&self.spool, &self.builder)?)?;
        Ok(bytes)
    }

    /// Requests for packages that the farm knows already: nothing is made for them for the first time.
    fn known(&self) -> Done<Vec<Ask>> {
        let asks = (0..EACH).map(|n| Ok(Ask { force: true, ..ask(&format!("p{n}"), &[])? }));
        let asks = asks.collect::<Done<Vec<Ask>>>()?;
        for ask in &asks {
            self.enqueue(ask)?;
            end(&self.spool, &take(&self.spool, &self.builder)?)?;
        }
        Ok(asks)
    }

    fn enqueue(&self, ask: &Ask) -> Done<Duration> {
        let one = std::slice::from_ref(ask);
        Ok(timed(|| Ok(queue::enqueue(&self.spool, one, &Clock::system(), Duration::ZERO)?))?.0)
    }

    fn batch(&self) -> Done<Duration> {
        let asks = (0..MANY).map(|n| ask(&format!("b{n}"), &[])).collect::<Done<Vec<Ask>>>()?;
        Ok(timed(|| Ok(queue::enqueue(&self.spool, &asks, &Clock::system(), Duration::ZERO)?))?.0)
    }
}

/// The floor: what has to be done by anybody who promises the same.
struct Bare {
    root: PathBuf,
    bytes: Vec<u8>,
}

impl Bare {
    fn new(root: &Path, bytes: Vec<u8>) -> Done<Self> {
        for name in ["tmp", "new", "run", "report", "owed", "done"] {
            fs::create_dir_all(root.join(name))?;
        }
        Ok(Self { root: root.to_owned(), bytes })
    }

    fn put(&self, directory: &str, name: &str, bytes: &[u8]) -> Done {
        let (temporary, file) = self.write(name, bytes)?;
        file.sync_all()?;
        self.rename(&temporary, directory, name)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Done<(PathBuf, File)> {
        let temporary = self.root.join("tmp").join(name);
        let mut file = File::create_new(&temporary)?;
        file.write_all(bytes)?;
        Ok((temporary, file))
    }

    fn rename(&self, from: &Path, directory: &str, name: &str) -> Done {
        let directory = self.root.join(directory);
        fs::rename(from, directory.join(name))?;
        Ok(File::open(directory)?.sync_all()?)
    }

    fn enqueue(&self, name: &str) -> Done {
        self.put("new", name, &self.bytes)
    }

    /// All data, one flush, all names, one fsync.
    fn batch(&self) -> Done {
        let name = |n: usize| format!("b{n}");
        for n in 0..MANY {
            File::create_new(self.root.join("tmp").join(name(n)))?.write_all(&self.bytes)?;
        }
        rustix::fs::syncfs(File::open(&self.root)?)?;
        for n in 0..MANY {
            fs::rename(self.root.join("tmp").join(name(n)), self.root.join("new").join(name(n)))?;
        }
        Ok(File::open(self.root.join("new"))?.sync_all()?)
    }

    /// The sign of life, the move with its file and both its directories (what btrfs needs lest it find two names); then
    /// the report, the note that somebody may have to be told, and again a move.
    fn claim_and_report(&self, name: &str, put: fn(&Self, &str) -> Done) -> Done {
        let times = FileTimes::new().set_modified(SystemTime::now());
        File::open(self.root.join("new").join(name))?.set_times(times)?;
        self.shift("new", "run", name)?;
        put(self, name)?;
        self.shift("run", "done", name)
    }

    fn put_each(&self, name: &str) -> Done {
        self.put("report", name, &self.bytes)?;
        self.put("owed", name, b"")
    }

    fn put_together(&self, name: &str) -> Done {
        let (report, note) = (self.write(name, &self.bytes)?, self.write(&format!("{name}.note"), b"")?);
        report.1.sync_all()?;
        note.1.sync_all()?;
        for ((temporary, _), directory) in [(report, "report"), (note, "owed")] {
            fs::rename(temporary, self.root.join(directory).join(name))?;
        }
        File::open(self.root.join("report"))?.sync_all()?;
        Ok(File::open(self.root.join("owed"))?.sync_all()?)
    }

    fn shift(&self, from: &str, to: &str, name: &str) -> Done {
        let (from, to) = (self.root.join(from), self.root.join(to));
        fs::rename(from.join(name), to.join(name))?;
        File::open(to.join(name))?.sync_all()?;
        File::open(to)?.sync_all()?;
        Ok(File::open(from)?.sync_all()?)
    }
}
