//! An agent with whatever model the environment names: `cargo run --example agent -- "a task"`.

use codeact::{Agent, Sandbox, llm};

#[tokio::main]
async fn main() -> Result<(), codeact::Error> {
    let task = std::env::args().nth(1);
    let task = task
        .as_deref()
        .unwrap_or("What is the 1000th prime number?");
    let env = |name: &str| std::env::var(name).ok();
    let model = llm::resolve(llm::ModelOptions::default(), &env)
        .await?
        .model;
    let run = Agent::new(model, Sandbox::new().await?).run(task).await?;
    println!("{:?} after {} steps", run.answer(), run.steps.len());
    Ok(())
}
