//! Snapshots for tests.

use std::sync::Arc;

use crate::model::{FileName, Snapshot, Time};

/// The instant at which tests happen.
pub(super) const NOW: Time = Time(1_700_000_000_000_000_000);

pub(super) fn name(text: &str) -> FileName {
    FileName::parse(text).unwrap()
}

/// A gist on GitHub with these files, described as "d".
pub(super) fn snapshot(files: &[(&str, &str)]) -> Arc<Snapshot> {
    let sample = Snapshot::sample("1234", files, NOW);
    Arc::new(Snapshot { description: "d".into(), public: false, ..sample })
}
