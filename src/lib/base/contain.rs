//! What every program of others is shown that runs in a bubblewrap of ours: the system, read-only, and nothing else.

use std::path::Path;
use std::process::Command;

/// What the loader and links of awk and the like need.
const SYSTEM: [&str; 2] = ["/etc/ld.so.cache", "/etc/alternatives"];

/// Lets the bwrap `command` start what has no terminal, no environment and no privileges, and dies with us.
pub fn detach(command: &mut Command) {
    command.args(["--die-with-parent", "--new-session", "--clearenv", "--cap-drop", "ALL"]);
    command.args(["--setenv", "PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"]);
}

/// Lets the bwrap `command` show the programs of this system.
pub fn show_system(command: &mut Command) {
    command.args(["--ro-bind", "/usr", "/usr"]);
    for dir in ["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"] {
        directory(command, Path::new(dir));
    }
    // bwrap would make it for its owner only, who need not be who runs inside.
    command.args(["--perms", "0755", "--dir", "/etc"]);
    for file in SYSTEM {
        command.args(["--ro-bind-try", file, file]);
    }
}

/// Shows `dir` inside as it is outside: a link (merged /usr), a directory, or not at all.
fn directory(command: &mut Command, dir: &Path) {
    match std::fs::read_link(dir) {
        Ok(target) => command.arg("--symlink").arg(target).arg(dir),
        Err(_) => command.arg("--ro-bind-try").arg(dir).arg(dir),
    };
}
