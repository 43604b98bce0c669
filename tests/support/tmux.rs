//! A real terminal of a given size: tmux on this host, whose window runs a shell.
#![allow(dead_code, reason = "each test target compiles this module and uses its own part of it")]

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A tmux server with one window; dropping it ends both.
#[derive(Debug)]
pub struct Tmux {
    /// The socket of a server of its own.
    server: PathBuf,
}

const DEADLINE: Duration = Duration::from_secs(60);

impl Tmux {
    /// A window of so many columns and lines, in which this shell runs with nothing but its own variables. Its prompt
    /// is `% `.
    ///
    /// # Panics
    /// Without tmux.
    pub fn of(shell: &Command, width: u32, height: u32) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("clusterctl-tmux-{}-{number}", std::process::id());
        let tmux = Self { server: std::env::temp_dir().join(name) };
        let words = std::iter::once(shell.get_program()).chain(shell.get_args());
        let words = words.map(quoted).collect::<Vec<_>>().join(" ");
        let envs = shell.get_envs().filter_map(|(name, value)| Some((name, value?)));
        let envs: Vec<String> = envs.map(|(n, v)| format!("{}={}", quoted(n), quoted(v))).collect();
        let line = format!("exec env -i {} {words}", envs.join(" "));
        let size = [width.to_string(), height.to_string()];
        tmux.ok(&["-f", "/dev/null", "new-session", "-d", "-x", &size[0], "-y", &size[1], &line]);
        tmux.ok(&["set-option", "-g", "status", "off"]);
        tmux.ok(&["resize-window", "-x", &size[0], "-y", &size[1]]);
        tmux.wait_for("%");
        tmux
    }

    fn ok(&self, args: &[&str]) -> String {
        let mut tmux = Command::new("tmux");
        let output = tmux.arg("-S").arg(&self.server).args(args).env("LC_ALL", "C.UTF-8").output();
        let output = output.unwrap();
        assert!(output.status.success(), "{args:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Types a text as it stands; a line feed is typed as the Enter key, which sends a carriage return.
    pub fn type_in(&self, text: &str) {
        self.ok(&["send-keys", "-l", "--", &text.replace('\n', "\r")]);
    }

    /// Presses a key by tmux' name for it: `Enter`, `Escape`, `C-c`.
    pub fn press(&self, key: &str) {
        self.ok(&["send-keys", key]);
    }

    /// The text that the window shows.
    pub fn screen(&self) -> String {
        self.ok(&["capture-pane", "-p"])
    }

    /// What the window shows once that is as it should be; else what it shows after the limit.
    fn within(&self, limit: Duration, is_right: impl Fn(&str) -> bool) -> Result<String, String> {
        let end = Instant::now() + limit;
        loop {
            let screen = self.screen();
            if is_right(&screen) {
                return Ok(screen);
            }
            if Instant::now() >= end {
                return Err(screen);
            }
            // A window sends no event when it changes.
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until the window shows a text.
    pub fn wait_for(&self, text: &str) -> String {
        let shown = self.within(DEADLINE, |screen| screen.contains(text));
        shown.unwrap_or_else(|screen| panic!("{text} is not shown:\n{screen}"))
    }

    /// Whether the window stops showing a text within two seconds.
    pub fn is_soon_without(&self, text: &str) -> bool {
        self.within(Duration::from_secs(2), |screen| !screen.contains(text)).is_ok()
    }

    /// Waits until the window does not show a text any more.
    pub fn wait_without(&self, text: &str) {
        let shown = self.within(DEADLINE, |screen| !screen.contains(text));
        shown.unwrap_or_else(|screen| panic!("{text} is still shown:\n{screen}"));
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        // A server that has ended by itself cannot be ended again.
        let _ = Command::new("tmux").arg("-S").arg(&self.server).arg("kill-server").output();
        let _ = std::fs::remove_file(&self.server);
    }
}

fn quoted(word: &OsStr) -> String {
    format!("'{}'", word.to_str().unwrap().replace('\'', r"'\''"))
}
