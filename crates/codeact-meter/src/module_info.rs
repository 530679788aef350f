//! Facts about the input module that the passes need.

use std::collections::HashMap;

use wasmparser::{
    CompositeInnerType, ConstExpr, ElementItems, ElementSectionReader, ExportSectionReader,
    FuncToValidate, FuncType, FunctionBody, ImportSectionReader, KnownCustom, MemoryType, Name,
    NameMap, NameSectionReader, Operator, Parser, Payload, SubType, TypeRef, TypeSectionReader,
    ValType, ValidPayload, Validator, ValidatorResources, WasmFeatures,
};

use crate::abi::{CALL, COUNTER};
use crate::error::RewriteError;
use crate::stack_depth::{DEALLOCATE, STACK_POINTER, StackDepth};

/// Types, functions and address-taken sets of the input module.
#[derive(Default)]
pub(crate) struct ModuleInfo<'a> {
    /// Number of imported functions. They have the first indices.
    pub(crate) imported_functions: u32,
    pub(crate) type_count: u32,
    pub(crate) global_count: u32,
    /// Type index of each function.
    function_types: Vec<u32>,
    /// For each type the index of the first type that is equal to it.
    pub(crate) canonical_types: Vec<u32>,
    /// Signature of each type. It is empty for types that are not function types.
    signatures: Vec<FuncType>,
    /// For each function whether it can be called other than by its index.
    pub(crate) address_taken: Vec<bool>,
    /// Index of [`CALL`], if the module names its functions.
    pub(crate) call_function: Option<u32>,
    /// Where destructors are called, if the module is CPython and names its functions and globals.
    pub(crate) stack_depth: Option<StackDepth>,
    /// Bodies of the functions that are not imported, with what their validation needs.
    pub(crate) bodies: Vec<(FunctionBody<'a>, FuncToValidate<ValidatorResources>)>,
    /// The first memory.
    memory: Option<MemoryType>,
    exports_reserved_name: bool,
}

impl<'a> ModuleInfo<'a> {
    /// Reads `module`. Function bodies are not validated.
    ///
    /// # Errors
    ///
    /// If the module is invalid outside of its function bodies, or unsupported.
    pub(crate) fn parse(module: &'a [u8]) -> Result<Self, RewriteError> {
        let mut info = Self::default();
        // Functions that `ref.func` or an element segment refers to.
        let mut referenced = Vec::new();
        let mut validator = Validator::new_with_features(WasmFeatures::all());
        for payload in Parser::new(0).parse_all(module) {
            let payload = payload?;
            if let ValidPayload::Func(function, body) = validator.payload(&payload)? {
                info.bodies.push((body, function));
            }
            match payload {
                Payload::TypeSection(section) => info.read_types(section)?,
                Payload::ImportSection(section) => info.read_imports(section)?,
                Payload::FunctionSection(section) => {
                    for ty in section {
                        info.function_types.push(ty?);
                    }
                }
                Payload::MemorySection(section) => {
                    for memory in section {
                        info.memory.get_or_insert(memory?);
                    }
                }
                Payload::GlobalSection(section) => {
                    for global in section {
                        info.global_count += 1;
                        collect_references(&global?.init_expr, &mut referenced)?;
                    }
                }
                Payload::ExportSection(section) => info.read_exports(section)?,
                Payload::ElementSection(section) => read_elements(section, &mut referenced)?,
                Payload::CustomSection(section) => {
                    if let KnownCustom::Name(names) = section.as_known() {
                        info.read_names(names);
                    }
                }
                _ => {}
            }
        }
        info.scan_bodies(&mut referenced)?;
        info.check_support()?;
        info.address_taken = vec![false; info.function_types.len()];
        for function in referenced {
            if let Some(taken) = info.address_taken.get_mut(function as usize) {
                *taken = true;
            }
        }
        Ok(info)
    }

    /// Returns the number of functions, imported ones included.
    pub(crate) fn function_count(&self) -> u32 {
        self.function_types.len() as u32
    }

    /// Returns the parameter types of `function`.
    pub(crate) fn parameters(&self, function: u32) -> &[ValType] {
        self.signature(function).map_or(&[], FuncType::params)
    }

    /// Returns the result types of `function`.
    pub(crate) fn results(&self, function: u32) -> &[ValType] {
        self.signature(function).map_or(&[], FuncType::results)
    }

    /// Returns the type index of `function`.
    pub(crate) fn function_type(&self, function: u32) -> u32 {
        let ty = self.function_types.get(function as usize);
        ty.copied().unwrap_or_default()
    }

    /// Returns the index of the first type that is equal to `ty`.
    pub(crate) fn canonical_type(&self, ty: u32) -> u32 {
        let canonical = self.canonical_types.get(ty as usize);
        canonical.copied().unwrap_or(ty)
    }

    fn signature(&self, function: u32) -> Option<&FuncType> {
        self.signatures.get(self.function_type(function) as usize)
    }

    fn read_types(&mut self, section: TypeSectionReader) -> Result<(), RewriteError> {
        let mut first: HashMap<SubType, u32> = HashMap::new();
        let mut has_subtyping = false;
        for group in section {
            let group = group?;
            has_subtyping |= group.is_explicit_rec_group();
            for ty in group.into_types() {
                has_subtyping |= ty.supertype_idx.is_some();
                let signature = match &ty.composite_type.inner {
                    CompositeInnerType::Func(function) => function.clone(),
                    _ => FuncType::new([], []),
                };
                self.signatures.push(signature);
                let index = self.type_count;
                self.canonical_types.push(*first.entry(ty).or_insert(index));
                self.type_count += 1;
            }
        }
        if has_subtyping {
            // A call by one type can reach functions of another, so all types count as equal.
            self.canonical_types.fill(0);
        }
        Ok(())
    }

    fn read_imports(&mut self, section: ImportSectionReader) -> Result<(), RewriteError> {
        for import in section.into_imports() {
            match import?.ty {
                TypeRef::Func(ty) | TypeRef::FuncExact(ty) => {
                    self.function_types.push(ty);
                    self.imported_functions += 1;
                }
                TypeRef::Global(_) => self.global_count += 1,
                TypeRef::Memory(memory) => {
                    self.memory.get_or_insert(memory);
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn read_exports(&mut self, section: ExportSectionReader) -> Result<(), RewriteError> {
        for export in section {
            let name = export?.name;
            self.exports_reserved_name |= name == COUNTER || name == CALL.1;
        }
        Ok(())
    }

    /// Finds what the passes know by name. The name section is optional, so one that cannot be read is not an error.
    fn read_names(&mut self, names: NameSectionReader) {
        let (mut deallocate, mut stack_pointer) = (None, None);
        for name in names.into_iter().flatten() {
            match name {
                Name::Function(functions) => {
                    self.call_function = unique(functions.clone(), CALL.0);
                    deallocate = unique(functions, DEALLOCATE);
                }
                Name::Global(globals) => stack_pointer = unique(globals, STACK_POINTER),
                _ => {}
            }
        }
        let found = deallocate.zip(stack_pointer);
        self.stack_depth = found.map(|(deallocate, stack_pointer)| StackDepth {
            deallocate,
            stack_pointer,
        });
    }

    /// Collects the functions that bodies refer to, and rejects operators that cannot be metered.
    fn scan_bodies(&self, referenced: &mut Vec<u32>) -> Result<(), RewriteError> {
        for (body, _) in &self.bodies {
            let mut reader = body.get_operators_reader()?;
            while !reader.eof() {
                match reader.read()? {
                    Operator::RefFunc { function_index } => referenced.push(function_index),
                    Operator::MemoryCopy { dst_mem, src_mem } if (dst_mem, src_mem) != (0, 0) => {
                        return Err(unsupported(
                            "`memory.copy` of a memory other than the first",
                        ));
                    }
                    Operator::MemoryFill { mem } if mem != 0 => {
                        return Err(unsupported(
                            "`memory.fill` of a memory other than the first",
                        ));
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Checks what the added functions and exports rely on.
    fn check_support(&self) -> Result<(), RewriteError> {
        match self.memory {
            None => return Err(unsupported("no memory")),
            Some(memory) if memory.memory64 => return Err(unsupported("a 64-bit memory")),
            Some(_) => {}
        }
        if self.exports_reserved_name {
            return Err(unsupported("an export with a name that metering reserves"));
        }
        Ok(())
    }
}

fn unsupported(feature: &str) -> RewriteError {
    RewriteError::Unsupported(feature.into())
}

fn read_elements(
    section: ElementSectionReader,
    referenced: &mut Vec<u32>,
) -> Result<(), RewriteError> {
    for element in section {
        match element?.items {
            ElementItems::Functions(functions) => {
                for function in functions {
                    referenced.push(function?);
                }
            }
            ElementItems::Expressions(_, expressions) => {
                for expression in expressions {
                    collect_references(&expression?, referenced)?;
                }
            }
        }
    }
    Ok(())
}

/// Adds the functions that a constant expression refers to.
fn collect_references(
    expression: &ConstExpr,
    referenced: &mut Vec<u32>,
) -> Result<(), RewriteError> {
    let mut reader = expression.get_operators_reader();
    while !reader.eof() {
        if let Operator::RefFunc { function_index } = reader.read()? {
            referenced.push(function_index);
        }
    }
    Ok(())
}

/// Returns the index of `name` if exactly one item has that name.
fn unique(names: NameMap, name: &str) -> Option<u32> {
    let mut found = (names.into_iter().flatten()).filter(|naming| naming.name == name);
    let index = found.next()?.index;
    found.next().is_none().then_some(index)
}
