//! Operands and inner blocks of a shader module's expressions and statements, for passes that rewrite it.

use naga::{Arena, Block, Expression, GatherMode, Handle, LocalVariable, Statement};

/// The operands of an expression.
///
/// # Errors
/// A kind of expression that no kernel has.
pub(super) fn of_expression(expression: &mut Expression) -> Result<Vec<&mut Handle<Expression>>, String> {
    Ok(match expression {
        Expression::Literal(_)
        | Expression::Constant(_)
        | Expression::ZeroValue(_)
        | Expression::FunctionArgument(_)
        | Expression::GlobalVariable(_)
        | Expression::LocalVariable(_)
        | Expression::CallResult(_)
        | Expression::WorkGroupUniformLoadResult { .. }
        | Expression::SubgroupOperationResult { .. } => Vec::new(),
        Expression::Compose { components, .. } => components.iter_mut().collect(),
        Expression::Access { base, index } => vec![base, index],
        Expression::AccessIndex { base, .. } => vec![base],
        Expression::Splat { value, .. } => vec![value],
        Expression::Swizzle { vector, .. } => vec![vector],
        Expression::Load { pointer } => vec![pointer],
        Expression::Unary { expr, .. } | Expression::As { expr, .. } => vec![expr],
        Expression::Binary { left, right, .. } => vec![left, right],
        Expression::Select { condition, accept, reject } => vec![condition, accept, reject],
        Expression::Relational { argument, .. } => vec![argument],
        Expression::Math { arg, arg1, arg2, arg3, .. } => {
            [Some(arg), arg1.as_mut(), arg2.as_mut(), arg3.as_mut()].into_iter().flatten().collect()
        }
        Expression::ArrayLength(array) => vec![array],
        Expression::ImageLoad { image, coordinate, array_index, sample, level } => {
            [image, coordinate].into_iter().chain(array_index).chain(sample).chain(level).collect()
        }
        Expression::CooperativeLoad { data, .. } => vec![&mut data.pointer, &mut data.stride],
        Expression::CooperativeMultiplyAdd { a, b, c } => vec![a, b, c],
        other => return Err(format!("kernels with {other:?} are not supported")),
    })
}

/// The operands of a statement, including the expressions that stand for its results, without those of inner blocks.
///
/// # Errors
/// A kind of statement that no kernel has.
pub(super) fn of_statement(statement: &mut Statement) -> Result<Vec<&mut Handle<Expression>>, String> {
    Ok(match statement {
        Statement::Emit(_)
        | Statement::Block(_)
        | Statement::Break
        | Statement::Continue
        | Statement::Kill
        | Statement::ControlBarrier(_) => Vec::new(),
        Statement::If { condition, .. } => vec![condition],
        Statement::Loop { break_if, .. } => break_if.iter_mut().collect(),
        Statement::Return { value } => value.iter_mut().collect(),
        Statement::Store { pointer, value } => vec![pointer, value],
        Statement::ImageStore { image, coordinate, array_index, value } => {
            [image, coordinate, value].into_iter().chain(array_index).collect()
        }
        Statement::Call { arguments, result, .. } => arguments.iter_mut().chain(result).collect(),
        Statement::WorkGroupUniformLoad { pointer, result } => vec![pointer, result],
        Statement::SubgroupGather { mode: GatherMode::Broadcast(lane), argument, result } => {
            vec![lane, argument, result]
        }
        Statement::SubgroupGather { argument, result, .. } => vec![argument, result],
        Statement::CooperativeStore { target, data } => vec![target, &mut data.pointer, &mut data.stride],
        other => return Err(format!("kernels with {other:?} are not supported")),
    })
}

/// The expression that stands for the result of a statement.
pub(super) fn result_of(statement: &Statement) -> Option<Handle<Expression>> {
    match statement {
        Statement::Call { result, .. } => *result,
        Statement::WorkGroupUniformLoad { result, .. } | Statement::SubgroupGather { result, .. } => Some(*result),
        _ => None,
    }
}

/// The variable of the function that the pointer is to, as a whole.
pub(super) fn local(expressions: &Arena<Expression>, pointer: Handle<Expression>) -> Option<Handle<LocalVariable>> {
    match expressions[pointer] {
        Expression::LocalVariable(variable) => Some(variable),
        _ => None,
    }
}

/// The blocks inside a statement.
pub(super) fn inner_blocks_mut(statement: &mut Statement) -> Vec<&mut Block> {
    match statement {
        Statement::Block(inner) => vec![inner],
        Statement::If { accept, reject, .. } => vec![accept, reject],
        Statement::Loop { body, continuing, .. } => vec![body, continuing],
        _ => Vec::new(),
    }
}

/// The blocks inside a statement.
pub(super) fn inner_blocks(statement: &Statement) -> Vec<&Block> {
    match statement {
        Statement::Block(inner) => vec![inner],
        Statement::If { accept, reject, .. } => vec![accept, reject],
        Statement::Loop { body, continuing, .. } => vec![body, continuing],
        _ => Vec::new(),
    }
}

/// Calls `visit` for every statement of the block and of its inner blocks.
pub(super) fn walk(block: &Block, visit: &mut impl FnMut(&Statement)) {
    for statement in block {
        visit(statement);
        inner_blocks(statement).into_iter().for_each(|inner| walk(inner, visit));
    }
}
