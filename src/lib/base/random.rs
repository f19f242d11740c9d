//! Chance, from the kernel.

use rustix::rand::{GetRandomFlags, getrandom};

/// Returns `length` random characters of `a-z2-7` (five bits each).
pub fn word(length: usize) -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut bytes = vec![0_u8; length];
    // A kernel without getrandom (before 3.17) cannot run the rest either; zeros are caught by NOREPLACE.
    let _ = getrandom(&mut bytes[..], GetRandomFlags::empty());
    bytes
        .iter()
        .filter_map(|byte| LETTERS.get(usize::from(byte & 31)))
        .map(|&letter| char::from(letter))
        .collect()
}

/// Returns a random number.
pub fn number() -> u16 {
    let mut bytes = [0_u8; 2];
    let _ = getrandom(&mut bytes[..], GetRandomFlags::empty());
    u16::from_ne_bytes(bytes)
}
