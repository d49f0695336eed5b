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
mod mount;
mod page;
mod picture;
mod place;
mod report;
mod requests;
mod run;
mod scale;
mod server;
mod timing;
mod warm;
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
    let scale = match words[..] {
        [] => Scale::whole(),
        ["--quick"] => Scale::quick(),
        ["--quick", "--write"] => Scale { documents: true, ..Scale::quick() },
        ["--small"] => Scale::small(),
        ["bare", source, point] => {
            bare::run(Path::new(source), Path::new(point));
            return ExitCode::SUCCESS;
        }
        _ => {
            eprintln!("bench: --quick, --quick --write, --small, or nothing");
            return ExitCode::from(2);
        }
    };
    let place = Place::new();
    let report = run::run(&place, &scale);
    if scale.documents {
        let document = |name: &str, text: String| {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("doc").join(name);
            std::fs::write(path, text).expect("doc can be written");
        };
        document("bench.md", page::write(&report, &place, &scale));
        document("bench.svg", picture::draw(report.drawn.iter()));
    }
    let mut wrong = report.wrong().peekable();
    if wrong.peek().is_none() {
        return ExitCode::SUCCESS;
    }
    println!();
    for row in wrong {
        println!("bench: {}: {}, expected {}", row.what, row.gistfs, row.bar);
    }
    ExitCode::FAILURE
}
