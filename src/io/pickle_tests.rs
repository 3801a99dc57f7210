//! Tests of `pickle.rs` and its machine on hand-made pickles.

use super::{
    super::test_pickles::{call, global, int, pickle, sizes, storage, tensor, text, tuple},
    Value, read,
};

fn refusal(bytes: &[u8]) -> String {
    let (reason, help) = read(bytes).map(|_| ()).expect_err("is refused");
    format!("{reason}; {help}")
}

#[test]
fn a_hostile_pickle_is_refused_by_name() {
    let oldest = b"cos\nsystem\n(S'echo'\ntR.".to_vec();
    let newest = [b"\x80\x04", &text("os")[..], &text("system"), b"\x93"].concat();
    let instance = b"(ios\nsystem\n.".to_vec();
    for bytes in [oldest, newest, instance, pickle(call(global("os", "system"), &[text("echo")]))] {
        let message = refusal(&bytes);
        assert!(message.contains("refuses to load `os.system`: a weight file must hold tensors only"), "{message}");
    }
    for (module, name) in [("builtins", "eval"), ("torch", "load"), ("torch.nn.modules.container", "Sequential")] {
        assert!(refusal(&pickle(global(module, name))).contains(&format!("`{module}.{name}`")));
    }
    // Terminal escapes in a name are escaped in the message.
    assert!(!refusal(&pickle(global("os", "\u{1b}[2J"))).contains('\u{1b}'));
}

#[test]
fn plain_data_is_understood() {
    let bytes = pickle([b"}(", &text("a")[..], &int(-7), &text("b"), &sizes(&[1, 2]), b"u"].concat());
    let followed = [bytes.clone(), b"more".to_vec()].concat();
    let (pickle, length) = read(&followed).unwrap();
    assert_eq!(length, bytes.len());
    let entries = pickle.entries(pickle.root).unwrap();
    assert_eq!((pickle.text(entries[0].0), entries[0].1), (Some("a"), Value::Int(-7)));
    assert_eq!(pickle.sequence(entries[1].1), Some(&[Value::Int(1), Value::Int(2)][..]));
}

#[test]
fn deep_and_circular_nesting_is_harmless() {
    let deep = [b"]".repeat(300_000), b"a".repeat(299_999), b".".to_vec()].concat();
    assert!(read(&deep).is_ok());
    assert!(read(&[b"(".repeat(300_000), b"t".repeat(300_000), b".".to_vec()].concat()).is_ok());
    assert!(read(b"]q\x00h\x00a.").is_ok());
}

#[test]
fn work_is_bounded() {
    assert!(refusal(&b"N0".repeat(2_000_000)).contains("too long"));
    // A long list of pairs that is copied many times.
    let pairs = [b"](".to_vec(), b"(NNt".repeat(10_000), b"eq\x00".to_vec()].concat();
    let copies = [global("collections", "OrderedDict"), b"h\x00\x85R0".to_vec()].concat().repeat(1000);
    assert!(refusal(&[pairs, copies].concat()).contains("too long"));
}

#[test]
fn machine_errors_are_errors() {
    let cases: [&[u8]; 15] = [
        b"",
        b".",
        b"h\x05.",
        b"j\xff\xff\xff\xff.",
        b"q\x00.",
        b"t.",
        b"N(0.",
        b"NNs.",
        b"}(Nu.",
        b"Na.",
        b"NNb.",
        b"NNR.",
        b"NQ.",
        b"X\xff\xff\xff\xffabc.",
        b"\x8d\xff\xff\xff\xff\xff\xff\xff\xffabc.",
    ];
    for bytes in cases {
        refusal(bytes);
    }
    assert!(refusal(b"h\x05.").contains("memo 5 was never set"));
    assert!(refusal(b"\x80\x02\xff").contains("0xff at byte 2"));
    assert!(refusal(b"\x80\x09.").contains("version 9"));
    assert!(refusal(&[b"\x8a\xff".to_vec(), vec![1; 255]].concat()).contains("out of range"));
}

#[test]
fn views_must_lie_inside_of_their_storage() {
    let of_ten = |offset, shape: &[i32], strides: &[i32]| {
        let bytes = pickle(tensor(storage("FloatStorage", "0", 10), offset, shape, strides));
        read(&bytes).map(|(pickle, _)| pickle.views()[0].clone())
    };
    assert_eq!(of_ten(0, &[2, 5], &[5, 1]).unwrap().elements, 10);
    assert_eq!(of_ten(9, &[], &[]).unwrap().offset, 9);
    assert_eq!(of_ten(10, &[0, 4], &[4, 1]).unwrap().elements, 0);
    let huge = i32::MAX;
    let bad: [(i32, &[i32], &[i32]); 9] = [
        (1, &[2, 5], &[5, 1]),
        (0, &[2, 5], &[6, 1]),
        (-1, &[1], &[1]),
        (0, &[-1], &[1]),
        (0, &[2], &[-1]),
        (0, &[huge, huge, huge], &[1, 1, 1]),
        (0, &[2, 2, 2], &[huge, huge, huge]),
        (0, &[2], &[1, 1]),
        (0, &[1; 17], &[1; 17]),
    ];
    for (offset, shape, strides) in bad {
        assert!(of_ten(offset, shape, strides).is_err(), "{offset} {shape:?} {strides:?}");
    }
    // Old files refer to ranges of a storage.
    let part = |start, length| {
        let view = tuple(&[text("1"), int(start), int(length)]);
        let parts = [text("storage"), global("torch", "FloatStorage"), text("0"), text("cpu"), int(10), view];
        let bytes = pickle(tensor([tuple(&parts), b"Q".to_vec()].concat(), 1, &[3], &[1]));
        read(&bytes).map(|(pickle, _)| pickle.views()[0].offset)
    };
    assert_eq!(part(6, 4).unwrap(), 7);
    assert!(part(6, 3).is_err() && part(7, 4).is_err());
}

#[test]
fn references_must_be_to_storages() {
    let code = tuple(&[text("module"), global("collections", "OrderedDict"), text("net.py"), text("class Net: ...")]);
    let message = refusal(&pickle([code, b"Q".to_vec()].concat()));
    assert!(message.contains("`module`") && message.contains("state_dict"), "{message}");
}
