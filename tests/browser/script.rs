//! What the script adds, and that nothing is missing without it.

use serde_json::{Value, json};

use crate::driver::Browser;
use crate::stage::Stage;

/// The cells of a column of the page's first table, as they are seen.
fn column(browser: &Browser, at: usize) -> Vec<String> {
    let cells = browser.run(&format!(
        "return Array.from(document.querySelector('table').tBodies[0].rows).filter(function (row) {{ return row.offsetHeight > 0; }})
             .map(function (row) {{ return row.cells[{at}].innerText; }});"
    ));
    cells.as_array().unwrap().iter().map(|cell| cell.as_str().unwrap().to_owned()).collect()
}

/// Moves the focus to an element, as if somebody had come to it by keys.
fn focus(browser: &Browser, element: &str) {
    browser.run(&format!("document.querySelector({element:?}).focus();"));
}

#[test]
fn every_page_says_all_of_it_without_a_script() {
    let Some(stage) = Stage::new() else { return };
    let text = "var made = document.querySelectorAll('time > span, th > button, input[type=search]');
                made.forEach(function (one) { if (one.tagName === 'BUTTON') one.replaceWith(one.textContent); else one.remove(); });
                return [document.querySelector('main').innerText.replace(/\\s+/g, ' '), made.length];";
    let mut added = 0;
    for page in stage.kinds() {
        let read = |off: bool| -> Value {
            stage.browser.tell("Emulation.setScriptExecutionDisabled", json!({"value": off}));
            stage.go(&page);
            stage.browser.run(text)
        };
        let (with, without) = (read(false), read(true));
        assert_eq!(without[0], with[0], "{page}");
        assert_eq!(without[1], 0, "{page}");
        added += with[1].as_i64().unwrap();
    }
    assert!(added > 100, "the script was there: {added}");
}

#[test]
fn the_box_hides_the_rows_that_do_not_match() {
    let Some(stage) = Stage::new() else { return };
    stage.go("package/~g/index.html");
    let all = column(&stage.browser, 0);
    assert!(all.contains(&"gcc".to_owned()) && all.contains(&"gtk+2".to_owned()), "{all:?}");
    focus(&stage.browser, "input[type=search]");
    stage.browser.press("GTK");
    assert_eq!(column(&stage.browser, 0), ["gtk+2"]);
    stage.browser.press("\u{e003}\u{e003}\u{e003}");
    assert_eq!(column(&stage.browser, 0), all);
}

#[test]
fn a_column_sorts_up_and_down_numbers_as_numbers_and_times_as_times() {
    let Some(stage) = Stage::new() else { return };
    stage.go("maintainer/index.html");
    let numbers = |browser: &Browser| -> Vec<u32> {
        column(browser, 4).iter().map(|cell| cell.parse().unwrap()).collect()
    };
    focus(&stage.browser, "th:nth-child(5) button");
    stage.browser.press("\u{e007}");
    let up = numbers(&stage.browser);
    assert!(up.len() > 2 && up.is_sorted() && up.iter().any(|n| *n > 9), "{up:?}");
    let sorted = "return Array.from(document.querySelectorAll('[aria-sort]')).map(function (head) { return head.getAttribute('aria-sort'); });";
    assert_eq!(stage.browser.run(sorted), json!(["ascending"]));
    stage.browser.press(" ");
    assert!(numbers(&stage.browser).is_sorted_by(|a, b| a >= b));
    assert_eq!(stage.browser.run(sorted), json!(["descending"]));
    stage.go("recent/index.html");
    focus(&stage.browser, "th:last-child button");
    stage.browser.press("\u{e007}");
    let times = column(&stage.browser, 7);
    assert!(times.len() > 5 && times.is_sorted(), "{times:?}");
}

#[test]
fn times_are_absolute_and_the_script_says_how_long_ago_that_is() {
    let Some(stage) = Stage::new() else { return };
    stage.go("index.html");
    let made = "return document.querySelector('.verdict .made').innerText;";
    let look = || stage.browser.run(made).as_str().unwrap().to_owned();
    assert!(look().contains("2026-11-22 12:12:00 UTC (0 s ago)"), "{}", look());
    let stale = "return document.querySelector('.verdict .made').classList.contains('stale');";
    assert_eq!(stage.browser.run(stale), false);
    stage.browser.before_each_page("window.now += 3600000;");
    stage.go("index.html");
    assert!(look().contains("(1 h ago)"), "{}", look());
    assert_eq!(stage.browser.run(stale), true, "an old site is said to be old");
}

/// Takes the place of the clock that wakes the script, so that it can be woken by hand.
const TIMERS: &str = "window.timers = []; window.setInterval = function (work, every) { window.timers.push([work, every]); };
    window.wake = function () { window.timers.filter(function (it) { return it[1] === 60000; }).forEach(function (it) { it[0](); });
        return new Promise(function (done) { setTimeout(done, 300); }); };";

#[test]
fn the_front_page_says_when_there_is_a_newer_one_while_somebody_looks() {
    let Some(stage) = Stage::new() else { return };
    stage.browser.before_each_page(TIMERS);
    stage.go("index.html");
    let asked = "return performance.getEntriesByType('resource').filter(function (it) { return it.name.endsWith('status.json'); }).length;";
    let newer = "return document.querySelectorAll('.verdict .made a').length;";
    let status = stage.farm().config.site.join("status.json");
    let wake = || drop(stage.browser.run("return window.wake();"));
    wake();
    assert_eq!((stage.browser.run(asked), stage.browser.run(newer)), (json!(1), json!(0)));
    let text =
        std::fs::read_to_string(&status).unwrap().replace("2026-11-22T12:12:00Z", "2026-11-22T12:14:00Z");
    std::fs::write(&status, text).unwrap();
    stage.browser.run("Object.defineProperty(document, 'hidden', {value: true, configurable: true});");
    wake();
    assert_eq!(stage.browser.run(asked), 1, "nobody looks");
    stage.browser.run("delete document.hidden;");
    for _ in 0..2 {
        wake();
    }
    assert_eq!(
        (stage.browser.run(asked), stage.browser.run(newer)),
        (json!(2), json!(1)),
        "once it is said nothing is asked"
    );
    stage.go("index.html");
    std::fs::write(&status, "<html>").unwrap();
    wake();
    assert_eq!(stage.browser.complaints(), [""; 0], "an answer that is none is no trouble");
}
