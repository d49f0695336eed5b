//! Git over HTTP: who may ask for what, and what a push changes. `cgi` has git do the work.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::caller::Caller;
use super::cgi::{self, Pieces};
use super::lists;
use super::render::user_id;
use super::reply::Reply;
use super::site::{Arrival, Site};

/// Whether the answer is better sent while git makes it: it may be long, and its maker slow.
pub(super) fn flows(arrival: &Arrival) -> bool {
    arrival.path.ends_with("/git-upload-pack")
}

/// Answers a request of git's smart protocol, the body piece by piece.
pub(super) async fn flowing(
    site: &Arc<Site>,
    arrival: &Arc<Arrival>,
) -> Result<(Reply, Pieces), Reply> {
    let (_, caller) = admitted(site, arrival)?;
    Ok(cgi::begin(site, arrival, caller.login()).await?)
}

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

async fn exchange(site: &Arc<Site>, arrival: &Arc<Arrival>) -> Result<Reply, Reply> {
    let (id, caller) = admitted(site, arrival)?;
    if arrival.path.ends_with("/git-receive-pack") {
        return receive(site, arrival, id, caller).await;
    }
    Ok(cgi::whole(site, arrival, caller.login()).await?)
}

/// The gist that is asked for, and whoever may do so.
fn admitted<'a>(site: &'a Site, arrival: &'a Arrival) -> Result<(&'a str, Caller<'a>), Reply> {
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
    Ok((id, caller))
}

/// Lets git take a push, and takes it over into the index.
async fn receive(
    site: &Arc<Site>,
    arrival: &Arc<Arrival>,
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
    let reply = cgi::whole(site, arrival, caller.login()).await;
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
