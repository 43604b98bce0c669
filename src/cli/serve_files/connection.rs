//! One client of the server of files: its requests one after the other, and their answers. It knows nothing of
//! listeners and of how the process ends.

use std::fs::File;
use std::io::{Read, Result, Seek, SeekFrom, Write};
use std::net::TcpStream;
use std::time::{Duration, SystemTime};

use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::Site;
use super::answer::{Part, Request, Version, content_type, parts};
use super::files::{Folder, Found};

/// The beginning of a request may have so many bytes.
const HEAD: usize = 16 * 1024;

/// A client that sends or takes nothing for so long is let go of.
const IDLE: Duration = Duration::from_secs(60);

/// Bytes of a file that are sent at once.
const PIECE: usize = 64 * 1024;

/// Serves a client until one of both is done. Whatever goes wrong concerns this client alone.
pub(super) fn serve(mut client: TcpStream, site: &Site) {
    let set = client.set_read_timeout(Some(IDLE)).and(client.set_write_timeout(Some(IDLE)));
    if set.and(client.set_nodelay(true)).is_err() {
        return;
    }
    let mut bytes = Vec::new();
    while let Some((request, length)) = next(&mut client, &mut bytes) {
        bytes.drain(..length);
        let keeps = request.keeps && !request.has_body;
        if !answer(&mut client, site, &request, keeps).is_ok_and(|()| keeps) {
            return;
        }
    }
}

/// The next request; nothing at the end, or after what is none.
fn next(client: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<(Request, usize)> {
    let mut piece = [0; 4096];
    loop {
        match Request::read(bytes) {
            Ok(Some(request)) => return Some(request),
            Ok(None) if bytes.len() < HEAD => {}
            wrong => {
                let status = if wrong.is_ok() {
                    "431 Request Header Fields Too Large"
                } else {
                    "400 Bad Request"
                };
                // It may be gone, or speak something else.
                let _ = Answer::short(status, false).send(client, false);
                return None;
            }
        }
        match client.read(&mut piece) {
            Ok(length) if length > 0 => bytes.extend_from_slice(piece.get(..length)?),
            _ => return None,
        }
    }
}

fn answer(client: &mut TcpStream, site: &Site, request: &Request, keeps: bool) -> Result<()> {
    let is_head = request.method == "HEAD";
    if !is_head && request.method != "GET" {
        return Answer::short("405 Method Not Allowed", keeps)
            .with("Allow", "GET, HEAD")
            .send(client, false);
    }
    if site.password.as_ref().is_some_and(|password| !is_same(password, &request.authorization)) {
        let ask = "Basic realm=\"site\", charset=\"UTF-8\"";
        return Answer::short("401 Unauthorized", keeps)
            .with("WWW-Authenticate", ask)
            .send(client, is_head);
    }
    let Ok(folder) = Folder::open(&site.folder) else {
        return Answer::short("503 Service Unavailable", keeps).send(client, is_head);
    };
    let Some(parts) = parts(request.path()) else {
        return Answer::short("400 Bad Request", keeps).send(client, is_head);
    };
    let mut parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    if let Ok(Found::Folder) = folder.find(&parts) {
        if !request.path().ends_with('/') {
            let local = request.path().trim_start_matches('/');
            let to = format!("/{local}/{}", request.query());
            return Answer::short("301 Moved Permanently", keeps)
                .with("Location", &to)
                .send(client, is_head);
        }
        parts.push("index.html");
    }
    if let Ok(Found::File(file)) = folder.find(&parts) {
        return send(client, file, parts.last().unwrap_or(&""), "200 OK", request, keeps);
    }
    let other =
        site.fallback.as_ref().map_or(("404.html", "404 Not Found"), |home| (home, "200 OK"));
    let names: Vec<&str> = other.0.split('/').filter(|part| !part.is_empty()).collect();
    match folder.find(&names) {
        Ok(Found::File(file)) => send(client, file, other.0, other.1, request, keeps),
        _ => Answer::short("404 Not Found", keeps).send(client, is_head),
    }
}

/// Compares in a time that tells nothing: by what a key makes of both.
fn is_same(one: &str, other: &str) -> bool {
    let sum = |text: &str| {
        let mut sum = Hmac::<Sha256>::new_from_slice(one.as_bytes()).ok()?;
        sum.update(text.as_bytes());
        Some(sum.finalize())
    };
    sum(one) == sum(other)
}

/// Sends a file, or the part of it that is wanted.
fn send(
    client: &mut TcpStream,
    mut file: File,
    name: &str,
    status: &'static str,
    request: &Request,
    keeps: bool,
) -> Result<()> {
    let meta = file.metadata()?;
    let version = Version { length: meta.len(), modified: meta.modified()? };
    let found = status == "200 OK";
    let part = if found { version.part(request) } else { Part::Whole };
    let (first, length, status) = match part {
        Part::Whole => (0, version.length, status),
        Part::Bytes(first, last) => (first, last - first + 1, "206 Partial Content"),
        Part::Unchanged => (0, 0, "304 Not Modified"),
        Part::Outside => {
            let range = format!("bytes */{}", version.length);
            let answer =
                Answer::short("416 Range Not Satisfiable", keeps).with("Content-Range", &range);
            return answer.send(client, request.method == "HEAD");
        }
    };
    let mut answer = Answer::new(status, keeps).with("ETag", &version.mark());
    answer = answer.with("Last-Modified", &version.date()).with("Accept-Ranges", "bytes");
    if let Part::Bytes(first, last) = part {
        answer = answer.with("Content-Range", &format!("bytes {first}-{last}/{}", version.length));
    }
    if part == Part::Unchanged {
        return client.write_all(answer.head.as_bytes()).and_then(|()| client.write_all(b"\r\n"));
    }
    answer = answer
        .with("Content-Type", &content_type(name))
        .with("Content-Length", &length.to_string());
    answer.head.push_str("\r\n");
    if request.method == "HEAD" || length == 0 {
        return client.write_all(answer.head.as_bytes());
    }
    file.seek(SeekFrom::Start(first))?;
    copy(client, &mut file.take(length), answer.head.into_bytes(), length)
}

/// The head and the first piece go together. A file that has become shorter ends the connection: the length is
/// told already.
fn copy(client: &mut TcpStream, from: &mut impl Read, head: Vec<u8>, mut left: u64) -> Result<()> {
    let mut piece = head;
    let begun = piece.len();
    piece.resize(begun + PIECE, 0);
    let mut start = begun;
    while left > 0 {
        let length = from.read(&mut piece[start..])?;
        if length == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        client.write_all(&piece[..start + length])?;
        left -= length as u64;
        start = 0;
    }
    Ok(())
}

/// An answer in the making.
struct Answer {
    head: String,
    body: String,
}

impl Answer {
    fn new(status: &str, keeps: bool) -> Answer {
        let date = httpdate::fmt_http_date(SystemTime::now());
        let connection = if keeps { "keep-alive" } else { "close" };
        let head = format!(
            "HTTP/1.1 {status}\r\nDate: {date}\r\nConnection: {connection}\r\n\
             X-Content-Type-Options: nosniff\r\n"
        );
        Answer { head, body: String::new() }
    }

    /// One that says no more than its status.
    fn short(status: &str, keeps: bool) -> Answer {
        let body = format!("{status}\n");
        let answer = Answer::new(status, keeps).with("Content-Type", "text/plain; charset=utf-8");
        Answer { body, ..answer }
    }

    fn with(mut self, name: &str, value: &str) -> Answer {
        self.head.push_str(&format!("{name}: {value}\r\n"));
        self
    }

    fn send(self, client: &mut TcpStream, is_head: bool) -> Result<()> {
        let Answer { head, body } = self;
        let shown = if is_head { "" } else { &body };
        client.write_all(format!("{head}Content-Length: {}\r\n\r\n{shown}", body.len()).as_bytes())
    }
}
