//! Which host holds the gists, where its API is, and who may be handed the token.

use std::net::IpAddr;

use reqwest::Url;

/// The place of the API and the name people know that place by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    api: Url,
    host: String,
}

/// A host or an address that gistfs cannot use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot use {given:?} as {role}: {why}")]
pub struct BadEndpoint {
    given: String,
    role: &'static str,
    why: &'static str,
}

impl Endpoint {
    /// The API of a host given by name: `github.com`, `X.ghe.com` or an Enterprise Server. Where
    /// GitHub has its API and its gists stands for the host itself.
    pub fn of_host(host: &str) -> Result<Self, BadEndpoint> {
        let bad = |why| BadEndpoint { given: shown(host), role: "a host", why };
        if host.contains(|c: char| "/\\@?#".contains(c) || c.is_whitespace() || c.is_control()) {
            return Err(bad(
                "it must be a bare name such as github.com, without https:// or a path",
            ));
        }
        let parse = |text: String| Url::parse(&text).map_err(|_| bad("it is no host name"));
        let whole = authority(&parse(format!("https://{host}"))?);
        if is_dots(&whole) {
            return Err(bad("it is no host name"));
        }
        let name = github_of(&whole, &["api.", "gist."]).unwrap_or(whole);
        let api = match name.as_str() {
            "github.com" => "https://api.github.com".to_owned(),
            tenant if tenant.ends_with(".ghe.com") => format!("https://api.{tenant}"),
            server => format!("https://{server}/api/v3"),
        };
        Ok(Self { api: parse(api)?, host: name })
    }

    /// The API at an address that is given whole, such as `https://ghe.example.com/api/v3`.
    pub fn of_url(url: &str) -> Result<Self, BadEndpoint> {
        let bad = |why| BadEndpoint { given: shown(url), role: "the API's address", why };
        let mut api = Url::parse(url).map_err(|_| bad("it is no URL"))?;
        if !matches!(api.scheme(), "http" | "https") {
            return Err(bad("it must begin with https:// or http://"));
        }
        if has_userinfo(&api) {
            return Err(bad("it must not hold a user name or a password"));
        }
        if api.query().is_some() || api.fragment().is_some() {
            return Err(bad("it must end with its path"));
        }
        let path = api.path().trim_end_matches('/').to_owned();
        api.set_path(&path);
        let whole = authority(&api);
        if is_dots(&whole) {
            return Err(bad("it names no host"));
        }
        let host = github_of(&whole, &["api."]).unwrap_or(whole);
        Ok(Self { api, host })
    }

    /// What the place is called: names the state directory and is what `gh` and `git` know it by.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether gists whose addresses are at `host`, a name and perhaps a port, are this API's.
    pub fn has_pages_at(&self, host: &str) -> bool {
        let name = self.host.as_str();
        let part = |prefix: &&str| host.strip_prefix(prefix) == Some(name);
        let bodies = name == "github.com" && host == "gist.githubusercontent.com";
        // On this machine pages and API may have ports of their own.
        let local = self.is_loopback()
            && Url::parse(&format!("http://{host}"))
                .is_ok_and(|url| url.host_str() == self.api.host_str());
        host == name || ["gist.", "api.", "raw."].iter().any(part) || bodies || local
    }

    /// The address that the paths of the API are added to; it never ends in `/` unless bare.
    pub fn api(&self) -> &Url {
        &self.api
    }

    /// Whether this is github.com or a tenant of it, not somebody's own server.
    pub fn is_github(&self) -> bool {
        is_github(&self.host)
    }

    /// Whether the API runs on this machine.
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.api)
    }

    /// Whether a token may travel there: encrypted, or without leaving the machine.
    pub fn keeps_secrets(&self) -> bool {
        self.api.scheme() == "https" || self.is_loopback()
    }

    /// Whether `url` has the API's scheme, host and port and brings no credentials of its own.
    pub fn covers(&self, url: &Url) -> bool {
        self.api.origin() == url.origin() && !has_userinfo(url)
    }

    /// The address of a path of the API, its segments encoded.
    pub(super) fn address(&self, segments: &[&str]) -> Url {
        let mut url = self.api.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }
}

/// Host and, where it is not the scheme's own, port.
pub(super) fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// Whether the address carries a user name or a password, which a client would send along.
pub(super) fn has_userinfo(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

fn is_github(host: &str) -> bool {
    host == "github.com" || host.ends_with(".ghe.com")
}

/// The host of GitHub's own that `whole` is a part of, if it begins with one of `parts`.
fn github_of(whole: &str, parts: &[&str]) -> Option<String> {
    let rest = parts.iter().find_map(|part| whole.strip_prefix(part))?;
    is_github(rest).then(|| rest.to_owned())
}

/// Such a name would lead out of the directory that holds the states of all hosts.
fn is_dots(host: &str) -> bool {
    host.chars().all(|c| c == '.')
}

/// Whether the address stays on this machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// What the user gave, less what could be a secret.
fn shown(given: &str) -> String {
    let given = given.split(['?', '#']).next().unwrap_or_default();
    match given.rsplit_once('@') {
        Some((_, rest)) => format!("…@{rest}"),
        None => given.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_leads_to_its_api() {
        for (host, api, name) in [
            ("github.com", "https://api.github.com/", "github.com"),
            ("GitHub.com", "https://api.github.com/", "github.com"),
            ("octo.ghe.com", "https://api.octo.ghe.com/", "octo.ghe.com"),
            ("ghe.example.com", "https://ghe.example.com/api/v3", "ghe.example.com"),
            ("ghe.example.com:8443", "https://ghe.example.com:8443/api/v3", "ghe.example.com:8443"),
            ("notgithub.com", "https://notgithub.com/api/v3", "notgithub.com"),
            ("gist.github.com", "https://api.github.com/", "github.com"),
            ("api.github.com", "https://api.github.com/", "github.com"),
            ("api.octo.ghe.com", "https://api.octo.ghe.com/", "octo.ghe.com"),
            ("gist.octo.ghe.com", "https://api.octo.ghe.com/", "octo.ghe.com"),
            ("api.example.com", "https://api.example.com/api/v3", "api.example.com"),
        ] {
            let endpoint = Endpoint::of_host(host).unwrap();
            assert_eq!((endpoint.api().as_str(), endpoint.host()), (api, name));
        }
    }

    #[test]
    fn an_address_is_taken_whole_and_named_by_its_host() {
        for (url, gist, name) in [
            ("https://api.github.com", "https://api.github.com/gists/1", "github.com"),
            ("https://api.github.com/", "https://api.github.com/gists/1", "github.com"),
            ("https://api.octo.ghe.com", "https://api.octo.ghe.com/gists/1", "octo.ghe.com"),
            ("https://h.example/api/v3/", "https://h.example/api/v3/gists/1", "h.example"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080/gists/1", "127.0.0.1:8080"),
            ("http://[::1]:80/x", "http://[::1]/x/gists/1", "[::1]"),
            ("https://api.example.com", "https://api.example.com/gists/1", "api.example.com"),
        ] {
            let endpoint = Endpoint::of_url(url).unwrap();
            assert_eq!(endpoint.address(&["gists", "1"]).as_str(), gist);
            assert_eq!(endpoint.host(), name);
        }
    }

    #[test]
    fn an_address_is_of_the_host_whose_gists_live_there() {
        for (host, api, same) in [
            ("github.com", "https://api.github.com", true),
            ("gist.github.com", "https://api.github.com", true),
            ("api.github.com", "https://api.github.com", true),
            ("gist.githubusercontent.com", "https://api.github.com", true),
            ("ghe.example.com", "https://ghe.example.com/api/v3", true),
            ("gist.ghe.example.com", "https://ghe.example.com/api/v3", true),
            ("raw.ghe.example.com", "https://ghe.example.com/api/v3", true),
            ("127.0.0.1:8012", "http://127.0.0.1:8011", true),
            ("[::1]:8012", "http://[::1]:8011", true),
            ("[::1]", "http://127.0.0.1:8011", false),
            ("127.0.0.1.example.com", "http://127.0.0.1:8011", false),
            ("github.com.evil.example", "https://api.github.com", false),
            ("gist.githubusercontent.com", "https://ghe.example.com/api/v3", false),
            ("gist.github.com", "https://ghe.example.com/api/v3", false),
            ("ghe.example.com:8443", "https://ghe.example.com/api/v3", false),
        ] {
            let endpoint = Endpoint::of_url(api).unwrap();
            assert_eq!(endpoint.has_pages_at(host), same, "{host} {api}");
        }
    }

    #[test]
    fn what_is_no_host_is_one_clear_error() {
        for bad in ["", "https://github.com", "a/b", "u:p@github.com", "a b", "a?b", ":80", "a:b"] {
            assert!(Endpoint::of_host(bad).is_err(), "{bad:?}");
        }
        for dots in [".", "..", "...", "%2e%2e", "..:443"] {
            assert!(Endpoint::of_host(dots).is_err(), "{dots:?}");
            assert!(Endpoint::of_url(&format!("https://{dots}/api/v3")).is_err(), "{dots:?}");
        }
        for bad in [
            "",
            "github.com",
            "ftp://github.com",
            "file:///etc",
            "https://",
            "https://u:p@h/",
            "https://h/?a=b",
            "https://h/#a",
        ] {
            assert!(Endpoint::of_url(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_error_does_not_repeat_a_password_or_a_query() {
        for bad in ["https://me:hunter2@h.example/", "ftp://h.example/?token=hunter2"] {
            let text = Endpoint::of_url(bad).unwrap_err().to_string();
            assert!(!text.contains("hunter2") && text.contains("h.example"), "{text}");
        }
        assert!(!Endpoint::of_host("me:hunter2@h").unwrap_err().to_string().contains("hunter2"));
    }

    #[test]
    fn a_token_travels_encrypted_or_not_at_all() {
        for (url, keeps) in [
            ("https://api.github.com", true),
            ("http://127.0.0.1:1", true),
            ("http://127.9.9.9", true),
            ("http://[::1]:1", true),
            ("http://localhost:1", true),
            ("http://api.github.com", false),
            ("http://localhost.example.com", false),
            ("http://10.0.0.1", false),
            ("http://127.0.0.1.example.com", false),
        ] {
            assert_eq!(Endpoint::of_url(url).unwrap().keeps_secrets(), keeps, "{url}");
        }
    }

    #[test]
    fn only_the_same_scheme_host_and_port_are_the_api() {
        let endpoint = Endpoint::of_host("github.com").unwrap();
        for (url, covered) in [
            ("https://api.github.com/user/1/gists?page=2", true),
            ("https://api.github.com:443/x", true),
            ("http://api.github.com/x", false),
            ("https://api.github.com:8443/x", false),
            ("https://github.com/x", false),
            ("https://api.github.com.evil.example/x", false),
            ("https://u@api.github.com/x", false),
            ("data:text/plain,x", false),
        ] {
            assert_eq!(endpoint.covers(&Url::parse(url).unwrap()), covered, "{url}");
        }
    }

    #[test]
    fn a_login_cannot_leave_its_place_in_the_path() {
        let endpoint = Endpoint::of_host("h.example").unwrap();
        let url = endpoint.address(&["users", "../a?b#c", "gists"]);
        assert_eq!(url.as_str(), "https://h.example/api/v3/users/..%2Fa%3Fb%23c/gists");
    }
}
