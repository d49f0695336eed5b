//! The same files in several file systems.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::mount::Mount;
use crate::place::{Place, Process, program, said, wait_until};
use crate::server::{self, FILES, Server};

/// A file system with the files.
pub(crate) struct Candidate {
    pub(crate) name: String,
    pub(crate) root: PathBuf,
    /// Every file.
    pub(crate) files: Vec<PathBuf>,
    /// What serves it, outermost first.
    mount: Option<Mount>,
    process: Option<Process>,
}

/// gistfs, then the alternatives. All of them have been read once.
pub(crate) struct Candidates {
    pub(crate) all: Vec<Candidate>,
    _server: Server,
}

impl Candidates {
    /// Gists with three small files each, also through rclone where there is one.
    pub(crate) fn small_files(place: &Place, gists: usize, slow: bool) -> Self {
        let files: Vec<PathBuf> = (0..gists)
            .flat_map(|gist| FILES.map(|name| Path::new(&server::title(gist)).join(name)))
            .collect();
        let data = place.on_disk("tree-data");
        server::fill(&data, gists);
        let mut made = Self::new(place, "tree", &data, &files, |directory| {
            server::fill_plain(directory, gists);
        });
        if !slow {
            return made;
        }
        match said(program("rclone").arg("version").stdout(Stdio::piped())) {
            Some(_) => made.all.push(rclone(place, &files)),
            None => eprintln!("bench: there is no rclone here"),
        }
        made
    }

    /// One gist with one file of 64 MB.
    pub(crate) fn large_file(place: &Place) -> Self {
        let data = place.on_disk("large-data");
        server::fill_large(&data);
        let file = Path::new(&server::title(0)).join(server::LARGE);
        Self::new(place, "large", &data, &[file], server::fill_plain_large)
    }

    fn new(
        place: &Place,
        name: &str,
        data: &Path,
        files: &[PathBuf],
        fill: impl Fn(&Path),
    ) -> Self {
        let below = |root: &Path| files.iter().map(|file| root.join(file)).collect::<Vec<_>>();
        let plain = |name: String, root: PathBuf| {
            fill(&root);
            Candidate { name, files: below(&root), root, mount: None, process: None }
        };
        let server = Server::start(data, 0);
        let mount = Mount::gistfs(&server.api, &place.on_disk(&format!("{name}-gistfs")), &[]);
        let disk = plain(place.disk_name(), place.on_disk(&format!("{name}-plain")));
        let memory = plain("tmpfs".to_owned(), place.in_memory(&format!("{name}-plain")));
        let bare = Mount::bare(&memory.root, &place.on_disk(&format!("{name}-bare")));
        let mounted = |name: &str, mount: Mount| Candidate {
            name: name.to_owned(),
            files: below(&mount.point),
            root: mount.point.clone(),
            mount: Some(mount),
            process: None,
        };
        let all = vec![mounted("gistfs", mount), mounted("bare FUSE", bare), disk, memory];
        for candidate in &all {
            candidate.read_all();
        }
        Self { all, _server: server }
    }
}

impl Candidate {
    /// How long those who serve it have computed, in ticks.
    pub(crate) fn ticks(&self) -> u64 {
        let mount = self.mount.as_ref().map(|mount| &mount.process);
        mount.into_iter().chain(&self.process).map(Process::ticks).sum()
    }

    /// Reads all files, also those that come in their own time.
    fn read_all(&self) {
        for file in &self.files {
            wait_until("a file is there", || std::fs::read(file).is_ok());
        }
    }
}

/// `rclone mount` of the plain files, which `rclone serve webdav` serves.
fn rclone(place: &Place, files: &[PathBuf]) -> Candidate {
    // Taken by whoever comes first; nobody else is looking for one here.
    let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
    let address = port.expect("a free port").to_string();
    let home = place.on_disk("rclone");
    let mut serve = program("rclone");
    serve.env("RCLONE_CONFIG", home.join("rclone.conf")).args(["serve", "webdav"]);
    serve.arg(place.on_disk("tree-plain")).args(["--addr", &address]);
    let process = Process::start(&mut serve);
    wait_until("rclone serves", || std::net::TcpStream::connect(&address).is_ok());
    let mount = Mount::rclone(&format!("http://{address}"), &home);
    let root = mount.point.clone();
    let candidate = Candidate {
        name: "rclone WebDAV".to_owned(),
        files: files.iter().map(|file| root.join(file)).collect(),
        root,
        mount: Some(mount),
        process: Some(process),
    };
    candidate.read_all();
    candidate
}
