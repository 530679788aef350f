//! Turns that share their variables, and one that is taken back: `cargo run --example session`.

use std::time::Duration;

use codeact::Sandbox;
use codeact::sandbox::{Limits, Turn};

#[tokio::main]
async fn main() -> Result<(), codeact::Error> {
    let mut session = Sandbox::new().await?.session()?;
    session.run("squares = [n * n for n in range(5)]").await?;

    let mut short = Limits::default();
    short.wall = Duration::from_millis(200);
    let endless = Turn::new("squares.clear()\nwhile True: pass").limits(short);
    println!("{:?}", session.run(endless).await?.outcome);

    // As if the stopped turn had never been.
    println!("{:?}", session.run("squares").await?.result);
    Ok(())
}
