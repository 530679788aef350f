//! Bounds on the work of a JSON Schema, before it is compiled and before it validates a value.
//!
//! This file is a security boundary: a server chooses the schema, and the guest the value. With references, a schema of
//! three kilobytes can have 2^39 steps, and no validator can be stopped. So [`SchemaSteps`] takes the same steps as the
//! validator would in the worst case, without their work, and stops at a limit.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

/// Largest number of subschemas.
const MAX_SUBSCHEMAS: usize = 100_000;
/// Largest number of steps to compile a schema.
const MAX_COMPILE_STEPS: u64 = 1_000_000;
/// Largest number of subschemas that one value passes through, one after another.
const MAX_CHAIN: usize = 100;
/// Largest depth of the recursion of a validation.
const MAX_RECURSION: usize = 1000;
/// Number of steps of a validation in addition to those for each part of the value.
const BASE_STEPS: u64 = 2_000_000;
/// Number of steps for each list, object and scalar of the value.
const STEPS_PER_PART: u64 = 200;
/// Largest number of steps of a validation.
pub(super) const MAX_STEPS: u64 = 20_000_000;
/// Number of bytes of a text that a pattern reads in one step.
const BYTES_PER_STEP: usize = 16;
/// Number of comparisons of `uniqueItems` in one step.
const COMPARISONS_PER_STEP: u64 = 16;

/// Keywords with one subschema for the value itself, with a list of them, and with an object of them.
const IN_PLACE: [&str; 4] = ["if", "then", "else", "not"];
const IN_PLACE_LISTS: [&str; 3] = ["allOf", "anyOf", "oneOf"];
const IN_PLACE_MAPS: [&str; 2] = ["dependentSchemas", "dependencies"];
/// Keywords with references.
const REFERENCES: [&str; 3] = ["$ref", "$dynamicRef", "$recursiveRef"];

/// A validation needs too many steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooManySteps;

/// The subschemas of a schema, with the values that they are applied to.
pub(super) struct SchemaSteps {
    /// The first one is the schema itself.
    nodes: Vec<Node>,
}

#[derive(Default)]
struct Node {
    /// Subschemas for the value itself.
    in_place: Vec<usize>,
    /// The number of them that are not references.
    own: usize,
    properties: HashMap<String, usize>,
    /// For each member that is not in `properties`.
    other_members: Vec<usize>,
    /// For each member.
    members: Vec<usize>,
    /// For each name of a member.
    names: Vec<usize>,
    prefix: Vec<usize>,
    /// For each item.
    items: Vec<usize>,
    /// Subschemas for parts that no other subschema has evaluated.
    unevaluated: bool,
    unique: bool,
    /// Number of patterns for texts, and for the names of members.
    patterns: u64,
    name_patterns: u64,
    /// Number of keywords and of alternatives of `enum`.
    keywords: u64,
}

impl SchemaSteps {
    /// Reads `schema`.
    ///
    /// # Errors
    ///
    /// Returns the reason if it is too large, or refers to another document.
    pub(super) fn new(schema: &Value) -> Result<Self, String> {
        let mut reader = Reader::new(schema);
        reader.number(schema)?;
        while let Some((number, value)) = reader.pending.pop() {
            let node = reader.read(value)?;
            if let Some(slot) = reader.nodes.get_mut(number) {
                *slot = node;
            }
        }
        let steps = Self {
            nodes: reader.nodes,
        };
        steps.check()?;
        Ok(steps)
    }

    /// Checks that `value` can be validated in the limit of steps. Returns the number of steps.
    pub(super) fn count(&self, value: &Value) -> Result<u64, TooManySteps> {
        let per_part = STEPS_PER_PART.saturating_mul(parts(value));
        let max = BASE_STEPS.saturating_add(per_part).min(MAX_STEPS);
        let mut walk = Walk {
            steps: self,
            left: max,
        };
        walk.visit(0, value, 0)?;
        Ok(max - walk.left)
    }

    fn node(&self, number: usize) -> Result<&Node, TooManySteps> {
        self.nodes.get(number).ok_or(TooManySteps)
    }

    /// Checks the chains of subschemas for one value, and the steps to compile the schema.
    fn check(&self) -> Result<(), String> {
        let mut costs = vec![None; self.nodes.len()];
        for number in 0..self.nodes.len() {
            self.cost(number, &mut costs, 0)?;
        }
        let total = costs.iter().flatten().map(|cost| cost.compiled);
        let total = total.fold(0_u64, u64::saturating_add);
        match total > MAX_COMPILE_STEPS {
            true => Err("its schema is too complex to be compiled".into()),
            false => Ok(()),
        }
    }

    /// Returns the cost of a node. A node that refers to itself adds nothing to its own cost.
    fn cost(
        &self,
        number: usize,
        known: &mut Vec<Option<Cost>>,
        chain: usize,
    ) -> Result<Cost, String> {
        if let Some(cost) = known.get(number).copied().flatten() {
            return Ok(cost);
        }
        let Some(node) = self.nodes.get(number).filter(|_| chain <= MAX_CHAIN) else {
            return Err(format!(
                "its schema passes a value through more than {MAX_CHAIN} subschemas"
            ));
        };
        // Without the subschemas for other values, whose cost is their own.
        let mut cost = Cost {
            compiled: 1 + node.keywords,
            marked: 0,
        };
        if let Some(slot) = known.get_mut(number) {
            *slot = Some(cost);
        }
        for (index, below) in node.in_place.iter().enumerate() {
            let inner = self.cost(*below, known, chain + 1)?;
            if index < node.own {
                cost.compiled = cost.compiled.saturating_add(inner.compiled);
            }
            let marked = inner.compiled.saturating_add(inner.marked);
            cost.marked = cost.marked.saturating_add(marked);
        }
        if node.unevaluated {
            cost.compiled = cost.compiled.saturating_add(cost.marked);
        }
        if let Some(slot) = known.get_mut(number) {
            *slot = Some(cost);
        }
        Ok(cost)
    }
}

#[derive(Clone, Copy)]
struct Cost {
    /// Steps to compile it.
    compiled: u64,
    /// Steps to compile what it evaluates, for `unevaluatedProperties` and `unevaluatedItems` around it.
    marked: u64,
}

/// Returns the number of lists, objects and scalars of `value`.
fn parts(value: &Value) -> u64 {
    match value {
        Value::Array(list) => list.iter().map(parts).fold(1, u64::saturating_add),
        Value::Object(map) => map.values().map(parts).fold(1, u64::saturating_add),
        _ => 1,
    }
}

/// Reader of a schema.
struct Reader<'a> {
    root: &'a Value,
    /// The parts of the schema that are documents of their own, with their identifiers.
    resources: Vec<(Option<&'a str>, &'a Value)>,
    anchors: HashMap<&'a str, Vec<&'a Value>>,
    /// The number of each subschema, by its address.
    numbers: HashMap<*const Value, usize>,
    nodes: Vec<Node>,
    pending: Vec<(usize, &'a Value)>,
}

impl<'a> Reader<'a> {
    fn new(root: &'a Value) -> Self {
        let mut reader = Self {
            root,
            resources: vec![(None, root)],
            anchors: HashMap::new(),
            numbers: HashMap::new(),
            nodes: Vec::new(),
            pending: Vec::new(),
        };
        reader.find_names(root);
        reader
    }

    /// Finds the identifiers and anchors in `value`.
    fn find_names(&mut self, value: &'a Value) {
        match value {
            Value::Array(list) => list.iter().for_each(|one| self.find_names(one)),
            Value::Object(map) => {
                for key in ["$id", "id"] {
                    if let Some(id) = map.get(key).and_then(Value::as_str) {
                        self.resources.push((Some(id), value));
                        if let Some(anchor) = id.strip_prefix('#') {
                            self.anchors.entry(anchor).or_default().push(value);
                        }
                    }
                }
                for key in ["$anchor", "$dynamicAnchor"] {
                    if let Some(anchor) = map.get(key).and_then(Value::as_str) {
                        self.anchors.entry(anchor).or_default().push(value);
                    }
                }
                map.values().for_each(|one| self.find_names(one));
            }
            _ => {}
        }
    }

    /// Returns the number of the subschema `value`, which is read later.
    fn number(&mut self, value: &'a Value) -> Result<usize, String> {
        if let Some(number) = self.numbers.get(&std::ptr::from_ref(value)) {
            return Ok(*number);
        }
        let number = self.nodes.len();
        if number >= MAX_SUBSCHEMAS {
            return Err(format!(
                "its schema has more than {MAX_SUBSCHEMAS} subschemas"
            ));
        }
        self.nodes.push(Node::default());
        self.numbers.insert(std::ptr::from_ref(value), number);
        self.pending.push((number, value));
        Ok(number)
    }

    fn numbers(
        &mut self,
        values: impl IntoIterator<Item = &'a Value>,
    ) -> Result<Vec<usize>, String> {
        let is_schema = |value: &&Value| value.is_object() || value.is_boolean();
        let values = values.into_iter().filter(is_schema);
        values.map(|value| self.number(value)).collect()
    }

    fn read(&mut self, value: &'a Value) -> Result<Node, String> {
        let mut node = Node::default();
        let Some(map) = value.as_object() else {
            return Ok(node);
        };
        node.keywords = keywords(map);
        node.unique = map.get("uniqueItems") == Some(&Value::Bool(true));
        node.patterns = u64::from(map.contains_key("pattern"));
        node.in_place = self.numbers(IN_PLACE.iter().filter_map(|key| map.get(*key)))?;
        for key in IN_PLACE_LISTS {
            let list = map.get(key).and_then(Value::as_array);
            node.in_place
                .extend(self.numbers(list.into_iter().flatten())?);
        }
        for key in IN_PLACE_MAPS {
            node.in_place
                .extend(self.numbers(object(map, key).values())?);
        }
        node.own = node.in_place.len();
        for key in REFERENCES {
            if let Some(reference) = map.get(key).and_then(Value::as_str) {
                let targets = self.resolve(reference, key != "$ref")?;
                node.in_place.extend(self.numbers(targets)?);
            }
        }
        for (name, property) in object(map, "properties") {
            node.properties.insert(name.clone(), self.number(property)?);
        }
        let patterns = object(map, "patternProperties");
        node.name_patterns = count(patterns.len());
        node.members = self.numbers(patterns.values())?;
        node.members
            .extend(self.numbers(map.get("unevaluatedProperties"))?);
        node.other_members = self.numbers(map.get("additionalProperties"))?;
        node.names = self.numbers(map.get("propertyNames"))?;
        // Before draft 2020-12, `items` could be a list.
        for key in ["prefixItems", "items"] {
            let list = map.get(key).and_then(Value::as_array);
            node.prefix
                .extend(self.numbers(list.into_iter().flatten())?);
        }
        for key in ["items", "additionalItems", "contains", "unevaluatedItems"] {
            node.items.extend(self.numbers(map.get(key))?);
        }
        node.unevaluated = ["unevaluatedProperties", "unevaluatedItems"]
            .iter()
            .any(|key| map.contains_key(*key));
        Ok(node)
    }

    /// Returns the subschemas that a reference may mean. If there are several documents in the schema, it may be one in
    /// each of them.
    fn resolve(&self, reference: &str, is_dynamic: bool) -> Result<Vec<&'a Value>, String> {
        let shown = || reference.chars().take(100).collect::<String>();
        let (document, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let last = |id: &str| {
            id.trim_end_matches(['#', '/'])
                .rsplit('/')
                .next()
                .map(str::to_owned)
        };
        let matches = |id: &Option<&str>| match document {
            "" => true,
            document => id.is_some_and(|id| last(id) == last(document)),
        };
        let documents: Vec<_> = (self.resources.iter())
            .filter(|(id, _)| matches(id))
            .map(|(_, value)| *value)
            .collect();
        if documents.is_empty() {
            return Err(format!(
                "its schema refers to another document, `{}`",
                shown()
            ));
        }
        let fragment = decoded(fragment);
        let mut found = HashSet::new();
        let mut targets = Vec::new();
        let mut add = |value: &'a Value| {
            if found.insert(std::ptr::from_ref(value)) {
                targets.push(value);
            }
        };
        if fragment.is_empty() || fragment.starts_with('/') {
            let pointed = documents
                .iter()
                .filter_map(|document| document.pointer(&fragment));
            pointed.for_each(&mut add);
        }
        if let Some(anchored) = self.anchors.get(&*fragment) {
            anchored.iter().copied().for_each(&mut add);
        }
        if is_dynamic && fragment.is_empty() {
            add(self.root);
        }
        match targets.is_empty() {
            true => Err(format!(
                "its schema refers to `{}`, which it does not have",
                shown()
            )),
            false => Ok(targets),
        }
    }
}

/// Returns the number of keywords and of alternatives of `enum`.
fn keywords(map: &Map<String, Value>) -> u64 {
    let choices = map.get("enum").and_then(Value::as_array);
    count(map.len() + choices.map_or(0, Vec::len))
}

/// Returns the steps of the keywords of a subschema for `value` that have no subschemas themselves.
pub(super) fn own_steps(map: &Map<String, Value>, value: &Value) -> u64 {
    let more = match value {
        Value::String(text) if map.contains_key("pattern") => text_steps(text),
        Value::Array(list) if map.contains_key("uniqueItems") => unique_steps(list),
        _ => 0,
    };
    keywords(map).saturating_add(more)
}

/// Returns the object at `key`, or an empty one.
fn object<'a>(map: &'a Map<String, Value>, key: &str) -> &'a Map<String, Value> {
    static NONE: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    map.get(key).and_then(Value::as_object).unwrap_or(&NONE)
}

/// Returns `fragment` without percent-encoding.
pub(super) fn decoded(fragment: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = fragment.as_bytes().iter();
    while let Some(byte) = rest.next() {
        let digits = rest.as_slice().get(..2).filter(|_| *byte == b'%');
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        let code = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        if code.is_some() {
            rest.nth(1);
        }
        bytes.push(code.unwrap_or(*byte));
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// The steps of one validation.
struct Walk<'s> {
    steps: &'s SchemaSteps,
    left: u64,
}

impl Walk<'_> {
    fn take(&mut self, steps: u64) -> Result<(), TooManySteps> {
        self.left = self.left.checked_sub(steps).ok_or(TooManySteps)?;
        Ok(())
    }

    /// Takes the steps of the subschema `number` for `value`.
    fn visit(&mut self, number: usize, value: &Value, depth: usize) -> Result<(), TooManySteps> {
        let steps = self.steps;
        let node = steps.node(number)?;
        if depth > MAX_RECURSION {
            return Err(TooManySteps);
        }
        self.take(1 + node.keywords)?;
        for below in &node.in_place {
            self.visit(*below, value, depth + 1)?;
        }
        match value {
            Value::String(text) => self.take(node.patterns.saturating_mul(text_steps(text)))?,
            Value::Array(list) => {
                for (index, item) in list.iter().enumerate() {
                    for below in node.prefix.get(index).into_iter().chain(&node.items) {
                        self.visit(*below, item, depth + 1)?;
                    }
                }
                if node.unique {
                    self.take(unique_steps(list))?;
                }
            }
            Value::Object(map) => {
                for (name, member) in map {
                    self.take(node.name_patterns.saturating_mul(text_steps(name)))?;
                    let below = match node.properties.get(name) {
                        Some(property) => std::slice::from_ref(property),
                        None => &node.other_members,
                    };
                    for below in below.iter().chain(&node.members) {
                        self.visit(*below, member, depth + 1)?;
                    }
                    if !node.names.is_empty() {
                        let name = Value::from(&**name);
                        for below in &node.names {
                            self.visit(*below, &name, depth + 1)?;
                        }
                    }
                }
            }
            _ => {}
        }
        if node.unevaluated {
            self.mark(number, value, depth + 1)?;
        }
        Ok(())
    }

    /// Takes the steps that find the parts of `value` that a subschema evaluates.
    fn mark(&mut self, number: usize, value: &Value, depth: usize) -> Result<(), TooManySteps> {
        let steps = self.steps;
        let node = steps.node(number)?;
        if depth > MAX_RECURSION {
            return Err(TooManySteps);
        }
        self.take(1)?;
        for below in &node.in_place {
            self.visit(*below, value, depth + 1)?;
            self.mark(*below, value, depth + 1)?;
        }
        let (parts, below): (Vec<&Value>, _) = match value {
            Value::Array(list) => (list.iter().collect(), &node.items),
            Value::Object(map) => (map.values().collect(), &node.members),
            _ => return Ok(()),
        };
        self.take(count(parts.len()))?;
        for part in parts {
            for below in below {
                self.visit(*below, part, depth + 1)?;
            }
        }
        Ok(())
    }
}

fn text_steps(text: &str) -> u64 {
    1 + count(text.len() / BYTES_PER_STEP)
}

/// Returns the steps of `uniqueItems`. It compares lists and objects by a hash that a guest can make equal.
fn unique_steps(list: &[Value]) -> u64 {
    let length = count(list.len());
    let nested = list.iter().any(|item| item.is_array() || item.is_object());
    match nested {
        true => length.saturating_mul(length) / COMPARISONS_PER_STEP,
        false => length.saturating_mul(4),
    }
}

#[cfg(test)]
mod tests;
