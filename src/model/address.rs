//! A gist as it is named away from a mount: by its id, or by an address.

use url::Url;

use super::GistId;

/// What stands behind a gist's id in addresses of its parts; all behind it names no gist.
const PARTS: &[&str] =
    &["raw", "archive", "revisions", "stargazers", "forks", "edit", "comments", "commits", "star"];

/// A gist by its id or by an address of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GistAddress {
    /// Its id.
    pub id: GistId,
    /// The host of the address in small letters, with the port if that is not the scheme's own.
    pub host: Option<String>,
}

impl GistAddress {
    /// Accepts an id, or the address of a gist's page, of a part of that, of a body or of the
    /// repository, without a scheme or in git's short form too; else `None`.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(id) = digits(text) {
            return Some(Self { id, host: None });
        }
        let url = url(text)?;
        let name = url.host_str()?;
        let host = match url.port() {
            Some(port) => format!("{name}:{port}"),
            None => name.to_owned(),
        };
        let parts: Vec<&str> = url.path_segments()?.filter(|part| !part.is_empty()).collect();
        Some(Self { id: named_by(&parts)?, host: Some(host) })
    }
}

/// The address in `text`. What is git's has the port of another service, which is left out.
fn url(text: &str) -> Option<Url> {
    // The parser would take them out.
    if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return None;
    }
    let short = || Some(text.strip_prefix("git@")?.replacen(':', "/", 1));
    match (text.split_once("://"), short()) {
        (Some((scheme, rest)), _) => match scheme.to_ascii_lowercase().as_str() {
            "http" | "https" => Url::parse(text).ok(),
            "ssh" | "git" => {
                let mut url = Url::parse(&format!("https://{rest}")).ok()?;
                url.set_port(None).ok()?;
                Some(url)
            }
            _ => None,
        },
        (None, Some(rest)) => Url::parse(&format!("https://{rest}")).ok(),
        (None, None) => {
            let (host, _) = text.split_once('/')?;
            // Else it is a path, of which there may be none.
            let is_host = !host.starts_with('.') && host.contains(['.', ':']);
            is_host.then(|| Url::parse(&format!("https://{text}")).ok())?
        }
    }
}

/// The gist that the parts of a path name.
fn named_by(parts: &[&str]) -> Option<GistId> {
    let end = parts.iter().skip(1).position(|part| PARTS.contains(part)).map(|at| at + 1);
    let (last, before) = parts.get(..end.unwrap_or(parts.len()))?.split_last()?;
    // A revision stands behind the gist.
    let id = if is_commit(last) { before.last()? } else { last };
    digits([".git", ".js"].iter().find_map(|end| id.strip_suffix(end)).unwrap_or(id))
}

/// An id is hex digits, or decimal ones where the gist is old, and not as long as a commit's.
fn digits(text: &str) -> Option<GistId> {
    let hex = text.chars().all(|c| c.is_ascii_hexdigit());
    GistId::parse(text).filter(|_| hex && !is_commit(text))
}

fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.chars().all(|c| c.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "aa5a315d61ae9438b18d";
    const COMMIT: &str = "468aac8caed5f0c3b859b8286968e2c78e2b8760";

    #[test]
    fn an_address_names_host_and_gist_and_an_id_only_the_gist() {
        for (text, host) in [
            (ID.to_owned(), None),
            (format!("https://gist.github.com/octo/{ID}"), Some("gist.github.com")),
            (format!("HTTPS://GIST.GITHUB.COM/{ID}/"), Some("gist.github.com")),
            (format!("gist.github.com/{ID}"), Some("gist.github.com")),
            (format!("https://gist.github.com/octo/{ID}#file-a-txt"), Some("gist.github.com")),
            (format!("https://gist.github.com/octo/{ID}/{COMMIT}"), Some("gist.github.com")),
            (format!("https://gist.github.com/octo/{ID}/revisions"), Some("gist.github.com")),
            (format!("https://gist.github.com/octo/{ID}/raw"), Some("gist.github.com")),
            (format!("https://gist.github.com/octo/{ID}.js"), Some("gist.github.com")),
            (
                format!("https://gist.github.com/octo/{ID}/archive/{COMMIT}.zip"),
                Some("gist.github.com"),
            ),
            (
                format!("https://gist.githubusercontent.com/octo/{ID}/raw/{COMMIT}/a/raw"),
                Some("gist.githubusercontent.com"),
            ),
            (format!("https://api.github.com/gists/{ID}/comments/1"), Some("api.github.com")),
            (format!("https://octo:secret@gist.github.com/{ID}.git"), Some("gist.github.com")),
            (format!("git@gist.github.com:{ID}.git"), Some("gist.github.com")),
            (format!("git@ghe.example.com:gist/octo/{ID}.git"), Some("ghe.example.com")),
            (format!("ssh://git@gist.github.com:22/{ID}.git"), Some("gist.github.com")),
            (format!("https://ghe.example.com/gist/octo/{ID}?x=y/z"), Some("ghe.example.com")),
            (format!("https://ghe.example.com:8443/gist/{ID}"), Some("ghe.example.com:8443")),
            (format!("https://[::1]/{ID}"), Some("[::1]")),
            (format!("http://127.0.0.1:8080/octo/{ID}"), Some("127.0.0.1:8080")),
            (format!("localhost:8080/octo/{ID}"), Some("localhost:8080")),
        ] {
            let found = GistAddress::parse(&text);
            let found = found.as_ref().map(|found| (found.id.as_str(), found.host.as_deref()));
            assert_eq!(found, Some((ID, host)), "{text}");
        }
    }

    #[test]
    fn what_names_no_gist_is_refused() {
        for none in [
            "",
            "/",
            "octo",
            "a b",
            "starred",
            "./aa5a315d",
            "../aa5a315d",
            "notes/aa5a315d",
            COMMIT,
            "https://gist.github.com/",
            "https://gist.github.com/octo",
            "https://gist.github.com/octo/starred",
            "https://gist.github.com/octo/forks",
            "https://gist.github.com/a b",
            "https://gist.github.com/octo/aa5a\n315d",
            "https:///",
            "file:///tmp/aa5a315d",
            "git@gist.github.com",
        ] {
            assert_eq!(GistAddress::parse(none), None, "{none}");
        }
    }
}
