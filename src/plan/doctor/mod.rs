//! Facts about the machine and its apps → findings, each with the command that mends it.
//!
//! Pure: `ops` collects the facts. A fact that could not be had is no finding about an app; it is named
//! among what was not looked at.

mod app;
mod cluster;
mod facts;
mod listeners;
mod machine;
mod words;

use std::collections::BTreeMap;

pub use cluster::{ClusterAgent, ClusterResource, cluster_resources};
pub use facts::{AppFacts, Cgroups, JournalFacts, MachineFacts, Run};
use words::Words;

use crate::ecosystem::{AppName, Scope};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FindingSeverity {
    /// As it should be.
    Ok,
    /// Good to know; nothing to do.
    Note,
    /// It serves, and will not in some situation.
    Warning,
    /// Something does not work.
    Problem,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: FindingSeverity,
    /// The app; `None` is the machine.
    pub app: Option<AppName>,
    /// Which check found it; stable, for programs.
    pub check: &'static str,
    /// What was found.
    pub text: String,
    /// The command that mends it.
    pub mend: Option<String>,
}

/// Looks at everything. What is about the machine comes first, then the apps by name, in each the
/// worst first.
pub fn findings(
    scope: Scope,
    machine: &MachineFacts,
    apps: &BTreeMap<AppName, AppFacts>,
) -> Vec<Finding> {
    let mut all = Vec::new();
    let mut add = |app: Option<&AppName>, mut found: Vec<Finding>| {
        for finding in &mut found {
            finding.app = app.cloned();
        }
        found.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        all.extend(found);
    };
    add(None, machine::check(scope, machine, apps));
    for (name, facts) in apps {
        add(Some(name), app::check(&Words { app: name, scope }, facts));
    }
    all
}

/// Whether something does not work.
pub fn has_problem(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.severity == FindingSeverity::Problem)
}

fn finding(
    severity: FindingSeverity,
    check: &'static str,
    text: String,
    mend: Option<String>,
) -> Finding {
    Finding { severity, app: None, check, text, mend }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use super::*;
    use crate::ecosystem::Role;
    use crate::plan::{ObservedFile, ObservedInstance};
    use crate::unit::{ActiveState, UnitName};

    fn api() -> AppName {
        AppName::parse("api").unwrap()
    }

    fn file(text: &str) -> ObservedFile {
        ObservedFile { text: text.to_owned(), modified: 5 }
    }

    /// An app of two instances in which nothing is wrong.
    fn healthy() -> AppFacts {
        let socket = UnitName::parse("api-3000.socket").unwrap();
        let mut facts = AppFacts::default();
        let observed = &mut facts.observed;
        let group = file("[X-Clusterctl]\nApp=api\nInstances=2\n");
        observed.units.insert(api().group_unit(), group);
        let template = file("[Service]\nLimitNOFILE=1024:4096\nSockets=api-3000.socket\n");
        observed.units.insert(api().template_unit(), template);
        for unit in [api().slice_unit(), api().wake_unit(), api().close_unit()] {
            observed.units.insert(unit, file(""));
        }
        observed.units.insert(socket.clone(), file("[Socket]\nBacklog=4096\n"));
        observed.triggers.insert(socket, ActiveState::Active);
        observed.source = Some("/srv/api/ecosystem.toml".into());
        observed.links = [0, 1].into();
        observed.enabled = true;
        observed.group = ActiveState::Active;
        let one =
            ObservedInstance { active: ActiveState::Active, started: 9, ..Default::default() };
        observed.instances = [(0, one), (1, one)].into();
        facts
    }

    fn sound() -> MachineFacts {
        MachineFacts {
            manager: Some(Ok(257)),
            cgroups: Cgroups::Unified,
            controllers: ["cpu", "memory", "pids"].map(str::to_owned).into(),
            somaxconn: Some(4096),
            nr_open: Some(1_048_576),
            ptrace_scope: Some(1),
            ..MachineFacts::default()
        }
    }

    /// What is worse than a note, as `check: mend`.
    fn bad(machine: &MachineFacts, facts: AppFacts, scope: Scope) -> Vec<String> {
        let found = findings(scope, machine, &[(api(), facts)].into());
        let worse = found.iter().filter(|finding| finding.severity > FindingSeverity::Note);
        let line = |f: &Finding| format!("{}: {}", f.check, f.mend.as_deref().unwrap_or("-"));
        worse.map(line).collect()
    }

    fn app(spoil: impl FnOnce(&mut AppFacts), expected: &[&str]) {
        let mut facts = healthy();
        spoil(&mut facts);
        assert_eq!(bad(&sound(), facts, Scope::System), expected);
    }

    fn machine(spoil: impl FnOnce(&mut MachineFacts), expected: &[&str]) {
        let mut facts = sound();
        spoil(&mut facts);
        assert_eq!(bad(&facts, healthy(), Scope::System), expected);
    }

    #[test]
    fn units_that_are_gone() {
        let socket = UnitName::parse("api-3000.socket").unwrap();
        for unit in [api().slice_unit(), api().wake_unit(), api().close_unit(), socket] {
            let spoil = |facts: &mut AppFacts| {
                facts.observed.units.remove(&unit);
                facts.observed.triggers.clear();
            };
            app(spoil, &["unit-gone: clusterctl apply /srv/api/ecosystem.toml"]);
        }
    }

    #[test]
    fn what_other_units_start_is_missed() {
        let (timer, timed) = (api().unit_of(Role::Timer), api().unit_of(Role::Timed));
        let both = |f: &mut AppFacts| {
            let group =
                file("[Unit]\nWants=api-cron.timer\n[X-Clusterctl]\nApp=api\nInstances=2\n");
            f.observed.units.insert(api().group_unit(), group);
            f.observed.units.insert(timer.clone(), file("[Timer]\nUnit=api-cron.service\n"));
            f.observed.units.insert(timed.clone(), file("[X-Clusterctl]\nRole=timed\n"));
        };
        app(both, &[]);
        for gone in [&timer, &timed] {
            let spoil = |f: &mut AppFacts| {
                both(f);
                f.observed.units.remove(gone);
            };
            app(spoil, &["unit-gone: clusterctl apply /srv/api/ecosystem.toml"]);
        }
    }

    #[test]
    fn nothing_is_wrong_with_what_is_well() {
        app(|_| {}, &[]);
        let found = findings(Scope::System, &sound(), &[(api(), healthy())].into());
        assert!(found.iter().all(|finding| finding.severity == FindingSeverity::Ok), "{found:#?}");
        assert!(!has_problem(&found));
    }

    #[test]
    fn instances_that_do_not_run() {
        let failed = |f: &mut AppFacts| {
            let one = f.observed.instances.get_mut(&1).unwrap();
            (one.active, one.errored) = (ActiveState::Inactive, true);
        };
        app(failed, &["failed: clusterctl restart api@1"]);
        let second = Duration::from_secs(1);
        let run =
            |waits, ready_for, restarts, short_runs| Run { waits, ready_for, restarts, short_runs };
        for (run, loops) in [
            (run(true, None, 0, 0), true),
            (run(false, Some(second), 2, 0), true),
            (run(false, Some(second), 0, 2), true),
            (run(false, None, 2, 0), true),
            (run(false, Some(second), 1, 1), false),
            (run(false, Some(60 * second), 9, 9), false),
        ] {
            let expected: &[_] = if loops { &["looping: clusterctl restart api@1"] } else { &[] };
            let put = |f: &mut AppFacts| {
                f.runs.insert(1, run);
            };
            app(put, expected);
        }
        let masked = |f: &mut AppFacts| {
            f.observed.instances.remove(&1);
            f.masked.insert(api().instance_unit(1));
        };
        app(masked, &["masked: systemctl unmask api@1.service && systemctl start api@1.service"]);
        let masked_and_up = |f: &mut AppFacts| {
            f.masked.insert(api().instance_unit(1));
        };
        app(masked_and_up, &["masked: systemctl unmask api@1.service"]);
        let stopped = |f: &mut AppFacts| {
            f.observed.instances.remove(&1);
        };
        app(stopped, &["not-running: clusterctl start api@1"]);
    }

    #[test]
    fn links_and_boot() {
        app(|f| f.observed.enabled = false, &["disabled: systemctl enable api"]);
        let extra = |f: &mut AppFacts| {
            let one = f.observed.instances[&0];
            f.observed.instances.insert(2, one);
        };
        app(extra, &["not-enabled: systemctl enable api@2"]);
        app(
            |f| {
                extra(f);
                f.rolling = true;
            },
            &[],
        );
        let of_pacemaker = |f: &mut AppFacts| {
            let starts = ClusterAgent::App("api".to_owned());
            f.cluster.push(ClusterResource { id: "r".to_owned(), starts });
        };
        app(of_pacemaker, &["pacemaker: systemctl disable api"]);
        let not_at_boot = |f: &mut AppFacts| {
            of_pacemaker(f);
            f.observed.enabled = false;
        };
        app(not_at_boot, &[]);
        let one_instance = |f: &mut AppFacts| {
            not_at_boot(f);
            f.cluster[0].starts = ClusterAgent::Unit("api@0".to_owned());
        };
        app(one_instance, &["pacemaker: -"]);
        // A number that somebody set by hand is no fault.
        app(
            |f| {
                extra(f);
                f.observed.links.insert(2);
            },
            &[],
        );
    }

    #[test]
    fn files_that_changed() {
        app(
            |f| f.observed.instances.get_mut(&0).unwrap().started = 4,
            &["outdated: clusterctl reload api"],
        );
        app(|f| f.stale = true, &["daemon-reload: systemctl daemon-reload"]);
        app(|f| f.drop_ins.push("/etc/x.conf".into()), &[]);
        app(
            |f| f.damaged.push("/x/preload.so".into()),
            &["handover: clusterctl apply /srv/api/ecosystem.toml"],
        );
        app(
            |f| f.lacking.push("/srv/api/server.js".into()),
            &["cannot-start: clusterctl apply /srv/api/ecosystem.toml"],
        );
        app(
            |f| f.not_found.push(("node".into(), "/srv/api/run".into())),
            &["cannot-start: clusterctl apply /srv/api/ecosystem.toml"],
        );
        app(
            |f| f.missing_owner = Some(("user `kk`".into(), "useradd --system kk".into())),
            &["cannot-start: useradd --system kk && clusterctl restart api"],
        );
        app(|f| f.uprooted.push(1), &["folder-removed: clusterctl reload api"]);
        app(
            |f| f.missing_program = Some("/usr/bin/clusterctl".into()),
            &["program: clusterctl apply /srv/api/ecosystem.toml"],
        );
        app(
            |f| {
                let group = file("[X-Clusterctl]\nInstances=2\nChecksum=0\n");
                f.observed.units.insert(api().group_unit(), group);
                f.observed.source = Some("/srv/it's/a file".into());
            },
            &["edited: clusterctl apply '/srv/it'\\''s/a file'"],
        );
        app(
            |f| {
                let group = file("[X-Clusterctl]\nInstances=2\nAllCpusBut=0\n");
                f.observed.units.insert(api().group_unit(), group);
                f.cpus = 4;
            },
            &["cpus: clusterctl apply /srv/api/ecosystem.toml"],
        );
    }

    #[test]
    fn listeners() {
        let socket = || UnitName::parse("api-3000.socket").unwrap();
        app(
            |f| {
                f.observed.triggers.insert(socket(), ActiveState::Inactive);
            },
            &["listener-closed: clusterctl restart api"],
        );
        app(
            |f| {
                f.observed.group = ActiveState::Inactive;
                f.observed.instances.clear();
            },
            &["listener-open: clusterctl stop api"],
        );
        app(
            |f| {
                f.strangers.insert((1, socket()));
            },
            &["other-socket: clusterctl reload api"],
        );
        app(
            |f| {
                f.observed.lost.insert(socket());
            },
            &["path-lost: clusterctl apply /srv/api/ecosystem.toml"],
        );
        let lacks = |counts| {
            move |f: &mut AppFacts| {
                f.unheld.insert(1, (counts, "does not listen on 3000".to_owned()));
            }
        };
        app(lacks(false), &["not-listening: clusterctl restart api@1"]);
        app(lacks(true), &["listener-unused: -"]);
    }

    #[test]
    fn the_machine() {
        machine(|m| m.manager = Some(Ok(251)), &["systemd: -"]);
        machine(|m| m.manager = Some(Err(("no bus".into(), Some("sudo".into())))), &["bus: sudo"]);
        machine(|m| m.somaxconn = Some(4095), &["somaxconn: sysctl -w net.core.somaxconn=4096"]);
        machine(|m| m.nr_open = Some(4095), &["open-files: sysctl -w fs.nr_open=4096"]);
        machine(|m| m.cgroups = Cgroups::Hybrid, &["cgroups: -"]);
        machine(
            |m| {
                m.controllers.remove("memory");
            },
            &["cgroups: -"],
        );
        machine(|m| m.lingers = Some(false), &["linger: loginctl enable-linger"]);
        // Nobody here is started under the tracer.
        machine(|m| m.ptrace_scope = Some(3), &[]);
    }

    #[test]
    fn ptrace_matters_to_traced_programs() {
        let now = "ptrace: sysctl -w kernel.yama.ptrace_scope=1";
        let at_boot = "ptrace: echo kernel.yama.ptrace_scope=1 >/etc/sysctl.d/zz-clusterctl.conf";
        for (level, expected) in [(0, vec![]), (1, vec![]), (2, vec![now]), (3, vec![at_boot])] {
            let mut facts = healthy();
            let traced = file("[X-Clusterctl]\nTracedBecause=it is static\n");
            facts.observed.units.insert(api().template_unit(), traced);
            let machine = MachineFacts { ptrace_scope: Some(level), ..sound() };
            assert_eq!(bad(&machine, facts, Scope::System), expected, "level {level}");
        }
    }

    #[test]
    fn users_get_commands_for_their_own_manager() {
        let mut facts = healthy();
        facts.observed.enabled = false;
        assert_eq!(bad(&sound(), facts, Scope::User), ["disabled: systemctl --user enable api"]);
    }
}
