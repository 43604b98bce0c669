//! The first ecosystem file of a project: commented, and right as far as can be seen. Pure.

use std::net::{IpAddr, Ipv6Addr};
use std::path::Path;

use super::model::address::{ListenAddress, Protocol};

/// What was seen of a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// Name of the app.
    pub name: String,
    /// How it starts.
    pub start: StartCommand,
    /// The port that its source seems to listen on.
    pub port: Option<u16>,
}

/// How a project starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartCommand {
    /// A script that an interpreter runs by its extension.
    Script(String),
    /// A command as one line.
    Line(String),
    /// A command, word by word.
    Command(Vec<String>),
    /// Nothing was recognised.
    Unknown,
}

/// One app as it was seen running.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenApp {
    /// Name of the app.
    pub name: String,
    /// How it starts.
    pub start: StartCommand,
    /// Arguments after the start command.
    pub args: Vec<String>,
    /// Working folder, when it is not the file's.
    pub cwd: Option<String>,
    /// `instances` as asked for.
    pub instances: String,
    /// Values of `listen`.
    pub listen: Vec<String>,
    /// Its listeners have to block: `non_blocking = false`.
    pub blocks: bool,
    /// The file that both its streams go into.
    pub log: Option<String>,
    /// Further keys, with their values as TOML.
    pub keys: Vec<(String, String)>,
}

/// The `[[apps]]` entry for an app that was seen running.
pub fn entry(seen: &SeenApp) -> String {
    let list =
        |words: &[String]| words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(", ");
    let mut text = format!("[[apps]]\nname = {}\n", quoted(&seen.name));
    match &seen.start {
        StartCommand::Script(script) => text += &format!("script = {}\n", quoted(script)),
        StartCommand::Line(line) => text += &format!("command = {}\n", quoted(line)),
        StartCommand::Command(words) => text += &format!("command = [{}]\n", list(words)),
        StartCommand::Unknown => {}
    }
    if !seen.args.is_empty() {
        text += &format!("args = [{}]\n", list(&seen.args));
    }
    if let Some(cwd) = &seen.cwd {
        text += &format!("cwd = {}\n", quoted(cwd));
    }
    text += &format!("instances = {}\n", number_or_text(&seen.instances));
    text += &listen_line(&seen.listen).unwrap_or_default();
    if let Some(log) = &seen.log {
        let log = quoted(log);
        for key in ["out_file", "error_file"] {
            if seen.keys.iter().all(|(own, _)| own != key) {
                text += &format!("{key} = {log}\n");
            }
        }
    }
    for (key, value) in &seen.keys {
        text += &format!("{key} = {value}\n");
    }
    text + if seen.blocks { "non_blocking = false\n" } else { "" }
}

/// The line `listen = …`; `None` for a worker.
pub fn listen_line(values: &[String]) -> Option<String> {
    let value = |text: &String| match mapped(text) {
        Some((at, bind)) => format!("{{ at = {}, bind = {bind} }}", number_or_text(at)),
        None => number_or_text(text),
    };
    let all: Vec<String> = values.iter().map(value).collect();
    match all.as_slice() {
        [] => None,
        [one] => Some(format!("listen = {one}\n")),
        more => Some(format!("listen = [{}]\n", more.join(", "))),
    }
}

/// `80:3000`, as `docker run -p` has it: where the app is reachable, and the port that the program asks for.
/// The part in front is a port or an address with its port, so that no address can be meant.
fn mapped(text: &str) -> Option<(&str, u16)> {
    let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0);
    let (at, bind) = text.rsplit_once(':')?;
    let plain = at.strip_prefix("udp:").unwrap_or(at);
    let with_host = plain.rsplit_once(':').is_some_and(|(host, own)| {
        let bracketed = host.starts_with('[') && host.ends_with(']');
        port(own).is_some() && !host.is_empty() && (bracketed || !host.contains([':', '/']))
    });
    Some((at, port(bind).filter(|_| with_host || port(plain).is_some())?))
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

fn number_or_text(text: &str) -> String {
    text.parse::<i64>().map_or_else(|_| quoted(text), |number| number.to_string())
}

/// Addresses as values of `listen`, without those that another one covers: a dual-stack wildcard
/// answers for IPv4 too.
pub fn without_covered(addresses: &[ListenAddress]) -> Vec<String> {
    let dual = |address: &ListenAddress| match address {
        ListenAddress::Inet { socket, .. } if socket.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) => {
            Some((address.protocol(), socket.port()))
        }
        _ => None,
    };
    let covered = |address: &ListenAddress| {
        dual(address).is_none()
            && address.port().is_some_and(|port| {
                addresses.iter().any(|other| dual(other) == Some((address.protocol(), port)))
            })
    };
    let value = |address: &ListenAddress| match dual(address) {
        Some((Protocol::Stream, port)) => port.to_string(),
        Some((Protocol::Datagram, port)) => format!("udp:{port}"),
        // A path without a socket's extension is written with `unix:`.
        None => match address {
            ListenAddress::Unix { protocol: Protocol::Stream, path } if !is_socket_name(path) => {
                format!("unix:{}", path.display())
            }
            _ => address.to_string(),
        },
    };
    addresses.iter().filter(|address| !covered(address)).map(value).collect()
}

/// Whether a path ends like one of a socket.
fn is_socket_name(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "sock" || end == "socket")
}

/// Folders in which programs make sockets that are for their own processes.
const TEMPORARY: [&str; 4] = ["/tmp", "/var/tmp", "/dev/shm", "/run/user"];

/// Whether a socket is of the kind that libraries make for themselves: multiprocessing of Python,
/// the diagnostics of .NET and Java, and others leave theirs in a folder for temporary files, under
/// a name that does not say that it is one for clients.
pub fn is_private(address: &ListenAddress) -> bool {
    address.path().is_some_and(|path| {
        !is_socket_name(path) && TEMPORARY.iter().any(|folder| path.starts_with(folder))
    })
}

/// The port of every tutorial.
const DEFAULT_PORT: u16 = 3000;

/// The text of an ecosystem file for a project.
pub fn starter(project: &Project) -> String {
    let port = project.port.unwrap_or(DEFAULT_PORT);
    let quoted = |text: &str| toml::Value::from(text).to_string();
    let start = match &project.start {
        StartCommand::Script(script) => format!("script = {}", quoted(script)),
        StartCommand::Line(line) => format!("command = {}", quoted(line)),
        StartCommand::Command(words) => {
            let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
            format!("command = [{}]", words.join(", "))
        }
        StartCommand::Unknown => {
            "script = \"server.js\"    # or: command = [\"gunicorn\", \"shop.wsgi\"]".into()
        }
    };
    let guess = match project.port {
        Some(_) => "as found in the source",
        None => "not found in the source: check it",
    };
    let name = quoted(&project.name);
    format!(
        "# Apps of this project. Check with `clusterctl validate`, run with `clusterctl apply`,\n\
         # try without touching the machine with `clusterctl dev`. All keys: ecosystem.toml(5)\n\
         \n\
         [[apps]]\n\
         name = {name}\n\
         {start}\n\
         \n\
         # How many processes share the listener: a number, \"max\" (all CPUs), or -1 (all but one).\n\
         instances = \"max\"\n\
         \n\
         # What systemd listens on for all of them ({guess}): 3000, \"127.0.0.1:3000\",\n\
         # \"/run/app/app.sock\", or several: {{ http = 80, admin = \"/run/app/admin.sock\" }}.\n\
         listen = {port}\n\
         \n\
         # Variables of every process. Secrets belong into a file of their own: env_file = \".env\"\n\
         # env = {{ NODE_ENV = \"production\" }}\n\
         \n\
         # Ready when the program says so (process.send('ready'), sd_notify) instead of at listen().\n\
         # wait_ready = true\n\
         # listen_timeout = \"60s\"      # not ready by then: the start has failed\n\
         # kill_timeout = \"10s\"        # time to finish requests after SIGTERM\n\
         \n\
         # user = \"www-data\"           # runs as this user; ports below 1024 work all the same\n\
         # max_memory_restart = \"300M\"\n\
         \n\
         # Any systemd directive of a service:\n\
         # [apps.service]\n\
         # CPUWeight = 200\n"
    )
}

/// The port in a source text: `listen(3000)`, `PORT || 3000`, `--port 8000` and the like.
pub fn port_in(source: &str) -> Option<u16> {
    let marks =
        ["listen(", "PORT || ", "PORT ?? ", "PORT, ", "port=", "port = ", "port: ", "--port "];
    marks.iter().find_map(|mark| {
        source.match_indices(mark).find_map(|(at, _)| {
            let rest = &source[at + mark.len()..];
            let rest = rest.trim_start_matches(['\'', '"', ' ']);
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            digits.parse().ok().filter(|port| *port >= 80)
        })
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn inet(protocol: Protocol, socket: &str) -> ListenAddress {
        ListenAddress::inet(protocol, socket.parse().unwrap())
    }

    #[test]
    fn a_dual_stack_wildcard_is_a_bare_port_and_covers_the_rest() {
        use Protocol::{Datagram, Stream};
        let seen = [
            inet(Stream, "0.0.0.0:3000"),
            inet(Stream, "127.0.0.1:9229"),
            inet(Stream, "[::]:3000"),
            inet(Datagram, "0.0.0.0:3000"),
            inet(Datagram, "[::]:53"),
            ListenAddress::Unix { protocol: Stream, path: "/run/a.sock".into() },
        ];
        let expected = ["127.0.0.1:9229", "3000", "udp:0.0.0.0:3000", "udp:53", "/run/a.sock"];
        assert_eq!(without_covered(&seen), expected);
    }

    #[test]
    fn sockets_of_libraries_are_private() {
        for (path, private) in [
            ("/tmp/pymp-ab12cd/listener-x_y", true),
            ("/tmp/dotnet-diagnostic-12-345-socket", true),
            ("/tmp/.java_pid77", true),
            ("/run/user/0/tmux-0/default", true),
            ("/dev/shm/x/y", true),
            ("/tmp/app.sock", false),
            ("/run/app/http", false),
            ("/srv/app/app.sock", false),
        ] {
            let address = ListenAddress::Unix { protocol: Protocol::Stream, path: path.into() };
            assert_eq!(is_private(&address), private, "{path}");
        }
        assert!(!is_private(&inet(Protocol::Stream, "0.0.0.0:80")));
    }

    #[test]
    fn an_entry_holds_what_was_seen() {
        let mut seen = SeenApp {
            name: "api".into(),
            start: StartCommand::Script("app.js".into()),
            args: vec!["--x".into(), "a \"b\"".into()],
            cwd: None,
            instances: "4".into(),
            listen: vec!["3000".into()],
            blocks: false,
            log: None,
            keys: vec![],
        };
        let text = "[[apps]]\nname = \"api\"\nscript = \"app.js\"\n\
            args = [\"--x\", 'a \"b\"']\ninstances = 4\nlisten = 3000\n";
        assert_eq!(entry(&seen), text);
        seen.instances = "max".into();
        seen.listen.push("/run/a.sock".into());
        let text = entry(&seen);
        assert!(text.contains("instances = \"max\"\nlisten = [3000, \"/run/a.sock\"]\n"), "{text}");
        assert_eq!(entry(&SeenApp { blocks: true, ..seen }), text + "non_blocking = false\n");
    }

    #[test]
    fn a_published_port_is_told_from_an_address() {
        let line = |text: &str| listen_line(&[text.to_owned()]).unwrap();
        for (text, expected) in [
            ("80:3000", "{ at = 80, bind = 3000 }"),
            ("127.0.0.1:80:3000", "{ at = \"127.0.0.1:80\", bind = 3000 }"),
            ("[::1]:80:3000", "{ at = \"[::1]:80\", bind = 3000 }"),
            ("localhost:80:3000", "{ at = \"localhost:80\", bind = 3000 }"),
            ("udp:53:5353", "{ at = \"udp:53\", bind = 5353 }"),
            ("3000", "3000"),
            ("127.0.0.1:3000", "\"127.0.0.1:3000\""),
            ("[::1]:3000", "\"[::1]:3000\""),
            ("udp:53", "\"udp:53\""),
            ("localhost:80", "\"localhost:80\""),
            // What is no address either is left to those who say so.
            ("::1:80", "\"::1:80\""),
            ("::1:80:3000", "\"::1:80:3000\""),
            ("80:70000", "\"80:70000\""),
            ("0:3000", "\"0:3000\""),
            ("/run/a:80:3000", "\"/run/a:80:3000\""),
        ] {
            assert_eq!(line(text), format!("listen = {expected}\n"));
        }
        let both = ["80:3000".to_owned(), "9000".to_owned()];
        assert_eq!(listen_line(&both).unwrap(), "listen = [{ at = 80, bind = 3000 }, 9000]\n");
    }

    #[test]
    fn finds_the_port_of_usual_sources() {
        assert_eq!(port_in("app.listen(8080, () => {})"), Some(8080));
        assert_eq!(port_in("listen(process.env.PORT || 3000)"), Some(3000));
        assert_eq!(port_in("int(os.environ.get('PORT', '5000'))"), None);
        assert_eq!(port_in("uvicorn.run(app, port=8000)"), Some(8000));
        assert_eq!(port_in("no port here 1234"), None);
    }
}
