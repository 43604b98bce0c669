//! `clusterctl start`: apps that are there, or a program that has no ecosystem file yet.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::flags::{self, KeyFlags};
use super::own_file::OwnFile;
use super::trial::{self, FILE, Trial, resolve};
use super::world::Purpose;
use super::{Global, Site, Ui, control, in_force, init, input, policy};
use crate::disk::Layout;
use crate::ecosystem::{self, AppName, Handover, Scope, SeenApp, StartCommand, entry};
use crate::error::Error;
use crate::ops::{ControlVerb, Selected};
use crate::report::printable_lines;

/// Start apps or instances, an ecosystem file, or a program that has none yet
///
/// `clusterctl start ecosystem.config.js` applies the file, as PM2 starts it.
///
/// `clusterctl start app.js -i 4` runs the program once in a network of its own, sees what it
/// listens on, writes that into ecosystem.toml in the current folder, and applies it. A file that
/// `start` has written gets another app at its end; one that somebody else wrote stays as it is.
/// A program that listens on nothing is started as a worker.
#[derive(Debug, clap::Args)]
pub(super) struct StartArgs {
    /// Apps, instances (`api@2`), namespaces, `all`, ids, `/patterns/`; an ecosystem file (`-` is
    /// standard input); or scripts, programs, one quoted command line
    #[arg(value_name = "APP|FILE|PROGRAM", add = super::complete::selectors_and_files())]
    pub(super) what: Vec<String>,
    /// Processes that share the listener: a number, `max` (all CPUs), -1 (all but one)
    #[arg(short, long, value_name = "N", allow_hyphen_values = true)]
    instances: Option<String>,
    /// Name of the app; else the script's without its extension
    #[arg(short, long)]
    name: Option<String>,
    /// Working folder of the program
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    cwd: Option<PathBuf>,
    /// What it listens on, `80:3000` where its own port 3000 shall be reachable on 80; it is not run to find out
    #[arg(long, value_name = "ADDRESS")]
    listen: Vec<String>,
    /// The file that its output goes into, instead of the journal
    #[arg(short, long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    log: Option<PathBuf>,
    /// It listens on nothing; it is not run to find out
    #[arg(short, long, conflicts_with = "listen")]
    worker: bool,
    /// How long to wait for the program to listen (`15s`)
    #[arg(long, value_name = "TIME", value_parser = policy::time, default_value = "15s")]
    timeout: Duration,
    /// Of an ecosystem file: only these apps
    #[arg(long, value_name = "APP,...", value_delimiter = ',', add = super::complete::of_file())]
    only: Vec<String>,
    /// Of an ecosystem file: the variables of `env_NAME` too
    #[arg(long, value_name = "NAME", add = super::complete::profiles())]
    env: Option<String>,
    #[command(flatten)]
    keys: KeyFlags,
    /// Arguments of the program
    #[arg(last = true, value_name = "ARGS")]
    args: Vec<String>,
}

/// Runs the verb.
pub(super) fn run(
    args: &StartArgs,
    global: &Global,
    place: &Site<'_>,
    ui: &mut Ui,
) -> Result<(), Error> {
    for remark in args.keys.remarks() {
        ui.note(&remark);
    }
    let what = match args.what.as_slice() {
        [] => vec![input::usual_file(place)?],
        given => given.to_vec(),
    };
    if let [file] = what.as_slice()
        && input::is_ecosystem(file, place)
    {
        return of_file(file, args, global, place, ui);
    }
    if !args.only.is_empty() || args.env.is_some() {
        return Err(Error::Usage("--only and --env go with one ecosystem file".to_owned()));
    }
    let own = args.is_about_a_program() || global.output_file().is_some();
    let ctl = place.connect()?;
    // Under another name the script of an app is a second app.
    let of_name = |one: &Selected| args.name.as_deref().is_none_or(|name| one.app.as_str() == name);
    let known = control::try_selected(place, &ctl, &what)?;
    let known = known.filter(|known| known.iter().all(of_name));
    // With arguments or options of a program nothing else can be meant.
    let programs = what
        .iter()
        .all(|text| own && what.len() == 1 || looks_like_program(text, args.cwd.as_deref(), place));
    match known {
        None if programs && (what.len() == 1 || args.name.is_none()) => {
            let mut entries = Vec::new();
            for program in &what {
                entries.push(discover(program, args, global, place, ui)?);
            }
            write(&entries, place, ui)
        }
        None if !own => control::selected(place, &ctl, &what)
            .and_then(|selected| control::run(&ctl, ControlVerb::Start, &selected, ui)),
        Some(apps) if own && programs => Err(Error::Usage(format!(
            "{} runs as {} already; what it runs with is in its ecosystem file: change it there, then: \
             clusterctl apply; the number of instances: clusterctl scale",
            what.join(", "),
            apps.iter().map(|one| one.app.as_str()).collect::<Vec<_>>().join(", "),
        ))),
        _ if own => Err(Error::Usage(
            "options and arguments of a program go with one script, program or command line: \
             clusterctl start ./server -i 4 -- ARGS"
                .to_owned(),
        )),
        _ => {
            let selected = control::selected(place, &ctl, &what)?;
            control::run(&ctl, ControlVerb::Start, &selected, ui)
        }
    }
}

/// An ecosystem file says itself how its apps run.
fn of_file(
    file: &str,
    args: &StartArgs,
    global: &Global,
    place: &Site<'_>,
    ui: &mut Ui,
) -> Result<(), Error> {
    if args.is_about_a_program() || global.output_file().is_some() {
        let text =
            format!("{file} says how its apps run: write it there, then: clusterctl start {file}");
        return Err(Error::Usage(text));
    }
    in_force::apply_file(Path::new(file), &args.only, args.env.clone(), place, ui)
}

impl StartArgs {
    fn is_about_a_program(&self) -> bool {
        let options = [&self.instances, &self.name].iter().any(|option| option.is_some());
        let how = self.worker || !self.listen.is_empty() || self.log.is_some();
        let how = how || !self.keys.is_empty();
        options || how || self.cwd.is_some() || !self.args.is_empty()
    }
}

/// A path, an existing file, a script's name, or a command line; anything else is the name of an app.
fn looks_like_program(text: &str, cwd: Option<&Path>, place: &Site<'_>) -> bool {
    let folder = place.inside(cwd.unwrap_or(Path::new(".")));
    text.contains(['/', ' ']) || is_script(text, &folder)
}

/// Whether a word names a file in the folder, or ends as names of scripts do.
fn is_script(text: &str, folder: &Path) -> bool {
    SCRIPTS.iter().any(|end| text.ends_with(end)) || folder.join(text).is_file()
}

/// Extensions of scripts.
const SCRIPTS: [&str; 10] =
    [".js", ".cjs", ".mjs", ".ts", ".mts", ".cts", ".py", ".rb", ".php", ".sh"];

/// The entry for a program, tried once if nobody says what it listens on.
fn discover(
    program: &str,
    args: &StartArgs,
    global: &Global,
    place: &Site<'_>,
    ui: &mut Ui,
) -> Result<String, Error> {
    let layout = place.layout()?;
    refuse_what_cannot_be(place)?;
    let log = log_file(args.log.as_deref(), place)?;
    let here = place.current_folder()?;
    let folder = args.cwd.as_ref().map_or(here.clone(), |cwd| here.join(cwd));
    let mut keys = args.keys.keys(place)?;
    if let Some(out) = global.output_file() {
        let out = flags::file(&out.to_string_lossy(), place)?;
        keys.push(("out_file".to_owned(), toml::Value::from(out).to_string()));
    }
    let mut seen = SeenApp { log, keys, ..seen_as(program, args, &folder) };
    let app = resolve(place, &entry(&seen), &layout)?;
    if args.name.is_none() {
        refuse_another_folders(place, &app.name, program, &here, &layout)?;
    }
    if seen.listen.is_empty() && !args.worker {
        ui.note(&format!(
            "running {program} once in a network of its own to see what it listens on \
             (for {:?} at most)",
            args.timeout
        ));
        let waiting = || ui.paragraph(&printable_lines(&still_nothing(program, args.timeout)));
        let user = app.process.user.as_deref().and_then(crate::host::user);
        let (none, limit) = (BTreeMap::new(), args.timeout);
        let trial = trial::tried_as(user.as_ref(), &app.command, &app.cwd, &none, limit, waiting)?;
        let accepts = trial.accepts;
        seen.listen = judged(program, trial, ui)?;
        if accepts && resolve(place, &entry(&seen), &layout)?.handover == Handover::Trace {
            ui.note("it waits in accept(), and so do all that share its listeners");
            seen.blocks = true;
        }
    }
    Ok(entry(&seen))
}

/// Puts the entries into the ecosystem file of the current folder, and applies what was written.
pub(super) fn write(entries: &[String], place: &Site<'_>, ui: &mut Ui) -> Result<(), Error> {
    let layout = place.layout()?;
    let new = entries.join("\n");
    let file = OwnFile::open(&place.inside(Path::new(".")))?;
    let text = match file.with(&new) {
        Ok(text) => text,
        Err(why) => {
            ui.data(&new)?;
            let text = format!("{FILE} {why}; add the lines above to it, then: clusterctl apply");
            return Err(Error::Usage(text));
        }
    };
    // What is wrong with it, such as a port that is taken, is said before a file is left behind.
    resolve(place, &text, &layout)?;
    let did = file.add(&new)?;
    ui.note(&format!("{did} {FILE}"));
    in_force::apply_text(text, Path::new(FILE), place, ui)
}

pub(super) fn refuse_what_cannot_be(place: &Site<'_>) -> Result<(), Error> {
    if place.scope == Scope::System && !place.around.is_root() {
        let text = "apps of the system are started by root: sudo clusterctl start …; your own: \
            clusterctl --user start …";
        return Err(Error::Usage(text.to_owned()));
    }
    Ok(())
}

/// A `server.js` in two folders: the second one must not become a new version of the first one's
/// app by chance.
pub(super) fn refuse_another_folders(
    place: &Site<'_>,
    name: &AppName,
    program: &str,
    here: &Path,
    layout: &Layout,
) -> Result<(), Error> {
    let host = place.around.host(layout, Purpose::Apply { prunes: false, moves: false });
    let Some(other) = host.other_source(name, Some(&here.join(FILE))) else { return Ok(()) };
    let other = other.display().to_string();
    let own = ecosystem::name_in_folder(name, here);
    let program = crate::plan::shell_word(program);
    let text = format!(
        "`{name}` is the app of another file, {}; give this one a name of its own: clusterctl \
         start {program} --name {own}",
        other.escape_debug()
    );
    Err(Error::Usage(text))
}

/// The app as the command line describes it.
fn seen_as(program: &str, args: &StartArgs, folder: &Path) -> SeenApp {
    let is_line = program.contains(' ') && !folder.join(program).is_file();
    let words: Vec<String> = match is_line {
        true => program.split_whitespace().map(str::to_owned).collect(),
        false => [program.to_owned()].into_iter().chain(args.args.iter().cloned()).collect(),
    };
    let called = ecosystem::name_of_command(&words, folder, init::package(folder).as_deref());
    SeenApp {
        name: args
            .name
            .clone()
            .unwrap_or_else(|| ecosystem::plain_name(&called.unwrap_or_default())),
        start: match is_line {
            true => StartCommand::Line(program.to_owned()),
            // `start npm --name web -- start`: a program of the PATH, not a script of the folder.
            false if !program.contains('/') && !is_script(program, folder) => {
                StartCommand::Command(words.clone())
            }
            false => StartCommand::Script(program.to_owned()),
        },
        args: match is_line || program.contains('/') || is_script(program, folder) {
            true => args.args.clone(),
            false => Vec::new(),
        },
        cwd: args.cwd.as_ref().map(|dir| dir.display().to_string()),
        instances: args.instances.clone().unwrap_or_else(|| "1".to_owned()),
        listen: args.listen.clone(),
        blocks: false,
        log: None,
        keys: Vec::new(),
    }
}

/// PM2's `-l`: a file for both streams. An address is what --listen means.
fn log_file(log: Option<&Path>, place: &Site<'_>) -> Result<Option<String>, Error> {
    let Some(log) = log else { return Ok(None) };
    let text = log.to_string_lossy().into_owned();
    let address = text.parse::<u16>().is_ok()
        || text.parse::<std::net::SocketAddr>().is_ok()
        || text.ends_with(".sock");
    if address {
        let text = format!("-l names a log file, as in PM2; an address is: --listen {text}");
        return Err(Error::Usage(text));
    }
    Ok(Some(place.absolute(log)?.to_string_lossy().into_owned()))
}

/// After a second of a trial: what happens, and how to leave it out.
fn still_nothing(program: &str, limit: Duration) -> String {
    let program = if program.contains(' ') { format!("'{program}'") } else { program.to_owned() };
    format!(
        "{}\nfor a worker, which never listens, write: clusterctl start {program} --worker",
        trial::still_nothing(limit)
    )
}

/// The value of `listen` after a trial run; empty for a worker.
fn judged(program: &str, trial: Trial, ui: &mut Ui) -> Result<Vec<String>, Error> {
    for path in &trial.private {
        ui.note(&format!("{path} is left out: a socket of the program's own processes"));
    }
    if !trial.listen.is_empty() {
        ui.note(&format!("it listens on {}", trial.listen.join(", ")));
        return Ok(trial.listen);
    }
    if let Some(code) = trial.exit {
        trial::show_words(&trial, ui);
        return Err(Error::Trial(format!(
            "{program} ended by itself with code {code} before it listened on anything; there \
             was no network in that run, not even to a database on this machine"
        )));
    }
    ui.note("it listens on nothing: started as a worker, without `listen`");
    Ok(Vec::new())
}
