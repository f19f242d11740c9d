//! First light: one darcs push ends in built packages, pages and a mail, with the real programs.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::stage::{Farm, Ran, in_test, program};

/// makepkg refuses to run as root, so root plays an ordinary user.
const USER: u32 = 61_001;

struct Way {
    farm: Farm,
}

impl Way {
    fn new() -> Self {
        let farm = Farm::without_spool();
        for name in [
            "synchook",
            "syncpkgcd",
            "syncpkgd",
            "syncpkg-init",
            "syncpkg-ls",
            "syncpkg-why",
            "syncpkg-check",
        ] {
            fs::copy(program(name), farm.at("bin").join(name)).unwrap();
        }
        let root = farm.at("").display().to_string();
        let root = root.trim_end_matches('/');
        fs::write(farm.at("makepkg.conf"), MAKEPKG_CONF).unwrap();
        let text = format!(
            "spool = \"{root}/spool\"\nsite = \"{root}/www\"\n[tree.current]\nscm = \"darcs\"\npath = \"{root}/darcs\"\n\
             recipes = \"*/PKGBUILD\"\narchs = [\"x86_64\"]\n\
             packages = \"{root}/packages/{{name}}-{{version}}-{{release}}-{{arch}}.pkg.tar.gz\"\n\
             [builder]\nwork = \"{root}/work\"\nfree = \"1MiB\"\n\
             command = [\"/usr/bin/makepkg\", \"-f\", \"--nodeps\", \"--noconfirm\", \"--config\", \"{root}/makepkg.conf\"]\n"
        );
        fs::write(farm.at("syncpkg.toml"), text).unwrap();
        farm.tool("darcs", &["init", "-q", "darcs"], &farm.at(""));
        farm.tool("darcs", &["clone", "-q", "darcs", "clone"], &farm.at(""));
        let hook = format!("apply posthook {root}/bin/synchook\napply run-posthook\n");
        fs::write(farm.at("darcs/_darcs/prefs/defaults"), hook).unwrap();
        if rustix::process::geteuid().is_root() {
            farm.tool("chown", &["-R", &format!("{USER}:{USER}"), "."], &farm.at(""));
        }
        Self { farm }
    }

    /// Runs a program as the farm's user.
    fn by_user(&self, name: &str, arguments: &[&str], directory: &Path) -> Ran {
        let mut command = if rustix::process::geteuid().is_root() {
            let mut command = Command::new("setpriv");
            command.args([
                &format!("--reuid={USER}"),
                &format!("--regid={USER}"),
                "--clear-groups",
                "--",
                name,
            ]);
            command
        } else {
            Command::new(name)
        };
        command.args(arguments).current_dir(directory).env("HOME", self.farm.at(""));
        command.env("SYNCPKG_CONFIG", self.farm.at("syncpkg.toml"));
        in_test(&mut command).output().unwrap().into()
    }

    fn own(&self, line: &str) -> String {
        let mut words = line.split(' ');
        let program = self.farm.at("bin").join(words.next().unwrap());
        let arguments: Vec<&str> = words.collect();
        let ran = self.by_user(program.to_str().unwrap(), &arguments, &self.farm.at(""));
        assert!(ran.status == 0 && ran.err.is_empty(), "$ {line}\n{ran:#?}");
        ran.out
    }

    fn recipe(&self, name: &str, text: &str, more: &[(&str, &str)]) {
        let directory = self.farm.at("clone").join(name);
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("PKGBUILD"), text).unwrap();
        more.iter().for_each(|(file, text)| fs::write(directory.join(file), text).unwrap());
        self.farm.tool(
            "chown",
            &["-R", "--reference", self.farm.at("clone").to_str().unwrap(), "."],
            &directory,
        );
    }
}

const MAKEPKG_CONF: &str = "CARCH=x86_64\nCHOST=x86_64-pc-linux-gnu\nBUILDENV=(!distcc color !ccache check !sign)\n\
    OPTIONS=(strip !debug)\nINTEGRITY_CHECK=(sha256)\nPKGEXT=.pkg.tar.gz\nSRCEXT=.src.tar.gz\n\
    COMPRESSGZ=(gzip -c -f -n)\nDLAGENTS=('http::/bin/false')\nVCSCLIENTS=()\n";

const GOOD: &str = "# Maintainer: Ann <ann@example.org>\npkgname=hello\npkgver=1.0\npkgrel=1\narch=(x86_64)\n\
    source=(hello.c)\nsha256sums=(SKIP)\nbuild() { cc -o hello hello.c; }\n\
    package() { install -D hello \"$pkgdir/usr/bin/hello\"; }\n";

const BAD: &str = "# Maintainer: Bob <bob@example.org>\npkgname=broken\npkgver=1.0\npkgrel=1\narch=(x86_64)\n\
    source=(broken.c)\nsha256sums=(SKIP)\nbuild() { cc -o broken broken.c; }\npackage() { :; }\n";

const REMOTE: &str = "# Maintainer: Cid <cid@example.org>\npkgname=remote\npkgver=1.0\npkgrel=1\narch=(x86_64)\n\
    source=(http://127.0.0.1:9/remote.tar.gz)\nsha256sums=(SKIP)\npackage() { :; }\n";

#[test]
fn one_push_ends_in_a_built_package_a_page_and_a_mail() {
    let way = Way::new();
    let farm = &way.farm;
    way.own("syncpkg-init");
    way.recipe("hello", GOOD, &[("hello.c", "int main(void) { return 0; }\n")]);
    way.recipe("broken", BAD, &[("broken.c", "int main(void) { return nothing; }\n")]);
    way.recipe("remote", REMOTE, &[]);
    let clone = farm.at("clone");
    let recorded = way.by_user("darcs", &["record", "-q", "-a", "-l", "--ignore-times", "-m", "two"], &clone);
    assert_eq!(recorded.status, 0, "{recorded:?}");
    let pushed = way.by_user("darcs", &["push", "-a", "../darcs"], &clone);
    assert_eq!(pushed.status, 0, "{pushed:?}");
    for item in ["hello-1.0-1-x86_64", "broken-1.0-1-x86_64", "remote-1.0-1-x86_64"] {
        assert!(pushed.out.contains(&format!("syncpkg: queued {item} as ")), "{pushed:?}");
    }
    way.own("syncpkgcd --once --name b1");
    way.own("syncpkgd --once");
    assert!(way.own("syncpkg-why hello").ends_with("UTC: published\n"), "{}", way.own("syncpkg-why hello"));
    let package = farm.at("packages/hello-1.0-1-x86_64.pkg.tar.gz");
    let listed = farm.tool("tar", &["-tzf", package.to_str().unwrap()], &farm.at(""));
    assert!(listed.contains("usr/bin/hello"), "{listed}");
    assert!(way.own("syncpkg-why hello").ends_with("UTC: published\n"));
    assert!(way.own("syncpkg-why broken").contains("UTC: in compile: "), "{}", way.own("syncpkg-why broken"));
    let why = way.own("syncpkg-why remote");
    assert!(why.contains("after trouble in fetch: a source could not be downloaded"), "{why}");
    assert_eq!(farm.files("sent").len(), 1, "no network is not the package's fault");
    let mail = fs::read_to_string(farm.at("spool/sent").join(&farm.files("sent")[0])).unwrap();
    assert!(mail.contains("To: Bob <bob@example.org>") && mail.contains("nothing"), "{mail}");
    let front = fs::read_to_string(farm.at("www/index.html")).unwrap();
    assert!(front.contains("broken") && front.contains("hello"), "{front}");
    assert!(farm.at("www/package/hello/index.html").exists());
    assert_eq!(way.own("syncpkg-check"), "");
}

/// Makes the clean root of a tree anew: what makechrootpkg's copies are made of.
const FRESH: &str = "#!/bin/sh\nset -e\nroot=$1/roots/$2-$3\nrm -rf \"$root\"\nmkdir -p \"$root/etc/alternatives\"\n\
    cp \"$1/makepkg.conf\" \"$root/etc/makepkg.conf\"\ncp /etc/passwd \"$root/etc/passwd\"\n\
    echo \"clean root of $2 for $3\" >\"$root/etc/root-of\"\necho made \"$2\" >>\"$1/roots.log\"\n";

/// Builds what is in the current directory with nothing of the host but its compiler.
const IN_ROOT: &str = "#!/bin/sh\nexec bwrap --unshare-all --die-with-parent --clearenv --setenv PATH /usr/bin:/bin \
    --ro-bind /usr /usr --symlink usr/bin /bin --symlink usr/lib /lib --symlink usr/lib64 /lib64 \
    --ro-bind \"$1/roots/$2-$3/etc\" /etc --ro-bind /etc/alternatives /etc/alternatives --dev /dev --proc /proc --tmpfs /tmp --dir /var/lib/pacman \
    --bind \"$PWD\" /build --chdir /build --setenv HOME /tmp \
    /usr/bin/makepkg -f --nodeps --noconfirm --config /etc/makepkg.conf\n";

const ROOTED: &str = "# Maintainer: Ann <ann@example.org>\npkgname=rooted\npkgver=1.0\npkgrel=1\narch=(x86_64)\n\
    source=(hello.c)\nsha256sums=(SKIP)\n\
    build() { [ ! -e /etc/shadow ] && [ \"$PWD\" = /build/src ] && cc -o hello hello.c; }\n\
    package() { install -D hello \"$pkgdir/usr/bin/hello\"; install -D /etc/root-of \"$pkgdir/usr/share/root-of\"; }\n";

#[test]
fn a_tree_may_be_built_in_a_clean_root_of_its_own() {
    let way = Way::new();
    let farm = &way.farm;
    let root = farm.at("").display().to_string();
    let root = root.trim_end_matches('/');
    let (fresh, in_root) = (farm.script("fresh", FRESH), farm.script("in-root", IN_ROOT));
    let text = fs::read_to_string(farm.at("syncpkg.toml")).unwrap();
    let (general, _) = text.split_once("command = ").unwrap();
    let words = format!("\"{root}\", \"{{tree}}\", \"{{arch}}\"]");
    let own = format!(
        "command = [\"false\"]\n[builder.tree.current]\nprepare = [\"{}\", {words}\ncommand = [\"{}\", {words}\n",
        fresh.display(),
        in_root.display()
    );
    fs::write(farm.at("syncpkg.toml"), format!("{general}{own}")).unwrap();
    way.own("syncpkg-init");
    way.recipe("rooted", ROOTED, &[("hello.c", "int main(void) { return 0; }\n")]);
    way.recipe("remote", REMOTE, &[]);
    let clone = farm.at("clone");
    let recorded = way.by_user("darcs", &["record", "-q", "-a", "-l", "--ignore-times", "-m", "two"], &clone);
    assert_eq!(recorded.status, 0, "{recorded:?}");
    assert_eq!(way.by_user("darcs", &["push", "-a", "../darcs"], &clone).status, 0);
    way.own("syncpkgcd --once --name b1");
    way.own("syncpkgd --once");
    assert!(way.own("syncpkg-why rooted").ends_with("UTC: published\n"), "{}", way.own("syncpkg-why rooted"));
    let package = farm.at("packages/rooted-1.0-1-x86_64.pkg.tar.gz");
    let said = farm.tool("tar", &["-xzOf", package.to_str().unwrap(), "usr/share/root-of"], &farm.at(""));
    assert_eq!(said, "clean root of current for x86_64\n");
    let made = fs::read_to_string(farm.at("roots.log")).unwrap();
    assert_eq!(made, "made current\nmade current\n", "a clean root for each build");
    let why = way.own("syncpkg-why remote");
    assert!(why.contains("after trouble in fetch: a source could not be downloaded"), "{why}");
}
