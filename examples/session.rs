//! Turns that share their variables, and one that is rolled back: `cargo run --example session`.

use std::time::Duration;

use codeact::sandbox::{Limits, Turn};
use codeact::{Sandbox, SandboxError};

#[tokio::main]
async fn main() -> Result<(), SandboxError> {
    let mut session = Sandbox::new().await?.session()?;
    session.run("squares = [n * n for n in range(5)]").await?;

    let short = Limits::new().with_wall(Duration::from_millis(200));
    let endless = Turn::new("squares.clear()\nwhile True: pass").limits(short);
    println!("{:?}", session.run(endless).await?.outcome);

    // The list is as it was before the stopped turn.
    println!("{:?}", session.run("squares").await?.result);
    Ok(())
}
