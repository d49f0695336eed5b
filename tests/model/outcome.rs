//! What must be true once everything was sent: GitHub and the mount agree, but for what is held.

use std::collections::BTreeMap;

use gistfs::model::{BlobId, FileName};
use gistfs::store::gist::{Content, Gist, LocalFile};
use gistfs::store::placeholder;
use gistfs::sync::plan::Class;

use crate::mount::Mount;

/// Whether the API carries that body as it is, or git does.
fn sendable(mount: &Mount, blob: BlobId) -> bool {
    if mount.github.has_git() {
        return true;
    }
    let body = mount.fs().syncer().store().body(blob).expect("the store can be read");
    body.is_some_and(|body| matches!(Class::of(&body), Class::Text { .. }))
}

/// Every file that can be sent is on GitHub, every other one is as it was there, nothing is there
/// twice, and nothing is there that is not here.
pub(crate) fn same_as_github(mount: &Mount) -> Result<(), String> {
    let mut gists: Vec<Gist> = Vec::new();
    mount.fs().syncer().store().look_at_all(|gist| gists.push(gist.clone()));
    let mut ids = mount.github.ids();
    let placeholder = |name: &FileName| name.as_str().starts_with(placeholder::NAME);
    if let Some((_, name, _)) = mount.github.tips().iter().find(|(_, name, _)| placeholder(name)) {
        return Err(format!("the placeholder {name:?} was left behind"));
    }
    for gist in &gists {
        let Some(base) = &gist.base else {
            let owed: Vec<&FileName> = gist
                .files
                .iter()
                .filter(|(name, file)| {
                    !gist.is_scratch(name) && file.blob().is_some_and(|blob| sendable(mount, blob))
                })
                .map(|(name, _)| name)
                .collect();
            if gist.removed || owed.is_empty() {
                continue;
            }
            return Err(format!("{:?} was never made for {owed:?}", gist.description));
        };
        let Some(there) = mount.github.files(&base.id) else {
            return Err(format!("{:?} is not on GitHub any more", gist.description));
        };
        ids.retain(|id| *id != base.id);
        let stays = |(name, file): (&FileName, &gistfs::model::RemoteFile)| {
            let held = !sendable(mount, file.blob);
            let elsewhere =
                |gist: &Gist| gist.files.values().any(|moved| moved.blob() == Some(file.blob));
            gist.moved_to.contains_key(name) && held && gists.iter().any(elsewhere)
        };
        if gist.removed {
            if base.files.iter().any(stays) {
                // Its only copy on GitHub; the gist it was moved to cannot have it.
                continue;
            }
            return Err(format!("{:?} was not deleted", gist.description));
        }
        if mount.github.description(&base.id).as_ref() != Some(&gist.description) {
            return Err(format!("the description {:?} was not sent", gist.description));
        }
        same_files(mount, gist, &there.iter().map(|(n, b)| (n.clone(), BlobId::of(b))).collect())
            .map_err(|wrong| format!("{:?}: {wrong}", gist.description))?;
    }
    if ids.is_empty() { Ok(()) } else { Err(format!("{ids:?} are on GitHub only")) }
}

fn same_files(
    mount: &Mount,
    gist: &Gist,
    there: &BTreeMap<FileName, BlobId>,
) -> Result<(), String> {
    for (name, file) in &gist.files {
        let origin = file.from.as_ref().filter(|from| gist.remote(from).is_some());
        if gist.is_scratch(name) && origin.is_some_and(|from| !gist.files.contains_key(from)) {
            return Err(format!("{name:?} never became {origin:?} again"));
        }
        let Content::Bytes { blob, .. } = file.content else { continue };
        if gist.is_scratch(name) || there.get(name) == Some(&blob) {
            continue;
        }
        if sendable(mount, blob) {
            return Err(format!("{name:?} was not sent"));
        }
        let before = gist.remote(name).map(|file| file.blob);
        if there.get(name).copied() != before {
            return Err(format!("{name:?} is held, but something of it was sent"));
        }
    }
    let all_gone = gist.files.keys().all(|name| !there.contains_key(name));
    for (name, blob) in there.iter().filter(|(name, _)| !gist.files.contains_key(*name)) {
        let keeps = |file: &LocalFile| {
            file.from.as_ref() == Some(name)
                || file.blob() == Some(*blob) && !sendable(mount, *blob)
        };
        let kept = gist.files.values().any(keeps);
        if !kept && !all_gone && !gist.moved_to.contains_key(name) {
            return Err(format!("{name:?} was not deleted"));
        }
    }
    Ok(())
}

/// A mount that starts from nothing shows what GitHub has, byte for byte.
pub(crate) fn a_new_mount_shows(mount: &Mount) -> Result<(), String> {
    let new = Mount::new(&mount.github, &mount.clock);
    new.refresh();
    let mut shown: Vec<BTreeMap<String, Vec<u8>>> = Vec::new();
    for (title, gist) in new.look(true)? {
        let mut files = BTreeMap::new();
        for (name, file) in gist.files {
            match file.body {
                Some(Ok(body)) => drop(files.insert(name, body)),
                other => return Err(format!("{title}/{name} cannot be read anew: {other:?}")),
            }
        }
        shown.push(files);
    }
    let mut there: Vec<BTreeMap<String, Vec<u8>>> = mount
        .github
        .ids()
        .iter()
        .filter_map(|id| mount.github.files(id))
        .map(|files| files.into_iter().map(|(n, b)| (n.to_string(), b.to_vec())).collect())
        .collect();
    shown.sort();
    there.sort();
    if shown == there { Ok(()) } else { Err(format!("a new mount shows {shown:?}, not {there:?}")) }
}
