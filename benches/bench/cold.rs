//! The first search through an account, against fetching its gists one by one.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::figure::{Bar, Figure, Row};
use crate::mount::Mount;
use crate::place::{Place, must, program, said};
use crate::scale::Scale;
use crate::server::{self, FILES, Server, TOKEN, WORD};
use crate::timing::{median, time};

/// What takes longer than this is measured once.
pub(crate) const LONG: Duration = Duration::from_secs(20);

/// `grep -r` through gists of which no body was ever read, and what one would do instead.
pub(crate) fn rows(place: &Place, scale: &Scale) -> Vec<Row> {
    let gists = scale.gists;
    let data = place.on_disk("cold-data");
    let ids = server::fill(&data, gists);
    let mut server = Server::start(&data, scale.latency);
    let mut times = Vec::new();
    let (mut requests, mut unread) = (None, 0);
    while times.len() < scale.rounds && times.first().is_none_or(|first| *first < LONG) {
        let home = place.on_disk("cold");
        let mount = Mount::gistfs(&server.api, &home, &[]);
        server.settled();
        server.forget();
        let ((), took) = time(|| unread += search(&mount));
        times.push(took);
        requests = Some(server.settled());
        mount.unmount();
        std::fs::remove_dir_all(home).expect("a directory of ours");
    }
    let (rounds, grep) = (times.len(), median(times));
    let requests = requests.expect("at least one round");
    let what = format!("cold grep -r, {gists} gists × 3 files, {} ms", scale.latency);
    let counted = requests.counted().to_string();
    let most = requests.most_at_once();
    let bodies = format!("{} body", gists * FILES.len());
    let mut rows = vec![Row {
        how: format!("counted; at most {most} at once"),
        ..Row::counted(&format!("{what}: requests"), counted, &bodies)
    }];
    rows.push(Row::counted(&format!("{what}: files not read"), unread.to_string(), "0"));
    let sample = scale.sample.min(gists);
    let alternatives = alternatives(place, &server, &ids[..sample]);
    rows.extend(alternatives.into_iter().map(|(name, bar, took)| Row {
        what: what.clone(),
        gistfs: Figure::Time(grep),
        other: Some((name.to_owned(), Figure::Time(took.mul_f64(gists as f64 / sample as f64)))),
        bar,
        how: format!(
            "median of {rounds}; alternative: {sample} of {gists} gists, times {}",
            gists / sample
        ),
    }));
    rows
}

/// `grep -r` through a mount; how many files it could not read.
pub(crate) fn search(mount: &Mount) -> usize {
    let mut grep = program("grep");
    grep.args(["-r", WORD]).arg(&mount.point).stderr(Stdio::piped());
    let out = grep.output().expect("grep runs");
    String::from_utf8_lossy(&out.stderr).lines().count()
}

type Alternative = (&'static str, Bar, Duration);

/// How long it takes to fetch these gists by other means.
fn alternatives(place: &Place, server: &Server, ids: &[String]) -> Vec<Alternative> {
    let directory = place.on_disk("cold-alternatives");
    let bar = || Bar::AtMost(0.05);
    let urls = |id: &String| FILES.map(|name| format!("{}/octo/{id}/raw/{name}", server.raw));
    let all: Vec<String> = ids.iter().flat_map(urls).collect();
    let curl = |options: &[&str], urls: &[String]| {
        let mut command = program("curl");
        command.args(["-sS", "--fail"]).args(options).current_dir(&directory);
        urls.iter().enumerate().for_each(|(number, url)| {
            command.args(["-o", &number.to_string(), url]);
        });
        must(&mut command);
    };
    let each = |fetch: &dyn Fn(usize)| time(|| (0..ids.len()).for_each(fetch)).1;
    let mut found = vec![
        (
            "curl, file by file",
            bar(),
            each(&|at| {
                urls(&ids[at]).iter().for_each(|url| curl(&[], std::slice::from_ref(url)));
            }),
        ),
        ("curl, one connection", Bar::None, time(|| curl(&[], &all)).1),
        ("curl, 16 at once", Bar::None, time(|| curl(&["-Z", "--parallel-max", "16"], &all)).1),
        (
            "git clone, one by one",
            bar(),
            each(&|at| {
                must(&mut clone(&directory, &format!("{}/{}.git", server.raw, ids[at])));
            }),
        ),
    ];
    if said(program("gh").arg("version").stdout(Stdio::piped())).is_some() {
        found.push((
            "gh gist view, one by one",
            bar(),
            each(&|at| {
                must(&mut gh(&directory, &server.api, &ids[at]));
            }),
        ));
    } else {
        eprintln!("bench: there is no gh here");
    }
    found
}

fn clone(directory: &Path, url: &str) -> Command {
    let mut git = program("git");
    // Its own token, as one's secret gists need.
    let url = url.replacen("://", &format!("://octo:{TOKEN}@"), 1);
    git.args(["clone", "-q", &url]).current_dir(directory);
    git.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_TERMINAL_PROMPT", "0");
    git
}

/// gh talks https to every host but this one, whose requests a proxy can take.
fn gh(directory: &Path, api: &str, id: &str) -> Command {
    let mut gh = program("gh");
    gh.args(["gist", "view", "--raw", id]).current_dir(directory);
    gh.env("GH_HOST", "github.localhost").env("GH_TOKEN", TOKEN).env("HTTP_PROXY", api);
    gh.env("GH_CONFIG_DIR", directory).env("GH_NO_UPDATE_NOTIFIER", "1");
    gh.env("GH_ENTERPRISE_TOKEN", TOKEN).env("GH_PROMPT_DISABLED", "1");
    gh
}
