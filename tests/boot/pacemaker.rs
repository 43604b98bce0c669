//! An app under Pacemaker: the agent by itself, and a cluster of three machines with a floating address, as in
//! docs/pacemaker.md.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use crate::support::load::Load;
use crate::support::network::{NETWORK, Switch};
use crate::support::{Machine, Root, machine, wait_until};

const PATIENCE: Duration = Duration::from_secs(90);

const SERVER: &str = "\
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = f\"instance {os.environ['NODE_APP_INSTANCE']} on {os.uname().nodename}, {os.environ['RELEASE']}\\n\".encode()
        self.send_response(200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args):
        pass
http.server.ThreadingHTTPServer(('0.0.0.0', 3000), Handler).serve_forever()
";

/// The app in two instances, and the agent.
fn install(m: &Machine, release: &str) {
    m.write("/srv/api/server.py", SERVER);
    let text = format!(
        "[[apps]]\nname = 'api'\nscript = 'server.py'\ninterpreter = 'python3'\ninstances = 2\nlisten = 3000\n\
         autostart = false\nmax_restarts = 2\nenv = {{ RELEASE = '{release}' }}\n"
    );
    m.write("/srv/api/ecosystem.toml", text);
    let agent = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/pacemaker/app");
    m.copy(&agent, "/usr/lib/ocf/resource.d/clusterctl/app");
    m.ok(["clusterctl", "apply", "/srv/api/ecosystem.toml"]);
}

/// Runs an action of the agent by hand, and gives its exit code and what it said.
fn agent(m: &Machine, action: &str, more: &str) -> (i32, String) {
    let said = m.sh(&format!(
        "OCF_ROOT=/usr/lib/ocf OCF_RESOURCE_INSTANCE=api OCF_RESKEY_app=api {more} \
         /usr/lib/ocf/resource.d/clusterctl/app {action}"
    ));
    (said.code, said.stdout + &said.stderr)
}

/// Makes every instance die, and no new one come up.
fn crash(m: &Machine) {
    m.write("/srv/api/server.py", "raise SystemExit('broken on purpose')\n");
    m.ok(["systemctl", "kill", "--signal=KILL", "api@*"]);
}

#[test]
#[ignore = "a root with Pacemaker: make check-long"]
fn the_agent_passes_the_test_of_agents_and_sees_instances() {
    let Some(m) = machine(Root::Pacemaker) else { return };
    install(&m, "v1");
    m.ok_sh("ocf-tester -n api -o app=api /usr/lib/ocf/resource.d/clusterctl/app 2>&1");
    assert_eq!(agent(&m, "monitor", "").0, 7, "stopped");
    assert_eq!(agent(&m, "start", "").0, 0);
    assert_eq!(agent(&m, "monitor", "OCF_RESKEY_ready=2").0, 0);
    let (code, said) = agent(&m, "monitor", "OCF_RESKEY_ready=3");
    assert!(code == 1 && said.contains("2 instances of api serve, 3 have to"), "{code} {said}");
    let healthy = "OCF_RESKEY_health=http://127.0.0.1:3000/";
    assert_eq!(agent(&m, "monitor", healthy).0, 0);
    let (code, said) = agent(&m, "monitor", "OCF_RESKEY_health=http://127.0.0.1:3001/");
    assert!(code == 1 && said.contains("does not answer well"), "{code} {said}");
    // A rollout is no failure, at any moment of it.
    let mut reload = m.spawn(["clusterctl", "reload", "api"]);
    while reload.runs() {
        let monitored = agent(&m, "monitor", "OCF_RESKEY_ready=2");
        assert_eq!(monitored.0, 0, "{monitored:?}");
    }
    assert_eq!(reload.wait().0, 0);
    // One dead instance is seen by those who ask for two.
    m.ok(["systemctl", "stop", "api@1"]);
    assert_eq!(agent(&m, "monitor", "").0, 0);
    assert_eq!(agent(&m, "monitor", "OCF_RESKEY_ready=2").0, 1);
    m.ok(["systemctl", "start", "api@1"]);
    // All dead: neither the group nor its listener pretends to serve.
    crash(&m);
    wait_until("every instance has given up", PATIENCE, || agent(&m, "monitor", "").0 == 7);
    let (code, said) = agent(&m, "start", "");
    assert!(code == 1 && said.contains("api does not start"), "{code} {said}");
    m.write("/srv/api/server.py", SERVER);
    assert_eq!(agent(&m, "stop", "").0, 0);
    assert_eq!(agent(&m, "start", "").0, 0, "it comes back");
    assert_eq!(agent(&m, "stop", "").0, 0);
    for (parameter, code, what) in [
        ("OCF_RESKEY_app='x y'", 6, "not the name of an app"),
        ("OCF_RESKEY_app='$(touch /tmp/touched)'", 6, "not the name of an app"),
        ("OCF_RESKEY_app=shop", 5, "there is no app shop on this machine"),
        ("OCF_RESKEY_ready=0", 6, "a number from 1 on"),
        ("OCF_RESKEY_health=ftp://x", 6, "http://"),
    ] {
        let (found, said) = agent(&m, "validate-all", parameter);
        assert!(found == code && said.contains(what), "{parameter}: {found} {said}");
    }
    assert!(!m.exists("/tmp/touched"));
    assert_eq!(agent(&m, "stop", "OCF_RESKEY_app=shop").0, 0, "nothing to stop");
}

#[test]
#[ignore = "a root with Pacemaker: make check-long"]
fn the_agent_stops_whatever_its_parameters_are_and_never_guesses() {
    let Some(m) = machine(Root::Pacemaker) else { return };
    install(&m, "v1");
    let serving = || {
        let list = ["systemctl", "list-units", "--plain", "--no-legend", "--state=active"];
        m.ok(list.into_iter().chain(["api@*.service"])).lines().count()
    };
    let start = || {
        assert_eq!(agent(&m, "start", "").0, 0);
        assert_eq!(serving(), 2);
    };
    let stop = |parameter: &str| {
        let stopped = agent(&m, "stop", parameter);
        assert!(stopped.0 == 0 && serving() == 0, "{parameter}: {stopped:?}, {} run", serving());
    };
    // A typing error says nothing about an app that serves, and starts none.
    for (wrong, what) in [
        ("OCF_RESKEY_ready=two", "has to be a number from 1 on"),
        ("OCF_RESKEY_ready=99999999999999999999", "has to be a number from 1 on"),
        ("OCF_RESKEY_health=127.0.0.1:3000/", "has to begin with http://"),
    ] {
        let refused = agent(&m, "start", wrong);
        assert!(
            refused.0 == 2 && refused.1.contains(what) && serving() == 0,
            "{wrong}: {refused:?}"
        );
        assert_eq!(agent(&m, "monitor", wrong).0, 7, "{wrong}: it does not run");
        start();
        for action in ["monitor", "reload-agent"] {
            let (code, said) = agent(&m, action, wrong);
            assert!(code == 0 && said.contains(what), "{action} {wrong}: {code} {said}");
        }
        stop(wrong);
    }
    // No more does a curl that is gone.
    start();
    let healthy = "OCF_RESKEY_health=http://127.0.0.1:3000/";
    m.ok(["mv", "/usr/bin/curl", "/usr/bin/curl.away"]);
    let (code, said) = agent(&m, "monitor", healthy);
    assert!(code == 0 && said.contains("health needs curl"), "{code} {said}");
    stop(healthy);
    assert_eq!(agent(&m, "start", healthy).0, 5);
    m.ok(["mv", "/usr/bin/curl.away", "/usr/bin/curl"]);
    // Instances are stopped which are not enabled: one beyond the others, all of them, and those without their group.
    start();
    m.ok(["systemctl", "start", "api@5"]);
    assert_eq!(serving(), 3);
    stop("");
    for lost in ["api.service.wants", "api.service"] {
        start();
        m.ok_sh(&format!("mv /etc/systemd/system/{lost} /root/; systemctl daemon-reload"));
        assert_eq!(serving(), 2, "without {lost}");
        stop("");
        m.ok_sh(&format!("mv /root/{lost} /etc/systemd/system/; systemctl daemon-reload"));
    }
    // Where systemd does not answer, nothing is known.
    start();
    m.write("/root/broken/systemctl", "#!/bin/sh\nexit 1\n");
    m.ok(["chmod", "+x", "/root/broken/systemctl"]);
    for action in ["stop", "monitor", "validate-all"] {
        let (code, said) = agent(&m, action, "PATH=/root/broken:$PATH");
        assert!(code == 1 && said.contains("systemd does not say"), "{action}: {code} {said}");
    }
    assert_eq!(serving(), 2);
    stop("");
}

/// Three machines of one cluster, with the address 192.0.2.100 where a client finds the app.
struct Cluster {
    machines: Vec<(String, Machine)>,
    switch: Switch,
}

const ADDRESS: &str = "192.0.2.100:3000";

impl Cluster {
    fn boot() -> Self {
        let switch = Switch::new();
        switch.join(254);
        let names = ["h1", "h2", "h3"];
        let machines: Vec<(String, Machine)> = std::thread::scope(|scope| {
            let booting = names.map(|_| scope.spawn(|| Machine::boot(Root::Pacemaker)));
            let booted = booting.map(|one| one.join().unwrap());
            names.map(str::to_owned).into_iter().zip(booted).collect()
        });
        let cluster = Self { machines, switch };
        for (number, (name, m)) in (11..).zip(&cluster.machines) {
            cluster.switch.plug(m, name, number);
            m.write("/etc/hostname", name);
            m.ok(["hostname", name]);
            m.write("/etc/corosync/corosync.conf", corosync());
            m.write("/var/lib/pacemaker/cib/cib.xml", CIB);
            m.ok_sh("chown hacluster:haclient /var/lib/pacemaker/cib/cib.xml; chmod 600 /var/lib/pacemaker/cib/cib.xml");
            install(m, "v1");
            m.ok_sh("systemctl start --no-block corosync pacemaker");
        }
        cluster
    }

    fn machine(&self, name: &str) -> &Machine {
        &self.machines.iter().find(|(other, _)| other == name).unwrap().1
    }

    /// The machine that answers at the address, if one does.
    fn active(&self) -> Option<String> {
        let said = self.switch.sh(&format!("curl -sS --max-time 1 http://{ADDRESS}/"));
        let (_, rest) = said.stdout.split_once(" on ")?;
        Some(rest.split_once(',')?.0.to_owned())
    }

    /// Waits until another machine than this one answers, and gives it with the time that this took.
    fn moved_from(&self, former: &str) -> (String, Duration) {
        let begun = Instant::now();
        let mut found = None;
        wait_until("another machine answers", PATIENCE, || {
            found = self.active().filter(|name| name != former);
            found.is_some()
        });
        (found.unwrap(), begun.elapsed())
    }

    /// What Pacemaker says of itself, asked on a machine.
    fn state(&self, name: &str) -> String {
        self.machine(name).ok(["crm_mon", "-1", "--show-detail", "--failcounts"])
    }

    fn await_all(&self) {
        wait_until("the app runs on every machine", PATIENCE, || {
            self.machines
                .iter()
                .all(|(_, m)| m.run(["systemctl", "is-active", "--quiet", "api"]).code == 0)
        });
    }
}

fn corosync() -> String {
    let nodes = (1..=3).map(|number| {
        format!(" node {{\n  name: h{number}\n  nodeid: {number}\n  ring0_addr: {NETWORK}.1{number}\n }}\n")
    });
    format!(
        "totem {{\n version: 2\n cluster_name: fleet\n transport: knet\n crypto_cipher: none\n crypto_hash: none\n \
         token: 1000\n}}\nnodelist {{\n{}}}\nquorum {{\n provider: corosync_votequorum\n}}\nlogging {{\n to_syslog: yes\n}}\n",
        nodes.collect::<String>()
    )
}

/// As docs/pacemaker.md makes it, without fencing, and with an election that does not wait for machines which are there.
const CIB: &str = r#"<cib crm_feature_set="3.1.0" validate-with="pacemaker-3.9" epoch="1" num_updates="0" admin_epoch="0">
<configuration>
<crm_config><cluster_property_set id="cib-bootstrap-options">
<nvpair id="p1" name="dc-deadtime" value="3s"/>
<nvpair id="p2" name="stonith-enabled" value="false"/>
<nvpair id="p3" name="no-quorum-policy" value="stop"/>
</cluster_property_set></crm_config>
<nodes/>
<resources>
<clone id="api-clone"><primitive id="api" class="ocf" provider="clusterctl" type="app">
<instance_attributes id="api-p"><nvpair id="api-p1" name="app" value="api"/></instance_attributes>
<meta_attributes id="api-m"><nvpair id="api-m1" name="migration-threshold" value="1"/>
<nvpair id="api-m2" name="failure-timeout" value="10s"/></meta_attributes>
<operations><op id="api-o1" name="monitor" interval="2s" timeout="30s"/>
<op id="api-o2" name="start" interval="0" timeout="60s"/><op id="api-o3" name="stop" interval="0" timeout="60s"/></operations>
</primitive></clone>
<primitive id="address" class="ocf" provider="heartbeat" type="IPaddr2">
<instance_attributes id="address-p"><nvpair id="address-p1" name="ip" value="192.0.2.100"/>
<nvpair id="address-p2" name="cidr_netmask" value="24"/></instance_attributes>
<operations><op id="address-o1" name="monitor" interval="2s" timeout="20s"/></operations>
</primitive>
</resources>
<constraints>
<rsc_colocation id="with" rsc="address" with-rsc="api-clone" score="INFINITY"/>
<rsc_order id="after" first="api-clone" then="address"/>
</constraints>
</configuration><status/></cib>
"#;

#[test]
#[ignore = "a cluster of three machines: make check-long"]
fn a_cluster_moves_its_address_at_a_crash_and_at_cut_links() {
    let reason = crate::support::requirements::bootable(Root::Pacemaker);
    if let Err(reason) = reason {
        crate::support::skip::record(&reason);
        return;
    }
    let cluster = Cluster::boot();
    let (active, _) = cluster.moved_from("nobody");
    cluster.await_all();
    let m = cluster.machine(&active);
    let doctor = m.clusterctl(["doctor", "api"]);
    assert!(doctor.stdout.contains("Pacemaker decides where it runs (resource api)"), "{doctor:?}");
    assert!(doctor.code == 0 && !doctor.stdout.contains("enable"), "{doctor:?}");

    // A new version on the machine that serves, under load.
    let load = Load::http(ADDRESS).new_connections(100.0).expect("instance ");
    let mut load = cluster.switch.load(load);
    load.wait_flowing();
    install(m, "v2");
    let report = load.stop();
    eprintln!("apply where the address is: {} answered, {} lost", report.ok(), report.failed());
    report.assert_none_failed();
    let state = cluster.state(&active);
    assert!(!state.contains("fail-count"), "{state}");

    // Parameters change without a restart.
    let processes =
        || m.ok(["systemctl", "show", "--value", "--property=MainPID", "api@0", "api@1"]);
    let before = processes();
    m.ok_sh("crm_resource --resource api --set-parameter ready --parameter-value 2 && crm_resource --wait");
    assert!(m.journal("pacemaker").contains("reload-agent"), "{}", m.journal("pacemaker"));
    assert_eq!(processes(), before);

    crash(m);
    let (next, time) = cluster.moved_from(&active);
    eprintln!("every instance of {active} dead: {next} answers after {time:?}");
    let state = cluster.state(&next);
    assert!(state.contains("fail-count"), "{state}");
    m.write("/srv/api/server.py", SERVER);
    m.ok(["crm_resource", "--cleanup", "--resource", "api"]);
    cluster.await_all();

    let mut active = next;
    for _ in 0..2 {
        cluster.switch.cut(&active);
        let (next, time) = cluster.moved_from(&active);
        eprintln!("link of {active} cut: {next} answers after {time:?}");
        let alone = cluster.machine(&active);
        wait_until("the machine that was cut off stops its app", PATIENCE, || {
            alone.systemctl_show("api", "ActiveState") == "inactive"
        });
        cluster.switch.mend(&active);
        cluster.await_all();
        active = next;
    }
    let units = fs::read_to_string(m.path("/etc/systemd/system/api.service")).unwrap();
    assert!(units.contains("[X-Clusterctl]"), "the app is as it was");
}
