//! Who may do what, and what files of ours look like to others.

use clusterctl::{
    ecosystem::AppName,
    translate::{Secret, environment_name},
};

use crate::booted;
use crate::shop::{applied, ecosystem, pids};
use crate::support::{Machine, wait_until};
use std::time::Duration;

/// Everything that an apply leaves on the disk.
const OURS: &str = "/etc/clusterctl /var/lib/clusterctl /run/clusterctl \
                    $(ls -d /etc/systemd/system/shop* /etc/systemd/system/clusterctl-shop.slice)";

fn find(m: &Machine, test: &str) -> String {
    m.ok_sh(&format!("for at in {OURS}; do [ ! -e $at ] || find $at {test}; done"))
}

booted!(nobody_else_may_write_our_files_or_read_a_variable, |m| {
    // The widest umask that somebody may have.
    m.write("/srv/shop/server.js", crate::shop::SERVER);
    m.write("/srv/shop/ecosystem.toml", ecosystem(2, "env = { GREETING = 'very-secret' }"));
    m.ok_sh("umask 000; clusterctl apply /srv/shop/ecosystem.toml; clusterctl reload shop");
    assert!(find(m, "-type f").lines().count() > 10, "the walk sees files");
    assert_eq!(find(m, "! -type l -perm /022"), "", "somebody else may write this");
    assert_eq!(find(m, "! -user root"), "");
    let readable = find(m, "-type f -perm /077 -exec grep -l very-secret {} \\;");
    assert_eq!(readable, "", "a variable in a file that others may read");
    assert!(
        find(m, "-type f -exec grep -l very-secret {} \\;")
            .contains("/etc/clusterctl/environment/shop")
    );
});

booted!(links_that_somebody_planted_are_not_followed, |m| {
    m.ok_sh("echo untouched > /root/victim; mkdir -p /etc/clusterctl/environment /var/lib/clusterctl /run/clusterctl");
    let name = AppName::parse("shop").unwrap();
    m.ok_sh("umask 077; head -c 32 /dev/zero > /var/lib/clusterctl/secret");
    let name = environment_name(&Secret::default(), &name, "GREETING=\"secret\"\n");
    let variables = format!("/etc/clusterctl/environment/{name}");
    m.ok(["ln", "-s", "/root/victim", &variables]);
    m.ok_sh(
        "ln -s /root/victim /run/clusterctl/shop.json; ln -s /root/victim /run/clusterctl/shop",
    );
    applied(m, &ecosystem(2, "env = { GREETING = 'secret' }"));
    m.ok(["clusterctl", "reload", "shop"]);
    assert_eq!(m.ok(["cat", "/root/victim"]), "untouched");
    assert_eq!(m.ok(["stat", "-c", "%a %F", &variables]), "600 regular file");
    // The lock is opened where it lies, so a link there is refused.
    m.ok_sh("rm /var/lib/clusterctl/lock; ln -s /root/victim /var/lib/clusterctl/lock");
    let output = m.clusterctl(["apply", "/srv/shop/ecosystem.toml"]);
    assert_ne!(output.code, 0, "{output:#?}");
    assert_eq!(m.ok(["cat", "/root/victim"]), "untouched");
});

booted!(no_file_is_opened_as_root_where_somebody_else_may_put_a_link, |m| {
    let ada = m.user("ada");
    let link = "ln -s /root/victim /home/ada/out.log; ln -s /root/new /home/ada/ecosystem.toml";
    ada.ok(["sh", "-c", link]);
    m.write("/root/victim", "untouched");
    let log = "out_file = '/home/ada/out.log'\nerror_file = '/home/ada/out.log'";
    // An app that runs as root would write its log through the link.
    crate::shop::write(m, &ecosystem(2, log));
    let output = crate::shop::apply(m);
    assert_eq!(output.code, 3, "{output:#?}");
    assert!(output.stderr.contains("`ada` may change `/home/ada`"), "{output:#?}");
    // An app that runs as ada opens its log as ada, who may not follow the link.
    crate::shop::write(m, &ecosystem(2, &format!("user = 'ada'\n{log}")));
    let output = crate::shop::apply(m);
    assert_eq!(output.code, 0, "a log keeps no app from serving: {output:#?}");
    let why = "output goes to the journal, not to /home/ada/out.log: ada may not write to it";
    assert_eq!(output.stderr.matches(why).count(), 1, "{output:#?}");
    assert_eq!(m.read("/root/victim"), "untouched");
    ada.ok(["rm", "/home/ada/out.log"]);
    applied(m, &ecosystem(2, &format!("user = 'ada'\nenv = {{ NODE_DEBUG = 'net' }}\n{log}")));
    assert!(m.ok(["curl", "-s", "localhost:3000"]).starts_with("instance "));
    assert!(m.read("/home/ada/out.log").contains("NET "), "{}", m.read("/home/ada/out.log"));
    assert_eq!(m.ok(["stat", "-c", "%U", "/home/ada/out.log"]), "ada");
    // `init` and `start` write an ecosystem file into the current folder, where ada's link leads elsewhere.
    m.write("/home/ada/server.js", crate::shop::SERVER);
    for verb in ["init", "start server.js --name other --listen 3001"] {
        assert_ne!(m.sh(&format!("cd /home/ada && clusterctl {verb}")).code, 0, "{verb}");
        assert!(!m.exists("/root/new"), "{verb}");
    }
});

booted!(apps_of_a_user_who_lingers_start_at_boot, |m| {
    let ada = m.user("ada");
    m.write("/home/ada/server.js", crate::shop::SERVER);
    m.write("/home/ada/ecosystem.toml", ecosystem(2, "env = { GREETING = 'very-secret' }"));
    ada.ok(["sh", "-c", "umask 000; clusterctl --user apply /home/ada/ecosystem.toml"]);
    let ours = ".config .local/share/clusterctl";
    let find = |test: &str| ada.ok(["sh", "-c", &format!("cd; find {ours} {test}")]);
    assert_eq!(find("! -type l -perm /022"), "", "somebody else may write this");
    assert_eq!(find("-type f -perm /077 -exec grep -l very-secret {} \\;"), "");
    m.reboot();
    wait_until("ada's instances", Duration::from_secs(30), || {
        ada.run(["clusterctl", "--user", "list"]).stdout.matches(" online ").count() == 2
    });
    assert!(m.ok(["curl", "-s", "localhost:3000"]).starts_with("instance "));
});

booted!(a_user_without_rights_looks_and_is_told_what_to_do, |m| {
    applied(m, &ecosystem(2, "env = { GREETING = 'secret' }"));
    let before = pids(m, 2);
    let ada = m.user("ada");
    assert_eq!(ada.ok(["clusterctl", "list"]).matches(" online ").count(), 2);
    assert!(!ada.ok(["clusterctl", "describe", "shop"]).contains("GREETING"));
    for verb in [
        "apply /srv/shop/ecosystem.toml",
        "start shop",
        "restart shop",
        "stop shop",
        "reload shop",
        "scale shop 3",
        "rollback shop",
        "delete shop",
    ] {
        let output = ada.run(["sh", "-c", &format!("clusterctl {verb}")]);
        assert_eq!(output.code, 4, "{verb:?}: {output:#?}");
        assert!(output.stderr.contains("next: "), "{output:#?}");
        assert!(output.stderr.contains("root"), "{output:#?}");
    }
    assert_eq!(pids(m, 2), before);
});

/// The example that packages ship, which names the group `operators` and the app `shop`.
const RULE: &str = include_str!("../../packaging/polkit/50-clusterctl.rules");

booted!(members_of_a_group_operate_apps_and_do_not_define_them, |m| {
    applied(m, &ecosystem(2, ""));
    m.ok(["groupadd", "operators"]);
    m.write("/etc/polkit-1/rules.d/50-clusterctl.rules", RULE);
    m.write("/etc/systemd/system/shop-admin.service", "[Service]\nExecStart=sleep infinity\n");
    m.ok_sh("systemctl daemon-reload; systemctl start shop-admin; systemctl restart polkit");
    let ada = m.user("ada");
    m.ok(["usermod", "-aG", "operators", "ada"]);
    let before = pids(m, 2);
    ada.ok(["clusterctl", "restart", "shop"]);
    assert!(pids(m, 2).iter().all(|pid| !before.contains(pid)));
    let before = pids(m, 2);
    ada.ok(["clusterctl", "reload", "shop"]);
    assert!(pids(m, 2).iter().all(|pid| !before.contains(pid)));
    ada.ok(["clusterctl", "stop", "shop"]);
    assert_ne!(m.run(["curl", "-s", "localhost:3000"]).code, 0);
    ada.ok(["clusterctl", "start", "shop"]);
    assert_eq!(ada.ok(["clusterctl", "list"]).matches(" online ").count(), 2);
    assert_eq!(m.run(["curl", "-s", "localhost:3000"]).code, 0);
    let before = pids(m, 2);
    ada.ok(["clusterctl", "restart", "shop@1"]);
    assert_eq!(pids(m, 2)[0], before[0]);
    assert_ne!(pids(m, 2)[1], before[1]);
    let apply = ["apply", "/srv/shop/ecosystem.toml"];
    for verb in [apply, ["scale", "shop"], ["delete", "shop"]] {
        let count = (verb[0] == "scale").then_some("3");
        let output = ada.run(["clusterctl"].into_iter().chain(verb).chain(count));
        assert_eq!(output.code, 4, "{output:#?}");
        assert!(output.stderr.contains("next: "), "{output:#?}");
    }
    for verb in ["restart shop-admin", "kill shop@0", "enable shop@5", "daemon-reload"] {
        let command = format!("systemctl --no-ask-password {verb}");
        assert_ne!(ada.run(["sh", "-c", &command]).code, 0, "{verb} is permitted");
    }
    // Leaving the group ends it.
    m.ok(["gpasswd", "-d", "ada", "operators"]);
    assert_eq!(ada.run(["clusterctl", "restart", "shop"]).code, 4);
});

booted!(a_narrow_umask_hides_nothing_from_apps_of_other_users, |m| {
    m.user("ada");
    m.write("/srv/shop/server.js", crate::shop::SERVER);
    m.write("/srv/shop/ecosystem.toml", ecosystem(2, "user = 'ada'"));
    m.ok_sh("umask 077; clusterctl apply /srv/shop/ecosystem.toml");
    assert!(m.ok(["curl", "-s", "localhost:3000"]).starts_with("instance "));
});

booted!(no_secret_shows_in_output_command_lines_or_the_journal, |m| {
    m.ok_sh("mkdir -p /srv/shop; umask 077; echo TOKEN=hidden-in-file > /srv/shop/.env");
    let secrets = |value: &str| {
        let env = format!("env = {{ PASSWORD = 'hidden-{value}' }}\nenv_file = '.env'");
        crate::shop::write(m, &ecosystem(2, &env));
    };
    let mut shown = String::new();
    let mut say = |command: &str| {
        let output = m.sh(&format!("cd /srv/shop; clusterctl {command}"));
        let text = format!("{}{}", output.stdout, output.stderr);
        assert!(!text.is_empty(), "{command} says nothing");
        for (nr, line) in text.lines().enumerate().filter(|(_, line)| line.contains("hidden-")) {
            shown += &format!("{command}, line {nr}: {line}\n");
        }
    };
    secrets("one");
    say("apply --dry-run");
    say("apply");
    secrets("two");
    say("apply --dry-run");
    say("apply --dry-run -o json");
    say("apply -o json");
    for command in ["list", "describe shop", "history", "rollback --dry-run", "doctor"] {
        say(command);
        say(&format!("{command} -o json"));
    }
    say("rollback -o json");
    // A failed start is shown with the last lines of the program.
    m.write("/srv/shop/.env", "TOKEN=hidden-in-file\nBROKEN=hidden-reason\n\0");
    say("reload shop");
    assert_eq!(shown, "");
    assert_eq!(m.ok_sh("journalctl --output=cat | grep hidden- || :"), "");
    assert_eq!(m.ok_sh("cat /proc/[0-9]*/cmdline | tr '\\0' '\\n' | grep ^hidden- || :"), "");
});
