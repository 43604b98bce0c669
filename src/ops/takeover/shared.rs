//! Ports on which PM2's process and systemd listen at the same time. It never closes a socket in which somebody
//! waits.

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use super::RunningPm2;
use super::migrate::Migration;
use crate::disk;
use crate::ecosystem::{App, ListenAddress, Protocol};
use crate::handover::contract;
use crate::host;
use crate::import::Pm2Process;
use crate::ops::{Context, Error};
use crate::unit::UnitName;

/// Time after the turn in which handshakes that had begun come to their end: a client has to answer once, and
/// one that is slower than this is slower than any network.
const HANDSHAKES: Duration = crate::limits::HANDSHAKES;

/// What is needed to share the ports of one app.
#[derive(Debug)]
pub(super) struct Shared {
    ports: Vec<Port>,
    tracer: PathBuf,
    /// Of the process that accepts: for an app in cluster mode PM2's daemon, which accepts for others too.
    cluster: bool,
    /// Whoever waits at a socket that closes goes to the other one.
    migration: Migration,
}

/// One port.
#[derive(Debug)]
struct Port {
    address: ListenAddress,
    unit: UnitName,
    /// A copy of the socket of PM2's process.
    theirs: OwnedFd,
    open: bool,
}

/// Numbers of the sockets in the order in which they joined.
const THEIRS: u32 = 0;
const OURS: u32 = 1;

impl Shared {
    /// Prepares every socket of PM2's that an app listens on, and the units that will open beside them. The first
    /// reason why that is not possible, before anything was changed that matters.
    pub(super) fn begin(
        context: &Context,
        pm2: &RunningPm2,
        own: &[&Pm2Process],
        app: &App,
    ) -> Result<Shared, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("only root may share a port with a process of PM2's".to_owned());
        }
        context.install_helpers().map_err(|error| error.to_string())?;
        let mut ports = Vec::new();
        for listener in &app.listeners {
            let address = &listener.address;
            let theirs = copy(pm2, own, address)?;
            share(&theirs, address)?;
            let unit = app.name.socket_unit(listener);
            ports.push(Port { address: address.clone(), unit, theirs, open: false });
        }
        for port in &ports {
            let written = disk::share_port(&context.layout, &port.unit);
            written.map_err(|error| error.to_string())?;
        }
        let tracer = context.handover().dir.join(contract::TRACER);
        let cluster = own.iter().any(|process| process.cluster);
        let shared = Shared { ports, tracer, cluster, migration: Migration::on() };
        for port in &shared.ports {
            // Where it fails, the choice is made once the socket unit has opened, a moment later.
            let _ = shared.steer_beforehand(port);
        }
        Ok(shared)
    }

    /// Says that PM2's process gets new clients before the socket unit opens, so that nobody waits in the queue of
    /// the unit's socket meanwhile, where no instance accepts yet. The kernel takes the choice only for sockets that
    /// share their port already: for a moment one of ours does, whose filter lets nobody in. A client that comes to
    /// it asks again a second later. The choice outlives it, as long as PM2's socket listens.
    fn steer_beforehand(&self, port: &Port) -> Option<()> {
        use rustix::net;
        let address = net::getsockname(&port.theirs).ok()?;
        let companion =
            net::socket(address.address_family(), net::SocketType::STREAM, None).ok()?;
        // As the manager does: connections of PM2's process have the address, too.
        net::sockopt::set_socket_reuseaddr(&companion, true).ok()?;
        net::sockopt::set_socket_reuseport(&companion, true).ok()?;
        if let Ok(only) = net::sockopt::ipv6_v6only(&port.theirs) {
            net::sockopt::set_ipv6_v6only(&companion, only).ok()?;
        }
        net::bind(&companion, &address).ok()?;
        let mut hold = Command::new(&self.tracer);
        hold.args(["--hold", "0"]);
        if !self.run(hold, &companion) {
            return None;
        }
        net::listen(&companion, 1).ok()?;
        self.steer(port, THEIRS).then_some(())
    }

    /// A socket unit has opened: until its instances are ready, clients go where they went before.
    pub(super) fn opened(&mut self, unit: &UnitName) {
        if let Some(at) = self.ports.iter().position(|port| port.unit == *unit) {
            self.ports[at].open = true;
            self.steer(&self.ports[at], THEIRS);
        }
    }

    /// New clients go to the instances from now on; what PM2's processes have begun they finish.
    pub(super) fn turn(&self, own: &[&Pm2Process], limit: Duration) {
        self.ports.iter().for_each(|port| {
            self.steer(port, OURS);
        });
        // Clients whose handshake has begun come into the queue of PM2's socket, and are accepted there. The kernel
        // tells nobody when the last of them has.
        std::thread::sleep(HANDSHAKES);
        let drains: Vec<_> =
            own.iter().filter_map(|process| self.drain(process.pid?, limit)).collect();
        for mut child in drains {
            // Whether the drain ended well or not, PM2 stops the process next.
            let _ = child.wait();
        }
    }

    /// New clients go to PM2's processes again.
    pub(super) fn turn_back(&self) {
        self.ports.iter().filter(|port| port.open).for_each(|port| {
            self.steer(port, THEIRS);
        });
    }

    /// Leaves no trace: the socket units are as they are written, and nobody else can join their ports.
    pub(super) fn end(self, context: &Context) -> Result<(), Error> {
        for port in &self.ports {
            disk::unshare_port(&context.layout, &port.unit)?;
        }
        context.reread_units()?;
        let own: Vec<ListenAddress> = self.ports.iter().map(|port| port.address.clone()).collect();
        // The copies of PM2's sockets close here.
        drop(self.ports);
        drop(self.migration);
        for address in &own {
            for inode in host::listening_inodes(address) {
                if let Some(socket) = host::descriptor(1, inode).and_then(|fd| copied(1, fd).ok()) {
                    // The manager's socket stays what it is where the kernel forbids the copy.
                    let _ = rustix::net::sockopt::set_socket_reuseport(&socket, false);
                }
            }
        }
        Ok(())
    }

    fn steer(&self, port: &Port, place: u32) -> bool {
        let mut command = Command::new(&self.tracer);
        command.arg("--steer").arg(place.to_string());
        self.run(command, &port.theirs)
    }

    /// Runs a command that inherits a socket, whose number is its last argument.
    fn run(&self, mut command: Command, socket: &OwnedFd) -> bool {
        let Ok(inherited) = inheritable(socket) else { return false };
        command.arg(inherited.as_raw_fd().to_string());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }

    /// Waits until a process has finished what it has begun, from outside.
    fn drain(&self, pid: u32, limit: Duration) -> Option<std::process::Child> {
        let millis = limit.max(crate::limits::TAKEOVER_DRAIN).as_millis().to_string();
        let mut command = Command::new(&self.tracer);
        // No signal: the handler that PM2 puts into every Node process ends it at once.
        command.args(["--drain", &pid.to_string(), &millis, "-", &millis]);
        let mut inherited = Vec::new();
        if self.cluster {
            for port in &self.ports {
                let socket = inheritable(&port.theirs).ok()?;
                command.arg(socket.as_raw_fd().to_string());
                inherited.push(socket);
            }
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()
    }
}

/// A copy that children inherit.
fn inheritable(socket: &OwnedFd) -> rustix::io::Result<OwnedFd> {
    rustix::io::dup(socket)
}

/// A copy of the socket with which PM2's processes listen on an address.
fn copy(pm2: &RunningPm2, own: &[&Pm2Process], address: &ListenAddress) -> Result<OwnedFd, String> {
    let inodes = host::listening_inodes(address);
    let [inode] = inodes.as_slice() else {
        return Err(format!("{address} is not one socket of PM2's: {} listen there", inodes.len()));
    };
    let pids = own.iter().filter_map(|process| process.pid).flat_map(host::family);
    let found =
        pids.chain([pm2.daemon]).find_map(|pid| Some((pid, host::descriptor(pid, *inode)?)));
    let Some((pid, fd)) = found else {
        return Err(format!("{address} is held by no process of PM2's"));
    };
    copied(pid, fd).map_err(|error| {
        format!("the kernel gives no copy of the socket of process {pid}: {error}")
    })
}

fn copied(pid: u32, fd: i32) -> rustix::io::Result<OwnedFd> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(rustix::io::Errno::SRCH)?;
    let process = pidfd_open(pid, PidfdFlags::empty())?;
    pidfd_getfd(&process, fd, PidfdGetfdFlags::empty())
}

/// Makes a socket one beside which another one of root's may open.
fn share(socket: &OwnedFd, address: &ListenAddress) -> Result<(), String> {
    let ListenAddress::Inet { protocol: Protocol::Stream, .. } = address else {
        return Err(format!("{address} is no TCP port"));
    };
    let failed =
        |error: rustix::io::Errno| format!("the kernel does not let {address} be shared: {error}");
    let root = Some(rustix::fs::Uid::ROOT);
    rustix::fs::fchown(socket, root, None).map_err(failed)?;
    rustix::net::sockopt::set_socket_reuseport(socket, true).map_err(failed)
}
