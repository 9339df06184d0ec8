//! Which HTTP requests are refused, whatever they ask for.
//!
//! The port listens on the loopback interface, and a user's browser can reach that. A page of the web must not read the
//! server's data through it:
//!
//! - *DNS rebinding.* The page's own name is made to lead to 127.0.0.1, so that the browser takes the server for a part
//!   of the page's site. The browser still names that site in `Host`. So a name other than `localhost` is refused
//!   there. An address is accepted, since an address cannot be made to lead elsewhere.
//! - *Requests across sites.* The browser does not show the answer to the page, but a request should not even be worked
//!   on. It has an `Origin` or a `Sec-Fetch-Site` that says where it comes from.
//!
//! Where a token is asked for, a client that shows it may use any name: no page of the web has the token. Where the
//! connection is encrypted, the browser itself has checked that the name is one of the server's certificate.

use std::net::{Ipv4Addr, Ipv6Addr};

use subtle::ConstantTimeEq;

use super::{Request, Status};

/// How much a client has to show for what it asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// Holds no data: every client may have it.
    Open,
    /// Holds data of the server.
    Data,
    /// Changes the loop of a training instance: only the page that this instance has served may do that.
    Order,
}

/// What the check depends on besides the request.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// What clients have to show; empty: nothing.
    pub token: &'a str,
    /// Whether the request has come encrypted.
    pub is_encrypted: bool,
    /// What an order has to show; None where this is no training instance.
    pub training_token: Option<&'a str>,
}

/// Checks a request.
///
/// Errors: how to refuse it.
pub fn check(request: &Request, guard: Guard, rules: Rules<'_>) -> Result<(), Status> {
    if guard == Guard::Open {
        return Ok(());
    }
    if !comes_from_here(request) {
        return Err(Status::Forbidden);
    }
    if rules.token.is_empty() {
        if !rules.is_encrypted && !is_local_name(&request.host) {
            return Err(Status::Forbidden);
        }
    } else if !is_token(&request.token, rules.token) {
        return Err(Status::Unauthorized);
    }
    let may_order = || rules.training_token.is_some_and(|token| is_token(&request.training_token, token));
    match guard != Guard::Order || may_order() {
        true => Ok(()),
        false => Err(Status::Forbidden),
    }
}

/// Whether a client shows a token; how long the comparison takes does not tell how much of it is right.
fn is_token(shown: &Option<String>, token: &str) -> bool {
    let shown = shown.as_deref().unwrap_or_default();
    shown.as_bytes().ct_eq(token.as_bytes()).into()
}

/// Whether no other site's page has sent the request.
fn comes_from_here(request: &Request) -> bool {
    let is_own = |origin: &String| {
        let host = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        host.is_some_and(|host| host.eq_ignore_ascii_case(&request.host))
    };
    let is_same = |site: &String| matches!(site.as_str(), "same-origin" | "none");
    request.origin.as_ref().is_none_or(is_own) && request.fetch_site.as_ref().is_none_or(is_same)
}

/// Whether a host, with or without a port, is this machine by a name that cannot lead elsewhere. HTTP/1.0 names none.
fn is_local_name(host: &str) -> bool {
    if let Some(bracketed) = host.strip_prefix('[') {
        let address = bracketed.split_once(']').map(|(address, _)| address);
        return address.is_some_and(|address| address.parse::<Ipv6Addr>().is_ok());
    }
    let name = host.split_once(':').map_or(host, |(name, _)| name);
    name.is_empty() || name.eq_ignore_ascii_case("localhost") || name.parse::<Ipv4Addr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::http::Method;

    const TOKEN: &str = "0123456789abcdef";
    const NONE: Rules<'static> = Rules { token: "", is_encrypted: false, training_token: None };
    const ASKED: Rules<'static> = Rules { token: TOKEN, ..NONE };

    fn request(host: &str) -> Request {
        Request {
            method: Method::Get,
            path: "/metrics".to_string(),
            keeps_alive: true,
            host: host.to_string(),
            origin: None,
            fetch_site: None,
            token: None,
            training_token: None,
            length: 0,
            body_bytes: 0,
        }
    }

    #[test]
    fn a_name_that_may_lead_elsewhere_is_refused() {
        for host in ["localhost", "LOCALHOST:8080", "127.0.0.1", "127.0.0.1:8080", "[::1]:8080", "10.1.2.3:80", ""] {
            assert_eq!(check(&request(host), Guard::Data, NONE), Ok(()), "{host}");
        }
        for host in ["example.com", "example.com:8080", "localhost.example.com", "127.0.0.1.example.com", "[::1", "x"] {
            assert_eq!(check(&request(host), Guard::Data, NONE), Err(Status::Forbidden), "{host}");
            assert_eq!(check(&request(host), Guard::Open, NONE), Ok(()), "{host}");
        }
    }

    #[test]
    fn where_it_is_encrypted_the_name_was_checked() {
        let encrypted = Rules { is_encrypted: true, ..NONE };
        assert_eq!(check(&request("oneloop.example.com:8080"), Guard::Data, encrypted), Ok(()));
        let encrypted = Rules { is_encrypted: true, ..ASKED };
        assert_eq!(check(&request("oneloop.example.com:8080"), Guard::Data, encrypted), Err(Status::Unauthorized));
    }

    #[test]
    fn another_sites_page_is_refused() {
        let cases = [
            (Some("http://localhost:8080"), None, true),
            (Some("https://localhost:8080"), Some("same-origin"), true),
            (None, Some("none"), true),
            (Some("http://example.com"), None, false),
            (Some("http://localhost:9090"), None, false),
            (Some("null"), None, false),
            (None, Some("cross-site"), false),
            (None, Some("same-site"), false),
        ];
        for (origin, fetch_site, is_allowed) in cases {
            let mut request = request("localhost:8080");
            request.origin = origin.map(str::to_string);
            request.fetch_site = fetch_site.map(str::to_string);
            let expected = if is_allowed { Ok(()) } else { Err(Status::Forbidden) };
            assert_eq!(check(&request, Guard::Data, NONE), expected, "{origin:?} {fetch_site:?}");
            request.token = Some(TOKEN.to_string());
            assert_eq!(check(&request, Guard::Data, ASKED), expected, "{origin:?} {fetch_site:?}");
        }
    }

    #[test]
    fn an_order_needs_the_token_of_the_training_instance_as_well() {
        let training = Rules { training_token: Some("fedcba9876543210"), ..NONE };
        let mut request = request("localhost:8080");
        for (shown, expected) in
            [(None, Err(Status::Forbidden)), (Some(TOKEN), Err(Status::Forbidden)), (training.training_token, Ok(()))]
        {
            request.training_token = shown.map(str::to_string);
            assert_eq!(check(&request, Guard::Order, training), expected, "{shown:?}");
            assert_eq!(check(&request, Guard::Order, NONE), Err(Status::Forbidden), "no training instance");
        }
        let both = Rules { token: TOKEN, ..training };
        assert_eq!(check(&request, Guard::Order, both), Err(Status::Unauthorized));
        request.token = Some(TOKEN.to_string());
        assert_eq!(check(&request, Guard::Order, both), Ok(()));
        request.origin = Some("http://example.com".to_string());
        assert_eq!(check(&request, Guard::Order, both), Err(Status::Forbidden));
    }

    #[test]
    fn where_a_token_is_asked_for_it_has_to_be_shown() {
        let mut request = request("oneloop.example.com:8080");
        assert_eq!(check(&request, Guard::Open, ASKED), Ok(()));
        assert_eq!(check(&request, Guard::Data, ASKED), Err(Status::Unauthorized));
        for (shown, expected) in
            [(TOKEN, Ok(())), ("0123456789abcdeF", Err(Status::Unauthorized)), ("", Err(Status::Unauthorized))]
        {
            request.token = Some(shown.to_string());
            assert_eq!(check(&request, Guard::Data, ASKED), expected, "{shown}");
        }
    }
}
