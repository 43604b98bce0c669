//! What differs between two texts, as a unified diff. One algorithm of the library is named, and not the choice of all of
//! them, which would be a fifteenth of the program. It knows nothing of units.

use std::fmt::Write as _;

use similar::DiffOp;
use similar::algorithms::{Capture, Compact, Replace, myers};
use similar::udiff::UnifiedHunkHeader;

/// Lines around a change.
const AROUND: usize = 3;

/// The lines that differ, with a few around them; nothing where none does.
pub(super) fn unified(before: &str, after: &str, (from, to): (&str, &str)) -> String {
    let old: Vec<&str> = before.split_inclusive('\n').collect();
    let new: Vec<&str> = after.split_inclusive('\n').collect();
    let mut found = Compact::new(Replace::new(Capture::new()), &old[..], &new[..]);
    let Ok(()) = myers::diff(&mut found, &old[..], 0..old.len(), &new[..], 0..new.len());
    let hunks = found.into_inner().into_inner().into_grouped_ops(AROUND);
    let mut out = String::new();
    for hunk in hunks.iter().filter(|hunk| !hunk.is_empty()) {
        if out.is_empty() {
            let _ = writeln!(out, "--- {from}\n+++ {to}");
        }
        let _ = writeln!(out, "{}", UnifiedHunkHeader::new(hunk));
        for op in hunk {
            if let DiffOp::Equal { .. } = op {
                write(&mut out, ' ', &old[op.old_range()]);
            } else {
                write(&mut out, '-', &old[op.old_range()]);
                write(&mut out, '+', &new[op.new_range()]);
            }
        }
    }
    out
}

fn write(out: &mut String, sign: char, lines: &[&str]) {
    for line in lines {
        out.push(sign);
        out.push_str(line);
        if !line.ends_with('\n') {
            out.push_str("\n\\ No newline at end of file\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_shown_with_what_is_around_it() {
        let before = "1\n2\n3\n4\n5\n6\n7\n8\n9\n";
        let after = before.replace("5\n", "five\n").replace("9\n", "9\nten");
        let expected = "--- a\n+++ b\n@@ -2,8 +2,9 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n 9\n+ten\n\\ No newline at end of file\n";
        assert_eq!(unified(before, &after, ("a", "b")), expected);
        assert_eq!(unified(before, before, ("a", "b")), "");
        let gone = "--- a\n+++ /dev/null\n@@ -1,2 +0,0 @@\n-1\n-2\n";
        assert_eq!(unified("1\n2\n", "", ("a", "/dev/null")), gone);
    }

    proptest::proptest! {
        #[test]
        fn it_is_what_the_library_says(before in "([abc]\n){0,9}[ab]?", after in "([abc]\n){0,9}[ab]?") {
            let all = similar::TextDiff::from_lines(&before, &after);
            let expected = all.unified_diff().header("a", "b").to_string();
            proptest::prop_assert_eq!(unified(&before, &after, ("a", "b")), expected);
        }
    }
}
