//! The commands that are killed, each with the state from which it starts.

use super::{FILE, Scene, apply, put, state::STORE, with_worker};
use crate::shop::quick;
use crate::support::Machine;

fn applies(_: &Machine, _: usize) -> String {
    format!("apply {FILE}")
}

pub(crate) const CREATE: Scene = Scene {
    directions: 1,
    base: |m, _| {
        if m.exists("/etc/systemd/system/shop.service") {
            m.ok(["clusterctl", "delete", "shop"]);
        }
        put(m, &quick(2, "one"));
    },
    command: applies,
    serves: false,
};

pub(crate) const DELETE: Scene = Scene {
    directions: 1,
    base: |m, _| apply(m, &quick(2, "one")),
    command: |_, _| "delete shop".to_owned(),
    serves: false,
};

pub(crate) const CHANGE: Scene = Scene {
    directions: 2,
    base: |m, round| put(m, &quick(2, ["one", "two"][round % 2])),
    command: applies,
    serves: true,
};

pub(crate) const SHRINK: Scene = Scene {
    directions: 2,
    base: |m, round| put(m, &quick([2, 4][round % 2], "one")),
    command: applies,
    serves: true,
};

pub(crate) const PRUNE: Scene = Scene {
    directions: 1,
    base: |m, _| {
        apply(m, &with_worker(&quick(1, "one")));
        put(m, &quick(1, "one"));
    },
    command: |_, _| format!("apply --prune {FILE}"),
    serves: true,
};

pub(crate) const SCALE: Scene = Scene {
    directions: 2,
    base: |_, _| {},
    command: |_, round| format!("scale shop {}", [2, 4][round % 2]),
    serves: true,
};

pub(crate) const RELOAD: Scene = Scene {
    directions: 1,
    base: |_, _| {},
    command: |_, _| "reload shop".to_owned(),
    serves: true,
};

pub(crate) const ROLLBACK: Scene = Scene {
    directions: 2,
    base: |_, _| {},
    command: |m, round| {
        let wanted = format!("GREETING = '{}'", ["one", "two"][round % 2]);
        let history: serde_json::Value =
            serde_json::from_str(&m.ok(["clusterctl", "history", "-o", "json"])).unwrap();
        let entries = history["entries"].as_array().unwrap();
        let number = |entry: &&serde_json::Value| {
            let path = format!("/var/lib/clusterctl/history/{}.json", entry["number"]);
            m.read(&path).contains(&wanted)
        };
        format!("rollback {}", entries.iter().rfind(number).unwrap()["number"])
    },
    serves: true,
};

/// The release that is in force before another one is deployed. It lies in the future, so that the names of those that
/// follow are the same in every run.
const FIRST: &str = "20990101-000000-0123456789ab";

/// What is deployed: the code says its version as the greeting does.
fn code(m: &Machine, folder: &str, version: &str) {
    let text = format!(
        "[deploy]\npath = '{STORE}'\nkeep = 2\nshared = ['uploads/']\nbuild = 'cp version built'\n\
         before_switch = 'test -e built'\nafter = 'touch $CLUSTERCTL_SHARED/uploads/told'\n\n{}user = 'shop'\n",
        quick(2, version)
    );
    m.write(&format!("{folder}/ecosystem.toml"), text);
    m.write(&format!("{folder}/server.js"), crate::shop::SERVER);
    m.write(&format!("{folder}/version"), version);
    m.write(&format!("{folder}/lib/module.js"), "module.exports = 1;");
}

/// Nothing is deployed, but a release is there that was never in force.
fn undeployed(m: &Machine) {
    m.sh("clusterctl delete shop; useradd --system shop");
    code(m, "/root/one", "one");
    code(m, "/root/two", "two");
    let note = format!(
        r#"{{"id": "{FIRST}", "digest": "", "from": "", "user": "", "time": 4070908800, "complete": true}}"#
    );
    m.ok_sh(&format!("rm -rf {STORE} && mkdir -p {STORE}/releases/{FIRST}"));
    m.write(&format!("{STORE}/releases/.clusterctl/{FIRST}.json"), note);
}

/// Brings the folder of releases back to what `/srv/base` holds, where two are, of which one is in force.
const BACK: &str = "\
cd /srv/base/releases
one=$(readlink ../current | sed s,releases/,,)
cp -a --no-clobber $one STORE/releases/ || true
cp -a .clusterctl/$one.json STORE/releases/.clusterctl/
clusterctl deploy /root/one
for id in $(ls STORE/releases); do
  test -e $id || rm -rf STORE/releases/$id STORE/releases/.clusterctl/$id.json
done
cp -a --no-clobber . STORE/releases/ || true
cp -a .clusterctl/. STORE/releases/.clusterctl/";

/// One release is in force, and an older one is there that goes when another one follows.
fn deployed(m: &Machine) {
    if !m.exists("/srv/base") {
        undeployed(m);
        code(m, "/root/zero", "zero");
        m.ok_sh("clusterctl deploy /root/zero && clusterctl deploy /root/one");
        m.ok_sh(&format!("cp -a {STORE} /srv/base"));
    }
    m.ok_sh(&format!("set -e\n{BACK}").replace("STORE", STORE));
}

pub(crate) const DEPLOY: Scene = Scene {
    directions: 1,
    base: |m, _| deployed(m),
    command: |_, _| "deploy /root/two".to_owned(),
    serves: true,
};

pub(crate) const FIRST_DEPLOY: Scene = Scene {
    directions: 1,
    base: |m, _| undeployed(m),
    command: |_, _| "deploy /root/one".to_owned(),
    serves: false,
};

pub(crate) const RESTART: Scene = Scene {
    directions: 1,
    base: |_, _| {},
    command: |_, _| "restart shop".to_owned(),
    serves: true,
};

pub(crate) const STOP_AND_START: Scene = Scene {
    directions: 2,
    base: |_, _| {},
    command: |_, round| ["stop shop", "start shop"][round % 2].to_owned(),
    serves: false,
};
