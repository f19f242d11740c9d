//! Hosts of their own on this machine: each has its network, its processes, its name, and a file system of which only
//! what differs from this machine's is its own, in memory. Nothing of them is left when the test ends, however it ends.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Whatever a host is told is done in time.
const LIMIT: &str = "60";

/// Makes the file system, and stays: `PLACE SOURCES PROGRAMS`.
const GROUND: &str = r#"
set -e
place=$1 sources=$2 programs=$3
mount --make-rprivate /
mkdir -p "$place/upper" "$place/work" "$place/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$place/upper,workdir=$place/work" "$place/root"
cd "$place/root"
mount --rbind /dev dev
mount --rbind /sys sys
for own in dev/shm tmp run; do mount -t tmpfs -o mode=1777 tmpfs $own; done
mkdir -p usr/src/syncpkg run/sshd tmp/old
chmod 755 run run/sshd
mount --bind "$sources" usr/src/syncpkg
for program in "$programs"/sync*; do
	case $program in *.d) continue ;; esac
	to=usr/bin/${program##*/}
	: >"$to"
	mount --bind "$program" "$to"
done
pivot_root . tmp/old
mount -t proc proc /proc
umount -l /tmp/old
rm -rf /etc/syncpkg /var/spool/syncpkg /var/lib/syncpkg /var/cache/syncpkg /root/.ssh
ip link set lo up
echo ready
exec sleep infinity
"#;

/// The first process of a host: whatever lost its parent becomes its child.
const FIRST: &str = "mount -t proc proc /proc; echo ready; while :; do sleep 3600 & wait $!; done";

/// A host.
pub struct Host {
    pub name: String,
    ground: Child,
    first: Option<Child>,
}

/// What a command printed and how it ended.
#[derive(Debug)]
pub struct Ran {
    pub out: String,
    pub err: String,
    pub status: i32,
}

/// Tells whether hosts can be made here; says so if not.
pub fn allowed() -> bool {
    let mounts =
        "mount --make-rprivate / && cd /dev/shm && mount -t tmpfs tmpfs . && cd /dev/shm && mkdir u w r &&
        mount -t overlay overlay -o lowerdir=/,upperdir=u,workdir=w r";
    let mut unshare = Command::new("unshare");
    unshare.args(["--net", "--mount", "--uts", "--pid", "--fork", "sh", "-c", mounts]);
    let allowed = unshare.stderr(Stdio::null()).status().is_ok_and(|status| status.success());
    if !allowed {
        say("hosts: namespaces, or file systems in them, are not allowed here: nothing was tried");
    }
    allowed
}

impl Host {
    /// Makes the host `name` below `place`, and starts it.
    pub fn new(name: &str, place: &Path) -> Self {
        let programs = Path::new(env!("CARGO_BIN_EXE_syncpkg-ls")).parent().unwrap();
        let mut command =
            bound_to_us(&["unshare", "--net", "--mount", "--uts", "sh", "-c", GROUND, "ground"]);
        command.arg(place.join(name)).arg(env!("CARGO_MANIFEST_DIR")).arg(programs);
        let mut host = Self { name: name.to_owned(), ground: ready(command), first: None };
        host.start();
        host.ok(&format!(
            "hostname {name}; rm -f /etc/ssh/ssh_host_*; umask 022; mkdir -p /srv /etc/syncpkg"
        ));
        host
    }

    /// Turns it on.
    pub fn start(&mut self) {
        let ground = self.ground.id().to_string();
        let enter = ["nsenter", "-t", &ground, "-n", "-m", "-u", "--"];
        let unshare = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", FIRST];
        let mut command = bound_to_us(&[enter.as_slice(), &unshare].concat());
        // It says a word about a signal mask when it is killed.
        command.stderr(Stdio::null());
        self.first = Some(ready(command));
    }

    /// Takes its power away: every process is gone, nobody on the net is told.
    pub fn stop(&mut self) {
        // It is the last to go: whoever waits for its parent finds nothing left.
        let Some(pid) = self.first() else { return };
        let _ = Command::new("kill").args(["-KILL", &pid]).status();
        let _ = self.first.take().map(|mut parent| parent.wait());
    }

    /// The number of its first process, as we see it.
    fn first(&self) -> Option<String> {
        let parent = self.first.as_ref()?.id();
        let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
        Some(children.trim().to_owned()).filter(|pid| !pid.is_empty())
    }

    /// Joins the network of this host with that of `other` by a cable: `eth-OTHER` here, `eth0` there.
    pub fn join(&self, other: &Self, net: usize) {
        let cable = format!("eth-{}", other.name);
        self.net(&format!("ip link add {cable} type veth peer name eth0 netns {}", other.ground.id()));
        self.net(&format!("ip addr add 10.66.{net}.1/24 dev {cable}; ip link set {cable} up"));
        other.net(&format!("ip addr add 10.66.{net}.2/24 dev eth0; ip link set eth0 up"));
        self.ok(&format!("echo 10.66.{net}.2 {} >>/etc/hosts", other.name));
        other.ok(&format!("echo 10.66.{net}.1 {} >>/etc/hosts", self.name));
    }

    /// Does something to its network, also while it is off.
    pub fn net(&self, line: &str) {
        let ground = self.ground.id().to_string();
        let mut command = Command::new("nsenter");
        command.args(["-t", &ground, "-n", "sh", "-ec", line]);
        assert!(command.status().unwrap().success(), "{}# {line}", self.name);
    }

    /// A shell on it that is about to run `line` as root.
    pub fn shell(&self, line: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args([
            "-t",
            &self.first().unwrap(),
            "-n",
            "-m",
            "-u",
            "-p",
            "--",
            "timeout",
            LIMIT,
            "sh",
            "-c",
            line,
        ]);
        command.env_clear().env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        command.env("HOME", "/root").env("LC_ALL", "C.UTF-8").stdin(Stdio::null());
        command
    }

    /// Runs `line` as root.
    pub fn run(&self, line: &str) -> Ran {
        let output = self.shell(line).output().unwrap();
        Ran {
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
            status: output.status.code().unwrap_or(-1),
        }
    }

    /// Runs what must succeed; returns what it printed.
    #[track_caller]
    pub fn ok(&self, line: &str) -> String {
        let ran = self.run(line);
        assert_eq!(ran.status, 0, "{}# {line}\n{}{}", self.name, ran.out, ran.err);
        ran.out
    }

    /// Runs what must succeed as the user of the farm.
    #[track_caller]
    pub fn as_user(&self, line: &str) -> String {
        self.ok(&format!("cd /; runuser -u syncpkg -- {line}"))
    }

    /// Starts `line` as the user of the farm, and leaves it alone; what it says is in `/tmp/NAME.log`, its number in
    /// `/tmp/NAME.pid`.
    pub fn serve(&self, name: &str, line: &str) {
        let inner = format!("echo $$ >/tmp/{name}.pid; exec {line}");
        let start =
            format!("setsid -f runuser -u syncpkg -- sh -c '{inner}' >>/tmp/{name}.log 2>&1 </dev/null");
        let begun = format!("until [ -s /tmp/{name}.pid ]; do sleep 0.02; done");
        self.ok(&format!("cd /; rm -f /tmp/{name}.pid; {start}; {begun}"));
    }

    /// A path of it, as it is seen from here.
    pub fn at(&self, path: &str) -> PathBuf {
        Path::new(&format!("/proc/{}/root", self.ground.id())).join(path.trim_start_matches('/'))
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.stop();
        let _ = self.ground.kill();
        let _ = self.ground.wait();
    }
}

/// A command that does not outlive this test.
fn bound_to_us(words: &[&str]) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).args(words).stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

/// Starts it and waits until it says that it is ready.
#[track_caller]
fn ready(mut command: Command) -> Child {
    use std::io::Read;
    let mut child = command.spawn().unwrap();
    let mut said = [0; 6];
    let read = child.stdout.as_mut().unwrap().read_exact(&mut said);
    assert!(read.is_ok() && said == *b"ready\n", "{command:?} did not begin");
    child
}

/// Says it at once, also when nobody asked for what tests print.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Waits until `done` says so, at the most `seconds`; fails with `what` and `more` otherwise.
#[track_caller]
pub fn until(more: &dyn Fn() -> String, what: &str, seconds: u64, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(seconds);
    while !done() {
        assert!(Instant::now() < end, "not within {seconds} s: {what}\n{}", more());
        std::thread::sleep(Duration::from_millis(50));
    }
}
