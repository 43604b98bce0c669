//! The form of supervisord's files: sections, values over several lines, comments. What Python's own reader of
//! such files makes of them; no crate reads them in the same way.

/// A section with its entries in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct IniSection {
    /// What stands between the brackets.
    pub name: String,
    /// Names in lower case, with their values.
    pub entries: Vec<(String, String)>,
}

impl IniSection {
    /// The last value of a name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.entries.iter().rev().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}

/// Every section of a text.
pub(super) fn sections(text: &str) -> Vec<IniSection> {
    let mut sections: Vec<IniSection> = Vec::new();
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.is_empty() || line.starts_with(['#', ';']) || trimmed.starts_with([';', '#']) {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            sections.push(IniSection { name: name.trim().to_owned(), entries: Vec::new() });
            continue;
        }
        let Some(section) = sections.last_mut() else { continue };
        let value = without_comment(trimmed);
        let continues = line.starts_with([' ', '\t']);
        match section.entries.last_mut().filter(|_| continues) {
            Some((_, last)) => {
                last.push('\n');
                last.push_str(value);
            }
            None => {
                if let Some((name, value)) = value.split_once(['=', ':']) {
                    let name = name.trim().to_ascii_lowercase();
                    section.entries.push((name, value.trim().to_owned()));
                }
            }
        }
    }
    sections
}

/// A semicolon behind a space begins a comment.
fn without_comment(line: &str) -> &str {
    let end = [" ;", "\t;"].iter().filter_map(|mark| line.find(mark)).min();
    end.map_or(line, |end| line[..end].trim_end())
}

/// `A="1",B='x,y'` as pairs. A value without quotes ends at the next comma.
pub(super) fn pairs(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = text.trim_start_matches([',', ' ', '\n', '\t']);
    while let Some((name, tail)) = rest.split_once('=') {
        let tail = tail.trim_start();
        let quote = tail.chars().next().filter(|first| ['"', '\''].contains(first));
        let (value, after) = match quote {
            Some(quote) => {
                let inner = &tail[1..];
                inner.split_once(quote).unwrap_or((inner, ""))
            }
            None => tail.split_once([',', '\n']).unwrap_or((tail, "")),
        };
        found.push((name.trim().to_owned(), value.trim_end().to_owned()));
        rest = after.trim_start_matches([',', ' ', '\n', '\t']);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_pythons_reader_reads() {
        let text = "x = lost\n[program:a] ; comment\nCommand = run a;b ; comment\nenvironment = A=\"1\",\n  B='x,y'\n; no\n\n[group:g]\nprograms: a,b\n";
        let sections = sections(text);
        assert_eq!(sections.len(), 2);
        assert_eq!(sections[0].name, "program:a");
        assert_eq!(sections[0].get("command"), Some("run a;b"));
        assert_eq!(sections[0].get("environment"), Some("A=\"1\",\nB='x,y'"));
        assert_eq!(sections[1].get("programs"), Some("a,b"));
    }

    #[test]
    fn pairs_of_variables() {
        let pairs = pairs("A=\"1\",B='x,y', C=plain ,D=\"a=b\",\nE=\"unclosed");
        let expected = [("A", "1"), ("B", "x,y"), ("C", "plain"), ("D", "a=b"), ("E", "unclosed")];
        let expected: Vec<_> =
            expected.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        assert_eq!(pairs, expected);
    }
}
