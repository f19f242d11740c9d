//! Lines as a terminal would have shown them, as text that cannot act on one.

use std::borrow::Cow;
use std::io::{self, BufRead, Read};

use super::output::acts;

/// Reads on to the end of a line, or over `most` bytes of it, whole characters; returns false at the end of `source`.
/// What was read is in `piece`, with the end of its line, if that was reached.
///
/// # Errors
/// Those of `source`.
pub fn next_piece(source: &mut impl BufRead, most: u64, piece: &mut Vec<u8>) -> io::Result<bool> {
    piece.clear();
    source.by_ref().take(most).read_until(b'\n', piece)?;
    // The rest of a character, if it was cut in two; nobody's character is longer.
    for _ in 0..3 {
        let Some(byte) = source.fill_buf()?.first().copied().filter(|byte| byte & 0xc0 == 0x80) else {
            break;
        };
        if piece.last().is_none_or(|last| *last < 0x80) {
            break;
        }
        piece.push(byte);
        source.consume(1);
    }
    Ok(!piece.is_empty())
}

/// Returns what a terminal shows when it was sent the bytes of one line: what was overwritten is gone, colours, titles and
/// other sequences are left out, as is the end of the line. What else [`acts`] is written `\u{…}`, tabs stay; what is no
/// UTF-8 is written `\xNN`. A sequence without its end is text, lest it swallow the rest.
pub fn printed(line: &[u8]) -> Cow<'_, str> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if let Ok(text) = std::str::from_utf8(line)
        && (text.bytes().all(|byte| matches!(byte, b'\t' | b' '..=b'~')) || !text.chars().any(hurts))
    {
        return Cow::Borrowed(text);
    }
    let mut screen = Screen::default();
    for chunk in line.utf8_chunks() {
        screen.text(chunk.valid());
        chunk.invalid().iter().for_each(|byte| screen.put_all(format!("\\x{byte:02x}").chars()));
    }
    Cow::Owned(screen.cells.into_iter().collect())
}

fn hurts(c: char) -> bool {
    c != '\t' && acts(c)
}

/// One line of a terminal that is as wide as need be.
#[derive(Default)]
struct Screen {
    cells: Vec<char>,
    at: usize,
}

/// What a sequence does to a line.
enum Act {
    /// Colours, titles, other lines: nothing.
    Nothing,
    /// Moves the cursor so many cells.
    Move(isize),
    /// Moves the cursor to this cell.
    To(usize),
    /// Clears the line from the cursor on.
    ClearAfter,
    /// Clears the line up to the cursor.
    ClearBefore,
    /// Clears the line.
    Clear,
}

impl Screen {
    fn text(&mut self, text: &str) {
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            match c {
                '\r' => self.at = 0,
                '\u{8}' => self.at = self.at.saturating_sub(1),
                '\u{1b}' => match sequence(rest.as_str()) {
                    Some((act, after)) => {
                        self.act(&act);
                        rest = after.chars();
                    }
                    None => self.put_all(c.escape_unicode()),
                },
                c if hurts(c) => self.put_all(c.escape_unicode()),
                c => self.put(c),
            }
        }
    }

    fn put(&mut self, c: char) {
        match self.cells.get_mut(self.at) {
            Some(cell) => *cell = c,
            None => self.cells.push(c),
        }
        self.at += 1;
    }

    fn put_all(&mut self, text: impl Iterator<Item = char>) {
        text.for_each(|c| self.put(c));
    }

    fn act(&mut self, act: &Act) {
        let blank = |cells: Option<&mut [char]>| cells.into_iter().for_each(|cells| cells.fill(' '));
        match *act {
            Act::Nothing => {}
            Act::Move(by) => self.at = self.at.saturating_add_signed(by),
            Act::To(cell) => self.at = cell,
            Act::ClearAfter => self.cells.truncate(self.at),
            Act::ClearBefore => blank(self.cells.get_mut(..self.at)),
            Act::Clear => blank(self.cells.get_mut(..)),
        }
        // Never beyond what was written: three bytes must not become a thousand blanks.
        self.at = self.at.min(self.cells.len());
    }
}

/// Returns what the sequence does that begins with the escape before `text`, and what follows it; none when its end is
/// not there. Looks no further than to the next control character, so many beginnings cost no more than one.
fn sequence(text: &str) -> Option<(Act, &str)> {
    let first = text.chars().next()?;
    if first == '[' {
        let text = text.get(1..)?;
        let end = text.find(|c| !matches!(c, ' '..='?'))?;
        let (parameters, rest) = text.split_at_checked(end)?;
        let end = rest.chars().next().filter(|c| matches!(c, '@'..='~'))?;
        return Some((control(end, parameters), rest.get(1..)?));
    }
    if matches!(first, ']' | 'P' | 'X' | '^' | '_') {
        let (_, rest) = text.split_at_checked(text.find(char::is_control)?)?;
        return Some((
            Act::Nothing,
            rest.strip_prefix(['\u{7}', '\u{9c}']).or(rest.strip_prefix("\u{1b}\\"))?,
        ));
    }
    let rest = text.trim_start_matches(|c| matches!(c, ' '..='/'));
    Some((Act::Nothing, rest.strip_prefix(|c| matches!(c, '0'..='~'))?))
}

fn control(end: char, parameters: &str) -> Act {
    let number = parameters.parse::<u16>().ok();
    let by = isize::from(i16::try_from(number.unwrap_or(1).max(1)).unwrap_or(i16::MAX));
    match (end, number.unwrap_or(0)) {
        ('C', _) => Act::Move(by),
        ('D', _) => Act::Move(-by),
        ('G', cell) => Act::To(usize::from(cell.saturating_sub(1))),
        ('K', 0) => Act::ClearAfter,
        ('K', 1) => Act::ClearBefore,
        ('K', 2) => Act::Clear,
        _ => Act::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shows(line: &str, shown: &str) {
        assert_eq!(printed(line.as_bytes()), shown, "{line:?}");
    }

    #[test]
    fn a_line_without_controls_is_as_it_was() {
        assert!(matches!(printed("naïve \tgcc «x»\r\n".as_bytes()), Cow::Borrowed("naïve \tgcc «x»")));
    }

    #[test]
    fn what_was_overwritten_is_gone() {
        shows("  5%\r 50%\r100%", "100%");
        shows("downloading\rok", "okwnloading");
        shows("downloading\r\u{1b}[Kok", "ok");
        shows("downloading\u{1b}[2K\rok", "ok         ");
        shows("ab\u{8}\u{8}cd_\u{8}e", "cde");
        shows("\u{8}\u{8}a\u{1b}[9Db\u{1b}[99Cc\u{1b}[1Gd", "dc");
        shows("abc\u{1b}[D\u{1b}[1Kd", "  d");
    }

    #[test]
    fn colours_titles_and_links_are_left_out() {
        shows("\u{1b}[1;31merror:\u{1b}[0m\u{1b}[K x", "error: x");
        shows("\u{1b}]0;title\u{7}a\u{1b}]8;;http://x/\u{1b}\\b\u{1b}]8;;\u{1b}\\c", "abc");
        shows("\u{1b}(Ba\u{1b}7\u{1b}=b\u{1b}[?25lc\u{1b}[38:2::1:2:3md\u{1b}P+q\u{1b}\\e", "abcde");
    }

    #[test]
    fn a_sequence_without_its_end_swallows_nothing() {
        shows("\u{1b}]0;error: x", "\\u{1b}]0;error: x");
        shows("\u{1b}[31", "\\u{1b}[31");
        shows("\u{1b}[31é", "\\u{1b}[31é");
        shows("\u{1b}]0;a\u{1b}[1mb", "\\u{1b}]0;ab");
        shows("a\u{1b}", "a\\u{1b}");
        shows("\u{1b}\u{1b}[mb", "\\u{1b}b");
    }

    #[test]
    fn what_would_act_is_text() {
        shows("a\0b\u{7}c\u{9b}31md\u{202e}e\u{c}", "a\\u{0}b\\u{7}c\\u{9b}31md\\u{202e}e\\u{c}");
        assert_eq!(printed(b"\xff\x1b[\xe2\x28x\xc0\xaf"), "\\xff\\u{1b}[\\xe2(x\\xc0\\xaf");
    }

    #[test]
    fn a_line_of_nothing_but_beginnings_is_read_once() {
        for part in ["\u{1b}]", "\u{1b}[1", "\u{1b}[9999C", "a\u{1b}[K\r"] {
            let line = part.repeat((1 << 20) / part.len());
            assert!(printed(line.as_bytes()).len() <= 6 * line.len());
        }
    }

    #[test]
    fn a_long_line_comes_in_pieces_of_whole_characters() {
        let text = format!("a{}\nb", "é".repeat(10));
        let (mut source, mut piece, mut pieces) = (text.as_bytes(), Vec::new(), Vec::new());
        while next_piece(&mut source, 8, &mut piece).unwrap() {
            pieces.push(String::from_utf8(piece.clone()).unwrap());
        }
        assert_eq!(pieces, ["aéééé", "éééé", "éé\n", "b"]);
    }

    #[test]
    fn a_piece_of_broken_characters_is_bounded_too() {
        let (mut piece, bytes) = (Vec::new(), [0x80; 100]);
        assert!(next_piece(&mut &bytes[..], 8, &mut piece).unwrap());
        assert!(piece.len() <= 11);
    }
}
