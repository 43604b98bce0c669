//! `clusterctl dev` where systemd runs, as root and as an ordinary user.

use std::time::Duration;

use crate::booted_long;
use crate::support::wait_until;

const SERVER: &str = "\
console.log('serving');
require('http').createServer((q, s) => s.end('here')).listen(3000);
";

booted_long!(one_broken_app_does_not_end_the_others, |m| {
    m.write("/srv/d/server.js", SERVER);
    m.write("/srv/d/broken.js", "throw new Error('broken on purpose')");
    m.write(
        "/srv/d/ecosystem.toml",
        "[[apps]]\nname = 'good'\nscript = 'server.js'\nlisten = 3000\n\
         [[apps]]\nname = 'bad'\nscript = 'broken.js'\nlisten = 3001\n",
    );
    let mut dev = m.spawn(["sh", "-c", "exec clusterctl dev /srv/d/ecosystem.toml 2>&1"]);
    dev.line_with("the others run on");
    assert_eq!(m.ok(["curl", "-s", "localhost:3000"]), "here");
    dev.signal(rustix::process::Signal::INT);
    let (code, lines) = dev.wait();
    let text = lines.join("\n");
    assert_eq!(code, 0, "{text}");
    // The session ends with `dev`, so advice about its apps would be of no use.
    assert!(!text.contains("next: clusterctl logs"), "{text}");
});

booted_long!(it_ends_with_its_apps_and_its_reader, |m| {
    m.write("/srv/d/job.js", "console.log('done')");
    m.write("/srv/d/server.js", SERVER);
    let file = "/srv/d/ecosystem.toml";
    m.write(file, "[[apps]]\nname = 'job'\nscript = 'job.js'\nautorestart = false\n");
    let output = m.clusterctl(["dev", file]);
    assert_eq!(output.code, 0, "{output:#?}");
    assert!(output.stdout.contains("| done"), "{output:#?}");
    m.write("/srv/d/job.js", "process.exit(3)");
    assert_eq!(m.clusterctl(["dev", file]).code, 1);
    let chatty = "setInterval(() => console.log('again'), 100)";
    m.write("/srv/d/server.js", format!("{SERVER}{chatty}"));
    m.write(file, "[[apps]]\nname = 'good'\nscript = 'server.js'\nlisten = 3000\n");
    let output = m.sh(&format!("timeout 60 clusterctl dev {file} | head -1"));
    assert_eq!(output.code, 0, "{output:#?}");
    wait_until("nothing runs on", Duration::from_secs(30), || {
        m.run(["curl", "-s", "localhost:3000"]).code != 0
    });
    let output = m.clusterctl(["dev", file, "--", "nosuchcmd"]);
    assert_eq!(output.code, 2, "{output:#?}");
    assert!(output.stderr.contains("no program `nosuchcmd`"), "{output:#?}");
    assert!(!output.stderr.contains("ecosystem"), "{output:#?}");
});

booted_long!(it_stays_where_that_is_asked_for_and_takes_some_apps, |m| {
    m.write("/srv/d/job.js", "console.log('done')");
    m.write("/srv/d/server.js", SERVER);
    m.write(
        "/srv/d/ecosystem.toml",
        "[[apps]]\nname = 'job'\nscript = 'job.js'\nautorestart = false\n\
         [[apps]]\nname = 'good'\nscript = 'server.js'\nlisten = 3000\n",
    );
    let dev = "exec clusterctl dev /srv/d/ecosystem.toml";
    // As pm2-runtime, it ends with its apps unless it is told to stay.
    let output = m.sh(&format!("{dev} --only job"));
    assert_eq!(output.code, 0, "{output:#?}");
    assert!(output.stdout.contains("| done") && !output.stdout.contains("good"), "{output:#?}");
    let mut stays = m.spawn(["sh", "-c", &format!("{dev} --only job --no-auto-exit 2>&1")]);
    stays.line_with("Ctrl-C stops them");
    wait_until("the job has ended", Duration::from_secs(30), || {
        m.run(["pgrep", "-f", "[j]ob.js"]).code != 0
    });
    assert_eq!(m.run(["pgrep", "-f", "[c]lusterctl dev"]).code, 0);
    stays.signal(rustix::process::Signal::INT);
    assert_eq!(stays.wait().0, 0);
    let output = m.sh(&format!("{dev} --only nobody"));
    assert_eq!(output.code, 5, "{output:#?}");
});

booted_long!(it_reloads_an_app_whose_files_change, |m| {
    let server = SERVER.replace("'here'", "word");
    m.write("/srv/a/server.js", format!("const word = require('./lib/word');\n{server}"));
    m.write("/srv/a/lib/word.js", "module.exports = 'one';");
    m.write("/srv/b/other.js", SERVER.replace("3000", "3001"));
    m.write(
        "/srv/d/ecosystem.toml",
        "[[apps]]\nname = 'good'\nscript = 'server.js'\ncwd = '/srv/a'\nlisten = 3000\n\
         out_file = '/srv/a/lines'\n\
         [[apps]]\nname = 'other'\nscript = 'other.js'\ncwd = '/srv/b'\nlisten = 3001\n",
    );
    let mut dev = m.spawn(["sh", "-c", "exec clusterctl dev --watch /srv/d/ecosystem.toml 2>&1"]);
    dev.line_with("all apps run");
    let says = |text: &str| m.ok(["curl", "-s", "localhost:3000"]) == text;
    assert!(says("one"));
    m.write("/srv/a/lib/word.js", "module.exports = 'two';");
    dev.line_with("/srv/a/lib/word.js changed: reloading good");
    wait_until("the new code answers", Duration::from_secs(30), || says("two"));
    // A version that does not start replaces nothing.
    m.write("/srv/a/lib/word.js", "throw new Error('broken on purpose');");
    dev.line_with("Error: broken on purpose");
    assert!(says("two"));
    m.write("/srv/a/lib/word.js", "module.exports = 'three';");
    wait_until("the mended code answers", Duration::from_secs(60), || says("three"));
    dev.signal(rustix::process::Signal::INT);
    let (code, lines) = dev.wait();
    let text = lines.join("\n");
    assert_eq!(code, 0, "{text}");
    assert!(!text.contains("reloading good, other") && !text.contains("reloading other"), "{text}");
});

booted_long!(a_user_needs_no_more_than_her_shell, |m| {
    let ada = m.user("ada");
    ada.write("/home/ada/server.js", SERVER);
    ada.write(
        "/home/ada/ecosystem.toml",
        "[[apps]]\nname = 'hers'\nscript = 'server.js'\nlisten = 3000\n",
    );
    let output = ada.run(["sh", "-c", "cd && clusterctl dev -- curl -s localhost:3000"]);
    assert!(output.code == 0 && output.stdout.contains("here"), "{output:#?}");
});
