//! Faults on purpose: the process is killed, the disk is full, the cache cannot be written, the device is lost, memory
//! runs out, two processes use the same files. Each gives a clear error, loses nothing, and the next run works.
//!
//! `make faults` runs these; they take minutes, so they are ignored otherwise. Linux only.
#![cfg(target_os = "linux")]

#[path = "cli/studio.rs"]
#[allow(dead_code)]
mod studio;

use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use impasto::gpu::{Context, ContextOptions};
use impasto::internal::Random;
use impasto::io::{Picture, WeightFile};
use impasto::methods::Area;
use impasto::methods::adain::{self, AdainSettings, Source};
use impasto::methods::gatys;
use impasto::nets::adain_decoder::AdainDecoderWeights;
use impasto::nets::image_transform_net::{Form, ImageTransformNetWeights};
use impasto::nets::vgg19::Vgg19Weights;
use impasto::nets::{AdainDecoder, AdainPainter, Place, Vgg19};
use impasto::ops::norm::Over;
use impasto::ops::pool::Pooling;
use impasto::train::feed_forward::{FeedForward, FeedForwardTrainerSettings};
use impasto::train::{Checkpoint, Crops, Folder, Run, Schedule, TrainingSettings, train};
use impasto::weights::{self, PAIRS};
use impasto::{Error, wgpu};

use studio::{Done, Studio, content, style};

const TRAIN: &str = "train ulyanov --style style.png --photos photos --vgg random:0.05 --width 0.0625 --style-size 48 \
                     --crop 32 --batch 2 --steps 12 --checkpoint-every 1 --sample-every 4 --workers 1";

/// As [`TRAIN`], but longer than many kills.
fn long_training() -> String {
    TRAIN.replace("--steps 12", "--steps 300")
}

/// A studio with a folder `photos` of `count` pictures.
fn studio_with_photos(count: u32) -> Studio {
    let studio = Studio::new();
    std::fs::create_dir(studio.path("photos")).unwrap();
    for number in 0..count {
        let picture = if number % 2 == 0 { content(60 + number, 48) } else { style(48, 60 + number) };
        picture.save(studio.path(&format!("photos/{number:02}.png"))).unwrap();
    }
    studio
}

fn start(mut command: Command) -> Child {
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Runs the command, kills it after a random time, and returns whether it had ended by itself.
fn killed(command: Command, random: &mut Random, longest: Duration) -> bool {
    let mut child = start(command);
    std::thread::sleep(longest.mul_f32(random.uniform()));
    let ended = child.try_wait().unwrap().is_some();
    child.kill().unwrap();
    child.wait().unwrap();
    ended
}

/// Asserts that the command failed with one clear line, and returns it.
fn clear(done: &Done) -> String {
    let last = done.stderr.lines().last().unwrap_or_default().to_string();
    let is_clear = done.code.is_some_and(|code| code == 1) && last.starts_with("impasto: ");
    assert!(is_clear && !done.stderr.contains("panicked"), "{:?}: {}", done.code, done.stderr);
    last
}

#[test]
#[ignore = "takes minutes: make faults"]
fn a_training_killed_twenty_times_gives_the_same_net() {
    let studio = studio_with_photos(6);
    let train = long_training();
    let once = std::time::Instant::now();
    studio.succeed(&format!("{train} -o whole.safetensors"));
    let longest = once.elapsed() / 8;
    let mut random = Random::new(1);
    let (mut resume, mut cut) = ("", 0);
    for round in 0..20 {
        let command = studio.command(&format!("{train} {resume} -o cut.safetensors --overwrite"));
        cut += usize::from(!killed(command, &mut random, longest));
        let checkpoints = std::fs::read_dir(studio.path("cut.safetensors.training")).into_iter().flatten().flatten();
        let names = checkpoints.map(|entry| entry.file_name().into_string().unwrap());
        let last = names.filter(|name| name.starts_with("step-")).max();
        println!("kill {round}: {last:?}");
        resume = if last.is_some() { "--resume" } else { "" };
    }
    assert!(cut >= 10, "{cut} of 20 runs were killed: too few to prove anything");
    studio.succeed(&format!("{train} {resume} -o cut.safetensors --overwrite"));
    let net = |name: &str| WeightFile::load(&studio.path(name)).unwrap().tensors;
    assert!(net("whole.safetensors") == net("cut.safetensors"), "another net");
}

#[test]
#[ignore = "takes minutes: make faults"]
fn a_batch_killed_twenty_times_gives_the_same_pictures() {
    let studio = studio_with_photos(24);
    let paint = "stylize photos --model wave --skip-existing";
    studio.succeed(&format!("{paint} -o whole"));
    let once = std::time::Instant::now();
    studio.succeed(&format!("{paint} -o warm"));
    let longest = once.elapsed();
    let mut random = Random::new(2);
    let mut cut = 0;
    for round in 0..20 {
        cut += usize::from(!killed(studio.command(&format!("{paint} -o cut")), &mut random, longest));
        let pictures = std::fs::read_dir(studio.path("cut")).into_iter().flatten().flatten();
        let names = pictures.map(|entry| entry.file_name().into_string().unwrap());
        let whole = names.filter(|name| !name.starts_with('.')).inspect(|name| {
            Picture::load(&studio.path(&format!("cut/{name}"))).unwrap_or_else(|error| panic!("{error}"));
        });
        println!("kill {round}: {} pictures", whole.count());
        // There is work for the next run.
        (0..24).step_by(2).for_each(|number| drop(std::fs::remove_file(studio.path(&format!("cut/{number:02}.png")))));
    }
    assert!(cut >= 10, "{cut} of 20 runs were killed: too few to prove anything");
    studio.succeed(&format!("{paint} -o cut"));
    for number in 0..24 {
        let bytes = |folder: &str| std::fs::read(studio.path(&format!("{folder}/{number:02}.png"))).unwrap();
        assert!(bytes("whole") == bytes("cut"), "photo {number}");
    }
}

/// A small disk in memory, if the system lets this user mount one.
struct Disk<'a>(&'a Path);

impl<'a> Disk<'a> {
    fn mount(path: &'a Path, kilobytes: usize) -> Option<Self> {
        std::fs::create_dir_all(path).unwrap();
        let options = format!("size={kilobytes}k");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(path).status();
        mounted.is_ok_and(|status| status.success()).then_some(Disk(path))
    }

    fn resize(&self, kilobytes: usize) {
        let options = format!("remount,size={kilobytes}k");
        assert!(Command::new("mount").args(["-o", &options, "tmpfs"]).arg(self.0).status().unwrap().success());
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[test]
#[ignore = "takes minutes: make faults"]
fn a_full_disk_is_a_clear_error_and_the_next_run_works() {
    let studio = studio_with_photos(3);
    let path = studio.path("disk");
    let Some(disk) = Disk::mount(&path, 4) else {
        eprintln!("skipped: mounting a disk in memory needs the superuser");
        return;
    };
    // The training needs about 90 KB for each checkpoint.
    let commands = [
        "stylize photos/00.png --model wave -o disk/out.png".to_string(),
        "stylize photos/00.png --style style.png -o disk/adain.png".into(),
        "stylize photos/00.png --style style.png --vgg random:0.1 --scales 1 --steps 4 -o disk/gatys.png".into(),
        "stylize photos --model wave -o disk/many".into(),
        "stylize photos --style style.png --grid -o disk/grid".into(),
        "style save style.png -o disk/x.style".into(),
        "models --thumbnails photos/00.png --size 64 -o disk/models.png".into(),
        "compare photos/00.png style.png --steps 2 --size 48 --vgg random:0.1 -o disk/page".into(),
        "bench --only gram --size 16 --seconds 0 --plot disk/plot.png".into(),
        format!("{TRAIN} -o disk/net.safetensors"),
    ];
    for command in &commands {
        let done = studio.run(command);
        let line = clear(&done);
        let told = done.stderr.contains("no space is left") || done.stderr.contains("No space left");
        assert!(told, "{command}: {}", done.stderr);
        println!("{command}\n    {line}");
        let left: Vec<_> = std::fs::read_dir(&path).unwrap().flatten().map(|entry| entry.path()).collect();
        assert!(!left.iter().any(|path| path.is_file()), "{command} left {left:?}");
    }
    disk.resize(20_000);
    for command in &commands {
        studio.succeed(&format!("{command} --overwrite"));
    }
    // A training whose disk fills later keeps its last checkpoint, and goes on when there is space again.
    studio.succeed(&format!("{} -o disk/long.safetensors", TRAIN.replace("--steps 12", "--steps 4")));
    let filler = path.join("filler");
    assert!(std::fs::write(&filler, vec![0; 20 << 20]).is_err(), "the disk is full");
    let longer = TRAIN.replace("--steps 12", "--steps 8").replace("--sample-every 4", "--sample-every 0");
    let done = studio.run(&format!("{longer} --resume -o disk/long.safetensors"));
    println!("{}", clear(&done));
    assert!(done.stderr.contains("the same command with --resume continues from step 4"), "{}", done.stderr);
    std::fs::remove_file(filler).unwrap();
    studio.succeed(&format!("{longer} --resume -o disk/long.safetensors"));
}

#[test]
#[ignore = "takes minutes: make faults"]
fn a_disk_with_too_little_space_is_noticed_before_the_work() {
    let studio = studio_with_photos(1);
    let path = studio.path("disk");
    let Some(_disk) = Disk::mount(&path, 2048) else {
        eprintln!("skipped: mounting a disk in memory needs the superuser");
        return;
    };
    // There is no file of weights, so Gatys' method cannot have painted anything before.
    for method in ["--model wave", "--style style.png --method gatys --vgg none.safetensors"] {
        let line = clear(&studio.run(&format!("stylize photos/00.png {method} --size 1024 -o disk/out.tif")));
        println!("{line}");
        let words = ["disk/out.tif", "1024x819 pixels take 3 MiB", "MiB are free in", "free some or choose"];
        assert!(words.iter().all(|word| line.contains(word)), "{line}");
    }
    // The size of a PNG is known only when it is written.
    let done = studio.run("stylize photos/00.png --model wave --size 1024 -o disk/out.png");
    println!("{}", done.stderr);
    assert!(done.stderr.contains("1024x819 pixels can take up to 3 MiB"), "{}", done.stderr);
    assert_eq!(std::fs::read_dir(&path).unwrap().count(), usize::from(done.code == Some(0)));
}

#[test]
#[ignore = "takes minutes: make faults"]
fn a_cache_that_cannot_be_written_or_is_shared_does_no_harm() {
    let studio = studio_with_photos(4);
    studio.succeed("stylize photos --model wave -o plain");
    // A file stands where the folder of the cache should be.
    studio.write("file", "no folder");
    let mut command = studio.command("stylize photos --model wave -o without");
    command.env("XDG_CACHE_HOME", studio.path("file"));
    let done = Done::of(command);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    // Two processes fill one cache, and write the same results.
    let both: Vec<Child> = (0..2)
        .map(|_| {
            let mut command = studio.command("stylize photos --model wave -o together");
            command.env("XDG_CACHE_HOME", studio.path("cache"));
            start(command)
        })
        .collect();
    both.into_iter().for_each(|mut child| assert!(child.wait().is_ok()));
    let mut command = studio.command("stylize photos --model wave -o after");
    command.env("XDG_CACHE_HOME", studio.path("cache"));
    assert_eq!(Done::of(command).code, Some(0));
    // A cache full of nonsense.
    for entry in std::fs::read_dir(studio.path("cache/impasto")).unwrap().flatten() {
        std::fs::write(entry.path(), "nonsense").unwrap();
    }
    let mut command = studio.command("stylize photos --model wave -o broken");
    command.env("XDG_CACHE_HOME", studio.path("cache"));
    assert_eq!(Done::of(command).code, Some(0));
    for number in 0..4 {
        let bytes = |folder: &str| std::fs::read(studio.path(&format!("{folder}/{number:02}.png"))).unwrap();
        for folder in ["without", "together", "after", "broken"] {
            assert!(bytes(folder) == bytes("plain"), "{folder}/{number:02}.png");
        }
    }
}

#[test]
#[ignore = "takes minutes: make faults"]
fn a_second_training_in_a_folder_is_refused() {
    let studio = studio_with_photos(4);
    let long = TRAIN.replace("--steps 12", "--steps 100000");
    let mut first = start(studio.command(&format!("{long} -o net.safetensors")));
    let log = studio.path("net.safetensors.training/log.jsonl");
    while std::fs::read_to_string(&log).unwrap_or_default().lines().count() < 3 {
        std::thread::sleep(Duration::from_millis(20));
    }
    let line = clear(&studio.run(&format!("{long} --resume -o net.safetensors")));
    assert!(line.contains("another training writes into this folder"), "{line}");
    first.kill().unwrap();
    first.wait().unwrap();
    let shorter = "--minutes 0.001 --resume -o net.safetensors";
    studio.succeed(&format!("{long} {shorter}"));
}

/// A device that a host opened.
fn host_device() -> (wgpu::Device, wgpu::Queue) {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapter = pollster::block_on(instance.request_adapter(&Default::default())).unwrap();
    let descriptor = wgpu::DeviceDescriptor { required_limits: adapter.limits(), ..Default::default() };
    pollster::block_on(adapter.request_device(&descriptor)).unwrap()
}

/// Destroys the device after a random time.
fn destroy_later(device: &wgpu::Device, random: &mut Random, longest: Duration) {
    let (doomed, delay) = (device.clone(), longest.mul_f32(random.uniform()));
    std::thread::spawn(move || {
        std::thread::sleep(delay);
        doomed.destroy();
    });
}

#[test]
#[ignore = "takes minutes: make faults"]
fn a_device_lost_at_any_moment_is_an_error() {
    let paint = |context: &Context| -> impasto::Result<Picture> {
        let encoder = Vgg19::load(context, &weights::encoder(PAIRS[1].encoder)?, Pooling::Max)?;
        let decoder = AdainDecoder::new(context, AdainDecoderWeights::of(&PAIRS[1].decoder()?)?)?;
        let mut painter = AdainPainter::new(&encoder, decoder)?;
        let mut photo = Picture::new(96, 64);
        photo.rgb.iter_mut().enumerate().for_each(|(index, value)| *value = (index % 97) as f32 / 97.0);
        let area = Area { styles: vec![(Source::Picture(photo.resize(64, 64)), 1.0)], place: Place::Everywhere };
        for _ in 0..3 {
            adain::stylize(&mut painter, &photo, std::slice::from_ref(&area), &AdainSettings::default())?;
        }
        adain::stylize(&mut painter, &photo, &[area], &AdainSettings::default())
    };
    let whole = Context::new(&ContextOptions::default()).unwrap();
    let began = std::time::Instant::now();
    let wanted = paint(&whole).unwrap();
    let longest = 2 * began.elapsed();
    let mut random = Random::new(3);
    let mut lost = 0;
    for round in 0..40 {
        let (device, queue) = host_device();
        destroy_later(&device, &mut random, longest);
        let outcome = Context::from_host(device, queue, &ContextOptions::default()).and_then(|context| paint(&context));
        match outcome {
            Ok(picture) => assert!(picture.width == wanted.width && picture.rgb.iter().any(|value| *value > 0.0)),
            Err(error @ Error::DeviceLost(_)) => {
                lost += 1;
                println!("{round}: {error}");
            }
            Err(error) => panic!("round {round}: {error:?}"),
        }
    }
    assert!(lost > 10, "the device was lost in {lost} of 40 runs: too few to prove anything");
}

/// When the device of a training is lost.
#[derive(Clone, Copy, Debug)]
enum Lost {
    Never,
    /// After this step: before its checkpoint is written, if one is due, or else before the next step.
    After(u64),
    /// At a random moment of this time.
    Within(Duration),
}

/// A training whose device is lost ends with an error and keeps its checkpoints. Continued on another device, it gives
/// the same net as an undisturbed one.
#[test]
#[ignore = "takes minutes: make faults"]
fn a_training_whose_device_is_lost_continues_from_its_checkpoint() {
    const STEPS: u64 = 6;
    let studio = studio_with_photos(6);
    let photos = Folder::scan(&[studio.path("photos")]).unwrap();
    let settings = TrainingSettings {
        batch: 2,
        micro_batch: Some(1),
        learning_rate: 1e-3,
        schedule: Schedule::Constant,
        weight_decay: 0.0,
        clip: Some(1.0),
        average: Some(0.5),
        seed: 1,
    };
    let mut random = Random::new(4);
    // The net after the last step.
    let mut teach = |folder: &str, checkpoint_every: u64, resume: bool, lost: Lost| -> impasto::Result<_> {
        let (device, queue) = host_device();
        if let Lost::Within(longest) = lost {
            destroy_later(&device, &mut random, longest);
        }
        let context = Context::from_host(device.clone(), queue, &ContextOptions::default())?;
        let vgg = Vgg19::new(&context, &Vgg19Weights::random(0.05, 1), Pooling::Max)?;
        let net = ImageTransformNetWeights::random(Form::Resize, Over::Instance, 0.125, 1);
        let choices = FeedForwardTrainerSettings {
            crops: Crops { size: 32, share: Some([1.0, 1.0]), flip: true },
            style_size: 48,
            calibration: 2,
            ..FeedForwardTrainerSettings::default()
        };
        let style = [Picture::load(&studio.path("style.png"))?];
        let trainer = FeedForward::new(vgg, net, &style, photos.clone(), choices, None)?;
        let run = Run {
            steps: STEPS,
            limit: None,
            folder: studio.path(folder),
            resume,
            checkpoint_every,
            workers: 1,
            memory_bytes: 1 << 30,
        };
        train(&context, &trainer, &settings, &run, |progress| {
            if matches!(lost, Lost::After(step) if step == progress.steps[0]) {
                device.destroy();
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(trainer.weights()?.tensors)
    };
    let newest = |folder: &str| Checkpoint::latest(&studio.path(folder)).unwrap().map_or(0, |(step, _)| step);
    teach("cold", 1, false, Lost::Never).unwrap();
    let began = std::time::Instant::now();
    let whole = teach("whole", 1, false, Lost::Never).unwrap();
    let longest = began.elapsed();

    // The last column is the step of the checkpoint that is left.
    let mut moments =
        vec![(1, Lost::After(3), Some(2)), (2, Lost::After(3), Some(2)), (1, Lost::After(STEPS), Some(5))];
    moments.extend([(1, Lost::Within(longest), None); 10]);
    let mut cut = 0;
    for (round, (checkpoint_every, lost, left)) in moments.into_iter().enumerate() {
        let folder = format!("cut-{round}");
        match teach(&folder, checkpoint_every, false, lost) {
            Ok(net) => assert!(matches!(lost, Lost::Within(_)) && net == whole, "round {round}: {lost:?}"),
            Err(error @ Error::DeviceLost(_)) => {
                let found = newest(&folder);
                println!("{round}: {lost:?}, checkpoint of step {found}: {error}");
                assert!(left.is_none_or(|left| left == found), "round {round}: {lost:?}, {found}");
                cut += usize::from(found > 0);
            }
            Err(error) => panic!("round {round}: {error:?}"),
        }
        let resume = newest(&folder) > 0;
        assert!(teach(&folder, checkpoint_every, resume, Lost::Never).unwrap() == whole, "round {round}: another net");
    }
    assert!(cut > 5, "{cut} runs were cut after a checkpoint: too few to prove anything");
}

/// With less and less device memory, a run succeeds or says what is missing.
#[test]
#[ignore = "takes minutes: make faults"]
fn too_little_device_memory_is_a_clear_error() {
    let paint = |percent: Option<u8>| -> impasto::Result<Picture> {
        let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
        descriptor.memory_budget_thresholds.for_resource_creation = percent;
        let adapter = pollster::block_on(wgpu::Instance::new(descriptor).request_adapter(&Default::default())).unwrap();
        let descriptor = wgpu::DeviceDescriptor { required_limits: adapter.limits(), ..Default::default() };
        let opened = pollster::block_on(adapter.request_device(&descriptor));
        let (device, queue) = opened.map_err(|error| Error::OutOfMemory(error.into()))?;
        let context = Context::from_host(device, queue, &ContextOptions::default())?;
        let vgg = Vgg19::load(&context, &weights::encoder("compact")?, Pooling::Max)?;
        let settings = gatys::GatysSettings { size: 400, steps: 1, scales: Some(1), ..Default::default() };
        let mut photo = Picture::new(400, 300);
        photo.rgb.iter_mut().enumerate().for_each(|(index, value)| *value = (index % 97) as f32 / 97.0);
        let go_on = |_: &gatys::Progress| Ok(ControlFlow::Continue(()));
        Ok(gatys::stylize(&vgg, &photo, &[photo.resize(200, 150).into()], &settings, go_on)?.picture)
    };
    let mut refused = 0;
    for percent in [Some(0), Some(2), Some(3), Some(4), Some(6), Some(8), Some(12), Some(100), None] {
        match paint(percent) {
            Ok(picture) => println!("{percent:?} %: {}x{}", picture.width, picture.height),
            Err(error @ Error::OutOfMemory(_)) => {
                refused += 1;
                println!("{percent:?} %: {error}");
            }
            Err(error) => panic!("{percent:?} %: {error:?}"),
        }
    }
    assert!(refused > 0, "the adapter knows no memory budget: nothing was proven");
}
