//! The first ecosystem file of a project: commented, and right as far as can be seen. Pure.

/// What was seen of a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// Name of the app.
    pub name: String,
    /// How it starts.
    pub start: Start,
    /// The port that its source seems to listen on.
    pub port: Option<u16>,
}

/// How a project starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// A script that an interpreter runs by its extension.
    Script(String),
    /// A command line.
    Command(Vec<String>),
    /// Nothing was recognised.
    Unknown,
}

/// The port of every tutorial.
const DEFAULT_PORT: u16 = 3000;

/// The text of an ecosystem file for a project.
pub fn starter(project: &Project) -> String {
    let port = project.port.unwrap_or(DEFAULT_PORT);
    let quoted = |text: &str| toml::Value::from(text).to_string();
    let start = match &project.start {
        Start::Script(script) => format!("script = {}", quoted(script)),
        Start::Command(words) => {
            let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
            format!("command = [{}]", words.join(", "))
        }
        Start::Unknown => {
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
    use super::*;

    #[test]
    fn finds_the_port_of_usual_sources() {
        assert_eq!(port_in("app.listen(8080, () => {})"), Some(8080));
        assert_eq!(port_in("listen(process.env.PORT || 3000)"), Some(3000));
        assert_eq!(port_in("int(os.environ.get('PORT', '5000'))"), None);
        assert_eq!(port_in("uvicorn.run(app, port=8000)"), Some(8000));
        assert_eq!(port_in("no port here 1234"), None);
    }
}
