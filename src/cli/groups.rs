//! The help of the program itself: commands in the groups of the manual, clusterctl(1). It decides
//! nothing.

use clap::Command;

/// Groups, and what is in them. Commands that are in none are shown in the last one.
const GROUPS: [(&str, &[&str]); 4] = [
    (
        "Definition",
        &[
            "apply", "deploy", "validate", "history", "rollback", "delete", "init", "import",
            "export",
        ],
    ),
    (
        "Processes",
        &[
            "start",
            "stop",
            "restart",
            "reload",
            "scale",
            "serve",
            "startOrReload",
            "startOrRestart",
            "reset",
            "sendSignal",
            "flush",
            "reloadLogs",
            "drain",
            "undrain",
            "detect",
        ],
    ),
    (
        "Looking",
        &[
            "list",
            "describe",
            "logs",
            "curl",
            "monit",
            "doctor",
            "audit",
            "pid",
            "metrics",
            "env",
            "id",
            "jlist",
            "prettylist",
        ],
    ),
    ("More", &[]),
];

/// The heading of options that say on which hosts a command runs; they stand before it.
pub(super) const HOSTS: &str = "Several hosts";
const ALL: &str = "Options of all commands";

/// The group of a command.
pub(super) fn group(verb: &str) -> &'static str {
    let found = GROUPS.iter().find(|(_, verbs)| verbs.contains(&verb));
    found.or(GROUPS.last()).map_or("", |(name, _)| name)
}

/// Shows the commands in groups.
pub(super) fn grouped(command: Command) -> Command {
    let style = *command.get_styles().get_header();
    let literal = *command.get_styles().get_literal();
    let mut text = String::new();
    let verbs = || command.get_subcommands().filter(|verb| !verb.is_hide_set());
    let line = |name: &str, about: String| {
        let pad = " ".repeat(COLUMN.saturating_sub(name.len()));
        format!("  {literal}{name}{literal:#}{pad}{about}\n")
    };
    for (group, order) in GROUPS {
        text.push_str(&format!("{style}{group}:{style:#}\n"));
        let mut own: Vec<&Command> =
            verbs().filter(|verb| self::group(verb.get_name()) == group).collect();
        own.sort_by_key(|verb| order.iter().position(|name| *name == verb.get_name()));
        for verb in own {
            let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
            text.push_str(&line(verb.get_name(), about));
        }
        text.push('\n');
    }
    for heading in [HOSTS, ALL] {
        text.push_str(&format!("{style}{heading}:{style:#}\n"));
        let shown = command.get_arguments().filter(|arg| !arg.is_hide_set());
        for arg in shown.filter(|arg| (arg.get_help_heading() == Some(HOSTS)) == (heading == HOSTS))
        {
            let long = arg.get_long().map(|long| format!("--{long}")).unwrap_or_default();
            let short = arg.get_short().map_or("    ".to_owned(), |short| format!("-{short}, "));
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            text.push_str(&line(&format!("{short}{long}"), help));
        }
        text.push_str(if heading == HOSTS { "\n" } else { "" });
    }
    text.push_str(
        "\nEvery command of PM2 that is not here says what does its work. More: man clusterctl\n",
    );
    let template = format!("{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{text}");
    command.help_template(template)
}

/// Where the explanations begin.
const COLUMN: usize = 18;
