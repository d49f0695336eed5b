//! Lists of gists: newest-created first, whatever the documentation says.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use super::gist::{Gist, Version};
use super::render::user_id;
use super::reply::Reply;
use super::routes::Call;
use super::site::Site;
use crate::model::Time;

/// The list of everybody's gists ends here.
const MOST_PUBLIC: usize = 3000;

/// `GET /gists`: one's own. To nobody it is, not an error, but everybody's public gists.
pub(super) fn own(call: &Call) -> Result<Reply, Reply> {
    let Some(login) = call.caller.login() else { return Ok(everybodys(call, "/gists")) };
    let secret_too = call.caller.sees_secret_ones();
    let mine = |gist: &Gist| gist.owner.as_deref() == Some(login) && (gist.public || secret_too);
    Ok(listing(call, "/gists", usize::MAX, mine))
}

/// `GET /gists/public`
pub(super) fn public(call: &Call) -> Reply {
    everybodys(call, "/gists/public")
}

fn everybodys(call: &Call, path: &str) -> Reply {
    listing(call, path, MOST_PUBLIC, |gist| gist.public)
}

/// `GET /gists/starred`
pub(super) fn starred(call: &Call) -> Result<Reply, Reply> {
    let login = call.caller.known()?;
    Ok(listing(call, "/gists/starred", usize::MAX, |gist| gist.stars.contains(login)))
}

/// `GET /users/LOGIN/gists`: the links go by the user's number, not by the login.
pub(super) fn of_user(call: &Call, login: &str) -> Result<Reply, Reply> {
    if !exists(call.site, login) {
        return Err(Reply::not_found());
    }
    let path = format!("/user/{}/gists", user_id(login));
    let theirs = |gist: &Gist| gist.public && gist.owner.as_deref() == Some(login);
    Ok(listing(call, &path, usize::MAX, theirs))
}

/// `GET /user/NUMBER/gists`, where those links lead.
pub(super) fn of_user_number(call: &Call, number: &str) -> Result<Reply, Reply> {
    let login = logins(call.site).into_iter().find(|login| user_id(login).to_string() == number);
    of_user(call, &login.ok_or_else(Reply::not_found)?)
}

/// Whether there is such a user: somebody with an account or with gists.
pub(super) fn exists(site: &Site, login: &str) -> bool {
    site.options.accounts.iter().any(|account| account.login == login)
        || !site.store.select(|gist| gist.owner.as_deref() == Some(login)).is_empty()
}

fn logins(site: &Site) -> BTreeSet<String> {
    let owners = site.store.select(|gist| gist.owner.is_some());
    let owners = owners.iter().filter_map(|gist| gist.owner.clone());
    site.options.accounts.iter().map(|account| account.login.clone()).chain(owners).collect()
}

fn listing(call: &Call, path: &str, most: usize, wanted: impl Fn(&Gist) -> bool) -> Reply {
    let since = match call.arrival.parameter("since") {
        None => None,
        Some(text) => match Time::parse(&text) {
            Some(since) => Some(since),
            None => return Reply::error(422, "Invalid request.\n\nsince is not a timestamp."),
        },
    };
    let now = Instant::now();
    let mut seen: Vec<(Arc<Gist>, Arc<Version>)> = Vec::new();
    for gist in call.site.store.select(wanted) {
        if let Some(version) = gist.seen(&call.switches, now)
            && since.is_none_or(|since| version.updated_at > since)
        {
            seen.push((gist, version));
        }
    }
    seen.truncate(most);
    call.paged(path, &seen, |(gist, version)| call.style.listed(gist, version))
}
