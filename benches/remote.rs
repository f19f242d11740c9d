//! What builders on other hosts cost their master: a master and builders that are hosts of their own, as the tests of
//! `tests/hosts` make them, with the defaults of ssh and leases. Master and builders share this machine's processors.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a bench may fail")]

#[path = "../tests/hosts/farm.rs"]
#[allow(dead_code, reason = "it can do more")]
mod farm;
#[path = "../tests/hosts/host.rs"]
#[allow(dead_code, reason = "it can do more")]
mod host;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::time::{Duration, Instant, SystemTime};

use farm::{Farm, Size};
use host::{Host, allowed, until};

/// What one build leaves: small, so that what is counted is what it costs to bring it.
const SIZE: Size = Size { bytes: 100_000, takes: 0.0 };
const BUILDS: usize = 40;
const PUSHES: usize = 50;
/// Longer than a request for work is held.
const IDLE: Duration = Duration::from_secs(330);
const BUILDERS: usize = 16;
const CLAIMS: usize = 15;
const BEATS: usize = 100;

type Done<T = ()> = std::io::Result<T>;

fn main() -> Done {
    if !allowed() {
        return Ok(());
    }
    let mut farm = Farm::new(&["b1"]);
    as_at_work(&farm);
    latency(&mut farm)?;
    builds(&mut farm)?;
    idle(&farm)?;
    claims(&mut farm)?;
    beats(&farm)
}

fn print(text: &str) -> Done {
    writeln!(std::io::stdout(), "{text}")
}

/// Takes away what the tests need to go wrong quickly; builds say when they begin.
fn as_at_work(farm: &Farm) {
    let (master, builder) = (&farm.master, &farm.builders[0]);
    let defaults =
        "s/, \"-oServerAlive.*\"]/]/; s/^beat = .*/beat = \"60s\"/; s/^expires = .*/expires = \"10m\"/";
    let known = master.at("/var/spool/syncpkg/builder/b1.toml");
    until(&|| farm.story(), "the builder comes", 30, || known.exists());
    farm.end_builder(0, "TERM");
    for host in [master, builder] {
        host.ok(&format!("sed -i '{defaults}' /etc/syncpkg/syncpkg.toml"));
    }
    builder.ok("sed -i '2i date +%s%N >>/tmp/began' /srv/build; touch /tmp/began; chmod 666 /tmp/began");
    // The connection that is open looks after itself every second.
    builder.as_user("sh -c 'for s in ~/.ssh/syncpkg-*; do ssh -S $s -O exit master; done'");
    master.ok("sed -i s:/srv/gate:/usr/bin/syncpkg-shell: ~syncpkg/.ssh/authorized_keys");
    master.ok("kill -KILL $(cat /tmp/syncpkgd.pid)");
    master.serve("syncpkgd", "syncpkgd");
    farm.start_builder(0);
}

/// From a push to its build, on a builder that waits.
fn latency(farm: &mut Farm) -> Done {
    let (mut whole, mut after) = (Vec::new(), Vec::new());
    for n in 1..=PUSHES {
        let pushed = SystemTime::now();
        farm.ask(&[SIZE]);
        let answered = SystemTime::now();
        let began = || fs::read_to_string(farm.builders[0].at("/tmp/began")).unwrap();
        until(&|| farm.story(), "the build begins", 60, || began().lines().count() == n);
        let nanos = began().lines().last().unwrap().parse().unwrap();
        let began = SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos);
        whole.push(began.duration_since(pushed).unwrap_or_default());
        after.push(began.duration_since(answered).unwrap_or_default());
        farm.settles(60);
    }
    print(&format!(
        "push to build, {PUSHES} times, on an idle builder: median {:.0} ms, longest {:.0} ms; of these after the push was answered {:.0} ms",
        middle(&mut whole),
        whole.last().unwrap().as_secs_f64() * 1e3,
        middle(&mut after)
    ))
}

/// Sorts; returns the median in milliseconds.
fn middle(times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e3
}

/// One build after the other.
fn builds(farm: &mut Farm) -> Done {
    farm.end_builder(0, "TERM");
    farm.ask(&vec![SIZE; BUILDS]);
    let (wire, cpu, logins) = (wire(&farm.builders[0]), cpu(&farm.master), logins(&farm.master));
    let start = Instant::now();
    farm.start_builder(0);
    until(&|| farm.story(), "all are built", 300, || farm.built() == PUSHES + BUILDS);
    let took = start.elapsed();
    farm.settles(60);
    let each = |spent: f64| spent / BUILDS as f64;
    print(&format!("{BUILDS} builds, one after the other: {:.2} s each", each(took.as_secs_f64())))?;
    let spent = self::cpu(&farm.master);
    for (name, after) in &spent {
        let before = cpu.get(name).copied().unwrap_or_default();
        print(&format!("  CPU of the master, {name}: {:.0} ms a build", each((after - before) * 1e3)))?;
    }
    let bytes = self::wire(&farm.builders[0]).map(|bytes| bytes as f64);
    print(&format!(
        "  on the wire: {:.0} bytes a build up, of which {} are the package; {:.0} down; {} connections for all of them",
        each(bytes[1] - wire[1] as f64),
        SIZE.bytes,
        each(bytes[0] - wire[0] as f64),
        self::logins(&farm.master) - logins
    ))
}

/// A builder that waits.
fn idle(farm: &Farm) -> Done {
    let (before, spent) = (wire(&farm.builders[0]), cpu(&farm.master));
    std::thread::sleep(IDLE);
    let after = wire(&farm.builders[0]);
    let hours = IDLE.as_secs_f64() / 3600.0;
    let bytes = (after[0] + after[1] - before[0] - before[1]) as f64 / hours;
    let sshd = |cpu: &BTreeMap<String, f64>| cpu.get("sshd").copied().unwrap_or_default();
    let cost = (sshd(&cpu(&farm.master)) - sshd(&spent)) / hours;
    print(&format!(
        "an idle builder, from {} s: {bytes:.0} bytes and {cost:.2} s of the master's CPU an hour",
        IDLE.as_secs()
    ))
}

/// Many that claim at once, each through a connection of its own that is open.
fn claims(farm: &mut Farm) -> Done {
    farm.end_builder(0, "TERM");
    let (master, builder) = (&farm.master, &farm.builders[0]);
    for n in 0..BUILDERS {
        let own = format!(
            "cd /tmp; ssh-keygen -q -t ed25519 -N '' -f c{n}; chown syncpkg c{n}; sed 's:/etc/syncpkg/key:/tmp/c{n}:; \
             s:^known_hosts:control = \"/tmp/c{n}.socket\"\\n&:' /etc/syncpkg/syncpkg.toml >c{n}.toml; cat c{n}.pub"
        );
        fs::write(master.at("/tmp/key.pub"), builder.ok(&own)).unwrap();
        master.as_user(&format!("syncpkg-builder --key --install c{n} /tmp/key.pub"));
    }
    farm.ask(&vec![SIZE; BUILDERS * (CLAIMS + 1)]);
    let claim = |count: usize| {
        let one = "syncpkg-claim --config /tmp/c$n.toml --spool syncpkg@master:/var/spool/syncpkg --builder c$n --arch x86_64";
        format!(
            "cd /; for n in $(seq 0 {}); do for i in $(seq {count}); do {one} >/dev/null || echo failed; done & done; wait",
            BUILDERS - 1
        )
    };
    let run = |count: usize| farm.builders[0].as_user(&format!("sh -c '{}'", claim(count)));
    assert_eq!(run(1), "", "the connections are open");
    let before: f64 = cpu(&farm.master).values().sum();
    let start = Instant::now();
    assert_eq!(run(CLAIMS), "");
    let (took, all) = (start.elapsed().as_secs_f64(), (BUILDERS * CLAIMS) as f64);
    let spent = cpu(&farm.master).values().sum::<f64>() - before;
    print(&format!(
        "{BUILDERS} builders that claim at once through ssh: {:.0} claims a second, {:.1} ms of the master's CPU each",
        all / took,
        spent * 1e3 / all
    ))
}

/// One of those says that it lives, again and again.
fn beats(farm: &Farm) -> Done {
    let (master, builder) = (&farm.master, &farm.builders[0]);
    let held = master.ok("ls /var/spool/syncpkg/run/c0");
    let words: Vec<&str> = held.lines().next().unwrap().split(',').collect();
    let claim = format!("c0.{}.{}.{}", words[1], &words[4][1..], &words[5][1..]);
    let (before, spent) = (wire(builder), cpu(master));
    let beat =
        format!("syncpkg-beat --config /tmp/c0.toml --spool syncpkg@master:/var/spool/syncpkg {claim}");
    builder.as_user(&format!("sh -ec 'cd /; for n in $(seq {BEATS}); do {beat}; done'"));
    let bytes = wire(builder).iter().sum::<u64>() - before.iter().sum::<u64>();
    let spent = cpu(master).values().sum::<f64>() - spent.values().sum::<f64>();
    print(&format!(
        "a beat through ssh: {:.1} ms of the master's CPU, {} bytes",
        spent * 1e3 / BEATS as f64,
        bytes / BEATS as u64
    ))
}

/// What the builder has received and sent, bytes.
fn wire(builder: &Host) -> [u64; 2] {
    let text = builder.ok("grep eth0: /proc/net/dev");
    let words: Vec<u64> = text.split_whitespace().skip(1).map(|word| word.parse().unwrap()).collect();
    [words[0], words[8]]
}

fn logins(master: &Host) -> usize {
    fs::read_to_string(master.at("/tmp/sshd.log")).unwrap().matches("Accepted").count()
}

/// The CPU that each service of a host has spent so far, with all it has started, in seconds.
fn cpu(host: &Host) -> BTreeMap<String, f64> {
    let mut spent = BTreeMap::new();
    let stat = host.ok("cat /proc/[0-9]*/stat 2>/dev/null || :");
    let processes: BTreeMap<u64, (u64, String, f64)> = stat.lines().filter_map(process).collect();
    for pid in processes.keys() {
        let (mut at, mut name) = (*pid, String::new());
        while let Some((parent, own, _)) = processes.get(&at).filter(|_| at > 1) {
            if own != "runuser" {
                name.clone_from(own);
            }
            at = *parent;
        }
        if at == 1 && ["sshd", "git", "syncpkgd"].contains(&name.as_str()) {
            *spent.entry(name).or_default() += processes[pid].2;
        }
    }
    spent
}

/// A line of `/proc/PID/stat`: its number, that of its parent, its name, and the time of itself and of those it waited for.
fn process(line: &str) -> Option<(u64, (u64, String, f64))> {
    let (start, rest) = line.rsplit_once(") ")?;
    let (pid, name) = start.split_once(" (")?;
    let words: Vec<&str> = rest.split(' ').collect();
    let ticks: u64 = words.get(11..15)?.iter().filter_map(|word| word.parse::<u64>().ok()).sum();
    let name = name.split(':').next()?.to_owned();
    Some((pid.parse().ok()?, (words.get(1)?.parse().ok()?, name, ticks as f64 / 100.0)))
}
