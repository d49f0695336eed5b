//! Why a row misses its bar: written by hand, shown where it does.

use crate::figure::Row;

/// What is compared: the beginning of the row's name and of the alternative's; and the reason.
const REASONS: [(&str, &str, &str); 3] = [
    (
        "cold grep -r",
        "gh gist view",
        "16 bodies under way at 80 ms each are 200 a second, 15 s for 3,000 files, while gh brings \
         all files of a gist in one request. That request costs quota, 5,000 an hour; bodies cost \
         none. What more of them at a time reach is in the rows with `--parallel 32`",
    ),
    (
        "du",
        "ext4",
        "Without the kernel's caches every directory is a question to gistfs, for which an idle core \
         has to wake up. How long that takes a virtual machine differs from run to run by more than \
         the work does: 82 to 181 ms with the same program",
    ),
    (
        "first ls -lR",
        "10 ×",
        "It is once more the waking of idle cores, not more work for each gist: 10,000 take less than \
         ten times as long as 1,000",
    ),
];

/// The reason, if there is one.
pub(crate) fn why(row: &Row) -> Option<&'static str> {
    let other = row.other.as_ref().map_or("", |(name, _)| name);
    let of = |(what, against, _): &&(&str, &str, &str)| {
        row.what.starts_with(what) && other.starts_with(against)
    };
    REASONS.iter().find(of).map(|(_, _, why)| *why)
}
