//! The real program at both ends: a host that has no manager, so that it needs no machine.

use crate::stage::Stage;

/// Runs the command line as the shell of a host does.
fn real(stage: &Stage) {
    let program = env!("CARGO_BIN_EXE_clusterctl");
    let script = format!(
        "clusterctl() {{ {program} \"$@\"; }}\nexport DBUS_SYSTEM_BUS_ADDRESS=unix:path=/nowhere\necho motd\neval \"$1\"\n"
    );
    ["web1", "web2"].iter().for_each(|host| stage.host(host, &script));
}

#[test]
fn both_ends_understand_each_other() {
    let stage = Stage::shop();
    real(&stage);
    let (code, out, err) = stage.said(&["-H", "web1,web2", "--limit", "50%", "id", "no such"]);
    assert_eq!(code, 4, "{out}{err}");
    assert!(err.contains("web1: error: failed to connect to systemd"), "{err}");
    let (code, _, err) = stage.said(&["-H", "web1", "reload", "api", "--no-such-option"]);
    assert_eq!(code, 2, "{err}");
}

#[test]
fn problems_that_a_host_finds_have_the_places_of_the_file_here() {
    let stage = Stage::new(
        "[fleet]\nfirst = 0\n[[hosts]]\nname = \"web1\"\n\n[[apps]]\nname = \"api\"\nscrpt = 1\n",
    );
    real(&stage);
    let (code, _, err) = stage.said(&["-H", "all", "apply"]);
    assert_eq!(code, 3, "{err}");
    assert!(err.contains(" --> ecosystem.toml:8:1\n") && !err.contains("-:8:1"), "{err}");
    assert!(err.contains("✗ web1: ecosystem.toml: 1 problem"), "{err}");
    assert!(err.contains("unknown key `scrpt`"), "{err}");
}
