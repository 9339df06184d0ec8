//! The page: one HTML file, without a build step and without anything from elsewhere. A training instance serves it
//! with the lessons in it, which stand in a file of their own.

use std::sync::OnceLock;

use sha2::{Digest, Sha256};

/// The type of the page, as HTTP names it.
pub const CONTENT_TYPE: &str = "text/html; charset=utf-8";
const PAGE: &str = include_str!("page.html");
/// The style, the section and the script of the lessons.
const LESSONS: &str = include_str!("lessons.html");

/// The page, as it is served, with the header line that says what a browser may do with it.
struct Served {
    text: String,
    policy: String,
}

/// The page; on a training instance with the lessons.
pub fn text(is_training: bool) -> &'static str {
    &served(is_training).text
}

/// The header line that says what a browser may do with the page: run the page's own script, which is known by its
/// hash, apply its styles and talk to this server. So a key name that looks like a script stays a name.
pub fn policy(is_training: bool) -> &'static str {
    &served(is_training).policy
}

fn served(is_training: bool) -> &'static Served {
    static PLAIN: OnceLock<Served> = OnceLock::new();
    static TRAINING: OnceLock<Served> = OnceLock::new();
    match is_training {
        true => TRAINING.get_or_init(|| Served::new(with_lessons())),
        false => PLAIN.get_or_init(|| Served::new(PAGE.to_string())),
    }
}

/// The page with the three parts of the lessons in their places.
fn with_lessons() -> String {
    let mut text = PAGE.to_string();
    for (tag, before) in [("style", "</style>"), ("section", "<section"), ("script", "</script>")] {
        let part = match tag {
            "section" => {
                LESSONS.split_once("<main>").and_then(|(_, behind)| behind.split_once("</main>")).map(|(part, _)| part)
            }
            tag => Some(inside(LESSONS, tag)),
        };
        if let Some(place) = text.find(before) {
            text.insert_str(place, part.unwrap_or_default());
        }
    }
    text
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

impl Served {
    fn new(text: String) -> Served {
        let hash = |tag: &str| base64(&Sha256::digest(inside(&text, tag)));
        let policy = format!(
            "Content-Security-Policy: default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; \
             connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n",
            hash("script"),
            hash("style")
        );
        Served { text, policy }
    }
}

/// The text inside of a page's only element of that name.
fn inside<'t>(page: &'t str, tag: &str) -> &'t str {
    let behind = page.split_once(&format!("<{tag}>")).map_or("", |(_, behind)| behind);
    behind.split_once(&format!("</{tag}>")).map_or("", |(text, _)| text)
}

/// Base64 with padding (RFC 4648).
fn base64(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0, |group, byte| group << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            match place <= chunk.len() {
                true => text.push(DIGITS[(group >> (18 - 6 * place) & 63) as usize] as char),
                false => text.push('='),
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        let cases = [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")];
        for (bytes, expected) in cases {
            assert_eq!(base64(bytes.as_bytes()), expected);
        }
    }

    #[test]
    fn the_page_needs_nothing_from_elsewhere() {
        for is_training in [false, true] {
            let (text, policy) = (text(is_training), policy(is_training));
            for word in ["src=", "@import", "url(", " style=\"", "onclick", "innerHTML", "eval("] {
                assert!(!text.contains(word), "{word}");
            }
            for tag in ["script", "style"] {
                assert!(inside(text, tag).len() > 1000, "{tag}");
                assert_eq!(text.matches(&format!("<{tag}")).count(), 1, "{tag}");
            }
            // The browser's tests see that the hashes are right.
            assert!(policy.contains("script-src 'sha256-") && policy.ends_with("'none'\r\n"));
            assert_eq!(text.contains("id=\"lessons\""), is_training);
        }
    }
}
