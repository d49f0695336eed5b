"""dlt's REST source, which reads the nine resources and writes none."""

from dlt.sources.rest_api import rest_api_source

from world import TOKENS, Gist


def starred_or_not(response, *_args, **_kwargs):
    """The star check answers by its status alone; dlt reads rows."""
    response._content = b'[{"starred": %s}]' % (b"true" if response.status_code == 204 else b"false")
    response.status_code = 200


class Dlt:
    """octo's resources as rows."""

    name = "dlt"
    eventually = False

    def __init__(self, world):
        self.client = {
            "base_url": f"{world.api}/",
            "auth": {"type": "bearer", "token": TOKENS["octo"]},
            "paginator": "header_link",
        }

    def close(self):
        """Nothing stays open."""

    def rows(self, name, path, **endpoint):
        source = rest_api_source({
            "client": self.client,
            "resources": [{"name": name, "endpoint": {"path": path, **endpoint}}],
        })
        return list(source.resources[name])

    def pages(self, name, path):
        return self.rows(name, path, params={"per_page": 3})

    # What it shows: one method a resource.

    def mine(self):
        return listed(self.pages("gists", "gists"))

    def public(self):
        return listed(self.pages("public", "gists/public"))

    def starred(self):
        return sorted(gist["id"] for gist in self.pages("starred", "gists/starred"))

    def gist(self, place):
        (gist,) = self.one(place)
        files = {name: file["content"] for name, file in gist["files"].items()}
        return Gist(gist["description"], gist["public"], files)

    def one(self, place):
        return self.rows("gist", f"gists/{place.id}", paginator="single_page", data_selector="$",
                         response_actions=[{"status_code": 404, "action": "ignore"}])

    def exists(self, place):
        return bool(self.one(place))

    def of_user(self, login):
        return listed(self.pages("user_gists", f"users/{login}/gists"))

    def comments(self, place):
        return [(comment["user"]["login"], comment["body"])
                for comment in self.pages("comments", f"gists/{place.id}/comments")]

    def commits(self, place):
        return [commit["version"][:7] for commit in self.pages("commits", f"gists/{place.id}/commits")]

    def forks(self, place):
        return [fork["id"] for fork in self.pages("forks", f"gists/{place.id}/forks")]

    def is_starred(self, place):
        (row,) = self.rows("star_check", f"gists/{place.id}/star", paginator="single_page",
                           response_actions=[{"status_code": 204, "action": starred_or_not},
                                             {"status_code": 404, "action": starred_or_not}])
        return row["starred"]


def listed(gists):
    return sorted((gist["description"], gist["public"], len(gist["files"])) for gist in gists)
