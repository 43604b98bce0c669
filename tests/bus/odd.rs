//! A bus that breaks its protocol: values of other types, lengths beyond the end, invalid texts and paths.
//! Every question ends, with an answer or an error, and no thread panics.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use clusterctl::systemd::{Field, JobId, JobKind, JobMode, Signal, Systemd};
use clusterctl::unit::UnitName;
use proptest::prelude::*;

const GREETING: &[u8] = b"OK 0123456789abcdef0123456789abcdef\r\n";

/// After so long without a call the bus hangs up.
const SILENCE: Duration = Duration::from_millis(100);

/// A signature and a body that fits it, before either is damaged.
type Body = (&'static str, Vec<u8>);

fn padded(mut bytes: Vec<u8>, to: usize) -> Vec<u8> {
    bytes.resize(bytes.len().next_multiple_of(to), 0);
    bytes
}

fn text(text: &str) -> Vec<u8> {
    let length = u32::try_from(text.len()).unwrap().to_le_bytes();
    [&length[..], text.as_bytes(), b"\0"].concat()
}

fn signature(text: &str) -> Vec<u8> {
    [&[u8::try_from(text.len()).unwrap()][..], text.as_bytes(), b"\0"].concat()
}

fn array(to: usize, items: &[u8]) -> Vec<u8> {
    let length = u32::try_from(items.len()).unwrap().to_le_bytes();
    [padded(length.to_vec(), to), items.to_vec()].concat()
}

/// Bodies of all shapes that the manager uses.
fn bodies() -> Vec<Body> {
    let path = "/org/freedesktop/systemd1/job/7";
    let variant = |of: &str, value: Vec<u8>, to: usize| [padded(signature(of), to), value].concat();
    let row = [
        padded(text("api@0.service"), 4),
        padded(text("an app"), 4),
        padded(text("loaded"), 4),
        padded(text("active"), 4),
        padded(text("running"), 4),
        padded(text(""), 4),
        padded(text("/org/freedesktop/systemd1/unit/x"), 4),
        7u32.to_le_bytes().to_vec(),
        padded(text("start"), 4),
        text(path),
    ]
    .concat();
    let processes =
        [padded(text("/system.slice/x"), 4), 5u32.to_le_bytes().to_vec(), text("node x")];
    let properties = [padded(text("MainPID"), 1), variant("u", 42u32.to_le_bytes().to_vec(), 1)];
    let properties =
        [padded(text("Result"), 1), variant("s", text("success"), 1), properties.concat()];
    let removed = [
        7u32.to_le_bytes().to_vec(),
        padded(text(path), 4),
        padded(text("api@0.service"), 4),
        text("done"),
    ];
    let changed = [
        padded(text("org.freedesktop.systemd1.Unit"), 4),
        array(8, &properties.concat()),
        array(4, &[]),
    ];
    vec![
        ("", Vec::new()),
        ("v", variant("s", text("252.39-1~deb12u2"), 4)),
        ("v", variant("u", 42u32.to_le_bytes().to_vec(), 4)),
        ("v", variant("t", u64::MAX.to_le_bytes().to_vec(), 8)),
        ("v", variant("ay", array(1, &[1; 16]), 4)),
        ("v", variant("as", array(4, &text("/etc/x.conf")), 4)),
        ("v", variant("(uo)", [7u32.to_le_bytes().to_vec(), text(path)].concat(), 8)),
        (
            "v",
            variant("a(ss)", array(8, &[padded(text("Stream"), 4), text("[::]:3000")].concat()), 4),
        ),
        ("a{sv}", array(8, &properties.concat())),
        ("a(ssssssouso)", array(8, &row)),
        ("a(sus)", array(8, &processes.concat())),
        ("o", text(path)),
        ("uoss", removed.concat()),
        ("sa{sv}as", changed.concat()),
        ("b", 1u32.to_le_bytes().to_vec()),
        ("h", 9u32.to_le_bytes().to_vec()),
    ]
}

/// A message with these header fields.
fn message(kind: u8, fields: &[(u8, &str, Vec<u8>)], (of, body): &Body) -> Vec<u8> {
    let mut all = Vec::new();
    let own = (8, "g", signature(of));
    let own = Some(&own).filter(|_| !of.is_empty());
    for (code, of, value) in fields.iter().chain(own) {
        all = padded(all, 8);
        all.extend([&[*code][..], &signature(of), value].concat());
    }
    let length = u32::try_from(body.len()).unwrap().to_le_bytes();
    let fields = u32::try_from(all.len()).unwrap().to_le_bytes();
    let head = [&[b'l', kind, 0, 1][..], &length, &99u32.to_le_bytes(), &fields, &all].concat();
    [padded(head, 8), body.clone()].concat()
}

fn reply(to: u32, body: &Body) -> Vec<u8> {
    message(2, &[(5, "u", to.to_le_bytes().to_vec())], body)
}

fn signal(member: &str, body: &Body) -> Vec<u8> {
    let (path, interface) = match member {
        "PropertiesChanged" => {
            ("/org/freedesktop/systemd1/unit/api_400_2eservice", "org.freedesktop.DBus.Properties")
        }
        _ => ("/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager"),
    };
    let fields = [
        (1, "o", text(path)),
        (2, "s", text(interface)),
        (3, "s", text(member)),
        (7, "s", text(":1.7")),
    ];
    message(4, &fields, body)
}

/// Changes bytes of a message, and may cut it.
#[derive(Clone, Debug)]
struct Damage {
    bytes: Vec<(prop::sample::Index, u8)>,
    cut: Option<prop::sample::Index>,
}

impl Damage {
    fn done_to(&self, mut message: Vec<u8>) -> Vec<u8> {
        for (place, byte) in &self.bytes {
            *place.get_mut(&mut message) = *byte;
        }
        if let Some(cut) = &self.cut {
            message.truncate(cut.index(message.len() + 1));
        }
        message
    }
}

fn damage() -> impl Strategy<Value = Damage> {
    let byte = prop_oneof![any::<u8>(), Just(0), Just(255), Just(b'/')];
    let bytes = prop::collection::vec((any::<prop::sample::Index>(), byte), 0..4);
    (bytes, prop::option::weighted(0.1, any::<prop::sample::Index>()))
        .prop_map(|(bytes, cut)| Damage { bytes, cut })
}

/// The next message that the client sends: its serial number, and whether it is for the bus itself.
fn call(stream: &mut UnixStream) -> Option<(u32, bool)> {
    let mut head = [0; 16];
    stream.read_exact(&mut head).ok()?;
    let number = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().unwrap());
    let fields = usize::try_from(number(12)).unwrap().next_multiple_of(8);
    let mut rest = vec![0; fields + usize::try_from(number(4)).unwrap()];
    stream.read_exact(&mut rest).ok()?;
    let own = b"org.freedesktop.DBus\0";
    Some((number(8), rest.windows(own.len()).any(|part| part == own) && !of_properties(&rest)))
}

fn of_properties(message: &[u8]) -> bool {
    let own = b"org.freedesktop.systemd1\0";
    message.windows(own.len()).any(|part| part == own)
}

/// A bus that greets, and then answers each call with the next of these messages, and hangs up.
fn serve(
    mut stream: UnixStream,
    answers: Vec<(Body, Damage)>,
    signals: Vec<Vec<u8>>,
) -> Option<()> {
    // A client that waits for the rest of a message gets the end of the bus.
    stream.set_read_timeout(Some(SILENCE)).ok()?;
    let mut line = Vec::new();
    loop {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        line.push(byte[0]);
        if !line.ends_with(b"\r\n") {
            continue;
        }
        match std::mem::take(&mut line) {
            said if said.starts_with(b"BEGIN") => break,
            said if said.starts_with(b"NEGOTIATE") => {
                stream.write_all(b"AGREE_UNIX_FD\r\n").ok()?
            }
            _ => stream.write_all(GREETING).ok()?,
        }
    }
    let mut answers = answers.into_iter();
    let mut signals = Some(signals);
    loop {
        let (serial, of_bus) = call(&mut stream)?;
        if of_bus {
            let name = ("s", text(":1.1"));
            stream.write_all(&reply(serial, &name)).ok()?;
            continue;
        }
        for signal in signals.take().into_iter().flatten() {
            stream.write_all(&signal).ok()?;
        }
        let (body, damage) = answers.next()?;
        stream.write_all(&damage.done_to(reply(serial, &body))).ok()?;
    }
}

static PANICS: AtomicUsize = AtomicUsize::new(0);

/// Counts the panics of every thread, those of threads that nobody joins included.
fn count_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            PANICS.fetch_add(1, Ordering::Relaxed);
            before(info);
        }));
    });
}

/// Every question once; the bus may be gone before the last.
fn ask(systemd: &Systemd, first: usize) {
    let unit = UnitName::parse("api@0.service").unwrap();
    let units = std::slice::from_ref(&unit);
    let end = || Instant::now() + Duration::from_secs(20);
    for question in 0..11 {
        match (question + first) % 11 {
            0 => drop(systemd.version()),
            1 => drop(systemd.list(&["*".to_owned()])),
            2 => drop(systemd.instances(units, &Field::ALL)),
            3 => drop(systemd.instances(units, &[Field::MainPid])),
            4 => drop(systemd.sockets(units)),
            5 => drop(systemd.status_text(&unit)),
            6 => drop(systemd.glimpse(&unit)),
            7 => drop(systemd.processes(&unit)),
            8 => drop(systemd.job_info(JobId(7))),
            9 => drop(systemd.submit(JobKind::Start, &unit, JobMode::Replace)),
            _ => {
                let Ok(watch) = systemd.watch([&unit]) else { continue };
                while !matches!(watch.next(end()), None | Some(Signal::Disconnected)) {}
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(
        std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(200)
    ))]

    #[test]
    fn an_odd_bus_is_an_error(
        answers in prop::collection::vec((prop::sample::select(bodies()), damage()), 1..8),
        signals in prop::collection::vec(
            (prop::sample::select(vec!["JobRemoved", "PropertiesChanged", "Reloading", "UnitNew"]),
             prop::sample::select(bodies()), damage()),
            0..4,
        ),
        first in 0..11usize,
    ) {
        count_panics();
        let (ours, theirs) = UnixStream::pair().unwrap();
        let signals =
            signals.iter().map(|(member, body, damage)| damage.done_to(signal(member, body)));
        let signals = signals.collect();
        let bus = std::thread::spawn(move || serve(theirs, answers, signals));
        if let Ok(systemd) = Systemd::over(ours) {
            ask(&systemd, first);
        }
        let _ = bus.join().unwrap();
        prop_assert_eq!(PANICS.load(Ordering::Relaxed), 0);
    }
}
