//! `clusterctl serve`: a folder of files as an app.

use crate::booted_long;
use crate::support::{Machine, load::Load};

fn site(m: &Machine) {
    m.write("/srv/site/public/index.html", "<p>home</p>");
    m.write("/srv/site/public/app.js", "0123456789");
    m.write("/srv/site/public/docs/index.html", "docs");
    m.write("/srv/site/public/.env", "SECRET=1");
    m.write("/srv/site/secret", "SECRET=1");
    m.ok(["ln", "-s", "../secret", "/srv/site/public/link"]);
    m.ok(["ln", "-s", "app.js", "/srv/site/public/same"]);
}

/// Status and body of a request; a path is sent as it stands.
fn get(m: &Machine, path: &str, more: &[&str]) -> (String, String) {
    let url = format!("http://127.0.0.1:8080{path}");
    let usual = ["curl", "-sS", "--path-as-is", "--max-time", "20", "-w", "\n%{http_code}", &url];
    let said = m.ok(usual.iter().chain(more));
    let (body, code) = said.rsplit_once('\n').unwrap();
    (code.to_owned(), body.to_owned())
}

booted_long!(a_folder_is_served_as_an_app, |m| {
    site(m);
    m.ok_sh("cd /srv/site && clusterctl serve public -i 2");
    let list = m.ok(["clusterctl", "list"]);
    assert!(list.matches("static-page-server-8080").count() == 2, "{list}");
    assert!(list.matches("online").count() == 2 && !list.contains("root"), "{list}");
    let is = |path: &str, more: &[&str], code: &str, body: &str| {
        let (found, text) = get(m, path, more);
        assert_eq!((found.as_str(), text.trim_end()), (code, body), "{path} {more:?}");
    };
    is("/", &[], "200", "<p>home</p>");
    is("/docs/", &[], "200", "docs");
    is("/docs", &["-L"], "200", "docs");
    let form = ["-o", "/dev/null", "-w", "%{redirect_url} %{http_code}"];
    let url = "http://127.0.0.1:8080//docs?a=1";
    let said = m.ok(["curl", "-sS", "--path-as-is", url].iter().chain(&form));
    assert_eq!(said, "http://127.0.0.1:8080/docs/?a=1 301", "to nobody else's machine");
    is("/same?x=/../..", &[], "200", "0123456789");
    is("/app.js", &["-r", "2-4"], "206", "234");
    is("/app.js", &["-r", "-2"], "206", "89");
    is("/app.js", &["-r", "10-"], "416", "416 Range Not Satisfiable");
    is("/app.js", &["-I", "-o", "/dev/null"], "200", "");
    is("/app.js", &["-z", "2 Jan 2100"], "304", "");
    is("/app.js", &["-X", "POST"], "405", "405 Method Not Allowed");
    for bad in ["/../secret", "/%2e%2e/secret", "/docs/..%2f..%2fsecret", "/link", "/.env", "/x"] {
        is(bad, &[], "404", "404 Not Found");
    }
    let head = m.ok(["curl", "-sSI", "http://127.0.0.1:8080/app.js"]);
    for line in [
        "Content-Type: text/javascript; charset=utf-8",
        "Content-Length: 10",
        "ETag: \"",
        "Last-Modified: ",
    ] {
        assert!(head.contains(line), "{line}: {head}");
    }
    // A new release behind the same name is there with the next request.
    m.write("/srv/site/public/404.html", "not here");
    is("/x", &[], "404", "not here");
});

booted_long!(a_site_is_reloaded_and_scaled_under_load_without_a_loss, |m| {
    site(m);
    m.ok_sh("cd /srv/site && clusterctl serve public 8080 -n site -i 2");
    let load = Load::http("127.0.0.1:8080").new_connections(100.0).keep_alive(100.0);
    let mut load = m.load(load.expect("home"));
    load.wait_flowing();
    for words in [
        &["reload", "site"][..],
        &["scale", "site", "3"],
        &["restart", "site"],
        &["scale", "site", "1"],
    ] {
        m.ok(["clusterctl"].iter().chain(words));
    }
    load.stop().assert_none_failed();
});

booted_long!(a_site_of_one_page_and_one_with_a_password, |m| {
    site(m);
    m.ok_sh("cd /srv/site && clusterctl serve public --spa -n one");
    assert_eq!(get(m, "/orders/7", &[]), ("200".to_owned(), "<p>home</p>".to_owned()));
    assert_eq!(get(m, "/app.js", &[]).1, "0123456789");
    m.ok(["clusterctl", "delete", "one"]);
    m.ok_sh(
        "cd /srv/site && rm ecosystem.toml && clusterctl serve public -n two \
             --basic-auth-username ada --basic-auth-password 'a:b c'",
    );
    assert_eq!(get(m, "/", &[]).0, "401");
    assert_eq!(get(m, "/", &["-u", "ada:wrong"]).0, "401");
    assert_eq!(get(m, "/", &["-u", "ada:a:b c"]), ("200".to_owned(), "<p>home</p>".to_owned()));
    // Nobody else reads it off the command line.
    assert!(!m.ok_sh("ps -ww -eo args; systemctl cat 'two@*' two").contains("a:b c"));
});

booted_long!(a_site_of_pm2s_file_is_served, |m| {
    site(m);
    m.write(
        "/srv/site/ecosystem.config.json",
        r#"{"apps": [{"name": "site", "script": "serve", "env":
        {"PM2_SERVE_PATH": "./public", "PM2_SERVE_PORT": 8080, "PM2_SERVE_SPA": "true",
         "PM2_SERVE_HOMEPAGE": "/docs/index.html", "PM2_SERVE_BASIC_AUTH": "true",
         "PM2_SERVE_BASIC_AUTH_USERNAME": "ada", "PM2_SERVE_BASIC_AUTH_PASSWORD": "x"}}]}"#,
    );
    m.ok(["clusterctl", "apply", "/srv/site/ecosystem.config.json"]);
    assert_eq!(get(m, "/", &[]).0, "401");
    assert_eq!(get(m, "/nowhere", &["-u", "ada:x"]), ("200".to_owned(), "docs".to_owned()));
});
