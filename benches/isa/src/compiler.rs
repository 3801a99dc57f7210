//! The driver's compiler, in a process of its own: it may crash, and the environment chooses the chip.

use std::ffi::{CStr, CString};
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use ash::vk;
use serde::{Deserialize, Serialize};

/// A kernel to compile.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Job {
    /// SPIR-V.
    pub file: PathBuf,
    pub entry: String,
    /// For each binding, whether it is a uniform buffer; the others are storage buffers.
    pub uniform: Vec<bool>,
}

/// What the compiler says of a kernel.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Compiled {
    /// Statistics by name.
    pub statistics: Vec<(String, u64)>,
    /// Machine code as text.
    pub assembly: String,
    /// What the compilation took.
    pub milliseconds: f64,
}

impl Compiled {
    pub fn statistic(&self, name: &str) -> Option<u64> {
        self.statistics.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    }
}

/// Reads jobs, one JSON object a line, and writes their results likewise.
pub fn serve() -> Result<()> {
    let compiler = Compiler::new()?;
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let job: Job = serde_json::from_str(&line?)?;
        let outcome = compiler.compile(&job).map_err(|error| format!("{error:#}"));
        serde_json::to_writer(&mut out, &outcome)?;
        writeln!(out)?;
        out.flush()?;
    }
    Ok(())
}

/// Where Debian and its kin have the driver.
pub fn driver() -> Result<PathBuf> {
    let folders = ["/usr/share/vulkan/icd.d", "/usr/local/share/vulkan/icd.d", "/etc/vulkan/icd.d"];
    let names = ["radeon_icd.json", "radeon_icd.x86_64.json", "radeon_icd.aarch64.json"];
    let mut all = folders.iter().flat_map(|folder| names.iter().map(|name| Path::new(folder).join(name)));
    all.find(|path| path.exists()).context(
        "Mesa's driver for AMD (RADV) is not installed; `apt-get install mesa-vulkan-drivers libvulkan1` has it on Debian",
    )
}

struct Compiler {
    // Unloaded last.
    _entry: ash::Entry,
    device: ash::Device,
    executables: ash::khr::pipeline_executable_properties::Device,
}

impl Compiler {
    fn new() -> Result<Self> {
        // SAFETY: handles are used as Vulkan demands: each with the device that it was created from, and live until the
        // process ends.
        unsafe {
            let entry = ash::Entry::load().context("there is no Vulkan loader (libvulkan1)")?;
            let application = vk::ApplicationInfo::default().api_version(vk::API_VERSION_1_3);
            let info = vk::InstanceCreateInfo::default().application_info(&application);
            let instance = entry.create_instance(&info, None)?;
            let physical = instance.enumerate_physical_devices()?.first().copied();
            let physical = physical.context("the driver does not know this chip")?;
            let queues = [vk::DeviceQueueCreateInfo::default().queue_family_index(0).queue_priorities(&[1.0])];
            let extensions = [ash::khr::pipeline_executable_properties::NAME.as_ptr()];
            let mut wanted =
                vk::PhysicalDevicePipelineExecutablePropertiesFeaturesKHR::default().pipeline_executable_info(true);
            let mut v11 = vk::PhysicalDeviceVulkan11Features::default().storage_buffer16_bit_access(true);
            let mut v12 = vk::PhysicalDeviceVulkan12Features::default().shader_float16(true).vulkan_memory_model(true);
            let mut v13 = vk::PhysicalDeviceVulkan13Features::default().subgroup_size_control(true);
            let info = vk::DeviceCreateInfo::default()
                .queue_create_infos(&queues)
                .enabled_extension_names(&extensions)
                .push_next(&mut wanted)
                .push_next(&mut v11)
                .push_next(&mut v12)
                .push_next(&mut v13);
            let device = instance.create_device(physical, &info, None)?;
            let executables = ash::khr::pipeline_executable_properties::Device::new(&instance, &device);
            Ok(Compiler { _entry: entry, device, executables })
        }
    }

    fn compile(&self, job: &Job) -> Result<Compiled> {
        let bytes = std::fs::read(&job.file)?;
        ensure!(bytes.len().is_multiple_of(4), "{} is no SPIR-V", job.file.display());
        let words: Vec<u32> = bytes.chunks_exact(4).map(|c| u32::from_le_bytes([c[0], c[1], c[2], c[3]])).collect();
        let device = &self.device;
        // SAFETY: as in `new`. Nothing is executed, so objects may stay until the process ends.
        unsafe {
            let module = device.create_shader_module(&vk::ShaderModuleCreateInfo::default().code(&words), None)?;
            let bindings: Vec<_> = (0..)
                .zip(&job.uniform)
                .map(|(binding, &uniform)| {
                    let kind = match uniform {
                        true => vk::DescriptorType::UNIFORM_BUFFER,
                        false => vk::DescriptorType::STORAGE_BUFFER,
                    };
                    vk::DescriptorSetLayoutBinding::default()
                        .binding(binding)
                        .descriptor_count(1)
                        .stage_flags(vk::ShaderStageFlags::COMPUTE)
                        .descriptor_type(kind)
                })
                .collect();
            let info = vk::DescriptorSetLayoutCreateInfo::default().bindings(&bindings);
            let layouts = [device.create_descriptor_set_layout(&info, None)?];
            let info = vk::PipelineLayoutCreateInfo::default().set_layouts(&layouts);
            let layout = device.create_pipeline_layout(&info, None)?;
            let name = CString::new(job.entry.as_str())?;
            let stage = vk::PipelineShaderStageCreateInfo::default()
                .stage(vk::ShaderStageFlags::COMPUTE)
                .module(module)
                .name(&name);
            let kept = vk::PipelineCreateFlags::CAPTURE_STATISTICS_KHR
                | vk::PipelineCreateFlags::CAPTURE_INTERNAL_REPRESENTATIONS_KHR;
            let info = [vk::ComputePipelineCreateInfo::default().flags(kept).layout(layout).stage(stage)];
            let began = Instant::now();
            let made = device.create_compute_pipelines(vk::PipelineCache::null(), &info, None);
            let milliseconds = began.elapsed().as_secs_f64() * 1e3;
            let Ok(pipelines) = made else { bail!("the driver refuses the pipeline") };
            let which = vk::PipelineExecutableInfoKHR::default().pipeline(pipelines[0]).executable_index(0);
            let statistics = self.executables.get_pipeline_executable_statistics(&which)?;
            let statistics = statistics.iter().map(|s| (text(&s.name), s.value.u64)).collect();
            Ok(Compiled { statistics, assembly: self.assembly(&which)?, milliseconds })
        }
    }

    /// The last internal representation that is text: machine code.
    unsafe fn assembly(&self, which: &vk::PipelineExecutableInfoKHR<'_>) -> Result<String> {
        let get = self.executables.fp().get_pipeline_executable_internal_representations_khr;
        let mut count = 0;
        // SAFETY: the first call gives the count, the second the sizes, the third fills buffers of these sizes.
        unsafe {
            let _ = get(self.device.handle(), which, &mut count, std::ptr::null_mut());
            let mut found = vec![vk::PipelineExecutableInternalRepresentationKHR::default(); count as usize];
            let _ = get(self.device.handle(), which, &mut count, found.as_mut_ptr());
            let mut texts: Vec<Vec<u8>> = found.iter().map(|r| vec![0; r.data_size]).collect();
            for (representation, text) in found.iter_mut().zip(&mut texts) {
                representation.p_data = text.as_mut_ptr().cast();
            }
            let _ = get(self.device.handle(), which, &mut count, found.as_mut_ptr());
            let all = found.iter().zip(&texts).filter(|(r, _)| r.is_text == vk::TRUE);
            let named =
                all.map(|(r, t)| (text(&r.name), CStr::from_bytes_until_nul(t).unwrap_or(c"").to_string_lossy()));
            let named: Vec<_> = named.collect();
            let found = named.iter().find(|(name, _)| name == "Assembly").or(named.last());
            Ok(found.map(|(_, text)| text.to_string()).unwrap_or_default())
        }
    }
}

fn text(chars: &[std::ffi::c_char]) -> String {
    // SAFETY: Vulkan ends these strings with a zero.
    unsafe { CStr::from_ptr(chars.as_ptr()) }.to_string_lossy().into_owned()
}
