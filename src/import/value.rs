//! Values of other formats as values of TOML. Never says what they mean.

use serde_json::Value as Json;
use toml::Value;

use super::Refusal;
use crate::ecosystem::KeyKind;

/// Key that `ops::import` writes for a value of JavaScript that JSON cannot hold, with the kind of value.
pub(super) const NO_JSON: &str = "$clusterctl";

/// JSON as a value.
///
/// # Errors
/// It is none.
pub fn json(text: &str) -> Result<Json, Refusal> {
    serde_json::from_str(text)
        .map_err(|error| Refusal::new(format!("it is no JSON: {error}"), "correct it there"))
}

/// YAML as a value. Aliases are expanded within bounds.
///
/// # Errors
/// It is none, or expands without bounds.
pub fn yaml(text: &str) -> Result<Json, Refusal> {
    let options = serde_saphyr::options! {
        duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::LastWins,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let text = error.to_string();
        let line = text.lines().next().unwrap_or_default().to_owned();
        Refusal::new(format!("it is no YAML: {line}"), "correct it there")
    })
}

/// A value that an ecosystem file can hold; `None` for what is none, such as `null`.
pub(super) fn toml(value: &Json) -> Option<Value> {
    Some(match value {
        Json::Null => return None,
        Json::Bool(on) => Value::from(*on),
        Json::Number(number) => number_of(number),
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => Value::Array(items.iter().filter_map(toml).collect()),
        Json::Object(table) if table.contains_key(NO_JSON) => return None,
        Json::Object(table) => Value::Table(
            table.iter().filter_map(|(key, value)| Some((key.clone(), toml(value)?))).collect(),
        ),
    })
}

fn number_of(number: &serde_json::Number) -> Value {
    let float = number.as_f64().unwrap_or_default();
    match number.as_i64() {
        Some(whole) => Value::from(whole),
        None if float.fract() == 0.0 && float.abs() < 9e15 => Value::from(float as i64),
        None => Value::from(float),
    }
}

/// The value in the form that a key of this kind takes: PM2 takes numbers and flags as strings too.
pub(super) fn fitted(value: Value, kind: Option<KeyKind>) -> Value {
    match (kind, value) {
        (Some(KeyKind::Texts), Value::Array(items)) => {
            Value::Array(items.into_iter().map(|item| Value::from(plain(&item))).collect())
        }
        (Some(KeyKind::Text | KeyKind::Texts), value @ (Value::Integer(_) | Value::Float(_))) => {
            Value::from(plain(&value))
        }
        (Some(KeyKind::Boolean), Value::String(text)) if text == "true" || text == "false" => {
            Value::from(text == "true")
        }
        (
            Some(
                KeyKind::Number
                | KeyKind::Duration
                | KeyKind::Size
                | KeyKind::TextOrNumber
                | KeyKind::Numbers,
            ),
            Value::String(text),
        ) => text.trim().parse::<i64>().map_or(Value::String(text), Value::from),
        (_, value) => value,
    }
}

/// A value as the text that a program would get.
pub(super) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The texts of a value that is one text or a list of them.
pub(super) fn texts(value: &Json) -> Vec<String> {
    let one = |value: &Json| match value {
        Json::String(text) => Some(text.clone()),
        Json::Number(_) | Json::Bool(_) => Some(value.to_string()),
        _ => None,
    };
    match value {
        Json::Array(items) => items.iter().filter_map(one).collect(),
        value => one(value).into_iter().collect(),
    }
}

/// A value for a message, cut where it is long.
pub(super) fn short(value: &Json) -> String {
    const LONGEST: usize = 60;
    let text = value.to_string();
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

/// What a value is that no JSON can hold: `undefined`, `a function`.
pub(super) fn no_json(value: &Json) -> Option<&str> {
    value.as_object()?.get(NO_JSON)?.as_str()
}

/// Whether a value switches its attribute off.
pub(super) fn is_off(value: &Json) -> bool {
    match value {
        Json::Null | Json::Bool(false) => true,
        Json::Number(number) => number.as_i64() == Some(0),
        Json::String(text) => text.is_empty() || text == "false",
        Json::Array(items) => items.is_empty(),
        _ => false,
    }
}
