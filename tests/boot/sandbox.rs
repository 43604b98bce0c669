//! What apps are kept from: as much as is promised, and nothing that they need.

use std::time::Duration;

use crate::booted;
use crate::filtered::{APPS, every_handover_of};
use crate::servers::fixture;
use crate::shop::{SERVER, applied, apply, ecosystem, load, pids, write};
use crate::support::load::Load;
use crate::support::{Machine, Root, filtered_machine, machine, wait_until};
use crate::trace::go_app;

/// What `systemd-analyze security` gives an instance.
fn exposure(m: &Machine, unit: &str) -> f64 {
    let text = m.ok(["systemd-analyze", "security", "--no-pager", unit]);
    let line = text.lines().find(|line| line.contains("Overall exposure level")).unwrap();
    let number = line.rsplit(": ").next().unwrap().split_whitespace().next().unwrap();
    number.parse().unwrap_or_else(|_| panic!("{line}"))
}

booted!(an_app_with_a_user_of_its_own_is_as_closed_as_promised, |m| {
    m.user("ada");
    let plain = ecosystem(2, "user = 'ada'");
    applied(m, &plain);
    let by_default = exposure(m, "shop@0.service");
    assert!(by_default <= 5.0, "{by_default}");
    let mut run = m.load(load());
    run.wait_flowing();
    m.ok(["clusterctl", "reload", "shop"]);
    applied(m, &ecosystem(2, "user = 'ada'\nsandbox = 'strict'"));
    let strict = exposure(m, "shop@0.service");
    assert!(strict <= 2.0, "{strict}");
    m.ok(["clusterctl", "reload", "shop"]);
    applied(m, &ecosystem(2, "user = 'ada'\nsandbox = 'off'"));
    assert!(exposure(m, "shop@0.service") > 8.0);
    run.stop().assert_none_failed();
    eprintln!("exposure: default {by_default}, strict {strict}");
    let output = m.clusterctl(["describe", "shop"]);
    assert!(output.stdout.contains("sandbox: off"), "{output:#?}");
});

booted!(a_traced_app_is_as_closed_as_promised, |m| {
    m.user("ada");
    for (toml, most) in [("", 5.0), ("sandbox = 'strict'", 2.0)] {
        m.ok_sh("rm -f /srv/shop/server");
        let toml = format!("user = 'ada'\nlisten = 3000\ninstances = 2\n{toml}");
        if go_app(m, &toml).is_none() {
            return;
        }
        let mut run = m.load(load());
        run.wait_flowing();
        let now = exposure(m, "shop@0.service");
        assert!(now <= most, "{now} is more than {most}");
        m.ok(["clusterctl", "reload", "shop"]);
        run.stop().assert_none_failed();
    }
});

booted!(root_keeps_what_root_may_do, |m| {
    applied(m, &ecosystem(1, ""));
    for (property, value) in [("NoNewPrivileges", "no"), ("ProtectSystem", "no")] {
        assert_eq!(m.systemctl_show("shop@0", property), value);
    }
    let pid = m.systemctl_show("shop@0", "MainPID");
    let status = m.read(&format!("/proc/{pid}/status"));
    assert!(status.contains("Seccomp:\t0"), "{status}");
    // An app of root that asks for the sandbox gets it.
    applied(m, &ecosystem(1, "sandbox = 'strict'"));
    let pid = m.systemctl_show("shop@0", "MainPID");
    let status = m.read(&format!("/proc/{pid}/status"));
    assert!(status.contains("CapEff:\t0000000000000000"), "{status}");
    assert!(m.ok(["curl", "-s", "localhost:3000"]).starts_with("instance "));
});

/// Tries what programs do, and says what fails.
const TRIES: &str = r#"
import ctypes, mmap, os, resource, socket, subprocess, time
failed = []
def tries(name, what):
    try: what()
    except Exception as error: failed.append(f'{name}: {error!r}')
def write(path):
    with open(path, 'w') as file: file.write('x')
def unix(path):
    held = socket.socket(socket.AF_UNIX); held.bind(path); held.listen(1)
    globals().setdefault('held', []).append(held)
def shared_folder():
    os.mkdir('/srv/shop/data/group'); os.chmod('/srv/shop/data/group', 0o2775)
    assert os.stat('/srv/shop/data/group').st_mode & 0o2000
def jit():
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(b'\xc3')
def namespace():
    # As Chromium's sandbox does.
    libc = ctypes.CDLL(None, use_errno=True)
    if os.fork() == 0: os._exit(0 if libc.unshare(0x10000000) == 0 else ctypes.get_errno())
    code = os.wait()[1] >> 8
    assert code == 0, os.strerror(code)
def device():
    with open('/dev/own', 'rb') as zero: assert zero.read(1) == b'\0'
def family(kind): socket.socket(*kind).close()
tries('cwd', lambda: write('/srv/shop/data/file'))
tries('home', lambda: write('/home/ada/file'))
tries('tmp', lambda: write('/tmp/of-ada'))
tries('socket', lambda: unix('/tmp/of-ada.sock'))
tries('shared memory', lambda: write('/dev/shm/of-ada'))
tries('setgid folder', shared_folder)
tries('jit', jit)
tries('namespace', namespace)
tries('nice', lambda: os.setpriority(os.PRIO_PROCESS, 0, 5))
tries('limit', lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (1000, 1000)))
tries('affinity', lambda: os.sched_setaffinity(0, os.sched_getaffinity(0)))
tries('device', device)
tries('netlink', lambda: family((socket.AF_NETLINK, socket.SOCK_RAW, 0)))
tries('vsock', lambda: family((socket.AF_VSOCK, socket.SOCK_STREAM, 0)))
tries('proc', lambda: open('/proc/meminfo').read())
tries('others', lambda: open('/proc/1/stat').read())
tries('sys', lambda: os.listdir('/sys/fs/cgroup'))
tries('child', lambda: subprocess.run(['sh', '-c', 'ls -l /usr/bin >/dev/null'], check=True))
tries('nested', lambda: write('/usr/local/shop/file'))
print('failed:', '; '.join(failed) or 'nothing')
print('tried by', os.getpid(), flush=True)
time.sleep(3600)
"#;

/// What the program could do: it has started when it is executed, and tells later, which nothing announces. What the
/// one before it told is in the log as well.
const TOLD: &str = "timeout 60 sh -c 'until clusterctl logs shop --lines all | grep -q \"tried by $(systemctl show -P MainPID shop@0)$\"; \
    do journalctl --sync; sleep 0.1; done'; clusterctl logs shop --lines all | grep failed: | tail -n 1";

fn try_all(m: &Machine, toml: &str) -> String {
    m.run(["clusterctl", "delete", "shop"]);
    m.ok_sh("rm -rf /srv/shop/data /tmp/of-ada*; mkdir -p /srv/shop/data '/srv/shop/in \"quotes\"'; chown ada /srv/shop/data");
    m.write("/srv/shop/tries.py", TRIES);
    write(m, &format!("[[apps]]\nname = 'shop'\nscript = 'tries.py'\nuser = 'ada'\n{toml}\n"));
    let output = apply(m);
    assert_eq!(output.code, 0, "{output:#?}");
    m.ok_sh(TOLD)
}

booted!(what_programs_do_works_by_default, |m| {
    m.user("ada");
    m.ok_sh("mkdir -p /usr/local/shop; chown ada /usr/local/shop; mknod /dev/own c 1 5; chmod 666 /dev/own");
    // What the machine forbids without any sandbox.
    let before = try_all(m, "sandbox = 'off'");
    let writable = "writable = ['/usr/local/shop', 'in \"quotes\"']";
    let with = try_all(m, writable);
    assert_eq!(before, with);
    eprintln!("{with}");
    assert!(m.exists("/tmp/of-ada.sock"), "a Unix socket in /tmp is there for others");
    let pid = m.systemctl_show("shop@0", "MainPID");
    let status = m.read(&format!("/proc/{pid}/status"));
    assert!(status.contains("NoNewPrivs:\t1"), "{status}");
});

booted!(strict_lets_an_app_write_where_it_says_alone, |m| {
    m.user("ada");
    m.ok_sh("mkdir -p /usr/local/shop /var/log/shop; chown ada /usr/local/shop /var/log/shop; mknod /dev/own c 1 5");
    let toml =
        "sandbox = 'strict'\nwritable = ['data', 'in \"quotes\"']\nout_file = '/var/log/shop/out'";
    m.ok_sh("mkdir -p /srv/shop/data '/srv/shop/in \"quotes\"'");
    try_all(m, toml);
    let said = m.read("/var/log/shop/out");
    for name in ["home", "setgid folder", "namespace", "device", "vsock", "nested", "others"] {
        assert!(said.contains(&format!("{name}: ")), "{name} is possible: {said}");
    }
    for name in ["cwd", "tmp", "jit", "netlink", "proc", "child", "shared memory"] {
        assert!(!said.contains(&format!("{name}: ")), "{name} fails: {said}");
    }
    assert!(!m.exists("/tmp/of-ada"), "its /tmp is its own");
});

booted!(a_folder_of_writable_that_is_gone_is_named, |m| {
    m.user("ada");
    m.ok_sh("mkdir -p /srv/shop/data");
    applied(m, &ecosystem(1, "user = 'ada'\nsandbox = 'strict'\nwritable = 'data'"));
    m.ok_sh("rmdir /srv/shop/data");
    let output = m.clusterctl(["restart", "shop"]);
    assert_eq!(output.code, 1, "{output:#?}");
    assert!(output.stderr.contains("`/srv/shop/data` does not exist"), "{output:#?}");
    let output = apply(m);
    assert!(output.stderr.contains("mkdir -p /srv/shop/data"), "{output:#?}");
});

booted!(a_file_that_writes_a_directive_itself_has_its_own, |m| {
    m.user("ada");
    applied(
        m,
        &ecosystem(
            1,
            "user = 'ada'\nservice = { NoNewPrivileges = false, AmbientCapabilities = 'CAP_NET_BIND_SERVICE', \
             ProtectSystem = 'full', SystemCallFilter = '~@swap', Delegate = true }",
        ),
    );
    let pid = m.systemctl_show("shop@0", "MainPID");
    let status = m.read(&format!("/proc/{pid}/status"));
    assert!(status.contains("CapEff:\t0000000000000400"), "{status}");
    assert!(status.contains("CapBnd:\t0000000000000400"), "{status}");
    assert_eq!(m.systemctl_show("shop@0", "ProtectSystem"), "full");
    assert_eq!(m.systemctl_show("shop@0", "ProtectControlGroups"), "no");
});

booted!(a_container_without_namespaces_is_told_what_is_left_out, |m| {
    m.user("ada");
    // A stand-in that ends with the code that systemd gives where it may not make namespaces.
    m.write("/usr/local/bin/systemd-run", "#!/bin/sh\nexit 226\n");
    m.ok(["chmod", "+x", "/usr/local/bin/systemd-run"]);
    write(m, &ecosystem(1, "user = 'ada'\nsandbox = 'strict'"));
    let output = m.sh("PATH=/usr/local/bin:$PATH clusterctl apply /srv/shop/ecosystem.toml");
    assert_eq!(output.code, 0, "{output:#?}");
    assert!(output.stderr.contains("shop: ProtectSystem="), "{output:#?}");
    assert!(output.stderr.contains("permits no namespaces"), "{output:#?}");
    assert_eq!(m.systemctl_show("shop@0", "ProtectSystem"), "no");
    assert_eq!(m.systemctl_show("shop@0", "NoNewPrivileges"), "yes");
    // The answer is remembered: the next apply does not ask again.
    assert!(apply(m).stdout.contains("nothing to do"));
    m.reboot();
    m.ok(["rm", "/usr/local/bin/systemd-run"]);
    let before = pids(m, 1);
    let output = apply(m);
    assert!(!output.stderr.contains("permits no namespaces"), "{output:#?}");
    assert_ne!(pids(m, 1), before);
    assert_eq!(m.systemctl_show("shop@0", "ProtectSystem"), "strict");
});

booted!(a_program_that_gains_rights_keeps_them, |m| {
    m.user("ada");
    m.ok_sh("cp $(readlink -f $(command -v node)) /usr/local/bin/own-node; setcap cap_net_bind_service=+ep /usr/local/bin/own-node");
    m.write("/srv/shop/server.js", SERVER);
    let text = "[[apps]]\nname = 'shop'\nscript = 'server.js'\ninterpreter = '/usr/local/bin/own-node'\n\
                user = 'ada'\nenv = { PORT = '81' }\nexec_mode = 'fork'\n";
    write(m, text);
    let output = apply(m);
    assert_eq!(output.code, 0, "{output:#?}");
    // An app without a listener counts as ready when it is started.
    wait_until("the port", Duration::from_secs(20), || {
        m.run(["curl", "-s", "localhost:81"]).stdout.starts_with("instance ")
    });
    // systemd binds the port of a listener. The privileges that the program gains would keep the library out.
    for sandbox in ["default", "strict"] {
        let with = format!("instances = 2\nsandbox = '{sandbox}'");
        write(m, &text.replace("exec_mode = 'fork'", &with).replace("'81'", "'82'"));
        let output = apply(m);
        assert_eq!(output.code, 0, "{output:#?}");
        assert!(m.ok(["curl", "-s", "localhost:82"]).starts_with("instance "));
    }
    write(m, &text.replace("exec_mode = 'fork'", "listen = 83\nsandbox = 'off'"));
    let output = apply(m);
    assert_eq!(output.code, 3, "{output:#?}");
    assert!(output.stderr.contains("gains privileges when it starts"), "{output:#?}");
});

booted!(a_user_without_root_gets_what_needs_no_namespace, |m| {
    let ada = m.user("ada");
    ada.write("/home/ada/shop/server.js", SERVER);
    for sandbox in ["default", "strict"] {
        let text = format!("{}sandbox = '{sandbox}'\n", ecosystem(2, ""));
        ada.write("/home/ada/shop/ecosystem.toml", &text);
        ada.ok(["clusterctl", "--user", "apply", "/home/ada/shop/ecosystem.toml"]);
        assert!(ada.ok(["curl", "-s", "localhost:3000"]).starts_with("instance "));
        let pid = ada.ok(["systemctl", "--user", "show", "-P", "MainPID", "shop@0"]);
        let status = m.read(&format!("/proc/{pid}/status"));
        assert!(status.contains("NoNewPrivs:\t1") && status.contains("Seccomp:\t2"), "{status}");
        let own = m.ok(["readlink", &format!("/proc/{pid}/ns/user")]);
        assert_eq!(own, m.ok(["readlink", "/proc/1/ns/user"]), "no namespace of its own");
    }
});

/// Servers of `fixtures/servers` that need nothing compiled, and whether they are reached by a Unix listener.
const SERVERS: [(&str, bool); 13] = [
    ("node", false),
    ("python", false),
    ("gunicorn", false),
    ("uvicorn", false),
    ("uwsgi", false),
    ("perl", false),
    ("php", false),
    ("puma", false),
    ("java", false),
    ("nginx", false),
    ("lighttpd", false),
    ("haproxy", false),
    ("unix", true),
];

/// Each serves and is replaced under load, as an app of a user without rights.
fn known_servers(m: &Machine, sandbox: &str) {
    m.user("ada");
    let mut bad = Vec::new();
    for (name, unix) in SERVERS {
        m.copy(&fixture(name), &format!("/srv/{name}"));
        let file = format!("/srv/{name}/ecosystem.toml");
        let text = m.read(&file).replace("instances = 4", "instances = 2");
        m.write(&file, format!("{text}user = 'ada'\nsandbox = '{sandbox}'\nwritable = '.'\n"));
        // The server's own files have to lie where its user may write.
        m.ok_sh(&format!(
            "sed -i 's#/run/shop-#/srv/{name}/shop-#' /srv/{name}/*.conf 2>/dev/null || :"
        ));
        m.ok(["chown", "-R", "ada", &format!("/srv/{name}")]);
        let output = m.clusterctl(["apply", &file]);
        let load = match unix {
            true => Load::unix("/run/shop.sock"),
            false => Load::http("127.0.0.1:8000"),
        };
        if output.code == 0 {
            let load = load.new_connections(20.0).keep_alive(20.0).expect("instance ");
            let mut run = m.load(load.instance_after("instance "));
            run.wait_flowing();
            m.ok(["clusterctl", "reload", "shop"]);
            let report = run.stop();
            assert!(report.failed() == 0, "{name}: {report:#?}");
        } else if !output.stderr.contains("no program `") {
            bad.push(format!("{name}: {output:#?}"));
        }
        m.run(["clusterctl", "delete", "shop"]);
    }
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

booted!(known_servers_run_by_default, |m| known_servers(m, "default"));
booted!(known_servers_run_closed, |m| known_servers(m, "strict"));

fn handovers(m: Option<Machine>) {
    let Some(m) = m else { return };
    m.user("ada");
    for sandbox in ["default", "strict"] {
        every_handover_of(&m, &format!("user = 'ada'\nsandbox = '{sandbox}'\n"));
        assert!(!APPS.is_empty());
    }
}

#[test]
fn every_handover_host() {
    handovers(machine(Root::Host));
}

#[test]
fn every_handover_trixie() {
    handovers(machine(Root::Trixie));
}

#[test]
fn every_handover_behind_a_filter_host() {
    handovers(filtered_machine(Root::Host));
}

#[test]
fn every_handover_behind_a_filter_trixie() {
    handovers(filtered_machine(Root::Trixie));
}
