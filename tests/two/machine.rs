//! One machine: a home, a mount and a cable to the server.

use std::path::PathBuf;
use std::process::{Command, Output};

use gistfs::demo::Server;
use tempfile::TempDir;

use crate::cable::Cable;
use crate::mounted::{GISTFS, Mount};

pub(crate) struct Machine {
    _mount: Mount,
    pub(crate) cable: Cable,
    home: TempDir,
    /// After the mount: removed when nothing is mounted on it any more.
    place: TempDir,
}

impl Machine {
    pub(crate) fn start(server: &Server) -> Self {
        let home = tempfile::Builder::new().prefix("gistfs-").tempdir().expect("a home");
        std::fs::create_dir(home.path().join("run")).expect("a directory");
        let place = tempfile::Builder::new().prefix("two-").tempdir_in(env!("CARGO_TARGET_TMPDIR"));
        let place = place.expect("a place to mount");
        let api = server.api_url();
        let address = api.strip_prefix("http://").and_then(|address| address.parse().ok());
        let cable = Cable::to(address.expect("an address"));
        let mut command = gistfs(&home);
        command.args(["mount", "--foreground", "-v", "--write-interval", "0"]);
        command.args(["--write-back", "0.05", "--refresh", "0.3", "--api-url", &cable.url()]);
        // This server's reads do not lag; ours are told so, and nobody waits for them.
        command.args(["--read-lag", "2"]);
        command.arg("--state-dir").arg(home.path().join("state")).arg(place.path());
        let mount = Mount::start(&mut command, place.path(), home.path().join("log"));
        Self { _mount: mount, cable, home, place }
    }

    pub(crate) fn point(&self) -> PathBuf {
        self.place.path().to_owned()
    }

    /// `gistfs` with this machine's environment.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        gistfs(&self.home).args(arguments).arg(self.point()).output().expect("gistfs runs")
    }
}

fn gistfs(home: &TempDir) -> Command {
    let mut command = Command::new(GISTFS);
    command
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
        .env("HOME", home.path())
        .env("XDG_RUNTIME_DIR", home.path().join("run"))
        .env("TMPDIR", home.path())
        .env("GH_TOKEN", "demo-token");
    command
}
