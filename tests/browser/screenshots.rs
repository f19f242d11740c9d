//! Pictures of the pages, for those who look at them: make screenshots.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::stage::Stage;

/// The looks: a name, a colour scheme, how wide the window is.
const LOOKS: [(&str, &str, u32); 3] =
    [("light", "light", 1280), ("dark", "dark", 1280), ("narrow", "light", 360)];

#[test]
#[ignore = "for looking at"]
fn takes_pictures() {
    let place = PathBuf::from(
        std::env::var("SYNCPKG_SCREENSHOTS").unwrap_or_else(|_| "target/screenshots".to_owned()),
    );
    std::fs::create_dir_all(&place).unwrap();
    let stage = Stage::friendly().unwrap();
    let failed = std::fs::read_to_string(stage.farm().config.site.join("package/vim/index.html")).unwrap();
    let ticket = failed.split("ticket/").nth(1).unwrap().split('/').next().unwrap();
    let pages = [
        ("front", "index.html".to_owned()),
        ("package", "package/gtk%2B2/index.html".to_owned()),
        ("ticket", format!("ticket/{ticket}/index.html")),
        ("queue", "queue/index.html".to_owned()),
        ("failing", "failing/index.html".to_owned()),
        ("stats", "stats/month/index.html".to_owned()),
        ("builder", "builder/b2/index.html".to_owned()),
    ];
    for (name, page) in pages {
        for (look, scheme, width) in LOOKS {
            stage.browser.prefer("screen", scheme);
            stage.browser.resize(width, 1);
            stage.go(&page);
            let high = stage.browser.run("return Math.min(document.documentElement.scrollHeight, 4000);");
            take(&stage, width, &high, &place.join(format!("{name}-{look}.png")));
        }
    }
    stage.browser.prefer("screen", "light");
    stage.browser.resize(1100, 1);
    stage.go("index.html");
    take(&stage, 1100, &json!(840), &place.join("readme.png"));
}

fn take(stage: &Stage, width: u32, high: &Value, file: &Path) {
    let clip = json!({"x": 0, "y": 0, "width": width, "height": high, "scale": 1});
    let picture = stage.browser.tell(
        "Page.captureScreenshot",
        json!({"format": "png", "clip": clip, "captureBeyondViewport": true}),
    );
    std::fs::write(file, decoded(&picture["data"])).unwrap();
}

/// Reads base64.
fn decoded(text: &Value) -> Vec<u8> {
    const DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bytes, mut bits, mut have) = (Vec::new(), 0u32, 0);
    for digit in text.as_str().unwrap().chars().filter_map(|c| DIGITS.find(c)) {
        bits = bits << 6 | u32::try_from(digit).unwrap();
        have += 6;
        if have >= 8 {
            have -= 8;
            bytes.push(u8::try_from(bits >> have & 255).unwrap());
        }
    }
    bytes
}
