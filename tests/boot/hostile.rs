//! Hostile neighbours: programs, users and files that try to have root believe, show, read, write or
//! execute something of theirs.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::booted;
use crate::shop::{SERVER, applied, ecosystem, pids};
use crate::support::{Machine, wait_until};

/// Sends messages to the journal that claim to be about another app, with commands to a terminal.
const FORGER: &str = "\
import socket, time
esc = '\\x1b'
def send(**fields):
    data = b''.join(f'{name}={value}\\n'.encode() for name, value in fields.items())
    journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    journal.connect('/run/systemd/journal/socket')
    journal.send(data)
for name in ['UNIT', 'OBJECT_SYSTEMD_UNIT', 'COREDUMP_UNIT']:
    for unit in ['victim@0.service', f'x{esc}[2J{esc}]0;title\\x07@0.service', 'shop@0.service']:
        send(**{name: unit, 'MESSAGE': f'forged {esc}[31mred \\u009b2J', 'PRIORITY': '3',
                'MESSAGE_ID': 'fc2e22bc6ee647b6b90729ab34a250b1', 'UNIT_RESULT': 'timeout'})
send(MESSAGE=f'lost {esc}c', MESSAGE_ID='a596d6fe7bfa4994828e72309e95d61e', N_DROPPED='123456')
send(MESSAGE='Suppressed 123456 messages from shop@0.service',
     MESSAGE_ID='a596d6fe7bfa4994828e72309e95d61e', N_DROPPED='123456')
print(f'{esc}[2Jsaid {esc}]52;c;bWFsaWNl\\x07', flush=True)
note = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
import os
note.connect(os.environ['NOTIFY_SOCKET'].replace('@', '\\0', 1))
note.send(f'READY=1\\nSTATUS=up {esc}[2J\\u009b31m'.encode())
time.sleep(3600)
";

/// What must not reach a terminal: every control character but tabs and line feeds.
fn commands_in(text: &str) -> Vec<char> {
    text.chars().filter(|c| c.is_control() && !"\t\n".contains(*c)).collect()
}

booted!(what_an_app_sends_to_the_journal_is_its_own_and_no_command_to_a_terminal, |m| {
    m.user("ada");
    m.write("/srv/shop/forger.py", FORGER);
    m.write(
        "/srv/shop/ecosystem.toml",
        "[[apps]]\nname = 'shop'\nscript = 'forger.py'\nuser = 'ada'\nwait_ready = true\n\
         [[apps]]\nname = 'victim'\ncommand = ['sleep', '3600']\n",
    );
    m.ok(["clusterctl", "apply", "/srv/shop/ecosystem.toml"]);
    m.ok(["journalctl", "--sync"]);
    let victim = m.clusterctl(["logs", "victim"]);
    assert!(!victim.stdout.contains("forged"), "{victim:#?}");
    let logs = m.clusterctl(["logs", "shop", "--lines", "all", "--systemd"]);
    let forged: Vec<&str> = logs.stdout.lines().filter(|line| line.contains("forged")).collect();
    assert_eq!(forged.len(), 9, "{logs:#?}");
    for line in forged {
        assert!(line.starts_with("shop@0 ! forged ␛[31mred"), "{line:?}");
    }
    assert!(!logs.stderr.contains("123456"), "lines that nobody suppressed: {logs:#?}");
    for verb in [
        "logs --lines all",
        "logs --lines all -o json",
        "list",
        "list -o json",
        "describe shop",
        "doctor",
        "doctor -o json",
    ] {
        let output = m.sh(&format!("clusterctl {verb}"));
        let text = output.stdout.clone() + &output.stderr;
        assert!(commands_in(&text).is_empty(), "{verb}: {output:#?}");
        let data = verb.starts_with("logs") && verb.ends_with("json");
        assert!(data || !text.contains("timeout"), "{verb}: {output:#?}");
    }
    // The manager's own words are still there.
    assert!(logs.stdout.contains("shop@0 | Started "), "{logs:#?}");
});

/// The names that a hash of the text without a key would give (FNV-1a).
fn unkeyed(text: &str) -> String {
    format!("{:016x}", clusterctl::ecosystem::fnv1a(text.as_bytes()))
}

/// Everything of ours that ada may read.
fn readable(m: &Machine) -> String {
    let ada = m.user("ada");
    let find = "find /etc/systemd/system /etc/clusterctl /var/lib/clusterctl /run/clusterctl \
                -type f -size -100k -readable -exec cat {} + ; ls -R /etc/clusterctl /var/lib/clusterctl \
                /run/clusterctl; systemctl show shop@0 shop";
    ada.run(["sh", "-c", &format!("{find} 2>/dev/null")]).stdout
}

booted!(nothing_that_everybody_may_read_follows_from_a_secret, |m| {
    let text = ecosystem(1, "env = { PIN = '4711' }");
    applied(m, &text);
    let seen = readable(m);
    assert!(seen.contains("/etc/clusterctl/environment/shop@"), "the walk sees the name: {seen}");
    let file = m.ok(["ls", "/etc/clusterctl/environment"]);
    let words: BTreeSet<&str> = seen.split(|c: char| !c.is_ascii_hexdigit()).collect();
    for number in 0..10_000 {
        let guess = unkeyed(&format!("PIN=\"{number:04}\"\n"));
        assert!(!words.contains(guess.as_str()), "the PIN is found: {number:04}");
    }
    assert_eq!(m.ok(["stat", "-c", "%a %U", "/var/lib/clusterctl/secret"]), "600 root");
    // The name stays while the text does, and is another one on another machine.
    assert!(applied(m, &text).contains("nothing to do"));
    let before = pids(m, 1);
    m.ok(["rm", "/var/lib/clusterctl/secret"]);
    let plan = applied(m, &text);
    assert!(plan.contains("costs nothing"), "{plan}");
    assert_eq!(pids(m, 1), before, "a new key replaces no process");
    assert_ne!(m.ok(["ls", "/etc/clusterctl/environment"]), file);
    assert!(applied(m, &text).contains("nothing to do"));
});

booted!(an_upgrade_from_names_without_a_key_replaces_no_process, |m| {
    let text = ecosystem(2, "env = { PIN = '4711', GREETING = 'old' }");
    applied(m, &text);
    let file = m.ok(["ls", "/etc/clusterctl/environment"]);
    let content = m.read(&format!("/etc/clusterctl/environment/{file}"));
    // The name that a former version of clusterctl gave the file.
    let former = format!("shop@{}", unkeyed(&content));
    let unit = "/etc/systemd/system/shop@.service";
    m.ok_sh(&format!(
        "cd /etc/clusterctl/environment; mv {file} {former}; cp -p {unit} /root/was; \
         sed -i s/{file}/{former}/ {unit}; touch -r /root/was {unit}; systemctl daemon-reload; \
         clusterctl restart shop"
    ));
    let before = pids(m, 2);
    let plan = applied(m, &text);
    assert!(plan.contains("costs nothing"), "{plan}");
    assert_eq!(pids(m, 2), before);
    assert_eq!(m.ok(["ls", "/etc/clusterctl/environment"]), file);
    assert!(applied(m, &text).contains("nothing to do"));
    // Instances read the renamed file, and a changed variable still replaces them.
    m.ok(["clusterctl", "restart", "shop"]);
    assert!(m.ok(["curl", "-s", "localhost:3000"]).contains("old"));
    let before = pids(m, 2);
    applied(m, &text.replace("old", "new"));
    assert!(m.ok(["curl", "-s", "localhost:3000"]).contains("new"));
    assert!(pids(m, 2).iter().all(|pid| !before.contains(pid)));
});

/// A folder in which nothing is what it seems. Root's `init` and `detect` look into it.
const TRAPS: &str = "\
mkdir -p /home/ada/fifo /home/ada/zero /home/ada/huge /home/ada/deep; cd /home/ada
mkfifo fifo/package.json fifo/server.js fifo/ecosystem.config.js
ln -s /dev/zero zero/package.json; ln -s /dev/zero zero/server.js; ln -s /dev/zero zero/app.py
truncate -s 20G huge/package.json huge/server.js huge/ecosystem.toml
head -c 400000 /dev/zero | tr '\\0' '[' >deep/package.json";

/// A gigabyte of address space is more than enough, and what hangs is ended: with 99.
fn bounded(before: &str, verb: &str) -> String {
    format!(
        "{before}; ulimit -v 1500000; timeout 20 clusterctl {verb}; c=$?; [ $c = 124 ] && exit 99; exit $c"
    )
}

booted!(a_hostile_folder_holds_up_nothing, |m| {
    let ada = m.user("ada");
    ada.ok(["sh", "-c", TRAPS]);
    for folder in ["fifo", "zero", "huge", "deep"] {
        for verb in ["init -", "start server.js --name x --listen 3000", "detect -- true"] {
            let output = m.sh(&bounded(&format!("cd /home/ada/{folder}"), verb));
            assert!(![99, 137, 134, 139].contains(&output.code), "{folder}, {verb}: {output:#?}");
        }
    }
    for file in ["fifo/package.json", "zero/package.json", "huge/ecosystem.toml", "fifo"] {
        for verb in ["validate", "apply -n", "reload"] {
            let command = bounded("cd /", &format!("{verb} /home/ada/{file}"));
            let output = m.sh(&command);
            assert!([2, 3].contains(&output.code), "{command}: {output:#?}");
        }
    }
    m.write("/srv/shop/server.js", SERVER);
    let good = m.sh("cd /srv/shop; clusterctl init -").stdout;
    assert!(good.contains("server.js") && good.contains("3000"), "{good}");
    // A pipe that the caller's own shell has made is read.
    m.ok([
        "bash",
        "-c",
        "clusterctl validate <(echo '[[apps]]'; echo 'script = \"/srv/shop/server.js\"')",
    ]);
});

booted!(a_log_that_leads_elsewhere_is_not_shown_with_roots_rights, |m| {
    let ada = m.user("ada");
    let log = "user = 'ada'\nenv = { NODE_DEBUG = 'net' }\nout_file = '/home/ada/out.log'\n\
               error_file = '/home/ada/out.log'\nmax_restarts = 1";
    applied(m, &ecosystem(1, log));
    let shown = || m.clusterctl(["logs", "shop", "--lines", "all"]).stdout;
    assert!(shown().contains("NET "), "its own file is shown: {}", shown());
    m.ok_sh("umask 077; echo 'Error: root:very-secret' > /root/secret; mkdir /root/dir; cp /root/secret /root/dir/out.log");
    for trap in [
        "ln -sf /root/secret ~/out.log",
        "rm ~/out.log; mkdir -p ~/logs; ln -s /root/secret ~/logs/x; ln -s logs/x ~/out.log",
        "rm ~/out.log; mkfifo ~/out.log",
        "rm ~/out.log; ln -s /dev/zero ~/out.log",
    ] {
        ada.ok(["sh", "-c", trap]);
        for verb in ["logs shop --lines all", "logs shop -o json", "describe shop", "doctor shop"] {
            let output = m.sh(&bounded("cd /", verb));
            assert!(![99, 137].contains(&output.code), "{trap}, {verb}: {output:#?}");
            let text = output.stdout.clone() + &output.stderr;
            assert!(!text.contains("very-secret"), "{trap}, {verb}: {output:#?}");
        }
    }
});

booted!(doctor_names_a_folder_that_was_given_away, |m| {
    m.user("ada");
    m.ok_sh("mkdir /srv/logs /srv/vars; echo A=1 > /srv/vars/env; chmod 600 /srv/vars/env");
    let text = ecosystem(
        1,
        "user = 'ada'\nout_file = '/srv/logs/out'\nenv_file = '/srv/vars/env'\nenv = { B = '1' }",
    );
    applied(m, &text);
    let doctor = || m.clusterctl(["doctor", "shop"]);
    assert!(!doctor().stdout.contains("may change"), "{:#?}", doctor());
    m.ok_sh("chown ada /srv/logs /srv/vars /srv/vars/env");
    let output = doctor();
    assert_eq!(output.code, 1, "{output:#?}");
    assert!(output.stdout.contains("`ada` may change /srv/vars"), "{output:#?}");
    // The log is opened with ada's rights, so it does not matter who owns the folder.
    assert!(!output.stdout.contains("/srv/logs"), "{output:#?}");
    assert!(output.stdout.contains("clusterctl apply /srv/shop/ecosystem.toml"), "{output:#?}");
    m.ok_sh("rm /srv/logs/out");
    applied(m, &text);
    assert!(!doctor().stdout.contains("may change"), "{:#?}", doctor());
    assert_eq!(m.ok(["stat", "-c", "%U", "/srv/logs/out"]), "ada");
});

/// Tells the manager lies about itself, and leaves traps in its folders.
const LIAR: &str = "\
import os, socket, time
note = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
note.connect(os.environ['NOTIFY_SOCKET'].replace('@', '\\0', 1))
for text in ['READY=1', 'MAINPID=1', 'MAINPID=-1', 'ERRNO=99999', 'STOPPING=1\\nREADY=1',
             'STATUS=' + 'x' * 60000, 'EXTEND_TIMEOUT_USEC=1', 'BUSERROR=a\\x1b[2J', 'READY=1\\nSTATUS=done']:
    try: note.send(text.encode())
    except OSError: pass
time.sleep(3600)
";

booted!(a_program_that_lies_to_the_manager_harms_itself_alone, |m| {
    m.user("ada");
    m.write("/srv/shop/liar.py", LIAR);
    m.write(
        "/srv/shop/ecosystem.toml",
        "[[apps]]\nname = 'liar'\nscript = 'liar.py'\nuser = 'ada'\nwait_ready = true\n\
         kill_timeout = '3s'\n\
         [[apps]]\nname = 'shop'\nscript = 'server.js'\nlisten = 3000\n",
    );
    m.write("/srv/shop/server.js", SERVER);
    m.run(["clusterctl", "apply", "/srv/shop/ecosystem.toml"]);
    wait_until("the shop", Duration::from_secs(20), || {
        m.run(["curl", "-s", "localhost:3000"]).stdout.starts_with("instance ")
    });
    let before = pids(m, 1);
    for verb in [
        "list",
        "list -o json",
        "describe liar",
        "doctor",
        "reload liar",
        "stop liar",
        "delete liar",
    ] {
        let output = m.sh(&bounded("cd /", verb));
        assert!(![99, 137, 134, 101].contains(&output.code), "{verb}: {output:#?}");
        assert!(commands_in(&(output.stdout.clone() + &output.stderr)).is_empty(), "{verb}");
    }
    assert_eq!(pids(m, 1), before);
    assert_eq!(m.ok(["cat", "/proc/1/comm"]), "systemd");
    assert!(m.ok(["curl", "-s", "localhost:3000"]).starts_with("instance "));
});

booted!(a_swapped_folder_leads_no_stop_to_files_of_others, |m| {
    let ada = m.user("ada");
    m.ok_sh("install -d -o ada /srv/ada /srv/ada/run; mkdir /root/victim; echo precious > /root/victim/app.sock");
    m.write(
        "/srv/shop/server.js",
        "require('http').createServer((q, r) => r.end('x')).listen('/srv/ada/run/app.sock');",
    );
    m.write(
        "/srv/shop/ecosystem.toml",
        "[[apps]]\nname = 'shop'\nscript = 'server.js'\nuser = 'ada'\nlisten = '/srv/ada/run/app.sock'\n",
    );
    m.ok(["clusterctl", "apply", "/srv/shop/ecosystem.toml"]);
    m.ok(["clusterctl", "stop", "shop"]);
    assert!(!m.exists("/srv/ada/run/app.sock"), "who comes later finds nobody");
    let socket = "import socket; socket.socket(socket.AF_UNIX).bind('/root/victim/app.sock')";
    for victim in ["true", &format!("rm /root/victim/app.sock; python3 -c \"{socket}\"")] {
        m.ok(["clusterctl", "start", "shop"]);
        m.ok_sh(victim);
        ada.ok(["sh", "-c", "cd /srv/ada; mv run own; ln -s /root/victim run"]);
        m.ok(["clusterctl", "stop", "shop"]);
        assert!(m.exists("/root/victim/app.sock"), "{victim}");
        ada.ok(["sh", "-c", "cd /srv/ada; rm run; mv own run; rm -f run/app.sock"]);
    }
});
