//! An agent with the model that the environment configures: `cargo run --example agent -- "a task"`.

use codeact::{Agent, Sandbox, llm};

#[tokio::main]
async fn main() -> Result<(), codeact::agent::AgentError> {
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
