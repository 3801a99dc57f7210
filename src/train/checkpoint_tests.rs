//! Tests of `checkpoint.rs`.

use std::{
    env,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use serde_json::json;

use super::*;
use crate::random::Random;

/// A checkpoint whose values all equal the step, with a tensor that needs several small parts.
fn of_step(step: u64) -> Checkpoint {
    let tensor = |shape: &[usize]| HostTensor::new(shape, vec![step as f32; shape.iter().product()]).unwrap();
    let tensors = [("weight", tensor(&[30, 100])), ("bias", tensor(&[30])), ("count", tensor(&[]))];
    Checkpoint { header: json!({ "step": step }), tensors: tensors.map(|(name, tensor)| (name.into(), tensor)).into() }
}

/// A part size small enough that [`of_step`] needs several parts.
const SMALL: usize = 4096;

fn save(folder: &Path, step: u64, keep: usize) -> PathBuf {
    of_step(step).save_in_parts(folder, step, keep, SMALL).unwrap()
}

fn latest(folder: &Path) -> Option<u64> {
    let (step, checkpoint) = Checkpoint::latest(folder).unwrap()?;
    assert_eq!(checkpoint, of_step(step), "the checkpoint is whole and of one step");
    Some(step)
}

fn listing(folder: &Path) -> Vec<String> {
    let mut names = names(folder).unwrap();
    names.sort();
    names
}

fn bits(tensor: &HostTensor) -> Vec<u32> {
    tensor.data.iter().map(|value| value.to_bits()).collect()
}

#[test]
fn what_is_saved_comes_back_bit_for_bit() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("new/folder");
    assert_eq!(Checkpoint::latest(&folder).unwrap(), None);
    let mut random = Random::new(1);
    let mut finite = || loop {
        let value = f32::from_bits(random.bits() as u32);
        if value.is_finite() {
            return value;
        }
    };
    let mut data: Vec<f32> = (0..6000).map(|_| finite()).collect();
    data[..4].copy_from_slice(&[-0.0, f32::MIN_POSITIVE / 8.0, f32::MAX, f32::from_bits(1)]);
    let tensors = vec![
        ("z \"quoted\" \u{e9}".to_owned(), HostTensor::new(&[2, 3, 1000], data).unwrap()),
        ("empty".to_owned(), HostTensor::new(&[0, 3], vec![]).unwrap()),
        ("a".to_owned(), HostTensor::new(&[], vec![0.1]).unwrap()),
    ];
    // f64 numbers, as in a schedule or a sum of losses, and a seed beyond f64's exact integers.
    let numbers: Vec<f64> =
        (0..1000).map(|_| f64::from(random.uniform()) * 1.1 + f64::from(random.uniform()) / 3e9).collect();
    let checkpoint = Checkpoint { header: json!({ "seed": u64::MAX - 1, "losses": numbers, "text": "é" }), tensors };
    for largest in [LARGEST_PART, 1000] {
        let path = checkpoint.save_in_parts(&folder, 1000, 1, largest).unwrap();
        assert_eq!(path, folder.join("step-00001000"));
        let (step, back) = Checkpoint::latest(&folder).unwrap().unwrap();
        assert_eq!((step, &back), (1000, &checkpoint));
        for ((_, tensor), (_, expected)) in back.tensors.iter().zip(&checkpoint.tensors) {
            assert_eq!(bits(tensor), bits(expected));
        }
    }
    let nothing = Checkpoint { header: Value::Null, tensors: vec![] };
    nothing.save(&folder, 1001, 1).unwrap();
    assert_eq!(Checkpoint::latest(&folder).unwrap(), Some((1001, nothing)));
}

#[test]
fn parts_stay_under_16_mib() {
    let directory = tempfile::tempdir().unwrap();
    let mut random = Random::new(2);
    let mut tensor = |name: &str, shape: &[usize]| {
        let data = (0..shape.iter().product()).map(|_| random.uniform()).collect();
        (name.to_owned(), HostTensor::new(shape, data).unwrap())
    };
    let tensors = vec![
        tensor("small", &[1000]),
        tensor("medium", &[3, 1 << 19]),
        tensor("large", &[5, 1 << 20]), // 20 MiB
        tensor("also medium", &[1 << 20, 2]),
        tensor("rest", &[1 << 20]),
    ];
    let checkpoint = Checkpoint { header: json!({}), tensors };
    let path = checkpoint.save(directory.path(), 7, 1).unwrap();
    let lengths: Vec<u64> =
        names(&path).unwrap().iter().map(|name| fs::metadata(path.join(name)).unwrap().len()).collect();
    assert!(lengths.iter().all(|&length| length < 16 << 20) && lengths.iter().sum::<u64>() > 38 << 20, "{lengths:?}");
    assert!(lengths.len() <= 6, "{lengths:?}: few parts");
    assert_eq!(Checkpoint::latest(directory.path()).unwrap(), Some((7, checkpoint)));
    // Parts with whole tensors are valid safetensors files for other programs.
    let first = WeightFile::load(&path.join("part-000.safetensors")).unwrap();
    assert_eq!(first.get("medium").unwrap().shape, [3, 1 << 19]);
}

#[test]
fn parts_are_never_longer_than_they_may_be() {
    let directory = tempfile::tempdir().unwrap();
    let mut random = Random::new(3);
    for largest in [700, 1000, 2500] {
        let tensors = (0..40)
            .map(|index| {
                let count = random.bits() as usize % 700;
                let name = format!("{index}{}", "\"".repeat(index));
                (name, HostTensor::new(&[count, 1, 1], vec![0.5; count]).unwrap())
            })
            .collect();
        let checkpoint = Checkpoint { header: Value::Null, tensors };
        let path = checkpoint.save_in_parts(directory.path(), 1, 1, largest).unwrap();
        for name in names(&path).unwrap().iter().filter(|name| name.starts_with("part-")) {
            let length = fs::metadata(path.join(name)).unwrap().len();
            assert!(length <= largest as u64, "{name} has {length} bytes, not {largest}");
        }
        assert_eq!(Checkpoint::latest(directory.path()).unwrap(), Some((1, checkpoint)));
    }
}

#[test]
fn the_newest_are_kept_and_a_step_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path();
    fs::create_dir(folder.join("step-12")).unwrap(); // a foreign folder
    (1..=4).for_each(|step| drop(save(folder, step, 3)));
    assert_eq!(listing(folder), ["step-00000002", "step-00000003", "step-00000004", "step-12"]);
    save(folder, 100_000_000, 2);
    assert_eq!(listing(folder), ["step-00000004", "step-100000000", "step-12"]);
    let again = Checkpoint { header: json!("again"), tensors: vec![] };
    again.save(folder, 100_000_000, 2).unwrap();
    assert_eq!(Checkpoint::latest(folder).unwrap(), Some((100_000_000, again)));
    assert_eq!(listing(folder), ["step-00000004", "step-100000000", "step-12"]);
}

#[test]
fn whatever_a_kill_leaves_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path();
    save(folder, 1, 1);
    // A kill while the next checkpoint was being written.
    let new = folder.join(".step-00000002.new");
    fs::create_dir(&new).unwrap();
    fs::write(new.join("part-000.safetensors"), "half").unwrap();
    assert_eq!(latest(folder), Some(1));
    save(folder, 2, 1);
    assert_eq!(listing(folder), ["step-00000002"]);
    // A kill between the rename and the removal of old checkpoints, and one during a removal.
    save(folder, 3, 9);
    save(folder, 4, 9);
    fs::rename(folder.join("step-00000002"), folder.join(".step-00000002.old")).unwrap();
    fs::remove_file(folder.join(".step-00000002.old/header.json")).unwrap();
    assert_eq!(latest(folder), Some(4));
    assert_eq!(listing(folder), [".step-00000002.old", "step-00000003", "step-00000004"]);
    save(folder, 5, 1);
    assert_eq!(listing(folder), ["step-00000005"]);
    // A kill between the two renames of a replacement, followed by a read and by a further save.
    let replaced = folder.join(".step-00000005.replaced");
    fs::rename(folder.join("step-00000005"), &replaced).unwrap();
    assert_eq!(latest(folder), Some(5));
    fs::rename(folder.join("step-00000005"), &replaced).unwrap();
    save(folder, 5, 1);
    assert_eq!((latest(folder), listing(folder)), (Some(5), vec!["step-00000005".to_owned()]));
    // A kill after both renames.
    fs::create_dir(&replaced).unwrap();
    assert_eq!(latest(folder), Some(5));
    save(folder, 6, 2);
    assert_eq!(listing(folder), ["step-00000005", "step-00000006"]);
}

#[test]
fn a_damaged_checkpoint_is_named_with_the_way_out() {
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 7] = [
        ("part-001", |path| {
            let part = path.join("part-001.safetensors");
            let bytes = fs::read(&part).unwrap();
            fs::write(part, &bytes[..bytes.len() - 1]).unwrap();
        }),
        ("part-000", |path| fs::remove_file(path.join("part-000.safetensors")).unwrap()),
        ("header.json", |path| fs::remove_file(path.join("header.json")).unwrap()),
        ("header.json", |path| fs::write(path.join("header.json"), "{").unwrap()),
        ("part-002.safetensors is not what was written", |path| {
            let part = path.join("part-002.safetensors");
            let mut bytes = fs::read(&part).unwrap();
            // The lowest bit of a number: the value stays finite.
            let last = bytes.len() - 4;
            bytes[last] ^= 1;
            fs::write(part, bytes).unwrap();
        }),
        ("part-001.safetensors is not what was written", |path| {
            let part = path.join("part-001.safetensors");
            fs::copy(path.join("part-003.safetensors"), part).map(drop).unwrap();
        }),
        ("of step 1", |path| {
            fs::copy(path.with_file_name("step-00000001").join("header.json"), path.join("header.json"))
                .map(drop)
                .unwrap();
        }),
    ];
    for (place, damage) in damages {
        let directory = tempfile::tempdir().unwrap();
        save(directory.path(), 1, 2);
        let path = save(directory.path(), 2, 2);
        damage(&path);
        let message = Checkpoint::latest(directory.path()).err().unwrap().to_string();
        assert!(message.contains("step-00000002") && message.contains(place), "{message}");
        assert!(message.contains("delete this folder to continue from step-00000001"), "{message}");
        fs::remove_dir_all(&path).unwrap();
        assert_eq!(latest(directory.path()), Some(1));
        fs::remove_file(directory.path().join("step-00000001/header.json")).unwrap();
        assert!(Checkpoint::latest(directory.path()).err().unwrap().to_string().contains("start a new training"));
    }
}

#[test]
fn what_cannot_be_saved_is_refused_before_anything_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("none");
    let refusal = |tensors: &[(&str, HostTensor)], keep| {
        let tensors = tensors.iter().map(|(name, tensor)| ((*name).to_owned(), tensor.clone())).collect();
        let error = Checkpoint { header: Value::Null, tensors }.save(&folder, 1, keep).unwrap_err();
        assert!(!folder.exists());
        error.to_string()
    };
    let vector = |data: &[f32]| HostTensor::new(&[data.len()], data.into()).unwrap();
    for bad in [f32::NAN, f32::INFINITY] {
        let message = refusal(&[("good", vector(&[1.0])), ("bad", vector(&[0.0, bad]))], 1);
        assert!(message.contains("`bad`") && message.contains("element 1"), "{message}");
    }
    assert!(refusal(&[("a", vector(&[1.0])), ("a", vector(&[1.0]))], 1).contains("`a` twice"));
    let wrong = HostTensor { shape: vec![3], dtype: DType::F32, data: vec![0.0] };
    assert!(refusal(&[("wrong", wrong)], 1).contains("1 values for `wrong` of shape [3]"));
    assert!(refusal(&[], 0).contains("keep must be at least 1"));

    save(&folder, 5, 1);
    let message = of_step(4).save(&folder, 4, 1).unwrap_err().to_string();
    assert!(message.contains("at least 5") && message.contains("new folder"), "{message}");
    assert_eq!(latest(&folder), Some(5));
}

/// Environment variable with the folder of the child process that is killed.
const CHILD: &str = "IMPASTO_TEST_CHECKPOINTS";

/// Starts this test as a child process that saves in an endless loop, and kills it.
#[test]
fn a_kill_at_any_moment_leaves_the_last_confirmed_checkpoint_or_a_newer_one() {
    if let Some(folder) = env::var_os(CHILD) {
        let folder = Path::new(&folder);
        for step in latest(folder).unwrap_or(0) + 1.. {
            save(folder, step, 2);
            println!("\nsaved {step}");
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path();
    let mut random = Random::new(4);
    let (mut confirmed, mut interrupted) = (0, 0);
    for round in 0..24 {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "--nocapture", "--test-threads=1"])
            .arg(thread::current().name().unwrap())
            .env(CHILD, folder)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut last = 0;
        let mut note = |line: String| {
            if let Some(step) = line.strip_prefix("saved ") {
                last = step.parse().unwrap();
            }
        };
        // The delays vary, so that kills fall at different points of a save.
        lines.by_ref().take(round % 8 + 3).for_each(&mut note);
        thread::sleep(Duration::from_micros(random.bits() % 20_000));
        child.kill().unwrap();
        child.wait().unwrap();
        lines.for_each(&mut note);
        interrupted += usize::from(listing(folder).iter().any(|name| name.starts_with('.')));
        assert!(last > 0 || round % 8 < 4, "round {round}: the process saved nothing");
        confirmed = confirmed.max(last);
        let found = latest(folder).unwrap_or(0);
        assert!(found >= confirmed, "round {round}: step {confirmed} was confirmed, {found} found");
    }
    assert!(confirmed > 24 && interrupted > 0, "{confirmed} saved, {interrupted} interrupted");
}
