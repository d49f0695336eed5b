//! Who does an errand for the command line: a mount that runs, or this process with the token that
//! `gistfs mount` would use.

use std::path::{Path, PathBuf};

use super::meant::Meant;
use super::{not_mounted, unheard};
use crate::api::github::GitHub;
use crate::api::host::Endpoint;
use crate::auth;
use crate::cli::Sender;
use crate::exit::{Exit, Failure};
use crate::model::GistId;
use crate::mount::control::{self, Ask, GistAsk, GistReply};
use crate::sync::errand::{self, Direct};
use crate::sync::status::{Mounted, Status};

/// Whoever does it.
pub(super) enum Hands {
    /// The mount there.
    Mount(PathBuf),
    /// Nobody else.
    Own(Box<Direct<GitHub>>),
}

/// What somebody is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum For {
    /// To ask only.
    Asking,
    /// To change something on behalf of the user.
    Changing,
}

/// Finds somebody for the gist that is `meant`.
pub(super) fn find(sender: &Sender, meant: &Meant, purpose: For) -> Result<Hands, Failure> {
    if sender.token_file.is_some() {
        return own(sender, meant, None, purpose);
    }
    if let Some(mount) = &sender.mount {
        return Ok(Hands::Mount(crate::config::absolute(mount)?));
    }
    if let Some(mount) = &meant.mount {
        let status = status(mount)?;
        return if may(&status, purpose) {
            Ok(Hands::Mount(mount.clone()))
        } else {
            own(sender, meant, Some(&status.host), purpose)
        };
    }
    let given = given(sender)?;
    let mut mounts = all()?;
    mounts.retain(|status| {
        may(status, purpose)
            && (purpose == For::Asking || is_an_account(status))
            && given.as_ref().is_none_or(|host| host.host() == status.host)
    });
    for status in &mounts {
        let point = Path::new(&status.mountpoint);
        if ask(point, GistAsk::Find(meant.id.clone()))?.id.is_some() {
            return Ok(Hands::Mount(point.to_owned()));
        }
    }
    mounts.retain(|status| meant.host.as_ref().is_none_or(|host| is_of(host, &status.host)));
    match mounts.as_slice() {
        [] => own(sender, meant, None, purpose),
        [status] => Ok(Hands::Mount(PathBuf::from(&status.mountpoint))),
        [..] => Err(Failure::new(
            Exit::Usage,
            format!("{} mounts could do it", mounts.len()),
            "say which with --mount",
        )),
    }
}

/// The host or address that was given.
fn given(sender: &Sender) -> Result<Option<Endpoint>, Failure> {
    let endpoint = match (&sender.api_url, &sender.host) {
        (Some(url), _) => Endpoint::of_url(url),
        (None, Some(host)) => Endpoint::of_host(host),
        (None, None) => return Ok(None),
    };
    let usage = |message: String| Failure::new(Exit::Usage, message, "see --help");
    endpoint.map(Some).map_err(|error| usage(error.to_string()))
}

/// Whether a mount answers and may do that.
fn may(status: &Status, purpose: For) -> bool {
    status.mounted == Mounted::Yes
        && match purpose {
            For::Asking => true,
            For::Changing => status.read_only.is_none(),
        }
}

/// Whether a mount shows all of an account's own gists: the state of another has a dot in its name.
fn is_an_account(status: &Status) -> bool {
    !status.account.contains('.')
}

/// Whether a gist's address at `host` is of the host that is called `name`.
fn is_of(host: &str, name: &str) -> bool {
    let known = [host, host.strip_prefix("gist.").unwrap_or(host)];
    let api = host.strip_prefix("api.").unwrap_or(host);
    // On this machine pages and API may have ports of their own.
    let local = |text: &str| -> Option<String> {
        let name = text.split(':').next().unwrap_or(text);
        matches!(name, "127.0.0.1" | "localhost").then(|| name.to_owned())
    };
    known.contains(&name) || api == name || local(host).is_some_and(|h| local(name) == Some(h))
}

/// This process, with the token for the host.
fn own(
    sender: &Sender,
    meant: &Meant,
    mounts: Option<&str>,
    purpose: For,
) -> Result<Hands, Failure> {
    let usage = |message: String, hint: &str| Failure::new(Exit::Usage, message, hint);
    let endpoint = match (given(sender)?, mounts) {
        (Some(given), _) => given,
        (None, host) => Endpoint::of_host(host.unwrap_or("github.com"))
            .map_err(|error| usage(error.to_string(), "give --host or --api-url"))?,
    };
    // The token goes to no host because an address names it.
    if let Some(host) = meant.host.as_ref().filter(|host| !is_of(host, endpoint.host())) {
        let message = format!("that address is not of {} but of {host}", endpoint.host());
        return Err(usage(message, "name the host with --host if you mean it"));
    }
    let file = sender.token_file.as_deref();
    let token = auth::find(&endpoint, file, &auth::System::default()).map_err(|error| {
        let hint = "correct it, or unset it and use another source";
        Failure::new(Exit::Token, error.to_string(), hint)
    })?;
    if token.is_none() && purpose == For::Changing {
        return Err(Failure::new(
            Exit::Token,
            format!("there is no token for {}", endpoint.host()),
            "set GH_TOKEN, use --token-file, or log in with `gh auth login`",
        ));
    }
    let api = GitHub::new(endpoint, token.map(|found| found.token)).map_err(|error| {
        Failure::new(Exit::Token, error.to_string(), "use https, or a server on this machine")
    })?;
    Ok(Hands::Own(Box::new(Direct(api))))
}

fn status(mount: &Path) -> Result<Status, Failure> {
    let reply = control::ask(mount, &Ask::Status, &mut |_| {});
    let reply = reply.map_err(|error| unheard(mount, &error))?;
    reply.and_then(|reply| reply.status).ok_or_else(|| not_mounted(mount))
}

/// Every mount of this user that answers.
fn all() -> Result<Vec<Status>, Failure> {
    let replies = control::ask_all(&Ask::Status, &mut |_| {});
    let replies = replies.map_err(|error| unheard(Path::new("the mounts"), &error))?;
    Ok(replies.into_iter().filter_map(|reply| reply.status).collect())
}

/// Asks a mount about a gist.
pub(super) fn ask(mount: &Path, ask: GistAsk) -> Result<GistReply, Failure> {
    let reply = control::ask(mount, &Ask::Gist(ask), &mut |_| {});
    let reply =
        reply.map_err(|error| unanswered(mount, &error))?.ok_or_else(|| not_mounted(mount))?;
    if let Some(error) = reply.error {
        return Err(Failure::new(Exit::Failed, error, "mount again with this version of gistfs"));
    }
    match (reply.failure, reply.gist) {
        (Some(failure), _) => Err(failure),
        (None, gist) => Ok(gist.unwrap_or_default()),
    }
}

/// The mount heard the question, or could not be talked to.
fn unanswered(mount: &Path, error: &std::io::Error) -> Failure {
    use std::io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    if !matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof) {
        return unheard(mount, error);
    }
    Failure::new(
        Exit::Failed,
        format!("the mount on {} ended; it is not known whether it was done", mount.display()),
        "mount it again and say it again: what was done already is found",
    )
}

impl Hands {
    /// Forks a gist.
    pub(super) fn fork(&self, id: &GistId) -> Result<GistReply, Failure> {
        match self {
            Self::Mount(mount) => ask(mount, GistAsk::Fork(id.clone())),
            Self::Own(way) => {
                let forked = errand::fork(&**way, id)?;
                Ok(GistReply { id: Some(forked.id), url: Some(forked.url), ..GistReply::default() })
            }
        }
    }

    /// Stars a gist, or takes the star back.
    pub(super) fn star(&self, id: &GistId, on: bool) -> Result<(), Failure> {
        match self {
            Self::Mount(mount) if on => ask(mount, GistAsk::Star(id.clone())).map(drop),
            Self::Mount(mount) => ask(mount, GistAsk::Unstar(id.clone())).map(drop),
            Self::Own(way) => errand::star(&**way, id, on),
        }
    }

    /// Where a gist's page is, and what GitHub calls the file that is shown as `file`.
    pub(super) fn locate(&self, id: &GistId, file: Option<&str>) -> Result<GistReply, Failure> {
        match self {
            Self::Mount(mount) => ask(mount, GistAsk::Locate(id.clone(), file.map(str::to_owned))),
            Self::Own(way) => {
                let url = errand::look_up(&**way, id)?.html_url;
                let file = file.map(str::to_owned);
                Ok(GistReply { url: Some(url), file, ..GistReply::default() })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_of_the_host_whose_gists_live_there() {
        for (host, name, same) in [
            ("gist.github.com", "github.com", true),
            ("api.github.com", "github.com", true),
            ("ghe.example.com", "ghe.example.com", true),
            ("gist.ghe.example.com", "ghe.example.com", true),
            ("127.0.0.1:8012", "127.0.0.1:8011", true),
            ("github.com.evil.example", "github.com", false),
            ("gist.github.com", "ghe.example.com", false),
            ("ghe.example.com:8443", "ghe.example.com", false),
        ] {
            assert_eq!(is_of(host, name), same, "{host} {name}");
        }
    }
}
