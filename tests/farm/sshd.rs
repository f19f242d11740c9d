//! A real ssh server on 127.0.0.1, in front of a farm: what a builder on another host sees of its master.

use std::fs;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::stage::{Farm, Ran, program, until};

/// A server with one key for an admin, who has a shell, and one for the builder `b1`, who has `syncpkg-shell`.
pub struct Sshd<'a> {
    farm: &'a Farm,
    port: u16,
    child: Option<Child>,
}

impl<'a> Sshd<'a> {
    pub fn new(farm: &'a Farm) -> Self {
        for name in ["host", "admin", "b1"] {
            let file = farm.at(name).display().to_string();
            farm.tool(
                "ssh-keygen",
                &["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", &file],
                &farm.at(""),
            );
        }
        let public = |name: &str| fs::read_to_string(farm.at(&format!("{name}.pub"))).unwrap();
        let forced = farm.ok("syncpkg-builder --key b1 b1.pub");
        fs::write(farm.at("authorized_keys"), format!("{}{forced}", public("admin"))).unwrap();
        let mut sshd = Self { farm, port: 0, child: None };
        // Somebody else may get the free port first.
        while sshd.port == 0 || !sshd.starts() {
            sshd.port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            sshd.configure();
        }
        sshd
    }

    fn configure(&self) {
        let host = fs::read_to_string(self.farm.at("host.pub")).unwrap();
        fs::write(self.farm.at("known_hosts"), format!("[127.0.0.1]:{} {host}", self.port)).unwrap();
        // The programs are where the server's users find them, and the farm's configuration with them.
        let set = format!(
            "PATH={}:/usr/bin:/bin SYNCPKG_CONFIG={} GIT_CONFIG_GLOBAL=/dev/null",
            program("").display(),
            self.farm.at("syncpkg.toml").display()
        );
        let text = format!(
            "ListenAddress 127.0.0.1\nPort {1}\nHostKey {0}/host\nAuthorizedKeysFile {0}/authorized_keys\n\
             StrictModes no\nUsePAM no\nPidFile none\nPermitRootLogin yes\nAcceptEnv LC_* SYNCPKG_*\n\
             MaxStartups 200\nMaxSessions 100\nSetEnv {set}\nSubsystem sftp internal-sftp\n",
            self.farm.at("").display().to_string().trim_end_matches('/'),
            self.port
        );
        fs::write(self.farm.at("sshd.conf"), text).unwrap();
    }

    pub fn start(&mut self) {
        assert!(self.starts(), "{}", fs::read_to_string(self.farm.at("sshd.log")).unwrap());
    }

    /// Starts the server; tells whether it listens.
    fn starts(&mut self) -> bool {
        // Where Debian's sshd wants to be shut in; its service makes it.
        let _ = fs::create_dir("/run/sshd");
        let mut command = Command::new("/usr/sbin/sshd");
        command.arg("-D").arg("-E").arg(self.farm.at("sshd.log")).arg("-f").arg(self.farm.at("sshd.conf"));
        let mut child = command.stdin(Stdio::null()).spawn().unwrap();
        let (mut ended, port) = (false, self.port);
        let greets = || {
            TcpStream::connect(("127.0.0.1", port))
                .is_ok_and(|mut to| to.read(&mut [0; 4]).is_ok_and(|n| n == 4))
        };
        until("sshd answers or ends", 10, || {
            ended = child.try_wait().unwrap().is_some();
            ended || greets()
        });
        self.child = (!ended).then_some(child);
        !ended
    }

    /// Takes the master off the net: what is connected is cut off, nobody can connect any more.
    pub fn stop(&mut self) {
        self.hang_up();
        let Some(mut child) = self.child.take() else { return };
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Ends the connections that are kept open.
    fn hang_up(&self) {
        for who in ["admin", "b1"] {
            let mut command = Command::new("ssh");
            command.arg("-S").arg(self.control(who)).args(["-O", "exit", "x"]);
            let _ = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        }
    }

    fn control(&self, who: &str) -> PathBuf {
        self.farm.at(&format!("{who}.control"))
    }

    /// The spool as the other host names it.
    pub fn spool(&self) -> String {
        format!("127.0.0.1:{}", self.farm.at("spool").display())
    }

    /// What a configuration says to come as `who`.
    pub fn section(&self, who: &str) -> String {
        format!(
            "[ssh]\ncommand = [\"ssh\", \"-F\", \"none\", \"-p\", \"{}\", \"-i\", \"{}\"]\ncontrol = \"{}\"\n\
             persist = \"60s\"\nknown_hosts = \"{}\"\n",
            self.port,
            self.farm.at(who).display(),
            self.control(who).display(),
            self.farm.at("known_hosts").display()
        )
    }

    /// How rsync comes as `who`.
    pub fn command(&self, who: &str) -> String {
        let (key, hosts) = (self.farm.at(who), self.farm.at("known_hosts"));
        let (key, hosts, port) = (key.display(), hosts.display(), self.port);
        format!("ssh -F none -o BatchMode=yes -o UserKnownHostsFile={hosts} -p {port} -i {key}")
    }

    /// Writes the configuration of another host that comes as `who`; returns its file.
    pub fn elsewhere(&self, who: &str) -> PathBuf {
        let text = fs::read_to_string(self.farm.at("syncpkg.toml")).unwrap();
        let here = format!("spool = \"{}\"", self.farm.at("spool").display());
        let there = format!("spool = \"{}\"", self.spool());
        let text = text.replace("[builder]\n", "[builder]\nname = \"b1\"\n").replace(&here, &there);
        let file = self.farm.at(&format!("{who}.toml"));
        fs::write(&file, text + &self.section(who)).unwrap();
        file
    }

    /// Runs a program of ours on the other host.
    pub fn run(&self, who: &str, line: &str) -> Ran {
        let config = self.elsewhere(who);
        self.farm.command(line).env("SYNCPKG_CONFIG", config).output().unwrap().into()
    }

    /// Runs ssh itself with what a hostile client might say.
    pub fn raw(&self, who: &str, arguments: &[&str]) -> Ran {
        let mut command = Command::new("ssh");
        command.args([
            "-F",
            "none",
            "-o",
            "BatchMode=yes",
            "-o",
            "LogLevel=ERROR",
            "-p",
            &self.port.to_string(),
            "-i",
        ]);
        command.arg(self.farm.at(who)).arg("-o");
        command.arg(format!("UserKnownHostsFile={}", self.farm.at("known_hosts").display()));
        command.args(arguments).stdin(Stdio::null()).output().unwrap().into()
    }
}

impl Drop for Sshd<'_> {
    fn drop(&mut self) {
        self.stop();
    }
}
