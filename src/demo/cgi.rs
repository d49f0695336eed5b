//! `git http-backend`: a request in, an answer out, piece by piece.

use std::io;
use std::pin::Pin;
use std::process::Stdio;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::Frame;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::mpsc;

use super::hook;
use super::reply::Reply;
use super::site::{Arrival, Site};

/// So much is read from git at a time, and so many times it may be ahead of the client.
const PIECE: usize = 64 << 10;
const AHEAD: usize = 4;

/// A longer head is none.
const LONGEST_HEAD: usize = 64 << 10;

/// The body of an answer while git makes it. Dropping it ends git.
pub(super) struct Pieces(mpsc::Receiver<io::Result<Bytes>>);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}

/// Runs git to the end.
pub(super) async fn whole(
    site: &Arc<Site>,
    arrival: &Arc<Arrival>,
    login: Option<&str>,
) -> io::Result<Reply> {
    let (reply, mut pieces) = begin(site, arrival, login).await?;
    let mut body = BytesMut::new();
    while let Some(piece) = pieces.0.recv().await {
        body.extend_from_slice(&piece?);
    }
    Ok(Reply { body: body.freeze(), ..reply })
}

/// Runs git until it has said what kind of an answer it gives.
pub(super) async fn begin(
    site: &Arc<Site>,
    arrival: &Arc<Arrival>,
    login: Option<&str>,
) -> io::Result<(Reply, Pieces)> {
    let mut child = command(site, arrival, login)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let (Some(mut stdin), Some(mut stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(io::ErrorKind::BrokenPipe.into());
    };
    let body = arrival.body.clone();
    tokio::spawn(async move {
        // A backend that refuses early reads no further; its answer says why.
        if let Err(error) = stdin.write_all(&body).await {
            log::debug!("git http-backend: {error}");
        }
    });
    let mut ahead = BytesMut::new();
    let end = loop {
        let from = ahead.len().saturating_sub(3);
        if stdout.read_buf(&mut ahead).await? == 0 || ahead.len() > LONGEST_HEAD + PIECE {
            return Err(io::Error::other("git http-backend gave no answer"));
        }
        let found = ahead[from..].windows(4).position(|window| window == b"\r\n\r\n");
        if let Some(found) = found {
            break from + found + 4;
        }
    };
    let reply = head(&ahead.split_to(end));
    let (sender, pieces) = mpsc::channel(AHEAD);
    tokio::spawn(async move {
        if let Err(error) = pump(child, stdout, ahead.freeze(), &sender).await {
            // Nobody may be there to hear of it.
            drop(sender.send(Err(error)).await);
        }
    });
    Ok((reply, Pieces(pieces)))
}

/// Passes on what git says until its end, or until nobody listens.
async fn pump(
    mut child: Child,
    mut stdout: ChildStdout,
    mut piece: Bytes,
    sender: &mpsc::Sender<io::Result<Bytes>>,
) -> io::Result<()> {
    loop {
        if !piece.is_empty() && sender.send(Ok(piece)).await.is_err() {
            return Ok(());
        }
        let mut next = BytesMut::with_capacity(PIECE);
        if stdout.read_buf(&mut next).await? == 0 {
            return child.wait().await.map(drop);
        }
        piece = next.freeze();
    }
}

/// Reads the head of a CGI answer.
fn head(lines: &[u8]) -> Reply {
    let mut reply = Reply::empty(200);
    for line in String::from_utf8_lossy(lines).lines() {
        let Some((name, value)) = line.split_once(':') else { continue };
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
        if name == "status" {
            let code = value.split(' ').next().and_then(|code| code.parse().ok());
            reply.status = code.unwrap_or(500);
        } else {
            reply = reply.with(&name, value);
        }
    }
    reply
}

/// The CGI program with an environment of ours alone.
fn command(site: &Site, arrival: &Arrival, login: Option<&str>) -> Command {
    let mut command = Command::new("git");
    command.arg("http-backend").env_clear();
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    let switches = site.switches();
    let settings = [
        ("core.hooksPath", site.hooks.display().to_string()),
        ("http.receivepack", "true".to_owned()),
        ("safe.directory", "*".to_owned()),
        // Packing refs behind the index's back would make every start read all of git.
        ("receive.autogc", "false".to_owned()),
        // As at GitHub; of branches, HEAD's alone cannot be deleted.
        ("receive.denyNonFastForwards", "false".to_owned()),
        // Bodies of 60 MB that nobody can make smaller must not take seconds.
        ("core.compression", "1".to_owned()),
        ("core.bigFileThreshold", "1m".to_owned()),
        ("uploadpack.allowFilter", switches.git_filters.to_string()),
        ("uploadpack.allowAnySHA1InWant", switches.git_any_object.to_string()),
    ];
    for (number, (key, value)) in settings.iter().enumerate() {
        command.env(format!("GIT_CONFIG_KEY_{number}"), key);
        command.env(format!("GIT_CONFIG_VALUE_{number}"), value);
    }
    command
        .env("GIT_CONFIG_COUNT", settings.len().to_string())
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_PROJECT_ROOT", site.store.directory())
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", &arrival.path)
        .env("QUERY_STRING", &arrival.query)
        .env("REQUEST_METHOD", &arrival.method)
        .env("REMOTE_ADDR", "127.0.0.1")
        .env("REMOTE_USER", login.unwrap_or_default())
        .env("CONTENT_LENGTH", arrival.body.len().to_string());
    hook::instruct(&mut command, &switches);
    for (header, variable) in [
        ("content-type", "CONTENT_TYPE"),
        ("content-encoding", "HTTP_CONTENT_ENCODING"),
        ("git-protocol", "GIT_PROTOCOL"),
    ] {
        let heard = header != "git-protocol" || switches.git_protocol_2;
        if let Some(value) = arrival.header(header).filter(|_| heard) {
            command.env(variable, value);
        }
    }
    command
}
