//! The start of a line, kept while the line arrives in pieces.

/// Enough for the start of every line that matters, as `Transfer-Encoding: gzip, chunked`.
const KEPT: usize = 48;

/// The first bytes of a line.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    bytes: [u8; KEPT],
    filled: u8,
    /// The line is longer than what is kept of it.
    cut: bool,
}

impl Line {
    /// Before the first byte.
    pub const EMPTY: Line = Line { bytes: [0; KEPT], filled: 0, cut: false };

    /// Takes bytes up to the end of the line; says how many those are, and whether it has ended.
    pub fn keep(&mut self, bytes: &[u8]) -> (usize, bool) {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        for byte in bytes.get(..end.unwrap_or(bytes.len())).unwrap_or(&[]) {
            match self.bytes.get_mut(usize::from(self.filled)) {
                Some(place) => {
                    *place = *byte;
                    self.filled += 1;
                }
                None => {
                    self.cut = true;
                    break;
                }
            }
        }
        (end.map_or(bytes.len(), |end| end + 1), end.is_some())
    }

    /// What is kept, without the line's end.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        let text = self.bytes.get(..usize::from(self.filled)).unwrap_or(&[]);
        if self.cut { text } else { text.strip_suffix(b"\r").unwrap_or(text) }
    }

    /// Whether no byte of it has come.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.filled == 0
    }

    /// Whether the line is longer than what is kept of it.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.cut
    }
}
