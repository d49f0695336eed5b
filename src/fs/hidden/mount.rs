//! `.gistfs`: the mount as it tells of itself, in the words of `gistfs status`.

use std::time::Duration;

use bytes::Bytes;

use super::stream::Stream;
use super::{Content, Entry, Face, Room};
use crate::error::Error;
use crate::fs::{GistFs, Wait};
use crate::model::Time;
use crate::sync::events::{Reader, Wake};
use crate::sync::show::Clock;
use crate::tree::hidden::{Hidden, MountPlace};

/// How long a reader waits for what happens before it can be ended by a signal.
const PATIENCE: Duration = Duration::from_secs(1);

impl Room for MountPlace {
    fn face(&self, fs: &GistFs, _wait: Wait) -> Result<Face, Error> {
        let now = fs.now();
        match self {
            Self::Root => Ok(Face::directory(now)),
            // Of what is made when it is read, or has no end, no size is known.
            Self::Status | Self::RateLimit | Self::Pending | Self::Events => Ok(Face::file(0, now)),
            Self::Version => Ok(Face::file(self.text(fs).len() as u64, now)),
        }
    }

    fn child(&self, _fs: &GistFs, name: &str, _wait: Wait) -> Result<Hidden, Error> {
        if *self != Self::Root {
            return Err(Error::NotDirectory);
        }
        let found = Self::FILES.into_iter().find(|place| place.name() == name);
        found.map(Hidden::Mount).ok_or(Error::NotFound)
    }

    fn list(&self, fs: &GistFs, from: usize, _wait: Wait) -> Result<Vec<Entry>, Error> {
        if *self != Self::Root {
            return Err(Error::NotDirectory);
        }
        let entry = |place: Self| (place.name().into(), Hidden::Mount(place));
        // Whoever walks the whole mount must not end up waiting for what happens next.
        let listed = |place: &Self| *place != Self::Events || !fs.options.show_hidden;
        Ok(Self::FILES.into_iter().filter(listed).skip(from).map(entry).collect())
    }

    fn content(&self, fs: &GistFs, _wait: Wait) -> Result<Content, Error> {
        match self {
            Self::Root => Err(Error::IsDirectory),
            Self::Status | Self::RateLimit | Self::Pending | Self::Version => {
                Ok(Content::Bytes(self.text(fs).into()))
            }
            // It is followed from its opening on.
            Self::Events => Err(Error::BadHandle),
        }
    }

    fn follow(&self, fs: &GistFs) -> Option<Box<dyn Stream>> {
        match self {
            Self::Root | Self::Status | Self::RateLimit | Self::Pending | Self::Version => None,
            Self::Events => Some(Box::new(Happenings { reader: fs.syncer.follow_events() })),
        }
    }
}

impl MountPlace {
    /// What is in `.gistfs`, in the order of a listing.
    const FILES: [Self; 5] =
        [Self::Status, Self::RateLimit, Self::Pending, Self::Version, Self::Events];

    fn name(self) -> &'static str {
        match self {
            Self::Root => ".gistfs",
            Self::Status => "status",
            Self::RateLimit => "rate_limit",
            Self::Pending => "pending",
            Self::Version => "version",
            Self::Events => "events",
        }
    }

    fn text(self, fs: &GistFs) -> String {
        let clock = Clock::now();
        let lines = match self {
            Self::Root | Self::Events => vec![],
            Self::Status => fs.status().lines(&clock),
            Self::RateLimit => fs.status().limits(&clock),
            Self::Pending => fs.status().pending(&clock),
            Self::Version => vec![format!("gistfs {}", env!("CARGO_PKG_VERSION"))],
        };
        lines.into_iter().map(|line| line + "\n").collect()
    }
}

/// What happens in the mount from an `open` on.
struct Happenings {
    reader: Reader,
}

impl Stream for Happenings {
    fn read(&self, size: u32, wait: Wait) -> Result<Bytes, Error> {
        let patience = match wait {
            Wait::No => Duration::ZERO,
            Wait::Yes => PATIENCE,
        };
        match (self.reader.read(size as usize, patience, Time::now()), wait) {
            (Some(read), _) => Ok(read),
            (None, Wait::No) => Err(Error::WouldWait),
            (None, Wait::Yes) => Err(Error::Interrupted),
        }
    }

    fn is_ready(&self, wake: Option<Wake>) -> bool {
        self.reader.is_ready(wake)
    }
}
