//! One request over one connection.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::http::{Answer, HttpError, Request};

/// Bytes that are read at once.
const BLOCK: usize = 64 << 10;

/// Asks the program at the other end of a connection.
///
/// # Errors
/// It does not answer in HTTP, or not within the time.
pub fn exchange(
    mut stream: &TcpStream,
    request: &Request,
    host: &str,
    timeout: Duration,
) -> Result<Answer, HttpError> {
    let deadline = Instant::now() + timeout;
    stream.set_write_timeout(Some(timeout)).map_err(HttpError::Io)?;
    match stream.write_all(&request.bytes(host)) {
        // A program may answer before it has read a body that it does not want.
        Err(error)
            if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {}
        sent => sent.map_err(failed)?,
    }
    let mut bytes = Vec::new();
    let mut block = vec![0; BLOCK];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(HttpError::Silent);
        }
        stream.set_read_timeout(Some(left)).map_err(HttpError::Io)?;
        let ended = match stream.read(&mut block) {
            Ok(length) => {
                bytes.extend_from_slice(&block[..length]);
                length == 0
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => true,
            Err(error) => return Err(failed(error)),
        };
        if let Some(answer) = Answer::read(&bytes, ended, &request.method)? {
            return Ok(answer);
        }
    }
}

fn failed(error: io::Error) -> HttpError {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => HttpError::Silent,
        _ => HttpError::Io(error),
    }
}
