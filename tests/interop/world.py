"""The server, the mount, and what a gist is expected to be, in plain words."""

import dataclasses
import os
import pathlib
import shutil
import subprocess
import tempfile
import time
from unittest.mock import ANY  # equal to everything: what a client does not show

PATIENCE = 30
TOKENS = {"octo": "demo-token", "hubot": "hubot-token"}


@dataclasses.dataclass
class Gist:
    """What there is to a gist, whoever tells it."""

    description: str
    public: bool
    files: dict

    def listed(self):
        """What lists show of it."""
        return self.description, self.public, len(self.files)


@dataclasses.dataclass
class Place:
    """Where a gist is: by its id for the API, by owner and description in a mount."""

    id: str
    owner: str
    description: str


def wait_for(what, condition):
    """Waits until the condition holds, and returns what it said."""
    end = time.monotonic() + PATIENCE
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {PATIENCE} s")
        time.sleep(0.02)


class World:
    """`gistfs serve --enterprise`, and a temporary directory for everything."""

    def __init__(self, gistfs):
        self.gistfs = gistfs
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="gistfs-interop."))
        # Nothing of whoever runs this may show in what is tested.
        self.environment = {"HOME": str(self.directory), "PATH": os.environ["PATH"],
                            "LANG": "C.UTF-8", "XDG_RUNTIME_DIR": str(self.directory / "run")}
        (self.directory / "run").mkdir(mode=0o700)
        log = self.directory / "serve.log"
        with log.open("w") as out:
            self.server = subprocess.Popen(
                [gistfs, "serve", "--enterprise", "--port", "0", "--data", self.directory / "data"],
                stdout=out, stderr=subprocess.STDOUT, env=self.environment)

        def said():
            if self.server.poll() is not None:
                raise RuntimeError(log.read_text())
            lines = log.read_text().splitlines()
            return next((line.split()[1] for line in lines if line.startswith("API:")), None)

        self.api = wait_for("the server", said)
        self.origin = self.api.removesuffix("/api/v3")

    def close(self):
        self.server.terminate()
        self.server.wait()
        shutil.rmtree(self.directory)
