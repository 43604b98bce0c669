//! How an instance is reached that has no client yet, and how its clients are let in. It decides nothing.

use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::FailedCheck;
use crate::door_client::{self, Door};
use crate::{host, limits};

/// By what an instance is reached.
#[derive(Clone, Debug)]
pub enum Way {
    /// The socket of its door.
    Door(PathBuf),
    /// Sockets of its own in the place of its listeners, until this tracer lets its clients in.
    Traced(PathBuf),
}

/// A look at a queue that nobody announces.
const GLANCE: Duration = Duration::from_millis(5);

impl Way {
    /// Makes a connection to the instance of this main process, for a listener.
    pub(super) fn connect(
        &self,
        main: u32,
        listener: SocketAddr,
        timeout: Duration,
    ) -> Result<TcpStream, FailedCheck> {
        match self {
            Way::Door(path) => through(&Door::at(path), listener, timeout),
            Way::Traced(_) => {
                let address = private(main, listener)?.address;
                let stream = TcpStream::connect_timeout(&address, timeout);
                Ok(stream.map_err(|error| format!("no connection: {error}"))?)
            }
        }
    }

    /// Whether the program accepts what [`Way::connect`] has made.
    pub(super) fn accepts(
        &self,
        main: u32,
        listener: SocketAddr,
        timeout: Duration,
    ) -> Result<(), FailedCheck> {
        // A door answers when the program has called accept(), and by that has the connection.
        let _connection = self.connect(main, listener, timeout)?;
        let deadline = Instant::now() + timeout;
        while matches!(self, Way::Traced(_)) && private(main, listener)?.waiting > 0 {
            if Instant::now() >= deadline {
                return Err("it did not accept a connection in time".to_owned().into());
            }
            // The kernel does not tell when a program has called accept().
            std::thread::sleep(GLANCE);
        }
        Ok(())
    }

    /// Fails as long as the instance cannot have clients.
    pub(super) fn listens(&self, timeout: Duration) -> Result<(), FailedCheck> {
        match self {
            // It listens when somebody answers at its door.
            Way::Door(path) => Ok(Door::at(path).state(timeout).map(drop)?),
            // It said that it is ready when it had its listeners.
            Way::Traced(_) => Ok(()),
        }
    }

    /// Lets clients in.
    pub(super) fn open(&self, main: u32, timeout: Duration) -> Result<(), FailedCheck> {
        match self {
            Way::Door(path) => Ok(Door::at(path).open(timeout)?),
            Way::Traced(tracer) => Ok(let_in(tracer, main)?),
        }
    }
}

/// Makes a connection that is handed in at a door.
pub(super) fn through(
    door: &Door,
    listener: SocketAddr,
    timeout: Duration,
) -> Result<TcpStream, FailedCheck> {
    let made = door_client::connection(listener.ip(), timeout);
    let (ours, accepted) = made.map_err(|error| format!("no connection: {error}"))?;
    door.hand_in(&accepted, listener.port(), timeout)?;
    Ok(ours)
}

fn private(main: u32, listener: SocketAddr) -> Result<host::PrivateSocket, FailedCheck> {
    host::private_socket(main, listener).ok_or_else(|| {
        format!("it has no socket in the place of its listener {listener}, by which it is checked")
            .into()
    })
}

fn let_in(tracer: &Path, main: u32) -> Result<(), String> {
    let mut command = Command::new(tracer);
    command.args(["--open", &main.to_string()]).env_clear();
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("`{}`: {error}", tracer.display()))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let line = said.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let line: String = line.chars().take(limits::HEALTH_LINE).collect();
    Err(format!("its clients cannot be let in: {line}"))
}
