//! Which addresses git may be sent to: they come from GitHub's answers, and the token goes there.

use reqwest::Url;

use crate::api::ApiError;
use crate::api::host::{Endpoint, authority, has_userinfo, is_loopback};

/// The address of a gist's repository, found fit to be given to git.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Remote {
    url: Url,
}

impl Remote {
    /// Accepts the address of a repository of `endpoint`'s: https, or http within this machine.
    pub(super) fn of(git_url: &str, endpoint: &Endpoint) -> Result<Self, ApiError> {
        let wrong = |why: &str| {
            let host = authority(endpoint.api());
            Err(ApiError::Nonsense { host, detail: format!("a git_pull_url {why}") })
        };
        let Ok(url) = Url::parse(git_url) else { return wrong("that is no address") };
        if has_userinfo(&url) {
            return wrong("with credentials in it");
        }
        if url.query().is_some() || url.fragment().is_some() {
            return wrong("that does not end with its path");
        }
        if !endpoint.has_pages_at(&authority(&url)) {
            return wrong("of another host");
        }
        let local = endpoint.is_loopback() && is_loopback(&url);
        match url.scheme() {
            "https" => Ok(Self { url }),
            "http" if local => Ok(Self { url }),
            _ => wrong("that is not https"),
        }
    }

    /// The address as git is given it.
    pub(super) fn url(&self) -> &str {
        self.url.as_str()
    }

    /// The only way git may take.
    pub(super) fn scheme(&self) -> &str {
        self.url.scheme()
    }

    /// Scheme, host and port: where the token may go.
    pub(super) fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    /// Host and port, for people.
    pub(super) fn host(&self) -> String {
        authority(&self.url)
    }

    /// Whether nothing of it leaves this machine.
    pub(super) fn is_loopback(&self) -> bool {
        is_loopback(&self.url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn git_goes_to_the_api_s_own_host_and_nowhere_else() {
        for (url, api, fit) in [
            ("https://gist.github.com/0a.git", "https://api.github.com", true),
            ("https://ghe.example.com/gist/0a.git", "https://ghe.example.com/api/v3", true),
            ("https://gist.ghe.example.com/0a.git", "https://ghe.example.com/api/v3", true),
            ("http://127.0.0.1:8012/0a.git", "http://127.0.0.1:8011", true),
            ("http://[::1]:8012/0a.git", "http://[::1]:8011", true),
            ("http://127.0.0.1:8012/0a.git", "https://api.github.com", false),
            ("http://127.0.0.1:8012/0a.git", "http://[::1]:8011", false),
            ("http://gist.github.com/0a.git", "https://api.github.com", false),
            ("http://ghe.example.com/gist/0a.git", "https://ghe.example.com/api/v3", false),
            ("https://gist.github.com.evil.example/0a.git", "https://api.github.com", false),
            ("https://evil.example/gist.github.com/0a.git", "https://api.github.com", false),
            ("https://me:pw@gist.github.com/0a.git", "https://api.github.com", false),
            ("https://me@gist.github.com/0a.git", "https://api.github.com", false),
            ("https://gist.github.com:8443/0a.git", "https://api.github.com", false),
            ("https://gist.github.com/0a.git?x=y", "https://api.github.com", false),
            ("https://gist.github.com/0a.git#x", "https://api.github.com", false),
            ("git@gist.github.com:0a.git", "https://api.github.com", false),
            ("ssh://git@gist.github.com/0a.git", "https://api.github.com", false),
            ("git://gist.github.com/0a.git", "https://api.github.com", false),
            ("file:///etc/0a.git", "https://api.github.com", false),
            ("ext::sh -c id", "https://api.github.com", false),
            ("--upload-pack=id", "https://api.github.com", false),
            ("/etc/0a.git", "https://api.github.com", false),
            ("", "https://api.github.com", false),
        ] {
            let endpoint = Endpoint::of_url(api).unwrap();
            let remote = Remote::of(url, &endpoint);
            assert_eq!(remote.is_ok(), fit, "{url} {api}");
            if let Err(error) = remote {
                assert!(!error.to_string().contains("pw"), "{error}");
            }
        }
    }

    #[test]
    fn the_token_s_place_is_an_origin() {
        let endpoint = Endpoint::of_host("github.com").unwrap();
        let remote = Remote::of("https://gist.github.com:443/0a.git", &endpoint).unwrap();
        assert_eq!(remote.origin(), "https://gist.github.com");
        assert_eq!((remote.scheme(), remote.is_loopback()), ("https", false));
        let endpoint = Endpoint::of_url("http://127.0.0.1:1").unwrap();
        let remote = Remote::of("http://127.0.0.1:2/0a.git", &endpoint).unwrap();
        assert_eq!(
            (remote.origin(), remote.host()),
            ("http://127.0.0.1:2".into(), "127.0.0.1:2".into())
        );
    }
}
