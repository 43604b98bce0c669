//! A folder with an ecosystem file, and hosts that are shell scripts.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// Three hosts with an app.
pub const SHOP: &str = "\
[[apps]]
name = \"api\"
script = \"server.js\"

[[hosts]]
name = \"web1\"
[[hosts]]
name = \"web2\"
[[hosts]]
name = \"web3\"
";

/// What a host of this version says first.
pub const BEGIN: &str = r#"{"event":"begin","program":"clusterctl","version":"0.1.0","format":1}"#;

/// A shell function for each kind of line, for scripts of hosts.
const WORDS: &str = r#"
begin() { echo '{"event":"begin","program":"clusterctl","version":"0.1.0","format":1}'; }
data() { printf '{"event":"data","value":%s}\n' "$1"; }
out() { printf '{"event":"out","text":"%s"}\n' "$1"; }
err() { printf '{"event":"err","text":"%s"}\n' "$1"; }
end() { printf '{"event":"end","code":%s}\n' "$1"; exit "$1"; }
plan() { data '{"event":"plan","version":1,"changes":true,"text":"api:\n  replace 2 instances (changed)\n","diff":"","apps":[]}'; }
done_() { data "{\"event\":\"done\",\"app\":\"api\",\"success\":true,\"text\":\"api: 2 replaced\"}"; }
"#;

/// The usual host: a plan when it is asked for one, else the work.
pub const GOOD: &str = r#"
begin
case "$1" in
*--dry-run*) plan; end 0 ;;
*' list'*) data '{"version":1,"instances":[]}'; end 0 ;;
esac
done_
end 0
"#;

pub struct Stage {
    root: tempfile::TempDir,
}

impl Stage {
    pub fn new(file: &str) -> Stage {
        let root = tempfile::tempdir().unwrap();
        for folder in ["bin", "hosts", "run", "shop"] {
            fs::create_dir(root.path().join(folder)).unwrap();
        }
        fs::set_permissions(root.path().join("run"), PermissionsExt::from_mode(0o700)).unwrap();
        let stage = Stage { root };
        stage.write("shop/ecosystem.toml", file);
        let hosts = stage.path("hosts");
        let hosts = hosts.display();
        // The last three words are `--`, the host and the command line for its shell.
        let ssh = format!(
            "#!/bin/sh\nfor word; do case \"$word\" in --) shift; break ;; *) shift ;; esac; done\n\
             echo \"$1 $2\" >> {hosts}/log\n\
             [ -e {hosts}/$1 ] || {{ echo \"ssh: Could not resolve hostname $1\" >&2; exit 255; }}\n\
             export HOSTS={hosts} NAME=$1\nexec /bin/sh {hosts}/$1 \"$2\"\n"
        );
        stage.write("bin/ssh", &ssh);
        fs::set_permissions(stage.path("bin/ssh"), PermissionsExt::from_mode(0o755)).unwrap();
        stage
    }

    /// Three hosts that do what they are told.
    pub fn shop() -> Stage {
        let stage = Stage::new(SHOP);
        ["web1", "web2", "web3"].iter().for_each(|host| stage.host(host, GOOD));
        stage
    }

    /// A host, as a script whose first argument is the command line.
    pub fn host(&self, name: &str, script: &str) {
        self.write(&format!("hosts/{name}"), &format!("{WORDS}{script}"));
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// The command lines that hosts got, each behind its host.
    pub fn log(&self) -> Vec<String> {
        self.read("hosts/log").lines().map(str::to_owned).collect()
    }

    /// The hosts that were worked on, in order.
    pub fn worked(&self) -> Vec<String> {
        let log = self.log();
        let work = log.iter().filter(|line| !line.contains("--dry-run") && !line.contains(" list"));
        work.map(|line| line.split(' ').next().unwrap().to_owned()).collect()
    }

    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_clusterctl"));
        let path = format!("{}:/usr/bin:/bin", self.path("bin").display());
        command.args(words).current_dir(self.path("shop")).stdin(Stdio::null());
        command.env("PATH", path).env("XDG_RUNTIME_DIR", self.path("run"));
        command.env("PWD", self.path("shop")).env_remove("NO_COLOR");
        command
    }

    /// Exit code, standard output and standard error.
    pub fn said(&self, words: &[&str]) -> (i32, String, String) {
        let output = self.command(words).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    pub fn start(&self, words: &[&str]) -> Child {
        self.command(words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }
}
