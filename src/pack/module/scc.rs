//! Circles in a graph.

/// A graph: each node's successors, by number.
pub(super) type Graph = [Vec<u32>];

/// The groups of nodes that reach one another, of those that `keep` lets stand: only groups with a
/// circle in them, that is of two nodes or more, or of one that is its own successor.
///
/// Tarjan's algorithm (1972), with a stack of its own: graphs of calls are deep.
pub(super) fn circles(graph: &Graph, keep: impl Fn(u32) -> bool) -> Vec<Vec<u32>> {
    const UNSEEN: u32 = u32::MAX;
    let mut order = vec![UNSEEN; graph.len()];
    let mut low = vec![0; graph.len()];
    let mut on_stack = vec![false; graph.len()];
    let mut stack: Vec<u32> = Vec::new();
    let mut work: Vec<(u32, usize)> = Vec::new();
    let mut next = 0;
    let mut found = Vec::new();
    for root in 0..graph.len() as u32 {
        if order[root as usize] != UNSEEN || !keep(root) {
            continue;
        }
        work.push((root, 0));
        while let Some((node, at)) = work.pop() {
            let n = node as usize;
            if at == 0 {
                (order[n], low[n]) = (next, next);
                next += 1;
                stack.push(node);
                on_stack[n] = true;
            }
            if let Some(to) = graph[n].get(at) {
                work.push((node, at + 1));
                let t = *to as usize;
                if order[t] == UNSEEN && keep(*to) {
                    work.push((*to, 0));
                } else if on_stack[t] {
                    low[n] = low[n].min(order[t]);
                }
                continue;
            }
            if let Some((parent, _)) = work.last() {
                let p = *parent as usize;
                low[p] = low[p].min(low[n]);
            }
            if low[n] == order[n] {
                let begin = stack.iter().rposition(|one| *one == node).unwrap_or(0);
                let group = stack.split_off(begin);
                for one in &group {
                    on_stack[*one as usize] = false;
                }
                if group.len() > 1 || graph[n].contains(&node) {
                    found.push(group);
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(graph: &Graph) -> Vec<Vec<u32>> {
        let mut found = circles(graph, |_| true);
        found.iter_mut().for_each(|group| group.sort_unstable());
        found.sort();
        found
    }

    #[test]
    fn groups_are_found_and_nodes_without_a_circle_are_none() {
        let graph = [vec![1], vec![2], vec![0, 3], vec![4], vec![4], vec![0]];
        assert_eq!(sorted(&graph), [vec![0, 1, 2], vec![4]]);
        assert_eq!(circles(&graph, |node| node != 1 && node != 4), [[0; 0]; 0]);
        assert!(sorted(&[]).is_empty());
    }

    #[test]
    fn a_long_chain_overflows_no_stack() {
        let mut graph: Vec<Vec<u32>> = (0..300_000).map(|n| vec![n + 1]).collect();
        graph.push(vec![0]);
        assert_eq!(sorted(&graph)[0].len(), 300_001);
    }
}
