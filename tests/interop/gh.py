"""GitHub's command: `gh gist` where it has a word for it, else `gh api`."""

import json
import subprocess

from front import Front
from world import TOKENS, Gist, Place


class Gh:
    """octo through gh, over TLS."""

    name = "gh"
    eventually = False

    def __init__(self, world, program):
        self.program = program
        self.directory = world.directory / "gh"
        self.directory.mkdir()
        self.front = Front(world.origin, self.directory)
        self.environment = world.environment | {
            "GH_HOST": self.front.host, "GH_ENTERPRISE_TOKEN": TOKENS["octo"],
            "GH_CONFIG_DIR": str(self.directory / "config"), "GH_PROMPT_DISABLED": "1",
            "GH_NO_UPDATE_NOTIFIER": "1", "SSL_CERT_FILE": str(self.front.certificate)}

    def close(self):
        self.front.close()

    def gh(self, *arguments, text=None):
        done = subprocess.run([self.program, *arguments], input=text, env=self.environment,
                              cwd=self.directory, capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise RuntimeError(f"gh {' '.join(map(str, arguments))}: {done.stderr.strip()}")
        return done.stdout

    def api(self, path, method="GET", body=None):
        given = [] if body is None else ["--input", "-"]
        return self.gh("api", "--method", method, path, *given,
                       text=None if body is None else json.dumps(body))

    def pages(self, path):
        """All items of a list, over as many pages as it takes; gh prints one array after another."""
        text = self.gh("api", "--paginate", f"{path}?per_page=3", "--jq", ".[]")
        return [json.loads(line) for line in text.splitlines()]

    # What it shows.

    def gist(self, place):
        names = self.gh("gist", "view", place.id, "--files").splitlines()
        files = {name: self.text(place, name) for name in names}
        rows = self.gh("gist", "list", "--limit", "100").splitlines()
        rows = [row.split("\t") for row in rows]
        description, public = next((row[1], row[3] == "public") for row in rows
                                   if row[0] == place.id)
        return Gist(description, public, files)

    def text(self, place, name):
        """A file's text; `gh gist view` ends the last line where the file does not."""
        viewed = self.gh("gist", "view", place.id, "--raw", "--filename", name)
        text = json.loads(self.api(f"gists/{place.id}"))["files"][name]["content"]
        if viewed.removesuffix("\n") != text.removesuffix("\n"):
            raise ValueError(f"gh shows {viewed!r} for {text!r}")
        return text

    def mine(self):
        rows = self.gh("gist", "list", "--limit", "100").splitlines()
        rows = [row.split("\t") for row in rows]
        return sorted((row[1], row[3] == "public", int(row[2].split()[0])) for row in rows)

    def public(self):
        return listed(self.pages("gists/public"))

    def of_user(self, login):
        return listed(self.pages(f"users/{login}/gists"))

    def starred(self):
        return sorted(gist["id"] for gist in self.pages("gists/starred"))

    def is_starred(self, place):
        return self.found(f"gists/{place.id}/star")

    def comments(self, place):
        return [(comment["user"]["login"], comment["body"])
                for comment in self.pages(f"gists/{place.id}/comments")]

    def commits(self, place):
        return [commit["version"][:7] for commit in self.pages(f"gists/{place.id}/commits")]

    def forks(self, place):
        return [fork["id"] for fork in self.pages(f"gists/{place.id}/forks")]

    def exists(self, place):
        return self.found(f"gists/{place.id}")

    def found(self, path):
        try:
            self.api(path)
        except RuntimeError as error:
            if "HTTP 404" not in str(error):
                raise
            return False
        return True

    # What it does.

    def create(self, gist):
        for name, text in gist.files.items():
            (self.directory / name).write_text(text)
        public = ["--public"] if gist.public else []
        out = self.gh("gist", "create", *public, "--desc", gist.description, *gist.files)
        return Place(out.strip().rsplit("/", 1)[1], "octo", gist.description)

    def write(self, place, name, text):
        (self.directory / name).write_text(text)
        if name in self.gh("gist", "view", place.id, "--files").splitlines():
            self.gh("gist", "edit", place.id, "--filename", name, self.directory / name)
        else:
            self.gh("gist", "edit", place.id, "--add", self.directory / name)

    def rename(self, place, old, new):
        self.api(f"gists/{place.id}", "PATCH", {"files": {old: {"filename": new}}})

    def remove(self, place, name):
        self.api(f"gists/{place.id}", "PATCH", {"files": {name: None}})

    def describe(self, place, description):
        # It asks for a file as well, so it gets one as it is.
        name = self.gh("gist", "view", place.id, "--files").splitlines()[0]
        (self.directory / name).write_text(self.text(place, name))
        self.gh("gist", "edit", place.id, "--desc", description, "--filename", name,
                self.directory / name)

    def star(self, place):
        self.api(f"gists/{place.id}/star", "PUT")

    def unstar(self, place):
        self.api(f"gists/{place.id}/star", "DELETE")

    def comment(self, place, text):
        self.api(f"gists/{place.id}/comments", "POST", {"body": text})

    def edit_comment(self, place, text):
        self.api(self.last_comment(place), "PATCH", {"body": text})

    def delete_comment(self, place):
        self.api(self.last_comment(place), "DELETE")

    def last_comment(self, place):
        number = self.pages(f"gists/{place.id}/comments")[-1]["id"]
        return f"gists/{place.id}/comments/{number}"

    def fork(self, place):
        made = json.loads(self.api(f"gists/{place.id}/forks", "POST"))
        return Place(made["id"], "octo", place.description)

    def delete(self, place):
        self.gh("gist", "delete", place.id)


def listed(gists):
    return sorted((gist["description"], gist["public"], len(gist["files"])) for gist in gists)
