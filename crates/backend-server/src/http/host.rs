//! Whether a request was meant for this machine.

use std::net::IpAddr;

use hyper::header::HOST;
use hyper::http::request::Parts;
use hyper::http::uri::Authority;

use super::problem::{self, Problem};

/// Turns away what names another host, in `Host` or in the request's line.
///
/// # Errors
///
/// The answer to it.
pub(super) fn check(head: &Parts, allowed: &[String]) -> Result<(), Problem> {
    let mut hosts = head.headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return Err(problem::no_host()) };
    let host = host.to_str().ok().and_then(|host| host.parse::<Authority>().ok());
    let host = host.ok_or_else(problem::no_host)?;
    for named in [Some(&host), head.uri.authority()].into_iter().flatten() {
        let name = named.host();
        let is_allowed = || allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(name));
        if !is_this_machine(name) && !is_allowed() {
            return Err(problem::strange_host());
        }
    }
    Ok(())
}

fn is_this_machine(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost")
        || address.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::*;

    fn check_host(hosts: &[&str], uri: &str) -> u16 {
        let mut request = Request::get(uri);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        let allowed = [String::from("kora.test")];
        check(&head, &allowed).map_or_else(|problem| problem.status.as_u16(), |()| 200)
    }

    #[test]
    fn names_of_this_machine_are_answered_and_others_only_if_allowed() {
        let this =
            ["localhost", "LocalHost:7010", "localhost.:1", "127.0.0.1:7010", "127.9.9.9", "[::1]:7010"];
        for host in this.into_iter().chain(["[::ffff:127.0.0.1]", "kora.test:80", "KORA.test"]) {
            assert_eq!(check_host(&[host], "/health"), 200, "{host}");
        }
        for host in
            ["example.com", "localhost.example.com", "127.0.0.1.example.com", "10.0.0.1", "0.0.0.0", "[::]"]
        {
            assert_eq!(check_host(&[host], "/health"), 403, "{host}");
        }
        assert_eq!(check_host(&["localhost"], "http://example.com/health"), 403);
        assert_eq!(check_host(&["localhost"], "http://localhost/health"), 200);
    }

    #[test]
    fn there_is_one_host_that_can_be_read() {
        for hosts in [&[][..], &["localhost", "localhost"], &[""], &["local host"], &["a/b"]] {
            assert_eq!(check_host(hosts, "/health"), 400, "{hosts:?}");
        }
    }
}
