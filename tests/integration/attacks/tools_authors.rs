//! Attacks by a hostile author of tools, with schemas, descriptions and names: the generated Python functions work,
//! and no injected code runs.

use codeact::sandbox::Outcome;
use codeact::tools::{Tool, Tools};
use serde_json::{Value, json};

use super::tools::{Shop, nothing};
use crate::support::shown;

/// Returns a tool that returns its arguments, or the reason why it is invalid.
fn tool(name: &str, description: &str, args: Value) -> Result<Tool, String> {
    Tool::with_schema(name, description, args, None, |args| async { Ok(args) })
        .map_err(|e| e.to_string())
}

/// Runs `code` with the tools `added`, and returns its stdout.
#[track_caller]
fn printed(added: impl IntoIterator<Item = Tool>, code: &str) -> String {
    let shop = Shop::default();
    let tools = (added.into_iter()).fold(shop.tools(), |tools, tool| tools.tool(tool).unwrap());
    let e = shop.attacked_with(tools, code, |_| ());
    assert_eq!(e.outcome, Outcome::Completed, "{}", shown(&e));
    e.stdout.text
}

const BREAKOUTS: [&str; 12] = [
    "\"\"\"\nimport os; os.abort()\n\"\"\"",
    "'''",
    "\\",
    "\\\"",
    "x\n    raise SystemExit\n",
    "\r",
    "\u{2028}\u{2029}\u{85}\u{c}",
    "\0",
    "{0} %s {x!r}",
    "): pass\nraise SystemExit #",
    "\u{202e}\u{feff}#",
    "\"]) -> None: pass\n",
];

#[test]
fn texts_in_schemas_are_not_interpreted_as_code() {
    for text in BREAKOUTS {
        let args = json!({
            "properties": {
                "plain": { "type": "string", "default": text, "description": text },
                "choice": { "enum": [text, "other"], "default": text },
                "const": { "const": text },
                "title": { "type": "integer", "title": text },
            },
            "required": ["title"],
            "description": text,
            "additionalProperties": { "description": text },
        });
        let made = tool("hostile", text, args).unwrap();
        let code = "
tools.describe('hostile'), repr(tools), tools.search('hostile'), help
first = tools.hostile(1)
import inspect
plain = inspect.signature(tools.hostile).parameters['plain'].default
print(first, repr(plain) == repr(text), tools.hostile.tool)";
        let code = format!("import json\ntext = json.loads({})\n{code}", python(text));
        let e = printed([made], &code);
        assert_eq!(e, "{'title': 1} True hostile\n", "{text:?}");
    }
}

/// Returns the Python source of a string with the JSON of `text`.
fn python(text: &str) -> Value {
    // A JSON string is a Python string literal.
    json!(json!(text).to_string())
}

#[test]
fn a_default_is_shown_as_in_the_schema_and_not_sent() {
    for text in BREAKOUTS {
        let args = json!({ "properties": { "x": { "type": "string", "default": text } } });
        let code = format!(
            "import inspect, json
default = inspect.signature(tools.hostile).parameters['x'].default
print(tools.hostile() == {{}} and repr(default) == repr(json.loads({})))",
            python(text)
        );
        let e = printed([tool("hostile", text, args).unwrap()], &code);
        assert_eq!(e, "True\n", "{text:?}");
    }
}

#[test]
fn arguments_with_reserved_names_work() {
    let names = [
        "class",
        "None",
        "__call__",
        "__acall__",
        "__arguments__",
        "__name__",
        "__debug__",
        "self",
        "Any",
        "Literal",
        "print",
        "more",
        "1",
        "-",
        "",
        " ",
        "a b",
        "a\nb",
        "é",
        "*",
        "**kw",
        "x=1",
        "lambda",
        "match",
        "type",
        "_",
        "\0",
        "args",
        "values",
        "aio",
        "tool",
        "exec",
    ];
    let properties: serde_json::Map<_, _> = (names.iter())
        .map(|name| ((*name).to_owned(), json!({ "type": ["integer", "null"] })))
        .collect();
    // Some would have the same name in Python: creating the tool is an error.
    let all = tool("all", "", json!({ "properties": properties }));
    assert!(all.unwrap_err().contains("two of its arguments"));
    let each = names.iter().enumerate().map(|(number, name)| {
        let args =
            json!({ "properties": { *name: { "type": "integer" } }, "additionalProperties": true });
        tool(&format!("t{number}"), "", args).unwrap()
    });
    let code = format!(
        "
for n in range({}):
    f = tools[f't{{n}}']
    if list(f(7).values()) != [7] or f(7, other=1).get('other') != 1: print(n, f(7))
    tools.describe(f)",
        names.len()
    );
    assert_eq!(printed(each, &code), "");
}

#[test]
fn tools_with_reserved_names_work() {
    let names = [
        "Any",
        "Literal",
        "list",
        "str",
        "print",
        "class",
        "__call__",
        "__class__",
        "__init__",
        "_prefix",
        "_below",
        "keys",
        "price\0",
        "../x",
        "$http",
        "a..b",
        ".",
        "",
        "é",
        "exec",
        "compile",
        "scope",
        "self",
    ];
    let args = || {
        json!({
            "properties": { "x": { "enum": ["a", "b"] }, "y": {} },
            "required": ["x"],
        })
    };
    let shop = Shop::default();
    let (mut tools, mut made) = (shop.tools(), Vec::new());
    for name in names {
        let tool = tool(name, "", args()).unwrap();
        let name = tool.name().to_owned();
        // Ambiguous names are rejected.
        if let Ok(more) = tools.clone().tool(tool) {
            tools = more;
            made.push(name);
        }
    }
    assert!(made.len() > 15, "{made:?}");
    let code = format!(
        "
for name in {made:?}:
    if tools[name]('a', y=1) != {{'x': 'a', 'y': 1}}: print(name)
    tools.describe(name)
print(type(tools).__name__, callable(tools.search), len(dir(tools)) > 10)"
    );
    let e = shop.attacked_with(tools, &code, |_| ());
    assert_eq!(e.stdout.text, "_Top True True\n", "{}", shown(&e));
    for name in [
        "search",
        "describe",
        "ToolError",
        "describe.x",
        "search.",
        "ToolDenied",
    ] {
        let tool = tool(name, "", nothing()).unwrap();
        assert!(Tools::new().tool(tool).is_err(), "{name}");
    }
}

#[test]
fn wide_deep_and_recursive_schemas_become_functions() {
    let wide = |inner: Value| json!({ "anyOf": vec![inner; 12] });
    let kinds: Vec<_> = (0..12).map(|n| json!({ "enum": [n] })).collect();
    let lists: Vec<_> = (kinds.iter())
        .map(|kind| json!({ "type": "array", "items": kind }))
        .collect();
    let circle = json!({ "anyOf": (kinds.iter().map(|kind| json!({
        "type": "array",
        "items": { "anyOf": [kind, { "$ref": "#/$defs/A" }] },
    })).collect::<Vec<_>>()) });
    let deep = (0..100).fold(
        json!({}),
        |inner, _| json!({ "type": "array", "items": inner }),
    );
    let one = |x: Value| json!({ "properties": { "x": x }, "$defs": { "A": circle } });
    let schemas = [
        one(wide(wide(wide(json!({ "anyOf": lists }))))),
        one(json!({ "$ref": "#/$defs/A" })),
        one(deep),
        one(json!({ "enum": (0..10_000).collect::<Vec<_>>() })),
        one(json!({ "default": vec![0; 100_000] })),
        one(json!({ "default": "x".repeat(1_000_000), "description": "x".repeat(1_000_000) })),
        one(json!({ "type": ["array", "object", "null"], "items": { "$ref": "#/properties/x" } })),
        one(json!({ "enum": ["a|b", "[", "]", "\"", "'", "a\nb"] })),
        one(json!({ "pattern": "(a+)+$", "type": ["string", "array"] })),
    ];
    let count = schemas.len();
    let made = (schemas.into_iter().enumerate())
        .map(|(number, args)| tool(&format!("t{number}"), "", args).unwrap());
    let code = format!(
        "
for n in range({count}):
    try: tools[f't{{n}}'](['a' * 60 + 'b'])
    except ToolArgumentError as e: assert len(str(e)) < 600
    tools.describe(f't{{n}}')
try: tools.t8('a' * 100_000 + 'b')
except ToolArgumentError: print('no match')"
    );
    assert_eq!(printed(made, &code), "no match\n");
}

#[test]
fn invalid_schemas_are_rejected() {
    let many: serde_json::Map<_, _> = (0..101).map(|n| (format!("p{n}"), json!({}))).collect();
    for args in [
        json!(null),
        json!([]),
        json!("object"),
        json!({ "type": "string" }),
        json!({ "properties": [] }),
        json!({ "properties": many }),
        json!({ "properties": { "x": { "type": 5 } } }),
        json!({ "properties": { "x": { "$ref": "#/nowhere" } } }),
        json!({ "properties": { "x": { "$ref": "http://127.0.0.1:1/schema.json" } } }),
        json!({ "properties": { "x": { "$ref": "file:///etc/passwd" } } }),
        json!({ "properties": { "x": { "pattern": "(" } } }),
        json!({ "properties": { "x": { "pattern": "(?=a)b" } } }),
        json!({ "properties": { "x": { "pattern": "((x{1000}){1000}){1000}" } } }),
        json!({ "$schema": "http://nowhere.example/schema" }),
    ] {
        let shown = args.to_string();
        let made = tool("x", "", args);
        assert!(
            made.is_err(),
            "{}",
            shown.chars().take(100).collect::<String>()
        );
    }
}

#[test]
fn schemas_that_only_refer_to_themselves_terminate() {
    let bombs = [
        json!({ "properties": { "x": { "$ref": "#/$defs/A" } }, "$defs": { "A": { "$ref": "#/$defs/A" } } }),
        json!({ "properties": { "x": { "$ref": "#/$defs/A" } },
            "$defs": { "A": { "allOf": [{ "$ref": "#/$defs/B" }] }, "B": { "anyOf": [{ "$ref": "#/$defs/A" }, {}] } } }),
        json!({ "properties": { "x": { "$dynamicRef": "#a", "$dynamicAnchor": "a" } } }),
        json!({ "properties": { "x": { "not": { "$ref": "#/properties/x" } } } }),
    ];
    for bomb in bombs {
        // Either rejected or an ordinary function.
        let Ok(made) = tool("bomb", "", bomb.clone()) else {
            continue;
        };
        let code = "
try: tools.bomb(x=[1])
except ToolError: pass";
        assert_eq!(printed([made], code), "", "{bomb}");
    }
}

#[test]
fn ambiguous_schemas_are_not_exponential_for_deep_arguments() {
    // Each level matches three alternatives up to its last field.
    let way = |op: &str| {
        json!({
            "type": "object",
            "properties": {
                "args": { "type": "array", "items": { "$ref": "#/$defs/N" } },
                "op": { "const": op },
            },
            "required": ["op"],
        })
    };
    let node = json!({ "oneOf": [way("and"), way("or"), way("not"), { "type": "integer" }] });
    let args = json!({ "properties": { "x": { "$ref": "#/$defs/N" } }, "$defs": { "N": node } });
    let code = "
for leaf in 1, 'x':
    for n in 2, 45:
        x = leaf
        for _ in range(n): x = {'op': 'and', 'args': [x]}
        try: print(tools.bomb(x=x)['x'] == x)
        except ToolArgumentError as e: print(str(e)[:40])";
    let e = printed([tool("bomb", "", args).unwrap()], code);
    assert_eq!(
        e,
        "True\nTrue\nbomb: argument `x`: {\"op\":\"and\",\"args\":[\nbomb: the arguments do not match the sch\n"
    );
}
