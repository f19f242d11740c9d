//! Logs, as people meet them: searched with patterns that an admin may change, and shown as a terminal would have.

use std::fs;

use crate::stage::Farm;

/// Gives the farm templates of its own.
fn with_patterns(farm: &Farm, name: &str, text: &str) {
    fs::create_dir_all(farm.at("templates/errors")).unwrap();
    fs::write(farm.at("templates/errors").join(name), text).unwrap();
    let config = fs::read_to_string(farm.at("syncpkg.toml")).unwrap();
    let templates = format!("templates = \"{}\"\n", farm.at("templates").display());
    fs::write(farm.at("syncpkg.toml"), templates + &config).unwrap();
}

#[test]
fn an_admin_teaches_the_farm_what_explains_a_failure() {
    let farm = Farm::new();
    with_patterns(&farm, "compile.more", "[cause]\n^mycc says no\n");
    farm.push("gcc", "build() { echo 'mycc says no'; echo 'x: error: y'; return 4; }");
    farm.ok("syncpkgcd --once --name b1");
    let why = farm.ok("syncpkg-why gcc");
    assert!(why.contains(": in compile: mycc says no"), "{why}");
    assert!(farm.ok("syncpkg-log --errors gcc").contains("mycc says no\n"));
}

#[test]
fn a_wrong_pattern_is_said_with_its_line_and_stops_nothing() {
    let farm = Farm::new();
    with_patterns(&farm, "any.more", "[cause]\n(unclosed\n");
    let wrong = format!(
        "cannot use the pattern {}:2: unclosed group\n",
        farm.at("templates/errors/any.more").display()
    );
    farm.push("gcc", "build() { echo 'x: error: y'; return 4; }");
    let built = farm.run("syncpkgcd --once --name b1");
    assert_eq!((built.status, built.err), (0, format!("syncpkgcd: {wrong}")));
    let round = farm.run("syncpkgd --once");
    assert_eq!((round.status, round.err), (2, format!("syncpkgd: {wrong}")));
    assert_eq!(farm.run("syncpkgd --once").err, "", "cron would mail it each minute");
    assert!(farm.at("www/index.html").exists() && farm.files("sent").len() == 1, "the rest went on");
    let errors = farm.run("syncpkg-log --errors gcc");
    assert!(errors.status == 2 && errors.out.contains("x: error: y") && errors.err.ends_with(&wrong));
}

#[test]
fn a_log_is_printed_as_a_terminal_would_have_shown_it() {
    let farm = Farm::new();
    let lines = r" 10%\r 100%\n\033[1mbold\033[0m\033]0;title\007 \0000 \0377\n\033[31";
    farm.push("gcc", &format!("build() {{ printf %b '{lines}'; }}"));
    farm.ok("syncpkgcd --once --name b1");
    let log = farm.ok("syncpkg-log gcc");
    assert!(log.contains("\n 100%\nbold \\u{0} \\xff\n\\u{1b}[31\n[syncpkg] built"), "{log}");
}
