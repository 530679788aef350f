//! What is read of a module before it is rewritten.

use std::collections::HashMap;

use wasmparser::{
    CompositeInnerType, ElementItems, FuncToValidate, FuncType, FunctionBody, KnownCustom, Name,
    Operator, Parser, Payload, SubType, TypeRef, ValType, ValidPayload, Validator,
    ValidatorResources, WasmFeatures,
};

use super::RewriteError;
use super::rewrite::CALL;

/// A module's functions, and what its table and references may hold.
#[derive(Default)]
pub(super) struct Parts<'a> {
    /// How many functions are imported; they come first.
    pub(super) imported: u32,
    /// How many types there are.
    pub(super) types: u32,
    /// How many globals there are.
    pub(super) globals: u32,
    /// Each function's type: of equal types the number of the first.
    pub(super) function_types: Vec<u32>,
    /// Each function's type as the module numbers it.
    own_types: Vec<u32>,
    /// Each type's parameters and results, if it is a function's.
    signatures: Vec<FuncType>,
    /// The first of the types that are equal to each.
    pub(super) same_type: Vec<u32>,
    /// Functions that can be called by other ways than by their number.
    pub(super) address_taken: Vec<bool>,
    /// CPython's function that calls a Python object, where the module names its functions.
    pub(super) call: Option<u32>,
    /// The bodies of those that are not imported, and what it takes to validate them.
    pub(super) bodies: Vec<(FunctionBody<'a>, FuncToValidate<ValidatorResources>)>,
}

impl<'a> Parts<'a> {
    pub(super) fn read(module: &'a [u8]) -> Result<Self, RewriteError> {
        let mut parts = Self::default();
        let mut seen: HashMap<SubType, u32> = HashMap::new();
        let mut taken = Vec::new();
        let mut related = false;
        let mut validator = Validator::new_with_features(WasmFeatures::all());
        for payload in Parser::new(0).parse_all(module) {
            let payload = payload?;
            if let ValidPayload::Func(function, body) = validator.payload(&payload)? {
                parts.bodies.push((body, function));
            }
            match payload {
                Payload::TypeSection(section) => {
                    for group in section {
                        let group = group?;
                        related |= group.is_explicit_rec_group();
                        for ty in group.into_types() {
                            related |= ty.supertype_idx.is_some();
                            let number = parts.types;
                            let signature = match &ty.composite_type.inner {
                                CompositeInnerType::Func(function) => function.clone(),
                                _ => FuncType::new([], []),
                            };
                            parts.signatures.push(signature);
                            let first = *seen.entry(ty).or_insert(number);
                            parts.same_type.push(first);
                            parts.types += 1;
                        }
                    }
                    if related {
                        // A call by one type can reach functions of others: then all are one.
                        parts.same_type.fill(0);
                    }
                }
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        match import?.ty {
                            TypeRef::Func(ty) | TypeRef::FuncExact(ty) => {
                                parts.function(ty);
                                parts.imported += 1;
                            }
                            TypeRef::Global(_) => parts.globals += 1,
                            _ => {}
                        }
                    }
                }
                Payload::FunctionSection(section) => {
                    for ty in section {
                        parts.function(ty?);
                    }
                }
                Payload::GlobalSection(section) => {
                    for global in section {
                        parts.globals += 1;
                        let mut init = global?.init_expr.get_operators_reader();
                        while !init.eof() {
                            taken.extend(reference(&init.read()?));
                        }
                    }
                }
                Payload::ElementSection(section) => {
                    for element in section {
                        match element?.items {
                            ElementItems::Functions(functions) => {
                                for function in functions {
                                    taken.push(function?);
                                }
                            }
                            ElementItems::Expressions(_, expressions) => {
                                for expression in expressions {
                                    let mut items = expression?.get_operators_reader();
                                    while !items.eof() {
                                        taken.extend(reference(&items.read()?));
                                    }
                                }
                            }
                        }
                    }
                }
                Payload::CustomSection(section) => {
                    if let KnownCustom::Name(names) = section.as_known() {
                        parts.call = named(names);
                    }
                }
                _ => {}
            }
        }
        for (body, _) in &parts.bodies {
            let mut code = body.get_operators_reader()?;
            while !code.eof() {
                taken.extend(reference(&code.read()?));
            }
        }
        parts.address_taken = vec![false; parts.function_types.len()];
        for function in taken {
            if let Some(is) = parts.address_taken.get_mut(function as usize) {
                *is = true;
            }
        }
        Ok(parts)
    }

    /// The types of function `number`'s parameters.
    pub(super) fn parameters(&self, number: u32) -> &[ValType] {
        self.signature(number).map_or(&[], FuncType::params)
    }

    /// The types of function `number`'s results.
    pub(super) fn results(&self, number: u32) -> &[ValType] {
        self.signature(number).map_or(&[], FuncType::results)
    }

    fn signature(&self, number: u32) -> Option<&FuncType> {
        self.signatures.get(self.own_type(number) as usize)
    }

    /// Function `number`'s type, as the module numbers it.
    pub(super) fn own_type(&self, number: u32) -> u32 {
        self.own_types
            .get(number as usize)
            .copied()
            .unwrap_or_default()
    }

    fn function(&mut self, ty: u32) {
        self.own_types.push(ty);
        let first = self.same_type.get(ty as usize).copied().unwrap_or(ty);
        self.function_types.push(first);
    }
}

fn reference(operator: &Operator) -> Option<u32> {
    match operator {
        Operator::RefFunc { function_index } => Some(*function_index),
        _ => None,
    }
}

/// The function of that name, where there is just one. Names are a courtesy: what cannot be read is no error.
fn named(names: wasmparser::NameSectionReader) -> Option<u32> {
    let functions = names.into_iter().find_map(|name| match name {
        Ok(Name::Function(functions)) => Some(functions),
        _ => None,
    })?;
    let mut found = functions
        .into_iter()
        .flatten()
        .filter(|one| one.name == CALL.0);
    let number = found.next()?.index;
    found.next().is_none().then_some(number)
}
