//! Tests of `exif.rs`.

use std::path::Path;

use super::*;
use crate::io::{Metadata, Picture, SaveOptions};

/// Directories as numbers: the tag of each entry, its type, and its value in the byte order of the processor; the entries
/// of other directories have the tag of their place in front.
fn values(directory: &Directory) -> Vec<(Vec<u16>, u16, Vec<u8>)> {
    let own = directory
        .entries
        .iter()
        .map(|(tag, value)| (vec![tag.to_u16()], value.data_type().to_u16(), value.as_bytes().to_vec()));
    let inner = directory.parts.iter().flat_map(|(place, part)| {
        let deeper = |(mut path, kind, value): (Vec<u16>, u16, Vec<u8>)| {
            path.insert(0, place.to_u16());
            (path, kind, value)
        };
        values(part).into_iter().map(deeper).collect::<Vec<_>>()
    });
    own.chain(inner).collect()
}

/// A value of EXIF.
enum Value<'a> {
    Short(u16),
    /// Bytes of a type: 2 is text, 5 pairs of numbers, 7 anything.
    Bytes(u16, &'a [u8]),
    Directory(&'a [(u16, Value<'a>)]),
}

/// EXIF in big-endian order.
fn exif(first: &[(u16, Value)]) -> Vec<u8> {
    fn add(file: &mut Vec<u8>, entries: &[(u16, Value)]) -> u32 {
        let mut fields = Vec::new();
        for (tag, value) in entries {
            let (kind, count, field) = match value {
                Value::Short(value) => (3, 1, [value.to_be_bytes(), [0; 2]].concat()),
                Value::Directory(part) => (4, 1, add(file, part).to_be_bytes().to_vec()),
                Value::Bytes(kind, bytes) => {
                    let count = bytes.len() as u32 / if *kind == 5 { 8 } else { 1 };
                    let place = file.len() as u32;
                    file.extend(*bytes);
                    (*kind, count, place.to_be_bytes().to_vec())
                }
            };
            fields.extend([tag.to_be_bytes(), kind.to_be_bytes()].as_flattened());
            fields.extend(count.to_be_bytes());
            fields.extend(field);
        }
        let place = file.len() as u32;
        file.extend((entries.len() as u16).to_be_bytes());
        file.extend(fields);
        file.extend([0; 4]);
        place
    }
    let mut file = b"MM\0*\0\0\0\0".to_vec();
    let place = add(&mut file, first);
    file[4..8].copy_from_slice(&place.to_be_bytes());
    file
}

const RESOLUTION: &[u8] = &[0, 0, 1, 44, 0, 0, 0, 1]; // 300

/// EXIF as a camera writes it.
fn of_a_camera() -> Vec<u8> {
    let interoperability = [(1, Value::Bytes(2, b"R98 v1\0"))];
    let exposure = [
        (33434, Value::Bytes(5, &[0, 0, 0, 1, 0, 0, 0, 125])),
        (34855, Value::Short(400)),
        (36867, Value::Bytes(2, b"2026:12:01 01:02:03\0")),
        (37500, Value::Bytes(7, b"the maker's own notes")),
        (40965, Value::Directory(&interoperability)),
    ];
    let place = [(1, Value::Bytes(2, b"North\0")), (2, Value::Bytes(5, &[0, 0, 0, 52, 0, 0, 0, 1]))];
    exif(&[
        (271, Value::Bytes(2, b"Maker\0")),
        (274, Value::Short(1)),
        (282, Value::Bytes(5, RESOLUTION)),
        (283, Value::Bytes(5, RESOLUTION)),
        (296, Value::Short(2)),
        (531, Value::Short(2)), // YCbCrPositioning: of a JPEG's pixels
        (33432, Value::Bytes(2, "© somebody\0".as_bytes())),
        (34665, Value::Directory(&exposure)),
        (34853, Value::Directory(&place)),
    ])
}

fn save_and_load(path: &Path, exif: Vec<u8>) -> (Picture, Option<Vec<u8>>) {
    let metadata = Metadata { exif: Some(exif), ..Metadata::default() };
    Picture::new(5, 3).save_with(path, &SaveOptions { metadata, ..SaveOptions::default() }).unwrap();
    let (picture, metadata) = Picture::load_with_metadata(path).unwrap();
    (picture, metadata.exif)
}

#[test]
fn a_tiff_keeps_exif_and_other_formats_get_it_from_there() {
    let folder = tempfile::tempdir().unwrap();
    let wanted = values(&Directory::of_exif(&of_a_camera()).unwrap());
    let paths: Vec<_> = wanted.iter().map(|(path, ..)| &path[..]).collect();
    let all: [&[u16]; 13] = [
        &[271],
        &[274],
        &[282],
        &[283],
        &[296],
        &[33432],
        &[34665, 33434],
        &[34665, 34855],
        &[34665, 36867],
        &[34665, 37500],
        &[34665, 40965, 1],
        &[34853, 1],
        &[34853, 2],
    ];
    assert_eq!(paths, all);
    let (_, of_tiff) = save_and_load(&folder.path().join("a.tif"), of_a_camera());
    assert_eq!(values(&Directory::of_exif(&of_tiff.clone().unwrap()).unwrap()), wanted);
    for name in ["b.png", "b.jpg", "b.webp", "b.tif"] {
        let (_, again) = save_and_load(&folder.path().join(name), of_tiff.clone().unwrap());
        assert_eq!(values(&Directory::of_exif(&again.unwrap()).unwrap()), wanted, "{name}");
    }
}

#[test]
fn a_turned_picture_is_upright_after_it_has_been_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tif");
    let (picture, read) = save_and_load(&path, exif(&[(271, Value::Bytes(2, b"Maker\0")), (274, Value::Short(6))]));
    assert_eq!([picture.width, picture.height], [3, 5]);
    let read = values(&Directory::of_exif(&read.unwrap()).unwrap());
    assert_eq!(read[1], (vec![274], 3, 1u16.to_ne_bytes().to_vec()));
}

#[test]
fn a_tiff_without_descriptions_has_no_exif() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tif");
    Picture::new(5, 3).save(&path).unwrap();
    assert_eq!(Picture::load_with_metadata(&path).unwrap().1, Metadata::default());
}

#[test]
fn broken_exif_does_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let whole = of_a_camera();
    let cut = (0..whole.len()).step_by(7).map(|length| whole[..length].to_vec());
    let wrong = (0..whole.len()).step_by(5).map(|at| {
        let mut changed = whole.clone();
        changed[at] ^= 0xff;
        changed
    });
    for exif in cut.chain(wrong).chain([b"nothing of the kind".to_vec(), b"MM\0*\xff\xff\xff\xff".to_vec()]) {
        let (picture, _) = save_and_load(&folder.path().join("a.tif"), exif);
        assert_eq!(picture.width * picture.height, 15);
    }
}

#[test]
fn values_that_share_bytes_do_not_make_a_file_large() {
    // A directory of the exposure with 8,000 entries, each of which has the same 64 KB.
    let shared = vec![b' '; 1 << 16];
    let mut file = exif(&[(305, Value::Bytes(2, &shared)), (34665, Value::Directory(&[]))]);
    let inner = file.len() as u32;
    file.extend(8000u16.to_be_bytes());
    for tag in 1..=8000u16 {
        file.extend([tag.to_be_bytes(), 2u16.to_be_bytes()].as_flattened());
        file.extend([shared.len() as u32, 8].map(u32::to_be_bytes).as_flattened());
    }
    file.extend([0; 4]);
    let place = file.windows(2).position(|bytes| bytes == 34665u16.to_be_bytes()).unwrap() + 8;
    file[place..place + 4].copy_from_slice(&inner.to_be_bytes());
    let read = values(&Directory::of_exif(&file).unwrap());
    let bytes: usize = read.iter().map(|(.., value)| value.len()).sum();
    assert!(bytes <= 2 * file.len(), "{bytes} bytes of {}", file.len());
    assert_eq!(read[0].2.len(), shared.len());
}
