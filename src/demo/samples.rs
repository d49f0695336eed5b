//! The gists that the demo begins with: a small account as one might have it.

use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use super::server::{Seed, Server};
use crate::model::Time;

/// A file and its text.
type File = (&'static str, &'static str);

const DAY: u64 = 24 * 60 * 60;

/// Seeds the sample gists, unless the server has gists already: most of them octo's, and a few
/// of hubot's for the views of other people's gists. Among them are two of the same description, one
/// without any, one with a past, and one too large to be sent whole.
///
/// # Errors
///
/// The data directory cannot be written.
pub fn fill(server: &Server) -> io::Result<()> {
    if !server.is_empty() {
        return Ok(());
    }
    let secret = |days, description, files: &[File]| {
        server.try_seed("octo", gist(days, description, false, files))
    };
    secret(400, "Garden", &[("garden.md", include_str!("samples/garden.md"))])?;
    let public = |days, description, files: &[File]| {
        server.try_seed("octo", gist(days, description, true, files))
    };
    let vimrc = public(
        300,
        "vimrc",
        &[
            (".vimrc", include_str!("samples/vimrc")),
            ("vimrc.md", include_str!("samples/vimrc.md")),
        ],
    )?;
    let backup = [
        ("backup.sh", include_str!("samples/backup.sh")),
        ("exclude.txt", include_str!("samples/exclude.txt")),
    ];
    public(220, "Incremental backups with rsync", &backup)?;
    let sql = [("lookup.sql", include_str!("samples/lookup.sql"))];
    let sql = secret(160, "SQL I look up twice a year", &sql)?;
    let python = [("per_minute.py", include_str!("samples/per_minute.py"))];
    secret(90, "Log lines per minute", &python)?;
    let log = vec![("access.log".to_owned(), access_log().into_bytes())];
    let log = Seed { files: log, ..gist(60, "Access log of a busy day (1.5 MB)", false, &[]) };
    server.try_seed("octo", log)?;
    let money = [
        ("expenses.csv", include_str!("samples/expenses.csv")),
        ("by-category.awk", include_str!("samples/by-category.awk")),
    ];
    secret(45, "Expenses 2026", &money)?;
    todo(server)?;
    secret(12, "TODO", &[("todo.md", "# TODO, work\n\n- [ ] answer Marta\n- [ ] rotate keys\n")])?;
    let untitled = [("call with Marta.md", include_str!("samples/untitled.md"))];
    let untitled = Seed { description: None, ..gist(3, "", false, &untitled) };
    server.try_seed("octo", untitled)?;
    secret(1, "Start here", &[("start-here.md", include_str!("samples/start-here.md"))])?;
    let patterns = [("patterns.md", include_str!("samples/patterns.md"))];
    let patterns = server.try_seed("hubot", gist(30, "Patterns for log lines", true, &patterns))?;
    let deploy = [
        ("deploy.yml", include_str!("samples/deploy.yml")),
        ("retry.rb", include_str!("samples/retry.rb")),
    ];
    server.try_seed("hubot", gist(20, "What the robot does", false, &deploy))?;
    server.star(&vimrc, "hubot")?;
    server.star(&sql, "hubot")?;
    server.star(&patterns, "octo")
}

/// The list with a past: a commit every few days.
fn todo(server: &Server) -> io::Result<()> {
    let first = [("todo.md", include_str!("samples/todo-1.md"))];
    let id = server.try_seed("octo", gist(25, "TODO", false, &first))?;
    let later = [(18, include_str!("samples/todo-2.md")), (9, include_str!("samples/todo-3.md"))];
    for (days, text) in later {
        server.commit_at(&id, &[("todo.md", Some(text.as_bytes()))], days_ago(days))?;
    }
    Ok(())
}

fn gist(days: u64, description: &str, public: bool, files: &[File]) -> Seed {
    Seed { public, created_at: Some(days_ago(days)), ..Seed::new(description, files) }
}

fn days_ago(days: u64) -> Time {
    let elapsed = Duration::from_secs(days * DAY).as_nanos();
    Time(Time::now().0.saturating_sub(i64::try_from(elapsed).unwrap_or_default()))
}

/// A day of a web server's life, a megabyte and a half of it, the same every time.
fn access_log() -> String {
    const PATHS: [&str; 6] =
        ["/", "/feed.xml", "/about", "/2026/moving-the-blog", "/style.css", "/wp-login.php"];
    let mut log = String::new();
    let mut state: u32 = 20_261_121;
    let mut chance = |below: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) % below
    };
    for second in (0..DAY).step_by(5) {
        let (hour, minute) = (second / 3600, second / 60 % 60);
        let path = PATHS[chance(6) as usize];
        // Whoever asks for the last one is up to no good.
        let status = if path.ends_with(".php") { 404 } else { 200 };
        let address = format!("192.0.2.{}", chance(254) + 1);
        let size = 300 + chance(20_000);
        let line = format!(
            "{address} - - [21/Nov/2026:{hour:02}:{minute:02}:{:02} +0000] \
             \"GET {path} HTTP/1.1\" {status} {size}",
            second % 60
        );
        // Writing to a string cannot fail.
        let _: Result<(), std::fmt::Error> = writeln!(log, "{line}");
    }
    log
}
