//! Texts of single values: durations, sizes, shell words, addresses. Knows no keys, no machine.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use crate::ecosystem::model::address::{ListenAddress, Protocol};
use crate::limits;

/// `1m30s`, `500ms`, `2h`; a bare number is milliseconds.
pub fn duration(text: &str) -> Option<Duration> {
    if let Ok(millis) = text.parse::<u64>() {
        return millis_checked(millis);
    }
    let mut rest = text.trim();
    let mut total = 0u64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        let after = rest[digits..].trim_start();
        let letters = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let unit = match &after[..letters] {
            "ms" | "msec" => 1,
            "s" | "sec" => 1_000,
            "m" | "min" => 60_000,
            "h" | "hr" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        total = total.checked_add(number.checked_mul(unit)?)?;
        rest = after[letters..].trim_start();
    }
    if text.trim().is_empty() { None } else { millis_checked(total) }
}

fn millis_checked(millis: u64) -> Option<Duration> {
    (millis <= limits::DURATION_MS).then(|| Duration::from_millis(millis))
}

/// `300M`, `1G`, `512K`, or bytes; units are powers of 1024, as PM2's are.
pub(crate) fn size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    let shift = match text[digits..].trim_start().to_ascii_uppercase().as_str() {
        "" | "B" => 0,
        "K" | "KB" | "KIB" => 10,
        "M" | "MB" | "MIB" => 20,
        "G" | "GB" | "GIB" => 30,
        "T" | "TB" | "TIB" => 40,
        _ => return None,
    };
    number.checked_mul(1 << shift)
}

/// Splits a line as a shell splits it, without expansions; `None` when a quote is left open, or nothing
/// follows a backslash. Unlike a shell, and unlike the crate `shell-words`, it knows no comments: what
/// follows ` #` in `args = "--color #fff"` would be lost without a word.
pub(crate) fn shell_words(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match char {
            ' ' | '\t' | '\n' | '\r' => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        '\'' => break,
                        other => word.push(other),
                    }
                }
            }
            '"' => double_quoted(&mut chars, word.get_or_insert_default())?,
            '\\' => match chars.next()? {
                '\n' => {}
                other => word.get_or_insert_default().push(other),
            },
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    Some(words)
}

fn double_quoted(chars: &mut std::str::Chars<'_>, word: &mut String) -> Option<()> {
    loop {
        match chars.next()? {
            '"' => return Some(()),
            '\\' => match chars.next()? {
                '\n' => {}
                escaped @ ('"' | '\\' | '$' | '`') => word.push(escaped),
                other => word.extend(['\\', other]),
            },
            other => word.push(other),
        }
    }
}

/// Whether only a shell can run the line: variables, pipes, globs, assignments …
pub(crate) fn needs_shell(line: &str) -> bool {
    let first = line.split_whitespace().next().unwrap_or("");
    line.contains(['$', '`', '|', '&', ';', '<', '>', '(', ')', '*', '?', '[', '{', '~', '\n', '!'])
        || line.split_whitespace().any(|word| word.starts_with('#'))
        || first.contains('=')
        || matches!(first, "cd" | "exec" | "export" | "source" | "." | "eval" | "set" | "ulimit")
}

/// Makes a path absolute and drops `.`, `..` and doubled slashes, as PM2 does, without asking the
/// file system.
pub(crate) fn absolute(base: &Path, path: &str) -> PathBuf {
    let mut out = PathBuf::from("/");
    for component in base.join(path).components() {
        match component {
            Component::ParentDir => {
                out.pop();
            }
            Component::Normal(part) => out.push(part),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    out
}

/// Why a text is no address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AddressError {
    /// Port 0, above 65535, or no number at all.
    Port(String),
    /// A host name.
    HostName(String),
    /// An interface suffix such as `%eth0`.
    Zone,
    /// IPv6 without brackets.
    Brackets,
    /// A path that does not say that a socket is meant.
    BarePath,
    /// A Unix socket's path that is not absolute.
    RelativePath,
    /// A Unix socket's name or path that is empty.
    EmptyPath,
    /// A Unix socket's name or path that is longer than the kernel takes.
    LongPath,
    /// Nothing of all that.
    Unknown,
}

/// `80`, `:80`, `0.0.0.0:80`, `[::1]:80`, `localhost:80`, `/run/x.sock`, `@name`, each with `tcp:`,
/// `udp:`, `unix:` or `dgram:` before it. A bare port is `[::]`, which is IPv4 too.
pub(crate) fn address(text: &str) -> Result<ListenAddress, AddressError> {
    use Protocol::{Datagram, Stream};
    let schemes = [("tcp", Stream), ("udp", Datagram), ("unix", Stream), ("dgram", Datagram)];
    let text = text.trim();
    for (scheme, protocol) in schemes {
        if let Some(rest) = text.strip_prefix(scheme).and_then(|rest| rest.strip_prefix(':')) {
            return match scheme {
                "unix" | "dgram" => unix(rest, protocol),
                // As in `tcp://0.0.0.0:80`.
                _ => inet(rest.strip_prefix("//").unwrap_or(rest), protocol),
            };
        }
    }
    if !text.starts_with(['/', '@', '.']) {
        return inet(text, Stream);
    }
    // A path alone may as well be meant for a log file.
    let says_so =
        text.starts_with('@') || [".sock", ".socket"].iter().any(|end| text.ends_with(end));
    match unix(text, Stream) {
        Ok(_) if !says_so => Err(AddressError::BarePath),
        address => address,
    }
}

fn unix(text: &str, protocol: Protocol) -> Result<ListenAddress, AddressError> {
    // `unix:///run/x.sock` has the path after two slashes.
    let text = text.strip_prefix("//").filter(|rest| rest.starts_with('/')).unwrap_or(text);
    if text.trim_start_matches(['@', '/']).is_empty() {
        return Err(AddressError::EmptyPath);
    }
    if text.len() > limits::SOCKET_PATH {
        return Err(AddressError::LongPath);
    }
    if let Some(name) = text.strip_prefix('@') {
        return Ok(ListenAddress::Abstract { protocol, name: name.to_owned() });
    }
    if !text.starts_with('/') {
        return Err(AddressError::RelativePath);
    }
    Ok(ListenAddress::Unix { protocol, path: absolute(Path::new("/"), text) })
}

fn inet(text: &str, protocol: Protocol) -> Result<ListenAddress, AddressError> {
    if text.contains('%') {
        return Err(AddressError::Zone);
    }
    let (host, port) = match text.rsplit_once(':') {
        None if text.parse::<IpAddr>().is_ok() => return Err(AddressError::Port(String::new())),
        None => ("", text),
        Some((host, _)) if host.contains(':') && !host.starts_with('[') => {
            return Err(AddressError::Brackets);
        }
        Some((host, _)) if host.starts_with('[') && !host.ends_with(']') => {
            return Err(AddressError::Port(String::new()));
        }
        Some(parts) => parts,
    };
    if !port.is_empty() && !host.is_empty() && port.contains('/') {
        return Err(AddressError::Unknown);
    }
    if host.is_empty() && !port.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
        return Err(AddressError::Unknown);
    }
    let ip = ip(host)?;
    let number = port.bytes().all(|b| b.is_ascii_digit()).then(|| port.parse::<u16>().ok());
    match number.flatten() {
        Some(0) | None => Err(AddressError::Port(port.to_owned())),
        Some(port) => Ok(ListenAddress::inet(protocol, SocketAddr::new(ip, port))),
    }
}

fn ip(host: &str) -> Result<IpAddr, AddressError> {
    match host {
        "" | "*" => Ok(IpAddr::V6(Ipv6Addr::UNSPECIFIED)),
        // The address that Node and most resolvers bind for it where both families exist differs;
        // IPv4 is what clients try in every case.
        "localhost" => Ok(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        _ => {
            let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
            bare.unwrap_or(host).parse().map_err(|_| AddressError::HostName(host.to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn durations() {
        let millis = |text| duration(text).map(|d| d.as_millis());
        assert_eq!(millis("1500"), Some(1500));
        assert_eq!(millis("1m30s"), Some(90_000));
        assert_eq!(millis("1m 30s 5ms"), Some(90_005));
        assert_eq!(millis("2h"), Some(7_200_000));
        for bad in ["", " ", "s", "10x", "1.5s", "-1s", "99999999999999999999", "10s5", "9999999d"]
        {
            assert_eq!(millis(bad), None, "{bad}");
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(size("300M"), Some(300 << 20));
        assert_eq!(size("1g"), Some(1 << 30));
        assert_eq!(size("4096"), Some(4096));
        for bad in ["", "M", "1X", "-1M", "1.5G", "99999999999T"] {
            assert_eq!(size(bad), None, "{bad}");
        }
    }

    #[test]
    fn words_as_a_shell_splits_them() {
        let words = |text: &str| shell_words(text).unwrap();
        assert_eq!(words(" a  b "), ["a", "b"]);
        assert_eq!(words("'a b' \"c \\\" d\" e\\ f ''"), ["a b", "c \" d", "e f", ""]);
        assert_eq!(words("--x='1 2'"), ["--x=1 2"]);
        assert_eq!(words("--color #fff\r"), ["--color", "#fff"]);
        assert_eq!(shell_words("'open"), None);
        assert_eq!(shell_words("back\\"), None);
    }

    #[test]
    fn addresses() {
        let shown = |text: &str| address(text).unwrap().to_string();
        assert_eq!(shown("3000"), "[::]:3000");
        assert_eq!(shown(":3000"), "[::]:3000");
        assert_eq!(shown("*:3000"), "[::]:3000");
        assert_eq!(shown("0.0.0.0:80"), "0.0.0.0:80");
        assert_eq!(shown("[::1]:80"), "[::1]:80");
        assert_eq!(shown("localhost:80"), "127.0.0.1:80");
        assert_eq!(shown("udp:127.0.0.1:8125"), "udp:127.0.0.1:8125");
        assert_eq!(shown("tcp://0.0.0.0:80"), "0.0.0.0:80");
        assert_eq!(shown("/run//a/../x.sock"), "/run/x.sock");
        assert_eq!(shown("unix:///run/x.sock"), "/run/x.sock");
        assert_eq!(shown("dgram:/run/x.sock"), "dgram:/run/x.sock");
        assert_eq!(shown("unix:/run/http"), "/run/http");
        assert_eq!(shown("/run/x.socket"), "/run/x.socket");
        assert_eq!(shown("@hidden"), "@hidden");
    }

    #[test]
    fn no_addresses() {
        assert_eq!(address("0"), Err(AddressError::Port("0".into())));
        assert_eq!(address("127.0.0.1:70000"), Err(AddressError::Port("70000".into())));
        assert_eq!(address("127.0.0.1"), Err(AddressError::Port(String::new())));
        assert_eq!(address("[::1]"), Err(AddressError::Port(String::new())));
        assert_eq!(address("::1:80"), Err(AddressError::Brackets));
        assert_eq!(address("example.com:80"), Err(AddressError::HostName("example.com".into())));
        assert_eq!(address("[fe80::1%eth0]:80"), Err(AddressError::Zone));
        assert_eq!(address("unix:x.sock"), Err(AddressError::RelativePath));
        assert_eq!(address("/var/log/x.log"), Err(AddressError::BarePath));
        assert_eq!(address("/run/http"), Err(AddressError::BarePath));
        assert_eq!(address("@"), Err(AddressError::EmptyPath));
        assert_eq!(address(&format!("/{}", "x".repeat(120))), Err(AddressError::LongPath));
        assert_eq!(address("http"), Err(AddressError::Unknown));
        assert_eq!(address(""), Err(AddressError::Unknown));
    }

    #[test]
    fn paths_become_absolute_and_plain() {
        assert_eq!(absolute(Path::new("/srv/app"), "../x/./y"), Path::new("/srv/x/y"));
        assert_eq!(absolute(Path::new("/srv"), "/a//b/"), Path::new("/a/b"));
        assert_eq!(absolute(Path::new("/"), "../.."), Path::new("/"));
    }
}
