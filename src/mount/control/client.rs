//! Asking a running mount.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::asks::{Ask, Reply, Told};
use crate::model::BlobId;
use crate::sync::Progress;

/// The longest line either side sends.
const LONGEST_LINE: u64 = 16 << 20;

/// How long whoever asks waits for an answer that takes no time.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks the mount at `mountpoint`; `None` if no gistfs listens for it. `see` hears how it goes.
pub fn ask(
    mountpoint: &Path,
    question: &Ask,
    see: &mut dyn FnMut(&Progress),
) -> std::io::Result<Option<Reply>> {
    ask_socket(&directory()?.join(socket_name(mountpoint)), question, see)
}

/// Asks every mount of this user. One that cannot be talked to answers with that error.
pub fn ask_all(question: &Ask, see: &mut dyn FnMut(&Progress)) -> std::io::Result<Vec<Reply>> {
    ask_all_in(&directory()?, question, see)
}

fn ask_all_in(
    directory: &Path,
    question: &Ask,
    see: &mut dyn FnMut(&Progress),
) -> std::io::Result<Vec<Reply>> {
    let mut replies = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "sock") {
            let reply = ask_socket(&path, question, see);
            replies.extend(reply.unwrap_or_else(|error| {
                let why = format!("cannot talk to the mount at {}: {error}", path.display());
                log::warn!("{why}");
                Some(Reply::failed(why))
            }));
        }
    }
    Ok(replies)
}

fn ask_socket(
    path: &Path,
    question: &Ask,
    see: &mut dyn FnMut(&Progress),
) -> std::io::Result<Option<Reply>> {
    use std::io::ErrorKind::{ConnectionRefused, NotFound};
    let stream = match UnixStream::connect(path) {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), ConnectionRefused | NotFound) => return Ok(None),
        Err(error) => return Err(error),
    };
    match question {
        Ask::Status | Ask::GiveWay => stream.set_read_timeout(Some(PATIENCE))?,
        Ask::Sync(_)
        | Ask::FollowSync(_)
        | Ask::Unmount(_)
        | Ask::FollowUnmount(_)
        | Ask::Trash(_)
        | Ask::Prefetch(_)
        | Ask::Gist(_) => {}
    }
    write_line(&stream, question)?;
    let mut reader = BufReader::new(&stream);
    let reply = loop {
        match read_line::<Answer>(&mut reader)? {
            Some(Answer::Told(told)) => see(&told.progress),
            Some(Answer::Reply(reply)) => break Some(*reply),
            // It went away with the question: whether it did it is not known.
            None if matches!(question, Ask::Gist(_)) => {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            None => break None,
        }
    };
    if matches!(question, Ask::Unmount(_) | Ask::FollowUnmount(_)) {
        // A broken connection is an end as well.
        drop(std::io::copy(&mut reader, &mut std::io::sink()));
    }
    Ok(reply)
}

/// A line of an answer.
#[derive(Deserialize)]
#[serde(untagged)]
enum Answer {
    Told(Told),
    Reply(Box<Reply>),
}

pub(super) fn write_line<T: Serialize>(mut stream: &UnixStream, value: &T) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    stream.write_all(&line)
}

/// The next line the other side said; `None` if it went away.
pub(super) fn read_line<T: for<'a> Deserialize<'a>>(
    reader: &mut BufReader<&UnixStream>,
) -> std::io::Result<Option<T>> {
    let mut line = String::new();
    std::io::Read::take(reader, LONGEST_LINE).read_line(&mut line)?;
    if line.is_empty() { Ok(None) } else { Ok(Some(serde_json::from_str(&line)?)) }
}

/// One socket a mount point, with a name short enough for a socket's path.
pub(super) fn socket_name(mountpoint: &Path) -> String {
    let point = mountpoint.canonicalize().unwrap_or_else(|_| mountpoint.to_owned());
    let id = BlobId::of(point.as_os_str().as_encoded_bytes()).to_string();
    format!("{}.sock", &id[..16])
}

/// The longest runtime directory that leaves room for a socket's name: the system allows a
/// socket's path 107 bytes.
const LONGEST_RUNTIME: usize = 75;

/// `$XDG_RUNTIME_DIR/gistfs` or, without a usable one, a directory of the user's own in `/tmp`.
pub(super) fn directory() -> std::io::Result<PathBuf> {
    let uid = nix::unistd::geteuid().as_raw();
    let runtime = std::env::var_os("XDG_RUNTIME_DIR")
        .filter(|dir| !dir.is_empty() && dir.len() <= LONGEST_RUNTIME);
    let path = runtime
        .map(|base| PathBuf::from(base).join("gistfs"))
        .unwrap_or_else(|| PathBuf::from(format!("/tmp/gistfs-{uid}")));
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
    let data = std::fs::symlink_metadata(&path)?;
    // In /tmp anybody may have been faster.
    if !data.is_dir() || data.uid() != uid || data.mode() & 0o077 != 0 {
        return Err(std::io::Error::other(format!("{} is not ours alone", path.display())));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::os::unix::net::UnixListener;

    #[test]
    fn who_ends_with_a_question_is_not_taken_for_nobody() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let id = crate::model::GistId::parse("1234").unwrap();
        let question = Ask::Gist(super::super::GistAsk::Publish(id));
        let ends = std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            read_line::<Ask>(&mut BufReader::new(&stream)).unwrap();
        });
        let heard = ask_socket(&path, &question, &mut |_| {});
        assert_eq!(heard.unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof);
        ends.join().unwrap();
        assert!(ask_socket(&path, &question, &mut |_| {}).unwrap().is_none(), "nobody listens");
    }

    #[test]
    fn of_several_mounts_a_silent_one_is_given_up_and_the_others_are_heard() {
        let directory = tempfile::tempdir().unwrap();
        let bind = |name| UnixListener::bind(directory.path().join(name)).unwrap();
        let (_silent, good) = (bind("a.sock"), bind("b.sock"));
        drop(bind("dead.sock"));
        let answers = std::thread::spawn(move || {
            let (stream, _) = good.accept().unwrap();
            let asked = read_line::<Ask>(&mut BufReader::new(&stream)).unwrap();
            assert!(matches!(asked, Some(Ask::Status)));
            let mountpoint = Some("/mnt".to_owned());
            write_line(&stream, &Reply { mountpoint, ..Reply::default() }).unwrap();
        });
        let began = std::time::Instant::now();
        let mut heard = ask_all_in(directory.path(), &Ask::Status, &mut |_| {}).unwrap();
        assert!(began.elapsed() < PATIENCE * 2);
        answers.join().unwrap();
        heard.sort_by_key(|reply| reply.error.is_some());
        assert_eq!((heard.len(), heard[0].mountpoint.as_deref()), (2, Some("/mnt")));
        assert!(heard[1].error.as_ref().is_some_and(|why| why.contains("a.sock")), "{heard:?}");
    }
}
