//! Pickles for tests, in the format that PyTorch writes.

pub(super) fn text(text: &str) -> Vec<u8> {
    [b"X", &(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat()
}

pub(super) fn int(value: i32) -> Vec<u8> {
    [b"J", &value.to_le_bytes()[..]].concat()
}

pub(super) fn global(module: &str, name: &str) -> Vec<u8> {
    format!("c{module}\n{name}\n").into_bytes()
}

pub(super) fn tuple(items: &[Vec<u8>]) -> Vec<u8> {
    [b"(", &items.concat()[..], b"t"].concat()
}

pub(super) fn sizes(sizes: &[i32]) -> Vec<u8> {
    tuple(&sizes.iter().map(|&size| int(size)).collect::<Vec<_>>())
}

pub(super) fn call(function: Vec<u8>, arguments: &[Vec<u8>]) -> Vec<u8> {
    [function, tuple(arguments), b"R".to_vec()].concat()
}

pub(super) fn ordered_dict(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let entries: Vec<u8> = entries.iter().flat_map(|(key, value)| [text(key), value.clone()].concat()).collect();
    [&global("collections", "OrderedDict")[..], b")R(", &entries, b"u"].concat()
}

pub(super) fn storage(kind: &str, key: &str, elements: i32) -> Vec<u8> {
    let parts = [text("storage"), global("torch", kind), text(key), text("cpu"), int(elements)];
    [tuple(&parts), b"Q".to_vec()].concat()
}

pub(super) fn tensor(storage: Vec<u8>, offset: i32, shape: &[i32], strides: &[i32]) -> Vec<u8> {
    let function = global("torch._utils", "_rebuild_tensor_v2");
    call(function, &[storage, int(offset), sizes(shape), sizes(strides), b"\x89".to_vec(), ordered_dict(&[])])
}

pub(super) fn pickle(object: Vec<u8>) -> Vec<u8> {
    [b"\x80\x02", &object[..], b"."].concat()
}

/// A zip `.pth` with the given object and storages `0`, `1`, ...
pub(super) fn zip_file(object: Vec<u8>, storages: &[&[u8]]) -> Vec<u8> {
    use std::io::Write;
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
    let mut add = |name: String, content: &[u8]| {
        archive.start_file(format!("net/{name}"), options).unwrap();
        archive.write_all(content).unwrap();
    };
    add("data.pkl".into(), &pickle(object));
    add("byteorder".into(), b"little");
    for (key, content) in storages.iter().enumerate() {
        add(format!("data/{key}"), content);
    }
    archive.finish().unwrap().into_inner()
}

/// A legacy `.pth` with the given object and storages `0`, `1`, ... of `f32`.
pub(super) fn legacy_file(object: Vec<u8>, storages: &[&[u8]]) -> Vec<u8> {
    let keys: Vec<u8> = (0..storages.len()).flat_map(|key| text(&key.to_string())).collect();
    let mut bytes = [
        pickle(b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19".to_vec()),
        pickle(int(1001)),
        pickle([b"}(", &text("little_endian")[..], b"\x88u"].concat()),
        pickle(object),
        pickle([b"](", &keys[..], b"e"].concat()),
    ]
    .concat();
    for content in storages {
        bytes.extend((content.len() as i64 / 4).to_le_bytes());
        bytes.extend(*content);
    }
    bytes
}

pub(super) fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}
