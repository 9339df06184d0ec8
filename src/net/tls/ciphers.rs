//! OpenSSL's names of protocols and ciphers, as the directives have them, and what rustls calls them.

use rustls::crypto::ring::cipher_suite;
use rustls::version::{TLS12, TLS13};
use rustls::{SupportedCipherSuite, SupportedProtocolVersion};

type Named = (&'static str, SupportedCipherSuite);

/// Up to TLS 1.2, in the order of preference.
static CIPHERS: &[Named] = &[
    ("ECDHE-ECDSA-AES256-GCM-SHA384", cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384),
    ("ECDHE-ECDSA-AES128-GCM-SHA256", cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256),
    ("ECDHE-ECDSA-CHACHA20-POLY1305", cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256),
    ("ECDHE-RSA-AES256-GCM-SHA384", cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384),
    ("ECDHE-RSA-AES128-GCM-SHA256", cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256),
    ("ECDHE-RSA-CHACHA20-POLY1305", cipher_suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256),
];

/// Of TLS 1.3, in the order of preference.
static SUITES: &[Named] = &[
    ("TLS_AES_256_GCM_SHA384", cipher_suite::TLS13_AES_256_GCM_SHA384),
    ("TLS_AES_128_GCM_SHA256", cipher_suite::TLS13_AES_128_GCM_SHA256),
    ("TLS_CHACHA20_POLY1305_SHA256", cipher_suite::TLS13_CHACHA20_POLY1305_SHA256),
];

/// Words that stand for all ciphers, since all that there are here are strong.
const ALL_CIPHERS: &[&str] = &["DEFAULT", "ALL", "HIGH", "COMPLEMENTOFDEFAULT"];

/// The protocol versions that `tls-protocols` allows; nothing stands for both.
///
/// Errors: a version that is unknown, or that rustls holds to be unsafe.
pub(super) fn protocols(text: &str) -> Result<Vec<&'static SupportedProtocolVersion>, String> {
    let mut versions = Vec::new();
    for word in text.split_ascii_whitespace() {
        match word.to_ascii_lowercase().as_str() {
            "tlsv1.2" => versions.push(&TLS12),
            "tlsv1.3" => versions.push(&TLS13),
            "tlsv1" | "tlsv1.1" => {
                return Err(format!("tls-protocols: {word} is not supported, only TLSv1.2 and TLSv1.3 are"));
            }
            _ => {
                return Err(
                    "Invalid tls-protocols specified. Use a combination of 'TLSv1.2' and 'TLSv1.3'.".to_string()
                );
            }
        }
    }
    if versions.is_empty() {
        versions = vec![&TLS13, &TLS12];
    }
    Ok(versions)
}

/// All suites that `tls-ciphersuites` and `tls-ciphers` allow, those of TLS 1.3 first.
///
/// Errors: a name that rustls has no suite for.
pub(super) fn allowed(suites: &str, ciphers: &str) -> Result<Vec<SupportedCipherSuite>, String> {
    let mut allowed = suites_of(suites)?;
    allowed.extend(ciphers_of(ciphers)?);
    Ok(allowed)
}

fn find(table: &[Named], name: &str) -> Option<SupportedCipherSuite> {
    let entry = table.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    entry.map(|(_, suite)| *suite)
}

fn all(table: &[Named]) -> Vec<SupportedCipherSuite> {
    table.iter().map(|(_, suite)| *suite).collect()
}

fn refusal(directive: &str, name: &str, table: &[Named]) -> String {
    let names: Vec<_> = table.iter().map(|(name, _)| *name).collect();
    format!("{directive}: '{name}' is not supported. These are: {}", names.join(", "))
}

/// A list of names with colons between them.
fn suites_of(text: &str) -> Result<Vec<SupportedCipherSuite>, String> {
    if text.is_empty() {
        return Ok(all(SUITES));
    }
    let names = text.split(':').filter(|name| !name.is_empty());
    names.map(|name| find(SUITES, name).ok_or_else(|| refusal("tls-ciphersuites", name, SUITES))).collect()
}

/// OpenSSL's cipher list, as far as it is used: names and words for all, separated by colons, commas or
/// blanks; `-` and `!` take away, where taking away what is not there is no error; `+` moves to the end.
fn ciphers_of(text: &str) -> Result<Vec<SupportedCipherSuite>, String> {
    if text.is_empty() {
        return Ok(all(CIPHERS));
    }
    let mut chosen: Vec<SupportedCipherSuite> = Vec::new();
    let mut banned: Vec<SupportedCipherSuite> = Vec::new();
    for word in text.split([':', ',', ' ']).filter(|word| !word.is_empty()) {
        let (sign, name) = match word.as_bytes()[0] {
            sign @ (b'-' | b'!' | b'+') => (sign, &word[1..]),
            _ => (b' ', word),
        };
        let meant = match find(CIPHERS, name) {
            Some(suite) => vec![suite],
            None if ALL_CIPHERS.contains(&name.to_ascii_uppercase().as_str()) => all(CIPHERS),
            None if sign == b' ' && !name.starts_with('@') => {
                return Err(refusal("tls-ciphers", name, CIPHERS));
            }
            None => Vec::new(),
        };
        match sign {
            b' ' => {
                for suite in meant {
                    if !chosen.contains(&suite) && !banned.contains(&suite) {
                        chosen.push(suite);
                    }
                }
            }
            b'+' => {
                let (moved, mut stay): (Vec<_>, _) = chosen.into_iter().partition(|suite| meant.contains(suite));
                stay.extend(moved);
                chosen = stay;
            }
            _ => {
                chosen.retain(|suite| !meant.contains(suite));
                if sign == b'!' {
                    banned.extend(meant);
                }
            }
        }
    }
    if chosen.is_empty() {
        return Err(format!("tls-ciphers: '{text}' leaves no cipher"));
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(chosen: &[SupportedCipherSuite]) -> Vec<&'static str> {
        let name = |suite: &SupportedCipherSuite| {
            let mut table = CIPHERS.iter().chain(SUITES);
            table.find(|(_, known)| known == suite).map(|(name, _)| *name)
        };
        chosen.iter().filter_map(name).collect()
    }

    #[test]
    fn protocols_are_named_as_openssl_names_them() {
        let versions = |text| protocols(text).map(|versions| versions.len());
        assert_eq!(versions(""), Ok(2));
        assert_eq!(versions("tlsv1.2 TLSv1.3"), Ok(2));
        assert_eq!(protocols("TLSv1.3"), Ok(vec![&TLS13]));
        assert!(protocols("TLSv1.1 TLSv1.2").is_err_and(|error| error.contains("TLSv1.1")));
        assert!(protocols("SSLv3").is_err_and(|error| error.contains("Invalid tls-protocols")));
    }

    #[test]
    fn cipher_lists_add_and_take_away() {
        let list = |text| ciphers_of(text).map(|chosen| names(&chosen));
        assert_eq!(list("").map(|names| names.len()), Ok(6));
        assert_eq!(list("DEFAULT:-AES128-SHA256").map(|names| names.len()), Ok(6));
        assert_eq!(
            list("ecdhe-rsa-aes128-gcm-sha256:ECDHE-RSA-AES256-GCM-SHA384"),
            Ok(vec!["ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384"])
        );
        let without = list("!ECDHE-RSA-CHACHA20-POLY1305:HIGH:@SECLEVEL=2:!aNULL").expect("five");
        assert!(without.len() == 5 && !without.contains(&"ECDHE-RSA-CHACHA20-POLY1305"));
        assert_eq!(
            list("ALL:+ECDHE-ECDSA-AES256-GCM-SHA384").map(|names| names[5]),
            Ok("ECDHE-ECDSA-AES256-GCM-SHA384")
        );
        assert!(list("AES128-SHA256").is_err_and(|error| error.contains("'AES128-SHA256'")));
        assert!(list("ALL:-ALL").is_err_and(|error| error.contains("leaves no cipher")));
    }

    #[test]
    fn suites_of_tls_1_3() {
        let list = |text| suites_of(text).map(|chosen| names(&chosen));
        assert_eq!(list("").map(|names| names.len()), Ok(3));
        assert_eq!(list("TLS_CHACHA20_POLY1305_SHA256"), Ok(vec!["TLS_CHACHA20_POLY1305_SHA256"]));
        assert!(list("TLS_AES_128_CCM_SHA256").is_err_and(|error| error.contains("_CCM_")));
    }
}
