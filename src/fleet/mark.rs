//! The mark of a definition that is the same on every host: revisions of units name files whose paths are secrets of
//! the host. It reads no file.

use crate::ecosystem::fnv1a;

/// Hexadecimal digits for what an ecosystem file says about an app, with the profile that was asked for. Other apps of
/// the file, comments and the order of keys do not count.
pub fn mark(text: &str, profile: Option<&str>, app: &str) -> String {
    let table: Option<toml::Table> = text.parse().ok();
    let named = |table: toml::Table| {
        let apps = table.get("apps")?.as_array()?.clone();
        apps.into_iter().find(|one| one.get("name").and_then(toml::Value::as_str) == Some(app))
    };
    let said = match table.and_then(named) {
        Some(found) => found.to_string(),
        // An app without a name of its own: the whole file stands for it.
        None => text.split_whitespace().collect::<Vec<_>>().join(" "),
    };
    format!("{:016x}", fnv1a(format!("{said}\n{}", profile.unwrap_or_default()).as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_the_app_counts_alone() {
        let file =
            "[[apps]]\nname = \"api\"\nport = 1\n[apps.env]\nA = \"1\"\n[[apps]]\nname = \"b\"\n";
        let api = mark(file, None, "api");
        assert_eq!(api.len(), 16);
        let blanked = crate::fleet::for_host(file, &|at| at == 0);
        assert_eq!(mark(&blanked, None, "api"), api);
        let same = "# new\n[[apps]]\nport = 1\nname = 'api'\nenv = { A = '1' }\n";
        assert_eq!(mark(same, None, "api"), api);
        assert_ne!(mark(file, Some("production"), "api"), api);
        assert_ne!(mark(&file.replace("port = 1", "port = 2"), None, "api"), api);
        let unnamed = "[[apps]]\nscript = \"api.js\"\n";
        assert_eq!(mark(unnamed, None, "api"), mark(&format!("\n\n{unnamed}"), None, "api"));
    }
}
