//! Names of apps and listeners: narrow enough to be unit names, slices and files without escaping.

use std::fmt;

use crate::limits;

/// Why a text is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    /// It is empty.
    Empty,
    /// It has more bytes than allowed.
    TooLong,
    /// It does not start with a letter or digit.
    Start,
    /// A character that is not allowed.
    Char(char),
}

fn check(text: &str, max: usize) -> Result<(), NameError> {
    let Some(first) = text.chars().next() else { return Err(NameError::Empty) };
    let bad = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    if let Some(char) = text.chars().find(|c| bad(*c)) {
        return Err(NameError::Char(char));
    }
    if !first.is_ascii_alphanumeric() {
        return Err(NameError::Start);
    }
    if text.len() > max { Err(NameError::TooLong) } else { Ok(()) }
}

macro_rules! name_type {
    ($(#[$doc:meta])* $type:ident, $max:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(String);

        impl $type {
            /// Parses a name.
            ///
            /// # Errors
            /// The text is empty, too long, or has other characters than `A-Za-z0-9-_.`.
            pub fn parse(text: &str) -> Result<$type, NameError> {
                check(text, $max).map(|()| $type(text.to_owned()))
            }

            /// The name.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name_type! {
    /// Name of an app: `[A-Za-z0-9][A-Za-z0-9-_.]*`, the stem of its units.
    AppName, limits::APP_NAME
}
name_type! {
    /// Name of a listener: `[A-Za-z0-9][A-Za-z0-9-_.]*`, valid as `FileDescriptorName=` too.
    ListenerName, limits::LISTENER_NAME
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_narrow() {
        assert!(AppName::parse("my-api_2.0").is_ok());
        assert_eq!(AppName::parse(""), Err(NameError::Empty));
        assert_eq!(AppName::parse("a@b"), Err(NameError::Char('@')));
        assert_eq!(AppName::parse(".hidden"), Err(NameError::Start));
        assert_eq!(AppName::parse(&"a".repeat(101)), Err(NameError::TooLong));
    }
}
