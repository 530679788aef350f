//! Selection of the calls and function entries that need a meter point, so that no cycle of calls
//! is without one.

use std::collections::{HashMap, HashSet};

use wasmparser::Operator;

use crate::error::RewriteError;
use crate::loop_nesting::{for_each_operator, indirect_call_type};
use crate::module_info::ModuleInfo;
use crate::scc::{Graph, sccs};

/// The meter points that every cycle of calls passes, unless it passes the head of a loop.
///
/// Nodes of the call graph are the functions, followed by the types. An indirect call is an edge to
/// the node of its type, and a type has an edge to each function of that type whose address is
/// taken.
///
/// Indirect calls that are part of a cycle are metered at the call. The caller saves its registers
/// there anyway, while the callee, often a function of a few instructions, would have to save
/// them for the meter point. The cycles that remain consist of direct calls. They are cut at
/// function entries, one function at a time, where most of their calls meet.
pub(crate) struct RecursionCut {
    /// For each function whether its entry is a meter point.
    metered_entries: Vec<bool>,
    /// For each node the number of its component, from 1. It is 0 for nodes without a cycle.
    components: Vec<u32>,
    canonical_types: Vec<u32>,
}

impl RecursionCut {
    pub(crate) fn compute(info: &ModuleInfo) -> Result<Self, RewriteError> {
        let graph = call_graph(info)?;
        let mut components = vec![0; graph.len()];
        for (number, component) in (1..).zip(sccs(&graph, |_| true)) {
            for node in component {
                components[node as usize] = number;
            }
        }
        Ok(Self {
            metered_entries: cut_direct_calls(&graph, info.function_count() as usize),
            components,
            canonical_types: info.canonical_types.clone(),
        })
    }

    /// Returns whether the entry of `function` is a meter point.
    pub(crate) fn is_metered_entry(&self, function: u32) -> bool {
        self.metered_entries[function as usize]
    }

    /// Returns everything except its code that decides where `function` is metered.
    pub(crate) fn metering_key(&self, function: u32) -> (bool, u32) {
        let function = function as usize;
        (self.metered_entries[function], self.components[function])
    }

    /// Returns whether an indirect call by type `ty` from `function` can reach `function` again.
    pub(crate) fn may_recurse(&self, function: u32, ty: u32) -> bool {
        let canonical = self.canonical_types.get(ty as usize).copied().unwrap_or(ty);
        let type_node = self.metered_entries.len() + canonical as usize;
        let component = |node: usize| self.components.get(node).copied().unwrap_or(0);
        let own = component(function as usize);
        own != 0 && own == component(type_node)
    }

    #[cfg(test)]
    pub(crate) fn metered_entries(&self) -> &[bool] {
        &self.metered_entries
    }
}

/// Builds the call graph. It has no edges for calls within loops: before such a call, the head of
/// the loop has been passed, which is a meter point.
fn call_graph(info: &ModuleInfo) -> Result<Vec<Vec<u32>>, RewriteError> {
    let functions = info.function_count();
    let mut graph = vec![Vec::new(); functions as usize + info.type_count as usize];
    for (function, (body, _)) in (info.imported_functions as usize..).zip(&info.bodies) {
        let mut callees = Vec::new();
        for_each_operator::<RewriteError>(body, |operator, innermost_loop| {
            match operator {
                _ if innermost_loop.is_some() => {}
                Operator::Call { function_index } | Operator::ReturnCall { function_index } => {
                    // A call of a function that does not exist makes the module invalid. The
                    // engine reports it.
                    if function_index < functions {
                        callees.push(function_index);
                    }
                }
                other => {
                    let ty = indirect_call_type(&other).filter(|ty| *ty < info.type_count);
                    callees.extend(ty.map(|ty| functions + info.canonical_type(ty)));
                }
            }
            Ok(())
        })?;
        callees.sort_unstable();
        callees.dedup();
        graph[function] = callees;
    }
    for function in 0..functions {
        if info.address_taken[function as usize] {
            let ty = info.canonical_type(info.function_type(function));
            graph[(functions + ty) as usize].push(function);
        }
    }
    Ok(graph)
}

/// Selects functions such that every cycle of direct calls contains one of them.
fn cut_direct_calls(graph: &Graph, functions: usize) -> Vec<bool> {
    let mut cut = vec![false; functions];
    loop {
        let uncut = |node: u32| cut.get(node as usize).is_some_and(|cut| !cut);
        let components = sccs(graph, uncut);
        if components.is_empty() {
            return cut;
        }
        for component in components {
            if let Some(function) = busiest(graph, &component) {
                cut[function as usize] = true;
            }
        }
    }
}

/// Returns the node of `component` with the largest product of calls to it and from it.
fn busiest(graph: &Graph, component: &[u32]) -> Option<u32> {
    let members: HashSet<u32> = component.iter().copied().collect();
    let callees = |node: u32| {
        let callees = graph[node as usize].iter();
        callees.filter(|callee| members.contains(callee))
    };
    let mut callers: HashMap<u32, usize> = HashMap::new();
    for node in component {
        for callee in callees(*node) {
            *callers.entry(*callee).or_default() += 1;
        }
    }
    let weight = |node: u32| callees(node).count() * callers.get(&node).copied().unwrap_or(0);
    let nodes = component.iter().copied();
    nodes.max_by_key(|node| weight(*node))
}
