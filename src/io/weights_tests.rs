//! Tests of `weights.rs` on generated files.

use half::bf16;

use super::{super::test_pickles, *};

fn parse(bytes: &[u8]) -> Result<WeightFile, String> {
    WeightFile::parse(Path::new("net"), bytes).map_err(|(reason, _)| reason.to_string())
}

/// A safetensors file with the given header.
fn file(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

fn named(name: &str, shape: &[usize], data: &[f32]) -> (String, HostTensor) {
    (name.into(), HostTensor::new(shape, data.into()).unwrap())
}

#[test]
fn what_is_saved_is_loaded_in_the_same_order() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("net.safetensors");
    let tensors =
        [named("z", &[2, 2], &[1.0, -0.5, 3.0, 65504.0]), named("a", &[], &[0.25]), named("empty", &[0, 3], &[])];
    let metadata = BTreeMap::from([("b".to_owned(), "2".to_owned()), ("a".to_owned(), "\"1\"".to_owned())]);
    for (dtype, length) in [(DType::F32, 20), (DType::F16, 10)] {
        WeightFile::save(&path, dtype, &tensors, &metadata).unwrap();
        let loaded = WeightFile::load(&path).unwrap();
        assert_eq!((loaded.format, &loaded.metadata), (Format::Safetensors, &metadata));
        let names: Vec<_> = loaded.tensors.iter().map(|(name, _)| name.as_str()).collect();
        // The empty tensor starts where its neighbour ends and may come before or after it.
        assert_eq!(names.iter().filter(|name| **name != "empty").collect::<Vec<_>>(), [&"z", &"a"]);
        for (name, tensor) in &tensors {
            assert_eq!(loaded.get(name), Some(&HostTensor { dtype, ..tensor.clone() }));
        }
        assert_eq!(loaded.get("b"), None);
        // The reference reader accepts the file, and the tensors start at a multiple of 8 bytes.
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(safetensors::SafeTensors::deserialize(&bytes).unwrap().len(), 3);
        assert_eq!((bytes.len() - length) % 8, 0);
        WeightFile::save(&path, dtype, &tensors, &metadata).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "the same input makes the same bytes");
    }
}

#[test]
fn what_cannot_be_saved_is_refused_and_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("net.safetensors");
    let refusal = |dtype, tensors: &[_]| {
        let message = WeightFile::save(&path, dtype, tensors, &BTreeMap::new()).unwrap_err().to_string();
        assert!(!path.exists());
        message
    };
    let large = [named("large", &[2], &[1.0, 65520.0])];
    assert!(refusal(DType::F16, &large).contains("`large` is 65520 at element 1, which F16 cannot hold"));
    assert!(refusal(DType::F32, &[named("bad", &[1], &[f32::NAN])]).contains("`bad` is NaN"));
    assert!(refusal(DType::F32, &[named("a", &[], &[1.0]), named("a", &[], &[1.0])]).contains("`a` comes twice"));
    let wrong = HostTensor { shape: vec![3], dtype: DType::F32, data: vec![0.0] };
    assert!(refusal(DType::F32, &[("wrong".into(), wrong)]).contains("`wrong`"));
    assert!(refusal(DType::I64, &[]).contains("F16 or F32"));
    assert!(HostTensor::new(&[2, 2], vec![0.0; 3]).is_err());
}

#[test]
fn every_type_is_widened() {
    let cases: [(&str, DType, &[u8], f32); 13] = [
        ("F64", DType::F64, &1.5f64.to_le_bytes(), 1.5),
        ("F32", DType::F32, &1.5f32.to_le_bytes(), 1.5),
        ("F16", DType::F16, &f16::from_f32(1.5).to_le_bytes(), 1.5),
        ("BF16", DType::BF16, &bf16::from_f32(1.5).to_le_bytes(), 1.5),
        ("I64", DType::I64, &(-9i64).to_le_bytes(), -9.0),
        ("I32", DType::I32, &(-9i32).to_le_bytes(), -9.0),
        ("I16", DType::I16, &(-9i16).to_le_bytes(), -9.0),
        ("I8", DType::I8, &(-9i8).to_le_bytes(), -9.0),
        ("U64", DType::U64, &9u64.to_le_bytes(), 9.0),
        ("U32", DType::U32, &9u32.to_le_bytes(), 9.0),
        ("U16", DType::U16, &9u16.to_le_bytes(), 9.0),
        ("U8", DType::U8, &[200], 200.0),
        ("BOOL", DType::Bool, &[1], 1.0),
    ];
    for (name, dtype, bytes, value) in cases {
        let header = format!(r#"{{"t":{{"dtype":"{name}","shape":[1],"data_offsets":[0,{}]}}}}"#, bytes.len());
        let loaded = parse(&file(&header, bytes)).unwrap();
        assert_eq!(loaded.get("t"), Some(&HostTensor { shape: vec![1], dtype, data: vec![value] }));
        assert_eq!(dtype.size(), bytes.len());
    }
    let header = r#"{"t":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]}}"#;
    assert!(parse(&file(header, &[0])).unwrap_err().contains("tensor `t` has type F8_E4M3"));
}

#[test]
fn malformed_headers_are_refused_and_the_tensor_named() {
    let max = usize::MAX;
    let info = |shape: &str, start: usize, end: usize| {
        format!(r#"{{"dtype":"F32","shape":{shape},"data_offsets":[{start},{end}]}}"#)
    };
    let header = |info: &str| format!(r#"{{"conv":{info}}}"#);
    let refusal = |header: &str, data: &[u8]| parse(&file(header, data)).unwrap_err();
    for (shape, start, end) in
        [("[3]", 0, 8), ("[2,2]", 0, 8), ("[9223372036854775807,9]", 0, 8), ("[2]", 0, max), ("[2]", 8, 0)]
    {
        let message = refusal(&header(&info(shape, start, end)), &[0; 8]);
        assert!(message.contains("`conv`"), "{shape}: {message}");
    }
    assert!(refusal(&header(&info("[2]", 4, 12)), &[0; 12]).contains("`conv`"));
    assert!(refusal(&header(&info("[2]", 0, 8)), &[0; 7]).contains("truncated"));
    assert!(refusal(&header(&info("[2]", 0, 8)), &[0; 9]).contains("its header describes 8, 9 follow"));
    assert!(refusal("{nonsense", &[]).contains("header is not valid"));
    // Lengths whose sum is almost the whole address space.
    let side = (1usize << 59) - 1;
    let tensors: Vec<String> = (0..7)
        .map(|index| format!(r#""t{index}":{}"#, info(&format!("[{side}]"), index * 4 * side, (index + 1) * 4 * side)))
        .collect();
    assert!(refusal(&format!("{{{}}}", tensors.join(",")), &[0; 8]).contains("truncated"));
}

#[test]
fn values_that_are_no_numbers_are_refused_and_named() {
    let header = r#"{"t":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}}"#;
    let message = parse(&file(header, &test_pickles::floats(&[0.0, 1.0, f32::NAN]))).unwrap_err();
    assert!(message.contains("`t` is NaN at element 2"), "{message}");
    let header = r#"{"t":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}}"#;
    assert!(parse(&file(header, &1e300f64.to_le_bytes())).unwrap_err().contains("`t` is inf at element 0"));
}

#[test]
fn formats_are_known_by_content() {
    let object = || {
        let storage = test_pickles::storage("FloatStorage", "0", 1);
        test_pickles::ordered_dict(&[("t", test_pickles::tensor(storage, 0, &[1], &[1]))])
    };
    let value = test_pickles::floats(&[2.0]);
    assert_eq!(parse(&test_pickles::zip_file(object(), &[&value])).unwrap().format, Format::PthZip);
    assert_eq!(parse(&test_pickles::legacy_file(object(), &[&value])).unwrap().format, Format::PthLegacy);
    assert!(parse(b"").unwrap_err().contains("empty"));
    assert!(parse(b"hello, this is text").unwrap_err().contains("it is text, not a weight file"));
    assert!(parse(b"[ 1234, {\"a\": 5}]").unwrap_err().contains("it is text"));
    assert!(parse(b"\x89HDF\r\n\x1a\n").unwrap_err().contains("HDF5"));
    assert!(parse(b"cos\nsystem\n(S'echo'\ntR.").unwrap_err().contains("refuses to load `os.system`"));
}

#[test]
fn cut_files_are_refused_with_their_name() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("net.safetensors");
    WeightFile::save(&path, DType::F32, &[named("a", &[2], &[1.0, 2.0])], &BTreeMap::new()).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    for length in 0..bytes.len() {
        std::fs::write(&path, &bytes[..length]).unwrap();
        let message = WeightFile::load(&path).unwrap_err().to_string();
        assert!(message.contains("net.safetensors"), "{message}");
    }
}
