//! `clusterctl serve`: a folder of files as an app. It writes the app into the ecosystem file, as `start` does; what
//! serves is the app's own unit.

use std::path::PathBuf;

use super::trial::resolve;
use super::{Site, Ui, start};
use crate::ecosystem::{Scope, SeenApp, StartCommand, entry};
use crate::error::Error;

/// Serve the files of a folder, as an app
///
/// The app is written into ecosystem.toml of the current folder and applied; it is listed, reloaded and
/// scaled like every other one. Files are served as they are at that moment. Hidden files, and links that
/// lead out of the folder, are not served.
#[derive(Debug, clap::Args)]
#[command(visible_alias = "expose")]
pub(super) struct ServeArgs {
    /// The folder
    #[arg(default_value = ".", value_hint = clap::ValueHint::DirPath)]
    path: PathBuf,
    /// The port
    #[arg(default_value_t = 8080)]
    port: u16,
    /// The port, where no folder is named
    #[arg(long = "port", value_name = "N")]
    port_option: Option<u16>,
    /// Name of the app [default: static-page-server-PORT]
    #[arg(short, long)]
    name: Option<String>,
    /// Processes that share the port
    #[arg(short, long, value_name = "N", allow_hyphen_values = true, default_value = "1")]
    instances: String,
    /// A path that is not there gets index.html, for apps of one page
    #[arg(long)]
    spa: bool,
    /// Ask for a password: the name that goes with it
    #[arg(long, value_name = "NAME", requires = "basic_auth_password")]
    basic_auth_username: Option<String>,
    /// The password
    #[arg(long, value_name = "WORD", requires = "basic_auth_username")]
    basic_auth_password: Option<String>,
}

/// Users for servers, of which a machine has one: they may read what everybody may.
const USERS: [&str; 4] = ["www-data", "http", "nginx", "nobody"];

/// Runs the verb.
pub(super) fn run(args: &ServeArgs, place: &Site<'_>, ui: &mut Ui) -> Result<(), Error> {
    start::refuse_what_cannot_be(place)?;
    let folder = place.absolute(&args.path)?;
    if !folder.is_dir() {
        let text = format!("{} is no folder; what is served is one", folder.display());
        return Err(Error::Usage(text));
    }
    let port = args.port_option.unwrap_or(args.port);
    let seen = SeenApp {
        name: args.name.clone().unwrap_or_else(|| format!("static-page-server-{port}")),
        start: StartCommand::Command(command(args, &folder.to_string_lossy(), port, place)),
        args: Vec::new(),
        cwd: None,
        instances: args.instances.clone(),
        listen: vec![port.to_string()],
        blocks: false,
        log: None,
        keys: keys(args, place)?,
    };
    let text = entry(&seen);
    let layout = place.layout()?;
    let app = resolve(place, &text, &layout)?;
    let here = place.current_folder()?;
    start::refuse_another_folders(place, &app.name, &seen.name, &here, &layout)?;
    if args.basic_auth_password.is_some() {
        ui.note("the password stands in ecosystem.toml; to keep it elsewhere: env_file");
    }
    start::write(&[text], place, ui)
}

fn command(args: &ServeArgs, folder: &str, port: u16, place: &Site<'_>) -> Vec<String> {
    let program = place.around.program().to_string_lossy().into_owned();
    let mut words = vec![program, "serve-files".to_owned(), folder.to_owned()];
    words.extend(["--port".to_owned(), port.to_string()]);
    words.extend(args.spa.then(|| "--spa".to_owned()));
    words
}

/// Whom it runs as, and the password.
fn keys(args: &ServeArgs, place: &Site<'_>) -> Result<Vec<(String, String)>, Error> {
    let quoted = |text: &str| toml::Value::from(text).to_string();
    let mut keys = Vec::new();
    if place.scope == Scope::System {
        let host = place.around.host(&place.layout()?, super::Purpose::Check);
        if let Some(user) = USERS.into_iter().find(|user| host.user(user).is_some()) {
            keys.push(("user".to_owned(), quoted(user)));
        }
    }
    if let Some((name, word)) =
        args.basic_auth_username.as_ref().zip(args.basic_auth_password.as_ref())
    {
        let variable =
            |name: &str, value: &str| format!("PM2_SERVE_BASIC_AUTH{name} = {}", quoted(value));
        let all = [variable("", "true"), variable("_USERNAME", name), variable("_PASSWORD", word)];
        keys.push(("env".to_owned(), format!("{{ {} }}", all.join(", "))));
    }
    Ok(keys)
}
