//! A body that comes in pieces: into a file of `work/`, and from there among the bodies once it is
//! proved. Never in memory as a whole.

use std::fs::File;
use std::io::{self, Write as _};

use tempfile::NamedTempFile;

use super::Blobs;
use crate::error::Error;
use crate::model::{BlobHasher, BlobId};

/// A body of which some bytes are here. Dropped unfinished, it leaves nothing behind.
pub struct Arrival<'a> {
    blobs: &'a Blobs,
    blob: BlobId,
    size: u64,
    file: NamedTempFile,
    hasher: BlobHasher,
    arrived: u64,
}

impl Blobs {
    /// Begins to take in the body `blob` of `size` bytes.
    pub fn arrival(&self, blob: BlobId, size: u64) -> Result<Arrival<'_>, Error> {
        let (file, hasher) = (self.working_copy()?, BlobHasher::new(size));
        Ok(Arrival { blobs: self, blob, size, file, hasher, arrived: 0 })
    }
}

impl Arrival<'_> {
    /// How many bytes are here.
    pub fn arrived(&self) -> u64 {
        self.arrived
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
        self.file.as_file_mut().write_all(piece)?;
        self.hasher.update(piece);
        self.arrived = arrived;
        Ok(())
    }

    /// Proves length and id and puts the body where others find it; the file comes along, open.
    ///
    /// [`Error::Nonsense`] if it is another one than was told.
    pub fn finish(self) -> Result<File, Error> {
        let Self { blobs, blob, size, file, hasher, arrived } = self;
        if arrived != size {
            return Err(Error::Nonsense(format!("{arrived} of {size} bytes of blob {blob}")));
        }
        if hasher.finish() != blob {
            return Err(Error::Nonsense(format!("{size} bytes that are not blob {blob}")));
        }
        blobs.take_over(blob, size, file)
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
        let file = arrival.finish().unwrap();
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
        assert!(matches!(short.finish(), Err(Error::Nonsense(_))));
        let mut other = blobs.arrival(blob, 3).unwrap();
        other.push(b"abd").unwrap();
        assert!(matches!(other.finish(), Err(Error::Nonsense(_))));
        let mut long = blobs.arrival(blob, 3).unwrap();
        long.push(b"ab").unwrap();
        assert!(long.push(b"cd").is_err());
        // A piece that is refused has not been taken in.
        long.push(b"c").unwrap();
        assert_eq!(work(directory.path()), 1);
        drop(long);
        assert_eq!(work(directory.path()), 0);
        assert!(!blobs.contains(blob));
    }
}
