//! Just enough of HTTP/1.x to know when an answer is whole. Pure.

/// A whole answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// The server will close the connection.
    pub close: bool,
    /// Status line and header fields.
    pub head: String,
    pub body: Vec<u8>,
}

/// What the bytes so far amount to.
#[derive(Debug, PartialEq, Eq)]
pub enum Parsed {
    Partial,
    Whole(Answer),
    Malformed(String),
}

/// Judges the bytes of one answer; `ended` says that no more will come.
pub fn parse(bytes: &[u8], ended: bool) -> Parsed {
    let Some(split) = find(bytes, b"\r\n\r\n") else {
        return Parsed::Partial;
    };
    let head = String::from_utf8_lossy(&bytes[..split]).into_owned();
    let rest = &bytes[split + 4..];
    let mut words = head.lines().next().unwrap_or_default().split(' ');
    let version = words.next().unwrap_or_default();
    let status = words.next().and_then(|word| word.parse().ok());
    let Some(status) = status.filter(|_| version.starts_with("HTTP/1.")) else {
        return Parsed::Malformed(head);
    };
    let connection = field(&head, "connection").unwrap_or_default().to_ascii_lowercase();
    let mut close = connection == "close" || (version == "HTTP/1.0" && connection != "keep-alive");
    let chunked = field(&head, "transfer-encoding").is_some_and(|coding| coding == "chunked");
    let body = if status == 204 || status == 304 {
        Some(Vec::new())
    } else if chunked {
        match unchunk(rest) {
            Ok(body) => body,
            Err(line) => return Parsed::Malformed(line),
        }
    } else if let Some(length) = field(&head, "content-length") {
        let Ok(length) = length.parse::<usize>() else {
            return Parsed::Malformed(head);
        };
        rest.get(..length).map(<[u8]>::to_vec)
    } else {
        close = true;
        ended.then(|| rest.to_vec())
    };
    body.map_or(Parsed::Partial, |body| Parsed::Whole(Answer { status, close, head, body }))
}

/// The body of a chunked answer, or nothing while it is incomplete.
fn unchunk(mut rest: &[u8]) -> Result<Option<Vec<u8>>, String> {
    let mut body = Vec::new();
    loop {
        let Some(end) = find(rest, b"\r\n") else {
            return Ok(None);
        };
        let line = String::from_utf8_lossy(&rest[..end]).into_owned();
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).map_err(|_| line.clone())?;
        let (from, to) = (end + 2, end + 2 + size);
        let Some(chunk) = rest.get(from..to) else {
            return Ok(None);
        };
        body.extend_from_slice(chunk);
        if rest.get(to..to + 2).is_none() {
            return Ok(None);
        }
        if size == 0 {
            return Ok(Some(body));
        }
        rest = &rest[to + 2..];
    }
}

fn field<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

#[test]
fn an_answer_is_whole_only_with_its_last_byte() {
    let cases = [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", false, false),
        ("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n", true, false),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
            false,
            false,
        ),
        ("HTTP/1.0 200 OK\r\nServer: x\r\n\r\nhello", true, true),
    ];
    for (text, close, needs_end) in cases {
        for cut in 0..text.len() {
            let cut_short = parse(&text.as_bytes()[..cut], false);
            assert_eq!(cut_short, Parsed::Partial, "{cut} bytes of {text:?}");
        }
        if needs_end {
            assert_eq!(parse(text.as_bytes(), false), Parsed::Partial);
        }
        let Parsed::Whole(answer) = parse(text.as_bytes(), needs_end) else { panic!("{text:?}") };
        assert_eq!(answer.close, close, "{text:?}");
        assert!(answer.status == 204 || answer.body == b"hello", "{answer:?}");
    }
    assert!(matches!(parse(b"SSH-2.0-x\r\n\r\n", false), Parsed::Malformed(_)));
}
