//! Git over HTTP: `git http-backend` does the work, this passes requests in and answers out.

use std::io;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use super::caller::Caller;
use super::render::user_id;
use super::reply::Reply;
use super::site::{Arrival, Site};
use super::{hook, lists};

/// Answers a request of git's smart protocol.
pub(super) async fn answer(site: Arc<Site>, arrival: Arc<Arrival>) -> Reply {
    // A task of its own ends also when the client went away: a push that git has taken must
    // reach the index.
    let exchange =
        tokio::spawn(
            async move { exchange(&site, &arrival).await.unwrap_or_else(|refusal| refusal) },
        );
    exchange.await.unwrap_or_else(|error| io::Error::other(error).into())
}

async fn exchange(site: &Arc<Site>, arrival: &Arrival) -> Result<Reply, Reply> {
    let path = arrival.path.trim_start_matches('/');
    let (id, service) = path.split_once(".git/").ok_or_else(missing)?;
    let known = match (arrival.method.as_str(), service) {
        ("GET", "info/refs") | ("POST", "git-upload-pack" | "git-receive-pack") => {
            site.store.get(id)
        }
        _ => None,
    };
    let gist = known.ok_or_else(missing)?;
    let caller = Caller::of(&arrival.headers, &site.options.accounts).map_err(|_| ask())?;
    if service == "git-receive-pack" || arrival.query == "service=git-receive-pack" {
        let login = caller.login().ok_or_else(ask)?;
        if gist.owner.as_deref() != Some(login) || !caller.may_write() {
            let text = format!("Permission to {id}.git denied to {login}.\n");
            return Err(Reply::bytes(403, "text/plain; charset=utf-8", text.into()));
        }
    } else if site.options.private_raw && caller.login().is_none() {
        return Err(ask());
    }
    if service == "git-receive-pack" {
        return receive(site, arrival, id, caller).await;
    }
    Ok(run(site, arrival, caller.login()).await?)
}

/// Lets git take a push, and takes it over into the index.
async fn receive(
    site: &Arc<Site>,
    arrival: &Arrival,
    id: &str,
    caller: Caller<'_>,
) -> Result<Reply, Reply> {
    // An update through the API must not build on what is about to be replaced.
    let _update = loop {
        match site.begin_update(id) {
            Some(update) => break update,
            None => tokio::time::sleep(Duration::from_millis(2)).await,
        }
    };
    let reply = run(site, arrival, caller.login()).await;
    let (reloading, id) = (Arc::clone(site), id.to_owned());
    let reloaded = tokio::task::spawn_blocking(move || {
        reloading.store.reload(&id, &|address| login_of(&reloading, address))
    });
    reloaded.await.map_err(io::Error::other)??;
    Ok(reply?)
}

/// The account an author's e-mail address names: `LOGIN@users.noreply.HOST`, or `ID+LOGIN@…` of
/// newer accounts. Others are known to GitHub, which was told of them, but not here.
fn login_of(site: &Site, address: &str) -> Option<String> {
    let (name, host) = address.split_once('@')?;
    let login = match name.split_once('+') {
        Some((id, login)) if id == user_id(login).to_string() => login,
        Some(_) => return None,
        None => name,
    };
    let known = host.starts_with("users.noreply.") && lists::exists(site, login);
    known.then(|| login.to_owned())
}

fn missing() -> Reply {
    Reply::bytes(404, "text/plain; charset=utf-8", "Not Found\n".into())
}

fn ask() -> Reply {
    Reply::bytes(401, "text/plain; charset=utf-8", "Authentication failed.\n".into())
        .with("www-authenticate", "Basic realm=\"GitHub\"")
}

/// Runs the CGI program with an environment of ours alone.
async fn run(site: &Site, arrival: &Arrival, login: Option<&str>) -> io::Result<Reply> {
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
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let (Some(mut stdin), Some(mut stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(io::ErrorKind::BrokenPipe.into());
    };
    let feed = async move {
        // A backend that refuses early reads no further; its answer says why.
        if let Err(error) = stdin.write_all(&arrival.body).await {
            log::debug!("git http-backend: {error}");
        }
    };
    let mut output = Vec::new();
    let ((), read) = tokio::join!(feed, stdout.read_to_end(&mut output));
    read?;
    child.wait().await?;
    parsed(output)
}

/// Reads a CGI answer: headers, an empty line, the body.
fn parsed(output: Vec<u8>) -> io::Result<Reply> {
    let output = Bytes::from(output);
    let end = output.windows(4).position(|window| window == b"\r\n\r\n");
    let end = end.ok_or_else(|| io::Error::other("git http-backend gave no answer"))?;
    let mut reply = Reply::empty(200);
    for line in String::from_utf8_lossy(&output[..end]).lines() {
        let Some((name, value)) = line.split_once(':') else { continue };
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
        if name == "status" {
            let code = value.split(' ').next().and_then(|code| code.parse().ok());
            reply.status = code.unwrap_or(500);
        } else {
            reply = reply.with(&name, value);
        }
    }
    reply.body = output.slice(end + 4..);
    Ok(reply)
}
