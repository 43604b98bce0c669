//! Metrics that instances tell of themselves → one text in the OpenMetrics format, in which each sample says
//! which instance it is of. Values in, text out.
//!
//! Instances tell the same families. Each has its `# TYPE` and `# HELP` once, and its samples stand together,
//! which the format asks for. Programs that know only Prometheus' older format write other names of counters,
//! other words for what has no type, and milliseconds: those are put right. A label of the program that is
//! called `app` or `instance` becomes `exported_app` or `exported_instance`, as at Prometheus itself.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::ops::OwnMetrics;

/// A family as it is collected.
#[derive(Debug, Default)]
struct Family {
    kind: String,
    unit: String,
    help: String,
    samples: String,
}

/// Words for types in the format.
const KINDS: [&str; 8] =
    ["counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset", "unknown"];

/// The family that says which instances answered; no program has one of this name.
const UP: &str = "clusterctl_own_metrics_up";

/// In the place of a type: a family that only tells the age of another one, whose name would clash with it.
const DOUBLED: &str = "";

/// Endings of samples, by the type of their family; the first is the one of its plain sample.
fn endings(kind: &str) -> &'static [&'static str] {
    match kind {
        "counter" => &["_total", "_created"],
        "histogram" => &["_bucket", "_count", "_sum", "_created"],
        "gaugehistogram" => &["_bucket", "_gcount", "_gsum"],
        "summary" => &["", "_count", "_sum", "_created"],
        "info" => &["_info"],
        _ => &[""],
    }
}

/// As the instance answered, but for an answer in which there is no metric: a page that the program has for every
/// path. An empty one is well, since a program may have nothing to tell yet.
pub fn understood(one: OwnMetrics, path: &str) -> OwnMetrics {
    let is_known = |line: &str| line.starts_with("# ") || Sample::read(line).is_some();
    let is_page =
        |text: &str| !text.trim().is_empty() && !text.lines().map(str::trim).any(is_known);
    let text = match one.text {
        Ok(text) if is_page(&text) => Err(format!("answered {path} without a metric")),
        text => text,
    };
    OwnMetrics { text, ..one }
}

/// All families of all instances, and one that says which instances answered.
pub fn text(all: &[OwnMetrics]) -> String {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    for one in all {
        if let Ok(text) = &one.text {
            let own = format!("app=\"{}\",instance=\"{}\"", one.app, one.instance);
            collect(&mut families, text, one.open, &own);
        }
    }
    let mut out = String::new();
    for (name, family) in families.iter().filter(|(_, family)| !family.samples.is_empty()) {
        let _ = writeln!(out, "# TYPE {name} {}", family.kind);
        if !family.unit.is_empty() && name.ends_with(&format!("_{}", family.unit)) {
            let _ = writeln!(out, "# UNIT {name} {}", family.unit);
        }
        if !family.help.is_empty() {
            let _ = writeln!(out, "# HELP {name} {}", family.help);
        }
        out.push_str(&family.samples);
    }
    let _ =
        writeln!(out, "# TYPE {UP} gauge\n# HELP {UP} Whether an instance told its own metrics.");
    for one in all {
        let up = u8::from(one.text.is_ok());
        let OwnMetrics { app, instance, .. } = one;
        let _ = writeln!(out, "{UP}{{app=\"{app}\",instance=\"{instance}\"}} {up}");
    }
    out + "# EOF\n"
}

/// Adds what one instance told. What is no metric is left out.
fn collect(families: &mut BTreeMap<String, Family>, text: &str, open: bool, own: &str) {
    let kinds = kinds(text);
    for line in text.lines().map(str::trim) {
        if let Some(comment) = line.strip_prefix('#') {
            describe(families, &kinds, comment.trim_start());
        } else if let Some(sample) = Sample::read(line) {
            let (name, written) = family_of(&kinds, sample.name);
            let name = name.to_owned();
            let kind = kinds.get(written).map_or("unknown", String::as_str);
            if kind == DOUBLED || name == UP {
                continue;
            }
            let family = families
                .entry(name.clone())
                .or_insert_with(|| Family { kind: kind.to_owned(), ..Family::default() });
            // An instance of another version may have given the name another type.
            if family.kind == kind {
                sample.write(&mut family.samples, &name, kind, open, own);
            }
        }
    }
}

/// Types of the families of one text, by the names under which it has them.
fn kinds(text: &str) -> BTreeMap<String, String> {
    let line = |line: &str| {
        let mut words = line.trim().strip_prefix('#')?.split_ascii_whitespace();
        let (Some("TYPE"), Some(name), Some(kind)) = (words.next(), words.next(), words.next())
        else {
            return None;
        };
        let kind = KINDS.into_iter().find(|word| *word == kind).unwrap_or("unknown");
        is_name(name).then(|| (name.to_owned(), kind.to_owned()))
    };
    let mut kinds: BTreeMap<String, String> = text.lines().filter_map(line).collect();
    // Clients that know both formats tell the age of counters as families of their own in the older one.
    let doubled: Vec<String> = kinds
        .keys()
        .filter(|name| {
            let base = name.strip_suffix("_created");
            base.is_some_and(|base| {
                [base.to_owned(), format!("{base}_total")]
                    .iter()
                    .any(|name| kinds.contains_key(name))
            })
        })
        .cloned()
        .collect();
    for name in doubled {
        kinds.insert(name, DOUBLED.to_owned());
    }
    kinds
}

/// The name of a family in the format, from the one that a text has: the older one calls counters by the names
/// of their samples.
fn proper<'a>(kinds: &BTreeMap<String, String>, written: &'a str) -> &'a str {
    match kinds.get(written).map(String::as_str) {
        Some("counter") => written.strip_suffix("_total").unwrap_or(written),
        Some("info") => written.strip_suffix("_info").unwrap_or(written),
        _ => written,
    }
}

/// The family of a sample: its proper name, and the one in the text.
fn family_of<'a>(kinds: &'a BTreeMap<String, String>, sample: &'a str) -> (&'a str, &'a str) {
    if kinds.contains_key(sample) {
        return (proper(kinds, sample), sample);
    }
    let endings = ["_total", "_created", "_bucket", "_count", "_sum", "_gcount", "_gsum", "_info"];
    for ending in endings {
        let Some(base) = sample.strip_suffix(ending) else { continue };
        if let Some((name, kind)) = kinds.get_key_value(base)
            && self::endings(kind).contains(&ending)
        {
            return (proper(kinds, name), name);
        }
    }
    (sample, sample)
}

fn describe(families: &mut BTreeMap<String, Family>, kinds: &BTreeMap<String, String>, text: &str) {
    let mut words = text.splitn(3, ' ');
    let (Some(what), Some(written)) = (words.next(), words.next()) else { return };
    if !is_name(written) || !["HELP", "UNIT"].contains(&what) {
        return;
    }
    let kind = kinds.get(written).map_or("unknown", String::as_str);
    if kind == DOUBLED {
        return;
    }
    let family = families
        .entry(proper(kinds, written).to_owned())
        .or_insert_with(|| Family { kind: kind.to_owned(), ..Family::default() });
    let rest = words.next().unwrap_or_default();
    match what {
        "HELP" if family.help.is_empty() => family.help = escaped_help(rest),
        "UNIT" if family.unit.is_empty() => family.unit = rest.trim().to_owned(),
        _ => {}
    }
}

/// The older format leaves quotes as they are.
fn escaped_help(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(['\\', chars.next().unwrap_or('\\')]),
            '"' => out.push_str("\\\""),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// One line with a number.
struct Sample<'a> {
    name: &'a str,
    /// Between the braces.
    labels: &'a str,
    value: &'a str,
    time: Option<&'a str>,
}

impl<'a> Sample<'a> {
    fn read(line: &'a str) -> Option<Sample<'a>> {
        let end = line.find(|c: char| c == '{' || c.is_ascii_whitespace())?;
        let (name, rest) = line.split_at(end);
        if !is_name(name) {
            return None;
        }
        let (labels, rest) = match rest.trim_start().strip_prefix('{') {
            Some(inside) => {
                let end = end_of_labels(inside)?;
                (&inside[..end], &inside[end + 1..])
            }
            None => ("", rest),
        };
        // Behind ` # ` stands an example, which is of one instance alone and left out.
        let rest = rest.split(" # ").next().unwrap_or_default();
        let mut words = rest.split_ascii_whitespace();
        let value = words.next().filter(|value| is_number(value))?;
        let time = words.next().filter(|time| is_number(time));
        Some(Sample { name, labels, value, time })
    }

    fn write(&self, out: &mut String, family: &str, kind: &str, open: bool, own: &str) {
        let name = match (kind, self.name == family) {
            // A counter without the ending of counters.
            ("counter", true) => format!("{family}_total"),
            ("info", true) => format!("{family}_info"),
            _ => self.name.to_owned(),
        };
        let Some(labels) = labels(self.labels) else { return };
        let _ = write!(out, "{name}{{{own}");
        for (label, value) in labels {
            let _ = match label {
                "app" | "instance" => write!(out, ",exported_{label}=\"{value}\""),
                "le" | "quantile" => write!(out, ",{label}=\"{}\"", canonical(value)),
                _ => write!(out, ",{label}=\"{value}\""),
            };
        }
        let _ = write!(out, "}} {}", self.value);
        match self.time.map(|time| (time, time.parse::<f64>())) {
            Some((time, _)) if open => drop(write!(out, " {time}")),
            Some((_, Ok(millis))) => drop(write!(out, " {}", millis / 1000.0)),
            _ => {}
        }
        out.push('\n');
    }
}

/// Where the brace is that ends the labels: not one inside a value.
fn end_of_labels(text: &str) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '}' if !quoted => return Some(at),
            _ => {}
        }
    }
    None
}

/// Names and values, these as they are written; `None` where they are not to be understood.
fn labels(mut text: &str) -> Option<Vec<(&str, &str)>> {
    let mut all = Vec::new();
    loop {
        text = text.trim_start_matches([',', ' ', '\t']);
        if text.is_empty() {
            return Some(all);
        }
        let (name, rest) = text.split_once('=')?;
        let inside = rest.trim_start().strip_prefix('"')?;
        let mut escaped = false;
        let end = inside.char_indices().find(|(_, c)| {
            let ends = *c == '"' && !escaped;
            escaped = *c == '\\' && !escaped;
            ends
        })?;
        let name = name.trim();
        if !is_label(name) {
            return None;
        }
        all.push((name, &inside[..end.0]));
        text = &inside[end.0 + 1..];
    }
}

/// A bound as the format writes whole numbers: `1.0` for `1`, `1e+06` for a million.
fn canonical(text: &str) -> String {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.len() {
        length if !digits || length > 15 => text.to_owned(),
        0..=6 => format!("{text}.0"),
        length => {
            let (first, rest) = text.split_at(1);
            let rest = rest.trim_end_matches('0');
            let dot = if rest.is_empty() { "" } else { "." };
            format!("{first}{dot}{rest}e+{:02}", length - 1)
        }
    }
}

fn is_name(text: &str) -> bool {
    let first = text.starts_with(|c: char| c.is_ascii_alphabetic() || "_:".contains(c));
    first && text.chars().all(|c| c.is_ascii_alphanumeric() || "_:".contains(c))
}

fn is_label(text: &str) -> bool {
    is_name(text) && !text.contains(':')
}

fn is_number(text: &str) -> bool {
    text.parse::<f64>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(instance: u32, text: &str, open: bool) -> OwnMetrics {
        OwnMetrics { app: "api".to_owned(), instance, text: Ok(text.to_owned()), open }
    }

    const PROM: &str = "\
# HELP http_requests_total All \"requests\".
# TYPE http_requests_total counter
http_requests_total{code=\"200\",app=\"x\"} 7 1700000000500
# TYPE http_requests_created gauge
http_requests_created{code=\"200\"} 1.7e9
# TYPE lag untyped
lag 0.5
# TYPE took histogram
took_bucket{le=\"1\"} 1
took_bucket{le=\"10000000\"} 2
took_bucket{le=\"+Inf\"} 3
took_sum 4
took_count 3
# TYPE reads counter
reads 3
";

    #[test]
    fn samples_of_one_family_stand_together_and_say_whose_they_are() {
        let text = text(&[one(0, PROM, false), one(1, PROM, false)]);
        let expected = "\
# TYPE http_requests counter
# HELP http_requests All \\\"requests\\\".
http_requests_total{app=\"api\",instance=\"0\",code=\"200\",exported_app=\"x\"} 7 1700000000.5
http_requests_total{app=\"api\",instance=\"1\",code=\"200\",exported_app=\"x\"} 7 1700000000.5
";
        assert!(text.starts_with(expected), "{text}");
        assert!(text.contains("# TYPE lag unknown\n"), "{text}");
        assert!(text.contains("took_bucket{app=\"api\",instance=\"1\",le=\"1.0\"} 1\n"), "{text}");
        assert!(text.contains("le=\"1e+07\"} 2\n") && text.contains("le=\"+Inf\"} 3\n"), "{text}");
        assert!(text.contains("# TYPE reads counter\nreads_total{app=\"api\",instance=\"0\"} 3\n"));
        assert!(!text.contains("_created"), "{text}");
        assert!(text.ends_with("_up{app=\"api\",instance=\"1\"} 1\n# EOF\n"), "{text}");
        for line in text.lines().filter(|line| line.starts_with("# TYPE")) {
            assert_eq!(text.matches(line).count(), 1, "{line}");
        }
    }

    #[test]
    fn an_instance_without_metrics_is_one_that_is_not_up() {
        let failed = Err("has no door".to_owned());
        let none = OwnMetrics { app: "api".to_owned(), instance: 3, text: failed, open: false };
        let text = text(&[none]);
        assert!(text.contains("clusterctl_own_metrics_up{app=\"api\",instance=\"3\"} 0\n"));
    }

    #[test]
    fn a_page_is_no_metrics_and_an_empty_answer_is() {
        let heard = |text: &str| understood(one(0, text, false), "/metrics").text;
        assert_eq!(
            heard("<html>\n#1\n</html>\n"),
            Err("answered /metrics without a metric".into())
        );
        assert_eq!(heard("hello"), Err("answered /metrics without a metric".into()));
        for well in ["", "\n", "# EOF\n", PROM] {
            assert_eq!(heard(well), Ok(well.to_owned()));
        }
    }

    #[test]
    fn a_program_cannot_write_what_is_not_its_own() {
        let hostile = "a{b=\"}\\\"\",instance=\"9\"} 1\nclusterctl_own_metrics_up 7\nevil{x=\"\n# EOF\n{} 1\n1x 2\nb{c} 1\nd x\ne{f=\"g\"h=\"i\"} 2 # {t=\"1\"} 3\n";
        let text = text(&[one(0, hostile, true)]);
        let samples: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            samples,
            [
                "a{app=\"api\",instance=\"0\",b=\"}\\\"\",exported_instance=\"9\"} 1",
                "e{app=\"api\",instance=\"0\",f=\"g\",h=\"i\"} 2",
                "clusterctl_own_metrics_up{app=\"api\",instance=\"0\"} 1",
            ]
        );
        assert_eq!(text.matches("# EOF").count(), 1);
    }
}
