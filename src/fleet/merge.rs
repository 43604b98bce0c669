//! Answers of several hosts as one: values with the host in them, and metrics with its label. It knows what
//! none of them means.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// A value of a host, with the host as a field; what is no object is put into one.
pub fn with_host(host: &str, value: Value) -> Value {
    match value {
        Value::Object(mut fields) => {
            // Whatever a host says of that itself: it speaks for nobody else.
            fields.insert("host".to_owned(), host.into());
            Value::Object(fields)
        }
        other => json!({"host": host, "value": other}),
    }
}

/// The rows of `list` of a host, each with the host.
pub fn rows(host: &str, value: &Value) -> Vec<Value> {
    let rows = value.get("instances").and_then(Value::as_array);
    rows.into_iter().flatten().map(|row| with_host(host, row.clone())).collect()
}

/// The texts of metrics of several hosts in the OpenMetrics format as one, each sample with its host as a label. A
/// family is told of once, with the samples of all hosts together, as the format wants it.
pub fn metrics(texts: &[(String, String)]) -> String {
    let mut order: Vec<String> = Vec::new();
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    for (host, text) in texts {
        let mut current = String::new();
        for line in text.lines().filter(|line| !line.is_empty() && *line != "# EOF") {
            let said = line.strip_prefix("# ").and_then(|rest| rest.split(' ').nth(1));
            if let Some(name) = said {
                name.clone_into(&mut current);
            } else if line.starts_with('#') {
                continue;
            }
            let family = families.entry(current.clone()).or_insert_with(|| {
                order.push(current.clone());
                Family::default()
            });
            match said {
                // Hosts of several versions may explain a family in several ways: the first counts.
                Some(_) if family.host.as_ref().is_none_or(|first| first == host) => {
                    family.host = Some(host.clone());
                    family.head.push(line.to_owned());
                }
                Some(_) => {}
                None => family.samples.push(labelled(host, line)),
            }
        }
    }
    let mut out = String::new();
    for family in order.iter().filter_map(|name| families.get(name)) {
        for line in family.head.iter().chain(&family.samples) {
            out.push_str(line);
            out.push('\n');
        }
    }
    out + "# EOF\n"
}

#[derive(Default)]
struct Family {
    /// The host that explained it.
    host: Option<String>,
    head: Vec<String>,
    samples: Vec<String>,
}

/// A sample with the host before its other labels.
fn labelled(host: &str, line: &str) -> String {
    let host = host.replace('\\', "\\\\").replace('"', "\\\"");
    let label = format!("host=\"{host}\"");
    let name = line.find(['{', ' ']).unwrap_or(line.len());
    let (name, rest) = line.split_at(name);
    match rest.strip_prefix('{') {
        Some(labels) if labels.starts_with('}') => format!("{name}{{{label}{labels}"),
        // What a program calls `host` gets the name that Prometheus gives to labels that are taken.
        Some(labels) => {
            let own = labels.strip_prefix("host=").map(|rest| format!("exported_host={rest}"));
            let labels = own.unwrap_or_else(|| labels.replace(",host=\"", ",exported_host=\""));
            format!("{name}{{{label},{labels}")
        }
        None => format!("{name}{{{label}}}{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_get_their_host() {
        assert_eq!(with_host("a", json!({"app": 1})).to_string(), r#"{"app":1,"host":"a"}"#);
        assert_eq!(with_host("a", json!({"host": "b"})), json!({"host": "a"}));
        assert_eq!(with_host("a", json!([1])), json!({"host": "a", "value": [1]}));
        let list = json!({"version": 1, "instances": [{"app": "x"}, {"app": "y"}]});
        let both = [json!({"host": "a", "app": "x"}), json!({"host": "a", "app": "y"})];
        assert_eq!(rows("a", &list), both);
        assert_eq!(rows("a", &json!(null)), Vec::<Value>::new());
    }

    #[test]
    fn samples_of_a_family_stay_together() {
        let text = |value: u8| {
            format!(
                "# TYPE up gauge\n# HELP up Whether it runs.\nup{{app=\"api\"}} {value}\nup {value}\n\
                 # TYPE all gauge\nall{{}} 1\n# EOF\n"
            )
        };
        let merged = metrics(&[("a".into(), text(1)), ("b\"".into(), text(0))]);
        assert_eq!(
            merged,
            "# TYPE up gauge\n# HELP up Whether it runs.\n\
             up{host=\"a\",app=\"api\"} 1\nup{host=\"a\"} 1\n\
             up{host=\"b\\\"\",app=\"api\"} 0\nup{host=\"b\\\"\"} 0\n\
             # TYPE all gauge\nall{host=\"a\"} 1\nall{host=\"b\\\"\"} 1\n# EOF\n"
        );
        assert_eq!(metrics(&[]), "# EOF\n");
        let own = "up{host=\"x\",a=\"1\"} 1\nup{a=\"1\",host=\"y\"} 1\n".to_owned();
        let merged = metrics(&[("a".into(), own)]);
        assert_eq!(
            merged,
            "up{host=\"a\",exported_host=\"x\",a=\"1\"} 1\n\
             up{host=\"a\",a=\"1\",exported_host=\"y\"} 1\n# EOF\n"
        );
    }
}
