//! What programs read: values as JSON, one on a line, and all that is said to clusterctl on another machine. It
//! decides nothing.

use super::Ui;
use crate::error::Error;
use crate::report::Style;
use crate::{fleet, report};

/// The form of a stream of events; it changes when a word in it changes its meaning.
const FORMAT: u32 = 1;

impl Ui {
    /// From here on clusterctl on another machine listens; the first line says who speaks.
    pub(in crate::cli) fn speak_protocol(&mut self) {
        self.over_protocol = true;
        (self.out, self.err) = (Style::PLAIN, Style::PLAIN);
        // It may be gone; what this command does is not its affair then.
        let _ = self.frame(&fleet::begin());
    }

    /// Whether clusterctl on another machine listens.
    pub(in crate::cli) fn is_over_protocol(&self) -> bool {
        self.over_protocol
    }

    /// The last line for whoever listens on another machine.
    pub(in crate::cli) fn end_protocol(&mut self, code: u8) {
        if self.over_protocol {
            let _ = self.frame(&fleet::end(code));
        }
    }

    pub(super) fn frame(&mut self, value: &serde_json::Value) -> Result<(), Error> {
        self.put(&format!("{}\n", report::json_line(value)))
    }

    /// Data as JSON, one value on a line.
    ///
    /// # Errors
    /// The reader is gone.
    pub fn json_line(&mut self, value: &serde_json::Value) -> Result<(), Error> {
        if self.over_protocol {
            return self.frame(&fleet::data(value));
        }
        if self.stream && !std::mem::replace(&mut self.begun, true) {
            let version = env!("CARGO_PKG_VERSION");
            let head = serde_json::json!({
                "event": "begin", "program": "clusterctl", "version": version, "format": FORMAT,
            });
            self.data(&format!("{head}\n"))?;
        }
        self.data(&format!("{}\n", report::json_line(value)))
    }

    /// What is wrong with an ecosystem file, as data.
    ///
    /// # Errors
    /// The reader is gone.
    pub fn json_problems(&mut self, problems: serde_json::Value) -> Result<(), Error> {
        let value = match self.stream {
            true => serde_json::json!({"event": "problems", "problems": problems}),
            false => serde_json::json!({"version": 1, "valid": false, "problems": problems}),
        };
        self.json_line(&value)
    }
}
