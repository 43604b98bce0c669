//! An ordinary user of a machine, whose own service manager runs all the time (lingering).

use std::{ffi::OsStr, process::Command};

use super::{child::Child, enter::Output, machine::Machine};

/// A user whose `systemd --user` runs.
#[derive(Debug)]
pub struct User<'m> {
    machine: &'m Machine,
    name: String,
    /// Her numeric id.
    pub uid: u32,
}

impl Machine {
    /// Creates a user (or takes the one of that name) and starts her manager.
    pub fn user(&self, name: &str) -> User<'_> {
        if self.run(["id", name]).code != 0 {
            self.ok(["useradd", "--create-home", "--shell", "/bin/sh", name]);
        }
        let uid: u32 = self.ok(["id", "-u", name]).parse().unwrap();
        self.ok(["loginctl", "enable-linger", name]);
        self.ok(["systemctl", "start", &format!("user@{uid}.service")]);
        User { machine: self, name: name.to_owned(), uid }
    }
}

impl User<'_> {
    /// Prepares a command that runs as the user, with the address of her bus.
    pub fn command<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Command {
        let (name, uid) = (&self.name, self.uid);
        let become_user = [
            "setpriv".to_owned(),
            format!("--reuid={name}"),
            format!("--regid={name}"),
            "--init-groups".to_owned(),
            // The change of user has cleared the parent-death signal that was set before.
            "--pdeathsig=KILL".to_owned(),
            "--".to_owned(),
        ];
        let args: Vec<A> = args.into_iter().collect();
        let words = become_user.iter().map(OsStr::new);
        let mut command = self.machine.command(words.chain(args.iter().map(AsRef::as_ref)));
        command
            .env("HOME", format!("/home/{name}"))
            .env("USER", name)
            .env("LOGNAME", name)
            .env("XDG_RUNTIME_DIR", format!("/run/user/{uid}"))
            .env("DBUS_SESSION_BUS_ADDRESS", format!("unix:path=/run/user/{uid}/bus"));
        command
    }

    /// Runs a command to its end.
    pub fn run<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Output {
        let args: Vec<A> = args.into_iter().collect();
        let deadline = ["timeout", "--kill-after=1", "120"].map(OsStr::new);
        let args = deadline.into_iter().chain(args.iter().map(AsRef::as_ref));
        Output::of(&mut self.command(args))
    }

    /// Runs a command that must succeed, and gives its standard output without the last newline.
    ///
    /// # Panics
    /// With the whole output, when the command fails.
    pub fn ok<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> String {
        let output = self.run(args);
        assert!(output.code == 0, "as {}: {output:?}", self.name);
        output.stdout.trim_end_matches('\n').to_owned()
    }

    /// Starts a command and lets it run.
    pub fn spawn<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Child {
        Child::of(&mut self.command(args))
    }

    /// Writes a file that belongs to the user.
    pub fn write(&self, path: &str, text: &str) {
        self.machine.write(path, text);
        self.machine.ok([
            "chown",
            "-R",
            &format!("{0}:{0}", self.name),
            &format!("/home/{}", self.name),
        ]);
        self.machine.ok(["chown", &format!("{0}:{0}", self.name), path]);
    }
}
