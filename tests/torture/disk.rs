//! A disk that remembers: a FUSE file that keeps every write and every flush, and the images it could hold after a
//! power cut.
//!
//! What was written before a flush is on the disk after it. Of what was written since, any part may be: writes are
//! dropped at random, in any order, and in blocks, as disks do.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, Generation, INodeNo,
    LockOwner, OpenFlags, ReplyAttr, ReplyData, ReplyEmpty, ReplyEntry, ReplyWrite, Request, WriteFlags,
};

/// What a disk writes whole or not at all, bytes.
const BLOCK: usize = 4096;

/// Nothing that the kernel asks of the file changes.
const FOR_EVER: Duration = Duration::from_secs(3600);

/// The content of a disk; blocks of zeros take no room.
#[derive(Clone)]
pub struct Image {
    size: u64,
    blocks: BTreeMap<u64, Box<[u8]>>,
}

impl Image {
    /// Reads the content of `path`.
    pub fn load(path: &Path) -> Self {
        let file = File::open(path).unwrap();
        let size = file.metadata().unwrap().len();
        let (mut blocks, mut block) = (BTreeMap::new(), vec![0; BLOCK]);
        for at in 0..size / BLOCK as u64 {
            file.read_exact_at(&mut block, at * BLOCK as u64).unwrap();
            if block.iter().any(|byte| *byte != 0) {
                blocks.insert(at, block.clone().into_boxed_slice());
            }
        }
        Self { size, blocks }
    }

    /// Writes the content to `path`, anew.
    pub fn store(&self, path: &Path) {
        let file = File::create(path).unwrap();
        file.set_len(self.size).unwrap();
        for (at, block) in &self.blocks {
            file.write_all_at(block, at * BLOCK as u64).unwrap();
        }
    }

    fn read(&self, offset: u64, length: usize) -> Vec<u8> {
        let end = self.size.min(offset + length as u64);
        let mut bytes = Vec::with_capacity(length);
        for (block, from, to) in pieces(offset, end) {
            match self.blocks.get(&block) {
                Some(block) => bytes.extend_from_slice(&block[from..to]),
                None => bytes.resize(bytes.len() + to - from, 0),
            }
        }
        bytes
    }

    fn write(&mut self, write: &Write) {
        let mut bytes = write.bytes.as_slice();
        for (block, from, to) in pieces(write.offset, write.offset + write.bytes.len() as u64) {
            let (head, tail) = bytes.split_at(to - from);
            let empty = || vec![0; BLOCK].into_boxed_slice();
            self.blocks.entry(block).or_insert_with(empty)[from..to].copy_from_slice(head);
            bytes = tail;
        }
    }
}

/// Cuts the bytes from `offset` to `end` at the ends of blocks: (block, from, to).
fn pieces(mut offset: u64, end: u64) -> Vec<(u64, usize, usize)> {
    let mut pieces = Vec::new();
    while offset < end {
        let (block, from) = (offset / BLOCK as u64, (offset % BLOCK as u64) as usize);
        let length = (BLOCK - from).min((end - offset) as usize);
        pieces.push((block, from, from + length));
        offset += length as u64;
    }
    pieces
}

/// One write.
#[derive(Clone)]
pub struct Write {
    offset: u64,
    bytes: Vec<u8>,
}

impl Write {
    /// Cut into blocks, of which each may reach the disk without the others.
    fn blocks(&self) -> Vec<Write> {
        let end = self.offset + self.bytes.len() as u64;
        let start = |block: u64, from: usize| block * BLOCK as u64 + from as u64;
        let piece = |(block, from, to): (u64, usize, usize)| {
            let offset = start(block, from);
            let at = (offset - self.offset) as usize;
            Write { offset, bytes: self.bytes[at..at + to - from].to_vec() }
        };
        pieces(self.offset, end).into_iter().map(piece).collect()
    }
}

/// What happened to the disk, in order.
pub enum Event {
    /// The file system wrote.
    Write(Write),
    /// The file system was told that all it had written is on the disk.
    Flush,
    /// So many programs have answered.
    Answered(usize),
}

struct Record {
    image: Image,
    events: Vec<Event>,
}

/// A disk whose writes and flushes are recorded while it lives.
pub struct Disk {
    record: Arc<Mutex<Record>>,
    session: Option<BackgroundSession>,
    directory: PathBuf,
}

impl Disk {
    /// Begins with the content of `image`; the disk is the file `disk` in `directory`.
    pub fn new(image: Image, directory: &Path) -> Self {
        let record = Arc::new(Mutex::new(Record { image, events: Vec::new() }));
        let served = Served { record: Arc::clone(&record) };
        let session = fuser::spawn_mount(served, directory, &Config::default()).unwrap();
        Self { record, session: Some(session), directory: directory.to_owned() }
    }

    /// The file that is the disk.
    pub fn path(&self) -> PathBuf {
        self.directory.join("disk")
    }

    /// Notes that so many programs have answered.
    pub fn answered(&self, count: usize) {
        lock(&self.record).events.push(Event::Answered(count));
    }

    /// Ends the recording; returns what happened.
    pub fn events(mut self) -> Vec<Event> {
        if let Some(session) = self.session.take() {
            session.umount_and_join().unwrap();
        }
        std::mem::take(&mut lock(&self.record).events)
    }
}

fn lock(record: &Mutex<Record>) -> MutexGuard<'_, Record> {
    record.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The file system with the one file.
struct Served {
    record: Arc<Mutex<Record>>,
}

const DISK: INodeNo = INodeNo(2);

impl Served {
    fn attributes(&self, inode: INodeNo) -> FileAttr {
        let (kind, size) = match inode {
            DISK => (FileType::RegularFile, lock(&self.record).image.size),
            _ => (FileType::Directory, 0),
        };
        let time = SystemTime::UNIX_EPOCH;
        FileAttr {
            ino: inode,
            size,
            blocks: size / 512,
            atime: time,
            mtime: time,
            ctime: time,
            crtime: time,
            kind,
            perm: 0o700,
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: 4096,
            flags: 0,
        }
    }
}

impl Filesystem for Served {
    fn lookup(&self, _: &Request, _: INodeNo, name: &OsStr, reply: ReplyEntry) {
        if name == "disk" {
            reply.entry(&FOR_EVER, &self.attributes(DISK), Generation(0));
        } else {
            reply.error(Errno::ENOENT);
        }
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        reply.attr(&FOR_EVER, &self.attributes(inode));
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        reply.data(&lock(&self.record).image.read(offset, size as usize));
    }

    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let write = Write { offset, bytes: data.to_vec() };
        let mut record = lock(&self.record);
        record.image.write(&write);
        record.events.push(Event::Write(write));
        reply.written(data.len() as u32);
    }

    fn fsync(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        lock(&self.record).events.push(Event::Flush);
        reply.ok();
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        // This is close(2), which promises nothing.
        reply.ok();
    }
}

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
