//! Python identifiers, type hints, signatures and docstrings, derived from JSON Schema.

use std::cell::Cell;
use std::collections::HashSet;

use serde_json::{Map, Value, json};
use unicode_general_category::{GeneralCategory, get_general_category};
use unicode_normalization::UnicodeNormalization;

/// Keywords of Python, which cannot be names.
const KEYWORDS: [&str; 35] = [
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue",
    "def", "del", "elif", "else", "except", "finally", "for", "from", "global", "if", "import",
    "in", "is", "lambda", "nonlocal", "not", "or", "pass", "raise", "return", "try", "while",
    "with", "yield",
];

/// Largest number of parameters.
const MAX_PARAMS: usize = 100;
/// Largest length of a name, in characters.
const MAX_NAME: usize = 100;
/// Largest length of a description, in characters.
const MAX_TEXT: usize = 8000;
/// Largest length of a summary, in characters.
const MAX_SUMMARY: usize = 160;
/// Largest depth of a type hint, and of a chain of references.
const MAX_DEPTH: usize = 6;
/// Largest length of a default or literal, in characters.
const MAX_LITERAL: usize = 120;
/// Largest number of parts of a union or literal.
const MAX_CHOICES: usize = 12;
/// Largest length of a type hint, in bytes.
const MAX_HINT: usize = 400;
/// Largest number of visited parts of a schema: with references, a small schema can describe an endless tree.
const MAX_STEPS: usize = 2000;

/// Returns `name` as a Python identifier that does not begin with an underscore.
pub(super) fn identifier(name: &str) -> String {
    let mut made = identifier_characters(name);
    if !made.starts_with(|c: char| c != '_' && begins_identifier(c)) {
        made = format!("tool_{}", made.trim_start_matches('_'));
    }
    // Annotations use the last two names, in the namespace of the function.
    if KEYWORDS.contains(&&*made) || ["Any", "Literal"].contains(&&*made) {
        made.push('_');
    }
    made
}

/// Returns `name` with `_` in place of characters that a Python identifier cannot contain, normalised as Python does it
/// (NFKC).
fn identifier_characters(name: &str) -> String {
    let continues = |c: char| {
        use GeneralCategory as G;
        let kind = get_general_category(c);
        begins_identifier(c)
            // The characters of `Other_ID_Continue`.
            || matches!(c, '\u{b7}' | '\u{1369}'..='\u{1371}' | '\u{19da}')
            || matches!(
                kind,
                G::NonspacingMark | G::SpacingMark | G::DecimalNumber | G::ConnectorPunctuation
            )
    };
    let normalised = name.nfkc().take(MAX_NAME);
    normalised
        .map(|c| if continues(c) { c } else { '_' })
        .collect()
}

/// True if a Python identifier can begin with `c`.
fn begins_identifier(c: char) -> bool {
    use GeneralCategory as G;
    let kind = get_general_category(c);
    // The characters of `Other_ID_Start` and `Pattern_Syntax`.
    matches!(c, '_' | '\u{1885}' | '\u{1886}' | '\u{2118}' | '\u{212e}')
        || c != '\u{2e2f}'
            && matches!(
                kind,
                G::UppercaseLetter
                    | G::LowercaseLetter
                    | G::TitlecaseLetter
                    | G::ModifierLetter
                    | G::OtherLetter
                    | G::LetterNumber
            )
}

/// Returns the first line of a description, shortened.
pub(super) fn summary(description: &str) -> String {
    let line = description.lines().find(|line| !line.trim().is_empty());
    shorten(line.unwrap_or_default().trim(), MAX_SUMMARY)
}

/// Returns `text`, cut to `max` characters.
fn shorten(text: &str, max: usize) -> String {
    let mut short: String = text.chars().take(max).collect();
    if short.len() < text.len() {
        short += "...";
    }
    short
}

/// Signature of a tool, from which the guest makes a function.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Signature {
    /// Name, parameters and result, as after `def`.
    pub(super) header: String,
    pub(super) doc: String,
    /// Name in Python, name of the argument, and true if `None` is passed on as null. Otherwise it means that the argument
    /// is omitted.
    params: Vec<(String, String, bool)>,
    /// Name in Python of the parameter for all other arguments.
    rest: Option<String>,
}

impl Signature {
    /// Returns the signature of the tool `name`, a Python identifier, with arguments by `schema`.
    pub(super) fn new(
        name: &str,
        description: &str,
        schema: &Value,
        result: Option<&Value>,
    ) -> Result<Self, String> {
        let root = (schema.as_object()).ok_or("the schema of its arguments is not an object")?;
        if !matches!(
            root.get("type").and_then(Value::as_str),
            None | Some("object")
        ) {
            return Err("its arguments must be an object, because they have names".into());
        }
        let none = Map::new();
        let properties = match root.get("properties") {
            None => &none,
            Some(properties) => (properties.as_object())
                .ok_or("the `properties` of its arguments are not an object")?,
        };
        if properties.len() > MAX_PARAMS {
            return Err(format!("it has more than {MAX_PARAMS} arguments"));
        }
        let required: HashSet<&str> = (root.get("required").and_then(Value::as_array))
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let hints = Hints::new(schema);
        let mut made = Self {
            header: String::new(),
            doc: shorten(description.trim(), MAX_TEXT),
            params: Vec::new(),
            rest: None,
        };
        let mut shown = Vec::new();
        let mut lines = String::new();
        let mut used = HashSet::new();
        let (first, then): (Vec<_>, Vec<_>) =
            (properties.iter()).partition(|(key, _)| required.contains(&***key));
        // In Python, parameters without a default come first.
        for (key, schema) in first.iter().chain(&then) {
            let required = made.params.len() < first.len();
            let param = parameter(key);
            if !used.insert(param.clone()) {
                return Err(format!("two of its arguments would be `{param}` in Python"));
            }
            let hint = hints.short(schema);
            let default = schema.get("default").and_then(literal);
            let nullable = union_parts(&hint).any(|part| part == "None" || part == "Any")
                || (hint.starts_with("Literal[") && has_null(schema));
            shown.push(match (required, &default) {
                (true, _) => format!("{param}: {hint}"),
                (false, Some(default)) => format!("{param}: {hint} = {default}"),
                (false, None) if nullable => {
                    format!("{param}: {hint} = None")
                }
                (false, None) => format!("{param}: {hint} | None = None"),
            });
            if let Some(text) = schema.get("description").and_then(Value::as_str) {
                let text = shorten(text.trim(), MAX_TEXT / 8).replace('\n', "\n        ");
                lines += &format!("\n    {param}: {text}");
            }
            made.params.push((
                param,
                (*key).clone(),
                required || nullable || default.is_some_and(|d| d != "None"),
            ));
        }
        if matches!(
            root.get("additionalProperties"),
            Some(Value::Bool(true) | Value::Object(_))
        ) {
            let mut rest = "more".to_owned();
            while used.contains(&rest) {
                rest.push('_');
            }
            shown.push(format!("**{rest}"));
            made.rest = Some(rest);
        }
        let result_hint = match result {
            None => "Any".to_owned(),
            Some(result) => Hints::new(result).short(result),
        };
        made.header = format!("{name}({}) -> {result_hint}", shown.join(", "));
        if !lines.is_empty() {
            made.doc += &format!("\n\nArgs:{}", shorten(&lines, MAX_TEXT));
        }
        let returned = result.and_then(|result| result.get("description")?.as_str());
        if let Some(text) = returned {
            made.doc += &format!("\n\nReturns:\n    {}", shorten(text.trim(), MAX_TEXT / 8));
        }
        Ok(made)
    }

    /// Returns the form that the guest reads.
    pub(super) fn to_json(&self) -> Value {
        json!({
            "header": self.header,
            "doc": self.doc,
            "params": self.params,
            "rest": self.rest,
        })
    }
}

/// True if null is among the choices of `schema`.
fn has_null(schema: &Value) -> bool {
    let choices = schema.get("enum").and_then(Value::as_array);
    choices.is_some_and(|choices| choices.contains(&Value::Null))
}

/// Returns the name of an argument as a Python parameter.
fn parameter(key: &str) -> String {
    let mut made = identifier_characters(key);
    if !made.starts_with(begins_identifier) {
        made.insert(0, '_');
    }
    // The function that calls the tool uses such names.
    if made.starts_with("__") || KEYWORDS.contains(&&*made) {
        made = format!("{}_", made.trim_start_matches('_'));
    }
    made
}

/// Returns `value` as Python source if it is short.
fn literal(value: &Value) -> Option<String> {
    let text = match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        // JSON and Python write numbers and strings alike.
        Value::Number(_) | Value::String(_) => value.to_string(),
        Value::Array(list) => {
            let parts: Option<Vec<_>> = list.iter().map(literal).collect();
            format!("[{}]", parts?.join(", "))
        }
        Value::Object(map) => {
            let part = |(key, one): (&String, &Value)| {
                Some(format!("{}: {}", Value::from(&**key), literal(one)?))
            };
            let parts: Option<Vec<_>> = map.iter().map(part).collect();
            format!("{{{}}}", parts?.join(", "))
        }
    };
    (text.chars().count() <= MAX_LITERAL).then_some(text)
}

/// Makes type hints for the parts of one schema.
struct Hints<'a> {
    root: &'a Value,
    steps: Cell<usize>,
}

impl<'a> Hints<'a> {
    fn new(root: &'a Value) -> Self {
        Self {
            root,
            steps: Cell::new(0),
        }
    }

    /// Returns the hint for `schema`, or `Any` if it is too long.
    fn short(&self, schema: &Value) -> String {
        let hint = self.of(schema, 0);
        match hint.len() <= MAX_HINT {
            true => hint,
            false => "Any".into(),
        }
    }

    fn of(&self, schema: &Value, depth: usize) -> String {
        self.steps.set(self.steps.get() + 1);
        if depth > MAX_DEPTH || self.steps.get() > MAX_STEPS {
            return "Any".into();
        }
        let Some(map) = schema.as_object() else {
            return "Any".into();
        };
        let below = |schema| self.of(schema, depth + 1);
        if let Some(reference) = map.get("$ref").and_then(Value::as_str) {
            let found = (reference.strip_prefix('#')).and_then(|path| self.root.pointer(path));
            return found.map_or_else(|| "Any".into(), below);
        }
        if let Some(only) = map.get("const") {
            return literals(std::slice::from_ref(only)).unwrap_or_else(|| "Any".into());
        }
        if let Some(choices) = map.get("enum").and_then(Value::as_array)
            && let Some(hint) = literals(choices)
        {
            return hint;
        }
        for key in ["anyOf", "oneOf"] {
            if let Some(parts) = map.get(key).and_then(Value::as_array) {
                return union(parts.iter().take(MAX_CHOICES).map(below));
            }
        }
        if let Some([one]) = map
            .get("allOf")
            .and_then(Value::as_array)
            .map(Vec::as_slice)
        {
            return below(one);
        }
        match map.get("type") {
            Some(Value::String(kind)) => self.simple(kind, map, depth),
            Some(Value::Array(kinds)) => union(
                (kinds.iter().take(MAX_CHOICES).filter_map(Value::as_str))
                    .map(|kind| self.simple(kind, map, depth)),
            ),
            _ if map.contains_key("properties") => "dict".into(),
            _ => "Any".into(),
        }
    }

    fn simple(&self, kind: &str, map: &Map<String, Value>, depth: usize) -> String {
        match kind {
            "string" if map.get("contentEncoding").is_some_and(|e| e == "base64") => "bytes",
            "string" => "str",
            "integer" => "int",
            "number" => "float",
            "boolean" => "bool",
            "null" => "None",
            "array" => match map.get("items") {
                Some(items @ Value::Object(_)) => {
                    return format!("list[{}]", self.of(items, depth + 1));
                }
                _ => "list",
            },
            "object" => match map.get("additionalProperties") {
                Some(values @ Value::Object(_)) => {
                    return format!("dict[str, {}]", self.of(values, depth + 1));
                }
                _ => "dict",
            },
            _ => "Any",
        }
        .into()
    }
}

fn union(parts: impl Iterator<Item = String>) -> String {
    let mut different: Vec<String> = Vec::new();
    for hint in parts {
        for part in union_parts(&hint) {
            if !different.iter().any(|one| one == part) {
                different.push(part.to_owned());
            }
        }
    }
    if different.is_empty() || different.iter().any(|part| part == "Any") {
        return "Any".into();
    }
    different.join(" | ")
}

/// Returns the parts of a union, or the hint itself.
fn union_parts(hint: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0;
    // Brackets can contain bars of their own.
    let parts = hint.split(move |c| {
        match c {
            '[' => depth += 1,
            ']' => depth -= 1,
            _ => {}
        }
        c == '|' && depth == 0
    });
    parts.map(str::trim)
}

/// Returns `Literal[…]` if there are few choices and all are plain.
fn literals(choices: &[Value]) -> Option<String> {
    if choices.is_empty() || choices.len() > MAX_CHOICES {
        return None;
    }
    let part = |choice: &Value| match choice {
        // A bracket would be counted as one of the hint's own.
        Value::String(text) if text.contains(['[', ']']) => None,
        Value::String(_) | Value::Bool(_) | Value::Null => literal(choice),
        Value::Number(number) if number.is_i64() => literal(choice),
        _ => None,
    };
    let parts: Option<Vec<_>> = choices.iter().map(part).collect();
    Some(format!("Literal[{}]", parts?.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(schema: Value, result: Option<Value>) -> String {
        match Signature::new("f", "", &schema, result.as_ref()) {
            Ok(signature) => signature.header,
            Err(why) => format!("refused: {why}"),
        }
    }

    #[test]
    fn a_schema_becomes_a_signature() {
        let schema = json!({
            "type": "object",
            "properties": {
                "n": { "type": "integer", "default": 1 },
                "item": { "type": "string" },
                "unit": { "enum": ["kg", "piece"] },
                "tags": { "type": "array", "items": { "type": "string" } },
                "raw": { "type": "string", "contentEncoding": "base64" },
                "size": { "$ref": "#/$defs/Size" },
            },
            "required": ["item", "raw"],
            "$defs": { "Size": { "anyOf": [{ "type": "number" }, { "type": "null" }] } },
        });
        assert_eq!(
            header(schema, Some(json!({ "type": ["number", "null"] }))),
            "f(item: str, raw: bytes, n: int = 1, unit: Literal[\"kg\", \"piece\"] | None = None, \
             tags: list[str] | None = None, size: float | None = None) -> float | None"
        );
        assert_eq!(header(json!({}), None), "f() -> Any");
        assert_eq!(
            header(
                json!({ "additionalProperties": true }),
                Some(json!({ "type": "object" }))
            ),
            "f(**more) -> dict"
        );
    }

    #[test]
    fn names_become_identifiers_and_clashes_are_refused() {
        assert_eq!(identifier("search-issues"), "search_issues");
        assert_eq!(identifier("3d.render"), "tool_3d_render");
        assert_eq!(identifier("_x"), "tool_x");
        assert_eq!(identifier("import"), "import_");
        assert_eq!(identifier("пир"), "пир");
        assert_eq!(identifier("größe cm"), "größe_cm");
        assert_eq!(identifier("²x"), "tool_2x");
        assert_eq!(identifier("€"), "tool_");
        let schema =
            json!({ "properties": { "user-id": {}, "class": {}, "1st": {}, "__call__": {} } });
        assert_eq!(
            header(schema, None),
            "f(user_id: Any = None, class_: Any = None, _1st: Any = None, call___: Any = None) -> Any"
        );
        let schema = json!({ "properties": { "user-id": {}, "user_id": {} } });
        assert!(header(schema, None).contains("`user_id`"));
    }

    #[test]
    fn unicode_names_stay_and_are_normalised_as_python_does() {
        let schema = json!({ "properties": {
            "größe": {}, "名前": {}, "भाषा": {}, "e\u{301}t\u{e9}": {}, "ﬁle": {}, "²": {}, "\u{301}a": {}, "a\u{b7}b": {},
        } });
        assert_eq!(
            header(schema, None),
            "f(größe: Any = None, 名前: Any = None, भाषा: Any = None, été: Any = None, file: Any = None, \
             _2: Any = None, _\u{301}a: Any = None, a\u{b7}b: Any = None) -> Any"
        );
        let schema = json!({ "properties": { "ﬁle": {}, "file": {} } });
        assert!(header(schema, None).contains("`file`"));
    }

    #[test]
    fn null_is_passed_on_if_the_schema_has_it() {
        let schema = json!({
            "properties": {
                "required": { "type": "integer" },
                "nullable": { "type": ["string", "null"] },
                "choice": { "enum": ["a", null] },
                "any": {},
                "text": { "type": "string" },
                "with_default": { "type": "integer", "default": 1 },
            },
            "required": ["required"],
        });
        let signature = Signature::new("f", "", &schema, None).unwrap();
        let passed: Vec<_> = signature
            .params
            .iter()
            .filter(|(_, _, passed)| *passed)
            .collect();
        let names: Vec<_> = passed.iter().map(|(name, _, _)| &**name).collect();
        assert_eq!(
            names,
            ["required", "nullable", "choice", "any", "with_default"]
        );
    }

    #[test]
    fn a_schema_without_named_arguments_is_refused_and_cycles_end() {
        for schema in [
            json!(1),
            json!({ "type": "array" }),
            json!({ "properties": 1 }),
        ] {
            assert!(
                header(schema.clone(), None).starts_with("refused"),
                "{schema}"
            );
        }
        let cycle = json!({
            "properties": { "x": { "$ref": "#/$defs/A" } },
            "$defs": { "A": { "type": "array", "items": { "$ref": "#/$defs/A" } } },
        });
        assert!(header(cycle, None).contains("list[list[list["));
        let many = vec![json!({ "type": "array", "items": { "$ref": "#/$defs/A" } }); 12];
        let tree = json!({
            "properties": { "x": { "$ref": "#/$defs/A" }, "y": { "$ref": "#/$defs/A" } },
            "$defs": { "A": { "anyOf": many } },
        });
        // Without the limit of steps it would take minutes.
        assert!(header(tree, None).starts_with("f(x: "));
    }
}
