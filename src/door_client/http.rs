//! The part of HTTP/1.1 with which one request is asked over one connection. Values in, values out.

use std::fmt;

use crate::limits;

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Such as `GET`.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Header lines as they are sent, besides those that nobody needs to write: name and value.
    pub headers: Vec<(String, String)>,
    /// What follows the header.
    pub body: Vec<u8>,
}

impl Request {
    /// `GET` of a path.
    pub fn get(target: &str) -> Request {
        Request {
            method: "GET".to_owned(),
            target: target.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// What is sent; `host` stands in `Host:` unless the request has one of its own.
    pub fn bytes(&self, host: &str) -> Vec<u8> {
        let named = |name: &str| self.headers.iter().any(|(own, _)| own.eq_ignore_ascii_case(name));
        let mut text = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        let length = self.body.len().to_string();
        let agent = concat!("clusterctl/", env!("CARGO_PKG_VERSION"));
        let usual = [("Host", host), ("User-Agent", agent), ("Accept", "*/*")];
        for (name, value) in usual.into_iter().filter(|(name, _)| !named(name)) {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        // A connection serves one request, whatever the caller says of it.
        text.push_str("Connection: close\r\n");
        if !(self.body.is_empty() || named("Content-Length")) {
            text.push_str(&format!("Content-Length: {length}\r\n"));
        }
        for (name, value) in &self.headers {
            if !name.eq_ignore_ascii_case("Connection") {
                text.push_str(&format!("{name}: {value}\r\n"));
            }
        }
        let mut bytes = format!("{text}\r\n").into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// What a program answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Such as 200.
    pub status: u16,
    /// The words behind it; some servers send none.
    pub reason: String,
    /// The header as it came, its empty line included.
    pub head: Vec<u8>,
    /// What `Content-Type` says.
    pub content_type: String,
    /// The body, without chunks.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum HttpError {
    /// What came is no HTTP/1.
    NotHttp,
    /// More came than is read.
    TooLong,
    /// Nothing came, or not all, before the connection ended.
    Ended,
    /// Nothing came, or not all, in time.
    Silent,
    /// The system refused.
    Io(std::io::Error),
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HttpError::NotHttp => f.write_str("it did not answer in HTTP"),
            HttpError::TooLong => f.write_str("its answer is too long"),
            HttpError::Ended => f.write_str("it ended the connection before it had answered"),
            HttpError::Silent => f.write_str("it did not answer in time"),
            HttpError::Io(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for HttpError {}

impl Answer {
    /// Whether it is one of success.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Status, words and the first line of the body that says something: "503 Service Unavailable: no
    /// database".
    pub fn said(&self) -> String {
        let mut text = format!("{} {}", self.status, self.reason).trim_end().to_owned();
        let start = &self.body[..self.body.len().min(limits::HEALTH_LINE)];
        let body = String::from_utf8_lossy(start);
        if let Some(line) = body.lines().map(str::trim).find(|line| !line.is_empty()) {
            text.push_str(": ");
            text.extend(line.chars().map(|c| if c.is_control() { ' ' } else { c }));
        }
        text
    }

    /// Reads what came so far: `None` where more has to come. `ended`: nothing more will.
    ///
    /// # Errors
    /// It is no HTTP, is too long, or ended too early.
    pub fn read(bytes: &[u8], ended: bool, method: &str) -> Result<Option<Answer>, HttpError> {
        if bytes.len() > limits::DOOR_BODY {
            return Err(HttpError::TooLong);
        }
        let mut headers = [httparse::EMPTY_HEADER; 128];
        let mut parsed = httparse::Response::new(&mut headers);
        let length = match parsed.parse(bytes).map_err(|_| HttpError::NotHttp)? {
            httparse::Status::Partial if ended => return Err(HttpError::Ended),
            httparse::Status::Partial => return Ok(None),
            httparse::Status::Complete(length) => length,
        };
        let header = |name: &str| {
            let found = parsed.headers.iter().find(|one| one.name.eq_ignore_ascii_case(name));
            found.map_or("", |one| std::str::from_utf8(one.value).unwrap_or_default()).trim()
        };
        let (head, rest) = bytes.split_at(length);
        let status = parsed.code.unwrap_or_default();
        if (100..200).contains(&status) && status != 101 {
            // An interim answer: the one that counts follows it.
            return Answer::read(rest, ended, method);
        }
        let whole = match () {
            () if method == "HEAD" || matches!(status, 101 | 204 | 304) => Some(Vec::new()),
            () if header("transfer-encoding").to_ascii_lowercase().ends_with("chunked") => {
                unchunked(rest)?
            }
            () => match header("content-length").parse::<usize>() {
                Ok(length) if length > limits::DOOR_BODY => return Err(HttpError::TooLong),
                Ok(length) => rest.get(..length).map(<[u8]>::to_vec),
                Err(_) => ended.then(|| rest.to_vec()),
            },
        };
        let Some(body) = whole else {
            return if ended { Err(HttpError::Ended) } else { Ok(None) };
        };
        Ok(Some(Answer {
            status,
            reason: parsed.reason.unwrap_or_default().to_owned(),
            head: head.to_vec(),
            content_type: header("content-type").to_owned(),
            body,
        }))
    }
}

/// A body without its chunks; `None` where more has to come.
fn unchunked(mut rest: &[u8]) -> Result<Option<Vec<u8>>, HttpError> {
    let mut body = Vec::new();
    loop {
        let (start, size) = match httparse::parse_chunk_size(rest) {
            Ok(httparse::Status::Complete(found)) => found,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err(HttpError::NotHttp),
        };
        if size == 0 {
            return Ok(Some(body));
        }
        let size = usize::try_from(size).map_err(|_| HttpError::TooLong)?;
        let Some(chunk) = rest.get(start..start.saturating_add(size)) else { return Ok(None) };
        body.extend_from_slice(chunk);
        let Some(after) = rest.get(start + size + 2..) else { return Ok(None) };
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(text: &str, ended: bool) -> Result<Option<Answer>, HttpError> {
        Answer::read(text.as_bytes(), ended, "GET")
    }

    fn body(text: &str, ended: bool) -> String {
        String::from_utf8(read(text, ended).unwrap().unwrap().body).unwrap()
    }

    #[test]
    fn a_body_ends_as_its_header_says() {
        assert_eq!(body("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhey", false), "he");
        let chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n1;x=y\r\ny\r\n0\r\n\r\n";
        assert_eq!(body(chunks, false), "hey");
        assert_eq!(body("HTTP/1.0 200 OK\r\n\r\nto the end", true), "to the end");
        assert_eq!(body("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 None\r\n\r\n", false), "");
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n";
        assert_eq!(Answer::read(head, false, "HEAD").unwrap().unwrap().body, b"");
    }

    #[test]
    fn what_is_not_whole_is_waited_for_until_the_end() {
        let whole = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhey\r\n0\r\n";
        for length in 0..whole.len() {
            assert_eq!(read(&whole[..length], false).unwrap(), None, "{length}");
            assert!(matches!(read(&whole[..length], true), Err(HttpError::Ended)), "{length}");
        }
        assert_eq!(read("HTTP/1.0 200 OK\r\n\r\nto the", false).unwrap(), None);
        let long = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", u64::MAX);
        assert!(matches!(read(&long, false), Err(HttpError::TooLong)));
        for other in ["SSH-2.0-OpenSSH_9\r\n", "\u{16}\u{3}\u{1}", "<html>"] {
            assert!(matches!(read(other, false), Err(HttpError::NotHttp)), "{other:?}");
        }
    }

    #[test]
    fn a_failure_is_told_by_status_and_first_line() {
        let said = |text| read(text, true).unwrap().unwrap().said();
        assert_eq!(
            said("HTTP/1.1 503 Service Unavailable\r\n\r\n\n no\u{1b} database\nmore"),
            "503 Service Unavailable: no  database"
        );
        assert_eq!(said("HTTP/1.1 404\r\n\r\n"), "404");
    }

    #[test]
    fn a_request_says_what_is_needed_once() {
        let mut request = Request::get("/x?y=1");
        let text = String::from_utf8(request.bytes("127.0.0.1:80")).unwrap();
        let agent = env!("CARGO_PKG_VERSION");
        assert_eq!(
            text,
            format!(
                "GET /x?y=1 HTTP/1.1\r\nHost: 127.0.0.1:80\r\nUser-Agent: clusterctl/{agent}\r\n\
                 Accept: */*\r\nConnection: close\r\n\r\n"
            )
        );
        request.method = "POST".to_owned();
        request.body = b"hello".to_vec();
        request.headers = vec![("host".into(), "shop".into()), ("connection".into(), "x".into())];
        let text = String::from_utf8(request.bytes("127.0.0.1:80")).unwrap();
        assert!(text.ends_with("Content-Length: 5\r\nhost: shop\r\n\r\nhello"), "{text}");
        assert!(!text.contains("127.0.0.1") && !text.contains("connection: x"), "{text}");
    }
}
