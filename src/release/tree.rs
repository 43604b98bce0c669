//! What an archive holds, as a tree, and what it may hold: plain files, folders, and links that stay inside. Values
//! alone: it never opens a file.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use crate::limits;

/// One member of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Member {
    /// A folder.
    Folder,
    /// A regular file.
    File {
        /// Its permission bits.
        mode: u32,
        /// Bytes.
        size: u64,
        /// Where its content begins in the archive.
        at: u64,
        /// A digest of the content.
        digest: [u8; 32],
    },
    /// A symbolic link, with what it says.
    Link(PathBuf),
    /// Another name of a file of the archive.
    Same(PathBuf),
}

/// All members, with the folders that they are in.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    members: BTreeMap<PathBuf, Member>,
    /// What is wrong, a sentence each; of more than are shown the number alone.
    problems: Vec<String>,
    unshown: usize,
}

/// A path of an archive, as names below the root.
///
/// # Errors
/// It leads out of it, or is too long to be one: a sentence.
pub(super) fn inside(bytes: &[u8]) -> Result<PathBuf, String> {
    let shown = || String::from_utf8_lossy(bytes).into_owned();
    if bytes.contains(&0) || bytes.len() > limits::MEMBER_PATH {
        return Err(format!("`{}` is no path", shown()));
    }
    let mut path = PathBuf::new();
    for part in Path::new(OsStr::from_bytes(bytes)).components() {
        match part {
            Component::Normal(name) => path.push(name),
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => {
                return Err(format!("`{}` is an absolute path", shown()));
            }
            Component::ParentDir => {
                return Err(format!("`{}` leads out of the release by `..`", shown()));
            }
        }
    }
    Ok(path)
}

/// Whether a path has too many folders in one another.
pub(super) fn is_too_deep(path: &Path) -> bool {
    path.components().count() > limits::MEMBER_DEPTH
}

/// What is said of such a path: the begin of it is enough.
pub(super) fn too_deep(path: &Path) -> String {
    let begin: PathBuf = path.components().take(5).collect();
    format!("`{}/…` has more than {} folders in one another", begin.display(), limits::MEMBER_DEPTH)
}

impl Tree {
    /// Adds a member at a path of the archive.
    pub(super) fn add(&mut self, bytes: &[u8], member: Member) {
        let path = match inside(bytes) {
            Ok(path) => path,
            Err(why) => return self.refuse(why),
        };
        if path.as_os_str().is_empty() {
            // The root itself, as `./`.
            if member != Member::Folder {
                self.refuse("the archive has a member without a name".to_owned());
            }
            return;
        }
        if is_too_deep(&path) {
            return self.refuse(too_deep(&path));
        }
        if self.members.len() >= limits::MEMBERS {
            return self.refuse(format!("there are more than {} files", limits::MEMBERS));
        }
        let shown = path.display().to_string();
        match self.members.get(&path) {
            None => {}
            Some(Member::Folder) if member == Member::Folder => return,
            Some(_) => return self.refuse(format!("`{shown}` is there twice")),
        }
        self.members.insert(path, member);
    }

    /// Notes what is wrong: a line, whatever a name in it says.
    pub(super) fn refuse(&mut self, why: String) {
        if self.problems.len() < limits::PROBLEMS {
            self.problems.push(why.replace(char::is_control, "\u{fffd}"));
        } else {
            self.unshown += 1;
        }
    }

    /// The tree, where every member lies in folders alone and every link leads to what is inside.
    ///
    /// # Errors
    /// Everything that is wrong, a sentence each.
    pub(super) fn checked(mut self) -> Result<Tree, Vec<String>> {
        let mut wrong = Vec::new();
        let mut folders = BTreeSet::new();
        for (path, member) in &self.members {
            for parent in path.ancestors().skip(1).filter(|path| !path.as_os_str().is_empty()) {
                match self.members.get(parent) {
                    None => {
                        folders.insert(parent.to_owned());
                    }
                    Some(Member::Folder) => {}
                    Some(_) => wrong.push(format!(
                        "`{}` lies below `{}`, which is no folder",
                        path.display(),
                        parent.display()
                    )),
                }
            }
            match member {
                Member::Link(to) => wrong.extend(self.leads_out(path, to)),
                Member::Same(to) if !matches!(self.members.get(to), Some(Member::File { .. })) => {
                    wrong.push(format!(
                        "`{}` is another name of `{}`, which is no file of the archive",
                        path.display(),
                        to.display()
                    ));
                }
                _ => {}
            }
        }
        for why in wrong {
            self.refuse(why);
        }
        self.members.extend(folders.into_iter().map(|path| (path, Member::Folder)));
        if self.problems.is_empty() {
            return Ok(self);
        }
        if self.unshown > 0 {
            self.problems.push(format!("and {} more of such", self.unshown));
        }
        Err(self.problems)
    }

    /// What is wrong with a link, if it leads out of the tree: by itself, or through other links.
    fn leads_out(&self, path: &Path, to: &Path) -> Option<String> {
        let begin = path.parent().unwrap_or(Path::new(""));
        let why = match self.follow(begin, to) {
            Ok(_) => return None,
            Err(why) => why,
        };
        Some(format!("`{}` is a link to `{}`, which {why}", path.display(), to.display()))
    }

    /// Where a path leads that starts from a folder of the tree.
    fn follow(&self, begin: &Path, to: &Path) -> Result<PathBuf, &'static str> {
        let mut at = begin.to_owned();
        let mut todo: Vec<PathBuf> = parts(to)?;
        let mut steps = 0;
        while let Some(part) = todo.pop() {
            steps += 1;
            if steps > limits::LINK_STEPS {
                return Err("leads round in a circle");
            }
            if part == Path::new("..") {
                if !at.pop() {
                    return Err("leads out of the release");
                }
                continue;
            }
            at.push(&part);
            if let Some(Member::Link(next)) = self.members.get(&at) {
                at.pop();
                todo.extend(parts(next)?);
            }
        }
        Ok(at)
    }

    /// The member at a path, through links; the root is a folder.
    pub fn get(&self, path: &Path) -> Option<&Member> {
        const ROOT: Member = Member::Folder;
        let at = self.follow(Path::new(""), path).ok()?;
        if at.as_os_str().is_empty() {
            return Some(&ROOT);
        }
        match self.members.get(&at)? {
            Member::Same(to) => self.members.get(to),
            member => Some(member),
        }
    }

    /// All members, folders before what is in them.
    pub fn members(&self) -> impl Iterator<Item = (&Path, &Member)> {
        self.members.iter().map(|(path, member)| (path.as_path(), member))
    }

    /// How many files there are, and their bytes.
    pub fn size(&self) -> (usize, u64) {
        let sizes = self.members.values().filter_map(|member| match member {
            Member::File { size, .. } => Some(*size),
            _ => None,
        });
        sizes.fold((0, 0), |(count, bytes), size| (count + 1, bytes + size))
    }
}

/// The steps of a path, the first one last.
fn parts(path: &Path) -> Result<Vec<PathBuf>, &'static str> {
    let mut parts = Vec::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => {
                return Err("leads out of the release: it is an absolute path");
            }
            part => parts.push(PathBuf::from(part.as_os_str())),
        }
    }
    parts.reverse();
    Ok(parts)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn file() -> Member {
        Member::File { mode: 0o644, size: 1, at: 0, digest: [0; 32] }
    }

    fn link(to: &str) -> Member {
        Member::Link(to.into())
    }

    fn wrong(members: &[(&str, Member)]) -> Vec<String> {
        let mut tree = Tree::default();
        for (path, member) in members {
            tree.add(path.as_bytes(), member.clone());
        }
        tree.checked().err().unwrap_or_default()
    }

    #[test]
    fn paths_that_lead_out_are_refused() {
        for (path, why) in [
            ("/etc/passwd", "`/etc/passwd` is an absolute path"),
            ("../x", "`../x` leads out of the release by `..`"),
            ("a/../../x", "`a/../../x` leads out of the release by `..`"),
            // Also where it would end inside: nobody writes that without a purpose.
            ("a/../x", "`a/../x` leads out of the release by `..`"),
        ] {
            assert_eq!(wrong(&[(path, file())]), [why]);
        }
        assert_eq!(wrong(&[("./a//b/./c", file()), ("./", Member::Folder)]), [""; 0]);
        assert_eq!(wrong(&[(".", file())]), ["the archive has a member without a name"]);
    }

    #[test]
    fn folders_are_not_endlessly_deep() {
        let deep = |count: usize| vec!["d"; count].join("/");
        assert_eq!(wrong(&[(&deep(limits::MEMBER_DEPTH), file())]), [""; 0]);
        let why = "`d/d/d/d/d/…` has more than 200 folders in one another";
        assert_eq!(wrong(&[(&deep(limits::MEMBER_DEPTH + 1), file())]), [why]);
        assert_eq!(wrong(&[(&deep(1700), Member::Folder)]), [why]);
    }

    #[test]
    fn a_name_makes_no_line_of_its_own() {
        assert_eq!(
            wrong(&[("/a\nerror: b", file())]),
            ["`/a\u{fffd}error: b` is an absolute path"]
        );
    }

    #[test]
    fn links_stay_inside() {
        for to in ["b", "../b", "./x/../y", "c/d", "nowhere/at/all"] {
            assert_eq!(wrong(&[("a/link", link(to))]), [""; 0], "{to}");
        }
        for (to, why) in [
            ("../../b", "leads out of the release"),
            ("/etc/passwd", "leads out of the release: it is an absolute path"),
            ("x/../../../y", "leads out of the release"),
        ] {
            assert_eq!(
                wrong(&[("a/link", link(to))]),
                [format!("`a/link` is a link to `{to}`, which {why}")]
            );
        }
    }

    #[test]
    fn links_that_lead_out_through_one_another_are_refused() {
        // `a/up` is the root, and what is above the root is outside, whatever the letters say.
        let all = [("a/up", link("..")), ("x", link("a/up/..")), ("a/b/c", file())];
        assert_eq!(wrong(&all), ["`x` is a link to `a/up/..`, which leads out of the release"]);
        let round = [("x", link("y")), ("y", link("x"))];
        assert_eq!(wrong(&round).len(), 2);
        assert!(wrong(&round)[0].ends_with("leads round in a circle"));
    }

    #[test]
    fn nothing_lies_below_what_is_no_folder() {
        let all = [("a", link("b")), ("a/x", file()), ("b", Member::Folder)];
        assert_eq!(wrong(&all), ["`a/x` lies below `a`, which is no folder"]);
        assert_eq!(wrong(&[("a", file()), ("a/x", file())]).len(), 1);
        assert_eq!(wrong(&[("a", file()), ("./a", file())]), ["`a` is there twice"]);
        assert_eq!(wrong(&[("a", file()), ("a", link("b"))]), ["`a` is there twice"]);
        assert_eq!(wrong(&[("a", Member::Folder), ("a", Member::Folder)]), [""; 0]);
    }

    #[test]
    fn another_name_is_one_of_a_file() {
        let same = |to: &str| Member::Same(to.into());
        assert_eq!(wrong(&[("a", file()), ("b", same("a"))]), [""; 0]);
        for other in [Member::Folder, link("c"), same("c")] {
            assert_eq!(wrong(&[("a", other), ("b", same("a")), ("c", file())]).len(), 1);
        }
        assert_eq!(wrong(&[("b", same("nowhere"))]).len(), 1);
    }

    #[test]
    fn members_are_found_through_links() {
        let mut tree = Tree::default();
        tree.add(b"a/b/file", file());
        tree.add(b"short", link("a/b"));
        tree.add(b"again", Member::Same("a/b/file".into()));
        let tree = tree.checked().unwrap();
        for path in ["a/b/file", "short/file", "again", "a/../short/file"] {
            assert_eq!(tree.get(Path::new(path)), Some(&file()), "{path}");
        }
        for path in ["", ".", "a", "a/b", "short"] {
            assert_eq!(tree.get(Path::new(path)), Some(&Member::Folder), "{path}");
        }
        assert_eq!(tree.get(Path::new("short/nothing")), None);
        assert_eq!(tree.size(), (1, 1));
    }

    #[test]
    fn of_many_problems_some_are_shown_and_all_are_counted() {
        let mut tree = Tree::default();
        for number in 0..limits::PROBLEMS + 3 {
            tree.add(format!("/{number}").as_bytes(), file());
        }
        let wrong = tree.checked().unwrap_err();
        assert_eq!(wrong.len(), limits::PROBLEMS + 1);
        assert_eq!(wrong.last().unwrap(), "and 3 more of such");
    }
}
