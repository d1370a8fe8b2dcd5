//! Who is who, for all seeds: one authority, one certificate for both listeners, a token for everybody.

use std::path::PathBuf;
use std::sync::OnceLock;

use krako_contract::TenantId;
use krako_fabric::{DevelopmentAuthority, Holder, SystemWallClock, TlsIdentity, Token, Tokens};
use krako_transport::KeySource;
use tempfile::TempDir;

use crate::plan::{GATEWAY, ORCHESTRATOR};

/// Certificates and tokens. The files are gone when the process ends.
#[derive(Debug)]
pub(crate) struct Identities {
    folder: TempDir,
    pub(crate) authority: PathBuf,
    pub(crate) server: TlsIdentity,
}

pub(crate) const TENANTS: [&str; 2] = ["northwind", "southwind"];

/// Text of a token. Nobody has to guess it.
fn token(of: &str) -> String {
    format!("krako_simulation_{of:_<32}")
}

impl Identities {
    pub(crate) fn of_this_process() -> &'static Self {
        static MADE: OnceLock<Identities> = OnceLock::new();
        MADE.get_or_init(|| {
            let folder = tempfile::tempdir().unwrap();
            let authority =
                DevelopmentAuthority::open_or_make(folder.path(), &SystemWallClock::default()).unwrap();
            let names = [ORCHESTRATOR.to_owned(), GATEWAY.to_owned()];
            let server = authority.leaf(&names, &SystemWallClock::default()).unwrap();
            for of in TENANTS.into_iter().chain(["node", "gateway"]) {
                std::fs::write(folder.path().join(of), token(of)).unwrap();
            }
            Self { authority: authority.certificate_file(), folder, server }
        })
    }

    /// Where the token of a tenant, of nodes or of the gateway is.
    pub(crate) fn token_file(&self, of: &str) -> KeySource {
        KeySource::File(self.folder.path().join(of))
    }
}

/// What both listeners know.
pub(crate) fn tokens() -> Tokens {
    let digest = |of: &str| Token::new(&token(of)).unwrap().digest();
    let tenant = |name: &&str| (digest(name), Holder::Tenant(TenantId::new(name).unwrap()));
    let mut known: Vec<_> = TENANTS.iter().map(tenant).collect();
    known.push((digest("node"), Holder::Node("node".to_owned())));
    known.push((digest("gateway"), Holder::Gateway("gateway".to_owned())));
    Tokens::new(known)
}
