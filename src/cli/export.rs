//! `clusterctl export`: an ecosystem file for another system. It maps nothing: `export` does.

use std::path::PathBuf;

use super::{Site, Ui, input};
use crate::error::Error;
use crate::export::{ExportFacts, LeftOut, Target, export};
use crate::plan::plural;
use crate::report::printable;

/// Print an ecosystem file as manifests of Kubernetes, or as a file for docker compose
///
/// Everything of an app that has a place there is in the output; what has none, or is not the
/// same there, is named in a comment, with the reason and with what does its work instead. The programs must be in an image,
/// in the folders that they have on this machine. Files of variables and of secrets are named,
/// not read.
#[derive(Debug, clap::Args)]
pub(super) struct ExportArgs {
    /// For whom
    target: Format,
    /// The ecosystem file; `-` is standard input
    #[arg(default_value = "ecosystem.toml", value_hint = clap::ValueHint::FilePath)]
    file: PathBuf,
    /// The container image that has the programs, such as registry.example/shop:1.4
    #[arg(long, value_name = "IMAGE", value_parser = image)]
    image: String,
    /// Use the variables of `env_NAME` too
    #[arg(long, value_name = "NAME", add = super::complete::profiles())]
    env: Option<String>,
    /// Only these apps of the file
    #[arg(long, value_name = "APP,...", value_delimiter = ',', add = super::complete::of_file())]
    only: Vec<String>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Format {
    /// Manifests for `kubectl apply -f`
    Kubernetes,
    /// A file for `docker compose`
    Compose,
}

/// A name of an image: what no shell and no YAML takes for anything else.
fn image(text: &str) -> Result<String, String> {
    let part = |c: char| c.is_ascii_alphanumeric() || "._-/:@".contains(c);
    match text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(part) {
        true => Ok(text.to_owned()),
        false => Err("an image is named as in registry.example/shop:1.4".to_owned()),
    }
}

/// Runs the verb.
pub(super) fn run(args: &ExportArgs, place: &Site<'_>, ui: &mut Ui) -> Result<(), Error> {
    let layout = place.layout()?;
    let loaded = input::check(place, &args.file, args.env.as_deref(), &layout, ui)?;
    let ecosystem = input::only(loaded.ecosystem, &args.only)?;
    let target = match args.target {
        Format::Kubernetes => Target::Kubernetes,
        Format::Compose => Target::Compose,
    };
    let origin = args.file.display().to_string();
    let exported = export(target, &ecosystem, ExportFacts { origin: &origin, image: &args.image });
    if ui.json {
        let one =
            |left: &LeftOut| serde_json::json!({"app": left.app, "key": left.key, "why": left.why});
        let left_out: Vec<_> = exported.left_out.iter().map(one).collect();
        let value = serde_json::json!({"version": 1, "text": exported.text, "left_out": left_out});
        return ui.json_line(&value);
    }
    ui.data(&exported.text)?;
    for left in &exported.left_out {
        ui.note(&printable(&left.to_string()));
    }
    let (apps, settings) = (ecosystem.apps.len(), exported.left_out.len());
    let differ = if settings == 1 { "differs" } else { "differ" };
    ui.note(&format!("{} exported; {} {differ}", plural(apps, "app"), plural(settings, "setting")));
    Ok(())
}
