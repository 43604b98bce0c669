//! The runtimes: a directory of `fixtures/matrix` each, and the kinds that its server can answer.

use super::kinds::{
    EVENTS, HTTP, HTTP2, HTTP2_STREAM, LONG, ONE_BY_ONE, PIPELINED, SOCKETS, TLS, UNIX, WEBSOCKET,
};

/// One runtime.
#[derive(Debug)]
pub struct Runtime {
    pub name: &'static str,
    /// The directory with its ecosystem file; runtimes of one language may share it.
    pub fixture: &'static str,
    /// Another directory that it uses.
    pub app: &'static str,
    pub needs: Needs,
    pub kinds: &'static [&'static [&'static str]],
    pub h2: &'static str,
    pub rate: f64,
}

/// What has to be installed.
#[derive(Clone, Copy, Debug)]
pub enum Needs {
    /// Node in this version, as `/srv/bin/node`.
    Node(&'static str),
    /// The packages of `requirements.txt`, in `/srv/python`.
    Pip,
    /// The Go program, as `/srv/bin/shop`.
    Go,
    /// The Rust program of this name, as `/srv/bin/shop`.
    Rust(&'static str),
    /// A program of Debian.
    Debian(&'static str),
    /// A program of a package from npm, as `name@version`, in `/srv/bin`.
    Npm(&'static str),
    /// The proxy, and the server behind it.
    Nginx,
}

const NODE: &[&[&str]] = &[
    HTTP,
    LONG,
    ONE_BY_ONE,
    PIPELINED,
    EVENTS,
    WEBSOCKET,
    HTTP2,
    HTTP2_STREAM,
    TLS,
    UNIX,
    SOCKETS,
];
const PYTHON: &[&[&str]] = &[HTTP, LONG, ONE_BY_ONE, PIPELINED, EVENTS, WEBSOCKET];

const fn node(name: &'static str, version: &'static str) -> Runtime {
    Runtime {
        name,
        fixture: "node",
        app: "node",
        needs: Needs::Node(version),
        kinds: NODE,
        h2: "clear",
        rate: 1.0,
    }
}

const fn python(name: &'static str) -> Runtime {
    Runtime {
        name,
        fixture: name,
        app: "asgi",
        needs: Needs::Pip,
        kinds: PYTHON,
        h2: "clear",
        rate: 1.0,
    }
}

const fn go(name: &'static str) -> Runtime {
    Runtime { name, fixture: name, app: "go", needs: Needs::Go, kinds: NODE, h2: "tls", rate: 1.0 }
}

const fn rust(name: &'static str) -> Runtime {
    Runtime {
        name,
        fixture: name,
        app: "rust",
        needs: Needs::Rust("shop"),
        kinds: &[HTTP, LONG, PIPELINED, EVENTS, WEBSOCKET, HTTP2, HTTP2_STREAM, UNIX, SOCKETS],
        h2: "clear",
        rate: 1.0,
    }
}

const fn debian(name: &'static str, kinds: &'static [&'static [&'static str]]) -> Runtime {
    Runtime {
        name,
        fixture: name,
        app: name,
        needs: Needs::Debian(name),
        kinds,
        h2: "clear",
        rate: 1.0,
    }
}

pub const RUNTIMES: &[Runtime] = &[
    node("node-22", "22.23.3"),
    node("node-24", "24.9.0"),
    node("node-26", "26.9.0"),
    python("uvicorn"),
    python("uvicorn-uvloop"),
    Runtime { app: "aiohttp", ..python("aiohttp") },
    python("granian"),
    go("go"),
    go("go-context"),
    go("go-shutdown"),
    Runtime {
        kinds: &[HTTP, LONG, PIPELINED, EVENTS, WEBSOCKET, HTTP2, HTTP2_STREAM],
        ..python("hypercorn")
    },
    Runtime { app: "wsgi", kinds: &[ONE_BY_ONE], rate: 0.1, ..python("gunicorn") },
    Runtime { app: "wsgi", kinds: &[HTTP, LONG, PIPELINED, EVENTS], ..python("gunicorn-gthread") },
    python("gunicorn-uvicorn"),
    debian("puma", &[HTTP, LONG, EVENTS]),
    debian("java", &[HTTP, LONG, PIPELINED, EVENTS]),
    Runtime { rate: 0.1, ..debian("php", &[ONE_BY_ONE]) },
    Runtime {
        needs: Needs::Npm("deno@2.9.6"),
        ..debian("deno", &[HTTP, LONG, PIPELINED, EVENTS, WEBSOCKET, HTTP2, HTTP2_STREAM])
    },
    Runtime { needs: Needs::Npm("bun@1.4.5"), ..debian("bun", &[HTTP, LONG, EVENTS, WEBSOCKET]) },
    rust("rust"),
    rust("rust-graceful"),
    Runtime { needs: Needs::Rust("shop-static"), ..rust("rust-static") },
    Runtime {
        needs: Needs::Nginx,
        ..debian("nginx", &[HTTP, LONG, PIPELINED, EVENTS, WEBSOCKET, HTTP2, HTTP2_STREAM, TLS])
    },
];
