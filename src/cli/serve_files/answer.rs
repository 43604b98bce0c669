//! What a request is answered with, as values: the path it names, the part of a file it wants, and whether the
//! client has it already. It opens nothing.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use percent_encoding::percent_decode_str;

/// What is needed of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Request {
    pub method: String,
    pub target: String,
    /// Whether the client may ask again on this connection.
    pub keeps: bool,
    /// Whether something follows that nobody will read.
    pub has_body: bool,
    pub authorization: String,
    pub range: String,
    pub if_range: String,
    pub if_none_match: String,
    pub if_modified_since: String,
}

impl Request {
    /// Reads the beginning of a request: it and its length, or nothing where it has not ended yet.
    ///
    /// # Errors
    /// It is no HTTP.
    pub(super) fn read(bytes: &[u8]) -> Result<Option<(Request, usize)>, ()> {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut parsed = httparse::Request::new(&mut headers);
        let length = match parsed.parse(bytes).map_err(drop)? {
            httparse::Status::Partial => return Ok(None),
            httparse::Status::Complete(length) => length,
        };
        let header = |name: &str| {
            let found = parsed.headers.iter().find(|one| one.name.eq_ignore_ascii_case(name));
            found
                .map_or("", |one| std::str::from_utf8(one.value).unwrap_or_default())
                .trim()
                .to_owned()
        };
        let connection = header("connection").to_ascii_lowercase();
        let body = header("content-length");
        let request = Request {
            method: parsed.method.unwrap_or_default().to_owned(),
            target: parsed.path.unwrap_or_default().to_owned(),
            keeps: match parsed.version {
                Some(1) => !connection.contains("close"),
                _ => connection.contains("keep-alive"),
            },
            has_body: !["", "0"].contains(&body.as_str())
                || !header("transfer-encoding").is_empty(),
            authorization: header("authorization"),
            range: header("range"),
            if_range: header("if-range"),
            if_none_match: header("if-none-match"),
            if_modified_since: header("if-modified-since"),
        };
        Ok(Some((request, length)))
    }

    /// The path without query, as it was sent, from its slash on.
    pub(super) fn path(&self) -> &str {
        let target = &self.target;
        // A proxy may be asked by a whole address.
        let local = target.split_once("://").map_or(target.as_str(), |(_, rest)| {
            rest.find('/').map_or("/", |slash| &rest[slash..])
        });
        local.split(['?', '#']).next().unwrap_or_default()
    }

    /// What follows the path.
    pub(super) fn query(&self) -> &str {
        let from = self.target.find('?');
        from.map_or("", |from| self.target[from..].split('#').next().unwrap_or_default())
    }
}

/// The parts of a path between its slashes, decoded; nothing where it is none.
pub(super) fn parts(path: &str) -> Option<Vec<String>> {
    let inside = path.strip_prefix('/')?;
    let decoded = inside.split('/').filter(|part| !["", "."].contains(part));
    let decoded = decoded.map(|part| percent_decode_str(part).decode_utf8().map(String::from));
    decoded.collect::<Result<Vec<_>, _>>().ok()
}

/// A file, as clients remember it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Version {
    pub length: u64,
    pub modified: SystemTime,
}

/// What of a file is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Whole,
    /// From the first to the last byte, both included.
    Bytes(u64, u64),
    /// The client has it.
    Unchanged,
    /// There is no such part.
    Outside,
}

impl Version {
    /// A mark that changes with the file.
    pub(super) fn mark(&self) -> String {
        let since = self.modified.duration_since(UNIX_EPOCH).unwrap_or_default();
        format!("\"{:x}-{:x}\"", since.as_nanos(), self.length)
    }

    pub(super) fn date(&self) -> String {
        httpdate::fmt_http_date(self.modified.max(UNIX_EPOCH))
    }

    /// Times in headers are whole seconds.
    fn is_since(&self, text: &str) -> bool {
        let Ok(since) = httpdate::parse_http_date(text) else { return true };
        self.modified >= since + Duration::from_secs(1)
    }

    /// What a request wants of it (RFC 9110, 13.2.2).
    pub(super) fn part(&self, request: &Request) -> Part {
        let unchanged = match request.if_none_match.as_str() {
            "" => {
                !request.if_modified_since.is_empty() && !self.is_since(&request.if_modified_since)
            }
            "*" => true,
            marks => {
                marks.split(',').any(|mark| mark.trim().trim_start_matches("W/") == self.mark())
            }
        };
        if unchanged {
            return Part::Unchanged;
        }
        let same = match request.if_range.as_str() {
            "" => true,
            mark if mark.starts_with('"') => mark == self.mark(),
            date => !date.starts_with("W/") && !self.is_since(date),
        };
        if same { self.range(&request.range) } else { Part::Whole }
    }

    /// One range; several at once may be answered by everything.
    fn range(&self, text: &str) -> Part {
        let Some((first, last)) =
            text.strip_prefix("bytes=").and_then(|range| range.split_once('-'))
        else {
            return Part::Whole;
        };
        let end = self.length.saturating_sub(1);
        let number = |text: &str| text.trim().parse::<u64>().ok();
        match (number(first), number(last)) {
            _ if last.contains(',') => Part::Whole,
            (None, Some(0)) => Part::Outside,
            (None, Some(_)) if first.trim().is_empty() && self.length == 0 => Part::Outside,
            (None, Some(tail)) if first.trim().is_empty() => {
                Part::Bytes(self.length.saturating_sub(tail), end)
            }
            (Some(first), _) if first >= self.length => Part::Outside,
            (Some(first), None) if last.trim().is_empty() => Part::Bytes(first, end),
            (Some(first), Some(last)) if first <= last => Part::Bytes(first, last.min(end)),
            _ => Part::Whole,
        }
    }
}

/// The type of a file by its name.
pub(super) fn content_type(name: &str) -> String {
    let guess = mime_guess::from_path(name).first_raw().unwrap_or("application/octet-stream");
    let is_text = guess.starts_with("text/")
        || ["application/javascript", "application/json", "image/svg+xml"].contains(&guess);
    if is_text { format!("{guess}; charset=utf-8") } else { guess.to_owned() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn version() -> Version {
        Version { length: 100, modified: UNIX_EPOCH + Duration::from_millis(1_500) }
    }

    #[test]
    fn a_request_is_read_when_it_is_whole() {
        let text = b"GET /a%20b?x=1 HTTP/1.1\r\nHost: x\r\nRange: bytes=0-\r\n\r\nrest";
        assert_eq!(Request::read(&text[..20]), Ok(None));
        let (request, length) = Request::read(text).unwrap().unwrap();
        assert_eq!((length, request.keeps, request.has_body), (text.len() - 4, true, false));
        assert_eq!((request.path(), request.query()), ("/a%20b", "?x=1"));
        assert_eq!(parts(request.path()).unwrap(), ["a b"]);
        assert!(Request::read(b"\x16\x03\x01\r\n\r\n").is_err());
        let old = b"GET http://x/y HTTP/1.0\r\n\r\n";
        let (request, _) = Request::read(old).unwrap().unwrap();
        assert_eq!((request.path(), request.keeps), ("/y", false));
        assert_eq!(parts("/a/%2e%2e/b").unwrap(), ["a", "..", "b"], "a hidden part for the folder");
        assert_eq!(parts("/%ff"), None);
        assert_eq!(parts("*"), None);
    }

    #[test]
    fn parts_of_a_file() {
        let part = |range: &str| {
            version().part(&Request { range: range.to_owned(), ..Request::default() })
        };
        assert_eq!(part(""), Part::Whole);
        assert_eq!(part("bytes=0-0"), Part::Bytes(0, 0));
        assert_eq!(part("bytes=90-"), Part::Bytes(90, 99));
        assert_eq!(part("bytes=90-500"), Part::Bytes(90, 99));
        assert_eq!(part("bytes=-10"), Part::Bytes(90, 99));
        assert_eq!(part("bytes=-500"), Part::Bytes(0, 99));
        assert_eq!(part("bytes=100-"), Part::Outside);
        assert_eq!(part("bytes=-0"), Part::Outside);
        for whole in ["bytes=5-2", "bytes=0-1,5-6", "lines=1-2", "bytes=x-y", "bytes=--1", "bytes="]
        {
            assert_eq!(part(whole), Part::Whole, "{whole}");
        }
        let empty = Version { length: 0, ..version() };
        assert_eq!(empty.range("bytes=0-"), Part::Outside);
    }

    #[test]
    fn what_the_client_has_is_not_sent_again() {
        let version = version();
        let asks = |request: Request| version.part(&request);
        let (mark, date) = (version.mark(), version.date());
        let with = |mark: &str| Request { if_none_match: mark.to_owned(), ..Request::default() };
        assert_eq!(asks(with(&mark)), Part::Unchanged);
        assert_eq!(asks(with(&format!("\"x\", W/{mark}"))), Part::Unchanged);
        assert_eq!(asks(with("\"x\"")), Part::Whole);
        let since =
            |date: &str| Request { if_modified_since: date.to_owned(), ..Request::default() };
        assert_eq!(asks(since(&date)), Part::Unchanged);
        assert_eq!(asks(since("Thu, 01 Jan 1970 00:00:00 GMT")), Part::Whole);
        assert_eq!(asks(since("yesterday")), Part::Whole);
        // The mark counts where both are sent.
        assert_eq!(asks(Request { if_none_match: "\"x\"".into(), ..since(&date) }), Part::Whole);
        let range = |mark: &str| Request {
            range: "bytes=0-1".into(),
            if_range: mark.to_owned(),
            ..Request::default()
        };
        assert_eq!(asks(range(&mark)), Part::Bytes(0, 1));
        assert_eq!(asks(range(&date)), Part::Bytes(0, 1));
        assert_eq!(asks(range("\"x\"")), Part::Whole);
    }

    #[test]
    fn types_are_told_by_names() {
        assert_eq!(content_type("a.html"), "text/html; charset=utf-8");
        assert_eq!(content_type("a.js"), "text/javascript; charset=utf-8");
        assert_eq!(content_type("a.WASM"), "application/wasm");
        assert_eq!(content_type("a"), "application/octet-stream");
    }
}
