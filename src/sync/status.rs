//! How an account stands, mounted or not, and the words in which people read that.

use serde::{Deserialize, Serialize};

use super::report::Report;
use super::show::{self, Clock, plain, quoted};

/// Whether an account is mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mounted {
    /// A mount answers.
    Yes,
    /// Nothing is mounted.
    No,
    /// Its process is gone, and the mount point is dead.
    Dead,
    /// It is mounted and does not answer here.
    Silent,
}

/// An account's state, mounted or not.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    /// Where it is mounted, or was last.
    pub mountpoint: String,
    /// Whether it is.
    pub mounted: Mounted,
    /// On which host.
    pub host: String,
    /// Where that host's API is, if it is mounted.
    #[serde(default)]
    pub api: Option<String>,
    /// Whose gists, or which: what the state's directory is called.
    pub account: String,
    /// Why nothing can be changed, if so.
    pub read_only: Option<String>,
    /// The process, if there is one.
    pub pid: Option<u32>,
    /// Where its state is.
    pub state: String,
    /// Everything else.
    #[serde(flatten)]
    pub report: Report,
}

/// What people call the account whose state is named `name`.
pub fn title(name: &str) -> String {
    let parts: Vec<&str> = name.splitn(3, '.').collect();
    match parts.as_slice() {
        ["user", login] => format!("the public gists of {login}"),
        ["starred", login] => format!("the gists {login} starred"),
        ["gist", id] => format!("the gist {id}"),
        ["gist", id, login] => format!("the gist {id}, by {login}"),
        _ => name.to_owned(),
    }
}

impl Status {
    /// All of it: a line that says whose, and the rest below it.
    pub fn lines(&self, clock: &Clock) -> Vec<String> {
        let mut rest = self.limits(clock);
        rest.extend(self.trouble());
        rest.extend(self.pending(clock));
        rest.extend(self.oddities());
        if let Some(why) = &self.read_only {
            rest.insert(0, format!("read-only: {}", plain(why)));
        }
        let rest = rest.into_iter().map(|line| format!("  {line}"));
        std::iter::once(self.head()).chain(rest).collect()
    }

    /// Where it is mounted, and whose gists.
    pub fn head(&self) -> String {
        let point = plain(&self.mountpoint);
        let title = title(&self.account);
        let account = format!("{} on {}", plain(&title), plain(&self.host));
        match self.mounted {
            Mounted::Yes if title != self.account => {
                format!("{point}: {account} ({} here)", self.report.gists)
            }
            Mounted::Yes => format!("{point}: {} gists of {account}", self.report.gists),
            Mounted::No if point.is_empty() => format!("{account}: not mounted"),
            Mounted::No => format!("{account}: not mounted (last on {point})"),
            Mounted::Dead => format!("{account}: dead mount; run gistfs mount {point} again"),
            Mounted::Silent => format!(
                "{account}: mounted on {point}, but it does not answer; is XDG_RUNTIME_DIR the \
                 same as when it was mounted?"
            ),
        }
    }

    /// What is left of GitHub's limits, and until when one is in force.
    pub fn limits(&self, clock: &Clock) -> Vec<String> {
        let mut lines = Vec::new();
        match &self.report.quota {
            Some(quota) => lines.push(format!(
                "quota: {} of {} requests left until {}",
                quota.remaining,
                quota.limit,
                clock.time(&quota.reset)
            )),
            None if self.mounted == Mounted::Yes => lines.push("quota: no limit known".into()),
            None => {}
        }
        if let Some(pace) = &self.report.pace {
            lines.push(format!(
                "changes: {} sent in the last minute ({} left), {} in the last hour ({} left)",
                pace.minute, pace.minute_left, pace.hour, pace.hour_left
            ));
        }
        if let Some(waiting) = &self.report.waiting {
            lines.push(format!("limited until {}", show::waiting(waiting, clock)));
        }
        lines
    }

    fn trouble(&self) -> Option<String> {
        let trouble = self.report.trouble.as_ref()?;
        let here = self.mounted != Mounted::Yes || trouble.starts_with("local state");
        Some(format!("{}: {}", if here { "state" } else { "GitHub" }, plain(trouble)))
    }

    /// What GitHub does not have yet, and when it goes.
    pub fn pending(&self, clock: &Clock) -> Vec<String> {
        let report = &self.report;
        let mut lines: Vec<String> = report.held.iter().map(ToString::to_string).collect();
        let known = report.trouble.is_none() || self.mounted == Mounted::Yes;
        if report.owing.is_empty() && known {
            lines.push("everything is on GitHub".into());
        }
        lines.extend(show::owing(&report.owing, clock));
        let going = report.owing.iter().filter(|gist| gist.goes_by_itself()).count();
        if let Some(pace) = report.pace.as_ref().filter(|_| going > 1) {
            let all = clock.until(&pace.all);
            lines.push(format!("all {going} that go by themselves can be sent by {all}"));
        }
        lines
    }

    fn oddities(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for conflict in &self.report.conflicts {
            let title = quoted(&conflict.title);
            if let Some(file) = &conflict.file {
                lines.push(format!("{title}: conflict: {} is a version of its own", quoted(file)));
            }
            if let Some(description) = &conflict.description {
                let theirs = quoted(description);
                lines.push(format!("{title}: conflict: also described as {theirs}"));
            }
        }
        for file in &self.report.scratch {
            let (name, title) = (quoted(&file.name), quoted(&file.title));
            lines.push(format!("scratch, never sent: {name} of {title}"));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_mounted_is_named_as_people_name_it() {
        for (name, told) in [
            ("octo", "octo"),
            ("user.octo", "the public gists of octo"),
            ("starred.octo", "the gists octo starred"),
            ("gist.aa5a315d", "the gist aa5a315d"),
            ("gist.aa5a315d.octo", "the gist aa5a315d, by octo"),
            ("odd.one", "odd.one"),
        ] {
            assert_eq!(title(name), told);
        }
    }
}
