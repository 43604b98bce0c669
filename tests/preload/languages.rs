//! Unmodified programs in other languages, and the wrappers they are started by.

use std::fs;

use crate::support::{PATIENCE, Systemd, has, http, made};

const NODE_SERVER: &str = "require('http').createServer((q, r) => r.end('hello'))\
    .listen(process.env.PORT);";

/// Starts a program, which serves HTTP, on `address`; it may be a grandchild.
#[track_caller]
fn serves_at(address: &str, program: &[&str], files: &[(&str, &str)]) {
    let (mut systemd, port) = Systemd::tcp(address);
    let port_text = port.to_string();
    systemd.set("PORT", &port_text);
    for (name, content) in files {
        fs::write(systemd.directory.path().join(name), content.replace("PORT_", &port_text))
            .unwrap();
    }
    let program: Vec<String> =
        program.iter().map(|word| word.replace("PORT_", &port_text)).collect();
    let words: Vec<&str> = program.iter().map(String::as_str).collect();
    let instances: Vec<_> = (0..2).map(|_| systemd.start(&words)).collect();
    instances.iter().for_each(|_| assert_eq!(systemd.notified(), "READY=1", "{words:?}"));
    for _ in 0..4 {
        let status = http(port);
        assert!(status.contains("200"), "{words:?}: {status:?}");
    }
    assert!(systemd.is_nonblocking(), "{words:?}");
}

fn serves(program: &[&str], files: &[(&str, &str)]) {
    serves_at("::", program, files);
}

#[test]
fn node_http() {
    if has("node") {
        serves(&["node", "server.js"], &[("server.js", NODE_SERVER)]);
        serves_at("0.0.0.0", &["node", "server.js"], &[("server.js", NODE_SERVER)]);
    }
}

#[test]
fn python_http_server() {
    if has("python3") {
        serves(&["python3", "-m", "http.server", "PORT_"], &[]);
        serves_at("0.0.0.0", &["python3", "-m", "http.server", "PORT_"], &[]);
    }
}

#[test]
fn python_asyncio() {
    let script = "import asyncio\n\
        async def answer(reader, writer):\n\
        \x20   await reader.readuntil(b'\\r\\n\\r\\n')\n\
        \x20   writer.write(b'HTTP/1.0 200 OK\\r\\n\\r\\nhello')\n\
        \x20   writer.close()\n\
        async def main():\n\
        \x20   server = await asyncio.start_server(answer, '0.0.0.0', PORT_)\n\
        \x20   await server.serve_forever()\n\
        asyncio.run(main())\n";
    if has("python3") {
        serves(&["python3", "server.py"], &[("server.py", script)]);
    }
}

#[test]
fn php_built_in_server() {
    if has("php") {
        serves_at("127.0.0.1", &["php", "-S", "127.0.0.1:PORT_"], &[("index.php", "hello")]);
    }
}

#[test]
fn perl() {
    let script = "use IO::Socket::INET;\n\
        my $s = IO::Socket::INET->new(LocalPort => PORT_, Listen => 5, ReuseAddr => 1) or die $!;\n\
        while (my $c = $s->accept) { while (<$c>) { last if /^\\r\\n$/ }\n\
        print $c \"HTTP/1.0 200 OK\\r\\n\\r\\nhello\"; close $c }\n\
        die \"accept: $!\"\n";
    if has("perl") {
        serves(&["perl", "server.pl"], &[("server.pl", script)]);
    }
}

#[test]
fn java() {
    let source = "import java.net.*; public class Server { public static void main(String[] a) \
        throws Exception { ServerSocket s = new ServerSocket(PORT_); while (true) { Socket c = \
        s.accept(); c.getInputStream().read(); c.getOutputStream().write(\"HTTP/1.0 200 OK\\r\\n\
        \\r\\nhello\".getBytes()); c.shutdownOutput(); while (c.getInputStream().read() >= 0); \
        c.close(); } } }";
    if has("java") && has("javac") {
        serves(&["java", "Server.java"], &[("Server.java", source)]);
    }
}

#[test]
fn wrappers_let_a_grandchild_bind() {
    if has("python3") {
        let server = "exec 3>/dev/null; env python3 -m http.server PORT_";
        serves(&["sh", "-c", server], &[]);
        let parent = "import subprocess, sys\n\
            sys.exit(subprocess.call([sys.executable, '-m', 'http.server', 'PORT_']))\n";
        serves(&["python3", "parent.py"], &[("parent.py", parent)]);
    }
}

#[test]
fn npm_start() {
    if has("npm") {
        let package =
            r#"{"name": "a", "version": "1.0.0", "scripts": {"start": "node server.js"}}"#;
        serves(&["npm", "start"], &[("package.json", package), ("server.js", NODE_SERVER)]);
    }
}

#[test]
fn yarn() {
    if has("npm") {
        let folder = made::from_npm("yarn@1.22.22");
        let package =
            r#"{"name": "a", "version": "1.0.0", "scripts": {"start": "node server.js"}}"#;
        let yarn = format!("{}/node_modules/yarn/bin/yarn.js", folder.display());
        serves(&["node", &yarn, "start"], &[("package.json", package), ("server.js", NODE_SERVER)]);
    }
}

#[test]
fn bundle_exec() {
    let server = "require 'socket'\n\
        server = TCPServer.new('0.0.0.0', PORT_)\n\
        loop do\n\
        \x20 client = server.accept\n\
        \x20 nil until client.gets == \"\\r\\n\"\n\
        \x20 client.write \"HTTP/1.0 200 OK\\r\\n\\r\\nhello\"\n\
        \x20 client.close\n\
        end\n";
    if has("bundle") {
        let files = [("Gemfile", "source 'https://rubygems.org'\n"), ("server.rb", server)];
        serves(&["bundle", "exec", "ruby", "server.rb"], &files);
    }
}

#[test]
fn poetry_run() {
    let project = "[tool.poetry]\nname = 'a'\nversion = '1.0.0'\ndescription = ''\nauthors = []\n";
    if has("poetry") {
        // No environment of its own: there is nothing to install.
        let words = ["env", "POETRY_VIRTUALENVS_CREATE=false", "poetry", "run", "python3", "-m"];
        let words = [&words[..], &["http.server", "PORT_"]].concat();
        serves(&words, &[("pyproject.toml", project)]);
    }
}

#[test]
fn a_node_child_with_a_channel_on_descriptor_three() {
    let parent = "require('child_process').fork('server.js');";
    if has("node") {
        serves(&["node", "parent.js"], &[("parent.js", parent), ("server.js", NODE_SERVER)]);
    }
}

#[test]
fn nodes_own_cluster_module() {
    let script = "const cluster = require('cluster');\n\
        if (cluster.isPrimary) { cluster.fork(); cluster.fork(); } else { SERVER }\n"
        .replace("SERVER", NODE_SERVER);
    if has("node") {
        serves(&["node", "server.js"], &[("server.js", &script)]);
    }
}

#[test]
fn a_message_to_systemd_goes_through_unlink() {
    let script = "const fs = require('fs');\n\
        fs.unlinkSync('/proc/self/clusterctl/notify/READY=1\\nSTATUS=fine');\n\
        try { fs.unlinkSync('/proc/self/clusterctl/other'); } catch (e) { console.log(e.code); }\n";
    if has("node") {
        let systemd = Systemd::new();
        fs::write(systemd.directory.path().join("app.js"), script).unwrap();
        let program = systemd.start(&["node", "app.js"]);
        assert_eq!(systemd.notified(), "READY=1\nSTATUS=fine");
        assert_eq!(program.line(), "ENOENT");
    }
    let _ = PATIENCE;
}
