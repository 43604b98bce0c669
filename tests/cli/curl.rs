use clusterctl::error::exit;

use crate::door::{self, StandIn, pid};
use crate::stage::{Stage, WORKER};

fn shop() -> Stage {
    let stage = Stage::applied(&(door::shop() + WORKER));
    let pids = ["shop@0.service", "shop@1.service", "worker@0.service"];
    stage.manager().pids = pids.map(|unit| (unit.to_owned(), pid())).into();
    stage
}

#[test]
fn asks_the_one_instance() {
    let stage = shop();
    let said = |words: &[&str]| {
        let door = StandIn::at(&stage, "shop@1");
        let (code, out, err) = stage.said(words);
        assert_eq!(err, "", "{words:?}");
        let asked = door.asked();
        assert_eq!(asked[0], "connection 3999", "{words:?}");
        (code, out, asked[1].clone())
    };
    let get = "GET /who HTTP/1.1\r\nHost: localhost:3999\r\n";
    let (code, out, asked) = said(&["curl", "shop@1", "/who"]);
    assert_eq!((code, out.as_str()), (exit::OK, "hello from behind the door\n"));
    assert!(asked.starts_with(get), "{asked}");
    // A path may come without its slash, and options as curl has them, behind `--` too.
    let post = ["curl", "shop@1", "who", "-H", "X-One: 1", "--", "-d", "a=b", "-iH", "Host: shop"];
    let (code, out, asked) = said(&post);
    assert_eq!(code, exit::OK);
    assert!(out.starts_with("HTTP/1.1 200 OK\n") && out.ends_with("door\n"), "{out}");
    assert!(asked.starts_with("POST /who HTTP/1.1\r\n"), "{asked}");
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let own = "X-One: 1\r\nHost: shop\r\n\r\na=b";
    assert!(asked.ends_with(&format!("Content-Length: 3\r\n{form}{own}")), "{asked}");
    let (code, _, asked) = said(&["curl", "shop@1", "--", "-H", "X-One: 1", "/who"]);
    assert!(code == exit::OK && asked.starts_with(get), "{asked}");
    let json = "content-type: application/json";
    let (_, _, asked) = said(&["curl", "shop@1", "/", "-d", "{}", "-H", json]);
    assert!(asked.contains(json) && !asked.contains("urlencoded"), "{asked}");
    let (code, out, asked) = said(&["curl", "shop@1", "/who", "-I"]);
    assert!(code == exit::OK && !out.contains("hello"), "{out}");
    assert!(asked.starts_with("HEAD /who "), "{asked}");
    let (_, out, _) = said(&["curl", "shop@1", "/who", "-o", "json"]);
    assert!(out.contains("\"body\":\"hello from behind the door\\n\""), "{out}");
    assert!(out.contains("\"status\":200"), "{out}");
}

#[test]
fn fails_as_curl_does_when_it_is_asked_to() {
    let stage = shop();
    let door = StandIn::at(&stage, "shop@1").answering(503, "no database\n");
    stage.run(&["curl", "shop@1", "/x", "-f"], exit::FAILED);
    drop(door);
    let door = StandIn::at(&stage, "shop@1").answering(503, "no database\n");
    stage.run(&["curl", "shop@1", "/x"], exit::OK);
    drop(door);
    let _door = StandIn::at(&stage, "shop@1").answering(0, "SSH-2.0-x\r\n");
    stage.run(&["curl", "shop@1", "/x"], exit::FAILED);
    stage.expect("curl");
}

#[test]
fn refuses() {
    let stage = shop();
    stage.run(&["curl"], exit::USAGE);
    stage.run(&["curl", "nobody@1"], exit::UNKNOWN);
    stage.run(&["curl", "shop@9"], exit::UNKNOWN);
    stage.run(&["curl", "shop"], exit::USAGE);
    stage.run(&["curl", "shop@0", "/a b"], exit::USAGE);
    stage.run(&["curl", "shop@0", "-H", "no header"], exit::USAGE);
    stage.run(&["curl", "shop@0", "--", "--proxy", "x"], exit::USAGE);
    stage.run(&["curl", "shop@0", "/a", "--", "-i", "/b"], exit::USAGE);
    stage.run(&["curl", "shop@0", "--", "-m", "soon"], exit::USAGE);
    stage.run(&["curl", "shop@0", "-d", "@nothing"], exit::CONFIG);
    stage.run(&["curl", "shop@0", "--listener", "admin"], exit::FAILED);
    stage.run(&["curl", "worker@0"], exit::FAILED); // no listener
    stage.run(&["curl", "shop@0"], exit::FAILED); // this process has no door
    StandIn::deserted(&stage, "shop@0");
    let mut sleep = std::process::Command::new("sleep");
    let mut other = sleep.arg("600").env("CLUSTERCTL_DOOR", "/x").spawn().unwrap();
    stage.manager().pids.insert("shop@0.service".into(), other.id());
    stage.run(&["curl", "shop@0"], exit::FAILED); // nobody behind it
    other.kill().unwrap();
    other.wait().unwrap();
    stage.run(&["stop", "shop"], exit::OK);
    stage.manager().pids.clear();
    stage.run(&["curl", "shop@0"], exit::FAILED);
    let stage = stage.without_bus();
    stage.run(&["curl", "shop@0"], exit::MANAGER);
    stage.expect("curl-refused");
}
