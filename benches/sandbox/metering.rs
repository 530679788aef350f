//! The latency of stopping a guest, and of short runs next to busy ones.

use std::time::{Duration, Instant};

use codeact::sandbox::{Cancel, Limits, Outcome, Turn};
use serde_json::{Value, json};

use super::{Bench, Failure, millis, percentile, round};

pub const NAMES: [&str; 2] = ["stop_latency", "fairness"];

/// Code that does not terminate, or not soon.
const ENDLESS: [(&str, &str); 7] = [
    ("python", "while True: pass"),
    (
        "recursion",
        "def f(n):\n    if n: f(n - 1); f(n - 1)\nf(60)",
    ),
    ("bigint", "10**10**8"),
    ("regex", "import re; re.match('(a*)*b', 'a' * 60)"),
    (
        "numpy",
        "import numpy as np; a = np.ones(3_000_000)\nwhile True: np.sin(a)",
    ),
    (
        "sorted",
        "sorted(range(5_000_000), key=lambda n: n * 7919 % 10007)",
    ),
    (
        "memory",
        "a, b = bytearray(150 << 20), bytes(150 << 20)\nwhile True: a[:] = b",
    ),
];

/// Number of guests that keep the processor busy.
const BUSY: usize = 100;

impl Bench {
    pub fn metering_row(&self, name: &str) -> Result<Value, Failure> {
        match name {
            "stop_latency" => self.stop_latency(),
            _ => self.fairness(),
        }
    }

    /// Measures the time from the moment when a turn should stop, because of its wall time or a cancellation, to its end.
    fn stop_latency(&self) -> Result<Value, Failure> {
        let mut all = Vec::new();
        let mut kinds = serde_json::Map::new();
        for (kind, code) in ENDLESS {
            let mut times = Vec::new();
            for i in 0..self.times(200) {
                let after = Duration::from_millis(20 + i as u64 % 20);
                let time = match i % 2 {
                    0 => self.timed_out(code, after)?,
                    _ => self.cancelled(code, after)?,
                };
                times.push(time);
            }
            let p50 = round(percentile(&mut times, 50));
            let max = round(percentile(&mut times, 100));
            kinds.insert(kind.into(), json!({ "p50": p50, "max": max }));
            all.append(&mut times);
        }
        Ok(json!({
            "name": "stop_latency",
            "value": round(percentile(&mut all, 50)),
            "unit": "ms",
            "against": null,
            "ratio": null,
            "p95": round(percentile(&mut all, 95)),
            "max": round(percentile(&mut all, 100)),
            "kinds": kinds,
            "note": format!("maximum {:.1} ms; alternately by wall time and by cancellation", percentile(&mut all, 100)),
        }))
    }

    fn timed_out(&self, code: &str, after: Duration) -> Result<f64, Failure> {
        let limits = Limits::new().with_wall(after);
        let begun = Instant::now();
        let turn = Turn::new(code).limits(limits);
        let execution = self.runtime.block_on(self.sandbox.run(turn))?;
        let late = millis(begun) - after.as_secs_f64() * 1e3;
        match execution.outcome {
            Outcome::TimedOut { .. } => Ok(late),
            other => Err(format!("expected a time-out, got {other:?}").into()),
        }
    }

    fn cancelled(&self, code: &str, after: Duration) -> Result<f64, Failure> {
        let cancel = Cancel::new();
        let turn = Turn::new(code).cancel(cancel.clone());
        let caller = std::thread::spawn(move || {
            std::thread::sleep(after);
            let now = Instant::now();
            cancel.cancel();
            now
        });
        let execution = self.runtime.block_on(self.sandbox.run(turn))?;
        let ended = Instant::now();
        let called = caller.join().map_err(|_| "the caller failed")?;
        match execution.outcome {
            Outcome::Cancelled => Ok((ended - called).as_secs_f64() * 1e3),
            other => Err(format!("expected a cancelled turn, got {other:?}").into()),
        }
    }

    /// Measures a short run every 10 ms while a hundred guests are busy.
    fn fairness(&self) -> Result<Value, Failure> {
        let cancel = Cancel::new();
        let limits = Limits::new().with_wall(Duration::from_secs(600));
        let busy: Vec<_> = (0..BUSY)
            .map(|_| {
                let turn = Turn::new("while True: pass").limits(limits.clone());
                let (sandbox, turn) = (self.sandbox.clone(), turn.cancel(cancel.clone()));
                std::thread::spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().build();
                    runtime.map(|runtime| runtime.block_on(sandbox.run(turn)).is_ok())
                })
            })
            .collect();
        // Until all of them run.
        std::thread::sleep(Duration::from_secs(2));
        let mut times = Vec::new();
        for _ in 0..self.times(300) {
            let begun = Instant::now();
            let execution = self.runtime.block_on(self.sandbox.run("6 * 7"))?;
            times.push(millis(begun));
            if execution.result.as_deref() != Some("42") {
                return Err(format!("expected 42, got {execution:?}").into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        cancel.cancel();
        for guest in busy {
            if !matches!(guest.join(), Ok(Ok(true))) {
                return Err("a busy guest failed".into());
            }
        }
        Ok(json!({
            "name": "fairness",
            "value": round(percentile(&mut times, 99)),
            "unit": "ms",
            "against": null,
            "ratio": null,
            "p50": round(percentile(&mut times, 50)),
            "note": format!("p99 of a short run next to {BUSY} busy guests"),
        }))
    }
}
