//! Tries again what is worth it: exponential backoff with full jitter, inside a whole-call limit.

use std::future::Future;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Duration, SystemTime};

use reqwest::header::{HeaderMap, RETRY_AFTER};
use tokio::time::{Instant, sleep, timeout_at};

use super::error::ModelError;
use super::model::{ModelEvent, Watch};

/// How long and how often a call is tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The most tries, the first included. Default 5; 0 counts as 1.
    pub max_attempts: u32,
    /// The longest wait after the first failed try; it doubles with each further one, and the
    /// actual wait is drawn evenly between nothing and that. Default 500 ms.
    pub base_delay: Duration,
    /// The longest wait between two tries. A server that asks for more (`Retry-After`) fails the
    /// call at once. Default 60 s.
    pub max_delay: Duration,
    /// The longest that a whole call may take, waits included. Default 300 s.
    pub call_limit: Duration,
    /// The longest silence of a server before a try counts as failed. Default 120 s.
    pub stall_limit: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 5,
            base_delay: Duration::from_millis(500),
            max_delay: Duration::from_secs(60),
            call_limit: Duration::from_secs(300),
            stall_limit: Duration::from_secs(120),
        }
    }
}

impl RetryPolicy {
    /// The most that may be waited after failed try `attempt` (from 1).
    fn ceiling(&self, attempt: u32) -> Duration {
        let factor = 2u32.saturating_pow(attempt.saturating_sub(1));
        self.base_delay.saturating_mul(factor).min(self.max_delay)
    }

    fn backoff(&self, attempt: u32) -> Duration {
        self.ceiling(attempt).mul_f64(random_fraction())
    }
}

/// An even draw from [0, 1). Each `RandomState` has keys of its own: good enough to spread tries.
fn random_fraction() -> f64 {
    let draw = RandomState::new().build_hasher().finish();
    (draw >> 11) as f64 / (1u64 << 53) as f64
}

/// A failed try.
#[derive(Debug)]
pub(super) struct Failure {
    /// What to report if it is the last.
    pub error: Box<ModelError>,
    /// Set when another try may go better.
    pub again: Option<Again>,
}

/// Why and when to try again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Again {
    pub reason: String,
    /// The wait that the server asks for.
    pub after: Option<Duration>,
}

impl Failure {
    /// A failure that another try would only repeat.
    pub fn last(error: ModelError) -> Self {
        Self {
            error: Box::new(error),
            again: None,
        }
    }

    /// A failure that may pass.
    pub fn passing(error: ModelError, reason: String, after: Option<Duration>) -> Self {
        Self {
            error: Box::new(error),
            again: Some(Again { reason, after }),
        }
    }
}

/// Runs `attempt` (told its number, from 1) until it succeeds, fails for good, or a bound of
/// `policy` is met; tells `watch` before each wait.
pub(super) async fn run<T, A, F>(
    policy: &RetryPolicy,
    address: &str,
    watch: Watch<'_>,
    attempt: A,
) -> Result<T, ModelError>
where
    A: Fn(u32) -> F,
    F: Future<Output = Result<T, Failure>>,
{
    let start = Instant::now();
    // A limit past what the clock can hold is none: 30 years will do.
    let deadline = start
        .checked_add(policy.call_limit)
        .unwrap_or_else(|| start + Duration::from_secs(30 * 365 * 86_400));
    let mut last = None;
    let mut number = 1;
    loop {
        let failure = match timeout_at(deadline, attempt(number)).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(failure)) => failure,
            Err(_) => {
                return Err(ModelError::TimeLimit {
                    address: address.to_owned(),
                    limit: policy.call_limit,
                    last,
                });
            }
        };
        let Some(Again { reason, after }) = failure.again else {
            return Err(*failure.error);
        };
        if number >= policy.max_attempts {
            return Err(*failure.error);
        }
        let remaining = deadline.saturating_duration_since(Instant::now());
        let wait = match after {
            Some(wait) if wait > policy.max_delay.min(remaining) => {
                return Err(ModelError::WaitTooLong {
                    address: address.to_owned(),
                    wait,
                    limit: policy.max_delay.min(remaining),
                    reason,
                });
            }
            Some(wait) => wait,
            None => policy.backoff(number),
        };
        if wait > remaining {
            return Err(*failure.error);
        }
        tracing::debug!(address, attempt = number, ?wait, reason, "trying again");
        watch(ModelEvent::Retry {
            attempt: number,
            wait,
            reason: &reason,
        });
        sleep(wait).await;
        last = Some(reason);
        number += 1;
    }
}

/// The wait that a server asks for: `retry-after-ms`, or `Retry-After` as seconds or a date.
/// `now` is the time that a date is compared with.
pub(super) fn requested_wait(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    if let Some(wait) = text("retry-after-ms").and_then(|ms| number_of(ms, 1000.0)) {
        return Some(wait);
    }
    let value = text(RETRY_AFTER.as_str())?;
    number_of(value, 1.0).or_else(|| {
        let date = httpdate::parse_http_date(value).ok()?;
        Some(date.duration_since(now).unwrap_or(Duration::ZERO))
    })
}

fn number_of(text: &str, per_second: f64) -> Option<Duration> {
    let number: f64 = text.parse().ok()?;
    Duration::try_from_secs_f64(number / per_second).ok()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::Mutex;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect()
    }

    fn failure(after: Option<Duration>) -> Failure {
        let error = ModelError::RateLimited {
            address: "a".into(),
            attempts: 0,
            message: String::new(),
        };
        Failure::passing(error, "429".into(), after)
    }

    #[test]
    fn a_requested_wait_is_read_in_each_form() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        for (pairs, expected) in [
            (&[("retry-after", "7")][..], Some(7000)),
            (&[("retry-after", " 1.5 ")], Some(1500)),
            (&[("retry-after", "7"), ("retry-after-ms", "20")], Some(20)),
            (
                &[("retry-after", "Sun, 06 Nov 1994 08:49:47 GMT")],
                Some(10_000),
            ),
            (&[("retry-after", "Sun, 06 Nov 1994 08:49:30 GMT")], Some(0)),
            (&[("retry-after", "-1")], None),
            (&[("retry-after", "inf")], None),
            (&[("retry-after", "soon")], None),
            (&[], None),
        ] {
            let wait = requested_wait(&headers(pairs), now);
            assert_eq!(wait, expected.map(Duration::from_millis), "{pairs:?}");
        }
    }

    #[test]
    fn backoff_doubles_up_to_its_cap_and_is_jittered() {
        let policy = RetryPolicy::default();
        let ceilings: Vec<u64> = [1, 2, 3, 8, 99]
            .map(|n| policy.ceiling(n).as_millis() as u64)
            .to_vec();
        assert_eq!(ceilings, [500, 1000, 2000, 60_000, 60_000]);
        let draws: Vec<Duration> = (0..50).map(|_| policy.backoff(3)).collect();
        assert!(draws.iter().all(|d| *d < Duration::from_secs(2)));
        assert!(draws.iter().any(|d| d != &draws[0]));
    }

    #[tokio::test(start_paused = true)]
    async fn waits_are_told_and_the_last_error_is_given() {
        let policy = RetryPolicy {
            max_attempts: 3,
            ..RetryPolicy::default()
        };
        let told = Mutex::new(Vec::new());
        let watch = |event: ModelEvent<'_>| {
            if let ModelEvent::Retry { attempt, wait, .. } = event {
                told.lock().unwrap().push((attempt, wait));
            }
        };
        let tries = Cell::new(0);
        let result: Result<(), _> = run(&policy, "a", &watch, |_| {
            tries.set(tries.get() + 1);
            async { Err(failure(Some(Duration::from_secs(2)))) }
        })
        .await;
        assert!(matches!(result, Err(ModelError::RateLimited { .. })));
        assert_eq!(tries.get(), 3);
        let two = Duration::from_secs(2);
        assert_eq!(*told.lock().unwrap(), [(1, two), (2, two)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_past_the_cap_or_the_call_fails_at_once() {
        for (wait, call_limit) in [(61, 300), (20, 10)] {
            let policy = RetryPolicy {
                call_limit: Duration::from_secs(call_limit),
                ..RetryPolicy::default()
            };
            let start = Instant::now();
            let result: Result<(), _> = run(&policy, "a", &|_| {}, |_| async {
                Err(failure(Some(Duration::from_secs(wait))))
            })
            .await;
            assert!(matches!(result, Err(ModelError::WaitTooLong { .. })));
            assert_eq!(start.elapsed(), Duration::ZERO);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_whole_call_has_a_limit_that_names_the_last_failure() {
        let policy = RetryPolicy {
            call_limit: Duration::from_secs(10),
            ..RetryPolicy::default()
        };
        let result: Result<(), _> = run(&policy, "a", &|_| {}, |number| async move {
            if number > 1 {
                sleep(Duration::from_secs(3600)).await;
            }
            Err(failure(None))
        })
        .await;
        assert_eq!(
            result,
            Err(ModelError::TimeLimit {
                address: "a".into(),
                limit: Duration::from_secs(10),
                last: Some("429".into()),
            })
        );
    }
}
