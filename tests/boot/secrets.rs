//! `credentials`: secrets that systemd hands to an app, and that nobody else sees.

use std::time::Duration;

use crate::booted;
use crate::shop::{apply, write};
use crate::support::{Machine, wait_until};

/// Answers with what is in its secrets.
const SERVER: &str = "\
const fs = require('fs'), dir = process.env.CREDENTIALS_DIRECTORY;
const all = fs.readdirSync(dir).sort().map((name) => `${name}=${fs.readFileSync(`${dir}/${name}`)}`);
require('http').createServer((q, s) => s.end(`instance ${all.join(' ')}`)).listen(3000);
";

fn served(m: &Machine) -> String {
    m.ok(["curl", "-s", "localhost:3000"])
}

fn table(more: &str) -> String {
    format!(
        "[[apps]]\nname = 'shop'\nscript = 'server.js'\nlisten = 3000\nuser = 'ada'\ninstances = 2\n{more}\n"
    )
}

fn app(m: &Machine, credentials: &str) {
    write(m, &table(&format!("credentials = {{ {credentials} }}")));
    m.write("/srv/shop/server.js", SERVER);
}

booted!(an_app_reads_its_secrets_and_nobody_else_does, |m| {
    let ada = m.user("ada");
    m.ok_sh(
        "umask 077; mkdir -p /etc/keys; printf very-secret-1 >/etc/keys/db; printf very-secret-2 | \
             systemd-creds encrypt --with-key=host --name=api - /etc/keys/api.cred",
    );
    app(m, "db = '/etc/keys/db', api = 'encrypted:/etc/keys/api.cred'");
    let mut said = String::new();
    let mut run = |verb: &str| {
        let output = m.sh(&format!("clusterctl {verb}"));
        said.push_str(&(output.stdout.clone() + &output.stderr));
        output
    };
    let output = run("apply --dry-run /srv/shop/ecosystem.toml");
    assert!(output.stdout.contains("/etc/keys/db"), "{output:#?}");
    assert_eq!(run("apply /srv/shop/ecosystem.toml").code, 0);
    assert_eq!(served(m), "instance api=very-secret-2 db=very-secret-1");
    let output = run("describe shop");
    assert!(output.stdout.contains("db from /etc/keys/db"), "{output:#?}");
    assert!(output.stdout.contains("api from /etc/keys/api.cred, encrypted"), "{output:#?}");
    // Instances that start after a change of the secret's file read the new content.
    m.write("/etc/keys/db", "very-secret-3");
    assert_eq!(run("reload shop").code, 0);
    assert_eq!(served(m), "instance api=very-secret-2 db=very-secret-3");
    for verb in ["list -o json", "describe shop -o json", "doctor", "logs --lines all", "history"] {
        run(verb);
    }
    said.push_str(&m.ok(["journalctl", "--no-pager", "-o", "export"]));
    said.push_str(&m.ok(["systemctl", "show", "shop@0", "shop"]));
    said.push_str(&m.ok_sh("grep -r . /etc/systemd/system /var/lib/clusterctl/history"));
    assert!(!said.contains("very-secret"), "{said}");
    let unit = m.systemctl_show("shop@0", "MainPID");
    let place = m.ok_sh(&format!(
        "tr '\\0' '\\n' </proc/{unit}/environ | sed -n 's/^CREDENTIALS_DIRECTORY=//p'"
    ));
    let bob = m.user("bob");
    assert_ne!(bob.run(["cat", &format!("{place}/db")]).code, 0);
    assert_ne!(ada.run(["cat", "/etc/keys/db"]).code, 0);
});

booted!(a_secret_that_is_missing_is_named, |m| {
    m.user("ada");
    m.ok_sh("umask 077; mkdir -p /etc/keys; printf x >/etc/keys/db");
    app(m, "db = '/etc/keys/nothing'");
    let output = apply(m);
    assert_eq!(output.code, 3, "{output:#?}");
    assert!(output.stderr.contains("`/etc/keys/nothing` does not exist"), "{output:#?}");
    app(m, "db = '/etc/keys/db'");
    assert_eq!(apply(m).code, 0);
    m.ok(["rm", "/etc/keys/db"]);
    let doctor = m.clusterctl(["doctor", "shop"]);
    assert!(doctor.stdout.contains("/etc/keys/db is gone: no instance can start"), "{doctor:#?}");
    let output = m.clusterctl(["reload", "shop"]);
    assert_eq!(output.code, 1, "{output:#?}");
    assert!(output.stderr.contains("`/etc/keys/db` does not exist"), "{output:#?}");
    assert!(served(m).contains("db=x"), "the others serve on");
    // A file that is named as encrypted and is not.
    m.ok_sh("umask 077; printf x >/etc/keys/db; printf junk >/etc/keys/junk");
    app(m, "db = 'encrypted:/etc/keys/junk'");
    let output = apply(m);
    assert_eq!(output.code, 1, "{output:#?}");
    assert!(output.stderr.contains("credentials"), "{output:#?}");
});

booted!(root_reads_no_secret_that_others_chose, |m| {
    let ada = m.user("ada");
    m.ok_sh("mkdir -p /srv/keys; chown ada /srv/keys");
    ada.ok(["ln", "-s", "/etc/shadow", "/srv/keys/db"]);
    app(m, "db = '/srv/keys/db'");
    let output = apply(m);
    assert_eq!(output.code, 3, "{output:#?}");
    assert!(output.stderr.contains("`ada` may change `/srv/keys`"), "{output:#?}");
    // The doctor sees that the secret's folder was given to another user later.
    m.ok_sh("umask 077; mkdir -p /srv/own; printf x >/srv/own/db");
    app(m, "db = '/srv/own/db'");
    assert_eq!(apply(m).code, 0);
    m.ok(["chown", "ada", "/srv/own"]);
    let doctor = m.clusterctl(["doctor", "shop"]);
    assert!(doctor.stdout.contains("`ada` may change /srv/own"), "{doctor:#?}");
});

booted!(a_user_has_secrets_of_her_own, |m| {
    let ada = m.user("ada");
    ada.write("/home/ada/shop/server.js", SERVER);
    ada.write("/home/ada/shop/key", "very-secret-1");
    ada.ok(["chmod", "600", "/home/ada/shop/key"]);
    let text = table("credentials = { db = 'key' }").replace("user = 'ada'\n", "");
    ada.write("/home/ada/shop/ecosystem.toml", &text);
    ada.ok(["clusterctl", "--user", "apply", "/home/ada/shop/ecosystem.toml"]);
    assert_eq!(served(m), "instance db=very-secret-1");
    ada.ok(["clusterctl", "--user", "delete", "shop"]);
    ada.write("/home/ada/shop/ecosystem.toml", &text.replace("'key'", "'encrypted:key'"));
    let output = ada.run(["clusterctl", "--user", "apply", "/home/ada/shop/ecosystem.toml"]);
    assert_eq!(output.code, 3, "{output:#?}");
    assert!(output.stderr.contains("your own service manager cannot decrypt it"), "{output:#?}");
    // The same file under the private manager of `clusterctl dev`.
    ada.write("/home/ada/shop/ecosystem.toml", &text);
    let mut dev = ada.spawn(["sh", "-c", "exec clusterctl dev /home/ada/shop/ecosystem.toml 2>&1"]);
    wait_until("the app in dev", Duration::from_secs(60), || {
        m.run(["curl", "-s", "localhost:3000"]).stdout == "instance db=very-secret-1"
    });
    dev.signal(rustix::process::Signal::INT);
    dev.wait();
});
