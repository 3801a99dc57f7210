//! The stack machine of the pickle reader: opcodes, stack and memo.

use std::{borrow::Cow, collections::HashMap};

use super::{AGAIN, CONVERT, Global, Outcome, Pickle, Value, global, malformed, refusal};

/// Maximum number of opcodes and copied entries in a pickle; the state dict of a large net needs about 100,000.
const MOST_STEPS: usize = 1 << 21;

#[derive(Default)]
pub(super) struct Machine<'a> {
    bytes: &'a [u8],
    position: usize,
    steps: usize,
    stack: Vec<Value>,
    /// Stack heights at the open scores.
    scores: Vec<usize>,
    memo: HashMap<usize, Value>,
    pickle: Pickle<'a>,
}

impl<'a> Machine<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Machine { bytes, ..Default::default() }
    }

    /// Runs to the end of the pickle. Returns its contents and its length in bytes.
    pub(super) fn run(mut self) -> Outcome<(Pickle<'a>, usize)> {
        while self.step()? {}
        Ok((self.pickle, self.position))
    }

    /// Runs one opcode; returns `false` after the last.
    fn step(&mut self) -> Outcome<bool> {
        self.charge(1)?;
        let at = self.position;
        match self.take(1)?[0] {
            0x80 => {
                let version = self.number(1)?;
                if version > 5 {
                    let reason = format!("its pickle has version {version}, which is not known");
                    return Err(refusal(reason, CONVERT));
                }
            }
            0x95 => drop(self.take(8)?), // FRAME
            b'(' => self.scores.push(self.stack.len()),
            b'0' => drop(self.pop()?),
            b'1' => drop(self.pop_to_mark()?),
            b'2' => self.push(self.top()?),
            b'N' => self.push(Value::None),
            0x88 => self.push(Value::Bool(true)),
            0x89 => self.push(Value::Bool(false)),
            b'K' => self.integer(1)?,
            b'M' => self.integer(2)?,
            b'J' => {
                let value = self.number(4)? as u32 as i32;
                self.push(Value::Int(value.into()));
            }
            0x8a => self.long()?,
            b'G' => self.opaque(8)?,
            b'X' | b'T' => self.sized_text(4)?,
            0x8c | b'U' => self.sized_text(1)?,
            0x8d => self.sized_text(8)?,
            b'C' => self.sized_bytes(1)?,
            b'B' => self.sized_bytes(4)?,
            b']' | b')' => self.push_sequence(Vec::new()),
            b'}' => self.push_dict(Vec::new()),
            b't' => {
                let items = self.pop_to_mark()?;
                self.push_sequence(items);
            }
            code @ 0x85..=0x87 => {
                let mut items = Vec::new();
                for _ in 0x84..code {
                    items.insert(0, self.pop()?);
                }
                self.push_sequence(items);
            }
            b'a' => {
                let item = self.pop()?;
                self.append(vec![item])?;
            }
            b'e' => {
                let items = self.pop_to_mark()?;
                self.append(items)?;
            }
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.set(&[key, value])?;
            }
            b'u' => {
                let items = self.pop_to_mark()?;
                self.set(&items)?;
            }
            b'q' => self.memoize(1)?,
            b'r' => self.memoize(4)?,
            0x94 => drop(self.memo.insert(self.memo.len(), self.top()?)),
            b'h' => self.recall(1)?,
            b'j' => self.recall(4)?,
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.push(Value::Global(global(&module, &name)?));
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let names = self.pickle.text(module).zip(self.pickle.text(name));
                let (module, name) = names.ok_or_else(|| malformed("a name is not a text"))?;
                let global = global(module, name)?;
                self.push(Value::Global(global));
            }
            b'R' | 0x81 => self.reduce()?,
            b'b' => self.build()?,
            b'Q' => {
                let reference = self.pop()?;
                let storage = self.pickle.storage(reference)?;
                self.push(Value::Storage(storage));
            }
            b'i' => {
                // Constructs an instance, which is never valid in a weight file. The error should name the class.
                global(&self.line()?, &self.line()?)?;
                return Err(malformed(&format!("it makes an instance at byte {at}")));
            }
            b'.' => {
                self.pickle.root = self.pop()?;
                return Ok(false);
            }
            code => return Err(malformed(&format!("opcode {code:#04x} at byte {at} is not one that PyTorch writes"))),
        }
        Ok(true)
    }

    fn charge(&mut self, steps: usize) -> Outcome<()> {
        self.steps = self.steps.saturating_add(steps);
        if self.steps > MOST_STEPS { Err(refusal("its pickle is too long for a state dict", CONVERT)) } else { Ok(()) }
    }

    fn take(&mut self, length: usize) -> Outcome<&'a [u8]> {
        let taken = self.bytes.get(self.position..).and_then(|rest| rest.get(..length));
        self.position += length.min(self.bytes.len());
        taken.ok_or_else(|| refusal("it ends inside of a pickle: it is truncated", AGAIN))
    }

    /// Reads a little-endian unsigned number of up to 8 bytes.
    fn number(&mut self, size: usize) -> Outcome<u64> {
        Ok(self.take(size)?.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    fn length(&mut self, size: usize) -> Outcome<usize> {
        usize::try_from(self.number(size)?).map_err(|_| malformed("a length is out of range"))
    }

    fn line(&mut self) -> Outcome<Cow<'a, str>> {
        let rest = self.bytes.get(self.position..).unwrap_or_default();
        let length = rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
        let line = self.take(length + 1)?;
        Ok(String::from_utf8_lossy(&line[..length]))
    }

    fn push(&mut self, value: Value) {
        self.stack.push(value);
    }

    fn push_sequence(&mut self, items: Vec<Value>) {
        self.pickle.sequences.push(items);
        self.push(Value::Sequence(self.pickle.sequences.len() - 1));
    }

    fn push_dict(&mut self, entries: Vec<(Value, Value)>) {
        self.pickle.dicts.push(entries);
        self.push(Value::Dict(self.pickle.dicts.len() - 1));
    }

    fn top(&self) -> Outcome<Value> {
        let floor = self.scores.last().copied().unwrap_or(0);
        self.stack[floor..].last().copied().ok_or_else(|| malformed("the stack is empty"))
    }

    fn pop(&mut self) -> Outcome<Value> {
        let value = self.top()?;
        self.stack.pop();
        Ok(value)
    }

    fn pop_to_mark(&mut self) -> Outcome<Vec<Value>> {
        let mark = self.scores.pop().ok_or_else(|| malformed("a mark is missing"))?;
        Ok(self.stack.split_off(mark))
    }

    fn integer(&mut self, size: usize) -> Outcome<()> {
        let value = self.number(size)?;
        self.push(Value::Int(value.into()));
        Ok(())
    }

    /// Reads a signed number of up to 16 bytes; PyTorch's magic number has 10.
    fn long(&mut self) -> Outcome<()> {
        let length = self.length(1)?;
        let bytes = self.take(length)?;
        if length > 16 {
            return Err(malformed("a number is out of range"));
        }
        let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
        let mut wide = [if negative { 0xff } else { 0 }; 16];
        wide[..length].copy_from_slice(bytes);
        self.push(Value::Int(i128::from_le_bytes(wide)));
        Ok(())
    }

    fn opaque(&mut self, length: usize) -> Outcome<()> {
        self.take(length)?;
        self.push(Value::Opaque);
        Ok(())
    }

    fn sized_bytes(&mut self, size: usize) -> Outcome<()> {
        let length = self.length(size)?;
        self.opaque(length)
    }

    fn sized_text(&mut self, size: usize) -> Outcome<()> {
        let length = self.length(size)?;
        let text = String::from_utf8_lossy(self.take(length)?);
        self.pickle.texts.push(text);
        self.push(Value::Text(self.pickle.texts.len() - 1));
        Ok(())
    }

    fn append(&mut self, items: Vec<Value>) -> Outcome<()> {
        let Value::Sequence(index) = self.top()? else {
            return Err(malformed("it appends to something that is not a list"));
        };
        self.pickle.sequences[index].extend(items);
        Ok(())
    }

    fn set(&mut self, items: &[Value]) -> Outcome<()> {
        let Value::Dict(index) = self.top()? else {
            return Err(malformed("it sets an entry of something that is not a dictionary"));
        };
        let (pairs, rest) = items.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(malformed("an entry has no value"));
        }
        self.pickle.dicts[index].extend(pairs.iter().map(|&[key, value]| (key, value)));
        Ok(())
    }

    fn memoize(&mut self, size: usize) -> Outcome<()> {
        let index = self.length(size)?;
        self.memo.insert(index, self.top()?);
        Ok(())
    }

    fn recall(&mut self, size: usize) -> Outcome<()> {
        let index = self.length(size)?;
        let value = self.memo.get(&index).copied();
        self.push(value.ok_or_else(|| malformed(&format!("memo {index} was never set")))?);
        Ok(())
    }

    /// REDUCE: constructs the value that the called name stands for, without calling anything.
    fn reduce(&mut self) -> Outcome<()> {
        let (arguments, called) = (self.pop()?, self.pop()?);
        let Some(arguments) = self.pickle.sequence(arguments) else {
            return Err(malformed("arguments are not a tuple"));
        };
        match (called, arguments) {
            (Value::Global(Global::OrderedDict), []) => self.push_dict(Vec::new()),
            (Value::Global(Global::OrderedDict), &[pairs]) => {
                let pairs = self.pickle.sequence(pairs).unwrap_or_default();
                let entry = |&pair| match self.pickle.sequence(pair) {
                    Some(&[key, value]) => Ok((key, value)),
                    _ => Err(malformed("an OrderedDict is not made of pairs")),
                };
                let entries: Vec<_> = pairs.iter().map(entry).collect::<Outcome<_>>()?;
                self.charge(entries.len())?;
                self.push_dict(entries);
            }
            (Value::Global(Global::Size), &[shape @ Value::Sequence(_)]) => self.push(shape),
            (Value::Global(Global::RebuildParameter), &[tensor @ Value::Tensor(_), ..]) => self.push(tensor),
            (Value::Global(Global::RebuildTensor), &[Value::Storage(storage), offset, shape, strides, ..]) => {
                let view = self.pickle.tensor(storage, offset, shape, strides)?;
                self.pickle.views.push(view);
                self.push(Value::Tensor(self.pickle.views.len() - 1));
            }
            (called, _) => return Err(malformed(&format!("{called:?} is called with arguments of another kind"))),
        }
        Ok(())
    }

    /// BUILD: sets an object's state. PyTorch uses it for version numbers of state dicts, which are ignored.
    fn build(&mut self) -> Outcome<()> {
        self.pop()?;
        match self.top()? {
            Value::Dict(_) => Ok(()),
            _ => Err(malformed("it sets the state of something that is not a dictionary")),
        }
    }
}
