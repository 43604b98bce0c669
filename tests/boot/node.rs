//! Node programs of every kind: how they listen, how they are started, and what they are made of.

use std::{collections::BTreeSet, path::Path, time::Duration};

use crate::booted_long;
use crate::npm;
use crate::shop::assert_all_ended_well;
use crate::support::{Machine, load::Load, wait_until};

const PATIENCE: Duration = Duration::from_secs(30);

/// Copies the fixtures and applies these apps.
fn install(m: &Machine, apps: &str) {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/boot/fixtures/node");
    m.copy(&fixtures, "/srv/shop");
    m.write("/srv/shop/ecosystem.toml", apps);
    m.ok(["clusterctl", "apply", "/srv/shop/ecosystem.toml"]);
}

/// Applied with every listener as it is asked for, so that one that is not taken keeps the app from being ready.
const FORMS: &str = "\
[[apps]]
name = 'shop'
script = 'forms.js'
instances = 2
readiness = 'all'
listen = [
  '3001', '3002', '3003', '127.0.0.1:3004', '3005', '3006', '3007', '3008', '0.0.0.0:3009', '[::1]:3010',
  '127.0.0.1:3011', '[::1]:3011', '3012', '3013', '3014', '3015', '3016', '/run/forms-text.sock',
  '/run/forms-options.sock', 'udp:0.0.0.0:3021', 'udp:127.0.0.1:3022', 'udp:0.0.0.0:3023', 'udp:[::]:3024',
]
";

booted_long!(every_form_of_listen, |m| {
    install(m, FORMS);
    let answers = m.ok(["node", "/srv/shop/ask.js"]);
    // 16 ports, one of them by IPv6 too, two paths, four UDP ports: answered, and by nobody but the instances.
    let places: BTreeSet<_> = answers.lines().filter_map(|line| line.split(' ').next()).collect();
    let strange: Vec<_> = answers.lines().filter(|line| !line.contains(" instance ")).collect();
    assert!(
        strange.is_empty() && answers.lines().count() > 23,
        "{answers}\n{}",
        m.journal("shop@*")
    );
    assert_eq!(places.len(), 16 + 1 + 2 + 1, "{answers}");
    wait_until("the callbacks", PATIENCE, || {
        m.journal("shop@*").matches("every form has called back").count() == 2
    });
    // A server that closes its listener closes it for its own process alone.
    m.ok(["clusterctl", "reload", "shop"]);
    let again = m.ok(["node", "/srv/shop/ask.js"]);
    assert!(again.lines().all(|line| line.contains(" instance ")), "{again}");
});

/// One line, of which the map says that it was compiled from the first one of `original.ts`.
const MAPPED: &str = "\
require('http').createServer((q, s) => s.end(new Error('here').stack)).listen(3000);
//# sourceMappingURL=data:application/json;base64,\
eyJ2ZXJzaW9uIjozLCJzb3VyY2VzIjpbIm9yaWdpbmFsLnRzIl0sIm5hbWVzIjpbXSwibWFwcGluZ3MiOiJBQUFBIn0=
";

booted_long!(errors_name_the_source_that_a_program_was_compiled_from, |m| {
    m.write("/srv/shop/mapped.js", MAPPED);
    let answer = |more: &str| {
        let app = format!("[[apps]]\nname = 'mapped'\nscript = 'mapped.js'\nlisten = 3000\n{more}");
        m.write("/srv/shop/ecosystem.toml", app);
        m.ok(["clusterctl", "apply", "/srv/shop/ecosystem.toml"]);
        m.ok(["curl", "-s", "http://127.0.0.1:3000/"])
    };
    let compiled = answer("");
    assert!(compiled.contains("/srv/shop/mapped.js:1:"), "{compiled}");
    let written = answer("source_map_support = true\n");
    assert!(written.contains("/srv/shop/original.ts:1:"), "{written}");
});

fn http_load(port: u16) -> Load {
    let load = Load::http(&format!("127.0.0.1:{port}")).new_connections(40.0).keep_alive(40.0);
    load.expect("instance ").instance_after("instance ")
}

/// Every request that comes while an app is reloaded is answered. Gives the names of those that answered.
fn reloads(m: &Machine, app: &str, load: Load) -> BTreeSet<String> {
    let mut run = m.load(load);
    run.wait_flowing();
    m.ok(["clusterctl", "reload", app]);
    let report = run.stop();
    assert!(report.failed() == 0, "{app}: {report:#?}\n{}", m.journal(&format!("{app}@*")));
    report.instances().into_keys().collect()
}

const THREADS: &str = "\
[[apps]]
name = 'shop'
script = 'threads.js'
instances = 2
listen = [3000, 3001]
readiness = 'all'
";

booted_long!(servers_in_worker_threads_lose_nothing, |m| {
    install(m, THREADS);
    for port in [3000, 3001] {
        assert!(m.ok(["curl", "-s", &format!("localhost:{port}")]).contains("thread true"));
        reloads(m, "shop", http_load(port));
    }
    assert_all_ended_well(m, "shop");
});

const WORKERS: &str = "\
[[apps]]
name = 'robin'
script = 'workers.js'
instances = 2
listen = [3000, 'udp:0.0.0.0:3001']
env = { BASE = 3000 }
[[apps]]
name = 'shared'
script = 'workers.js'
instances = 2
listen = [3002, 'udp:0.0.0.0:3003']
env = { BASE = 3002, SCHEDULING = 'none' }
";

booted_long!(an_app_with_workers_of_its_own_loses_nothing, |m| {
    install(m, WORKERS);
    for (app, port) in [("robin", 3000), ("shared", 3002)] {
        // Two old instances, the extra one of the rollout, two new ones: of two workers each.
        let workers = reloads(m, app, http_load(port));
        assert!(workers.len() > 4, "{app}: {workers:?}");
        let datagrams = Load::udp(&format!("127.0.0.1:{}", port + 1), 80.0);
        reloads(m, app, datagrams.expect("instance ").instance_after("instance "));
        assert_all_ended_well(m, app);
    }
});

/// How programs that are more than a `.js` file are started.
const RUNNERS: [(&str, &str); 6] = [
    ("module", "script = 'esm.mjs'"),
    ("imported", "command = ['node', '--import', './hook.mjs', 'esm.mjs']"),
    ("tsx", "command = ['../node_modules/.bin/tsx', 'typed.ts']"),
    ("tsx-import", "command = ['node', 'typed.ts']\nenv = { NODE_OPTIONS = '--import tsx' }"),
    ("ts-node", "command = ['node', '-r', 'ts-node/register/transpile-only', 'typed.ts']"),
    ("stripped", "command = ['node', '--experimental-strip-types', 'typed.ts']"),
];

booted_long!(modules_and_typescript_lose_nothing, |m| {
    if !npm::install(m) {
        return;
    }
    // Debian's Node is an older one, or built without types.
    m.write("/srv/types.ts", "const one: number = 1;");
    let strips = m.run(["node", "--experimental-strip-types", "/srv/types.ts"]).code == 0;
    let runners = RUNNERS.iter().filter(|(name, _)| strips || *name != "stripped");
    let apps: Vec<_> = runners.zip(3001_u16..).collect();
    let text = apps.iter().map(|((name, lines), port)| {
        format!("[[apps]]\nname = '{name}'\n{lines}\nlisten = {port}\nwait_ready = true\n")
    });
    install(m, &text.collect::<String>());
    let loads = apps.iter().map(|(_, port)| {
        let load = Load::http(&format!("127.0.0.1:{port}")).new_connections(15.0).keep_alive(15.0);
        m.load(load.expect("instance ").instance_after("instance "))
    });
    let mut loads: Vec<_> = loads.collect();
    loads.iter_mut().for_each(crate::support::load::Run::wait_flowing);
    m.ok(["clusterctl", "reload", "all"]);
    for (((name, _), _), load) in apps.iter().zip(loads) {
        let report = load.stop();
        assert!(report.failed() == 0, "{name}: {report:#?}\n{}", m.journal(&format!("{name}@*")));
        assert!(report.instances().len() > 1, "{name} was not replaced: {report:#?}");
        assert_all_ended_well(m, name);
    }
});
