//! Files of variables: what they mean, whose rights they are read with, and whom they reach.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::booted;
use crate::shop::{SERVER, applied, apply, ecosystem, write};
use crate::support::{Machine, chance::Chance};

/// What each file of the comparison is read by: systemd, and `clusterctl-exec`.
const BY_SYSTEMD: &str = "\
[Service]
Type=oneshot
EnvironmentFile=/srv/files/%i
ExecStart=/usr/bin/env -0
StandardOutput=file:/srv/by-systemd/%i
StandardError=journal
";
const BY_US: &str = "\
[Service]
Type=oneshot
ExecStart=/srv/ours/clusterctl-exec --env /srv/files/%i -- /usr/bin/env -0
StandardOutput=file:/srv/by-us/%i
StandardError=journal
";

/// Everything that the language knows, and much that it does not.
const NASTY: &str = "A=1\n B = two words  \t\nexport C=3\n=D\n==E\nF\n1G=7\nH-I=8\nJ=\n\
K=\"a b\" c 'd \\ e' \\\n  f\nL='\n'\nM=\"x\\\ny \\$z \\q \\` \\\" \\\\\"\nN=a\\ \nO=a\"b\"'c'\n\
P=\"a\"  \"b\" c\"d\"\nQ=$HOME ${HOME} `id` %h %%\r\nR=\\\r\nS\n; T=1\n# U=1\n  #V=1\nW=a#b ;c\n\
A=later wins\n\u{feff}X=bom\nY=\u{1}\u{7f}\t\u{e9}\nZ=never closed \\";

fn file(chance: &mut Chance, comments: bool) -> Vec<u8> {
    const PIECES: [&[u8]; 34] = [
        b"A=",
        b"B=",
        b"A",
        b"_C1=",
        b"\nA=",
        b"\nB =",
        b"\n D=",
        b"\nE",
        b"=",
        b" ",
        b"  ",
        b"\t",
        b"\n",
        b"\n",
        b"\r\n",
        b"\r",
        b"\"",
        b"\"",
        b"'",
        b"'",
        b"\\",
        b"\\",
        b"\\\n",
        b"\\\"",
        b"\\n",
        b"$X",
        b"`",
        b"x",
        b"yz",
        b"\xc3\xa9",
        b"1",
        b"-",
        b"\xff",
        b"\0",
    ];
    const COMMENTS: [&[u8]; 4] = [b"#", b";", b"\n#", b"\n;"];
    let mut text = Vec::new();
    for _ in 0..chance.below(30) {
        let at = chance.below(PIECES.len() + if comments { 4 } else { 0 });
        // Pieces that make a whole file invalid come seldom.
        let spoils = (PIECES.len() - 2..PIECES.len()).contains(&at);
        if !spoils || chance.below(20) == 0 {
            text.extend(PIECES.get(at).unwrap_or_else(|| &COMMENTS[at - PIECES.len()]).iter());
        }
    }
    text
}

/// The environment that a unit printed, without what is another at each start.
fn printed(m: &Machine, place: &str, number: usize) -> Option<BTreeSet<String>> {
    let path = m.path(&format!("/srv/{place}/{number}"));
    let text = std::fs::read(path).ok().filter(|text| !text.is_empty())?;
    let entries = text.split(|byte| *byte == 0).map(|entry| String::from_utf8_lossy(entry));
    let own = ["INVOCATION_ID=", "SYSTEMD_EXEC_PID=", "JOURNAL_STREAM=", "MEMORY_PRESSURE_WATCH="];
    let entries = entries.filter(|entry| own.iter().all(|name| !entry.starts_with(name)));
    Some(entries.map(std::borrow::Cow::into_owned).collect())
}

booted!(files_of_variables_mean_what_they_mean_to_systemd, |m| {
    const FILES: usize = 300;
    let version =
        m.ok_sh("systemctl --version | head -1 | cut -d' ' -f2 | cut -d. -f1 | tr -dc 0-9");
    // Before 254 a comment that ends with a backslash swallowed the next line.
    let comments = version.parse::<u32>().unwrap() >= 254;
    m.ok_sh("mkdir -p /srv/files /srv/by-systemd /srv/by-us; clusterctl unpack /srv/ours");
    let mut chance = Chance(5);
    let mut files = vec![NASTY.as_bytes().to_vec(), b"# comment \\\nA=1".to_vec()];
    files.resize_with(FILES, || file(&mut chance, comments));
    files[1].truncate(if comments { 100 } else { 0 });
    for (number, text) in files.iter().enumerate() {
        m.write(&format!("/srv/files/{number}"), text);
    }
    m.write("/etc/systemd/system/by-systemd@.service", BY_SYSTEMD);
    m.write("/etc/systemd/system/by-us@.service", BY_US);
    m.ok(["systemctl", "daemon-reload"]);
    for place in ["by-systemd", "by-us"] {
        // Where a file is refused, the start fails.
        let units = format!("seq -f {place}@%g 0 {} | xargs systemctl start", FILES - 1);
        let _ = m.sh(&units);
    }
    let mut refused = 0;
    for (number, text) in files.iter().enumerate() {
        let (theirs, ours) = (printed(m, "by-systemd", number), printed(m, "by-us", number));
        refused += usize::from(theirs.is_none());
        assert_eq!(ours, theirs, "{number}: {}", text.escape_ascii());
    }
    assert!((1..FILES / 2).contains(&refused), "{refused} files were refused");
});

booted!(variables_in_a_folder_of_the_user_are_read_with_the_users_rights, |m| {
    let ada = m.user("ada");
    ada.ok(["sh", "-c", "umask 077; echo 'GREETING=\"of ada\"' > /home/ada/.env"]);
    let file = "env = { GREETING = 'of env' }\nenv_file = '/home/ada/.env'";
    write(m, &ecosystem(2, file));
    let output = apply(m);
    assert_eq!(output.code, 3, "{output:#?}");
    assert!(output.stderr.contains("`ada` may change `/home/ada`"), "{output:#?}");
    let log = "out_file = '/home/ada/out.log'";
    let text = ecosystem(2, &format!("user = 'ada'\n{log}\n{file}"));
    write(m, &text);
    let output = apply(m);
    assert_eq!((output.code, output.stderr.contains("warning")), (0, false), "{output:#?}");
    let greeting = || m.run(["curl", "-s", "localhost:3000"]).stdout;
    assert!(greeting().contains("of ada"), "{}", greeting());
    assert!(applied(m, &text).contains("nothing to do"));

    // A link to what only root may read: nobody gets it, and the start fails.
    m.ok_sh("umask 077; echo GREETING=stolen > /root/secret.env");
    ada.ok(["ln", "-sf", "/root/secret.env", "/home/ada/.env"]);
    assert_eq!(m.clusterctl(["restart", "shop@0"]).code, 1);
    assert!(m.journal("shop@0").contains("/home/ada/.env: the user of this app may not read it"));
    for _ in 0..20 {
        assert!(!greeting().contains("stolen"));
    }
    // A change of the file of variables counts as a change of the app.
    ada.ok(["sh", "-c", "rm ~/.env; echo GREETING=newer > ~/.env; chmod 600 ~/.env"]);
    assert!(applied(m, &text).contains("replace"));
    for _ in 0..20 {
        assert!(greeting().contains("newer"), "{}", greeting());
    }
    assert!(m.clusterctl(["describe", "shop"]).stdout.contains("--env"));
});

booted!(a_worker_whose_variables_cannot_be_read_is_not_ready, |m| {
    let ada = m.user("ada");
    ada.ok(["sh", "-c", "echo NAP=1000 > ~/.env; chmod 600 ~/.env"]);
    m.write("/srv/nap.sh", "exec sleep $NAP\n");
    let worker = "[[apps]]\nname = 'nap'\ncommand = ['sh', '/srv/nap.sh']\nuser = 'ada'\n\
                  env_file = '/home/ada/.env'\n";
    m.write("/srv/nap.toml", worker);
    let output = m.clusterctl(["apply", "/srv/nap.toml"]);
    assert_eq!(output.code, 0, "{output:#?}");
    let pid = m.systemctl_show("nap@0", "MainPID");
    assert_eq!(m.ok_sh(&format!("tr '\\0' ' ' </proc/{pid}/cmdline")).trim(), "sleep 1000");
    ada.ok(["rm", "/home/ada/.env"]);
    assert_ne!(m.run(["systemctl", "restart", "nap@0"]).code, 0);
    assert!(m.journal("nap@0").contains("/home/ada/.env: no such file"));
});

/// Takes its listener by `LISTEN_FDS` and never says that it is ready.
const SILENT: &str = "\
import socket
listener = socket.socket(fileno=3)
while True: listener.accept()[0].close()
";

booted!(what_runs_as_root_beside_a_program_takes_none_of_its_variables, |m| {
    m.user("ada");
    // The loader writes such a file for each process that obeys these variables.
    m.ok_sh("mkdir -m 1777 /srv/loaded");
    let env = "user = 'ada'\nenv = { LD_DEBUG = 'files', LD_DEBUG_OUTPUT = '/srv/loaded/by' }";
    let mut text = ecosystem(2, env);
    write!(
        text,
        "[[apps]]\nname = 'silent'\ncommand = ['python3', 'silent.py']\nlisten = 3001\n\
         handover = 'native'\nnon_blocking = false\n{env}\n"
    )
    .unwrap();
    m.write("/srv/shop/silent.py", SILENT);
    m.write("/srv/shop/server.js", SERVER);
    applied(m, &text);
    let post = m.systemctl_show("silent@0", "ExecStartPost");
    assert!(post.contains("wait-listening"), "{post}");
    m.ok(["clusterctl", "restart", "all"]);
    assert_eq!(m.ok_sh("find /srv/loaded -type f -user root"), "");
    assert_ne!(m.ok_sh("find /srv/loaded -type f -user ada"), "");
    // The guard does its work all the same.
    let state = m.ok(["cat", "/run/clusterctl/shop@0.service"]);
    assert!(!state.is_empty());
});

booted!(a_file_with_an_older_time_is_read_anew, |m| {
    let file = "[[apps]]\nname = 'old'\ncommand = 'sleep infinity'\nenv_file = '/etc/old.env'\n";
    m.write("/etc/old.env", "A=1\nB='x y'\n");
    m.ok(["chmod", "o=", "/etc/old.env"]);
    // Made before the instance starts, as on the machine that builds it.
    m.write("/srv/new.env", "A=2\nB='x y'\n");
    m.ok(["touch", "-d", "yesterday", "/srv/new.env"]);
    m.write("/srv/old.toml", file);
    m.ok(["clusterctl", "apply", "/srv/old.toml"]);
    let runs = || m.ok(["systemctl", "show", "-P", "InvocationID", "old@0"]);
    let (first, apply) = (runs(), ["clusterctl", "apply", "/srv/old.toml"]);
    // Neither rights nor a link beside it change what a process has read.
    m.ok_sh("chmod 640 /etc/old.env; ln /etc/old.env /srv/backup.env");
    m.ok(apply);
    assert_eq!(runs(), first);
    m.ok_sh("cp -p /srv/new.env /etc/old.env");
    m.ok(apply);
    let second = runs();
    assert_ne!(second, first, "{}", m.ok(["clusterctl", "describe", "old"]));
    assert!(
        m.ok_sh("tr '\\0' '\\n' </proc/$(systemctl show -P MainPID old@0)/environ").contains("A=2")
    );
    m.ok(apply);
    assert_eq!(runs(), second);
});
