//! Writing a module again with its meter points.

use std::convert::Infallible;

use wasm_encoder::reencode::{self, Reencode, utils};
use wasm_encoder::{
    BlockType, BranchHint, BranchHints, CodeSection, ConstExpr, EntityType, ExportKind,
    ExportSection, Function, FunctionSection, GlobalSection, GlobalType, ImportSection,
    Instruction, Module, SectionId, TypeSection, ValType,
};
use wasmparser::{FunctionBody, Operator, Parser};

use super::RewriteError;
use super::calls::{Recursive, recursive};
use super::nesting::{called_type, each};
use super::parts::Parts;

/// The export that holds the counter, an `i64`: what may be used before the host is called.
pub(crate) const COUNTER: &str = "codeact_meter";
/// The import that is called when the counter has gone below zero.
pub(crate) const TICK: (&str, &str) = ("codeact", "tick");

/// CPython's function that calls a Python object without arguments, and the export it gets.
pub(crate) const CALL: (&str, &str) = ("PyObject_CallNoArgs", "codeact_call");

/// Operations on memory are done in pieces of so many bytes.
pub(super) const PIECE: i32 = 1 << 20;
/// What a piece takes from the counter: a unit for four bytes, which is about what they take in time.
const PIECE_COST: i64 = PIECE as i64 / 4;
/// The most that one pass of a loop takes.
const MOST_COST: i64 = 100;

/// `module` with meter points and without custom sections. Without `points` it has what goes with them and
/// none of them: what metering costs is measured against that.
pub(crate) fn metered(module: &[u8], points: bool) -> Result<Vec<u8>, RewriteError> {
    let parts = Parts::read(module)?;
    let mut meter = Meter {
        recursive: recursive(&parts)?,
        parts,
        points,
        code: None,
        seen: Vec::new(),
    };
    let mut out = Module::new();
    meter
        .parse_core_module(&mut out, Parser::new(0), module)
        .map_err(|e| RewriteError::Encode(e.to_string()))?;
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

struct Meter<'a> {
    parts: Parts<'a>,
    recursive: Recursive,
    points: bool,
    /// The code, made when its hints have to be written, which come before it.
    code: Option<CodeSection>,
    seen: Vec<SectionId>,
}

type Encoded<T> = Result<T, reencode::Error<Infallible>>;

impl Reencode for Meter<'_> {
    type Error = Infallible;

    /// The call of the host is the last import, so all others move by one.
    fn function_index(&mut self, function: u32) -> Encoded<u32> {
        Ok(function + u32::from(function >= self.parts.imported))
    }

    fn parse_type_section(
        &mut self,
        types: &mut TypeSection,
        section: wasmparser::TypeSectionReader<'_>,
    ) -> Encoded<()> {
        utils::parse_type_section(self, types, section)?;
        types.ty().function([], []);
        types.ty().function([ValType::I32; 3], []);
        Ok(())
    }

    fn parse_import_section(
        &mut self,
        imports: &mut ImportSection,
        section: wasmparser::ImportSectionReader<'_>,
    ) -> Encoded<()> {
        utils::parse_import_section(self, imports, section)?;
        imports.import(TICK.0, TICK.1, EntityType::Function(self.tick_type()));
        Ok(())
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: wasmparser::FunctionSectionReader<'_>,
    ) -> Encoded<()> {
        utils::parse_function_section(self, functions, section)?;
        functions.function(self.piece_type());
        functions.function(self.piece_type());
        Ok(())
    }

    fn parse_global_section(
        &mut self,
        globals: &mut GlobalSection,
        section: wasmparser::GlobalSectionReader<'_>,
    ) -> Encoded<()> {
        utils::parse_global_section(self, globals, section)?;
        let counter = GlobalType {
            val_type: ValType::I64,
            mutable: true,
            shared: false,
        };
        globals.global(counter, &ConstExpr::i64_const(0));
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
        *code = self.code.take().unwrap_or_default();
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
            let hints = self.make_code()?;
            module.section(&hints);
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
    fn tick_type(&self) -> u32 {
        self.parts.types
    }

    fn piece_type(&self) -> u32 {
        self.parts.types + 1
    }

    fn counter(&self) -> u32 {
        self.parts.globals
    }

    fn tick(&self) -> u32 {
        self.parts.imported
    }

    /// The function that copies memory in pieces; the one behind it fills it.
    fn copy(&self) -> u32 {
        self.parts.function_types.len() as u32 + 1
    }

    fn make_code(&mut self) -> Encoded<BranchHints> {
        let mut code = CodeSection::new();
        let mut hints = BranchHints::new();
        let bodies = std::mem::take(&mut self.parts.bodies);
        for (i, body) in bodies.iter().enumerate() {
            let number = self.parts.imported + i as u32;
            let (function, cold) = self.body(number, body)?;
            add(&mut code, &mut hints, number + 1, &function, &cold);
        }
        for fill in [false, true] {
            let (function, cold) = self.in_pieces(fill);
            add(
                &mut code,
                &mut hints,
                self.copy() + u32::from(fill),
                &function,
                &cold,
            );
        }
        self.code = Some(code);
        Ok(hints)
    }

    /// A function with its meter points, and where those branch to the host.
    fn body(&mut self, number: u32, body: &FunctionBody) -> Encoded<(Function, Vec<u32>)> {
        let costs = loop_costs(body)?;
        let mut costs = costs.into_iter();
        let mut cold = Vec::new();
        let mut out = self.new_function_with_parsed_locals(body)?;
        if self.recursive.entries[number as usize] {
            self.point(&mut out, 1, &mut cold);
        }
        each::<reencode::Error<Infallible>>(body, |operator, innermost| {
            let again = |ty| innermost.is_none() && self.recursive.by_type(number, ty);
            match operator {
                Operator::MemoryCopy { .. } => {
                    out.instruction(&Instruction::Call(self.copy()));
                    return Ok(());
                }
                Operator::MemoryFill { .. } => {
                    out.instruction(&Instruction::Call(self.copy() + 1));
                    return Ok(());
                }
                _ if called_type(&operator).is_some_and(again) => {
                    self.point(&mut out, 1, &mut cold);
                }
                _ => {}
            }
            let is_loop = matches!(operator, Operator::Loop { .. });
            out.instruction(&self.instruction(operator)?);
            if is_loop {
                self.point(&mut out, costs.next().unwrap_or(MOST_COST), &mut cold);
            }
            Ok(())
        })?;
        Ok((out, cold))
    }

    /// A meter point.
    fn point(&self, out: &mut Function, cost: i64, cold: &mut Vec<u32>) {
        if !self.points {
            return;
        }
        let counter = self.counter();
        out.instructions()
            .global_get(counter)
            .i64_const(cost)
            .i64_sub()
            .global_set(counter)
            .global_get(counter)
            .i64_const(0)
            .i64_lt_s();
        cold.push(out.byte_len() as u32);
        out.instructions()
            .if_(BlockType::Empty)
            .call(self.tick())
            .end();
    }

    /// `memory.copy` or `memory.fill` in pieces, each with a meter point. A copy goes forwards or
    /// backwards, as its parts overlap.
    fn in_pieces(&self, fill: bool) -> (Function, Vec<u32>) {
        let (to, from, len) = (0, 1, 2);
        let mut cold = Vec::new();
        let mut out = Function::new([]);
        let one = |out: &mut Function| {
            let mut code = out.instructions();
            match fill {
                true => code.memory_fill(0),
                false => code.memory_copy(0, 0),
            };
        };
        let mut piece = |out: &mut Function, forwards: bool| {
            out.instructions()
                .loop_(BlockType::Empty)
                .local_get(len)
                .i32_const(PIECE)
                .i32_gt_u()
                .if_(BlockType::Empty);
            self.point(out, PIECE_COST, &mut cold);
            if forwards {
                out.instructions()
                    .local_get(to)
                    .local_get(from)
                    .i32_const(PIECE);
                one(out);
                out.instructions()
                    .local_get(to)
                    .i32_const(PIECE)
                    .i32_add()
                    .local_set(to);
                if !fill {
                    out.instructions()
                        .local_get(from)
                        .i32_const(PIECE)
                        .i32_add()
                        .local_set(from);
                }
            }
            out.instructions()
                .local_get(len)
                .i32_const(PIECE)
                .i32_sub()
                .local_set(len);
            if !forwards {
                out.instructions()
                    .local_get(to)
                    .local_get(len)
                    .i32_add()
                    .local_get(from)
                    .local_get(len)
                    .i32_add()
                    .i32_const(PIECE);
                one(out);
            }
            out.instructions().br(1).end().end();
        };
        if fill {
            piece(&mut out, true);
        } else {
            out.instructions()
                .local_get(to)
                .local_get(from)
                .i32_le_u()
                .if_(BlockType::Empty);
            piece(&mut out, true);
            out.instructions().else_();
            piece(&mut out, false);
            out.instructions().end();
        }
        out.instructions()
            .local_get(to)
            .local_get(from)
            .local_get(len);
        one(&mut out);
        out.instructions().end();
        (out, cold)
    }
}

fn add(
    code: &mut CodeSection,
    hints: &mut BranchHints,
    number: u32,
    function: &Function,
    cold: &[u32],
) {
    code.function(function);
    if !cold.is_empty() {
        let unlikely = cold.iter().map(|at| BranchHint {
            branch_func_offset: *at,
            branch_hint_value: 0,
        });
        hints.function_hints(number, unlikely.collect::<Vec<_>>());
    }
}

/// What one pass of each loop of a function costs, in their order: its instructions, without those of
/// loops within it.
fn loop_costs(body: &FunctionBody) -> Encoded<Vec<i64>> {
    let mut costs: Vec<i64> = Vec::new();
    each::<reencode::Error<Infallible>>(body, |operator, innermost| {
        if let Some(cost) = innermost.and_then(|inner| costs.get_mut(inner)) {
            *cost += 1;
        }
        if matches!(operator, Operator::Loop { .. }) {
            costs.push(0);
        }
        Ok(())
    })?;
    let clamped = costs.into_iter().map(|cost| cost.clamp(1, MOST_COST));
    Ok(clamped.collect())
}
