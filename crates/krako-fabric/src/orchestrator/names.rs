//! The name of a session: a function of whose it is and what it was submitted under.

use krako_contract::{InvalidWireName, RequestId, SessionId, TenantId};
use sha2::{Digest, Sha256};

/// Crockford's, in lower case: no letter that is taken for another.
const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// The session of one tenant's one `request_id`. A submission that comes again finds it, and nothing is rolled for.
pub(super) fn session_id(tenant: &TenantId, request: &RequestId) -> Result<SessionId, InvalidWireName> {
    let mut hash = Sha256::new();
    hash.update(tenant.as_str().as_bytes());
    // No tenant's name holds it, so no two pairs are one text.
    hash.update([0]);
    hash.update(request.as_str().as_bytes());
    let hash = hash.finalize();
    let mut name = String::from("ses_");
    let (mut bits, mut count) = (0_u32, 0);
    for &byte in hash.iter() {
        bits = (bits << 8 | u32::from(byte)) & 0xFFFF;
        count += 8;
        while count >= 5 && name.len() < 30 {
            count -= 5;
            name.push(char::from(LETTERS[(bits >> count & 31) as usize]));
        }
    }
    SessionId::new(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(tenant: &str, request: &str) -> String {
        session_id(&TenantId::new(tenant).unwrap(), &RequestId::new(request).unwrap()).unwrap().to_string()
    }

    #[test]
    fn a_session_is_named_after_its_tenant_and_anchor() {
        let name = named("northwind", "req-1");
        assert_eq!(name.len(), 30);
        assert_eq!(named("northwind", "req-1"), name);
        assert_ne!(named("northwind", "req-2"), name);
        assert_ne!(named("northwindr", "eq-1"), name);
        // As it was once: names in a log must be found again.
        assert_eq!(name, "ses_53ys290wmdnayym9dj6mjgq93m");
    }
}
