//! Unit names: `prefix[@instance].kind`, parsed once and trusted afterwards.
//!
//! Source: systemd.unit(5) "String Escaping for Inclusion in Unit Names"; limits as in
//! `unit_name_is_valid()`: at most 255 bytes of `[A-Za-z0-9:_.\-]` and one separating `@`.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::limits::UNIT_NAME;

/// A valid unit name such as `api@0.service`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UnitName(String);

impl TryFrom<String> for UnitName {
    type Error = InvalidUnitName;

    fn try_from(text: String) -> Result<UnitName, InvalidUnitName> {
        UnitName::parse(&text)
    }
}

impl From<UnitName> for String {
    fn from(name: UnitName) -> String {
        name.0
    }
}

/// The suffix of a unit name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum UnitKind {
    Service,
    Socket,
    Slice,
    Target,
    Timer,
    Path,
}

impl UnitKind {
    /// Kinds of units that start, open or watch something; others only hold units together.
    pub const ACTING: [UnitKind; 4] =
        [UnitKind::Service, UnitKind::Socket, UnitKind::Timer, UnitKind::Path];

    /// The suffix without its dot.
    pub fn suffix(self) -> &'static str {
        match self {
            UnitKind::Service => "service",
            UnitKind::Socket => "socket",
            UnitKind::Slice => "slice",
            UnitKind::Target => "target",
            UnitKind::Timer => "timer",
            UnitKind::Path => "path",
        }
    }

    fn of(suffix: &str) -> Option<UnitKind> {
        [
            UnitKind::Service,
            UnitKind::Socket,
            UnitKind::Slice,
            UnitKind::Target,
            UnitKind::Timer,
            UnitKind::Path,
        ]
        .into_iter()
        .find(|kind| kind.suffix() == suffix)
    }
}

/// The text is no unit name of a kind that clusterctl writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidUnitName(pub String);

impl fmt::Display for InvalidUnitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not a unit name", self.0.escape_debug())
    }
}

impl std::error::Error for InvalidUnitName {}

impl UnitName {
    /// Parses a whole name.
    ///
    /// # Errors
    /// The text breaks the rules of systemd.unit(5), or its suffix is not a [`UnitKind`].
    pub fn parse(text: &str) -> Result<UnitName, InvalidUnitName> {
        let invalid = || InvalidUnitName(text.to_owned());
        let (stem, suffix) = text.rsplit_once('.').ok_or_else(invalid)?;
        let prefix = stem.split('@').next().unwrap_or("");
        let well_formed = UnitKind::of(suffix).is_some()
            && text.len() <= UNIT_NAME
            && !prefix.is_empty()
            && stem.bytes().all(is_name_byte);
        if well_formed { Ok(UnitName(text.to_owned())) } else { Err(invalid()) }
    }

    /// `stem.kind`.
    ///
    /// # Errors
    /// As [`UnitName::parse`].
    pub fn new(stem: &str, kind: UnitKind) -> Result<UnitName, InvalidUnitName> {
        UnitName::parse(&format!("{stem}.{}", kind.suffix()))
    }

    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the suffix: `api@0` of `api@0.service`.
    pub fn stem(&self) -> &str {
        self.0.rsplit_once('.').map_or(&self.0, |(stem, _)| stem)
    }

    /// The kind that the suffix names.
    pub fn kind(&self) -> UnitKind {
        let suffix = self.0.rsplit_once('.').map_or("", |(_, suffix)| suffix);
        UnitKind::of(suffix).unwrap_or(UnitKind::Service)
    }

    /// The part before `@`, or the stem of a plain name.
    pub fn prefix(&self) -> &str {
        self.stem().split_once('@').map_or(self.stem(), |(prefix, _)| prefix)
    }

    /// The instance: `Some("0")` of `api@0.service`, `Some("")` of a template, `None` of a plain name.
    pub fn instance(&self) -> Option<&str> {
        self.stem().split_once('@').map(|(_, instance)| instance)
    }

    /// Whether this is a template such as `api@.service`.
    pub fn is_template(&self) -> bool {
        self.instance() == Some("")
    }

    /// The template of an instance; `None` of a plain name.
    pub fn template(&self) -> Option<UnitName> {
        self.instance()?;
        Some(UnitName(format!("{}@.{}", self.prefix(), self.kind().suffix())))
    }
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b":_.\\-@".contains(&byte)
}

/// Escapes a text for use inside a unit name, as `systemd-escape` does: `/` becomes `-`, a leading
/// dot and every byte outside `[A-Za-z0-9:_.]` becomes `\xHH`.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'/' => out.push('-'),
            b'.' if at == 0 => out.push_str("\\x2e"),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b':' | b'_' | b'.' => out.push(byte as char),
            other => out.push_str(&format!("\\x{other:02x}")),
        }
    }
    out
}

impl fmt::Display for UnitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for UnitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn parts_of_an_instance() {
        let name = UnitName::parse("my-api@12.service").unwrap();
        assert_eq!(name.prefix(), "my-api");
        assert_eq!(name.instance(), Some("12"));
        assert_eq!(name.template().unwrap().as_str(), "my-api@.service");
        assert!(!name.is_template());
    }

    #[test]
    fn refused_names() {
        for bad in ["", "api", ".service", "@1.service", "a b.service", "api.mount", "ä.service"] {
            assert!(UnitName::parse(bad).is_err(), "{bad}");
        }
        let long = |length: usize| format!("{}.service", "a".repeat(length - ".service".len()));
        assert!(UnitName::parse(&long(UNIT_NAME)).is_ok());
        assert!(UnitName::parse(&long(UNIT_NAME + 1)).is_err());
    }

    #[test]
    fn escapes_as_systemd_escape_does() {
        assert_eq!(escape("my-api"), "my\\x2dapi");
        assert_eq!(escape(".a/b c"), "\\x2ea-b\\x20c");
    }
}
