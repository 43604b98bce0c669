//! The listeners of an app: their names, their families, and the ports that programs know them by.

use crate::host::FakeHost;
use crate::{app, app_on, listeners};

#[test]
fn a_cluster_of_pm2_listens_on_its_port() {
    let run = |text: &str| {
        let mut host = FakeHost::new();
        host.heads.insert("/srv/app/.env".into(), b"A=1\nPORT=4000\n".to_vec());
        listeners(&app_on(&format!("name = 'x'\n{text}"), &host))
    };
    let node = "script = 'server.js'";
    let port = "env = { PORT = 3700 }";
    let shared = ["3700=[::]:3700"];
    assert_eq!(run(&format!("{node}\nexec_mode = 'cluster'\ninstances = 4\n{port}")), shared);
    assert_eq!(run(&format!("{node}\nexecMode = 'cluster_mode'\n{port}")), shared);
    assert_eq!(run(&format!("{node}\ninstances = 'max'\n{port}")), shared);
    assert_eq!(run(&format!("{node}\ninstances = -1\nenv = {{ PORT = '3700' }}")), shared);
    assert_eq!(run(&format!("script = 'npm start'\ninstances = 2\n{port}")), shared);
    assert_eq!(run(&format!("{node}\ninstances = 2\nenv_file = '.env'")), ["4000=[::]:4000"]);
    // Files that say something else than PM2's cluster mode with a port.
    let none: [&str; 0] = [];
    for text in [
        format!("{node}\nexec_mode = 'fork'\ninstances = 4\n{port}"),
        format!("{node}\n{port}"),
        format!("{node}\ninstances = 4\nlisten = []\n{port}"),
        format!("{node}\ninstances = 4\n{port}\nincrement_var = 'PORT'"),
        format!("{node}\ninstances = 4\nenv = {{ PORT = 'none' }}"),
        format!("script = 'worker.py'\ninstances = 4\n{port}"),
    ] {
        assert_eq!(run(&text), none, "{text}");
    }
    let own = format!("{node}\ninstances = 4\n{port}\nlisten = '127.0.0.1:80'");
    assert_eq!(run(&own), ["80=127.0.0.1:80"]);
}

#[test]
fn listeners_get_stable_unique_names() {
    let named = |text: &str| listeners(&app(&format!("script = 'server.js'\nlisten = {text}")));
    assert_eq!(named("3000"), ["3000=[::]:3000"]);
    assert_eq!(
        named("['80', ':443', 'udp:80']"),
        ["80=[::]:80", "443=[::]:443", "udp-80=udp:[::]:80"]
    );
    assert_eq!(
        named("['127.0.0.1:80', '[::1]:80']"),
        ["80-127.0.0.1=127.0.0.1:80", "80-__1=[::1]:80"]
    );
    assert_eq!(named("'/run/api.sock'"), ["api=/run/api.sock"]);
    assert_eq!(
        named("['/run/a/x.sock', '/run/b/x.sock']"),
        ["run-a-x.sock=/run/a/x.sock", "run-b-x.sock=/run/b/x.sock"]
    );
    assert_eq!(named("'@hidden/name'"), ["hidden-name=@hidden/name"]);
    assert_eq!(named("[]"), [""; 0]);
}

#[test]
fn a_wildcard_of_ipv6_beside_ipv4_is_a_socket_of_its_own() {
    let only = |text: &str| {
        let app = app(&format!("script = 'server.js'\nlisten = {text}"));
        let only = app.listeners.iter().map(|l| l.address.is_only_v6()).collect::<Vec<_>>();
        (listeners(&app), only)
    };
    let (names, families) = only("['0.0.0.0:53', '[::]:53']");
    assert_eq!(names, ["53-0.0.0.0=0.0.0.0:53", "53-ipv6=[::]:53"]);
    assert_eq!(families, [false, true]);
    assert_eq!(only("['[::]:53', '127.0.0.1:53']").1, [true, false]);
    assert_eq!(only("{ six = 'udp:[::]:53', four = 'udp:10.0.0.1:53' }").1, [true, false]);
    // A listener of another protocol or port does not change the families of this one.
    assert_eq!(only("['[::]:53', 'udp:0.0.0.0:53', '0.0.0.0:54']").1, [false; 3]);
    assert_eq!(only("'[::]:53'").1, [false]);
}

#[test]
fn a_listener_may_stand_for_another_port_of_the_program() {
    let binds = |text: &str| {
        let app = app(&format!("script = 'server.js'\nlisten = {text}"));
        let shown =
            |l: &clusterctl::ecosystem::Listener| format!("{}={}/{:?}", l.name, l.address, l.bind);
        app.listeners.iter().map(shown).collect::<Vec<_>>()
    };
    let one = ["80=[::]:80/Some(3000)"];
    assert_eq!(binds("{ at = 80, bind = 3000 }"), one);
    assert_eq!(binds("[{ bind = '3000', at = ':80' }]"), one);
    assert_eq!(
        binds("{ http = { at = '0.0.0.0:80', bind = 3000 } }"),
        ["http=0.0.0.0:80/Some(3000)"]
    );
    // `bind` with the listener's own port is left out.
    assert_eq!(
        binds("[{ at = 80, bind = 80 }, { at = 81 }]"),
        ["80=[::]:80/None", "81=[::]:81/None"]
    );
    assert_eq!(
        binds("[{ at = '0.0.0.0:80', bind = 3000 }, { at = '[::]:80', bind = 3000 }]"),
        ["80-0.0.0.0=0.0.0.0:80/Some(3000)", "80-ipv6=[::]:80/Some(3000)"]
    );
    // Two ports may be swapped, and TCP is not UDP.
    binds("[{ at = 80, bind = 81 }, { at = 81, bind = 80 }]");
    binds("[{ at = 80, bind = 3000 }, { at = 'udp:80', bind = 3000 }]");
    // Names of listeners.
    assert_eq!(binds("{ at = 80 }"), ["at=[::]:80/None"]);
    assert_eq!(binds("{ at = 80, bind = 81, more = 82 }").len(), 3);
}

#[test]
fn port_is_a_variable_and_the_listener() {
    let with_port = app("script = 'server.js'\nport = 3000");
    assert_eq!(with_port.env["PORT"], "3000");
    assert_eq!(listeners(&with_port), ["3000=[::]:3000"]);
    let both = app("script = 'server.js'\nport = 3000\nlisten = { http = '127.0.0.1:3000' }");
    assert_eq!(listeners(&both), ["http=127.0.0.1:3000"]);
}
