//! The numbers of the README that `make bench` measures are those of docs/benchmarks.md.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// A row of the README from the table of what was measured; `None` where a row of that is missing.
type Row = fn(&Measured) -> Option<String>;

/// Rows of the table under "Against PM2".
const ROWS: [Row; 5] = [
    |all| {
        let (ours, theirs) = pair(all, "list, 100 instances / pm2 list, 100 processes")?;
        Some(format!("| `list` of 100 processes | {theirs:.0} ms | {ours:.0} ms |"))
    },
    |all| {
        let [(four, theirs), (sixteen, of_them)] = of_both(all, "under load / PM2")?;
        let times = |four, sixteen| format!("{}, {}", seconds(four), seconds(sixteen));
        Some(format!(
            "| reload of 4, of 16 instances of a fast app under 200 requests per second: time | {} | {} with \
             `min_ready = 0`; 2 s more with the default, which waits to see that new instances stay ready |",
            times(theirs, of_them),
            times(four, sixteen),
        ))
    },
    |all| {
        let [four, sixteen] = ["4", "16"].map(|number| {
            all.get(&format!("reload of {number}, failed requests / PM2"))?.split_once(" / ")
        });
        let ((ours, theirs), (more, of_them)) = (four?, sixteen?);
        Some(format!("| the same: requests lost | {theirs}, {of_them} | {ours}, {more} |"))
    },
    |all| {
        let [(four, theirs), (sixteen, of_them)] = of_both(all, ", peak memory / PM2")?;
        Some(format!(
            "| the same: memory of all processes at most | {theirs:.0} MB, {of_them:.0} MB | {four:.0} MB, {sixteen:.0} MB |"
        ))
    },
    |all| {
        let (two, theirs) = pair(all, "new connections, 2 instances / PM2")?;
        let (four, of_them) = pair(all, "new connections, 4 instances / PM2")?;
        Some(format!(
            "| new connections per second, 2 and 4 instances | {:.1}, {:.1} thousand | {:.1}, {:.1} thousand |",
            theirs / 1000.0,
            of_them / 1000.0,
            two / 1000.0,
            four / 1000.0,
        ))
    },
];

/// What was measured, by its name.
type Measured = BTreeMap<String, String>;

/// The rows that the page has; none before the first run of `make bench`.
fn measured(page: &str) -> Measured {
    let rows = page.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| ")?.split(" | ");
        Some((cells.next()?.to_owned(), cells.next()?.to_owned()))
    });
    rows.collect()
}

/// Ours and PM2's, of a row such as `82 MB / 128 MB`.
fn pair(all: &Measured, name: &str) -> Option<(f64, f64)> {
    let (ours, theirs) = all.get(name)?.split_once(" / ")?;
    let number = |text: &str| text.split(' ').next()?.parse().ok();
    Some((number(ours)?, number(theirs)?))
}

/// The same of a reload of four and of sixteen.
fn of_both(all: &Measured, what: &str) -> Option<[(f64, f64); 2]> {
    let name = |number: u32| match what.starts_with(',') {
        true => format!("reload of {number}{what}"),
        false => format!("reload of {number} {what}"),
    };
    Some([pair(all, &name(4))?, pair(all, &name(16))?])
}

fn seconds(millis: f64) -> String {
    let seconds = millis / 1000.0;
    if seconds < 1.0 { format!("{seconds:.2} s") } else { format!("{seconds:.1} s") }
}

/// A table as `make bench` writes it.
const SAMPLE: &str = "\
| list, 100 instances / pm2 list, 100 processes | 17.0 ms / 194 ms = 0.088 | < 0.1 | met |
| reload of 4, failed requests / PM2 | 0 of 2756 / 8 of 3028 | 0 | met |
| reload of 4 under load / PM2 | 470 ms / 920 ms | <= PM2 | met |
| reload of 4, peak memory / PM2 | 82 MB / 128 MB | < PM2 | met |
| reload of 16, failed requests / PM2 | 0 of 3828 / 15 of 4936 | 0 | met |
| reload of 16 under load / PM2 | 2300 ms / 3800 ms | <= PM2 | met |
| reload of 16, peak memory / PM2 | 200 MB / 291 MB | < PM2 | met |
| new connections, 2 instances / PM2 | 10500 / 4800 = 2.19 (plain node 2.20) | as plain node | met |
| new connections, 4 instances / PM2 | 9000 / 5400 = 1.67 (plain node 1.70) | as plain node | met |
";

#[test]
fn rows_of_the_readme_follow_from_what_was_measured() {
    let all = measured(SAMPLE);
    let rows: Vec<String> = ROWS.iter().map(|row| row(&all).unwrap()).collect();
    assert_eq!(rows[0], "| `list` of 100 processes | 194 ms | 17 ms |");
    assert!(
        rows[1].contains(": time | 0.92 s, 3.8 s | 0.47 s, 2.3 s with `min_ready = 0`;"),
        "{}",
        rows[1]
    );
    assert_eq!(
        rows[2],
        "| the same: requests lost | 8 of 3028, 15 of 4936 | 0 of 2756, 0 of 3828 |"
    );
    assert!(rows[3].ends_with(" | 128 MB, 291 MB | 82 MB, 200 MB |"), "{}", rows[3]);
    assert!(rows[4].ends_with(" | 4.8, 5.4 thousand | 10.5, 9.0 thousand |"), "{}", rows[4]);
}

/// `UPDATE_EXPECT=1` takes them over. While the page has no numbers of this version, the README keeps those of the last run.
#[test]
fn the_readme_has_the_numbers_of_the_benchmarks() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/benchmarks.md")).unwrap();
    let mut readme = fs::read_to_string(root.join("README.md")).unwrap();
    let update = std::env::var_os("UPDATE_EXPECT").is_some();
    let all = measured(&page);
    let sample = measured(SAMPLE);
    for row in ROWS {
        // The first cell says which row it is.
        let name = row(&sample).unwrap().split(" | ").next().unwrap().to_owned();
        let there =
            readme.lines().find(|line| line.starts_with(&format!("{name} | "))).map(str::to_owned);
        let there = there.unwrap_or_else(|| panic!("the README has no row `{name}`"));
        match row(&all) {
            Some(new) if update => readme = readme.replace(&there, &new),
            Some(new) => {
                assert_eq!(there, new, "UPDATE_EXPECT=1 takes the numbers of docs/benchmarks.md")
            }
            None => assert!(
                page.contains("Not measured yet"),
                "docs/benchmarks.md lacks what `{name}` needs"
            ),
        }
    }
    if update {
        fs::write(root.join("README.md"), readme).unwrap();
    }
}
