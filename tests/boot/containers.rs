//! The container recipes, built by their own commands and ended as an engine ends a container.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use crate::support::{
    Machine, Root,
    cgroup::{PREFIX, Place},
    load::{Load, Run},
    podman::Engine,
    recipe::{Image, Recipe},
    requirements, skip, wait_until,
};

const DEADLINE: Duration = Duration::from_secs(60);

fn built(name: &str) -> Option<Image> {
    if let Err(reason) = requirements::bootable(Root::Trixie) {
        skip::record(&reason);
        return None;
    }
    Some(Recipe::read(name).build())
}

fn load() -> Load {
    // The example answers after half a second.
    let load = Load::http("127.0.0.1:3000").new_connections(20.0).keep_alive(20.0);
    load.expect("hello from instance ").instance_after("instance ")
}

/// Server sides of connections to the port, in the network of a process: taken up by a program,
/// and waiting for that.
fn connections(pid: u32) -> (usize, usize) {
    let table = |name| fs::read_to_string(format!("/proc/{pid}/net/{name}")).unwrap_or_default();
    let text = table("tcp") + &table("tcp6");
    let rows = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let ours = rows.filter(|row| row.len() > 9 && row[1].ends_with(":0BB8") && row[3] == "01");
    let (waiting, taken) = ours.partition::<Vec<_>, _>(|row| row[9] == "0");
    (taken.len(), waiting.len())
}

/// Sends nothing new, and returns when a program works on everything that was sent.
fn settle(run: &mut Run, pid: u32) {
    run.send_no_more();
    wait_until("requests under way, none of them waiting", DEADLINE, || {
        let (taken, waiting) = connections(pid);
        taken > 0 && waiting == 0
    });
}

#[test]
fn a_container_with_systemd_drains_at_its_stop_signal() {
    let Some(image) = built("Containerfile.systemd") else { return };
    assert_eq!(image.recipe.entry, ["/sbin/init"]);
    let m = Machine::boot_as_it_is(&image.dir);
    assert_eq!(m.ok(["systemctl", "is-system-running"]), "running");
    let mut run = m.load(load());
    run.wait_flowing();
    settle(&mut run, m.leader());
    assert_eq!(image.recipe.stop_signal, "SIGRTMIN+3");
    m.end_by(34 + 3);
    run.finish().assert_none_failed();
}

#[test]
fn a_container_with_systemd_serves_again_when_it_is_started_again() {
    let Some(image) = built("Containerfile.systemd") else { return };
    let m = Machine::boot_as_it_is(&image.dir);
    m.reboot();
    assert_eq!(m.ok(["systemctl", "is-system-running"]), "running");
    let mut run = m.load(load());
    run.wait_flowing();
    run.stop().assert_none_failed();
    assert!(m.journal("clusterctl-apply").contains("nothing to do"));
}

/// Process 1 of its own namespaces, as an engine makes them: the caller's end is its end.
const CONTAINER: &str = r#"
    while [ "$1" != -- ]; do echo $$ >"$1"; shift; done; shift
    exec unshare --mount --pid --net --uts --ipc --cgroup --fork --kill-child sh -ec "$@"
"#;

/// Its first process, which becomes the entry point.
const FIRST: &str = r#"
    root=$1 workdir=$2 ; shift 2
    mount --bind "$root" "$root" ; cd "$root"
    mount -t proc proc proc ; mount --rbind /dev dev ; mount -t sysfs -o ro sysfs sys
    mount -t cgroup2 cgroup2 sys/fs/cgroup ; mount -o remount,bind,ro sys/fs/cgroup
    mount -t tmpfs tmpfs tmp ; ip link set lo up
    pivot_root . mnt ; cd "$workdir" ; umount -l /mnt
    exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"
"#;

fn start(image: &Image, place: &Place, log: &Path) -> Child {
    let output = fs::File::create(log).unwrap();
    let mut command = Command::new("sh");
    command.args(["-ec", CONTAINER, "sh"]).args(place.procs());
    command.args(["--", FIRST, "sh"]).arg(&image.dir);
    command.arg(&image.recipe.workdir).args(&image.recipe.entry);
    command.stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output);
    command.spawn().unwrap()
}

#[test]
fn a_container_around_dev_drains_at_sigterm() {
    let Some(image) = built("Containerfile.dev") else { return };
    let log = image.dir.with_extension("log");
    let place = Place::create(&format!("{PREFIX}-{}-dev", std::process::id()));
    let mut container = start(&image, &place, &log);
    let output = || fs::read_to_string(&log).unwrap();
    wait_until("the start", DEADLINE, || {
        assert!(container.try_wait().unwrap().is_none(), "{}", output());
        output().contains("all apps run")
    });
    let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", container.id()));
    let first: u32 = children.unwrap().trim().parse().unwrap();
    let status = fs::read_to_string(format!("/proc/{first}/status")).unwrap();
    let inside = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap();
    assert_eq!(inside.split_whitespace().last(), Some("1"), "it is process 1: {status}");
    let mut run = load().start_in_network_of(first);
    run.wait_flowing();
    settle(&mut run, first);
    assert_eq!(image.recipe.stop_signal, "SIGTERM");
    let sent = Command::new("kill").args(["-TERM", &first.to_string()]).status().unwrap();
    assert!(sent.success());
    let report = run.finish();
    let status = container.wait().unwrap();
    assert!(status.success(), "{status}: {}", output());
    report.assert_none_failed();
    fs::remove_file(log).unwrap();
}

/// An engine that runs the recipe's container, by the commands that the recipe itself names.
fn engine_running(name: &str) -> Option<Engine> {
    if let Err(reason) = requirements::bootable(Root::Trixie) {
        skip::record(&reason);
        return None;
    }
    let recipe = Recipe::read(name);
    let build = recipe.command("podman build").replace(" build ", " build --network host ");
    let run = recipe.command("podman run").replace(" run ", " run --detach --name it ");
    let mut engine = Engine::start(&recipe.suite);
    engine.ok(&build);
    engine.ok(&run);
    Some(engine)
}

/// Stops the container while requests are under way.
fn assert_drains(engine: &mut Engine) {
    let pid = engine.inside("it");
    let mut run = load().start_in_network_of(pid);
    run.wait_flowing();
    settle(&mut run, pid);
    engine.ok("podman stop --time 60 it");
    run.finish().assert_none_failed();
    assert_eq!(engine.ok("podman inspect --format '{{.State.ExitCode}}' it"), "0");
}

#[test]
#[ignore = "a download and two images: make check-long"]
fn podman_runs_a_container_with_systemd() {
    let Some(mut engine) = engine_running("Containerfile.systemd") else { return };
    // Before its bus is there, nobody can wait for it, hence the looks; `podman exec` alone ends them
    // when the container has ended.
    let up = "until [ \"$(podman exec it systemctl is-system-running --wait 2>/dev/null)\" = running ]; do
            podman exec it true; sleep 0.2
        done";
    engine.ok(up);
    assert_drains(&mut engine);
    engine.ok("podman start it");
    engine.ok(up);
    let journal = engine.ok("podman exec it journalctl --no-pager -u clusterctl-apply");
    assert!(journal.contains("nothing to do"), "{journal}");
    assert_drains(&mut engine);
}

#[test]
#[ignore = "a download and two images: make check-long"]
fn podman_runs_a_container_around_dev() {
    let Some(mut engine) = engine_running("Containerfile.dev") else { return };
    // `podman logs --follow` would end with the container only.
    engine.ok("until podman logs it 2>&1 | grep 'all apps run'; do
            podman exec it true; sleep 0.2
        done");
    assert_drains(&mut engine);
}
