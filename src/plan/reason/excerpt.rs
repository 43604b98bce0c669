//! Which lines of a program say why it failed. A stack has many, and one of them names the error.

/// How lines of the handover library, of the tracer and of the Node file begin.
const OURS: &str = "clusterctl: ";

/// Words that begin a line which names an error, after what a logger puts before it.
const STRONG: [&str; 12] = [
    "panic: ",
    "fatal error: ",
    "fatal: ",
    "PHP Fatal error",
    "Fatal error",
    "Exception in thread",
    "Uncaught ",
    "panicked at",
    "Segmentation fault",
    "bash: ",
    "sh: ",
    "Can't locate ",
];

/// Words of a line that may well name one.
const WEAK: [&str; 12] = [
    "error:",
    "error ",
    "failed",
    "fatal",
    "cannot ",
    "can't ",
    "could not",
    "unable to",
    "denied",
    "refused",
    "not found",
    "no such",
];

/// The lines that are shown of a failure, `most` at most: those of clusterctl, then the one that
/// names the error, then the last ones.
pub fn excerpt(lines: &[String], most: usize) -> Vec<String> {
    let mut first: Vec<usize> =
        (0..lines.len()).filter(|place| lines[*place].starts_with(OURS)).collect();
    first.dedup_by(|a, b| lines[*a] == lines[*b]);
    // Room for the end, whatever a program says again and again.
    first.truncate(most / 2);
    first.extend(named(lines).filter(|place| !first.contains(place)));
    let room = most.saturating_sub(first.len());
    let rest = (0..lines.len()).filter(|place| !first.contains(place)).collect::<Vec<_>>();
    let last = rest[rest.len().saturating_sub(room)..].iter();
    first.iter().chain(last).map(|place| lines[*place].clone()).collect()
}

/// The line that names the error, if one does.
pub fn naming(lines: &[String]) -> Option<&str> {
    named(lines).map(|place| lines[place].as_str())
}

fn named(lines: &[String]) -> Option<usize> {
    let strength = |line: &str| {
        if is_frame(line) || line.starts_with(OURS) {
            return 0;
        }
        let text = line.trim_start();
        if STRONG.iter().any(|word| text.contains(word)) || begins_with_an_error(text) {
            return 3;
        }
        if ends_with_an_error(text) {
            return 3;
        }
        let lower = text.to_lowercase();
        u8::from(WEAK.iter().any(|word| lower.contains(word)))
    };
    // The first of the strongest ones.
    let mut best = (0, None);
    for (place, line) in lines.iter().enumerate() {
        let strength = strength(line);
        if strength > best.0 {
            best = (strength, Some(place));
        }
    }
    best.1
}

/// Lines of a stack.
fn is_frame(line: &str) -> bool {
    let text = line.trim_start();
    let indented = text.len() < line.len();
    indented
        && (text.starts_with("at ") || text.starts_with("from ") || text.starts_with("File \""))
}

/// `TypeError: …`, `java.net.BindException: …`, `Error [ERR_X]: …`, `[uncaught] Error: …`.
fn begins_with_an_error(text: &str) -> bool {
    text.split([' ', ':']).take(3).any(|word| {
        let word = word.trim_matches(['[', ']', '(', ')']);
        let plain = |c: char| c.is_alphanumeric() || "._$".contains(c);
        let is_name = !word.is_empty() && word.chars().all(plain);
        is_name
            && ["Error", "Exception", "Warning::Error"].iter().any(|end| word.ends_with(end))
            && text.contains(&format!("{word}:"))
            || word == "Error" && text.contains("]:")
    })
}

/// Ruby's `app.rb:3:in `x': message (NameError)`.
fn ends_with_an_error(text: &str) -> bool {
    let inside = text.strip_suffix(')').and_then(|rest| rest.rsplit_once('(')).map(|(_, w)| w);
    inside.is_some_and(|word| word.ends_with("Error") && !word.contains(' '))
}
