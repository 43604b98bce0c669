//! What instances of apps tell of themselves at their own path for metrics, each asked through its door.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::{Context, Error, Row, Selected, list, reach};
use crate::disk::FoundApp;
use crate::door_client::{self, Request};
use crate::ecosystem::AppName;
use crate::limits;

/// What one instance answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnMetrics {
    /// The app.
    pub app: String,
    /// The instance's number.
    pub instance: u32,
    /// The text of its metrics, or why there is none.
    pub text: Result<String, String>,
    /// Whether the text is in the OpenMetrics format, and not in the older one of Prometheus.
    pub open: bool,
}

/// Asks every instance of these apps that runs, several at the same time.
///
/// # Errors
/// The manager does not answer.
pub fn own_metrics(
    context: &Context,
    apps: &BTreeMap<AppName, FoundApp>,
    selected: &[Selected],
    path: &str,
) -> Result<Vec<OwnMetrics>, Error> {
    let rows = list(context, apps, selected)?;
    let running = rows.into_iter().filter(|row| row.pid.is_some());
    let found = running.filter_map(|row| {
        let (app, found) = apps.iter().find(|(app, _)| app.as_str() == row.app)?;
        Some((app, found, row))
    });
    let tasks: Vec<(&AppName, &FoundApp, Row)> = found.collect();
    let next = Mutex::new(tasks.iter());
    let answers = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        let worker = || {
            loop {
                let task = next.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some((app, found, row)) = task else { return };
                let answer = ask(context, app, found, row, path);
                answers.lock().unwrap_or_else(PoisonError::into_inner).push(answer);
            }
        };
        for _ in 0..limits::APPS_AT_ONCE.min(tasks.len()) {
            scope.spawn(worker);
        }
    });
    let mut answers = answers.into_inner().unwrap_or_else(PoisonError::into_inner);
    answers.sort_by(|one, other| (&one.app, one.instance).cmp(&(&other.app, other.instance)));
    Ok(answers)
}

fn ask(context: &Context, app: &AppName, found: &FoundApp, row: &Row, path: &str) -> OwnMetrics {
    let mut open = false;
    let text = reach(context, app, found, row, None).map_err(|unreached| unreached.why).and_then(
        |reached| {
            let mut request = Request::get(path);
            let kinds = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5";
            request.headers.push(("Accept".to_owned(), kinds.to_owned()));
            let answer = door_client::exchange(
                &reached.stream,
                &request,
                &reached.host,
                limits::OWN_METRICS,
            )
            .map_err(|error| format!("did not tell its metrics: {error}"))?;
            if !answer.is_success() {
                return Err(format!("did not tell its metrics at {path}: {}", answer.said()));
            }
            open = answer.content_type.starts_with("application/openmetrics-text");
            String::from_utf8(answer.body)
                .map_err(|_| "did not tell its metrics as text".to_owned())
        },
    );
    OwnMetrics { app: app.to_string(), instance: row.instance, text, open }
}
