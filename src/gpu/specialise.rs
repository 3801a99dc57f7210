//! Reduces a shader module to one entry point with fixed constants, and assigns its bindings.
//!
//! A file declares its variables without `@group` and `@binding`. One file has several entry points, and a constant may
//! switch off a part of one (`if (BIAS) { ... }`). An entry point binds the variables that are still used after all
//! other entry points and all branches that are never taken have been removed.

use std::collections::HashSet;

use naga::compact::{KeepUnused, compact};
use naga::valid::{GlobalUse, ModuleInfo};
use naga::{
    AddressSpace, Block, Expression, Function, GlobalVariable, Handle, Literal, Module, ResourceBinding, Statement,
    StorageAccess,
};

/// The module with `entry` as its only entry point, without branches that the constants rule out and without anything
/// that is then unused. Its bindings are numbered in the order of declaration. `None` if there is no such entry point.
pub(super) fn specialise(module: &Module, entry: &str) -> Option<Module> {
    let mut module = module.clone();
    module.entry_points.retain(|known| known.name == entry);
    let mut only = module.entry_points.pop()?;
    let mut functions = std::mem::take(&mut module.functions);
    for (_, function) in functions.iter_mut() {
        prune(&module, function);
    }
    prune(&module, &mut only.function);
    module.functions = functions;
    module.entry_points.push(only);
    compact(&mut module, KeepUnused::No);
    let bound = module.global_variables.iter_mut().filter(|(_, variable)| is_bound(variable));
    for (index, (_, variable)) in bound.enumerate() {
        variable.binding = Some(ResourceBinding { group: 0, binding: index as u32 });
    }
    Some(module)
}

/// Makes read-only each storage variable that the only entry point never writes.
pub(super) fn narrow(module: &mut Module, info: &ModuleInfo) {
    let uses = info.get_entry_point(0);
    for (handle, variable) in module.global_variables.iter_mut() {
        if let AddressSpace::Storage { access } = &mut variable.space
            && !uses[handle].contains(GlobalUse::WRITE)
        {
            *access = StorageAccess::LOAD;
        }
    }
}

fn is_bound(variable: &GlobalVariable) -> bool {
    matches!(variable.space, AddressSpace::Uniform | AddressSpace::Storage { .. } | AddressSpace::Handle)
}

/// Replaces every `if` with a constant condition by the branch that is taken.
fn prune(module: &Module, function: &mut Function) {
    let body = std::mem::take(&mut function.body);
    function.body = without_dead_branches(module, function, body);
    let mut evaluated = HashSet::new();
    collect_evaluated(&function.body, &mut evaluated);
    // `compact` keeps every named expression, including those of removed branches.
    function.named_expressions.retain(|expression, _| evaluated.contains(expression));
}

fn without_dead_branches(module: &Module, function: &Function, block: Block) -> Block {
    let rest = |block| without_dead_branches(module, function, block);
    let mut left = Block::with_capacity(block.len());
    for (statement, span) in block.span_into_iter() {
        match statement {
            Statement::If { condition, accept, reject } => match constant(module, function, condition) {
                Some(true) => left.extend_block(rest(accept)),
                Some(false) => left.extend_block(rest(reject)),
                None => left.push(Statement::If { condition, accept: rest(accept), reject: rest(reject) }, span),
            },
            Statement::Block(inner) => left.push(Statement::Block(rest(inner)), span),
            Statement::Loop { body, continuing, break_if } => {
                left.push(Statement::Loop { body: rest(body), continuing: rest(continuing), break_if }, span);
            }
            other => left.push(other, span),
        }
    }
    left
}

/// The value of a condition that is a `const` or a literal; `None` for any other.
fn constant(module: &Module, function: &Function, condition: Handle<Expression>) -> Option<bool> {
    let value = match function.expressions[condition] {
        Expression::Constant(constant) => &module.global_expressions[module.constants[constant].init],
        ref other => other,
    };
    match value {
        Expression::Literal(Literal::Bool(value)) => Some(*value),
        _ => None,
    }
}

/// Adds the expressions that the block evaluates.
fn collect_evaluated(block: &Block, into: &mut HashSet<Handle<Expression>>) {
    for statement in block {
        match statement {
            Statement::Emit(range) => into.extend(range.clone()),
            Statement::Block(inner) => collect_evaluated(inner, into),
            Statement::If { accept, reject, .. } => {
                [accept, reject].into_iter().for_each(|b| collect_evaluated(b, into))
            }
            Statement::Loop { body, continuing, .. } => {
                [body, continuing].into_iter().for_each(|b| collect_evaluated(b, into));
            }
            _ => {}
        }
    }
}
