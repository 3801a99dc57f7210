//! Replaces the arrays of a function by variables where every index is a constant.

use std::collections::{BTreeMap, HashSet};

use naga::{
    Arena, ArraySize, Block, Expression, Function, Handle, LocalVariable, Module, Range, Span, Statement, Type,
};
use naga::{TypeInner, UniqueArena};

use super::operands::{self, inner_blocks, local};

/// Replaces arrays in all functions. An array whose pointer is passed to a function, or that is loaded as a whole, stays.
///
/// # Errors
/// A kind of expression or statement that no kernel has.
pub(super) fn split_arrays(module: &mut Module) -> Result<(), String> {
    let types = &module.types;
    let functions = module.functions.iter_mut().map(|(_, function)| function);
    let mut functions = functions.chain(module.entry_points.iter_mut().map(|entry| &mut entry.function));
    functions.try_for_each(|function| {
        // The elements of an array may be arrays.
        while split(types, function)? {}
        Ok(())
    })
}

/// Element type and length of an array in a function.
fn array_of(types: &UniqueArena<Type>, ty: Handle<Type>) -> Option<(Handle<Type>, u32)> {
    match types[ty].inner {
        TypeInner::Array { base, size: ArraySize::Constant(length), .. } => Some((base, length.get())),
        _ => None,
    }
}

/// Splits the arrays that can be split now. Gives whether there was one.
fn split(types: &UniqueArena<Type>, function: &mut Function) -> Result<bool, String> {
    let expressions = &function.expressions;
    let arrays = function.local_variables.iter();
    let mut arrays: BTreeMap<_, _> =
        arrays.filter_map(|(v, variable)| Some((v, array_of(types, variable.ty)?))).collect();
    arrays.retain(|variable, (_, length)| {
        let init = function.local_variables[*variable].init;
        init.is_none_or(|init| parts(expressions, init, *length).is_some())
    });
    let mut accessed = HashSet::new();
    for (_, expression) in expressions.iter() {
        if let Expression::AccessIndex { base, .. } = expression {
            accessed.extend(local(expressions, *base));
            continue;
        }
        for operand in operands::of_expression(&mut expression.clone())? {
            local(expressions, *operand).map(|variable| arrays.remove(&variable));
        }
    }
    arrays.retain(|variable, _| accessed.contains(variable));
    exclude_used_as_a_whole(&function.body, expressions, &mut arrays)?;
    if arrays.is_empty() {
        return Ok(false);
    }
    let mut variables: BTreeMap<Handle<LocalVariable>, Vec<Handle<LocalVariable>>> = BTreeMap::new();
    for (&array, &(ty, length)) in &arrays {
        let LocalVariable { name, init, .. } = function.local_variables[array].clone();
        let inits = init.and_then(|init| parts(&function.expressions, init, length));
        let split = (0..length as usize).map(|index| {
            let init = match &inits {
                Some(Parts::These(components)) => Some(components[index]),
                _ => None, // all zeros, as for a variable without a value
            };
            let name = name.as_ref().map(|name| format!("{name}_{index}"));
            let element = LocalVariable { name, ty, init };
            match index {
                // The array itself becomes its first element, because variables cannot be removed.
                0 => {
                    *function.local_variables.get_mut(array) = element;
                    array
                }
                _ => function.local_variables.append(element, Span::UNDEFINED),
            }
        });
        variables.insert(array, split.collect());
    }
    let mut placed = HashSet::new();
    let accesses: Vec<_> = function
        .expressions
        .iter()
        .filter_map(|(handle, expression)| match *expression {
            Expression::AccessIndex { base, index } => {
                Some((handle, *variables.get(&local(&function.expressions, base)?)?.get(index as usize)?))
            }
            _ => None,
        })
        .collect();
    for (handle, variable) in accesses {
        *function.expressions.get_mut(handle) = Expression::LocalVariable(variable);
        placed.insert(handle);
    }
    let body = std::mem::take(&mut function.body);
    function.body = rewritten(body, &mut function.expressions, &placed, &variables, &arrays);
    function.named_expressions.retain(|expression, _| !placed.contains(expression));
    Ok(true)
}

/// The elements of a value of an array.
enum Parts {
    Zeros,
    These(Vec<Handle<Expression>>),
}

fn parts(expressions: &Arena<Expression>, value: Handle<Expression>, length: u32) -> Option<Parts> {
    match &expressions[value] {
        Expression::ZeroValue(_) => Some(Parts::Zeros),
        Expression::Compose { components, .. } if components.len() == length as usize => {
            Some(Parts::These(components.clone()))
        }
        _ => None,
    }
}

/// Removes the arrays that a statement uses other than to store a composed value.
fn exclude_used_as_a_whole(
    block: &Block,
    expressions: &Arena<Expression>,
    arrays: &mut BTreeMap<Handle<LocalVariable>, (Handle<Type>, u32)>,
) -> Result<(), String> {
    for statement in block {
        let stored = match statement {
            Statement::Store { pointer, value } => local(expressions, *pointer)
                .and_then(|variable| parts(expressions, *value, arrays.get(&variable)?.1))
                .map(|_| *pointer),
            _ => None,
        };
        for operand in operands::of_statement(&mut statement.clone())? {
            if Some(*operand) != stored {
                local(expressions, *operand).map(|variable| arrays.remove(&variable));
            }
        }
        for inner in inner_blocks(statement) {
            exclude_used_as_a_whole(inner, expressions, arrays)?;
        }
    }
    Ok(())
}

/// The block without the evaluation of `placed`, which are variables now, and with a store for each element where an
/// array was stored.
fn rewritten(
    block: Block,
    expressions: &mut Arena<Expression>,
    placed: &HashSet<Handle<Expression>>,
    variables: &BTreeMap<Handle<LocalVariable>, Vec<Handle<LocalVariable>>>,
    arrays: &BTreeMap<Handle<LocalVariable>, (Handle<Type>, u32)>,
) -> Block {
    let mut out = Block::with_capacity(block.len());
    for (statement, span) in block.span_into_iter() {
        let mut rest = |block| rewritten(block, expressions, placed, variables, arrays);
        match statement {
            Statement::Emit(range) => {
                let left: Vec<_> = range.filter(|handle| !placed.contains(handle)).collect();
                for run in left.chunk_by(|a, b| a.index() + 1 == b.index()) {
                    out.push(Statement::Emit(Range::new_from_bounds(run[0], run[run.len() - 1])), span);
                }
            }
            Statement::Block(inner) => out.push(Statement::Block(rest(inner)), span),
            Statement::If { condition, accept, reject } => {
                let [accept, reject] = [accept, reject].map(rest);
                out.push(Statement::If { condition, accept, reject }, span);
            }
            Statement::Loop { body, continuing, break_if } => {
                let [body, continuing] = [body, continuing].map(rest);
                out.push(Statement::Loop { body, continuing, break_if }, span);
            }
            Statement::Store { pointer, value } => {
                let array = match placed.contains(&pointer) {
                    true => None,
                    false => local(expressions, pointer).and_then(|v| Some((variables.get(&v)?, arrays[&v]))),
                };
                let Some((elements, (ty, length))) = array else {
                    out.push(Statement::Store { pointer, value }, span);
                    continue;
                };
                let values = match parts(expressions, value, length) {
                    Some(Parts::These(components)) => components,
                    _ => vec![expressions.append(Expression::ZeroValue(ty), span); elements.len()],
                };
                for (&element, value) in elements.iter().zip(values) {
                    let pointer = expressions.append(Expression::LocalVariable(element), span);
                    out.push(Statement::Store { pointer, value }, span);
                }
            }
            other => out.push(other, span),
        }
    }
    out
}
