//! Who asks, and what the token behind it may do.

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::options::Account;
use super::reply::Reply;

/// Whoever sent a request: an account by one of its tokens, or nobody.
#[derive(Clone, Copy)]
pub(super) struct Caller<'a>(Option<&'a Account>);

impl<'a> Caller<'a> {
    /// Nobody in particular.
    pub(super) const ANONYMOUS: Self = Self(None);

    /// Reads `Authorization`. A token nobody has is refused even where none is needed.
    pub(super) fn of(headers: &HeaderMap, accounts: &'a [Account]) -> Result<Self, Reply> {
        let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(Self(None)) };
        let token = value.to_str().ok().and_then(token_in).unwrap_or_default();
        match accounts.iter().find(|account| account.token == token) {
            Some(account) => Ok(Self(Some(account))),
            None => Err(Reply::error(401, "Bad credentials")),
        }
    }

    /// The login, unless this is nobody.
    pub(super) fn login(self) -> Option<&'a str> {
        self.0.map(|account| account.login.as_str())
    }

    /// The scopes as `x-oauth-scopes` lists them; `None` for tokens that have none.
    pub(super) fn scopes(self) -> Option<String> {
        self.0.and_then(|account| account.scopes.as_ref()).map(|scopes| scopes.join(", "))
    }

    /// The login, or 401 for nobody.
    pub(super) fn known(self) -> Result<&'a str, Reply> {
        self.login().ok_or_else(|| Reply::error(401, "Requires authentication"))
    }

    /// The login of somebody who may write gists. A classic token without the scope gets a 404
    /// like any stranger, a fine-grained one without the permission is told so.
    pub(super) fn writer(self) -> Result<&'a str, Reply> {
        let login = self.known()?;
        if self.may_write() {
            return Ok(login);
        }
        match self.scopes() {
            Some(_) => Err(Reply::not_found()),
            None => Err(Reply::error(403, "Resource not accessible by personal access token")),
        }
    }

    /// Whether the token may write gists.
    pub(super) fn may_write(self) -> bool {
        self.0.is_some_and(|account| match &account.scopes {
            Some(scopes) => scopes.iter().any(|scope| scope == "gist"),
            None => account.fine_grained_write,
        })
    }

    /// Whether lists of one's own gists include the secret ones.
    pub(super) fn sees_secret_ones(self) -> bool {
        self.0.is_some_and(|account| match &account.scopes {
            Some(scopes) => scopes.iter().any(|scope| scope == "gist"),
            None => true,
        })
    }
}

/// The token in an `Authorization` header of either form GitHub takes, or a basic password.
fn token_in(value: &str) -> Option<String> {
    let (scheme, rest) = value.split_once(' ')?;
    match scheme.to_ascii_lowercase().as_str() {
        "bearer" | "token" => Some(rest.trim().to_owned()),
        "basic" => {
            let pair = String::from_utf8(STANDARD.decode(rest.trim()).ok()?).ok()?;
            pair.split_once(':').map(|(_, password)| password.to_owned())
        }
        _ => None,
    }
}
