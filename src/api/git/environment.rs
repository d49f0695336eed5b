//! What git is told by its environment: everything. Nothing of the user's reaches it.
//!
//! The token is in one variable of those commands that talk to the remote. A credential helper, which
//! git asks only for the remote's own origin, reads it with the shell's builtins, so that it is in no
//! argument list and no file.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use super::remote::Remote;
use crate::api::token::Token;

/// The variable that the credential helper reads.
const TOKEN: &str = "GISTFS_GIT_TOKEN";

/// Answers the question for credentials; GitHub takes any name beside a token.
const HELPER: &str = "!f() { if test \"$1\" = get; then printf '%s\\n' username=x-access-token \
                      \"password=$GISTFS_GIT_TOKEN\"; fi; }; f";

/// For all commands.
const SETTINGS: &[(&str, &str)] = &[
    ("core.hooksPath", "/dev/null"),
    ("core.autocrlf", "false"),
    // A gist's names may be anything; nothing is ever checked out.
    ("core.protectNTFS", "false"),
    ("core.protectHFS", "false"),
    // What is larger is streamed: no search for differences, little memory.
    ("core.bigFileThreshold", "1m"),
    ("core.compression", "1"),
    ("pack.threads", "1"),
    ("pack.window", "0"),
    // Objects stay in the pack they came in.
    ("fetch.unpackLimit", "1"),
    ("fastimport.unpackLimit", "1"),
    ("fetch.negotiationAlgorithm", "noop"),
    ("fetch.recurseSubmodules", "false"),
    ("push.recurseSubmodules", "no"),
    ("push.gpgSign", "false"),
    ("commit.gpgSign", "false"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("protocol.version", "2"),
    ("transfer.bundleURI", "false"),
    // The token must not be sent on.
    ("http.followRedirects", "false"),
    // An empty one clears the list.
    ("credential.helper", ""),
    ("safe.bareRepository", "all"),
    ("advice.pushUpdateRejected", "false"),
];

/// For commands that talk to a remote.
const TALK: &[(&str, &str)] = &[
    // Nobody else ends them where gistfs is killed: then git gives up by itself after so many seconds
    // without a byte, or at once when it has something to say. Longer than we wait for it.
    ("http.lowSpeedLimit", "1"),
    ("http.lowSpeedTime", "60"),
    // So much is sent without a word, and on a slow line that must not look like silence.
    ("http.postBuffer", "131072"),
];

/// Variables without which a network may not be reached; programs spell them either way.
const PROXIES: &[&str] =
    &["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"];

/// A git command in `home`, which holds the repository `repo`. Without a remote it reaches nobody.
pub(super) fn command(program: &Path, home: &Path, remote: Option<Talk<'_>>) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .current_dir(home)
        .env("HOME", home)
        .env("TMPDIR", home)
        .env("GIT_DIR", home.join("repo"))
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_ATTR_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_ASKPASS", "")
        .env("SSH_ASKPASS", "")
        .env("GIT_NO_LAZY_FETCH", "1")
        .env("GIT_NO_REPLACE_OBJECTS", "1")
        .env("GIT_OPTIONAL_LOCKS", "0")
        .env("GIT_DEFAULT_HASH", "sha1")
        .env("GIT_DEFAULT_REF_FORMAT", "files")
        .env("LC_ALL", "C");
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    let mut settings: Vec<(String, OsString)> =
        SETTINGS.iter().map(|&(key, value)| (key.to_owned(), value.into())).collect();
    match remote {
        Some(talk) => talk.tell(&mut command, &mut settings),
        None => {
            command.env("GIT_ALLOW_PROTOCOL", "");
        }
    }
    for (number, (key, value)) in settings.iter().enumerate() {
        command.env(format!("GIT_CONFIG_KEY_{number}"), key);
        command.env(format!("GIT_CONFIG_VALUE_{number}"), value);
    }
    command.env("GIT_CONFIG_COUNT", settings.len().to_string());
    command
}

/// With whom a command talks, and as whom.
#[derive(Clone, Copy)]
pub(super) struct Talk<'a> {
    pub(super) remote: &'a Remote,
    pub(super) token: Option<&'a Token>,
    /// What the server is asked to leave out; the remote is then called `origin`.
    pub(super) filter: Option<&'a str>,
}

impl Talk<'_> {
    fn tell(&self, command: &mut Command, settings: &mut Vec<(String, OsString)>) {
        command.env("GIT_ALLOW_PROTOCOL", self.remote.scheme());
        settings.extend(TALK.iter().map(|&(key, value)| (key.to_owned(), value.into())));
        if let Some(token) = self.token {
            command.env(TOKEN, token.secret());
            let key = format!("credential.{}.helper", self.remote.origin());
            settings.push((key, HELPER.into()));
        }
        if let Some(filter) = self.filter {
            // With both given git takes the remote for one that it knows, and writes nothing down.
            settings.push(("remote.origin.url".into(), self.remote.url().into()));
            settings.push(("remote.origin.promisor".into(), "true".into()));
            settings.push(("remote.origin.partialCloneFilter".into(), filter.into()));
        }
        if self.remote.is_loopback() {
            return;
        }
        for name in PROXIES {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        for (name, key) in [("SSL_CERT_FILE", "http.sslCAInfo"), ("SSL_CERT_DIR", "http.sslCAPath")]
        {
            if let Some(value) = std::env::var_os(name) {
                settings.push((key.into(), value));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::host::Endpoint;

    fn variables(command: &Command) -> Vec<(String, String)> {
        let text = |text: &std::ffi::OsStr| text.to_string_lossy().into_owned();
        command.get_envs().filter_map(|(name, value)| Some((text(name), text(value?)))).collect()
    }

    #[test]
    fn the_token_is_in_one_variable_of_commands_that_talk_to_the_remote() {
        let endpoint = Endpoint::of_host("github.com").unwrap();
        let remote = Remote::of("https://gist.github.com/0a.git", &endpoint).unwrap();
        let token = Token::parse("ghp_hunted").unwrap();
        let home = Path::new("/h");
        let silent = variables(&command(Path::new("git"), home, None));
        assert!(silent.contains(&("GIT_ALLOW_PROTOCOL".into(), String::new())));
        let talk = Talk { remote: &remote, token: Some(&token), filter: None };
        let talking = variables(&command(Path::new("git"), home, Some(talk)));
        let with = |variables: &[(String, String)]| -> Vec<String> {
            let held = variables.iter().filter(|(_, value)| value.contains("ghp_hunted"));
            held.map(|(name, _)| name.clone()).collect()
        };
        assert_eq!(with(&silent), [""; 0]);
        assert_eq!(with(&talking), [TOKEN]);
        assert!(talking.contains(&("GIT_ALLOW_PROTOCOL".into(), "https".into())));
        assert!(talking.iter().any(|(_, value)| value == "http.lowSpeedTime"));
        let scoped = "credential.https://gist.github.com.helper";
        assert!(talking.iter().any(|(_, value)| value == scoped));
        assert!(HELPER.contains(&format!("${TOKEN}")));
    }

    #[test]
    fn nothing_of_the_user_s_own_settings_is_passed_on() {
        let git = variables(&command(Path::new("git"), Path::new("/h"), None));
        let value = |name: &str| git.iter().find(|(key, _)| key == name).map(|(_, v)| v.as_str());
        assert_eq!((value("HOME"), value("GIT_CONFIG_GLOBAL")), (Some("/h"), Some("/dev/null")));
        assert_eq!((value("GIT_CONFIG_NOSYSTEM"), value("XDG_CONFIG_HOME")), (Some("1"), None));
    }
}
