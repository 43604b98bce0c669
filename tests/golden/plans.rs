//! Stories of plans, from what is observed to what is done about it, and what no plan may ever do.

use std::collections::BTreeMap;
use std::path::Path;

use clusterctl::ecosystem::{AppName, Scope};
use clusterctl::plan::{
    Action, ChangeKind, FileId, LinkId, Observed, ObservedApp, ObservedFile, ObservedInstance,
    Plan, check, plan,
};
use clusterctl::report::{self, Style};
use clusterctl::translate::AppFiles;
use clusterctl::unit::{ActiveState, UnitKind};

use crate::{SOURCE, expect, files};

/// What a machine looks like on which these files are applied and everything runs.
fn applied(files: &BTreeMap<AppName, AppFiles>) -> Observed {
    let app = |files: &AppFiles| {
        let file = |text: String| ObservedFile { text, modified: 1_000 };
        let units = files.units.iter().map(|unit| (unit.name.clone(), file(unit.to_string())));
        let triggers = files.triggers();
        let up =
            ObservedInstance { active: ActiveState::Active, started: 2_000, ..Default::default() };
        ObservedApp {
            units: units.collect(),
            environment: files.environment.as_ref().map(|f| file(f.text.clone())),
            source: Some(SOURCE.into()),
            links: (0..files.instances).collect(),
            enabled: files.autostart,
            newest_input: 0,
            group: ActiveState::Active,
            triggers: triggers.map(|unit| (unit.name.clone(), ActiveState::Active)).collect(),
            instances: (0..files.instances).map(|n| (n, up)).collect(),
            held: Default::default(),
            lost: Default::default(),
            unheld: Default::default(),
        }
    };
    let apps = files.iter().map(|(name, files)| (name.clone(), app(files)));
    Observed { apps: apps.collect(), all_read: true }
}

const SHOP: &str = "[[apps]]\nname = 'shop'\nscript = 'server.js'\n";

fn shop(more: &str) -> BTreeMap<AppName, AppFiles> {
    files(&format!("{SHOP}{more}"), Scope::System)
}

fn name(text: &str) -> AppName {
    AppName::parse(text).unwrap()
}

/// One story: from what is observed to the plan for a file.
fn story(
    file: &str,
    wanted: &BTreeMap<AppName, AppFiles>,
    observed: &Observed,
    prune: bool,
) -> Plan {
    let plan = plan(wanted, observed, Some(Path::new(SOURCE)), prune, true);
    assert_eq!(check(&plan), []);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/plans").join(file);
    expect(&path, &report::plan::text(&plan, &Style::PLAIN));
    plan
}

#[test]
fn a_new_app_and_one_that_runs_already() {
    let wanted = shop("instances = 2\nlisten = 3000\n");
    story("new-app", &wanted, &Observed::default(), false);
    let plan = story("nothing-to-do", &wanted, &applied(&wanted), false);
    assert!(plan.is_empty());
}

#[test]
fn what_changes_is_replaced_and_what_does_not_is_not() {
    let before = applied(&shop("instances = 2\nlisten = 3000\n"));
    story(
        "changed-variable",
        &shop("instances = 2\nlisten = 3000\nenv = { A = 'b' }\n"),
        &before,
        false,
    );
    story("fewer-instances", &shop("instances = 1\nlisten = 3000\n"), &before, false);
    story("listener-added", &shop("instances = 2\nlisten = [3000, 3001]\n"), &before, false);
    story("listener-moved", &shop("instances = 2\nlisten = 3001\n"), &before, false);
    story("listener-widened", &shop("instances = 2\nlisten = '127.0.0.1:3000'\n"), &before, false);
    let pair = shop("instances = 2\nlisten = ['0.0.0.0:3000', '[::]:3000']\n");
    story("listener-split", &pair, &before, false);
    story("listener-joined", &shop("instances = 2\nlisten = 3000\n"), &applied(&pair), false);
    story(
        "port-of-the-program",
        &shop("instances = 2\nlisten = { at = 3000, bind = 80 }\n"),
        &before,
        false,
    );
    story("listener-renamed", &shop("instances = 2\nlisten = { web = 3000 }\n"), &before, false);
    story("listener-option", &shop("instances = 2\nlisten = 3000\nbacklog = 9\n"), &before, false);
    let namespace = story(
        "description-only",
        &shop("instances = 2\nlisten = 3000\nnamespace = 'n'\n"),
        &before,
        false,
    );
    assert!(namespace.apps[0].steps.is_empty());
}

#[test]
fn what_happened_meanwhile_is_mended() {
    let wanted = shop("instances = 2\nlisten = 3000\n");
    let mut drift = applied(&wanted);
    let shop_app = drift.apps.get_mut(&name("shop")).unwrap();
    shop_app.links.insert(2);
    shop_app.instances.insert(2, shop_app.instances[&0]);
    story("scaled-by-hand", &wanted, &drift, false);

    let mut outdated = applied(&wanted);
    outdated.apps.get_mut(&name("shop")).unwrap().instances.get_mut(&1).unwrap().started = 500;
    story("outdated-instance", &wanted, &outdated, false);

    let mut stopped = applied(&wanted);
    let shop_app = stopped.apps.get_mut(&name("shop")).unwrap();
    shop_app.group = ActiveState::Inactive;
    shop_app.instances.values_mut().for_each(|i| i.active = ActiveState::Inactive);
    shop_app.triggers.values_mut().for_each(|l| *l = ActiveState::Inactive);
    story("stopped-by-hand", &wanted, &stopped, false);

    let mut missing = applied(&wanted);
    missing.apps.get_mut(&name("shop")).unwrap().instances.get_mut(&0).unwrap().active =
        ActiveState::Failed;
    story("failed-instance", &wanted, &missing, false);

    let mut lost = applied(&wanted);
    let shop_app = lost.apps.get_mut(&name("shop")).unwrap();
    shop_app.lost = shop_app.triggers.keys().cloned().collect();
    story("listener-lost", &wanted, &lost, false);

    let mut unheld = applied(&wanted);
    unheld.apps.get_mut(&name("shop")).unwrap().unheld = [1].into();
    story("instance-not-listening", &wanted, &unheld, false);
}

#[test]
fn what_somebody_did_by_hand_is_named() {
    let wanted = shop("instances = 2\nlisten = 3000\n");
    // Instances that were started while the group was down.
    let mut by_hand = applied(&wanted);
    let shop_app = by_hand.apps.get_mut(&name("shop")).unwrap();
    shop_app.group = ActiveState::Inactive;
    shop_app.instances.remove(&0);
    shop_app.instances.insert(9, shop_app.instances[&1]);
    story("started-by-hand", &wanted, &by_hand, false);
    // A port that an instance listens on by itself, since the file did not name it.
    let mut before = applied(&shop("instances = 2\n"));
    let socket =
        wanted[&name("shop")].units.iter().find(|unit| unit.name.kind() == UnitKind::Socket);
    before.apps.get_mut(&name("shop")).unwrap().held.insert(socket.unwrap().name.clone());
    story("listener-held", &wanted, &before, false);
    let off = shop("instances = 2\nlisten = 3000\nautostart = false\n");
    story("autostart-switched-off", &off, &applied(&wanted), false);
    let mut enabled = applied(&off);
    enabled.apps.get_mut(&name("shop")).unwrap().enabled = true;
    assert!(story("autostart-off-enabled-by-hand", &off, &enabled, false).is_empty());
}

#[test]
fn what_follows_from_a_file_is_said_once() {
    let cluster = shop("instances = 2\nenv = { PORT = 3700 }\n");
    story("port-shared", &cluster, &Observed::default(), false);
    let second = plan(&cluster, &applied(&cluster), Some(Path::new(SOURCE)), false, true);
    assert!(second.is_empty() && second.apps[0].notes.is_empty());
    let mut staging = cluster.clone();
    let files = staging.get_mut(&name("shop")).unwrap();
    files.profile = Some("staging".to_owned());
    story("profile-changed", &staging, &applied(&cluster), false);
}

#[test]
fn apps_that_are_gone_from_the_file() {
    let two = files(
        &format!("{SHOP}listen = 3000\n[[apps]]\nname = 'old'\nscript = 'worker.js'\n"),
        Scope::System,
    );
    let one = shop("listen = 3000\n");
    story("gone", &one, &applied(&two), false);
    story("gone-and-pruned", &one, &applied(&two), true);
    let mut elsewhere = applied(&two);
    elsewhere.apps.get_mut(&name("old")).unwrap().source = Some("/other/ecosystem.toml".into());
    let plan = story("of-another-file", &one, &elsewhere, true);
    assert!(plan.is_empty());
    story(
        "autostart-off",
        &shop("listen = 3000\nautostart = false\n"),
        &Observed::default(),
        false,
    );
}

#[test]
fn the_checker_finds_what_the_planner_must_never_do() {
    let wanted = shop("instances = 2\nlisten = [3000]\n");
    let before = applied(&shop("instances = 2\nlisten = [3000, 3001]\n"));
    let good = plan(&wanted, &before, None, false, true);
    assert_eq!(check(&good), []);
    let rule = |change: &dyn Fn(&mut Plan)| {
        let mut bad = good.clone();
        change(&mut bad);
        check(&bad).first().map_or("", |violation| violation.rule)
    };
    assert!(rule(&|plan| plan.apps[0].steps.reverse()).contains("before the instances have left"));
    assert!(
        rule(&|plan| plan.apps[0].steps.retain(|s| !matches!(s.action, Action::Close(_))))
            .contains("without closing")
    );
    let edited = |plan: &mut Plan, edit: &dyn Fn(&str) -> String| {
        let file = plan.apps[0]
            .files
            .iter_mut()
            .find(|f| f.file == FileId::Unit(name("shop").group_unit()));
        if let ChangeKind::Replace { after, .. } = &mut file.unwrap().change {
            *after = edit(after);
        }
    };
    assert!(
        rule(&|plan| edited(plan, &|text| text.replace("App=shop", "App=other")))
            .contains("ownership")
    );
    assert!(
        rule(&|plan| edited(plan, &|t| format!("{t}\n[Socket]\nListenStream=1\n")))
            .contains("in place")
    );
    assert!(
        rule(&|plan| {
            for step in &mut plan.apps[0].steps {
                if let Action::Roll { replace, stop, .. } = &mut step.action {
                    stop.extend(replace.iter().copied());
                }
            }
        })
        .contains("same instance")
    );
}

/// What a plan leaves on disk gives an empty second plan.
#[test]
fn a_plan_that_was_carried_out_leaves_nothing_to_do() {
    let versions = [
        shop("instances = 3\nlisten = 3000\n"),
        shop("instances = 1\nlisten = [3000, '/run/shop.sock']\nenv = { A = '1' }\n"),
        shop("instances = 2\nlisten = 3001\nmax_restarts = 3\n"),
        shop("instances = 2\n"),
    ];
    for from in &versions {
        for to in &versions {
            let mut observed = applied(from);
            let plan = plan(to, &observed, None, false, true);
            assert_eq!(check(&plan), []);
            let app = observed.apps.get_mut(&name("shop")).unwrap();
            for change in &plan.apps[0].files {
                let text = match &change.change {
                    ChangeKind::Create { text } | ChangeKind::Replace { after: text, .. } => {
                        Some(text.clone())
                    }
                    ChangeKind::Remove { .. } => None,
                };
                let file = text.map(|text| ObservedFile { text, modified: 1_000 });
                match (&change.file, file) {
                    (FileId::Unit(unit), Some(file)) => drop(app.units.insert(unit.clone(), file)),
                    (FileId::Unit(unit), None) => drop(app.units.remove(unit)),
                    (FileId::Environment, file) => app.environment = file,
                }
            }
            for link in &plan.apps[0].links {
                match link.link {
                    LinkId::Boot => app.enabled = link.make,
                    LinkId::Instance(n) if link.make => drop(app.links.insert(n)),
                    LinkId::Instance(n) => drop(app.links.remove(&n)),
                }
            }
            // What ran by then was started by the plan.
            let mut expected = applied(to);
            expected.apps.get_mut(&name("shop")).unwrap().units = app.units.clone();
            expected.apps.get_mut(&name("shop")).unwrap().links = app.links.clone();
            let second = clusterctl::plan::plan(to, &expected, None, false, true);
            assert!(second.is_empty(), "{}", report::plan::text(&second, &Style::PLAIN));
        }
    }
}
