use std::collections::HashSet;

use super::*;
use crate::sync::aside::conflict_of;
use crate::sync::lines::merge_lines;
use crate::sync::sample::{NOW, name, snapshot};
use proptest::prelude::*;

/// The bodies a test knows, those that merging made included.
#[derive(Default)]
struct Bodies(HashMap<BlobId, String>);

impl Bodies {
    fn add(&mut self, body: &str) -> BlobId {
        let blob = BlobId::of(body.as_bytes());
        self.0.insert(blob, body.to_owned());
        blob
    }

    /// Merges as the syncer does: asked for lines, it puts them together and begins anew.
    fn merge(&mut self, gist: &Gist, base: &Snapshot, remote: &Arc<Snapshot>) -> Merged {
        let mut texts = Texts::new();
        loop {
            let unmerged = match merge(gist, &base.blobs(), Arc::clone(remote), &texts, NOW) {
                Ok(merged) => return merged,
                Err(unmerged) => unmerged,
            };
            assert_eq!(unmerged.busy, []);
            // Files that were changed alike are one question.
            let triples: HashSet<Triple> =
                unmerged.needs.iter().map(|(_, triple)| *triple).collect();
            for triple in triples {
                let body = |blob: BlobId| self.0[&blob].as_bytes();
                let merged = merge_lines(body(triple.base), body(triple.ours), body(triple.theirs));
                let lines = merged.map_or(Lines::Clash, |text| Lines::Merged {
                    blob: self.add(&text),
                    size: text.len() as u64,
                });
                assert_eq!(texts.insert(triple, lines), None, "asked for twice");
            }
        }
    }

    fn seen(&self, gist: &Gist) -> Vec<(String, String)> {
        let text = |file: &LocalFile| self.0[&file.blob().unwrap()].clone();
        gist.files.iter().map(|(name, file)| (name.to_string(), text(file))).collect()
    }
}

fn local(gist: &mut Gist, file: &str, body: Option<&str>) {
    match body {
        None => drop(gist.files.remove(file)),
        Some(body) => {
            let content =
                Content::Bytes { blob: BlobId::of(body.as_bytes()), size: body.len() as u64 };
            let from = gist.remote(&name(file)).map(|_| name(file));
            gist.files.insert(name(file), LocalFile::with(content, from, NOW));
        }
    }
}

fn rename(gist: &mut Gist, old: &str, new: &str) {
    let file = gist.files.remove(old).unwrap();
    gist.files.insert(name(new), file);
}

fn has(name: &str, body: &str) -> (String, String) {
    (name.into(), body.into())
}

/// What becomes of a gist that was `start` and is `theirs` on GitHub, after `edit` here.
fn after(
    start: &[(&str, &str)],
    edit: impl FnOnce(&mut Gist),
    bodies_here: &[&str],
    theirs: &[(&str, &str)],
) -> (Merged, Vec<(String, String)>) {
    let mut bodies = Bodies::default();
    for body in start.iter().chain(theirs).map(|(_, body)| *body).chain(bodies_here.iter().copied())
    {
        bodies.add(body);
    }
    let base = snapshot(start);
    let mut gist = Gist::of_remote(GistKey(1), Arc::clone(&base));
    edit(&mut gist);
    let merged = bodies.merge(&gist, &base, &snapshot(theirs));
    let seen = bodies.seen(&merged.gist);
    (merged, seen)
}

fn merged(
    start: &[(&str, &str)],
    ours: &[(&str, Option<&str>)],
    theirs: &[(&str, &str)],
) -> (Merged, Vec<(String, String)>) {
    let here: Vec<&str> = ours.iter().filter_map(|(_, body)| *body).collect();
    let edit = |gist: &mut Gist| ours.iter().for_each(|(file, body)| local(gist, file, *body));
    after(start, edit, &here, theirs)
}

const ASIDE: &str = "a.conflict-20231114-221320.md";

#[test]
fn what_only_they_changed_is_taken() {
    let (merged, seen) = merged(
        &[("a", "1"), ("b", "1"), ("c", "1")],
        &[("c", Some("2"))],
        &[("b", "2"), ("c", "1"), ("d", "9")],
    );
    assert_eq!(seen, [has("b", "2"), has("c", "2"), has("d", "9")]);
    assert_eq!(merged.moved, []);
}

#[test]
fn what_both_changed_in_one_place_is_kept_twice() {
    let (merged, seen) = merged(&[("a.md", "1")], &[("a.md", Some("ours"))], &[("a.md", "theirs")]);
    assert_eq!(seen, [has(ASIDE, "ours"), has("a.md", "theirs")]);
    assert_eq!(merged.moved, [(name("a.md"), name(ASIDE))]);
    assert_eq!(merged.aside, merged.moved);
}

#[test]
fn what_both_changed_in_different_places_is_one_file_with_both() {
    let base = "1\n2\n3\n4\n";
    let (merged, seen) =
        merged(&[("a", base)], &[("a", Some("one\n2\n3\n4\n"))], &[("a", "1\n2\n3\nfour\n")]);
    assert_eq!(seen, [has("a", "one\n2\n3\nfour\n")]);
    assert_eq!((merged.moved, merged.taken), (vec![], vec![name("a")]));
    assert!(merged.gist.differs(), "it is owed");
}

#[test]
fn the_same_change_on_both_sides_is_no_conflict() {
    let (merged, seen) = merged(&[("a", "1")], &[("a", Some("2"))], &[("a", "2")]);
    assert_eq!(seen, [has("a", "2")]);
    assert!(!merged.gist.differs());
}

#[test]
fn of_one_name_added_on_both_sides_both_are_kept_unless_equal() {
    let start = [("b", "b")];
    let (_, seen) = merged(&start, &[("a.md", Some("x\n"))], &[("a.md", "x\ny\n"), ("b", "b")]);
    assert_eq!(seen, [has(ASIDE, "x\n"), has("a.md", "x\ny\n"), has("b", "b")]);
    let (_, seen) = merged(&start, &[("a.md", Some("x\n"))], &[("a.md", "x\n"), ("b", "b")]);
    assert_eq!(seen, [has("a.md", "x\n"), has("b", "b")]);
    // Nothing is no common version.
    let (_, seen) = merged(&[("a.md", "")], &[("a.md", Some("x\n"))], &[("a.md", "y\n")]);
    assert_eq!(seen, [has(ASIDE, "x\n"), has("a.md", "y\n")]);
}

#[test]
fn an_edit_wins_over_a_deletion_on_either_side() {
    let (_, ours) = merged(&[("a", "1"), ("b", "1")], &[("a", Some("2"))], &[("b", "1")]);
    assert_eq!(ours, [has("a", "2"), has("b", "1")]);
    let (_, theirs) = merged(&[("a", "1"), ("b", "1")], &[("a", None)], &[("a", "2"), ("b", "1")]);
    assert_eq!(theirs, [has("a", "2"), has("b", "1")]);
}

#[test]
fn the_last_file_removed_here_and_edited_there_comes_back() {
    let (_, seen) = merged(&[("a", "1")], &[("a", None)], &[("a", "2")]);
    assert_eq!(seen, [has("a", "2")]);
}

#[test]
fn a_rename_here_and_an_edit_there_are_both_kept() {
    let (_, seen) = after(&[("a", "1")], |gist| rename(gist, "a", "z"), &[], &[("a", "2")]);
    assert_eq!(seen, [has("z", "2")]);
}

#[test]
fn a_rename_with_an_edit_here_meets_an_edit_there_line_by_line() {
    let edit = |body: &'static str| {
        move |gist: &mut Gist| {
            local(gist, "a", Some(body));
            rename(gist, "a", "z");
        }
    };
    let (base, ours) = ("1\n2\n3\n", "one\n2\n3\n");
    let (_, seen) = after(&[("a", base)], edit(ours), &[ours], &[("a", "1\n2\nthree\n")]);
    assert_eq!(seen, [has("z", "one\n2\nthree\n")]);
    let (_, seen) = after(&[("a", base)], edit(ours), &[ours], &[("a", "eins\n2\n3\n")]);
    assert_eq!(seen, [has("a", "eins\n2\n3\n"), has("z", ours)]);
}

#[test]
fn a_rename_there_takes_our_edit_along() {
    for ours in ["1", "2"] {
        let (merged, seen) =
            merged(&[("a", "1"), ("b", "b")], &[("a", Some(ours))], &[("b", "b"), ("z", "1")]);
        assert_eq!(seen, [has("b", "b"), has("z", ours)]);
        assert_eq!((merged.moved, merged.taken), (vec![(name("a"), name("z"))], vec![]));
        assert_eq!(merged.gist.files["z"].from, Some(name("z")));
    }
}

#[test]
fn a_rename_there_that_cannot_be_told_for_sure_leaves_the_edit_its_name() {
    // Two new names with the same content; and two old ones.
    let (_, seen) = merged(&[("a", "1")], &[("a", Some("2"))], &[("y", "1"), ("z", "1")]);
    assert_eq!(seen, [has("a", "2"), has("y", "1"), has("z", "1")]);
    let (_, seen) = merged(&[("a", "1"), ("b", "1")], &[("a", Some("2"))], &[("z", "1")]);
    assert_eq!(seen, [has("a", "2"), has("z", "1")]);
}

#[test]
fn a_file_renamed_differently_on_both_sides_has_both_names() {
    let (_, seen) = after(&[("a", "1")], |gist| rename(gist, "a", "y"), &[], &[("z", "1")]);
    assert_eq!(seen, [has("y", "1"), has("z", "1")]);
}

#[test]
fn a_rename_on_one_side_wins_over_a_deletion_on_the_other() {
    let (start, there) = ([("a", "1"), ("b", "b")], [("b", "b")]);
    let (_, seen) = after(&start, |gist| rename(gist, "a", "z"), &[], &there);
    assert_eq!(seen, [has("b", "b"), has("z", "1")]);
    let (_, seen) = merged(&start, &[("a", None)], &[("b", "b"), ("z", "1")]);
    assert_eq!(seen, [has("b", "b"), has("z", "1")]);
}

#[test]
fn names_swapped_on_one_side_and_an_edit_on_the_other_lose_nothing() {
    let start = [("a.md", "1\n"), ("b.md", "2\n")];
    let (_, seen) =
        merged(&start, &[("a.md", Some("ours\n"))], &[("a.md", "2\n"), ("b.md", "1\n")]);
    assert_eq!(seen, [has(ASIDE, "ours\n"), has("a.md", "2\n"), has("b.md", "1\n")]);
    let swap = |gist: &mut Gist| {
        rename(gist, "a.md", "x");
        rename(gist, "b.md", "a.md");
        rename(gist, "x", "b.md");
    };
    let (_, seen) = after(&start, swap, &[], &[("a.md", "theirs\n"), ("b.md", "2\n")]);
    assert_eq!(seen, [has(ASIDE, "2\n"), has("a.md", "theirs\n"), has("b.md", "1\n")]);
}

#[test]
fn a_file_open_for_writing_is_not_changed_under_the_writer() {
    let base = snapshot(&[("a", "1")]);
    let mut gist = Gist::of_remote(GistKey(1), Arc::clone(&base));
    let file = gist.files.get_mut("a").unwrap();
    file.writers = 1;
    file.writing_since = Some(NOW);
    for there in [("a", "2"), ("z", "1")] {
        let remote = snapshot(&[there]);
        let result = merge(&gist, &base.blobs(), remote, &Texts::new(), NOW);
        assert_eq!(result, Err(Unmerged { busy: vec![name("a")], needs: vec![] }));
    }
}

#[test]
fn of_two_descriptions_ours_counts_and_theirs_stays_known_until_it_changes_again() {
    let base = snapshot(&[("a", "1")]);
    let described = |text: &str| {
        let mut remote = Snapshot::clone(&base);
        remote.description = text.into();
        Arc::new(remote)
    };
    let mut bodies = Bodies::default();
    let mut gist = Gist::of_remote(GistKey(1), Arc::clone(&base));
    gist.description = "ours".into();
    let one = bodies.merge(&gist, &base, &described("theirs"));
    assert_eq!(one.gist.description, "ours");
    assert_eq!(
        (one.description.as_deref(), one.gist.their_description.as_deref()),
        (Some("theirs"), Some("theirs"))
    );
    let two = bodies.merge(&one.gist, &described("theirs"), &described("ours"));
    assert_eq!((two.description, two.gist.their_description.as_deref()), (None, Some("theirs")));
    let three = bodies.merge(&two.gist, &described("ours"), &described("newest"));
    assert_eq!((three.gist.description.as_str(), three.gist.their_description), ("newest", None));
}

#[test]
fn two_files_changed_alike_on_both_sides_are_both_kept_twice() {
    let edit = |gist: &mut Gist| ["a", "c"].into_iter().for_each(|f| local(gist, f, Some("3")));
    let (_, seen) = after(&[("a", "1"), ("c", "1")], edit, &["3"], &[("a", "5"), ("c", "5")]);
    let bodies: Vec<&str> = seen.iter().map(|(_, body)| body.as_str()).collect();
    assert_eq!(bodies, ["5", "3", "5", "3"]);
    assert_eq!((&seen[0], &seen[2]), (&has("a", "5"), &has("c", "5")));
}

proptest! {
    /// Every version that was on either side is in the gist afterwards, unless the other side
    /// only carried it on.
    #[test]
    fn no_version_is_lost(
        start in proptest::collection::btree_map("[a-c]", "[12]", 1..4),
        ours in proptest::collection::btree_map("[a-c]", "[1-4]", 0..4),
        theirs in proptest::collection::btree_map("[a-d]", "[1256]", 1..4),
    ) {
        let as_list = |map: &BTreeMap<String, String>| -> Vec<(String, String)> {
            map.iter().map(|(n, b)| (n.clone(), b.clone())).collect()
        };
        let mut bodies = Bodies::default();
        let mut as_snapshot = |map: &BTreeMap<String, String>| {
            let owned = as_list(map);
            let list: Vec<_> = owned.iter().map(|(n, b)| (n.as_str(), b.as_str())).collect();
            list.iter().for_each(|(_, body)| {
                bodies.add(body);
            });
            snapshot(&list)
        };
        let (base, remote) = (as_snapshot(&start), as_snapshot(&theirs));
        let mut gist = Gist::of_remote(GistKey(1), Arc::clone(&base));
        gist.files.clear();
        for (file, body) in &ours {
            bodies.add(body);
            local(&mut gist, file, Some(body));
        }
        let seen = bodies.merge(&gist, &base, &remote).gist;
        let left: Vec<_> = seen.files.values().filter_map(LocalFile::blob).collect();
        for (file, body) in ours.iter().chain(&theirs) {
            // What they renamed is no version of its own.
            let renamed = ours.get(file) != Some(body) && start.values().any(|old| old == body);
            let carried_on = start.get(file) == Some(body) || renamed;
            prop_assert!(carried_on || left.contains(&BlobId::of(body.as_bytes())), "{file} {body}");
        }
        for (file, body) in &theirs {
            if start.get(file) != Some(body) && start.contains_key(file) {
                let there = seen.files.get(file.as_str()).and_then(LocalFile::blob);
                prop_assert_eq!(there, Some(BlobId::of(body.as_bytes())));
            }
        }
    }

    /// Two machines that edit lines, each sending what it has over what it last saw, come to the
    /// same files after two rounds, with every line anybody added, and go on making nothing new.
    #[test]
    fn two_machines_come_to_rest_with_every_line(
        edits in proptest::collection::vec((any::<bool>(), 0..3_u8, 0..6_usize), 1..20),
        turns in proptest::collection::vec(any::<bool>(), 1..8),
    ) {
        let mut bodies = Bodies::default();
        let text = "1\n2\n3\n4\n5\n6\n";
        let start = snapshot(&[("a.md", text), ("b.md", text)]);
        bodies.add(text);
        let mut there = Arc::clone(&start);
        let mut machines =
            [(), ()].map(|()| Gist::of_remote(GistKey(1), Arc::clone(&start)));
        let mut added = Vec::new();
        let exchange = |bodies: &mut Bodies, machine: &mut Gist, there: &mut Arc<Snapshot>| {
            let base = machine.base.clone().unwrap();
            *machine = bodies.merge(machine, &base, there).gist;
            let sent = machine.differs();
            let files = bodies.seen(machine);
            let list: Vec<_> = files.iter().map(|(n, b)| (n.as_str(), b.as_str())).collect();
            *there = snapshot(&list);
            machine.base = Some(Arc::clone(there));
            machine.follow_base();
            sent
        };
        let mut turns = turns.into_iter().cycle();
        for (number, (which, file, line)) in edits.into_iter().enumerate() {
            let machine = &mut machines[usize::from(which)];
            let names: Vec<FileName> = machine.files.keys().cloned().collect();
            let name = &names[usize::from(file) % names.len()];
            let blob = machine.files[name].blob().unwrap();
            let mut lines: Vec<String> = bodies.0[&blob].lines().map(str::to_owned).collect();
            let token = format!("token {number}");
            lines.insert(line.min(lines.len()), token.clone());
            added.push(token);
            let body = lines.join("\n") + "\n";
            bodies.add(&body);
            local(machine, name.as_str(), Some(&body));
            if turns.next() == Some(true) {
                exchange(&mut bodies, machine, &mut there);
            }
        }
        let [one, two] = &mut machines;
        exchange(&mut bodies, one, &mut there);
        exchange(&mut bodies, two, &mut there);
        prop_assert!(!exchange(&mut bodies, one, &mut there), "one has nothing more to say");
        prop_assert!(!exchange(&mut bodies, two, &mut there), "two has nothing more to say");
        prop_assert_eq!(bodies.seen(one), bodies.seen(two));
        let all: String = bodies.seen(one).into_iter().map(|(_, body)| body).collect();
        for token in added {
            prop_assert!(all.contains(&format!("{token}\n")), "{token} is lost in {all}");
        }
        for (name, _) in bodies.seen(one) {
            let of = conflict_of(&FileName::parse(&name).unwrap());
            prop_assert!(of.is_none_or(|of| !of.contains("conflict")), "{name}");
        }
    }
}

#[test]
fn a_deletion_of_ours_that_was_taken_back_explains_nothing_that_others_did() {
    let base = snapshot(&[("a", "a\n"), ("b", "b\n")]);
    let mut gist = Gist::of_remote(GistKey(1), Arc::clone(&base));
    gist.attempt = Some(Attempt::deletion(None));
    let theirs =
        Snapshot { description: String::new(), ..Snapshot::clone(&snapshot(&[("b", "b\n")])) };
    let mut bodies = Bodies::default();
    bodies.add("b\n");
    let merged = bodies.merge(&gist, &base, &Arc::new(theirs));
    assert_eq!(bodies.seen(&merged.gist), [has("b", "b\n")]);
    assert_eq!((merged.gist.description.as_str(), merged.description), ("", None));
    assert!(!merged.gist.differs());
}
