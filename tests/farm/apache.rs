//! A real apache on loopback, with the configurations that are installed.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The user of Debian's apache.
pub const WEB: &str = "www-data";

const MODULES: [&str; 15] = [
    "mpm_event",
    "authn_core",
    "authz_core",
    "authn_file",
    "auth_basic",
    "authz_user",
    "alias",
    "dir",
    "mime",
    "headers",
    "filter",
    "deflate",
    "reqtimeout",
    "rewrite",
    "env",
];

/// One that runs until it is dropped.
pub struct Apache {
    /// Where it listens.
    pub port: u16,
    child: Child,
}

/// How it is started.
pub struct Setup<'a> {
    /// The directory with the site `www`, the programs `cgi`, the passwords `htpasswd`, and the configuration `syncpkg.toml`.
    pub root: &'a Path,
    /// The module that runs the programs: `cgi`, `cgid`.
    pub module: &'a str,
    /// How long a client may take for its form, seconds.
    pub patience: u32,
    /// The installed configuration: a file of `packaging/apache`.
    pub sample: &'a str,
    /// Modules that it does not have.
    pub without: &'a [&'a str],
}

impl<'a> Setup<'a> {
    /// As a master has it.
    pub fn new(root: &'a Path) -> Self {
        Self { root, module: "cgid", patience: 60, sample: "syncpkg.conf", without: &[] }
    }

    /// Returns why apache cannot be started here, with the user it is usually run as; none when it can.
    pub fn hindrance() -> Option<&'static str> {
        if !rustix::process::geteuid().is_root() {
            return Some("only root can be apache's user too");
        }
        let there = Path::new("/usr/sbin/apache2").exists() && uzers::get_group_by_name(WEB).is_some();
        (!there).then_some("there is no apache here")
    }

    /// Starts it and waits until it answers and runs programs.
    pub fn start(&self) -> Apache {
        (0..5).find_map(|_| self.started()).unwrap()
    }

    /// Starts it; none when its port has become somebody else's.
    fn started(&self) -> Option<Apache> {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let file = self.root.join("apache.conf");
        fs::write(&file, self.configuration(port)).unwrap();
        let apache = || {
            let mut command = Command::new("/usr/sbin/apache2");
            command.arg("-f").arg(&file).stdin(Stdio::null());
            command
        };
        let checked = apache().arg("-t").output().unwrap();
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
        let child = apache().args(["-D", "FOREGROUND"]).spawn().unwrap();
        let mut started = Apache { port, child };
        let end = Instant::now() + Duration::from_secs(20);
        while !(self.is_ready() && TcpStream::connect(("127.0.0.1", port)).is_ok()) {
            if started.child.try_wait().unwrap().is_some() {
                return None;
            }
            assert!(Instant::now() < end, "apache did not start within 20 s");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(started)
    }

    fn is_ready(&self) -> bool {
        let names = fs::read_dir(self.root)
            .unwrap()
            .filter_map(|entry| entry.unwrap().file_name().into_string().ok());
        let names: Vec<String> = names.collect();
        let runs_programs = self.module != "cgid" || names.iter().any(|name| name.starts_with("cgisock"));
        runs_programs && names.iter().any(|name| name == "apache.pid")
    }

    /// The configuration that is installed, at this farm's places, and what apache needs to run by itself.
    fn configuration(&self, port: u16) -> String {
        let root: std::path::PathBuf = self.root.components().collect();
        let (root, module, patience) = (root.display(), self.module, self.patience);
        let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/apache").join(self.sample);
        let sample = fs::read_to_string(sample)
            .unwrap()
            .replace("/var/cache/syncpkg/www", &format!("{root}/www"))
            .replace("/usr/lib/syncpkg/cgi", &format!("{root}/cgi"))
            .replace("/etc/syncpkg/htpasswd", &format!("{root}/htpasswd"));
        let load = |name: &str| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n");
        let modules: String = MODULES
            .into_iter()
            .filter(|name| !self.without.contains(name))
            .chain([module])
            .map(load)
            .collect();
        format!(
            "{modules}ServerName localhost\nListen 127.0.0.1:{port}\nUser {WEB}\nGroup {WEB}\nPidFile {root}/apache.pid\n\
             ErrorLog {root}/apache.log\nDefaultRuntimeDir {root}\nMutex file:{root}\n<IfModule cgid_module>\nScriptSock {root}/cgisock\n</IfModule>\n\
             TypesConfig /etc/mime.types\nRequestReadTimeout header=60 body={patience}\nDocumentRoot {root}/www\n\
             SetEnv SYNCPKG_CONFIG {root}/syncpkg.toml\nSetEnv SYNCPKG_NOW 2026-11-22T12:00:00Z\n{sample}",
        )
    }
}

impl Apache {
    /// Sends `text`, and nothing more, and returns the answer.
    pub fn send(&self, text: &str) -> Vec<u8> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        // apache may answer, and hang up, before it has read all.
        let _ = stream.write_all(text.as_bytes());
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        answer
    }

    /// Asks for `/syncpkg` and `path`, and returns the answer as text.
    pub fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> String {
        let host = format!("Host: 127.0.0.1:{}\r\nConnection: close\r\n", self.port);
        let length =
            if method == "POST" { format!("Content-Length: {}\r\n", body.len()) } else { String::new() };
        let text = format!("{method} /syncpkg{path} HTTP/1.1\r\n{host}{length}{headers}\r\n{body}");
        String::from_utf8_lossy(&self.send(&text)).into_owned()
    }
}

impl Drop for Apache {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.child.wait();
    }
}
