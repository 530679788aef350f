//! A function of the host that code in the sandbox calls: `cargo run --example tools`.

use codeact::Sandbox;
use codeact::tools::{Tool, ToolFailure, Tools};

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Query {
    /// What it is called in the shop
    item: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let price = Tool::new(
        "price",
        "The price of an item in euros",
        |query: Query| async move {
            match &*query.item {
                "pear" => Ok(1.5),
                "plum" => Ok(0.25),
                item => Err(ToolFailure::new(format!("there is no {item} in the shop"))),
            }
        },
    )?;
    let sandbox = Sandbox::new().await?.tools(Tools::new().tool(price)?);
    let code = "
import asyncio
help(tools.price)
print(sum(await asyncio.gather(*[tools.price.aio(item) for item in ('pear', 'plum')])))
try:
    tools.price('kiwi')
except ToolError as error:
    print(error)";
    print!("{}", sandbox.run(code).await?.stdout.text);
    Ok(())
}
