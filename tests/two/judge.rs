//! What must be true once both machines have come to rest.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use gistfs::demo::{LoggedRequest, Server};

use crate::machine::Machine;
use crate::user::{User, entries};
use crate::world::{AMPLE, wait_until};

/// Files by the gist's title.
type Tree = BTreeMap<String, BTreeMap<String, Vec<u8>>>;

pub(crate) struct Judge<'a> {
    server: &'a Server,
    machines: &'a [Machine; 2],
    users: &'a [User<'a>],
    seed: u64,
}

impl<'a> Judge<'a> {
    pub(crate) fn new(
        server: &'a Server,
        machines: &'a [Machine; 2],
        users: &'a [User<'a>],
        seed: u64,
    ) -> Self {
        Self { server, machines, users, seed }
    }

    /// Lets both send what they owe and see what the other one sent, until nothing moves.
    pub(crate) fn settle(&self) {
        let seed = self.seed;
        for machine in self.machines {
            drop(machine.run(&["sync"]));
        }
        let start = Instant::now();
        loop {
            self.fill_empty();
            let there = self.there();
            let rests = |machine: &Machine| shown(machine) == there && owes_nothing(machine);
            if self.machines.iter().all(rests) {
                break;
            }
            if start.elapsed() > AMPLE {
                self.machines.iter().for_each(|machine| tell_difference(machine, &there));
                panic!("seed {seed}: they do not come to rest alike");
            }
            std::thread::park_timeout(Duration::from_millis(50));
        }
        let (changes, lists) = (self.changes(), self.lists());
        wait_until("both have asked what is new several times", || self.lists() > lists + 8);
        assert_eq!(self.changes(), changes, "seed {seed}: they go on sending");
    }

    /// A gist without files stays on the server as it was, by design; here it gets a new one.
    fn fill_empty(&self) {
        for gist in entries(&self.machines[0].point()).expect("the mount answers") {
            if entries(&gist).is_ok_and(|files| files.is_empty()) {
                std::fs::write(gist.join("new.txt"), "something\n").ok();
            }
        }
    }

    pub(crate) fn same_everywhere(&self) {
        let there = self.there();
        for machine in self.machines {
            assert_eq!(shown(machine), there, "seed {}", self.seed);
        }
        let made: usize = self.users.iter().map(|user| user.made).sum();
        let ids = self.server.gist_ids("octo");
        assert_eq!(ids.len(), 3 + made, "seed {}: each gist is there once", self.seed);
        let names = there.values().flat_map(BTreeMap::keys);
        let twice: Vec<_> = names.filter(|name| name.matches(".conflict-").count() > 1).collect();
        assert!(twice.is_empty(), "conflict files of conflict files: {twice:?}");
    }

    /// Every line that nobody removed is in a file, or in the history where a user wrote over what
    /// came in between reading and writing; and every file as it was last seen is there whole, or
    /// was, or its lines are.
    pub(crate) fn nothing_is_lost(&self) {
        let (now, ever, bodies) = (self.lines_now(), self.lines_ever(), self.bodies_ever());
        let removed: BTreeSet<&String> = self.users.iter().flat_map(|user| &user.removed).collect();
        for line in self.users.iter().flat_map(|user| &user.lines) {
            let kept = removed.contains(line) || now.contains(line) || ever.contains(line);
            assert!(kept, "seed {}: {line:?} is nowhere", self.seed);
        }
        for (path, body) in self.users.iter().flat_map(|user| &user.last) {
            let text = String::from_utf8_lossy(body);
            let mut lines = text.lines().map(str::to_owned);
            let merged = lines.all(|line| now.contains(&line) || removed.contains(&line));
            assert!(
                merged || bodies.contains(body),
                "seed {}: {} was {text}",
                self.seed,
                path.display()
            );
        }
    }

    /// What it took, in words.
    pub(crate) fn figures(&self) -> String {
        let requests = self.server.requests();
        let count = |method: &str| requests.iter().filter(|r| r.method == method).count();
        let sum = |of: fn(&User<'_>) -> usize| self.users.iter().map(of).sum::<usize>();
        let (now, ever) = (self.lines_now(), self.lines_ever());
        let removed: BTreeSet<&String> = self.users.iter().flat_map(|user| &user.removed).collect();
        let left = self.users.iter().flat_map(|user| &user.lines).filter(|l| !removed.contains(l));
        let hidden = left.filter(|line| !now.contains(*line) && ever.contains(*line)).count();
        let there = self.there();
        let names: Vec<&String> = there.values().flat_map(BTreeMap::keys).collect();
        let conflicts = names.iter().filter(|name| name.contains(".conflict-")).count();
        format!(
            "{} edits, {} raced; {} PATCH, {} POST, {} GET; {} files, {conflicts} of them conflicts; {hidden} lines in the history only",
            sum(|user| user.done),
            sum(|user| user.failed),
            count("PATCH"),
            count("POST"),
            count("GET"),
            names.len(),
        )
    }

    fn there(&self) -> Tree {
        let ids = self.server.gist_ids("octo");
        let gist = |id: &String| {
            let title = self.server.description(id).unwrap_or_default();
            (title, self.server.files(id).unwrap_or_default())
        };
        ids.iter().map(gist).collect()
    }

    fn lines_now(&self) -> BTreeSet<String> {
        self.there().values().flat_map(BTreeMap::values).flat_map(|body| lines(body)).collect()
    }

    fn lines_ever(&self) -> BTreeSet<String> {
        self.bodies_ever().iter().flat_map(|body| lines(body)).collect()
    }

    fn bodies_ever(&self) -> BTreeSet<Vec<u8>> {
        let mut bodies = BTreeSet::new();
        for id in self.server.gist_ids("octo") {
            for commit in self.server.commits(&id) {
                bodies.extend(self.server.files_at(&id, &commit).into_values());
            }
        }
        bodies
    }

    fn changes(&self) -> usize {
        let changes = |r: &&LoggedRequest| r.method != "GET";
        self.server.requests().iter().filter(changes).count()
    }

    fn lists(&self) -> usize {
        let lists = |r: &&LoggedRequest| r.method == "GET" && r.path == "/gists";
        self.server.requests().iter().filter(lists).count()
    }
}

fn lines(body: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(body).lines().map(str::to_owned).collect()
}

/// Prints what a machine shows otherwise than the server has it, and what it owes.
fn tell_difference(machine: &Machine, there: &Tree) {
    let here = shown(machine);
    let files = |tree: &Tree| -> BTreeSet<(String, String, String)> {
        let file = |gist: &String, (name, body): (&String, &Vec<u8>)| {
            (gist.clone(), name.clone(), String::from_utf8_lossy(body).into_owned())
        };
        tree.iter().flat_map(|(gist, all)| all.iter().map(move |one| file(gist, one))).collect()
    };
    let (here, there) = (files(&here), files(there));
    eprintln!("here only: {:#?}", here.difference(&there).collect::<Vec<_>>());
    eprintln!("there only: {:#?}", there.difference(&here).collect::<Vec<_>>());
    eprintln!("{}", String::from_utf8_lossy(&machine.run(&["status", "--json"]).stdout));
}

fn owes_nothing(machine: &Machine) -> bool {
    let out = machine.run(&["status", "--json"]);
    let status: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap_or_default();
    status[0]["owing"] == serde_json::json!([])
}

fn shown(machine: &Machine) -> Tree {
    let name = |path: &Path| path.file_name().map(|n| n.to_string_lossy().into_owned());
    let mut tree = Tree::new();
    for gist in entries(&machine.point()).expect("the mount answers") {
        let mut files = BTreeMap::new();
        for file in entries(&gist).unwrap_or_default() {
            if let (Some(name), Ok(body)) = (name(&file), std::fs::read(&file)) {
                files.insert(name, body);
            }
        }
        tree.extend(name(&gist).map(|name| (name, files)));
    }
    tree
}
