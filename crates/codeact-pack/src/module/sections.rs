//! The sections of the module, and their encoding with changed and added functions.
//!
//! Indices of existing functions, types and globals do not change, so all code that is not changed is copied as bytes.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use wasm_encoder::{CodeSection, Encode, RawSection, SectionId};
use wasmparser::{
    CompositeInnerType, FuncType, KnownCustom, Name, Parser, Payload, TypeRef, TypeSectionReader,
};

use super::overlay::Overlay;
use super::{Problem, problem};

/// A parsed module.
pub(super) struct Sections<'a> {
    module: &'a [u8],
    /// Identifier and content of each section, in order.
    sections: Vec<(u8, Range<usize>)>,
    /// Signature of each type; `None` if it is not a function type.
    types: Vec<Option<FuncType>>,
    /// Type of each function.
    function_types: Vec<u32>,
    imported_functions: u32,
    global_count: u32,
    /// Bytes of the bodies of the functions that are not imported.
    bodies: Vec<&'a [u8]>,
    /// Indices of the functions with a name.
    names: HashMap<&'a str, Vec<u32>>,
    global_names: HashMap<&'a str, u32>,
}

impl<'a> Sections<'a> {
    pub(super) fn parse(module: &'a [u8]) -> Result<Self, Problem> {
        let mut out = Self {
            module,
            sections: Vec::new(),
            types: Vec::new(),
            function_types: Vec::new(),
            imported_functions: 0,
            global_count: 0,
            bodies: Vec::new(),
            names: HashMap::new(),
            global_names: HashMap::new(),
        };
        for payload in Parser::new(0).parse_all(module) {
            let payload = payload?;
            if let Some((id, range)) = payload.as_section() {
                out.sections.push((id, range));
            }
            match payload {
                Payload::TypeSection(section) => out.types = function_types(section)?,
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        match import?.ty {
                            TypeRef::Func(ty) | TypeRef::FuncExact(ty) => {
                                out.function_types.push(ty);
                                out.imported_functions += 1;
                            }
                            TypeRef::Global(_) => out.global_count += 1,
                            _ => {}
                        }
                    }
                }
                Payload::FunctionSection(section) => {
                    for ty in section {
                        out.function_types.push(ty?);
                    }
                }
                Payload::GlobalSection(section) => out.global_count += section.count(),
                Payload::CodeSectionEntry(body) => out.bodies.push(body.as_bytes()),
                Payload::CustomSection(section) => {
                    if let KnownCustom::Name(names) = section.as_known() {
                        out.read_names(names)?;
                    }
                }
                _ => {}
            }
        }
        Ok(out)
    }

    fn read_names(&mut self, names: wasmparser::NameSectionReader<'a>) -> Result<(), Problem> {
        for name in names {
            match name? {
                Name::Function(functions) => {
                    for naming in functions {
                        let naming = naming?;
                        let indices = self.names.entry(naming.name).or_default();
                        indices.push(naming.index);
                    }
                }
                Name::Global(globals) => {
                    for naming in globals {
                        let naming = naming?;
                        self.global_names.insert(naming.name, naming.index);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Returns the index of the function `name`. If several functions have the name, `name@INDEX` is one of them.
    pub(super) fn function(&self, name: &str) -> Result<u32, Problem> {
        let (plain, index) = match name.rsplit_once('@') {
            Some((plain, index)) => (plain, index.parse::<u32>().ok()),
            None => (name, None),
        };
        match (self.names.get(plain).map_or(&[][..], Vec::as_slice), index) {
            ([], _) => problem(format!("it has no function named `{plain}`")),
            (found, Some(index)) if found.contains(&index) => Ok(index),
            (_, Some(index)) => problem(format!("function {index} is not named `{plain}`")),
            ([one], None) => Ok(*one),
            (found, None) => problem(format!(
                "it has {} functions named `{plain}`; add `@` and the index of one to the name",
                found.len()
            )),
        }
    }

    /// Returns the index of the function `name`, which is not imported.
    pub(super) fn defined_function(&self, name: &str) -> Result<u32, Problem> {
        let function = self.function(name)?;
        match self.body(function) {
            Some(_) => Ok(function),
            None => problem(format!("function `{name}` is imported")),
        }
    }

    /// Returns the index of the global `name`.
    pub(super) fn global(&self, name: &str) -> Result<u32, Problem> {
        match self.global_names.get(name) {
            Some(index) => Ok(*index),
            None => problem(format!("it has no global named `{name}`")),
        }
    }

    /// Returns the body of `function`, or `None` if it is imported.
    pub(super) fn body(&self, function: u32) -> Option<&'a [u8]> {
        let position = function.checked_sub(self.imported_functions)?;
        self.bodies.get(position as usize).copied()
    }

    /// Returns the number of functions, imported ones included.
    pub(super) fn function_count(&self) -> u32 {
        self.function_types.len() as u32
    }

    /// Returns the number of types.
    pub(super) fn type_count(&self) -> u32 {
        self.types.len() as u32
    }

    /// Returns the number of globals, imported ones included.
    pub(super) fn global_count(&self) -> u32 {
        self.global_count
    }

    /// Returns the type index of `function`.
    pub(super) fn type_of(&self, function: u32) -> Option<u32> {
        self.function_types.get(function as usize).copied()
    }

    /// Returns the signature of `function`.
    pub(super) fn signature(&self, function: u32) -> Option<&FuncType> {
        self.types.get(self.type_of(function)? as usize)?.as_ref()
    }

    /// Encodes the module with the bodies `changed`, and the functions of `overlay` around those that `wraps` lists.
    pub(super) fn encode(
        &self,
        changed: &BTreeMap<u32, Vec<u8>>,
        overlay: Option<&Overlay<'_>>,
        wraps: &BTreeMap<String, Vec<String>>,
    ) -> Result<Vec<u8>, Problem> {
        let body = |function: u32| {
            let own = self.body(function).unwrap_or_default();
            changed.get(&function).map_or(own, Vec::as_slice)
        };
        let linked = overlay
            .map(|overlay| overlay.link(self, wraps, &body))
            .transpose()?;
        let mut out = wasm_encoder::Module::new();
        for (id, range) in &self.sections {
            let content = self.module.get(range.clone()).unwrap_or_default();
            let added = linked.as_ref().and_then(|linked| linked.added(*id));
            if *id == SectionId::Code as u8 {
                let mut code = CodeSection::new();
                for function in self.imported_functions..self.function_count() {
                    let replaced = linked.as_ref().and_then(|l| l.replaced.get(&function));
                    code.raw(replaced.map_or(body(function), Vec::as_slice));
                }
                for added in linked.iter().flat_map(|linked| &linked.bodies) {
                    code.raw(added);
                }
                out.section(&code);
            } else if let Some((count, items)) = added {
                let data = extended(content, count, items)?;
                out.section(&RawSection {
                    id: *id,
                    data: &data,
                });
            } else {
                out.section(&RawSection {
                    id: *id,
                    data: content,
                });
            }
        }
        Ok(out.finish())
    }
}

/// Returns the content of a section that is a vector, with `count` more items.
fn extended(content: &[u8], count: u32, items: &[u8]) -> Result<Vec<u8>, Problem> {
    let mut reader = wasmparser::BinaryReader::new(content, 0);
    let total = reader.read_var_u32()?.checked_add(count);
    let Some(total) = total else {
        return problem("a section has too many items");
    };
    let mut out = Vec::with_capacity(content.len() + items.len() + 5);
    total.encode(&mut out);
    out.extend_from_slice(
        content
            .get(reader.original_position()..)
            .unwrap_or_default(),
    );
    out.extend_from_slice(items);
    Ok(out)
}

/// Returns the signature of each type of a section.
pub(super) fn function_types(
    section: TypeSectionReader<'_>,
) -> Result<Vec<Option<FuncType>>, Problem> {
    let mut types = Vec::new();
    for group in section {
        for ty in group?.into_types() {
            types.push(match ty.composite_type.inner {
                CompositeInnerType::Func(function) => Some(function),
                _ => None,
            });
        }
    }
    Ok(types)
}
