"""gistfs itself: what file tools do to a mount, and what they see there."""

import os
import pathlib
import subprocess

from world import ANY, TOKENS, Gist, Place, wait_for


class Mount:
    """octo's gists, mounted."""

    name = "gistfs"
    # Seen a moment after the change: every refresh tells the kernel.
    eventually = True
    # Parts of the scenario for which the mount has no word yet.
    cannot_yet = ("public_gist", "social")

    def __init__(self, world, find):
        self.world = world
        # The id of a gist with this description, as another client tells it.
        self.find = find
        self.point = world.directory / "mnt"
        self.point.mkdir()
        self.log = world.directory / "mount.log"
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [self.world.gistfs, "mount", "--foreground", "--api-url", self.world.api,
             "--state-dir", self.world.directory / "state", "--refresh", "1",
             "--log-file", self.log, self.point],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env=self.world.environment | {"GH_TOKEN": TOKENS["octo"]})

        def ready():
            if self.process.poll() is not None:
                raise RuntimeError(self.log.read_text())
            return os.path.ismount(self.point)

        wait_for("the mount", ready)

    def stop(self):
        self.process.terminate()
        left = self.process.wait()
        if left != 0:
            raise RuntimeError(f"the mount ended with {left}: {self.log.read_text()[-2000:]}")

    def close(self):
        if self.process.poll() is None:
            self.stop()

    def look_again(self):
        """A deletion elsewhere shows where the whole list is read: every 10 minutes, and at once
        in a new mount."""
        self.stop()
        self.start()

    def sync(self):
        self.run("sync", self.point)

    def run(self, *arguments):
        subprocess.run([self.world.gistfs, *arguments], check=True, capture_output=True,
                       env=self.world.environment | {"GH_TOKEN": TOKENS["octo"]})

    def directory(self, place):
        return self.point / place.description

    # What it shows.

    def gist(self, place):
        directory = self.directory(place)
        files = {entry.name: entry.read_text() for entry in directory.iterdir()}
        return Gist(directory.name, ANY, files)

    def mine(self):
        return sorted((entry.name, ANY, len(list(entry.iterdir())))
                      for entry in self.point.iterdir())

    def exists(self, place):
        return self.directory(place).exists()

    # What it does.

    def create(self, gist):
        directory = self.point / gist.description
        directory.mkdir()
        for name, text in gist.files.items():
            (directory / name).write_text(text)
        self.sync()
        return Place(self.find(gist.description), "octo", gist.description)

    def write(self, place, name, text):
        (self.directory(place) / name).write_text(text)
        self.sync()

    def rename(self, place, old, new):
        (self.directory(place) / old).rename(self.directory(place) / new)
        self.sync()

    def remove(self, place, name):
        (self.directory(place) / name).unlink()
        self.sync()

    def describe(self, place, description):
        self.directory(place).rename(self.point / description)
        self.sync()

    def delete(self, place):
        directory = self.directory(place)
        for entry in directory.iterdir():
            entry.unlink()
        pathlib.Path(directory).rmdir()
        self.sync()
