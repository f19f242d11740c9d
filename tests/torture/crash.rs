//! What a disk may hold after a power cut.
//!
//! What was written before a flush is on the disk after it. Of what was written since, any part may be: writes are
//! dropped at random, in any order, and in blocks, as disks do.

use crate::disk::{Event, Image, Write};

/// Numbers that look random and are the same each time.
pub struct Dice(u64);

impl Dice {
    /// Begins at `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Throws (SplitMix64).
    fn throw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Tells whether something happens that happens once in `n` times.
    fn once_in(&mut self, n: u64) -> bool {
        self.throw().is_multiple_of(n)
    }
}

/// What the disk may hold after a power cut.
pub struct Crash<'a> {
    /// Its content.
    pub image: &'a Image,
    /// How many programs had answered.
    pub answered: usize,
    /// Which of the writes reached it, in words.
    pub what: &'a str,
}

/// Shows `see` what a disk that began as `start` may hold after a power cut: at every flush and every answer, and
/// `subsets` times at each with a random part of what was not flushed yet.
pub fn crashes(start: &Image, events: &[Event], subsets: usize, seed: u64, see: &mut dyn FnMut(Crash)) {
    let mut replay = Replay { durable: start.clone(), open: Vec::new(), answered: 0, dice: Dice::new(seed) };
    for event in events {
        match event {
            Event::Write(write) => replay.open.push(write.clone()),
            Event::Answered(count) => {
                replay.answered = *count;
                replay.show("nothing since the flush", &replay.durable, see);
                replay.open_writes(subsets, see);
                replay.everything(see);
            }
            Event::Flush if replay.open.is_empty() => {}
            Event::Flush => {
                replay.open_writes(subsets, see);
                replay.flush();
                replay.show("flushed", &replay.durable, see);
            }
        }
    }
}

struct Replay {
    durable: Image,
    open: Vec<Write>,
    answered: usize,
    dice: Dice,
}

impl Replay {
    fn show(&self, what: &str, image: &Image, see: &mut dyn FnMut(Crash)) {
        see(Crash { image, answered: self.answered, what });
    }

    fn flush(&mut self) {
        self.open.drain(..).for_each(|write| self.durable.write(&write));
    }

    fn everything(&self, see: &mut dyn FnMut(Crash)) {
        if !self.open.is_empty() {
            let mut image = self.durable.clone();
            self.open.iter().for_each(|write| image.write(write));
            self.show("everything written", &image, see);
        }
    }

    /// Of a single write there is no part but its blocks.
    fn open_writes(&mut self, subsets: usize, see: &mut dyn FnMut(Crash)) {
        let blocks: Vec<Write> = self.open.iter().flat_map(Write::blocks).collect();
        if blocks.len() < 2 {
            return;
        }
        for nth in 0..subsets {
            let torn = self.dice.once_in(2);
            let writes = if torn { &blocks } else { &self.open };
            let mut image = self.durable.clone();
            for write in writes {
                if self.dice.once_in(2) {
                    image.write(write);
                }
            }
            let what = format!("part {nth} of what was not flushed{}", if torn { ", torn" } else { "" });
            self.show(&what, &image, see);
        }
    }
}
