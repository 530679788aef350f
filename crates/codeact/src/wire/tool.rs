//! Descriptions of tools.

use codeact_tools::Tool;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A tool that code in a sandbox can call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ToolJson {
    /// The name in Python, below `tools`, such as `shop.price`.
    pub name: String,
    /// The signature in Python, such as `shop.price(item: str) -> float`.
    pub signature: String,
    /// The description.
    pub description: String,
    /// The JSON Schema of the arguments.
    pub input_schema: Value,
    /// The JSON Schema of the result; `null` if it is not known.
    pub output_schema: Option<Value>,
}

impl From<&Tool> for ToolJson {
    fn from(tool: &Tool) -> Self {
        Self {
            name: tool.name().to_owned(),
            signature: tool.signature(),
            description: tool.description().to_owned(),
            input_schema: tool.args_schema().clone(),
            output_schema: tool.result_schema().cloned(),
        }
    }
}
