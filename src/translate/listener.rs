//! One listener → its socket unit.
//!
//! A socket unit is named by its address alone (`api-3000.socket`), so that renaming a listener
//! does not close its port. A listener's address is never edited in place: any daemon-reload would
//! drop the port.
//!
//! `[::]` beside IPv4 is IPv6 alone (`BindIPv6Only=`), in one app and in brackets only: a bare port
//! says both families, and which of two apps had meant less would be a guess. It is part of the
//! address, so it has a unit of its own. The kernel's tables do not tell which `[::]` is so; beside
//! IPv4 it can be nothing else.
//!
//! The port of the program is no part of a listener's identity (`bind`): it is in the instances'
//! environment and under the mark of the socket unit, so that it changes by a rollout. A traced
//! program learns its true address by getsockname().

use std::net::IpAddr;

use super::group::listen_key;
use super::{UnitContext, common, mark};
use crate::ecosystem::{ListenAddress, Listener, Protocol, Role};
use crate::unit::{UnitFile, quote};

/// `api-http-3000.socket`. It belongs to no boot target: the group wants it.
pub(super) fn socket(context: &UnitContext<'_>, listener: &Listener) -> UnitFile {
    let app = context.app;
    let address = &listener.address;
    let unit = UnitFile::new(app.name.socket_unit(listener))
        .section("Unit", |s| {
            s.set("Description", quote::text(&format!("{} listener {address}", app.name)));
            common(s);
            // Each start of an instance starts its listeners, which the default limit would refuse at the sixth.
            s.set("StartLimitIntervalSec", "0");
        })
        .section("Socket", |s| {
            s.set(listen_key(address.protocol()), quote::path(&address.listen_value()));
            if address.is_only_v6() {
                s.set("BindIPv6Only", "ipv6-only");
            }
            s.set("FileDescriptorName", listener.name.as_str());
            // Normally inactive: see wake().
            s.set("Service", app.name.wake_unit().as_str());
            // Instances that flap under traffic would use up the trigger limit, and that closes
            // the port for all.
            s.set("TriggerLimitIntervalSec", "0");
            if address.protocol() == Protocol::Stream {
                s.set("Backlog", app.backlog.to_string());
            }
            if let Some(path) = address.path() {
                // As RemoveOnStop=, which is led elsewhere by whoever may change a folder on the way.
                let (close, group) = (context.helper("close"), app.name.group_unit());
                let path = quote::argument(&path.to_string_lossy());
                s.set("ExecStopPost", format!("-{close} remove {group} {path}"));
            }
            if needs_free_bind(address) {
                // The address may appear after this unit at boot.
                s.set("FreeBind", "yes");
            }
            context.pass_through(s, &app.socket);
        });
    mark(unit, context, Role::Listener, |record| record.bind = listener.bind)
}

fn needs_free_bind(address: &ListenAddress) -> bool {
    let ListenAddress::Inet { socket, .. } = address else { return false };
    let ip: IpAddr = socket.ip();
    !ip.is_unspecified() && !ip.is_loopback()
}
