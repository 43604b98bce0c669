//! `balance = "client"`: sessions that only one process knows, as those of Socket.IO over long polling.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::booted_long;
use crate::npm;
use crate::support::{Child, Machine};

const CLIENTS: &str = "24";

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/boot/fixtures/sticky")
}

fn applied(m: &Machine) {
    m.copy(&fixtures(), "/srv/sticky");
    let text = "[[apps]]\nname = 'shop'\nscript = 'server.js'\ninstances = 4\nlisten = 3000\n\
                user = 'daemon'\nbalance = 'client'\nkill_timeout = '4s'\n";
    m.write("/srv/sticky/ecosystem.toml", text);
    let said = m.ok(["clusterctl", "apply", "/srv/sticky/ecosystem.toml"]);
    assert!(said.contains("reverse proxy"), "{said}");
}

/// One round of all clients: sessions that were lost so far, clients that met several processes in one session, and
/// the processes that have served.
struct Round {
    lost: u32,
    strays: u32,
    pids: BTreeSet<u32>,
}

fn round(clients: &mut Child) -> Round {
    let line = clients.line_with("round ");
    let value = |name: &str| {
        let word = line.split_whitespace().find_map(|word| word.strip_prefix(name));
        word.unwrap_or_else(|| panic!("{line}")).to_owned()
    };
    let pids = value("pids=").split(',').map(|pid| pid.parse().unwrap()).collect();
    Round { lost: value("lost=").parse().unwrap(), strays: value("strays=").parse().unwrap(), pids }
}

fn processes(m: &Machine) -> BTreeSet<u32> {
    let list = m.ok(["clusterctl", "list", "-o", "json"]);
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    let rows = list["instances"].as_array().unwrap().iter();
    rows.map(|row| u32::try_from(row["pid"].as_u64().unwrap()).unwrap()).collect()
}

booted_long!(sessions_over_long_polling_meet_the_instance_that_knows_them, |m| {
    if !npm::install(m) {
        return;
    }
    applied(m);
    let mut clients = m.spawn(["node", "/srv/sticky/clients.js", CLIENTS]);
    let first = round(&mut clients);
    assert_eq!((first.lost, first.strays), (0, 0));
    assert_eq!(first.pids, processes(m));
    // Every session ends with its process, and begins anew at another one.
    m.ok(["clusterctl", "reload", "shop"]);
    let all = processes(m);
    let mut before = round(&mut clients);
    let after = loop {
        let now = round(&mut clients);
        if now.lost == before.lost && now.pids.is_subset(&all) {
            break now;
        }
        before = now;
    };
    assert_eq!(after.strays, 0);
    assert_eq!(after.pids, all);
    let described = m.ok(["clusterctl", "describe", "shop"]);
    assert!(described.contains("each client's address belongs to one instance"), "{described}");
});
