//! `BackendStatus` and the health that a fabric tells (C3.5).

use backend_api::{BackendStatus, CapacitySummary, HealthStatus, ModelHealth};

use crate::failure::Remark;
use crate::{Capacity, Health, HealthDocument, PodHealth};

/// A status as a fabric tells it.
pub fn health_document(status: &BackendStatus) -> HealthDocument {
    let capacity = &status.capacity_summary;
    HealthDocument {
        status: match status.status {
            HealthStatus::Healthy => Health::Healthy,
            HealthStatus::Degraded => Health::Degraded,
            HealthStatus::Unavailable => Health::Unavailable,
        },
        capacity_summary: Capacity {
            active_runs: capacity.active_runs,
            max_concurrency: capacity.max_concurrency,
            cpu_load: capacity.cpu_load,
            free_memory_bytes: capacity.free_memory_bytes,
            models: capacity
                .models
                .iter()
                .map(|model| PodHealth {
                    adapter: Remark::new(&model.adapter),
                    reachable: model.reachable,
                    detail: model.detail.as_deref().map(Remark::new),
                })
                .collect(),
        },
        backend_version: Remark::new(&status.backend_version),
    }
}

/// The health that a fabric tells, as KORA has it.
pub fn status(told: HealthDocument) -> BackendStatus {
    let capacity = told.capacity_summary;
    BackendStatus {
        status: match told.status {
            Health::Healthy => HealthStatus::Healthy,
            Health::Degraded => HealthStatus::Degraded,
            Health::Unavailable => HealthStatus::Unavailable,
        },
        capacity_summary: CapacitySummary {
            active_runs: capacity.active_runs,
            max_concurrency: capacity.max_concurrency,
            cpu_load: capacity.cpu_load,
            free_memory_bytes: capacity.free_memory_bytes,
            models: capacity
                .models
                .into_iter()
                .map(|model| ModelHealth {
                    adapter: model.adapter.as_str().to_owned(),
                    reachable: model.reachable,
                    detail: model.detail.map(|detail| detail.as_str().to_owned()),
                })
                .collect(),
        },
        backend_version: told.backend_version.as_str().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::WireLimits;

    // shows C3.5
    #[test]
    fn what_kora_writes_is_read_and_is_the_same_again() {
        let text = include_str!("../../examples/health.json");
        let mut told: HealthDocument = crate::read(text.as_bytes(), &WireLimits::default()).unwrap();
        for &health in Health::ALL {
            told.status = health;
            let kora = status(told.clone());
            assert_eq!(serde_json::to_value(kora.status).unwrap(), health.as_str());
            assert_eq!(health_document(&kora), told);
            let written = serde_json::to_vec(&kora).unwrap();
            assert_eq!(crate::read::<HealthDocument>(&written, &WireLimits::default()).as_ref(), Ok(&told));
        }
    }
}
