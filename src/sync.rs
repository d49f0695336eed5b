//! When and what to send.
pub mod merge;
pub mod plan;
