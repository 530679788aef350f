//! Which of a function's locals are still needed at the heads of its loops.
//!
//! Textbook liveness over basic blocks: a local is live where some path reads it before it is written.
//! Exceptions can leave a block at any of its calls, so what a handler needs is live in all of the block.

use wasmparser::{BinaryReaderError, FunctionBody, Operator};

/// A set of locals.
#[derive(Clone, PartialEq, Eq)]
struct Locals(Vec<u64>);

impl Locals {
    fn none(count: usize) -> Self {
        Self(vec![0; count.div_ceil(64)])
    }

    fn has(&self, local: u32) -> bool {
        let word = self.0.get(local as usize / 64);
        word.is_some_and(|word| word >> (local % 64) & 1 == 1)
    }

    fn add(&mut self, local: u32) {
        if let Some(word) = self.0.get_mut(local as usize / 64) {
            *word |= 1 << (local % 64);
        }
    }

    fn add_all(&mut self, others: &Self) {
        for (word, other) in self.0.iter_mut().zip(&others.0) {
            *word |= other;
        }
    }

    fn add_all_but(&mut self, others: &Self, but: &Self) {
        for ((word, other), but) in self.0.iter_mut().zip(&others.0).zip(&but.0) {
            *word |= other & !but;
        }
    }

    fn list(&self) -> Vec<u32> {
        let count = self.0.len() as u32 * 64;
        (0..count).filter(|local| self.has(*local)).collect()
    }
}

struct Block {
    /// Read before they are written here.
    read: Locals,
    written: Locals,
    next: Vec<usize>,
    /// Where exceptions go.
    handlers: Vec<usize>,
}

/// What is open.
struct Frame {
    /// Where a branch to it goes.
    target: usize,
    kind: Kind,
}

enum Kind {
    Block,
    Loop,
    If { otherwise: usize },
    Else,
    Try { handlers: usize },
}

struct Graph {
    count: usize,
    blocks: Vec<Block>,
    here: usize,
    open: Vec<Frame>,
    /// The handlers of all that is open.
    handlers: Vec<usize>,
    heads: Vec<usize>,
}

/// For each loop of `body`, in their order, the locals that are live at its head. `None` for a function
/// that has control flow this does not know. `count` is that of its locals, parameters included.
pub(super) fn at_loops(
    body: &FunctionBody,
    count: usize,
) -> Result<Option<Vec<Vec<u32>>>, BinaryReaderError> {
    let mut graph = Graph {
        count,
        blocks: Vec::new(),
        here: 0,
        open: Vec::new(),
        handlers: Vec::new(),
        heads: Vec::new(),
    };
    graph.here = graph.block();
    // The function itself: a branch to it returns.
    let target = graph.block();
    graph.open.push(Frame {
        target,
        kind: Kind::Block,
    });
    let mut code = body.get_operators_reader()?;
    while !code.eof() {
        if graph.pass(&code.read()?).is_none() {
            return Ok(None);
        }
    }
    let live = graph.live();
    let heads = graph.heads.iter().map(|head| live[*head].list());
    Ok(Some(heads.collect()))
}

impl Graph {
    fn block(&mut self) -> usize {
        self.blocks.push(Block {
            read: Locals::none(self.count),
            written: Locals::none(self.count),
            next: Vec::new(),
            handlers: self.handlers.clone(),
        });
        self.blocks.len() - 1
    }

    /// Goes on in a new block, which nothing leads to yet.
    fn elsewhere(&mut self) {
        self.here = self.block();
    }

    /// Goes on in a new block behind this one.
    fn behind(&mut self) -> usize {
        let next = self.block();
        self.lead_to(next);
        self.here = next;
        next
    }

    fn lead_to(&mut self, next: usize) {
        self.blocks[self.here].next.push(next);
    }

    fn branch(&mut self, depth: u32) -> Option<()> {
        let at = self.open.len().checked_sub(1 + depth as usize)?;
        let target = self.open[at].target;
        self.lead_to(target);
        Some(())
    }

    fn read(&mut self, local: u32) {
        let block = &mut self.blocks[self.here];
        if !block.written.has(local) {
            block.read.add(local);
        }
    }

    /// `None` when `operator` leads somewhere unknown.
    fn pass(&mut self, operator: &Operator) -> Option<()> {
        match operator {
            Operator::LocalGet { local_index } => self.read(*local_index),
            Operator::LocalSet { local_index } | Operator::LocalTee { local_index } => {
                self.blocks[self.here].written.add(*local_index);
            }
            Operator::Block { .. } => {
                let target = self.block();
                self.open.push(Frame {
                    target,
                    kind: Kind::Block,
                });
            }
            Operator::Loop { .. } => {
                let target = self.behind();
                self.heads.push(target);
                self.open.push(Frame {
                    target,
                    kind: Kind::Loop,
                });
            }
            Operator::If { .. } => {
                let (target, otherwise) = (self.block(), self.block());
                self.lead_to(otherwise);
                self.behind();
                self.open.push(Frame {
                    target,
                    kind: Kind::If { otherwise },
                });
            }
            Operator::Else => {
                let frame = self.open.last_mut()?;
                let target = frame.target;
                let Kind::If { otherwise } = std::mem::replace(&mut frame.kind, Kind::Else) else {
                    return None;
                };
                self.lead_to(target);
                self.here = otherwise;
            }
            Operator::TryTable { try_table } => {
                let target = self.block();
                let before = self.handlers.len();
                for catch in &try_table.catches {
                    let depth = match catch {
                        wasmparser::Catch::One { label, .. }
                        | wasmparser::Catch::OneRef { label, .. }
                        | wasmparser::Catch::All { label }
                        | wasmparser::Catch::AllRef { label } => *label,
                    };
                    let at = self.open.len().checked_sub(1 + depth as usize)?;
                    self.handlers.push(self.open[at].target);
                }
                self.behind();
                self.open.push(Frame {
                    target,
                    kind: Kind::Try { handlers: before },
                });
            }
            Operator::End => {
                let Frame { target, kind } = self.open.pop()?;
                match kind {
                    // It has no label at its end.
                    Kind::Loop => return Some(()),
                    Kind::If { otherwise } => self.blocks[otherwise].next.push(target),
                    Kind::Try { handlers } => self.handlers.truncate(handlers),
                    Kind::Block | Kind::Else => {}
                }
                self.lead_to(target);
                self.here = target;
            }
            Operator::Br { relative_depth } => {
                self.branch(*relative_depth)?;
                self.elsewhere();
            }
            Operator::BrIf { relative_depth } => {
                self.branch(*relative_depth)?;
                self.behind();
            }
            Operator::BrTable { targets } => {
                for target in targets.targets() {
                    self.branch(target.ok()?)?;
                }
                self.branch(targets.default())?;
                self.elsewhere();
            }
            Operator::Return
            | Operator::Unreachable
            | Operator::ReturnCall { .. }
            | Operator::ReturnCallIndirect { .. }
            | Operator::ReturnCallRef { .. }
            | Operator::Throw { .. }
            | Operator::ThrowRef => self.elsewhere(),
            Operator::Try { .. }
            | Operator::Catch { .. }
            | Operator::CatchAll
            | Operator::Rethrow { .. }
            | Operator::Delegate { .. }
            | Operator::BrOnNull { .. }
            | Operator::BrOnNonNull { .. }
            | Operator::BrOnCast { .. }
            | Operator::BrOnCastFail { .. }
            | Operator::Resume { .. }
            | Operator::ResumeThrow { .. }
            | Operator::Switch { .. } => return None,
            _ => {}
        }
        Some(())
    }

    /// What is live at the beginning of each block.
    fn live(&self) -> Vec<Locals> {
        let mut live: Vec<_> = self.blocks.iter().map(|block| block.read.clone()).collect();
        let mut before = vec![Vec::new(); self.blocks.len()];
        for (at, block) in self.blocks.iter().enumerate() {
            for next in block.next.iter().chain(&block.handlers) {
                before[*next].push(at);
            }
        }
        let mut todo: Vec<usize> = (0..self.blocks.len()).collect();
        let mut queued = vec![true; self.blocks.len()];
        // From the end, as what is live flows that way.
        while let Some(at) = todo.pop() {
            queued[at] = false;
            let block = &self.blocks[at];
            let mut now = live[at].clone();
            for next in &block.next {
                now.add_all_but(&live[*next], &block.written);
            }
            for handler in &block.handlers {
                now.add_all(&live[*handler]);
            }
            if now != live[at] {
                live[at] = now;
                for earlier in &before[at] {
                    if !std::mem::replace(&mut queued[*earlier], true) {
                        todo.push(*earlier);
                    }
                }
            }
        }
        live
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmparser::{Parser, Payload};

    /// What is live at the loops of the first function of `text`, which has `count` locals.
    fn live(text: &str, count: usize) -> Option<Vec<Vec<u32>>> {
        let module = wat::parse_str(text).unwrap();
        let body = (Parser::new(0).parse_all(&module))
            .find_map(|payload| match payload.unwrap() {
                Payload::CodeSectionEntry(body) => Some(body),
                _ => None,
            })
            .unwrap();
        at_loops(&body, count).unwrap()
    }

    #[test]
    fn what_is_read_before_it_is_written_is_live() {
        let text = "(module (func (param i32 i32) (local i32 i32 i32)
            (local.set 3 (i32.const 7))
            (loop $l
                (local.set 2 (local.get 0))
                (local.set 0 (i32.sub (local.get 2) (i32.const 1)))
                (br_if $l (local.get 0)))
            (drop (local.get 3))))";
        // 1 and 4 are never read, 2 is written first, 3 is read behind the loop.
        assert_eq!(live(text, 5), Some(vec![vec![0, 3]]));
    }

    #[test]
    fn branches_lead_to_ends_and_heads_and_tables_to_all() {
        let text = "(module (func (param i32 i32 i32 i32 i32)
            (block $out
                (loop $outer
                    (block $a (block $b
                        (br_table $a $b $out (local.get 0)))
                        (drop (local.get 1)) (br $outer))
                    (loop $inner
                        (if (local.get 2) (then (br $inner)) (else (drop (local.get 3)) (br $outer))))))
            (drop (local.get 4))))";
        // Behind the inner loop nothing goes on but back.
        assert_eq!(
            live(text, 5),
            Some(vec![vec![0, 1, 2, 3, 4], vec![0, 1, 2, 3, 4]])
        );
    }

    #[test]
    fn what_a_handler_needs_is_live_where_it_may_be_gone_to() {
        let text = "(module (tag $t) (func $f) (func $unused)
            (func (export \"g\") (param i32 i32) nop))";
        assert_eq!(live(text, 2), Some(vec![]));
        let text = "(module (tag $t) (func (param i32 i32) (local i32)
            (loop $l
                (block $caught
                    (try_table (catch $t $caught)
                        (local.set 1 (i32.const 1))
                        (throw $t)))
                (drop (local.get 1))
                (br_if $l (local.get 2)))))";
        // It is written in the block, but the handler may see what was there before.
        assert_eq!(live(text, 3), Some(vec![vec![1, 2]]));
    }

    #[test]
    fn an_if_without_else_goes_on_as_it_was() {
        let text = "(module (func (param i32 i32)
            (loop $l
                (if (local.get 0) (then (local.set 1 (i32.const 2))))
                (drop (local.get 1))
                (return))))";
        assert_eq!(live(text, 2), Some(vec![vec![0, 1]]));
    }
}
