//! Whose gists, and who mounts them: the login behind the token, asked once and remembered by a
//! hash of the token.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::unreachable_api;
use crate::api::github::GitHub;
use crate::api::{Account as Told, GistApi};
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::store::Store;
use crate::sync::selection::Selection;

/// What is mounted, and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mounter {
    /// Names the state's directory below the host's. One's own gists go by the login alone, which
    /// has no dot in it: `octo`, `user.octo`, `starred.octo`, `gist.ID` and, with a token,
    /// `gist.ID.octo`. Each has a state of its own, so they can be mounted side by side.
    pub name: String,
    /// Whose token it is, where that matters.
    pub login: Option<String>,
    /// The account's number, where GitHub told it when it was asked for the login.
    pub number: Option<u64>,
    /// Why nothing can be changed, as far as it is known before the gists are.
    pub read_only: Option<&'static str>,
    /// The login was remembered, not told by GitHub just now.
    remembered: bool,
}

impl Mounter {
    /// Why nothing can be changed in a mount that shows what `store` holds: one gist may be
    /// somebody else's. Before that is said of a login that was remembered, GitHub is asked for it.
    pub fn read_only_because(
        &mut self,
        config: &Config,
        api: &dyn GistApi,
        store: &Store,
    ) -> Option<&'static str> {
        let is_others =
            |own: &Self| matches!(config.selection, Selection::One(_)) && own.is_another_s(store);
        if self.read_only.is_none() && is_others(self) {
            self.ask_again(config, api);
        }
        self.read_only.or_else(|| is_others(self).then_some("this gist is not yours (--gist)"))
    }

    /// Whether `store` holds a gist of somebody else's.
    fn is_another_s(&self, store: &Store) -> bool {
        let mut others = false;
        store.look_at_all(|gist| {
            let owner = gist.base.as_ref().map(|base| base.owner.as_deref());
            let ours = |owner: Option<&str>| {
                let login = self.login.as_deref();
                owner.zip(login).is_some_and(|(owner, login)| owner.eq_ignore_ascii_case(login))
            };
            others |= owner.is_some_and(|owner| !ours(owner));
        });
        others
    }

    /// Asks GitHub for a login that was remembered: accounts can be renamed. The state keeps its
    /// name, and without an answer the login stays too.
    fn ask_again(&mut self, config: &Config, api: &dyn GistApi) {
        let (Some(found), true) = (&config.token, self.remembered) else { return };
        let told = match api.account() {
            Ok(told) => told,
            Err(error) => return log::debug!("whose token it is was not told: {error}"),
        };
        self.remembered = false;
        if self.login.as_ref() == Some(&told.login) {
            return;
        }
        let file = accounts(config);
        let mut known: BTreeMap<String, Account> = read(&file);
        if let Some(account) = known.get_mut(&found.token.fingerprint()) {
            account.state.get_or_insert_with(|| account.login.clone());
            account.login.clone_from(&told.login);
            account.number = told.number;
            if let Err(failure) = write(&file, &known) {
                log::warn!("{}", failure.message);
            }
        }
        self.login = Some(told.login);
        self.number = told.number;
    }
}

/// Whose token it is, as it is remembered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Account {
    /// The login.
    login: String,
    /// A classic token's scopes.
    scopes: Option<Vec<String>>,
    /// The account's number; older versions did not ask for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    number: Option<u64>,
    /// What its states are called, where that was the login before the account was renamed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    state: Option<String>,
}

impl Account {
    fn state(&self) -> &str {
        self.state.as_deref().unwrap_or(&self.login)
    }

    fn may_write(&self) -> bool {
        self.scopes.as_ref().is_none_or(|scopes| scopes.iter().any(|scope| scope == "gist"))
    }
}

/// Finds out what is to be mounted. Asks GitHub whose token it is, if nobody remembers.
pub fn find(config: &Config, api: &GitHub) -> Result<Mounter, Failure> {
    if let Selection::User(login) = &config.selection
        && (login.is_empty()
            || !login.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_'))
    {
        return Err(Failure::new(
            Exit::Usage,
            format!("{login:?} is no GitHub login"),
            "give --user a name as in github.com/NAME",
        ));
    }
    let (account, remembered) = match &config.selection {
        // Public gists are the same for everybody.
        Selection::User(_) => (None, false),
        Selection::Own | Selection::Starred | Selection::One(_) => known(config, api)?,
    };
    let (name, why) = match (&config.selection, &account) {
        (Selection::User(login), _) => {
            (format!("user.{login}"), Some("these are somebody's public gists (--user)"))
        }
        (Selection::Starred, Some(account)) => {
            (format!("starred.{}", account.state()), Some("these are starred gists (--starred)"))
        }
        (Selection::One(id), Some(account)) => (format!("gist.{id}.{}", account.state()), None),
        (Selection::One(id), None) => (format!("gist.{id}"), Some("there is no token")),
        (Selection::Own, Some(account)) => (account.state().to_owned(), None),
        (Selection::Own | Selection::Starred, None) => {
            return Err(Failure::new(Exit::Token, "there is no token", "set GH_TOKEN"));
        }
    };
    let scope = account.as_ref().is_some_and(|account| !account.may_write());
    let read_only = why
        .or(config.read_only.then_some("--read-only was given"))
        .or(scope.then_some("the token lacks the scope \"gist\""));
    let number = account.as_ref().and_then(|account| account.number);
    let login = account.map(|account| account.login);
    Ok(Mounter { name, login, number, read_only, remembered })
}

/// Where accounts are remembered.
fn accounts(config: &Config) -> PathBuf {
    config.state_base.join(&config.state_name).join("accounts.json")
}

/// Whose token it is: the remembered account, which is told, or the one GitHub names. `None` without
/// a token.
fn known(config: &Config, api: &GitHub) -> Result<(Option<Account>, bool), Failure> {
    let Some(found) = &config.token else { return Ok((None, false)) };
    let file = accounts(config);
    let mut known: BTreeMap<String, Account> = read(&file);
    let mark = found.token.fingerprint();
    if let Some(account) = known.get(&mark) {
        return Ok((Some(account.clone()), true));
    }
    let told = api.account().map_err(|error| {
        let mut failure = unreachable_api(&error);
        if failure.exit == Exit::Token {
            failure.message = format!("{} (the token is from {})", failure.message, found.source);
        }
        failure
    })?;
    let Told { login, number, scopes } = told;
    let account = Account { login, scopes, number, state: None };
    // A token whose scopes do not suffice is asked about again: they can be changed.
    if account.may_write() {
        known.insert(mark, account.clone());
        write(&file, &known)?;
    }
    Ok((Some(account), false))
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
