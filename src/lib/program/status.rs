//! How programs end.

use crate::base::Result;
use crate::base::error::Kind;

/// How a program ends when it was not stopped by an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// 0.
    Done,
    /// 1: the answer is no, and was given.
    No,
    /// 2: some operand was wrong, and it was said.
    Wrong,
    /// 75: some operand is to be tried again, and it was said.
    Again,
    /// That of another program, which has said why.
    Other(u8),
}

impl Status {
    pub(super) fn code(self) -> u8 {
        match self {
            Status::Done => 0,
            Status::No => Kind::No.status(),
            Status::Wrong => Kind::Wrong.status(),
            Status::Again => Kind::Again.status(),
            Status::Other(status) => status,
        }
    }
}

/// Adds up the ends of several operands.
#[derive(Debug, Default, Clone, Copy)]
pub struct Tally {
    done: usize,
    no: usize,
    wrong: usize,
    again: usize,
}

impl Tally {
    /// Counts one operand.
    pub fn add<T>(&mut self, end: &Result<T>) {
        match end.as_ref().map_err(|error| error.kind) {
            Ok(_) => self.done += 1,
            Err(Kind::No) => self.no += 1,
            Err(Kind::Wrong | Kind::Denied) => self.wrong += 1,
            Err(Kind::Again) => self.again += 1,
        }
    }

    /// Returns the status of all.
    pub fn status(self) -> Status {
        match self {
            Tally { again: 1.., .. } => Status::Again,
            Tally { wrong: 1.., .. } => Status::Wrong,
            Tally { done: 0, no: 1.., .. } => Status::No,
            Tally { .. } => Status::Done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Error;

    fn status(ends: &[Result<()>]) -> Status {
        let mut tally = Tally::default();
        ends.iter().for_each(|end| tally.add(end));
        tally.status()
    }

    #[test]
    fn the_worst_of_several_operands_decides() {
        let (no, wrong, again) =
            (|| Err(Error::no("n")), || Err(Error::wrong("w")), || Err(Error::again("a")));
        assert_eq!(status(&[Ok(()), wrong(), again(), no()]), Status::Again);
        assert_eq!(status(&[Ok(()), wrong(), no()]), Status::Wrong);
        assert_eq!(status(&[Ok(()), no()]), Status::Done);
        assert_eq!(status(&[no(), no()]), Status::No);
        assert_eq!(status(&[]), Status::Done);
    }
}
