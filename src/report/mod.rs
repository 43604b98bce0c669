//! Views of what happened, and their text and JSON. Pure: colour, width and time are arguments.

pub mod audit;
pub mod describe;
pub mod doctor;
mod hidden;
pub mod history;
pub mod list;
pub mod logs;
pub mod plan;
mod printable;
pub mod progress;
mod style;
pub mod verdict;

pub use printable::{json_line, only_colours, printable, printable_lines};
pub use style::{Paint, Style, table};
pub use verdict::AppVerdict;
