//! Looking up lines in a file that is sorted as `LC_ALL=C sort` does it: at the cost of some short reads, however long the
//! file is.

use std::io::{BufRead, BufReader, Read, Result, Seek, SeekFrom};

/// What is read line by line once the search is as near as that, bytes: a page.
const NEAR: u64 = 4096;
/// The longest line, bytes; what is longer counts as several.
const LONGEST: u64 = 2048;

/// Returns the lines that begin with `prefix`, without their ends, of a file of `length` bytes. Of one that is not sorted
/// it may miss some.
///
/// # Errors
/// It cannot be read.
pub fn lines(file: &mut (impl Read + Seek), length: u64, prefix: &[u8]) -> Result<Vec<Vec<u8>>> {
    // No line that begins before `low`, and at most one that begins after `high`, can be the first one that is wanted.
    let (mut low, mut high) = (0, length);
    while low + NEAR < high {
        let middle = low + (high - low) / 2;
        file.seek(SeekFrom::Start(middle))?;
        let mut rest = BufReader::with_capacity(512, &mut *file);
        let begins = middle + line(&mut rest)?.len() as u64;
        let next = line(&mut rest)?;
        if !next.is_empty() && next.as_slice() < prefix {
            low = begins;
        } else {
            high = middle;
        }
    }
    file.seek(SeekFrom::Start(low))?;
    let (mut rest, mut found) = (BufReader::new(file), Vec::new());
    loop {
        let mut next = line(&mut rest)?;
        if next.is_empty() || (next.as_slice() > prefix && !next.starts_with(prefix)) {
            return Ok(found);
        }
        next.pop_if(|last| *last == b'\n');
        if next.starts_with(prefix) {
            found.push(next);
        }
    }
}

/// Returns the next line with its end; an empty one at the end of the file.
fn line(rest: &mut impl BufRead) -> Result<Vec<u8>> {
    let mut line = Vec::new();
    rest.take(LONGEST).read_until(b'\n', &mut line)?;
    Ok(line)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    /// A file that counts how often it was read.
    struct Counted(Cursor<Vec<u8>>, usize);

    impl Read for Counted {
        fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
            self.1 += 1;
            self.0.read(buffer)
        }
    }

    impl Seek for Counted {
        fn seek(&mut self, to: SeekFrom) -> Result<u64> {
            self.0.seek(to)
        }
    }

    fn found(text: &str, prefix: &str) -> (Vec<String>, usize) {
        let mut file = Counted(Cursor::new(text.as_bytes().to_vec()), 0);
        let lines = lines(&mut file, text.len() as u64, prefix.as_bytes()).unwrap();
        (lines.into_iter().map(|line| String::from_utf8(line).unwrap()).collect(), file.1)
    }

    #[test]
    fn each_line_of_a_sorted_file_is_found_by_how_it_begins_and_no_other() {
        for (count, width) in [(0, 1), (1, 1), (3, 1000), (1000, 0), (5000, 90), (300, 1500)] {
            let mut all: Vec<String> =
                (0..count).map(|n| format!("t p{n} x {}", "y".repeat(n * 7 % (width + 1)))).collect();
            all.extend((0..count.min(70)).map(|n| format!("t p7 x again{n}")));
            all.sort();
            let text: String = all.iter().map(|line| format!("{line}\n")).collect();
            for n in 0..count {
                let prefix = format!("t p{n} ");
                let wanted: Vec<&String> = all.iter().filter(|line| line.starts_with(&prefix)).collect();
                assert_eq!(found(&text, &prefix).0.iter().collect::<Vec<_>>(), wanted, "{prefix} of {count}");
            }
            for absent in ["a", "t p7x ", "t p0 x z", "z"] {
                assert_eq!(found(&text, absent).0, [""; 0], "{absent} of {count}");
            }
        }
    }

    #[test]
    fn a_file_a_thousand_times_as_long_takes_some_ten_more_steps() {
        let text = |count: usize| (0..count).map(|n| format!("t p{n:06} x\n")).collect::<String>();
        let (few, many) = (found(&text(100), "t p000050 ").1, found(&text(100_000), "t p050000 ").1);
        assert!(many <= few + 20, "{few} reads of 100 lines, {many} of 100,000");
    }

    #[test]
    fn what_is_no_list_at_all_ends_the_search() {
        for text in ["\n\n\n".repeat(9000), "x".repeat(99_000), "z\na\n".repeat(5000)] {
            assert_eq!(found(&text, "t p1 ").0, [""; 0]);
        }
    }
}
