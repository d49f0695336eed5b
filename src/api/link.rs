//! The `Link` header, as far as paging needs it.

/// The address whose relation is `relation`, exactly as written: `next` is told by every page but
/// the last one, `last` by most servers that know their number of pages.
pub(super) fn to(header: &str, relation: &str) -> Option<String> {
    let mut rest = header;
    while let Some((_, from)) = rest.split_once('<') {
        let (address, behind) = from.split_once('>')?;
        // A comma may stand inside an address, so links are told apart by `<` and not by commas.
        let parameters = behind.split('<').next().unwrap_or_default();
        if is(parameters, relation) {
            return Some(address.to_owned());
        }
        rest = behind;
    }
    None
}

fn is(parameters: &str, relation: &str) -> bool {
    parameters.split([';', ',']).any(|parameter| {
        let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let relations = value.trim().trim_matches('"');
        key.trim().eq_ignore_ascii_case("rel")
            && relations.split_ascii_whitespace().any(|one| one.eq_ignore_ascii_case(relation))
    })
}

/// The addresses between `next` and `last` and `last` itself, at most so many, if the two differ in
/// nothing but the number of the page; else none.
pub(super) fn between(next: &str, last: &str, most: usize) -> Vec<String> {
    let (Some(next), Some(last)) = (Numbered::of(next), Numbered::of(last)) else {
        return Vec::new();
    };
    if (next.head, next.tail) != (last.head, last.tail) {
        return Vec::new();
    }
    let numbers = (next.number..last.number).map(|number| number + 1).take(most);
    numbers.map(|number| format!("{}{number}{}", next.head, next.tail)).collect()
}

/// An address with the number of a page in it.
struct Numbered<'a> {
    head: &'a str,
    number: u32,
    tail: &'a str,
}

impl<'a> Numbered<'a> {
    /// Nothing where the number is not spelt as we would spell it, or there are two.
    fn of(address: &'a str) -> Option<Self> {
        const KEYS: [&str; 2] = ["?page=", "&page="];
        let mut places = KEYS.iter().flat_map(|key| address.match_indices(key));
        let ((at, key), None) = (places.next()?, places.next()) else { return None };
        let (head, behind) = address.split_at_checked(at + key.len())?;
        let end = behind.find(['&', '#']).unwrap_or(behind.len());
        let (digits, tail) = behind.split_at_checked(end)?;
        let number: u32 = digits.parse().ok()?;
        (number.to_string() == digits).then_some(Self { head, number, tail })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_next_page_is_found_wherever_it_stands() {
        for header in [
            r#"<https://h/g?page=2>; rel="next", <https://h/g?page=9>; rel="last""#,
            r#"<https://h/g?page=1>; rel="prev", <https://h/g?page=2>; rel="next""#,
            r#"<https://h/g?page=2>;rel=next"#,
            r#"<https://h/g?page=2>; title="x"; REL="last next""#,
        ] {
            assert_eq!(to(header, "next").as_deref(), Some("https://h/g?page=2"), "{header}");
        }
    }

    #[test]
    fn the_last_page_is_told_apart_from_the_next() {
        let header = r#"<https://h/g?page=2>; rel="next", <https://h/g?page=9>; rel="last""#;
        assert_eq!(to(header, "last").as_deref(), Some("https://h/g?page=9"));
        assert_eq!(to(r#"<https://h/g?page=2>; rel="next""#, "last"), None);
    }

    #[test]
    fn an_address_is_kept_as_written_even_with_commas_in_it() {
        let header = r#"<https://h/g?a=1,2;b>; rel="next""#;
        assert_eq!(to(header, "next").as_deref(), Some("https://h/g?a=1,2;b"));
    }

    #[test]
    fn the_last_page_and_nonsense_have_no_next() {
        for header in [
            "",
            r#"<https://h/g?page=1>; rel="first", <https://h/g?page=1>; rel="prev""#,
            r#"<https://h/g; rel="next""#,
            r#"https://h/g; rel="next""#,
            r#"<https://h/g>; rel="nextish""#,
            "<",
            ">",
        ] {
            assert_eq!(to(header, "next"), None, "{header}");
        }
    }

    #[test]
    fn the_pages_between_two_are_the_same_address_with_other_numbers() {
        let pages = |next, last| between(next, last, 100);
        let first = "https://h/user/7/gists?per_page=100&page=2";
        assert_eq!(
            pages(first, "https://h/user/7/gists?per_page=100&page=4"),
            [
                "https://h/user/7/gists?per_page=100&page=3",
                "https://h/user/7/gists?per_page=100&page=4"
            ]
        );
        assert_eq!(pages("/g?page=9&a=b#c", "/g?page=10&a=b#c"), ["/g?page=10&a=b#c"]);
        assert_eq!(between("?page=2", "?page=4000000000", 3).len(), 3);
    }

    #[test]
    fn where_two_addresses_differ_in_more_than_the_page_nothing_is_between_them() {
        let next = "https://h/g?page=2&a=1";
        for last in [
            "https://h/g?page=9&a=2",
            "https://i/g?page=9&a=1",
            "https://h/g?page=09&a=1",
            "https://h/g?page=+9&a=1",
            "https://h/g?page=99999999999&a=1",
            "https://h/g?page=9&a=1&page=9",
            "https://h/g?per_page=9&a=1",
            "https://h/g?page=2&a=1",
            "https://h/g?page=1&a=1",
            "https://h/g?page=",
            "",
        ] {
            assert_eq!(between(next, last, 100), [""; 0], "{last}");
        }
        assert_eq!(between("/g?per_page=2", "/g?per_page=9", 100), [""; 0]);
    }

    proptest! {
        #[test]
        fn no_header_is_too_odd_to_read(header in "[<>;,=\" a-z]{0,40}") {
            let _found = to(&header, "next");
        }

        #[test]
        fn no_address_is_too_odd_to_count_on_from(
            next in "[?&pagé=0-9#]{0,20}|\\?page=[0-9]{1,12}",
            last in "[?&pagé=0-9#]{0,20}|\\?page=[0-9]{1,12}",
        ) {
            prop_assert!(between(&next, &last, 5).len() <= 5);
        }
    }
}
