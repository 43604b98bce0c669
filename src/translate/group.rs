//! The units that tie an app together: group, wake unit and slice.
//!
//! The group waits, and sees listeners closed, by a program and its script (`clusterctl-exec --group`, `units/group`), not by `Before=` and
//! `PropagatesStopTo=`. From 253 on `PropagatesStopTo=` restarts the sockets when the group is
//! restarted; no declaration closes them on stop and keeps them on restart on all versions. The
//! script looks at the group's own job. With `Before=`, a stop would return while instances drain.
//!
//! At a stop, clients come before instances (`units/close`): whoever has connected is answered,
//! everybody else refused. Closing a listener refuses nobody while instances that drain hold copies
//! of it, and shutdown(2) resets who waits in its queue. Hence three steps: a socket filter drops
//! the first segment of new connections (they try again a second later), and instances accept who
//! is in the queue; then instances are asked to stop; and as soon as none of them waits on the
//! listener any more, systemd closes it and shutdown(2) makes the kernel refuse, also while copies
//! are open, and frees the address for a start that overtakes the stop. A program that still waited
//! on it would take that for an error (Node ends). Unix listeners lose their path instead of the
//! filter. The descriptors are copied from the manager (pidfd_getfd(2)), which gives them to no
//! program that runs at a stop; where that is forbidden, clients are lost as they would be without.
//!
//! `api-close.service` is a unit of its own, ordered after the instances at a start and so stopped
//! before them. While the stop of a *listener* waits for instances, systemd accepts its clients to
//! drop them (`flush_ports()` in its socket.c), so listeners are stopped last; at a shutdown of the
//! machine, where it is systemd that stops them, a few may be dropped so.
//!
//! `TimeoutStopSec=` of the group is finite: a group that cannot be stopped would hold up a
//! shutdown.
//!
//! The `--env` of an app is noted in its group unit, not in the history, which forgets after twenty
//! entries.

use std::time::Duration;

use super::{GroupRecord, UnitContext, boot_target, common, joined, mark, socket_names, span};
use crate::ecosystem::{Protocol, Role};
use crate::unit::{UnitFile, quote};

/// `api.service`: what an admin starts, stops, reloads and enables.
///
/// Its instances are wanted through `api.service.wants/` links, so that scaling rewrites no unit.
pub(super) fn group(context: &UnitContext<'_>) -> UnitFile {
    let app = context.app;
    let sockets = joined(&socket_names(app));
    let program = quote::executable(&context.target.program.to_string_lossy());
    let flag = if context.user() { " --user" } else { "" };
    let (helper, script) = (context.helper("clusterctl-exec"), context.helper("group"));
    let verb = if context.user() { "--group-user" } else { "--group" };
    let waits = format!("{helper} {verb} %t/clusterctl/%n {script}");
    let unit = UnitFile::new(app.name.group_unit())
        .section("Unit", |s| {
            s.set("Description", format!("{} (all instances)", app.name));
            common(s);
            if !sockets.is_empty() {
                s.set("Wants", format!("{sockets} {}", app.name.close_unit()));
            }
            for role in app.roles().filter(|role| role.is_trigger() && *role != Role::Listener) {
                s.set("Wants", app.name.unit_of(role).as_str());
            }
            if !context.user() {
                s.set("After", "network.target");
            }
            // The default limit would refuse the sixth start within ten seconds.
            s.set("StartLimitIntervalSec", "0");
        })
        .section("Service", |s| {
            s.set("Type", "oneshot").set("RemainAfterExit", "yes");
            // Joins the instances' jobs, so that a start returns when all are ready. Ordering the
            // instances before the group instead would let a stop return while they drain.
            let start = format!("{waits} start %n {sockets}");
            s.set("ExecStart", start.trim_end());
            s.set("ExecReload", format!("{program}{flag} rollout {}", app.name));
            // A stop closes the listeners, a restart must not: PropagatesStopTo= cannot tell the
            // two apart from systemd 253 on. It also runs when a start is interrupted.
            let stop = format!("{waits} stop %n %t/clusterctl {sockets}");
            s.set("ExecStopPost", stop.trim_end());
            // A rollout lasts as long as its instances need; each of them has a deadline.
            s.set("TimeoutStartSec", "infinity");
            // A group that cannot be stopped would hold up a shutdown. Instances accept who waits,
            // then finish what they have begun.
            s.set("TimeoutStopSec", span(app.process.kill_timeout * 2 + Duration::from_secs(30)));
            // A stop during a reload ends the rollout between two instances.
            s.set("SuccessExitStatus", "SIGTERM");
            s.set("NotifyAccess", "all");
        })
        .section("Install", |s| {
            s.set("WantedBy", boot_target(context));
        });
    mark(unit, context, Role::Group, |record| record.group = GroupRecord::of(app))
}

/// `api-wake.service`: a listener refuses to start when its own service is active, and would wake
/// nobody when it is, hence a unit that is normally inactive.
pub(super) fn wake(context: &UnitContext<'_>) -> UnitFile {
    let app = context.app;
    let unit = UnitFile::new(app.name.wake_unit())
        .section("Unit", |s| {
            s.set("Description", format!("{} (started by a connection)", app.name));
            common(s);
            s.set("StartLimitIntervalSec", "0");
        })
        .section("Service", |s| {
            s.set("Type", "oneshot");
            let (group, template) = (app.name.group_unit(), app.name.template_unit());
            let (helper, script) = (context.helper("clusterctl-exec"), context.helper("wake"));
            let verb = if context.user() { "--wake-user" } else { "--wake" };
            let words = format!("{script} %t/clusterctl {group} {template}");
            let line = format!(
                "{helper} {verb} %t/clusterctl/{group} {words} {}",
                joined(&socket_names(app))
            );
            s.set("ExecStart", line.trim_end());
            // The manager starts it again for a connection that waits, at once and without an end: where it cannot be
            // executed, that would take a processor. While it is to be restarted, the listener waits for it.
            s.set("Restart", "on-failure").set("RestartSec", "1");
        });
    mark(unit, context, Role::Wake, |_| {})
}

/// `api-close.service`: active while the app is up, and ordered after its instances, so that it is
/// stopped before any of them is asked to stop. No other unit of an app has that place.
pub(super) fn close(context: &UnitContext<'_>) -> UnitFile {
    let app = context.app;
    let unit = UnitFile::new(app.name.close_unit())
        .section("Unit", |s| {
            s.set("Description", format!("{} (closes its listeners at a stop)", app.name));
            common(s);
            s.set("PartOf", app.name.group_unit().as_str());
            s.set("StartLimitIntervalSec", "0");
        })
        .section("Service", |s| {
            s.set("Type", "oneshot").set("RemainAfterExit", "yes");
            let (group, close) = (app.name.group_unit(), context.helper("close"));
            let (millis, sockets) =
                (app.process.kill_timeout.as_millis(), joined(&socket_names(app)));
            s.set("ExecStop", format!("{close} hold {group} {millis} {sockets}"));
            s.set("TimeoutStopSec", span(app.process.kill_timeout + Duration::from_secs(10)));
        });
    mark(unit, context, Role::Close, |_| {})
}

/// One slice per app: limits of the whole app, and one cgroup to read.
pub(super) fn slice(context: &UnitContext<'_>) -> UnitFile {
    let app = context.app;
    let mut unit = UnitFile::new(app.name.slice_unit()).section("Unit", |s| {
        s.set("Description", format!("{} (all processes)", app.name));
        common(s);
    });
    if !app.slice.is_empty() {
        unit = unit.section("Slice", |s| {
            context.pass_through(s, &app.slice);
        });
    }
    mark(unit, context, Role::Slice, |_| {})
}

/// `ListenStream` or `ListenDatagram`.
pub(super) fn listen_key(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Stream => "ListenStream",
        Protocol::Datagram => "ListenDatagram",
    }
}
