//! Running operations: on one implementation, and on both.

use crate::fs::vfs::filetype;
use crate::wasi::differential::differences::difference;
use crate::wasi::differential::hosts::{FACTORY, Host, Hosts};
use crate::wasi::differential::ops::{Bytes, Handle, Observation, Op, ROOT_FD};
use crate::wasi::preview1::{dirent, fdstat, filestat, oflags, rights};

/// Addresses in guest memory.
mod at {
    pub(super) const IOVEC: u32 = 0x100;
    pub(super) const OUT: u32 = 0x200;
    pub(super) const PATH: u32 = 0x1000;
    pub(super) const PATH2: u32 = 0x3000;
    pub(super) const BUF: u32 = 0x1_0000;
}

/// Byte that fills the buffer before each call.
const FILL: u8 = 0xA5;
/// Maximum length of the buffer of one operation.
pub(super) const MAX_BUF: u32 = 0x4_0000;

/// An implementation, and the descriptors that are open on it.
pub(super) struct Side {
    pub(super) host: Box<dyn Host>,
    /// Numbers of the opened descriptors, in the order of opening.
    fds: Vec<u32>,
}

impl Side {
    pub(super) fn new(host: Box<dyn Host>) -> Self {
        Self {
            host,
            fds: Vec::new(),
        }
    }

    fn fd(&self, handle: Handle) -> u64 {
        u64::from(match handle {
            Handle::Root => ROOT_FD,
            Handle::Stdin => 0,
            Handle::Stdout => 1,
            Handle::Opened(n) if !self.fds.is_empty() => self.fds[n % self.fds.len()],
            Handle::Invalid | Handle::Opened(_) => 900,
        })
    }

    /// Runs the operation that `op` returns for a descriptor on `path`, which is closed after that.
    pub(super) fn with_open(
        &mut self,
        path: &str,
        oflags: u32,
        op: impl FnOnce(Handle) -> Op,
    ) -> Observation {
        let opened = self.run(&Op::Open {
            dir: Handle::Root,
            path: path.to_owned(),
            lookup: 0,
            oflags,
            rights: rights::FD_READ,
            fdflags: 0,
        });
        if opened != Observation::Opened {
            return opened;
        }
        let handle = Handle::Opened(self.fds.len() - 1);
        let observation = self.run(&op(handle));
        self.run(&Op::Close(handle));
        observation
    }

    fn put(&mut self, at: u32, bytes: &[u8]) -> [u64; 2] {
        self.host.memory()[at as usize..][..bytes.len()].copy_from_slice(bytes);
        [u64::from(at), bytes.len() as u64]
    }

    /// Writes an iovec with one buffer of `len` bytes of `byte`. Returns the arguments for it.
    fn iovec(&mut self, len: u32, byte: u8) -> [u64; 2] {
        self.host.memory()[at::BUF as usize..][..len as usize].fill(byte);
        let mut bytes = [0; 8];
        bytes[..4].copy_from_slice(&at::BUF.to_le_bytes());
        bytes[4..].copy_from_slice(&len.to_le_bytes());
        self.put(at::IOVEC, &bytes);
        [u64::from(at::IOVEC), 1]
    }

    fn out<const N: usize>(&mut self) -> [u8; N] {
        self.host.memory()[at::OUT as usize..][..N]
            .try_into()
            .unwrap()
    }

    fn out_u32(&mut self) -> u32 {
        u32::from_le_bytes(self.out())
    }

    /// Makes a call. On success returns the observation `then`.
    fn observe(
        &mut self,
        name: &str,
        args: &[u64],
        then: impl FnOnce(&mut Self) -> Observation,
    ) -> Observation {
        match self.host.call(name, args) {
            Ok(0) => then(self),
            Ok(errno) => Observation::Error(errno),
            Err(_) => Observation::Trap,
        }
    }

    /// Runs an operation.
    pub(super) fn run(&mut self, op: &Op) -> Observation {
        const OUT: u64 = at::OUT as u64;
        let done = |_: &mut Self| Observation::Done;
        let count = |side: &mut Self| Observation::Count(side.out_u32());
        let bytes = |side: &mut Self| {
            let n = side.out_u32() as usize;
            let bytes = side.host.memory()[at::BUF as usize..][..n].to_vec();
            Observation::Bytes(Bytes(bytes))
        };
        let offset = |side: &mut Self| Observation::Offset(u64::from_le_bytes(side.out()));
        match op {
            Op::Open {
                dir,
                path,
                lookup,
                oflags,
                rights,
                fdflags,
            } => {
                let [p, n] = self.put(at::PATH, path.as_bytes());
                let (lookup, oflags) = (u64::from(*lookup), u64::from(*oflags));
                let fdflags = u64::from(*fdflags);
                let dir = self.fd(*dir);
                let args = [dir, lookup, p, n, oflags, *rights, *rights, fdflags, OUT];
                self.observe("path_open", &args, |side| {
                    let fd = side.out_u32();
                    side.fds.push(fd);
                    Observation::Opened
                })
            }
            Op::Close(handle) => {
                let fd = self.fd(*handle);
                self.observe("fd_close", &[fd], |side| {
                    side.fds.retain(|open| u64::from(*open) != fd);
                    Observation::Done
                })
            }
            Op::Read(handle, len) => {
                let [iov, n] = self.iovec(*len, FILL);
                self.observe("fd_read", &[self.fd(*handle), iov, n, OUT], bytes)
            }
            Op::Pread(handle, len, offset) => {
                let [iov, n] = self.iovec(*len, FILL);
                self.observe("fd_pread", &[self.fd(*handle), iov, n, *offset, OUT], bytes)
            }
            Op::Write(handle, len, byte) => {
                let [iov, n] = self.iovec(*len, *byte);
                self.observe("fd_write", &[self.fd(*handle), iov, n, OUT], count)
            }
            Op::Pwrite(handle, len, byte, offset) => {
                let [iov, n] = self.iovec(*len, *byte);
                let args = [self.fd(*handle), iov, n, *offset, OUT];
                self.observe("fd_pwrite", &args, count)
            }
            Op::Seek(handle, delta, whence) => {
                let args = [self.fd(*handle), *delta as u64, u64::from(*whence), OUT];
                self.observe("fd_seek", &args, offset)
            }
            Op::Tell(handle) => self.observe("fd_tell", &[self.fd(*handle), OUT], offset),
            Op::SetSize(handle, len) => {
                self.observe("fd_filestat_set_size", &[self.fd(*handle), *len], done)
            }
            Op::SetFlags(handle, flags) => {
                let args = [self.fd(*handle), u64::from(*flags)];
                self.observe("fd_fdstat_set_flags", &args, done)
            }
            Op::SetTimes(handle, flags) => {
                let args = [self.fd(*handle), 1, 2, u64::from(*flags)];
                self.observe("fd_filestat_set_times", &args, done)
            }
            Op::FdStat(handle) => self.observe("fd_fdstat_get", &[self.fd(*handle), OUT], |side| {
                let stat: [u8; fdstat::SIZE] = side.out();
                let flags = stat[fdstat::FLAGS].try_into().unwrap();
                Observation::FdStat(stat[fdstat::FILETYPE], u16::from_le_bytes(flags))
            }),
            Op::FileStat(handle) => {
                self.observe("fd_filestat_get", &[self.fd(*handle), OUT], Self::stat)
            }
            Op::Advise(handle) => self.observe("fd_advise", &[self.fd(*handle), 0, 0, 0], done),
            Op::Sync(handle) => self.observe("fd_sync", &[self.fd(*handle)], done),
            Op::Datasync(handle) => self.observe("fd_datasync", &[self.fd(*handle)], done),
            Op::List(handle, len) => self.list(*handle, *len),
            Op::Mkdir(dir, path) => self.with_path("path_create_directory", *dir, path, done),
            Op::Rmdir(dir, path) => self.with_path("path_remove_directory", *dir, path, done),
            Op::Unlink(dir, path) => self.with_path("path_unlink_file", *dir, path, done),
            Op::Rename(dir, from, to) => {
                let dir = self.fd(*dir);
                let [p, n] = self.put(at::PATH, from.as_bytes());
                let [p2, n2] = self.put(at::PATH2, to.as_bytes());
                self.observe("path_rename", &[dir, p, n, dir, p2, n2], done)
            }
            Op::Link(dir, lookup, from, to) => {
                let dir = self.fd(*dir);
                let [p, n] = self.put(at::PATH, from.as_bytes());
                let [p2, n2] = self.put(at::PATH2, to.as_bytes());
                let args = [dir, u64::from(*lookup), p, n, dir, p2, n2];
                self.observe("path_link", &args, done)
            }
            Op::Symlink(target, dir, path) => {
                let [p, n] = self.put(at::PATH, target.as_bytes());
                let [p2, n2] = self.put(at::PATH2, path.as_bytes());
                self.observe("path_symlink", &[p, n, self.fd(*dir), p2, n2], done)
            }
            Op::Readlink(dir, path, len) => {
                let [p, n] = self.put(at::PATH, path.as_bytes());
                let [_, _] = self.iovec(*len, FILL);
                let (buf, len) = (u64::from(at::BUF), u64::from(*len));
                let args = [self.fd(*dir), p, n, buf, len, OUT];
                self.observe("path_readlink", &args, bytes)
            }
            Op::PathStat(dir, lookup, path) => {
                let [p, n] = self.put(at::PATH, path.as_bytes());
                let args = [self.fd(*dir), u64::from(*lookup), p, n, OUT];
                self.observe("path_filestat_get", &args, Self::stat)
            }
            Op::PathSetTimes(dir, lookup, path, flags) => {
                let [p, n] = self.put(at::PATH, path.as_bytes());
                let (lookup, flags) = (u64::from(*lookup), u64::from(*flags));
                let args = [self.fd(*dir), lookup, p, n, 1, 2, flags];
                self.observe("path_filestat_set_times", &args, done)
            }
        }
    }

    fn with_path(
        &mut self,
        name: &str,
        dir: Handle,
        path: &str,
        then: impl FnOnce(&mut Self) -> Observation,
    ) -> Observation {
        let [p, n] = self.put(at::PATH, path.as_bytes());
        self.observe(name, &[self.fd(dir), p, n], then)
    }

    fn stat(&mut self) -> Observation {
        let stat: [u8; filestat::SIZE] = self.out();
        let kind = stat[filestat::FILETYPE];
        let field = |range: std::ops::Range<usize>| {
            let bytes = stat[range].try_into().unwrap();
            u64::from_le_bytes(bytes)
        };
        let size = (field(filestat::LEN), field(filestat::NLINK));
        Observation::Stat(kind, (kind != filetype::DIRECTORY).then_some(size))
    }

    /// Reads a listing to its end, with buffers of `len` bytes and the cookies of the entries.
    fn list(&mut self, handle: Handle, len: u32) -> Observation {
        let mut names = Vec::new();
        let mut cookie = 0;
        loop {
            let [_, _] = self.iovec(len, FILL);
            let args = [
                self.fd(handle),
                u64::from(at::BUF),
                u64::from(len),
                cookie,
                u64::from(at::OUT),
            ];
            match self.host.call("fd_readdir", &args) {
                Ok(0) => {}
                Ok(errno) => return Observation::Error(errno),
                Err(_) => return Observation::Trap,
            }
            let used = self.out_u32();
            let buffer = self.host.memory()[at::BUF as usize..][..used as usize].to_vec();
            let mut rest = &buffer[..];
            while rest.len() >= dirent::SIZE {
                let (entry, after) = rest.split_at(dirent::SIZE);
                let next = u64::from_le_bytes(entry[dirent::NEXT].try_into().unwrap());
                let len = u32::from_le_bytes(entry[dirent::NAMLEN].try_into().unwrap());
                let Some(name) = after.get(..len as usize) else {
                    break;
                };
                let name = String::from_utf8(name.to_vec()).unwrap();
                names.push((name, entry[dirent::TYPE]));
                cookie = next;
                rest = &after[len as usize..];
            }
            if used < len {
                names.sort();
                return Observation::Names(names);
            }
        }
    }
}

/// Two sides that have run the same operations.
pub(super) struct Pair {
    pub(super) ours: Side,
    pub(super) theirs: Side,
}

impl Pair {
    pub(super) fn new() -> Self {
        let Hosts { ours, theirs } = FACTORY.hosts();
        Self {
            ours: Side::new(ours),
            theirs: Side::new(theirs),
        }
    }

    /// Runs `op` on both sides. Appends a difference that is not permitted to `failures`. Returns false if the sides
    /// cannot be compared any more.
    fn run(&mut self, op: &Op, failures: &mut Vec<String>) -> bool {
        let (ours, theirs) = (self.ours.run(op), self.theirs.run(op));
        if ours == theirs {
            return true;
        }
        if difference(op, &ours, &theirs).is_none() {
            failures.push(format!("{op:?}: ours {ours:?}, wasmtime-wasi {theirs:?}"));
        }
        ours.is_failure() && theirs.is_failure() || !op.changes_state()
    }

    /// Runs all `ops`, then compares the files. Returns the differences that are not permitted, and true if all
    /// operations ran and the files were compared.
    pub(super) fn run_all(&mut self, ops: &[Op]) -> (Vec<String>, bool) {
        let mut failures = Vec::new();
        for op in ops {
            if !self.run(op, &mut failures) {
                return (failures, false);
            }
        }
        let (ours, theirs) = (tree(&mut self.ours, "tmp"), tree(&mut self.theirs, "tmp"));
        if ours != theirs {
            failures.push(format!("files: ours {ours:?}, wasmtime-wasi {theirs:?}"));
        }
        (failures, true)
    }
}

/// Returns all files below `tmp`, as the guest sees them: path, attributes, and content, target or names.
fn tree(side: &mut Side, top: &str) -> Vec<(String, Observation, Observation)> {
    let mut found = Vec::new();
    let mut pending = vec![top.to_owned()];
    while let Some(path) = pending.pop() {
        let stat = side.run(&Op::PathStat(Handle::Root, 0, path.clone()));
        let content = match &stat {
            Observation::Stat(filetype::DIRECTORY, _) => {
                let names = side.with_open(&path, oflags::DIRECTORY, |h| Op::List(h, 4096));
                if let Observation::Names(names) = &names {
                    let names = names.iter().filter(|(n, _)| n != "." && n != "..");
                    pending.extend(names.map(|(name, _)| format!("{path}/{name}")));
                }
                names
            }
            Observation::Stat(filetype::SYMBOLIC_LINK, _) => {
                side.run(&Op::Readlink(Handle::Root, path.clone(), 4096))
            }
            _ => side.with_open(&path, 0, |h| Op::Read(h, MAX_BUF)),
        };
        found.push((path, stat, content));
    }
    found
}
