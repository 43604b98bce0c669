//! The key under which texts that may hold secrets get a name that everybody may read. Without the
//! key nobody can try out which text has a name: a PIN is found in a moment otherwise.
//!
//! An environment file is named by its content and the key. A new key renames the file and keeps its
//! time, so that no process is replaced. The template names one text or the other, so that an apply that is
//! cut anywhere leaves units and variables of one version. Former texts are removed when an apply has
//! succeeded.

use std::fmt;

use hmac::{Hmac, Mac};
use sha2::Sha256;

/// The key of one machine, or of one user.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Secret([u8; Secret::LENGTH]);

impl Secret {
    /// Length of the key in bytes.
    pub const LENGTH: usize = 32;

    /// A key of these bytes, which nobody else may know.
    pub fn new(bytes: [u8; Secret::LENGTH]) -> Secret {
        Secret(bytes)
    }

    /// Sixteen hexadecimal digits that follow from the text, and from which nothing follows
    /// (HMAC-SHA-256, cut to 64 bits).
    pub fn name(&self, text: &str) -> String {
        // An HMAC takes a key of any length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return String::new() };
        mac.update(text.as_bytes());
        let digest = mac.finalize().into_bytes();
        digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_follows_from_text_and_key_alone() {
        let (one, other) = (Secret::new([1; Secret::LENGTH]), Secret::new([2; Secret::LENGTH]));
        assert_eq!(one.name("PIN=\"1234\"\n"), one.name("PIN=\"1234\"\n"));
        assert_ne!(one.name("PIN=\"1234\"\n"), one.name("PIN=\"1235\"\n"));
        assert_ne!(one.name("PIN=\"1234\"\n"), other.name("PIN=\"1234\"\n"));
        assert_eq!(one.name("").len(), 16);
        assert!(!format!("{one:?}").contains('1'));
        // Test case 2 of RFC 4231 with its key padded to the length of ours, which changes nothing.
        let mut key = [0; Secret::LENGTH];
        key[..4].copy_from_slice(b"Jefe");
        assert_eq!(Secret::new(key).name("what do ya want for nothing?"), "5bdcc146bf60754e");
    }
}
