//! What the files of the crate import: `use` with its groups, and paths that stand in the code.

use std::collections::{BTreeMap, BTreeSet};

/// `crate::a::b` as `["a", "b"]`.
pub type Place = Vec<String>;

/// Source texts by module path, without their tests and comments.
pub struct Files {
    texts: BTreeMap<Place, String>,
    /// The names that each file imports, with the full path that each stands for.
    names: BTreeMap<Place, BTreeMap<String, Place>>,
}

impl Files {
    pub fn new(texts: BTreeMap<Place, String>) -> Files {
        let mut files = Files { texts, names: BTreeMap::new() };
        for (module, text) in &files.texts {
            let used = uses(text);
            let used = used.iter().filter_map(|path| files.absolute(module, path));
            let named = used.filter_map(|place| Some((place.last()?.clone(), place.clone())));
            files.names.insert(module.clone(), named.collect());
        }
        files
    }

    /// The files of a module.
    pub fn of(&self, module: &str) -> impl Iterator<Item = &Place> {
        self.texts.keys().filter(move |place| place.first().is_some_and(|first| first == module))
    }

    /// Everything of the crate that a file names, as it is written.
    pub fn named(&self, module: &Place) -> BTreeSet<Place> {
        let text = &self.texts[module];
        let used = uses(text).into_iter().chain(paths(text));
        used.filter_map(|path| self.absolute(module, &path)).collect()
    }

    /// The files that a file imports from, through the names by which others pass things on. What it
    /// takes from a module that it is in itself does not count: a module shares that with its files.
    pub fn imports(&self, module: &Place) -> BTreeSet<Place> {
        let files = self.named(module).into_iter().map(|place| self.file_of(&place, 0));
        files.filter(|file| !module.starts_with(file)).collect()
    }

    fn absolute(&self, module: &Place, path: &[String]) -> Option<Place> {
        let (first, rest) = path.split_first()?;
        let below = |base: &[String], rest: &[String]| [base, rest].concat();
        match first.as_str() {
            "crate" => Some(rest.to_vec()),
            "self" => Some(below(module, rest)),
            "super" => {
                let ups = path.iter().take_while(|word| *word == "super").count();
                Some(below(&module[..module.len().checked_sub(ups)?], &path[ups..]))
            }
            _ if self.texts.contains_key(&below(module, std::slice::from_ref(first))) => {
                Some(below(module, path))
            }
            _ => Some(below(self.names.get(module)?.get(first)?, rest)),
        }
    }

    fn file_of(&self, place: &[String], depth: u32) -> Place {
        let file = (0..=place.len()).rev().map(|end| &place[..end]);
        let file = file.into_iter().find(|start| self.texts.contains_key(*start));
        let file = file.unwrap_or_default().to_vec();
        let passed_on = place.get(file.len()).and_then(|name| self.names.get(&file)?.get(name));
        match passed_on {
            Some(other) if depth < 8 && other != place => self.file_of(other, depth + 1),
            _ => file,
        }
    }
}

/// What a text names of its crate's root.
pub fn of_crate(text: &str) -> Vec<Place> {
    let all = uses(text).into_iter().chain(paths(text));
    all.filter_map(|path| Some(path.strip_prefix(&["crate".to_owned()])?.to_vec())).collect()
}

/// Files that import from one another in a circle, if there are any.
pub fn circle(edges: &BTreeMap<Place, BTreeSet<Place>>) -> Option<Vec<Place>> {
    let mut known = BTreeSet::new();
    edges.keys().find_map(|start| walk(edges, start, &mut Vec::new(), &mut known))
}

fn walk(
    edges: &BTreeMap<Place, BTreeSet<Place>>,
    at: &Place,
    way: &mut Vec<Place>,
    known: &mut BTreeSet<Place>,
) -> Option<Vec<Place>> {
    if let Some(begin) = way.iter().position(|place| place == at) {
        return Some(way[begin..].to_vec());
    }
    if !known.insert(at.clone()) {
        return None;
    }
    way.push(at.clone());
    let found = edges.get(at).into_iter().flatten().find_map(|next| walk(edges, next, way, known));
    way.pop();
    found
}

/// Every path of the `use` lines of a text, groups written out.
fn uses(text: &str) -> Vec<Place> {
    let mut found = Vec::new();
    for (start, _) in text.match_indices("use ") {
        let line = &text[text[..start].rfind('\n').map_or(0, |end| end + 1)..start];
        let begins = ["", "pub ", "pub(super) ", "pub(crate) "].contains(&line.trim_start());
        if let Some(end) = text[start..].find(';').filter(|_| begins) {
            expand(&text[start + 4..start + end], &[], &mut found);
        }
    }
    found
}

fn expand(tree: &str, before: &[String], found: &mut Vec<Place>) {
    let tree = tree.trim();
    let Some((start, group)) = tree.split_once('{') else {
        let name = tree.split(" as ").next().unwrap_or_default();
        let words = name.split("::").map(|word| word.trim().to_owned());
        // `a::{self}` is `a`.
        let path =
            before.iter().cloned().chain(words.filter(|word| word != "self" || before.is_empty()));
        found.push(path.collect());
        return;
    };
    let words = start.split("::").map(str::trim).filter(|word| !word.is_empty());
    let before: Vec<String> = before.iter().cloned().chain(words.map(str::to_owned)).collect();
    let inside = &group[..group.rfind('}').unwrap_or(group.len())];
    let (mut depth, mut begin) = (0, 0);
    for (at, letter) in inside.char_indices().chain([(inside.len(), ',')]) {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                if !inside[begin..at].trim().is_empty() {
                    expand(&inside[begin..at], &before, found);
                }
                begin = at + 1;
            }
            _ => {}
        }
    }
}

/// Paths that stand in the code.
fn paths(text: &str) -> Vec<Place> {
    let words = text.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'));
    let paths = words.filter(|word| word.contains("::") && !word.starts_with(':'));
    let lower = paths.filter(|word| word.starts_with(|c: char| c.is_ascii_lowercase() || c == '_'));
    lower
        .map(|word| word.split("::").filter(|w| !w.is_empty()).map(str::to_owned).collect())
        .collect()
}
