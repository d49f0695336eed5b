//! How one would fetch gists without gistfs: curl, git clone, gh.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::cold::LONG;
use crate::figure::Bar;
use crate::place::{Place, must, program, said};
use crate::scale::Scale;
use crate::server::{FILES, Server, TOKEN};
use crate::timing::{median, time};

/// Fetches the gists with these ids.
type Fetch<'a> = Box<dyn Fn(&[String]) + 'a>;

/// A way to fetch gists.
pub(crate) struct Way<'a> {
    pub(crate) name: &'static str,
    pub(crate) bar: Bar,
    /// So many gists are fetched in a round.
    gists: usize,
    fetch: Fetch<'a>,
}

/// Each way with the time that it takes for all gists, and how that was found. They take turns,
/// and fetch other gists in each round.
pub(crate) fn measure<'a>(
    place: &Place,
    server: &'a Server,
    ids: &'a [String],
    scale: &Scale,
) -> Vec<(Way<'a>, Duration, String)> {
    let ways = ways(place, server, ids.len(), scale);
    let mut times: Vec<Vec<Duration>> = ways.iter().map(|_| Vec::new()).collect();
    for round in 0..scale.rounds {
        for (way, times) in ways.iter().zip(&mut times) {
            if times.first().is_some_and(|first| *first > LONG) {
                continue;
            }
            let some = ids.chunks_exact(way.gists).cycle().nth(round).expect("there are gists");
            times.push(time(|| (way.fetch)(some)).1);
        }
    }
    let all = ids.len() as f64;
    let outcome = |(way, times): (Way<'a>, Vec<Duration>)| {
        let (rounds, factor) = (times.len(), all / way.gists as f64);
        let how = match way.gists {
            gists if gists == ids.len() => format!("median of {rounds}"),
            gists => format!(
                "median of {rounds}, each of {gists} other gists of {all}, times {}",
                (factor * 10.0).round() / 10.0
            ),
        };
        (way, median(times).mul_f64(factor), how)
    };
    ways.into_iter().zip(times).map(outcome).collect()
}

fn ways<'a>(place: &Place, server: &'a Server, all: usize, scale: &Scale) -> Vec<Way<'a>> {
    let sample = scale.sample;
    let directory = place.on_disk("cold-alternatives");
    let there = |name: &str, word: &str| {
        let there = said(program(name).arg(word).stdout(Stdio::piped())).is_some();
        if !there {
            eprintln!("bench: there is no {name} here");
        }
        there
    };
    let mut ways = Vec::new();
    let mut add = |name, bar, gists, fetch| ways.push(Way { name, bar, gists, fetch });
    let one_by_one = Bar::AtMost(0.05);
    if there("curl", "--version") {
        let urls = move |ids: &[String]| -> Vec<String> {
            let of = |id: &String| FILES.map(|name| format!("{}/octo/{id}/raw/{name}", server.raw));
            ids.iter().flat_map(of).collect()
        };
        let (here, each) = (directory.clone(), sample);
        let fetch = move |ids: &[String]| {
            urls(ids).iter().for_each(|url| curl(&here, &[], std::slice::from_ref(url)));
        };
        add("curl, file by file", one_by_one.clone(), each, Box::new(fetch) as Fetch<'a>);
        if scale.slow {
            // Its one connection is made once: of few files that would be a part.
            let (here, each) = (directory.clone(), all.min(5 * sample));
            let fetch = move |ids: &[String]| curl(&here, &[], &urls(ids));
            add("curl, one connection", Bar::None, each, Box::new(fetch));
        }
        let here = directory.clone();
        let fetch = move |ids: &[String]| curl(&here, &["-Z", "--parallel-max", "16"], &urls(ids));
        add("curl, 16 at once", Bar::None, all, Box::new(fetch));
    }
    let here = directory.clone();
    let fetch = move |ids: &[String]| {
        ids.iter().for_each(|id| clone(&here, &format!("{}/{id}.git", server.raw)));
    };
    add("git clone, one by one", one_by_one.clone(), sample, Box::new(fetch));
    if there("gh", "version") {
        let fetch = move |ids: &[String]| ids.iter().for_each(|id| gh(&directory, &server.api, id));
        add("gh gist view, one by one", one_by_one, sample, Box::new(fetch));
    }
    ways
}

fn curl(directory: &Path, options: &[&str], urls: &[String]) {
    let mut command = program("curl");
    command.args(["-sS", "--fail"]).args(options).current_dir(directory);
    urls.iter().enumerate().for_each(|(number, url)| {
        command.args(["-o", &number.to_string(), url]);
    });
    must(&mut command);
}

fn clone(directory: &Path, url: &str) {
    let mut git: Command = program("git");
    // Its own token, as one's secret gists need.
    let url = url.replacen("://", &format!("://octo:{TOKEN}@"), 1);
    git.args(["clone", "-q", &url]).current_dir(directory);
    git.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_TERMINAL_PROMPT", "0");
    must(&mut git);
    let name = url.rsplit('/').next().and_then(|name| name.strip_suffix(".git"));
    let clone = directory.join(name.expect("the address of a gist"));
    std::fs::remove_dir_all(clone).expect("a clone of ours");
}

/// gh talks https to every host but this one, whose requests a proxy can take.
fn gh(directory: &Path, api: &str, id: &str) {
    let mut gh = program("gh");
    gh.args(["gist", "view", "--raw", id]).current_dir(directory);
    gh.env("GH_HOST", "github.localhost").env("GH_TOKEN", TOKEN).env("HTTP_PROXY", api);
    gh.env("GH_CONFIG_DIR", directory).env("GH_NO_UPDATE_NOTIFIER", "1");
    gh.env("GH_ENTERPRISE_TOKEN", TOKEN).env("GH_PROMPT_DISABLED", "1");
    must(&mut gh);
}
