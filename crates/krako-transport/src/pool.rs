//! The connections that are kept, and a place on one of them for each call.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::http2::SendRequest;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};

use crate::TransportFault;
use crate::connection::{Connection, Load, Target};

/// Few connections, shared by all calls, made when they are needed and again when they are lost.
pub(crate) struct Pool {
    pub(crate) target: Target,
    open: Mutex<Vec<Connection>>,
    places: Arc<Semaphore>,
}

/// A call's place on a connection, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    load: Arc<Load>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.load.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Pool {
    pub(crate) fn new(target: Target) -> Self {
        let places = target.limits.max_connections * target.limits.max_streams_per_connection;
        Self {
            target,
            open: Mutex::default(),
            places: Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS))),
        }
    }

    /// A place on the connection that is used least, or on a new one if all are full. Whoever asks bounds the time.
    pub(crate) async fn place(&self) -> Result<(SendRequest<Full<Bytes>>, Place), TransportFault> {
        let permit = Arc::clone(&self.places).acquire_owned().await;
        let permit = permit.map_err(|error| TransportFault::Call { said: error.to_string() })?;
        // Held while connecting: whoever comes meanwhile would only make a connection more.
        let mut open = self.open.lock().await;
        open.retain(|connection| !connection.sender.is_closed());
        let least = open
            .iter()
            .map(|connection| (connection.load.in_flight.load(Ordering::Relaxed), connection))
            .min_by_key(|&(in_flight, _)| in_flight)
            .filter(|&(in_flight, _)| in_flight < self.target.limits.max_streams_per_connection);
        let (sender, load) = match least {
            Some((_, connection)) => (connection.sender.clone(), Arc::clone(&connection.load)),
            None => {
                let made = Box::pin(self.target.connect()).await?;
                let found = (made.sender.clone(), Arc::clone(&made.load));
                open.push(made);
                found
            }
        };
        // Before the lock is let go, so that nobody closes it as unused in between.
        load.in_flight.fetch_add(1, Ordering::Relaxed);
        load.uses.fetch_add(1, Ordering::Relaxed);
        Ok((sender, Place { load, _permit: permit }))
    }

    /// Uses the connection of this place no more: it did not take a call.
    pub(crate) async fn give_up(&self, place: Place) {
        self.open.lock().await.retain(|connection| !Arc::ptr_eq(&connection.load, &place.load));
    }
}
