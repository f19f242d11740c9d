//! Clocks that lie: the wall clock jumps, the master is restarted, somebody stands still. Nobody loses a lease early,
//! nothing is lost, and what is silent for a lease does come back.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use syncpkg::base::{Clock, lock};
use syncpkg::config::{LimitSection, TroubleSection};
use syncpkg::names::{Outcome, State};
use syncpkg::spool::claim::{self, Request};
use syncpkg::spool::lease::{self, Beat};
use syncpkg::spool::report::{self, Ending};
use syncpkg::spool::{Claim, Spool, check, list, queue};

use crate::race::actor::ask;
use crate::race::chance::Chance;
use crate::stage::{Stage, ended, say};

const WALL: &str = "TORTURE_WALL";
const PLACE: &str = "TORTURE_PLACE";
const HOUR: i64 = 3600;
const YEAR: i64 = 365 * 24 * HOUR;

/// A master and its builders, called as the programs call them.
struct Master {
    spool: Spool,
    clock: Clock,
}

impl Master {
    fn new(place: &Path) -> Self {
        Self { spool: Spool::create(&place.join("spool")).unwrap(), clock: Clock::system() }
    }

    fn enqueue(&self, item: &str, revision: &str) -> String {
        let asks = [ask(item, revision)];
        let answers = queue::enqueue(&self.spool, &asks, &self.clock, lock::PATIENCE).unwrap();
        answers[0].ticket().unwrap().id.to_string()
    }

    fn claim(&self, builder: &str, instance: &str) -> Claim {
        let request = Request {
            builder: builder.parse().unwrap(),
            instance: instance.parse().unwrap(),
            archs: vec!["x86_64".parse().unwrap()],
            count: 1,
            choice: Default::default(),
        };
        claim::take(&self.spool, &request, &self.clock).unwrap()[0].claim.clone()
    }

    fn beat(&self, claim: &Claim) -> bool {
        lease::beat(&self.spool, claim, None, &LimitSection::default()).unwrap() == Beat::GoOn
    }

    fn built(&self, claim: &Claim) {
        let ending = Ending {
            outcome: Outcome::Built,
            stage: None,
            reason: String::new(),
            exit: None,
            host: String::new(),
            log: None,
            files: Vec::new(),
        };
        report::end(&self.spool, claim, &ending, &TroubleSection::default(), &self.clock).unwrap();
    }

    /// How many lost their lease.
    fn reclaim(&self, lease: Duration) -> usize {
        lease::reclaim(&self.spool, lease, &TroubleSection::default(), &self.clock).unwrap().len()
    }

    fn states(&self, state: State) -> usize {
        list::all(&self.spool).unwrap().iter().filter(|entry| entry.state() == state).count()
    }

    #[track_caller]
    fn is_sound(&self) {
        assert_eq!(check::check(&self.spool, false, &self.clock).unwrap(), []);
    }
}

/// Sets this process's wall clock, which [`wall`] has made settable.
fn set_wall(seconds: i64) {
    fs::write(std::env::var(WALL).unwrap(), seconds.to_string()).unwrap();
}

/// Begins this program anew with a wall clock that can be set, to run one test; false where there is no compiler.
fn wall(test: &str) -> bool {
    let stage = Stage::new();
    let (source, library) =
        (concat!(env!("CARGO_MANIFEST_DIR"), "/tests/torture/wall.c"), stage.beside("wall.so"));
    let compiled =
        Command::new("cc").args(["-shared", "-fPIC", "-O", "-o"]).arg(&library).arg(source).status();
    if !compiled.is_ok_and(|status| status.success()) {
        say(&format!("{test}: not tried: there is no C compiler"));
        return false;
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--include-ignored", "--nocapture"]).env("LD_PRELOAD", library);
    command.env(WALL, stage.beside("wall")).env(PLACE, stage.at("")).stdin(Stdio::null());
    let ran = ended(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    assert!(ran.status.success(), "{ran:?}");
    ran.out.lines().filter(|line| line.starts_with("clock")).for_each(say);
    true
}

#[test]
fn jumps_of_the_wall_clock_expire_nothing_early_and_lose_nothing() {
    wall("clock::the_wall_clock_jumps");
}

/// Not a test by itself: run by the one above, with a wall clock that can be set.
#[test]
#[ignore = "begun by another"]
fn the_wall_clock_jumps() {
    let Ok(place) = std::env::var(PLACE) else { return };
    let (master, mut chance) = (Master::new(Path::new(&place)), Chance::new(7));
    let before = Timestamp::now();
    set_wall(10 * YEAR);
    let years = Timestamp::now().duration_since(before).as_hours() / (365 * 24);
    assert_eq!(years, 10, "the wall clock was not set");
    let lease = Duration::from_secs(60);
    let (mut held, mut asked, mut lost) = (Vec::new(), 0, 0);
    for step in 0..240_i64 {
        let jumps = [HOUR, -HOUR, 0, YEAR, -YEAR, -20 * YEAR, 50 * YEAR];
        set_wall(if step % 2 == 0 { step % 3 * HOUR } else { jumps[chance.below(7) as usize] });
        // Of each package the second revision takes the place of the first, whatever the clock says.
        let (first, second) = (master.enqueue(&item(step), "aaaa"), master.enqueue(&item(step), "bbbb"));
        assert!(second > first, "{second} was asked for after {first}");
        asked += 2;
        held.push(master.claim("b1", &format!("i{step}")));
        assert!(held.iter().all(|claim| master.beat(claim)), "a lease was lost in step {step}");
        lost += master.reclaim(lease);
        if held.len() > 20 {
            master.built(&held.remove(0));
        }
    }
    held.iter().for_each(|claim| master.built(claim));
    master.is_sound();
    assert_eq!((lost, master.states(State::Built), master.states(State::Superseded)), (0, 240, 240));
    say(&format!("clock: 240 jumps, {asked} tickets, {lost} leases lost"));
    silence_is_noticed(&master);
}

fn item(step: i64) -> String {
    format!("p{step}-1-1-x86_64")
}

/// A claim that is silent for a lease does come back, though the wall clock is set back all the time.
fn silence_is_noticed(master: &Master) {
    set_wall(0);
    master.enqueue("late-1-1-x86_64", "aaaa");
    master.claim("b2", "late");
    let (start, lease) = (Instant::now(), Duration::from_millis(300));
    for back in 1_i64.. {
        set_wall(-HOUR * back);
        if master.reclaim(lease) == 1 {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(30), "nobody noticed");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(start.elapsed() >= lease, "after {:?}", start.elapsed());
}

#[test]
fn after_a_restart_of_the_master_fifty_builds_get_a_whole_lease_again() {
    let stage = Stage::new();
    let mut master = Master::new(&stage.at(""));
    let lease = Duration::from_secs(600);
    let at = |time: Timestamp, seconds: i64| Clock::fixed(time + SignedDuration::from_secs(seconds));
    let morning = stage.now();
    master.clock = at(morning, 0);
    for n in 0..50 {
        master.enqueue(&item(n), "aaaa");
        master.claim(&format!("b{}", n % 10), &format!("i{n}"));
    }
    assert_eq!(master.reclaim(lease), 0);
    master.clock = at(morning, 599);
    assert_eq!(master.reclaim(lease), 0);
    // The clock that counts from boot may stand lower or higher under the other boot.
    for (n, boot) in
        [Timestamp::UNIX_EPOCH, morning, morning + SignedDuration::from_hours(9000)].into_iter().enumerate()
    {
        restart(&stage, n);
        for seconds in [1, 300, 600] {
            master.clock = at(boot, seconds);
            assert_eq!(master.reclaim(lease), 0, "{seconds} s after restart {n}");
        }
    }
    master.clock = at(morning + SignedDuration::from_hours(9000), 601);
    assert_eq!(master.reclaim(lease), 50);
    assert_eq!(master.states(State::Waiting), 50);
    master.is_sound();
    say("clock: 50 builds, 3 restarts of the master, 0 leases lost early");
}

/// What the reaper remembers is of another boot now.
fn restart(stage: &Stage, n: usize) {
    let path = stage.at("spool/cache/leases.toml");
    let text = fs::read_to_string(&path).unwrap();
    let (_, rest) = text.split_once('\n').unwrap();
    assert!(text.starts_with("boot = "), "{text}");
    fs::write(path, format!("boot = \"before restart {n}\"\n{rest}")).unwrap();
}
