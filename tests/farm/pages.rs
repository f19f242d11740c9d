//! The pages in a real browser, from disk, with the script and the policy they come with.

use std::process::Command;

use crate::stage::{Farm, Ran};

/// The page as it stands after its script has run; none where there is no Chromium.
fn in_chromium(farm: &Farm, page: &str) -> Option<Ran> {
    let mut command = Command::new("chromium");
    command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]);
    command.args(["--disable-background-networking", "--disable-component-update", "--disable-sync"]);
    command.arg(format!("--user-data-dir={}", farm.at("browser").display()));
    command.args(["--enable-logging=stderr", "--virtual-time-budget=2000", "--dump-dom"]);
    command.arg(format!("file://{}/{page}", farm.at("www").display()));
    match command.env("HOME", farm.at("")).output() {
        Ok(output) => Some(output.into()),
        Err(_) => {
            use std::io::Write as _;
            let _ = writeln!(std::io::stderr(), "not tried: there is no chromium");
            None
        }
    }
}

#[test]
fn the_pages_live_in_a_real_browser() {
    let farm = Farm::new();
    let id = farm.push("gcc", "build() { echo 'gcc.c:3: error: <script>alert(1)</script>'; return 4; }");
    farm.ok("syncpkgcd --once --name b1");
    farm.ok("syncpkgd --once");
    for page in ["index.html".to_owned(), format!("ticket/{id}/index.html")] {
        let Some(ran) = in_chromium(&farm, &page) else { return };
        assert_eq!(ran.status, 0, "{ran:?}");
        assert!(ran.out.contains("&lt;script&gt;alert(1)"), "hostile bytes are text: {}", ran.out);
        assert!(ran.out.contains(" ago)"), "the script has run: {}", ran.out);
        for complaint in ["Content Security Policy", "Uncaught", "CONSOLE"] {
            assert!(!ran.err.contains(complaint), "{}", ran.err);
        }
    }
}

#[test]
fn a_mail_that_was_given_up_is_on_the_front_page() {
    let farm = Farm::new();
    let place = farm.at("spool/post/given-up");
    std::fs::create_dir_all(&place).unwrap();
    std::fs::write(place.join("a.digest.eml"), "Subject: x\n\n").unwrap();
    farm.ok("syncpkg-stats");
    let front = std::fs::read_to_string(farm.at("www/index.html")).unwrap();
    assert!(front.contains("look into post/given-up"), "{front}");
}
