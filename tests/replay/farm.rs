//! A farm in a temporary directory: a spool, a tree without version control, a package directory, a mail server.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use syncpkg::config::{self, Config};
use syncpkg::spool::Spool;

/// A stand-in for sendmail: takes nothing while the server is down, keeps what it takes.
const SENDMAIL: &str = "#!/bin/sh\ntest ! -e PLACE/down || { echo 'the server is down' >&2; exit 75; }\n\
                        exec cat >\"$(mktemp PLACE/mail/XXXXXXXXXX)\"\n";

pub struct Farm {
    place: tempfile::TempDir,
    pub config: Config,
    pub spool: Spool,
}

impl Farm {
    pub fn new() -> Self {
        // In memory where there is room: what a disk costs is not the question here.
        let memory = Path::new("/dev/shm");
        let place = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let place = place.unwrap();
        for name in ["tree", "mail", "packages"] {
            fs::create_dir(place.path().join(name)).unwrap();
        }
        let root = place.path().display();
        let text = format!(
            "spool = \"{root}/spool\"\nsite = \"\"\n[tree.current]\nscm = \"none\"\npath = \"{root}/tree\"\n\
             recipes = \"*/PKGBUILD\"\nformat = \"pkgbuild\"\narchs = [\"x86_64\"]\nkeep_versions = 1\n\
             packages = \"{root}/packages/{{name}}-{{version}}-{{release}}-{{arch}}.pkg.tar.gz\"\n\
             [mail]\ntransport = \"sendmail\"\nsendmail = \"{root}/sendmail\"\n"
        );
        let config = config::parse(&text, "replay").unwrap();
        let sendmail = place.path().join("sendmail");
        fs::write(&sendmail, SENDMAIL.replace("PLACE", &root.to_string())).unwrap();
        fs::set_permissions(&sendmail, fs::Permissions::from_mode(0o755)).unwrap();
        let spool = Spool::create(&config.spool).unwrap();
        Self { place, config, spool }
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// The mail server is down, or up again.
    pub fn mail_server(&self, up: bool) {
        let down = self.at("down");
        if up { drop(fs::remove_file(down)) } else { fs::write(down, "").unwrap() }
    }

    /// The mails that the server took, with their lines as they were before they were cut for the way.
    pub fn mails(&self) -> Vec<String> {
        let files = fs::read_dir(self.at("mail")).unwrap().map(|entry| entry.unwrap().path());
        files.map(|path| fs::read_to_string(path).unwrap().replace("\r\n", "\n").replace("=\n", "")).collect()
    }
}
