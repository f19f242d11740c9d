//! What apache answers with the configurations that are installed, asked by curl.

use std::io::Write as _;
use std::process::Command;

use crate::apache::{Apache, Setup};
use crate::stage::Farm;

/// A farm's site behind apache.
fn site() -> Option<(Farm, String, Apache)> {
    if let Some(why) = Setup::hindrance() {
        let _ = writeln!(std::io::stderr(), "apache: not tried: {why}");
        return None;
    }
    let farm = Farm::new();
    let id = farm.push("gcc", "build() { echo '<script>alert(1)</script>'; return 4; }");
    farm.ok("syncpkgcd --once --name b1");
    farm.ok("syncpkg-stats");
    let apache = Setup::new(&farm.at("")).start();
    Some((farm, id, apache))
}

/// What curl gets: the headers, their names in small letters, and the body.
fn curl(apache: &Apache, path: &str, headers: &[&str]) -> (String, String) {
    let address = format!("http://127.0.0.1:{}/{path}", apache.port);
    let headers = headers.iter().flat_map(|header| ["-H", header]);
    let ran =
        Command::new("curl").args(["-s", "-i", "--compressed"]).args(headers).arg(address).output().unwrap();
    let text = String::from_utf8(ran.stdout).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let line = |line: &str| {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        format!("{}:{value}\n", name.to_lowercase())
    };
    (head.lines().map(line).collect(), body.to_owned())
}

fn value<'a>(head: &'a str, name: &str) -> &'a str {
    head.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
        .unwrap_or_else(|| panic!("no {name}: {head}"))
}

#[test]
fn what_has_not_changed_is_answered_with_304_packed_or_not() {
    let Some((_farm, id, apache)) = site() else { return };
    for page in [
        "",
        "style.css",
        "site.js",
        "status.json",
        "package/gcc/",
        "feed/all.atom",
        "favicon.svg",
        &format!("log/{id}.1.txt"),
    ] {
        let page = format!("syncpkg/{page}");
        for packing in ["gzip", "identity"] {
            let packing = format!("Accept-Encoding: {packing}");
            let (head, body) = curl(&apache, &page, &[&packing]);
            assert!(head.starts_with("http/1.1 200") && !body.is_empty(), "{page}: {head}");
            // What is very short is longer when it is packed.
            assert_eq!(head.contains("content-encoding: gzip"), packing.ends_with("gzip"), "{page}: {head}");
            for condition in [
                format!("If-None-Match: {}", value(&head, "etag")),
                format!("If-Modified-Since: {}", value(&head, "last-modified")),
            ] {
                let (again, body) = curl(&apache, &page, &[&packing, &condition]);
                assert!(again.starts_with("http/1.1 304") && body.is_empty(), "{page}, {condition}: {again}");
            }
            let (other, _) = curl(&apache, &page, &[&packing, "If-None-Match: \"another\""]);
            assert!(other.starts_with("http/1.1 200"), "{page}: {other}");
        }
    }
}

#[test]
fn every_answer_says_that_nothing_foreign_may_run() {
    let Some((_farm, id, apache)) = site() else { return };
    for page in
        ["", "package/gcc/", "status.json", "badge/gcc.svg", "no-such-page", &format!("log/{id}.1.txt")]
    {
        let (head, body) = curl(&apache, &format!("syncpkg/{page}"), &[]);
        assert_eq!(value(&head, "x-content-type-options"), "nosniff", "{page}");
        assert!(value(&head, "content-security-policy").starts_with("default-src 'none'"), "{page}: {head}");
        assert_eq!(head.starts_with("http/1.1 404"), page == "no-such-page", "{page}: {head}");
        if page.starts_with("log") {
            assert_eq!(value(&head, "content-type"), "text/plain; charset=utf-8");
            assert!(head.contains("sandbox") && body.contains("<script>alert(1)</script>"), "{head}");
        }
        assert!(page != "no-such-page" || body.contains("There is no such page"), "{body}");
    }
    assert!(curl(&apache, "syncpkg/log/", &[]).0.starts_with("http/1.1 40"), "no list of files");
}

#[test]
fn a_builder_leads_to_its_own_page_on_the_master() {
    let Some((farm, ..)) = site() else { return };
    let apache = Setup { sample: "syncpkg-builder.conf", ..Setup::new(&farm.at("")) }.start();
    for path in ["", "index.html", "syncpkg/package/gcc/?x=//evil.example.org", ".well-knownx/"] {
        let (head, _) = curl(&apache, path, &["Host: evil.example.org"]);
        assert!(head.starts_with("http/1.1 302"), "{path}: {head}");
        let own = value(&head, "location").split('?').next().unwrap();
        assert_eq!(own, "https://build.example.org/syncpkg/builder/b1/", "{path}");
    }
    assert!(curl(&apache, ".well-known/acme-challenge/x", &[]).0.starts_with("http/1.1 404"));
}
