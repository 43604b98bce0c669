//! Several machines at a time, as values: in which order they are worked on, what is said between here and
//! there, which part of a file each of them gets, and how their answers become one. It starts nothing and asks
//! nobody: `ssh` carries, `ops::fleet` runs.

mod away;
mod blank;
mod course;
mod mark;
mod merge;
mod no_answer;
mod protocol;
mod quote;

pub use away::{Away, serves_besides};
pub use blank::for_host;
pub use course::{Course, batches};
pub use mark::mark;
pub use merge::{metrics, rows, with_host};
pub use no_answer::{Facts, NoAnswer};
pub use protocol::{FORMAT, Line, Reader, Refusal, begin, data, end, text};
pub use quote::{command, without_form};
