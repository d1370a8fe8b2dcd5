//! Whether this machine would take a run now (C3.5).

use backend_api::{BackendStatus, CapacitySummary, HealthStatus, ModelHealth};
use models::AdapterHealth;
use sysinfo::{MemoryRefreshKind, RefreshKind, System};

use crate::LocalConfig;

/// Bytes of free memory below which a machine is degraded: a model of the smallest useful size no longer fits.
const LOW_MEMORY_BYTES: u64 = 256 << 20;

pub(crate) async fn check(config: &LocalConfig, active_runs: u64, version: &str) -> BackendStatus {
    let models: Vec<ModelHealth> = config
        .models
        .health()
        .await
        .into_iter()
        .map(|(adapter, health)| match health {
            AdapterHealth::Healthy => ModelHealth { adapter, reachable: true, detail: None },
            AdapterHealth::Degraded { reason } => {
                ModelHealth { adapter, reachable: true, detail: Some(reason) }
            }
            AdapterHealth::Unavailable { reason } => {
                ModelHealth { adapter, reachable: false, detail: Some(reason) }
            }
        })
        .collect();
    let free_memory_bytes = free_memory_bytes();
    let degraded = models.iter().any(|model| model.detail.is_some())
        || free_memory_bytes.is_some_and(|bytes| bytes < LOW_MEMORY_BYTES);
    BackendStatus {
        status: if degraded { HealthStatus::Degraded } else { HealthStatus::Healthy },
        capacity_summary: CapacitySummary {
            active_runs,
            max_concurrency: config.max_concurrency,
            cpu_load: cpu_load(),
            free_memory_bytes,
            models,
        },
        backend_version: version.into(),
    }
}

fn free_memory_bytes() -> Option<u64> {
    let memory = MemoryRefreshKind::nothing().with_ram();
    let system = System::new_with_specifics(RefreshKind::nothing().with_memory(memory));
    // 0 is what the library says where the system says nothing.
    Some(system.available_memory()).filter(|&bytes| bytes > 0)
}

fn cpu_load() -> Option<f64> {
    let processors = std::thread::available_parallelism().ok()?.get();
    let load = System::load_average().one;
    #[expect(clippy::cast_precision_loss, reason = "no machine has 2^53 processors")]
    let share = load / processors as f64;
    (share.is_finite() && share >= 0.0).then_some(share)
}
