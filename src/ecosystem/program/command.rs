//! `script`, `command`, `args`, `interpreter`: what is executed.

use std::path::{Path, PathBuf};

use super::naming;
use crate::ecosystem::model::app::Command;
use crate::ecosystem::model::host::PathKind;
use crate::ecosystem::read::fields::Fields;
use crate::ecosystem::read::node::{Node, Reading};
use crate::ecosystem::read::path::folder;
use crate::ecosystem::read::problem::{Place, Problem, visible};
use crate::ecosystem::read::{suggest, value};
use crate::limits;

/// Interpreters by extension, PM2's list as far as the languages are alive.
const INTERPRETERS: &[(&str, &str)] = &[
    ("js", "node"),
    ("cjs", "node"),
    ("mjs", "node"),
    ("ts", "node"),
    ("mts", "node"),
    ("cts", "node"),
    ("py", "python3"),
    ("sh", "bash"),
    ("rb", "ruby"),
    ("php", "php"),
    ("pl", "perl"),
];

/// A command with the place that problems with its program point at.
#[derive(Debug)]
pub(crate) struct ResolvedCommand {
    /// The command.
    pub command: Command,
    /// Where it is written.
    pub at: Place,
}

/// The name of an app without `name`: that of what it runs, or of its folder.
pub(crate) fn stem(fields: &Fields<'_>, folder: &Path) -> Option<String> {
    let node = fields.get("script").or_else(|| fields.get("command"))?;
    let text = match node.value.as_array() {
        Some(items) => {
            let words = items.iter().map(|item| item.get_ref().as_str().map(str::to_owned));
            return naming::name(&words.collect::<Option<Vec<_>>>()?, folder, None);
        }
        None => node.value.as_str()?,
    };
    if text.ends_with('/') {
        return None;
    }
    let words = value::shell_words(text).unwrap_or_else(|| vec![text.to_owned()]);
    naming::name(&words, folder, None)
}

/// Reads what is executed; `None` after a problem, or when there is no folder to look in.
pub(crate) fn command(
    cx: &mut Reading<'_>,
    fields: &Fields<'_>,
    cwd: Option<&Path>,
) -> Option<ResolvedCommand> {
    let args = match fields.get("args") {
        Some(node) => node.words(cx),
        None => Some(Vec::new()),
    };
    let prefix = match fields.get("interpreter_args") {
        Some(node) => node.words(cx),
        None => Some(Vec::new()),
    };
    let ran = match (fields.get("script"), fields.get("command")) {
        (Some(script), None) => {
            let text = script.text(cx)?;
            let cwd = folder(cwd, &text)?;
            Script { fields, node: script, text, cwd }.command(cx, prefix?)
        }
        (None, Some(node)) => {
            refuse_interpreter(cx, fields);
            direct(cx, fields, &node, cwd?)
        }
        (Some(script), Some(command)) => {
            let problem = Problem::error(&command.place, "both `script` and `command` are set")
                .help("keep one of them")
                .related(script.place.span, "the script");
            cx.note(problem)
        }
        (None, None) if fields.was_meant("script") || fields.was_meant("command") => None,
        (None, None) => cx.note(
            Problem::absent(&fields.place, "nothing says what to run")
                .help("write `script = \"server.js\"` or `command = [\"program\", \"argument\"]`"),
        ),
    }?;
    finish(cx, ran, args?)
}

fn refuse_interpreter(cx: &mut Reading<'_>, fields: &Fields<'_>) {
    for name in ["interpreter", "interpreter_args"] {
        if let Some(entry) = fields.entry(name) {
            let problem = Problem::error(&entry.at, format!("`{name}` belongs to `script`"))
                .help("write the interpreter as the first word of `command`");
            cx.problems.push(problem);
        }
    }
}

/// Adds `args`, and refuses what neither systemd nor the kernel can carry.
fn finish(
    cx: &mut Reading<'_>,
    mut ran: ResolvedCommand,
    args: Vec<String>,
) -> Option<ResolvedCommand> {
    ran.command.args.extend(args);
    let program = ran.command.program.to_string_lossy();
    if program.contains(|c: char| c.is_control() || matches!(c, '"' | '\'' | '\\')) {
        let message = format!("systemd cannot start `{}`", visible(&program));
        let help = format!(
            "quotes, backslashes and control characters cannot be in a program's path: rename it, \
             or write `command = [\"env\", {program:?}]`"
        );
        return cx.note(Problem::error(&ran.at, message).help(help));
    }
    let quoted = ran.command.args.iter().map(|arg| crate::unit::quote::argument(arg).len() + 1);
    let too_long = ran.command.args.iter().any(|arg| arg.len() > limits::ARGUMENT)
        || program.len() + quoted.sum::<usize>() > limits::UNIT_LINE - 1024;
    if too_long {
        let help = "put it into a file that the program reads";
        return cx.note(Problem::error(&ran.at, "the command is too long to run").help(help));
    }
    Some(ran)
}

/// `command`: an array, or a line.
fn direct(
    cx: &mut Reading<'_>,
    fields: &Fields<'_>,
    node: &Node<'_>,
    cwd: &Path,
) -> Option<ResolvedCommand> {
    if node.value.is_str() {
        let text = node.text(cx)?;
        return line(cx, fields, node, &text, cwd);
    }
    let words = node.words(cx)?;
    let Some((program, args)) = words.split_first() else {
        return node.bad(cx, "`command` is empty");
    };
    let program = locate(cx, node, program, cwd)?;
    Some(ran(node, program, args.to_vec()))
}

fn ran(node: &Node<'_>, program: PathBuf, args: Vec<String>) -> ResolvedCommand {
    ResolvedCommand { command: Command { program, args, script: None }, at: node.place.clone() }
}

/// A line: run directly where no shell is needed, so that the program is the main process.
fn line(
    cx: &mut Reading<'_>,
    fields: &Fields<'_>,
    node: &Node<'_>,
    text: &str,
    cwd: &Path,
) -> Option<ResolvedCommand> {
    if value::needs_shell(text) {
        if let Some(entry) = fields.entry("args") {
            let problem = Problem::error(&entry.at, "`args` cannot follow a line for the shell")
                .help(format!("write them into `{}`", node.name));
            return cx.note(problem);
        }
        // PM2's own choice: lines such as `source x && y` are written for it.
        let bash = cx.host.program("bash");
        let shell = bash.or_else(|| locate(cx, node, "/bin/sh", cwd))?;
        return Some(ran(node, shell, vec!["-c".to_owned(), text.to_owned()]));
    }
    let words = node.words(cx)?;
    let Some((program, args)) = words.split_first() else {
        return node.bad(cx, format!("`{}` is empty", node.name));
    };
    let program = locate(cx, node, program, cwd)?;
    Some(ran(node, program, args.to_vec()))
}

/// Finds a program by path, or by name as a shell finds it.
fn locate(cx: &mut Reading<'_>, node: &Node<'_>, name: &str, cwd: &Path) -> Option<PathBuf> {
    if !name.contains('/') {
        if let Some(path) = cx.search().program(name) {
            return Some(path);
        }
        let message = format!("no program `{}` in any folder of `PATH`", visible(name));
        let help = match cx.host.kind(&value::absolute(cwd, name)) {
            PathKind::Executable => format!("for the one in `{}` write `./{name}`", cwd.display()),
            _ => unexpanded(cx)
                .unwrap_or_else(|| "install it, or write its absolute path".to_owned()),
        };
        return cx.note(Problem::error(&node.place, message).help(help));
    }
    let path = value::absolute(cwd, name);
    let shown = path.display();
    let (message, help) = match cx.host.kind(&path) {
        PathKind::Executable => return Some(path),
        PathKind::Missing => (
            format!("`{shown}` does not exist"),
            format!("relative paths start from the working directory, `{}`", cwd.display()),
        ),
        PathKind::Directory => {
            (format!("`{shown}` is a folder"), "name the program in it".to_owned())
        }
        PathKind::File | PathKind::Other => {
            (format!("`{shown}` is not executable"), format!("run `chmod +x {shown}`"))
        }
    };
    cx.note(Problem::error(&node.place, message).help(help))
}

/// What is wrong with a `PATH` that is written as for a shell.
fn unexpanded(cx: &Reading<'_>) -> Option<String> {
    let mut folders = cx.path.as_deref()?.split(':');
    let folder = folders.find(|folder| folder.starts_with('~') || folder.contains('$'))?;
    Some(format!("`{}` in `PATH` is not expanded: write the whole path", visible(folder)))
}

/// `script` with what is needed to find and run it.
struct Script<'f, 'a> {
    fields: &'f Fields<'a>,
    node: Node<'a>,
    text: String,
    cwd: &'f Path,
}

impl Script<'_, '_> {
    fn command(&self, cx: &mut Reading<'_>, prefix: Vec<String>) -> Option<ResolvedCommand> {
        if self.text.trim().is_empty() {
            return self.node.bad(cx, "`script` is empty");
        }
        let path = value::absolute(self.cwd, &self.text);
        match cx.host.kind(&path) {
            PathKind::Executable | PathKind::File => self.file(cx, path, prefix),
            PathKind::Missing => self.no_file(cx, &path, prefix),
            PathKind::Directory => {
                let message = format!("`{}` is a folder", path.display());
                let help = "name the file in it, such as `index.js`";
                cx.note(Problem::error(&self.node.place, message).help(help))
            }
            PathKind::Other => {
                let message = format!("`{}` cannot be read", path.display());
                let help = "make it a file that whoever runs clusterctl can read";
                cx.note(Problem::error(&self.node.place, message).help(help))
            }
        }
    }

    /// The text names no file: a program's name, a line, or a mistake.
    fn no_file(
        &self,
        cx: &mut Reading<'_>,
        path: &Path,
        prefix: Vec<String>,
    ) -> Option<ResolvedCommand> {
        let interpreter = self.fields.entry("interpreter");
        // PM2's way to say that a program is run by itself.
        let by_itself = interpreter.is_none_or(|entry| entry.node.value.as_str() == Some("none"));
        let plain = by_itself && prefix.is_empty();
        if plain && self.text.trim().contains(char::is_whitespace) {
            return line(cx, self.fields, &self.node, &self.text, self.cwd);
        }
        if !self.text.contains('/')
            && let Some(program) = cx.search().program(&self.text)
        {
            return match plain {
                true => Some(ran(&self.node, program, Vec::new())),
                false => self.file(cx, program, prefix),
            };
        }
        let message = format!("`{}` does not exist", visible(&path.to_string_lossy()));
        let help = match self.similar(cx) {
            Some(near) => format!("did you mean `{near}`?"),
            None => self.where_looked(),
        };
        cx.note(Problem::error(&self.node.place, message).help(help))
    }

    /// Where a file or program of this name was looked for.
    fn where_looked(&self) -> String {
        let cwd = self.cwd.display();
        match !self.text.contains(['/', '.']) {
            true => format!(
                "it is neither a file of the working directory, `{cwd}`, nor a program in a folder of `PATH`"
            ),
            false => format!("`script` is relative to the working directory, `{cwd}`"),
        }
    }

    /// The same name with another usual extension or folder, or one that is nearly the same, if
    /// such a file exists.
    fn similar(&self, cx: &Reading<'_>) -> Option<String> {
        let bare = self.text.rsplit_once('.').map_or(self.text.as_str(), |(bare, _)| bare);
        let names = INTERPRETERS.iter().flat_map(|(extension, _)| {
            [self.text.as_str(), bare].map(|stem| format!("{stem}.{extension}"))
        });
        let folders = ["src", "dist", "build"].map(|folder| format!("{folder}/{}", self.text));
        let (parent, name) = self.text.rsplit_once('/').unwrap_or(("", &self.text));
        let there = cx.host.names(&value::absolute(self.cwd, parent));
        let near = suggest::nearest(name, there.iter().map(String::as_str));
        let slash = if parent.is_empty() { "" } else { "/" };
        let near = near.map(|near| format!("{parent}{slash}{near}"));
        names.chain(folders).chain(near).find(|name| {
            matches!(
                cx.host.kind(&value::absolute(self.cwd, name)),
                PathKind::File | PathKind::Executable
            )
        })
    }

    /// The text names a file: run by its interpreter, or by itself.
    fn file(
        &self,
        cx: &mut Reading<'_>,
        path: PathBuf,
        prefix: Vec<String>,
    ) -> Option<ResolvedCommand> {
        let interpreter = match self.fields.get("interpreter") {
            Some(node) => {
                let name = node.filled(cx)?;
                if name == "none" { None } else { Some(locate(cx, &node, &name, self.cwd)?) }
            }
            None => self.usual_interpreter(cx, &path)?,
        };
        let Some(interpreter) = interpreter else {
            if let (Some(entry), false) = (self.fields.entry("interpreter_args"), prefix.is_empty())
            {
                let message = "`interpreter_args` without an interpreter";
                let help = "write `interpreter = \"…\"`, or move them to `args`";
                cx.problems.push(Problem::error(&entry.at, message).help(help));
            }
            let program = locate(cx, &self.node, &path.to_string_lossy(), self.cwd)?;
            return Some(ran(&self.node, program, Vec::new()));
        };
        let mut args = prefix;
        args.push(path.to_string_lossy().into_owned());
        let mut ran = ran(&self.node, interpreter, args);
        ran.command.script = Some(path);
        Some(ran)
    }

    /// `Some(None)` runs the file itself.
    fn usual_interpreter(&self, cx: &mut Reading<'_>, path: &Path) -> Option<Option<PathBuf>> {
        let extension = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase());
        let usual = INTERPRETERS.iter().find(|(known, _)| extension.as_deref() == Some(*known));
        if let Some((extension, name)) = usual {
            if let Some(program) = cx.search().program(name) {
                return Some(Some(program));
            }
            let message =
                format!("`.{extension}` is run by `{name}`, which is in no folder of `PATH`");
            let help = unexpanded(cx).unwrap_or_else(|| {
                format!("install `{name}`, or write `interpreter = \"/path/to/{name}\"`")
            });
            return cx.note(Problem::error(&self.node.place, message).help(help));
        }
        if cx.host.kind(path) == PathKind::Executable {
            return Some(None);
        }
        let message =
            format!("`{}` is not executable, and no interpreter is known", path.display());
        let help = "run `chmod +x` on it, or write `interpreter = \"…\"`";
        cx.note(Problem::error(&self.node.place, message).help(help))
    }
}
