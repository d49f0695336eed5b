"""PyGithub."""

import github

from world import TOKENS, Gist, Place


class PyGithub:
    """octo, or somebody else, through PyGithub."""

    name = "PyGithub"
    eventually = False

    def __init__(self, world, login="octo"):
        self.login = login
        self.github = github.Github(
            base_url=world.api, auth=github.Auth.Token(TOKENS[login]), per_page=3, retry=None,
            seconds_between_requests=0, seconds_between_writes=0)

    def close(self):
        self.github.close()

    def find(self, description):
        """The id of the gist of one's own with this description."""
        found = [gist.id for gist in self.github.get_user().get_gists()
                 if gist.description == description]
        if len(found) != 1:
            raise LookupError(f"{len(found)} gists are called {description}")
        return found[0]

    # What it shows.

    def gist(self, place):
        gist = self.github.get_gist(place.id)
        files = {name: file.content for name, file in gist.files.items()}
        return Gist(gist.description, gist.public, files)

    def mine(self):
        return listed(self.github.get_user().get_gists())

    def public(self):
        return listed(self.github.get_gists())

    def of_user(self, login):
        return listed(self.github.get_user(login).get_gists())

    def starred(self):
        return sorted(gist.id for gist in self.github.get_user().get_starred_gists())

    def is_starred(self, place):
        return self.github.get_gist(place.id).is_starred()

    def comments(self, place):
        comments = self.github.get_gist(place.id).get_comments()
        return [(comment.user.login, comment.body) for comment in comments]

    def commits(self, place):
        return [state.version[:7] for state in self.github.get_gist(place.id).history]

    def forks(self, place):
        return [fork.id for fork in self.github.get_gist(place.id).forks]

    def exists(self, place):
        try:
            self.github.get_gist(place.id)
        except github.UnknownObjectException:
            return False
        return True

    # What it does.

    def create(self, gist):
        files = {name: github.InputFileContent(text) for name, text in gist.files.items()}
        made = self.github.get_user().create_gist(gist.public, files, gist.description)
        return Place(made.id, self.login, gist.description)

    def edit(self, place, **change):
        self.github.get_gist(place.id).edit(**change)

    def write(self, place, name, text):
        self.edit(place, files={name: github.InputFileContent(text)})

    def rename(self, place, old, new):
        text = self.gist(place).files[old]
        self.edit(place, files={old: github.InputFileContent(text, new_name=new)})

    def remove(self, place, name):
        self.edit(place, files={name: None})

    def describe(self, place, description):
        self.edit(place, description=description)

    def star(self, place):
        self.github.get_gist(place.id).set_starred()

    def unstar(self, place):
        self.github.get_gist(place.id).reset_starred()

    def comment(self, place, text):
        self.github.get_gist(place.id).create_comment(text)

    def edit_comment(self, place, text):
        self.last_comment(place).edit(text)

    def delete_comment(self, place):
        self.last_comment(place).delete()

    def last_comment(self, place):
        return list(self.github.get_gist(place.id).get_comments())[-1]

    def fork(self, place):
        return Place(self.github.get_gist(place.id).create_fork().id, self.login, place.description)

    def delete(self, place):
        self.github.get_gist(place.id).delete()


def listed(gists):
    return sorted((gist.description, gist.public, len(gist.files)) for gist in gists)
