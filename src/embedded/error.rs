//! What can keep the private manager from running, each with the next step. It never prints.

use std::{fmt, io};

/// Why there is no private manager. Reads after "failed to start the private manager: ".
#[derive(Debug)]
pub enum Error {
    /// A program that has to be installed is not; `package` is its name in Debian.
    Missing {
        /// The file that was looked for.
        program: &'static str,
        /// The Debian package that has it.
        package: &'static str,
    },
    /// The kernel or the container forbids private namespaces.
    Forbidden(io::Error),
    /// There is no cgroup that this user may write to, and systemd does not start without one.
    NoCgroup,
    /// A step of the set-up failed; `doing` completes "while …".
    Step {
        /// What was being done, as in "mounting /proc".
        doing: String,
        /// What the system said.
        source: io::Error,
    },
    /// The manager ended, or stayed silent, before it was ready.
    NotReady(String),
}

impl Error {
    /// Names the step in which `source` came up.
    pub(super) fn step<E: Into<io::Error>>(doing: impl Into<String>) -> impl FnOnce(E) -> Self {
        let doing = doing.into();
        move |source| Self::Step { doing, source: source.into() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { program, package } => {
                write!(out, "{program} is not installed; try: apt-get install {package}")
            }
            Self::Forbidden(source) => write!(
                out,
                "private namespaces are not allowed here ({source}); run it as root, or allow \
                 user namespaces: sysctl user.max_user_namespaces=10000 (on Ubuntu also \
                 kernel.apparmor_restrict_unprivileged_userns=0); in a container: \
                 --privileged, or --cap-add SYS_ADMIN --security-opt seccomp=unconfined \
                 --security-opt apparmor=unconfined"
            ),
            Self::NoCgroup => write!(
                out,
                "no cgroup of this user's own, which systemd needs; where systemd runs, try: \
                 systemd-run --user --scope --property=Delegate=yes clusterctl dev; elsewhere \
                 run it as root"
            ),
            Self::Step { doing, source } => write!(out, "{doing}: {source}"),
            Self::NotReady(why) => write!(out, "systemd did not become ready: {why}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Forbidden(source) | Self::Step { source, .. } => Some(source),
            Self::Missing { .. } | Self::NoCgroup | Self::NotReady(_) => None,
        }
    }
}
