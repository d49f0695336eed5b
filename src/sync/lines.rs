//! Three texts into one, line by line: what two sides added to a common version.
//!
//! Pure. The library finds which lines belong together; what it says is believed only if no line
//! that either side added is missing and none came from nowhere.

use std::collections::{HashMap, HashSet};

/// The largest body whose lines are compared, in bytes.
pub const MOST_BYTES: usize = 1 << 20;

/// The most lines of a body that are compared.
const MOST_LINES: usize = 50_000;

/// The most steps a comparison may take: about a second on a slow machine.
const MOST_WORK: usize = 400_000_000;

/// What both sides made of `base`, or `None` where a person has to decide: both changed the same
/// lines, a side is no text, the texts are too large, or there is no common version to speak of.
pub fn merge_lines(base: &[u8], ours: &[u8], theirs: &[u8]) -> Option<String> {
    if base.is_empty() {
        return None;
    }
    let (base, ours, theirs) = (text(base)?, text(ours)?, text(theirs)?);
    if work(base, ours).max(work(base, theirs)) > MOST_WORK {
        return None;
    }
    let merged = diffy::merge(base, ours, theirs).ok()?;
    is_sound(base, ours, theirs, &merged).then_some(merged)
}

fn text(body: &[u8]) -> Option<&str> {
    let text = (body.len() <= MOST_BYTES).then(|| std::str::from_utf8(body).ok()).flatten()?;
    (!text.contains('\0') && text.lines().count() <= MOST_LINES).then_some(text)
}

/// How long comparing the two takes at most, in steps: lines times differences.
fn work(a: &str, b: &str) -> usize {
    let places: HashMap<&str, usize> = lines(a).enumerate().map(|(at, line)| (line, at)).collect();
    // A longest common subsequence is at least as long as this one, whose lines are told apart by
    // their last place only.
    let mut ends: Vec<usize> = Vec::new();
    for place in lines(b).filter_map(|line| places.get(line).copied()) {
        let at = ends.partition_point(|end| *end < place);
        match ends.get_mut(at) {
            Some(end) => *end = place,
            None => ends.push(place),
        }
    }
    let all = lines(a).count() + lines(b).count();
    all * (all - 2 * ends.len())
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive('\n')
}

/// Whether every line is from one of the sides, and every line a side added is there.
fn is_sound(base: &str, ours: &str, theirs: &str, merged: &str) -> bool {
    // A last line has no newline until another one follows it.
    let set =
        |text| -> HashSet<&str> { lines(text).map(|line| line.trim_end_matches('\n')).collect() };
    let (base, ours, theirs, merged) = (set(base), set(ours), set(theirs), set(merged));
    merged.iter().all(|line| ours.contains(line) || theirs.contains(line))
        && ours.union(&theirs).all(|line| base.contains(line) || merged.contains(line))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn merge(base: &str, ours: &str, theirs: &str) -> Option<String> {
        merge_lines(base.as_bytes(), ours.as_bytes(), theirs.as_bytes())
    }

    const BASE: &str = "one\ntwo\nthree\nfour\nfive\n";

    #[test]
    fn edits_in_different_places_are_put_together() {
        let ours = BASE.replace("one", "ONE");
        let theirs = BASE.replace("five\n", "five\nsix");
        let merged = "ONE\ntwo\nthree\nfour\nfive\nsix";
        assert_eq!(merge(BASE, &ours, &theirs).as_deref(), Some(merged));
        assert_eq!(merge(BASE, &theirs, &ours).as_deref(), Some(merged));
    }

    #[test]
    fn edits_of_the_same_lines_are_for_a_person_to_decide() {
        assert_eq!(merge(BASE, &BASE.replace("two", "2"), &BASE.replace("two", "zwei")), None);
        assert_eq!(merge(BASE, &format!("{BASE}ours\n"), &format!("{BASE}theirs\n")), None);
        assert_eq!(merge(BASE, &BASE.replace("two\n", ""), &BASE.replace("two", "zwei")), None);
    }

    #[test]
    fn a_last_line_without_a_newline_runs_into_no_other() {
        for (base, ours, theirs) in [
            ("a\nb", "a\nb\nc", "x\na\nb"),
            ("a", "a\nb", "a\nc"),
            ("a\nb\nc", "a\nb\nc\n", "A\nb\nc"),
        ] {
            if let Some(merged) = merge(base, ours, theirs) {
                assert!(merged.lines().all(|line| line.len() == 1), "{merged:?}");
            }
        }
    }

    #[test]
    fn without_a_common_version_or_text_nothing_is_merged() {
        assert_eq!(merge("", "a\n", "b\n"), None);
        assert_eq!(merge_lines(b"a\n\xff\n", b"b\na\n\xff\n", b"a\n\xff\nc\n"), None);
        assert_eq!(merge("a\nb\0\n", "x\na\nb\0\n", "a\nb\0\ny\n"), None);
        let long = "line\n".repeat(MOST_LINES + 1);
        assert_eq!(merge(&long, &format!("a\n{long}"), &format!("{long}z\n")), None);
    }

    #[test]
    fn a_few_edits_of_many_lines_are_cheap_and_many_of_many_are_not_tried() {
        let many: String = (0..40_000).map(|n| format!("{n}\n")).collect();
        let ours = many.replace("\n10\n", "\nten\n").replace("\n39990\n", "\n");
        let theirs = many.replace("\n20\n", "\ntwenty\n");
        assert!(merge(&many, &ours, &theirs).is_some_and(|merged| merged.contains("ten\n11\n")));
        let back: String = (0..40_000).rev().map(|n| format!("{n}\n")).collect();
        assert!(work(&many, &back) > MOST_WORK);
        assert_eq!(merge(&many, &back, &theirs), None);
    }

    /// What one side makes of the common version: each of its lines stays, goes, is changed or gets
    /// a new one behind it, all new ones marked as this side's.
    fn edited(base: &[String], edits: &[u8], side: char) -> String {
        let mut text = String::new();
        for (at, line) in base.iter().enumerate() {
            match edits.get(at).copied().unwrap_or(0) {
                0 => {}
                1 => text += &format!("{side} changed {at}\n"),
                2 => text += &format!("{line}\n{side} added {at}\n"),
                _ => text += &format!("{line}\n"),
            }
        }
        text
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn a_merge_has_every_line_that_either_side_added(
            base in proptest::collection::vec("[a-e]", 1..12),
            ours in proptest::collection::vec(0..9_u8, 12),
            theirs in proptest::collection::vec(0..9_u8, 12),
            end in any::<bool>(),
        ) {
            let mut common = base.join("\n");
            if end {
                common.push('\n');
            }
            let (ours, theirs) = (edited(&base, &ours, '<'), edited(&base, &theirs, '>'));
            let merged = merge(&common, &ours, &theirs);
            prop_assert_eq!(&merged, &merge(&common, &ours, &theirs), "the same each time");
            prop_assert_eq!(&merged, &merge(&common, &theirs, &ours), "the same on both machines");
            if let Some(merged) = merged {
                let added = |text: &str| -> HashSet<String> {
                    text.lines().filter(|l| l.starts_with(['<', '>'])).map(str::to_owned).collect()
                };
                let both: HashSet<_> = added(&ours).union(&added(&theirs)).cloned().collect();
                prop_assert_eq!(added(&merged), both);
            }
            // A side that did not change contributes nothing, and the same change is one change.
            prop_assert_eq!(merge(&common, &common, &theirs), Some(theirs.clone()));
            prop_assert_eq!(merge(&common, &ours, &common), Some(ours.clone()));
            prop_assert_eq!(merge(&common, &ours, &ours), Some(ours));
        }

        #[test]
        fn no_three_texts_are_too_strange_to_merge(
            base in "[ab\n\r]{0,20}", ours in "[abc\n\r]{0,20}", theirs in "[abd\n\r]{0,20}",
        ) {
            if let Some(merged) = merge(&base, &ours, &theirs) {
                prop_assert!(is_sound(&base, &ours, &theirs, &merged));
            }
        }
    }
}
