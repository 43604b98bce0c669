//! A real container engine: podman, in a root of its own. No registry is asked: the base image is made of
//! packages of the Debian release that the recipe names.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use super::{
    cgroup::{PREFIX, Place},
    command::succeed,
    roots, skip,
};

/// A container engine that takes commands; dropping it ends its containers.
#[derive(Debug)]
pub struct Engine {
    process: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    dir: PathBuf,
    _place: Place,
}

const INSTALL: &str = "apt-get update && apt-get install --yes --no-install-recommends podman crun \
    && rm -rf /var/lib/apt/lists/*";

impl Engine {
    /// Starts an engine that has the image `debian:SUITE-slim`, in a directory with the files that recipes copy.
    ///
    /// # Panics
    /// With the engine's output, when it does not start.
    pub fn start(suite: &str) -> Self {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let name = format!("{PREFIX}-{}-podman-{number}", std::process::id());
        let dir = skip::target_dir().join("containers").join(&name);
        let context = dir.join("context");
        fs::create_dir_all(context.join("target/release")).unwrap();
        for from in ["packaging", "examples"] {
            let from = Path::new(env!("CARGO_MANIFEST_DIR")).join(from);
            succeed(Command::new("cp").arg("-a").arg(from).arg(&context));
        }
        let program = context.join("target/release/clusterctl");
        // Symbols are most of a debug build's size.
        succeed(Command::new("strip").arg(env!("CARGO_BIN_EXE_clusterctl")).arg("-o").arg(program));
        let place = Place::create(&name);
        let enter = r#"while [ "$1" != -- ]; do echo $$ >"$1"; shift; done; shift; exec "$@""#;
        let mut command = Command::new("sh");
        command.args(["-ec", enter, "sh"]).args(place.procs()).arg("--");
        command.args(["setpriv", "--pdeathsig=KILL", "unshare", "--mount", "--pid", "--ipc"]);
        command.args(["--uts", "--cgroup", "--fork", "--kill-child"]);
        command.args(["sh", "-c", include_str!("podman.sh"), "podman.sh"]);
        command.arg(roots::prepare_with(suite, &[INSTALL])).arg(roots::prepare_with(suite, &[]));
        command.arg(format!("docker.io/library/debian:{suite}-slim")).arg(&dir).arg(&context);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut process = command.spawn().unwrap();
        let stdin = process.stdin.take();
        let stdout = BufReader::new(process.stdout.take().unwrap());
        let mut engine = Self { process, stdin, stdout, dir, _place: place };
        engine.answer("starting the engine");
        engine
    }

    /// Runs a shell script that must succeed within ten minutes, and gives its output.
    ///
    /// # Panics
    /// With the output, when the script fails.
    pub fn ok(&mut self, script: &str) -> String {
        let quoted = script.replace('\'', r"'\''");
        let line = format!(
            "said=$(timeout 600 sh -ec '{quoted}' 2>&1 </dev/null); code=$?; echo \"$said\"; \
             echo \"$code ready\"\n"
        );
        self.stdin.as_mut().unwrap().write_all(line.as_bytes()).unwrap();
        self.answer(script)
    }

    fn answer(&mut self, what: &str) -> String {
        let mut said = String::new();
        loop {
            let mut line = String::new();
            let length = self.stdout.read_line(&mut line).unwrap();
            assert_ne!(length, 0, "{what}: the engine has ended:\n{said}");
            match line.strip_suffix(" ready\n") {
                Some("0") => return said.trim_end().to_owned(),
                Some(code) if code.parse::<u8>().is_ok() => panic!("{what}: {code}\n{said}"),
                _ => said.push_str(&line),
            }
        }
    }

    /// The number, on this host, of a process in the network of a container.
    ///
    /// # Panics
    /// When the container does not run.
    pub fn inside(&mut self, container: &str) -> u32 {
        let pid = format!("podman inspect --format '{{{{.State.Pid}}}}' {container}");
        let network = self.ok(&format!("readlink /proc/$({pid})/ns/net"));
        let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
        let of_it = |path: PathBuf| {
            fs::read_link(path.join("ns/net")).is_ok_and(|link| link == Path::new(&network))
        };
        let mut found = processes
            .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
            .filter(|pid| of_it(PathBuf::from(format!("/proc/{pid}"))));
        found.next().unwrap_or_else(|| panic!("nobody is in {network}"))
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.dir);
    }
}
