//! A full disk: programs say so and end with 75, lose nothing, and go on by themselves as soon as there is room.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};

use crate::found::Found;
use crate::life::{Claimed, Life, Ran};
use crate::mounts::{self, Mounted, say};

/// What the file system may run out of: how it is mounted, and how all but so many units of it are taken up.
struct Room {
    of: &'static str,
    options: &'static str,
    leave: fn(&Path, usize),
}

const BYTES: Room = Room { of: "bytes", options: "size=4m", leave: leave_pages };

const INODES: Room = Room { of: "inodes", options: "size=64m,nr_inodes=400", leave: leave_inodes };

/// What tmpfs gives to a file at least, bytes.
const PAGE: u64 = 4096;

fn leave_pages(disk: &Path, pages: usize) {
    let path = disk.join("ballast");
    let mut file = File::create(&path).unwrap();
    while file.write_all(&[1; PAGE as usize]).is_ok() {}
    let length = file.metadata().unwrap().len() / PAGE * PAGE;
    file.set_len(length - pages as u64 * PAGE).unwrap();
}

fn leave_inodes(disk: &Path, inodes: usize) {
    let directory = disk.join("ballast");
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir(&directory).unwrap();
    let file = |n: usize| directory.join(n.to_string());
    let made = (0..).take_while(|n| File::create(file(*n)).is_ok()).count();
    (0..inodes.min(made)).for_each(|n| fs::remove_file(file(n)).unwrap());
}

/// A farm on a small file system: three tickets are being built, others wait.
struct Full {
    life: Life,
    now: Timestamp,
    /// What is asked of it while it is full: command line and input, each until it is done.
    asked: Vec<(String, String)>,
}

impl Full {
    fn new() -> Self {
        Self { life: Life::new(), now: "2026-11-22T12:00:00Z".parse().unwrap(), asked: Vec::new() }
    }

    #[track_caller]
    fn ok(&self, line: &str) -> String {
        let ran = self.life.run_at(line, "", self.now);
        assert!(ran.status == 0 && ran.err.is_empty(), "$ {line}\n{}{}", ran.out, ran.err);
        ran.out
    }

    fn look(&self) -> Found {
        Found::of(&self.life, self.now).unwrap()
    }

    fn begin(&mut self) {
        let names: Vec<String> = (0..20).map(|n| format!("p{n:02}")).collect();
        self.life.commit(&names, "");
        self.ok("syncpkg-init");
        for name in &names[..8] {
            self.now += SignedDuration::from_secs(1);
            self.ok(&format!("syncpkg-enqueue {name}"));
        }
        let out = self.ok("syncpkg-claim --builder b1 --arch x86_64 --count 4 --json");
        let held = Claimed::read(&out);
        self.life.commit(&["p06".to_owned()], "# a later revision");
        self.ask(&held);
    }

    fn ask(&mut self, held: &[Claimed]) {
        let (log, package) =
            (self.life.at("log"), self.life.at(&format!("{}-1-1-x86_64.pkg.tar.gz", held[0].name)));
        fs::write(&log, "line\n".repeat(2000)).unwrap();
        fs::write(&package, "package".repeat(3000)).unwrap();
        let (log, package) = (log.display(), package.display());
        let report = |n: usize| format!("syncpkg-report {}", held[n].claim);
        let batch: String = (10..16).map(|n| format!("p{n}\n")).collect();
        let lines = [
            ("syncpkg-enqueue p08".to_owned(), ""),
            ("syncpkg-enqueue -".to_owned(), batch.as_str()),
            ("syncpkg-enqueue --priority urgent p07".to_owned(), ""),
            ("syncpkg-enqueue p06/PKGBUILD".to_owned(), ""),
            (format!("{} --outcome built --log {log} --file {package}", report(0)), ""),
            (format!("{} --outcome failed --log {log}", report(1)), ""),
            (format!("{} --outcome trouble --reason disk", report(2)), ""),
            (format!("syncpkg-abort {}", held[3].name), ""),
            ("syncpkg-abort p05".to_owned(), ""),
            ("syncpkg-claim --builder b2 --arch x86_64".to_owned(), ""),
            ("syncpkgd --once".to_owned(), ""),
        ];
        self.asked = lines.map(|(line, input)| (line, input.to_owned())).to_vec();
    }

    /// Asks for everything that is not done yet; returns how many were refused.
    fn ask_again(&mut self) -> usize {
        let asked = std::mem::take(&mut self.asked);
        for (line, input) in asked {
            let before = self.look();
            let ran = self.life.run_at(&line, &input, self.now);
            assert!(
                self.look().lost(&before).is_empty(),
                "$ {line}\n{}: {:?}",
                ran.err,
                self.look().lost(&before)
            );
            if ran.status != 0 {
                self.says_why(&line, &ran);
                self.asked.push((line, input));
            }
        }
        self.asked.len()
    }

    /// 75, and on one line which file there was no room for. (A round has several parts, and says nothing twice.)
    fn says_why(&self, line: &str, ran: &Ran) {
        let program = line.split(' ').next().unwrap();
        let disk = self.life.disk().display().to_string();
        let clear = |said: &str| {
            said.starts_with(&format!("{program}: "))
                && said.contains(": cannot ")
                && said.contains(&disk)
                && said.ends_with(": No space left on device")
        };
        let lines = ran.err.lines().count();
        let enough = if program == "syncpkgd" { true } else { lines == 1 };
        assert!(
            ran.status == 75 && enough && ran.err.lines().all(clear),
            "$ {line}\n{}: {}",
            ran.status,
            ran.err
        );
    }

    /// Nothing is wrong, and all that was asked for has come about, once.
    fn is_sound(&self) {
        assert_eq!(self.ok("syncpkg-check"), "");
        let (found, disk) = (self.look(), self.life.disk());
        let states = ["p00", "p01", "p03", "p05"].map(|name| found.states(name));
        assert_eq!(states, [["built"], ["failed"], ["aborted"], ["aborted"]]);
        assert_eq!(found.states("p06"), ["superseded", "waiting"]);
        assert!(disk.join("packages/p00-1-1-x86_64.pkg.tar.gz").exists());
    }
}

/// The room grows from nothing, a little at a time, so that there is none left at every step of every program once.
fn full(room: &Room) {
    let mut farm = Full::new();
    let disk = farm.life.disk();
    let _mounted = Mounted::new(Path::new("none"), &disk, "tmpfs", room.options).unwrap();
    farm.begin();
    let (mut refused, mut left) = (0, 0);
    while !farm.asked.is_empty() {
        (room.leave)(&disk, left);
        refused += farm.ask_again();
        left += 1;
        assert!(left < 200, "never done: {:?}", farm.asked);
    }
    // What there was no room to publish is held, with the reason, until the next round that has room.
    (room.leave)(&disk, left + 20);
    farm.ok("syncpkgd --once");
    farm.is_sound();
    say(&format!("disk full: {}: {refused} times refused, all done with room for {left}", room.of));
    assert!(refused > 20, "it never was full");
}

#[test]
fn a_disk_without_room_for_bytes_loses_nothing_and_all_goes_on_when_there_is_some() {
    let test = "disk_full::a_disk_without_room_for_bytes_loses_nothing_and_all_goes_on_when_there_is_some";
    mounts::alone(test, &["git"], || full(&BYTES));
}

#[test]
fn a_disk_without_room_for_files_loses_nothing_and_all_goes_on_when_there_is_some() {
    let test = "disk_full::a_disk_without_room_for_files_loses_nothing_and_all_goes_on_when_there_is_some";
    mounts::alone(test, &["git"], || full(&INODES));
}
