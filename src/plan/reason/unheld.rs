//! Listeners that no process of an instance holds although it is ready → whether it still counts as ready, and the
//! sentence about it.

use serde::{Serialize, Serializer};

use super::short;
use crate::ecosystem::{ListenAddress, Protocol};
use crate::unit::UnitFile;

/// What the readiness of an instance says about its listeners.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Claim {
    /// It took one of them.
    #[default]
    One,
    /// It took all of them.
    All,
    /// The program said that it is ready, and perhaps takes them later.
    Word,
    /// Nothing: starting counts as ready.
    Nothing,
}

impl Claim {
    /// The claim that the template of the instances makes.
    pub fn of(template: &UnitFile) -> Claim {
        let says = |wanted: &str| {
            let mut lines = template.all("Service", "Environment");
            lines.any(|line| {
                line.trim_matches('"') == format!("{}={wanted}", crate::handover::contract::READY)
            })
        };
        match template.get("Service", "Type") {
            Some("notify") if says("all") => Claim::All,
            Some("notify") if says("first") => Claim::One,
            Some("notify") => Claim::Word,
            _ if template.get("Service", "ExecStartPost").is_some() => Claim::One,
            _ => Claim::Nothing,
        }
    }
}

/// Listeners of an instance that is ready and that none of its processes holds; at least one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unheld {
    /// Their names and addresses.
    pub missing: Vec<(String, ListenAddress)>,
    /// How many listeners the app has.
    pub of: usize,
    /// What its readiness says.
    pub claim: Claim,
}

/// As a text: the listeners that nobody holds.
impl Serialize for Unheld {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.shown())
    }
}

impl Unheld {
    /// Whether nobody can rely on the instance.
    pub fn is_unready(&self) -> bool {
        match self.claim {
            Claim::All => !self.missing.is_empty(),
            Claim::One | Claim::Word => self.missing.len() >= self.of,
            Claim::Nothing => false,
        }
    }

    /// The listeners, as a user knows them: "3000", "admin (127.0.0.1:3001)".
    pub fn shown(&self) -> String {
        let one = |(name, address): &(String, ListenAddress)| {
            let port = address.port().map(|port| port.to_string());
            let stream = address.protocol() == Protocol::Stream;
            match stream && (port.as_ref() == Some(name) || *name == short(address)) {
                true => short(address),
                false => format!("{name} ({})", short(address)),
            }
        };
        self.missing.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    /// The predicate of the instance's name; `elsewhere` is what its processes listen on besides.
    pub fn text(&self, elsewhere: &[ListenAddress]) -> String {
        let others: Vec<String> = elsewhere.iter().map(short).collect();
        let all = self.missing.len() >= self.of;
        // With `first` and `all` readiness was reported at `listen()`: the listener was held, and is closed now.
        let closed = self.claim == Claim::All || self.claim == Claim::One && all && self.of == 1;
        let mut text = if closed {
            format!("closed {} again", self.shown())
        } else if all && self.of > 1 {
            format!("listens on none of its listeners ({})", self.shown())
        } else {
            format!("does not listen on {}", self.shown())
        };
        if !others.is_empty() {
            let and = if closed { "and" } else { "but" };
            text.push_str(&format!(" {and} listens on {}", others.join(", ")));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn tcp(socket: &str) -> ListenAddress {
        ListenAddress::Inet {
            protocol: Protocol::Stream,
            socket: socket.parse().unwrap(),
            only_v6: false,
        }
    }

    fn unheld(missing: &[(&str, &str)], of: usize, claim: Claim) -> Unheld {
        let missing =
            missing.iter().map(|(name, socket)| ((*name).to_owned(), tcp(socket))).collect();
        Unheld { missing, of, claim }
    }

    #[test]
    fn the_claim_decides_what_is_lost() {
        let web = ("3711", "[::]:3711");
        let admin = ("admin", "127.0.0.1:3712");
        for (missing, of, claim, unready, text) in [
            (&[web][..], 1, Claim::One, true, "closed 3711 again"),
            (&[web], 1, Claim::All, true, "closed 3711 again"),
            (&[web], 1, Claim::Word, true, "does not listen on 3711"),
            (&[web], 1, Claim::Nothing, false, "does not listen on 3711"),
            (&[admin], 2, Claim::One, false, "does not listen on admin (127.0.0.1:3712)"),
            (&[admin], 2, Claim::All, true, "closed admin (127.0.0.1:3712) again"),
            (
                &[web, admin],
                2,
                Claim::One,
                true,
                "listens on none of its listeners (3711, admin (127.0.0.1:3712))",
            ),
        ] {
            let unheld = unheld(missing, of, claim);
            assert_eq!((unheld.is_unready(), unheld.text(&[]).as_str()), (unready, text));
        }
        let moved = unheld(&[web], 1, Claim::One).text(&[tcp("[::]:3712"), tcp("127.0.0.1:9")]);
        assert_eq!(moved, "closed 3711 again and listens on 3712, 127.0.0.1:9");
    }

    #[test]
    fn the_template_says_what_makes_an_instance_ready() {
        let name = crate::unit::UnitName::parse("api@.service").unwrap();
        for (lines, claim) in [
            ("Type=notify\nEnvironment=\"CLUSTERCTL_READY=first\"", Claim::One),
            ("Type=notify\nEnvironment=\"CLUSTERCTL_READY=all\"", Claim::All),
            ("Type=notify\nEnvironment=\"CLUSTERCTL_READY=app\"", Claim::Word),
            ("Type=notify", Claim::Word),
            ("Type=exec\nExecStartPost=x", Claim::One),
            ("Type=exec", Claim::Nothing),
        ] {
            let unit = UnitFile::parse(name.clone(), &format!("[Service]\n{lines}\n"));
            assert_eq!(Claim::of(&unit), claim, "{lines}");
        }
    }
}
