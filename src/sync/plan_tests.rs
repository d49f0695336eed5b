use super::*;
use crate::model::RemoteFile;
use crate::sync::sample::{NOW, name, snapshot};
use proptest::prelude::*;

fn blob(body: &str) -> BlobId {
    BlobId::of(body.as_bytes())
}

fn gist(files: &[(&str, &str)]) -> Gist {
    Gist::of_remote(GistKey(1), snapshot(files))
}

fn write(gist: &mut Gist, file: &str, body: &str) {
    let from = gist.remote(&name(file)).map(|_| name(file));
    let content = Content::Bytes { blob: blob(body), size: body.len() as u64 };
    let file =
        gist.files.entry(name(file)).or_insert_with(|| LocalFile::with(content.clone(), from, NOW));
    file.content = content;
}

fn rename(gist: &mut Gist, old: &str, new: &str) {
    let mut file = gist.files.remove(old).unwrap();
    if gist.remote(&name(new)).is_some() {
        file.from = Some(name(new));
    }
    gist.files.insert(name(new), file);
}

/// Plans with every body known by a table of the bodies tests use.
fn planned(gist: &Gist) -> Plan {
    planned_with(gist, false)
}

fn planned_with(gist: &Gist, git: bool) -> Plan {
    let class = |id, _| Some(known(id));
    plan(gist, &Outside { class: &class, arrived: &|_, _| false, even_open: false, git })
}

const BODIES: &[&str] = &["", " \n", "a\n", "b\n", "c\n", "cr\r\n", "nul\0", "other\n"];

fn known(id: BlobId) -> Class {
    BODIES
        .iter()
        .find(|body| blob(body) == id)
        .map_or(Class::TooLarge, |body| Class::of(body.as_bytes()))
}

fn files_of(step: &Step) -> Vec<(String, Change)> {
    let Step::Update { files, .. } = step else { panic!("{step:?}") };
    files.iter().map(|(name, change)| (name.to_string(), change.clone())).collect()
}

fn body(text: &str) -> Body {
    Body { blob: blob(text), size: text.len() as u64 }
}

#[test]
fn nothing_changed_gives_no_request() {
    assert_eq!(planned(&gist(&[("x", "a\n")])).step, Step::Nothing);
}

#[test]
fn a_rename_without_new_content_carries_none() {
    let mut gist = gist(&[("x", "a\n")]);
    rename(&mut gist, "x", "y");
    assert_eq!(files_of(&planned(&gist).step), [("x".into(), Change::Rename(name("y"), None))]);
    // Not even the body is needed.
    let plan = plan(
        &gist,
        &Outside { class: &|_, _| None, arrived: &|_, _| false, even_open: false, git: false },
    );
    assert_eq!(files_of(&plan.step), [("x".into(), Change::Rename(name("y"), None))]);
}

#[test]
fn a_rename_over_another_file_is_new_content_and_a_deletion() {
    let mut gist = gist(&[("x", "a\n"), ("y", "b\n")]);
    rename(&mut gist, "x", "y");
    assert_eq!(
        files_of(&planned(&gist).step),
        [("x".into(), Change::Delete), ("y".into(), Change::Write(body("a\n")))]
    );
}

#[test]
fn the_last_file_is_never_deleted() {
    let mut gist = gist(&[("x", "a\n"), ("y", "b\n")]);
    gist.files.clear();
    let plan = planned(&gist);
    assert_eq!(plan.step, Step::Nothing);
    assert_eq!(
        plan.held,
        BTreeMap::from([(name("x"), Hold::LastFile), (name("y"), Hold::LastFile)])
    );
    // A blank file is no successor.
    write(&mut gist, "z", " \n");
    assert_eq!(planned(&gist).step, Step::Nothing);
    write(&mut gist, "z", "c\n");
    assert_eq!(files_of(&planned(&gist).step).len(), 3);
}

#[test]
fn what_the_api_would_mangle_is_held_and_the_rest_goes() {
    let mut gist = gist(&[("x", "a\n")]);
    for (file, body) in [("blank", " \n"), ("cr", "cr\r\n"), ("nul", "nul\0"), ("ok", "b\n")] {
        write(&mut gist, file, body);
    }
    let plan = planned(&gist);
    assert_eq!(files_of(&plan.step), [("ok".into(), Change::Write(body("b\n")))]);
    assert_eq!(
        plan.held,
        BTreeMap::from([
            (name("blank"), Hold::Blank),
            (name("cr"), Hold::CarriageReturns),
            (name("nul"), Hold::Binary)
        ])
    );
}

#[test]
fn a_renamed_file_with_held_content_leaves_its_origin_alone() {
    let mut gist = gist(&[("x", "a\n"), ("y", "b\n")]);
    rename(&mut gist, "x", "z");
    write(&mut gist, "z", "cr\r\n");
    assert_eq!(planned(&gist).step, Step::Nothing);
}

#[test]
fn a_file_renamed_to_a_scratch_name_is_not_deleted() {
    let mut gist = gist(&[("x", "a\n"), ("y", "b\n")]);
    rename(&mut gist, "x", "x~");
    let plan = planned(&gist);
    assert_eq!(plan.step, Step::Nothing);
    assert_eq!(plan.held, BTreeMap::from([(name("x"), Hold::Limbo)]));
    gist.files.remove("x~");
    assert_eq!(files_of(&planned(&gist).step), [("x".into(), Change::Delete)]);
}

#[test]
fn scratch_files_are_not_sent_but_a_scratch_name_github_has_is() {
    let mut gist = gist(&[("4913", "a\n")]);
    write(&mut gist, ".x.swp", "b\n");
    write(&mut gist, "4913", "c\n");
    assert_eq!(files_of(&planned(&gist).step), [("4913".into(), Change::Write(body("c\n")))]);
}

#[test]
fn an_open_file_counts_as_github_has_it() {
    let mut gist = gist(&[("x", "a\n")]);
    write(&mut gist, "x", "b\n");
    let file = gist.files.get_mut("x").unwrap();
    file.writers = 1;
    file.writing_since = Some(NOW);
    assert_eq!(planned(&gist).step, Step::Nothing);
    let even = plan(
        &gist,
        &Outside {
            class: &|id, _| Some(known(id)),
            arrived: &|_, _| false,
            even_open: true,
            git: false,
        },
    );
    assert_eq!(files_of(&even.step), [("x".into(), Change::Write(body("b\n")))]);
}

#[test]
fn what_is_emptied_to_be_written_is_not_sent_empty_to_whoever_waits_for_its_close() {
    let mut gist = gist(&[("x", "a\n")]);
    write(&mut gist, "x", "");
    let even = |gist: &Gist| {
        let class = |id, _| Some(known(id));
        plan(gist, &Outside { class: &class, arrived: &|_, _| false, even_open: true, git: true })
    };
    assert!(matches!(even(&gist).step, Step::Push { .. }));
    let file = gist.files.get_mut("x").unwrap();
    (file.writers, file.writing_since) = (1, Some(NOW));
    assert_eq!(even(&gist).step, Step::Nothing);
    assert_eq!(even(&gist).held, BTreeMap::from([(name("x"), Hold::Open)]));
}

#[test]
fn a_moved_file_stays_until_it_has_arrived() {
    let mut gist = gist(&[("x", "a\n"), ("y", "b\n")]);
    gist.files.remove("x");
    gist.moved_to.insert(name("x"), GistKey(2));
    let plan_with = |arrived| {
        plan(
            &gist,
            &Outside {
                class: &|id, _| Some(known(id)),
                arrived: &move |_, _| arrived,
                even_open: false,
                git: false,
            },
        )
    };
    assert_eq!(plan_with(false).step, Step::Nothing);
    assert_eq!(files_of(&plan_with(true).step), [("x".into(), Change::Delete)]);
}

#[test]
fn bodies_past_four_megabytes_go_in_several_requests_and_deletions_last() {
    let mut gist = gist(&[("old", "a\n")]);
    gist.files.remove("old");
    for file in ["x", "y", "z"] {
        write(&mut gist, file, "other\n");
    }
    let big = |_, _| Some(Class::Text { wire: 2 << 20 });
    let outside = Outside { class: &big, arrived: &|_, _| false, even_open: false, git: false };
    let plan = plan(&gist, &outside);
    assert!(plan.more);
    let changes = files_of(&plan.step);
    assert_eq!(changes.len(), 2);
    assert!(changes.iter().all(|(_, change)| matches!(change, Change::Write(_))));
}

#[test]
fn a_gist_is_made_with_all_it_holds_and_deleted_with_one_request() {
    let mut gist = Gist::new(GistKey(1), "new".into(), false, NOW);
    assert_eq!(planned(&gist).step, Step::Nothing);
    write(&mut gist, "x", "");
    assert_eq!(planned(&gist).step, Step::Nothing);
    write(&mut gist, "x", "a\n");
    write(&mut gist, "y", "b\n");
    let files = BTreeMap::from([(name("x"), body("a\n")), (name("y"), body("b\n"))]);
    assert_eq!(planned(&gist).step, Step::Create { files });
    gist.removed = true;
    assert_eq!(planned(&gist).step, Step::Nothing);
    gist.base = Some(snapshot(&[]));
    assert_eq!(planned(&gist).step, Step::Delete(GistId::parse("1234").unwrap()));
}

#[test]
fn control_characters_are_counted_as_json_spells_them() {
    assert_eq!(Class::of(b"a\"\n\x01"), Class::Text { wire: 1 + 2 + 2 + 6 });
    assert_eq!(Class::of(b"\xff"), Class::Binary);
    assert_eq!(Class::of("\u{3000}".as_bytes()), Class::Blank);
}

/// Applies a step as GitHub would; what GitHub would refuse is a failure of the plan.
fn apply(base: &Snapshot, step: &Step) -> Snapshot {
    let (files, description, by_git) = match step {
        Step::Update { description, files, .. } => (files, description, false),
        Step::Push { files, .. } => (files, &None, true),
        Step::Nothing
        | Step::Fetch(_)
        | Step::Complete
        | Step::Create { .. }
        | Step::Withdraw(_)
        | Step::Delete(_) => return base.clone(),
    };
    assert!(!files.is_empty() || description.is_some(), "an empty patch");
    assert!(by_git || !base.truncated || files.is_empty(), "the API changes what it does not show");
    let mut next = base.clone();
    for (name, change) in files {
        match change {
            Change::Delete => {
                assert!(base.files.contains_key(name), "deletes {name}, which is not there");
                next.files.remove(name);
            }
            Change::Rename(..) => {
                assert!(base.files.contains_key(name), "renames {name}, which is not there");
                next.files.remove(name);
            }
            Change::Write(_) => {}
        }
    }
    for (name, change) in files {
        let put = match change {
            Change::Delete => continue,
            Change::Write(body) => (name, *body),
            Change::Rename(to, body) => {
                assert!(!base.files.contains_key(to), "renames onto {to}");
                let old = &base.files[name];
                (to, body.unwrap_or(Body { blob: old.blob, size: old.size }))
            }
        };
        let carries = matches!(change, Change::Rename(_, None))
            || matches!(known(put.1.blob), Class::Text { .. });
        assert!(by_git || carries, "the API does not carry {:?}", put.0);
        let file = RemoteFile {
            blob: put.1.blob,
            size: put.1.size,
            raw_url: String::new(),
            language: None,
        };
        assert!(
            next.files
                .insert(put.0.clone(), file)
                .is_none_or(|_| matches!(change, Change::Write(_)))
        );
    }
    assert!(!next.files.is_empty(), "leaves no file");
    if let Some(description) = description {
        next.description.clone_from(description);
    }
    next
}

/// One thing a user may do to the gist.
#[derive(Clone, Debug)]
enum Deed {
    Write(usize, usize),
    Rename(usize, usize),
    Remove(usize),
    Describe(bool),
}

const NAMES: &[&str] = &["a", "b", "c", "d", "a~", "sedX1y2Z3"];

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        3 => (0..NAMES.len(), 0..BODIES.len()).prop_map(|(n, b)| Deed::Write(n, b)),
        3 => (0..NAMES.len(), 0..NAMES.len()).prop_map(|(a, b)| Deed::Rename(a, b)),
        2 => (0..NAMES.len()).prop_map(Deed::Remove),
        1 => any::<bool>().prop_map(Deed::Describe),
    ]
}

fn perform(gist: &mut Gist, deed: &Deed) {
    match deed {
        Deed::Write(file, body) => write(gist, NAMES[*file], BODIES[*body]),
        Deed::Rename(a, b) if a != b && gist.files.contains_key(NAMES[*a]) => {
            rename(gist, NAMES[*a], NAMES[*b]);
        }
        Deed::Rename(..) => {}
        Deed::Remove(file) => drop(gist.files.remove(NAMES[*file])),
        Deed::Describe(new) => gist.description = if *new { "new".into() } else { "d".into() },
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    /// Applying the plan's requests to `base` as GitHub would gives what the user sees, as far as
    /// it can be sent; and then there is nothing more to send. With git, all of it can be sent.
    #[test]
    fn applying_the_plan_gives_local_truth(
        start in proptest::collection::btree_map(0..4_usize, 0..BODIES.len(), 1..4),
        deeds in proptest::collection::vec(deed(), 0..12),
        stored in proptest::collection::vec(any::<bool>(), BODIES.len()),
        git in any::<bool>(),
        truncated in any::<bool>(),
    ) {
        let start: Vec<_> = start.into_iter().map(|(n, b)| (NAMES[n], BODIES[b])).collect();
        let mut gist = gist(&start);
        if truncated && git {
            let base = gist.base.as_deref().unwrap().clone();
            gist.base = Some(Arc::new(Snapshot { truncated, completed: true, ..base }));
        }
        for deed in &deeds {
            perform(&mut gist, deed);
        }
        // What GitHub has need not be here.
        let first = gist.base.clone().unwrap();
        let is_here = |id| {
            let at = BODIES.iter().position(|body| blob(body) == id).unwrap();
            stored[at] || first.files.values().all(|file| file.blob != id)
        };
        let planned = |gist: &Gist, all: bool| {
            let class = |id, _| (all || is_here(id)).then(|| known(id));
            plan(gist, &Outside { class: &class, arrived: &|_, _| false, even_open: false, git })
        };
        let mut plan = planned(&gist, false);
        if let Step::Fetch(wanted) = &plan.step {
            prop_assert!(wanted.iter().all(|id| !is_here(*id)));
            plan = planned(&gist, true);
        }
        let base = gist.base.clone().unwrap();
        let mut after = apply(&base, &plan.step);
        let told: BTreeMap<_, _> = after.files.iter().map(|(n, f)| (n.clone(), f.blob)).collect();
        prop_assert_eq!(&told, &expected(Some(&base), &plan.step));
        if let Step::Push { files, .. } = &plan.step {
            prop_assert_eq!(plan.more, after.description != gist.description);
            let texts = files.values().all(|change| match change {
                Change::Write(body) | Change::Rename(_, Some(body)) => {
                    matches!(known(body.blob), Class::Text { .. })
                }
                Change::Rename(_, None) | Change::Delete => true,
            });
            prop_assert!(base.truncated || !texts, "{:?} needs no git", files);
            after.description.clone_from(&gist.description);
        }
        prop_assert_eq!(&after.description, &gist.description);
        if git {
            let only = |hold: &Hold| matches!(hold, Hold::Limbo | Hold::LastFile | Hold::Moving);
            prop_assert!(plan.held.values().all(only), "{:?}", plan.held);
        }
        for (name, file) in &gist.files {
            let there = after.files.get(name).map(|file| file.blob);
            if gist.is_scratch(name) {
                prop_assert_eq!(there, None);
            } else if !plan.held.contains_key(name) {
                prop_assert_eq!(there, file.blob(), "{}", name);
            } else {
                prop_assert_eq!(there, base.files.get(name).map(|file| file.blob));
            }
        }
        for name in after.files.keys().filter(|name| !gist.files.contains_key(*name)) {
            // Only what is explicitly held, or what a held file descends from, outlives the user's eye.
            let origin = gist.files.iter().any(|(held, file)| {
                let same = file.blob() == base.files.get(name).map(|file| file.blob);
                (file.from.as_ref() == Some(name) || same) && plan.held.contains_key(held)
            });
            prop_assert!(plan.held.contains_key(name) || origin, "{} is left over", name);
        }
        gist.base = Some(Arc::new(after));
        gist.follow_base();
        prop_assert_eq!(planned(&gist, true).step, Step::Nothing);
    }
}

#[test]
fn renames_with_new_content_count_in_the_size_of_a_request() {
    let mut gist = gist(&[("x", "a\n"), ("y", "b\n"), ("z", "c\n")]);
    for (old, new) in [("x", "1"), ("y", "2"), ("z", "3")] {
        rename(&mut gist, old, new);
        let content = Content::Bytes { blob: blob(new), size: 3_900_000 };
        gist.files.get_mut(&name(new)).unwrap().content = content;
    }
    let class = |_, size| Some(Class::Text { wire: size });
    let planned = |git| {
        let arrived = |_, _| false;
        plan(&gist, &Outside { class: &class, arrived: &arrived, even_open: false, git })
    };
    let Step::Push { files, .. } = planned(true).step else { panic!("{:?}", planned(true)) };
    assert!(files.values().all(|change| matches!(change, Change::Rename(_, Some(_)))), "{files:?}");
    let one = planned(false);
    assert_eq!(files_of(&one.step).len(), 1, "{one:?}");
    assert!(one.more && matches!(files_of(&one.step)[0].1, Change::Write(_)), "{one:?}");
}

#[test]
fn a_placeholder_beside_the_last_file_goes_and_the_file_stays() {
    let placeholder = name("gistfs-upload-1");
    let line = crate::store::placeholder::text(GistKey(1), &placeholder);
    let base = snapshot(&[(placeholder.as_str(), &line), ("x", "a\n")]);
    let mut gist = Gist::of_remote(GistKey(1), base);
    gist.files.clear();
    let plan = planned(&gist);
    assert_eq!(files_of(&plan.step), [(placeholder.to_string(), Change::Delete)]);
    assert_eq!(plan.held, BTreeMap::from([(name("x"), Hold::LastFile)]));
}
