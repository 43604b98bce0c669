use clusterctl::error::exit;

use crate::stage::{SHOP, Stage, WORKER};

#[test]
fn makes_the_apps_what_the_file_says_and_then_has_nothing_to_do() {
    let stage = Stage::new();
    stage.write("ecosystem.toml", SHOP);
    stage.run(&["apply"], exit::OK);
    stage.run(&["apply"], exit::OK);
    stage.write("ecosystem.toml", &SHOP.replace("= 2", "= 3"));
    stage.run(&["apply", "--dry-run"], exit::OK);
    stage.run(&["apply"], exit::OK);
    stage.expect("apply");
}

#[test]
fn prunes_and_reads_standard_input() {
    let stage = Stage::applied(&format!("{SHOP}{WORKER}"));
    stage.input(WORKER);
    let name = stage.path("ecosystem.toml").display().to_string();
    assert_eq!(stage.said(&["apply", "-", "--as", &name, "--prune"]).0, exit::OK);
    assert!(!stage.path("units/shop.service").exists());
    assert!(stage.path("units/worker.service").exists());
    // A problem has the name that standard input is given.
    stage.input("[[apps]]\nname = \"worker\"\nscipt = \"w.js\"\n");
    let (code, _, said) = stage.said(&["apply", "-", "--as", &name]);
    assert_eq!(code, exit::CONFIG, "{said}");
    assert!(said.contains("ecosystem.toml:3:1") && !said.contains("-:3:1"), "{said}");
}

#[test]
fn the_profile_of_the_last_apply_stays_until_another_one_is_named() {
    let stage = Stage::new();
    let profiles = "env_live = { GREETING = \"live\" }\n";
    stage.write("ecosystem.toml", &WORKER.replace("user", &format!("{profiles}user")));
    stage.run(&["apply", "--env", "live"], exit::OK);
    stage.run(&["apply"], exit::OK);
    stage.run(&["reload", "ecosystem.toml"], exit::OK);
    stage.run(&["startOrReload", "ecosystem.toml"], exit::OK);
    stage.run(&["apply", "--env", "none"], exit::OK);
    stage.run(&["apply"], exit::OK);
    stage.run(&["rollback", "worker"], exit::OK);
    stage.run(&["apply", "--dry-run"], exit::OK);
    stage.expect("apply-profile");
}

#[test]
fn another_profile_of_the_file_is_not_gone_from_it() {
    let stage = Stage::new();
    let profiles = "append_env_to_name = true\nenv_qa = { A = 1 }\nenv_live = { A = 2 }\n";
    stage.write("ecosystem.toml", &WORKER.replace("user", &format!("{profiles}user")));
    for profile in ["qa", "live"] {
        let (code, _, err) = stage.said(&["apply", "--prune", "--env", profile]);
        assert_eq!((code, err.contains("gone")), (exit::OK, false), "{err}");
    }
    assert!(stage.path("units/worker-qa.service").exists());
    assert!(stage.path("units/worker-live.service").exists());
    // An app that is gone from the same profile counts as gone.
    stage.write(
        "ecosystem.toml",
        &format!("{WORKER}env_qa = {{}}\n").replace("rollout = { min_ready = 0 }\n", ""),
    );
    assert_eq!(stage.said(&["apply", "--prune", "--env", "qa"]).0, exit::OK);
    assert!(!stage.path("units/worker-qa.service").exists());
    assert!(stage.path("units/worker-live.service").exists());
}

#[test]
fn tells_data() {
    let stage = Stage::new();
    stage.write("ecosystem.toml", WORKER);
    let (code, out, err) = stage.said(&["apply", "--output", "json"]);
    assert_eq!(code, exit::OK, "{err}");
    let lines: Vec<serde_json::Value> =
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["event"], "begin");
    assert!(lines.len() > 1, "{out}");
}

#[test]
fn refuses() {
    let stage = Stage::new();
    stage.run(&["apply"], exit::CONFIG); // no file
    stage.write(
        "ecosystem.toml",
        "[[apps]]\nname = \"shop\"\nscript = \"server.js\"\nlissten = 1\n",
    );
    stage.run(&["apply"], exit::CONFIG); // an unknown key
    stage.write("ecosystem.toml", SHOP);
    stage.run(&["apply", "--only", "nobody"], exit::UNKNOWN);
    stage.run(&["apply", "--as", "x.toml"], exit::USAGE);
    stage.run(&["apply", "--max-surge", "many"], exit::USAGE);
    // No more than the file may say.
    stage.run(&["apply", "--max-surge", "1025", "--max-unavailable", "1025"], exit::USAGE);
    stage.expect("apply-refused");
}

#[test]
fn says_why_the_manager_does_not_do_it() {
    let stage = Stage::new().denied();
    stage.write("ecosystem.toml", WORKER);
    stage.run(&["apply"], exit::MANAGER);
    let stage = stage.without_bus();
    stage.run(&["apply"], exit::MANAGER);
    stage.expect("apply-manager");
}
