//! One gist: reading it, its past, and all that changes its content.

use std::sync::Arc;
use std::time::Instant;

use super::gist::{Gist, Version};
use super::patch;
use super::reply::Reply;
use super::routes::{Call, http_date};
use super::store::{NewGist, Next};
use crate::model::Time;

impl Call<'_> {
    /// The gist and what a read sees of it, or 404. Anybody who knows the id may read it.
    pub(super) fn readable(&self, id: &str) -> Result<(Arc<Gist>, Arc<Version>), Reply> {
        let gist = self.site.store.get(id).ok_or_else(Reply::not_found)?;
        let version = gist.seen(&self.switches, Instant::now()).ok_or_else(Reply::not_found)?;
        Ok((gist, version))
    }

    /// The gist, or 404 if there is none or somebody else's.
    fn owned(&self, id: &str) -> Result<(Arc<Gist>, String), Reply> {
        let login = self.caller.writer()?;
        let gist = self.site.store.get(id).ok_or_else(Reply::not_found)?;
        if gist.owner.as_deref() != Some(login) {
            return Err(Reply::not_found());
        }
        Ok((gist, login.to_owned()))
    }

    /// Whether the gateway cuts this request off.
    fn oversized(&self) -> bool {
        self.arrival.body.len() > self.switches.gateway_ceiling
    }

    fn full(&self, status: u16, gist: &Gist, version: &Version) -> Result<Reply, Reply> {
        match self.style.full(&self.site.store, gist, version) {
            Ok(value) => Ok(Reply::json(status, &value)),
            // Deleted since the answer began, and its repository with it.
            Err(_) if self.site.store.get(&gist.id).is_none() => Err(Reply::not_found()),
            Err(error) => Err(error.into()),
        }
    }
}

/// `POST /gists`
pub(super) fn create(call: &Call) -> Result<Reply, Reply> {
    let login = call.caller.writer()?;
    let creation = patch::creation(&patch::object(&call.arrival.body)?)?;
    let oversized = call.oversized();
    if oversized && !call.switches.gateway_applies {
        return Err(Reply::server_error());
    }
    let gist = call.site.store.create(NewGist {
        owner: Some(login.to_owned()),
        description: creation.description,
        public: creation.public,
        files: creation.files,
        created_at: Time::now(),
        branch: call.switches.default_branch.clone(),
    })?;
    if oversized {
        return Err(Reply::server_error());
    }
    let location = format!("{}/gists/{}", call.style.api, gist.id);
    Ok(call.full(201, &gist, &gist.tip)?.with("location", location))
}

/// `GET /gists/ID`
pub(super) fn get(call: &Call, id: &str) -> Result<Reply, Reply> {
    let (gist, version) = call.readable(id)?;
    let reply = call.full(200, &gist, &version)?;
    Ok(match http_date(version.updated_at) {
        Some(date) => reply.with("last-modified", date),
        None => reply,
    })
}

/// `PATCH /gists/ID`, and `POST` as its alias
pub(super) fn update(call: &Call, id: &str) -> Result<Reply, Reply> {
    let (gist, login) = call.owned(id)?;
    let body = patch::object(&call.arrival.body)?;
    let switches = &call.switches;
    if call.overlapping && !switches.last_write_wins {
        return Err(Reply::conflict());
    }
    let oversized = call.oversized();
    if oversized && !switches.gateway_applies {
        return Err(Reply::server_error());
    }
    if !oversized && call.arrival.body.len() > switches.patch_ceiling {
        return Err(Reply::conflict());
    }
    if too_soon(&gist, call) {
        return Err(Reply::conflict());
    }
    let written = call.site.store.write(id, |gist| {
        let edit = patch::edit(&gist.tip, &body, switches)?;
        Ok::<_, Reply>(Next {
            description: edit.description,
            files: edit.files,
            author: login,
            at: Time::now(),
            touch: switches.identical_bumps,
        })
    })?;
    if oversized {
        return Err(Reply::server_error());
    }
    let gist = written.ok_or_else(Reply::not_found)?;
    call.full(200, &gist, &gist.tip)
}

/// Whether the switch for rapid updates refuses this one. It does so once after every write, or
/// a client that retries quickly would never get through.
fn too_soon(gist: &Gist, call: &Call) -> bool {
    let (Some(window), Some(before)) = (call.switches.rapid_conflict, &gist.before) else {
        return false;
    };
    before.written.elapsed() < window && before.refuse_once()
}

/// `DELETE /gists/ID`
pub(super) fn delete(call: &Call, id: &str) -> Result<Reply, Reply> {
    call.owned(id)?;
    let removed = call.site.store.remove(id)?;
    if removed { Ok(Reply::empty(204)) } else { Err(Reply::not_found()) }
}

/// `GET /gists/ID/commits`
pub(super) fn commits(call: &Call, id: &str) -> Result<Reply, Reply> {
    let (gist, version) = call.readable(id)?;
    let newest_first: Vec<_> = version.history.iter().rev().collect();
    Ok(call.paged(&format!("/gists/{id}/commits"), &newest_first, |commit| {
        call.style.commit(&gist, commit)
    }))
}

/// `GET /gists/ID/SHA`
pub(super) fn revision(call: &Call, id: &str, sha: &str) -> Result<Reply, Reply> {
    let (gist, version) = call.readable(id)?;
    if sha.len() != 40 || !sha.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Reply::error(422, &format!("No commit found for SHA: {sha}")));
    }
    let position = version.history.iter().position(|commit| commit.version == sha);
    let position = position.ok_or_else(Reply::not_found)?;
    let files = call.site.store.repository(id)?.files_at(sha).ok_or_else(Reply::not_found)?;
    let then = Version {
        description: version.description.clone(),
        updated_at: version.updated_at,
        files,
        history: version.history[..=position].to_vec(),
    };
    call.full(200, &gist, &then)
}
