//! What only git brings to GitHub: contents, plain clones of them, and the requests they take.

use std::collections::BTreeMap;
use std::path::Path;

use gistfs::demo::{LoggedRequest, Origin};

use crate::world::{World, said, wait_until};

/// Files by name.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// How each image begins, besides what images are.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";

/// Bytes that do not compress and are no text; `seed` makes others.
pub(crate) fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2).wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut bytes = vec![0xff];
    while bytes.len() < length {
        bytes.extend_from_slice(&next());
    }
    bytes.truncate(length);
    bytes
}

/// An image, as far as anybody here can tell.
pub(crate) fn image(length: usize, seed: u64) -> Vec<u8> {
    [PNG, &noise(length, seed)].concat()
}

/// One file of every kind that REST would mangle or refuse, and of those beside it.
pub(crate) fn contents() -> Files {
    let megabyte = 1 << 20;
    let files: [(&str, Vec<u8>); 14] = [
        ("a.png", image(30_000, 1)),
        ("all-bytes.bin", (0..=255).collect()),
        ("bom.txt", b"\xef\xbb\xbfmark\n".to_vec()),
        ("cr.txt", b"one\rtwo\r".to_vec()),
        ("crlf.txt", b"one\r\ntwo\r\n".to_vec()),
        ("empty", Vec::new()),
        ("latin.txt", b"caf\xe9\n".to_vec()),
        ("mixed.txt", b"one\r\ntwo\nthree\rfour".to_vec()),
        ("nul.dat", b"a\0b\0".to_vec()),
        ("space.txt", b" \n\t\n".to_vec()),
        ("text.txt", "plain é\n".into()),
        ("under.bin", noise(megabyte - 1, 2)),
        ("exact.txt", b"0123456789abcde\n".repeat(megabyte / 16)),
        ("over.bin", noise(megabyte + 1, 3)),
    ];
    files.into_iter().map(|(name, bytes)| (name.to_owned(), bytes)).collect()
}

/// The regular files of a directory.
#[track_caller]
pub(crate) fn files_in(directory: &Path) -> Files {
    let entries = std::fs::read_dir(directory).unwrap_or_else(|e| panic!("{directory:?}: {e}"));
    let entries =
        entries.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_file());
    let read = |path: &Path| std::fs::read(path).unwrap_or_else(|e| panic!("{path:?}: {e}"));
    let name = |path: &Path| path.file_name().and_then(|n| n.to_str()).expect("UTF-8").to_owned();
    entries.map(|path| (name(&path), read(&path))).collect()
}

/// The same files with the same bytes; which differ is told without printing megabytes.
#[track_caller]
pub(crate) fn expect_same(what: &str, found: &Files, wanted: &Files) {
    let show = |files: &Files, name: &String| {
        files.get(name).map(|bytes| {
            (bytes.len(), String::from_utf8_lossy(&bytes[..bytes.len().min(40)]).into_owned())
        })
    };
    let names = found.keys().chain(wanted.keys());
    let wrong: Vec<_> = names
        .filter(|name| found.get(*name) != wanted.get(*name))
        .map(|name| {
            format!("{name:?}: is {:?}, should be {:?}", show(found, name), show(wanted, name))
        })
        .collect();
    assert!(wrong.is_empty(), "{what}:\n{}", wrong.join("\n"));
}

impl World {
    /// Writes files into a directory of the mount.
    #[track_caller]
    pub(crate) fn put(&self, directory: &str, files: &Files) {
        for (name, bytes) in files {
            let path = self.path(directory).join(name);
            std::fs::write(&path, bytes).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        }
    }

    /// `gistfs sync`, after which nothing is owed.
    #[track_caller]
    pub(crate) fn synced(&self) {
        let out = self.gistfs(&["sync"]).arg(self.point()).output().expect("gistfs runs");
        assert!(out.status.success(), "{}", said(&out));
    }

    /// Forgets all that is kept here, and mounts as if for the first time.
    #[track_caller]
    pub(crate) fn mount_anew(&mut self, options: &[&str]) {
        self.unmount();
        std::fs::remove_dir_all(self.state()).expect("the state goes");
        self.mount(options);
    }

    /// The address of a gist's repository, with what opens it.
    pub(crate) fn remote(&self, id: &str) -> String {
        let raw = self.server.raw_url().replace("http://", "http://octo:demo-token@");
        format!("{raw}/{id}.git")
    }

    /// Plain git in a directory beside the mount. It must succeed.
    #[track_caller]
    pub(crate) fn git(&self, directory: &Path, arguments: &[&str]) -> String {
        let mut git = self.program("git");
        git.args(arguments).current_dir(directory).env("GIT_CONFIG_NOSYSTEM", "1");
        for who in ["AUTHOR", "COMMITTER"] {
            git.env(format!("GIT_{who}_NAME"), "Else")
                .env(format!("GIT_{who}_EMAIL"), "else@where");
        }
        let out = git.output().expect("git runs");
        assert!(out.status.success(), "{arguments:?}: {}", said(&out));
        String::from_utf8(out.stdout).expect("text")
    }

    /// A plain clone of a gist beside the mount.
    #[track_caller]
    pub(crate) fn clone_of(&self, id: &str) -> tempfile::TempDir {
        let clone = tempfile::tempdir_in(self.work()).expect("a directory");
        self.git(clone.path(), &["clone", "-q", &self.remote(id), "."]);
        clone
    }

    /// Server, plain clone and a mount that knows nothing yet have exactly these files.
    #[track_caller]
    pub(crate) fn same_everywhere(&mut self, id: &str, directory: &str, files: &Files) {
        expect_same("the mount", &files_in(&self.path(directory)), files);
        expect_same("GitHub", &self.server.files(id).expect("the gist"), files);
        expect_same("a clone", &files_in(self.clone_of(id).path()), files);
        self.mount_anew(&[]);
        for (name, bytes) in files {
            let size = std::fs::metadata(self.path(directory).join(name)).map(|m| m.len()).ok();
            assert_eq!(size, Some(bytes.len() as u64), "the size of {name:?}");
        }
        expect_same("a new mount", &files_in(&self.path(directory)), files);
    }

    /// What was asked about a gist since the log was emptied, in few words.
    pub(crate) fn asked_about(&self, id: &str) -> Vec<String> {
        let requests = self.server.requests();
        requests.iter().filter(|r| r.path.contains(id)).map(in_words).collect()
    }

    /// All that was asked of git since the log was emptied.
    pub(crate) fn asked_of_git(&self) -> Vec<String> {
        let requests = self.server.requests();
        requests.iter().filter(|r| r.origin == Origin::Git).map(in_words).collect()
    }

    /// How often something was pushed; the four bytes by which git finds out whether it may do not
    /// count.
    pub(crate) fn pushes(&self) -> usize {
        let push = |r: &&LoggedRequest| r.path.ends_with("/git-receive-pack") && r.body.len() > 4;
        self.server.requests().iter().filter(push).count()
    }

    /// How many requests of this method the API got, canaries left out.
    pub(crate) fn told_api(&self, method: &str) -> usize {
        let changes = self.changes();
        changes.iter().filter(|r| r.origin == Origin::Api && r.method == method).count()
    }

    /// Waits until git has asked for this, whether it was answered or not.
    #[track_caller]
    pub(crate) fn wait_for_git(&self, method: &str, path: &str) {
        wait_until(&format!("git asks: {method} {path}"), || {
            let asked = |r: &LoggedRequest| {
                r.origin == Origin::Git
                    && r.method == method
                    && format!("{}?{}", r.path, r.query).contains(path)
            };
            self.server.requests().iter().any(asked)
        });
    }

    /// How the gist of this title stands, as `gistfs status --json` tells it; `None` if nothing of it
    /// is owed.
    pub(crate) fn owed(&self, title: &str) -> Option<serde_json::Value> {
        let status = self.status();
        let owing = status["owing"].as_array().expect("a list");
        owing.iter().find(|gist| gist["title"] == title).cloned()
    }

    /// Below the state directory nothing is left of git's work, nor half a body.
    #[track_caller]
    pub(crate) fn expect_tidy(&self) {
        for name in ["git", "work"] {
            for directory in directories_named(&self.state(), name) {
                let left: Vec<_> = std::fs::read_dir(&directory).expect("it lists").collect();
                assert!(left.is_empty(), "{directory:?}: {left:?}");
            }
        }
    }
}

fn directories_named(below: &Path, name: &str) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(below).into_iter().flatten() {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(directories_named(&path, name));
            if path.file_name().is_some_and(|it| it == name) {
                found.push(path);
            }
        }
    }
    found
}

/// `PATCH`, `GET raw`, `POST git-upload-pack`, with the status where it is none of success.
fn in_words(r: &LoggedRequest) -> String {
    let what = match r.origin {
        Origin::Api => {
            r.path.splitn(4, '/').nth(3).map_or(String::new(), |rest| format!(" {rest}"))
        }
        Origin::Raw => " raw".to_owned(),
        Origin::Git => {
            let tail = r.path.split_once(".git/").map_or("", |(_, tail)| tail);
            let service = r.query.strip_prefix("service=").unwrap_or_default();
            format!(" {tail} {service}").trim_end().to_owned()
        }
    };
    let status =
        if matches!(r.status, 200..300 | 304) { String::new() } else { format!(" {}", r.status) };
    format!("{}{what}{status}", r.method)
}
