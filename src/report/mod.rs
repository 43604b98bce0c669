//! Views of what happened, and their text and JSON. Pure: colour, width and time are arguments.

pub mod describe;
pub mod doctor;
mod hidden;
pub mod history;
pub mod list;
pub mod logs;
pub mod plan;
pub mod progress;
mod style;

pub use progress::Verdict;
pub use style::{Paint, Style, table};
