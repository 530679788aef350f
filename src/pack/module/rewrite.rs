//! Writing a module again with its meter points.

use std::convert::Infallible;

use wasm_encoder::reencode::{self, Reencode, utils};
use wasm_encoder::{
    CodeSection, ConstExpr, EntityType, ExportKind, ExportSection, FunctionSection, GlobalSection,
    GlobalType, ImportSection, Module, SectionId, TypeSection, ValType,
};
use wasmparser::Parser;

use super::RewriteError;
use super::bodies::Bodies;
use super::calls::{Recursive, recursive};
use super::continued::BUSY;
use super::doubled::MOST_DOUBLED;
use super::outline::LARGE;
use super::parts::Parts;
use super::same::Same;

/// The export that holds the counter, an `i64`: what may be used before the host is called.
pub(crate) const COUNTER: &str = "codeact_meter";
/// The import that is called with the counter when it has gone below zero, and gives what it is then: less
/// than zero if [`GIVE_WAY`] is to be asked that.
pub(crate) const TICK: (&str, &str) = ("codeact", "tick");
/// The import that gives way to others, and gives what the counter is then.
pub(crate) const GIVE_WAY: (&str, &str) = ("codeact", "give_way");
/// So many functions are imported besides the module's own.
const HOST: u32 = 2;

/// CPython's function that calls a Python object without arguments, and the export it gets.
pub(crate) const CALL: (&str, &str) = ("PyObject_CallNoArgs", "codeact_call");

/// `module` with meter points and without custom sections. Without `points` it has what goes with them and
/// none of them: what metering costs is measured against that.
pub(crate) fn metered(module: &[u8], points: bool) -> Result<Vec<u8>, RewriteError> {
    rewritten(module, points, Bounds::default())
}

/// What decides how functions and loops are written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// From so many instructions on a function is large.
    pub(super) large: usize,
    /// From so many locals on a loop is busy.
    pub(super) busy: usize,
    /// Up to so many instructions a loop's pass is written twice.
    pub(super) doubled: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            large: LARGE,
            busy: BUSY,
            doubled: MOST_DOUBLED,
        }
    }
}

/// As [`metered`], with other bounds.
pub(super) fn rewritten(
    module: &[u8],
    points: bool,
    bounds: Bounds,
) -> Result<Vec<u8>, RewriteError> {
    let parts = Parts::read(module)?;
    let recursive = recursive(&parts)?;
    let mut meter = Meter {
        same: Same::find(&parts, &recursive)?,
        recursive,
        parts,
        points,
        bounds,
        bodies: Bodies::default(),
        seen: Vec::new(),
    };
    meter.make_bodies().map_err(encoding)?;
    let mut out = Module::new();
    meter
        .parse_core_module(&mut out, Parser::new(0), module)
        .map_err(encoding)?;
    for section in [
        SectionId::Type,
        SectionId::Import,
        SectionId::Function,
        SectionId::Global,
        SectionId::Export,
        SectionId::Code,
    ] {
        if !meter.seen.contains(&section) {
            return Err(RewriteError::Encode(format!(
                "it has no {section:?} section"
            )));
        }
    }
    Ok(out.finish())
}

fn encoding(error: reencode::Error<Infallible>) -> RewriteError {
    RewriteError::Encode(error.to_string())
}

pub(super) struct Meter<'a> {
    pub(super) parts: Parts<'a>,
    pub(super) recursive: Recursive,
    pub(super) same: Same,
    pub(super) points: bool,
    pub(super) bounds: Bounds,
    /// The code, made before the rest: its functions' types come before it.
    pub(super) bodies: Bodies,
    seen: Vec<SectionId>,
}

pub(super) type Encoded<T> = Result<T, reencode::Error<Infallible>>;

impl Reencode for Meter<'_> {
    type Error = Infallible;

    fn function_index(&mut self, function: u32) -> Encoded<u32> {
        Ok(self.moved(function))
    }

    fn parse_type_section(
        &mut self,
        types: &mut TypeSection,
        section: wasmparser::TypeSectionReader<'_>,
    ) -> Encoded<()> {
        utils::parse_type_section(self, types, section)?;
        types.ty().function([], []);
        types.ty().function([ValType::I64], [ValType::I64]);
        types.ty().function([], [ValType::I64]);
        types.ty().function([ValType::I32; 3], []);
        for (takes, gives) in &self.bodies.types {
            let (takes, gives) = (takes.iter().copied(), gives.iter().copied());
            types.ty().function(takes, gives);
        }
        Ok(())
    }

    fn parse_import_section(
        &mut self,
        imports: &mut ImportSection,
        section: wasmparser::ImportSectionReader<'_>,
    ) -> Encoded<()> {
        utils::parse_import_section(self, imports, section)?;
        let [_, tick, give_way, _] = self.types();
        imports.import(TICK.0, TICK.1, EntityType::Function(tick));
        imports.import(GIVE_WAY.0, GIVE_WAY.1, EntityType::Function(give_way));
        Ok(())
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: wasmparser::FunctionSectionReader<'_>,
    ) -> Encoded<()> {
        for (number, ty) in (self.parts.imported..).zip(section) {
            let ty = self.type_index(ty?)?;
            if self.same.is_first(number) {
                functions.function(ty);
            }
        }
        let [pause, _, _, piece] = self.types();
        functions.function(piece).function(piece).function(pause);
        for (ty, _) in &self.bodies.added {
            functions.function(*ty);
        }
        Ok(())
    }

    fn parse_global_section(
        &mut self,
        globals: &mut GlobalSection,
        section: wasmparser::GlobalSectionReader<'_>,
    ) -> Encoded<()> {
        utils::parse_global_section(self, globals, section)?;
        let number = GlobalType {
            val_type: ValType::I64,
            mutable: true,
            shared: false,
        };
        // The counter, which function to go on with, and what carries locals.
        for _ in 0..2 + self.bodies.keeping {
            globals.global(number, &ConstExpr::i64_const(0));
        }
        Ok(())
    }

    fn parse_export_section(
        &mut self,
        exports: &mut ExportSection,
        section: wasmparser::ExportSectionReader<'_>,
    ) -> Encoded<()> {
        utils::parse_export_section(self, exports, section)?;
        exports.export(COUNTER, ExportKind::Global, self.counter());
        if let Some(call) = self.parts.call {
            exports.export(CALL.1, ExportKind::Func, self.function_index(call)?);
        }
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        code: &mut CodeSection,
        _section: wasmparser::CodeSectionReader<'_>,
    ) -> Encoded<()> {
        *code = std::mem::take(&mut self.bodies.code);
        Ok(())
    }

    fn intersperse_section_hook(
        &mut self,
        module: &mut Module,
        _after: Option<SectionId>,
        before: Option<SectionId>,
    ) -> Encoded<()> {
        self.seen.extend(before);
        if before == Some(SectionId::Code) {
            module.section(&self.bodies.hints);
        }
        Ok(())
    }

    /// They are left out.
    fn parse_custom_section(
        &mut self,
        _module: &mut Module,
        _section: wasmparser::CustomSectionReader<'_>,
    ) -> Encoded<()> {
        Ok(())
    }
}

impl Meter<'_> {
    /// The types that are added first: of the function that pauses, of what it calls, and of those that work
    /// in pieces.
    fn types(&self) -> [u32; 4] {
        [0, 1, 2, 3].map(|n| self.parts.types + n)
    }

    /// The type of an added function that is at `place` in [`Bodies::types`].
    pub(super) fn added_type(&self, place: u32) -> u32 {
        let [.., last] = self.types();
        last + 1 + place
    }

    /// Types as they are written.
    pub(super) fn val_types(
        &mut self,
        types: impl IntoIterator<Item = wasmparser::ValType>,
    ) -> Encoded<Vec<ValType>> {
        (types.into_iter()).map(|ty| self.val_type(ty)).collect()
    }

    /// Function `number` as the module numbers it now: what is imported besides comes behind all other imports.
    pub(super) fn moved(&self, number: u32) -> u32 {
        let number = self.same.number(number);
        match number < self.parts.imported {
            true => number,
            false => number.saturating_add(HOST),
        }
    }

    pub(super) fn counter(&self) -> u32 {
        self.parts.globals
    }

    /// The global that tells the function that others pause in which one it goes on with (`pauses`).
    pub(super) fn which(&self) -> u32 {
        self.counter() + 1
    }

    pub(super) fn tick(&self) -> u32 {
        self.parts.imported
    }

    pub(super) fn give_way(&self) -> u32 {
        self.tick() + 1
    }

    /// The function that copies memory in pieces; the one behind it fills it.
    pub(super) fn copy(&self) -> u32 {
        self.same.count() + HOST
    }

    /// The function that meter points call, which calls the host (`bodies`).
    pub(super) fn pause(&self) -> u32 {
        self.copy() + 2
    }

    /// The first of the functions that are added behind all others.
    pub(super) fn first_added(&self) -> u32 {
        self.pause() + 1
    }

    /// The function that is added next.
    pub(super) fn next_added(&self) -> u32 {
        self.first_added() + self.bodies.added.len() as u32
    }
}
