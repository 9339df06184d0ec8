//! The page: one HTML file, without a build step and without anything from elsewhere.

use std::sync::OnceLock;

use sha2::{Digest, Sha256};

/// The type of the page, as HTTP names it.
pub const CONTENT_TYPE: &str = "text/html; charset=utf-8";
/// The page.
pub const TEXT: &str = include_str!("page.html");

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The header line that says what a browser may do with the page: run the page's own script, which is known by its
/// hash, apply its styles and talk to this server. So a key name that looks like a script stays a name.
pub fn policy() -> &'static str {
    static POLICY: OnceLock<String> = OnceLock::new();
    POLICY.get_or_init(|| {
        let hash = |tag: &str| base64(&Sha256::digest(inside(tag)));
        format!(
            "Content-Security-Policy: default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; \
             connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n",
            hash("script"),
            hash("style")
        )
    })
}

/// The text inside of the page's only element of that name.
fn inside(tag: &str) -> &'static str {
    let behind = TEXT.split_once(&format!("<{tag}>")).map_or("", |(_, behind)| behind);
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
        for word in ["src=", "@import", "url(", " style=\"", "onclick", "innerHTML", "eval("] {
            assert!(!TEXT.contains(word), "{word}");
        }
        for tag in ["script", "style"] {
            assert!(inside(tag).len() > 1000, "{tag}");
            assert_eq!(TEXT.matches(&format!("<{tag}")).count(), 1, "{tag}");
        }
        // The browser's tests see that the hashes are right.
        assert!(policy().contains("script-src 'sha256-") && policy().ends_with("'none'\r\n"));
    }
}
