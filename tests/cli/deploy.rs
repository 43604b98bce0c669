use clusterctl::error::exit;

use crate::stage::{SHOP, Stage, WORKER};

/// A folder with a program and this ecosystem file; releases would be kept where nothing is.
fn app(stage: &Stage, deploy: &str) {
    let folder = stage.path("app");
    std::fs::create_dir_all(&folder).unwrap();
    stage.write("app/ecosystem.toml", &format!("{deploy}\n{WORKER}"));
    stage.write("app/worker.js", "work()");
}

const PLACE: &str = "[deploy]\npath = \"/nowhere/worker\"\n";

#[test]
fn shows_what_it_would_do() {
    let stage = Stage::new();
    app(&stage, PLACE);
    stage.run(&["deploy", "app", "--dry-run"], exit::OK);
    stage.run(&["deploy", "app", "--dry-run", "-o", "json"], exit::OK);
    app(&stage, &format!("{PLACE}build = [\"npm ci\", \"npm run build\"]\n"));
    stage.run(&["deploy", "app", "--dry-run"], exit::OK);
    stage.expect("deploy");
}

#[test]
fn refuses() {
    let stage = Stage::new();
    stage.run(&["deploy"], exit::USAGE);
    // What git says of it depends on git.
    let (code, _, err) = stage.said(&["deploy", "nothing"]);
    assert!(code == exit::CONFIG && err.contains("neither a folder nor a file `nothing`"), "{err}");
    stage.input("no archive");
    stage.run(&["deploy", "-"], exit::CONFIG);
    std::fs::create_dir(stage.path("empty")).unwrap();
    stage.run(&["deploy", "empty"], exit::CONFIG);
    stage.write("empty/server.js", "");
    stage.run(&["deploy", "empty"], exit::CONFIG); // no ecosystem file
    app(&stage, "");
    stage.run(&["deploy", "app"], exit::CONFIG); // no [deploy]
    let wrong = "path = \"here\"\nkeep = 1\nuser = \"nobody-knows\"\nshared = [\"../x\", \"a/\", \"a/b\"]\nbuilt = 1\nbuild = \" \"\n";
    app(&stage, &format!("[deploy]\n{wrong}"));
    stage.run(&["deploy", "app"], exit::CONFIG);
    app(&stage, &format!("{PLACE}{SHOP}").replace("\"api\"", "\"root\""));
    stage.run(&["deploy", "app"], exit::CONFIG); // two users, and nobody who owns the releases
    app(&stage, &format!("{PLACE}shared = [\".env\"]\n"));
    stage.run(&["deploy", "app", "--dry-run"], exit::CONFIG); // a shared file that is missing
    let own = stage.path("app/inside").display().to_string();
    app(&stage, &PLACE.replace("/nowhere/worker", &own));
    stage.run(&["deploy", "app", "--dry-run"], exit::CONFIG);
    stage.expect("deploy-refused");
}
