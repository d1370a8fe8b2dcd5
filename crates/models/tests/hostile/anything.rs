//! Whatever a server says: the call ends, nothing panics, and the caps hold.

use models::FinishReason;
use proptest::prelude::*;
use serde_json::json;

use crate::peer::{Peer, Say, bytes, done, event, finish, piece, stream_head, usage};
use crate::world::{adapter, ask, request};

fn anything() -> impl Strategy<Value = Say> {
    prop_oneof![
        4 => "[a-z{}\":]{0,5}".prop_map(|text| piece(&text)),
        2 => prop_oneof![Just("stop"), Just("length"), Just("other"), Just("tool_calls")].prop_map(finish),
        2 => (any::<u64>(), 0_u64..20).prop_map(|(tokens_in, tokens_out)| usage(tokens_in, tokens_out)),
        1 => Just(done()),
        1 => Just(event(&json!({"error": {"message": "no"}}))),
        1 => Just(bytes(": comment\r\r\ndata\n")),
        1 => proptest::collection::vec(any::<u8>(), 0..40).prop_map(bytes),
        1 => Just(Say::Reset),
    ]
}

fn head() -> impl Strategy<Value = Say> {
    prop_oneof![
        8 => Just(stream_head()),
        2 => Just(bytes("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n")),
        1 => Just(bytes("HTTP/1.1 400 No\r\n\r\n")),
        1 => proptest::collection::vec(any::<u8>(), 0..80).prop_map(bytes),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn whatever_a_server_says_the_caps_hold(head in head(), rest in proptest::collection::vec(anything(), 0..16)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut script = vec![head];
        script.extend(rest);
        let outcome = runtime.block_on(async {
            let peer = Peer::start(vec![script]).await;
            ask(&adapter(&peer), &request()).await
        });
        if let Ok(reply) = outcome {
            prop_assert!(reply.usage().tokens_out.known().is_none_or(|tokens| tokens <= 10));
            prop_assert_ne!(reply.finish_reason(), FinishReason::Length);
        }
    }
}
