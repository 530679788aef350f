//! A tool, which is a host function that the code can call: `cargo run --example tools`.

use codeact::Sandbox;
use codeact::tools::{Tool, ToolFailure, Tools, schemars};

#[derive(serde::Deserialize, schemars::JsonSchema)]
#[schemars(crate = "codeact::tools::schemars")]
struct Query {
    /// Its name in the shop
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
    let tools = Tools::new().tool(price)?;
    let sandbox = Sandbox::builder().tools(tools).build().await?;
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
