//! Tests of `checkpoint.rs` on hand-made files.

use super::{super::test_pickles::*, *};

fn read_zip(bytes: &[u8]) -> Result<NamedTensors, String> {
    super::read_zip(bytes).map_err(|(reason, _)| reason.to_string())
}

fn read_legacy(bytes: &[u8]) -> Result<NamedTensors, String> {
    super::read_legacy(bytes).map_err(|(reason, _)| reason.to_string())
}

fn linear() -> Vec<u8> {
    ordered_dict(&[
        ("weight", tensor(storage("FloatStorage", "0", 6), 0, &[2, 3], &[3, 1])),
        ("bias", tensor(storage("FloatStorage", "1", 2), 0, &[2], &[1])),
    ])
}

const WEIGHT: [f32; 6] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
const BIAS: [f32; 2] = [-1.0, 0.5];

fn check_linear(tensors: &[(String, HostTensor)]) {
    assert_eq!(tensors.len(), 2);
    let weight = HostTensor { shape: vec![2, 3], dtype: DType::F32, data: WEIGHT.into() };
    let bias = HostTensor { shape: vec![2], dtype: DType::F32, data: BIAS.into() };
    assert_eq!(tensors, [("weight".into(), weight), ("bias".into(), bias)]);
}

#[test]
fn both_containers_are_read() {
    let (weight, bias) = (floats(&WEIGHT), floats(&BIAS));
    check_linear(&read_zip(&zip_file(linear(), &[&weight, &bias])).unwrap());
    check_linear(&read_legacy(&legacy_file(linear(), &[&weight, &bias])).unwrap());
}

#[test]
fn state_dicts_are_found() {
    let (weight, bias) = (floats(&WEIGHT), floats(&BIAS));
    let read = |object| read_zip(&zip_file(object, &[&weight, &bias]));
    let other = ordered_dict(&[("other", tensor(storage("FloatStorage", "1", 2), 0, &[], &[]))]);
    let epoch = ("epoch", int(7));
    check_linear(&read(ordered_dict(&[epoch.clone(), ("net_g", linear())])).unwrap());
    check_linear(&read(ordered_dict(&[("aux", other.clone()), ("state_dict", linear()), epoch.clone()])).unwrap());
    // The state that BUILD sets on a state dict is ignored.
    let state = ordered_dict(&[("_metadata", ordered_dict(&[("", ordered_dict(&[("version", int(1))]))]))]);
    check_linear(&read([linear(), state, b"b".to_vec()].concat()).unwrap());
    let step = ("step", tensor(storage("FloatStorage", "1", 2), 0, &[], &[]));
    let vector = tensor(storage("FloatStorage", "1", 2), 0, &[2], &[1]);
    // Tensors beside the state dict.
    check_linear(&read(ordered_dict(&[step.clone(), ("mean", vector.clone()), ("state_dict", linear())])).unwrap());
    check_linear(&read(ordered_dict(&[step, ("a", other), ("net_g", linear())])).unwrap());
    let message = read(ordered_dict(&[("mean", vector), ("a", linear()), ("b", linear())])).unwrap_err();
    assert!(message.contains("`a`, `b`, the top level"), "{message}");
    assert!(read(ordered_dict(&[epoch])).unwrap_err().contains("no tensors"));
    assert!(read(int(3)).unwrap_err().contains("no state dict"));
    let twice = tensor(storage("FloatStorage", "1", 2), 0, &[2], &[1]);
    assert!(read(ordered_dict(&[("a", twice.clone()), ("a", twice)])).unwrap_err().contains("`a` comes twice"));
}

#[test]
fn old_ordered_dicts_parameters_and_integer_keys_are_read() {
    let parameter = call(
        global("torch._utils", "_rebuild_parameter"),
        &[tensor(storage("FloatStorage", "0", 2), 0, &[2], &[1]), b"\x88".to_vec(), ordered_dict(&[])],
    );
    // Python 2 passes the pairs as a list of lists.
    let pairs = [b"](](".to_vec(), int(17), parameter, b"ee".to_vec()].concat();
    let object = call(global("collections", "OrderedDict"), &[pairs]);
    let tensors = read_legacy(&legacy_file(object, &[&floats(&BIAS)])).unwrap();
    assert_eq!((tensors[0].0.as_str(), &tensors[0].1.data[..]), ("17", &BIAS[..]));
}

#[test]
fn strided_views_are_gathered() {
    let view = |offset, shape: &[i32], strides: &[i32]| {
        let object = ordered_dict(&[("v", tensor(storage("FloatStorage", "0", 6), offset, shape, strides))]);
        read_zip(&zip_file(object, &[&floats(&WEIGHT)])).unwrap().remove(0).1
    };
    assert_eq!(view(0, &[3, 2], &[1, 3]).data, [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    assert_eq!(view(1, &[2], &[3]).data, [2.0, 5.0]);
    assert_eq!(view(3, &[1, 3], &[77, 1]).data, [4.0, 5.0, 6.0]);
    assert_eq!(view(2, &[2, 2], &[0, 1]).data, [3.0, 4.0, 3.0, 4.0]);
    assert!(view(6, &[0], &[1]).data.is_empty());
    assert_eq!(view(5, &[], &[]), HostTensor { shape: vec![], dtype: DType::F32, data: vec![6.0] });
}

#[test]
fn every_storage_type_is_widened() {
    let cases: [(&str, DType, &[u8], f32); 10] = [
        ("DoubleStorage", DType::F64, &(-2.5f64).to_le_bytes(), -2.5),
        ("FloatStorage", DType::F32, &(-2.5f32).to_le_bytes(), -2.5),
        ("HalfStorage", DType::F16, &half::f16::from_f32(-2.5).to_le_bytes(), -2.5),
        ("BFloat16Storage", DType::BF16, &half::bf16::from_f32(-2.5).to_le_bytes(), -2.5),
        ("LongStorage", DType::I64, &(-3i64).to_le_bytes(), -3.0),
        ("IntStorage", DType::I32, &(-3i32).to_le_bytes(), -3.0),
        ("ShortStorage", DType::I16, &(-3i16).to_le_bytes(), -3.0),
        ("CharStorage", DType::I8, &(-3i8).to_le_bytes(), -3.0),
        ("ByteStorage", DType::U8, &[250], 250.0),
        ("BoolStorage", DType::Bool, &[1], 1.0),
    ];
    for (name, dtype, bytes, value) in cases {
        let object = ordered_dict(&[("t", tensor(storage(name, "0", 1), 0, &[1], &[1]))]);
        let tensor = read_zip(&zip_file(object, &[bytes])).unwrap().remove(0).1;
        assert_eq!(tensor, HostTensor { shape: vec![1], dtype, data: vec![value] });
    }
}

#[test]
fn cut_and_damaged_files_never_panic() {
    let (weight, bias) = (floats(&WEIGHT), floats(&BIAS));
    let files = [zip_file(linear(), &[&weight, &bias]), legacy_file(linear(), &[&weight, &bias])];
    type Reader = fn(&[u8]) -> Result<NamedTensors, String>;
    let readers: [Reader; 2] = [read_zip, read_legacy];
    for (bytes, read) in files.iter().zip(readers) {
        for length in 0..bytes.len() {
            read(&bytes[..length]).expect_err("a cut file is refused");
        }
        for position in 0..bytes.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff, bytes[position] ^ 1] {
                let mut damaged = bytes.clone();
                damaged[position] = value;
                let _ = read(&damaged);
            }
        }
    }
}

#[test]
fn storages_must_have_the_length_that_the_pickle_claims() {
    let message = read_zip(&zip_file(linear(), &[&floats(&WEIGHT[..5]), &floats(&BIAS)])).unwrap_err();
    assert!(message.contains("`weight` has 20 bytes where 6 elements of F32"), "{message}");
    assert!(read_zip(&zip_file(linear(), &[&floats(&WEIGHT)])).unwrap_err().contains("storage `1` is missing"));
    let message = read_legacy(&legacy_file(linear(), &[&floats(&WEIGHT), &floats(&BIAS[..1])])).unwrap_err();
    assert!(message.contains("`bias`"), "{message}");
}

#[test]
fn bombs_are_refused() {
    let zeros = vec![0; 10_000_000];
    let object = ordered_dict(&[("t", tensor(storage("FloatStorage", "0", 2_500_000), 0, &[2_500_000], &[1]))]);
    let message = read_zip(&zip_file(object, &[&zeros])).unwrap_err();
    assert!(message.contains("far more than it holds"), "{message}");
    // A few elements of a large storage.
    let object = ordered_dict(&[("t", tensor(storage("FloatStorage", "0", 2_500_000), 0, &[5], &[1]))]);
    let message = read_zip(&zip_file(object, &[&zeros])).unwrap_err();
    assert!(message.contains("unpacks to") && message.contains("too many for weights"), "{message}");
    // One element, viewed a billion times.
    let object = ordered_dict(&[("t", tensor(storage("FloatStorage", "0", 1), 0, &[1_000_000_000], &[0]))]);
    let message = read_zip(&zip_file(object, &[&zeros[..4]])).unwrap_err();
    assert!(message.contains("far more than it holds"), "{message}");
    // A stated length that the file does not have is rejected before an allocation of that length.
    let object = ordered_dict(&[("t", tensor(storage("FloatStorage", "0", i32::MAX), 0, &[4], &[1]))]);
    assert!(read_legacy(&legacy_file(object, &[&zeros[..16]])).unwrap_err().contains("expected"));
}

#[test]
fn other_machines_and_other_files_are_told_apart() {
    let mut bytes = legacy_file(linear(), &[&floats(&WEIGHT), &floats(&BIAS)]);
    let flag = bytes.windows(13).position(|window| window == b"little_endian").unwrap() + 13;
    bytes[flag] = 0x89;
    assert!(read_legacy(&bytes).unwrap_err().contains("big-endian"));
    assert!(read_legacy(&pickle(int(3))).unwrap_err().contains("not one of PyTorch's"));
    assert!(begins_with_pickle(b"cos\nsystem\n(S'echo'\ntR."));
    assert!(!begins_with_pickle(b"content of another kind\n"));
}
