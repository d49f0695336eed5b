//! Skeleton.

use super::{Face, Room};
use crate::error::Error;
use crate::fs::{GistFs, Wait};
use crate::tree::hidden::ViewPlace;

impl Room for ViewPlace {
    fn face(&self, _fs: &GistFs, _wait: Wait) -> Result<Face, Error> {
        Err(Error::NotFound)
    }
}
