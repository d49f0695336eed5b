//! An answer before it is sent, and the errors GitHub has words for.

use std::io;

use bytes::Bytes;
use serde_json::{Value, json};

/// An answer; headers that every answer has are added when it is sent.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Bytes,
}

impl Reply {
    /// An answer without a body.
    pub(super) fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Bytes::new() }
    }

    /// An answer in JSON.
    pub(super) fn json(status: u16, value: &Value) -> Self {
        Self::bytes(status, "application/json; charset=utf-8", value.to_string().into())
    }

    /// An answer of any type.
    pub(super) fn bytes(status: u16, kind: &str, body: Bytes) -> Self {
        Self { status, headers: vec![("content-type".to_owned(), kind.to_owned())], body }
    }

    /// Adds a header.
    pub(super) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// The value of a header set so far.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// An error as GitHub words it; the status is repeated as a string, as GitHub does.
    pub(super) fn error(status: u16, message: &str) -> Self {
        Self::json(
            status,
            &json!({
                "message": message,
                "documentation_url": "https://docs.github.com/rest/gists/gists",
                "status": status.to_string(),
            }),
        )
    }

    /// 404: gone, never there, or not for this token.
    pub(super) fn not_found() -> Self {
        Self::error(404, "Not Found")
    }

    /// 409, for whatever GitHub could not write just now.
    pub(super) fn conflict() -> Self {
        Self::error(409, "Gist cannot be updated.")
    }

    /// 502 from the gateway in front, after which the effect is unknown.
    pub(super) fn server_error() -> Self {
        Self::error(502, "Server Error")
    }

    /// GitHub's one answer to blank content, bad names and deletions without effect. Misleading,
    /// since `files` was there; but that is what it says.
    pub(super) fn missing_files() -> Self {
        Self::validation(&json!({"resource": "Gist", "code": "missing_field", "field": "files"}))
    }

    /// 422 with one entry in `errors`.
    pub(super) fn validation(error: &Value) -> Self {
        Self::json(
            422,
            &json!({
                "message": "Validation Failed",
                "errors": [error],
                "documentation_url": "https://docs.github.com/rest/gists/gists#create-a-gist",
                "status": "422",
            }),
        )
    }

    /// 422 of the schema check that runs before any other, without `errors`.
    pub(super) fn invalid(property: Option<&str>, value: &Value, wanted: &str) -> Self {
        // The server is written in Ruby and says so here.
        let shown = if value.is_null() { "nil".to_owned() } else { value.to_string() };
        let message = match property {
            Some(property) => {
                format!("Invalid request.\n\nFor 'properties/{property}', {shown} is not {wanted}.")
            }
            None => format!("Invalid request.\n\n{shown} is not {wanted}."),
        };
        Self::error(422, &message)
    }

    /// The page a browser gets where a session is missing.
    pub(super) fn login_page() -> Self {
        let page = "<!DOCTYPE html>\n<html>\n<head><title>Sign in</title></head>\n<body>\n\
                    <form action=\"/session\" method=\"post\"><input name=\"login\">\
                    <input name=\"password\" type=\"password\"></form>\n</body>\n</html>\n";
        Self::bytes(200, "text/html; charset=utf-8", page.into())
    }
}

impl From<io::Error> for Reply {
    fn from(error: io::Error) -> Self {
        log::error!("the data directory: {error}");
        Self::error(500, "Server Error")
    }
}
