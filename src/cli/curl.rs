//! `clusterctl curl`.

use std::path::Path;
use std::time::Duration;

use clap::Parser;

use super::{Site, Ui, control};
use crate::door_client::{self, Answer, HttpError, Request};
use crate::ecosystem::{AppName, duration};
use crate::error::{Error, exit};
use crate::limits;
use crate::ops;

/// Ask one instance by HTTP, past the listener that it shares with others
///
/// The request reaches the program through a socket of its instance that only root and the app's user can
/// use; no other port is opened for it. An instance that is out of rotation answers too.
#[derive(Debug, clap::Args)]
pub(super) struct CurlArgs {
    /// The instance: `api@2`
    #[arg(value_name = "INSTANCE", add = super::complete::selectors())]
    instance: String,
    /// Path and query; `/` without it
    #[arg(value_name = "PATH")]
    path: Option<String>,
    #[command(flatten)]
    options: CurlOptions,
    /// The same options, as curl(1) has them, and the path where it is not said before
    #[arg(last = true, value_name = "OPTION")]
    more: Vec<String>,
}

/// Options that are called as those of curl(1).
#[derive(Clone, Debug, Default, clap::Args)]
struct CurlOptions {
    /// The method; POST with --data, else GET
    #[arg(short = 'X', long, value_name = "METHOD")]
    request: Option<String>,
    /// A line of the request's header
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<(String, String)>,
    /// The body of the request; of a file with `@` before its path
    #[arg(short, long, value_name = "TEXT")]
    data: Option<String>,
    /// Print the header of the answer too
    #[arg(short, long)]
    include: bool,
    /// Ask for the header alone
    #[arg(short = 'I', long)]
    head: bool,
    /// Fail where the answer has a status from 400 on, and print nothing of it
    #[arg(short, long)]
    fail: bool,
    /// Time for the answer: `30s`, or seconds
    #[arg(short, long, value_name = "TIME", value_parser = seconds)]
    max_time: Option<Duration>,
    /// Name or port of the listener; the first one of TCP without it
    #[arg(long, value_name = "LISTENER")]
    listener: Option<String>,
}

/// What says which kind a body is.
const KIND: &str = "Content-Type";

/// What follows `--`.
#[derive(Debug, Parser)]
#[command(no_binary_name = true)]
struct More {
    path: Option<String>,
    #[command(flatten)]
    options: CurlOptions,
}

impl More {
    fn read(words: &[String]) -> Result<More, Error> {
        More::try_parse_from(words).map_err(|error| {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default();
            Error::Usage(first.strip_prefix("error: ").unwrap_or(first).to_owned())
        })
    }
}

fn header(text: &str) -> Result<(String, String), String> {
    let word = |c: char| c.is_ascii_graphic() && !"()<>@,;:\\\"/[]?={}".contains(c);
    match text.split_once(':') {
        Some((name, value))
            if !name.is_empty()
                && name.chars().all(word)
                && !value.contains(['\r', '\n', '\0']) =>
        {
            Ok((name.to_owned(), value.trim().to_owned()))
        }
        _ => Err("write it like `Accept: text/plain`".to_owned()),
    }
}

/// A bare number is seconds, as with curl(1).
fn seconds(text: &str) -> Result<Duration, String> {
    let time = text.parse().ok().map(Duration::from_secs).or_else(|| duration(text));
    let time = time.filter(|time| !time.is_zero() && *time <= limits::ROLLOUT_TIMEOUT);
    time.ok_or_else(|| "write seconds, or a time such as `500ms`".to_owned())
}

impl CurlOptions {
    /// These with others that came later.
    fn with(self, more: CurlOptions) -> CurlOptions {
        CurlOptions {
            request: more.request.or(self.request),
            headers: self.headers.into_iter().chain(more.headers).collect(),
            data: more.data.or(self.data),
            include: self.include || more.include,
            head: self.head || more.head,
            fail: self.fail || more.fail,
            max_time: more.max_time.or(self.max_time),
            listener: more.listener.or(self.listener),
        }
    }

    fn body(&self, place: &Site<'_>) -> Result<Vec<u8>, Error> {
        let Some(data) = &self.data else { return Ok(Vec::new()) };
        let Some(path) = data.strip_prefix('@') else { return Ok(data.clone().into_bytes()) };
        let failed = |source| Error::Io { doing: "read", path: path.to_owned(), source };
        match path {
            "-" => Ok(place.around.standard_input().map_err(failed)?.into_bytes()),
            _ => std::fs::read(place.inside(Path::new(path))).map_err(failed),
        }
    }

    fn request(&self, place: &Site<'_>, path: &str) -> Result<Request, Error> {
        let usual = match (self.head, &self.data) {
            (true, _) => "HEAD",
            (false, Some(_)) => "POST",
            (false, None) => "GET",
        };
        let method = self.request.clone().unwrap_or_else(|| usual.to_owned());
        let target = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        let plain = |text: &str| text.chars().all(|c| c.is_ascii_graphic());
        if method.is_empty() || !plain(&method) || !plain(&target) {
            let text = "a method and a path have no blanks: write `%20` for one".to_owned();
            return Err(Error::Usage(text));
        }
        Ok(Request { method, target, headers: self.headers(), body: self.body(place)? })
    }

    /// As curl(1) has them: a body is a form where no line says otherwise.
    fn headers(&self) -> Vec<(String, String)> {
        let says = self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(KIND));
        let form = (KIND.to_owned(), "application/x-www-form-urlencoded".to_owned());
        let form = (self.data.is_some() && !says).then_some(form);
        form.into_iter().chain(self.headers.iter().cloned()).collect()
    }
}

/// Runs the verb.
pub(super) fn run(args: &CurlArgs, place: &Site<'_>, ui: &mut Ui) -> Result<u8, Error> {
    let more = More::read(&args.more)?;
    let path = match (&args.path, &more.path) {
        (Some(one), Some(other)) if one != other => {
            let text =
                format!("two paths: `{}` and `{}`", one.escape_debug(), other.escape_debug());
            return Err(Error::Usage(text));
        }
        (one, other) => one.as_ref().or(other.as_ref()).map_or("/", String::as_str),
    };
    let options = args.options.clone().with(more.options);
    let request = options.request(place, path)?;
    let ctl = place.connect_to_ask()?;
    let apps = ops::apps_meant(&ctl, std::slice::from_ref(&args.instance))?;
    let selected = control::selected_of(place, &ctl, &apps, std::slice::from_ref(&args.instance))?;
    let rows = ops::list(&ctl, &apps, &selected)?;
    let [row] = rows.as_slice() else {
        let text = format!("`{}` is not one instance: write `APP@N`", args.instance.escape_debug());
        return Err(Error::Usage(text));
    };
    let name = format!("{}@{}", row.app, row.instance);
    if row.pid.is_none() {
        let next = format!("clusterctl start {}", row.app);
        return Err(Error::NotUp { what: name, next });
    }
    let found = AppName::parse(&row.app).ok().and_then(|app| Some((apps.get(&app)?, app)));
    let Some((found, app)) = found else {
        return Err(Error::Unknown { selector: args.instance.clone(), known: Vec::new() });
    };
    let reached = ops::reach(&ctl, &app, found, row, options.listener.as_deref())?;
    let time = options.max_time.unwrap_or(limits::DOOR_REQUEST);
    let answer = door_client::exchange(&reached.stream, &request, &reached.host, time)
        .map_err(|error| failed(&name, &error))?;
    print(&answer, &options, &name, ui)
}

fn failed(instance: &str, error: &HttpError) -> Error {
    let why = format!("did not answer: {error}");
    let next = Some(format!("clusterctl logs {instance}"));
    ops::Unreached { instance: instance.to_owned(), why, next }.into()
}

fn print(answer: &Answer, options: &CurlOptions, name: &str, ui: &mut Ui) -> Result<u8, Error> {
    if options.fail && answer.status >= 400 {
        ui.note(&format!("error: {name} answered {}", crate::report::printable(&answer.said())));
        return Ok(exit::FAILED);
    }
    if ui.json {
        let head = String::from_utf8_lossy(&answer.head);
        let lines = head.lines().skip(1).filter_map(|line| line.split_once(": "));
        let headers: Vec<_> =
            lines.map(|(name, value)| [name.to_owned(), value.to_owned()]).collect();
        let body = String::from_utf8_lossy(&answer.body);
        ui.json_line(&serde_json::json!({
            "version": 1, "instance": name, "status": answer.status, "headers": headers, "body": body,
        }))?;
        return Ok(exit::OK);
    }
    if options.include || options.head {
        ui.raw(&answer.head)?;
    }
    ui.raw(&answer.body)?;
    Ok(exit::OK)
}
