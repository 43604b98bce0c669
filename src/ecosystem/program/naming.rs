//! What an app without a name is called: what its command line really runs. Pure.

use std::path::Path;

use crate::ecosystem::model::name::AppName;

/// Programs that run a script of the folder's package, so that their own name says nothing.
const PACKAGE_MANAGERS: [&str; 6] = ["npm", "yarn", "pnpm", "bun", "deno", "composer"];

/// Words after them that say "run", "start" and the like.
const TASKS: [&str; 5] = ["start", "run", "exec", "task", "run-script"];

/// Programs in front of another one.
const WRAPPERS: [&str; 14] = [
    "env", "exec", "nice", "ionice", "timeout", "stdbuf", "setsid", "time", "npx", "bunx", "uv",
    "poetry", "pipenv", "bundle",
];

/// Programs that run the script which is named next.
const INTERPRETERS: [&str; 15] = [
    "node", "nodejs", "deno", "bun", "tsx", "ts-node", "python", "pypy", "ruby", "php", "perl",
    "bash", "sh", "java", "dotnet",
];

/// A name for `node server.js`, `npm start`, `env PORT=3 ./serve`, `python3 -m http.server`.
///
/// `package` is the name in the folder's package.json.
pub fn name(words: &[String], folder: &Path, package: Option<&str>) -> Option<String> {
    let base = |word: &str| word.rsplit('/').next().unwrap_or(word).to_owned();
    let is_assignment = |word: &str| word.contains('=') && !word.contains('/');
    let is_limit = |word: &str| word.starts_with(|c: char| c.is_ascii_digit());
    let mut words = words.iter().map(String::as_str).peekable();
    let mut wrapped = false;
    let first = loop {
        let word = words.next()?;
        let name = base(word);
        let value =
            wrapped && (is_limit(word) || word.starts_with('-') || word == "run" || word == "exec");
        if WRAPPERS.contains(&name.as_str()) {
            wrapped = true;
        } else if !is_assignment(word) && !value {
            break word;
        }
    };
    let program = base(first);
    let here = || {
        package
            .map(str::to_owned)
            .or_else(|| Some(folder.file_name()?.to_string_lossy().into_owned()))
    };
    let next = words.peek().copied().unwrap_or_default();
    if PACKAGE_MANAGERS.contains(&program.as_str())
        && (next.is_empty() || TASKS.contains(&next) || program == "npm")
    {
        return here();
    }
    let plain = program.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    if INTERPRETERS.contains(&plain) {
        if let Some(script) = script(&mut words) {
            return stem(script);
        }
        return if program.is_empty() { None } else { Some(program) };
    }
    stem(first)
}

/// A name for an app that tells it from one of the same name in another folder: `shop-server`.
pub fn in_folder(name: &AppName, folder: &Path) -> AppName {
    let folder = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    let folder: String = folder.chars().map(plain).collect();
    let start = folder.trim_start_matches(['-', '_', '.']);
    let own = if start.is_empty() { format!("{name}-2") } else { format!("{start}-{name}") };
    AppName::parse(&own).unwrap_or_else(|_| name.clone())
}

/// A name that an app may have: what it may not hold becomes a dash.
pub fn plain(name: &str) -> String {
    let keep = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    let name: String = name.chars().map(keep).take(60).collect();
    let name = name.trim_matches(['-', '_', '.']).to_owned();
    if AppName::parse(&name).is_ok() { name } else { "app".to_owned() }
}

/// The name here of an app whose name PM2 allows and we do not, such as `My Shop` or `@shop/api`.
pub fn from_pm2(given: &str) -> Option<String> {
    let scoped = given.strip_prefix('@').filter(|rest| rest.contains('/'));
    let rest = scoped.unwrap_or(given);
    let is_path = rest.contains('@') || (scoped.is_none() && rest.contains('/'));
    let name = plain(given);
    let is_whole = name.chars().count() == rest.chars().count();
    (!is_path && is_whole && name != given).then_some(name)
}

/// The script among the arguments of an interpreter, or the module after `-m`.
fn script<'a>(words: &mut dyn Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut takes_value = false;
    for word in words {
        match word {
            "-m" | "-jar" => takes_value = false,
            "-r" | "--require" | "--import" | "--loader" | "-W" | "-X" | "-cp" => {
                takes_value = true
            }
            "-c" | "-e" | "-p" | "--eval" => return None,
            _ if takes_value => takes_value = false,
            word if word.starts_with('-') || word == "run" => {}
            word => return Some(word),
        }
    }
    None
}

/// The last part of a path without the extension of a script.
fn stem(word: &str) -> Option<String> {
    let file = word.trim_end_matches('/').rsplit('/').next()?;
    let ends = [
        ".js", ".cjs", ".mjs", ".ts", ".mts", ".cts", ".py", ".rb", ".php", ".pl", ".sh", ".jar",
        ".dll", ".lua", ".ru",
    ];
    let bare = ends.iter().find_map(|end| file.strip_suffix(end)).unwrap_or(file);
    let bare = bare.split(':').next().unwrap_or(bare);
    (!bare.is_empty()).then(|| bare.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn called(line: &str, package: Option<&str>) -> String {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        name(&words, Path::new("/srv/shop"), package).unwrap_or_default()
    }

    #[test]
    fn what_is_really_run_gives_the_name() {
        for (line, expected) in [
            ("node server.js", "server"),
            ("npm start", "shop"),
            ("npm run dev", "shop"),
            ("yarn start", "shop"),
            ("server.js", "server"),
            ("./bin/serve --fast", "serve"),
            ("env PORT=4000 ./go-server", "go-server"),
            ("PORT=3000 node --inspect dist/main.js", "main"),
            ("python3 -m http.server 8000", "http.server"),
            ("python3.12 app.py", "app"),
            ("/usr/bin/python3 -u /srv/x/worker.py --queue a", "worker"),
            ("node -r dotenv/config api.mjs", "api"),
            ("npx json-server db.json", "json-server"),
            ("json-server db.json", "json-server"),
            ("java -jar build/shop.jar", "shop"),
            ("uv run gunicorn app:app", "gunicorn"),
            ("timeout 5s ./x", "x"),
            ("deno task start", "shop"),
            ("bash run.sh", "run"),
            ("node", "node"),
        ] {
            assert_eq!(called(line, None), expected, "{line}");
        }
        assert_eq!(called("npm start", Some("the-shop")), "the-shop");
        for (folder, expected) in
            [("/srv/e 3", "e-3-api"), ("/", "api-2"), ("/srv/.hidden", "hidden-api")]
        {
            let api = AppName::parse("api").unwrap();
            assert_eq!(in_folder(&api, Path::new(folder)).as_str(), expected);
        }
        assert_eq!(called("node server.js", Some("the-shop")), "server");
    }
}
