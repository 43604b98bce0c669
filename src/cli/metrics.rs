//! `clusterctl metrics`.

use super::{Site, Ui};
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
    http: bool,
}

/// Bytes of a request that are read: what follows is of no interest.
const REQUEST: usize = crate::limits::HTTP_REQUEST;

/// Runs the verb.
pub(super) fn run(args: &MetricsArgs, place: &Site<'_>, ui: &mut Ui) -> Result<(), Error> {
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
