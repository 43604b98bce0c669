//! Other people's validators read what is exported: kubernetes-validate and docker-compose. Each of them is
//! shown something wrong first, so that a validator that accepts everything is noticed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{ENV_FILES, cases, skip};

/// The version of Kubernetes whose rules are asked: the oldest that has all that is exported.
const VERSION: &str = "1.31";

fn kubernetes(file: &Path) -> Result<(), String> {
    let mut command = Command::new("python3");
    command.env("PYTHONPATH", python()).args([
        "-m",
        "kubernetes_validate",
        "--strict",
        "-k",
        VERSION,
    ]);
    said(command.arg(file))
}

/// Where `make deps` puts packages of Python.
fn python() -> PathBuf {
    skip::target_dir().join("tools/python")
}

fn compose(file: &Path) -> Result<(), String> {
    said(Command::new("docker-compose").arg("-f").arg(file).args(["config", "-q"]))
}

fn said(command: &mut Command) -> Result<(), String> {
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    if output.status.success() { Ok(()) } else { Err(text) }
}

fn refuses(check: fn(&Path) -> Result<(), String>, case: &str, right: &str, wrong: &str) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wrong.yaml");
    let text = fs::read_to_string(case_file(case)).unwrap();
    assert!(text.contains(right), "{case} has no {right}");
    fs::write(&file, text.replace(right, wrong)).unwrap();
    check(&file).expect_err("the validator takes what is wrong");
}

fn case_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/export/cases").join(name)
}

#[test]
fn kubernetes_takes_what_is_exported() {
    if !python().join("kubernetes_validate").is_dir() {
        return skip::record("kubernetes-validate is missing (make deps gets it with pip)");
    }
    refuses(kubernetes, "web/kubernetes.yaml", "replicas: 4", "replicas: four");
    for case in cases() {
        let file = case.join("kubernetes.yaml");
        kubernetes(&file).unwrap_or_else(|text| panic!("{}: {text}", file.display()));
    }
}

#[test]
fn compose_takes_what_is_exported() {
    if !skip::has("docker-compose") {
        return;
    }
    refuses(compose, "web/compose.yaml", "replicas: 4", "replicas: four");
    for case in cases() {
        // docker-compose looks whether the files of variables are there: an empty one stands for each.
        let folder = tempfile::tempdir().unwrap();
        let (file, empty) = (folder.path().join("compose.yaml"), folder.path().join("empty"));
        fs::write(&empty, "").unwrap();
        let mut text = fs::read_to_string(case.join("compose.yaml")).unwrap();
        for path in ENV_FILES {
            text = text.replace(path, &empty.display().to_string());
        }
        fs::write(&file, text).unwrap();
        compose(&file).unwrap_or_else(|text| panic!("{}: {text}", case.display()));
    }
}
