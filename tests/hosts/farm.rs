//! A farm of a master and builders, each a host of its own: real sshd, git and rsync between them, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::host::{Host, until};

/// A lease, seconds. It is lost by who is not heard of for so long, and found out by a round as often.
pub const LEASE: u64 = 4;

/// Builds a package that can be told from every other, also in parts.
const BUILD: &str = "#!/bin/bash
. ./PKGBUILD
echo \"builds $pkgname\"
sleep $_time
seq -f \"$pkgname %.0f\" 1000000 | head -c $_size >$pkgname-$pkgver-$pkgrel-x86_64.pkg.tar.gz
[ ! -e /srv/clock ] || touch -d \"$(cat /srv/clock)\" *.pkg.tar.gz
";

/// A line for each file the repository was told of, and one for each time the master lost its power.
const PUBLISHED: &str = "/srv/packages.log";
const POWER: &str = "power\n";

const MASTER: &str = r#"
site = "/srv/www"
[tree.current]
path = "/srv/trees/current"
recipes = "*/PKGBUILD"
archs = ["x86_64"]
packages = "/srv/packages/{name}-{version}-{release}-{arch}.pkg.tar.gz"
repo = ["/srv/published", "{file}"]
[lease]
beat = "1s"
expires = "LEASEs"
[trouble]
rest = "1s"
claims = 100
in_a_row = 0
[quota]
free = "1MiB"
"#;

/// ssh notices within three seconds that nobody is there any more; each key is for one builder.
const BUILDER: &str = r#"
[tree.current]
path = "/srv/trees/current"
url = "git://master/current"
recipes = "*/PKGBUILD"
archs = ["x86_64"]
[lease]
beat = "1s"
expires = "LEASEs"
[limit]
grace = "1s"
[ssh]
command = ["ssh", "-i", "/etc/syncpkg/key", "-oServerAliveInterval=1", "-oServerAliveCountMax=2", "-oConnectTimeout=3"]
known_hosts = "/etc/syncpkg/known_hosts"
[builder]
spool = "syncpkg@master:/var/spool/syncpkg"
free = "1MiB"
command = ["/srv/build"]
files = "*.pkg.tar.gz"
"#;

/// The ends of a cable.
#[derive(Debug, Clone, Copy)]
pub enum Side {
    /// The builder sees that there is no net.
    Builder,
    /// Nobody sees anything.
    Master,
}

/// A package that is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// How large it is.
    pub bytes: usize,
    /// How long its build takes, seconds.
    pub takes: f32,
}

/// A master, its builders, and what was asked for.
pub struct Farm {
    pub master: Host,
    pub builders: Vec<Host>,
    /// What was acknowledged: the package of each ticket, and its size.
    asked: BTreeMap<String, (String, Size)>,
    _place: tempfile::TempDir,
}

impl Farm {
    /// Makes a master and the hosts `b1`, `b2`, …, which build as these: namesakes have one key.
    pub fn new(names: &[&str]) -> Self {
        let place = tempfile::tempdir_in("/dev/shm").unwrap();
        let master = Host::new("master", place.path());
        let builders = (1..=names.len()).map(|n| Host::new(&format!("b{n}"), place.path())).collect();
        let farm = Self { master, builders, asked: BTreeMap::new(), _place: place };
        farm.set_up_master();
        for (n, name) in names.iter().enumerate() {
            farm.set_up_builder(n, name);
        }
        farm.start_master();
        (0..names.len()).for_each(|n| farm.start_builder(n));
        farm
    }

    fn set_up_master(&self) {
        let master = &self.master;
        user(master);
        write(master, "/etc/ssh/sshd_config", "UsePAM yes\nMaxStartups 100\nMaxSessions 100\n", 0o644);
        write(master, "/etc/syncpkg/syncpkg.toml", &with_lease(MASTER), 0o644);
        write(master, "/srv/gate", include_str!("gate.sh"), 0o755);
        write(master, "/srv/published", "#!/bin/sh\necho \"$1\" >>/srv/packages.log\n", 0o755);
        master.ok("ssh-keygen -q -A; cd /srv; mkdir point packages trees; git init -q -b main trees/current");
        master.ok("touch packages.log; chown -R syncpkg /srv; mkdir -p /var/spool/syncpkg; chown syncpkg /var/spool/syncpkg");
        master.as_user("syncpkg-init");
    }

    fn set_up_builder(&self, n: usize, name: &str) {
        let (master, builder) = (&self.master, &self.builders[n]);
        user(builder);
        master.join(builder, n);
        let namesake = (0..n).find(|&other| self.name(other) == name);
        match namesake {
            Some(other) => {
                let key = fs::read(self.builders[other].at("/etc/syncpkg/key")).unwrap();
                fs::write(builder.at("/etc/syncpkg/key"), key).unwrap();
            }
            None => drop(builder.ok("ssh-keygen -q -t ed25519 -N '' -f /etc/syncpkg/key")),
        }
        builder.ok("chown syncpkg /etc/syncpkg/key; chmod 600 /etc/syncpkg/key");
        let host_key = fs::read_to_string(master.at("/etc/ssh/ssh_host_ed25519_key.pub")).unwrap();
        write(builder, "/etc/syncpkg/known_hosts", &format!("master {host_key}"), 0o644);
        write(
            builder,
            "/etc/syncpkg/syncpkg.toml",
            &format!("{}name = \"{name}\"\n", with_lease(BUILDER)),
            0o644,
        );
        write(builder, "/srv/build", BUILD, 0o755);
        if namesake.is_none() {
            fs::copy(builder.at("/etc/syncpkg/key.pub"), master.at(&format!("/srv/{name}.pub"))).unwrap();
            master.as_user(&format!("syncpkg-builder --key --install {name} /srv/{name}.pub"));
            master.ok("sed -i s:/usr/bin/syncpkg-shell:/srv/gate: ~syncpkg/.ssh/authorized_keys");
        }
    }

    /// As whom a host builds.
    fn name(&self, n: usize) -> String {
        let config = fs::read_to_string(self.builders[n].at("/etc/syncpkg/syncpkg.toml")).unwrap();
        config.split("name = \"").nth(1).unwrap().trim_end_matches("\"\n").to_owned()
    }

    /// Starts what runs on the master.
    pub fn start_master(&self) {
        self.master.ok("/usr/sbin/sshd -E /tmp/sshd.log");
        self.master
            .serve("git", "git daemon --base-path=/srv/trees --export-all --reuseaddr --listen=0.0.0.0");
        self.master.serve("syncpkgd", "syncpkgd");
    }

    /// Sets the clock of a builder: of its programs, and of what it builds.
    pub fn set_clock(&self, n: usize, time: &str) {
        self.end_builder(n, "TERM");
        write(&self.builders[n], "/srv/clock", time, 0o644);
        self.builders[n].serve("syncpkgcd", &format!("env SYNCPKG_NOW={time} syncpkgcd"));
    }

    /// Has these builders say the same word at their next claim, as the copy of a whole host would.
    pub fn is_copied(&self, hosts: &[usize]) {
        hosts.iter().for_each(|&n| self.end_builder(n, "TERM"));
        for &n in hosts {
            let asking = format!("/var/lib/syncpkg/work/{}/asking", self.name(n));
            write(&self.builders[n], &asking, "copied", 0o644);
            self.builders[n].ok(&format!("chown syncpkg {asking}"));
        }
    }

    /// Starts what runs on a builder.
    pub fn start_builder(&self, n: usize) {
        self.builders[n].serve("syncpkgcd", "syncpkgcd");
    }

    /// Ends the builder's daemon with this signal, and nothing else.
    pub fn end_builder(&self, n: usize, signal: &str) {
        let gone = "while kill -0 $(cat /tmp/syncpkgcd.pid) 2>/dev/null; do sleep 0.05; done";
        self.builders[n].ok(&format!("kill -{signal} $(cat /tmp/syncpkgcd.pid); {gone}"));
    }

    /// Takes the cable between the master and a builder out, on one side.
    pub fn cut(&self, n: usize, side: Side) {
        self.cable(n, side, "down");
    }

    /// Puts it in again.
    pub fn mend(&self, n: usize, side: Side) {
        self.cable(n, side, "up");
    }

    fn cable(&self, n: usize, side: Side, to: &str) {
        match side {
            Side::Builder => self.builders[n].net(&format!("ip link set eth0 {to}")),
            Side::Master => self.master.net(&format!("ip link set eth-{} {to}", self.builders[n].name)),
        }
    }

    /// The power of a builder goes, and comes back.
    pub fn power_builder(&mut self, n: usize) {
        self.cut(n, Side::Builder);
        self.builders[n].stop();
        self.builders[n].start();
        self.mend(n, Side::Builder);
        self.start_builder(n);
    }

    /// The power of the master goes, and comes back.
    pub fn power_master(&mut self) {
        (0..self.builders.len()).for_each(|n| self.cut(n, Side::Master));
        self.master.stop();
        let log = self.master.at(PUBLISHED);
        fs::write(&log, fs::read_to_string(&log).unwrap() + POWER).unwrap();
        self.master.start();
        (0..self.builders.len()).for_each(|n| self.mend(n, Side::Master));
        self.start_master();
    }

    /// The next request of this kind stops on the master: an upload after so many bytes, all others when they are
    /// answered, but not yet heard.
    pub fn arm(&self, kind: &str, bytes: usize) {
        self.master.ok(&format!("cd /srv/point; rm -f *; echo {kind} {bytes} >armed; chown -R syncpkg ."));
    }

    /// Waits until somebody has come to that point: the builder, and the process of sshd he speaks with.
    #[track_caller]
    pub fn reached(&self) -> (usize, String) {
        let at = self.master.at("/srv/point/reached");
        until(&|| self.story(), "somebody is at the point", 30, || at.exists());
        let text = fs::read_to_string(at).unwrap();
        let (name, process) = text.trim().split_once(' ').unwrap();
        ((0..self.builders.len()).find(|&n| self.name(n) == name).unwrap(), process.to_owned())
    }

    /// Lets go on who has stopped there.
    pub fn go_on(&self) {
        fs::write(self.master.at("/srv/point/go"), "").unwrap();
    }

    /// Asks for new packages, as one push does.
    #[track_caller]
    pub fn ask(&mut self, sizes: &[Size]) {
        let first = self.asked.len();
        let names: Vec<String> = (first..first + sizes.len()).map(|n| format!("p{n}")).collect();
        for (name, size) in names.iter().zip(sizes) {
            let text = format!(
                "pkgname={name}\npkgver=1\npkgrel=1\narch=(x86_64)\n_size={}\n_time={}\n",
                size.bytes, size.takes
            );
            fs::create_dir(self.master.at(&format!("/srv/trees/current/{name}"))).unwrap();
            write(&self.master, &format!("/srv/trees/current/{name}/PKGBUILD"), &text, 0o644);
        }
        let line = format!(
            "chown -R syncpkg /srv/trees; cd /srv/trees/current; runuser -u syncpkg -- sh -ec 'git add .;
             git -c user.name=Ann -c user.email=ann@example.org commit -qm {0}; syncpkg-enqueue {1}'",
            names[0],
            names.iter().map(|name| format!("{name}/PKGBUILD")).collect::<Vec<_>>().join(" ")
        );
        let out = self.master.ok(&line);
        let ids = out.lines().map(|line| line.split(' ').next().unwrap().to_owned());
        let before = self.asked.len();
        self.asked.extend(ids.zip(names.into_iter().zip(sizes.iter().copied())));
        assert_eq!(self.asked.len(), before + sizes.len(), "{out}");
    }

    /// Every ticket: (ID, state).
    fn tickets(&self) -> Vec<(String, String)> {
        let out = self.master.as_user("syncpkg-ls --json all");
        let rows = out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let text = |row: &Value, key: &str| row[key].as_str().unwrap().to_owned();
        rows.map(|row| (text(&row, "id"), text(&row, "state"))).collect()
    }

    /// How many tickets have ended well.
    pub fn built(&self) -> usize {
        self.tickets().iter().filter(|(_, state)| state == "built").count()
    }

    /// Waits until nothing moves any more, and holds the farm to its word.
    #[track_caller]
    pub fn settles(&self, seconds: u64) {
        let line = || self.story();
        until(&line, "everything is built", seconds, || self.built() == self.asked.len());
        let unpublished = || files(&self.master, "/var/spool/syncpkg/hold");
        until(&line, "everything is published", seconds, || unpublished().is_empty());
        let left = || {
            let hosts = self.builders.iter();
            let outboxes = hosts.map(|host| files(host, "/var/lib/syncpkg/work")).map(|files| {
                files
                    .into_iter()
                    .filter(|file| file.contains("/outbox/") || file.contains("/undeliverable/"))
                    .count()
            });
            outboxes.sum::<usize>() + files(&self.master, "/var/spool/syncpkg/upload").len()
        };
        until(&line, "nothing is left on the way", seconds, || left() == 0);
        self.is_sound();
    }

    /// What can be told about a farm that does not settle.
    pub fn story(&self) -> String {
        let mut story = self.master.run("syncpkg-ls all; tail -n 20 /tmp/*.log; find /srv/point; ps -ef; find /var/spool/syncpkg/upload -ls").out;
        for host in &self.builders {
            let look = "tail -n 20 /tmp/*.log; find /var/lib/syncpkg/work/*/outbox; ps -ef";
            story += &format!("\n{}:\n{}", host.name, host.run(look).out);
        }
        story
    }

    /// Everything that was acknowledged was built once and published once, as it must be, and nothing else was. Only of
    /// what was being published when the master lost its power, the repository hears once more.
    #[track_caller]
    fn is_sound(&self) {
        let tickets: BTreeMap<String, String> = self.tickets().into_iter().collect();
        let ids: Vec<&String> = tickets.keys().collect();
        assert_eq!(ids, self.asked.keys().collect::<Vec<_>>(), "tickets");
        let done = files(&self.master, "/var/spool/syncpkg/done");
        let published = fs::read_to_string(self.master.at(PUBLISHED)).unwrap();
        let lives: Vec<Vec<&str>> = published.split(POWER).map(|life| life.lines().collect()).collect();
        let interrupted: Vec<&str> =
            lives[..lives.len() - 1].iter().filter_map(|life| life.last().copied()).collect();
        for (id, (name, size)) in &self.asked {
            let ends: Vec<&String> = done.iter().filter(|file| file.contains(id.as_str())).collect();
            assert!(ends.len() == 1 && ends[0].ends_with(",built"), "{id}: {ends:?}");
            let file = format!("/srv/packages/{name}-1-1-x86_64.pkg.tar.gz");
            assert!(fs::read(self.master.at(&file)).unwrap() == bytes(name, *size), "{name} has other bytes");
            let times = lives.iter().flatten().filter(|line| **line == file).count();
            let most = 1 + interrupted.iter().filter(|line| **line == file).count();
            assert!((1..=most).contains(&times), "{name} {times} times in\n{published}");
        }
        let different: BTreeSet<&&str> = lives.iter().flatten().collect();
        assert_eq!((done.len(), different.len()), (self.asked.len(), self.asked.len()));
        let check = self.master.run("cd /; runuser -u syncpkg -- syncpkg-check");
        assert!(check.status == 0 && check.out.is_empty() && check.err.is_empty(), "{check:?}");
        let refused = files(&self.master, "/var/spool/syncpkg/builder");
        assert!(!refused.iter().any(|file| file.ends_with(".refused")), "{refused:?}");
    }
}

fn with_lease(text: &str) -> String {
    text.replace("LEASE", &LEASE.to_string())
}

/// What a package of that name must be.
fn bytes(name: &str, size: Size) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(size.bytes + 20);
    for n in 1.. {
        if bytes.len() >= size.bytes {
            break;
        }
        bytes.extend_from_slice(format!("{name} {n}\n").as_bytes());
    }
    bytes.truncate(size.bytes);
    bytes
}

fn user(host: &Host) {
    host.ok(
        "useradd -r -d /var/lib/syncpkg -m -s /bin/sh syncpkg; install -d -o syncpkg -m 700 ~syncpkg/.ssh",
    );
}

fn write(host: &Host, path: &str, text: &str, mode: u32) {
    fs::write(host.at(path), text).unwrap();
    fs::set_permissions(host.at(path), fs::Permissions::from_mode(mode)).unwrap();
}

/// Every file below `path` of a host.
fn files(host: &Host, path: &str) -> Vec<String> {
    let walk = walkdir::WalkDir::new(host.at(path)).into_iter().filter_map(Result::ok);
    let files = walk.filter(|entry| entry.file_type().is_file());
    files.map(|entry| entry.path().display().to_string()).collect()
}
