//! All files of the site, read by parsers of others: whole, well-formed, without a dead end, and harmless whatever came from
//! outside.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;

use serde_json::Value;

use crate::html::Page;
use crate::stage::{files, site};

type Files = BTreeMap<PathBuf, Vec<u8>>;

/// The site's files whose names end in `end`, as text.
fn texts<'a>(all: &'a Files, end: &str) -> Vec<(&'a Path, &'a str)> {
    let these: Vec<_> =
        all.iter().filter(|(path, _)| path.extension().is_some_and(|own| own == end)).collect();
    assert!(!these.is_empty(), "no .{end}");
    these.into_iter().map(|(path, bytes)| (path.as_path(), std::str::from_utf8(bytes).unwrap())).collect()
}

/// All files, read once.
fn sample() -> &'static Files {
    static SITE: OnceLock<Files> = OnceLock::new();
    SITE.get_or_init(|| files(&site(10 << 20).config.site))
}

/// All pages, read once.
fn pages() -> &'static [(&'static Path, Page)] {
    static PAGES: OnceLock<Vec<(&Path, Page)>> = OnceLock::new();
    PAGES.get_or_init(|| {
        texts(sample(), "html").into_iter().map(|(path, html)| (path, Page::of(html))).collect()
    })
}

#[test]
fn every_page_is_valid_and_has_one_heading_a_title_and_a_language() {
    for (path, page) in pages() {
        assert!(page.errors.is_empty(), "{path:?}: {:?}", page.errors);
        let ids: Vec<&str> = page.values("id").collect();
        assert_eq!(ids.len(), ids.iter().collect::<BTreeSet<_>>().len(), "{path:?}: an id twice");
        assert_eq!(
            (page.all("h1").count(), page.all("title").count(), page.all("main").count()),
            (1, 1, 1),
            "{path:?}"
        );
        assert_eq!(page.all("html").next().unwrap().get("lang"), Some("en"), "{path:?}");
        assert_eq!(
            page.all("table").count(),
            page.all("caption").count(),
            "{path:?}: a table without a caption"
        );
        assert!(
            page.all("th").all(|head| head.get("scope").is_some()),
            "{path:?}: a heading without a scope"
        );
    }
}

#[test]
fn the_live_page_loads_itself_again_and_no_other_does() {
    for (path, html) in texts(sample(), "html") {
        let again = html.contains("<meta http-equiv=\"refresh\" content=\"30\">");
        assert_eq!(again, path.starts_with("live"), "{path:?}");
    }
}

#[test]
fn nothing_from_outside_acts_on_any_page() {
    let mut shown = 0;
    for (path, page) in pages() {
        for element in &page.elements {
            for (name, value) in &element.attributes {
                assert!(
                    !name.starts_with("on") && name != "style" && name != "srcdoc",
                    "{path:?}: {name}={value}"
                );
                let leads = matches!(name.as_str(), "href" | "src" | "action" | "content");
                assert!(!leads || !value.trim_start().starts_with("javascript:"), "{path:?}: {name}={value}");
            }
        }
        let scripts: Vec<_> =
            page.all("script").map(|script| script.get("src").unwrap_or_default()).collect();
        assert!(scripts.len() == 1 && scripts[0].ends_with("site.js"), "{path:?}: {scripts:?}");
        for foreign in ["img", "iframe", "object", "embed", "style", "base"] {
            assert_eq!(page.all(foreign).count(), 0, "{path:?}: {foreign}");
        }
        assert_eq!(page.comments, 0, "{path:?}");
        shown += usize::from(
            page.text.contains("<script>alert(1)</script>\" onload=\"x' ]]> --> </title></pre></svg>"),
        );
    }
    assert!(shown > 8, "it is shown as text: on {shown} pages");
}

#[test]
fn no_byte_of_any_file_acts_on_whoever_shows_it() {
    for (path, bytes) in sample() {
        let text = String::from_utf8(bytes.clone()).unwrap_or_else(|_| panic!("{path:?} is no UTF-8"));
        let acts = text.chars().find(|c| syncpkg::base::output::acts(*c) && !matches!(c, '\n' | '\t'));
        assert_eq!(acts, None, "{path:?}");
    }
}

#[test]
fn ten_megabytes_in_a_reason_and_a_line_make_no_page_large() {
    for (path, bytes) in sample() {
        let limit = if path.starts_with("log") && path.extension().is_some_and(|end| end == "txt") {
            24 << 20
        } else {
            400 << 10
        };
        assert!(bytes.len() < limit, "{path:?} has {} bytes", bytes.len());
    }
}

/// Where a link leads, from the site's root.
fn target(page: &Path, link: &str) -> PathBuf {
    if let Some(rest) = link.strip_prefix("/syncpkg/") {
        return PathBuf::from(decoded(rest));
    }
    let mut path = PathBuf::new();
    for part in page.parent().unwrap().join(decoded(link)).components() {
        if part == Component::ParentDir {
            assert!(path.pop(), "{page:?}: {link} leaves the site");
        } else {
            path.push(part);
        }
    }
    path
}

fn decoded(link: &str) -> String {
    form_urlencoded::parse(format!("a={}", link.replace('+', "%2B")).as_bytes())
        .next()
        .unwrap()
        .1
        .into_owned()
}

#[test]
fn every_link_leads_to_a_file_and_every_fragment_to_a_place_in_it() {
    let all = sample();
    let ids: BTreeMap<&Path, BTreeSet<&str>> =
        pages().iter().map(|(path, page)| (*path, page.values("id").collect())).collect();
    let mut links = 0;
    for (path, page) in pages() {
        for link in page.values("href").chain(page.values("src")) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let file = if file.is_empty() { path.to_path_buf() } else { target(path, file) };
            // Control is a program.
            assert!(all.contains_key(&file) || file == Path::new("control"), "{path:?} links to {link}");
            assert!(anchor.is_empty() || ids[file.as_path()].contains(anchor), "{path:?} links to {link}");
            links += 1;
        }
        assert!(page.values("action").all(|form| target(path, form) == Path::new("control")), "{path:?}");
    }
    assert!(links > 5000, "{links}");
}

#[test]
fn every_feed_is_atom() {
    let mut entries = BTreeSet::new();
    for (path, text) in texts(sample(), "atom") {
        let feed = roxmltree::Document::parse(text).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        let atom = |node: &roxmltree::Node<'_, '_>| {
            node.tag_name().namespace() == Some("http://www.w3.org/2005/Atom")
        };
        let has = |node: roxmltree::Node<'_, '_>, name: &str| {
            let own = node.children().filter(|child| atom(child) && child.has_tag_name(name)).count();
            assert!(own == 1 || name == "link" && own == 2, "{path:?}: {own} {name}");
        };
        let root = feed.root_element();
        assert!(atom(&root) && root.has_tag_name("feed"), "{path:?}");
        ["id", "title", "updated", "author", "link"].into_iter().for_each(|name| has(root, name));
        let mut ids = BTreeSet::new();
        for entry in root.children().filter(|child| child.has_tag_name("entry")) {
            ["id", "title", "updated", "link", "summary"].into_iter().for_each(|name| has(entry, name));
            let id =
                entry.children().find(|child| child.has_tag_name("id")).and_then(|id| id.text()).unwrap();
            assert!(id.starts_with("tag:") && ids.insert(id.to_owned()), "{path:?}: {id}");
        }
        for time in root.descendants().filter(|node| node.has_tag_name("updated")) {
            time.text().unwrap().parse::<jiff::Timestamp>().unwrap();
        }
        assert!(
            feed.descendants().filter(|node| node.is_element()).all(|node| atom(&node)),
            "{path:?}: an element of somebody else"
        );
        entries.extend(ids);
    }
    assert!(entries.len() > 8, "{entries:?}");
}

#[test]
fn every_badge_and_chart_is_an_image() {
    let all = sample();
    let charts = texts(all, "html").into_iter().flat_map(|(path, html)| {
        html.split("<svg ")
            .skip(1)
            .map(move |part| (path, format!("<svg {}</svg>", part.split("</svg>").next().unwrap())))
    });
    let images: Vec<_> =
        texts(all, "svg").into_iter().map(|(path, text)| (path, text.to_owned())).chain(charts).collect();
    assert!(images.len() > 20);
    for (path, text) in images {
        let image =
            roxmltree::Document::parse(&text).unwrap_or_else(|error| panic!("{path:?}: {error}: {text}"));
        for node in image.descendants().filter(roxmltree::Node::is_element) {
            let known = ["svg", "title", "rect", "g", "text", "path"].contains(&node.tag_name().name());
            let acts = node
                .attributes()
                .any(|one| one.name().starts_with("on") || ["href", "style"].contains(&one.name()));
            assert!(known && !acts, "{path:?}: {node:?}");
        }
    }
}

#[test]
fn every_json_says_its_schema() {
    for (path, text) in texts(sample(), "json") {
        let value: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        // What a page is made of, kept beside a log, is ours alone.
        let ours = path.starts_with("log");
        assert!(value["schema"].is_u64() && (ours || value["schema"] == 1), "{path:?}");
    }
}

#[test]
fn every_csv_has_the_same_columns_in_each_row() {
    for (path, text) in texts(sample(), "csv") {
        let columns: BTreeSet<usize> = text.lines().map(|line| cells(line).len()).collect();
        assert_eq!(columns.len(), 1, "{path:?}: {text}");
        for cell in text.lines().flat_map(cells) {
            assert!(!cell.starts_with(['=', '+', '@']), "{path:?}: {cell} would be a formula");
        }
    }
}

/// The cells of a line, as RFC 4180 has them.
fn cells(line: &str) -> Vec<String> {
    let (mut cells, mut quoted) = (vec![String::new()], false);
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(String::new()),
            c => cells.last_mut().unwrap().push(c),
        }
    }
    assert!(!quoted, "{line}");
    cells
}

#[test]
fn every_number_for_prometheus_has_a_name_labels_and_a_value() {
    let word = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let all = sample();
    let text = texts(all, "prom")[0].1;
    let (mut said, mut last) = (BTreeSet::new(), String::new());
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            last = comment.split(' ').nth(1).unwrap().to_owned();
            continue;
        }
        let (what, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) =
            what.split_once('{').map_or((what, None), |(name, rest)| (name, rest.strip_suffix('}')));
        assert!(word(name) && name == last && value.parse::<f64>().is_ok(), "{line}");
        for label in labels.iter().flat_map(|labels| labels.split(',')) {
            let (key, value) = label.split_once("=\"").unwrap();
            assert!(
                word(key) && value.strip_suffix('"').is_some_and(|value| !value.contains(['"', '\\'])),
                "{line}"
            );
        }
        assert!(said.insert(what.to_owned()), "twice: {line}");
    }
    assert!(said.len() > 15, "{text}");
}
