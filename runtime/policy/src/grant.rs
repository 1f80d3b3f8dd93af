//! What a job gets: the smaller of what it asks for and what the policy says, item by item.

use std::path::PathBuf;

use serde::Serialize;

use crate::request::MountRequest;
use crate::{Adapter, Amount, Item, Limit, Mount, Origin, Policy, Request};

/// What a job gets, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Grant {
    /// Everything that was decided.
    pub rows: Vec<Row>,
    /// By [`Item`].
    limits: [Limit; Item::ALL.len()],
    /// The directories that it gets.
    pub mounts: Vec<Mount>,
    /// Whether it gets a GPU.
    pub gpu: bool,
}

/// One decision.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// About what.
    pub item: String,
    /// What was asked for.
    pub request: Amount,
    /// What the policy says.
    pub policy: Amount,
    /// What the job gets.
    pub grant: Amount,
    /// How that compares.
    pub verdict: Verdict,
    /// Why.
    pub reason: String,
}

/// How what is granted compares with what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It is all of it.
    Granted,
    /// It is less.
    Reduced,
    /// It is nothing, or too little for the job to run.
    Refused,
}

impl Grant {
    /// How much of `item` the job may have.
    #[must_use]
    pub fn limit(&self, item: Item) -> Limit {
        self.limits[item as usize]
    }

    /// Why the job cannot run; empty if it can.
    pub fn refusals(&self) -> impl Iterator<Item = &Row> {
        let refused = |row: &&Row| row.verdict == Verdict::Refused;
        self.rows.iter().filter(refused)
    }

    /// Whether the job can run.
    #[must_use]
    pub fn fits(&self) -> bool {
        self.refusals().next().is_none()
    }
}

/// Intersects what a job asks for with what the policy says.
#[must_use]
pub fn grant(request: &Request, policy: &Policy) -> Grant {
    let mut grant = Grant {
        rows: vec![origin(request, policy), signature(request)],
        limits: policy.limits,
        mounts: Vec::new(),
        gpu: false,
    };
    for item in Item::ALL {
        let (limit, row) = amount(item, request, policy);
        grant.limits[item as usize] = limit;
        grant.rows.push(row);
    }
    let row = gpu(request, policy, &grant);
    grant.gpu = request.gpu.is_some() && row.verdict == Verdict::Granted;
    grant.rows.push(row);
    for wanted in &request.mounts {
        let (mount, row) = directory(wanted, policy);
        grant.mounts.extend(mount);
        grant.rows.push(row);
    }
    grant.rows.push(network());
    grant
}

fn origin(request: &Request, policy: &Policy) -> Row {
    let who = &policy.who;
    let repositories = || {
        let patterns: Vec<_> = who.repositories.iter().map(|one| one.as_str()).collect();
        if patterns.is_empty() {
            "no repository".to_owned()
        } else {
            patterns.join(", ")
        }
    };
    let (asked, says, allowed, why) = match &request.origin {
        Origin::File => (
            "a file".to_owned(),
            if who.files {
                "files may run"
            } else {
                "no files"
            }
            .to_owned(),
            who.files,
            "`files` in [who] decides",
        ),
        Origin::Repository(name) => (
            name.clone(),
            repositories(),
            who.repositories.iter().any(|one| one.matches(name)),
            "`repositories` in [who] decides",
        ),
        Origin::Digest => (
            "a digest".to_owned(),
            repositories(),
            who.repositories.iter().any(|one| one.as_str() == "*"),
            "by a digest alone it is not known where it is from",
        ),
    };
    gate(
        "origin",
        Amount::Text(asked),
        Amount::Text(says),
        allowed,
        why,
    )
}

fn signature(request: &Request) -> Row {
    let asked = request.signer.clone().unwrap_or("unsigned".to_owned());
    let (says, why) = match (request.may_be_unsigned, &request.signer) {
        (true, _) => (
            "unsigned may run",
            "`unsigned` in [signatures] is \"allow\"",
        ),
        (false, Some(_)) => (
            "signed only",
            "it is signed by one of `keys` in [signatures]",
        ),
        (false, None) => (
            "signed only",
            "none of `keys` in [signatures] has signed it",
        ),
    };
    let allowed = request.may_be_unsigned || request.signer.is_some();
    gate(
        "signer",
        Amount::Text(asked),
        Amount::text(says),
        allowed,
        why,
    )
}

fn gate(item: &str, request: Amount, policy: Amount, allowed: bool, why: &str) -> Row {
    let (grant, verdict) = if allowed {
        ("yes", Verdict::Granted)
    } else {
        ("no", Verdict::Refused)
    };
    Row {
        item: item.to_owned(),
        request,
        policy,
        grant: Amount::text(grant),
        verdict,
        reason: why.to_owned(),
    }
}

/// The smaller wins; less than what is needed is too little.
fn amount(item: Item, request: &Request, policy: &Policy) -> (Limit, Row) {
    let (asked, needed) = (request.asks.of(item), request.needs.of(item));
    let says = policy.limit(item);
    let granted = says.min(Limit::from(asked));
    let too_little = needed.filter(|needed| Limit::AtMost(*needed) > granted);
    let (verdict, reason) = if let Some(needed) = too_little {
        let needed = Amount::of(item, Limit::AtMost(needed));
        let why = match asked {
            Some(asked) if Limit::AtMost(asked) <= says => "more than it asks for",
            _ => "more than the policy grants",
        };
        // Without the GPU it does not need its memory either.
        let can_do_without = item.table() == "gpu" && !request.needs_gpu();
        let verdict = if can_do_without {
            Verdict::Reduced
        } else {
            Verdict::Refused
        };
        (verdict, format!("the job needs {needed}, {why}"))
    } else {
        match asked {
            Some(asked) if Limit::AtMost(asked) <= says => {
                (Verdict::Granted, "as asked".to_owned())
            }
            Some(_) => (
                Verdict::Reduced,
                "the policy grants less than is asked for".to_owned(),
            ),
            None if says == Limit::Unlimited => (Verdict::Granted, "no limit".to_owned()),
            None => (Verdict::Granted, "the policy's limit".to_owned()),
        }
    };
    let row = Row {
        item: item.name().to_owned(),
        request: Amount::asked(item, asked),
        policy: Amount::of(item, says),
        grant: Amount::of(item, granted),
        verdict,
        reason,
    };
    (granted, row)
}

fn gpu(request: &Request, policy: &Policy, grant: &Grant) -> Row {
    let says = Amount::text(policy.adapter.as_str());
    let Some(wanted) = &request.gpu else {
        return gate("gpu", Amount::Nothing, says, true, "it uses none");
    };
    let mut asked = "an adapter".to_owned();
    if !wanted.beyond.is_empty() {
        asked = format!("{asked} with {}", wanted.beyond.join(", "));
    }
    let asked = Amount::Text(asked);
    let too_little = [Item::GpuMemory, Item::GpuTime].into_iter().find(|item| {
        let needed = request.needs.of(*item).unwrap_or(0).max(1);
        grant.limit(*item) < Limit::AtMost(needed)
    });
    let refused = match (policy.adapter, too_little) {
        (Adapter::None, _) => "`adapter` in [gpu] is \"none\"".to_owned(),
        (_, Some(item)) if grant.limit(item) == Limit::AtMost(0) => {
            format!("`{}` in [gpu] grants none", item.key())
        }
        (_, Some(item)) => format!("it needs more {} than is granted", item.name()),
        (_, None) => return gate("gpu", asked, says, true, "`adapter` in [gpu] allows it"),
    };
    if wanted.optional {
        let why = format!("{refused}; the job can do without");
        let verdict = Verdict::Reduced;
        return Row {
            verdict,
            ..gate("gpu", asked, says, false, &why)
        };
    }
    gate("gpu", asked, says, false, &refused)
}

/// The directory that the job gets, if it gets one.
fn directory(wanted: &MountRequest, policy: &Policy) -> (Option<Mount>, Row) {
    let found = match &wanted.host {
        Some(host) => policy.mount_of(host).map(|lent| (host, lent)),
        None => policy
            .mount_at(&wanted.guest)
            .map(|lent| (&lent.host, lent)),
    };
    let mode = |read_only| if read_only { "read" } else { "write" };
    let name = |host: Option<&PathBuf>, read_only| {
        let host = host.map_or("any directory".to_owned(), |host| {
            host.display().to_string()
        });
        Amount::Text(format!("{host} ({})", mode(read_only)))
    };
    let mut row = Row {
        item: format!("mount {}", wanted.guest),
        request: name(wanted.host.as_ref(), wanted.read_only),
        policy: Amount::text("none"),
        grant: Amount::text("none"),
        verdict: Verdict::Granted,
        reason: String::new(),
    };
    let Some((host, lent)) = found else {
        let must = wanted.required || wanted.host.is_some();
        row.verdict = if must {
            Verdict::Refused
        } else {
            Verdict::Reduced
        };
        row.reason = match &wanted.host {
            Some(_) => "no `host` in [[mounts]] has this directory".to_owned(),
            None if must => {
                "the job needs it: give it one with --dir, or a `guest` in [[mounts]]".to_owned()
            }
            None => "nobody lends one; the job can do without".to_owned(),
        };
        return (None, row);
    };
    let read_only = wanted.read_only || lent.read_only;
    row.policy = name(Some(&lent.host), lent.read_only);
    row.grant = name(Some(host), read_only);
    (row.verdict, row.reason) = match (wanted.read_only, lent.read_only) {
        (false, true) => (
            Verdict::Reduced,
            "only to be read: `read_only` in [[mounts]]".to_owned(),
        ),
        _ => (Verdict::Granted, "as asked".to_owned()),
    };
    let mount = Mount {
        host: host.clone(),
        guest: Some(wanted.guest.clone()),
        read_only,
    };
    (Some(mount), row)
}

/// Programs cannot ask for any: preview 1 can open no connection.
fn network() -> Row {
    gate(
        "network",
        Amount::Nothing,
        Amount::text("none"),
        true,
        "programs cannot open connections",
    )
}
