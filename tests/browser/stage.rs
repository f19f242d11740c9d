//! The stage: the sample of a farm, its site, and an apache that shows it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::apache::{Apache, Setup, WEB};
use crate::driver::Browser;
use crate::everything::everything;
use crate::html::Page;
use crate::sample::Sample;

/// A farm and its site, shown by apache.
pub struct Show {
    pub farm: Sample,
    apache: Apache,
    kinds: Vec<String>,
}

/// A browser that looks at it.
pub struct Stage {
    pub browser: Browser,
    show: Arc<Show>,
}

/// Says that something was not tried, and why; where everything has to be tried, that is a failure.
pub fn not_tried<T>(why: &str) -> Option<T> {
    assert!(std::env::var_os("CI").is_none(), "not tried: {why}");
    left_out(why)
}

/// Says that something was not tried, and why.
pub fn left_out<T>(why: &str) -> Option<T> {
    let _ = writeln!(std::io::stderr(), "browser: not tried: {why}");
    None
}

/// The sample's site, written; who means harm makes it so many bytes long.
pub fn site(long: usize) -> Sample {
    let mut farm = everything(long);
    farm.config.site = farm.place.path().join("www");
    farm.config.url = "http://127.0.0.1/syncpkg/".to_owned();
    farm.write().unwrap();
    farm
}

impl Show {
    /// Returns the one that all tests look at, as long as one of them does.
    fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Show>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        let show = shared.upgrade().unwrap_or_else(|| Arc::new(Self::new(1 << 10)));
        *shared = Arc::downgrade(&show);
        show
    }

    fn new(long: usize) -> Self {
        let farm = site(long);
        let root = farm.place.path();
        fs::set_permissions(root, fs::Permissions::from_mode(0o755)).unwrap();
        let text = format!(
            "title = \"Frugalware build farm\"\nspool = \"{0}/spool\"\nsite = \"{0}/www\"\n[web]\nuser = \"{WEB}\"\n",
            root.display()
        );
        fs::write(root.join("syncpkg.toml"), text).unwrap();
        fs::create_dir(root.join("cgi")).unwrap();
        fs::copy(env!("CARGO_BIN_EXE_syncweb"), root.join("cgi/control")).unwrap();
        // ann, secret
        fs::write(root.join("htpasswd"), "ann:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n").unwrap();
        let group = uzers::get_group_by_name(WEB).map(|group| group.gid());
        chown(farm.spool.at("drop"), None, group).unwrap();
        let apache = Setup::new(root).start();
        let kinds = kinds(&farm.config.site);
        Self { farm, apache, kinds }
    }
}

impl Stage {
    /// Sets it up; none where that cannot be.
    pub fn new() -> Option<Self> {
        Self::with(Show::shared)
    }

    /// Sets it up with nobody who means harm.
    pub fn friendly() -> Option<Self> {
        Self::with(|| Arc::new(Show::new(0)))
    }

    fn with(show: impl FnOnce() -> Arc<Show>) -> Option<Self> {
        if let Some(why) = Setup::hindrance() {
            return not_tried(why);
        }
        let browser = Browser::open()?;
        let stage = Self { browser, show: show() };
        // Whoever looks signs in first.
        stage.browser.go(&format!("http://ann:secret@127.0.0.1:{}/syncpkg/control", stage.show.apache.port));
        // The pages are of the sample's day, not of today.
        let now = stage.farm().clock.now().as_millisecond();
        stage.browser.before_each_page(&format!(
            "window.now = {now}; Date.now = function () {{ return window.now; }};"
        ));
        Some(stage)
    }

    /// The farm whose site it is.
    pub fn farm(&self) -> &Sample {
        &self.show.farm
    }

    /// Goes to a page.
    #[track_caller]
    pub fn go(&self, page: &str) {
        self.browser.go(&format!("http://127.0.0.1:{}/syncpkg/{page}", self.show.apache.port));
    }

    /// One page of each kind, by its address.
    pub fn kinds(&self) -> Vec<String> {
        let mut kinds = self.show.kinds.clone();
        let request = fs::read_dir(self.farm().spool.at("request"))
            .into_iter()
            .flatten()
            .flat_map(|day| fs::read_dir(day.unwrap().path()).unwrap());
        let request = request.map(|file| file.unwrap().path()).min();
        kinds.extend(
            request.map(|path| format!("control/request/{}", path.file_stem().unwrap().to_str().unwrap())),
        );
        kinds.extend(
            ["no-such-page", "control", "control/request/20261122-120000-000-aaaaaa"].map(str::to_owned),
        );
        kinds
    }
}

/// Every file below `root`, by its path.
pub fn files(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let walk = walkdir::WalkDir::new(root).into_iter().map(Result::unwrap);
    let files = walk.filter(|entry| entry.file_type().is_file()).map(walkdir::DirEntry::into_path);
    files.map(|path| (path.strip_prefix(root).unwrap().to_owned(), fs::read(&path).unwrap())).collect()
}

/// One page of each kind, the one with most in it that is not long: pages of one place are of one kind when they have
/// the same elements.
fn kinds(site: &Path) -> Vec<String> {
    let mut kinds: BTreeMap<(String, BTreeSet<String>), (isize, String)> = BTreeMap::new();
    for (path, bytes) in files(site) {
        let path = path.to_str().unwrap().to_owned();
        if path.ends_with(".html") {
            let page = Page::of(std::str::from_utf8(&bytes).unwrap());
            let elements = page.elements.into_iter().map(|element| element.name).collect();
            let place = path.split('/').next().unwrap_or_default().to_owned();
            let size = isize::try_from(bytes.len()).unwrap();
            let rank = if size < LONG { size } else { -size };
            let best = kinds.entry((place, elements)).or_insert((rank, path.clone()));
            *best = best.clone().max((rank, path));
        }
    }
    kinds.into_values().map(|(_, path)| path).collect()
}

/// A long page is more of the same, bytes.
const LONG: isize = 20_000;
