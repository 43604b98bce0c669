//! Instances that have no door: those that should, and cannot, and those that need none.

use crate::support::door::is_untouched;
use crate::support::{Program, Systemd, connect, read_all, server};

/// Without a door, a program serves as ever; one that was to begin out of rotation serves nobody.
#[test]
fn where_no_door_can_be_the_log_says_why() {
    let low = ["prlimit", "--nofile=256:256"];
    for (path, before, why) in [
        ("x".repeat(120), &[][..], "since the door's path has more than 107 bytes"),
        ("gone/door".to_owned(), &[], "bind(): error 2"),
        ("door".to_owned(), &low, "since it may have too few descriptors (LimitNOFILE=)"),
    ] {
        let outlooks = [
            (false, "; it serves, and cannot be reached alone"),
            (true, "; it was to begin out of rotation, and nobody can let it in: it serves nobody"),
        ];
        for (cold, outlook) in outlooks {
            let (mut systemd, port) = Systemd::tcp("127.0.0.1");
            let path = systemd.directory.path().join(&path);
            systemd.set("CLUSTERCTL_DOOR", path.to_str().unwrap());
            systemd.set("CLUSTERCTL_DOOR_COLD", if cold { "1" } else { "" });
            let port_text = port.to_string();
            let program = systemd.start(&[before, &[server(), "epoll", &port_text]].concat());
            assert_eq!(systemd.notified(), "READY=1");
            let line = program.error_line();
            assert!(line.contains(why) && line.ends_with(outlook), "{line}");
            let mut client = connect(port);
            if !cold {
                assert_eq!(read_all(&mut client), program.pid().to_string());
                continue;
            }
            // It sleeps although a client is there.
            while !sleeps(&program) {
                std::thread::yield_now();
            }
            assert!(is_untouched(&client));
        }
    }
}

fn sleeps(program: &Program) -> bool {
    let line = std::fs::read_to_string(format!("/proc/{}/stat", program.pid())).unwrap();
    line.rsplit(')').next().unwrap().starts_with(" S ")
}

#[test]
fn an_instance_without_a_door_has_no_sets() {
    let (systemd, port) = Systemd::tcp("127.0.0.1");
    let program = systemd.start(&[server(), "epoll", &port.to_string()]);
    assert_eq!(systemd.notified(), "READY=1");
    let open = std::fs::read_dir(format!("/proc/{}/fd", program.pid())).unwrap();
    let numbers = open.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let beyond: Vec<u32> = numbers.filter(|number| *number > 964).collect();
    assert_eq!(beyond, [0; 0]);
}
