//! What was read before a change of ours is not taken over after it.

use super::*;
use crate::model::Snapshot;
use crate::store::gist::{Attempt, LocalFile};

fn text(gist: &Gist) -> Option<BlobId> {
    gist.files.get(&sample::name("a")).and_then(LocalFile::blob)
}

#[test]
fn a_state_judged_before_another_one_came_is_passed_over() {
    let world = World::new();
    let key = world.syncer.store.new_key();
    let put = |gist: Gist| world.syncer.store.put_all(vec![(key, Some(gist))]).unwrap();
    let of = |text| Gist::of_remote(key, sample::snapshot(&[("a", text)]));
    put(of("old"));
    let judged = world.syncer.store.get(key).unwrap();
    // Meanwhile the answer to a change of ours came.
    put(of("ours"));
    let listed = || Snapshot::clone(judged.base.as_ref().unwrap());
    assert!(matches!(world.syncer.take(&judged, listed(), world.syncer.now()), Ok(false)));
    let kept = world.syncer.store.get(key).unwrap();
    assert_eq!((text(&kept), kept.base), (Some(BlobId::of(b"ours")), of("ours").base));
    // Or a change is under way, and its answer is not here yet.
    put(Gist { attempt: Some(Attempt::after(None, "d".into(), [].into())), ..of("old") });
    assert!(matches!(world.syncer.take(&judged, listed(), world.syncer.now()), Ok(false)));
    assert!(world.syncer.store.get(key).unwrap().attempt.is_some());
    put(of("old"));
    assert!(matches!(world.syncer.take(&judged, listed(), world.syncer.now()), Ok(true)));
}
