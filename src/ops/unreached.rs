//! An instance that cannot be reached alone, in words. It asks nobody.

/// An instance that cannot be reached, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreached {
    /// `api@2`.
    pub instance: String,
    /// The rest of the sentence.
    pub why: String,
    /// The command to type next.
    pub next: Option<String>,
}
