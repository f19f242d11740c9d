//! Where programs print: a closed pipe is a quiet end, and nothing printed can act on a terminal.

use std::io::{self, Write};

use super::{Error, Result};

/// Hears how many of how many things of a kind are done.
pub type Progress = fn(&'static str, usize, usize);

/// Hears it and says nothing.
pub const SILENT: Progress = |_, _, _| ();

/// A program's standard output (or a test's buffer).
pub struct Out<'a> {
    sink: Box<dyn Write + 'a>,
    closed: bool,
}

impl<'a> Out<'a> {
    /// Wraps `sink`.
    pub fn new(sink: impl Write + 'a) -> Self {
        Self { sink: Box::new(sink), closed: false }
    }

    /// Writes one line. After the reader has gone away, does nothing.
    ///
    /// # Errors
    /// A disk that is full when output is redirected there; not a closed pipe.
    pub fn line(&mut self, text: &str) -> Result<()> {
        self.bytes(format!("{text}\n").as_bytes())
    }

    /// Writes bytes as they are.
    ///
    /// # Errors
    /// As [`Out::line`].
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        if self.closed {
            return Ok(());
        }
        let done = self.sink.write_all(bytes);
        self.judge(done)
    }

    /// Hands over what is buffered.
    ///
    /// # Errors
    /// As [`Out::line`].
    pub fn flush(&mut self) -> Result<()> {
        if self.closed {
            return Ok(());
        }
        let done = self.sink.flush();
        self.judge(done)
    }

    /// Tells whether the reader has gone away: what follows would be for nobody.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    fn judge(&mut self, done: io::Result<()>) -> Result<()> {
        match done {
            Err(source) if source.kind() == io::ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(())
            }
            other => other.map_err(|source| Error::io("write", "standard output", source)),
        }
    }
}

/// Tells whether `c` could act on a terminal, turn a line around, or spoil a page: controls, C1, bidi overrides, what
/// looks like nothing at all, and what Unicode says is no character.
pub fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{fdd0}'..='\u{fdef}')
        || u32::from(c) & 0xfffe == 0xfffe
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Returns `text` with every character that [`acts`] written as `\u{…}`; tabs stay.
pub fn inert(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if acts(c) && c != '\t' { safe.extend(c.escape_unicode()) } else { safe.push(c) }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_from_outside_cannot_act_on_a_terminal() {
        assert_eq!(inert("a\u{1b}[31m\u{202e}b\tc\r\n"), "a\\u{1b}[31m\\u{202e}b\tc\\u{d}\\u{a}");
        assert_eq!(inert("\u{fffe}\u{1ffff}\u{fdd0}\u{fffd}"), "\\u{fffe}\\u{1ffff}\\u{fdd0}\u{fffd}");
    }
}
