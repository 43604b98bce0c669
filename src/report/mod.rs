//! Views of what happened, and their text and JSON. Pure: colour, width and time are arguments.

pub mod audit;
pub mod counts;
pub mod describe;
pub mod doctor;
mod hidden;
pub mod history;
pub mod jlist;
pub mod list;
pub mod logs;
pub mod metrics;
pub mod moment;
pub mod monit;
pub mod plan;
mod printable;
pub mod progress;
mod style;
mod table;
pub mod verdict;

pub use counts::ActionCounts;
pub use printable::{json_line, json_lines, only_colours, printable, printable_lines};
pub use style::{Paint, Style};
pub use table::{Column, cut, table, wrap};
pub use verdict::AppVerdict;
