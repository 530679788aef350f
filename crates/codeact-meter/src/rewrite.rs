//! Rewriting of a module: runs the passes and encodes the sections.

use std::convert::Infallible;

use wasm_encoder::reencode::{self, Reencode, utils};
use wasm_encoder::{
    CodeSection, ConstExpr, EntityType, ExportKind, ExportSection, FunctionSection, GlobalSection,
    GlobalType, ImportSection, Module, SectionId, TypeSection, ValType,
};
use wasmparser::Parser;

use crate::abi::{CALL, COUNTER, TICK, YIELD_NOW};
use crate::call_graph::RecursionCut;
use crate::emit::{EmittedCode, Options, emit_code};
use crate::error::RewriteError;
use crate::function_merging::MergedFunctions;
use crate::index_space::{IndexSpace, Reencoded};
use crate::module_info::ModuleInfo;

/// Sections that the module must have, because definitions are added to them.
const REQUIRED_SECTIONS: [SectionId; 6] = [
    SectionId::Type,
    SectionId::Import,
    SectionId::Function,
    SectionId::Global,
    SectionId::Export,
    SectionId::Code,
];

/// Returns `module` with meter points and without custom sections.
///
/// The result imports [`TICK`] and [`YIELD_NOW`] and exports [`COUNTER`], and [`CALL`] if the
/// module names it. It uses tail calls, and has a branch hinting section.
///
/// `points` is true, except in benchmarks: without it the result has everything but the meter
/// points, so that their cost can be measured. **A module without points runs without limit.**
///
/// Function bodies are not validated completely. The engine has to validate the result.
///
/// # Errors
///
/// If the module is invalid, or if it lacks one of the type, import, function, memory, global,
/// export and code sections (a memory may be imported), uses a 64-bit memory, or copies or fills a
/// memory other than the first.
pub fn metered(module: &[u8], points: bool) -> Result<Vec<u8>, RewriteError> {
    let options = Options {
        points,
        ..Options::default()
    };
    rewritten(module, options)
}

/// Rewrites `module` as [`metered`] does, with other thresholds.
pub(crate) fn rewritten(module: &[u8], options: Options) -> Result<Vec<u8>, RewriteError> {
    let info = ModuleInfo::parse(module)?;
    let recursion = RecursionCut::compute(&info)?;
    let merged = MergedFunctions::compute(&info, &recursion)?;
    let indices = IndexSpace::new(&info, &merged);
    let call_function = info.call_function;
    let imported_functions = info.imported_functions;
    let emitted = emit_code(info, &recursion, indices, options).map_err(encode_error)?;
    let mut rewriter = Rewriter {
        indices,
        imported_functions,
        call_function,
        emitted,
        seen: Vec::new(),
    };
    let mut out = Module::new();
    rewriter
        .parse_core_module(&mut out, Parser::new(0), module)
        .map_err(encode_error)?;
    for section in REQUIRED_SECTIONS {
        if !rewriter.seen.contains(&section) {
            let missing = format!("no {section:?} section");
            return Err(RewriteError::Unsupported(missing));
        }
    }
    Ok(out.finish())
}

fn encode_error(error: reencode::Error<Infallible>) -> RewriteError {
    match error {
        reencode::Error::ParseError(error) => RewriteError::Parse(error),
        other => RewriteError::Encode(other.to_string()),
    }
}

/// Encodes the sections of the input module again, with the additions.
struct Rewriter<'a> {
    indices: IndexSpace<'a>,
    imported_functions: u32,
    call_function: Option<u32>,
    /// The code. It is emitted first because the sections before it depend on it.
    emitted: EmittedCode,
    seen: Vec<SectionId>,
}

impl Reencode for Rewriter<'_> {
    type Error = Infallible;

    fn function_index(&mut self, function: u32) -> Reencoded<u32> {
        self.indices.function_index(function)
    }

    fn parse_type_section(
        &mut self,
        types: &mut TypeSection,
        section: wasmparser::TypeSectionReader<'_>,
    ) -> Reencoded<()> {
        utils::parse_type_section(self, types, section)?;
        // In the order of `IndexSpace`: yield function, `tick`, `yield_now`, bulk memory.
        types.ty().function([], []);
        types.ty().function([ValType::I64], [ValType::I64]);
        types.ty().function([], [ValType::I64]);
        types.ty().function([ValType::I32; 3], []);
        for (parameters, results) in &self.emitted.additions.types {
            let (parameters, results) = (parameters.iter().copied(), results.iter().copied());
            types.ty().function(parameters, results);
        }
        Ok(())
    }

    fn parse_import_section(
        &mut self,
        imports: &mut ImportSection,
        section: wasmparser::ImportSectionReader<'_>,
    ) -> Reencoded<()> {
        utils::parse_import_section(self, imports, section)?;
        let tick = EntityType::Function(self.indices.tick_type());
        imports.import(TICK.0, TICK.1, tick);
        let yield_now = EntityType::Function(self.indices.yield_now_type());
        imports.import(YIELD_NOW.0, YIELD_NOW.1, yield_now);
        Ok(())
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: wasmparser::FunctionSectionReader<'_>,
    ) -> Reencoded<()> {
        for (function, ty) in (self.imported_functions..).zip(section) {
            let ty = self.type_index(ty?)?;
            if self.indices.merged().is_representative(function) {
                functions.function(ty);
            }
        }
        let bulk_memory = self.indices.bulk_memory_type();
        functions.function(bulk_memory).function(bulk_memory);
        functions.function(self.indices.yield_type());
        for function in &self.emitted.additions.functions {
            functions.function(function.ty);
        }
        Ok(())
    }

    fn parse_global_section(
        &mut self,
        globals: &mut GlobalSection,
        section: wasmparser::GlobalSectionReader<'_>,
    ) -> Reencoded<()> {
        utils::parse_global_section(self, globals, section)?;
        let ty = GlobalType {
            val_type: ValType::I64,
            mutable: true,
            shared: false,
        };
        // The counter, the resume target, and the spill globals.
        for _ in 0..2 + self.emitted.additions.spill_globals {
            globals.global(ty, &ConstExpr::i64_const(0));
        }
        Ok(())
    }

    fn parse_export_section(
        &mut self,
        exports: &mut ExportSection,
        section: wasmparser::ExportSectionReader<'_>,
    ) -> Reencoded<()> {
        utils::parse_export_section(self, exports, section)?;
        exports.export(COUNTER, ExportKind::Global, self.indices.counter());
        if let Some(function) = self.call_function {
            let function = self.indices.function(function);
            exports.export(CALL.1, ExportKind::Func, function);
        }
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        code: &mut CodeSection,
        _section: wasmparser::CodeSectionReader<'_>,
    ) -> Reencoded<()> {
        *code = std::mem::take(&mut self.emitted.code);
        Ok(())
    }

    fn intersperse_section_hook(
        &mut self,
        module: &mut Module,
        _after: Option<SectionId>,
        before: Option<SectionId>,
    ) -> Reencoded<()> {
        self.seen.extend(before);
        if before == Some(SectionId::Code) {
            module.section(&self.emitted.hints);
        }
        Ok(())
    }

    /// Leaves the section out. Names would be a seventh of CPython's module, and each start of a
    /// process would read them.
    fn parse_custom_section(
        &mut self,
        _module: &mut Module,
        _section: wasmparser::CustomSectionReader<'_>,
    ) -> Reencoded<()> {
        Ok(())
    }
}
