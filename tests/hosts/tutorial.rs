//! The tutorial, typed line by line on two fresh hosts.

use std::fs;
use std::path::Path;

use crate::host::{Host, allowed, say};

/// A line somebody types, and what he sees then.
struct Typed {
    host: String,
    line: String,
    sees: String,
}

/// What stands in the blocks of `text`.
fn typed(text: &str) -> Vec<Typed> {
    let mut typed: Vec<Typed> = Vec::new();
    let (mut inside, mut until_end) = (false, false);
    for line in text.lines() {
        if line.starts_with("```") {
            inside = !inside;
        } else if until_end {
            let last = typed.last_mut().unwrap();
            last.line += &format!("\n{line}");
            until_end = line != "END";
        } else if inside {
            match line.split_once("# ") {
                Some((host @ ("master" | "b1"), line)) => {
                    typed.push(Typed { host: host.to_owned(), line: line.to_owned(), sees: String::new() });
                    until_end = line.ends_with("<<END");
                }
                _ => typed.last_mut().unwrap().sees += &format!("{line}\n"),
            }
        }
    }
    typed
}

/// Tells whether `seen` is `said`, in which `…` stands for anything.
fn is_seen(seen: &str, said: &str) -> bool {
    let mut rest = seen;
    let mut parts = said.split('…');
    let first = parts.next().unwrap_or_default();
    let parts: Vec<&str> = parts.collect();
    let Some(after) = rest.strip_prefix(first) else { return false };
    rest = after;
    for (n, part) in parts.iter().enumerate() {
        let at = if n + 1 == parts.len() { rest.rfind(part) } else { rest.find(part) };
        let Some(at) = at else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.is_empty()
}

/// Hosts as somebody gets them: sshd runs, root of one may log in to the other.
fn fresh(place: &Path) -> [Host; 2] {
    let [master, b1] = ["master", "b1"].map(|name| Host::new(name, place));
    master.join(&b1, 0);
    master.ok("echo UsePAM yes >/etc/ssh/sshd_config; ssh-keygen -q -A; /usr/sbin/sshd");
    b1.ok("mkdir -m 700 /root/.ssh; ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519");
    b1.ok("ssh-keyscan -t ed25519 master >/root/.ssh/known_hosts 2>/dev/null");
    master.ok("mkdir -m 700 /root/.ssh");
    fs::copy(b1.at("/root/.ssh/id_ed25519.pub"), master.at("/root/.ssh/authorized_keys")).unwrap();
    [master, b1]
}

#[test]
fn the_tutorial_makes_a_farm_of_two_fresh_hosts() {
    if !allowed() {
        return;
    }
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/tutorial.md")).unwrap();
    let place = tempfile::tempdir_in("/dev/shm").unwrap();
    let hosts = fresh(place.path());
    let typed = typed(&text);
    for Typed { host, line, sees } in &typed {
        // The programs are there: hundreds of megabytes that need not be copied.
        let real = line.replace("PREFIX=/usr", "PREFIX=/usr PROGRAMS=");
        let host = hosts.iter().find(|there| there.name == *host).unwrap();
        let ran = host.run(&format!("cd; exec 2>&1\n{real}"));
        assert!(ran.status == 0 && is_seen(&ran.out, sees), "{}# {line}\n{}", host.name, ran.out);
    }
    let (setting_up, _) = text.split_once("## The first package").unwrap();
    assert_eq!(self::typed(setting_up).len(), 15, "as its heading says");
    say(&format!("hosts: the tutorial: {} commands", typed.len()));
}
