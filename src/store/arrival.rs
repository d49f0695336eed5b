//! A body that comes in pieces: into a file of `work/`, and from there among the bodies once it is
//! proved. Never in memory as a whole.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, OnceLock};

use tempfile::NamedTempFile;

use super::Blobs;
use crate::error::Error;
use crate::model::{BlobHasher, BlobId};

/// A body of which some bytes are here. Dropped unfinished, it leaves nothing behind.
pub struct Arrival {
    blob: BlobId,
    size: u64,
    file: NamedTempFile,
    hasher: BlobHasher,
    arrived: u64,
    fate: Decided,
}

/// What becomes of an [`Arrival`]: for whoever was given parts of it before it was proved.
#[derive(Clone, Debug, Default)]
pub struct Fate(Arc<OnceLock<Result<(), Error>>>);

/// Decides a [`Fate`] at the latest when it is dropped.
struct Decided(Fate);

impl Fate {
    /// Why the parts are not those of the body, or will never be known to be; `None` as long as they
    /// may be, and when they are.
    pub fn broken(&self) -> Option<Error> {
        self.0.get().and_then(|fate| fate.as_ref().err()).cloned()
    }

    /// Whether the parts are known to be those of the body.
    pub fn is_proved(&self) -> bool {
        self.0.get().is_some_and(Result::is_ok)
    }

    /// Whether both are the fate of one arrival.
    pub fn is_that_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Decided {
    fn decide(&self, fate: Result<(), Error>) {
        // Nothing decides twice but the drop, which comes too late then.
        self.0.0.get_or_init(|| fate);
    }
}

impl Drop for Decided {
    fn drop(&mut self) {
        self.decide(Err(Error::Nonsense("the rest of the body never came".into())));
    }
}

impl Blobs {
    /// Begins to take in the body `blob` of `size` bytes.
    pub fn arrival(&self, blob: BlobId, size: u64) -> Result<Arrival, Error> {
        let (file, hasher) = (self.working_copy()?, BlobHasher::new(size));
        Ok(Arrival { blob, size, file, hasher, arrived: 0, fate: Decided(Fate::default()) })
    }

    /// Proves length and id and puts the body where others find it; the file comes along, open.
    ///
    /// [`Error::Nonsense`] if it is another one than was told.
    pub fn complete(&self, arrival: Arrival) -> Result<File, Error> {
        let Arrival { blob, size, file, hasher, arrived, fate } = arrival;
        let problem = if arrived != size {
            Some(format!("{arrived} of {size} bytes of blob {blob}"))
        } else if hasher.finish() != blob {
            Some(format!("{size} bytes that are not blob {blob}"))
        } else {
            None
        };
        if let Some(problem) = problem {
            let error = Error::Nonsense(problem);
            fate.decide(Err(error.clone()));
            return Err(error);
        }
        fate.decide(Ok(()));
        self.take_over(blob, size, file)
    }
}

impl Arrival {
    /// Which body comes.
    pub fn blob(&self) -> BlobId {
        self.blob
    }

    /// Whether somebody may have been given parts of it and has not let go of them.
    pub fn is_held(&self) -> bool {
        Arc::strong_count(&self.fate.0.0) > 1
    }

    /// Whether nothing is missing but the proof.
    pub fn is_here(&self) -> bool {
        self.arrived == self.size
    }

    /// Ends it: its parts will never be proved, and this is why.
    pub fn give_up(self, why: Error) {
        self.fate.decide(Err(why));
    }

    /// How long it is to become.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// How many bytes are here.
    pub fn arrived(&self) -> u64 {
        self.arrived
    }

    /// What will become of it.
    pub fn fate(&self) -> Fate {
        self.fate.0.clone()
    }

    /// The growing file, to be read by position. It has the body whatever becomes of this.
    pub fn reader(&self) -> Result<File, Error> {
        self.file.as_file().try_clone().map_err(|error| Error::local("cannot store a body", &error))
    }

    /// Takes in the next piece; no byte more than the body has.
    pub fn push(&mut self, piece: &[u8]) -> io::Result<()> {
        let arrived = self.arrived + piece.len() as u64;
        if arrived > self.size {
            let text = format!("blob {} has more than {} bytes", self.blob, self.size);
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        // By position: a write that failed half way must not shift what comes after it.
        self.file.as_file().write_all_at(piece, self.arrived)?;
        self.hasher.update(piece);
        self.arrived = arrived;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::part;

    fn work(directory: &std::path::Path) -> usize {
        std::fs::read_dir(directory.join("work")).unwrap().count()
    }

    #[test]
    fn a_body_that_arrives_is_read_while_it_grows_and_stored_when_it_is_proved() {
        let directory = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(directory.path()).unwrap();
        let blob = BlobId::of(b"one two");
        let mut arrival = blobs.arrival(blob, 7).unwrap();
        let reader = arrival.reader().unwrap();
        arrival.push(b"one ").unwrap();
        assert_eq!(part::read(&reader, 1, 9).unwrap(), "ne ");
        assert!(!blobs.contains(blob));
        arrival.push(b"two").unwrap();
        assert_eq!(arrival.arrived(), 7);
        let fate = arrival.fate();
        let file = blobs.complete(arrival).unwrap();
        assert!(fate.broken().is_none() && fate.is_proved());
        assert_eq!(part::read(&file, 4, 9).unwrap(), "two");
        assert_eq!(blobs.read(blob).unwrap().unwrap(), "one two");
        assert_eq!(work(directory.path()), 0);
    }

    #[test]
    fn what_is_too_short_too_long_or_another_is_not_stored_and_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(directory.path()).unwrap();
        let blob = BlobId::of(b"abc");
        let mut short = blobs.arrival(blob, 3).unwrap();
        short.push(b"ab").unwrap();
        assert!(matches!(blobs.complete(short), Err(Error::Nonsense(_))));
        let mut other = blobs.arrival(blob, 3).unwrap();
        other.push(b"abd").unwrap();
        let fate = other.fate();
        assert!(fate.broken().is_none());
        assert!(matches!(blobs.complete(other), Err(Error::Nonsense(_))));
        assert!(fate.broken().is_some_and(|error| error.to_string().contains("are not blob")));
        let mut long = blobs.arrival(blob, 3).unwrap();
        long.push(b"ab").unwrap();
        assert!(long.push(b"cd").is_err());
        // A piece that is refused has not been taken in.
        long.push(b"c").unwrap();
        assert_eq!(work(directory.path()), 1);
        let fate = long.fate();
        assert!(fate.broken().is_none());
        assert!(long.is_here() && long.is_held());
        long.give_up(Error::TooLarge);
        assert!(matches!(fate.broken(), Some(Error::TooLarge)));
        let dropped = blobs.arrival(blob, 3).unwrap();
        assert!(!dropped.is_held());
        let fate = dropped.fate();
        drop(dropped);
        assert!(fate.broken().is_some() && !fate.is_proved());
        assert_eq!(work(directory.path()), 0);
        assert!(!blobs.contains(blob));
    }
}
