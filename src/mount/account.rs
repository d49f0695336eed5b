//! Whose gists: the login behind the token, asked once and remembered by a hash of the token.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::unreachable_api;
use crate::api::GistApi;
use crate::api::github::GitHub;
use crate::config::Config;
use crate::exit::{Exit, Failure};

/// An account as it is remembered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The login, which also names the state's directory.
    pub login: String,
    /// A classic token's scopes.
    pub scopes: Option<Vec<String>>,
}

impl Account {
    /// Why this mount must not change anything, if so.
    pub fn read_only_because(&self, config: &Config) -> Option<&'static str> {
        if config.user.is_some() {
            return Some("these are somebody's public gists (--user)");
        }
        if config.read_only {
            return Some("--read-only was given");
        }
        let has_scope =
            self.scopes.as_ref().is_none_or(|scopes| scopes.iter().any(|scope| scope == "gist"));
        (!has_scope).then_some("the token lacks the scope \"gist\"")
    }
}

/// The account to mount: `--user`'s, the remembered one of the token, or the one GitHub names.
pub fn find(config: &Config, api: &GitHub) -> Result<Account, Failure> {
    if let Some(login) = &config.user {
        if login.is_empty()
            || !login.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
        {
            return Err(Failure::new(
                Exit::Usage,
                format!("{login:?} is no GitHub login"),
                "give --user a name as in github.com/NAME",
            ));
        }
        return Ok(Account { login: format!("user-{login}"), scopes: None });
    }
    let Some(found) = &config.token else {
        return Err(Failure::new(Exit::Token, "there is no token", "set GH_TOKEN"));
    };
    let file = config.state_base.join(&config.state_name).join("accounts.json");
    let mut known: BTreeMap<String, Account> = read(&file);
    let mark = found.token.fingerprint();
    if let Some(account) = known.get(&mark) {
        return Ok(account.clone());
    }
    let told = api.account().map_err(|error| {
        let mut failure = unreachable_api(&error);
        if failure.exit == Exit::Token {
            failure.message = format!("{} (the token is from {})", failure.message, found.source);
        }
        failure
    })?;
    let account = Account { login: told.login, scopes: told.scopes };
    // A token whose scopes do not suffice is asked about again: they can be changed.
    if account.read_only_because(config).is_none() || config.read_only {
        known.insert(mark, account.clone());
        write(&file, &known)?;
    }
    Ok(account)
}

fn read(file: &std::path::Path) -> BTreeMap<String, Account> {
    let text = match std::fs::read(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return BTreeMap::new(),
        Err(error) => {
            log::warn!("cannot read {}: {error}; GitHub is asked again", file.display());
            return BTreeMap::new();
        }
    };
    serde_json::from_slice(&text).unwrap_or_else(|error| {
        log::warn!("{} is damaged ({error}); GitHub is asked again", file.display());
        BTreeMap::new()
    })
}

fn write(file: &PathBuf, known: &BTreeMap<String, Account>) -> Result<(), Failure> {
    let directory = file.parent().unwrap_or(file);
    let save = || {
        use std::os::unix::fs::DirBuilderExt as _;
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        let mut copy = tempfile::NamedTempFile::new_in(directory)?;
        copy.write_all(&serde_json::to_vec_pretty(known)?)?;
        copy.as_file().sync_all()?;
        copy.persist(file).map(drop).map_err(|failed| failed.error)
    };
    save().map_err(|error: std::io::Error| {
        Failure::new(
            Exit::State,
            format!("cannot write {}: {error}", file.display()),
            "make the directory writable, or use another --state-dir",
        )
    })
}
