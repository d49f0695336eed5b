//! What is owed, as people read it. Nothing a gist, a file or a server is called reaches the
//! terminal raw.

use super::report::{Owing, UnsentComment, Waiting};
use super::standing::Standing;
use crate::model::Time;

/// Text fit for one line of a terminal: what controls it, or turns its direction, is escaped.
pub fn plain(text: &str) -> String {
    let odd = |c: char| {
        c.is_control()
            || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
            || matches!(c, '\u{2028}' | '\u{2029}')
    };
    let mut shown = String::new();
    for c in text.chars() {
        if odd(c) { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}

/// A name in quotes.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", plain(&name.replace('\\', "\\\\").replace('"', "\\\"")))
}

/// Tells times as people here do.
pub struct Clock(Time);

impl Clock {
    /// A clock that says what time it is.
    pub fn now() -> Self {
        Self(Time::now())
    }

    /// A time of a report in the local time zone.
    pub fn time(&self, text: &str) -> String {
        Time::parse(text).map_or_else(|| plain(text), |time| time.local(self.0))
    }

    /// A time to come, and how far away it is.
    pub fn until(&self, text: &str) -> String {
        let left = Time::parse(text).map_or(0, |time| time.since(self.0).as_secs());
        let away = match left {
            0 => return "now".into(),
            1..120 => format!("{left} s"),
            120..7200 => format!("{} min", left / 60),
            _ => format!("{} h", left / 3600),
        };
        format!("{} (in {away})", self.time(text))
    }
}

/// What each gist owes: a line for it, one a file, and what can be done.
pub fn owing(all: &[Owing], clock: &Clock) -> Vec<String> {
    let mut lines = Vec::new();
    for gist in all {
        let twin = all.iter().any(|other| other.title == gist.title && other.id != gist.id);
        owing_of(gist, twin, clock, &mut lines);
    }
    lines
}

fn owing_of(gist: &Owing, twin: bool, clock: &Clock, lines: &mut Vec<String>) {
    let mut about = format!("{} since {}", gist.change.word(), clock.time(&gist.since));
    if let Some(id) = gist.id.as_ref().filter(|_| twin) {
        about += &format!("; {}", plain(id));
    }
    if gist.tries > 0 {
        about += &format!("; tries: {}", gist.tries);
        if let Some(next) = &gist.next {
            about += &format!(", next {}", clock.until(next));
        }
    }
    lines.push(format!("{}: {} ({about})", quoted(&gist.title), plain(&gist.state.to_string())));
    for (line, advice) in differences(gist) {
        lines.push(format!("  {line}"));
        lines.extend(advice.map(|advice| format!("           to do: {}", plain(advice))));
    }
    // A file that says it too has said it.
    let said = gist.files.iter().any(|file| file.advice == gist.advice);
    if let Some(advice) = gist.advice.as_deref().filter(|_| !said) {
        lines.push(format!("  to do: {}", plain(advice)));
    }
}

/// What of a gist differs from GitHub: a line for the description and one a file, each with what
/// can be done about it.
pub fn differences(gist: &Owing) -> Vec<(String, Option<&str>)> {
    let mut lines = Vec::new();
    if gist.description {
        lines.push(("changed  the description".into(), None));
    }
    let names: Vec<String> = gist
        .files
        .iter()
        .map(|file| {
            let from = file.from.as_deref().map(|from| format!(" (was {})", quoted(from)));
            quoted(&file.name) + &from.unwrap_or_default()
        })
        .collect();
    // One long name does not push all others off the screen.
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).min(40);
    for (file, name) in gist.files.iter().zip(names) {
        let mut line = format!("{:<8} {name:width$}", file.change.word());
        if matches!(file.state, Standing::Local(_)) {
            line += &format!("  {}", plain(&file.state.to_string()));
        }
        if let Some(waits) = &file.waits_for {
            line += &format!("  {}", plain(waits));
        }
        lines.push((line.trim_end().to_owned(), file.advice.as_deref()));
    }
    lines
}

/// Comments that were not sent, a line each.
pub fn comments(all: &[UnsentComment]) -> impl Iterator<Item = String> {
    let line = |comment: &UnsentComment| {
        let (title, name) = (quoted(&comment.title), quoted(&comment.name));
        format!("{title}: comment not sent, and kept until the mount ends: {name}")
    };
    all.iter().map(line)
}

/// Until when nothing goes, and why.
pub fn waiting(waiting: &Waiting, clock: &Clock) -> String {
    format!("{}: {}", clock.until(&waiting.until), plain(&waiting.why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_controls_a_terminal_never_reaches_it_raw() {
        assert_eq!(plain("né\u{1b}[31m\n\u{202e}x\u{7f}"), "né\\u{1b}[31m\\n\\u{202e}x\\u{7f}");
        assert_eq!(quoted("a\"b\\\t"), r#""a\"b\\\t""#);
    }
}
