//! Mounts that end with the test: each such test runs once more in a mount namespace of its own.

use std::env;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// Set for the process inside the namespace.
const INSIDE: &str = "SYNCPKG_TORTURE_INSIDE";

/// Runs `body` in a mount namespace of its own, so that whatever happens no mount outlives the test. `test` is the
/// test's whole name; `needs` are programs and device files it cannot do without.
#[track_caller]
pub fn alone(test: &str, needs: &[&str], body: impl FnOnce()) {
    if env::var_os(INSIDE).is_some() {
        return body();
    }
    if let Some(missing) = needs.iter().find(|need| !is_there(need)) {
        return not_tried(test, &format!("there is no {missing}"));
    }
    let Some(options) = namespace() else { return not_tried(test, "it may not mount anything") };
    let ran = Command::new("unshare")
        .args(options)
        .arg(env::current_exe().unwrap())
        .args([test, "--exact", "--include-ignored", "--nocapture", "--test-threads=1"])
        .env(INSIDE, "yes")
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    let out = String::from_utf8_lossy(&ran.stdout);
    // A misspelt name would run no test, and pass.
    assert!(out.contains("test result: ok. 1 passed"), "{test}:\n{out}");
}

/// For tests that need the real root, not one of a user namespace.
#[track_caller]
pub fn alone_as_root(test: &str, needs: &[&str], body: impl FnOnce()) {
    if rustix::process::geteuid().is_root() { alone(test, needs, body) } else { not_tried(test, "not root") }
}

/// Says so on one line; where all must be tried that is a failure.
#[track_caller]
pub fn not_tried(test: &str, why: &str) {
    say(&format!("{test}: not tried: {why}"));
    assert!(env::var_os("SYNCPKG_TORTURE").is_none_or(|which| which != "all"), "{test}: {why}");
}

/// Prints a line whoever captures what tests print.
pub fn say(line: &str) {
    // Whoever closed stderr does not want to know.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Root needs no user namespace; others get one, where they may.
fn namespace() -> Option<&'static [&'static str]> {
    let own: &[&[&str]] = &[&["-m"], &["-U", "-r", "-m"]];
    own.iter().copied().find(|options| {
        let tried = Command::new("unshare").args(*options).arg("true").stderr(Stdio::null()).status();
        tried.is_ok_and(|status| status.success())
    })
}

fn is_there(need: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    Path::new(need).is_absolute() && Path::new(need).exists()
        || env::split_paths(&path).any(|directory| directory.join(need).exists())
}

/// A mounted file system; the end of it is its unmounting.
pub struct Mounted<'a> {
    at: &'a Path,
}

impl<'a> Mounted<'a> {
    /// Mounts `what` at the directory `at`; the error is what mount says.
    pub fn new(what: &Path, at: &'a Path, kind: &str, options: &str) -> Result<Self, String> {
        let mut mount = Command::new("mount");
        let ran = mount.args(["-t", kind, "-o", options]).arg(what).arg(at).output().unwrap();
        let said = String::from_utf8_lossy(&ran.stderr).trim().replace('\n', " ");
        if ran.status.success() { Ok(Self { at }) } else { Err(said) }
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        let ran = Command::new("umount").arg(self.at).output().unwrap();
        if !ran.status.success() && !std::thread::panicking() {
            panic!("{}", String::from_utf8_lossy(&ran.stderr));
        }
    }
}
