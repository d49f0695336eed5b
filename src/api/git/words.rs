//! From what git says to people to an [`ApiError`]: git has no other words for what went wrong.

use crate::api::ApiError;

/// The most characters of other people's words in one error.
const MOST: usize = 500;

/// Whom git talked to, for the error's text.
#[derive(Clone, Copy, Debug)]
pub(super) struct With<'a> {
    /// Host and port.
    pub(super) host: &'a str,
    /// There was a token to be shown.
    pub(super) signed_in: bool,
}

/// The system's words for a full disk, and git's own.
const FULL: &[&str] = &["no space left on device", "disk quota exceeded", "out of diskspace"];

/// What git's own words tell, the first that is found.
const SIGNS: &[(&[&str], Sign)] = &[
    (FULL, Sign::Disk),
    (&["read-only file system"], Sign::Disk),
    (
        &[
            "authentication failed",
            "could not read username",
            "could not read password",
            "unable to get password",
        ],
        Sign::Status(401),
    ),
    (&["not our ref", "unadvertised object", "couldn't find remote ref"], Sign::Status(404)),
    (
        &[
            "could not resolve",
            "couldn't resolve",
            "failed to connect",
            "couldn't connect",
            "could not connect",
            "connection refused",
            "connection timed out",
            "no route to host",
            "network is unreachable",
            "ssl certificate",
            "certificate verif",
            "ssl connect error",
            "proxy connect aborted",
            "response from proxy",
        ],
        Sign::Unreachable,
    ),
    (&["operation too slow", "timeout was reached"], Sign::TimedOut),
    (
        &[
            "empty reply",
            "connection reset",
            "connection was reset",
            "recv failure",
            "send failure",
            "transfer closed",
            "early eof",
            "hung up",
            "unexpected disconnect",
            "rpc failed",
            "broken pipe",
            "timed out",
            "stream error",
            "not closed cleanly",
        ],
        Sign::Lost,
    ),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    Disk,
    Status(u16),
    Unreachable,
    TimedOut,
    Lost,
}

/// Why a command that talked to a server failed.
pub(super) fn error(words: &[String], with: With<'_>) -> ApiError {
    let (theirs, own): (Vec<&String>, Vec<&String>) =
        words.iter().partition(|line| line.starts_with("remote:"));
    let status = own.iter().find_map(|line| status(line));
    let sign = SIGNS.iter().find_map(|(needles, sign)| {
        let said = |line: &&&String| {
            let line = line.to_ascii_lowercase();
            needles.iter().any(|needle| line.contains(needle))
        };
        own.iter().find(said).map(|line| (*sign, detail(line)))
    });
    let is_gone =
        own.iter().any(|line| line.contains("repository '") && line.ends_with("' not found"));
    let last = || {
        let reasons = own.iter().rev().find(|line| is_reason(line)).or_else(|| own.last());
        reasons.map_or_else(|| "git says nothing".to_owned(), |line| detail(line))
    };
    let message = || match said_by_remote(theirs.iter().map(|line| line.as_str())) {
        words if words.is_empty() => last(),
        words => words,
    };
    let host = with.host.to_owned();
    match (sign, status, is_gone) {
        (Some((Sign::Disk, detail)), _, _) => {
            ApiError::Local { errno: libc::ENOSPC, message: format!("git: {detail}") }
        }
        (Some((Sign::Status(401), _)), _, _) | (_, Some(401), _) if with.signed_in => {
            ApiError::Unauthorized(message())
        }
        (Some((Sign::Status(401), _)), _, _) | (_, Some(401), _) => ApiError::Anonymous(message()),
        (_, Some(403), _) => ApiError::Forbidden(message()),
        (_, Some(404), _) | (_, _, true) => ApiError::NotFound,
        (_, Some(408), _) => ApiError::TimedOut { host },
        (_, Some(429), _) => ApiError::Limited { message: message(), wait: None, secondary: true },
        (_, Some(status @ 400..=499), _) => ApiError::Refused { status, message: message() },
        (_, Some(status @ 500..=599), _) => ApiError::Server(status),
        (_, Some(status), _) => {
            ApiError::Nonsense { host, detail: format!("it answers git with the status {status}") }
        }
        (Some((Sign::Status(_), _)), None, _) => ApiError::NotFound,
        (Some((Sign::Unreachable, detail)), None, _) => ApiError::Unreachable { host, detail },
        (Some((Sign::TimedOut, _)), None, _) => ApiError::TimedOut { host },
        (Some((Sign::Lost, detail)), None, _) => ApiError::Lost { host, detail },
        (None, None, false) => ApiError::Nonsense { host, detail: last() },
    }
}

/// Why a push was not taken, from the reason that `git push --porcelain` gives.
pub(super) fn rejection(reason: &str, words: &[String], with: With<'_>) -> ApiError {
    let (ours, theirs) =
        (reason.strip_prefix("[rejected]"), reason.strip_prefix("[remote rejected]"));
    let theirs = theirs.map(|why| why.trim().trim_matches(['(', ')']));
    let raced = [
        "failed to update ref",
        "cannot lock ref",
        "failed to lock",
        "incorrect old value",
        "reference already exists",
        "remote ref updated since checkout",
    ];
    let said = said_by_remote(words.iter().map(String::as_str));
    match (ours, theirs) {
        (Some(why), _) => {
            ApiError::Conflict(format!("the branch has moved: {}", shown(why.trim())))
        }
        (None, Some(why)) if raced.iter().any(|race| why.starts_with(race)) => {
            ApiError::Conflict(shown(why))
        }
        // The server could not store it, unless it says what it has against it.
        (None, Some(why)) if why.starts_with("unpacker error") && !said.contains("fsck") => {
            ApiError::Server(500)
        }
        (None, Some(why)) if said.is_empty() => ApiError::Declined(shown(why)),
        (None, Some(why)) => ApiError::Declined(format!("{said} ({})", shown(why))),
        (None, None) => error(words, with),
    }
}

/// Whether the server gives only what its branches name.
pub(super) fn wants_advertised(words: &[String]) -> bool {
    words.iter().any(|line| line.contains("unadvertised object"))
}

/// The last reason among `words`, for a command that talks to nobody.
pub(super) fn reason(words: &[String]) -> String {
    let reason = words.iter().rev().find(|line| is_reason(line)).or_else(|| words.last());
    reason.map_or_else(|| "it says nothing".to_owned(), |line| detail(line))
}

/// Whether a full disk is to blame.
pub(super) fn is_disk_full(words: &[String]) -> bool {
    let full = |line: &String| {
        let line = line.to_ascii_lowercase();
        FULL.iter().any(|words| line.contains(words))
    };
    words.iter().any(full)
}

fn is_reason(line: &str) -> bool {
    line.starts_with("fatal:") || line.starts_with("error:")
}

/// The status in `The requested URL returned error: 403` or `RPC failed; HTTP 502 curl 22 …`.
fn status(line: &str) -> Option<u16> {
    let number = |after: &str| {
        let (_, rest) = line.split_once(after)?;
        let digits: String = rest.trim_start().chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok().filter(|status| (100..600).contains(status))
    };
    number("The requested URL returned error:").or_else(|| number("RPC failed; HTTP"))
}

/// A line of git's without its rank and without the address, which is all one needs to read a gist.
fn detail(line: &str) -> String {
    let text = line.strip_prefix("fatal:").or_else(|| line.strip_prefix("error:")).unwrap_or(line);
    let text = match text.split_once("unable to access '") {
        Some((_, rest)) => rest.split_once("': ").map_or(rest, |(_, cause)| cause),
        None => text,
    };
    let words = text.split(' ').filter(|word| !word.contains("://"));
    let words = words.collect::<Vec<_>>().join(" ");
    let words = words.trim();
    // "Authentication failed for", and then the address.
    shown(words.strip_suffix(" for").unwrap_or(words))
}

/// What the server says for people: its `remote:` lines without progress.
fn said_by_remote<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    let progress =
        ["Enumerating", "Counting", "Compressing", "Writing", "Resolving", "Total", "Unpacking"];
    let said: Vec<&str> = lines
        .filter_map(|line| line.strip_prefix("remote:"))
        .map(str::trim)
        .filter(|line| !line.is_empty() && !progress.iter().any(|begun| line.starts_with(begun)))
        .collect();
    shown(&said.join("; "))
}

/// Other people's words, fit for one line of a terminal.
fn shown(text: &str) -> String {
    let plain =
        |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    let mut shown: String = text.chars().take(MOST).map(plain).collect();
    if text.chars().nth(MOST).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    /// What an error is, in a word.
    fn kind(error: &ApiError) -> &'static str {
        match error {
            ApiError::Unreachable { .. } => "unreachable",
            ApiError::Lost { .. } => "lost",
            ApiError::TimedOut { .. } => "timed out",
            ApiError::Unauthorized(_) => "unauthorized",
            ApiError::Anonymous(_) => "anonymous",
            ApiError::Forbidden(_) => "forbidden",
            ApiError::Limited { .. } => "limited",
            ApiError::NotFound => "not found",
            ApiError::Conflict(_) => "conflict",
            ApiError::Refused { .. } => "refused",
            ApiError::Server(_) => "server",
            ApiError::Nonsense { .. } => "nonsense",
            ApiError::Declined(_) => "declined",
            ApiError::Local { .. } => "local",
        }
    }

    const SIGNED_IN: With<'_> = With { host: "h", signed_in: true };

    /// Messages that git has really given, and what they mean.
    const MESSAGES: &[(&str, &str)] = &[
        (
            "fatal: unable to access 'http://127.0.0.1:1/x.git/': Failed to connect to 127.0.0.1 port \
             1 after 0 ms: Couldn't connect to server",
            "unreachable",
        ),
        ("fatal: unable to access 'http://h/x.git/': Could not resolve host: h", "unreachable"),
        (
            "fatal: unable to access 'https://h/x.git/': server certificate verification failed. \
             CAfile: none CRLfile: none",
            "unreachable",
        ),
        (
            "fatal: unable to access 'https://h/x.git/': SSL certificate problem: unable to get \
             local issuer certificate",
            "unreachable",
        ),
        ("fatal: unable to access 'http://h/x.git/': Empty reply from server", "lost"),
        (
            "fatal: unable to access 'http://h/x.git/': Recv failure: Connection reset by peer",
            "lost",
        ),
        (
            "error: RPC failed; curl 18 transfer closed with 100 bytes remaining to read\nerror: 100 \
             bytes of body are still expected\nfetch-pack: unexpected disconnect while reading \
             sideband packet\nfatal: early EOF\nfatal: fetch-pack: invalid index-pack output",
            "lost",
        ),
        (
            "error: RPC failed; curl 52 Empty reply from server\nsend-pack: unexpected disconnect \
             while reading sideband packet\nfatal: the remote end hung up unexpectedly",
            "lost",
        ),
        (
            "remote: Authentication failed.\nfatal: Authentication failed for 'http://h/x.git/'",
            "unauthorized",
        ),
        (
            "fatal: could not read Username for 'http://h': terminal prompts disabled",
            "unauthorized",
        ),
        (
            "remote: Permission to x.git denied to hubot.\nfatal: unable to access \
             'http://h/x.git/': The requested URL returned error: 403",
            "forbidden",
        ),
        ("remote: Not Found\nfatal: repository 'http://h/x.git/' not found", "not found"),
        ("fatal: remote error: upload-pack: not our ref 1234567890", "not found"),
        ("error: Server does not allow request for unadvertised object 1234567890", "not found"),
        (
            "fatal: unable to access 'http://h/x.git/': The requested URL returned error: 429",
            "limited",
        ),
        (
            "fatal: unable to access 'http://h/x.git/': The requested URL returned error: 502",
            "server",
        ),
        (
            "error: RPC failed; HTTP 503 curl 22 The requested URL returned error: 503\nfatal: the \
             remote end hung up unexpectedly",
            "server",
        ),
        (
            "fatal: unable to access 'http://h/x.git/': The requested URL returned error: 302",
            "nonsense",
        ),
        ("error: RPC failed; HTTP 413 curl 22 The requested URL returned error: 413", "refused"),
        ("fatal: http://h/x.git/info/refs not valid: is this a git repository?", "nonsense"),
        ("fatal: protocol error: bad line length character: <htm", "nonsense"),
        (
            "fatal: write error: No space left on device\nfatal: fetch-pack: invalid index-pack output",
            "local",
        ),
        ("fatal: sha1 file '<stdout>' write error. Out of diskspace", "local"),
        ("remote: fatal: write error: No space left on device\nfatal: early EOF", "lost"),
        (
            "fatal: unable to access 'http://h/x.git/': Operation too slow. Less than 1 bytes/sec \
             transferred the last 60 seconds",
            "timed out",
        ),
        (
            "error: RPC failed; curl 28 Operation too slow. Less than 1 bytes/sec transferred the last 60 \
             seconds\nfatal: the remote end hung up unexpectedly",
            "timed out",
        ),
        ("fatal: unable to access 'http://h/x.git/': Timeout was reached", "timed out"),
        ("", "nonsense"),
    ];

    #[test]
    fn what_git_says_means_what_it_means() {
        for (text, expected) in MESSAGES {
            let error = error(&lines(text), SIGNED_IN);
            assert_eq!(kind(&error), *expected, "{text}\n{error}");
            assert!(!error.to_string().contains("x.git/"), "{error}");
        }
        let without = With { signed_in: false, ..SIGNED_IN };
        for text in [
            "fatal: could not read Username for 'http://h': terminal prompts disabled",
            "fatal: Authentication failed for 'http://h/x.git/'",
        ] {
            assert_eq!(kind(&error(&lines(text), without)), "anonymous", "{text}");
        }
    }

    #[test]
    fn a_full_disk_is_known_by_the_system_s_words_and_by_git_s() {
        for (text, full) in [
            ("fatal: write error: No space left on device", true),
            ("fatal: sha1 file '/s/pack' write error. Out of diskspace", true),
            ("fatal: unable to write file: Disk quota exceeded", true),
            ("fatal: not a tree", false),
        ] {
            assert_eq!(is_disk_full(&lines(text)), full, "{text}");
        }
    }

    #[test]
    fn the_cause_is_told_without_the_address() {
        let text = "fatal: unable to access 'http://h/x.git/': Could not resolve host: h";
        let told = error(&lines(text), SIGNED_IN).to_string();
        assert_eq!(told, "cannot reach h: Could not resolve host: h");
        let text = "fatal: Authentication failed for 'http://h/x.git/'";
        assert!(error(&lines(text), SIGNED_IN).to_string().ends_with("Authentication failed"));
    }

    #[test]
    fn a_push_that_lost_a_race_is_a_conflict_and_one_refused_has_the_server_s_words() {
        let hook =
            "remote: Gist does not support directories.        \nremote: \nremote: a\u{1b}[31m";
        for (reason, said, expected, text) in [
            ("[rejected] (stale info)", "", "conflict", "stale info"),
            ("[rejected] (fetch first)", "", "conflict", "fetch first"),
            ("[rejected] (non-fast-forward)", "", "conflict", "moved"),
            ("[remote rejected] (failed to update ref)", "", "conflict", "failed to update"),
            (
                "[remote rejected] (cannot lock ref 'refs/heads/main': is at a but expected b)",
                "",
                "conflict",
                "cannot lock",
            ),
            ("[remote rejected] (incorrect old value provided)", "", "conflict", "old value"),
            (
                "[remote rejected] (pre-receive hook declined)",
                hook,
                "declined",
                "Gist does not support directories.; a\\u{1b}[31m (pre-receive hook declined)",
            ),
            ("[remote rejected] (shallow update not allowed)", "", "declined", "shallow update"),
            ("[remote rejected] (unpacker error)", "", "server", "500"),
            (
                "[remote rejected] (unpacker error)",
                "remote: fatal: fsck error in packed object",
                "declined",
                "fsck error",
            ),
        ] {
            let error = rejection(reason, &lines(said), SIGNED_IN);
            assert_eq!(kind(&error), expected, "{reason}: {error}");
            assert!(error.to_string().contains(text), "{reason}: {error}");
        }
    }

    #[test]
    fn words_without_end_are_cut() {
        let said = vec![format!("remote: {}", "é".repeat(4000))];
        let error = rejection("[remote rejected] (hook declined)", &said, SIGNED_IN).to_string();
        assert!(error.chars().count() < 700 && error.contains('…'), "{error}");
    }
}
