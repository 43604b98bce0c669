//! Rows that measure one thing of several programs in turn: medians with the least and the greatest, the ratio that
//! counts, and whether the goal is met; as lines and as a table for the documentation. Measures nothing itself.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde::Deserialize;

/// Ours among the values of a row.
const OURS: &str = "clusterctl";

/// One thing that was measured.
#[derive(Clone, Debug, Deserialize)]
pub struct Row {
    /// What.
    pub what: String,
    /// Of the values.
    pub unit: String,
    /// None where the row is for comparison.
    pub goal: Option<Goal>,
    /// Of each program, in the order of rounds.
    pub values: BTreeMap<String, Vec<f64>>,
}

/// What ours shall be.
#[derive(Clone, Debug, Deserialize)]
pub struct Goal {
    /// As many times the value of this; none: the value itself.
    pub to: Option<String>,
    /// At most.
    pub at_most: f64,
}

/// Median, least and greatest.
fn summary(values: &[f64]) -> Option<(f64, f64, f64)> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    Some((*sorted.get(sorted.len() / 2)?, *sorted.first()?, *sorted.last()?))
}

/// As many digits as are worth reading.
fn number(value: f64) -> String {
    match value.abs() {
        0.0..10.0 => format!("{value:.2}"),
        10.0..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

impl Row {
    fn cell(&self, who: &str) -> Option<String> {
        let (median, least, greatest) = summary(self.values.get(who)?)?;
        let range =
            (least < greatest).then(|| format!(" ({}–{})", number(least), number(greatest)));
        Some(format!("{}{}", number(median), range.unwrap_or_default()))
    }

    /// The median of ours against its goal: the measure, and the most that it may be.
    pub fn against(&self) -> Option<(f64, f64)> {
        let goal = self.goal.as_ref()?;
        let median = |who: &str| summary(self.values.get(who)?).map(|(median, ..)| median);
        let ours = median(OURS)?;
        let measure = match &goal.to {
            Some(to) => ours / median(to)?.max(f64::MIN_POSITIVE),
            None => ours,
        };
        Some((measure, goal.at_most))
    }

    /// Whether the goal is met; a row without one is well, one that could not be measured is not.
    pub fn is_good(&self) -> bool {
        self.goal.is_none() || self.against().is_some_and(|(measure, most)| measure <= most)
    }

    fn target(&self) -> String {
        match &self.goal {
            None => "-".to_owned(),
            Some(Goal { to: Some(to), at_most }) => format!("<= {at_most} x {to}"),
            Some(Goal { to: None, at_most }) => format!("<= {at_most} {}", self.unit),
        }
    }

    fn ratio(&self) -> String {
        let to = self.goal.as_ref().and_then(|goal| goal.to.as_ref());
        match (to, self.against()) {
            (Some(_), Some((measure, _))) => format!("{measure:.2}"),
            _ => "-".to_owned(),
        }
    }

    /// Everything in one line.
    pub fn line(&self) -> String {
        let mark = if self.is_good() { "ok    " } else { "MISSED" };
        let cells = self.values.keys().filter_map(|who| Some(format!("{who} {}", self.cell(who)?)));
        let cells = cells.collect::<Vec<_>>().join(", ");
        let (ratio, target) = (self.ratio(), self.target());
        format!("{mark} {} [{}]: {cells}; ratio {ratio}, target {target}", self.what, self.unit)
    }
}

/// The table, with one column for each program that is compared.
pub fn table(rows: &[Row], about: &str) -> String {
    const PEERS: [&str; 3] = [OURS, "PM2", "oxmgr"];
    let mut text = format!(
        "{about}\n\n| | clusterctl | PM2 | oxmgr | limit | ratio | goal | |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- |\n"
    );
    for row in rows {
        let cell = |who: &str| row.cell(who).unwrap_or_else(|| "–".to_owned());
        let limits = row.values.keys().filter(|who| !PEERS.contains(&who.as_str()));
        let limits: Vec<String> = limits.map(|who| format!("{who}: {}", cell(who))).collect();
        let limits = if limits.is_empty() { "–".to_owned() } else { limits.join("; ") };
        let met = match (&row.goal, row.is_good()) {
            (None, _) => "",
            (_, true) => "met",
            (_, false) => "**missed**",
        };
        let [ours, pm2, oxmgr] = PEERS.map(cell);
        let (what, unit, ratio, target) = (&row.what, &row.unit, row.ratio(), row.target());
        let target = target.replace("<=", "≤").replace(" x ", " × ");
        let _ = writeln!(
            text,
            "| {what}, {unit} | {ours} | {pm2} | {oxmgr} | {limits} | {ratio} | {target} | {met} |"
        );
    }
    text
}

/// Puts a table between the marks of a file.
///
/// # Panics
/// The file cannot be read or written, or has no marks.
pub fn publish(path: &Path, table: &str) {
    const BEGIN: &str = "<!-- written by make bench -->\n";
    const END: &str = "<!-- end of what make bench writes -->";
    let text = std::fs::read_to_string(path).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    std::fs::write(path, format!("{before}{BEGIN}\n{table}\n{END}{after}")).unwrap();
}
