//! The limit of FUSE itself: a file system in memory that does nothing else, set as well as it can
//! be. Its files are those of a directory, read once.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, UNIX_EPOCH};

use fuser::{
    Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, InitFlags,
    KernelConfig, LockOwner, OpenFlags, ReplyAttr, ReplyData, ReplyDirectory, ReplyDirectoryPlus,
    ReplyEntry, ReplyOpen, Request,
};
use signal_hook::consts::SIGINT;

/// Nothing ever changes.
const TTL: Duration = Duration::from_secs(3600);

/// Directory or file, by inode number less one.
struct Node {
    attr: FileAttr,
    bytes: Vec<u8>,
    /// In order, for listing.
    entries: Vec<(OsString, usize)>,
    names: HashMap<OsString, usize>,
}

struct Bare(Vec<Node>);

/// Mounts the files of `source` on `point` until the standard input ends.
pub(crate) fn run(source: &Path, point: &Path) {
    let mut nodes = Vec::new();
    load(&mut nodes, source);
    let mut config = fuser::Config::default();
    config.n_threads = Some(2);
    let session = fuser::Session::new(Bare(nodes), point, &config).expect("a mount");
    let session = session.spawn().expect("threads");
    // Ctrl-C is for the benchmark, whose end this waits for.
    let told = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGINT, told).expect("signals can be watched for");
    let mut nothing = Vec::new();
    std::io::stdin().read_to_end(&mut nothing).expect("a pipe");
    session.umount_and_join().expect("it is mounted");
}

fn load(nodes: &mut Vec<Node>, path: &Path) -> usize {
    let metadata = path.metadata().expect("a file of ours");
    let number = nodes.len();
    let (kind, perm) = match metadata.is_dir() {
        true => (FileType::Directory, 0o755),
        false => (FileType::RegularFile, 0o644),
    };
    let attr = FileAttr {
        ino: INodeNo(number as u64 + 1),
        size: metadata.len(),
        blocks: metadata.len().div_ceil(512),
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind,
        perm,
        nlink: 1,
        uid: nix::unistd::getuid().as_raw(),
        gid: nix::unistd::getgid().as_raw(),
        rdev: 0,
        blksize: 4096,
        flags: 0,
    };
    nodes.push(Node { attr, bytes: Vec::new(), entries: Vec::new(), names: HashMap::new() });
    if kind == FileType::RegularFile {
        nodes[number].bytes = std::fs::read(path).expect("a file of ours");
        return number;
    }
    for entry in std::fs::read_dir(path).expect("a directory of ours") {
        let entry = entry.expect("a directory of ours");
        let child = load(nodes, &entry.path());
        nodes[number].entries.push((entry.file_name(), child));
        nodes[number].names.insert(entry.file_name(), child);
    }
    number
}

impl Bare {
    fn node(&self, number: INodeNo) -> Option<&Node> {
        self.0.get(usize::try_from(number.0).ok()?.checked_sub(1)?)
    }

    /// The entries behind a cookie, each with its own.
    fn behind(&self, number: INodeNo, cookie: u64) -> impl Iterator<Item = (u64, &OsStr, &Node)> {
        let entries = self.node(number).map_or(&[][..], |node| &node.entries);
        let skipped = usize::try_from(cookie).unwrap_or(usize::MAX);
        let numbered = entries.iter().enumerate().skip(skipped);
        numbered.map(|(at, (name, child))| (at as u64 + 1, name.as_os_str(), &self.0[*child]))
    }
}

impl Filesystem for Bare {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> std::io::Result<()> {
        for wanted in [
            InitFlags::FUSE_DO_READDIRPLUS,
            InitFlags::FUSE_PARALLEL_DIROPS,
            InitFlags::FUSE_NO_OPENDIR_SUPPORT,
            InitFlags::FUSE_EXPLICIT_INVAL_DATA,
        ] {
            if let Err(missing) = config.add_capabilities(wanted) {
                eprintln!("this kernel lacks {missing:?}");
            }
        }
        Ok(())
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        match self.node(parent).and_then(|node| node.names.get(name)) {
            Some(child) => reply.entry(&TTL, &self.0[*child].attr, Generation(0)),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _: &Request, number: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.node(number) {
            Some(node) => reply.attr(&TTL, &node.attr),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        reply.opened(FileHandle(0), FopenFlags::FOPEN_KEEP_CACHE | FopenFlags::FOPEN_NOFLUSH);
    }

    fn read(
        &self,
        _: &Request,
        number: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let bytes = self.node(number).map_or(&[][..], |node| &node.bytes);
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let to = from.saturating_add(size as usize).min(bytes.len());
        reply.data(&bytes[from..to]);
    }

    fn opendir(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        // The kernel then never asks again.
        reply.error(Errno::ENOSYS);
    }

    fn readdir(
        &self,
        _: &Request,
        number: INodeNo,
        _: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        for (cookie, name, node) in self.behind(number, offset) {
            if reply.add(node.attr.ino, cookie, node.attr.kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn readdirplus(
        &self,
        _: &Request,
        number: INodeNo,
        _: FileHandle,
        offset: u64,
        mut reply: ReplyDirectoryPlus,
    ) {
        for (cookie, name, node) in self.behind(number, offset) {
            if reply.add(node.attr.ino, cookie, name, &TTL, &node.attr, Generation(0)) {
                break;
            }
        }
        reply.ok();
    }
}
