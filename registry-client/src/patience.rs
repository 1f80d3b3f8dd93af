//! How long to go on when a registry or the network fails: how often, and with which pauses.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::{Duration, SystemTime};

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};

/// Nobody wants to wait longer without being told.
const LONGEST_WAIT: Duration = Duration::from_secs(120);

/// How often a request that failed in passing is made, and how long a silence may be.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Tries without progress before it is given up.
    pub tries: u32,
    /// The pause before the second try; it doubles from try to try. A registry's own
    /// `Retry-After` comes before it.
    pub first_wait: Duration,
    /// Without a byte for so long, a transfer counts as broken off. Registries that keep blobs in
    /// an object store can take minutes to answer the end of an upload.
    pub idle: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            tries: 6,
            first_wait: Duration::from_millis(500),
            idle: Duration::from_secs(300),
        }
    }
}

/// The tries of one request or transfer.
#[derive(Debug)]
pub(crate) struct Tries {
    patience: Patience,
    made: u32,
}

impl Tries {
    pub(crate) fn new(patience: Patience) -> Self {
        Self { patience, made: 1 }
    }

    /// There was progress: patience begins anew.
    pub(crate) fn progress(&mut self) {
        self.made = 1;
    }

    /// Waits until the next try, and says whether there is one.
    pub(crate) async fn again(&mut self, asked: Option<Duration>) -> bool {
        let Some(wait) = self.next_wait(asked) else {
            return false;
        };
        tokio::time::sleep(wait).await;
        true
    }

    /// The pause until the next try: what the registry asks for, or else twice as long as before,
    /// with a random part so that many clients do not come back at once.
    fn next_wait(&mut self, asked: Option<Duration>) -> Option<Duration> {
        if self.made >= self.patience.tries || asked.is_some_and(|asked| asked > LONGEST_WAIT) {
            return None;
        }
        let doublings = (self.made - 1).min(16);
        self.made += 1;
        let most = self
            .patience
            .first_wait
            .saturating_mul(1 << doublings)
            .min(LONGEST_WAIT);
        Some(asked.unwrap_or_else(|| most / 2 + (most / 2).mul_f64(random())))
    }
}

/// Between 0 and 1, from the system's random numbers, which seed every `RandomState`.
fn random() -> f64 {
    let random = RandomState::new().hash_one(());
    f64::from(u32::try_from(random >> 32).unwrap_or(0)) / f64::from(u32::MAX)
}

/// Whether a request that gets this answer may well succeed a moment later.
pub(crate) fn is_passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504)
}

/// How long the registry wants us to wait: seconds, or a date.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(text: &str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, text.parse().unwrap());
        retry_after(&headers)
    }

    #[test]
    fn pauses_grow_and_end() {
        let patience = Patience {
            tries: 4,
            first_wait: Duration::from_secs(8),
            ..Patience::default()
        };
        let mut tries = Tries::new(patience);
        let waits: Vec<_> = std::iter::from_fn(|| tries.next_wait(None)).collect();
        assert_eq!(waits.len(), 3);
        for (wait, most) in waits.iter().zip([8, 16, 32]) {
            let most = Duration::from_secs(most);
            assert!(*wait <= most && *wait >= most / 2, "{waits:?}");
        }
        tries.progress();
        assert_eq!(tries.next_wait(Some(Duration::ZERO)), Some(Duration::ZERO));
        assert_eq!(tries.next_wait(Some(Duration::from_secs(3600))), None);
    }

    #[test]
    fn what_a_registry_asks_for() {
        assert_eq!(after("7"), Some(Duration::from_secs(7)));
        assert_eq!(after("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        assert!(after("Fri, 31 Dec 9999 23:59:59 GMT") > Some(LONGEST_WAIT));
        assert_eq!(after("soon"), None);
    }
}
