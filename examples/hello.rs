//! A sandbox in five lines: `cargo run --example hello`.

use codeact::{Sandbox, SandboxError};

#[tokio::main]
async fn main() -> Result<(), SandboxError> {
    let sandbox = Sandbox::new().await?;
    let execution = sandbox.run("print('hello'); 6 * 7").await?;
    print!("{}", execution.stdout.text);
    println!("{:?}", execution.result);
    Ok(())
}
