//! Force and abort through a real apache on loopback: what signed-in users, other sites and broken clients get.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::chown;

use crate::apache::{Apache, Setup, WEB};
use crate::stage::{Farm, program};

/// ann with the password "secret" (bcrypt would cost each request a tenth of a second).
const PASSWORDS: &str = "ann:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\neve:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n";
const ANN: &str = "Authorization: Basic YW5uOnNlY3JldA==\r\n";
const EVE: &str = "Authorization: Basic ZXZlOnNlY3JldA==\r\n";

const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";
const FORCE: &str = "action=force&what=current%2Fgcc&reason=a+new+libc";

struct Web {
    farm: Farm,
    apache: Apache,
}

impl Web {
    fn new(module: &str) -> Option<Self> {
        Self::patient(module, 60)
    }

    /// A farm behind apache, which waits so many seconds for a form; none where this test may not start one as apache's
    /// user. `module` runs the programs.
    fn patient(module: &str, patience: u32) -> Option<Self> {
        if let Some(why) = Setup::hindrance() {
            let _ = writeln!(std::io::stderr(), "control: not tried: {why}");
            return None;
        }
        let farm = Farm::new();
        farm.configure(&format!("[web]\nuser = \"{WEB}\"\nabort = \"maintainer\"\nadmins = [\"eve\"]\n"));
        farm.push("gcc", "");
        farm.ok("syncpkg-stats");
        let group = uzers::get_group_by_name(WEB).map(|group| group.gid());
        chown(farm.at("spool/drop"), None, group).unwrap();
        fs::create_dir(farm.at("cgi")).unwrap();
        fs::copy(program("syncweb"), farm.at("cgi/control")).unwrap();
        fs::write(farm.at("htpasswd"), PASSWORDS).unwrap();
        let apache = Setup { module, patience, ..Setup::new(&farm.at("")) }.start();
        Some(Self { farm, apache })
    }

    fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> String {
        self.apache.ask(method, path, headers, body)
    }

    fn send(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.apache.send(text)).into_owned()
    }

    /// Asks; returns the status alone.
    fn status(&self, method: &str, path: &str, headers: &str, body: &str) -> u16 {
        status(&self.ask(method, path, headers, body))
    }

    /// Presses the button a hundred times at once.
    fn press(&self, body: &str) {
        let (apache, headers) = (&self.apache, format!("{EVE}{FORM}"));
        std::thread::scope(|scope| {
            for _ in 0..100 {
                scope.spawn(|| assert_eq!(status(&apache.ask("POST", "/control", &headers, body)), 303));
            }
        });
    }

    /// Asks for the page behind an answer of 303.
    fn follow(&self, answer: &str) -> String {
        let line =
            answer.lines().find(|line| line.starts_with("Location: ")).unwrap_or_else(|| panic!("{answer}"));
        let path = line.split_once("/syncpkg").unwrap().1;
        self.ask("GET", path, ANN, "")
    }

    fn handed_in(&self) -> usize {
        self.farm.files("drop").len()
    }
}

#[track_caller]
fn status(answer: &str) -> u16 {
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    status.unwrap_or_else(|| panic!("no answer: {answer:?}"))
}

#[test]
fn what_is_asked_for_through_the_web_is_answered_as_the_table_says() {
    let Some(web) = Web::new("cgid") else { return };
    let ann = format!("{ANN}{FORM}");
    let with = |header: &str| format!("{ann}{header}\r\n");
    for page in ["/", "/index.html", "/package/gcc/", "/status.json"] {
        assert_eq!(web.status("GET", page, "", ""), 200, "{page}");
    }
    assert_eq!(web.status("POST", "/index.html", &ann, FORCE), 403, "pages are only looked at");
    assert_eq!(web.status("POST", "/control", FORM, FORCE), 401);
    assert_eq!(web.status("GET", "/control", "", ""), 401);
    assert_eq!(web.status("POST", "/control", &with("Sec-Fetch-Site: cross-site"), FORCE), 403);
    assert_eq!(web.status("POST", "/control", &with("Sec-Fetch-Site: same-site"), FORCE), 403);
    assert_eq!(web.status("POST", "/control", &with("Origin: https://evil.example.org"), FORCE), 403);
    assert_eq!(web.status("POST", "/control", &with("Origin: null"), FORCE), 403);
    let form = web.ask("GET", "/control", ANN, "");
    assert!(form.starts_with("HTTP/1.1 200") && form.contains("signed in as <strong>ann</strong>"), "{form}");
    assert_eq!(web.handed_in(), 0, "none of these asked for anything");
    assert_eq!(web.status("POST", "/control", &with("Sec-Fetch-Site: same-origin"), FORCE), 303);
    assert_eq!(web.status("POST", "/control", &ann, FORCE), 303);
    let own = format!("Origin: http://127.0.0.1:{}", web.apache.port);
    assert_eq!(web.status("POST", "/control", &with(&own), FORCE), 303);
    assert_eq!(web.handed_in(), 3);
}

#[test]
fn what_no_browser_of_a_friend_sends_changes_nothing() {
    for module in ["cgid", "cgi"] {
        let Some(web) = Web::new(module) else { return };
        let ann = format!("{ANN}{FORM}");
        for body in
            ["action=force&what=..%2Fetc", "action=force&what=gcc&x=1", "action=force", "what=gcc&action=%00"]
        {
            assert_eq!(web.status("POST", "/control", &ann, body), 400, "{body}");
        }
        assert_eq!(web.status("GET", "/control?--help+-x", ANN, ""), 400);
        assert_eq!(web.status("POST", "/control?--spool=/tmp", &ann, FORCE), 400);
        assert_eq!(web.status("PUT", "/control", &ann, ""), 405);
        assert_eq!(web.status("GET", "/control/request/../../x", ANN, ""), 404);
        assert_eq!(web.status("POST", "/control", &ann, &"a".repeat(1 << 20)), 413);
        let many = format!("action=force&what=gcc{}", "&f=1".repeat(10_000));
        assert_eq!(web.status("POST", "/control", &ann, &many), 413);
        let start = format!("POST /syncpkg/control HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{ann}");
        for length in ["Content-Length: -5", "Content-Length: x", "Content-Length: 400"] {
            let answer = web.send(&format!("{start}{length}\r\n\r\n{FORCE}"));
            assert_eq!(status(&answer), 400, "{length}");
        }
        assert_eq!(status(&web.send(&format!("{start}\r\n"))), 400, "no length at all");
        let mut gone = TcpStream::connect(("127.0.0.1", web.apache.port)).unwrap();
        gone.write_all(format!("{start}Content-Length: 49\r\n\r\n{}", &FORCE[..20]).as_bytes()).unwrap();
        drop(gone);
        assert_eq!(web.status("GET", "/", "", ""), 200);
        assert_eq!(web.handed_in(), 0, "{module}");
    }
}

#[test]
fn a_client_that_never_ends_its_form_is_hung_up_on() {
    let Some(web) = Web::patient("cgid", 1) else { return };
    let mut slow = TcpStream::connect(("127.0.0.1", web.apache.port)).unwrap();
    let start = format!("POST /syncpkg/control HTTP/1.1\r\nHost: x\r\n{ANN}{FORM}Content-Length: 49\r\n\r\n");
    slow.write_all(format!("{start}{}", &FORCE[..20]).as_bytes()).unwrap();
    let mut answer = Vec::new();
    slow.read_to_end(&mut answer).unwrap();
    assert!(!String::from_utf8_lossy(&answer).contains("303"));
    assert_eq!(web.status("GET", "/", "", ""), 200);
    assert_eq!(web.handed_in(), 0);
}

#[test]
fn the_page_of_a_request_says_what_came_of_it() {
    let Some(web) = Web::new("cgid") else { return };
    let ann = format!("{ANN}{FORM}");
    let filed = web.ask("POST", "/control", &ann, FORCE);
    let waits = web.follow(&filed);
    assert!(waits.contains("The request is filed") && waits.contains("force current/gcc"), "{waits}");
    web.farm.ok("syncpkgd --once");
    let acted = web.follow(&filed);
    assert!(
        acted.contains("ann (web) asked to force current/gcc") && acted.contains("queued 2026"),
        "{acted}"
    );
    let ticket = fs::read_to_string(web.farm.at("spool/new").join(&web.farm.files("new")[0])).unwrap();
    assert!(
        ticket.contains("x86_64") && web.farm.ok("syncpkg-ls --json").contains("\"priority\":\"urgent\"")
    );
    let who = fs::read_to_string(web.farm.at("spool/request").join(&web.farm.files("request")[0])).unwrap();
    assert!(who.contains("by = \"ann (web)\"") && who.contains("a new libc"), "{who}");
    web.farm.ok("syncpkg-stats");
    for page in ["/control-log/", "/control-log/2026/11/22/"] {
        let log = web.ask("GET", page, "", "");
        let told = ["ann</th><td>web</td>", "force current/gcc", "a new libc", "queued 2026"];
        assert!(told.iter().all(|words| log.contains(words)), "{page}: {log}");
    }
    web.farm.is_sound();
}

#[test]
fn who_may_end_a_build_is_what_the_configuration_says() {
    let Some(web) = Web::new("cgid") else { return };
    web.farm.commit("make", "");
    web.farm.ok("syncpkg-enqueue --maintainer bob@example.org make");
    let abort = |who: &str, what: &str| {
        let filed =
            web.ask("POST", "/control", &format!("{who}{FORM}"), &format!("action=abort&what={what}"));
        web.farm.later(1).ok("syncpkgd --once");
        web.follow(&filed)
    };
    let refused = abort(ANN, "make");
    assert!(refused.contains("ann may not abort make: ask its maintainer or an admin"), "{refused}");
    assert!(abort(ANN, "gcc").contains("aborted 2026"), "it is ann's own");
    assert!(abort(EVE, "make").contains("aborted 2026"), "eve is an admin");
    assert!(abort(EVE, "nobody").contains("cannot abort nobody"));
    web.farm.is_sound();
}

#[test]
fn pressed_a_hundred_times_at_once_it_is_one_build() {
    let Some(web) = Web::new("cgid") else { return };
    web.farm.ok("syncpkg-abort gcc");
    web.press(FORCE);
    assert_eq!(web.handed_in(), 100);
    web.farm.ok("syncpkgd --once");
    assert_eq!((web.handed_in(), web.farm.files("new").len()), (0, 1));
    web.press("action=abort&what=gcc");
    web.farm.later(1).ok("syncpkgd --once");
    assert_eq!((web.handed_in(), web.farm.files("new").len()), (0, 0));
    web.farm.is_sound();
}

#[test]
fn a_farm_without_a_web_user_takes_no_orders() {
    let Some(web) = Web::new("cgid") else { return };
    web.farm.configure("");
    assert_eq!(web.status("POST", "/control", &format!("{ANN}{FORM}"), FORCE), 403);
    assert_eq!(web.status("GET", "/control", ANN, ""), 403);
    assert_eq!(web.handed_in(), 0);
}

#[test]
fn who_signs_for_somebody_else_is_not_believed() {
    let farm = Farm::new();
    farm.configure("[web]\nuser = \"www-data\"\nabort = \"admin\"\n");
    farm.push("gcc", "");
    let letter = "format = 1\nuser = \"eve\"\n[request.abort]\nwhat = \"gcc\"\nreason = \"\"\n";
    fs::write(farm.at("spool/drop/20261122-120000-000-aaaaaa.toml"), letter).unwrap();
    farm.ok("syncpkgd --once");
    let who = fs::read_to_string(farm.at("spool/request").join(&farm.files("request")[0])).unwrap();
    assert!(!who.contains("eve (web)"), "the file is not the web server's: {who}");
}

#[test]
fn run_by_a_person_it_says_what_it_is_for() {
    let farm = Farm::new();
    farm.no("syncweb", 2, "this is run by a web server, as CGI");
}

#[test]
fn whoever_is_refused_before_his_form_was_read_gets_the_answer() {
    let farm = Farm::new();
    let (mut ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    ours.write_all(FORCE.as_bytes()).unwrap();
    ours.shutdown(std::net::Shutdown::Write).unwrap();
    let theirs = std::os::fd::OwnedFd::from(theirs);
    let mut syncweb = farm.command("syncweb");
    syncweb.env("GATEWAY_INTERFACE", "CGI/1.1").env("REQUEST_METHOD", "POST");
    syncweb.stdin(theirs.try_clone().unwrap()).stdout(theirs);
    assert!(syncweb.status().unwrap().success());
    // It holds the other end too.
    drop(syncweb);
    let mut answer = String::new();
    ours.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("Status: 403"), "{answer}");
}
