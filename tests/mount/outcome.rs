//! What came of it: the requests the server saw, and what both sides then have.

use std::collections::BTreeMap;

use gistfs::demo::{LoggedRequest, Origin};
use gistfs::store::scratch;
use serde_json::Value;

use crate::world::{World, said, wait_until};

/// Descriptions of the gists that prove that nothing came late.
const CANARY: &str = "canary ";

/// How a new gist without files stands.
pub(crate) const EMPTY: &str = "local: empty: GitHub keeps no gist without files";

impl World {
    /// `gistfs status --json` of the mount.
    #[track_caller]
    pub(crate) fn status(&self) -> Value {
        let mut command = self.gistfs(&["status", "--json"]);
        let out = command.arg(self.point()).output().expect("gistfs runs");
        assert!(out.status.success(), "{}", said(&out));
        let all: Value = serde_json::from_slice(&out.stdout).expect("JSON");
        all[0].clone()
    }

    /// Waits until nothing is owed to GitHub, and then for a change of another gist to arrive:
    /// what came late would have come by then.
    #[track_caller]
    pub(crate) fn saved(&mut self) {
        wait_until("everything is saved", || {
            let status = self.status();
            let owing = status["owing"].as_array().expect("a list");
            // Of a new gist without files nothing ever goes.
            owing.iter().all(|gist| gist["state"] == EMPTY)
        });
        self.canary();
    }

    /// Makes a gist nobody asked for and waits until the server has it.
    #[track_caller]
    pub(crate) fn canary(&mut self) {
        self.canaries += 1;
        let name = format!("{CANARY}{}", self.canaries);
        std::fs::create_dir(self.path(&name)).expect("a new gist");
        self.write(&format!("{name}/tweet"), "tweet\n");
        wait_until("another gist's change arrives", || {
            self.server.requests().iter().any(|r| r.method == "POST" && describes(r) == name)
        });
    }

    /// The requests that changed something, canaries left out, and what an old server refused for
    /// the version that it named: the same is said again without.
    pub(crate) fn changes(&self) -> Vec<LoggedRequest> {
        let changes = |r: &LoggedRequest| !matches!(r.method.as_str(), "GET" | "HEAD");
        let named = |r: &LoggedRequest| r.header("x-github-api-version").is_some();
        let old = self.shape.refused_first() > 0;
        let mut all = self.server.requests();
        all.retain(|r| changes(r) && !describes(r).starts_with(CANARY));
        all.retain(|r| !(old && r.status == 400 && named(r)));
        all
    }

    /// The requests for bodies by their raw address.
    pub(crate) fn fetches(&self) -> usize {
        self.server.requests().iter().filter(|r| r.origin == Origin::Raw).count()
    }

    /// Waits until all is saved, and expects that to have taken this one `PATCH`: `files` as it
    /// was in its body, and nothing else.
    #[track_caller]
    pub(crate) fn saved_as(&mut self, id: &str, files: &Value) {
        self.saved();
        let changes = self.changes();
        let shown: Vec<String> = changes.iter().map(shown).collect();
        assert_eq!(changes.len(), 1, "one save is one request: {shown:#?}");
        let [patch] = &changes[..] else { return };
        assert_eq!((patch.method.as_str(), patch.status), ("PATCH", 200), "{shown:?}");
        assert_eq!(patch.path, format!("/gists/{id}"));
        assert_eq!(patch.json(), serde_json::json!({"files": files}), "{shown:?}");
        assert_eq!(self.server.commits(id).len(), 2, "one save is one commit");
        self.bodies_stayed(patch);
    }

    /// After that change no body came back.
    #[track_caller]
    pub(crate) fn bodies_stayed(&self, change: &LoggedRequest) {
        let requests = self.server.requests();
        let after = requests.iter().filter(|r| r.started > change.started);
        let body = |r: &&LoggedRequest| {
            r.origin == Origin::Raw || (r.path.starts_with("/gists/") && r.status == 200)
        };
        let fetched: Vec<String> =
            after.filter(|r| r.method == "GET").filter(body).map(shown).collect();
        assert!(fetched.is_empty(), "{fetched:#?}");
    }

    /// The server has the file as it is on disk.
    #[track_caller]
    pub(crate) fn same_on_both_sides(&self, id: &str, directory: &str) {
        let real = |name: &String| !scratch::matches(name);
        let here: BTreeMap<String, String> = self
            .list(directory)
            .into_iter()
            .filter(real)
            .map(|name| (name.clone(), self.read(&format!("{directory}/{name}"))))
            .collect();
        assert_eq!(self.texts(id), here);
    }

    /// A gist's files on the server.
    pub(crate) fn texts(&self, id: &str) -> BTreeMap<String, String> {
        let files = self.server.files(id).expect("the gist");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        files.into_iter().map(|(name, bytes)| (name, text(bytes))).collect()
    }
}

/// A request in one line.
pub(crate) fn shown(r: &LoggedRequest) -> String {
    let body: String = String::from_utf8_lossy(&r.body).chars().take(300).collect();
    format!("{} {:?} {}?{} {} {body}", r.method, r.origin, r.path, r.query, r.status)
}

fn describes(r: &LoggedRequest) -> String {
    r.json()["description"].as_str().unwrap_or_default().to_owned()
}

/// The names a request gives to files that it sends.
pub(crate) fn names_sent(r: &LoggedRequest) -> Vec<String> {
    let body = r.json();
    let files = body["files"].as_object();
    let name = |(name, file): (&String, &Value)| {
        let renamed = file["filename"].as_str().unwrap_or(name).to_owned();
        (!file.is_null()).then_some(renamed)
    };
    files.into_iter().flatten().filter_map(name).collect()
}
