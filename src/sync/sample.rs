//! Snapshots for tests.

use std::sync::Arc;

use crate::model::{BlobId, FileName, GistId, RemoteFile, Snapshot, Time};

/// The instant at which tests happen.
pub(super) const NOW: Time = Time(1_700_000_000_000_000_000);

pub(super) fn name(text: &str) -> FileName {
    FileName::parse(text).unwrap()
}

/// A gist on GitHub with these files, described as "d".
pub(super) fn snapshot(files: &[(&str, &str)]) -> Arc<Snapshot> {
    let file = |body: &str| RemoteFile {
        blob: BlobId::of(body.as_bytes()),
        size: body.len() as u64,
        raw_url: String::new(),
        language: None,
    };
    Arc::new(Snapshot {
        id: GistId::parse("1234").unwrap(),
        description: "d".into(),
        public: false,
        owner: None,
        created_at: NOW,
        updated_at: NOW,
        html_url: String::new(),
        git_url: String::new(),
        truncated: false,
        revision: None,
        etag: None,
        files: files.iter().map(|(n, body)| (name(n), file(body))).collect(),
    })
}
