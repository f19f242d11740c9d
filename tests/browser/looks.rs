//! What every kind of page looks like: on small and large screens, in the dark, on paper, to those who do not see it.

use serde_json::{Value, json};

use crate::stage::Stage;

/// A desk, 200 % zoom there, a telephone: CSS pixels, and how large each is.
const SIZES: [(u32, u32); 3] = [(1280, 1), (640, 2), (360, 3)];

/// What sticks out of the window to the right: elements that no region of their own lets scroll.
const STICKS_OUT: &str = "
    var root = document.documentElement;
    if (root.scrollWidth <= root.clientWidth) return [];
    return Array.from(document.querySelectorAll('body *')).filter(function (one) {
        return one.getBoundingClientRect().right > root.clientWidth + 1 && !one.closest('.wide');
    }).map(function (one) { return one.outerHTML.slice(0, 200); }).concat(root.scrollWidth);";

#[test]
fn no_page_scrolls_sideways_and_the_browser_has_nothing_to_complain_about() {
    let Some(stage) = Stage::new() else { return };
    for page in stage.kinds() {
        stage.go(&page);
        for (width, scale) in SIZES {
            stage.browser.resize(width, scale);
            assert_eq!(stage.browser.run(STICKS_OUT), json!([]), "{page} at {width}");
        }
        let complaints = stage.browser.complaints();
        let missing = |line: &String| !line.contains("status of 404");
        let complaints: Vec<String> = complaints.into_iter().filter(missing).collect();
        assert!(complaints.is_empty(), "{page}: {complaints:#?}");
    }
}

#[test]
fn no_page_shuts_anybody_out_as_far_as_axe_can_tell() {
    let Some(axe) = axe().map(|axe| format!("{axe};{AXE}")) else { return };
    let Some(stage) = Stage::new() else { return };
    stage.browser.before_each_page(&axe);
    let mut found = Vec::new();
    for page in stage.kinds() {
        stage.go(&page);
        let mut look = |scheme: &str, width: u32, rules: &str| {
            stage.browser.prefer("screen", scheme);
            stage.browser.resize(width, 1);
            let violations = stage.browser.run(&format!("return look({{{rules}}});"));
            let lines = violations.as_array().unwrap().iter().map(|line| line.as_str().unwrap().to_owned());
            found.extend(lines.map(|line| format!("{page} ({scheme}, {width}): {line}")));
        };
        // That the live page loads itself again is what it is for: whoever is there has chosen it.
        look("light", 1280, "rules: {'meta-refresh': {enabled: false}}");
        look("dark", 360, "runOnly: ['color-contrast', 'scrollable-region-focusable', 'target-size']");
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Asks axe; a line a violation.
const AXE: &str = "
    window.look = function (options) {
        return axe.run(document, Object.assign({resultTypes: ['violations'], preload: false}, options)).then(function (all) {
            return all.violations.map(function (one) {
                var first = one.nodes[0];
                return one.help + ': ' + one.nodes.length + ' of ' + first.html.slice(0, 300) + ' ' + first.failureSummary;
            });
        });
    };";

/// axe-core, as packaging/needs brings it; without it, which only a network can bring, that is said and no failure.
fn axe() -> Option<String> {
    let path =
        std::process::Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/axe")).output().unwrap();
    let said = String::from_utf8(if path.status.success() { path.stdout } else { path.stderr }).unwrap();
    if path.status.success() {
        Some(std::fs::read_to_string(said.trim()).unwrap())
    } else {
        crate::stage::left_out(said.trim())
    }
}

#[test]
fn in_the_dark_pages_are_dark_and_on_paper_they_are_whole() {
    let Some(stage) = Stage::new() else { return };
    for page in stage.kinds() {
        stage.go(&page);
        let look = |media: &str, scheme: &str| -> Value {
            stage.browser.prefer(media, scheme);
            stage.browser.run(
                "var light = function (colour) { return colour.match(/[\\d.]+/g).slice(0, 3).reduce(function (a, b) { return a + +b; }, 0) > 382; };
                 var style = getComputedStyle(document.body);
                 var scrolls = function (one) { return getComputedStyle(one).overflowX !== 'visible'; };
                 return {paper: light(style.backgroundColor), ink: light(style.color), nav: document.querySelector('nav').offsetHeight > 0,
                     main: document.querySelector('main').offsetHeight > 0,
                     scrolls: Array.from(document.querySelectorAll('.wide')).some(scrolls)};",
            )
        };
        let seen = look("screen", "light");
        assert_eq!(
            (&seen["paper"], &seen["ink"], &seen["nav"]),
            (&json!(true), &json!(false), &json!(true)),
            "{page}"
        );
        let seen = look("screen", "dark");
        assert_eq!((&seen["paper"], &seen["ink"]), (&json!(false), &json!(true)), "{page}");
        for scheme in ["light", "dark"] {
            let seen = look("print", scheme);
            let paper = json!({"paper": true, "ink": false, "nav": false, "main": true, "scrolls": false});
            assert_eq!(seen, paper, "{page}, printed from a {scheme} screen");
        }
    }
}
