//! From the text of a `policy.toml` to a [`Policy`].

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use toml::de::{DeTable, DeValue};
use wherry_packager::parse_bytes;
use wherry_sandbox::Facility;

use crate::policy::SignalSource;
use crate::read::{Document, Table, count, expected, text};
use crate::{
    Adapter, Checkpoints, Hours, Isolation, Item, Limit, Mount, Pattern, Policy, PolicyError,
    Problem, Signal, When, Who, signatures,
};

/// Larger than any real one.
const MAX_FILE: usize = 1 << 20;

/// Hotter than any sensor that still works.
const MAX_CELSIUS: u64 = 200;

const TABLES: [&str; 11] = [
    "who",
    "signatures",
    "limits",
    "gpu",
    "network",
    "mounts",
    "clock",
    "when",
    "checkpoints",
    "isolation",
    "format",
];

pub(crate) fn policy(source: &str) -> Result<Policy, PolicyError> {
    let single = |problem| PolicyError {
        problems: vec![problem],
    };
    if source.len() > MAX_FILE {
        let message = format!("the file has more than the {MAX_FILE} bytes that are accepted");
        return Err(single(Problem::at(source, 0..0, message)));
    }
    let table = DeTable::parse(source).map_err(|error| {
        let span = error.span().unwrap_or(0..0);
        single(Problem::at(source, span, error.message().to_owned()))
    })?;
    let document = Document::new(source);
    let policy = read(&Table::root(&document, &table, &TABLES));
    document.finish(policy)
}

fn read(root: &Table<'_>) -> Policy {
    root.read("format", |value| match count(value, u64::MAX)? {
        1 => Ok(()),
        other => Err(format!("this version knows format 1, not {other}")),
    });
    let mut policy = Policy::deny_all();
    if let Some(table) = root.table("who", &["repositories", "files"]) {
        policy.who = who(&table);
    }
    if let Some(table) = root.table("signatures", &["unsigned", "trust", "checkpoints"]) {
        policy.signatures = signatures::read(&table);
    }
    let keys = [
        "memory",
        "cpu_time",
        "wall_time",
        "cores",
        "scratch",
        "files",
        "output",
        "log",
    ];
    if let Some(table) = root.table("limits", &keys) {
        limits(&table, &mut policy);
    }
    if let Some(table) = root.table("gpu", &["adapter", "memory", "time"]) {
        gpu(&table, &mut policy);
    }
    if let Some(table) = root.table("network", &["allow"]) {
        network(&table);
    }
    policy.mounts = mounts(root);
    if let Some(table) = root.table("clock", &["resolution"]) {
        policy.clock = table.read("resolution", resolution).unwrap_or(policy.clock);
    }
    let keys = ["idle", "mains", "below_celsius", "hours", "signal"];
    if let Some(table) = root.table("when", &keys) {
        policy.when = when(&table);
    }
    let keys = ["directory", "every", "keep", "grace", "encrypted"];
    if let Some(table) = root.table("checkpoints", &keys) {
        policy.checkpoints = checkpoints(&table);
    }
    let keys = ["require", "compile_time", "compile_memory"];
    if let Some(table) = root.table("isolation", &keys) {
        policy.isolation = isolation(&table, policy.isolation);
    }
    policy
}

fn who(table: &Table<'_>) -> Who {
    Who {
        repositories: patterns(table, "repositories"),
        files: table.boolean("files").unwrap_or(false),
    }
}

pub(crate) fn patterns(table: &Table<'_>, key: &str) -> Vec<Pattern> {
    let mut patterns = Vec::new();
    for value in table.array(key).into_iter().flatten() {
        match text(value.get_ref()).and_then(pattern) {
            Ok(pattern) => patterns.push(pattern),
            Err(why) => table.problem(value.span(), format!("`{key}`: {why}")),
        }
    }
    patterns
}

fn pattern(text: String) -> Result<Pattern, String> {
    let name = text.strip_suffix('*').unwrap_or(&text);
    let known = |c: char| c.is_ascii_alphanumeric() || "./:_-".contains(c);
    if name.contains('*') {
        Err("`*` can only be at the end".to_owned())
    } else if name.chars().all(known) {
        Ok(Pattern(text))
    } else {
        Err("is not a repository such as registry.example/team/*".to_owned())
    }
}

fn limits(table: &Table<'_>, policy: &mut Policy) {
    for item in Item::ALL
        .into_iter()
        .filter(|item| item.table() == "limits")
    {
        if let Some(limit) = table.limit(item) {
            policy.limits[item as usize] = limit;
            let useless = matches!(
                item,
                Item::Memory | Item::CpuTime | Item::WallTime | Item::Cores
            );
            if let Some(place) = table
                .place(item.key())
                .filter(|_| limit == Limit::AtMost(0))
                && useless
            {
                let key = item.key();
                table.problem(place, format!("`{key}`: no job can run with none"));
            }
        }
    }
}

fn gpu(table: &Table<'_>, policy: &mut Policy) {
    policy.adapter = table
        .read("adapter", |value| match value.as_str() {
            Some("none") => Ok(Adapter::None),
            Some("hardware") => Ok(Adapter::Hardware),
            Some("any") => Ok(Adapter::Any),
            _ => Err(expected("\"none\", \"hardware\" or \"any\"", value)),
        })
        .unwrap_or_default();
    for item in [Item::GpuMemory, Item::GpuTime] {
        let Some(limit) = table.limit(item) else {
            continue;
        };
        policy.limits[item as usize] = limit;
        if let Some(place) = table.place(item.key())
            && limit > Limit::AtMost(0)
            && policy.adapter == Adapter::None
        {
            let message = format!(
                "`{}` grants what no job can use: `adapter` is \"none\"",
                item.key()
            );
            table.problem(place, message);
        }
    }
    let (gpu, all) = (policy.limit(Item::GpuMemory), policy.limit(Item::Memory));
    if let (Limit::AtMost(gpu), Limit::AtMost(all)) = (gpu, all)
        && gpu > all
        && let Some(place) = table.place("memory")
    {
        let message = "`memory` of the GPU is more than `memory` in [limits], which counts it, too";
        table.problem(place, message);
    }
}

fn network(table: &Table<'_>) {
    if let Some(allowed) = table.array("allow")
        && let Some(first) = allowed.first()
    {
        let message = "`allow`: this version has no network to grant; leave the list empty";
        table.problem(first.span(), message);
    }
}

fn mounts(root: &Table<'_>) -> Vec<Mount> {
    let mut mounts = Vec::new();
    let mut seen = BTreeSet::new();
    for table in root.tables("mounts", &["host", "guest", "read_only"]) {
        let read_only = table.boolean("read_only").unwrap_or(true);
        let host = table.read("host", |value| absolute(&text(value)?));
        let guest = table.read("guest", |value| {
            let guest = text(value)?;
            absolute(&guest)?;
            if !seen.insert(guest.clone()) {
                return Err("another mount has this path for the guest".to_owned());
            }
            Ok(guest)
        });
        match host {
            Some(host) => mounts.push(Mount {
                host,
                guest,
                read_only,
            }),
            None if table.place("host").is_none() => {
                table.problem(table.span.clone(), "a mount has a `host` directory");
            }
            None => {}
        }
    }
    mounts
}

/// An absolute path in its shortest form.
fn absolute(path: &str) -> Result<PathBuf, String> {
    let parts = Path::new(path).components();
    let plain = parts
        .clone()
        .all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    let rebuilt: PathBuf = parts.collect();
    if path.starts_with('/') && plain && rebuilt.as_os_str() == path {
        Ok(rebuilt)
    } else {
        Err("is not an absolute path without `.`, `..`, `//` and a final `/`".to_owned())
    }
}

fn resolution(value: &DeValue<'_>) -> Result<Duration, String> {
    let text = text(value)?;
    let refused = || "is not a time from 1ns to 1s, such as \"1ms\"".to_owned();
    let resolution = humantime::parse_duration(&text).map_err(|_| refused())?;
    if (Duration::from_nanos(1)..=Duration::from_secs(1)).contains(&resolution) {
        Ok(resolution)
    } else {
        Err(refused())
    }
}

fn when(table: &Table<'_>) -> When {
    let mut hours = Vec::new();
    for value in table.array("hours").into_iter().flatten() {
        match text(value.get_ref()).and_then(|text| span_of_day(&text)) {
            Ok(span) => hours.push(span),
            Err(why) => table.problem(value.span(), format!("`hours`: {why}")),
        }
    }
    if let Some(place) = table.place("hours").filter(|_| hours.is_empty())
        && table.array("hours").is_some_and(|hours| hours.is_empty())
    {
        table.problem(
            place,
            "`hours`: at no hour no job can run; leave it out for always",
        );
    }
    When {
        idle: table.boolean("idle").unwrap_or(false),
        mains: table.boolean("mains").unwrap_or(false),
        below_celsius: table
            .read("below_celsius", |value| count(value, MAX_CELSIUS))
            .and_then(|degrees| u32::try_from(degrees).ok()),
        hours,
        signal: table
            .table("signal", &["file", "command", "at_most"])
            .and_then(|table| signal(&table)),
    }
}

/// `22:00-06:00`
fn span_of_day(text: &str) -> Result<Hours, String> {
    let refused = || "is not a time of the day in UTC such as \"22:00-06:00\"".to_owned();
    let minute = |text: &str| {
        let (hour, minute) = text.split_once(':')?;
        let digits = |text: &str| text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
        let number = |text: &str| text.parse::<u16>().ok().filter(|_| digits(text));
        let (hour, minute) = (number(hour)?, number(minute)?);
        let minutes = hour * 60 + minute;
        (hour < 24 && minute < 60 || minutes == 24 * 60).then_some(minutes)
    };
    let (from, to) = text.split_once('-').ok_or_else(refused)?;
    let (from, to) = minute(from).zip(minute(to)).ok_or_else(refused)?;
    if from == to {
        return Err("begins when it ends; leave it out for always".to_owned());
    }
    Ok(Hours { from, to })
}

fn signal(table: &Table<'_>) -> Option<Signal> {
    let file = table.read("file", |value| absolute(&text(value)?));
    let command = table.texts("command").filter(|command| !command.is_empty());
    let at_most = table.read("at_most", |value| {
        let number = match value {
            DeValue::Integer(number) => number.as_str().parse::<f64>().ok(),
            DeValue::Float(number) => number.as_str().parse::<f64>().ok(),
            _ => None,
        };
        number
            .filter(|number| number.is_finite())
            .ok_or_else(|| expected("a number", value))
    });
    let source = match (file, command) {
        (Some(file), None) => SignalSource::File(file),
        (None, Some(command)) => SignalSource::Command(command),
        _ => {
            let message = "a signal comes from a `file` or from a `command`, one of both";
            table.problem(table.span.clone(), message);
            return None;
        }
    };
    if table.place("at_most").is_none() {
        table.problem(table.span.clone(), "a signal has a bound: `at_most`");
    }
    Some(Signal {
        source,
        at_most: at_most?,
    })
}

fn checkpoints(table: &Table<'_>) -> Checkpoints {
    Checkpoints {
        directory: table.read("directory", |value| absolute(&text(value)?)),
        every: table.duration("every"),
        keep: table
            .read("keep", |value| match count(value, 1 << 20)? {
                0 => Err("a job that keeps no checkpoint cannot go on".to_owned()),
                keep => Ok(keep),
            })
            .and_then(|keep| u32::try_from(keep).ok()),
        grace: table.duration("grace"),
        encrypted: table.boolean("encrypted").unwrap_or(false),
    }
}

fn isolation(table: &Table<'_>, usual: Isolation) -> Isolation {
    let require = table.array("require").map(|names| {
        let mut require = Vec::new();
        for name in names {
            match text(name.get_ref()).and_then(|name| facility(&name)) {
                Ok(facility) => require.push(facility),
                Err(why) => table.problem(name.span(), format!("`require`: {why}")),
            }
        }
        require.sort_unstable();
        require.dedup();
        require
    });
    Isolation {
        require: require.unwrap_or(usual.require),
        compile_time: table.duration("compile_time"),
        compile_memory: table.read("compile_memory", |value| parse_bytes(&text(value)?)),
    }
}

fn facility(name: &str) -> Result<Facility, String> {
    let known = Facility::ALL.into_iter();
    known
        .clone()
        .find(|facility| facility.name() == name)
        .ok_or_else(|| {
            let names: Vec<_> = known.map(Facility::name).collect();
            format!("nothing is called {name:?}; there are {}", names.join(", "))
        })
}
