//! Measures gistfs against plain files, against the limit of FUSE, and against what one would do
//! without it. `scripts/bench` runs it; `doc/bench.md` is what it says.

mod bare;
mod candidates;
mod cold;
mod counted;
mod crowd;
mod figure;
mod growth;
mod hang;
mod memory;
mod mount;
mod page;
mod picture;
mod place;
mod reasons;
mod report;
mod requests;
mod run;
mod scale;
mod server;
mod start;
mod timing;
mod warm;
mod ways;
mod work;

use std::path::Path;
use std::process::ExitCode;

use place::Place;
use scale::Scale;

fn main() -> ExitCode {
    // Cargo says --bench to every benchmark.
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let ["bare", source, point] = words[..] {
        bare::run(Path::new(source), Path::new(point));
        return ExitCode::SUCCESS;
    }
    let (options, parts): (Vec<&str>, Vec<&str>) =
        words.into_iter().partition(|word| word.starts_with('-'));
    let scale = match options[..] {
        // A page of some parts would stand for all of them.
        [] => Scale { documents: parts.is_empty(), ..Scale::whole() },
        ["--quick"] => Scale::quick(),
        ["--quick", "--write"] if parts.is_empty() => Scale { documents: true, ..Scale::quick() },
        ["--small"] => Scale::small(),
        _ => return usage(),
    };
    if !parts.iter().all(|part| run::PARTS.iter().any(|(name, _)| name == part)) {
        return usage();
    }
    let place = Place::new();
    let report = run::run(&place, &scale, &parts, |report| {
        if scale.documents {
            document("bench.md", &page::write(report, &place, &scale));
            document("bench.svg", &picture::draw(report.drawn.iter()));
        }
    });
    let mut wrong = report.wrong().peekable();
    if wrong.peek().is_none() && report.broken.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!();
    for row in wrong {
        println!("bench: {}: {}, expected {}", row.what, row.gistfs, row.bar);
    }
    if !report.broken.is_empty() {
        println!("bench: did not come to an end: {}", report.broken.join(", "));
    }
    ExitCode::FAILURE
}

fn document(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("doc").join(name);
    std::fs::write(path, text).expect("doc can be written");
}

fn usage() -> ExitCode {
    let names: Vec<&str> = run::PARTS.iter().map(|(name, _)| *name).collect();
    eprintln!("bench: [--quick [--write] | --small] [PART…]; parts: {}", names.join(", "));
    ExitCode::from(2)
}
