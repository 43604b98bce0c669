//! The findings of `clusterctl audit` as text. It judges nothing.

use super::{Paint, Style, printable};
use crate::ops::Audit;

/// Exposure of this much is what `sandbox = "default"` promises.
const USUAL: f64 = 5.0;

/// One paragraph for an app, and the lines for its file.
pub fn text(audit: &Audit, style: &Style) -> String {
    let mut out = format!("{}\n", style.paint(Paint::Bold, &audit.app));
    let mut fact = |name: &str, value: &str, paint: Paint| {
        let name = style.paint(Paint::Dim, &format!("{name:>12}:"));
        out.push_str(&format!("{name} {}\n", style.paint(paint, &printable(value))));
    };
    match audit.exposure {
        Some(exposure) => {
            let paint = if exposure <= USUAL { Paint::Good } else { Paint::Warn };
            fact("exposure", &format!("{exposure:.1} of 10"), paint);
        }
        None => {
            let open = audit.open.join(" ");
            fact("exposure", "systemd-analyze is not installed", Paint::Warn);
            fact("not set", if open.is_empty() { "nothing" } else { &open }, Paint::Dim);
        }
    }
    fact("sandbox", &audit.sandbox, Paint::Dim);
    fact("user", &audit.user, Paint::Dim);
    for need in &audit.advice.needs {
        let text = format!("{} because {}", need.directive, need.because);
        fact("needs", &text, Paint::Warn);
    }
    for note in audit.unseen.iter().chain(&audit.advice.notes) {
        fact("note", note, Paint::Dim);
    }
    if audit.sandbox == "strict" && audit.advice.needs.is_empty() {
        return out;
    }
    out.push_str("  its table in the ecosystem file may have:\n");
    for line in &audit.advice.lines {
        out.push_str(&format!("    {}\n", printable(line)));
    }
    out
}
