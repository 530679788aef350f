//! Strongly connected components of a directed graph.

/// A directed graph: the successors of each node, by index.
pub(crate) type Graph = [Vec<u32>];

/// Returns the strongly connected components of the subgraph whose nodes satisfy `include`.
///
/// Only components that contain a cycle are returned: those of two nodes or more, and single nodes
/// that are their own successors.
///
/// This is Tarjan's algorithm (1972) with an explicit stack, because call graphs are deep.
pub(crate) fn sccs(graph: &Graph, include: impl Fn(u32) -> bool) -> Vec<Vec<u32>> {
    const UNVISITED: u32 = u32::MAX;
    let mut order = vec![UNVISITED; graph.len()];
    let mut low = vec![0; graph.len()];
    let mut on_stack = vec![false; graph.len()];
    let mut stack: Vec<u32> = Vec::new();
    // Nodes under way, each with the position of its next successor.
    let mut work: Vec<(u32, usize)> = Vec::new();
    let mut next = 0;
    let mut components = Vec::new();
    for root in 0..graph.len() as u32 {
        if order[root as usize] != UNVISITED || !include(root) {
            continue;
        }
        work.push((root, 0));
        while let Some((node, position)) = work.pop() {
            let n = node as usize;
            if position == 0 {
                (order[n], low[n]) = (next, next);
                next += 1;
                stack.push(node);
                on_stack[n] = true;
            }
            if let Some(successor) = graph[n].get(position) {
                work.push((node, position + 1));
                let s = *successor as usize;
                if order[s] == UNVISITED && include(*successor) {
                    work.push((*successor, 0));
                } else if on_stack[s] {
                    low[n] = low[n].min(order[s]);
                }
                continue;
            }
            if let Some((parent, _)) = work.last() {
                let p = *parent as usize;
                low[p] = low[p].min(low[n]);
            }
            if low[n] == order[n] {
                let begin = stack.iter().rposition(|other| *other == node).unwrap_or(0);
                let component = stack.split_off(begin);
                for member in &component {
                    on_stack[*member as usize] = false;
                }
                if component.len() > 1 || graph[n].contains(&node) {
                    components.push(component);
                }
            }
        }
    }
    components
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(graph: &Graph) -> Vec<Vec<u32>> {
        let mut components = sccs(graph, |_| true);
        components.iter_mut().for_each(|one| one.sort_unstable());
        components.sort();
        components
    }

    #[test]
    fn components_with_a_cycle_are_found_and_other_nodes_are_left_out() {
        let graph = [vec![1], vec![2], vec![0, 3], vec![4], vec![4], vec![0]];
        assert_eq!(sorted(&graph), [vec![0, 1, 2], vec![4]]);
        assert_eq!(sccs(&graph, |node| node != 1 && node != 4), [[0; 0]; 0]);
        assert!(sorted(&[]).is_empty());
    }

    #[test]
    fn a_long_chain_does_not_overflow_the_stack() {
        let mut graph: Vec<Vec<u32>> = (0..300_000).map(|n| vec![n + 1]).collect();
        graph.push(vec![0]);
        assert_eq!(sorted(&graph)[0].len(), 300_001);
    }
}
