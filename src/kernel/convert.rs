//! Between fuser's words and ours.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{
    FileAttr, FileHandle, FileType, FopenFlags, INodeNo, OpenAccMode, OpenFlags, PollEvents,
    Request, TimeOrNow,
};

use crate::fs::{Attr, Fh, Kind, NewNode, OpenMode};
use crate::model::Time;
use crate::tree::Ino;

pub(super) fn ino(number: INodeNo) -> Ino {
    Ino(number.0)
}

pub(super) fn fh(handle: FileHandle) -> Fh {
    Fh(handle.0)
}

pub(super) fn system_time(time: Time) -> SystemTime {
    let part = Duration::from_nanos(time.0.unsigned_abs());
    let there =
        if time.0 < 0 { UNIX_EPOCH.checked_sub(part) } else { UNIX_EPOCH.checked_add(part) };
    there.unwrap_or(UNIX_EPOCH)
}

/// A time as fuser hands it on. Before 1970 that is not what the kernel said: of -1.5 s, which is
/// -2 s and 500 ms, fuser 0.18.0 makes -2.5 s. The whole seconds count down, the rest counts up.
pub(super) fn time(time: SystemTime) -> Time {
    const SECOND: i128 = 1_000_000_000;
    let nanos = match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i128::try_from(after.as_nanos()).unwrap_or(i128::MAX),
        Err(before) => {
            let before = before.duration();
            i128::from(before.subsec_nanos()) - i128::from(before.as_secs()) * SECOND
        }
    };
    let most = if nanos < 0 { i64::MIN } else { i64::MAX };
    Time(i64::try_from(nanos).unwrap_or(most))
}

pub(super) fn time_or_now(time_or_now: TimeOrNow) -> Time {
    match time_or_now {
        TimeOrNow::SpecificTime(at) => time(at),
        TimeOrNow::Now => Time::now(),
    }
}

pub(super) fn file_type(kind: Kind) -> FileType {
    match kind {
        Kind::Directory => FileType::Directory,
        Kind::File => FileType::RegularFile,
        Kind::Link => FileType::Symlink,
    }
}

pub(super) fn file_attr(attr: &Attr) -> FileAttr {
    FileAttr {
        ino: INodeNo(attr.ino.0),
        size: attr.size,
        blocks: attr.size.div_ceil(512),
        atime: system_time(attr.atime),
        mtime: system_time(attr.mtime),
        ctime: system_time(attr.ctime),
        crtime: UNIX_EPOCH,
        kind: file_type(attr.kind),
        perm: (attr.mode & 0o7777) as u16,
        nlink: attr.nlink,
        uid: attr.uid,
        gid: attr.gid,
        rdev: 0,
        blksize: 4096,
        flags: 0,
    }
}

/// The answer "no such name", which the kernel may believe for a while.
pub(super) fn nothing() -> FileAttr {
    FileAttr {
        ino: INodeNo(0),
        size: 0,
        blocks: 0,
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind: FileType::RegularFile,
        perm: 0,
        nlink: 0,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: 0,
        flags: 0,
    }
}

pub(super) fn open_mode(flags: OpenFlags) -> OpenMode {
    match flags.acc_mode() {
        OpenAccMode::O_RDONLY => OpenMode { reads: true, writes: false },
        OpenAccMode::O_WRONLY => OpenMode { reads: false, writes: true },
        OpenAccMode::O_RDWR => OpenMode { reads: true, writes: true },
    }
}

/// What the kernel may do with an open file: keep its pages, since it is told when they change;
/// and spare the flush of what cannot have been written. Of a hidden file it keeps nothing, and nothing
/// from before where that was never proved.
pub(super) fn open_flags(fh: Fh, mode: OpenMode) -> FopenFlags {
    let mut flags = match fh.is_hidden() {
        true => FopenFlags::FOPEN_DIRECT_IO,
        false if fh.is_doubtful() => FopenFlags::empty(),
        false => FopenFlags::FOPEN_KEEP_CACHE,
    };
    if !mode.writes {
        flags |= FopenFlags::FOPEN_NOFLUSH;
    }
    flags
}

/// What `poll` is told: of what goes on, whether a read is answered at once; of a file, what the
/// kernel itself says of one.
pub(super) fn poll_events(ready: Option<bool>) -> PollEvents {
    let reads = PollEvents::POLLIN | PollEvents::POLLRDNORM;
    match ready {
        Some(true) => reads,
        Some(false) => PollEvents::empty(),
        None => reads | PollEvents::POLLOUT | PollEvents::POLLWRNORM,
    }
}

pub(super) fn new_node(request: &Request, mode: u32, umask: u32) -> NewNode {
    NewNode { mode: mode & !umask & 0o7777, uid: request.uid(), gid: request.gid() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As fuser 0.18.0 makes it of the kernel's seconds and nanoseconds.
    fn from_kernel(seconds: i64, nanos: u32) -> SystemTime {
        let part = Duration::new(seconds.unsigned_abs(), nanos);
        if seconds < 0 { UNIX_EPOCH - part } else { UNIX_EPOCH + part }
    }

    #[test]
    fn times_on_both_sides_of_1970_are_the_kernel_s() {
        for (seconds, nanos, told) in [
            (0, 0, 0),
            (1, 200_000_000, 1_200_000_000),
            (-1, 0, -1_000_000_000),
            (-1, 999_999_999, -1),
            (-2, 500_000_000, -1_500_000_000),
            (i64::MAX / 2, 0, i64::MAX),
            (i64::MIN / 2, 0, i64::MIN),
        ] {
            assert_eq!(time(from_kernel(seconds, nanos)), Time(told), "{seconds} {nanos}");
        }
    }

    #[test]
    fn a_time_is_told_to_the_nanosecond() {
        assert_eq!(system_time(Time(-1)), UNIX_EPOCH - Duration::from_nanos(1));
        assert_eq!(system_time(Time(1_500_000_000)), UNIX_EPOCH + Duration::from_millis(1500));
    }

    #[test]
    fn a_size_is_told_in_blocks_of_512_bytes_rounded_up() {
        let attr = Attr {
            ino: Ino(17),
            kind: Kind::File,
            size: 513,
            mode: 0o100_644,
            nlink: 1,
            uid: 1,
            gid: 2,
            atime: Time(0),
            mtime: Time(0),
            ctime: Time(0),
            steady: true,
        };
        let told = file_attr(&attr);
        assert_eq!((told.blocks, told.perm, told.ino), (2, 0o644, INodeNo(17)));
    }
}
