//! Canonical order (S4): a topological order that is a function of the graph alone (C6.1).

use std::cmp::Ordering;

/// What the order needs to know of the tasks, by their place in the document.
pub(crate) struct OrderInput<'a> {
    /// Ids, unique.
    pub(crate) ids: &'a [&'a str],
    /// Which tasks invoke a model.
    pub(crate) is_model: &'a [bool],
    /// The dependencies of all tasks, one after the other…
    pub(crate) dependencies: &'a [u32],
    /// …those of task `i` from `starts[i]` to `starts[i + 1]`.
    pub(crate) starts: &'a [usize],
    /// Escalation edges, from source to target. Each target has one source.
    pub(crate) escalations: &'a [(u32, u32)],
}

/// Arrows between tasks and, after them, the *resolutions* of tasks that have escalation edges.
///
/// A dependent waits for the resolution of its dependency: for the task, and for everything that may stand in
/// for it. One node per resolution keeps the number of arrows linear.
struct Arrows {
    nodes: usize,
    starts: Vec<u32>,
    to: Vec<u32>,
}

/// Tasks that wait for each other, each for the next and the last for the first.
pub(crate) type CyclePath = Vec<u32>;

/// The places of all tasks, in canonical order.
///
/// # Errors
///
/// One path for each group of tasks that wait for each other, in the order of the document.
pub(crate) fn canonical_order(input: &OrderInput<'_>) -> Result<Vec<u32>, Vec<CyclePath>> {
    let tasks = input.ids.len();
    let resolution = resolutions(input);
    let arrows = arrows(input, &resolution);
    let mut waits = vec![0_u32; arrows.nodes];
    for &to in &arrows.to {
        waits[to as usize] += 1;
    }
    // Heaviest path above a node: model tasks on it, and tasks on it.
    let mut depth = vec![0_u32; arrows.nodes];
    let mut level = vec![0_u32; arrows.nodes];
    let mut ready: Vec<u32> =
        (0..).zip(&waits).filter(|&(_, &waits)| waits == 0).map(|(node, _)| node).collect();
    let mut done = 0;
    while let Some(node) = ready.pop() {
        done += 1;
        let at = node as usize;
        let (weight, step) = if at < tasks { (u32::from(input.is_model[at]), 1) } else { (0, 0) };
        for &to in arrows.of(node) {
            let next = to as usize;
            depth[next] = depth[next].max(depth[at] + weight);
            level[next] = level[next].max(level[at] + step);
            waits[next] -= 1;
            if waits[next] == 0 {
                ready.push(to);
            }
        }
    }
    if done < arrows.nodes {
        return Err(cycles(&arrows, &waits, &resolution, tasks));
    }
    let mut order: Vec<u32> = (0..).take(tasks).collect();
    order.sort_unstable_by(|&a, &b| {
        let (left, right) = (a as usize, b as usize);
        depth[left]
            .cmp(&depth[right])
            .then_with(|| input.is_model[left].cmp(&input.is_model[right]))
            .then_with(|| level[left].cmp(&level[right]))
            .then_with(|| input.ids[left].cmp(input.ids[right]))
            .then(Ordering::Equal)
    });
    Ok(order)
}

/// The node of each task's resolution: the task itself if nothing can stand in for it.
fn resolutions(input: &OrderInput<'_>) -> Vec<u32> {
    let mut resolution: Vec<u32> = (0..).take(input.ids.len()).collect();
    let mut next = input.ids.len();
    for &(source, _) in input.escalations {
        let node = &mut resolution[source as usize];
        if *node == source {
            *node = u32::try_from(next).unwrap_or(u32::MAX);
            next += 1;
        }
    }
    resolution
}

fn arrows(input: &OrderInput<'_>, resolution: &[u32]) -> Arrows {
    let tasks = input.ids.len();
    let nodes = tasks + (0..).zip(resolution).filter(|&(task, &node)| node != task).count();
    let mut source_of = vec![u32::MAX; if input.escalations.is_empty() { 0 } else { tasks }];
    for &(source, target) in input.escalations {
        source_of[target as usize] = source;
    }
    let pairs = || {
        let dependencies = (0_u32..).take(tasks).flat_map(|task| {
            let at = task as usize;
            input.dependencies[input.starts[at]..input.starts[at + 1]]
                .iter()
                .map(move |&dependency| (dependency, task))
        });
        let source_of = &source_of;
        let dependencies = dependencies.map(move |(dependency, task)| {
            // A target that reads its own source waits for the source alone, not for itself.
            let of_source = source_of.get(task as usize) == Some(&dependency);
            (if of_source { dependency } else { resolution[dependency as usize] }, task)
        });
        let own =
            (0_u32..).zip(resolution).filter(|&(task, &node)| node != task).map(|(task, &node)| (task, node));
        let escalations = input.escalations.iter().flat_map(move |&(source, target)| {
            [(source, target), (resolution[target as usize], resolution[source as usize])]
        });
        dependencies.chain(own).chain(escalations)
    };
    let mut starts = vec![0_u32; nodes + 1];
    for (from, _) in pairs() {
        starts[from as usize + 1] += 1;
    }
    for node in 0..nodes {
        starts[node + 1] += starts[node];
    }
    let mut to = vec![0_u32; starts[nodes] as usize];
    let mut next = starts.clone();
    for (from, target) in pairs() {
        let slot = &mut next[from as usize];
        to[*slot as usize] = target;
        *slot += 1;
    }
    Arrows { nodes, starts, to }
}

impl Arrows {
    fn of(&self, node: u32) -> &[u32] {
        &self.to[self.starts[node as usize] as usize..self.starts[node as usize + 1] as usize]
    }
}

/// One shortest path around each strongly connected component of what could not be ordered.
fn cycles(arrows: &Arrows, waits: &[u32], resolution: &[u32], tasks: usize) -> Vec<CyclePath> {
    let component = components(arrows, waits);
    let mut shown = vec![false; arrows.nodes];
    let mut task_of = vec![0_u32; arrows.nodes];
    for (task, &node) in (0..).zip(resolution) {
        task_of[node as usize] = task;
        task_of[task as usize] = task;
    }
    let mut paths = Vec::new();
    for start in (0..).take(tasks) {
        let group = component[start as usize];
        if group == u32::MAX || std::mem::replace(&mut shown[group as usize], true) {
            continue;
        }
        if let Some(path) = path_around(arrows, &component, start) {
            let mut path: Vec<u32> = path.into_iter().map(|node| task_of[node as usize]).collect();
            path.dedup();
            if path.len() > 1 && path.first() == path.last() {
                path.pop();
            }
            paths.push(path);
        } else {
            // A component of one node without an arrow to itself is no cycle; it only waits for one.
            shown[group as usize] = true;
        }
    }
    paths
}

/// A number for each strongly connected component (Tarjan's algorithm, without recursion).
fn components(arrows: &Arrows, waits: &[u32]) -> Vec<u32> {
    const UNSEEN: u32 = u32::MAX;
    let mut component = vec![UNSEEN; arrows.nodes];
    let mut index = vec![UNSEEN; arrows.nodes];
    let mut low = vec![0_u32; arrows.nodes];
    let mut on_stack = vec![false; arrows.nodes];
    let (mut stack, mut calls): (Vec<u32>, Vec<(u32, usize)>) = (Vec::new(), Vec::new());
    let (mut next_index, mut next_component) = (0, 0);
    for start in (0..).zip(waits).filter(|&(_, &waits)| waits > 0).map(|(node, _): (u32, _)| node) {
        if index[start as usize] != UNSEEN {
            continue;
        }
        calls.push((start, 0));
        while let Some(&mut (node, ref mut arrow)) = calls.last_mut() {
            let at = node as usize;
            if *arrow == 0 {
                index[at] = next_index;
                low[at] = next_index;
                next_index += 1;
                stack.push(node);
                on_stack[at] = true;
            }
            if let Some(&to) = arrows.of(node).get(*arrow) {
                *arrow += 1;
                let next = to as usize;
                if index[next] == UNSEEN {
                    calls.push((to, 0));
                } else if on_stack[next] {
                    low[at] = low[at].min(index[next]);
                }
                continue;
            }
            if low[at] == index[at] {
                while let Some(member) = stack.pop() {
                    on_stack[member as usize] = false;
                    component[member as usize] = next_component;
                    if member == node {
                        break;
                    }
                }
                next_component += 1;
            }
            calls.pop();
            if let Some(&(caller, _)) = calls.last() {
                low[caller as usize] = low[caller as usize].min(low[at]);
            }
        }
    }
    component
}

/// The shortest way from `start` back to itself within its component, without the return.
fn path_around(arrows: &Arrows, component: &[u32], start: u32) -> Option<Vec<u32>> {
    let mut before = std::collections::BTreeMap::new();
    let mut queue = std::collections::VecDeque::from([start]);
    while let Some(node) = queue.pop_front() {
        for &to in arrows.of(node).iter().filter(|&&to| component[to as usize] == component[start as usize]) {
            if to == start {
                let mut path = vec![node];
                while let Some(&node) = before.get(path.last()?) {
                    path.push(node);
                }
                path.reverse();
                return Some(path);
            }
            if to != start && !before.contains_key(&to) {
                before.insert(to, node);
                queue.push_back(to);
            }
        }
    }
    None
}
