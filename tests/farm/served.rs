//! What apache answers with the configurations that are installed, asked by curl.

use std::io::Write as _;
use std::process::Command;

use crate::apache::{Apache, Setup};
use crate::stage::Farm;

/// A farm's site behind apache, with the log of what has failed.
fn site() -> Option<(Farm, String, Apache)> {
    site_of("build() { echo '<script>alert(1)</script>'; return 4; }", &[])
}

/// The same with what the recipe does, and without some of apache's modules.
fn site_of(recipe: &str, without: &[&str]) -> Option<(Farm, String, Apache)> {
    if let Some(why) = Setup::hindrance() {
        let _ = writeln!(std::io::stderr(), "apache: not tried: {why}");
        return None;
    }
    let farm = Farm::new();
    let id = farm.push("gcc", recipe);
    farm.ok("syncpkgcd --once --name b1");
    farm.ok("syncpkg-stats");
    let apache = Setup { without, ..Setup::new(&farm.at("")) }.start();
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

/// The same, from where apache leads on its own host.
fn followed(apache: &Apache, path: &str, headers: &[&str]) -> (String, String) {
    let (head, body) = curl(apache, path, headers);
    if !head.starts_with("http/1.1 302") {
        return (head, body);
    }
    let (_, path) = value(&head, "location").split_once(&format!("127.0.0.1:{}/", apache.port)).unwrap();
    curl(apache, path, headers)
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
fn a_long_log_is_sent_packed_to_who_can_unpack_it_and_plain_to_who_cannot() {
    let Some((_farm, id, apache)) = site_of("build() { seq 9000; echo '<b>'; return 4; }", &[]) else {
        return;
    };
    for name in ["txt", "txt.gz"] {
        for (packing, packed) in [
            ("Accept-Encoding: gzip, br", true),
            ("Accept-Encoding: identity", false),
            ("Accept-Encoding:", false),
        ] {
            let (head, body) = followed(&apache, &format!("syncpkg/log/{id}.1.{name}"), &[packing]);
            assert!(head.starts_with("http/1.1 200"), "{name}, {packing}: {head}");
            assert_eq!(head.contains("content-encoding: gzip"), packed, "{name}, {packing}: {head}");
            assert!(
                body.ends_with("the command exited with status 4\n") && body.contains("\n<b>\n"),
                "{name}, {packing}: {head}"
            );
            assert_eq!(value(&head, "content-type"), "text/plain; charset=utf-8");
            assert!(head.contains("nosniff") && head.contains("sandbox"), "{head}");
        }
    }
    assert!(curl(&apache, "syncpkg/log/no.1.txt", &[]).0.starts_with("http/1.1 404"));
}

#[test]
fn without_more_modules_the_pages_still_lead_to_a_log_that_browsers_show() {
    let less = ["rewrite", "filter", "deflate"];
    let Some((_farm, id, apache)) = site_of("build() { seq 9000; return 4; }", &less) else { return };
    let (head, body) = curl(&apache, &format!("syncpkg/log/{id}.1.txt.gz"), &[]);
    assert!(head.contains("content-encoding: gzip") && body.contains("\n9000\n"), "{head}");
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
