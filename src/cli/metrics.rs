//! `clusterctl metrics`.

use super::{Site, Ui, control};
use crate::error::Error;
use crate::{ops, report};

/// Print metrics of all apps in the OpenMetrics format
///
/// For Prometheus and its relatives: `systemctl enable --now clusterctl-metrics.socket` serves them at
/// http://127.0.0.1:9746/metrics, and nothing runs between two questions.
#[derive(Debug, clap::Args)]
pub(super) struct MetricsArgs {
    /// Answer one HTTP request that comes on standard input, as `clusterctl-metrics@.service` does
    #[arg(long)]
    pub(super) http: bool,
    /// Instead, collect what every instance of these apps tells at its own path for metrics, with its
    /// number as a label; without a name, of all apps
    #[arg(long, value_name = "APP", num_args = 0.., conflicts_with = "http", add = super::complete::selectors())]
    pub(super) app: Option<Vec<String>>,
    /// With --app: the path of the program
    #[arg(long, value_name = "PATH", default_value = "/metrics", requires = "app")]
    path: String,
}

/// Bytes of a request that are read: what follows is of no interest.
const REQUEST: usize = crate::limits::HTTP_REQUEST;

/// Runs the verb.
pub(super) fn run(args: &MetricsArgs, place: &Site<'_>, ui: &mut Ui) -> Result<(), Error> {
    if let Some(apps) = &args.app {
        return own(apps, &args.path, place, ui);
    }
    if !args.http {
        return ui.data(&text(place)?);
    }
    let failed = |source| Error::Io { doing: "read", path: "standard input".to_owned(), source };
    let request = place.around.request(REQUEST).map_err(failed)?;
    let metrics = || text(place).map_err(|error| error.to_string());
    ui.bytes(&report::metrics::answer(report::metrics::asked(&request), metrics))
}

fn text(place: &Site<'_>) -> Result<String, Error> {
    let ctl = place.connect()?;
    Ok(report::metrics::text(&ops::metrics(&ctl)?, place.around.now()))
}

/// What programs tell of themselves. An instance that does not is named on standard error, and in the text.
fn own(names: &[String], path: &str, place: &Site<'_>, ui: &mut Ui) -> Result<(), Error> {
    let plain = path.starts_with('/') && path.chars().all(|c| c.is_ascii_graphic());
    if !plain {
        return Err(Error::Usage("--path is a path such as /metrics".to_owned()));
    }
    let ctl = place.connect_to_ask()?;
    let apps = ops::apps(&ctl)?;
    let selected = match names {
        [] => ops::whole(&apps),
        names => control::selected_of(place, &ctl, &apps, names)?,
    };
    let all = ops::own_metrics(&ctl, &apps, &selected, path)?;
    let all: Vec<_> =
        all.into_iter().map(|one| report::own_metrics::understood(one, path)).collect();
    for one in &all {
        if let Err(why) = &one.text {
            let why = report::printable(why);
            ui.note(&format!("warning: {}@{} {why}", one.app, one.instance));
        }
    }
    ui.data(&report::own_metrics::text(&all))
}
