//! Measurements of the sandbox within one process, each relative to another one of the same run.
//!
//! `cargo bench --bench sandbox -- [NAME…] [--quick] [--python PATH] [--pandas-python PATH]` prints
//! one JSON object per line: `name`, `value`, `unit`, `against`, `ratio` (value divided by against,
//! `null` without one) and fields that explain them. The two sides alternate (A B A B …) and the
//! figures are medians, so that a slow phase of the machine affects both. `scripts/bench` selects the
//! interpreters, adds the measurements of whole processes and prints a table.

mod metering;
mod sessions;
mod tools;

use std::hint::black_box;
use std::process::{Command, Stdio};
use std::sync::Barrier;
use std::time::{Duration, Instant};

use codeact::Sandbox;
use codeact::sandbox::{Execution, Outcome, Session};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

type Failure = Box<dyn std::error::Error>;

const NAMES: [&str; 5] = [
    "fresh_run",
    "fresh_run_pandas",
    "two_threads",
    "idle_sandbox",
    "tree_copy",
];

fn main() -> Result<(), Failure> {
    let args = Args::parse(std::env::args().skip(1))?;
    if !args.bench {
        // `cargo test --all-targets` does not measure.
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let sandbox = runtime.block_on(Sandbox::new())?;
    let bench = Bench {
        sandbox,
        runtime,
        args,
    };
    for name in (NAMES.into_iter())
        .chain(sessions::NAMES)
        .chain(metering::NAMES)
        .chain(tools::NAMES)
    {
        if bench.args.names.is_empty() || bench.args.names.iter().any(|n| n == name) {
            println!("{}", bench.row(name)?);
        }
    }
    Ok(())
}

#[derive(Default)]
struct Args {
    names: Vec<String>,
    quick: bool,
    /// Set by `cargo bench`.
    bench: bool,
    /// Native interpreters to compare with.
    python: Option<String>,
    pandas_python: Option<String>,
}

impl Args {
    fn parse(mut typed: impl Iterator<Item = String>) -> Result<Self, Failure> {
        let mut args = Self::default();
        while let Some(arg) = typed.next() {
            match arg.as_str() {
                "--bench" => args.bench = true,
                "--quick" => args.quick = true,
                "--python" => args.python = typed.next(),
                "--pandas-python" => args.pandas_python = typed.next(),
                name if NAMES.contains(&name)
                    || sessions::NAMES.contains(&name)
                    || metering::NAMES.contains(&name)
                    || tools::NAMES.contains(&name) =>
                {
                    args.names.push(arg);
                }
                other => {
                    let known = [
                        &NAMES[..],
                        &sessions::NAMES[..],
                        &metering::NAMES[..],
                        &tools::NAMES[..],
                    ];
                    let known = known.concat().join(", ");
                    return Err(format!("unknown: {other}; known: {known}").into());
                }
            }
        }
        Ok(args)
    }
}

struct Bench {
    sandbox: Sandbox,
    runtime: Runtime,
    args: Args,
}

impl Bench {
    fn row(&self, name: &str) -> Result<Value, Failure> {
        match name {
            "fresh_run" => self.fresh_run(),
            "fresh_run_pandas" => self.fresh_run_pandas(),
            "two_threads" => self.two_threads(),
            "tree_copy" => self.tree_copy(),
            name if sessions::NAMES.contains(&name) => self.session_row(name),
            name if metering::NAMES.contains(&name) => self.metering_row(name),
            name if tools::NAMES.contains(&name) => self.tools_row(name),
            _ => self.idle_sandbox(),
        }
    }

    /// Returns the number of repetitions: `full`, or fewer with `--quick`.
    fn times(&self, full: usize) -> usize {
        if self.args.quick {
            full.div_ceil(5)
        } else {
            full
        }
    }

    fn fresh_run(&self) -> Result<Value, Failure> {
        let code = "print(1+1)";
        let python = self.args.python.as_deref().map(|path| (path, code));
        self.against_process("fresh_run", code, python, None)
    }

    fn fresh_run_pandas(&self) -> Result<Value, Failure> {
        let code = "import pandas; print(1+1)";
        let (python, note) = match (&self.args.pandas_python, &self.args.python) {
            (Some(path), _) => (Some((path.as_str(), code)), None),
            // A bound in favour of the native side.
            (None, Some(path)) => (
                Some((path.as_str(), "print(1+1)")),
                Some("native without pandas"),
            ),
            (None, None) => (None, None),
        };
        self.against_process("fresh_run_pandas", code, python, note)
    }

    /// Compares fresh sessions on one thread with fresh processes.
    fn against_process(
        &self,
        name: &str,
        code: &str,
        native: Option<(&str, &str)>,
        note: Option<&str>,
    ) -> Result<Value, Failure> {
        /// Runs in a pair. A process takes much longer, so that a pair has several runs.
        const RUNS_A_PAIR: usize = 20;
        let run = || self.sandbox.run_blocking(code);
        for _ in 0..50 {
            printed_two(&run()?)?;
        }
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        let (mut fuel, mut inside) = (0, Vec::new());
        for _ in 0..self.times(50) {
            for _ in 0..RUNS_A_PAIR {
                let begun = Instant::now();
                let execution = black_box(run()?);
                ours.push(millis(begun));
                printed_two(&execution)?;
                fuel = execution.usage.fuel;
                inside.push(execution.usage.wall.as_secs_f64() * 1e3);
            }
            if let Some((path, code)) = native {
                let begun = Instant::now();
                native_process(path, code)?;
                theirs.push(millis(begun));
            }
        }
        let value = percentile(&mut ours, 50);
        let against = native.is_some().then(|| percentile(&mut theirs, 50));
        Ok(json!({
            "name": name,
            "value": round(value),
            "unit": "ms",
            "against": against.map(round),
            "ratio": against.map(|native| round(value / native)),
            "p95": round(percentile(&mut ours, 95)),
            "turn": round(percentile(&mut inside, 50)),
            "fuel": fuel,
            "against_what": native.map(|(path, code)| format!("{path} -c '{code}'")),
            "note": note,
        }))
    }

    /// Compares the runs per second of two threads with those of one.
    fn two_threads(&self) -> Result<Value, Failure> {
        const SLICE: Duration = Duration::from_millis(400);
        let (mut one, mut two) = (Vec::new(), Vec::new());
        self.runs_per_second(2, SLICE)?;
        for _ in 0..self.times(15) {
            one.push(self.runs_per_second(1, SLICE)?);
            two.push(self.runs_per_second(2, SLICE)?);
        }
        let (value, against) = (percentile(&mut two, 50), percentile(&mut one, 50));
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(json!({
            "name": "two_threads",
            "value": round(value),
            "unit": "runs/s",
            "against": round(against),
            "ratio": round(value / against),
            "against_what": "one thread",
            "note": format!("{cores} cores"),
        }))
    }

    fn runs_per_second(&self, threads: usize, slice: Duration) -> Result<f64, Failure> {
        let barrier = Barrier::new(threads);
        let work = || -> Result<f64, String> {
            barrier.wait();
            let begun = Instant::now();
            let mut runs = 0;
            while begun.elapsed() < slice {
                let execution = self.sandbox.run_blocking("print(1+1)");
                black_box(&execution)
                    .as_ref()
                    .map_err(ToString::to_string)?;
                runs += 1;
            }
            Ok(f64::from(runs) / begun.elapsed().as_secs_f64())
        };
        std::thread::scope(|scope| {
            let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            let mut sum = 0.0;
            for thread in running {
                sum += thread.join().map_err(|_| "a thread panicked")??;
            }
            Ok(sum)
        })
    }

    /// Measures the host memory of an idle session that has run one trivial turn.
    fn idle_sandbox(&self) -> Result<Value, Failure> {
        let sessions = self.times(50);
        let mut idle = Vec::new();
        // The first sessions allocate the memory that all share.
        for _ in 0..3 {
            idle.push(self.idle_session()?);
        }
        let before = proportional_set_size();
        for _ in 0..sessions {
            idle.push(self.idle_session()?);
        }
        let value = before
            .zip(proportional_set_size())
            .map(|(before, after)| (after - before) / sessions as f64 / 1024.0);
        drop(idle);
        Ok(json!({
            "name": "idle_sandbox",
            "value": value.map(round),
            "unit": "MiB",
            "against": null,
            "ratio": null,
            "note": match value {
                Some(_) => format!("{sessions} sessions"),
                None => "only Linux reports the proportional set size".to_owned(),
            },
        }))
    }

    /// Measures the cost of 1,000 files for a turn that changes one of them: each turn starts with a copy of the
    /// tree, and the first change copies shared nodes.
    fn tree_copy(&self) -> Result<Value, Failure> {
        const FILES: u32 = 1000;
        const MAKE: &str = "
def change():
    with open('0.txt', 'r+') as file: file.write('x')
for i in range(FILES):
    with open(f'{i}.txt', 'w') as file: file.write('a file')
";
        let session = |files: u32| -> Result<Session, Failure> {
            let mut session = self.sandbox.session()?;
            let code = MAKE.replace("FILES", &files.to_string());
            self.completed(&mut session, &code)?;
            Ok(session)
        };
        let (mut many, mut one) = (session(FILES)?, session(1)?);
        let (mut with_many, mut with_one) = (Vec::new(), Vec::new());
        for _ in 0..self.times(400) {
            for (session, times) in [(&mut many, &mut with_many), (&mut one, &mut with_one)] {
                let begun = Instant::now();
                self.completed(session, "change()")?;
                times.push(millis(begun) * 1e3);
            }
        }
        let (many, one) = (
            percentile(&mut with_many, 50),
            percentile(&mut with_one, 50),
        );
        Ok(json!({
            "name": "tree_copy",
            "value": round(many - one),
            "unit": "us",
            "against": null,
            "ratio": null,
            "note": format!(
                "a turn that changes one of {FILES} files takes {many:.0} us, one of 1 file {one:.0} us"
            ),
        }))
    }

    fn completed(&self, session: &mut Session, code: &str) -> Result<(), Failure> {
        let execution = self.runtime.block_on(session.run(code))?;
        match execution.outcome {
            Outcome::Completed => Ok(()),
            other => Err(format!("`{code}` ended with {other:?}").into()),
        }
    }

    fn idle_session(&self) -> Result<Session, Failure> {
        let mut session = self.sandbox.session()?;
        self.completed(&mut session, "x = 1")?;
        Ok(session)
    }
}

fn printed_two(execution: &Execution) -> Result<(), Failure> {
    if execution.outcome == Outcome::Completed && execution.stdout.text == "2\n" {
        return Ok(());
    }
    Err(format!("expected the output 2, got {execution:?}").into())
}

fn native_process(python: &str, code: &str) -> Result<(), Failure> {
    let output = Command::new(python)
        .args(["-c", code])
        .stdin(Stdio::null())
        .output()?;
    if output.status.success() && output.stdout == b"2\n" {
        return Ok(());
    }
    Err(format!("expected the output 2 of {python}, got {output:?}").into())
}

/// Returns the proportional set size of this process, in KiB: its own memory and its share of shared memory.
fn proportional_set_size() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/smaps_rollup").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}

fn millis(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

fn percentile(values: &mut [f64], percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    values[(values.len() - 1) * percent / 100]
}

fn round(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}
