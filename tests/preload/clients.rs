//! `balance = "client"`: each client's address has one instance.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with};
use rustix::process::Signal;

use crate::gate::{BLOCKING, CLOSES, EDGES, FORKS, Instances, NODE, SELECT};
use crate::support::door::is_untouched;
use crate::support::{PATIENCE, end_children, has};

/// Serves until it is asked to stop, then closes its listener, and ends a little later.
const LEAVES: &str = "import signal\n\
    r, w = os.pipe()\n\
    signal.signal(signal.SIGTERM, lambda *_: os.write(w, b'x'))\n\
    s.setblocking(False)\n\
    while True:\n\
    \x20   for fd in select.select([s, r, *kept], [], [])[0]:\n\
    \x20       if fd is s: serve()\n\
    \x20       elif fd == r:\n\
    \x20           s.close()\n\
    \x20           select.select([], [], [], 0.1)\n\
    \x20           os._exit(0)\n\
    \x20       else: kept.pop(fd).close()\n";

/// Two workers that are slower than their clients, and a parent that asks them to stop when it is.
const WORKERS: &str = "import signal, time\n\
    s.setblocking(False)\n\
    kids = []\n\
    for _ in range(2):\n\
    \x20   kids.append(os.fork())\n\
    \x20   if kids[-1] == 0: break\n\
    def stop(*_):\n\
    \x20   for kid in kids: os.kill(kid, signal.SIGTERM)\n\
    \x20   for kid in kids: os.waitpid(kid, 0)\n\
    \x20   os._exit(0)\n\
    if kids[-1] != 0:\n\
    \x20   signal.signal(signal.SIGTERM, stop)\n\
    \x20   while True: signal.pause()\n\
    while True:\n\
    \x20   for fd in select.select([s, *kept], [], [])[0]:\n\
    \x20       if fd is s:\n\
    \x20           time.sleep(0.005)\n\
    \x20           serve()\n\
    \x20       else: kept.pop(fd).close()\n";

/// One worker that is slower than its clients, and ends when its parent says so, without a word of its listener, once
/// it has served those whom it has.
const WORKER: &str = "import signal, time\n\
    s.setblocking(False)\n\
    kid = os.fork()\n\
    def stop(*_):\n\
    \x20   os.kill(kid, signal.SIGUSR1)\n\
    \x20   os.waitpid(kid, 0)\n\
    \x20   os._exit(0)\n\
    if kid != 0:\n\
    \x20   signal.signal(signal.SIGTERM, stop)\n\
    \x20   while True: signal.pause()\n\
    r, w = os.pipe()\n\
    signal.signal(signal.SIGUSR1, lambda *_: os.write(w, b'x'))\n\
    waits = [s, r]\n\
    while waits or kept:\n\
    \x20   for fd in select.select([*waits, *kept], [], [])[0]:\n\
    \x20       if fd == r: waits = []\n\
    \x20       elif fd is s:\n\
    \x20           time.sleep(0.005)\n\
    \x20           serve()\n\
    \x20       else: kept.pop(fd).close()\n\
    os._exit(0)\n";

/// Serves beside a child that has forked and holds for a while what it has inherited, as one does that is to become
/// another program.
const HOLDS: &str = "if os.fork() == 0:\n\
    \x20   os.close(s.detach())\n\
    \x20   select.select([], [], [], 4)\n\
    \x20   os._exit(0)\n";

/// A connection of one of 250 clients.
fn client(number: u8, port: u16) -> TcpStream {
    // Programs that other tests start in this moment inherit nothing of it.
    let kind = (AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC);
    let socket = socket_with(kind.0, kind.1, kind.2, None).unwrap();
    bind(&socket, &SocketAddrV4::new(Ipv4Addr::new(127, 0, 1, number), 0)).unwrap();
    connect(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Who serves a connection.
#[track_caller]
fn server(stream: &TcpStream) -> u32 {
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).expect("somebody serves it");
    line.trim().parse().expect("it was not closed")
}

/// Who serves each of so many clients, which come three times each.
fn owners(clients: u8, port: u16) -> BTreeMap<u8, u32> {
    let mut owners = BTreeMap::new();
    for _ in 0..3 {
        for number in 1..=clients {
            let own = server(&client(number, port));
            assert_eq!(*owners.entry(number).or_insert(own), own, "{number}");
        }
    }
    owners
}

fn sticky(count: usize, words: &[&str]) -> Instances {
    Instances::of(count, words, "client")
}

fn python(count: usize, waits: &str) -> Option<Instances> {
    Instances::python(count, waits, "client")
}

fn who(owners: &BTreeMap<u8, u32>) -> BTreeSet<u32> {
    owners.values().copied().collect()
}

#[test]
fn a_client_meets_one_instance_whatever_programs_wait_by() {
    if has("node") {
        let all = sticky(4, &["node", "--eval", NODE]);
        assert_eq!(who(&owners(60, all.port)).len(), 4);
    }
    for waits in [BLOCKING, SELECT, EDGES] {
        let Some(all) = python(4, waits) else { return };
        assert_eq!(who(&owners(60, all.port)).len(), 4, "{waits}");
    }
}

/// One comes, and one goes: clients of the others stay where they are.
#[test]
fn only_clients_of_the_one_that_goes_move() {
    let Some(mut all) = python(4, SELECT) else { return };
    let before = owners(60, all.port);
    let (mut program, _door) = all.all.remove(1);
    program.terminate();
    program.end();
    let after = owners(60, all.port);
    assert_eq!(who(&after).len(), 3);
    for (number, owner) in &after {
        let was = before[number];
        assert!(was == *owner || was == program.pid(), "{number}");
    }
    let (mut program, _door) = all.all.remove(0);
    program.signal(Signal::KILL);
    program.end();
    assert_eq!(who(&owners(60, all.port)).len(), 2);
}

/// Clients come without a pause while one after the other goes, by the library's drain or by closing its listener.
#[test]
fn nobody_is_lost_when_instances_go() {
    for (waits, drain) in [(CLOSES, "1"), (LEAVES, "0"), (WORKERS, "1"), (WORKER, "1")] {
        let Some(mut all) = python(0, waits) else { return };
        all.systemd.set("CLUSTERCTL_DRAIN", drain);
        (0..3).for_each(|_| all.add());
        let (port, done) = (all.port, AtomicBool::new(false));
        std::thread::scope(|scope| {
            let come = |from: u8| {
                let mut number = from;
                while !done.load(Ordering::Relaxed) {
                    server(&client(number, port));
                    number = if number > 240 { from } else { number + 8 };
                }
            };
            let clients: Vec<_> = (1..=4).map(|from| scope.spawn(move || come(from))).collect();
            for _ in 0..6 {
                all.add();
                let (mut program, _door) = all.all.remove(0);
                program.terminate();
                program.end();
            }
            done.store(true, Ordering::Relaxed);
            clients.into_iter().for_each(|client| client.join().unwrap());
        });
    }
}

/// More clients than there is room for at the door of one that is stopped: others serve the rest.
#[test]
fn a_full_door_is_passed_by() {
    let Some(mut all) = python(3, SELECT) else { return };
    let before = owners(60, all.port);
    let stopped = all.all[0].0.pid();
    let number = *before.iter().find(|(_, owner)| **owner == stopped).unwrap().0;
    all.all[0].0.signal(Signal::STOP);
    let room = std::fs::read_to_string("/proc/sys/net/unix/max_dgram_qlen").unwrap();
    let room: usize = room.trim().parse().unwrap();
    let waiting: Vec<TcpStream> = (0..room + 20).map(|_| client(number, all.port)).collect();
    assert_ne!(server(waiting.last().unwrap()), stopped);
    // What waits at its door is served when it comes round.
    all.all[0].0.signal(Signal::CONT);
    let served: Vec<u32> = waiting[..room + 19].iter().map(server).collect();
    assert!(served.contains(&stopped));
    assert!(all.all[0].0.is_running());
}

/// The signal to stop comes while clients wait at the door: others serve them.
#[test]
fn what_waits_at_the_door_of_one_that_goes_is_led_on() {
    let Some(mut all) = python(0, CLOSES) else { return };
    all.systemd.set("CLUSTERCTL_DRAIN", "1");
    (0..3).for_each(|_| all.add());
    let before = owners(60, all.port);
    let (mut program, _door) = all.all.remove(0);
    let number = *before.iter().find(|(_, owner)| **owner == program.pid()).unwrap().0;
    program.signal(Signal::STOP);
    let room = std::fs::read_to_string("/proc/sys/net/unix/max_dgram_qlen").unwrap();
    let room: usize = room.trim().parse().unwrap();
    let waiting: Vec<TcpStream> = (0..room + 20).map(|_| client(number, all.port)).collect();
    // Its door is full when another one serves a client of its own.
    assert_ne!(server(waiting.last().unwrap()), program.pid());
    program.terminate();
    program.signal(Signal::CONT);
    for stream in &waiting[..room + 19] {
        server(stream);
    }
    drop(waiting);
    assert_eq!(program.end(), 0);
}

#[test]
fn one_out_of_rotation_owns_nobody() {
    let Some(all) = python(3, SELECT) else { return };
    let before = owners(60, all.port);
    let out = all.all[0].0.pid();
    assert_eq!(all.all[0].1.say("close"), "closed");
    assert!(!who(&owners(60, all.port)).contains(&out));
    assert_eq!(all.all[0].1.say("open"), "open");
    assert_eq!(owners(60, all.port), before);
}

/// Which of them a client meets is nobody's to say; all are served, also when one goes.
#[test]
fn instances_of_several_processes_own_nobody() {
    let Some(mut all) = python(2, FORKS) else { return };
    let parents: Vec<u32> = all.all.iter().map(|(program, _)| program.pid()).collect();
    // It listens before it forks, and nobody announces the child.
    let child = |parent: &u32| {
        let path = format!("/proc/{parent}/task/{parent}/children");
        let mut looks = (0..1000).map(|_| std::fs::read_to_string(&path).unwrap());
        let found = looks.find_map(|text| {
            let child = text.trim().parse::<u32>().ok();
            if child.is_none() {
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            child
        });
        found.expect("it forks")
    };
    let instances: Vec<[u32; 2]> = parents.iter().map(|pid| [*pid, child(pid)]).collect();
    // One and the same client, from the moment on in which two processes of each have served.
    let mut seen = BTreeSet::new();
    let meets = |seen: &BTreeSet<u32>, pids: &[u32; 2]| pids.iter().any(|pid| seen.contains(pid));
    for _ in 0..2000 {
        if instances.iter().all(|pids| meets(&seen, pids)) {
            break;
        }
        seen.insert(server(&client(7, all.port)));
    }
    assert!(instances.iter().all(|pids| meets(&seen, pids)), "{seen:?} of {instances:?}");
    let (mut program, _door) = all.all.remove(0);
    end_children(program.pid());
    program.terminate();
    program.end();
    (1..=60).for_each(|number| _ = server(&client(number, all.port)));
}

/// The words that run a program which closes what has gone, while strace changes a call of it.
fn traced(call: &str, change: &str, script: &str) -> Vec<String> {
    let (trace, change) = (format!("trace={call}"), format!("inject={call}:{change}"));
    let words =
        ["strace", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &change, "python3", "-c", script];
    words.map(str::to_owned).into()
}

/// The signal to stop comes in the midst of `accept()`, before and after a client was taken out of the queue: nobody
/// is handed in at the door any more, which strace holds open as well.
#[test]
fn one_that_is_stopped_in_accept_gets_no_more() {
    if !has("strace") {
        return;
    }
    for number in 40..45 {
        let Some(mut all) = python(0, CLOSES) else { return };
        all.systemd.set("CLUSTERCTL_DRAIN", "1");
        all.add();
        let script = all.words.pop().unwrap();
        all.words = traced("getuid", &format!("signal=SIGTERM:when={number}"), &script);
        all.add();
        let mut clients = (1..=60).cycle();
        while all.all[1].0.is_running() {
            server(&client(clients.next().unwrap(), all.port));
        }
    }
}

/// Whoever hands a client in does not come to it until the one whose it is has gone, whose door is still held by a
/// child that looks into it no more.
#[test]
fn a_client_who_is_handed_in_late_is_served_by_another() {
    let Some(mut all) = python(0, &[HOLDS, CLOSES].concat()) else { return };
    if !has("strace") {
        return;
    }
    all.systemd.set("CLUSTERCTL_DRAIN", "1");
    all.add();
    let script = all.words.pop().unwrap().replace(HOLDS, "");
    all.words = traced("sendmsg", "delay_enter=2000000:when=1", &script);
    all.add();
    let (mut program, door) = all.all.remove(0);
    program.signal(Signal::STOP);
    // The senders of the stopped one, in the page of all.
    let folder = door.path.parent().unwrap().to_str().unwrap();
    let number: u64 = folder.rsplit_once('@').unwrap().1.parse().unwrap();
    let page = all.page();
    let is_handed_in = || {
        let mut word = [0; 4];
        page.read_exact_at(&mut word, (16 + 5 * number + 4) * 4).unwrap();
        word != [0; 4]
    };
    let mut late = None;
    for number in 1..=60 {
        let stream = client(number, all.port);
        while is_untouched(&stream) && !is_handed_in() {
            std::thread::yield_now();
        }
        if is_handed_in() {
            late = Some(stream);
            break;
        }
    }
    program.terminate();
    program.signal(Signal::CONT);
    assert_eq!(program.end(), 0);
    server(&late.expect("one of 60 is another one's"));
}
