//! One instance behind the shared port: it is asked by its door, gets no client before it has passed its check
//! or said that it is ready, and can be taken out of rotation.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::booted_long;
use crate::metrics::parsed;
use crate::npm;
use crate::support::load::Load;
use crate::support::{Machine, Output, Root, machine, made, wait_until};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/boot/fixtures/doors")
}

/// The command of a program of the fixtures.
pub const NODE: &str = "script = 'server.js'";
pub const PYTHON: &str = "script = 'server.py'";
const UVICORN: &str =
    "command = ['/srv/python/bin/uvicorn', '--port', '3000', '--no-access-log', 'asgi:app']";

/// The ecosystem of one app `shop`.
pub fn write(m: &Machine, run: &str, instances: u32, more: &str) {
    if !m.path("/srv/doors").exists() {
        m.copy(&fixtures(), "/srv/doors");
    }
    let text = format!(
        "[[apps]]\nname = 'shop'\n{run}\ninstances = {instances}\nlisten = 3000\ndoor = true\nuser = 'daemon'\n{more}\n"
    );
    m.write("/srv/doors/ecosystem.toml", text);
}

pub fn apply(m: &Machine) -> Output {
    m.clusterctl(["apply", "/srv/doors/ecosystem.toml"])
}

pub fn applied(m: &Machine, run: &str, instances: u32, more: &str) {
    write(m, run, instances, more);
    let output = apply(m);
    assert_eq!(output.code, 0, "{output:#?}");
}

/// Requests that must all be answered, by an instance that may serve.
pub fn load() -> Load {
    let load = Load::http("127.0.0.1:3000").new_connections(100.0).keep_alive(50.0);
    load.expect("in time .").instance_after("instance ")
}

pub fn curl(m: &Machine, instance: u32, path: &str) -> String {
    m.ok(["clusterctl", "curl", &format!("shop@{instance}"), path])
}

pub fn clients(m: &Machine, instance: u32) -> u64 {
    curl(m, instance, "/clients").trim().parse().unwrap()
}

/// Every instance answers its own door, while clients of the shared listener are served.
fn answers(m: &Machine, run: &str) {
    applied(m, run, 3, "env.GREETING = 'one'");
    let mut load = m.load(load());
    load.wait_flowing();
    for round in 0..5 {
        for instance in 0..3 {
            let answer = curl(m, instance, "/");
            let expected = format!("instance {instance} one in time .");
            assert!(answer.contains(&expected), "{run} {round}: {answer}");
        }
    }
    load.stop().assert_none_failed();
    m.ok(["clusterctl", "delete", "shop"]);
}

booted_long!(each_instance_answers_at_its_own_door, |m| {
    answers(m, NODE);
    answers(m, PYTHON);
});

booted_long!(a_closed_sandbox_and_folders_of_the_app_keep_no_door_shut, |m| {
    let more = "env.GREETING = 'one'\nsandbox = 'strict'\nhealth = '/healthz'";
    applied(m, NODE, 2, &format!("{more}\nservice = {{ RuntimeDirectory = 'own shared/two' }}"));
    assert!(curl(m, 1, "/").contains("instance 1 one in time ."));
    // The program sees its own folders, as without a door.
    let pid = m.systemctl_show("shop@0", "MainPID");
    let variables = m.ok_sh(&format!("tr '\\0' '\\n' </proc/{pid}/environ"));
    let own = variables.lines().find(|line| line.starts_with("RUNTIME_DIRECTORY="));
    assert_eq!(own, Some("RUNTIME_DIRECTORY=/run/own:/run/shared/two"), "{variables}");
    assert_eq!(m.ok(["stat", "-c", "%a %U", "/run/own"]), "755 daemon");
    assert_eq!(m.ok(["stat", "-c", "%a", "/run/clusterctl/doors/shop@0/door"]), "600");
});

#[test]
fn each_instance_of_node_24_and_uvicorn_answers_at_its_own_door() {
    let Some(m) = machine(Root::Host) else { return };
    if let Some(node) = npm::node(&m, "24") {
        answers(&m, &format!("{NODE}\ninterpreter = '{node}'"));
    }
    uvicorn(&m, answers);
}

pub fn uvicorn(m: &Machine, test: impl Fn(&Machine, &str)) {
    let list =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/boot/fixtures/matrix/requirements.txt");
    match made::from_pip(&list) {
        Ok(packages) => {
            m.copy(&packages, "/srv/python");
            test(m, &format!("{UVICORN}\nenv.PYTHONPATH = '/srv/python'"));
        }
        Err(reason) => crate::support::skip::record(&reason),
    }
}

booted_long!(nobody_else_gets_in, |m| {
    applied(m, NODE, 2, "env = { GREETING = 'one' }");
    let ada = m.user("ada");
    let said = ada.run(["clusterctl", "--system", "curl", "shop@0", "/"]);
    assert_eq!(said.code, 1, "{said:#?}");
    assert!(
        said.stderr.contains("has a door that only root and the user `daemon` may use"),
        "{said:#?}"
    );
    let own = m.sh("setpriv --reuid=daemon --regid=daemon --clear-groups clusterctl curl shop@0 /");
    assert!(own.stdout.contains("instance 0 one"), "{own:#?}");
    // What the program sees is what it saw before there were doors.
    let pid = m.systemctl_show("shop@0", "MainPID");
    let variables = m.ok_sh(&format!("tr '\\0' '\\n' </proc/{pid}/environ"));
    assert!(!variables.contains("RUNTIME_DIRECTORY"), "{variables}");
    // The folder goes with the instance.
    m.ok(["clusterctl", "stop", "shop"]);
    assert!(!m.path("/run/clusterctl/doors/shop@0").exists());
    let said = m.clusterctl(["curl", "shop@0", "/"]);
    assert_ne!(said.code, 0, "{said:#?}");
});

booted_long!(an_instance_out_of_rotation_finishes_and_gets_nothing_new, |m| {
    applied(m, NODE, 3, "env = { GREETING = 'one' }");
    let mut load = m.load(load());
    load.wait_flowing();
    let pid = m.systemctl_show("shop@1", "MainPID");
    let said = m.clusterctl(["drain", "shop@1"]);
    assert_eq!(said.code, 0, "{said:#?}");
    let list = m.ok(["clusterctl", "list"]);
    assert!(list.lines().any(|line| line.contains("drained") && line.contains(&pid)), "{list}");
    assert!(m.ok(["clusterctl", "describe", "shop"]).contains("drained"));
    // Clients that had it keep it; nobody new comes.
    let fresh = || m.ok_sh("for i in $(seq 60); do curl -s localhost:3000; echo; done | sort -u");
    assert!(!fresh().contains("instance 1 "), "{}", fresh());
    assert!(curl(m, 1, "/").contains("instance 1 "), "it still answers its door");
    assert_eq!(m.systemctl_show("shop@1", "MainPID"), pid);
    m.ok(["clusterctl", "undrain", "shop@1"]);
    let mut taken = 0;
    wait_until("a client for it", Duration::from_secs(30), || {
        let now = clients(m, 1);
        std::mem::replace(&mut taken, now) < now && now > 0
    });
    assert!(!m.ok(["clusterctl", "list"]).contains("drained"));
    // A new process is in rotation, whatever was said of the one before.
    m.ok(["clusterctl", "drain", "shop@2"]);
    m.ok(["clusterctl", "restart", "shop@2"]);
    assert!(!m.ok(["clusterctl", "list"]).contains("drained"));
    load.stop().assert_none_failed();
});

booted_long!(metrics_of_every_instance_are_told_apart, |m| {
    applied(m, NODE, 2, "env = { GREETING = 'one' }");
    let samples = parsed(&m.ok(["clusterctl", "metrics", "--app", "shop"]));
    for line in [
        "shop_clients_total{app=shop,instance=0,kind=all} ",
        "shop_clients_total{app=shop,instance=1,kind=all} ",
        "clusterctl_own_metrics_up{app=shop,instance=1} 1",
    ] {
        assert!(samples.contains(line), "{line}: {samples}");
    }
    // One that hangs holds nobody up for long, and is named.
    m.ok(["systemctl", "kill", "--signal=STOP", "shop@1"]);
    let said = m.clusterctl(["metrics", "--app", "shop"]);
    assert!(said.stderr.contains("shop@1 did not answer at its door in time"), "{said:#?}");
    let samples = parsed(said.stdout.trim_end());
    assert!(samples.contains("clusterctl_own_metrics_up{app=shop,instance=1} 0"), "{samples}");
    m.ok(["systemctl", "kill", "--signal=CONT", "shop@1"]);
});

booted_long!(a_loop_that_hangs_is_ended_and_others_serve, |m| {
    applied(m, NODE, 3, "env = { GREETING = 'one' }\nwatchdog = '2s'");
    let hung = m.systemctl_show("shop@1", "MainPID");
    // Longer than the watchdog: idle programs are not ended, nor busy ones.
    let mut load = m.load(load().for_seconds(5.0));
    load.wait_flowing();
    load.finish().assert_none_failed();
    assert_eq!(m.systemctl_show("shop@1", "MainPID"), hung);
    m.run(["clusterctl", "curl", "shop@1", "/hang", "-m", "1"]);
    wait_until("another process", Duration::from_secs(30), || {
        m.systemctl_show("shop@1", "MainPID") != hung
            && m.systemctl_show("shop@1", "ActiveState") == "active"
    });
    assert!(m.journal("shop@1").contains("atchdog timeout"), "{}", m.journal("shop@1"));
});

booted_long!(a_program_that_loads_after_it_listens_is_not_taken_for_one_that_hangs, |m| {
    let program = "import http.server, time\n\
        server = http.server.HTTPServer(('', 3000), http.server.SimpleHTTPRequestHandler)\n\
        time.sleep(4)\n\
        server.serve_forever()\n";
    m.write("/srv/late/late.py", program);
    let app = "[[apps]]\nname = 'late'\ncommand = ['python3', 'late.py']\nlisten = 3000\nwatchdog = '1s'\n";
    m.write("/srv/late/ecosystem.toml", app);
    m.ok(["clusterctl", "apply", "/srv/late/ecosystem.toml"]);
    let described = m.ok(["clusterctl", "describe", "late"]);
    assert!(described.contains("WatchdogSec=1s"), "{described}");
    m.ok(["curl", "-s", "-m", "20", "-o", "/dev/null", "localhost:3000"]);
    assert_eq!(m.systemctl_show("late@0", "NRestarts"), "0", "{}", m.journal("late@0"));
    // From the first answer on the time is the one of the file.
    m.ok(["systemctl", "kill", "--signal=STOP", "late@0"]);
    wait_until("another process", Duration::from_secs(30), || {
        m.systemctl_show("late@0", "NRestarts") == "1"
    });
});

booted_long!(apps_of_a_user_have_doors_of_their_own, |m| {
    let ada = m.user("ada");
    m.copy(&fixtures(), "/home/ada/doors");
    let text = "[[apps]]\nname = 'shop'\nscript = 'server.js'\ninstances = 2\nlisten = 3000\ndoor = true\n\
                env = { GREETING = 'one' }\nhealth = '/healthz'\n";
    m.write("/home/ada/doors/ecosystem.toml", text);
    m.ok(["chown", "-R", "ada:", "/home/ada/doors"]);
    ada.ok(["clusterctl", "--user", "apply", "/home/ada/doors/ecosystem.toml"]);
    let said = ada.ok(["clusterctl", "--user", "curl", "shop@1", "/"]);
    assert!(said.contains("instance 1 one in time ."), "{said}");
});
