//! Text of a bounded length, for who has no allocator: written piece by piece, and sent at once.

use core::fmt::{self, Write};

/// At most so many bytes; what does not fit is an error, and is left out whole.
#[derive(Clone, Copy, Debug)]
pub struct Buffer<const BYTES: usize> {
    bytes: [u8; BYTES],
    length: usize,
}

impl<const BYTES: usize> Buffer<BYTES> {
    /// Nothing.
    pub const EMPTY: Buffer<BYTES> = Buffer { bytes: [0; BYTES], length: 0 };

    /// What was written.
    #[must_use]
    pub fn written(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

impl<const BYTES: usize> Write for Buffer<BYTES> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.length + text.len();
        let place = self.bytes.get_mut(self.length..end).ok_or(fmt::Error)?;
        place.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_left_out() {
        let mut buffer = Buffer::<5>::EMPTY;
        assert_eq!(write!(buffer, "a={}", 12), Ok(()));
        assert_eq!(buffer.write_str("34"), Err(fmt::Error));
        assert_eq!(buffer.written(), b"a=12");
        assert_eq!(buffer.write_str("5"), Ok(()));
        assert_eq!(buffer.written(), b"a=125");
    }
}
