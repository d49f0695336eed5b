//! Parts of bodies, by position.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use bytes::Bytes;

use crate::error::Error;

/// Up to `size` bytes of `body` at `offset`; fewer only at its end.
pub fn cut(body: &Bytes, offset: u64, size: u32) -> Bytes {
    let length = body.len() as u64;
    let start = offset.min(length);
    let end = start.saturating_add(u64::from(size)).min(length);
    body.slice(start as usize..end as usize)
}

/// Up to `size` bytes of `file` at `offset`; fewer only at its end.
pub fn read(file: &File, offset: u64, size: u32) -> Result<Bytes, Error> {
    let mut buffer = vec![0; size as usize];
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::local("cannot read", &error)),
        }
    }
    buffer.truncate(filled);
    Ok(buffer.into())
}
