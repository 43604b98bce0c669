//! The part of an ecosystem file that one host gets: `[[hosts]]`, `[fleet]` and the apps of others are blanked.
//! Every other byte stays where it is, so that a problem that the host finds has its line and column here too.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The text for a host. `has` says of each app, by its place in the file, whether the host has it.
pub fn for_host(text: &str, has: &dyn Fn(usize) -> bool) -> String {
    let (document, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        return text.to_owned();
    }
    let mut parts = Parts { text, headers: Vec::new(), lines: Vec::new() };
    for (key, value) in document.get_ref() {
        let of_fleet = ["hosts", "fleet"].contains(&key.get_ref().as_ref());
        match value.get_ref() {
            DeValue::Array(items) if parts.is_list_of_tables(items) => {
                for (at, item) in items.iter().enumerate() {
                    let unwanted = of_fleet || key.get_ref() == "apps" && !has(at);
                    parts.table(key.span().start, item, unwanted);
                }
            }
            DeValue::Array(items) if key.get_ref() == "apps" => parts.items(items, has),
            _ => parts.table(key.span().start, value, of_fleet),
        }
    }
    let ranges = parts.unwanted();
    blanked(text, &ranges)
}

/// Where tables begin, and lines that are no part of any of them.
struct Parts<'a> {
    text: &'a str,
    /// Starts of headers, and whether what follows is blanked.
    headers: Vec<(usize, bool)>,
    /// Lines above the first header that are blanked.
    lines: Vec<Range<usize>>,
}

impl Parts<'_> {
    /// Whether each item has a header of its own: `[[apps]]`, and not `apps = [{…}]`.
    fn is_list_of_tables(&self, items: &[Spanned<DeValue<'_>>]) -> bool {
        !items.is_empty() && items.iter().all(|item| self.has_header(item))
    }

    /// The span of a table that has a header is its header.
    fn has_header(&self, value: &Spanned<DeValue<'_>>) -> bool {
        let starts = self.text.as_bytes().get(value.span().start) == Some(&b'[');
        starts && matches!(value.get_ref(), DeValue::Table(_))
    }

    /// The place behind the comma that may follow the last item of an array; `from` where none does.
    fn behind_comma(&self, from: usize) -> usize {
        let mut comment = false;
        for (at, byte) in self.text.bytes().enumerate().skip(from) {
            match byte {
                b'\n' => comment = false,
                _ if comment => {}
                b'#' => comment = true,
                b',' => return at + 1,
                b' ' | b'\t' | b'\r' => {}
                _ => return from,
            }
        }
        from
    }

    /// Notes the unwanted items of `apps = [{…}, {…}]`, each with the comma behind it.
    fn items(&mut self, items: &[Spanned<DeValue<'_>>], has: &dyn Fn(usize) -> bool) {
        for (at, item) in items.iter().enumerate().filter(|(at, _)| !has(*at)) {
            let behind = || self.behind_comma(item.span().end);
            let end = items.get(at + 1).map_or_else(behind, |next| next.span().start);
            self.lines.push(item.span().start..end);
        }
    }

    /// Notes a table and those inside of it, or a key with its value, which begins at `key`.
    fn table(&mut self, key: usize, value: &Spanned<DeValue<'_>>, unwanted: bool) {
        let with_header = self.has_header(value);
        if with_header {
            self.headers.push((self.line_of(value.span().start), unwanted));
        }
        match value.get_ref() {
            DeValue::Table(table) if with_header || !self.is_inline(value) => {
                for (key, value) in table {
                    // What follows a header goes with it.
                    if !with_header || self.has_tables(value) {
                        self.table(key.span().start, value, unwanted);
                    }
                }
            }
            DeValue::Array(items) if self.is_list_of_tables(items) => {
                items.iter().for_each(|item| self.table(key, item, unwanted));
            }
            _ if unwanted && !with_header => self.lines.push(self.line_of(key)..value.span().end),
            _ => {}
        }
    }

    fn is_inline(&self, value: &Spanned<DeValue<'_>>) -> bool {
        self.text.as_bytes().get(value.span().start) == Some(&b'{')
    }

    /// Whether there are headers inside of a value.
    fn has_tables(&self, value: &Spanned<DeValue<'_>>) -> bool {
        match value.get_ref() {
            DeValue::Table(table) => {
                self.has_header(value)
                    || !self.is_inline(value) && table.values().any(|value| self.has_tables(value))
            }
            DeValue::Array(items) => self.is_list_of_tables(items),
            _ => false,
        }
    }

    fn line_of(&self, at: usize) -> usize {
        self.text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |end| end + 1)
    }

    fn unwanted(mut self) -> Vec<Range<usize>> {
        self.headers.sort_unstable();
        let ends = self.headers.iter().skip(1).map(|(start, _)| *start).chain([self.text.len()]);
        let tables = self.headers.iter().zip(ends).filter(|((_, unwanted), _)| *unwanted);
        let tables: Vec<_> = tables.map(|((start, _), end)| *start..end).collect();
        self.lines.into_iter().chain(tables).collect()
    }
}

/// Blanks for all of these bytes but line ends: whatever is left keeps its place, and the text its length.
fn blanked(text: &str, ranges: &[Range<usize>]) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for range in ranges {
        let part = bytes.get_mut(range.clone()).into_iter().flatten();
        part.filter(|byte| !b"\n\r".contains(byte)).for_each(|byte| *byte = b' ');
    }
    // Ranges begin and end at whole characters.
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    const FILE: &str = r#"# the shop
fleet.wait = "5s"

[[apps]] # the first
name = "api"
args = """
[[hosts]]
"""
[apps.service]
CPUWeight = 200

[[hosts]]
name = "wéb1"
[[hosts]]
name = "web2"
apps = [
  "worker"]

[[apps]]
name = "worker"
[apps.env]
A = "[fleet]"
"#;

    #[test]
    fn hosts_and_the_apps_of_others_go() {
        let text = for_host(FILE, &|at| at == 1);
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        let mut expected = vec![""; 22];
        expected[0] = "# the shop";
        for (at, line) in ["[[apps]]", "name = \"worker\"", "[apps.env]", "A = \"[fleet]\""]
            .into_iter()
            .enumerate()
        {
            expected[18 + at] = line;
        }
        assert_eq!(lines, expected);
        assert_eq!(text.len(), FILE.len());
    }

    #[test]
    fn what_every_host_has_stays_as_it_is() {
        let text = for_host(FILE, &|_| true);
        let (before, rest) = FILE.split_once("fleet.wait = \"5s\"").unwrap();
        assert!(text.starts_with(before), "{text}");
        let (apps, rest) = rest.split_once("[[hosts]]\nname").unwrap();
        assert!(text.contains(apps), "{text}");
        let worker = &rest[rest.find("[[apps]]").unwrap()..];
        assert!(text.ends_with(worker), "{text}");
        assert!(!text.contains("web2") && !text.contains("5s"), "{text}");
    }

    #[test]
    fn tables_in_braces_and_lists_go_too() {
        let text = "hosts = [\n  { name = \"a\" },\n]\nfleet = { limit = 2 } # two\n[[apps]]\nname = \"x\"\n";
        let kept = for_host(text, &|_| true);
        let lines: Vec<&str> = kept.lines().map(str::trim).collect();
        assert_eq!(lines, ["", "", "", "# two", "[[apps]]", "name = \"x\""]);
        let inline = "apps = [{ name = \"a\" }, { name = \"b\" }]\n";
        let one = |wanted: usize| {
            let text = for_host(inline, &|at| at == wanted);
            assert_eq!(text.len(), inline.len());
            let table: toml::Table = text.parse().unwrap();
            let apps = table["apps"].as_array().unwrap();
            apps.iter().map(|app| app["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!((one(0), one(1)), (vec!["a".to_owned()], vec!["b".to_owned()]));
        assert!(one(2).is_empty());
    }

    #[test]
    fn a_file_without_a_fleet_and_a_broken_one_stay_as_they_are() {
        let text = "[[apps]]\nname = \"x\"\r\nlisten = { a = 1 }\n";
        assert_eq!(for_host(text, &|_| true), text);
        let broken = "[[hosts]]\nname = \n[[apps]\n";
        assert_eq!(for_host(broken, &|_| true), broken);
    }

    proptest! {
        #[test]
        fn what_is_left_is_toml_with_the_apps_alone(parts in proptest::collection::vec(0usize..6, 0..8)) {
            let all = [
                "[[apps]]\nname = \"a\"\n", "[[apps]]\nname = \"b\"\n[apps.env]\nX = '[[hosts]]'\n",
                "[[hosts]]\nname = \"h\"\n", "[[hosts]]\nname = 'é'\napps = ['a']\n", "# a note\n", "\n",
            ];
            let text: String = parts.iter().map(|part| all[*part]).collect();
            let table: toml::Table = for_host(&text, &|at| at % 2 == 0).parse().unwrap();
            prop_assert!(!table.contains_key("hosts"));
            let apps = parts.iter().filter(|part| **part < 2).count();
            let left = table.get("apps").map_or(0, |apps| apps.as_array().unwrap().len());
            prop_assert_eq!(left, apps.div_ceil(2));
        }
    }
}
