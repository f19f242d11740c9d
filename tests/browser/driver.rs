//! Chromium, driven through chromedriver: WebDriver is JSON over HTTP.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

/// One window of a browser of its own.
pub struct Browser {
    driver: Child,
    port: u16,
    session: String,
    place: tempfile::TempDir,
}

impl Browser {
    /// Opens a window; none where there is no Chromium that can be driven.
    pub fn open() -> Option<Self> {
        let place = tempfile::tempdir().unwrap();
        let mut command = Command::new("chromedriver");
        command.arg("--port=0").env("HOME", place.path());
        let mut driver = match command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn() {
            Ok(driver) => driver,
            Err(error) => return crate::stage::not_tried(&format!("chromedriver: {error}")),
        };
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines().map(Result::unwrap);
        let port = lines
            .find_map(|line| line.split_once("successfully on port ")?.1.trim_end_matches('.').parse().ok());
        // It goes on printing, and would be stopped by a closed pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let mut browser = Self { driver, port: port.unwrap(), session: String::new(), place };
        browser.begin();
        Some(browser)
    }

    fn begin(&mut self) {
        let profile = format!("--user-data-dir={}", self.place.path().join("profile").display());
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--hide-scrollbars",
            &profile,
        ];
        let wanted = json!({"capabilities": {"alwaysMatch": {"browserName": "chrome",
            "goog:chromeOptions": {"binary": "/usr/bin/chromium", "args": arguments}, "goog:loggingPrefs": {"browser": "ALL"}}}});
        let answer = self.send("POST", "/session", &wanted);
        self.session = answer["sessionId"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned();
    }

    /// One exchange with chromedriver; returns the value it answers with.
    #[track_caller]
    fn send(&self, method: &str, path: &str, body: &Value) -> Value {
        let mut answer = self.exchange(method, path, body).unwrap();
        let value = answer["value"].take();
        assert!(value.get("error").is_none(), "{path}: {}", value["message"]);
        value
    }

    fn exchange(&self, method: &str, path: &str, body: &Value) -> std::io::Result<Value> {
        let body = if method == "POST" { body.to_string() } else { String::new() };
        let stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        let mut stream = BufReader::new(stream);
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.get_mut().write_all(head.as_bytes())?;
        let (mut length, mut line) = (0, String::new());
        while stream.read_line(&mut line)? > 2 {
            let (name, value) = line.split_once(':').unwrap_or_default();
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().unwrap();
            }
            line.clear();
        }
        let mut answer = vec![0; length];
        stream.read_exact(&mut answer)?;
        Ok(serde_json::from_slice(&answer)?)
    }

    #[track_caller]
    fn post(&self, command: &str, body: &Value) -> Value {
        self.send("POST", &format!("/session/{}/{command}", self.session), body)
    }

    /// Goes to an address and waits until it is loaded.
    #[track_caller]
    pub fn go(&self, address: &str) {
        self.post("url", &json!({"url": address}));
    }

    /// Runs the body of a function in the page; returns what it returns, or what its promise comes to.
    #[track_caller]
    pub fn run(&self, script: &str) -> Value {
        self.post("execute/sync", &json!({"script": script, "args": []}))
    }

    /// Tells Chromium itself something.
    #[track_caller]
    pub fn tell(&self, command: &str, parameters: Value) -> Value {
        self.post("goog/cdp/execute", &json!({"cmd": command, "params": parameters}))
    }

    /// Has `script` run in each page from now on, before the page's own.
    #[track_caller]
    pub fn before_each_page(&self, script: &str) {
        self.tell("Page.addScriptToEvaluateOnNewDocument", json!({"source": script}));
    }

    /// Makes the window so many CSS pixels wide, each of so many pixels of the screen.
    #[track_caller]
    pub fn resize(&self, width: u32, scale: u32) {
        let size = json!({"width": width, "height": 900, "deviceScaleFactor": scale, "mobile": false});
        self.tell("Emulation.setDeviceMetricsOverride", size);
    }

    /// Shows pages for `media` (`screen`, `print`), in a `light` or `dark` scheme.
    #[track_caller]
    pub fn prefer(&self, media: &str, scheme: &str) {
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.tell("Emulation.setEmulatedMedia", json!({"media": media, "features": features}));
    }

    /// Presses keys, one after the other.
    #[track_caller]
    pub fn press(&self, keys: &str) {
        let strokes: Vec<Value> = keys
            .chars()
            .flat_map(|key| {
                [json!({"type": "keyDown", "value": key}), json!({"type": "keyUp", "value": key})]
            })
            .collect();
        self.post("actions", &json!({"actions": [{"type": "key", "id": "keys", "actions": strokes}]}));
    }

    /// Returns what the console has had to say since it was asked last: errors, refusals of the policy.
    #[track_caller]
    pub fn complaints(&self) -> Vec<String> {
        let said = self.post("se/log", &json!({"type": "browser"}));
        said.as_array().unwrap().iter().map(|line| line["message"].to_string()).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.exchange("DELETE", &format!("/session/{}", self.session), &Value::Null);
        let pid = rustix::process::Pid::from_child(&self.driver);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.driver.wait();
    }
}
