use clusterctl::error::exit;

use crate::door::{StandIn, pid, shop};
use crate::stage::{Stage, WORKER};

#[test]
fn takes_instances_out_of_rotation() {
    let stage = Stage::applied(&shop());
    let pids = ["shop@0.service", "shop@1.service"];
    stage.manager().pids = pids.map(|unit| (unit.to_owned(), pid())).into();
    let doors = ["shop@0", "shop@1"].map(|instance| StandIn::at(&stage, instance));
    let words = |words: &[&str]| stage.run(words, exit::OK);
    let status = |instance: &str| {
        let (_, out, _) = stage.said(&["list", instance, "-o", "json"]);
        let at = out.find("\"status\":").unwrap();
        out[at..].split(['"', ',']).nth(3).unwrap().to_owned()
    };
    words(&["drain", "shop@1"]);
    assert_eq!(doors[1].asked(), ["close", "state"]);
    assert_eq!([status("shop@0"), status("shop@1")], ["online", "drained"]);
    let (_, shown, _) = stage.said(&["describe", "shop"]);
    assert!(shown.contains("drained"), "{shown}");
    // Nobody is left.
    words(&["drain", "shop"]);
    assert_eq!([status("shop@0"), status("shop@1")], ["drained", "drained"]);
    words(&["undrain", "shop@0"]);
    assert_eq!(doors[0].asked(), ["close", "state", "open"]);
    assert_eq!([status("shop@0"), status("shop@1")], ["online", "drained"]);
    // Another process is in rotation again, whatever was said of the one before.
    let other = std::os::unix::process::parent_id();
    stage.manager().pids.insert("shop@1.service".into(), other);
    assert_eq!(status("shop@1"), "online");
    stage.expect("drain");
}

#[test]
fn refuses() {
    let stage = Stage::applied(&(shop() + WORKER));
    stage.run(&["drain"], exit::USAGE);
    stage.run(&["drain", "nobody"], exit::UNKNOWN);
    stage.run(&["drain", "shop"], exit::FAILED); // no process
    stage.manager().pids =
        ["shop@1.service", "worker@0.service"].map(|unit| (unit.to_owned(), pid())).into();
    stage.run(&["drain", "shop", "worker"], exit::FAILED);
    stage.expect("drain-refused");
}

#[test]
fn a_mark_in_a_folder_of_the_apps_user_follows_no_link() {
    let stage = Stage::applied(&shop());
    stage.manager().pids = [("shop@0.service".to_owned(), pid())].into();
    let _door = StandIn::at(&stage, "shop@0");
    let victim = stage.path("victim");
    let mark = stage.path(&format!("run/doors/shop@0/drained-{}", pid()));
    std::os::unix::fs::symlink(&victim, mark).unwrap();
    assert_eq!(stage.said(&["drain", "shop@0"]).0, exit::OK);
    assert!(!victim.exists());
}
