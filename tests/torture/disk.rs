//! A disk that remembers: a FUSE file that keeps every write and every flush.

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

    /// Does one write.
    pub fn write(&mut self, write: &Write) {
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
    pub fn blocks(&self) -> Vec<Write> {
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
