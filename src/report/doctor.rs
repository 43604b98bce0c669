//! Findings as text and as JSON.

use serde_json::{Value, json};

use super::{Paint, Style, printable};
use crate::plan::doctor::{Finding, FindingSeverity};

/// A paragraph for the machine and one per app; a finding on a line, and below it its command.
pub fn text(findings: &[Finding], style: &Style) -> String {
    let mut out = String::new();
    let mut heading = None;
    for finding in findings {
        let about = finding.app.as_ref().map_or("machine", |app| app.as_str());
        if heading != Some(about) {
            out.push_str(&format!("{}\n", style.paint(Paint::Bold, about)));
            heading = Some(about);
        }
        let word = style.paint(paint(finding.severity), &format!("{:>9}", word(finding.severity)));
        out.push_str(&format!("{word}  {}\n", printable(&finding.text)));
        if let Some(mend) = &finding.mend {
            let label = style.paint(Paint::Dim, &format!("{:>9}", "mend:"));
            out.push_str(&format!("{label}  {}\n", printable(mend)));
        }
    }
    out.push_str(&format!("{}\n", sum(findings)));
    out
}

/// All findings as data.
pub fn json(findings: &[Finding]) -> Value {
    let one = |finding: &Finding| {
        json!({
            "severity": word(finding.severity),
            "app": finding.app.as_ref().map(|app| app.as_str()),
            "check": finding.check,
            "text": finding.text,
            "mend": finding.mend,
        })
    };
    json!({
        "version": 1,
        "problems": count(findings, FindingSeverity::Problem),
        "warnings": count(findings, FindingSeverity::Warning),
        "findings": findings.iter().map(one).collect::<Vec<_>>(),
    })
}

fn sum(findings: &[Finding]) -> String {
    let number = |severity, word: &str| {
        let count = count(findings, severity);
        format!("{count} {word}{}", if count == 1 { "" } else { "s" })
    };
    format!(
        "{}, {}",
        number(FindingSeverity::Problem, "problem"),
        number(FindingSeverity::Warning, "warning")
    )
}

fn count(findings: &[Finding], severity: FindingSeverity) -> usize {
    findings.iter().filter(|finding| finding.severity == severity).count()
}

fn word(severity: FindingSeverity) -> &'static str {
    match severity {
        FindingSeverity::Ok => "ok",
        FindingSeverity::Note => "note",
        FindingSeverity::Warning => "warning",
        FindingSeverity::Problem => "problem",
    }
}

fn paint(severity: FindingSeverity) -> Paint {
    match severity {
        FindingSeverity::Ok => Paint::Good,
        FindingSeverity::Note => Paint::Dim,
        FindingSeverity::Warning => Paint::Warn,
        FindingSeverity::Problem => Paint::Bad,
    }
}
