//! Releases of an app's files: what they are made of (a folder, an archive, a commit), what an archive may hold, the
//! folders in which they are kept, and which of them are needed. It never runs a hook and never talks to the manager:
//! `ops::deploy` does.

mod archive;
mod error;
mod note;
mod pack;
mod prune;
mod removal;
mod source;
mod staged;
mod store;
mod tree;
mod unpack;
mod used;
mod way;

pub use archive::Archive;
pub use error::Error;
pub use note::{Note, is_id};
pub use prune::{Needed, Pruned, prune};
pub use source::{Source, Spooled};
pub use staged::Staged;
pub use store::Store;
pub use tree::{Member, Tree};
pub use unpack::{SharedLinks, unpack};
pub use used::in_use;
