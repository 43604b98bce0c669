//! Which tool a file belongs to, by its name. It never looks into files.

use std::path::Path;

/// A file of another tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// JavaScript or TypeScript of PM2's.
    Pm2Script,
    /// JSON of PM2's, which takes any expression of JavaScript.
    Pm2Json,
    /// YAML of PM2's.
    Pm2Yaml,
    /// The processes that `pm2 save` has written.
    Pm2Dump,
    /// `package.json` of npm.
    Package,
    /// `Procfile` of foreman and Heroku.
    Procfile,
    /// `oxfile.toml` of oxmgr.
    Oxfile,
    /// `supervisord.conf` of supervisord.
    Supervisord,
    /// `docker-compose.yaml` of docker compose.
    Compose,
}

/// Files that are looked for in a folder, in this order.
pub const LOOKED_FOR: &[&str] = &[
    "ecosystem.config.js",
    "ecosystem.config.cjs",
    "ecosystem.config.mjs",
    "ecosystem.config.ts",
    "ecosystem.config.json",
    "ecosystem.config.yaml",
    "ecosystem.config.yml",
    "ecosystem.json",
    "ecosystem.yaml",
    "ecosystem.yml",
    "pm2.config.js",
    "pm2.config.cjs",
    "pm2.json",
    "pm2.yaml",
    "pm2.yml",
    "processes.json",
    "process.json",
    "process.yml",
    "oxfile.toml",
    "Procfile",
    "supervisord.conf",
    "docker-compose.yaml",
    "docker-compose.yml",
    "compose.yaml",
    "compose.yml",
    "package.json",
];

impl Foreign {
    /// What a file is by its name; `None` for an ecosystem file, and for what nobody knows.
    pub fn of(path: &Path) -> Option<Foreign> {
        let name = path.file_name()?.to_str()?;
        let end = path.extension().and_then(|end| end.to_str()).unwrap_or_default();
        let compose = name.starts_with("docker-compose") || name.starts_with("compose.");
        Some(match (name, end) {
            ("package.json", _) => Foreign::Package,
            ("oxfile.toml", _) => Foreign::Oxfile,
            (_, "pm2" | "bak") if name.starts_with("dump.pm2") => Foreign::Pm2Dump,
            (_, "yaml" | "yml") if compose => Foreign::Compose,
            (_, "yaml" | "yml") => Foreign::Pm2Yaml,
            (_, "json") => Foreign::Pm2Json,
            (_, "js" | "cjs" | "mjs" | "ts" | "mts" | "cts") if name.contains(".config.") => {
                Foreign::Pm2Script
            }
            (_, "conf" | "ini") => Foreign::Supervisord,
            _ if name == "Procfile" || name.starts_with("Procfile.") => Foreign::Procfile,
            _ => return None,
        })
    }
}
