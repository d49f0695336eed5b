//! A server, a client, and the few words the tests are written in.

use std::time::{Duration, Instant};

use gistfs::demo::{Limits, Seed, Server, ServerOptions};
use reqwest::Method;
use reqwest::blocking::{Client, RequestBuilder};
use serde_json::{Value, json};

/// The owner's token.
pub(crate) const OCTO: &str = "demo-token";
/// Somebody else's token.
pub(crate) const HUBOT: &str = "hubot-token";

pub(crate) struct World {
    pub(crate) server: Server,
    http: Client,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a body in JSON")
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("text"))
    }

    pub(crate) fn message(&self) -> String {
        self.json()["message"].as_str().expect("a message").to_owned()
    }

    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        self
    }

    /// GitHub's misleading answer to nearly everything that is wrong with files.
    #[track_caller]
    pub(crate) fn expect_missing_files(self) {
        let error = json!([{"resource": "Gist", "code": "missing_field", "field": "files"}]);
        let answer = self.expect(422).json();
        assert_eq!((&answer["message"], &answer["errors"]), (&json!("Validation Failed"), &error));
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(ServerOptions { limits: Limits::unpaced(), ..ServerOptions::default() })
    }

    pub(crate) fn with(options: ServerOptions) -> Self {
        let http = Client::builder()
            .user_agent("gistfs-test")
            .timeout(Duration::from_secs(30))
            .no_proxy()
            .build()
            .expect("a client");
        Self { server: Server::start(options).expect("a server"), http }
    }

    /// A request by the owner.
    pub(crate) fn octo(&self, method: &str, path: &str) -> RequestBuilder {
        self.anonymous(method, path).bearer_auth(OCTO)
    }

    /// A request by somebody else.
    pub(crate) fn hubot(&self, method: &str, path: &str) -> RequestBuilder {
        self.anonymous(method, path).bearer_auth(HUBOT)
    }

    /// A request by nobody, to the API or to a whole address.
    pub(crate) fn anonymous(&self, method: &str, path: &str) -> RequestBuilder {
        let url = match path.starts_with("http") {
            true => path.to_owned(),
            false => format!("{}{path}", self.server.api_url()),
        };
        self.http.request(Method::from_bytes(method.as_bytes()).expect("a method"), url)
    }

    /// A secret gist of octo's.
    pub(crate) fn seed(&self, files: &[(&str, &str)]) -> String {
        self.server.seed("octo", Seed::new("a gist", files))
    }

    pub(crate) fn post(&self, body: &Value) -> Answer {
        self.octo("POST", "/gists").body(body.to_string()).answer()
    }

    pub(crate) fn patch(&self, id: &str, body: &Value) -> Answer {
        self.octo("PATCH", &format!("/gists/{id}")).body(body.to_string()).answer()
    }

    /// A `PATCH` of files alone.
    pub(crate) fn patch_files(&self, id: &str, files: &Value) -> Answer {
        self.patch(id, &json!({"files": files}))
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.octo("GET", path).answer()
    }

    /// A gist as the API tells it.
    pub(crate) fn gist(&self, id: &str) -> Value {
        self.get(&format!("/gists/{id}")).expect(200).json()
    }

    /// The names and texts of a gist, as the server has them.
    pub(crate) fn texts(&self, id: &str) -> Vec<(String, String)> {
        let files = self.server.files(id).expect("the gist");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        files.into_iter().map(|(name, bytes)| (name, text(bytes))).collect()
    }

    /// Waits until the log satisfies `condition`.
    #[track_caller]
    pub(crate) fn wait_until(&self, condition: impl Fn(&Server) -> bool) {
        let start = Instant::now();
        while !condition(&self.server) {
            assert!(start.elapsed() < Duration::from_secs(20), "it never happened");
            std::thread::yield_now();
        }
    }
}

/// Sending, with the answer read whole.
pub(crate) trait Send {
    fn answer(self) -> Answer;
}

impl Send for RequestBuilder {
    fn answer(self) -> Answer {
        let response = self.send().expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer { status, headers, body: response.bytes().expect("a whole body").to_vec() }
    }
}

/// The texts that [`World::texts`] is compared with.
pub(crate) fn texts(files: &[(&str, &str)]) -> Vec<(String, String)> {
    files.iter().map(|&(name, text)| (name.to_owned(), text.to_owned())).collect()
}
