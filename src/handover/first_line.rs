//! The first line of an HTTP/1 message.

use super::digits::decimal;

/// The bytes are no HTTP/1, or the parser could not follow them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost;

/// What a message's first line says about the rest of the conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// A request whose answer has a body as its fields say.
    Plain,
    /// `GET`, which clients send again by themselves.
    Get,
    /// `HEAD`: the answer has no body, whatever its fields say.
    Head,
    /// `CONNECT`: a positive answer turns the connection into a tunnel.
    Connect,
    /// An answer with this status.
    Status(u16),
}

/// What the first line of a request says.
///
/// # Errors
/// [`Lost`], where it is none.
pub fn method(line: &[u8]) -> Result<Start, Lost> {
    let word = line.split(|byte| *byte == b' ').next().unwrap_or(&[]);
    match word {
        // No method, or nothing after it.
        _ if word.is_empty() || word.len() == line.len() => Err(Lost),
        b"GET" => Ok(Start::Get),
        b"HEAD" => Ok(Start::Head),
        b"CONNECT" => Ok(Start::Connect),
        // The preface of HTTP/2.
        b"PRI" => Err(Lost),
        _ => Ok(Start::Plain),
    }
}

/// What the first line of an answer says.
///
/// # Errors
/// [`Lost`], where it is none.
pub fn status(line: &[u8]) -> Result<Start, Lost> {
    let rest = line.strip_prefix(b"HTTP/1.").and_then(|rest| rest.get(2..5)).ok_or(Lost)?;
    let status = decimal(rest).and_then(|status| u16::try_from(status).ok());
    status.filter(|status| (100..=599).contains(status)).map(Start::Status).ok_or(Lost)
}
