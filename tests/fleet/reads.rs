//! Verbs that read: one table, sections, lines as they come.

use crate::stage::{SHOP, Stage};

const LISTS: &str = r#"
begin
data '{"version":1,"instances":[{"app":"api","instance":0,"status":"online","restarts":0,"memory_bytes":2097152,"cpu_percent":0.5,"listeners":["[::]:80"],"rollout":null,"uptime_seconds":70.0,"pid":5},{"app":"api","instance":1,"status":"errored","restarts":16,"memory_bytes":null,"cpu_percent":null,"listeners":["[::]:80"],"rollout":null,"uptime_seconds":null,"pid":null}],"apps":{"api":{"version":"0123456789abcdef","outdated":[0]}}}'
end 0
"#;

#[test]
fn list_has_every_host() {
    let stage = Stage::shop();
    stage.host("web1", LISTS);
    std::fs::remove_file(stage.path("hosts/web3")).unwrap();
    let (code, out, err) = stage.said(&["-H", "all", "list"]);
    assert_eq!(code, 1, "{err}");
    assert_eq!(
        out,
        "host  app  online     version             restarts  cpu   memory  listener  rollout\n\
         web1  api  1/2        0123456 1 outdated  16        0.5%  2.0mb   [::]:80   -\n\
         web2  -    no app     -                   -         -     -       -         -\n\
         web3  -    no answer  -                   -         -     -       -         -\n\
         ✗ web3: not reached: ssh: Could not resolve hostname web3\n"
    );
    assert_eq!(stage.log()[0].split_once(' ').unwrap().1, "clusterctl --protocol 1 -o json list");
    let (_, out, _) = stage.said(&["-H", "web1", "ls", "api"]);
    assert!(out.contains("web1  api  1         errored"), "{out}");
}

#[test]
fn list_as_data_has_the_host_in_each_row() {
    let stage = Stage::shop();
    stage.host("web1", LISTS);
    std::fs::remove_file(stage.path("hosts/web3")).unwrap();
    let (code, out, _) = stage.said(&["-H", "all", "list", "-o", "json"]);
    // The form is asked for before the command.
    assert_eq!(code, 1);
    let value: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(value["instances"][1]["host"], "web1");
    assert_eq!(value["instances"][1]["status"], "errored");
    assert_eq!(value["unreached"][0]["host"], "web3");
}

#[test]
fn answers_stand_below_their_hosts() {
    let stage = Stage::shop();
    stage.host("web1", "begin\nout 'api\\nstate: active\\n'\nend 0\n");
    stage.host("web2", "begin\nerr 'error: there is no `api`'\nend 5\n");
    stage.host("web3", "begin\nout 'api\\nstate: failed\\n'\nend 0\n");
    let (code, out, err) = stage.said(&["-H", "all", "describe", "api"]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert_eq!(out, "web1\n  api\n  state: active\nweb3\n  api\n  state: failed\n");
    stage.host("web3", "begin\nout '1 problem\\n'\nend 1\n");
    let (code, out, _) = stage.said(&["-H", "web1,web3", "doctor"]);
    assert_eq!(code, 1);
    assert!(out.ends_with("web3\n  1 problem\n"), "{out}");
    stage.host("web3", "begin\ndata '{\"version\":1,\"findings\":[]}'\nend 0\n");
    let (_, out, _) = stage.said(&["-H", "web3", "-o", "json", "doctor"]);
    let value: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(value["host"], "web3");
}

#[test]
fn log_lines_have_their_host_in_front() {
    let stage = Stage::new(&SHOP.replace("web3", "web-nr-3"));
    ["web1", "web2"]
        .iter()
        .for_each(|host| stage.host(host, "begin\nout 'api@0 | hello\\n'\nend 0\n"));
    stage.host("web-nr-3", "begin\nout 'api@1 | there\\n'\nend 0\n");
    let (code, out, err) = stage.said(&["-H", "all", "logs"]);
    assert_eq!(code, 0, "{err}");
    assert_eq!(out, "web1     api@0 | hello\nweb2     api@0 | hello\nweb-nr-3 api@1 | there\n");
    let (code, out, _) = stage.said(&["-H", "web1", "logs", "-f"]);
    assert_eq!((code, out.as_str()), (0, "web1 api@0 | hello\n"));
}

#[test]
fn metrics_have_the_host_as_a_label() {
    let stage = Stage::shop();
    let says = "begin\nout '# TYPE up gauge\\nup{app=\\\"api\\\"} 1\\n# EOF\\n'\nend 0\n";
    ["web1", "web2"].iter().for_each(|host| stage.host(host, says));
    let (code, out, err) = stage.said(&["-H", "web1,web2", "metrics"]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert_eq!(
        out,
        "# TYPE up gauge\nup{host=\"web1\",app=\"api\"} 1\nup{host=\"web2\",app=\"api\"} 1\n# EOF\n"
    );
}

#[test]
fn who_is_meant_has_to_be_said() {
    let stage = Stage::shop();
    let refused = |words: &[&str], part: &str| {
        let (code, _, err) = stage.said(words);
        assert_eq!(code, 2, "{words:?}: {err}");
        assert!(err.contains(part), "{words:?}: {err}");
    };
    refused(&["-H", "web9", "list"], "there is no host `web9` in the ecosystem file");
    refused(&["list", "-H", "all"], "-H: it stands before the command: clusterctl -H all");
    refused(&["-H", "all", "init"], "works on this machine alone");
    refused(&["-H", "all", "stop", "ecosystem.toml"], "name the apps");
    refused(&["-H", "all", "start", "./app.js"], "`start` takes apps that are there");
    refused(&["--limit", "0", "-H", "all", "list"], "write a number from 1");
    stage.write("shop/ecosystem.toml", "[[apps]]\nname = \"api\"\nscript = \"a.js\"\n");
    refused(&["-H", "all", "list"], "the ecosystem file names no hosts");
    refused(&["-H", "-oProxyCommand=x", "list"], "");
    refused(&["-Ha b", "list"], "is no name of a host");
    std::fs::remove_file(stage.path("shop/ecosystem.toml")).unwrap();
    refused(&["-H", "all", "list"], "no ecosystem.toml is here");
    let (code, _, err) = stage.said(&["-H", "web1,web2,web1", "list"]);
    assert_eq!((code, stage.log().len()), (0, 2), "{err}");
}
