//! Tool calls.

use std::time::{Duration, Instant};

use codeact::Sandbox;
use codeact::tools::{Bytes, Tool, Tools};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Bench, Failure, millis, percentile, round};

pub const NAMES: [&str; 4] = ["tool_call", "tool_bytes", "gather", "start_200_tools"];

#[derive(Deserialize, JsonSchema)]
struct Number {
    n: i64,
}

#[derive(Deserialize, JsonSchema)]
struct Data {
    data: Bytes,
}

impl Bench {
    pub fn tools_row(&self, name: &str) -> Result<Value, Failure> {
        match name {
            "tool_call" => self.tool_call(),
            "tool_bytes" => self.tool_bytes(),
            "gather" => self.gather(),
            _ => self.start_200_tools(),
        }
    }

    /// Returns a sandbox with three tools.
    fn with_tools(&self) -> Result<Sandbox, Failure> {
        let next = Tool::new("next", "The next number", |number: Number| async move {
            Ok(number.n + 1)
        })?;
        let turned = Tool::new("turned", "The bytes in reverse", |data: Data| async move {
            let mut bytes = data.data;
            bytes.0.reverse();
            Ok(bytes)
        })?;
        let slow = Tool::new("slow", "Waits 100 ms", |number: Number| async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            Ok(number.n)
        })?;
        let tools = Tools::new().tool(next)?.tool(turned)?.tool(slow)?;
        Ok(self.sandbox.derive().tools(tools).build()?)
    }

    /// Runs `code` in a fresh session and returns its result, a list of numbers.
    fn numbers(&self, sandbox: &Sandbox, code: &str) -> Result<Vec<f64>, Failure> {
        let execution = self.runtime.block_on(sandbox.run(code))?;
        let result = execution
            .result
            .ok_or_else(|| format!("no result: {:?}", execution.outcome))?;
        Ok(serde_json::from_str(&result)?)
    }

    /// Compares a tool call with a call of a Python function, in microseconds.
    fn tool_call(&self) -> Result<Value, Failure> {
        let times = self.times(2000);
        let code = format!(
            "
import time
def plain(n):
    return n + 1
def many(f, count=100):
    begun = time.perf_counter_ns()
    for n in range(count): f(n=n)
    return (time.perf_counter_ns() - begun) / count / 1000
# The guest's clock has a resolution of 20 µs, so it measures a hundred calls.
both = [(many(tools.next), many(plain)) for _ in range({times} // 100)]
[one for pair in both for one in pair]"
        );
        let all = self.numbers(&self.with_tools()?, &code)?;
        let (tool, plain) = medians(&all);
        Ok(json!({
            "name": "tool_call", "value": round(tool), "unit": "us", "against": round(plain),
            "ratio": round(tool / plain), "against_what": "a Python function",
        }))
    }

    /// Compares sending 1 MiB to a tool and back with copying it twice, in milliseconds.
    fn tool_bytes(&self) -> Result<Value, Failure> {
        // The limit of a turn is 64 MiB.
        let times = self.times(25);
        let code = format!(
            "
import os, time
data = os.urandom(1 << 20)
assert tools.turned(data=data) == data[::-1]
all = []
for _ in range({times}):
    begun = time.perf_counter_ns()
    tools.turned(data=data)
    middle = time.perf_counter_ns()
    bytes(bytearray(data))
    all += [(middle - begun) / 1e6, (time.perf_counter_ns() - middle) / 1e6]
all"
        );
        let all = self.numbers(&self.with_tools()?, &code)?;
        let (tool, copy) = medians(&all);
        Ok(json!({
            "name": "tool_bytes", "value": round(tool), "unit": "ms", "against": round(copy),
            "ratio": round(tool / copy), "against_what": "two copies in Python",
        }))
    }

    /// Compares twenty concurrent calls that wait 100 ms each with one.
    fn gather(&self) -> Result<Value, Failure> {
        let times = self.times(10);
        let code = format!(
            "
import asyncio, time
all = []
for _ in range({times}):
    begun = time.perf_counter_ns()
    got = await asyncio.gather(*[tools.slow.aio(n=n) for n in range(20)])
    middle = time.perf_counter_ns()
    assert got == list(range(20))
    tools.slow(n=0)
    all += [(middle - begun) / 1e6, (time.perf_counter_ns() - middle) / 1e6]
all"
        );
        let all = self.numbers(&self.with_tools()?, &code)?;
        let (twenty, one) = medians(&all);
        Ok(json!({
            "name": "gather", "value": round(twenty), "unit": "ms", "against": round(one),
            "ratio": round(twenty / one), "against_what": "one such call",
        }))
    }

    /// Compares a fresh run with 200 tools with one without tools.
    fn start_200_tools(&self) -> Result<Value, Failure> {
        let mut tools = Tools::new();
        for n in 0..200 {
            let name = format!("shop{}.tool_{n}", n % 10);
            tools = tools.tool(Tool::new(
                name,
                "One of many",
                |number: Number| async move { Ok(number.n) },
            )?)?;
        }
        let many = self.sandbox.derive().tools(tools).build()?;
        let (mut with, mut without) = (Vec::new(), Vec::new());
        for sandbox in [&many, &self.sandbox] {
            self.runtime.block_on(sandbox.run("print(1+1)"))?;
        }
        for _ in 0..self.times(500) {
            for (sandbox, times) in [(&many, &mut with), (&self.sandbox, &mut without)] {
                let begun = Instant::now();
                let execution = self.runtime.block_on(sandbox.run("print(1+1)"))?;
                times.push(millis(begun));
                assert_eq!(execution.stdout.text, "2\n");
            }
        }
        let (with, without) = (percentile(&mut with, 50), percentile(&mut without, 50));
        Ok(json!({
            "name": "start_200_tools", "value": round(with), "unit": "ms", "against": round(without),
            "ratio": round(with / without), "against_what": "a fresh run without tools",
        }))
    }
}

/// Returns the medians of both sides of `pairs`, which are flattened.
fn medians(pairs: &[f64]) -> (f64, f64) {
    let of = |which: usize| {
        let mut one: Vec<_> = pairs.iter().skip(which).step_by(2).copied().collect();
        percentile(&mut one, 50)
    };
    (of(0), of(1))
}
