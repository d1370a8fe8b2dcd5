//! The gateway and the desk over real TLS on loopback, before scripted sessions.

mod drain;
mod endpoints;
mod hostile;
mod limits;
mod remote;
mod scripted;
mod served;
mod streams;
mod tls;
mod tokens;
