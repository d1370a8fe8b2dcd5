//! Which token stands for whom.

use std::sync::{Arc, PoisonError, RwLock};

use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use krako_contract::{ErrorType, TenantId};

use super::{Token, TokenDigest};
use crate::listen::Problem;

/// Whom a token stands for.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "each may ask for something else, and for nothing besides")]
pub enum Holder {
    /// A tenant: may submit graphs, and see its own sessions and usage.
    Tenant(TenantId),
    /// A worker: may claim work.
    Node(String),
    /// A gateway in another process: may ask on behalf of every tenant.
    Gateway(String),
}

/// The tokens that are known now. A cheap handle: every clone sees the same.
#[derive(Clone, Debug, Default)]
pub struct Tokens(Arc<RwLock<Vec<(TokenDigest, Holder)>>>);

impl Tokens {
    /// These tokens.
    pub fn new(known: Vec<(TokenDigest, Holder)>) -> Self {
        Self(Arc::new(RwLock::new(known)))
    }

    /// From now on these, and no others. Requests that were let in go on; a stream of events ends at its next limit.
    pub fn replace(&self, known: Vec<(TokenDigest, Holder)>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = known;
    }

    /// Whom `token` stands for. Compares with all that are known, in a time that does not tell which comes near.
    pub fn holder(&self, token: &Token) -> Option<Holder> {
        let digest = token.digest();
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut found = None;
        for (one, holder) in known.iter() {
            if one.is(&digest) {
                found = Some(holder);
            }
        }
        found.cloned()
    }
}

/// Whom the bearer token of a request stands for.
///
/// # Errors
///
/// The answer to it, which tells nothing of any token.
pub(crate) fn bearer(headers: &HeaderMap, tokens: &Tokens) -> Result<Holder, Problem> {
    let problem = |message: &str| Problem::new(ErrorType::Unauthenticated, message);
    let mut sent = headers.get_all(AUTHORIZATION).iter();
    let (sent, None) = (sent.next(), sent.next()) else {
        return Err(problem("there are several `Authorization` headers; send one"));
    };
    let form = "send `Authorization: Bearer <token>`";
    let sent = sent.ok_or_else(|| problem(&format!("no token was sent; {form}")))?;
    let text = sent.to_str().unwrap_or_default();
    let token = text.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let token = token.and_then(|(_, token)| Token::new(token.trim_matches(' ')).ok());
    let token = token.ok_or_else(|| problem(&format!("this is no bearer token; {form}")))?;
    tokens.holder(&token).ok_or_else(|| {
        problem("this token is not known here; check that it is of this fabric, or have a new one added")
    })
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn tokens() -> (String, Tokens) {
        let token = Token::make().unwrap();
        let known = vec![
            (Token::make().unwrap().digest(), Holder::Node(String::from("n"))),
            (token.digest(), Holder::Gateway(String::from("g"))),
        ];
        (token.reveal().to_owned(), Tokens::new(known))
    }

    fn ask(tokens: &Tokens, headers: &[&str]) -> Result<Holder, u16> {
        let mut map = HeaderMap::new();
        for header in headers {
            map.append(AUTHORIZATION, HeaderValue::from_str(header).unwrap());
        }
        bearer(&map, tokens).map_err(|problem| problem.into_response().status().as_u16())
    }

    #[test]
    fn one_token_that_is_known_is_let_in() {
        let (token, tokens) = tokens();
        for header in [format!("Bearer {token}"), format!("bearer  {token} "), format!("BEARER {token}")] {
            assert_eq!(ask(&tokens, &[&header]), Ok(Holder::Gateway(String::from("g"))), "{header}");
        }
        let other = format!("Bearer {}x", &token[..token.len() - 1]);
        let good = format!("Bearer {token}");
        let wrong =
            [token.as_str(), "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", &other, &format!("{good} {token}")];
        for header in wrong {
            assert_eq!(ask(&tokens, &[header]), Err(401), "{header}");
        }
        assert_eq!(ask(&tokens, &[]), Err(401));
        assert_eq!(ask(&tokens, &[&good, &good]), Err(401));
    }

    #[test]
    fn a_token_that_was_taken_back_is_not_let_in() {
        let (token, tokens) = tokens();
        let handle = tokens.clone();
        tokens.replace(Vec::new());
        assert_eq!(ask(&handle, &[&format!("Bearer {token}")]), Err(401));
        assert!(!format!("{tokens:?}").contains(&token));
    }
}
