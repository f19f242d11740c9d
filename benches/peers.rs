//! What one durable enqueue costs in a process that runs already: ours, beside what others do with the same bytes on the
//! same file system. In turns, medians of the rounds.

mod stage;

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use stage::{Done, ask, is_installed, median, place, python, timed};
use syncpkg::base::Clock;
use syncpkg::spool::{Spool, list, queue};

const ROUNDS: usize = 5;
const EACH: usize = 100;
const PEERS: [(&str, &str); 3] = [
    ("maildir", "Python's mailbox.Maildir; no fsync of the directory"),
    ("sqlite", "WAL, synchronous=FULL, one insert a transaction"),
    ("beanstalkd", "-f0, by TCP"),
];

fn main() -> Done {
    let (place, mut out) = (place()?, std::io::stdout());
    let spool = Spool::create(&place.path().join("spool"))?;
    queue::enqueue(&spool, &[ask("sample", &[])?], &Clock::system(), Duration::ZERO)?;
    let ticket = place.path().join("ticket");
    fs::copy(&list::waiting(&spool)?.first().ok_or("no ticket")?.path, &ticket)?;
    let server = Server::start(place.path())?;
    let (mut ours, mut theirs) = (Vec::new(), vec![Vec::new(); PEERS.len()]);
    for round in 0..ROUNDS {
        ours.push(enqueue(&spool, round)?);
        for ((peer, _), times) in PEERS.iter().zip(&mut theirs) {
            times.extend(once(peer, place.path(), server.as_ref(), &ticket)?);
        }
    }
    let ours = median(&mut ours) / EACH as f64;
    writeln!(out, "{ROUNDS} rounds of {EACH} enqueues in {}, medians", place.path().display())?;
    writeln!(out, "{:12}{ours:9.1} us", "ours")?;
    for ((peer, remark), times) in PEERS.iter().zip(&mut theirs) {
        if times.is_empty() {
            writeln!(out, "{peer}: not installed")?;
        } else {
            let cost = median(times);
            writeln!(out, "{peer:12}{cost:9.1} us{:6.2}x ours  {remark}", cost / ours)?;
        }
    }
    Ok(())
}

/// Packages the farm has not heard of yet: more than a peer, which looks for nothing, has to do.
fn enqueue(spool: &Spool, round: usize) -> Done<Duration> {
    let asks = (0..EACH).map(|n| ask(&format!("p{round}-{n}"), &[])).collect::<Done<Vec<_>>>()?;
    let clock = Clock::system();
    let each = |ask| queue::enqueue(spool, std::slice::from_ref(ask), &clock, Duration::ZERO).map(drop);
    Ok(timed(|| Ok(asks.iter().try_for_each(each)?))?.0)
}

/// None for a peer that is not there.
fn once(peer: &str, place: &Path, server: Option<&Server>, ticket: &Path) -> Done<Option<Duration>> {
    let port = server.map(|server| server.port.to_string());
    let operand = match (peer, &port) {
        ("beanstalkd", None) => return Ok(None),
        ("beanstalkd", Some(port)) => OsStr::new(port),
        _ => place.as_os_str(),
    };
    if !is_installed("python3") {
        return Ok(None);
    }
    let numbers = python(&[peer.as_ref(), operand, EACH.to_string().as_ref(), ticket.as_os_str()])?;
    Ok(numbers.first().map(|cost| Duration::from_secs_f64(cost / 1e6)))
}

/// A beanstalkd of our own.
struct Server {
    child: Child,
    port: u16,
}

impl Server {
    fn start(place: &Path) -> Done<Option<Self>> {
        if !is_installed("beanstalkd") {
            return Ok(None);
        }
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let log = place.join("beanstalkd");
        fs::create_dir(&log)?;
        let mut command = Command::new("beanstalkd");
        command.args(["-l", "127.0.0.1", "-p", &port.to_string(), "-f0", "-b"]).arg(log).stdin(Stdio::null());
        let server = Self { child: command.spawn()?, port };
        // It is asked until it answers; one second is plenty.
        for _ in 0..100 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Ok(Some(server));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Err("beanstalkd does not answer".into())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill().and_then(|()| self.child.wait());
    }
}
