//! The shapes a server comes in: github.com, and Enterprise Servers as they are set up.

use gistfs::demo::{Server, ServerOptions};

/// What a server looks like from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// github.com.
    GitHub,
    /// An Enterprise Server with subdomain isolation: raw bodies at an origin of their own.
    Isolated,
    /// One without: raw bodies below `/gist` at the API's own origin.
    Path,
    /// Such a one in private mode: raw addresses lead to a login page.
    Private,
    /// In private mode too, but raw addresses bring what opens them.
    Tokens,
    /// A private one that is old: no `encoding`, bytes mangled into text, no versions of the API.
    Old,
}

impl Shape {
    /// All of them.
    pub(crate) const ALL: [Self; 6] =
        [Self::GitHub, Self::Isolated, Self::Path, Self::Private, Self::Tokens, Self::Old];

    /// Its name in `GISTFS_TEST_HOST`.
    fn name(self) -> &'static str {
        match self {
            Self::GitHub => "github",
            Self::Isolated => "ghes-isolated",
            Self::Path => "ghes",
            Self::Private => "ghes-private",
            Self::Tokens => "ghes-tokens",
            Self::Old => "ghes-old",
        }
    }

    /// The shape that `GISTFS_TEST_HOST` names: all tests can be run in each. github.com's if it
    /// names none.
    pub(crate) fn of_environment() -> Self {
        let wanted = std::env::var("GISTFS_TEST_HOST").unwrap_or_default();
        if wanted.is_empty() {
            return Self::GitHub;
        }
        let found = Self::ALL.into_iter().find(|shape| shape.name() == wanted);
        found.unwrap_or_else(|| panic!("GISTFS_TEST_HOST: {wanted:?} is no shape"))
    }

    /// Whether bodies cannot be had at their raw addresses.
    pub(crate) fn hides_raw_bodies(self) -> bool {
        matches!(self, Self::Private | Self::Old)
    }

    /// How many requests a client has to send twice, once with a version of the API and once without:
    /// the first that it sends.
    pub(crate) fn refused_first(self) -> usize {
        usize::from(self == Self::Old)
    }

    /// The same, or another that has bodies at their raw addresses.
    pub(crate) fn open(self) -> Self {
        if self.hides_raw_bodies() { Self::Isolated } else { self }
    }

    /// The same, or another that has bodies at an origin of their own.
    pub(crate) fn apart(self) -> Self {
        if self == Self::GitHub { self } else { Self::Isolated }
    }

    /// A server with these options and of this shape.
    pub(crate) fn start(self, options: ServerOptions) -> Server {
        let server = Server::start(ServerOptions {
            enterprise: options.enterprise || self != Self::GitHub,
            isolated: options.isolated && matches!(self, Self::GitHub | Self::Isolated),
            private_raw: options.private_raw || self.hides_raw_bodies() || self == Self::Tokens,
            raw_tokens: options.raw_tokens || self == Self::Tokens,
            ..options
        });
        let server = server.expect("a server");
        server.with_switches(|switches| {
            switches.old_enterprise |= self == Self::Old;
            switches.no_versions |= self == Self::Old;
        });
        server
    }
}

#[test]
fn the_script_that_runs_the_tests_in_every_shape_knows_them_all() {
    let script = include_str!("../../scripts/shapes");
    let line = script.lines().find_map(|line| line.strip_prefix("shapes=(")?.strip_suffix(')'));
    let names: Vec<&str> = line.expect("the list").split(' ').collect();
    assert_eq!(names, Shape::ALL.map(Shape::name));
}
