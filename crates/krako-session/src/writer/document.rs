//! The session as its caller sees it, at any time (C5.2).

use krako_contract::{
    API_VERSION, CONTRACT_VERSION, Json, RequestId, SessionReport, SessionStatus, SessionTelemetry, mapping,
};

use super::SessionWriter;
use crate::price::Prices;

impl SessionWriter {
    /// Where the session stands, and once it has ended, what came of it.
    pub fn report_document(&self, request_id: &RequestId, prices: &Prices) -> SessionReport {
        let status = match (&self.ended, &self.began) {
            (Some(ended), _) => ended.status,
            (None, Some(_)) => SessionStatus::Running,
            (None, None) => SessionStatus::Accepted,
        };
        let ended = self.ended.as_ref();
        let said = ended.map(|ended| &ended.said);
        // Who cancelled wants no result.
        let output = ended.filter(|ended| ended.status != SessionStatus::Cancelled);
        let output = output.and_then(|ended| ended.outcome.final_output.as_ref());
        SessionReport {
            api_version: API_VERSION.to_owned(),
            contract_version: CONTRACT_VERSION.to_owned(),
            status,
            execution_session_id: self.session.clone(),
            graph_id: self.graph_id.clone(),
            graph_digest: self.graph.digest().into(),
            request_id: request_id.clone(),
            progress: self.standings.progress(),
            last_sequence: self.last().map_or(0, |last| last.number()),
            stop_reason: said.and_then(|said| said.stop_reason),
            failure: said.and_then(|said| said.failure.clone()),
            final_output: output.map(|output| Json::new(output.value().clone())),
            telemetry: self.session_telemetry(),
            semantic_digest: said.map(|said| said.semantic_digest),
            billing: Some(prices.billing(&self.billed)),
        }
    }

    fn session_telemetry(&self) -> Option<SessionTelemetry> {
        let ended = self.ended.as_ref()?;
        // Its names were looked at when the session was made.
        let telemetry = mapping::session_telemetry(&ended.outcome.telemetry_bundle).ok()?;
        Some(SessionTelemetry { region: self.region.clone(), ..telemetry })
    }
}
