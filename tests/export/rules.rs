//! Rules that the validators do not know: kubernetes-validate takes `maxSurge: banana` and a port's name of
//! twenty letters. Each rule is shown something that breaks it, too.

use std::collections::BTreeSet;
use std::fs;

use clusterctl::export::Target;
use proptest::prelude::*;
use serde_json::Value;

use super::{cases, exported, skip};

fn documents(text: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(text).unwrap()
}

/// What breaks a rule in manifests.
fn broken(documents: &[Value]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for document in documents {
        let name = text(&document["metadata"]["name"]);
        let kind = text(&document["kind"]);
        if !is_label(&name, 63) {
            wrong.push(format!("{kind} {name}: no label"));
        }
        if !seen.insert((kind.clone(), name.clone())) {
            wrong.push(format!("{kind} {name}: twice"));
        }
        match kind.as_str() {
            "Deployment" => deployment(document, documents, &mut wrong),
            "Service" | "Job" | "CronJob" => {}
            other => wrong.push(format!("{other}: unknown")),
        }
    }
    wrong
}

fn deployment(document: &Value, all: &[Value], wrong: &mut Vec<String>) {
    let name = text(&document["metadata"]["name"]);
    let spec = &document["spec"];
    let rolling = &spec["strategy"]["rollingUpdate"];
    let share = |value: &Value| match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.strip_suffix('%').and_then(|part| part.parse().ok()),
        _ => None,
    };
    match (share(&rolling["maxSurge"]), share(&rolling["maxUnavailable"])) {
        (Some(0), Some(0)) => wrong.push(format!("{name}: no rollout can begin")),
        (Some(_), Some(_)) => {}
        _ => wrong.push(format!("{name}: maxSurge or maxUnavailable is no share")),
    }
    if spec["progressDeadlineSeconds"].as_u64() <= spec["minReadySeconds"].as_u64() {
        wrong.push(format!("{name}: a rollout fails before it can succeed"));
    }
    if spec["selector"]["matchLabels"] != spec["template"]["metadata"]["labels"] {
        wrong.push(format!("{name}: selects other pods"));
    }
    let ports = spec["template"]["spec"]["containers"][0]["ports"].as_array().cloned();
    let ports = ports.unwrap_or_default();
    for port in &ports {
        if !is_label(&text(&port["name"]), 15) {
            wrong.push(format!("{name}: {} is no name of a port", port["name"]));
        }
    }
    let service = all.iter().find(|other| {
        other["kind"] == "Service" && other["metadata"]["name"] == document["metadata"]["name"]
    });
    for port in
        service.and_then(|service| service["spec"]["ports"].as_array()).into_iter().flatten()
    {
        if !ports.iter().any(|inner| inner["containerPort"] == port["targetPort"]) {
            wrong.push(format!(
                "{name}: the service leads to {}, where nobody listens",
                port["targetPort"]
            ));
        }
    }
}

/// What breaks a rule in a compose file.
fn broken_compose(file: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, service) in file["services"].as_object().unwrap() {
        let published = service["ports"].as_array().is_some_and(|ports| !ports.is_empty());
        if published && service["deploy"]["replicas"].as_u64() > Some(1) {
            wrong.push(format!("{name}: two containers publish one port"));
        }
        for secret in service["secrets"].as_array().into_iter().flatten() {
            if file["secrets"][text(&secret["source"])].is_null() {
                wrong.push(format!("{name}: no secret {}", secret["source"]));
            }
        }
        let texts = service.to_string().replace("$$", "");
        if texts.contains('$') {
            wrong.push(format!("{name}: compose puts a variable in the place of a text"));
        }
    }
    wrong
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn is_label(text: &str, longest: usize) -> bool {
    let part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let ends = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.len() <= longest
        && text.starts_with(ends)
        && text.ends_with(ends)
        && text.chars().all(part)
}

#[test]
fn every_case_keeps_the_rules() {
    for case in cases() {
        let read = |name: &str| fs::read_to_string(case.join(name)).unwrap();
        assert_eq!(broken(&documents(&read("kubernetes.yaml"))), [""; 0], "{}", case.display());
        let compose = documents(&read("compose.yaml")).remove(0);
        assert_eq!(broken_compose(&compose), [""; 0], "{}", case.display());
    }
}

#[test]
fn each_rule_notices_what_breaks_it() {
    let read = |name: &str| {
        fs::read_to_string(cases().iter().find(|case| case.ends_with("web")).unwrap().join(name))
            .unwrap()
    };
    let manifests = read("kubernetes.yaml");
    for (right, wrong) in [
        ("maxSurge: 25%", "maxSurge: banana"),
        ("maxSurge: 25%", "maxSurge: 0"),
        ("minReadySeconds: 2", "minReadySeconds: 9000"),
        ("name: tcp-3000", "name: a-name-of-twenty-letters"),
        ("targetPort: 3000", "targetPort: 3001"),
        ("name: static", "name: api"),
        ("name: static", "name: Static_"),
        ("kind: Service", "kind: Sevrice"),
    ] {
        assert!(manifests.contains(right), "{right} is nowhere in\n{manifests}");
        let text = manifests.replacen(right, wrong, usize::MAX);
        assert_ne!(broken(&documents(&text)), [""; 0], "{wrong}");
    }
    let compose = read("compose.yaml");
    for (right, wrong) in [("$$(USER)", "$(USER)"), ("expose:", "ports:")] {
        assert!(compose.contains(right), "{right} is nowhere in\n{compose}");
        let text = compose.replace(right, wrong);
        assert_ne!(broken_compose(&documents(&text).remove(0)), [""; 0], "{wrong}");
    }
}

fn with_value(value: &str) -> String {
    let value = serde_json::to_string(value).unwrap();
    format!("[[apps]]\nname = \"a\"\nscript = \"server.js\"\nenv = {{ TEXT = {value} }}\n")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Whatever a variable holds, the program sees just that: nothing is expanded, and nothing ends a text.
    #[test]
    fn a_variable_reaches_the_program_as_it_is(value in "[ -~\t\n$(){}#:'\"é\u{2028}]{0,40}") {
        let file = with_value(&value);
        let manifests = documents(&exported(Target::Kubernetes, &file));
        let env = &manifests[0]["spec"]["template"]["spec"]["containers"][0]["env"];
        let found = env.as_array().unwrap().iter().find(|one| one["name"] == "TEXT").unwrap();
        prop_assert_eq!(text(&found["value"]).replace("$$(", "$("), value.replace("$$(", "$("));
        let compose = documents(&exported(Target::Compose, &file)).remove(0);
        prop_assert_eq!(text(&compose["services"]["a"]["environment"]["TEXT"]).replace("$$", "$"), value);
    }
}

/// Readers of YAML 1.1, as those of compose, take `22:22` for a number and `yes` for a truth.
#[test]
fn readers_of_yaml_1_1_see_texts() {
    let python = skip::target_dir().join("tools/python");
    if !python.join("yaml").is_dir() {
        return skip::record("PyYAML is missing (make deps gets it with pip)");
    }
    for value in [
        "22:22",
        "yes",
        "on",
        "0x1f",
        "0o17",
        "017",
        "1e3",
        "1_000",
        "~",
        "null",
        "=",
        "2026-11-29",
        ".5",
        "-",
        "y",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("compose.yaml");
        fs::write(&file, exported(Target::Compose, &with_value(value))).unwrap();
        let script = "import sys, yaml; sys.stdout.write(repr(\
                      yaml.safe_load(open(sys.argv[1]))['services']['a']['environment']['TEXT']))";
        let mut command = std::process::Command::new("python3");
        let output =
            command.env("PYTHONPATH", &python).args(["-c", script]).arg(&file).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), format!("'{value}'"), "{output:?}");
    }
}
