"""Whatever one client does to gists, every other one sees: gistfs, gh, PyGithub, dlt.

Usage: clients.py GISTFS GH. Prints a line a check, and exits with 1 if one failed.
"""

import signal
import subprocess
import sys
import traceback

from dlt_rest import Dlt
from gh import Gh
from mounted import Mount
from pygithub import PyGithub
from world import Gist, World, wait_for

# What every client is asked about, by the method that answers. Who cannot answer has failed.
QUESTIONS = ["gist", "exists", "mine", "public", "of_user", "starred", "is_starred", "comments",
             "commits", "forks"]


class Checks:
    """What was asked, of whom, and how often the answer was wrong."""

    def __init__(self, readers):
        self.readers = readers
        self.asked = set()
        self.passed = self.failed = 0

    def line(self, right, *words):
        self.passed += right
        self.failed += not right
        print("ok    " if right else "FAILED", " ".join(words), flush=True)

    def seen(self, deed, question, *about, expected):
        """Asks everybody this question."""
        self.asked.add(question)
        for reader in self.readers:
            ask = getattr(reader, question, None)
            said = "no word for it" if ask is None else self.answer(reader, ask, about, expected)
            right = said == expected
            self.line(right, f"{deed:34} {question:10} as {reader.name} shows it")
            if not right:
                print(f"       expected {expected}\n       got      {said}")

    @staticmethod
    def answer(reader, ask, about, expected):
        said = None

        def right():
            nonlocal said
            try:
                said = ask(*about)
            except OSError as error:
                # What is renamed or replaced while it is read is there the next time.
                if not reader.eventually:
                    raise
                said = error
            return said == expected

        if reader.eventually:
            try:
                wait_for("the change", right)
            except TimeoutError:
                pass
        else:
            right()
        return said


class Scenario:
    """The life of gists in the hands of one client, watched by all."""

    def __init__(self, world, checks, stranger, mount):
        self.world = world
        self.checks = checks
        self.stranger = stranger
        self.mount = mount
        # octo's gists as they should be, by id.
        self.gists = {}

    def listed(self, *, public_only=False):
        gists = self.gists.values()
        return sorted(gist.listed() for gist in gists if gist.public or not public_only)

    def versions(self, place):
        """The commits, newest first, as git itself knows them, in the form that all show."""
        (repository,) = (self.world.directory / "data").glob(f"gists/{place.id}*/")
        log = subprocess.run(["git", "-C", repository, "log", "--format=%h", "--abbrev=7"], check=True,
                             capture_output=True, text=True, env=self.world.environment)
        return log.stdout.split()

    def run(self, actor):
        for part in (self.own_gist, self.public_gist, self.social):
            try:
                part(actor)
            except Exception as error:  # the other parts and actors still have their say
                self.checks.line(False, f"{actor.name}: {part.__name__}: {error}")
                traceback.print_exc()

    def own_gist(self, actor):
        """A secret gist from its creation to its end."""
        name, seen = actor.name, self.checks.seen
        gist = Gist(f"made by {name}", False, {"a.md": "one\n", "ü b.txt": "zwei ✓\n\nthree"})
        place = actor.create(gist)
        self.gists[place.id] = gist
        seen(f"{name} creates a gist", "gist", place, expected=gist)
        seen(f"{name} creates a gist", "mine", expected=self.listed())

        gist.files["a.md"] = "one\ntwo\n"
        actor.write(place, "a.md", gist.files["a.md"])
        seen(f"{name} edits a file", "gist", place, expected=gist)

        gist.files["c.py"] = "print('hello')\n"
        actor.write(place, "c.py", gist.files["c.py"])
        seen(f"{name} adds a file", "gist", place, expected=gist)

        gist.files["d.md"] = gist.files.pop("a.md")
        actor.rename(place, "a.md", "d.md")
        seen(f"{name} renames a file", "gist", place, expected=gist)

        del gist.files["c.py"]
        actor.remove(place, "c.py")
        seen(f"{name} removes a file", "gist", place, expected=gist)
        versions = self.versions(place)
        self.checks.line(len(versions) == 5, f"{name} made 5 commits with 5 changes")
        seen(f"{name} made {len(versions)} commits", "commits", place, expected=versions)

        gist.description = f"described by {name}"
        actor.describe(place, gist.description)
        place.description = gist.description
        seen(f"{name} describes a gist", "gist", place, expected=gist)

        actor.delete(place)
        del self.gists[place.id]
        if actor is not self.mount:
            self.mount.look_again()
        seen(f"{name} deletes a gist", "exists", place, expected=False)
        seen(f"{name} deletes a gist", "mine", expected=self.listed())

    def public_gist(self, actor):
        name, seen = actor.name, self.checks.seen
        gist = Gist(f"for all by {name}", True, {"e.txt": "everybody\n"})
        place = actor.create(gist)
        self.gists[place.id] = gist
        public = self.listed(public_only=True)
        seen(f"{name} creates a public gist", "gist", place, expected=gist)
        seen(f"{name} creates a public gist", "of_user", "octo", expected=public)
        everybodys = sorted(public + self.stranger.mine())
        seen(f"{name} creates a public gist", "public", expected=everybodys)

    def social(self, actor):
        """Stars, comments and a fork of somebody else's gist."""
        name, seen = actor.name, self.checks.seen
        gist = Gist(f"hubot's for {name}", True, {"f.txt": "look\n"})
        place = self.stranger.create(gist)
        for star, deed in ((True, "stars"), (False, "unstars")):
            (actor.star if star else actor.unstar)(place)
            seen(f"{name} {deed} a gist", "is_starred", place, expected=star)
            seen(f"{name} {deed} a gist", "starred", expected=[place.id] if star else [])

        self.stranger.comment(place, "hubot's own")
        actor.comment(place, "nice\n\n*really* ✓")
        said = [("hubot", "hubot's own"), ("octo", "nice\n\n*really* ✓")]
        seen(f"{name} comments", "comments", place, expected=said)
        said[1] = ("octo", "even nicer")
        actor.edit_comment(place, said[1][1])
        seen(f"{name} edits the comment", "comments", place, expected=said)
        actor.delete_comment(place)
        seen(f"{name} deletes the comment", "comments", place, expected=said[:1])

        fork = actor.fork(place)
        self.gists[fork.id] = gist
        seen(f"{name} forks a gist", "forks", place, expected=[fork.id])
        seen(f"{name} forks a gist", "gist", fork, expected=gist)


def main(gistfs, gh_program):
    world = World(gistfs)
    clients = []
    try:
        pygithub, stranger = PyGithub(world), PyGithub(world, "hubot")
        clients += [pygithub, stranger, Gh(world, gh_program), Dlt(world)]
        mount = Mount(world, pygithub.find)
        clients.append(mount)
        readers = [client for client in clients if client is not stranger]
        checks = Checks(readers)
        scenario = Scenario(world, checks, stranger, mount)
        for actor in readers:
            if hasattr(actor, "create"):
                scenario.run(actor)
        everything = checks.asked == set(QUESTIONS)
        checks.line(everything, f"{len(QUESTIONS)} questions were asked, of everybody")
        print(f"{checks.passed} checks passed, {checks.failed} failed")
        return 1 if checks.failed else 0
    finally:
        for client in reversed(clients):
            client.close()
        world.close()


if __name__ == "__main__":
    # Whoever ends it does not leave a mount behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sys.exit(main(*sys.argv[1:]))
