//! The environment against a simple model: of any text, only what is the handover's own goes.

use clusterctl::handover::environment::{self, Fate};

use super::{CASES, Random, cases};

/// A list of words as environment variables have them, ours among them.
fn words(random: &mut Random, all: &[&str], separators: &[char]) -> String {
    let mut text = String::new();
    for at in 0..random.below(7) {
        if at > 0 {
            text.push(random.one(separators));
        }
        text += random.one(all);
    }
    text
}

/// What becomes of an entry, as a value; `None` when it goes.
fn kept(entry: &[u8]) -> Option<Vec<u8>> {
    let mut buffer = [0xaa; 512];
    match environment::fate(entry, &mut buffer) {
        Fate::Keep => Some(entry.to_vec()),
        Fate::Drop => None,
        Fate::Rewritten(length) => Some(buffer[..length].to_vec()),
    }
}

const OURS: &str = "/d/libclusterctl_preload.so";

#[test]
fn of_a_list_of_libraries_only_ours_goes() {
    let all = [OURS, "libclusterctl_preload.so", "a.so", "/b/c.so", "notlibclusterctl_preload.so"];
    cases(CASES, |random| {
        let value = words(random, &all, &[':', ' ']);
        let ours = |word: &str| word.rsplit('/').next() == Some("libclusterctl_preload.so");
        let others: Vec<&str> = value.split([':', ' ']).filter(|word| !ours(word)).collect();
        let result = kept(format!("LD_PRELOAD={value}").as_bytes());
        let Some(result) = result else {
            assert!(others.iter().all(|word| word.is_empty()), "{value:?}");
            return;
        };
        let result = String::from_utf8(result).unwrap();
        let left = result.strip_prefix("LD_PRELOAD=").unwrap();
        assert_eq!(left.split([':', ' ']).collect::<Vec<_>>(), others, "{value:?}");
        assert_eq!(kept(result.as_bytes()), Some(result.into_bytes()), "once is enough");
    });
}

#[test]
fn of_the_options_of_node_only_our_file_goes() {
    let ours = ["--require /d/clusterctl.cjs", "--require \"/a b/clusterctl.cjs\""];
    let others = ["--x", "--require ./a.cjs", "--require \"/c d/a.cjs\"", "--import=y.mjs"];
    let all = [&ours[..], &others[..]].concat();
    cases(CASES, |random| {
        let chosen: Vec<&str> = (0..random.below(6)).map(|_| random.one(&all)).collect();
        let rest: Vec<&str> = chosen.iter().copied().filter(|word| !ours.contains(word)).collect();
        let result = kept(format!("NODE_OPTIONS={}", chosen.join(" ")).as_bytes());
        let result = result.map(|result| String::from_utf8(result).unwrap());
        let expected = format!("NODE_OPTIONS={}", rest.join(" "));
        let gone = rest.is_empty() && !chosen.is_empty();
        assert_eq!(result, (!gone).then_some(expected), "{chosen:?}");
    });
}

#[test]
fn any_environment_is_read_without_harm() {
    let names: [&[u8]; 8] = [
        b"LD_PRELOAD=",
        b"NODE_OPTIONS=",
        b"LISTEN_FDS=",
        b"LISTEN_FDNAMES=",
        b"CLUSTERCTL_READY=",
        b"NOTIFY_SOCKET=",
        b"PATH=",
        b"",
    ];
    let pieces: [&[u8]; 9] = [
        b"--require ",
        b"\"",
        b"\\",
        b"/clusterctl.cjs",
        b"libclusterctl_preload.so",
        b":",
        b" ",
        b"@",
        b"/",
    ];
    cases(CASES, |random| {
        let mut value = Vec::new();
        for _ in 0..random.below(12) {
            match random.below(4) {
                0 => value.extend(random.bytes(12)),
                _ => value.extend(random.one(&pieces)),
            }
        }
        let entry = [random.one(&names), &value].concat();
        // Whatever the size of the buffer: all of the result is in it, or the entry stays.
        let mut buffer = vec![0; random.below(entry.len() + 2)];
        let fate = environment::fate(&entry, &mut buffer);
        if let Fate::Rewritten(length) = fate {
            assert!(length < entry.len() && length <= buffer.len());
        }
        let ours = entry.starts_with(b"LISTEN_") || entry.starts_with(b"CLUSTERCTL_");
        assert!(!ours || fate == Fate::Drop);
        assert!(!entry.starts_with(b"PATH=") || fate == Fate::Keep);
        assert!(environment::listen_fds(&value) <= environment::MAX_LISTENERS);
        let _ = (environment::ready(&value), environment::kill_timeout_ms(&value));
        if let Some(name) = environment::listener_name(&value, random.below(4)) {
            assert!(!name.is_empty() && !name.contains(&b':'));
        }
        if let Some(name) = environment::notify_socket(&value) {
            assert_eq!(name.as_bytes().len(), value.len());
            assert_eq!(name.as_bytes()[1..], value[1..]);
            assert!(matches!(name.as_bytes()[0], 0 | b'/'));
        }
        let path = [environment::NOTIFY_PREFIX, &value].concat();
        let payload = environment::notify_payload(&path);
        assert_eq!(payload, Some(&value[..]).filter(|value| !value.is_empty()));
    });
}
