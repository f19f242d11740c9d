//! How fast a log is read: the excerpts of `tests/errors/` that explain nothing, over and over, 100 MiB of them, and a
//! compiler's output, searched for the first error.

use std::error::Error;
use std::io::Write;
use std::time::Instant;

use syncpkg::build::first_error::Patterns;

const SIZE: usize = 100 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    let mut out = std::io::stdout();
    let start = Instant::now();
    let patterns = Patterns::built_in();
    writeln!(out, "compiling the patterns: {:.1} ms", start.elapsed().as_secs_f64() * 1e3)?;
    let clean = ["cmake", "make", "tests", "cargo"].map(|name| {
        std::fs::read_to_string(format!("{}/tests/errors/clean-{name}", env!("CARGO_MANIFEST_DIR")))
    });
    let friends = clean.into_iter().collect::<Result<String, _>>()?;
    let command =
        "gcc -DHAVE_CONFIG_H -I. -I.. -pthread -O2 -pipe -fPIC -Wall -MT a.lo -MD -c a.c -o .libs/a.o\n";
    let dull = command.repeat(20) + "checking for strlcpy... no\n  CC       src/libfoo_la-main.lo\n";
    let colours =
        "\u{1b}[32m[ 41%]\u{1b}[0m Building C object a.c.o\r\u{1b}[K\u{1b}[1mok\u{1b}[0m\n".to_owned();
    for (name, text) in
        [("what compilers print", dull), ("false friends only", friends), ("colours", colours)]
    {
        let log = text.repeat(SIZE / text.len() + 1);
        let start = Instant::now();
        let found = patterns.summary(log.as_bytes())?.found;
        let speed = log.len() as f64 / start.elapsed().as_secs_f64() / f64::from(1 << 20);
        writeln!(out, "{name}: {speed:.0} MiB/s{}", if found.is_some() { ", and an error" } else { "" })?;
    }
    Ok(())
}
