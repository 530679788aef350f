//! Overlays: small modules whose functions wrap functions of the pack's module.
//!
//! Each export of an overlay is a kind of wrapper. The manifest lists the functions that a kind wraps. All callers and
//! tables then have the wrapper in place of the function, and the import `original.KIND` is the function in the wrapper
//! of each. The overlay also imports `module.NAME`: functions and globals of the pack's module by name, and its memory.
//! Its other functions and its globals are added to the module. A session's state is its linear memory, so no value of
//! an added global is needed after a turn.

use std::collections::BTreeMap;

use wasm_encoder::reencode::{self, Reencode};
use wasm_encoder::{CodeSection, Encode, GlobalSection, SectionId, TypeSection};
use wasmparser::{ExternalKind, FuncType, FunctionBody, Global, Import, Parser, Payload, TypeRef};

use super::sections::{Sections, function_types};
use super::{Problem, problem};

/// A parsed overlay.
#[derive(Default)]
pub(super) struct Overlay<'a> {
    types: Vec<Option<FuncType>>,
    /// Types of all functions, imported ones first.
    function_types: Vec<u32>,
    /// The imported functions.
    imports: Vec<ImportedFunction<'a>>,
    /// Names of the imported globals.
    imported_globals: Vec<&'a str>,
    globals: Vec<Global<'a>>,
    /// Kind of each exported function, by index.
    kinds: BTreeMap<u32, &'a str>,
    bodies: Vec<FunctionBody<'a>>,
}

/// An imported function.
enum ImportedFunction<'a> {
    /// A function of the pack's module.
    OfModule(&'a str),
    /// The function that a kind wraps.
    Original(&'a str),
}

/// An overlay with the indices of the pack's module.
#[derive(Default)]
pub(super) struct Linked {
    /// New bodies of existing functions.
    pub(super) replaced: BTreeMap<u32, Vec<u8>>,
    /// Bodies of the added functions.
    pub(super) bodies: Vec<Vec<u8>>,
    types: (u32, Vec<u8>),
    functions: (u32, Vec<u8>),
    globals: (u32, Vec<u8>),
}

impl Linked {
    /// Returns number and bytes of the items that are added to a section.
    pub(super) fn added(&self, section: u8) -> Option<(u32, &[u8])> {
        let (count, items) = match section {
            id if id == SectionId::Type as u8 => &self.types,
            id if id == SectionId::Function as u8 => &self.functions,
            id if id == SectionId::Global as u8 => &self.globals,
            _ => return None,
        };
        Some((*count, items))
    }
}

impl<'a> Overlay<'a> {
    pub(super) fn parse(module: &'a [u8]) -> Result<Self, Problem> {
        wasmparser::Validator::new().validate_all(module)?;
        let mut out = Self::default();
        for payload in Parser::new(0).parse_all(module) {
            match payload? {
                Payload::TypeSection(section) => out.types = function_types(section)?,
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        out.read_import(import?)?;
                    }
                }
                Payload::FunctionSection(section) => {
                    for ty in section {
                        out.function_types.push(ty?);
                    }
                }
                Payload::GlobalSection(section) => {
                    for global in section {
                        out.globals.push(global?);
                    }
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        let export = export?;
                        if export.kind == ExternalKind::Func {
                            out.kinds.insert(export.index, export.name);
                        }
                    }
                }
                Payload::CodeSectionEntry(body) => out.bodies.push(body),
                Payload::DataSection(_) | Payload::TableSection(_) | Payload::MemorySection(_) => {
                    return problem("its overlay has data, a table or a memory of its own");
                }
                _ => {}
            }
        }
        Ok(out)
    }

    fn read_import(&mut self, import: Import<'a>) -> Result<(), Problem> {
        let name = import.name;
        match (import.module, import.ty) {
            ("module", TypeRef::Memory(_)) => {}
            ("module", TypeRef::Global(_)) => self.imported_globals.push(name),
            ("module", TypeRef::Func(ty)) => {
                self.imports.push(ImportedFunction::OfModule(name));
                self.function_types.push(ty);
            }
            ("original", TypeRef::Func(ty)) => {
                self.imports.push(ImportedFunction::Original(name));
                self.function_types.push(ty);
            }
            (module, _) => return problem(format!("its overlay imports `{module}.{name}`")),
        }
        Ok(())
    }

    /// Resolves the names, and encodes the functions for `module`. `wraps` are the names of the functions that each kind
    /// wraps, `body` returns their bodies.
    pub(super) fn link<'b>(
        &self,
        module: &Sections<'_>,
        wraps: &BTreeMap<String, Vec<String>>,
        body: &impl Fn(u32) -> &'b [u8],
    ) -> Result<Linked, Problem> {
        let mut linked = Linked::default();
        let mut added_types = Vec::new();
        // The added functions are the wrapped ones, in the order of `wraps`, and then those that are not exported.
        let wrapped = self.wrapped(module, wraps)?;
        for (function, _) in &wrapped {
            linked.bodies.push(body(*function).to_vec());
            added_types.push(module.type_of(*function).unwrap_or_default());
        }
        let first_type = module.type_count();
        let mut remap = Remap {
            functions: Vec::new(),
            globals: Vec::new(),
            added_global: module.global_count(),
            first_type,
        };
        for import in &self.imports {
            remap.functions.push(match import {
                ImportedFunction::OfModule(name) => Some(module.function(name)?),
                ImportedFunction::Original(_) => None,
            });
        }
        for name in &self.imported_globals {
            remap.globals.push(module.global(name)?);
        }
        self.check_imports(module)?;
        let mut next = module.function_count() + linked.bodies.len() as u32;
        for (index, ty) in (0..).zip(&self.function_types).skip(self.imports.len()) {
            remap.functions.push(match self.kinds.contains_key(&index) {
                true => None,
                false => {
                    added_types.push(first_type + ty);
                    next += 1;
                    Some(next - 1)
                }
            });
        }
        for (index, body) in (self.imports.len() as u32..).zip(&self.bodies) {
            let Some(kind) = self.kinds.get(&index) else {
                linked.bodies.push(remap.body(body)?);
                continue;
            };
            let original = self.imports.iter().position(
                |import| matches!(import, ImportedFunction::Original(name) if name == kind),
            );
            for (position, (function, _)) in (0..).zip(&wrapped).filter(|(_, (_, of))| of == kind) {
                if let Some(slot) = original.and_then(|index| remap.functions.get_mut(index)) {
                    *slot = Some(module.function_count() + position);
                }
                linked.replaced.insert(*function, remap.body(body)?);
            }
            if let Some(slot) = original.and_then(|index| remap.functions.get_mut(index)) {
                *slot = None;
            }
        }
        linked.types = self.encoded_types()?;
        linked.functions = (added_types.len() as u32, Vec::new());
        added_types
            .iter()
            .for_each(|ty| ty.encode(&mut linked.functions.1));
        linked.globals = self.encoded_globals(&mut remap)?;
        Ok(linked)
    }

    /// Returns the wrapped functions, each with its kind.
    fn wrapped<'w>(
        &self,
        module: &Sections<'_>,
        wraps: &'w BTreeMap<String, Vec<String>>,
    ) -> Result<Vec<(u32, &'w str)>, Problem> {
        let mut wrapped: Vec<(u32, &str)> = Vec::new();
        for (kind, names) in wraps {
            let Some(ty) = self.kinds.iter().find(|(_, own)| **own == kind.as_str()) else {
                return problem(format!("its overlay has no wrapper `{kind}`"));
            };
            for name in names {
                let function = module.defined_function(name)?;
                if wrapped.iter().any(|(other, _)| *other == function) {
                    return problem(format!("`{name}` is wrapped twice"));
                }
                if self.signature(*ty.0) != module.signature(function) {
                    return problem(format!(
                        "`{name}` has another type than its wrapper `{kind}`"
                    ));
                }
                wrapped.push((function, kind));
            }
        }
        Ok(wrapped)
    }

    fn check_imports(&self, module: &Sections<'_>) -> Result<(), Problem> {
        for (index, import) in (0..).zip(&self.imports) {
            let (name, expected) = match import {
                ImportedFunction::OfModule(name) => {
                    (name, module.signature(module.function(name)?))
                }
                ImportedFunction::Original(kind) => {
                    let export = self.kinds.iter().find(|(_, own)| *own == kind);
                    (kind, export.and_then(|(index, _)| self.signature(*index)))
                }
            };
            if expected.is_none() || self.signature(index) != expected {
                return problem(format!("its overlay imports `{name}` with another type"));
            }
        }
        Ok(())
    }

    /// Returns the signature of a function of the overlay.
    fn signature(&self, index: u32) -> Option<&FuncType> {
        let ty = self.function_types.get(index as usize)?;
        self.types.get(*ty as usize)?.as_ref()
    }

    fn encoded_types(&self) -> Result<(u32, Vec<u8>), Problem> {
        let mut section = TypeSection::new();
        for ty in &self.types {
            let ty = ty.clone().map(wasm_encoder::FuncType::try_from);
            let Some(Ok(ty)) = ty else {
                return problem("its overlay has a type that is not a plain function type");
            };
            section.ty().func_type(&ty);
        }
        Ok((section.len(), items(&section)?))
    }

    fn encoded_globals(&self, remap: &mut Remap) -> Result<(u32, Vec<u8>), Problem> {
        let mut section = GlobalSection::new();
        for global in &self.globals {
            let added = remap.parse_global(&mut section, global.clone());
            added.map_err(|error| remap.problem(error))?;
        }
        Ok((section.len(), items(&section)?))
    }
}

/// Returns the items of an encoded section, without its length and count.
fn items(section: &impl Encode) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    section.encode(&mut bytes);
    let mut reader = wasmparser::BinaryReader::new(&bytes, 0);
    reader.read_var_u32()?;
    reader.read_var_u32()?;
    let start = reader.original_position();
    Ok(bytes.get(start..).unwrap_or_default().to_vec())
}

/// Replaces the indices of an overlay by those of the module.
struct Remap {
    /// Index of each function, if it has one: exports and the originals of other kinds have none.
    functions: Vec<Option<u32>>,
    /// Indices of the imported globals.
    globals: Vec<u32>,
    /// Index of the first added global.
    added_global: u32,
    first_type: u32,
}

impl Remap {
    /// Returns the encoded body of a function, without its length.
    fn body(&mut self, body: &FunctionBody<'_>) -> Result<Vec<u8>, Problem> {
        let mut section = CodeSection::new();
        let added = self.parse_function_body(&mut section, body.clone());
        added.map_err(|error| self.problem(error))?;
        let item = items(&section)?;
        let mut reader = wasmparser::BinaryReader::new(&item, 0);
        reader.read_var_u32()?;
        let start = reader.original_position();
        Ok(item.get(start..).unwrap_or_default().to_vec())
    }

    fn problem(&self, error: reencode::Error<Unbound>) -> Problem {
        Problem(format!("its overlay cannot be encoded: {error}"))
    }
}

/// The use of a function that only the wrappers of one kind can call.
#[derive(Debug, thiserror::Error)]
#[error("function {0} of the overlay is used outside of its wrapper")]
struct Unbound(u32);

impl Reencode for Remap {
    type Error = Unbound;

    fn function_index(&mut self, function: u32) -> Result<u32, reencode::Error<Unbound>> {
        let index = self.functions.get(function as usize).copied().flatten();
        index.ok_or(reencode::Error::UserError(Unbound(function)))
    }

    fn type_index(&mut self, ty: u32) -> Result<u32, reencode::Error<Unbound>> {
        Ok(self.first_type + ty)
    }

    fn global_index(&mut self, global: u32) -> Result<u32, reencode::Error<Unbound>> {
        let imported = self.globals.get(global as usize).copied();
        // The overlay was validated: other globals are its own.
        Ok(imported.unwrap_or_else(|| self.added_global + global - self.globals.len() as u32))
    }
}
