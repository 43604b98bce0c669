use clusterctl::error::exit;

use crate::stage::{SHOP, Stage, WORKER};

#[test]
fn starts_what_is_stopped() {
    let stage = Stage::applied(SHOP);
    stage.run(&["start", "shop"], exit::OK); // nothing to do
    assert_eq!(stage.said(&["stop", "shop"]).0, exit::OK);
    stage.run(&["start", "shop"], exit::OK);
    stage.run(&["start", "ecosystem.toml"], exit::OK); // the same as apply
    stage.expect("start");
}

#[test]
fn refuses() {
    let stage = Stage::applied(SHOP);
    stage.run(&["start", "nobody"], exit::UNKNOWN);
    stage.run(&["start", "shop", "worker", "-i", "2"], exit::USAGE);
    stage.run(&["start", "ecosystem.toml", "-i", "2"], exit::USAGE); // the file says that
    stage.run(&["start", "server.js", "-i", "2"], exit::USAGE); // runs as shop already
    stage.run(&["start", "shop", "--only", "shop"], exit::USAGE);
    stage.run(&["start", "/(/"], exit::USAGE);
    stage.run(&["start", "worker.js", "-l", "80"], exit::USAGE); // an address as log
    let stage = stage.unprivileged();
    stage.run(&["start", "worker.js"], exit::USAGE); // not root
    let stage = stage.denied();
    assert_eq!(stage.said(&["stop", "shop"]).0, exit::MANAGER);
    let stage = stage.without_bus();
    stage.run(&["start", "shop"], exit::MANAGER); // no bus
    stage.expect("start-refused");
}

#[test]
fn starts_a_file() {
    let stage = Stage::new();
    stage.run(&["start"], exit::CONFIG); // no file
    stage.write("ecosystem.toml", &format!("{SHOP}{WORKER}"));
    stage.run(&["start", "ecosystem.toml", "--only", "shop"], exit::OK);
    stage.run(&["start"], exit::OK);
    stage.run(&["stop", "ecosystem.toml"], exit::OK);
    stage.run(&["start", "server.js"], exit::OK); // a script that an app runs
    stage.run(&["start", "/^work/"], exit::OK);
    stage.expect("start-file");
}

/// PM2's options of `start` are keys of the file.
#[test]
fn writes_what_options_say() {
    let stage = Stage::new();
    let line = [
        "start",
        "server.js",
        "--name",
        "web",
        "-i",
        "2",
        "--listen",
        "127.0.0.1:3999",
        "--uid",
        "api",
        "--max-memory-restart",
        "300M",
        "--node-args=--max-old-space-size=200",
        "-e",
        "err.log",
        "-o",
        "out.log",
        "-k",
        "3s",
        "--no-autorestart",
        "--stop-exit-codes",
        "0,143",
        "--namespace",
        "shop",
        "--restart-delay",
        "200",
        "--max-restarts",
        "5",
        "-f",
        "--",
        "--port",
        "3999",
    ];
    stage.run(&line, exit::OK);
    stage.show("ecosystem.toml");
    // To a file that `start` has written, `start` adds the next app.
    stage.run(
        &["start", "worker.js", "-w", "--uid", "api", "--no-treekill", "-l", "w.log"],
        exit::OK,
    );
    // A list in one word, and seconds, as on PM2's command line.
    let watch = ["--watch", "--watch-delay", "1.5", "--ignore-watch=node_modules logs"];
    let line = ["start", "worker.js", "--name", "watched", "--worker", "--uid", "api"];
    stage.run(&[&line[..], &watch].concat(), exit::OK);
    stage.show("ecosystem.toml");
    stage.run(&["start", "npm", "--name", "site", "--worker", "--", "start"], exit::OK);
    stage.show("ecosystem.toml");
    stage.write("ecosystem.toml", "# mine\n");
    stage.run(&["start", "worker.js", "--name", "other", "--worker", "--uid", "api"], exit::USAGE);
    stage.expect("start-options");
}

#[test]
fn a_job_that_was_begun_is_told_as_started() {
    let stage = Stage::new();
    let job =
        "[[apps]]\nname = \"job\"\nscript = \"worker.js\"\nuser = \"api\"\nautorestart = false\n";
    stage.write("ecosystem.toml", job);
    let (code, _, err) = stage.said(&["apply"]);
    assert_eq!(code, exit::OK, "{err}");
    assert!(err.contains("✓ job@0 started\n✓ job: 1 started in "), "{err}");
}
