//! Validation of values whose number of steps multiplies with each level.
//!
//! The validator of `jsonschema` visits a subschema again for each way that leads to it. [`is_valid`] visits each pair of
//! a subschema and a part of the value once, so its steps are bounded by the product of their numbers. It evaluates
//! references and applicators itself, in the dialect 2020-12, and passes all other keywords to `jsonschema`.

use std::collections::HashMap;

use jsonschema::Validator;
use serde_json::{Map, Value};

use super::schema_steps::{MAX_STEPS, TooManySteps, decoded, own_steps};

/// Largest number of visited pairs.
const MAX_PAIRS: usize = 1_000_000;
/// Largest depth of the recursion.
const MAX_DEPTH: usize = 1000;
/// Largest number of subschemas with other keywords.
const MAX_COMPILED: usize = 2000;

/// Keywords that are evaluated here.
const APPLICATORS: [&str; 17] = [
    "$defs",
    "$ref",
    "additionalProperties",
    "allOf",
    "anyOf",
    "contains",
    "definitions",
    "dependentSchemas",
    "else",
    "if",
    "items",
    "not",
    "oneOf",
    "patternProperties",
    "prefixItems",
    "properties",
    "then",
];
/// Keywords that are not supported here.
const UNSUPPORTED: [&str; 13] = [
    "$anchor",
    "$dynamicAnchor",
    "$dynamicRef",
    "$id",
    "$recursiveRef",
    "$schema",
    "additionalItems",
    "dependencies",
    "id",
    "maxContains",
    "minContains",
    "unevaluatedItems",
    "unevaluatedProperties",
];

/// Returns true if `value` is valid by `schema`, whose references have an end.
///
/// # Errors
///
/// Returns [`TooManySteps`] if that is the case, or if the schema has a keyword that is not supported here.
pub(super) fn is_valid(
    schema: &Value,
    value: &Value,
    compile: &dyn Fn(&Value) -> Option<Validator>,
) -> Result<bool, TooManySteps> {
    let mut walk = Walk {
        root: schema,
        compile,
        compiled: HashMap::new(),
        patterns: HashMap::new(),
        known: HashMap::new(),
        left: MAX_STEPS,
    };
    walk.visit(schema, value, 0)
}

struct Walk<'a> {
    root: &'a Value,
    compile: &'a dyn Fn(&Value) -> Option<Validator>,
    /// Validators of the other keywords of a subschema, by its address.
    compiled: HashMap<*const Value, Option<Validator>>,
    /// Validators of names of members, by their pattern.
    patterns: HashMap<&'a str, Validator>,
    /// Results, by the addresses of subschema and value; `None` while they are visited.
    known: HashMap<(*const Value, *const Value), Option<bool>>,
    /// Number of steps of the other keywords that are left.
    left: u64,
}

impl<'a> Walk<'a> {
    fn visit(
        &mut self,
        schema: &'a Value,
        value: &'a Value,
        depth: usize,
    ) -> Result<bool, TooManySteps> {
        let map = match schema {
            Value::Bool(valid) => return Ok(*valid),
            Value::Object(map) => map,
            _ => return Err(TooManySteps),
        };
        let pair = (std::ptr::from_ref(schema), std::ptr::from_ref(value));
        match self.known.get(&pair) {
            Some(Some(valid)) => return Ok(*valid),
            // It refers to itself.
            Some(None) => return Err(TooManySteps),
            None => {}
        }
        if self.known.len() >= MAX_PAIRS || depth > MAX_DEPTH {
            return Err(TooManySteps);
        }
        self.known.insert(pair, None);
        let valid = self.others(schema, map, value)?
            && self.in_place(map, value, depth + 1)?
            && self.parts(map, value, depth + 1)?;
        self.known.insert(pair, Some(valid));
        Ok(valid)
    }

    /// Evaluates the keywords without subschemas.
    fn others(
        &mut self,
        schema: &'a Value,
        map: &Map<String, Value>,
        value: &Value,
    ) -> Result<bool, TooManySteps> {
        let steps = own_steps(map, value);
        self.left = self.left.checked_sub(steps).ok_or(TooManySteps)?;
        let address = std::ptr::from_ref(schema);
        if !self.compiled.contains_key(&address) {
            if map
                .keys()
                .any(|key| UNSUPPORTED.contains(&&**key) || key == "propertyNames")
            {
                return Err(TooManySteps);
            }
            let others = map
                .iter()
                .filter(|(key, _)| !APPLICATORS.contains(&&***key));
            let others: Map<_, _> = others
                .map(|(key, one)| (key.clone(), one.clone()))
                .collect();
            let validator = match others.is_empty() {
                true => None,
                false if self.compiled.len() >= MAX_COMPILED => return Err(TooManySteps),
                false => Some((self.compile)(&Value::Object(others)).ok_or(TooManySteps)?),
            };
            self.compiled.insert(address, validator);
        }
        let validator = self.compiled.get(&address).and_then(Option::as_ref);
        Ok(validator.is_none_or(|validator| validator.is_valid(value)))
    }

    /// Evaluates the subschemas for the value itself.
    fn in_place(
        &mut self,
        map: &'a Map<String, Value>,
        value: &'a Value,
        depth: usize,
    ) -> Result<bool, TooManySteps> {
        if let Some(reference) = map.get("$ref") {
            let fragment = reference
                .as_str()
                .and_then(|reference| reference.strip_prefix('#'));
            let target = self.root.pointer(&decoded(fragment.ok_or(TooManySteps)?));
            if !self.visit(target.ok_or(TooManySteps)?, value, depth)? {
                return Ok(false);
            }
        }
        for (key, least, most) in [
            ("allOf", usize::MAX, usize::MAX),
            ("anyOf", 1, usize::MAX),
            ("oneOf", 1, 1),
        ] {
            let Some(list) = map.get(key).and_then(Value::as_array) else {
                continue;
            };
            let mut count = 0;
            for one in list {
                count += usize::from(self.visit(one, value, depth)?);
            }
            if count < least.min(list.len()) || count > most {
                return Ok(false);
            }
        }
        if let Some(not) = map.get("not")
            && self.visit(not, value, depth)?
        {
            return Ok(false);
        }
        if let Some(condition) = map.get("if") {
            let branch = if self.visit(condition, value, depth)? {
                "then"
            } else {
                "else"
            };
            if let Some(branch) = map.get(branch)
                && !self.visit(branch, value, depth)?
            {
                return Ok(false);
            }
        }
        let dependent = map.get("dependentSchemas").and_then(Value::as_object);
        for (key, one) in dependent.into_iter().flatten() {
            if value.get(key).is_some() && !self.visit(one, value, depth)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Evaluates the subschemas for members and items.
    fn parts(
        &mut self,
        map: &'a Map<String, Value>,
        value: &'a Value,
        depth: usize,
    ) -> Result<bool, TooManySteps> {
        match value {
            Value::Object(members) => {
                let object = |key: &str| map.get(key).and_then(Value::as_object);
                for (name, member) in members {
                    let mut other = true;
                    if let Some(property) = object("properties").and_then(|all| all.get(name)) {
                        other = false;
                        if !self.visit(property, member, depth)? {
                            return Ok(false);
                        }
                    }
                    for (pattern, one) in object("patternProperties").into_iter().flatten() {
                        if !self.matches(pattern, name)? {
                            continue;
                        }
                        other = false;
                        if !self.visit(one, member, depth)? {
                            return Ok(false);
                        }
                    }
                    if let Some(additional) = map.get("additionalProperties").filter(|_| other)
                        && !self.visit(additional, member, depth)?
                    {
                        return Ok(false);
                    }
                }
            }
            Value::Array(items) => {
                let prefix = map.get("prefixItems").and_then(Value::as_array);
                let prefix = prefix.map_or(&[][..], Vec::as_slice);
                for (index, item) in items.iter().enumerate() {
                    if let Some(one) = prefix.get(index).or_else(|| map.get("items"))
                        && !self.visit(one, item, depth)?
                    {
                        return Ok(false);
                    }
                }
                if let Some(contains) = map.get("contains") {
                    let mut any = false;
                    for item in items {
                        any |= self.visit(contains, item, depth)?;
                    }
                    return Ok(any);
                }
            }
            _ => {}
        }
        Ok(true)
    }

    /// True if a pattern matches `name`.
    fn matches(&mut self, pattern: &'a str, name: &str) -> Result<bool, TooManySteps> {
        let name = Value::from(name);
        let schema = Map::from_iter([("pattern".to_owned(), pattern.into())]);
        let steps = own_steps(&schema, &name);
        self.left = self.left.checked_sub(steps).ok_or(TooManySteps)?;
        if !self.patterns.contains_key(pattern) {
            if self.patterns.len() >= MAX_COMPILED {
                return Err(TooManySteps);
            }
            let validator = (self.compile)(&Value::Object(schema)).ok_or(TooManySteps)?;
            self.patterns.insert(pattern, validator);
        }
        let validator = self.patterns.get(pattern);
        Ok(validator.is_some_and(|validator| validator.is_valid(&name)))
    }
}

#[cfg(test)]
mod tests;
