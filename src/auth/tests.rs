use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use super::*;

/// An environment that is written down, and remembers what it was asked.
#[derive(Default)]
struct Written {
    variables: BTreeMap<&'static str, &'static str>,
    answers: BTreeMap<&'static str, &'static str>,
    asked: RefCell<Vec<String>>,
}

impl Environment for Written {
    fn variable(&self, name: &str) -> Option<OsString> {
        self.variables.get(name).map(OsString::from)
    }

    fn ask(&self, program: &str, arguments: &[&str], input: &str) -> Option<String> {
        self.asked.borrow_mut().push(format!("{program} {} <{input}", arguments.join(" ")));
        self.answers.get(program).map(|answer| (*answer).to_owned())
    }
}

fn written(
    variables: &[(&'static str, &'static str)],
    answers: &[(&'static str, &'static str)],
) -> Written {
    Written {
        variables: variables.iter().copied().collect(),
        answers: answers.iter().copied().collect(),
        asked: RefCell::default(),
    }
}

fn host(name: &str) -> Endpoint {
    Endpoint::of_host(name).unwrap()
}

/// The secret and the words for its source.
fn found(endpoint: &Endpoint, environment: &Written) -> Option<(String, String)> {
    let found = find(endpoint, None, environment).unwrap()?;
    Some((found.token.secret().to_owned(), found.source.to_string()))
}

fn pair(token: &str, source: &str) -> Option<(String, String)> {
    Some((token.into(), source.into()))
}

#[test]
fn the_first_source_that_has_a_token_wins() {
    let mut environment = written(
        &[("GH_TOKEN", "a"), ("GITHUB_TOKEN", "b"), ("GITHUB_GIST_CREATE_TOKEN", "c")],
        &[("gh", "d\n"), ("git", "protocol=https\nusername=me\npassword=e\n")],
    );
    let github = host("github.com");
    let next = |environment: &Written| found(&github, environment);
    assert_eq!(next(&environment), pair("a", "the environment variable GH_TOKEN"));
    environment.variables.insert("GH_TOKEN", " \n");
    assert_eq!(next(&environment), pair("b", "the environment variable GITHUB_TOKEN"));
    environment.variables.remove("GITHUB_TOKEN");
    assert_eq!(next(&environment), pair("c", "the environment variable GITHUB_GIST_CREATE_TOKEN"));
    environment.variables.clear();
    assert!(environment.asked.borrow().is_empty());
    assert_eq!(next(&environment), pair("d", "`gh auth token`"));
    environment.answers.insert("gh", "\n");
    assert_eq!(next(&environment), pair("e", "`git credential fill`"));
    environment.answers.insert("git", "protocol=https\nusername=me\npassword=\n");
    assert_eq!(next(&environment), None);
}

#[test]
fn a_token_for_github_is_not_offered_to_another_host() {
    let environment =
        written(&[("GH_TOKEN", "a"), ("GITHUB_TOKEN", "b"), ("GITHUB_ENTERPRISE_TOKEN", "e")], &[]);
    assert_eq!(found(&host("github.com"), &environment).unwrap().0, "a");
    assert_eq!(found(&host("octo.ghe.com"), &environment).unwrap().0, "a");
    assert_eq!(found(&host("ghe.example.com"), &environment).unwrap().0, "e");
    let environment = written(&[("GH_TOKEN", "a")], &[]);
    assert_eq!(found(&host("ghe.example.com"), &environment), None);
    let environment = written(&[("GITHUB_GIST_CREATE_TOKEN", "any")], &[]);
    assert_eq!(found(&host("ghe.example.com"), &environment).unwrap().0, "any");
}

#[test]
fn programs_are_asked_for_the_host_and_not_at_all_for_this_machine() {
    let environment = written(&[], &[]);
    assert_eq!(found(&host("ghe.example.com"), &environment), None);
    assert_eq!(
        environment.asked.take(),
        [
            "gh auth token --hostname ghe.example.com <",
            "git credential fill <protocol=https\nhost=ghe.example.com\n\n",
        ]
    );
    let local = Endpoint::of_url("http://127.0.0.1:8080").unwrap();
    assert_eq!(found(&local, &environment), None);
    assert!(environment.asked.take().is_empty());
}

#[test]
fn the_file_the_user_names_is_the_only_place() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    let environment = written(&[("GH_TOKEN", "other")], &[]);
    let find = || find(&host("github.com"), Some(&path), &environment);
    let missing = find().unwrap_err().to_string();
    assert!(missing.contains("token") && missing.contains("No such file"), "{missing}");
    std::fs::write(&path, "  ghp_mine\n").unwrap();
    let found = find().unwrap().unwrap();
    assert_eq!((found.token.secret(), found.source), ("ghp_mine", Source::File(path.clone())));
    std::fs::write(&path, " \n").unwrap();
    assert!(matches!(find(), Err(AuthError::Empty(_))));
}

#[test]
fn what_is_no_token_is_refused_by_its_source_and_never_shown() {
    for wrong in ["hunter2 hunter2", "hunter2\nhunter2", "hunter2\u{7f}", "hünter2", "hunter2\0"] {
        let environment = written(&[("GH_TOKEN", wrong), ("GITHUB_TOKEN", "fine")], &[]);
        let error = find(&host("github.com"), None, &environment).unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(text.contains("GH_TOKEN") && !text.contains("nter2"), "{text}");
    }
}

#[test]
fn a_program_answers_fails_is_missing_or_hangs_and_never_stops_us() {
    let system = System::default();
    assert_eq!(system.ask("cat", &[], "question").as_deref(), Some("question"));
    assert_eq!(system.ask("sh", &["-c", "echo no; exit 1"], ""), None);
    assert_eq!(system.ask("gistfs-no-such-program", &[], ""), None);
    assert_eq!(system.ask("sh", &["-c", "printf '\\377'"], ""), None);
    let quiet = "echo $GIT_TERMINAL_PROMPT-$GIT_ASKPASS-$(pwd)";
    assert_eq!(system.ask("sh", &["-c", quiet], "").as_deref(), Some("0--/\n"));
    let hasty = System { patience: Duration::from_millis(50) };
    assert_eq!(hasty.ask("sh", &["-c", "tail -f /dev/null & wait"], ""), None);
}
