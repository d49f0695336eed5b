//! The mount point: what must be true of it before, and how it becomes an empty directory again.

use std::path::Path;
use std::process::Command;

use nix::mount::{MntFlags, umount2};

use crate::exit::{Exit, Failure};

/// Checks that `point` can be mounted on, and removes what a dead process left mounted there.
pub fn prepare(point: &Path, nonempty: bool) -> Result<(), Failure> {
    let shown = point.display();
    let fail = |message: String, hint: &str| Err(Failure::new(Exit::MountPoint, message, hint));
    if is_dead(point) {
        log::warn!("{shown} was left mounted by a process that is gone; it is unmounted");
        if let Err(error) = unmount(point, true) {
            return fail(error, "unmount it by hand: fusermount3 -uz");
        }
        return prepare(point, nonempty);
    }
    match std::fs::metadata(point) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return fail(format!("{shown} does not exist"), "make it first: mkdir");
        }
        Err(error) => return fail(format!("{shown}: {error}"), "name a directory of your own"),
        Ok(data) if !data.is_dir() => {
            return fail(format!("{shown} is not a directory"), "name an empty directory");
        }
        Ok(_) => {}
    }
    if is_gistfs(point) {
        return fail(
            format!("{shown} is a gistfs mount already"),
            "unmount it first: gistfs unmount",
        );
    }
    match std::fs::read_dir(point).map(|mut entries| entries.next().is_none()) {
        Ok(true) => {}
        Ok(false) if nonempty => {}
        Ok(false) => {
            return fail(
                format!("{shown} is not empty"),
                "name an empty directory; -o nonempty hides what is there",
            );
        }
        Err(error) => return fail(format!("{shown}: {error}"), "name a directory of your own"),
    }
    let missing = |what: String, hint: &str| Err(Failure::new(Exit::Fuse, what, hint));
    if let Err(error) = std::fs::File::options().read(true).write(true).open("/dev/fuse") {
        return missing(
            format!("cannot open /dev/fuse: {error}"),
            "load the module (modprobe fuse); in a container, pass the device in",
        );
    }
    if !nix::unistd::geteuid().is_root() && fusermount().is_none() {
        return missing("fusermount3 is not installed".into(), "install it: apt-get install fuse3");
    }
    Ok(())
}

/// Words for a mount that the system refused.
pub fn cannot_mount(point: &Path, error: &std::io::Error) -> Failure {
    let text = error.to_string();
    if text.contains("user_allow_other") {
        return Failure::new(
            Exit::Fuse,
            "the system lets no user open a mount to others",
            "put user_allow_other into /etc/fuse.conf, or leave --allow-other out",
        );
    }
    let text = text.trim();
    let hint = if error.raw_os_error() == Some(libc::EPERM) {
        "mounting needs CAP_SYS_ADMIN here, or fusermount3 for an ordinary user"
    } else {
        "see /dev/fuse, fusermount3 and the permissions of the mount point"
    };
    Failure::new(Exit::Fuse, format!("cannot mount on {}: {text}", point.display()), hint)
}

/// Whether a mount is there whose process is gone.
///
/// Asks for the free space, which the kernel never remembers: `stat` would be answered from its
/// memory for as long as the dead process said that it may.
pub fn is_dead(point: &Path) -> bool {
    nix::sys::statvfs::statvfs(point) == Err(nix::Error::ENOTCONN)
}

/// Whether a living gistfs is mounted exactly there.
pub fn is_gistfs(point: &Path) -> bool {
    let Ok(point) = point.canonicalize() else { return false };
    mounts().contains(&point)
}

/// Where gistfs is mounted, by the kernel's table.
pub fn mounts() -> Vec<std::path::PathBuf> {
    let table = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    table
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ');
            let (source, point, kind) = (fields.next()?, fields.next()?, fields.next()?);
            let ours = kind == "fuse.gistfs" || (kind == "fuse" && source == "gistfs");
            ours.then(|| unescaped(point))
        })
        .collect()
}

/// The table writes space, tab, newline and backslash as octal.
fn unescaped(field: &str) -> std::path::PathBuf {
    use std::os::unix::ffi::OsStringExt as _;
    let mut bytes = Vec::new();
    let mut rest = field.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let octal = tail.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) if *first == b'\\' => {
                bytes.push(byte);
                rest = &tail[3..];
            }
            Some(_) | None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    std::ffi::OsString::from_vec(bytes).into()
}

/// Unmounts. `lazily` takes it out of sight at once, also while it is in use.
pub fn unmount(point: &Path, lazily: bool) -> Result<(), String> {
    let flags = if lazily { MntFlags::MNT_DETACH } else { MntFlags::empty() };
    match umount2(point, flags) {
        Ok(()) => return Ok(()),
        Err(nix::Error::EPERM) => {}
        Err(nix::Error::EBUSY) => return Err(busy(point)),
        Err(error) => return Err(format!("cannot unmount {}: {error}", point.display())),
    }
    let Some(helper) = fusermount() else {
        return Err("fusermount3 is not installed".into());
    };
    let mut command = Command::new(helper);
    command.arg("-u").args(lazily.then_some("-z")).arg("--").arg(point);
    match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            Err(if words.contains("busy") { busy(point) } else { words })
        }
        Err(error) => Err(format!("cannot run fusermount3: {error}")),
    }
}

fn busy(point: &Path) -> String {
    format!("{} is in use: a program has a file open there or works in it", point.display())
}

/// The helper that lets ordinary users mount and unmount.
fn fusermount() -> Option<&'static str> {
    ["fusermount3", "fusermount"]
        .into_iter()
        .find(|name| Command::new(name).arg("-V").output().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mount_table_s_escapes_are_undone() {
        assert_eq!(unescaped(r"/a\040b\134c"), Path::new(r"/a b\c"));
        assert_eq!(unescaped(r"/a\04"), Path::new(r"/a\04"));
        assert_eq!(unescaped("/é"), Path::new("/é"));
    }

    #[test]
    fn what_cannot_be_mounted_on_is_said_in_one_sentence_each() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        std::fs::write(&file, "").unwrap();
        let message = |point: &Path| prepare(point, false).unwrap_err().message;
        assert!(message(&directory.path().join("missing")).contains("does not exist"));
        assert!(message(&file).contains("not a directory"));
        assert!(message(directory.path()).contains("not empty"));
    }
}
