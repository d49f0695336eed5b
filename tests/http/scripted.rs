//! A server that says word for word what it was told to, for what no real one does.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// Answers one connection after the other from its script, then nobody.
pub(crate) struct Scripted {
    pub(crate) url: String,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Scripted {
    /// Starts it; `script` makes the answers and is told the server's own address.
    pub(crate) fn start(script: impl FnOnce(&str) -> Vec<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (answers, ears) = (script(&url), Arc::clone(&heard));
        thread::spawn(move || {
            for (answer, connection) in answers.into_iter().zip(listener.incoming()) {
                let mut connection = connection.unwrap();
                let request = request(&mut connection);
                ears.lock().unwrap().push(request);
                // The client may have heard enough before the end.
                connection.write_all(&answer).ok();
                connection.shutdown(Shutdown::Both).ok();
            }
        });
        Self { url, heard }
    }

    /// What arrived so far, head and body, the head in lower case.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

/// Reads one request, its head in lower case.
pub(crate) fn request(connection: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let length = connection.read(&mut piece).unwrap();
        bytes.extend_from_slice(&piece[..length]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_lowercase();
            let promised = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= promised.map_or(0, |length| length.parse().unwrap()) {
                return format!("{head}\n\n{body}");
            }
        }
        assert_ne!(length, 0, "the request ended early: {text:?}");
    }
}

/// An answer with a true length.
pub(crate) fn answer(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let length = body.len();
    let mut answer = format!(
        "HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n"
    )
    .into_bytes();
    answer.extend_from_slice(body);
    answer
}
