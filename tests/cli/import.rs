use std::os::unix::fs::PermissionsExt;

use clusterctl::error::exit;

use crate::stage::Stage;

/// What people have: an API in cluster mode, a worker, PM2's own deployment.
const CONFIG: &str = "\
module.exports = {
  apps: [
    { name: 'shop', script: 'server.js', instances: 2, exec_mode: 'cluster', user: 'api', watch: false,
      merge_logs: true, env: { NODE_ENV: 'production', PORT: 3999 } },
    { name: 'worker', script: 'worker.js', user: 'api', autorestart: false },
  ],
  deploy: { production: {} },
};
";

#[test]
fn writes_an_ecosystem_file() {
    let stage = Stage::new().without_bus();
    stage.write("ecosystem.config.js", CONFIG);
    stage.run(&["import", "--to", "-"], exit::OK);
    stage.run(&["import", "--no-trial"], exit::OK);
    stage.run(&["validate"], exit::OK);
    stage.run(&["import"], exit::USAGE); // it exists
    stage.write("Procfile", "web: node server.js\n");
    stage.run(&["import", "--to", "other.toml"], exit::OK); // the Procfile is named
    stage.run(&["import", "Procfile", "--to", "third.toml"], exit::OK);
    stage.expect("import");
    let mode = std::fs::metadata(stage.path("ecosystem.toml")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o644);
}

#[test]
fn refuses() {
    let stage = Stage::new().without_bus();
    stage.run(&["import", "server.js"], exit::USAGE); // no configuration
    stage.run(&["import", "ecosystem.config.js"], exit::CONFIG); // not there
    stage.write("pm2.json", "{ \"apps\": 1 }");
    stage.run(&["import"], exit::CONFIG); // no app
    stage.write("ecosystem.config.js", "throw new Error('not today')");
    stage.run(&["import"], exit::CONFIG); // it fails
    stage.write(
        "ecosystem.config.js",
        "module.exports = { script: 'nothing.js', env: { PORT: 1 } }",
    );
    stage.run(&["import"], exit::CONFIG); // written, to be corrected
    assert!(stage.path("ecosystem.toml").exists());
    stage.expect("import-refused");
}

#[test]
fn secrets_are_for_their_owner() {
    let stage = Stage::new().without_bus();
    let text = "{ \"apps\": [{ \"script\": \"server.js\", \"env\": { \"PORT\": 1, \"DB_PASSWORD\": \"x\" } }] }";
    stage.write("pm2.json", text);
    assert_eq!(stage.said(&["import"]).0, exit::OK);
    let mode = std::fs::metadata(stage.path("ecosystem.toml")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn init_imports_what_lies_there() {
    let stage = Stage::new().without_bus();
    stage.write("ecosystem.config.js", CONFIG);
    stage.run(&["init"], exit::OK);
    let text = std::fs::read_to_string(stage.path("ecosystem.toml")).unwrap();
    assert!(text.starts_with("# Imported from ecosystem.config.js"), "{text}");
    stage.expect("import-init");
}

#[test]
fn verbs_take_the_file_itself() {
    let stage = Stage::new();
    stage.write("ecosystem.config.js", CONFIG);
    stage.run(&["apply", "ecosystem.config.js", "--dry-run", "--only", "worker"], exit::OK);
    stage.run(&["start", "ecosystem.config.js"], exit::OK);
    stage.run(&["apply", "ecosystem.config.js"], exit::OK); // nothing to do
    stage.run(&["reload", "ecosystem.config.js", "--only", "shop"], exit::OK);
    stage.run(&["restart", "ecosystem.config.js"], exit::OK);
    stage.run(&["stop", "ecosystem.config.js"], exit::OK);
    stage.run(&["start", "ecosystem.config.js", "-i", "2"], exit::USAGE);
    stage.run(&["delete", "ecosystem.config.js"], exit::OK);
    stage.run(&["stop", "ecosystem.config.js"], exit::USAGE); // none is applied
    stage.expect("import-direct");
}

#[test]
fn json_of_pm2_comes_on_standard_input_too() {
    let stage = Stage::new();
    stage.input("{\"apps\": [{\"name\": \"j\", \"script\": \"server.js\", \"user\": \"api\", \"env\": {\"PORT\": 3998}}]}");
    stage.run(&["start", "-"], exit::OK);
    stage.input("{\"apps\": []}");
    stage.run(&["start", "-"], exit::CONFIG);
    stage.expect("import-standard-input");
}

/// PM2 allows spaces and scopes in a name; what was written for PM2 says it as before.
#[test]
fn the_name_that_an_app_had_under_pm2_is_understood() {
    let stage = Stage::new();
    stage.write("ecosystem.config.js", &CONFIG.replace("'shop'", "'My Shop'"));
    stage.run(&["start", "ecosystem.config.js", "--only", "My Shop"], exit::OK);
    assert_eq!(stage.said(&["stop", "My Shop"]).0, exit::OK);
    assert_eq!(stage.said(&["restart", "my shop"]).0, exit::UNKNOWN);
    assert_eq!(stage.said(&["apply", "ecosystem.config.js", "--only", "My Shoe"]).0, exit::UNKNOWN);
}

#[test]
fn a_missing_file_is_answered_with_the_one_that_lies_there() {
    let stage = Stage::new().without_bus();
    stage.write("Procfile", "web: node server.js\n");
    stage.run(&["validate", "Procfile"], exit::OK);
    stage.expect("import-validate");
}
