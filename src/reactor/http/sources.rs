//! The source files that the lessons point at, as they were when this binary was built.

/// Each file by its name from the project's top level. The first is a link to a file outside of the crate's sources,
/// which the published crate holds as a file of its own.
const FILES: &[(&str, &str)] = &[
    ("scripts/echo.rs", include_str!("echo_loop.txt")),
    ("src/engine/clients.rs", include_str!("../../engine/clients.rs")),
    ("src/engine/prepare.rs", include_str!("../../engine/prepare.rs")),
    ("src/keyspace/lazy_free_queue.rs", include_str!("../../keyspace/lazy_free_queue.rs")),
    ("src/net/connection.rs", include_str!("../../net/connection.rs")),
    ("src/net/token.rs", include_str!("../../net/token.rs")),
    ("src/reactor/event_loop.rs", include_str!("../event_loop.rs")),
    ("src/reactor/jobs.rs", include_str!("../jobs.rs")),
    ("src/reactor/output.rs", include_str!("../output.rs")),
    ("src/reactor/serve.rs", include_str!("../serve.rs")),
    ("src/resp/batch.rs", include_str!("../../resp/batch.rs")),
    ("src/resp/parser.rs", include_str!("../../resp/parser.rs")),
    ("src/resp/parser/tests.rs", include_str!("../../resp/parser/tests.rs")),
    ("tests/scripted_loop/cuts.rs", include_str!("../../../tests/scripted_loop/cuts.rs")),
    ("tests/scripted_loop/patterns.rs", include_str!("../../../tests/scripted_loop/patterns.rs")),
];

/// The text of a file.
pub fn find(name: &str) -> Option<&'static str> {
    FILES.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

#[cfg(test)]
mod tests {
    use super::super::page;
    use super::*;

    /// Each pair of `"source"` and a place names a file of the list, and what is declared in it.
    #[test]
    fn what_the_lessons_point_at_is_there() {
        let mut seen = 0;
        for piece in page::text(true).split("\"source\", \"").skip(1) {
            let (place, _) = piece.split_once('"').expect("it is closed");
            let (file, declaration) = place.split_once(' ').expect("a file and a declaration");
            let text = find(file).unwrap_or_else(|| panic!("{file}"));
            assert!(text.contains(declaration), "{file} has no {declaration}");
            seen += 1;
        }
        assert!(seen >= 12, "{seen}");
    }
}
