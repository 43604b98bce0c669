//! The language of environment files, as the service manager reads it (systemd.exec(5),
//! `EnvironmentFile=`; `parse_env_file_internal()` in its env-file.c, version 254 and later).
//!
//! Decodes in place, since a text only gets shorter. Opens nothing, and knows nothing of processes.
//!
//! `env_file` where others have a say is read by `clusterctl-exec --env`, as the program's user,
//! which then becomes the program: the manager reads `EnvironmentFile=` as root, through links, in
//! its main process. It speaks systemd's language (version 254 and later), held by a test that
//! compares the two on random files. Every file behind such a one is read so too, since later ones
//! win. Where starting counts as ready, `ExecStartPre=` reads it once before, so that a file that
//! cannot be read fails the start as it does with the manager.

/// One setting of a file, `NAME=value` with its NUL, and how long the name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Assignment {
    /// Where the entry begins in the text.
    pub start: usize,
    /// Length of the name.
    pub name: usize,
    /// Length of name, `=` and value.
    pub length: usize,
    /// The line in which it begins, counted from 1.
    pub line: usize,
}

/// Why a file is refused as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotUtf8;

/// What the next byte belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    BeforeName,
    Name,
    BeforeValue,
    Value,
    Escaped,
    SingleQuotes,
    DoubleQuotes,
    EscapedInQuotes,
    Comment,
    EscapedInComment,
}

/// Reads a text from its beginning to its end.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    text: &'a mut [u8],
    /// The next byte.
    at: usize,
    state: State,
    line: usize,
    entry: Assignment,
    /// Where the blanks begin that end what is read, if it ends with blanks.
    blanks: Option<usize>,
}

impl<'a> Reader<'a> {
    /// The last byte of `text` is room for a NUL, and no part of the file.
    pub(super) fn new(text: &'a mut [u8]) -> Reader<'a> {
        let entry = Assignment { start: 0, name: 0, length: 0, line: 1 };
        Reader { text, at: 0, state: State::BeforeName, line: 1, entry, blanks: None }
    }

    /// The next setting, whatever its name.
    pub(super) fn next(&mut self) -> Option<Result<Assignment, NotUtf8>> {
        let end = self.text.len().saturating_sub(1);
        while self.at < end {
            let byte = self.text.get(self.at).copied().unwrap_or(b'\n');
            self.at += 1;
            self.line += usize::from(byte == b'\n');
            if self.step(byte) {
                return Some(self.finish());
            }
        }
        let open = core::mem::replace(&mut self.state, State::BeforeName);
        let nothing = [State::BeforeName, State::Name, State::Comment, State::EscapedInComment];
        (!nothing.contains(&open)).then(|| {
            if open != State::Value {
                self.blanks = None;
            }
            self.finish()
        })
    }

    /// Takes one byte; returns whether a setting ends here.
    fn step(&mut self, byte: u8) -> bool {
        let (blank, newline) = (b" \t\n\r".contains(&byte), matches!(byte, b'\n' | b'\r'));
        match self.state {
            State::BeforeName if matches!(byte, b'#' | b';') => self.state = State::Comment,
            State::BeforeName if !blank => {
                self.entry = Assignment { start: self.at - 1, name: 0, length: 0, line: self.line };
                self.blanks = None;
                self.state = State::Name;
                self.push(byte);
            }
            State::BeforeName => {}
            State::Name if newline => self.state = State::BeforeName,
            State::Name if byte == b'=' => {
                self.chomp();
                self.entry.name = self.entry.length;
                self.push(byte);
                self.state = State::BeforeValue;
            }
            State::Name => self.push_text(byte, blank),
            State::BeforeValue | State::Value if newline => {
                if self.state == State::BeforeValue {
                    self.blanks = None;
                }
                self.state = State::BeforeName;
                return true;
            }
            State::BeforeValue if byte == b'\'' => self.state = State::SingleQuotes,
            State::BeforeValue if byte == b'"' => self.state = State::DoubleQuotes,
            State::BeforeValue | State::Value if byte == b'\\' => {
                self.blanks = None;
                self.state = State::Escaped;
            }
            State::BeforeValue if blank => {}
            State::BeforeValue => {
                self.push(byte);
                self.state = State::Value;
            }
            State::Value => self.push_text(byte, blank),
            State::Escaped => {
                self.state = State::Value;
                if !newline {
                    self.push(byte);
                }
            }
            State::SingleQuotes | State::DoubleQuotes | State::EscapedInQuotes => self.quoted(byte),
            State::Comment if byte == b'\\' => self.state = State::EscapedInComment,
            State::Comment | State::EscapedInComment => {
                self.state = if newline { State::BeforeName } else { State::Comment };
            }
        }
        false
    }

    fn quoted(&mut self, byte: u8) {
        match (self.state, byte) {
            (State::SingleQuotes, b'\'') | (State::DoubleQuotes, b'"') => {
                self.state = State::BeforeValue;
            }
            (State::DoubleQuotes, b'\\') => self.state = State::EscapedInQuotes,
            (State::EscapedInQuotes, _) => {
                self.state = State::DoubleQuotes;
                if !b"\"\\`$\n".contains(&byte) {
                    self.push(b'\\');
                }
                if byte != b'\n' {
                    self.push(byte);
                }
            }
            _ => self.push(byte),
        }
    }

    /// A byte outside of quotes, where blanks count only when something follows.
    fn push_text(&mut self, byte: u8, blank: bool) {
        self.blanks = if blank { self.blanks.or(Some(self.entry.length)) } else { None };
        self.push(byte);
    }

    fn push(&mut self, byte: u8) {
        if let Some(place) = self.text.get_mut(self.entry.start + self.entry.length) {
            *place = byte;
            self.entry.length += 1;
        }
    }

    fn chomp(&mut self) {
        self.entry.length = self.blanks.take().unwrap_or(self.entry.length);
    }

    fn finish(&mut self) -> Result<Assignment, NotUtf8> {
        self.chomp();
        let Assignment { start, length, .. } = self.entry;
        if let Some(place) = self.text.get_mut(start + length) {
            *place = 0;
        }
        let entry = self.text.get(start..start + length).unwrap_or_default();
        // `=` tells the two apart: each is UTF-8 when the whole is.
        core::str::from_utf8(entry).map_err(|_| NotUtf8)?;
        Ok(self.entry)
    }
}

/// Whether an environment can hold the name (systemd drops all others).
pub(super) fn valid_name(name: &[u8]) -> bool {
    let word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    name.iter().all(word) && name.first().is_some_and(|byte| !byte.is_ascii_digit())
}
