//! Which directives each systemd reads: its own list is the judge.

use std::{collections::BTreeMap, collections::BTreeSet, fs, path::Path};

use clusterctl::translate::{FLOOR, NEWER};

use crate::{booted, support::Machine};

type Known = BTreeMap<String, BTreeSet<String>>;

/// Sections of unit files that are clusterctl's, with the keys that this systemd reads in them.
fn known(m: &Machine) -> Known {
    let text = m.ok(["/usr/lib/systemd/systemd", "--dump-configuration-items"]);
    let mut known = Known::new();
    let mut section = String::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            name.clone_into(&mut section);
        } else if let Some((key, _)) = line.split_once('=') {
            known.entry(section.clone()).or_default().insert(key.to_owned());
        }
    }
    known
}

fn version(m: &Machine) -> u32 {
    let text = m.ok(["systemctl", "--version"]);
    let number = text.split_whitespace().nth(1).unwrap();
    number.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
}

/// Every section and key of the units that the golden files expect.
fn written() -> BTreeSet<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/units");
    let mut written = BTreeSet::new();
    for entry in fs::read_dir(root).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path().join("expected.units")).unwrap();
        let mut section = "";
        for line in text.lines().filter(|line| !line.starts_with("==>")) {
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                section = name;
            } else if let Some((key, _)) = line.split_once('=')
                && !section.starts_with("X-")
                && key.chars().all(|c| c.is_ascii_alphanumeric())
            {
                written.insert((section.to_owned(), key.to_owned()));
            }
        }
    }
    assert!(written.len() > 40, "{written:?}");
    written
}

booted!(every_directive_is_read_from_its_version_on, |m| {
    let (here, known) = (version(m), known(m));
    let ours: BTreeSet<&String> =
        ["Service", "Socket", "Slice"].iter().flat_map(|name| &known[*name]).collect();
    for (since, names) in NEWER {
        for name in names {
            let there = ours.contains(&(*name).to_owned());
            assert_eq!(there, since <= here, "{name}= came with {since}, this is {here}");
        }
    }
    for (section, key) in written() {
        let read = known.get(&section).is_some_and(|keys| keys.contains(&key));
        // The manager ignores [Install]; systemctl knows it.
        assert!(read || section == "Install", "systemd {here} reads no {key}= in [{section}]");
    }
});

const NEW_ONES: &str = r#"
[[apps]]
name = "api"
command = ["sleep", "infinity"]
service = { MemoryPressureWatch = "off", LogFilterPatterns = "~debug", CPUWeight = 50 }
slice = { MemoryPressureWatch = "on" }
"#;

booted!(what_a_manager_does_not_know_is_left_out_and_said, |m| {
    let here = version(m);
    m.write("/srv/ecosystem.toml", NEW_ONES);
    let said = m.clusterctl(["apply", "/srv/ecosystem.toml"]);
    assert_eq!(said.code, 0, "{said:?}");
    let unit = m.ok(["systemctl", "cat", "api@.service"]);
    assert!(unit.contains("\nCPUWeight=50\n"), "{unit}");
    for (name, since) in [("MemoryPressureWatch", 254), ("LogFilterPatterns", 253)] {
        let line = format!("api: {name}= is left out: it needs systemd {since}, this is {here}\n");
        assert_eq!(said.stderr.matches(&line).count(), usize::from(here < since), "{said:?}");
        assert_eq!(unit.contains(&format!("\n{name}=")), here >= since, "{unit}");
    }
    if here >= 254 {
        assert_eq!(m.systemctl_show("api@0", "MemoryPressureWatch"), "no");
    }
    let again = m.ok(["clusterctl", "apply", "/srv/ecosystem.toml"]);
    assert!(again.contains("nothing to do"), "{again}");
    // Nothing that was written makes the manager complain.
    let complaints =
        m.ok_sh("journalctl --boot --no-pager | grep -F '/api' | grep -i unknown || true");
    assert_eq!(complaints, "", "systemd {here}, the oldest is {FLOOR}");
});
