//! GraphQL, as far as `gh gist` asks: the viewer's login and the viewer's gists.

use gistfs::demo::Seed;
use serde_json::{Value, json};

use crate::world::{Send as _, World};

fn ask(world: &World, query: &str, variables: &Value) -> Value {
    let body = json!({"query": query, "variables": variables}).to_string();
    world.octo("POST", "/api/graphql").body(body).answer().expect(200).json()
}

fn message(answer: &Value) -> &str {
    assert!(answer["data"].is_null(), "{answer}");
    answer["errors"][0]["message"].as_str().expect("a message")
}

/// The very text `gh gist list` sends, page by page.
#[test]
fn the_gists_are_listed_page_by_page_newest_first() {
    let world = World::new();
    let first = world.seed(&[("b.txt", "b"), ("a.txt", "a")]);
    let public = Seed { public: true, ..Seed::new("everybody's", &[("c", "c")]) };
    let second = world.server.seed("octo", public);
    world.server.seed("hubot", Seed::new("hubot's", &[("d", "d")]));
    let query = "query GistList($endCursor:String$per_page:Int!$visibility:GistPrivacy!){viewer{\
        gists(first: $per_page, after: $endCursor, privacy: $visibility, orderBy: {field: \
        CREATED_AT, direction: DESC}){nodes{description,files{name},isPublic,name,updatedAt},\
        pageInfo{hasNextPage,endCursor}}}}";
    let page = |after: Value, visibility: &str| {
        let variables = json!({"endCursor": after, "per_page": 1, "visibility": visibility});
        ask(&world, query, &variables)["data"]["viewer"]["gists"].clone()
    };
    let newest = page(Value::Null, "ALL");
    assert_eq!(newest["nodes"][0]["name"], *second);
    assert_eq!(newest["nodes"][0]["isPublic"], true);
    assert_eq!(newest["pageInfo"]["hasNextPage"], true);
    let last = page(newest["pageInfo"]["endCursor"].clone(), "ALL");
    assert_eq!(last["pageInfo"]["hasNextPage"], false);
    let expected = json!([{
        "description": "a gist",
        "files": [{"name": "a.txt"}, {"name": "b.txt"}],
        "isPublic": false,
        "name": first,
        "updatedAt": world.gist(&first)["updated_at"],
    }]);
    assert_eq!(last["nodes"], expected);
    assert_eq!(page(Value::Null, "SECRET")["nodes"][0]["name"], *first);
    assert_eq!(page(Value::Null, "PUBLIC")["pageInfo"]["hasNextPage"], false);
}

#[test]
fn fields_may_have_other_names_limits_and_types() {
    let world = World::new();
    world.seed(&[("a", "one"), ("b", "two")]);
    let query = "query Q($n: Int = 1) { me: viewer { login __typename \
        gists(first: 5) { totalCount nodes { ... on Gist { files(limit: $n) { text size } } } } } }";
    let answer = ask(&world, query, &json!({}));
    let gists = json!({"totalCount": 1, "nodes": [{"files": [{"text": "one", "size": 3}]}]});
    let me = json!({"login": "octo", "__typename": "User", "gists": gists});
    assert_eq!(answer, json!({"data": {"me": me}}));
}

#[test]
fn what_there_is_not_is_said() {
    let world = World::new();
    let none = json!({});
    let said = |query: &str| message(&ask(&world, query, &none)).to_owned();
    assert_eq!(said("{viewer{shoeSize}}"), "Field 'shoeSize' doesn't exist on type 'User'");
    assert!(said("{viewer{gists{totalCount}}}").contains("`first`"));
    assert!(said("mutation{x}").contains("cannot be changed"));
    assert!(said("{viewer{...F}} fragment F on User{...F}").contains("fragments"));
    assert!(said("{viewer{").contains("parse error"));
    world.anonymous("POST", "/graphql").body("{}").answer().expect(401);
}
