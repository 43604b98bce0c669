//! Whatever is accepted reaches the process byte for byte. The judge is a real systemd.

use std::fmt::Write as _;
use std::time::Duration;

use crate::booted;
use crate::support::{chance::Chance, wait_until};

fn hostile(chance: &mut Chance) -> String {
    const PIECES: [&str; 40] = [
        "a",
        "Z",
        "0",
        " ",
        "  ",
        "\t",
        "\n",
        "\r",
        "%",
        "%%",
        "%i",
        "%n",
        "$",
        "$$",
        "$HOME",
        "${HOME}",
        "\"",
        "'",
        "\\",
        "\\\\",
        "\\n",
        "\\x25",
        "#",
        ";",
        "=",
        "-",
        "--",
        "@",
        "|",
        "!",
        "+",
        "`id`",
        "$(id)",
        "ü",
        "漢",
        "\u{1f600}",
        "\u{1}",
        "\u{1b}[2J",
        "\u{7f}",
        "\u{85}",
    ];
    (0..chance.below(9)).map(|_| PIECES[chance.below(PIECES.len())]).collect()
}

const DUMP: &str = "import os, sys\n\
    path = '/srv/dump/' + os.environ['NUMBER']\n\
    own = sorted(n for n in os.environb if n.startswith(b'V_'))\n\
    with open(path + '.new', 'wb') as f:\n    \
    f.write(b'\\0'.join(os.fsencode(a) for a in sys.argv[1:]) + b'\\0\\0')\n    \
    f.write(b'\\0'.join(n + b'=' + os.environb[n] for n in own) + b'\\0\\0' + os.getcwdb())\n\
    os.rename(path + '.new', path)\n\
    import time; time.sleep(3600)\n";

const APPS: usize = 40;

booted!(arguments_variables_and_folders_arrive_byte_for_byte, |m| {
    let seed = u64::from(std::process::id());
    let mut chance = Chance(seed);
    m.write("/srv/dump/dump.py", DUMP);
    let quoted = |text: &str| toml::Value::from(text).to_string();
    let mut file = String::new();
    let mut expected = Vec::new();
    for number in 0..APPS {
        let args: Vec<String> = (0..chance.below(6)).map(|_| hostile(&mut chance)).collect();
        let values: Vec<String> = (0..chance.below(6)).map(|_| hostile(&mut chance)).collect();
        let cwd: String = hostile(&mut chance)
            .chars()
            .filter(|c| !"\n\r\t".contains(*c) && !c.is_control())
            .collect();
        let cwd = format!("/srv/dump/cwd {number}{}", cwd.replace('\\', "b"));
        std::fs::create_dir_all(m.path(&cwd)).unwrap();
        let words: Vec<String> = args.iter().map(|arg| quoted(arg)).collect();
        writeln!(file, "[[apps]]\nname = 'app{number}'\ncwd = {}", quoted(&cwd)).unwrap();
        let words =
            [vec!["'python3'".to_owned(), "'/srv/dump/dump.py'".to_owned()], words].concat();
        writeln!(file, "command = [{}]\n[apps.env]\nNUMBER = '{number}'", words.join(", "))
            .unwrap();
        for (at, value) in values.iter().enumerate() {
            writeln!(file, "V_{at} = {}", quoted(value)).unwrap();
        }
        let variables: Vec<String> =
            values.iter().enumerate().map(|(at, v)| format!("V_{at}={v}")).collect();
        expected.push(format!("{}\0\0{}\0\0{cwd}", args.join("\0"), variables.join("\0")));
    }
    m.write("/srv/dump/ecosystem.toml", &file);
    let output = m.clusterctl(["apply", "/srv/dump/ecosystem.toml"]);
    assert_eq!(output.code, 0, "seed {seed}: {}\n{file}", output.stderr);
    for (number, expected) in expected.iter().enumerate() {
        let path = m.path(&format!("/srv/dump/{number}"));
        wait_until("the dump", Duration::from_secs(30), || path.exists());
        let dump = std::fs::read(&path).unwrap();
        assert_eq!(String::from_utf8_lossy(&dump), *expected, "seed {seed}, app{number}");
    }
});
