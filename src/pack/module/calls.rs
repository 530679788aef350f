//! Which entries of functions, and which calls by address, have to be meter points: enough that no circle of
//! calls is without one.

use std::collections::{HashMap, HashSet};

use wasmparser::Operator;

use super::RewriteError;
use super::nesting::{called_type, each};
use super::parts::Parts;
use super::scc::circles;

/// Where calls have to be metered.
pub(super) struct Recursive {
    /// For each function, by number, whether its entry is a meter point.
    pub(super) entries: Vec<bool>,
    /// For each function the group of functions and types that reach one another, and it; 0 for none.
    groups: Vec<u32>,
    types: Vec<u32>,
    functions: usize,
}

impl Recursive {
    /// What besides its code decides where function `number` is metered.
    pub(super) fn place(&self, number: u32) -> (bool, u32) {
        (self.entries[number as usize], self.groups[number as usize])
    }

    /// Whether function `number` can be reached again by what it calls by type `ty`.
    pub(super) fn by_type(&self, number: u32, ty: u32) -> bool {
        let ty = self.types.get(ty as usize).copied().unwrap_or(ty);
        let group = |node: usize| self.groups.get(node).copied().unwrap_or(0);
        let here = group(number as usize);
        here != 0 && here == group(self.functions + ty as usize)
    }
}

/// A call within a loop is in no circle that matters: it is reached by way of the loop's head, which is a
/// meter point.
///
/// Calls through a table or a reference go by way of a node for their type, whose successors are all
/// functions of that type whose address is taken. In a circle such calls are metered where they are made:
/// there the values in registers are saved for the call anyway, while in what is called, often a function
/// of a few instructions, they would have to be. What circles are left consist of plain calls, and are cut
/// at the entry of one function at a time, where most calls meet.
pub(super) fn recursive(parts: &Parts) -> Result<Recursive, RewriteError> {
    let functions = parts.function_types.len();
    let mut graph = vec![Vec::new(); functions + parts.types as usize];
    let by_type =
        |ty: u32| functions as u32 + parts.same_type.get(ty as usize).copied().unwrap_or(ty);
    for (i, (body, _)) in parts.bodies.iter().enumerate() {
        let mut calls = Vec::new();
        each::<RewriteError>(body, |operator, innermost| {
            match operator {
                // Whoever comes there has passed the loop's head.
                _ if innermost.is_some() => {}
                Operator::Call { function_index } | Operator::ReturnCall { function_index } => {
                    // One that is not there makes the module invalid, which the engine finds.
                    if (function_index as usize) < functions {
                        calls.push(function_index);
                    }
                }
                other => {
                    let ty = called_type(&other).filter(|ty| *ty < parts.types);
                    calls.extend(ty.map(by_type));
                }
            }
            Ok(())
        })?;
        calls.sort_unstable();
        calls.dedup();
        graph[parts.imported as usize + i] = calls;
    }
    for (function, ty) in parts.function_types.iter().enumerate() {
        if parts.address_taken[function] {
            graph[functions + *ty as usize].push(function as u32);
        }
    }
    let mut groups = vec![0; graph.len()];
    for (i, group) in circles(&graph, |_| true).into_iter().enumerate() {
        for node in group {
            groups[node as usize] = i as u32 + 1;
        }
    }
    let mut entries = vec![false; functions];
    let plain = |node: u32, entries: &[bool]| entries.get(node as usize).is_some_and(|is| !is);
    loop {
        let left = circles(&graph, |node| plain(node, &entries));
        if left.is_empty() {
            return Ok(Recursive {
                entries,
                groups,
                types: parts.same_type.clone(),
                functions,
            });
        }
        for group in left {
            let inside: HashSet<u32> = group.iter().copied().collect();
            let mut callers: HashMap<u32, usize> = HashMap::new();
            for from in &group {
                for to in graph[*from as usize]
                    .iter()
                    .filter(|to| inside.contains(to))
                {
                    *callers.entry(*to).or_default() += 1;
                }
            }
            let calls = |node: &u32| {
                let to = graph[*node as usize].iter();
                to.filter(|to| inside.contains(to)).count()
            };
            let called = |node: &u32| callers.get(node).copied().unwrap_or(0);
            let most = group.iter().max_by_key(|node| calls(node) * called(node));
            if let Some(node) = most {
                entries[*node as usize] = true;
            }
        }
    }
}
