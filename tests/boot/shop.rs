//! One small app for many scenarios, and the ecosystem file around it.

use crate::support::{Machine, Output, load::Load};

/// A server that answers at once, with its instance and what `GREETING` says. It listens once the
/// file that `HOLD` names is there.
pub const SERVER: &str = "\
const http = require('http');
if (process.env.BROKEN) throw new Error('broken on purpose');
const server = http.createServer((req, res) => {
  res.end(`instance ${process.env.NODE_APP_INSTANCE} ${process.env.GREETING || 'plain'} .`);
});
const listen = () => {
  if (process.env.HOLD && !require('fs').existsSync(process.env.HOLD)) setTimeout(listen, 20);
  else server.listen(process.env.PORT || 3000);
};
listen();
";

/// An ecosystem with one app `shop` of `instances` on port 3000, and more lines for it.
pub fn ecosystem(instances: u32, more: &str) -> String {
    format!(
        "[[apps]]\nname = 'shop'\nscript = 'server.js'\ninstances = {instances}\nlisten = 3000\n{more}\n"
    )
}

/// The same with this greeting; relied on as soon as it is ready, to be quick.
pub fn quick(instances: u32, greeting: &str) -> String {
    let more = format!("env = {{ GREETING = '{greeting}' }}\nrollout = {{ min_ready = 0 }}");
    ecosystem(instances, &more)
}

/// Writes the app and its ecosystem file, without applying it.
pub fn write(m: &Machine, text: &str) {
    m.write("/srv/shop/server.js", SERVER);
    m.write("/srv/shop/ecosystem.toml", text);
}

/// Applies what was written.
pub fn apply(m: &Machine) -> Output {
    m.clusterctl(["apply", "/srv/shop/ecosystem.toml"])
}

/// Writes and applies; it must succeed. Returns the plan.
pub fn applied(m: &Machine, text: &str) -> String {
    write(m, text);
    let output = apply(m);
    assert_eq!(output.code, 0, "{output:#?}");
    output.stdout
}

/// Every answer that port 3000 gives, each once.
pub fn answers(m: &Machine) -> String {
    // Several at once: one client alone might meet the same instance again and again.
    m.ok_sh("seq 60 | xargs -P 6 -I+ sh -c 'echo \"$(curl -s localhost:3000)\"' | sort -u")
}

/// How the instances of an app ended, by the journal: none was killed for its slowness.
pub fn assert_all_ended_well(m: &Machine, app: &str) {
    let journal = m.journal(&format!("{app}@*"));
    for bad in ["timed out", "SIGKILL", "Failed with result"] {
        assert!(!journal.contains(bad), "{journal}");
    }
}

/// Main processes of the first `count` instances.
pub fn pids(m: &Machine, count: u32) -> Vec<String> {
    (0..count).map(|number| m.systemctl_show(&format!("shop@{number}"), "MainPID")).collect()
}

/// Both kinds of clients at once on port 3000.
pub fn load() -> Load {
    let load = Load::http("127.0.0.1:3000").new_connections(50.0).keep_alive(50.0);
    load.expect("instance ").instance_after("instance ")
}

/// Inode of the listener that process 1 holds for port 3000.
pub fn listener_inode(m: &Machine) -> String {
    m.ok_sh("awk '$2 ~ /:0BB8$/ && $4 == \"0A\" { print $10 }' /proc/net/tcp /proc/net/tcp6")
}
