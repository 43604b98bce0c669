//! Instances that share a listener leave connections to those that have fewer.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::time::Instant;

use rustix::process::Signal;

use crate::support::door::{Door, listening};
use crate::support::{PATIENCE, Program, Systemd, connect, has};

pub const NODE: &str = "require('net').createServer((c) => {\n\
    \x20 c.on('error', () => {});\n\
    \x20 c.write(`${process.pid}\\n`);\n\
    }).listen(PORT, '127.0.0.1')";

/// The balance of these tests.
const EVEN: &str = "even";

/// Where the page of all instances says of the first one whether it is passed over, and how many words each has.
const PASSES: u64 = 4 * (16 + 2);
const WORDS_OF_EACH: u64 = 5;

/// Keeps every client; how it waits follows.
const BEGINS: &str = "import os, select, socket, threading\n\
    s = socket.socket()\n\
    s.bind(('127.0.0.1', PORT))\n\
    s.listen()\n\
    kept = {}\n\
    def serve():\n\
    \x20   try: c, _ = s.accept()\n\
    \x20   except BlockingIOError: return False\n\
    \x20   c.sendall(b'%d\\n' % os.getpid())\n\
    \x20   kept[c.fileno()] = c\n\
    \x20   return True\n";

pub const BLOCKING: &str = "while True: serve()\n";
pub const SELECT: &str = "s.setblocking(False)\n\
    while True:\n\
    \x20   select.select([s], [], [])\n\
    \x20   serve()\n";
pub const EDGES: &str = "s.setblocking(False)\n\
    e = select.epoll()\n\
    e.register(s.fileno(), select.EPOLLIN | select.EPOLLET)\n\
    while True:\n\
    \x20   e.poll()\n\
    \x20   while serve(): pass\n";
/// Lets clients go that have gone.
pub const CLOSES: &str = "s.setblocking(False)\n\
    while True:\n\
    \x20   for fd in select.select([s, *kept], [], [])[0]:\n\
    \x20       if fd is s: serve()\n\
    \x20       else: kept.pop(fd).close()\n";
/// Two processes that wait for one listener.
pub const FORKS: &str = "s.setblocking(False)\n\
    os.fork()\n\
    while True:\n\
    \x20   select.select([s], [], [])\n\
    \x20   serve()\n";

pub struct Instances {
    pub systemd: Systemd,
    pub port: u16,
    pub words: Vec<String>,
    pub all: Vec<(Program, Door)>,
    clients: Vec<(u32, TcpStream)>,
}

impl Instances {
    pub fn of(count: usize, words: &[&str], balance: &str) -> Instances {
        let (mut systemd, port) = Systemd::tcp("127.0.0.1");
        systemd.set("CLUSTERCTL_BALANCE", balance);
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        let mut own = Instances { systemd, port, words, all: Vec::new(), clients: Vec::new() };
        (0..count).for_each(|_| own.add());
        own
    }

    pub fn python(count: usize, waits: &str, balance: &str) -> Option<Instances> {
        let script = [BEGINS, waits].concat();
        has("python3").then(|| Instances::of(count, &["python3", "-c", &script], balance))
    }

    pub fn add(&mut self) {
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        self.all.push(listening(&mut self.systemd, self.port, false, &words));
    }

    /// One client more, which is served.
    fn client(&mut self) -> u32 {
        let stream = connect(self.port);
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line).unwrap();
        let process = line.trim().parse().unwrap();
        self.clients.push((process, stream));
        process
    }

    fn counts(&self) -> BTreeMap<u32, u32> {
        let mut counts = BTreeMap::new();
        self.clients.iter().for_each(|(process, _)| *counts.entry(*process).or_default() += 1);
        counts
    }

    /// Adds clients until the most and the least of so many processes are close, and stay so. Not at once:
    /// on a machine that stands still for longer than anybody waits, another one takes a client.
    fn is_even(&mut self, processes: usize) {
        let mut rounds = 0;
        for _ in 0..600 {
            self.client();
            let counts = self.counts();
            let most = counts.values().max().copied().unwrap_or(0);
            let least = counts.values().min().copied().unwrap_or(0);
            let close = counts.len() == processes && most <= least + least / 10 + 2;
            rounds = if close { rounds + 1 } else { 0 };
            if rounds == 20 {
                return;
            }
            if !close {
                // Who lags behind needs the processor, which this loop and others leave to it meanwhile.
                std::thread::sleep(std::time::Duration::from_millis(3));
            }
        }
        panic!("{:?}: {:?}", self.words, self.counts());
    }

    /// The page that they share, as the app's user may open it.
    pub fn page(&self) -> std::fs::File {
        let link = self.all[0].1.path.with_file_name("peers");
        std::fs::File::options().read(true).write(true).open(link).unwrap()
    }
}

#[test]
fn connections_that_stay_are_spread_whatever_programs_wait_by() {
    if has("node") {
        Instances::of(4, &["node", "--eval", NODE], EVEN).is_even(4);
    }
    for waits in [BLOCKING, SELECT, EDGES] {
        Instances::python(4, waits, EVEN).into_iter().for_each(|mut all| all.is_even(4));
    }
}

#[test]
fn processes_of_an_instance_count_together() {
    let Some(mut all) = Instances::python(2, FORKS, EVEN) else { return };
    let children = |program: &Program| {
        let path = format!("/proc/{0}/task/{0}/children", program.pid());
        let text = std::fs::read_to_string(path).unwrap();
        text.split_whitespace().map(|child| child.parse().unwrap()).collect::<Vec<u32>>()
    };
    for _ in 0..100 {
        // Whoever answers at its door has the processor: on a busy machine one might get none while all clients come.
        all.all.iter().for_each(|(_, door)| drop(door.say("state")));
        all.client();
    }
    // Not earlier: it is ready before it has forked.
    let first: Vec<u32> = [all.all[0].0.pid()].into_iter().chain(children(&all.all[0].0)).collect();
    // Where nobody counts, the kernel prefers one process by far.
    let own = all.clients.iter().filter(|(process, _)| first.contains(process)).count();
    assert!((35..=65).contains(&own), "{own} of 100");
}

#[test]
fn an_instance_that_comes_later_catches_up() {
    let Some(mut all) = Instances::python(2, SELECT, EVEN) else { return };
    all.is_even(2);
    all.add();
    all.is_even(3);
}

#[test]
fn who_lets_clients_go_gets_new_ones() {
    let Some(mut all) = Instances::python(3, CLOSES, EVEN) else { return };
    all.is_even(3);
    let least = all.clients[0].0;
    all.clients.retain(|(process, _)| *process != least);
    // Once it has seen that they are gone.
    let at = all.all.iter().position(|(program, _)| program.pid() == least).unwrap();
    while !all.all[at].1.say("state").contains(" connections=0 ") {}
    // Fewer than the others have; and on a machine that stands still somebody else takes one.
    let own = (0..12).filter(|_| all.client() == least).count();
    assert!(own > 7, "{own} of 12");
}

/// One hangs, and has fewer clients than all others: whoever comes is served by those.
#[test]
fn nobody_waits_for_one_that_is_stopped() {
    for waits in [BLOCKING, SELECT, EDGES] {
        let Some(mut all) = Instances::python(3, waits, EVEN) else { return };
        all.is_even(3);
        let stopped = all.all[0].0.pid();
        all.clients.retain(|(process, _)| *process != stopped);
        all.all[0].0.signal(Signal::STOP);
        for _ in 0..30 {
            assert_ne!(all.client(), stopped);
        }
        all.all[0].0.signal(Signal::CONT);
        all.clients.clear();
    }
}

/// It need not be quicker than all others first, which it never may be on a machine with few processors.
#[test]
fn one_that_was_passed_over_counts_as_soon_as_it_comes() {
    for waits in [BLOCKING, SELECT, EDGES] {
        let Some(mut all) = Instances::python(3, waits, EVEN) else { return };
        all.is_even(3);
        let folder = all.all[0].1.path.parent().unwrap().to_str().unwrap();
        let number: u64 = folder.rsplit_once('@').unwrap().1.parse().unwrap();
        let at = PASSES + 4 * WORDS_OF_EACH * number;
        let page = all.page();
        let passes = || {
            let mut word = [0; 4];
            page.read_exact_at(&mut word, at).unwrap();
            u32::from_ne_bytes(word)
        };
        all.all[0].0.signal(Signal::STOP);
        while passes() == 0 {
            all.client();
        }
        all.all[0].0.signal(Signal::CONT);
        // No client comes meanwhile.
        let deadline = Instant::now() + PATIENCE;
        while passes() != 0 {
            assert!(Instant::now() < deadline, "{waits}: it does not count");
        }
    }
}

#[test]
fn nobody_waits_for_one_that_was_killed() {
    let Some(mut all) = Instances::python(3, SELECT, EVEN) else { return };
    all.is_even(3);
    let (mut program, _door) = all.all.remove(0);
    program.signal(Signal::KILL);
    program.end();
    for _ in 0..30 {
        assert_ne!(all.client(), program.pid());
    }
}

#[test]
fn nobody_waits_for_one_that_takes_no_clients() {
    let Some(mut all) = Instances::python(3, SELECT, EVEN) else { return };
    all.is_even(3);
    let out = all.all[0].0.pid();
    assert_eq!(all.all[0].1.say("close"), "closed");
    for _ in 0..30 {
        assert_ne!(all.client(), out);
    }
    assert_eq!(all.all[0].1.say("open"), "open");
    while all.client() != out {}
}

/// The page belongs to the app's user, who may write anything to it, but cannot make it shorter.
#[test]
fn whatever_the_page_says_everybody_serves() {
    let Some(mut all) = Instances::python(3, SELECT, EVEN) else { return };
    all.is_even(3);
    let page = all.page();
    let size = usize::try_from(page.metadata().unwrap().len()).unwrap();
    let mut seed = 1_u32;
    for byte in [Some(0), Some(0xff), Some(0x7f), Some(1), None, None, None] {
        let garbage = (0..size).map(|_| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            byte.unwrap_or((seed >> 24) as u8)
        });
        page.write_all_at(&garbage.collect::<Vec<u8>>(), 0).unwrap();
        for _ in 0..5 {
            all.client();
        }
    }
    assert!(page.set_len(0).is_err());
    for (program, _) in &mut all.all {
        assert!(program.is_running(), "{}", program.errors());
    }
}

/// What lies where the others' pages are found.
#[test]
fn an_instance_joins_nothing_that_is_no_page() {
    if !has("python3") {
        return;
    }
    let script = [BEGINS, SELECT].concat();
    let mut all = Instances::of(0, &["python3", "-c", &script], EVEN);
    let folder = all.systemd.directory.path().to_owned();
    let place = |number: u32| {
        let folder = folder.join(format!("app@{number}"));
        std::fs::create_dir(&folder).unwrap();
        folder.join("peers")
    };
    let fifo = place(9001);
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    std::fs::write(place(9002), "clusterctl peers").unwrap();
    std::fs::write(place(9003), vec![0; 64 * 1024]).unwrap();
    std::os::unix::fs::symlink("peers", place(9004)).unwrap();
    std::fs::create_dir(place(9005)).unwrap();
    std::os::unix::fs::symlink("/dev/zero", place(9006)).unwrap();
    std::os::unix::fs::symlink("/proc/1/fd/965", place(9007)).unwrap();
    (0..2).for_each(|_| all.add());
    all.is_even(2);
}

/// Those that begin in the same moment have one page.
#[test]
fn instances_that_begin_at_once_find_each_other() {
    let Some(mut all) = Instances::python(0, SELECT, EVEN) else { return };
    let port = all.port.to_string();
    let words: Vec<String> = all.words.iter().map(|word| word.replace("PORT", &port)).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let folders = (0..6).map(|number| all.systemd.directory.path().join(format!("app@{number}")));
    let folders: Vec<_> = folders.collect();
    let begin = |folder: &std::path::PathBuf| {
        std::fs::create_dir(folder).unwrap();
        all.systemd.set("CLUSTERCTL_DOOR", folder.join("door").to_str().unwrap());
        all.systemd.start(&words)
    };
    let _programs: Vec<Program> = folders.iter().map(begin).collect();
    folders.iter().for_each(|_| assert_eq!(all.systemd.notified(), "READY=1"));
    let page = |folder: &std::path::PathBuf| std::fs::metadata(folder.join("peers")).unwrap().ino();
    let pages: std::collections::BTreeSet<u64> = folders.iter().map(page).collect();
    assert_eq!(pages.len(), 1);
}
