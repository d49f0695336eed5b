//! What a mount does with a gist for somebody on the command line.

use std::sync::Arc;

use super::asks::{GistAsk, GistReply, Reply};
use crate::exit::{Exit, Failure};
use crate::fs::GistFs;
use crate::model::GistId;
use crate::store::gist::GistKey;
use crate::sync::errand;
use crate::tree::names;

/// Does it, and says what came of it; `waits` tells whether somebody still wants to hear that.
pub(super) fn run(fs: &Arc<GistFs>, ask: &GistAsk, waits: &dyn Fn() -> bool) -> Reply {
    match errand(fs, ask, waits) {
        Ok(gist) => Reply { gist: Some(gist), ..Reply::default() },
        Err(failure) => Reply { failure: Some(failure), ..Reply::default() },
    }
}

fn errand(fs: &Arc<GistFs>, ask: &GistAsk, waits: &dyn Fn() -> bool) -> Result<GistReply, Failure> {
    let syncer = fs.syncer();
    match ask {
        GistAsk::Find(id) => {
            Ok(syncer.store().find(id).map(|key| known(fs, key)).unwrap_or_default())
        }
        GistAsk::Fork(id) => fork(fs, id),
        GistAsk::Star(id) => errand::star(&**syncer, id, true).map(|()| GistReply::default()),
        GistAsk::Unstar(id) => errand::star(&**syncer, id, false).map(|()| GistReply::default()),
        GistAsk::Locate(id, file) => locate(fs, id, file.as_deref()),
        GistAsk::Publish(id) => copy(fs, id, true, waits),
        GistAsk::Hide(id) => copy(fs, id, false, waits),
        GistAsk::Replace(old, new) => {
            let new = syncer.replace_by(own(fs, old)?, new)?;
            fs.take_free_name(new);
            Ok(known(fs, new))
        }
    }
}

fn fork(fs: &Arc<GistFs>, id: &GistId) -> Result<GistReply, Failure> {
    let syncer = fs.syncer();
    let forked = errand::fork(&**syncer, id)?;
    // It is made, whether it can be shown at once or not.
    let key = syncer.show_fork(&forked).unwrap_or_else(|failure| {
        log::warn!("{failure}");
        None
    });
    let reply = key.map(|key| known(fs, key)).unwrap_or_default();
    Ok(GistReply { id: Some(forked.id), url: Some(forked.url), ..reply })
}

fn locate(fs: &Arc<GistFs>, id: &GistId, file: Option<&str>) -> Result<GistReply, Failure> {
    let syncer = fs.syncer();
    let own = syncer.store().find(id);
    let base = own.and_then(|key| syncer.store().look(key, |gist| gist.base.clone()).flatten());
    let there = match base.or_else(|| syncer.known_other(id)) {
        Some(there) => there,
        None => Arc::new(errand::look_up(&**syncer, id)?),
    };
    let shown = |name: &&_| file == Some(names::file(name, |_| false).as_str());
    let file = there.files.keys().find(shown).map(ToString::to_string);
    let reply = own.map(|key| known(fs, key)).unwrap_or_default();
    Ok(GistReply { url: Some(there.html_url.clone()), file, ..reply })
}

fn copy(
    fs: &Arc<GistFs>,
    id: &GistId,
    public: bool,
    waits: &dyn Fn() -> bool,
) -> Result<GistReply, Failure> {
    let old = own(fs, id)?;
    fs.record_everything();
    let new = fs.syncer().copy_as(old, public, waits)?;
    fs.syncer().show_made(new);
    Ok(known(fs, new))
}

/// One of this mount's gists.
fn own(fs: &GistFs, id: &GistId) -> Result<GistKey, Failure> {
    fs.syncer().store().find(id).ok_or_else(|| {
        Failure::new(
            Exit::Failed,
            format!("{id} is not among your gists here"),
            "name a gist of yours by its path in a mount",
        )
    })
}

/// What is known of one of this mount's gists.
fn known(fs: &GistFs, key: GistKey) -> GistReply {
    let base = fs.syncer().store().look(key, |gist| gist.base.clone()).flatten();
    GistReply {
        id: base.as_ref().map(|base| base.id.clone()),
        title: fs.syncer().title(key),
        url: base.map(|base| base.html_url.clone()),
        path: fs.path_of(key).map(|path| path.to_string_lossy().into_owned()),
        file: None,
    }
}
