//! What the user reads. `println!` panics when nobody listens any more, as in `gistfs serve | head -1`.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};
use std::sync::OnceLock;

use crate::exit::{Exit, Failure};

/// Prints a line, as `println!` does.
macro_rules! say {
    () => { $crate::command::out::line(format_args!("")) };
    ($($argument:tt)*) => { $crate::command::out::line(format_args!($($argument)*)) };
}

/// Prints a line for whoever reads errors, as `eprintln!` does.
macro_rules! complain {
    ($($argument:tt)*) => { $crate::command::out::complaint(format_args!($($argument)*)) };
}

pub(super) use {complain, say};

/// Why the first line that could not be printed was not.
static LOST: OnceLock<io::Error> = OnceLock::new();

pub(super) fn line(text: Arguments<'_>) {
    if let Err(error) = written(&mut io::stdout().lock(), text) {
        LOST.get_or_init(|| error);
    }
}

pub(super) fn complaint(text: Arguments<'_>) {
    // There is nobody left who could be told.
    drop(written(&mut io::stderr().lock(), text));
}

/// Fails if something that the user asked for could not be printed, as on a full disk.
pub(super) fn finish() -> Result<(), Failure> {
    match LOST.get() {
        None => Ok(()),
        Some(error) => Err(Failure::new(
            Exit::Failed,
            format!("cannot print: {error}"),
            "what was asked for is done; is there room where the output goes?",
        )),
    }
}

/// A reader who has gone has read enough.
fn written(to: &mut dyn Write, text: Arguments<'_>) -> io::Result<()> {
    match writeln!(to, "{text}") {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes nothing, and says why.
    struct Deaf(ErrorKind);

    impl Write for Deaf {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_who_has_gone_is_no_error_and_a_full_disk_is_one() {
        assert!(written(&mut Deaf(ErrorKind::BrokenPipe), format_args!("x")).is_ok());
        let full = written(&mut Deaf(ErrorKind::StorageFull), format_args!("x"));
        assert_eq!(full.unwrap_err().kind(), ErrorKind::StorageFull);
    }
}
