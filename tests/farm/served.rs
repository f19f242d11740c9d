//! Logs as a real apache on loopback serves them, with the configuration we ship: plain text to everybody, packed to who can
//! unpack it.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::stage::{Farm, until};

const APACHE: &str = "/usr/sbin/apache2";

struct Web {
    farm: Farm,
    port: u16,
    apache: Child,
}

impl Drop for Web {
    fn drop(&mut self) {
        Farm::end(&mut self.apache);
    }
}

impl Web {
    /// A farm behind apache with these modules besides those it cannot do without.
    fn new(more: &[&str]) -> Self {
        let farm = Farm::new();
        farm.ok("syncpkg-stats");
        let (port, apache) = (0..5).find_map(|_| started(&farm, more)).unwrap();
        Self { farm, port, apache }
    }

    /// What curl gets for a file of the logs: head and body.
    fn get(&self, name: &str, options: &[&str]) -> (String, String) {
        let url = format!("http://127.0.0.1:{}/syncpkg/log/{name}", self.port);
        let words = [&["-s", "-L", "-D", "head", "-o", "body", &url], options].concat();
        self.farm.tool("curl", &words, &self.farm.at(""));
        let body = fs::read(self.farm.at("body")).unwrap();
        let head = fs::read_to_string(self.farm.at("head")).unwrap().to_lowercase();
        (head, String::from_utf8_lossy(&body).into_owned())
    }
}

fn started(farm: &Farm, more: &[&str]) -> Option<(u16, Child)> {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let root = farm.at("").display().to_string();
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/apache/syncpkg.conf");
    let sample = fs::read_to_string(sample).unwrap().replace("/var/cache/syncpkg/www", &format!("{root}www"));
    // The part for control needs passwords; its tests are elsewhere.
    let (pages, _) = sample.split_once("<Directory /usr/lib").unwrap();
    let needed = ["mpm_event", "authz_core", "alias", "dir", "mime", "headers"];
    let load = |name: &&str| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n");
    let modules: String = needed.iter().chain(more).map(load).collect();
    let text = format!(
        "{modules}ServerName localhost\nListen 127.0.0.1:{port}\nUser www-data\nGroup www-data\nPidFile {root}apache.pid\n\
         ErrorLog {root}apache.log\nDefaultRuntimeDir {root}\nMutex file:{root}\nTypesConfig /etc/mime.types\n\
         DocumentRoot {root}www\n{pages}"
    );
    fs::write(farm.at("apache.conf"), text).unwrap();
    let file = farm.at("apache.conf").display().to_string();
    let mut apache =
        Command::new(APACHE).args(["-D", "FOREGROUND", "-f", &file]).stdin(Stdio::null()).spawn().unwrap();
    let answers = || farm.at("apache.pid").exists() && TcpStream::connect(("127.0.0.1", port)).is_ok();
    let mut is_over = || apache.try_wait().unwrap().is_some();
    until("apache", 20, || is_over() || answers());
    (!is_over()).then_some((port, apache))
}

#[test]
fn a_long_log_is_sent_packed_to_who_can_unpack_it_and_plain_to_who_cannot() {
    if !Path::new(APACHE).exists() {
        return;
    }
    let web = Web::new(&["rewrite", "filter", "deflate"]);
    let (long, short) = (
        web.farm.push("gcc", "build() { seq 9000; echo '<b>'; return 4; }"),
        web.farm.push("make", "build() { echo '<b>'; return 4; }"),
    );
    web.farm.ok("syncpkgcd --once --name b1");
    web.farm.ok("syncpkg-stats");
    let (long, short) = (format!("{long}.1.txt"), format!("{short}.1.txt"));
    for name in [&long, &format!("{long}.gz"), &short] {
        let packed = name != &short;
        let (head, body) = web.get(name, &["-H", "Accept-Encoding: gzip, br"]);
        assert!(head.starts_with("http/1.1 200"), "{name}: {head}");
        assert_eq!(head.contains("content-encoding: gzip"), packed, "{name}: {head}");
        assert_eq!(body.contains("\n<b>\n"), !packed, "{name}: as it is kept");
        for options in [&["--compressed"][..], &[], &["-H", "Accept-Encoding: identity"]] {
            let (head, body) = web.get(name, options);
            assert!(
                body.ends_with("the command exited with status 4\n") && body.contains("\n<b>\n"),
                "{name} {options:?}: {head}"
            );
            assert!(head.contains("content-type: text/plain; charset=utf-8\r\n"), "{head}");
            assert!(head.contains("nosniff") && head.contains("sandbox"), "{head}");
        }
    }
    assert!(web.get("no.1.txt", &[]).0.starts_with("http/1.1 404"));
}

#[test]
fn without_more_modules_the_pages_still_lead_to_a_log_that_browsers_show() {
    if !Path::new(APACHE).exists() {
        return;
    }
    let web = Web::new(&[]);
    let id = web.farm.push("gcc", "build() { seq 9000; return 4; }");
    web.farm.ok("syncpkgcd --once --name b1");
    web.farm.ok("syncpkg-stats");
    let (head, body) = web.get(&format!("{id}.1.txt.gz"), &["--compressed"]);
    assert!(head.contains("content-encoding: gzip") && body.contains("\n9000\n"), "{head}");
}
