//! The harness itself: a machine boots, takes commands, and leaves nothing behind.

use crate::booted;

booted!(a_machine_boots_and_takes_commands, |m| {
    let state = m.run(["systemctl", "is-system-running"]).stdout;
    assert!(["running", "degraded"].contains(&state.trim()), "{state}");
    assert_eq!(m.sh("echo out; echo err >&2; exit 7").code, 7);
    m.write("/opt/a/b", "text");
    assert_eq!(m.ok(["cat", "/opt/a/b"]), "text");
    assert_eq!(m.ok(["cat", "/sys/class/net/lo/operstate"]), "unknown");
});
