//! Manifests of Kubernetes: a Deployment with its Service for an app that serves, a Job or CronJob for one
//! that runs to its end. It names no cluster, and makes no namespace.

mod pod;
mod ports;

use serde_json::{Value, json};

use super::left_out::Losses;
use super::write::{comment, head, label, object, seconds, yaml};
use super::{ExportFacts, Exported, LeftOut, Named, Target};
use crate::ecosystem::{Instances, OnFailure, Share};
use ports::Port;

/// The manifests of all apps.
pub(super) fn file<'a>(apps: impl Iterator<Item = Named<'a>>, facts: ExportFacts<'_>) -> Exported {
    let mut text = head("kubernetes", facts);
    let mut left_out: Vec<LeftOut> = Vec::new();
    for named in apps {
        let mut losses = Losses::of(named, Target::Kubernetes);
        let documents = documents(named, facts, &mut losses);
        let losses = losses.all();
        text.extend(losses.iter().map(comment));
        for document in documents {
            text.push_str("---\n");
            text.push_str(&yaml(&document));
        }
        left_out.extend(losses);
    }
    Exported { text, left_out }
}

fn documents(named: Named<'_>, facts: ExportFacts<'_>, losses: &mut Losses) -> Vec<Value> {
    let app = named.app;
    let ports = ports::of(named, losses);
    let pod = pod::of(named, facts, &ports, losses);
    if app.is_job() {
        return jobs(named, &pod, losses);
    }
    if !app.schedules.is_empty() {
        let why = "let a CronJob run `kubectl rollout restart`, with a role that may do it";
        losses.add("cron_restart", why);
    }
    if !app.restart.auto {
        losses.add("autorestart", "what a Deployment runs is always started again");
    }
    if app.restart.auto && app.restart.max_restarts.is_some() {
        losses.add("max_restarts", "it is started again for ever, with growing pauses");
    }
    let mut documents = vec![deployment(named, &pod, losses)];
    documents.extend(service(named, &ports));
    documents
}

fn metadata(named: Named<'_>) -> Value {
    let namespace = &named.app.namespace;
    let namespace = (namespace != "default").then(|| label(namespace, 63));
    object([
        ("labels", labels(named)),
        ("name", json!(named.name)),
        ("namespace", json!(namespace)),
    ])
}

fn labels(named: Named<'_>) -> Value {
    json!({"app.kubernetes.io/name": named.name})
}

fn deployment(named: Named<'_>, pod: &Value, losses: &mut Losses) -> Value {
    let app = named.app;
    let rollout = &app.rollout;
    let replicas = if app.process.autostart { app.count } else { 0 };
    if !app.process.autostart {
        let start = format!("kubectl scale deployment {} --replicas={}", named.name, app.count);
        losses.add("autostart", format!("it is made with no replica; {start}"));
    } else if let Instances::AllCpusBut(_) = app.instances {
        let why = format!(
            "{replicas} is the number on this machine; a HorizontalPodAutoscaler counts anew"
        );
        losses.add("instances", why);
    }
    if rollout.on_failure == OnFailure::Rollback {
        let undo = format!("kubectl rollout undo deployment {}", named.name);
        losses.add(
            "rollout.on_failure",
            format!("a rollout that fails stands still; {undo} goes back"),
        );
    }
    let start = seconds(app.process.listen_timeout);
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(named),
        "spec": {
            "minReadySeconds": seconds(rollout.min_ready),
            "progressDeadlineSeconds": start + seconds(rollout.min_ready) + 60,
            "replicas": replicas,
            "selector": {"matchLabels": labels(named)},
            "strategy": {
                "rollingUpdate": {
                    "maxSurge": share(rollout.max_surge),
                    "maxUnavailable": share(rollout.max_unavailable),
                },
                "type": "RollingUpdate",
            },
            "template": {"metadata": {"labels": labels(named)}, "spec": pod},
        },
    })
}

fn share(share: Share) -> Value {
    match share {
        Share::Count(count) => json!(count),
        Share::Percent(_) => json!(share.to_string()),
    }
}

fn jobs(named: Named<'_>, pod: &Value, losses: &mut Losses) -> Vec<Value> {
    let app = named.app;
    let mut pod = pod.clone();
    pod["restartPolicy"] = json!("Never");
    let spec = object([
        ("backoffLimit", json!(0)),
        ("completions", if app.count > 1 { json!(app.count) } else { Value::Null }),
        ("parallelism", if app.count > 1 { json!(app.count) } else { Value::Null }),
        ("template", json!({"metadata": {"labels": labels(named)}, "spec": pod})),
    ]);
    if app.schedules.is_empty() {
        if !app.process.autostart {
            losses.add(
                "autostart",
                "a Job runs when it is made: apply its manifest when it shall run",
            );
        }
        return vec![json!({
            "apiVersion": "batch/v1", "kind": "Job", "metadata": metadata(named), "spec": spec,
        })];
    }
    let each = app.schedules.iter().enumerate().map(|(number, schedule)| {
        let mut metadata = metadata(named);
        if number > 0 {
            metadata["name"] = json!(format!("{}-{number}", label(named.name, 48)));
        }
        json!({
            "apiVersion": "batch/v1",
            "kind": "CronJob",
            "metadata": metadata,
            "spec": {
                "concurrencyPolicy": "Forbid",
                "jobTemplate": {"spec": spec},
                "schedule": schedule.cron,
            },
        })
    });
    each.collect()
}

fn service(named: Named<'_>, ports: &[Port]) -> Option<Value> {
    let open = ports.iter().filter(|port| !port.private);
    let list: Vec<Value> = open
        .map(|port| {
            json!({
                "name": port.name, "port": port.outer, "protocol": port.protocol(), "targetPort": port.inner,
            })
        })
        .collect();
    (!list.is_empty()).then(|| {
        json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata(named),
            "spec": {"ports": list, "selector": labels(named)},
        })
    })
}
