//! What a file system of gists must show: names, bytes and open files, and nothing of GitHub.

use std::collections::{BTreeMap, HashMap};

use gistfs::fs::RenameMode;
use gistfs::store::scratch;

/// Gists by the names of their directories.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reference {
    /// What each directory holds.
    pub(crate) gists: BTreeMap<String, BTreeMap<String, Node>>,
    files: Vec<Body>,
    handles: HashMap<usize, Open>,
}

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    /// A file, by its number in [`Reference`].
    File(usize),
    /// A symbolic link and its target.
    Link(String),
}

/// The bytes of a file, which outlive its name while somebody has it open.
#[derive(Clone, Debug)]
pub(crate) struct Body {
    /// What a reader sees.
    pub(crate) live: Vec<u8>,
    /// What may be left of it when the program is killed now.
    pub(crate) safe: Vec<Vec<u8>>,
    /// Its bytes went with a gist that another machine deleted before they were ever read here.
    pub(crate) unknown: bool,
}

#[derive(Clone, Debug)]
struct Open {
    file: usize,
    writes: bool,
}

/// An errno, or nothing.
pub(crate) type Outcome = Result<(), i32>;

impl Reference {
    /// A new file with these bytes, under no name yet.
    pub(crate) fn add(&mut self, bytes: Vec<u8>) -> Node {
        let safe = vec![bytes.clone()];
        self.files.push(Body { live: bytes, safe, unknown: false });
        Node::File(self.files.len() - 1)
    }

    /// The bytes of a file.
    pub(crate) fn body(&self, file: usize) -> &Body {
        &self.files[file]
    }

    /// The file of that name, if it is there and no link.
    pub(crate) fn file(&self, gist: &str, name: &str) -> Option<usize> {
        match self.gists.get(gist)?.get(name)? {
            Node::File(file) => Some(*file),
            Node::Link(_) => None,
        }
    }

    pub(crate) fn mkdir(&mut self, title: &str) -> Outcome {
        if self.gists.contains_key(title) {
            return Err(libc::EEXIST);
        }
        self.gists.insert(title.into(), BTreeMap::new());
        Ok(())
    }

    pub(crate) fn create(&mut self, gist: &str, name: &str, handle: usize) -> Outcome {
        if self.gists.get(gist).ok_or(libc::ENOENT)?.contains_key(name) {
            return Err(libc::EEXIST);
        }
        let node = self.add(vec![]);
        let Node::File(file) = node else { return Err(libc::EIO) };
        self.handles.insert(handle, Open { file, writes: true });
        self.gists.entry(gist.into()).or_default().insert(name.into(), node);
        Ok(())
    }

    pub(crate) fn symlink(&mut self, gist: &str, name: &str, target: &str) -> Outcome {
        if !scratch::matches(name) {
            return Err(libc::EPERM);
        }
        let files = self.gists.get_mut(gist).ok_or(libc::ENOENT)?;
        if files.contains_key(name) {
            return Err(libc::EEXIST);
        }
        files.insert(name.into(), Node::Link(target.into()));
        Ok(())
    }

    pub(crate) fn open(&mut self, file: usize, handle: usize, writes: bool) {
        self.handles.insert(handle, Open { file, writes });
    }

    /// The file a handle is of.
    pub(crate) fn opened(&self, handle: usize) -> usize {
        self.handles[&handle].file
    }

    /// A new file of which only the size is known.
    pub(crate) fn add_unknown(&mut self, size: u64) -> Node {
        let node = self.add(vec![0; size as usize]);
        if let Some(file) = self.files.last_mut() {
            file.unknown = true;
        }
        node
    }

    /// Whether a handle may write.
    pub(crate) fn writes(&self, handle: usize) -> bool {
        self.handles[&handle].writes
    }

    /// Whether anything is open for writing.
    pub(crate) fn has_writers(&self) -> bool {
        self.handles.values().any(|open| open.writes)
    }

    /// Every file that has a name: where, and its number.
    pub(crate) fn named(&self) -> Vec<(String, String, usize)> {
        let mut named = Vec::new();
        for (gist, files) in &self.gists {
            for (name, node) in files {
                if let Node::File(file) = node {
                    named.push((gist.clone(), name.clone(), *file));
                }
            }
        }
        named
    }

    /// The process was killed: nothing is open, and of each file one of the safe versions is left.
    pub(crate) fn kill(&mut self, left: impl Fn(&str, &str, &Body) -> Vec<u8>) {
        self.handles.clear();
        for (gist, name, file) in self.named() {
            let bytes = left(&gist, &name, &self.files[file]);
            self.files[file].safe = vec![bytes.clone()];
            self.files[file].live = bytes;
        }
    }

    fn is_written(&self, file: usize) -> bool {
        self.handles.values().any(|open| open.file == file && open.writes)
    }

    pub(crate) fn write(&mut self, handle: usize, offset: usize, data: &[u8]) {
        let file = &mut self.files[self.handles[&handle].file];
        if data.is_empty() {
            return;
        }
        if file.live.len() < offset + data.len() {
            file.live.resize(offset + data.len(), 0);
        }
        file.live[offset..offset + data.len()].copy_from_slice(data);
    }

    pub(crate) fn truncate(&mut self, file: usize, size: usize) {
        let written = self.is_written(file);
        self.files[file].live.resize(size, 0);
        if !written {
            self.record(file);
        }
    }

    fn record(&mut self, file: usize) {
        let file = &mut self.files[file];
        file.safe = vec![file.live.clone()];
    }

    /// `close`, `fsync`, `dup2`: what was written is safe.
    pub(crate) fn flush(&mut self, handle: usize) {
        self.record(self.opened(handle));
    }

    pub(crate) fn release(&mut self, handle: usize) {
        // Every close flushes, a reader's too.
        let Some(open) = self.handles.remove(&handle) else { return };
        self.record(open.file);
    }

    /// Time has passed: what was written so far may have been recorded.
    pub(crate) fn may_record(&mut self) {
        for file in &mut self.files {
            if !file.safe.contains(&file.live) {
                file.safe.push(file.live.clone());
            }
        }
    }

    pub(crate) fn unlink(&mut self, gist: &str, name: &str) -> Outcome {
        let files = self.gists.get_mut(gist).ok_or(libc::ENOENT)?;
        files.remove(name).map(drop).ok_or(libc::ENOENT)
    }

    pub(crate) fn rmdir(&mut self, gist: &str) -> Outcome {
        if !self.gists.get(gist).ok_or(libc::ENOENT)?.is_empty() {
            return Err(libc::ENOTEMPTY);
        }
        self.gists.remove(gist);
        Ok(())
    }

    pub(crate) fn rename(
        &mut self,
        from: (&str, &str),
        to: (&str, &str),
        mode: RenameMode,
    ) -> Outcome {
        let node = self.gists.get(from.0).and_then(|files| files.get(from.1)).cloned();
        let node = node.ok_or(libc::ENOENT)?;
        let there = self.gists.get(to.0).ok_or(libc::ENOENT)?.get(to.1).cloned();
        match (mode, &there) {
            (RenameMode::NoReplace, Some(_)) => return Err(libc::EEXIST),
            (RenameMode::Exchange, None) => return Err(libc::ENOENT),
            (RenameMode::Exchange, Some(_)) if from.0 != to.0 => return Err(libc::EPERM),
            _ if from == to => return Ok(()),
            _ => {}
        }
        // A link may only be called what is never sent.
        let refused = |node: &Node, name: &str| {
            matches!(node, Node::Link(_)) && (from.0 != to.0 || !scratch::matches(name))
        };
        let back = there.filter(|_| mode == RenameMode::Exchange);
        if refused(&node, to.1) || back.as_ref().is_some_and(|back| refused(back, from.1)) {
            return Err(libc::EPERM);
        }
        self.gists.entry(from.0.into()).or_default().remove(from.1);
        self.put(to, node);
        if let Some(back) = back {
            self.put(from, back);
        }
        Ok(())
    }

    fn put(&mut self, (gist, name): (&str, &str), node: Node) {
        self.gists.entry(gist.into()).or_default().insert(name.into(), node);
    }

    pub(crate) fn rename_gist(&mut self, from: &str, to: &str, mode: RenameMode) -> Outcome {
        if !self.gists.contains_key(from) {
            return Err(libc::ENOENT);
        }
        let there = self.gists.get(to);
        match (mode, there) {
            (RenameMode::NoReplace, Some(_)) => return Err(libc::EEXIST),
            (RenameMode::Exchange, None) => return Err(libc::ENOENT),
            _ if from == to => return Ok(()),
            (RenameMode::Replace, Some(files)) if !files.is_empty() => {
                return Err(libc::ENOTEMPTY);
            }
            _ => {}
        }
        let files = self.gists.remove(from).unwrap_or_default();
        let other = self.gists.insert(to.into(), files);
        if let (RenameMode::Exchange, Some(other)) = (mode, other) {
            self.gists.insert(from.into(), other);
        }
        Ok(())
    }
}
