//! The list of a server's tools, and the tools for Python: those of the list, and two for resources.

use std::collections::HashSet;
use std::sync::{Arc, Weak};

use rmcp::model::{
    ClientRequest, ListToolsRequest, PaginatedRequestParams, ServerResult, Tool as ToolDescription,
};
use rmcp::service::PeerRequestOptions;
use rmcp::{Peer, RoleClient, ServiceError};
use serde_json::{Map, Value, json};

use codeact_sandbox::Payload;

use crate::names::{ToolMap, inside};
use crate::source::BoxFuture;
use crate::tool::{Tool, ToolFailure, ToolLimits};

/// Largest number of tools of a server.
const MAX_TOOLS: usize = 1000;
/// Largest number of pages of a list.
pub(super) const MAX_PAGES: usize = 100;
/// Largest size of a list, in bytes.
const MAX_LIST_BYTES: usize = 32 << 20;
/// Largest size of the name of a tool, in bytes.
const MAX_NAME_BYTES: usize = 200;
/// Largest number of reported refusals of one list.
const MAX_REFUSALS: usize = 20;

/// Calls of a server that its tools make.
pub(super) trait CallTarget: Send + Sync {
    /// Calls a tool by its name on the server. If `wrapped`, its result is unwrapped. Dropping the future cancels the
    /// call.
    fn call(
        self: Arc<Self>,
        tool: Arc<str>,
        args: Map<String, Value>,
        wrapped: bool,
    ) -> BoxFuture<Result<Payload, ToolFailure>>;
    /// Returns the list of resources.
    fn resources(self: Arc<Self>) -> BoxFuture<Result<Payload, ToolFailure>>;
    /// Returns the content of a resource.
    fn resource(self: Arc<Self>, uri: String) -> BoxFuture<Result<Payload, ToolFailure>>;
}

/// The list of a server's tools, as received.
#[derive(Default)]
pub(super) struct ToolList {
    described: Vec<ToolDescription>,
    refusals: Vec<String>,
    /// True if the server has resources.
    resources: bool,
}

/// The tools of a list, by their names below the namespace, and the reasons for missing ones.
pub(super) struct Offer {
    pub(super) tools: ToolMap,
    pub(super) refusals: Vec<String>,
}

/// Fetches the list of a server.
pub(super) async fn fetch(peer: &Peer<RoleClient>) -> Result<ToolList, ServiceError> {
    let mut list = ToolList::default();
    let Some(info) = peer.peer_info() else {
        return Ok(list);
    };
    list.resources = info.capabilities.resources.is_some();
    if info.capabilities.tools.is_none() {
        return Ok(list);
    }
    let (mut cursor, mut size) = (None, 0);
    for _ in 0..MAX_PAGES {
        let (page, next) = page(peer, cursor).await?;
        for tool in page {
            size += tool.to_string().len();
            if list.described.len() >= MAX_TOOLS || size > MAX_LIST_BYTES {
                let why = format!(
                    "its list is too long; the first {} tools are offered",
                    list.described.len()
                );
                list.refusals.push(why);
                return Ok(list);
            }
            let name: String = (tool.get("name").and_then(Value::as_str))
                .map_or_else(|| "?".into(), |name| name.chars().take(100).collect());
            match serde_json::from_value(tool) {
                Ok(tool) => list.described.push(tool),
                Err(e) => list.refuse(&name, &format!("invalid description: {e}")),
            }
        }
        match next {
            Some(next) => cursor = Some(next),
            None => return Ok(list),
        }
    }
    (list.refusals).push(format!("its list has more than {MAX_PAGES} pages"));
    Ok(list)
}

/// Fetches one page of the list as JSON, so that one invalid tool does not affect the others.
async fn page(
    peer: &Peer<RoleClient>,
    cursor: Option<String>,
) -> Result<(Vec<Value>, Option<String>), ServiceError> {
    let request = ListToolsRequest {
        params: Some(PaginatedRequestParams::default().with_cursor(cursor)),
        ..Default::default()
    };
    let request = ClientRequest::ListToolsRequest(request);
    let options = PeerRequestOptions::no_options();
    let sent = peer.send_cancellable_request(request, options).await?;
    let page = match sent.await_response().await? {
        ServerResult::ListToolsResult(page) => serde_json::to_value(page),
        ServerResult::CustomResult(page) => Ok(page.0),
        _ => return Err(ServiceError::UnexpectedResponse),
    };
    let Ok(Value::Object(mut page)) = page else {
        return Err(ServiceError::UnexpectedResponse);
    };
    let Some(Value::Array(tools)) = page.remove("tools") else {
        return Err(ServiceError::UnexpectedResponse);
    };
    let next = page.get("nextCursor").and_then(Value::as_str);
    Ok((tools, next.filter(|c| !c.is_empty()).map(str::to_owned)))
}

impl ToolList {
    fn refuse(&mut self, name: &str, why: &str) {
        let why: String = why.chars().take(500).collect();
        let name: String = name.chars().take(100).collect();
        (self.refusals).push(format!("cannot offer the tool `{name}`: {why}"));
    }

    /// Returns the tools, whose calls `server` makes. Blocks while it compiles up to a thousand schemas.
    pub(super) fn offer(mut self, server: &Weak<dyn CallTarget>, limits: &ToolLimits) -> Offer {
        let mut tools = ToolMap::new();
        // The namespaces of all tools, for a fast check of names.
        let mut outer = HashSet::new();
        for described in std::mem::take(&mut self.described) {
            let name = described.name.to_string();
            if name.len() > MAX_NAME_BYTES {
                self.refuse(
                    &name,
                    &format!("its name has more than {MAX_NAME_BYTES} bytes"),
                );
                continue;
            }
            let tool = match tool(described, server.clone()) {
                Ok(tool) => tool,
                Err(why) => {
                    self.refusals.push(why);
                    continue;
                }
            };
            let namespaces = || tool.name.match_indices('.').map(|(at, _)| &tool.name[..at]);
            if tools.contains_key(&tool.name)
                || outer.contains(&tool.name)
                || namespaces().any(|namespace| tools.contains_key(namespace))
            {
                let why = format!("another tool is already named `{}` in Python", tool.name);
                self.refuse(&name, &why);
                continue;
            }
            outer.extend(namespaces().map(str::to_owned));
            tools.insert(tool.name.clone(), Arc::new(tool.limits(limits.clone())));
        }
        if self.resources {
            for tool in resource_tools(server) {
                let taken = tools.keys().any(|name| inside(&tool.name, name));
                if !taken {
                    tools.insert(tool.name.clone(), Arc::new(tool.limits(limits.clone())));
                }
            }
        }
        let more = self.refusals.len().saturating_sub(MAX_REFUSALS);
        if more > 0 {
            self.refusals.truncate(MAX_REFUSALS);
            self.refusals
                .push(format!("{more} more of its tools cannot be offered"));
        }
        Offer {
            tools,
            refusals: self.refusals,
        }
    }
}

/// Returns the tool of a description.
fn tool(described: ToolDescription, server: Weak<dyn CallTarget>) -> Result<Tool, String> {
    let name = described.name.into_owned();
    let result = described.output_schema.map(Arc::unwrap_or_clone);
    let (result, wrapped) = match result {
        Some(result) => unwrapped(&name, result),
        None => (None, false),
    };
    let description = described.description.unwrap_or_default();
    let args = Value::Object(Arc::unwrap_or_clone(described.input_schema));
    let remote_name: Arc<str> = name.as_str().into();
    let tool = Tool::from_json_function(name, description, args, result, move |args| {
        let (server, remote_name) = (server.upgrade(), remote_name.clone());
        Box::pin(async move {
            let server = server.ok_or("the MCP server is disconnected")?;
            let args = match args {
                Value::Object(args) => args,
                _ => Map::new(),
            };
            server.call(remote_name, args, wrapped).await
        })
    });
    tool.map_err(|e| e.to_string())
}

/// Returns the schema of a result in Python, and true if the value is wrapped in an object. Structured results of MCP
/// are objects, so servers in Python wrap other values. FastMCP marks such schemas. The official SDK gives them a title
/// that no other schema has.
fn unwrapped(tool: &str, mut schema: Map<String, Value>) -> (Option<Value>, bool) {
    let only = (schema.get("properties").and_then(Value::as_object))
        .filter(|properties| properties.len() == 1)
        .and_then(|properties| properties.get("result"));
    let marked = schema.get("x-fastmcp-wrap-result") == Some(&Value::Bool(true));
    let title = schema.get("title").and_then(Value::as_str);
    let named = title.and_then(|title| title.strip_suffix("Output")) == Some(tool);
    match only.cloned() {
        Some(Value::Object(mut inner)) if marked || named => {
            // The targets of its references.
            for key in ["$defs", "definitions"] {
                if let Some(defs) = schema.remove(key) {
                    inner.entry(key).or_insert(defs);
                }
            }
            (Some(Value::Object(inner)), true)
        }
        _ => (Some(Value::Object(schema)), marked),
    }
}

/// Returns two tools for the resources of a server.
fn resource_tools(server: &Weak<dyn CallTarget>) -> impl Iterator<Item = Tool> {
    let none = json!({ "type": "object", "properties": {}, "additionalProperties": false });
    let uri = json!({
        "type": "object",
        "properties": { "uri": { "type": "string", "description": "As list_resources tells it" } },
        "required": ["uri"],
        "additionalProperties": false,
    });
    let link = json!({ "type": "array", "items": { "type": "object" } });
    let content = json!({ "anyOf": [
        { "type": "string" },
        { "type": "string", "contentEncoding": "base64" },
    ] });
    let (lists, reads) = (server.clone(), server.clone());
    let list = Tool::from_json_function(
        "list_resources",
        "The server's resources, each with its uri, name, mimeType and description",
        none,
        Some(link),
        move |_| {
            let server = lists.upgrade();
            Box::pin(async move {
                let server = server.ok_or("the MCP server is disconnected")?;
                server.resources().await
            })
        },
    );
    let read = Tool::from_json_function(
        "read_resource",
        "The content of one of the server's resources; a list, where it has several parts",
        uri,
        Some(content),
        move |args| {
            let server = reads.upgrade();
            Box::pin(async move {
                let server = server.ok_or("the MCP server is disconnected")?;
                let uri = args.get("uri").and_then(Value::as_str);
                server.resource(uri.unwrap_or_default().to_owned()).await
            })
        },
    );
    // Their schemas are valid, so there is no error.
    list.into_iter().chain(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn no_server() -> Weak<dyn CallTarget> {
        struct Unused;
        impl CallTarget for Unused {
            fn call(
                self: Arc<Self>,
                _: Arc<str>,
                _: Map<String, Value>,
                _: bool,
            ) -> BoxFuture<Result<Payload, ToolFailure>> {
                unreachable!()
            }

            fn resources(self: Arc<Self>) -> BoxFuture<Result<Payload, ToolFailure>> {
                unreachable!()
            }

            fn resource(self: Arc<Self>, _: String) -> BoxFuture<Result<Payload, ToolFailure>> {
                unreachable!()
            }
        }
        Weak::<Unused>::new()
    }

    fn offered(tools: Value, resources: bool) -> (Vec<String>, Vec<String>) {
        let list = ToolList {
            described: serde_json::from_value(tools).unwrap(),
            refusals: Vec::new(),
            resources,
        };
        let offer = list.offer(&no_server(), &ToolLimits::default());
        let signatures = offer.tools.values().map(|tool| tool.signature());
        (signatures.collect(), offer.refusals)
    }

    #[test]
    fn names_become_python_names_and_the_first_of_a_clash_is_offered() {
        let named = |name: &str| json!({ "name": name, "inputSchema": { "type": "object" } });
        let names = ["a-b", "a_b", "import", "x.y", "x", "x.y.z", "q", "q.r", "é"];
        let (signatures, refusals) = offered(names.iter().map(|n| named(n)).collect(), false);
        let expected = [
            "a_b() -> Any",
            "import_() -> Any",
            "q() -> Any",
            "x.y() -> Any",
            "é() -> Any",
        ];
        assert_eq!(signatures, expected);
        assert_eq!(refusals.len(), 4, "{refusals:?}");
        assert!(refusals[0].starts_with("cannot offer the tool `a_b`: another"));
        let (_, refusals) = offered(json!([named(&"n".repeat(201))]), false);
        assert!(refusals[0].contains("more than 200 bytes"));
    }

    #[test]
    fn the_schema_of_a_wrapped_result_is_unwrapped() {
        let tool = |name: &str, output: Value| json!({ "name": name, "inputSchema": {}, "outputSchema": output });
        let list = json!({ "result": { "type": "array", "items": { "$ref": "#/$defs/A" } } });
        let (signatures, _) = offered(
            json!([
                tool(
                    "a",
                    json!({ "type": "object", "properties": list,
                    "x-fastmcp-wrap-result": true, "$defs": { "A": { "type": "string" } } })
                ),
                tool(
                    "b",
                    json!({ "type": "object", "properties": list, "title": "bOutput" })
                ),
                tool(
                    "c",
                    json!({ "type": "object", "properties": list, "title": "Answer" })
                ),
            ]),
            false,
        );
        assert_eq!(
            signatures,
            ["a() -> list[str]", "b() -> list[Any]", "c() -> dict"]
        );
    }

    #[test]
    fn resources_have_functions_unless_the_server_has_its_own() {
        let (signatures, _) = offered(json!([]), true);
        let expected = [
            "list_resources() -> list[dict]",
            "read_resource(uri: str) -> str | bytes",
        ];
        assert_eq!(signatures, expected);
        let own = json!([{ "name": "read_resource", "inputSchema": {} }]);
        assert_eq!(
            offered(own, true).0,
            [expected[0], "read_resource() -> Any"]
        );
    }

    #[test]
    fn the_number_of_reported_refusals_is_limited() {
        let bad = json!({ "name": "x", "inputSchema": { "type": "array" } });
        let (_, refusals) = offered(vec![bad; 100].into(), false);
        assert_eq!(refusals.len(), MAX_REFUSALS + 1);
        assert_eq!(
            refusals[MAX_REFUSALS],
            "80 more of its tools cannot be offered"
        );
    }
}
