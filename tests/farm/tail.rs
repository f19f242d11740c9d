//! The end of a growing log, in a real browser: it is fetched again while somebody looks, and nobody reloads.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::stage::Farm;

/// Serves the files below `root`; what is asked for at `page` a second time is `later`.
fn serve(listener: &TcpListener, root: &Path, page: &str, later: &str) {
    let mut asked = 0;
    for stream in listener.incoming() {
        let Some((mut stream, path)) = stream.ok().and_then(request) else { continue };
        if path == "/end" {
            return;
        }
        asked += usize::from(path == page);
        let body = match fs::read(root.join(path.trim_start_matches('/'))) {
            Ok(_) if path == page && asked > 1 => later.as_bytes().to_vec(),
            found => found.unwrap_or_default(),
        };
        let kind = match PathBuf::from(&path).extension().and_then(|end| end.to_str()) {
            Some("html") => "text/html",
            Some("css") => "text/css",
            Some("js") => "text/javascript",
            Some("svg") => "image/svg+xml",
            _ => "text/plain",
        };
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        // The browser may have hung up.
        let _ = stream.write_all(&[head.as_bytes(), &body].concat());
    }
}

fn request(stream: TcpStream) -> Option<(TcpStream, String)> {
    let (mut reader, mut line) = (BufReader::new(stream), String::new());
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    while reader.read_line(&mut line).ok()? > 2 {}
    Some((reader.into_inner(), path))
}

/// The page of a ticket that is being built, after twenty seconds in a browser, in which it became `later`.
fn looked_at(farm: &Farm, page: &str, later: &str) -> Option<String> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut command = Command::new("chromium");
    command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]);
    command.args(["--disable-background-networking", "--disable-component-update", "--disable-sync"]);
    command.arg(format!("--user-data-dir={}", farm.at("browser").display()));
    command.args(["--enable-logging=stderr", "--virtual-time-budget=20000", "--dump-dom"]);
    command.arg(format!("http://{address}{page}")).env("HOME", farm.at(""));
    let root = farm.at("www");
    std::thread::scope(|scope| {
        scope.spawn(|| serve(&listener, &root, page, later));
        let ran = command.output();
        TcpStream::connect(address).unwrap().write_all(b"GET /end HTTP/1.1\r\n\r\n").unwrap();
        let ran = ran.ok()?;
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert!(!said.contains("Content Security Policy") && !said.contains("Uncaught"), "{said}");
        Some(String::from_utf8_lossy(&ran.stdout).into_owned())
    })
}

#[test]
fn the_end_of_a_growing_log_is_renewed_while_somebody_looks() {
    let farm = Farm::new();
    let id = farm.push("gcc", "");
    let claim = farm.claim("b1").claim;
    fs::write(farm.at("log"), "compiling\n").unwrap();
    farm.ok(&format!("syncpkg-beat {claim} --log log"));
    farm.ok("syncpkg-stats");
    let page = format!("ticket/{id}/index.html");
    let first = fs::read_to_string(farm.at("www").join(&page)).unwrap();
    assert!(first.contains("The log so far") && first.contains("as it was at <time"), "{first}");
    assert!(first.contains("../../live/index.html"));
    let later = first.replace("compiling", "linking &lt;b&gt;");
    let Some(shown) = looked_at(&farm, &format!("/{page}"), &later) else { return };
    assert!(shown.contains("linking &lt;b&gt;") && !shown.contains("compiling"), "{shown}");
    let builder = fs::read_to_string(farm.at("www/builder/b1/index.html")).unwrap();
    assert!(builder.contains("class=\"wide log live\""), "{builder}");
}
