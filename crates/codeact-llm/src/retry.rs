//! Retries of failed attempts: exponential backoff with full jitter, within a time limit of the whole call.

use std::future::Future;
use std::time::{Duration, SystemTime};

use reqwest::header::{HeaderMap, RETRY_AFTER};
use tokio::time::{Instant, sleep, timeout_at};

use crate::error::ModelError;
use crate::model::{ModelEvent, Watch};

/// Number of attempts and time limits of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// Maximum number of attempts. Default: 5. 0 counts as 1.
    pub max_attempts: u32,
    /// Maximum delay after the first failed attempt. It doubles with each attempt. The actual delay is drawn
    /// uniformly between zero and the maximum. Default: 500 ms.
    pub base_delay: Duration,
    /// Maximum delay between two attempts. If the server requests a longer one (`Retry-After`), the call fails.
    /// Default: 60 s.
    pub max_delay: Duration,
    /// Maximum duration of a call, including delays. Default: 300 s.
    pub call_limit: Duration,
    /// Maximum time without data from the server, after which an attempt fails. Default: 120 s.
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
    /// Returns the default policy.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`RetryPolicy::max_attempts`].
    #[must_use]
    pub fn max_attempts(mut self, max_attempts: u32) -> Self {
        self.max_attempts = max_attempts;
        self
    }

    /// Sets [`RetryPolicy::base_delay`].
    #[must_use]
    pub fn base_delay(mut self, delay: Duration) -> Self {
        self.base_delay = delay;
        self
    }

    /// Sets [`RetryPolicy::max_delay`].
    #[must_use]
    pub fn max_delay(mut self, delay: Duration) -> Self {
        self.max_delay = delay;
        self
    }

    /// Sets [`RetryPolicy::call_limit`].
    #[must_use]
    pub fn call_limit(mut self, limit: Duration) -> Self {
        self.call_limit = limit;
        self
    }

    /// Sets [`RetryPolicy::stall_limit`].
    #[must_use]
    pub fn stall_limit(mut self, limit: Duration) -> Self {
        self.stall_limit = limit;
        self
    }

    /// Returns the maximum delay after the failed attempt `attempt`, counted from 1.
    fn ceiling(&self, attempt: u32) -> Duration {
        let factor = 2u32.saturating_pow(attempt.saturating_sub(1));
        self.base_delay.saturating_mul(factor).min(self.max_delay)
    }

    fn backoff(&self, attempt: u32) -> Duration {
        self.ceiling(attempt).mul_f64(random_fraction())
    }
}

/// Returns a uniform random number from [0, 1).
fn random_fraction() -> f64 {
    // Without a random source the middle is as good as any other delay.
    let draw = getrandom::u64().unwrap_or(u64::MAX / 2);
    (draw >> 11) as f64 / (1u64 << 53) as f64
}

/// A failed attempt.
#[derive(Debug)]
pub(super) struct FailedAttempt {
    /// The error to return if there is no retry.
    pub error: Box<ModelError>,
    /// Set if a retry may succeed.
    pub retry: Option<RetryAdvice>,
}

/// Reason and time of a retry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RetryAdvice {
    pub reason: String,
    /// Delay that the server requests.
    pub after: Option<Duration>,
}

impl FailedAttempt {
    /// Returns a failure that a retry would only repeat.
    pub fn permanent(error: ModelError) -> Self {
        Self {
            error: Box::new(error),
            retry: None,
        }
    }

    /// Returns a failure that a retry may resolve. `after` is the delay that the server requests.
    pub fn transient(error: ModelError, reason: String, after: Option<Duration>) -> Self {
        Self {
            error: Box::new(error),
            retry: Some(RetryAdvice { reason, after }),
        }
    }
}

/// Calls `attempt` with the number of the attempt, counted from 1, until it succeeds, fails permanently, or reaches a
/// limit of `policy`. Calls `watch` before each delay.
pub(super) async fn run<T, A, F>(
    policy: &RetryPolicy,
    address: &str,
    watch: Watch<'_>,
    attempt: A,
) -> Result<T, ModelError>
where
    A: Fn(u32) -> F,
    F: Future<Output = Result<T, FailedAttempt>>,
{
    let start = Instant::now();
    // If the clock cannot represent the deadline, 30 years are used.
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
        let Some(RetryAdvice { reason, after }) = failure.retry else {
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
        tracing::debug!(address, attempt = number, ?wait, reason, "retrying");
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

/// Returns the delay that a server requests: `retry-after-ms`, or `Retry-After` as seconds or a date. `now` is the
/// current time, for a date.
pub(super) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
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

    fn failure(after: Option<Duration>) -> FailedAttempt {
        let error = ModelError::RateLimited {
            address: "a".into(),
            attempts: 0,
            message: String::new(),
        };
        FailedAttempt::transient(error, "429".into(), after)
    }

    #[test]
    fn a_requested_delay_is_parsed_in_each_format() {
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
            let wait = retry_after(&headers(pairs), now);
            assert_eq!(wait, expected.map(Duration::from_millis), "{pairs:?}");
        }
    }

    #[test]
    fn backoff_doubles_up_to_its_maximum_and_has_jitter() {
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
    async fn delays_are_reported_and_the_last_error_is_returned() {
        let policy = RetryPolicy {
            max_attempts: 3,
            ..RetryPolicy::default()
        };
        let seen = Mutex::new(Vec::new());
        let watch = |event: ModelEvent<'_>| {
            if let ModelEvent::Retry { attempt, wait, .. } = event {
                seen.lock().unwrap().push((attempt, wait));
            }
        };
        let attempts = Cell::new(0);
        let result: Result<(), _> = run(&policy, "a", &watch, |_| {
            attempts.set(attempts.get() + 1);
            async { Err(failure(Some(Duration::from_secs(2)))) }
        })
        .await;
        assert!(matches!(result, Err(ModelError::RateLimited { .. })));
        assert_eq!(attempts.get(), 3);
        let two = Duration::from_secs(2);
        assert_eq!(*seen.lock().unwrap(), [(1, two), (2, two)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_delay_above_a_limit_fails_without_a_wait() {
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
    async fn the_time_limit_error_has_the_last_failure() {
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
