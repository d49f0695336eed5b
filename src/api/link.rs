//! The `Link` header, as far as paging needs it.

/// The address whose relation is `next`, exactly as written; `None` on the last page.
pub(super) fn next(header: &str) -> Option<String> {
    let mut rest = header;
    while let Some((_, from)) = rest.split_once('<') {
        let (address, behind) = from.split_once('>')?;
        // A comma may stand inside an address, so links are told apart by `<` and not by commas.
        let parameters = behind.split('<').next().unwrap_or_default();
        if is_next(parameters) {
            return Some(address.to_owned());
        }
        rest = behind;
    }
    None
}

fn is_next(parameters: &str) -> bool {
    parameters.split([';', ',']).any(|parameter| {
        let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let relations = value.trim().trim_matches('"');
        key.trim().eq_ignore_ascii_case("rel")
            && relations.split_ascii_whitespace().any(|one| one.eq_ignore_ascii_case("next"))
    })
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
            assert_eq!(next(header).as_deref(), Some("https://h/g?page=2"), "{header}");
        }
    }

    #[test]
    fn an_address_is_kept_as_written_even_with_commas_in_it() {
        let header = r#"<https://h/g?a=1,2;b>; rel="next""#;
        assert_eq!(next(header).as_deref(), Some("https://h/g?a=1,2;b"));
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
            assert_eq!(next(header), None, "{header}");
        }
    }

    proptest! {
        #[test]
        fn no_header_is_too_odd_to_read(header in "[<>;,=\" a-z]{0,40}") {
            let _found = next(&header);
        }
    }
}
