//! When jobs may run: whether the machine is idle, on mains power, cool, and the hour right.
//! What cannot be told counts as not so.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use wherry_policy::{Signal, SignalSource, When};

/// A machine whose load is less than this per core is idle.
const IDLE_LOAD: f64 = 0.3;

/// How long a command may take to print its number.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where a machine tells how it is.
#[derive(Clone, Debug)]
pub struct Sensors {
    sys: PathBuf,
    proc: PathBuf,
    cores: usize,
    /// The minute of the day in UTC.
    minute: u16,
}

impl Sensors {
    /// Those of this machine, now.
    #[must_use]
    pub fn of_this_machine() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let seconds = since.map_or(0, |since| since.as_secs());
        Sensors {
            sys: "/sys".into(),
            proc: "/proc".into(),
            cores: thread::available_parallelism().map_or(1, Into::into),
            minute: u16::try_from(seconds / 60 % (24 * 60)).unwrap_or(0),
        }
    }

    /// Why no job may run now; empty if one may.
    #[must_use]
    pub fn unmet(&self, when: &When) -> Vec<String> {
        let mut reasons = Vec::new();
        reasons.extend(when.idle.then(|| self.not_idle()).flatten());
        reasons.extend(when.mains.then(|| self.not_on_mains()).flatten());
        let hot = |limit: u32| self.too_hot(limit);
        reasons.extend(when.below_celsius.and_then(hot));
        let hours = &when.hours;
        if !hours.is_empty() && !hours.iter().any(|hours| hours.contains(self.minute)) {
            let (hour, minute) = (self.minute / 60, self.minute % 60);
            reasons.push(format!(
                "it is {hour:02}:{minute:02} UTC, which is in none of `hours`"
            ));
        }
        reasons.extend(when.signal.as_ref().and_then(too_high));
        reasons
    }

    fn not_idle(&self) -> Option<String> {
        let text = fs::read_to_string(self.proc.join("loadavg")).ok();
        let load = text.and_then(|text| text.split(' ').next()?.parse::<f64>().ok());
        let Some(load) = load else {
            return Some("whether the machine is idle cannot be told: no load average".to_owned());
        };
        let cores = u32::try_from(self.cores).unwrap_or(u32::MAX);
        let bound = f64::from(cores) * IDLE_LOAD;
        (load >= bound)
            .then(|| format!("the machine is not idle: its load is {load}, not below {bound}"))
    }

    fn not_on_mains(&self) -> Option<String> {
        let supplies = entries(&self.sys.join("class/power_supply"));
        let is = |supply: &Path, file: &str, value: &str| {
            fs::read_to_string(supply.join(file)).is_ok_and(|text| text.trim() == value)
        };
        let mut mains = supplies.iter().filter(|supply| is(supply, "type", "Mains"));
        if mains.any(|supply| is(supply, "online", "1")) {
            return None;
        }
        // A machine without a battery runs on something else.
        let battery = |supply: &PathBuf| is(supply, "type", "Battery");
        let has_battery = supplies.iter().any(battery);
        has_battery.then(|| "the machine runs on its battery".to_owned())
    }

    fn too_hot(&self, limit: u32) -> Option<String> {
        let zones = entries(&self.sys.join("class/thermal"));
        let read = |zone: &PathBuf| fs::read_to_string(zone.join("temp")).ok();
        let degrees = zones.iter().filter_map(read);
        let degrees = degrees.filter_map(|text| text.trim().parse::<i64>().ok());
        match degrees.max().map(|thousandths| thousandths / 1000) {
            Some(hottest) if hottest < i64::from(limit) => None,
            Some(hottest) => Some(format!("the machine has {hottest} °C, not below {limit}")),
            None => Some("how hot the machine is cannot be told: it has no sensor".to_owned()),
        }
    }
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

fn too_high(signal: &Signal) -> Option<String> {
    let (name, text) = match &signal.source {
        SignalSource::File(file) => (file.display().to_string(), first_of(fs::File::open(file))),
        SignalSource::Command(command) => (command.join(" "), printed_by(command)),
    };
    let number = text.and_then(|text| {
        let number = text.trim().parse::<f64>();
        number.map_err(|_| "it is no number".to_owned())
    });
    match number {
        Ok(number) if number <= signal.at_most => None,
        Ok(number) => Some(format!(
            "the signal of {name} is {number}, above {}",
            signal.at_most
        )),
        Err(why) => Some(format!("the signal of {name} cannot be read: {why}")),
    }
}

/// As much as a number can have.
fn first_of(source: std::io::Result<impl Read>) -> Result<String, String> {
    let mut text = String::new();
    source
        .and_then(|source| source.take(256).read_to_string(&mut text))
        .map_err(|error| error.to_string())?;
    Ok(text)
}

fn printed_by(command: &[String]) -> Result<String, String> {
    let (program, arguments) = command.split_first().ok_or("there is no command")?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    let spawned = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut child = spawned.map_err(|error| error.to_string())?;
    let stdout = child.stdout.take().ok_or("it has no output")?;
    let (tell, told) = channel();
    // Whoever keeps the pipe open longer is not waited for.
    thread::spawn(move || tell.send(first_of(Ok(stdout))));
    let text = told.recv_timeout(PATIENCE);
    let _ = child.kill();
    let _ = child.wait();
    text.unwrap_or_else(|_| Err(format!("it printed nothing in {PATIENCE:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use wherry_policy::Hours;

    fn machine() -> (tempfile::TempDir, Sensors) {
        let directory = tempfile::tempdir().unwrap();
        let sensors = Sensors {
            sys: directory.path().to_owned(),
            proc: directory.path().to_owned(),
            cores: 2,
            minute: 90,
        };
        (directory, sensors)
    }

    fn put(directory: &tempfile::TempDir, path: &str, text: &str) {
        let path = directory.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn what_cannot_be_told_counts_as_not_so() {
        let (_directory, sensors) = machine();
        let idle = When {
            idle: true,
            ..When::default()
        };
        let cool = When {
            below_celsius: Some(50),
            ..When::default()
        };
        assert_eq!(sensors.unmet(&idle).len(), 1);
        assert_eq!(sensors.unmet(&cool).len(), 1);
        // Without a battery there is nothing but mains.
        let mains = When {
            mains: true,
            ..When::default()
        };
        assert!(sensors.unmet(&mains).is_empty());
        assert!(sensors.unmet(&When::default()).is_empty());
    }

    #[test]
    fn sensors_decide() {
        let (directory, sensors) = machine();
        let when = When {
            idle: true,
            mains: true,
            below_celsius: Some(50),
            hours: vec![Hours {
                from: 1380,
                to: 120,
            }],
            signal: None,
        };
        put(&directory, "loadavg", "0.10 0.2 0.3 1/100 7\n");
        put(&directory, "class/power_supply/BAT0/type", "Battery\n");
        put(&directory, "class/power_supply/AC/type", "Mains\n");
        put(&directory, "class/power_supply/AC/online", "1\n");
        put(&directory, "class/thermal/thermal_zone0/temp", "49999\n");
        assert_eq!(sensors.unmet(&when), Vec::<String>::new());
        put(&directory, "loadavg", "0.61 0.2 0.3 1/100 7\n");
        put(&directory, "class/power_supply/AC/online", "0\n");
        put(&directory, "class/thermal/thermal_zone1/temp", "50000\n");
        let noon = Sensors {
            minute: 720,
            ..sensors
        };
        assert_eq!(noon.unmet(&when).len(), 4);
    }

    #[test]
    fn a_signal_comes_from_a_file_or_a_command() {
        let (directory, sensors) = machine();
        let file = directory.path().join("price");
        let unmet = |source: SignalSource| {
            let signal = Some(Signal {
                source,
                at_most: 40.5,
            });
            sensors.unmet(&When {
                signal,
                ..When::default()
            })
        };
        assert!(unmet(SignalSource::File(file.clone()))[0].contains("cannot be read"));
        for (text, met) in [("40.5\n", true), ("41", false), ("", false), ("NaN", false)] {
            put(&directory, "price", text);
            assert_eq!(
                unmet(SignalSource::File(file.clone())).is_empty(),
                met,
                "{text}"
            );
        }
        let command = |words: &[&str]| {
            SignalSource::Command(words.iter().map(|word| (*word).to_owned()).collect())
        };
        assert!(unmet(command(&["echo", "7"])).is_empty());
        assert_eq!(unmet(command(&["echo", "70"])).len(), 1);
        assert_eq!(unmet(command(&["/no/such/command"])).len(), 1);
    }
}
