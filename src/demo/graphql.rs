//! The slice of GitHub's GraphQL that `gh gist` needs: the viewer and the viewer's gists.
//!
//! What an object holds is built whole, then cut to what was asked; only fields with arguments
//! are asked for one by one. GraphQL answers 200 whatever happens and says in `errors` what did
//! not work.

use std::collections::HashMap;
use std::sync::Arc;

use graphql_parser::query::{self, Definition, OperationDefinition, Selection};
use serde_json::{Map, Value, json};

use super::gist::Gist;
use super::patch;
use super::reply::Reply;
use super::routes::Call;

/// A gist shows so many files unless told otherwise.
const DEFAULT_FILES: usize = 10;

/// A page of a connection is at most this long.
const LONGEST_PAGE: usize = 100;

/// `POST /graphql`, which an Enterprise Server has at `/api/graphql`.
pub(super) fn answer(call: &Call) -> Result<Reply, Reply> {
    let login = call.caller.known()?;
    let body = patch::object(&call.arrival.body)?;
    let text = body.get("query").and_then(Value::as_str);
    let text = text.ok_or_else(|| Reply::error(400, "A query attribute must be specified."))?;
    let none = Map::new();
    let variables = body.get("variables").and_then(Value::as_object).unwrap_or(&none);
    let said = match graphql_parser::parse_query::<String>(text) {
        Ok(document) => {
            let document = document.into_static();
            Request::new(call, login, variables, &document).run(&document)
        }
        Err(error) => Err(error.to_string()),
    };
    let answer = match said {
        Ok(data) => json!({"data": data}),
        Err(message) => json!({"data": null, "errors": [{"message": message}]}),
    };
    Ok(Reply::json(200, &answer))
}

/// Who asks, and what the request's variables stand for.
struct Request<'a> {
    call: &'a Call<'a>,
    login: &'a str,
    variables: &'a Map<String, Value>,
    defaults: HashMap<&'a str, Value>,
}

type Document = query::Document<'static, String>;
type Field = query::Field<'static, String>;
type Given = query::Value<'static, String>;
type SelectionSet = query::SelectionSet<'static, String>;

/// What a field gave: data to select from, or why there is none.
type Resolved = Result<Value, String>;

impl<'a> Request<'a> {
    fn new(
        call: &'a Call<'a>,
        login: &'a str,
        variables: &'a Map<String, Value>,
        document: &'a Document,
    ) -> Self {
        let mut defaults = HashMap::new();
        for definition in &document.definitions {
            if let Definition::Operation(OperationDefinition::Query(query)) = definition {
                for variable in &query.variable_definitions {
                    if let Some(value) = &variable.default_value {
                        defaults.insert(variable.name.as_str(), plain(value));
                    }
                }
            }
        }
        Self { call, login, variables, defaults }
    }

    fn run(&self, document: &Document) -> Resolved {
        let operation = document.definitions.iter().find_map(|definition| match definition {
            Definition::Operation(operation) => Some(operation),
            Definition::Fragment(_) => None,
        });
        let selection = match operation {
            Some(OperationDefinition::Query(query)) => &query.selection_set,
            Some(OperationDefinition::SelectionSet(selection)) => selection,
            Some(OperationDefinition::Mutation(_) | OperationDefinition::Subscription(_)) => {
                return Err("Gists cannot be changed by GraphQL".to_owned());
            }
            None => return Err("A query attribute must be specified.".to_owned()),
        };
        self.select("Query", selection, &|field| match field.name.as_str() {
            "viewer" => self.viewer(field),
            _ => Err(unknown(field, "Query")),
        })
    }

    fn viewer(&self, field: &Field) -> Resolved {
        let user = self.call.style.user(self.login);
        self.select("User", &field.selection_set, &|field| match field.name.as_str() {
            "login" => Ok(user["login"].clone()),
            "id" => Ok(user["node_id"].clone()),
            "databaseId" => Ok(user["id"].clone()),
            "url" => Ok(user["html_url"].clone()),
            "gists" => self.gists(field),
            _ => Err(unknown(field, "User")),
        })
    }

    fn gists(&self, field: &Field) -> Resolved {
        let first = self.argument(field, "first").as_u64().and_then(|n| usize::try_from(n).ok());
        let first = first
            .filter(|first| (1..=LONGEST_PAGE).contains(first))
            .ok_or("`first` must be between 1 and 100 to paginate the `gists` connection")?;
        let privacy = self.argument(field, "privacy");
        let (public, secret) = match privacy.as_str() {
            Some("PUBLIC") => (true, false),
            Some("SECRET") => (false, true),
            Some("ALL") | None => (true, true),
            Some(other) => return Err(format!("{other} is not a GistPrivacy")),
        };
        let secret = secret && self.call.caller.sees_secret_ones();
        let mut gists = self.call.site.store.select(|gist| {
            let wanted = if gist.public { public } else { secret };
            wanted && gist.owner.as_deref() == Some(self.login)
        });
        let order = self.argument(field, "orderBy");
        if matches!(order["field"].as_str(), Some("UPDATED_AT" | "PUSHED_AT")) {
            gists.sort_by_key(|gist| std::cmp::Reverse(gist.tip.updated_at));
        }
        if order["direction"] == "ASC" {
            gists.reverse();
        }
        let total = gists.len();
        // A cursor is the id of the last gist already seen.
        let after = self.argument(field, "after");
        if let Some(after) = after.as_str() {
            let seen = gists.iter().position(|gist| gist.id == after);
            let seen = seen.ok_or_else(|| format!("`{after}` does not appear to be a cursor"))?;
            gists.drain(..=seen);
        }
        let more = gists.len() > first;
        gists.truncate(first);
        self.select("GistConnection", &field.selection_set, &|field| match field.name.as_str() {
            "totalCount" => Ok(total.into()),
            "nodes" => gists.iter().map(|gist| self.gist(field, gist)).collect(),
            "pageInfo" => {
                self.select("PageInfo", &field.selection_set, &|field| match field.name.as_str() {
                    "hasNextPage" => Ok(more.into()),
                    "endCursor" => Ok(gists.last().map(|gist| gist.id.clone()).into()),
                    _ => Err(unknown(field, "PageInfo")),
                })
            }
            _ => Err(unknown(field, "GistConnection")),
        })
    }

    fn gist(&self, field: &Field, gist: &Arc<Gist>) -> Resolved {
        let shown = self.call.style.listed(gist, &gist.tip);
        self.select("Gist", &field.selection_set, &|field| match field.name.as_str() {
            "id" => Ok(shown["node_id"].clone()),
            "name" => Ok(gist.id.clone().into()),
            "description" => Ok(shown["description"].clone()),
            "isPublic" => Ok(gist.public.into()),
            "isFork" => Ok(gist.fork_of.is_some().into()),
            "createdAt" => Ok(shown["created_at"].clone()),
            "updatedAt" | "pushedAt" => Ok(shown["updated_at"].clone()),
            "url" => Ok(shown["html_url"].clone()),
            "stargazerCount" => Ok(gist.stars.len().into()),
            "viewerHasStarred" => Ok(gist.stars.contains(self.login).into()),
            "files" => self.files(field, gist),
            _ => Err(unknown(field, "Gist")),
        })
    }

    fn files(&self, field: &Field, gist: &Gist) -> Resolved {
        let limit = self.argument(field, "limit").as_u64();
        let limit = limit.and_then(|n| usize::try_from(n).ok()).unwrap_or(DEFAULT_FILES);
        let shown = gist.tip.files.iter().take(limit).map(|(name, file)| {
            self.select("GistFile", &field.selection_set, &|field| match field.name.as_str() {
                "name" => Ok(name.as_str().into()),
                "size" => Ok(file.size.into()),
                "text" => {
                    let body = self.call.site.store.body(&gist.id, file.blob);
                    let body = body.map_err(|error| error.to_string())?;
                    // Of a file that is not text there is none.
                    Ok(body.and_then(|bytes| String::from_utf8(bytes).ok()).into())
                }
                _ => Err(unknown(field, "GistFile")),
            })
        });
        shown.collect()
    }

    /// The selected fields of an object of this type, under the names they were asked by.
    fn select(
        &self,
        kind: &str,
        selection: &SelectionSet,
        resolve: &dyn Fn(&Field) -> Resolved,
    ) -> Resolved {
        let mut object = Map::new();
        self.collect(kind, selection, resolve, &mut object)?;
        Ok(Value::Object(object))
    }

    fn collect(
        &self,
        kind: &str,
        selection: &SelectionSet,
        resolve: &dyn Fn(&Field) -> Resolved,
        object: &mut Map<String, Value>,
    ) -> Result<(), String> {
        for item in &selection.items {
            match item {
                Selection::Field(field) => {
                    let value =
                        if field.name == "__typename" { kind.into() } else { resolve(field)? };
                    object.insert(field.alias.as_ref().unwrap_or(&field.name).clone(), value);
                }
                Selection::InlineFragment(fragment) => {
                    self.collect(kind, &fragment.selection_set, resolve, object)?;
                }
                // They may name one another in a circle, and gh uses none.
                Selection::FragmentSpread(spread) => {
                    return Err(format!("{}: named fragments are not known", spread.fragment_name));
                }
            }
        }
        Ok(())
    }

    /// An argument of a field, its variables filled in; `null` if it was not given.
    fn argument(&self, field: &Field, name: &str) -> Value {
        let given = field.arguments.iter().find(|(given, _)| *given == name);
        given.map_or(Value::Null, |(_, value)| self.filled(value))
    }

    fn filled(&self, value: &Given) -> Value {
        match value {
            Given::Variable(name) => {
                let given = self.variables.get(name).or_else(|| self.defaults.get(name.as_str()));
                given.cloned().unwrap_or(Value::Null)
            }
            Given::List(items) => items.iter().map(|item| self.filled(item)).collect(),
            Given::Object(fields) => {
                let fields = fields.iter().map(|(name, value)| (name.clone(), self.filled(value)));
                Value::Object(fields.collect())
            }
            Given::Int(_)
            | Given::Float(_)
            | Given::String(_)
            | Given::Boolean(_)
            | Given::Null
            | Given::Enum(_) => plain(value),
        }
    }
}

/// A value without variables.
fn plain(value: &Given) -> Value {
    match value {
        Given::Int(number) => number.as_i64().into(),
        Given::Float(number) => (*number).into(),
        Given::String(text) => text.as_str().into(),
        Given::Boolean(truth) => (*truth).into(),
        Given::Enum(name) => name.as_str().into(),
        Given::List(items) => items.iter().map(plain).collect(),
        Given::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| (name.clone(), plain(value)));
            Value::Object(fields.collect())
        }
        Given::Null | Given::Variable(_) => Value::Null,
    }
}

fn unknown(field: &Field, kind: &str) -> String {
    format!("Field '{}' doesn't exist on type '{kind}'", field.name)
}
