//! Whoever has only a keyboard comes to everything, and sees where they are.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::stage::Stage;

const TAB: &str = "\u{e004}";
const ENTER: &str = "\u{e007}";

/// Notes what the focus comes to: an element's place among all, and whether it is seen to have it.
const WATCH: &str = "window.met = []; document.addEventListener('focusin', function (event) {
        var one = event.target, style = getComputedStyle(one), place = one.getBoundingClientRect();
        var inside = place.right > 0 && place.bottom > 0 && place.left < innerWidth && place.top < innerHeight && place.width > 0;
        var seen = inside && style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 1;
        window.met.push([Array.prototype.indexOf.call(document.querySelectorAll('*'), one), seen, one.outerHTML.slice(0, 160)]);
    });";

/// Where everything is that something can be done with.
const THERE: &str = "return Array.from(document.querySelectorAll('a[href], button, input:not([type=hidden]), summary, [tabindex=\"0\"]'))
    .filter(function (one) { return one.checkVisibility(); })
    .map(function (one) { return [Array.prototype.indexOf.call(document.querySelectorAll('*'), one), one.outerHTML.slice(0, 160)]; });";

#[test]
fn tabs_come_to_everything_in_order_and_the_focus_is_seen() {
    let Some(stage) = Stage::new() else { return };
    for page in stage.kinds() {
        stage.go(&page);
        let there = stage.browser.run(THERE);
        let there = there.as_array().unwrap();
        stage.browser.run(WATCH);
        stage.browser.press(&TAB.repeat(there.len()));
        let met = stage.browser.run("return window.met;");
        let met = met.as_array().unwrap();
        let places: Vec<i64> = met.iter().map(|one| one[0].as_i64().unwrap()).collect();
        for one in there {
            assert!(places.contains(&one[0].as_i64().unwrap()), "{page}: no tab comes to {}", one[1]);
        }
        assert!(places.is_sorted(), "{page}: tabs jump");
        for one in met {
            assert_eq!(one[1], true, "{page}: the focus is not seen on {}", one[2]);
        }
    }
}

#[test]
fn the_first_tab_offers_to_skip_to_the_content() {
    let Some(stage) = Stage::new() else { return };
    for page in ["index.html", "queue/index.html", "control"] {
        stage.go(page);
        stage.browser.press(TAB);
        let skip = "var it = document.activeElement, place = it.getBoundingClientRect(); return [it.className, place.left >= 0 && place.top >= 0];";
        assert_eq!(stage.browser.run(skip), json!(["skip", true]), "{page}");
        stage.browser.press(&format!("{ENTER}{TAB}"));
        assert_eq!(
            stage.browser.run("return Boolean(document.activeElement.closest('main'));"),
            true,
            "{page}"
        );
    }
}

#[test]
fn a_package_is_forced_with_the_keyboard_alone() {
    let Some(stage) = Stage::new() else { return };
    // The browser asks for the password once.
    stage.go("control");
    stage.go("package/vim/index.html");
    stage.browser.run("document.querySelector('input[name=reason]').focus();");
    stage.browser.press(&format!("the tests are fixed{TAB}{ENTER}"));
    let text = |element: &str| {
        let text = stage.browser.run(&format!("return document.querySelector({element:?}).innerText;"));
        text.as_str().unwrap().to_owned()
    };
    let end = Instant::now() + Duration::from_secs(20);
    while text("h1") != "The request is filed" {
        assert!(Instant::now() < end, "{}", text("h1"));
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(text(".lead"), "force current/vim");
    let filed = std::fs::read_dir(stage.farm().spool.at("drop"))
        .unwrap()
        .map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
    let filed: Vec<String> = filed.collect();
    assert!(
        filed.len() == 1 && filed[0].contains("user = \"ann\"") && filed[0].contains("the tests are fixed"),
        "{filed:?}"
    );
}
