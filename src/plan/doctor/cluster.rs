//! What Pacemaker has to do with an app: which resources of a cluster start and stop it. The text of the cluster's
//! configuration comes from `ops`; nothing but its resources is read from it.

use crate::ecosystem::AppName;

/// A resource of a cluster that starts and stops an app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterResource {
    /// Its name in the cluster.
    pub id: String,
    /// What it starts.
    pub starts: ClusterAgent,
}

/// How a resource starts something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClusterAgent {
    /// This app, by the agent `ocf:clusterctl:app`.
    App(String),
    /// A unit, by Pacemaker's own class `systemd:`; without the ending `.service`.
    Unit(String),
}

/// The resources in the text of a cluster's configuration, as Pacemaker writes it (`cib.xml`), that may be apps.
pub fn cluster_resources(cib: &str) -> Vec<ClusterResource> {
    let starts = cib.match_indices('<').map(|(at, _)| &cib[at..]);
    let elements = starts.filter(|rest| {
        ["<primitive ", "<template "].iter().any(|element| rest.starts_with(element))
    });
    elements.filter_map(resource).collect()
}

/// Of a text that begins with the resource.
fn resource(text: &str) -> Option<ClusterResource> {
    let (head, rest) = text.split_once('>')?;
    let id = attribute(head, "id")?;
    // Names of XML are letters, digits and a few signs; what is no such name is not shown.
    let named = id.chars().all(|one| one.is_alphanumeric() || "._-".contains(one));
    let kind = attribute(head, "type")?;
    let starts = match (attribute(head, "class")?, attribute(head, "provider")) {
        ("ocf", Some("clusterctl")) if kind == "app" => {
            let body = if head.ends_with('/') { "" } else { rest };
            let ends = ["</primitive>", "</template>"].iter().filter_map(|end| body.find(end));
            let body = &body[..ends.min().unwrap_or(body.len())];
            let pairs = body.split("<nvpair ").skip(1).filter_map(|pair| pair.split('>').next());
            let app = pairs.into_iter().find(|pair| attribute(pair, "name") == Some("app"))?;
            ClusterAgent::App(attribute(app, "value")?.to_owned())
        }
        ("systemd" | "service", _) => {
            ClusterAgent::Unit(kind.strip_suffix(".service").unwrap_or(kind).to_owned())
        }
        _ => return None,
    };
    named.then(|| ClusterResource { id: id.to_owned(), starts })
}

fn attribute<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let begin = format!("{name}=\"");
    let mut parts = head.split(begin.as_str());
    let mut before = parts.next()?;
    // `id="` stands in `grid="` as well.
    for part in parts {
        if before.is_empty() || before.ends_with(char::is_whitespace) {
            return part.split('"').next();
        }
        before = part;
    }
    None
}

impl ClusterResource {
    /// Whether it starts this app, or an instance of it.
    pub fn is_of(&self, app: &AppName) -> bool {
        let app = app.to_string();
        match &self.starts {
            ClusterAgent::App(name) => *name == app,
            ClusterAgent::Unit(unit) => unit.split('@').next() == Some(&app),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CIB: &str = r#"<cib crm_feature_set="3.16.2"><configuration><resources>
      <clone id="api-clone"><primitive id="api" class="ocf" provider="clusterctl" type="app">
        <instance_attributes id="api-ia"><nvpair id="n1" name="ready" value="2"/>
          <nvpair id="n2" name="app" value="api"/></instance_attributes>
        <operations><op id="o" name="monitor" interval="10s"/></operations>
      </primitive></clone>
      <primitive id="ip" class="ocf" provider="heartbeat" type="IPaddr2"/>
      <primitive type="web.service" class="systemd" id="site"/>
      <primitive id="one" class="systemd" type="api@0"/>
      <primitive id="none" class="ocf" provider="clusterctl" type="app"/>
      <primitive id="&#27;[2J" class="systemd" type="x"/>
      <template id="t" class="ocf" provider="clusterctl" type="app">
        <instance_attributes id="t-ia"><nvpair value="shop" name="app" id="n3"/></instance_attributes>
      </template></resources></configuration></cib>"#;

    #[test]
    fn apps_are_found_in_the_configuration_of_a_cluster() {
        let app = |name: &str| ClusterAgent::App(name.to_owned());
        let unit = |name: &str| ClusterAgent::Unit(name.to_owned());
        let found: Vec<_> =
            cluster_resources(CIB).into_iter().map(|one| (one.id, one.starts)).collect();
        let expected = [
            ("api", app("api")),
            ("site", unit("web")),
            ("one", unit("api@0")),
            ("t", app("shop")),
        ];
        assert_eq!(found, expected.map(|(id, starts)| (id.to_owned(), starts)));
    }

    #[test]
    fn no_text_is_too_broken_to_be_looked_at() {
        for end in 0..CIB.len() {
            let _ = CIB.get(..end).map(cluster_resources);
            let _ = CIB.get(end..).map(cluster_resources);
        }
    }
}
