//! Memory for a body while it comes, given back whole when nobody has the body any more.

use std::io::{self, Read};
use std::ops::Deref;

use bytes::Bytes;
use memmap2::MmapMut;

/// From here on a body has pages of its own. What the C library is given back it keeps,
/// for every thread that ever had a body, and all of that came to more than `--memory` allows.
const OWN_PAGES: usize = 128 << 10;

/// A buffer for a body of which one knows about how long it will be.
#[derive(Debug)]
pub struct BodyBuf(Kind);

#[derive(Debug)]
enum Kind {
    Heap(Vec<u8>),
    Pages(Pages),
}

#[derive(Debug)]
struct Pages {
    map: MmapMut,
    filled: usize,
}

impl BodyBuf {
    /// For `length` bytes, which need not be true: more find room too.
    pub fn of(length: u64) -> Self {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length < OWN_PAGES {
            return Self(Kind::Heap(Vec::with_capacity(length)));
        }
        // Where there are none the heap may still have what is really needed.
        MmapMut::map_anon(length)
            .map_or(Self(Kind::Heap(Vec::new())), |map| Self(Kind::Pages(Pages { map, filled: 0 })))
    }

    /// Adds a piece.
    pub fn push(&mut self, piece: &[u8]) {
        match &mut self.0 {
            Kind::Heap(bytes) => bytes.extend_from_slice(piece),
            Kind::Pages(pages) => match pages.free().get_mut(..piece.len()) {
                Some(free) => {
                    free.copy_from_slice(piece);
                    pages.filled += piece.len();
                }
                None => {
                    let bytes = [&**pages, piece].concat();
                    self.0 = Kind::Heap(bytes);
                }
            },
        }
    }

    /// Adds all that `from` has.
    pub fn fill(&mut self, from: &mut impl Read) -> io::Result<()> {
        let mut rest = Vec::new();
        match &mut self.0 {
            Kind::Heap(bytes) => return from.read_to_end(bytes).map(drop),
            Kind::Pages(pages) => loop {
                let free = pages.free();
                if free.is_empty() {
                    from.read_to_end(&mut rest)?;
                    break;
                }
                match from.read(free) {
                    Ok(0) => break,
                    Ok(length) => pages.filled += length,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            },
        }
        if !rest.is_empty() {
            self.push(&rest);
        }
        Ok(())
    }
}

impl Deref for BodyBuf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Kind::Heap(bytes) => bytes,
            Kind::Pages(pages) => pages,
        }
    }
}

impl From<BodyBuf> for Bytes {
    fn from(buffer: BodyBuf) -> Self {
        match buffer.0 {
            Kind::Heap(bytes) => bytes.into(),
            Kind::Pages(pages) => Self::from_owner(pages),
        }
    }
}

impl Pages {
    fn free(&mut self) -> &mut [u8] {
        self.map.get_mut(self.filled..).unwrap_or_default()
    }
}

impl Deref for Pages {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.map.get(..self.filled).unwrap_or_default()
    }
}

impl AsRef<[u8]> for Pages {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_buffer_holds_what_was_put_in_however_long_it_was_said_to_be(
            said in prop_oneof![0_usize..100, OWN_PAGES - 50..OWN_PAGES + 150],
            pieces in prop::collection::vec(
                prop::collection::vec(any::<u8>(), 0..60).prop_map(|some| some.repeat(1500)),
                0..5,
            ),
            read in any::<bool>(),
        ) {
            let all = pieces.concat();
            let mut buffer = BodyBuf::of(said as u64);
            if read {
                buffer.fill(&mut all.as_slice()).unwrap();
            } else {
                pieces.iter().for_each(|piece| buffer.push(piece));
            }
            prop_assert!(*buffer == *all);
            prop_assert!(Bytes::from(buffer) == all);
        }
    }

    #[test]
    fn what_is_read_after_pages_were_filled_to_the_last_byte_is_not_lost() {
        for more in [0, 1, 4096] {
            let all = vec![7; OWN_PAGES + more];
            let mut buffer = BodyBuf::of(OWN_PAGES as u64);
            buffer.fill(&mut all.as_slice()).unwrap();
            assert_eq!(buffer.len(), all.len());
        }
    }

    #[test]
    fn no_length_is_too_long_to_begin_with() {
        let mut buffer = BodyBuf::of(u64::MAX);
        buffer.push(b"x");
        assert_eq!(Bytes::from(buffer), "x");
    }
}
