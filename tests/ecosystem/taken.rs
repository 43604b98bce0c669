//! An app of the same name that comes from another file.

use super::*;

/// A machine that has the app `api` of a file with this text.
fn with_api(text: &str) -> FakeHost {
    let mut host = FakeHost::new();
    host.sources.insert("api".to_owned(), "/srv/other/ecosystem.toml".into());
    host.heads.insert("/srv/other/ecosystem.toml".into(), text.as_bytes().to_vec());
    host
}

fn refusal(text: &str, host: &FakeHost) -> Option<String> {
    read(text, None, host).err().map(|problems| problems.render(Color::Off))
}

const NAMED: &str = "[[apps]]\nname = 'api'\nscript = 'server.js'\n";
const PLAIN: &str = "[[apps]]\nname = 'api'\nscript = 'x.js'\n";
const DEPLOYED: &str = "[deploy]\npath = '/srv/shop'\n";
const ELSEWHERE: &str = "[deploy]\npath = '/srv/shop2'\n";

#[test]
fn a_name_that_is_written_makes_it_the_next_version_of_a_file_that_nobody_deploys() {
    assert_eq!(refusal(NAMED, &with_api(PLAIN)), None);
    let mut host = with_api(PLAIN);
    host.sources.insert("server".to_owned(), "/srv/other/ecosystem.toml".into());
    let text = refusal("[[apps]]\nscript = 'server.js'\n", &host).unwrap();
    assert!(
        text.contains("`server` is the app of another file, /srv/other/ecosystem.toml"),
        "{text}"
    );
    assert!(text.contains("`name = \"server\"` makes it the new version"), "{text}");
}

#[test]
fn another_project_is_refused_where_one_of_them_is_deployed() {
    let deployed = |table: &str, text: &str| format!("{table}\n{text}");
    for (text, other) in [
        (deployed(DEPLOYED, NAMED), PLAIN.to_owned()),
        (NAMED.to_owned(), deployed(DEPLOYED, PLAIN)),
        (deployed(ELSEWHERE, NAMED), deployed(DEPLOYED, PLAIN)),
    ] {
        let refused = refusal(&text, &with_api(&other)).unwrap();
        let line = "`api` is the app of another file, /srv/other/ecosystem.toml";
        assert!(refused.contains(line) && refused.contains("`--takeover`"), "{refused}");
    }
    // One project, whose file lies in the release or beside it.
    let same = with_api(&deployed(DEPLOYED, PLAIN));
    assert_eq!(refusal(&deployed(DEPLOYED, NAMED), &same), None);
}

#[test]
fn what_is_deployed_is_refused_before_there_is_a_release() {
    let text = format!("{DEPLOYED}\n{NAMED}");
    let table = |host: &FakeHost| ecosystem::deploy(&text, Some(Path::new("ecosystem.toml")), host);
    let refused = table(&with_api(PLAIN)).unwrap_err().render(Color::Off);
    assert!(refused.contains("`api` is the app of another file"), "{refused}");
    let mut own = FakeHost::new();
    own.sources.insert("api".to_owned(), "/srv/shop/current/ecosystem.toml".into());
    assert!(table(&own).unwrap().is_some());
}
