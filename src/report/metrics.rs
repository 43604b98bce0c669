//! Metrics as text in the OpenMetrics format 1.0, which Prometheus and its relatives read, and the answer of an
//! HTTP server that hands it out. Values in, text out.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::printable;
use crate::ops::{AppMetrics, Row, Status};

/// What a number of a family means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It goes up and down.
    Gauge,
    /// It only grows until its instance is started anew.
    Counter,
    /// Labels that describe something, with 1 as value.
    Info,
    /// One sample for each state, of which one is 1.
    StateSet,
}

impl Kind {
    /// The format's word.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
            Kind::Info => "info",
            Kind::StateSet => "stateset",
        }
    }

    fn ending(self) -> &'static str {
        match self {
            Kind::Counter => "_total",
            Kind::Info => "_info",
            Kind::Gauge | Kind::StateSet => "",
        }
    }
}

/// A family of metrics.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// Its name, without the ending of counters and infos.
    pub name: &'static str,
    /// What its numbers mean.
    pub kind: Kind,
    /// Unit of the numbers, with which the name ends; empty for plain counts.
    pub unit: &'static str,
    /// Labels besides `app`.
    pub labels: &'static str,
    /// What it tells: one sentence.
    pub help: &'static str,
    samples: fn(&AppMetrics, &mut Samples<'_>),
}

impl Family {
    /// The name of its samples.
    pub fn sample(&self) -> String {
        format!("{}{}", self.name, self.kind.ending())
    }
}

/// Every family, in the order of the output.
pub const FAMILIES: &[Family] = &[
    family(
        "clusterctl_app",
        Kind::Info,
        "",
        "namespace, profile, revision",
        "Definition in force.",
        |app, to| {
            let profile = app.profile.as_deref().unwrap_or_default();
            let labels = [
                ("namespace", &*app.namespace),
                ("profile", profile),
                ("revision", &*app.revision),
            ];
            to.add(&labels, 1.0);
        },
    ),
    family("clusterctl_app_up", Kind::Gauge, "", "", "Whether the app is started.", |app, to| {
        to.add(&[], flag(app.up));
    }),
    family(
        "clusterctl_instances_wanted",
        Kind::Gauge,
        "",
        "",
        "Instances that are enabled.",
        |app, to| {
            to.add(&[], app.wanted as f64);
        },
    ),
    family(
        "clusterctl_instances_ready",
        Kind::Gauge,
        "",
        "",
        "Instances that run, hold their listeners and are in rotation.",
        |app, to| {
            to.add(
                &[],
                app.instances.iter().filter(|row| row.status == Status::Online).count() as f64,
            );
        },
    ),
    family(
        "clusterctl_instances_outdated",
        Kind::Gauge,
        "",
        "",
        "Instances that started before their definition changed.",
        |app, to| {
            to.add(&[], app.outdated as f64);
        },
    ),
    family(
        "clusterctl_rollout_active",
        Kind::Gauge,
        "",
        "",
        "Whether instances are being replaced.",
        |app, to| {
            to.add(&[], flag(app.rolls));
        },
    ),
    family(
        "clusterctl_instance_status",
        Kind::StateSet,
        "",
        "instance, clusterctl_instance_status",
        "Status of an instance, in the words of `list`.",
        |app, to| {
            for row in &app.instances {
                let number = row.instance.to_string();
                for (status, word) in STATUSES {
                    let labels = [("instance", &*number), ("clusterctl_instance_status", word)];
                    to.add(&labels, flag(row.status == status));
                }
            }
        },
    ),
    family(
        "clusterctl_instance_restarts",
        Kind::Counter,
        "",
        "instance",
        "Automatic restarts since the last start by hand.",
        |app, to| {
            each(app, to, |row| Some(f64::from(row.restarts)));
        },
    ),
    family(
        "clusterctl_instance_cpu_seconds",
        Kind::Counter,
        "seconds",
        "instance",
        "CPU time since the start.",
        |app, to| {
            each(app, to, |row| row.cpu_seconds);
        },
    ),
    family(
        "clusterctl_instance_memory_bytes",
        Kind::Gauge,
        "bytes",
        "instance",
        "Memory of all processes of an instance, page cache included.",
        |app, to| {
            each(app, to, |row| row.memory_bytes.map(|bytes| bytes as f64));
        },
    ),
    family(
        "clusterctl_instance_connections",
        Kind::Gauge,
        "",
        "instance",
        "Connections of the shared listeners that an instance with a door has open.",
        |app, to| each(app, to, |row| row.connections.map(|count| count as f64)),
    ),
    family(
        "clusterctl_instance_start_time_seconds",
        Kind::Gauge,
        "seconds",
        "instance",
        "When the main process started, since 1970.",
        |app, to| {
            let now = to.now;
            each(app, to, |row| row.uptime_seconds.map(|uptime| (now - uptime).max(0.0)));
        },
    ),
    family(
        "clusterctl_listener_queue",
        Kind::Gauge,
        "",
        "listener",
        "Connections that wait to be accepted; of datagrams the bytes.",
        |app, to| {
            for queue in &app.listeners {
                to.add(&[("listener", &queue.address.to_string())], queue.waiting as f64);
            }
        },
    ),
    family(
        "clusterctl_listener_queue_limit",
        Kind::Gauge,
        "",
        "listener",
        "Connections that may wait to be accepted.",
        |app, to| {
            for (queue, limit) in
                app.listeners.iter().filter_map(|queue| Some((queue, queue.limit?)))
            {
                to.add(&[("listener", &queue.address.to_string())], limit as f64);
            }
        },
    ),
    family(
        "clusterctl_listener_dropped",
        Kind::Counter,
        "",
        "listener",
        "Connections or datagrams that found the queue full since the listener was opened.",
        |app, to| {
            for (queue, dropped) in
                app.listeners.iter().filter_map(|queue| Some((queue, queue.dropped?)))
            {
                to.add(&[("listener", &queue.address.to_string())], dropped as f64);
            }
        },
    ),
];

const fn family(
    name: &'static str,
    kind: Kind,
    unit: &'static str,
    labels: &'static str,
    help: &'static str,
    samples: fn(&AppMetrics, &mut Samples<'_>),
) -> Family {
    Family { name, kind, unit, labels, help, samples }
}

/// Every status, in the words of `list -o json`.
const STATUSES: [(Status, &str); 9] = [
    (Status::Online, "online"),
    (Status::Completed, "completed"),
    (Status::Launching, "launching"),
    (Status::NotListening, "not-listening"),
    (Status::Stopping, "stopping"),
    (Status::WaitingRestart, "waiting-restart"),
    (Status::Drained, "drained"),
    (Status::Stopped, "stopped"),
    (Status::Errored, "errored"),
];

fn flag(on: bool) -> f64 {
    f64::from(u8::from(on))
}

fn each(app: &AppMetrics, to: &mut Samples<'_>, value: impl Fn(&Row) -> Option<f64>) {
    for (row, value) in app.instances.iter().filter_map(|row| Some((row, value(row)?))) {
        to.add(&[("instance", &row.instance.to_string())], value);
    }
}

/// Where the samples of one family of one app go.
struct Samples<'a> {
    text: &'a mut String,
    name: String,
    app: &'a str,
    now: f64,
}

impl Samples<'_> {
    fn add(&mut self, labels: &[(&str, &str)], value: f64) {
        let _ = write!(self.text, "{}{{app=\"{}\"", self.name, escaped(self.app));
        for (label, content) in labels {
            let _ = write!(self.text, ",{label}=\"{}\"", escaped(content));
        }
        let _ = writeln!(self.text, "}} {value}");
    }
}

/// A value of a label: the format knows these three escapes, and none for what a terminal would obey.
fn escaped(text: &str) -> String {
    printable(&text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

/// All families with the samples of these apps.
pub fn text(apps: &[AppMetrics], now: SystemTime) -> String {
    let now = now.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs_f64();
    let mut text = String::new();
    for family in FAMILIES {
        let Family { name, kind, unit, help, .. } = family;
        let _ = writeln!(text, "# TYPE {name} {}", kind.word());
        if !unit.is_empty() {
            let _ = writeln!(text, "# UNIT {name} {unit}");
        }
        let _ = writeln!(text, "# HELP {name} {help}");
        for app in apps {
            let name = family.sample();
            let mut to = Samples { text: &mut text, name, app: &app.app, now };
            (family.samples)(app, &mut to);
        }
    }
    text + "# EOF\n"
}

/// What an HTTP request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricsRequest {
    /// The metrics, or their header alone.
    Metrics {
        /// Without the metrics themselves.
        head: bool,
    },
    /// A page that does not exist.
    Other,
    /// A method that changes something.
    Method,
    /// No HTTP.
    Garbage,
}

/// Reads the first line of a request.
pub fn asked(request: &[u8]) -> MetricsRequest {
    let line = request.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let words: Vec<&str> = line.trim_end().split(' ').collect();
    let [method, target, version] = words.as_slice() else { return MetricsRequest::Garbage };
    if !version.starts_with("HTTP/1.") {
        return MetricsRequest::Garbage;
    }
    let path = target.split('?').next().unwrap_or_default();
    match (*method, path) {
        ("GET" | "HEAD", "/metrics") => MetricsRequest::Metrics { head: *method == "HEAD" },
        ("GET" | "HEAD", _) => MetricsRequest::Other,
        _ => MetricsRequest::Method,
    }
}

/// The answer to a request; `metrics` is asked for them, and says why there are none.
pub fn answer(asked: MetricsRequest, metrics: impl FnOnce() -> Result<String, String>) -> String {
    let plain = "text/plain; charset=utf-8";
    match asked {
        MetricsRequest::Metrics { head } => match metrics() {
            Ok(text) => response("200 OK", FORMAT, &text, head),
            Err(why) => response("503 Service Unavailable", plain, &format!("{why}\n"), head),
        },
        MetricsRequest::Other => {
            response("404 Not Found", plain, "the metrics are at /metrics\n", false)
        }
        MetricsRequest::Method => {
            let status = "405 Method Not Allowed\r\nAllow: GET, HEAD";
            response(status, plain, "only GET and HEAD\n", false)
        }
        MetricsRequest::Garbage => {
            response("400 Bad Request", plain, "this is an HTTP server\n", false)
        }
    }
}

const FORMAT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

fn response(status: &str, kind: &str, body: &str, head: bool) -> String {
    let length = body.len();
    let body = if head { "" } else { body };
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_labels_cannot_end_early() {
        assert_eq!(escaped("a\"} 1\n\\"), "a\\\"} 1\\n\\\\");
    }

    #[test]
    fn names_end_as_the_format_asks() {
        for family in FAMILIES {
            assert!(
                family.unit.is_empty() || family.name.ends_with(family.unit),
                "{}",
                family.name
            );
            assert!(family.help.ends_with('.') && !family.help.contains('\n'), "{}", family.name);
            assert!(!family.name.ends_with("_total") && !family.name.ends_with("_info"));
        }
    }

    #[test]
    fn requests_are_told_apart() {
        let metrics = MetricsRequest::Metrics { head: false };
        assert_eq!(asked(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"), metrics);
        assert_eq!(asked(b"GET /metrics?name[]=x HTTP/1.0\r\n\r\n"), metrics);
        assert_eq!(
            asked(b"HEAD /metrics HTTP/1.1\r\n\r\n"),
            MetricsRequest::Metrics { head: true }
        );
        assert_eq!(asked(b"GET / HTTP/1.1\r\n\r\n"), MetricsRequest::Other);
        assert_eq!(asked(b"POST /metrics HTTP/1.1\r\n\r\n"), MetricsRequest::Method);
        for garbage in ["", "\r\n", "GET /metrics", "GET /metrics HTTP/2", "\u{16}\u{3}\u{1}"] {
            assert_eq!(asked(garbage.as_bytes()), MetricsRequest::Garbage, "{garbage:?}");
        }
    }

    #[test]
    fn an_answer_says_how_long_it_is_and_why_there_is_none() {
        let ok = answer(MetricsRequest::Metrics { head: false }, || Ok("# EOF\n".to_owned()));
        assert!(ok.contains("Content-Length: 6\r\n") && ok.ends_with("\r\n\r\n# EOF\n"), "{ok}");
        let head = answer(MetricsRequest::Metrics { head: true }, || Ok("# EOF\n".to_owned()));
        assert!(head.contains("Content-Length: 6\r\n") && head.ends_with("\r\n\r\n"), "{head}");
        let none = answer(MetricsRequest::Metrics { head: false }, || Err("no bus".to_owned()));
        assert!(none.starts_with("HTTP/1.1 503 ") && none.ends_with("no bus\n"), "{none}");
        assert!(
            answer(MetricsRequest::Method, || Ok(String::new()))
                .contains("\r\nAllow: GET, HEAD\r\n")
        );
    }
}
