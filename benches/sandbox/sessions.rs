//! Checkpoints, forks and sessions on disk.

use std::time::Instant;

use codeact::sandbox::{Session, Snapshot};
use serde_json::{Value, json};

use super::{Bench, Failure, millis, percentile, proportional_set_size, round};

pub const NAMES: [&str; 6] = [
    "checkpoint",
    "checkpoint_big",
    "fork",
    "thousand_forks",
    "restore_disk",
    "ten_turns",
];

impl Bench {
    pub fn session_row(&self, name: &str) -> Result<Value, Failure> {
        match name {
            "checkpoint" => self.checkpoint(name, "x = 0", "a small session"),
            "checkpoint_big" => {
                let array = "import numpy as np; big = np.ones(25_000_000); x = 0";
                self.checkpoint(name, array, "a session with an array of 200 MB")
            }
            "fork" => self.fork(),
            "thousand_forks" => self.thousand_forks(),
            "restore_disk" => self.restore_disk(),
            _ => self.ten_turns(),
        }
    }

    fn prepared_session(&self, code: &str) -> Result<Session, Failure> {
        let mut session = self.roomy()?.session()?;
        self.completed(&mut session, code)?;
        // The array becomes part of the state before the measured turns.
        self.completed(&mut session, "x = 0")?;
        session.checkpoint()?;
        Ok(session)
    }

    fn roomy(&self) -> Result<codeact::Sandbox, Failure> {
        let limits = codeact::sandbox::Limits::new().with_memory(1 << 30);
        let builder = codeact::Sandbox::builder().limits(limits);
        Ok(self.runtime.block_on(builder.build())?)
    }

    /// Measures a checkpoint after a small turn.
    fn checkpoint(&self, name: &str, begin: &str, note: &str) -> Result<Value, Failure> {
        let mut session = self.prepared_session(begin)?;
        let mut times = Vec::new();
        for _ in 0..self.times(100) {
            self.completed(&mut session, "x += 1")?;
            let begun = Instant::now();
            let snapshot = session.checkpoint()?;
            times.push(millis(begun));
            drop(snapshot);
        }
        Ok(figure(name, &mut times, note))
    }

    fn fork(&self) -> Result<Value, Failure> {
        let code = "import numpy as np, pandas as pd; big = np.ones(12_500_000); x = 0";
        let mut session = self.prepared_session(code)?;
        let mut times = Vec::new();
        for _ in 0..self.times(100) {
            self.completed(&mut session, "x += 1")?;
            let begun = Instant::now();
            let fork = session.fork()?;
            times.push(millis(begun));
            drop(fork);
        }
        Ok(figure(
            "fork",
            &mut times,
            "a session with an array of 100 MB, after a small turn",
        ))
    }

    /// Measures the host memory of a thousand forks, each of which has run a turn.
    fn thousand_forks(&self) -> Result<Value, Failure> {
        let forks = if self.args.quick { 100 } else { 1000 };
        let code = "import numpy as np, pandas as pd; big = np.ones(12_500_000); x = 0";
        let session = self.prepared_session(code)?;
        let before = proportional_set_size();
        let mut alive = Vec::new();
        for i in 0..forks {
            let mut fork = session.fork()?;
            self.completed(&mut fork, &format!("x = {i}; big[x] = x"))?;
            alive.push(fork);
        }
        let value = before
            .zip(proportional_set_size())
            .map(|(before, after)| (after - before) / 1024.0);
        Ok(json!({
            "name": "thousand_forks",
            "value": value.map(|mib| round(mib * 1000.0 / f64::from(forks))),
            "unit": "MiB",
            "against": null,
            "ratio": null,
            "note": format!("{forks} forks of a session with an array of 100 MB, a turn run in each"),
        }))
    }

    /// Measures the time from opening a file to the result of `x + 1`.
    fn restore_disk(&self) -> Result<Value, Failure> {
        let dir = std::env::temp_dir().join(format!("codeact-bench-{}", std::process::id()));
        std::fs::create_dir_all(&dir)?;
        let path = dir.join("session.snapshot");
        let mut session = self.sandbox.session()?;
        self.completed(&mut session, "x = 41")?;
        session.checkpoint()?.save(&path)?;
        let mut times = Vec::new();
        for _ in 0..self.times(50) {
            let begun = Instant::now();
            let mut session = Snapshot::load(&self.sandbox, &path)?.session();
            let execution = self.runtime.block_on(session.run("x + 1"))?;
            times.push(millis(begun));
            if execution.result.as_deref() != Some("42") {
                return Err(format!("expected 42, got {execution:?}").into());
            }
        }
        std::fs::remove_dir_all(&dir)?;
        Ok(figure(
            "restore_disk",
            &mut times,
            "a small session, from a file, in a running process",
        ))
    }

    /// Measures ten turns with a checkpoint after each.
    fn ten_turns(&self) -> Result<Value, Failure> {
        let mut times = Vec::new();
        for _ in 0..self.times(100) {
            let begun = Instant::now();
            let mut session = self.sandbox.session()?;
            let mut checkpoints = Vec::new();
            for turn in 0..10 {
                let code = match turn {
                    0 => "x = 0",
                    9 => "print(x)",
                    _ => "x += 1",
                };
                self.completed(&mut session, code)?;
                checkpoints.push(session.checkpoint()?);
            }
            times.push(millis(begun));
        }
        Ok(figure(
            "ten_turns",
            &mut times,
            "ten turns in a new session, a checkpoint after each",
        ))
    }
}

fn figure(name: &str, times: &mut [f64], note: &str) -> Value {
    json!({
        "name": name,
        "value": round(percentile(times, 50)),
        "unit": "ms",
        "against": null,
        "ratio": null,
        "p95": round(percentile(times, 95)),
        "note": note,
    })
}
