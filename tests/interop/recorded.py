"""Holds recorded requests against GitHub's OpenAPI descriptions of its API.

Usage: recorded.py RECORD DESCRIPTION... Prints the requests by endpoint and every violation, and
exits with 1 if there is one. A request must satisfy each description.
"""

import base64
import collections
import json
import pathlib
import sys
from urllib.parse import parse_qsl

from openapi_core import Config, OpenAPI
from openapi_core.testing import MockRequest

# The descriptions differ in how they write the address; what is checked begins after it.
ADDRESS = "https://api.github.com"
CONDITIONAL = {"if-match", "if-none-match", "if-modified-since", "if-unmodified-since"}


class Description:
    """One of GitHub's descriptions, amended where it is narrower than GitHub says itself."""

    def __init__(self, path):
        self.name = pathlib.Path(path).name.removesuffix(".json")
        self.document = json.loads(pathlib.Path(path).read_text())
        self.document["servers"] = [{"url": ADDRESS}]
        self.amended = []
        self.amend_null_file()
        self.amend_user_number()
        self.api = opened(self.document)

    def amend_null_file(self):
        """The schema says that a file is an object. The prose beside it says "To delete a file, set
        the whole file to null", and the example `deleteFile` does so: it breaks its own schema."""
        body = self.document["paths"]["/gists/{gist_id}"]["patch"]["requestBody"]
        content = body["content"]["application/json"]
        example = content["examples"]["deleteFile"]["value"]
        if None not in example["files"].values():
            raise ValueError(f"{self.name}: the example deleteFile does not have null any more")
        request = json_request("patch", "/gists/1", example)
        if not list(opened(self.document).iter_request_errors(request)):
            raise ValueError(f"{self.name}: its own example fits the schema: drop the amendment")
        content["schema"]["properties"]["files"]["additionalProperties"]["nullable"] = True
        if errors := list(opened(self.document).iter_request_errors(request)):
            raise ValueError(f"{self.name}: the amendment does not help: {errors}")
        self.amended.append("PATCH /gists/{gist_id}: a file may be null, as the example deleteFile")

    def amend_user_number(self):
        """The pages of a user's gists are linked to by the user's number (`Link`), which is in no
        description, and links are to be followed as they are given."""
        paths = self.document["paths"]
        path = "/user/{username}/gists"
        if path in paths:
            raise ValueError(f"{self.name}: {path} is described by now: drop the amendment")
        paths[path] = {"get": paths["/users/{username}/gists"]["get"]}
        self.amended.append(f"GET {path}: where Link leads from /users/{{username}}/gists")

    def endpoint(self, method, path):
        """The path template, and the operation; None if there is none."""
        given = path.split("/")
        fitting = []
        for template, operations in self.document["paths"].items():
            parts = template.split("/")
            if len(parts) == len(given) and method.lower() in operations and all(
                    part.startswith("{") or part == value
                    for part, value in zip(parts, given)):
                fitting.append((template.count("{"), template))
        # As everywhere in OpenAPI, what is spelled out goes before what is a parameter.
        return min(fitting)[1] if fitting else None

    def parameters(self, method, template):
        """The query parameters that an operation has."""
        found = self.document["paths"][template][method.lower()].get("parameters", [])
        found = [self.resolved(parameter) for parameter in found]
        return {parameter["name"] for parameter in found if parameter["in"] == "query"}

    def resolved(self, value):
        while "$ref" in value:
            target = self.document
            for part in value["$ref"].removeprefix("#/").split("/"):
                target = target[part]
            value = target
        return value

    def violations(self, entry):
        """What is wrong with a recorded request."""
        method, path = entry["method"], entry["path"].removeprefix("/api/v3")
        template = self.endpoint(method, path)
        if template is None:
            return ["no such endpoint"]
        query = parse_qsl(entry["query"], keep_blank_values=True)
        known = self.parameters(method, template)
        wrong = [f"no such parameter: {name}" for name, _ in query if name not in known]
        body = body_of(entry)
        described = "requestBody" in self.document["paths"][template][method.lower()]
        if body and not described:
            wrong.append("a body where there is none")
        headers = dict(entry["headers"])
        kind = headers.get("content-type", "")
        request = MockRequest(ADDRESS, method.lower(), path, args=query, data=body or None,
                              content_type=kind, headers=headers)
        wrong += [said(error) for error in self.api.iter_request_errors(request)]
        return wrong


def opened(document):
    # The description itself is GitHub's business.
    return OpenAPI.from_dict(document, Config(spec_validator_cls=None))


def json_request(method, path, body):
    return MockRequest(ADDRESS, method, path, data=json.dumps(body).encode(),
                       content_type="application/json")


def said(error):
    cause = error.__cause__
    details = getattr(cause, "schema_errors", None)
    details = "; ".join(detail.message[:200] for detail in details) if details else repr(cause)
    return f"{error!r}: {details}"[:600]


def body_of(entry):
    if "body_base64" in entry:
        return base64.b64decode(entry["body_base64"])
    return entry["body"].encode()


def header_violations(entry):
    """What GitHub's pages ask of every request, which the descriptions do not say."""
    headers = dict(entry["headers"])
    wrong = []
    if not headers.get("user-agent"):
        wrong.append("no User-Agent")
    if not headers.get("accept", "").startswith("application/vnd.github"):
        wrong.append("no media type of GitHub's in Accept")
    if entry["method"] in ("PUT", "POST", "PATCH") and "content-length" not in headers:
        wrong.append("no Content-Length")
    if entry["method"] != "GET" and CONDITIONAL & headers.keys():
        wrong.append("a condition on a method that takes none")
    if entry["path"] == "/gists" and entry["method"] == "GET" and "authorization" not in headers:
        wrong.append("GET /gists without a token lists strangers' gists")
    return wrong


def violations(entry, descriptions):
    """All that is wrong with a recorded request, each with the description that says so."""
    wrong = [("every version", text) for text in header_violations(entry)]
    return wrong + [(description.name, text) for description in descriptions
                    for text in description.violations(entry)]


def prove_that_wrong_requests_are_found(descriptions):
    """A check that finds nothing says nothing unless it would find something."""
    good = {"method": "GET", "path": "/gists", "query": "", "body": "", "headers": [
        ["user-agent", "gistfs/0"], ["accept", "application/vnd.github+json"],
        ["authorization", "Bearer"]]}
    sent = good["headers"] + [["content-type", "application/json"], ["content-length", "1"]]
    edit = good | {"method": "PATCH", "path": "/gists/1", "headers": sent}
    right = [
        good,
        good | {"query": "since=2026-11-21T10%3A00%3A00Z&per_page=100&page=2"},
        edit | {"body": '{"files": {"a": null, "b": {"filename": "c"}, "d": {"content": ""}}}'},
    ]
    wrong = [
        good | {"path": "/gist"},
        good | {"method": "PUT"},
        good | {"query": "since=yesterday"},
        good | {"query": "per_page=many"},
        good | {"query": "sort=updated"},
        good | {"body": "{}"},
        good | {"headers": good["headers"][1:]},
        good | {"headers": good["headers"][:2]},
        good | {"headers": [["user-agent", "gistfs/0"], ["accept", "*/*"]]},
        edit | {"body": '{"files": {"a": "text"}}'},
        edit | {"body": '{"files": {"a": {"content": null}}}'},
        edit | {"body": '{"files": ["a"]}'},
        edit | {"body": '{"description": 1}'},
        edit | {"body": "{"},
        edit | {"body": "{}", "headers": sent + [["if-match", "x"]]},
        edit | {"method": "POST", "path": "/gists", "body": '{"description": "no files"}'},
        edit | {"method": "POST", "path": "/gists", "body": '{"files": {"a": {}}}'},
        edit | {"method": "POST", "path": "/gists/1/comments", "body": '{"text": "x"}'},
    ]
    for entry in right:
        if found := violations(entry, descriptions):
            raise ValueError(f"{entry} is right: {found}")
    for entry in wrong:
        if not violations(entry, descriptions):
            raise ValueError(f"what is wrong with {entry} was not found")
    print(f"of {len(right) + len(wrong)} made-up requests the {len(wrong)} wrong ones are found")


def main(record, *paths):
    descriptions = [Description(path) for path in paths]
    prove_that_wrong_requests_are_found(descriptions)
    counts, failures, known = collections.Counter(), collections.Counter(), {}
    with open(record, encoding="utf-8") as lines:
        for line in lines:
            entry = json.loads(line)
            template = descriptions[0].endpoint(
                entry["method"], entry["path"].removeprefix("/api/v3"))
            counts[f"{entry['method']:6} {template or entry['path']}"] += 1
            # The same question is asked again and again; only validators and ports differ.
            headers = sorted([name, "" if name in ("host", "if-none-match") else value]
                             for name, value in entry["headers"])
            key = json.dumps(entry | {"headers": headers})
            if key not in known:
                known[key] = violations(entry, descriptions)
            for name, text in known[key]:
                where = f"{entry['method']} {entry['path']}?{entry['query']}"
                failures[f"{where}: {name}: {text}"] += 1
    for endpoint, count in sorted(counts.items(), key=lambda item: item[0][7:]):
        print(f"{count:7}  {endpoint}")
    for description in descriptions:
        for text in description.amended:
            print(f"amended: {description.name}: {text}")
    for text, count in failures.most_common(100):
        print(f"VIOLATION ({count} times): {text}")
    names = ", ".join(description.name for description in descriptions)
    print(f"{counts.total()} requests ({len(known)} different ones) held against {names}: "
          f"{failures.total()} violations")
    # An empty record would prove nothing.
    return 1 if failures or not counts else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
