//! Tensors stored as f16. Kernels are written for f32 and compute in f32. Where a kernel is bound to an f16 tensor,
//! conversions are inserted after its loads and before its stores in naga's module, so the WGSL needs no variants.

use std::fmt;

use naga::{Arena, Block, Expression, Function, GlobalVariable, Handle, Module, Range, Scalar, Span, Statement};
use naga::{Type, TypeInner};

/// How the elements of a tensor are stored. Kernels compute in f32 in either case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Precision {
    /// 16 bits: 11 significant bits, magnitudes up to 65,504.
    F16,
    /// 32 bits.
    #[default]
    F32,
}

impl Precision {
    /// Bytes of an element.
    pub fn bytes(self) -> u64 {
        match self {
            Precision::F16 => 2,
            Precision::F32 => 4,
        }
    }
}

/// The precisions that a user can choose: f32, f16 storage with f32 arithmetic, and f16 with products on cooperative
/// matrices.
pub const PRECISIONS: [&str; 3] = ["f32", "f16", "f16-matrix"];

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Precision::F16 => "f16",
            Precision::F32 => "f32",
        })
    }
}

/// Converts the storage variables `names`, arrays of f32 or of f32 vectors, to arrays of f16. Every load is followed
/// and every store preceded by a conversion. The error names a variable or an expression that cannot be converted.
pub(super) fn store_as_half(module: &mut Module, names: &[&str]) -> Result<(), String> {
    let mut halves = Vec::new();
    for (handle, variable) in module.global_variables.iter_mut() {
        if variable.name.as_deref().is_some_and(|name| names.contains(&name)) {
            variable.ty = half_of(&mut module.types, variable.ty)
                .ok_or_else(|| format!("{:?} is not an array of f32", variable.name))?;
            halves.push(handle);
        }
    }
    let functions = module.functions.iter_mut().map(|(_, function)| function);
    let mut functions = functions.chain(module.entry_points.iter_mut().map(|entry| &mut entry.function));
    functions.try_for_each(|function| convert(function, &halves))
}

/// The same type with f16 in place of f32.
fn half_of(types: &mut naga::UniqueArena<Type>, ty: Handle<Type>) -> Option<Handle<Type>> {
    let inner = match types[ty].inner.clone() {
        TypeInner::Array { base, size, stride } => {
            TypeInner::Array { base: half_of(types, base)?, size, stride: stride / 2 }
        }
        TypeInner::Vector { size, scalar: Scalar::F32 } => TypeInner::Vector { size, scalar: Scalar::F16 },
        TypeInner::Scalar(Scalar::F32) => TypeInner::Scalar(Scalar::F16),
        _ => return None,
    };
    Some(types.insert(Type { name: None, inner }, Span::UNDEFINED))
}

fn conversion(expr: Handle<Expression>, to: Scalar) -> Expression {
    Expression::As { expr, kind: to.kind, convert: Some(to.width) }
}

/// Whether `pointer` points into one of `halves`.
fn is_half(expressions: &Arena<Expression>, halves: &[Handle<GlobalVariable>], pointer: Handle<Expression>) -> bool {
    match expressions[pointer] {
        Expression::Access { base, .. } | Expression::AccessIndex { base, .. } => is_half(expressions, halves, base),
        Expression::GlobalVariable(variable) => halves.contains(&variable),
        _ => false,
    }
}

/// Rebuilds the expressions, since an expression may only use earlier ones. Every load from `halves` is followed by a
/// conversion.
fn convert(function: &mut Function, halves: &[Handle<GlobalVariable>]) -> Result<(), String> {
    let mut moved = Moved::default();
    let mut expressions = Arena::new();
    for (_, mut expression, span) in function.expressions.drain() {
        operands(&mut expression)?.into_iter().for_each(|operand| moved.apply(operand));
        let load = match expression {
            Expression::Load { pointer } => is_half(&expressions, halves, pointer),
            _ => false,
        };
        let first = expressions.append(expression, span);
        let last = if load { expressions.append(conversion(first, Scalar::F32), span) } else { first };
        moved.0.push([first, last]);
    }
    for (_, variable) in function.local_variables.iter_mut() {
        variable.init.iter_mut().for_each(|init| moved.apply(init));
    }
    function.named_expressions = function
        .named_expressions
        .drain(..)
        .map(|(mut named, name)| {
            moved.apply(&mut named);
            (named, name)
        })
        .collect();
    convert_block(&mut function.body, &moved, &mut expressions, halves)?;
    function.expressions = expressions;
    Ok(())
}

/// For each old expression: the new one, and the one that its users take (the conversion, if there is one).
#[derive(Default)]
struct Moved(Vec<[Handle<Expression>; 2]>);

impl Moved {
    fn apply(&self, operand: &mut Handle<Expression>) {
        *operand = self.0[operand.index()][1];
    }

    fn range(&self, range: Range<Expression>) -> Range<Expression> {
        let indices = range.index_range();
        if indices.is_empty() {
            return range;
        }
        Range::new_from_bounds(self.0[indices.start as usize][0], self.0[indices.end as usize - 1][1])
    }
}

fn convert_block(
    block: &mut Block,
    moved: &Moved,
    expressions: &mut Arena<Expression>,
    halves: &[Handle<GlobalVariable>],
) -> Result<(), String> {
    let mut out = Block::with_capacity(block.len());
    for (mut statement, span) in std::mem::take(block).span_into_iter() {
        let mut operands = Vec::new();
        match &mut statement {
            Statement::Emit(range) => *range = moved.range(range.clone()),
            Statement::Block(inner) => convert_block(inner, moved, expressions, halves)?,
            Statement::If { condition, accept, reject } => {
                operands.push(condition);
                convert_block(accept, moved, expressions, halves)?;
                convert_block(reject, moved, expressions, halves)?;
            }
            Statement::Loop { body, continuing, break_if } => {
                operands.extend(break_if);
                convert_block(body, moved, expressions, halves)?;
                convert_block(continuing, moved, expressions, halves)?;
            }
            Statement::Return { value } => operands.extend(value),
            Statement::Store { pointer, value } => operands.extend([pointer, value]),
            Statement::Call { arguments, result, .. } => operands.extend(arguments.iter_mut().chain(result)),
            Statement::WorkGroupUniformLoad { pointer, result } => operands.extend([pointer, result]),
            Statement::SubgroupGather { mode, argument, result } => {
                operands.extend([argument, result]);
                if let naga::GatherMode::Broadcast(lane) = mode {
                    operands.push(lane);
                }
            }
            Statement::CooperativeStore { target, data } => {
                operands.extend([target, &mut data.pointer, &mut data.stride]);
            }
            Statement::ImageStore { image, coordinate, array_index, value } => {
                operands.extend([image, coordinate, value].into_iter().chain(array_index));
            }
            Statement::Break | Statement::Continue | Statement::Kill | Statement::ControlBarrier(_) => {}
            other => return Err(format!("no kernel with {other:?} can store f16 yet")),
        }
        operands.into_iter().for_each(|operand| moved.apply(operand));
        if let Statement::Store { pointer, value } = &mut statement
            && is_half(expressions, halves, *pointer)
        {
            *value = expressions.append(conversion(*value, Scalar::F16), span);
            out.push(Statement::Emit(Range::new_from_bounds(*value, *value)), span);
        }
        out.push(statement, span);
    }
    *block = out;
    Ok(())
}

/// The operands of an expression.
fn operands(expression: &mut Expression) -> Result<Vec<&mut Handle<Expression>>, String> {
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
        other => return Err(format!("no kernel with {other:?} can store f16 yet")),
    })
}
