//! The JSON schema of `ecosystem.toml`, made from the table of keys, for editors.

use serde_json::{Map, Value, json};

use super::read::deploy_keys::deploy_keys;
use super::read::fleet_keys::{fleet_keys, host_keys};
use super::read::keys::{Key, ValueKind, health_keys, keys, rollout_keys};

/// The schema as text: pretty-printed, with a final newline.
pub fn json_schema() -> String {
    let schema = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "clusterctl ecosystem",
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "apps": { "type": "array", "items": app() },
            "deploy": deploy(),
            "hosts": { "type": "array", "items": table(host_keys(), &["name"]) },
            "fleet": table(fleet_keys(), &[]),
        },
        "required": ["apps"],
    });
    format!("{schema:#}\n")
}

fn deploy() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": properties(deploy_keys()),
        "required": ["path"],
    })
}

fn app() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": properties(keys()),
        "patternProperties": { "^env_": kind(ValueKind::Environment) },
        "oneOf": [{ "required": ["script"] }, { "required": ["command"] }],
    })
}

fn table(keys: &[Key], required: &[&str]) -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": properties(keys),
        "required": required,
    })
}

/// Every spelling of every key. Aliases are marked as such, so that editors offer the proper name.
fn properties(table: &[Key]) -> Value {
    let mut all = Map::new();
    for key in table {
        let mut schema = kind(key.kind);
        schema["description"] = json!(format!("{} Default: {}.", key.about, fallback(key)));
        all.insert(key.name.to_owned(), schema.clone());
        let camel = camel_case(key.name);
        let camel = (camel != key.name).then_some(camel);
        for alias in key.aliases.iter().map(|alias| (*alias).to_owned()).chain(camel) {
            schema["deprecated"] = json!(true);
            schema["description"] = json!(format!("Another spelling of `{}`.", key.name));
            all.insert(alias, schema.clone());
        }
    }
    Value::Object(all)
}

fn fallback(key: &Key) -> &str {
    if key.default.is_empty() { "none" } else { key.default }
}

fn camel_case(name: &str) -> String {
    let mut parts = name.split('_');
    let first = parts.next().unwrap_or("").to_owned();
    parts.fold(first, |mut out, part| {
        let (head, tail) = part.split_at(part.len().min(1));
        out.push_str(&head.to_ascii_uppercase());
        out.push_str(tail);
        out
    })
}

fn kind(kind: ValueKind) -> Value {
    let address = json!({ "type": ["string", "integer"] });
    match kind {
        ValueKind::Text => json!({ "type": "string" }),
        ValueKind::Boolean => json!({ "type": "boolean" }),
        ValueKind::Number => json!({ "type": "integer", "minimum": 0 }),
        ValueKind::Duration | ValueKind::Size => {
            json!({ "type": ["integer", "string"], "minimum": 0 })
        }
        ValueKind::Texts => json!({ "type": ["string", "array"], "items": address }),
        ValueKind::FlagOrTexts => {
            json!({ "type": ["boolean", "string", "array"], "items": address })
        }
        ValueKind::Numbers => {
            json!({ "type": ["integer", "array"], "items": { "type": "integer", "minimum": 0 } })
        }
        ValueKind::TextOrNumber => json!({ "type": ["string", "integer"] }),
        ValueKind::Listen => {
            let mapped = json!({
                "type": "object",
                "additionalProperties": false,
                "properties": { "at": address, "bind": address },
                "required": ["at"],
            });
            let one = json!({ "anyOf": [address, mapped] });
            json!({
                "type": ["string", "integer", "array", "object"],
                "items": one,
                "additionalProperties": one,
            })
        }
        ValueKind::Choice(all) => json!({ "enum": all }),
        ValueKind::Environment => json!({
            "type": "object",
            "additionalProperties": { "type": ["string", "number", "boolean"] },
            "propertyNames": { "pattern": "^[A-Za-z_][A-Za-z0-9_]*$" },
        }),
        ValueKind::Files => json!({
            "type": "object",
            "additionalProperties": { "type": "string" },
            "propertyNames": { "pattern": "^[A-Za-z0-9._-]+$" },
        }),
        ValueKind::Directives => json!({
            "type": "object",
            "additionalProperties": { "type": ["string", "number", "boolean", "array"] },
            "propertyNames": { "pattern": "^[A-Za-z][A-Za-z0-9]*$" },
        }),
        ValueKind::Health => json!({
            "type": ["string", "object"],
            "additionalProperties": false,
            "properties": properties(health_keys()),
        }),
        ValueKind::Rollout => json!({
            "type": "object",
            "additionalProperties": false,
            "properties": properties(rollout_keys()),
        }),
    }
}
