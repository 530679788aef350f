//! What a server offers, as tools: its own, and two more for its resources.

use std::collections::HashSet;
use std::sync::{Arc, Weak};

use rmcp::model::{
    ClientRequest, ListToolsRequest, PaginatedRequestParams, ServerResult, Tool as Described,
};
use rmcp::service::PeerRequestOptions;
use rmcp::{Peer, RoleClient, ServiceError};
use serde_json::{Map, Value, json};

use super::super::{Named, Tool, ToolLimits, inside};
use super::server::Server;

/// The most tools of a server.
const MAX_TOOLS: usize = 1000;
/// The most pages that a list is fetched in.
pub(super) const MAX_PAGES: usize = 100;
/// The largest list, in bytes.
const MAX_LIST: usize = 32 << 20;
/// The longest name of a tool, in bytes.
const MAX_NAME: usize = 200;
/// So many refusals of one list are told.
const MAX_REFUSALS: usize = 20;

/// A server's list as it came.
#[derive(Default)]
pub(super) struct List {
    described: Vec<Described>,
    refusals: Vec<String>,
    /// Whether it has resources.
    resources: bool,
}

/// The tools of a list, by their names below the namespace, and why some are not among them.
pub(super) struct Offer {
    pub(super) tools: Named,
    pub(super) refusals: Vec<String>,
}

/// Asks a server what it has.
pub(super) async fn fetch(peer: &Peer<RoleClient>) -> Result<List, ServiceError> {
    let mut list = List::default();
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
            if list.described.len() >= MAX_TOOLS || size > MAX_LIST {
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
                Err(e) => list.refuse(&name, &format!("it is not described as MCP wants it: {e}")),
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

/// One page of the list, as JSON: one tool that is not as it should be does not spoil the others.
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

impl List {
    fn refuse(&mut self, name: &str, why: &str) {
        let why: String = why.chars().take(500).collect();
        let name: String = name.chars().take(100).collect();
        (self.refusals).push(format!("the tool `{name}` cannot be offered: {why}"));
    }

    /// The tools, whose calls `server` makes. Takes as long as a thousand schemas may.
    pub(super) fn offer(mut self, server: &Weak<Server>, limits: &ToolLimits) -> Offer {
        let mut tools = Named::new();
        // To find in one step whether a name is a namespace of others.
        let mut outer = HashSet::new();
        for described in std::mem::take(&mut self.described) {
            let name = described.name.to_string();
            if name.len() > MAX_NAME {
                self.refuse(&name, &format!("its name has more than {MAX_NAME} bytes"));
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
                let why = format!("another one is `{}` in Python already", tool.name);
                self.refuse(&name, &why);
                continue;
            }
            outer.extend(namespaces().map(str::to_owned));
            tools.insert(tool.name.clone(), Arc::new(tool.limits(limits.clone())));
        }
        if self.resources {
            for tool in of_resources(server) {
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

fn tool(described: Described, server: Weak<Server>) -> Result<Tool, String> {
    let name = described.name.into_owned();
    let result = described.output_schema.map(Arc::unwrap_or_clone);
    let (result, wrapped) = match result {
        Some(result) => unwrapped(&name, result),
        None => (None, false),
    };
    let description = described.description.unwrap_or_default();
    let args = Value::Object(Arc::unwrap_or_clone(described.input_schema));
    let called: Arc<str> = name.as_str().into();
    let tool = Tool::of_payload(name, description, args, result, move |args| {
        let (server, called) = (server.upgrade(), called.clone());
        Box::pin(async move {
            let server = server.ok_or("the MCP server is no longer there")?;
            let args = match args {
                Value::Object(args) => args,
                _ => Map::new(),
            };
            server.call(&called, args, wrapped).await
        })
    });
    tool.map_err(|e| e.to_string())
}

/// The schema of a result as Python has it, and whether the value is inside an object of its own. MCP
/// knows only objects as structured results, so servers in Python wrap others: FastMCP says that it does,
/// the official SDK's schema has the name that only such a schema gets.
fn unwrapped(tool: &str, mut schema: Map<String, Value>) -> (Option<Value>, bool) {
    let only = (schema.get("properties").and_then(Value::as_object))
        .filter(|properties| properties.len() == 1)
        .and_then(|properties| properties.get("result"));
    let said = schema.get("x-fastmcp-wrap-result") == Some(&Value::Bool(true));
    let title = schema.get("title").and_then(Value::as_str);
    let named = title.and_then(|title| title.strip_suffix("Output")) == Some(tool);
    match only.cloned() {
        Some(Value::Object(mut inner)) if said || named => {
            // What it refers to.
            for key in ["$defs", "definitions"] {
                if let Some(defs) = schema.remove(key) {
                    inner.entry(key).or_insert(defs);
                }
            }
            (Some(Value::Object(inner)), true)
        }
        _ => (Some(Value::Object(schema)), said),
    }
}

/// Two functions for a server's resources.
fn of_resources(server: &Weak<Server>) -> impl Iterator<Item = Tool> {
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
    let list = Tool::of_payload(
        "list_resources",
        "The server's resources, each with its uri, name, mimeType and description",
        none,
        Some(link),
        move |_| {
            let server = lists.upgrade();
            Box::pin(async move {
                let server = server.ok_or("the MCP server is no longer there")?;
                server.resources().await
            })
        },
    );
    let read = Tool::of_payload(
        "read_resource",
        "The content of one of the server's resources; a list, where it has several parts",
        uri,
        Some(content),
        move |args| {
            let server = reads.upgrade();
            Box::pin(async move {
                let server = server.ok_or("the MCP server is no longer there")?;
                let uri = args.get("uri").and_then(Value::as_str);
                server.resource(uri.unwrap_or_default()).await
            })
        },
    );
    // Their schemas are these, so there is no error.
    list.into_iter().chain(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(tools: Value, resources: bool) -> (Vec<String>, Vec<String>) {
        let list = List {
            described: serde_json::from_value(tools).unwrap(),
            refusals: Vec::new(),
            resources,
        };
        let offer = list.offer(&Weak::new(), &ToolLimits::default());
        let signatures = offer.tools.values().map(|tool| tool.signature());
        (signatures.collect(), offer.refusals)
    }

    #[test]
    fn names_are_made_python_names_and_the_first_of_a_clash_is_offered() {
        let named = |name: &str| json!({ "name": name, "inputSchema": { "type": "object" } });
        let names = ["a-b", "a_b", "import", "x.y", "x", "x.y.z", "q", "q.r", "é"];
        let (signatures, refusals) = offered(names.iter().map(|n| named(n)).collect(), false);
        let expected = [
            "a_b() -> Any",
            "import_() -> Any",
            "q() -> Any",
            "tool_() -> Any",
            "x.y() -> Any",
        ];
        assert_eq!(signatures, expected);
        assert_eq!(refusals.len(), 4, "{refusals:?}");
        assert!(refusals[0].starts_with("the tool `a_b` cannot be offered: another"));
        let (_, refusals) = offered(json!([named(&"n".repeat(201))]), false);
        assert!(refusals[0].contains("more than 200 bytes"));
    }

    #[test]
    fn a_wrapped_result_is_told_as_what_is_inside() {
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
    fn resources_have_functions_unless_the_server_has_them() {
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
    fn only_some_of_many_refusals_are_told() {
        let bad = json!({ "name": "x", "inputSchema": { "type": "array" } });
        let (_, refusals) = offered(vec![bad; 100].into(), false);
        assert_eq!(refusals.len(), MAX_REFUSALS + 1);
        assert_eq!(
            refusals[MAX_REFUSALS],
            "80 more of its tools cannot be offered"
        );
    }
}
