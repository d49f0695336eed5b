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
            stdout=subprocess.DEVNULL,
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
        own = place.owner == "octo"
        return self.point / (place.description if own else f".by-id/{place.id}")

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

    def public(self):
        return self.view(".public")

    def of_user(self, login):
        return self.view(f".users/{login}")

    def view(self, name):
        """The gists of a view, as lists show them."""
        gists = [(self.value(path, "description"), self.value(path, "visibility") == "public",
                  len(list(path.iterdir()))) for path in (self.point / name).iterdir()]
        return sorted(gists)

    def starred(self):
        return sorted(self.value(path, "id") for path in (self.point / ".starred").iterdir())

    def is_starred(self, place):
        return self.value(self.directory(place), "starred") == "1"

    def comments(self, place):
        # NUMBER-LOGIN-ID.md; a login may have hyphens.
        return [(path.name.split("-", 1)[1].rsplit("-", 1)[0], path.read_text().removesuffix("\n"))
                for path in self.comment_files(place)]

    def comment_files(self, place):
        return sorted((self.directory(place) / ".gist/comments").iterdir())

    def commits(self, place):
        # DATE-SHA7, newest first.
        names = os.listdir(self.directory(place) / ".gist/history")
        return [name.rsplit("-", 1)[1] for name in names]

    def forks(self, place):
        lines = self.value(self.directory(place), "forks").splitlines()
        return [line.split()[0] for line in lines]

    @staticmethod
    def value(directory, name):
        """A value of a gist's control directory."""
        return (directory / ".gist" / name).read_text().removesuffix("\n")

    # What it does.

    def create(self, gist):
        directory = self.point / gist.description
        directory.mkdir()
        if gist.public:
            (directory / ".gist/visibility").write_text("public\n")
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

    def star(self, place):
        (self.directory(place) / ".gist/starred").write_text("1\n")

    def unstar(self, place):
        (self.directory(place) / ".gist/starred").write_text("0\n")

    def comment(self, place, text):
        (self.directory(place) / ".gist/comments/new.md").write_text(text)

    def edit_comment(self, place, text):
        self.comment_files(place)[-1].write_text(text)

    def delete_comment(self, place):
        self.comment_files(place)[-1].unlink()

    def fork(self, place):
        self.run("fork", self.directory(place))
        return Place(self.find(place.description), "octo", place.description)

    def delete(self, place):
        directory = self.directory(place)
        for entry in directory.iterdir():
            entry.unlink()
        pathlib.Path(directory).rmdir()
        self.sync()
