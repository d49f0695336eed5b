//! Who does an errand for the command line: a mount that runs, or this process with the token that
//! `gistfs mount` would use.

use std::path::{Path, PathBuf};

use super::meant::Meant;
use super::{not_mounted, unheard};
use crate::api::github::GitHub;
use crate::api::host::{BadEndpoint, Endpoint};
use crate::auth;
use crate::cli::Sender;
use crate::config::is_there;
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
    /// To make a fork, which nobody does of a gist of their own.
    Forking,
}

/// Finds somebody for the gist that is `meant`. A path in a mount is at that mount's host, whatever
/// the environment says; what else names a host must name the same.
pub(super) fn find(sender: &Sender, meant: &Meant, purpose: For) -> Result<Hands, Failure> {
    let named = named(sender)?;
    let there = meant.mount.as_deref().map(status).transpose()?;
    let home = there.as_ref().map(endpoint_of).transpose()?;
    if let Some(home) = &home {
        agree(home, named.as_ref())?;
    }
    if let Some(mount) = &sender.mount {
        let mount = crate::config::absolute(mount)?;
        let endpoint = endpoint_of(&status(&mount)?)?;
        agree(&endpoint, named.as_ref())?;
        agree(&endpoint, home.as_ref())?;
        is_there(meant.host.as_deref(), &endpoint)?;
        return Ok(Hands::Mount(mount));
    }
    let wanted = match (named, home) {
        // It may be at another address than the mount was told.
        (Some(named), Some(_)) if sender.api_url.is_some() => Some(named),
        (_, Some(home)) => Some(home),
        (Some(named), None) => Some(named),
        (None, None) => usual()?,
    };
    if sender.token_file.is_none() {
        let found = match &there {
            Some(status) => may(status, purpose).then(|| PathBuf::from(&status.mountpoint)),
            None => among(&all()?, wanted.as_ref(), meant, purpose)?,
        };
        if let Some(mount) = found {
            return Ok(Hands::Mount(mount));
        }
    }
    let endpoint = wanted.map_or_else(|| Endpoint::of_host("github.com"), Ok).map_err(no_host)?;
    own(sender, meant, endpoint, purpose)
}

/// The mount at the host that is wanted which is to do it, if there is one.
fn among(
    mounts: &[Status],
    wanted: Option<&Endpoint>,
    meant: &Meant,
    purpose: For,
) -> Result<Option<PathBuf>, Failure> {
    let (mut owner, mut others) = (None, Vec::new());
    for status in mounts {
        let is_wanted = wanted.is_none_or(|wanted| wanted.host() == status.host);
        if !is_wanted || !may(status, purpose) || !(purpose == For::Asking || is_account(status)) {
            continue;
        }
        // At another host another gist may have the same id.
        if meant.host.is_some() && is_there(meant.host.as_deref(), &endpoint_of(status)?).is_err() {
            continue;
        }
        let point = PathBuf::from(&status.mountpoint);
        let has = ask(&point, GistAsk::Find(meant.id.clone()))?.id.is_some();
        match purpose {
            For::Asking | For::Changing if has => return Ok(Some(point)),
            For::Forking if has => owner = Some(point),
            For::Asking | For::Changing | For::Forking => others.push(point),
        }
    }
    if others.len() > 1 {
        return Err(Failure::new(
            Exit::Usage,
            format!("{} mounts could do it", others.len()),
            "say which with --mount",
        ));
    }
    // The owner says why not.
    Ok(others.pop().or(owner))
}

/// The host or address that the user named with this command.
fn named(sender: &Sender) -> Result<Option<Endpoint>, Failure> {
    let endpoint = match (&sender.api_url, &sender.host) {
        (Some(url), _) => Endpoint::of_url(url),
        (None, Some(host)) => Endpoint::of_host(host),
        (None, None) => return Ok(None),
    };
    endpoint.map(Some).map_err(no_host)
}

/// The host that the environment names.
fn usual() -> Result<Option<Endpoint>, Failure> {
    let host = crate::config::named_host(&auth::System::default());
    host.map(|host| Endpoint::of_host(&host)).transpose().map_err(no_host)
}

fn no_host(error: BadEndpoint) -> Failure {
    Failure::new(Exit::Usage, error.to_string(), "see --help")
}

/// The API that a mount asks.
fn endpoint_of(status: &Status) -> Result<Endpoint, Failure> {
    match &status.api {
        Some(api) => Endpoint::of_url(api),
        None => Endpoint::of_host(&status.host),
    }
    .map_err(no_host)
}

/// What else was named must be at the same host.
fn agree(endpoint: &Endpoint, named: Option<&Endpoint>) -> Result<(), Failure> {
    match named {
        Some(named) if named.host() != endpoint.host() => Err(Failure::new(
            Exit::Usage,
            format!("the mount is of {}, not of {}", endpoint.host(), named.host()),
            "leave out --host and --api-url, or give the gist's id and no --mount",
        )),
        Some(_) | None => Ok(()),
    }
}

/// Whether a mount answers and may do that.
fn may(status: &Status, purpose: For) -> bool {
    status.mounted == Mounted::Yes
        && match purpose {
            For::Asking => true,
            For::Changing | For::Forking => status.read_only.is_none(),
        }
}

/// Whether a mount shows all of an account's own gists: the state of another has a dot in its name.
fn is_account(status: &Status) -> bool {
    !status.account.contains('.')
}

/// This process, with the token for the host.
fn own(sender: &Sender, meant: &Meant, endpoint: Endpoint, purpose: For) -> Result<Hands, Failure> {
    is_there(meant.host.as_deref(), &endpoint)?;
    let file = sender.token_file.as_deref();
    let token = auth::find(&endpoint, file, &auth::System::default()).map_err(|error| {
        let hint = "correct it, or unset it and use another source";
        Failure::new(Exit::Token, error.to_string(), hint)
    })?;
    if token.is_none() && purpose != For::Asking {
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
