//! `Prefer: wait=<seconds>` (RFC 7240): how long a caller would rather wait.

use std::time::Duration;

use hyper::HeaderMap;

/// Seconds that a caller would wait: the first that are said, in any of the headers. What cannot be read is no preference.
pub(super) fn wait(headers: &HeaderMap) -> Option<Duration> {
    let preferences = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    preferences.flat_map(|value| value.split(',')).find_map(|preference| {
        let (name, value) = preference.split(';').next()?.split_once('=')?;
        let digits = value.trim().trim_matches('"');
        let is_wait =
            name.trim().eq_ignore_ascii_case("wait") && digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse().ok().filter(|_| is_wait).map(Duration::from_secs)
    })
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn what_cannot_be_read_is_no_preference() {
        let check = |values: &[&str], expected: Option<u64>| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append("prefer", HeaderValue::from_str(value).unwrap());
            }
            assert_eq!(wait(&headers), expected.map(Duration::from_secs), "{values:?}");
        };
        check(&["wait=5"], Some(5));
        check(&["respond-async, Wait = \"7\"; x=1"], Some(7));
        check(&["return=minimal", "wait=0"], Some(0));
        check(&["wait=3, wait=9"], Some(3));
        for none in [
            "",
            "wait",
            "wait=",
            "wait=-1",
            "wait=+1",
            "wait=1.5",
            "wait=99999999999999999999",
            "waits=1",
            "x;wait=1",
        ] {
            check(&[none], None);
        }
        check(&[], None);
    }
}
